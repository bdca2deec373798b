# The timeline of random histories: any order of insertion gives the same one, point lookups 1 us around every boundary
# agree with it, and where every act was told it is what a small model says.  Also on a standby and in parallel workers.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
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
my @start = (2026, 3, 1);

# Microseconds since the start, as text in the two forms that Flagsmith sends.
sub at
{
	my ($us) = @_;
	my $seconds = int($us / 1e6);

	return sprintf('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', @start[0, 1], $start[2] + int($seconds / 86400),
		int($seconds / 3600) % 24, int($seconds / 60) % 60, $seconds % 60, $us % 1e6);
}

my $audit_id = 0;

# A delivery: [arrival, webhook without its source, body].
sub entry
{
	my ($us, $environment, $type, $log, %more) = @_;

	return [ $us + 1e6 + int(rand(3e6)), 'org', $json->encode({ event_type => 'AUDIT_LOG_CREATED', data => {
		id => ++$audit_id, created_date => at($us), log => $log, author => undef, related_object_type => $type,
		related_object_id => $more{id}, related_object_uuid => $more{uuid}, is_system_event => JSON::PP::false,
		project => { id => 7, name => 'Shop', organisation => 1 },
		environment => $environment ? { id => $environment, name => "env $environment" } : undef } }) ];
}

sub state
{
	my ($enabled, $value) = @_;

	return { enabled => $enabled ? JSON::PP::true : JSON::PP::false, feature_state_value => $value,
		multivariate_feature_state_values => [] };
}

sub event
{
	my ($us, $arrived, $environment, $feature, $after, $before, %more) = @_;
	my $nested = sub {
		return { %{ $_[0] }, feature => { id => $feature, name => "flag $feature", type => 'STANDARD', description => undef,
				default_enabled => JSON::PP::false, initial_value => 'first', created_date => at(0),
				project => { id => 7, name => 'Shop' } },
			environment => { id => $environment, name => "env $environment" },
			identity => $more{identity}, identity_identifier => $more{identity} ? "user $more{identity}" : undef,
			feature_segment => $more{segment} ? { priority => $more{segment},
				segment => { id => $more{segment}, name => "segment $more{segment}", description => undef } } : undef };
	};
	my $data = { changed_by => 'ada@example.com', timestamp => $more{untimed} ? '' : at($us),
		new_state => $after ? $nested->($after) : undef };

	$data->{previous_state} = $nested->($before) if $before;
	return [ $arrived, 'org', $json->encode({ event_type => $after ? 'FLAG_UPDATED' : 'FLAG_DELETED', data => $data }) ];
}

