# The timeline of random histories: any order of insertion gives the same one, point lookups 1 us around every boundary
# agree with it (t/051_lookup.pl has more of them), and where every act was told it is what a small model says.  Also on a
# standby and in parallel workers.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use JSON::PP;
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{FSW_SEED} // time;
note("FSW_SEED=$seed repeats this run");
srand($seed);

my $json = JSON::PP->new->canonical->allow_nonref;
my $node = start_node('timeline', init => { allows_streaming => 1 });

# The history of a source without what belongs to this database alone.
sub dump_of
{
	my ($source) = @_;

	return $node->safe_psql('postgres', 'SELECT environment_id, feature_id, segment_id, priority, identity, period, enabled, value, variants, confidence, cause, changed_by'
		  . " FROM flagsmith.flag_timeline WHERE source = '$source'"
		  . ' ORDER BY environment_id, feature_id, segment_id NULLS FIRST, identity NULLS FIRST, period');
}

# Lookups 1 us around every boundary of the environment defaults that differ from the periods.
my $disagreements = <<'SQL';
WITH h AS MATERIALIZED (SELECT * FROM flagsmith.flag_timeline WHERE source = 'shuffled' AND segment_id IS NULL AND identity IS NULL AND feature <> 'again'),
p AS (SELECT DISTINCT h.feature_id, h.environment_id, h.feature, b + d * interval '1 us' AS t
      FROM h, LATERAL (VALUES (lower(period)), (upper(period))) v(b), generate_series(-1, 1) d WHERE b IS NOT NULL)
SELECT count(*), count(*) FILTER (WHERE
    (h.enabled, h.value) IS DISTINCT FROM (flagsmith.is_feature_enabled('shuffled/Shop/env ' || p.environment_id, p.feature, p.t),
        flagsmith.get_feature_value('shuffled/Shop/env ' || p.environment_id, p.feature, p.t))
    OR (h.enabled, h.value, h.confidence, h.cause) IS DISTINCT FROM (s.enabled, s.value, s.confidence, s.cause))
FROM p LEFT JOIN h ON h.environment_id = p.environment_id AND h.feature_id = p.feature_id AND h.period @> p.t
LEFT JOIN LATERAL flagsmith.feature_state('shuffled/Shop/env ' || p.environment_id, p.feature, p.t) s ON true
SQL

my @told;
my %model;
for my $environment (1, 2)
{
	for my $feature (1 .. 4)
	{
		my ($deliveries) = history($environment, $environment * 10 + $feature, 25);
		push @told, @$deliveries;
	}
}
# Ties, with entries and without; empty timestamps; a name that is given again.
push @told, @{ (history($_, 10 * $_ + 5, 30, ties => 0.7))[0] } for 1, 2;
push @told, @{ (history(1, 16, 30, ties => 0.9, quiet => 1))[0] };
push @told, @{ (history(1, 17, 20, untimed => 0.5))[0] };
push @told, @{ (history(1, $_, 10, name => 'again', born => 400e6 * ($_ - 18), deleted => 1))[0] } for 18, 19;
for my $feature (31 .. 33)
{
	my ($deliveries, $model) = history(1, $feature, 12, complete => 1);
	push @told, @$deliveries;
	$model{$feature} = $model;
}
@told = sort { $a->[0] <=> $b->[0] } @told;
number(0.02, @told);
take_in($node, 'arrival', @told);
take_in($node, 'shuffled', shuffle(@told));
take_in($node, 'reversed', reverse(@told));

my $reference = dump_of('arrival');
isnt($reference, '', 'there is a history');
is(dump_of('shuffled'), $reference, 'a random order of insertion gives the same timeline');
is(dump_of('reversed'), $reference, 'the reverse order gives the same timeline');
my ($n, $bad) = split(/\|/, $node->safe_psql('postgres', $disagreements));
cmp_ok($n, '>', 100, 'there are boundaries');
is($bad, 0, 'point lookups agree with the periods');

# The model: where every act was told, the state at an instant is the last one told before it.
my (@instants, @expected);
foreach my $feature (sort keys %model)
{
	my @acts = @{ $model{$feature} };

	for my $i (0 .. $#acts)
	{
		push @instants, [ $feature, at($i < $#acts ? int(($acts[$i][0] + $acts[ $i + 1 ][0]) / 2) : $acts[$i][0] + 5e6) ];
		push @expected, [ $acts[$i][1]{enabled}, $acts[$i][1]{feature_state_value} ];
	}
}
my $said = $node->safe_psql('postgres', 'SELECT json_agg(json_build_array(s.enabled, s.value) ORDER BY n) FROM (VALUES '
	  . join(', ', map { "($_, 'flag $instants[$_][0]', timestamptz '$instants[$_][1]')" } 0 .. $#instants)
	  . ") v (n, feature, at), LATERAL flagsmith.feature_state('arrival/Shop/env 1', feature, at) s");
is($json->encode($json->decode($said)), $json->encode(\@expected), 'the model agrees');

# Parallel workers say the same.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE app AS SELECT n, timestamptz '2026-03-01 00:00Z' + n * interval '1 s' AS at FROM generate_series(0, 3000) n;
ALTER TABLE app SET (parallel_workers = 2);
ANALYZE app;
SQL
my $question = "SELECT count(*) FILTER (WHERE flagsmith.is_feature_enabled('arrival/Shop/env 1', 'flag 31', at)), sum(n) FILTER (WHERE flagsmith.get_feature_value('arrival/Shop/env 1', 'flag 31', at) = '3') FROM app";
my $alone = $node->safe_psql('postgres', "SET max_parallel_workers_per_gather = 0; $question");
my $workers = 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;';
like($node->safe_psql('postgres', "$workers EXPLAIN $question"), qr/Parallel/, 'the plan is parallel');
is($node->safe_psql('postgres', "$workers $question"), $alone, 'parallel workers say the same');

# With hardly any memory for caches.
is($node->safe_psql('postgres', "SET work_mem = '64kB'; SET hash_mem_multiplier = 1; SET max_parallel_workers_per_gather = 0; $question"), $alone, 'a tiny work_mem says the same');

# Every door works on a standby.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
for my $sql ($question, "SELECT enabled, value, confidence FROM flagsmith.feature_state('arrival/Shop/env 1', 'flag 31', '2026-03-01 00:05Z', '{1}', 'user 1')",
	"SELECT feature, enabled, value, confidence FROM flagsmith.environment_state('arrival/Shop/env 2', '2026-03-01 00:05Z') ORDER BY feature_id",
	map { "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM flagsmith.$_ t" } qw(flag_timeline current_state history_gap))
{
	is($standby->safe_psql('postgres', $sql), $node->safe_psql('postgres', $sql), 'on a standby: ' . substr($sql, 0, 60));
}

done_testing();
