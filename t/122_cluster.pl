# A publisher, two subscribers, a standby and a database without the extension that reads two of them through postgres_fdw, under
# load: with rebuild, pruning, repeats, a subscriber that is stopped and a standby that is paused.  Whoever is behind says so;
# whoever has caught up answers as the publisher does; then the standby is promoted.  tools/nodes is the long form, by the
# settings FSW_NODES_SECONDS, FSW_NODES_RATE and FSW_NODES_QUESTIONS.  Needs five servers, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use IPC::Run;
use Nodes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $features = 5;
my $seconds = $ENV{FSW_NODES_SECONDS} // 4;
my $rate = $ENV{FSW_NODES_RATE} // 100;
my $seed = $ENV{FSW_SEED} // int(time());
my %asked = (features => $features, seed => $seed, n => $ENV{FSW_NODES_QUESTIONS} // 150);
my $db = 'postgres';

note("FSW_SEED=$seed");

# ---- five servers ----

my @deliveries = deliveries(seed => $seed, features => $features, acts => 12);
my @later = splice(@deliveries, int(@deliveries * 0.7));
my $publisher = publisher('publisher', conf => "max_wal_size = 4GB\n");
take_in($publisher, 'a', @deliveries);
$publisher->safe_psql($db, <<'SQL');
SELECT flagsmith.create_publication('flag_history');
SELECT flagsmith.add_webhook('load', source => 'load', allow_unsigned => true, max_spool_age => NULL);
CREATE ROLE reader LOGIN;
SELECT flagsmith.grant_reader('reader');
-- A flag event of now, of one of a hundred flags.
CREATE FUNCTION body(n int, value int) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(format('{"event_type": "FLAG_UPDATED", "data": {"changed_by": "load@example.com", "timestamp": "%s", "new_state": {"enabled": %s,'
        ' "feature_state_value": %s, "multivariate_feature_state_values": [], "identity": null, "identity_identifier": null, "feature_segment": null,'
        ' "environment": {"id": %s, "name": "env %s"}, "feature": {"id": %s, "name": "load %s", "type": "STANDARD", "description": null,'
        ' "default_enabled": false, "initial_value": null, "created_date": "2026-01-01T00:00:00.000000Z", "project": {"id": 9, "name": "Load"}}}}}',
        to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), (value % 2 = 0)::text, value, n % 4 + 1, n % 4 + 1, n, n), 'UTF8') $$;
SQL
# each has a name from the start: a door that returns rows raises on a node that never heard of one
$publisher->safe_psql($db, "INSERT INTO flagsmith.inbox (webhook, body) SELECT 'load', body(n, 0) FROM generate_series(1, 100) n");
$publisher->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($publisher, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = off\nmax_standby_streaming_delay = -1\n");
$standby->start;
my @subscribers = map { publisher($_) } qw(one two);
foreach my $node (@subscribers)
{
	# data that is joined with flags, one half on each
	$node->safe_psql($db, "CREATE ROLE reader LOGIN; SELECT flagsmith.grant_reader('reader');"
		  . "CREATE TABLE orders AS SELECT n, timestamptz '2026-03-01 00:00Z' + n * interval '1 s' AS created_at, n % 7 AS total FROM generate_series(1, 3000) n WHERE n % 2 = "
		  . ($node == $subscribers[0] ? 0 : 1) . ';'
		  . "CREATE VIEW flagged_order AS SELECT '" . $node->name . "'::text AS region, o.*, flagsmith.get_feature_value(1, 1, o.created_at, source => 'a') AS value FROM orders o;"
		  . 'GRANT SELECT ON flagged_order TO reader');
	subscribe($node, $publisher);
}
my $client = PostgreSQL::Test::Cluster->new('client');
$client->init;
$client->start;
my ($script) = grep { -e $_ } map { "$_/flagsmith_webhook_client.sql" } "$FindBin::Bin/..";
$client->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $client->connstr($db), '-f', $script ], 'flagsmith_webhook_client.sql');
$client->safe_psql($db, 'CREATE EXTENSION postgres_fdw; CREATE ROLE caller; CREATE SCHEMA app;'
	  . join('', map {
		  my $name = $_->name;
		  "CREATE SERVER $name FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '" . $_->host . "', port '" . $_->port . "', dbname 'postgres', async_capable 'true');"
			. "CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (user 'reader', password_required 'false');"
	  } @subscribers)
	  . 'IMPORT FOREIGN SCHEMA flagsmith LIMIT TO (history, flag_timeline, current_state, history_gap, missing_audit_entry, webhook_health, subscription_health)'
	  . ' FROM SERVER one INTO flagsmith;'
	  . 'CREATE TABLE app.flagged_order (region text, n int, created_at timestamptz, total int, value jsonb) PARTITION BY LIST (region);'
	  . join('', map { "CREATE FOREIGN TABLE app.$_ PARTITION OF app.flagged_order FOR VALUES IN ('$_') SERVER $_"
		  . " OPTIONS (schema_name 'public', table_name 'flagged_order');" } map { $_->name } @subscribers));