# A random history of one flag, with everything that can happen; $complete: each act told, nothing else.
sub history
{
	my ($environment, $feature, $nacts, $complete) = @_;
	my @deliveries = (entry(0, 0, 'FEATURE', "New Flag / Remote Config created: flag $feature", id => $feature));
	my @model;
	my %held = ('' => state(0, 'first'));
	my $us = 10e6;

	for my $act (1 .. $nacts)
	{
		my %scope = $complete || rand() < 0.6 ? () : rand() < 0.7 ? (segment => 1 + int(rand(3))) : (identity => 1 + int(rand(2)));
		my $key = join(' ', %scope);
		my $after = state(rand() < 0.5, rand() < 0.2 ? undef : int(rand(6)));
		my $uuid = sprintf('%08x-0000-4000-8000-%06x%06x', $environment, $feature, $act);
		my $named = $scope{segment} ? " and segment 'segment $scope{segment}'" : $scope{identity} ? " and identity 'user $scope{identity}'" : '';
		my @act;

		$us += $complete || rand() < 0.7 ? 20e6 + int(rand(60e6)) : rand() < 0.2 ? 0 : int(rand(2e6));
		if (!$complete && %scope && rand() < 0.2)
		{
			push @act, entry($us, $environment, $scope{segment} ? 'FEATURE' : 'FEATURE_STATE',
				"Flag state / Remote config value deleted for feature 'flag $feature'$named", id => $feature);
			delete $held{$key};
		}
		elsif ($environment == 2 && !$scope{identity})
		{
			my $late = rand() < 0.1 ? int(rand(90e6)) : 0;

			push @act, event($us, $us + 3e5 + int(rand(2e6)) + $late, 2, $feature, $after, $held{$key}, %scope);
			push @act, entry($us + int(rand(1e6)), 2, 'EF_VERSION', "New version published for feature: flag $feature", uuid => $uuid);
			$held{$key} = $after;
			push @act, [ $us + 3e5 + int(rand(3e6)) + $late, 'env', $json->encode({ event_type => 'NEW_VERSION_PUBLISHED', data => {
				uuid => $uuid, published_by => undef, feature => { id => $feature, name => "flag $feature" }, feature_states => [
					map { { enabled => $_->{enabled}, value => $_->{feature_state_value}, multivariate_feature_state_values => [] } }
					map { $held{$_} } grep { !/identity/ } sort keys %held ] } }) ];
		}
		else
		{
			my $before = rand() < 0.4 ? $held{''} : $held{$key};

			push @act, entry($us, $environment, 'FEATURE_STATE', %scope ?
				"Flag state / Remote config value updated for feature 'flag $feature'$named" : "Flag state updated for feature: flag $feature");
			push @act, entry($us + int(rand(4e5)) - 1e5, $environment, 'FEATURE_STATE', "Remote config value updated for feature: flag $feature")
				if !%scope && rand() < 0.4;
			push @act, event($us, $us + 1e6 + int(rand(5e6)), $environment, $feature, $after, $before, %scope,
				untimed => !$complete && rand() < 0.02);
			$held{$key} = $after;
			push @model, [ $us, $after ] if $complete;
		}
		push @act, entry($us + 5e5, 0, 'FEATURE', "Multivariate option added to feature 'flag $feature'.", id => $feature)
			if !$complete && rand() < 0.03;
		@act = grep { $complete || rand() > 0.05 } @act;
		push @act, map { [ $_->[0] + int(rand(60e6)), @$_[1, 2] ] } grep { rand() < 0.1 } @act;
		push @deliveries, @act;
	}
	if (!$complete && rand() < 0.5)
	{
		$us += 30e6;
		push @deliveries, event($us - 20e6, $us, $environment, $feature, undef, state(1, 'old')) for 1 .. 2;
		push @deliveries, entry($us, 0, 'FEATURE', "Flag / Remote Config Deleted: flag $feature", id => $feature) if rand() < 0.7;
	}
	return (\@deliveries, \@model);
}

# Take deliveries in, as those of one source.
sub take_in
{
	my ($source, @deliveries) = @_;
	my $sql = "SELECT flagsmith.add_webhook('$source org', source => '$source', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL);\n"
	  . "SELECT flagsmith.add_webhook('$source env', source => '$source', scope => 'environment', environment_id => 2, allow_unsigned => true, max_spool_age => NULL);\n"
	  . "CREATE TEMP TABLE spool (n serial, webhook text, body text, at timestamptz);\nCOPY spool (webhook, body, at) FROM STDIN;\n";

	foreach my $delivery (@deliveries)
	{
		my $body = $delivery->[2] =~ s/\\/\\\\/gr;

		$sql .= join("\t", "$source $delivery->[1]", $body, at($delivery->[0])) . "\n";
	}
	$sql .= "\\.\nINSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT webhook, convert_to(body, 'UTF8'), at FROM spool ORDER BY n;\n";
	$node->safe_psql('postgres', $sql);
}

# The history of a source without what belongs to this database alone.
sub dump_of
{
	my ($source) = @_;

	return $node->safe_psql('postgres', 'SELECT environment_id, feature_id, segment_id, priority, identity, period, enabled, value, variants, confidence, cause, changed_by'
		  . " FROM flagsmith.flag_history WHERE source = '$source'"
		  . ' ORDER BY environment_id, feature_id, segment_id NULLS FIRST, identity NULLS FIRST, period');
}

# Lookups 1 us around every boundary of the environment defaults that differ from the periods.
my $disagreements = <<'SQL';
WITH h AS MATERIALIZED (SELECT * FROM flagsmith.flag_history WHERE source = 'SOURCE' AND segment_id IS NULL AND identity IS NULL),
p AS (SELECT DISTINCT h.feature_id, h.environment_id, h.feature, b + d * interval '1 us' AS t
      FROM h, LATERAL (VALUES (lower(period)), (upper(period))) v(b), generate_series(-1, 1) d WHERE b IS NOT NULL)
SELECT count(*), count(*) FILTER (WHERE
    (h.enabled, h.value) IS DISTINCT FROM (flagsmith.is_feature_enabled('SOURCE/Shop/env ' || p.environment_id, p.feature, p.t),
        flagsmith.get_feature_value('SOURCE/Shop/env ' || p.environment_id, p.feature, p.t))
    OR (h.enabled, h.value, h.confidence, h.cause) IS DISTINCT FROM (s.enabled, s.value, s.confidence, s.cause))
