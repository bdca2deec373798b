# docs/cookbook.md, block by block: each answer in it must be what the server says over t/data/cookbook.sql.  Not a regress test,
# so that a reader finds text in the documentation and not a test's protocol.  With FSW_UPDATE_COOKBOOK the answers are written.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $path = data_dir('..', '..', 'docs', 'cookbook.md');
my $text = slurp_body($path);
my $node = start_node('cookbook');
$node->safe_psql('postgres', slurp_body(data_dir('cookbook.sql')));

my $written = '';
my $blocks = 0;
while ($text =~ /\G(.*?)```sql\n(.*?)```\n(?:\n```\n(.*?)```\n)?/gcs)
{
	my ($before, $sql, $shown) = ($1, $2, $3 // '');
	my ($stdout, $stderr) = ('', '');

	$blocks++;
	PostgreSQL::Test::Utils::run_log([ 'psql', '-XqP', 'pager=off', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', '-' ],
		'<', \"SET TimeZone = 'UTC';\n$sql", '>', \$stdout, '2>', \$stderr);
	# as an editor would leave it: no blanks at the ends of lines, no empty line at the end
	$stdout =~ s/[ \t]+$//mg;
	$stdout =~ s/\n+\z/\n/;
	my ($first) = $sql =~ /\A(.*)\n/;
	is($stderr, '', "runs: $first");
	is($stdout, $shown, "its answer: $first") unless $ENV{FSW_UPDATE_COOKBOOK};
	$written .= $before . "```sql\n$sql```\n" . ($stdout ne '' ? "\n```\n$stdout```\n" : '');
}
$written .= substr($text, pos($text) // 0);
cmp_ok($blocks, '>=', 20, 'there are at least twenty questions');
if ($ENV{FSW_UPDATE_COOKBOOK})
{
	open(my $fh, '>:raw', $ENV{FSW_UPDATE_COOKBOOK}) or die "could not write: $!";
	print $fh $written;
	close($fh);
}
$node->stop;
done_testing();