is($client->safe_psql($db, "SELECT string_agg(e.enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum e WHERE enumtypid = 'flagsmith.confidence'::regtype"),
	$publisher->safe_psql($db, "SELECT string_agg(e.enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum e WHERE enumtypid = 'flagsmith.confidence'::regtype"),
	'the words of confidence are those of the extension');

# ---- under load ----

sub pgbench
{
	my ($node, $out, $name, $sql, @arguments) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";

	append_to_file($file, $sql);
	return IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-T', $seconds, '-f', $file, @arguments, $db ],
		'>', $out, '2>&1', IPC::Run::timeout($seconds + 300));
}

$publisher->poll_query_until($db, 'SELECT flagsmith.mark_position() IS NOT NULL') or die 'no mark';
$publisher->wait_for_catchup($standby, 'replay', $publisher->lsn('insert'));
foreach my $node (@subscribers)
{
	synced($publisher, $node);
	$node->safe_psql($db, 'CREATE UNLOGGED TABLE lag (at timestamptz, lag interval, said bigint)');
}
my $wal = $publisher->lsn('insert');
my $before = $publisher->safe_psql($db, 'SELECT count(*) FROM flagsmith.delivery');
my $deliver = "\\set n random(1, 100)\n\\set value random(0, 9)\n"
  . "INSERT INTO flagsmith.inbox (webhook, body) VALUES ('load', body(:n, :value)) RETURNING outcome;\n";
my @deliver = ('-R', $rate, '-c', 4, '-M', 'prepared');
my @said = ('') x 2;
# instants of questions about what is being changed
$asked{load} = { from => $publisher->safe_psql($db, 'SELECT now()'), seconds => $seconds };
my @jobs = (pgbench($publisher, \$said[0], 'load', $deliver, @deliver),
	map { pgbench($_, \$said[1], 'lag_' . $_->name, 'INSERT INTO lag SELECT clock_timestamp(), clock_timestamp() - h.last_stored, h.lag_bytes'
		  . " FROM flagsmith.subscription_health h WHERE h.role = 'subscriber' AND h.state = 'streaming';\n", '-R', 10, '-c', 1) } $subscribers[0]);

# Up to when each of these nodes knows everything.
sub least_position
{
	my ($least) = sort map { $_->safe_psql($db, 'SET timezone = UTC; SELECT flagsmith.history_position()') } @_;

	return $least;
}

