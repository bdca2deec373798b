# docs/names.md, docs/troubleshooting.md, docs/confidence.md and docs/messages.md, block by block: what stands in them must be what
# psql shows over t/data/cookbook.sql and t/data/guides.sql, errors and notices included.  Of every other page, each statement in
# a block or in a sentence is understood by the server.  Not a regress test, so that a reader finds text and not
# a test's protocol.  With FSW_UPDATE_GUIDES=DIRECTORY the pages are written there with the answers as they are.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('guides');
$node->safe_psql('postgres', slurp_body(data_dir('cookbook.sql')) . slurp_body(data_dir('guides.sql')));

for my $name (qw(names.md troubleshooting.md confidence.md messages.md))
{
	my $text = slurp_body(data_dir('..', '..', 'docs', $name));
	my ($written, $blocks) = ('', 0);

	while ($text =~ /\G(.*?)```sql\n(.*?)```\n(?:\n```\n(.*?)```\n)?/gcs)
	{
		my ($before, $sql, $shown) = ($1, $2, $3 // '');
		my $out = '';

		$blocks++;
		# one psql for each block, and its errors where they come
		PostgreSQL::Test::Utils::run_log([ 'psql', '-XqP', 'pager=off', '-d', $node->connstr('postgres') ], '<', \"SET TimeZone = 'UTC';\n$sql", '>', \$out, '2>&1');
		$out =~ s/[ \t]+$//mg;
		$out =~ s/\n+\z/\n/;
		my ($first) = $sql =~ /\A(.*)\n/;
		is($out, $shown, "$name: $first") unless $ENV{FSW_UPDATE_GUIDES};
		$written .= $before . "```sql\n$sql```\n" . ($out ne '' ? "\n```\n$out```\n" : '');
	}
	$written .= substr($text, pos($text) // 0);
	cmp_ok($blocks, '>', 0, "$name has something to run");
	next unless $ENV{FSW_UPDATE_GUIDES};
	open(my $fh, '>:raw', "$ENV{FSW_UPDATE_GUIDES}/$name") or die "could not write: $!";
	print $fh $written;
	close($fh);
}

# The statements of the other pages and of sentences, each in a transaction of its own that is rolled back: it may be refused or find
# nothing, but what it names is there.  A column where a reader is to put an id is not, and what other statements of the pages
# made is there already.
my $said = 0;
$node->safe_psql('postgres', "CREATE ROLE flag_witness; SELECT flagsmith.create_publication('flag_history')");
for my $path (map { data_dir('..', '..', $_) } qw(README.md), map { "docs/$_" } qw(distributed.md evidence.md flagsmith.md history.md monitoring.md names.md notify.md
	operations.md receiver.md security.md troubleshooting.md))
{
	my $text = slurp_body($path);
	my @statements = $path =~ /(?:README|names|troubleshooting)\.md$/ ? () : map { split(/(?<=;)[^\n]*\n(?=\S)/) } $text =~ /^```sql\n(.*?)^```$/msg;

	push @statements, $text =~ s/^ *```.*?^ *```//gmsr =~ /`((?:SELECT|WITH|UPDATE|DELETE|INSERT)\s[^`]+)`/g;
	@statements = grep { !/…|\bflag_export\b|^--/ && /\bflagsmith\./ } @statements;
	my $input = join('', map { "\\warn $_\nBEGIN;\n$statements[$_];\nROLLBACK;\n" } 0 .. $#statements) . "\\warn end\n";
	my ($out, $err) = ('', '');

	PostgreSQL::Test::Utils::run_log([ 'psql', '-Xq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ], '<', \$input, '>', \$out, '2>', \$err);
	my @answers = split(/^\d+\n/m, $err);
	like($err, qr/^end\n\z/m, $path =~ s{.*/}{}r . ': all statements ran');
	for my $i (0 .. $#statements)
	{
		my ($error) = ($answers[ $i + 1 ] // '') =~ /(ERROR:  42(?!703|710).*)/;

		$said++;
		is($error, undef, "$path: $statements[$i]") if defined $error;
	}
}
cmp_ok($said, '>', 30, "$said statements of other pages are understood");
$node->stop;
done_testing();
