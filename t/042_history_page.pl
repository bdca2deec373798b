# Pages of the view history read what they show and little else: by the plans' own counts of rows, not by time.  Not a regress
# test, since it needs a history long enough for the planner to choose as it does for real ones.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use JSON::PP;
use Test::More;

my $node = start_node('history_page');
my $generate = "$FindBin::Bin/../bench/history/generate.sql";

plan skip_all => 'bench/history is not here' if !-e $generate;
$node->command_ok([ 'psql', '-qX', '-d', $node->connstr('postgres'), '-v', 'entries=30000', '-f', $generate ], 'a history is made');

# The nodes of a plan.
sub nodes
{
	my ($plan) = @_;

	return ($plan, map { nodes($_) } @{ $plan->{Plans} // [] });
}

# How many rows of the history's tables a query reads, and how many lines it returns.
sub reads
{
	my ($query) = @_;
	my $plan = JSON::PP->new->decode($node->safe_psql('postgres', "EXPLAIN (ANALYZE, TIMING off, FORMAT json) $query"))->[0]{Plan};
	my $rows = 0;

	foreach my $scan (grep { ($_->{'Relation Name'} // '') =~ /^(audit_log|flag_change|version_published|delivery_repeat)$/ } nodes($plan))
	{
		$rows += ($scan->{'Actual Rows'} + ($scan->{'Rows Removed by Filter'} // 0)) * $scan->{'Actual Loops'};
	}
	return ($rows, $plan->{'Actual Rows'});
}

my $all = $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM flagsmith.audit_log) + (SELECT count(*) FROM flagsmith.flag_change)');
my %page = (
	'the newest' => 'true',
	'before an instant' => q(at < '2025-01-01'),
	'of a feature' => q(feature = 'feature_3'),
	'of a feature in an environment' => q(feature = 'feature_3' AND environment = 'Production'),
	'by a busy author' => q(actor = 'person0@example.com'),
	'by a quiet author' => q(actor = 'person34@example.com'),
	'by an API key' => q(actor = 'deploy key 38'),
	'by nobody' => q(actor = 'nobody@example.com'));
foreach my $name (sort keys %page)
{
	my ($rows, $lines) = reads("SELECT * FROM flagsmith.history WHERE $page{$name} ORDER BY at DESC LIMIT 50");

	is($lines, $name eq 'by nobody' ? 0 : 50, "$name: there are lines");
	cmp_ok($rows, '<', 0.02 * $all, "$name: $rows rows of $all are read");
}
my ($rows, $lines) = reads(q(SELECT * FROM flagsmith.history WHERE at BETWEEN '2025-01-01' AND '2025-01-02' ORDER BY at));
cmp_ok($lines, '>', 10, 'a day has lines');
cmp_ok($rows, '<', 5 * $lines, "for $lines lines of a day, $rows rows are read");

is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT act), sum(cardinality(delivery_ids)) FROM flagsmith.history'),
	$node->safe_psql('postgres', 'SELECT 20000, 20000, (SELECT count(*) FROM flagsmith.audit_log) + (SELECT count(*) FROM flagsmith.flag_change)'
		  . ' + (SELECT count(*) FROM flagsmith.version_published)'), 'each act is one line, and each piece in one');

# There are no bodies behind these rows, which every other test's last step wants to see.
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
$node->stop;
done_testing();