my $behind = 0;
my $standby_behind = 0;
my $rebuilt = 0;
my $begin = time();
for (my $round = 0; $round < 2 || time() - $begin < $seconds - 2; $round++)
{
	my @some = splice(@later, 0, 8);

	$publisher->safe_psql($db, more(@some, map { $deliveries[rand @deliveries] } 1 .. 5));
	$publisher->safe_psql($db, 'SELECT flagsmith.mark_position()');
	if ($round % 3 == 0)
	{
		# known_at does not undo what was pruned and rebuilt, so that all have that first
		synced($publisher, $_) foreach @subscribers;
		# one that is stopped, one that is paused: both fall behind and say so
		$subscribers[1]->safe_psql($db, 'ALTER SUBSCRIPTION two DISABLE');
		$standby->safe_psql($db, 'SELECT pg_wal_replay_pause()');
		$standby->poll_query_until($db, "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die 'the standby replays';
		$publisher->safe_psql($db, more(map { $deliveries[rand @deliveries] } 1 .. 5));
		$publisher->safe_psql($db, "SELECT flagsmith.mark_position()");
		$publisher->poll_query_until($db, "SELECT lag_bytes > 0 AND state = 'not connected' FROM flagsmith.subscription_health WHERE name = 'two'")
			or die 'the publisher does not see that one is not connected';
		$behind++ if $subscribers[1]->safe_psql($db, 'SELECT state FROM flagsmith.subscription_health') eq 'disabled';
		$standby->poll_query_until($db, "SELECT lag_bytes > 0 FROM flagsmith.subscription_health WHERE role = 'standby'")
			or die 'the standby does not see that it is behind';
		$standby_behind++;
		my $known = least_position($publisher, @subscribers, $standby);
		my @answers = map { answers($_, %asked, n => 40, known_at => $known) } $publisher, @subscribers, $standby;

		is_deeply(\@answers, [ ($answers[0]) x 4 ], "round $round: with known_at all answer the same, behind or not");
		$standby->safe_psql($db, 'SELECT pg_wal_replay_resume()');
		if ($round % 6 == 3)
		{
			$subscribers[1]->safe_psql($db, 'ALTER SUBSCRIPTION two ENABLE');
		}
		else
		{
			$subscribers[1]->restart;
			$subscribers[1]->safe_psql($db, 'ALTER SUBSCRIPTION two ENABLE');
		}
	}
	if ($round % 3 == 1)
	{
		# rows as an older version might have decoded them
		$publisher->safe_psql($db, <<'SQL');
BEGIN;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
UPDATE flagsmith.flag_change c SET enabled = NOT enabled FROM flagsmith.delivery d
    WHERE d.id = c.delivery AND d.id BETWEEN 100 AND 400 AND d.body IS NOT NULL;
ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
COMMIT;
SQL
		$rebuilt += $publisher->safe_psql($db, 'SELECT count(*) FROM flagsmith.rebuild(last => 500)');
	}
	my $minute = 4 + ($round < 16 ? $round : 16);
	$publisher->safe_psql($db, sprintf("SELECT flagsmith.prune_bodies('2026-03-01 00:%02dZ')", $minute)) if $round % 3 == 2;
	$publisher->safe_psql($db, sprintf("SELECT flagsmith.prune_history('2026-03-01 00:%02dZ')", $minute)) if $round % 5 == 4;
}
$publisher->safe_psql($db, more(@later));
$_->finish foreach @jobs;
cmp_ok($behind, '>', 0, 'a subscriber that is stopped says so');
cmp_ok($standby_behind, '>', 0, 'a standby that is paused says so');
cmp_ok($rebuilt, '>', 0, 'rows were rebuilt');
unlike($said[0], qr/error/, 'no delivery failed') or diag($said[0]);

# ---- caught up ----

sub caught_up
{
	synced($publisher, $_) foreach @subscribers;
	$publisher->wait_for_catchup($standby, 'replay', $publisher->lsn('insert'));
	return;
}

caught_up();
my $stored = $publisher->safe_psql($db, 'SELECT count(*) FROM flagsmith.delivery') - $before;
cmp_ok($stored, '>', $rate * $seconds / 4, 'the load came in');
my $expected = answers($publisher, %asked);
is(answers($subscribers[0], %asked), $expected, 'the first subscriber answers as the publisher');
is(answers($subscribers[1], %asked), $expected, 'the second, which was stopped, too');
my $rows = published($publisher);
is(published($_), $rows, $_->name . ' has the rows of the publisher') foreach @subscribers;
is(answers($standby, %asked), $expected, 'and the standby');
my $doors = doors($standby);
is_deeply([ keys %$doors ], ['ok'], 'on which every door works') or diag(explain($doors));
my $views = "SET timezone = 'GMT';" . views(views => [qw(history flag_timeline current_state history_gap missing_audit_entry)]);
is($client->safe_psql($db, $views), $publisher->safe_psql($db, $views), 'and a database without the extension through foreign tables');
is($client->safe_psql($db, 'SELECT role, state, copied FROM flagsmith.subscription_health'), 'subscriber|streaming|14 of 14', 'which says how current they are');
is($client->safe_psql($db, "SELECT count(*) > 0 FROM flagsmith.flag_timeline WHERE confidence >= 'reported'"), 't', 'confidence can be compared there');

# ---- lookups where the rows are ----

my $by_value = 'SELECT value, sum(n), sum(total) FROM (SELECT region, value, count(*) AS n, sum(total) AS total FROM app.flagged_order GROUP BY region, value) r'
  . ' GROUP BY value ORDER BY value::text NULLS FIRST';
my $grouped = $client->safe_psql($db, $by_value);
is($grouped, $publisher->safe_psql($db, "SELECT v, count(*), sum(n % 7) FROM generate_series(1, 3000) n,"
	  . " LATERAL flagsmith.get_feature_value(1, 1, timestamptz '2026-03-01 00:00Z' + n * interval '1 s', source => 'a') v GROUP BY v ORDER BY v::text NULLS FIRST"),
	'rows of two nodes by the value of a flag then');
my $plan = $client->safe_psql($db, 'SET enable_partitionwise_aggregate = on; EXPLAIN (VERBOSE, COSTS OFF) ' . $by_value);
is(() = $plan =~ /Async Foreign Scan\n.*\n *Relations: Aggregate on/g, 2, 'the nodes work at the same time, and each counts by itself') or diag($plan);

# ---- figures ----

note("deliveries under load: $stored in $seconds s");
my $mb = "pg_size_pretty(sum(pg_total_relation_size(c.oid))) FROM pg_class c WHERE c.relnamespace = 'flagsmith'::regnamespace AND relkind = 'r'";
# while deliveries came in
my $end = $publisher->safe_psql($db, "SELECT max(stored_at) FROM flagsmith.delivery WHERE webhook = 'load'");
note('lag of a subscriber, median, p99, largest: ' . $subscribers[0]->safe_psql($db, "SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY lag), percentile_cont(0.99) WITHIN GROUP (ORDER BY lag), max(lag) FROM lag WHERE at < '$end'"));
note('size of the history, publisher and subscriber: ' . join(', ', map { $_->safe_psql($db, "SELECT $mb") } $publisher, $subscribers[0]));
note('WAL of the publisher under load, bytes a delivery: ' . $publisher->safe_psql($db, "SELECT (pg_current_wal_insert_lsn() - '$wal'::pg_lsn) / greatest($stored, 1)"));
if (defined $ENV{FSW_NODES_SECONDS})
{
	my $start = time();

	$publisher->safe_psql($db, join(';', map { "VACUUM (FREEZE, ANALYZE) flagsmith.$_" } split(/\n/, $publisher->safe_psql($db,
		"SELECT relname FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace AND relkind = 'r' ORDER BY 1"))));
	note(sprintf('VACUUM (FREEZE, ANALYZE) of the publisher: %.1f s', time() - $start));
	note('largest indexes of the publisher, with their size, entries of a page and levels above the leaves: ' . $publisher->safe_psql($db, <<'SQL'));
CREATE EXTENSION pageinspect;
SELECT string_agg(format('%s %s MB %s %s', relname, pages / 128, entries, level), '; ' ORDER BY pages DESC)
FROM (SELECT c.relname, c.relpages AS pages, round(c.reltuples / c.relpages) AS entries, m.level
    FROM pg_class c, LATERAL bt_metap(c.oid::regclass::text) m
    WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'i' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND c.relpages > 1
    ORDER BY c.relpages DESC LIMIT 12) i;
SQL
	caught_up();
}

# ---- a conflict on the standby ----

$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 0\n");
$standby->reload;
$standby->poll_query_until($db, "SELECT current_setting('max_standby_streaming_delay') = '0'") or die 'no reload';
my ($in, $out) = ('', '');
my $reader = IPC::Run::start([ 'psql', '-XAtq', '-d', $standby->connstr($db) ], '<', \$in, '>', \$out, '2>&1', IPC::Run::timeout(180));
my $lookup = "SELECT flagsmith.is_feature_enabled(1, 1, '2026-03-01 00:30Z', source => 'a') IS NULL;";
$in .= "\\set VERBOSITY verbose\nBEGIN ISOLATION LEVEL REPEATABLE READ; $lookup \\echo looked\n";
$reader->pump until $out =~ /looked/;
# a row of repeats is updated, and its old version removed
$publisher->safe_psql($db, more(($deliveries[-1]) x 2));
$publisher->safe_psql($db, 'VACUUM flagsmith.delivery_repeat');
$publisher->wait_for_catchup($standby, 'replay', $publisher->lsn('insert'));
$in .= "$lookup\n\\q\n";
$reader->finish;
like($out, qr/(?:FATAL|ERROR):  40001: (?:terminating connection|canceling statement) due to conflict with recovery/, 'what replay cannot wait for is cancelled, to be asked again');
# further replay need not cancel what comes next
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\n");
$standby->reload;
is($standby->safe_psql($db, $lookup), $publisher->safe_psql($db, $lookup), 'and is answered then');
my (undef, undef, $err) = $standby->psql($db, "\\set VERBOSITY verbose\n" . insert_sql('load', undef, '{}'));
like($err, qr/ERROR:  25006: cannot execute INSERT in a read-only transaction/, 'a standby takes no delivery');
foreach my $call ('import_audit_log(\'{"count": 0, "next": null, "previous": null, "results": []}\')', 'prune_bodies(now(), 1)')
{
	(undef, undef, $err) = $standby->psql($db, "\\set VERBOSITY verbose\nSELECT flagsmith.$call");
	like($err, qr/ERROR:  25006: cannot execute (?:INSERT|UPDATE) in a read-only transaction/, "nor does it change anything by $call");
}

# ---- the publisher is lost under load, and another takes its place ----

$publisher->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'\n");
$publisher->reload;
$publisher->poll_query_until($db, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'") or die 'no synchronous standby';
my $load = "SELECT count(*) FROM flagsmith.delivery WHERE webhook = 'load'";
my $earlier = $publisher->safe_psql($db, $load);
# ends with the publisher
my $answered = pgbench($publisher, \my $lost, 'lost', $deliver, @deliver, '-T', $seconds + 200);
for my $more (20, 40)
{
	$publisher->poll_query_until($db, "SELECT ($load) > $earlier + $more") or die 'no load';
	$publisher->safe_psql($db, 'SELECT flagsmith.mark_position()');
}
$publisher->stop('immediate');
$answered->finish;
my ($processed) = $lost =~ /number of transactions actually processed: (\d+)/;
$standby->promote;
my $kept = $standby->safe_psql($db, $load) - $earlier;
cmp_ok($processed, '>', 20, 'deliveries were answered') or diag($lost);
cmp_ok($kept, '>=', $processed, 'and all of them are on the standby');
cmp_ok($kept, '<=', $processed + 4, 'with at most one more for each client');
my $known = least_position($standby, @subscribers);
$expected = answers($standby, %asked, known_at => $known);
is(answers($_, %asked, known_at => $known), $expected, $_->name . ' answers the same as of what all have') foreach @subscribers;
my $next = more($deliveries[-1]) . insert_sql('load', undef, '{"event_type": "NEWER", "data": {}}');
is($standby->safe_psql($db, $next), "duplicate|\nstored|", 'a promoted standby takes deliveries');
is($standby->safe_psql($db, 'SELECT * FROM flagsmith.installation_health'), '', 'with all of its guards and indexes');
foreach my $node (@subscribers)
{
	$node->safe_psql($db, 'SET client_min_messages = error; SELECT flagsmith.promote_subscriber()');
	is($node->safe_psql($db, $next), "duplicate|\nstored|", 'so does a promoted subscriber: ' . $node->name);
	is(answers($node, %asked, known_at => $known), $expected, 'which answers as before');
}

$_->stop('fast') foreach $client, $standby, @subscribers;
done_testing();
