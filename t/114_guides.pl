# docs/names.md, docs/troubleshooting.md and docs/confidence.md, block by block: what stands in them must be what psql shows over
# t/data/cookbook.sql and t/data/guides.sql, errors and notices included.  Not a regress test, so that a reader finds text and not
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

for my $name (qw(names.md troubleshooting.md confidence.md))
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
$node->stop;
done_testing();