FROM p LEFT JOIN h ON h.environment_id = p.environment_id AND h.feature_id = p.feature_id AND h.period @> p.t
LEFT JOIN LATERAL flagsmith.feature_state('SOURCE/Shop/env ' || p.environment_id, p.feature, p.t) s ON true
SQL

my @told;
my %model;
for my $environment (1, 2)
{
	for my $feature (1 .. 4)
	{
		my ($deliveries) = history($environment, $environment * 10 + $feature, 25, 0);
		push @told, @$deliveries;
	}
}
for my $feature (31 .. 33)
{
	my ($deliveries, $model) = history(1, $feature, 12, 1);
	push @told, @$deliveries;
	$model{$feature} = $model;
}
@told = sort { $a->[0] <=> $b->[0] } @told;
take_in('arrival', @told);
take_in('shuffled', shuffle(@told));
take_in('reversed', reverse(@told));

my $reference = dump_of('arrival');
isnt($reference, '', 'there is a history');
is(dump_of('shuffled'), $reference, 'a random order of insertion gives the same timeline');
is(dump_of('reversed'), $reference, 'the reverse order gives the same timeline');
for my $source ('arrival', 'shuffled')
{
	my ($n, $bad) = split(/\|/, $node->safe_psql('postgres', $disagreements =~ s/SOURCE/$source/gr));

	cmp_ok($n, '>', 100, "$source: there are boundaries");
	is($bad, 0, "$source: point lookups agree with the periods");
}

# The model: where every act was told, the state at an instant is the last one told before it.
my $wrong = 0;
foreach my $feature (sort keys %model)
{
	my @acts = @{ $model{$feature} };

	for my $i (0 .. $#acts)
	{
		my $between = $i < $#acts ? int(($acts[$i][0] + $acts[ $i + 1 ][0]) / 2) : $acts[$i][0] + 5e6;
		my $said = $node->safe_psql('postgres', "SELECT json_build_array(enabled, value) FROM flagsmith.feature_state('arrival/Shop/env 1', 'flag $feature', '" . at($between) . "')");

		$wrong++ if $json->encode($json->decode($said)) ne $json->encode([ $acts[$i][1]{enabled}, $acts[$i][1]{feature_state_value} ]);
	}
}
is($wrong, 0, 'the model agrees');

# A history so long that only what is around an instant is read.
my ($long) = history(1, 41, 600, 0);
my ($long2) = history(2, 42, 600, 0);
take_in('long', sort { $a->[0] <=> $b->[0] } @$long, @$long2);
my $probes = $node->safe_psql('postgres', <<'SQL');
CREATE TEMP TABLE h AS SELECT * FROM flagsmith.flag_history WHERE source = 'long' AND segment_id IS NULL AND identity IS NULL;
CREATE TEMP TABLE p AS SELECT environment_id, feature, lower(period) + d * interval '1 us' AS t
    FROM (SELECT * FROM h ORDER BY md5(period::text) LIMIT 60) h, generate_series(-1, 1) d;
CREATE TEMP TABLE r (bad boolean, t timestamptz);
DO $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT * FROM p LOOP
        EXECUTE format($q$INSERT INTO r SELECT (h.enabled, h.value, h.enabled, h.value) IS DISTINCT FROM
            (flagsmith.is_feature_enabled(%1$L, %2$L, %3$L), flagsmith.get_feature_value(%1$L, %2$L, %3$L),
            s.enabled, s.value), %3$L::timestamptz
            FROM (VALUES (1)) one LEFT JOIN h ON h.feature = %2$L AND h.environment_id = %4$L AND h.period @> %3$L::timestamptz
            LEFT JOIN flagsmith.feature_state(%1$L, %2$L, %3$L) s ON true$q$,
            'long/Shop/env ' || p.environment_id, p.feature, p.t, p.environment_id);
    END LOOP;
END $$;
SELECT count(*) || ' ' || count(*) FILTER (WHERE bad) || COALESCE(' ' || min(t) FILTER (WHERE bad), '') FROM r;
SQL
like($probes, qr/^\d+ 0$/, 'a lookup that reads a part of a long history agrees with all of it');

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
	map { "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM flagsmith.$_ t" } qw(flag_history current_state history_gap))
{
	is($standby->safe_psql('postgres', $sql), $node->safe_psql('postgres', $sql), 'on a standby: ' . substr($sql, 0, 60));
}

done_testing();
