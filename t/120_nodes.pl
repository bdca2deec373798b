# A publisher and a subscriber, two servers: what a subscriber answers while it is being filled, when it is behind and when it is
# not, what it refuses, how it is promoted; and a history table that was distributed.  Needs two servers, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use IPC::Run;
use Nodes;
use PostgreSQL::Test::Utils;
use Test::More;

my $features = 5;
my $seed = $ENV{FSW_SEED} // time();

note("FSW_SEED=$seed");
my @deliveries = deliveries(seed => $seed, features => $features, acts => 15);
my @later = splice(@deliveries, int(@deliveries * 0.7));
my @last = splice(@later, int(@later / 2));
my $publisher = publisher('publisher');
my $subscriber = publisher('subscriber');

sub psql_fails
{
	my ($node, $sql, $message, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	is(join("\n", map { s/^psql:\S+ //r } grep { /ERROR|DETAIL|HINT/ } split(/\n/, $err)), $message, $name);
	return;
}

# A session that holds something.
sub session
{
	my ($node, $in, $out) = @_;

	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', $in, '>', $out, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}

sub health
{
	my ($node, $columns, $role) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM flagsmith.subscription_health" . ($role ? " WHERE role = '$role'" : ''));
}

take_in($publisher, 'a', @deliveries);
$publisher->safe_psql('postgres', "SELECT flagsmith.add_webhook('signed', 'a secret that is long enough', source => 'a', max_spool_age => NULL);"
	  . insert_sql('signed', sign('{"b": 1}', 'another secret, added too late'), '{"b": 1}', '2026-03-02 00:00Z')
	  . more(@deliveries[0 .. 30])
	  . "SELECT flagsmith.create_publication('flag_history')");
is(health($publisher, '*'), '', 'one node: nothing to see');

# ---- while it is being filled ----

my ($in, $out, $rr_in, $rr_out) = ('') x 4;
my $holder = session($subscriber, \$in, \$out);
$in .= "BEGIN; LOCK TABLE flagsmith.name IN SHARE MODE; \\echo held\n";
$holder->pump until $out =~ /held/;
subscribe($subscriber, $publisher);
$subscriber->poll_query_until('postgres', "SELECT count(*) = 13 FROM pg_subscription_rel WHERE srsubstate = 'r'")
	or die 'the other tables are not copied';

my $incomplete = "ERROR:  55000: this copy of the flag history is not complete\nDETAIL:  The first copy of table \"flagsmith.name\" is not finished.\n"
  . 'HINT:  Wait until flagsmith.subscription_health says that it is.';
my $said = doors($subscriber);
is_deeply([ keys %$said ], [$incomplete], 'while a table is being copied every door raises') or diag(explain($said));
is(health($subscriber, 'role, name, state, copied'), 'subscriber|subscriber|copying|13 of 14', 'and subscription_health says so');

psql_fails($subscriber, 'SELECT flagsmith.promote_subscriber()', $incomplete, 'and it cannot be promoted');

my $old = session($subscriber, \$rr_in, \$rr_out);
$rr_in .= "\\set VERBOSITY verbose\nBEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM flagsmith.name; \\echo begun\n";
$old->pump until $rr_out =~ /begun/;
$in .= "COMMIT;\n\\q\n";
$holder->finish;
synced($publisher, $subscriber);
$rr_in .= "SELECT flagsmith.is_feature_enabled(1, 1);\n\\q\n";
$old->finish;
like($rr_out, qr/^0\nbegun\n.*ERROR:  55000: this copy of the flag history is not complete\nDETAIL:  Its first copy was finished after this transaction began\.\nHINT:  Begin a new transaction\./s,
	'a snapshot from before does not see the copy, and is told so');
$said = doors($subscriber);
is_deeply([ keys %$said ], ['ok'], 'then every door answers') or diag(explain($said));
is(health($subscriber, 'role, name, state, copied, apply_errors, copy_errors'), 'subscriber|subscriber|streaming|14 of 14|0|0', 'and it streams');

my %asked = (features => $features, seed => $seed, n => 100);
my $expected = answers($publisher, %asked);
like($expected, qr/^flag_timeline\|[1-9]\d/m, 'there is a history');
is(answers($subscriber, %asked), $expected, 'and the answers are those of the publisher');

# A table that no subscription has.
$publisher->safe_psql('postgres', 'ALTER PUBLICATION flag_history DROP TABLE flagsmith.pruning');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscriber REFRESH PUBLICATION');
psql_fails($subscriber, "SELECT flagsmith.is_feature_enabled('env 1', 'flag 1')",
	"ERROR:  55000: this copy of the flag history is not complete\nDETAIL:  Table \"flagsmith.pruning\" is in no subscription, while others are.\n"
	  . 'HINT:  Run flagsmith.check_publication() on the publisher, and here ALTER SUBSCRIPTION ... REFRESH PUBLICATION.',
	'a table that is not subscribed to');
is(health($subscriber, 'state, copied'), 'tables missing|13 of 14', 'is in subscription_health');
$publisher->safe_psql('postgres', $publisher->safe_psql('postgres', "SELECT string_agg(remedy, ';') FROM flagsmith.check_publication('flag_history')"));
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscriber REFRESH PUBLICATION');
synced($publisher, $subscriber);
is(answers($subscriber, %asked), $expected, 'the remedy of check_publication() brings it back');

# ---- what happens on the publisher arrives ----

sub same
{
	my ($name) = @_;

	synced($publisher, $subscriber);
	$expected = answers($publisher, %asked);
	is(answers($subscriber, %asked), $expected, $name);
	is($subscriber->safe_psql('postgres', 'SELECT md5(string_agg(r::text, chr(10) ORDER BY r)) FROM flagsmith.delivery_repeat r'),
		$publisher->safe_psql('postgres', 'SELECT md5(string_agg(r::text, chr(10) ORDER BY r)) FROM flagsmith.delivery_repeat r'), "$name: repeats");
	return;
}

$publisher->safe_psql('postgres', more(@later));
same('further deliveries');
$publisher->safe_psql('postgres', more(@deliveries[10 .. 40], @later[0 .. 10], @deliveries[10 .. 40]));
same('repeats');
$publisher->safe_psql('postgres', <<'SQL');
SELECT flagsmith.add_secret('signed', 'another secret, added too late');
SELECT flagsmith.readmit('signed');
SQL
same('readmit');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM flagsmith.delivery WHERE webhook = 'signed'"), 1, 'which is there');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.webhook_secret'), 0, 'no secret is');

# Rows that an older version decoded otherwise, or not at all.
$publisher->safe_psql('postgres', <<'SQL');
BEGIN;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
ALTER TABLE flagsmith.audit_effect DISABLE TRIGGER audit_effect_guard;
UPDATE flagsmith.flag_change SET enabled = NOT enabled WHERE delivery % 3 = 0;
DELETE FROM flagsmith.flag_change WHERE delivery % 7 = 0;
DELETE FROM flagsmith.audit_effect WHERE delivery % 5 = 0;
ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
ALTER TABLE flagsmith.audit_effect ENABLE ALWAYS TRIGGER audit_effect_guard;
COMMIT;
SQL
my $before = $expected;
same('rows of an older version');
isnt($expected, $before, 'which answer otherwise');
cmp_ok($publisher->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.rebuild()'), '>', 0, 'rebuild() on the publisher');
same('rebuild');
is($expected, $before, 'which answers as before');
cmp_ok($publisher->safe_psql('postgres', "SELECT flagsmith.prune_bodies('2026-03-01 00:10Z')"), '>', 0, 'prune_bodies() on the publisher');
same('pruned bodies');
cmp_ok($publisher->safe_psql('postgres', "SELECT flagsmith.prune_history('2026-03-01 00:20Z')"), '>', 0, 'prune_history() on the publisher');
same('pruned history');
is(health($subscriber, 'state, apply_errors'), 'streaming|0', 'nothing could not be applied');

# ---- who may ask, and what is refused ----

$subscriber->safe_psql('postgres', "CREATE ROLE reader LOGIN; SELECT flagsmith.grant_reader('reader')");
is($subscriber->safe_psql('postgres', 'SET ROLE reader; SELECT role, state, copied, lag_bytes, last_heard > now() - interval \'1 hour\', last_stored IS NOT NULL FROM flagsmith.subscription_health'),
	'subscriber|streaming|14 of 14|0|t|t', 'a reader sees how current it is');
is(health($publisher, 'role, name, state, lag_bytes >= 0'), 'publisher|subscriber|streaming|t', 'and the publisher who is behind');

my $refused = "ERROR:  55000: cannot change the flag history of a subscriber\nDETAIL:  Logical replication brings it from another database.\n"
  . 'HINT:  Do it there; flagsmith.promote_subscriber() makes this database one that takes deliveries.';
psql_fails($subscriber, $_, $refused, "refused on a subscriber: $_")
	for insert_sql('a org', undef, '{}') =~ s/\n//r, "SELECT flagsmith.receive('a org', '{}'::text, '{}')", "SELECT flagsmith.add_webhook('c', 'x')",
	"SELECT flagsmith.disable_webhook('a org')", 'SELECT flagsmith.seal()', "SELECT flagsmith.remove_webhook('a org')", "SELECT flagsmith.readmit('a org')", 'SELECT flagsmith.rebuild()',
	'SELECT flagsmith.prune_bodies(now())', 'SELECT flagsmith.prune_history(now())', 'SELECT flagsmith.mark_position()',
	"SELECT flagsmith.import_audit_log('{\"results\": []}')";
is($subscriber->safe_psql('postgres', "SELECT flagsmith.prune_history(now(), dry_run => true) >= 0, count(*) FROM flagsmith.rebuild(dry_run => true)"), 't|0',
	'what only looks is not');
psql_fails($subscriber, 'DELETE FROM flagsmith.flag_change',
	"ERROR:  55000: cannot delete from table \"flag_change\"\nDETAIL:  The flag history is append-only.\nHINT:  Old rows are removed with flagsmith.prune_bodies() and flagsmith.prune_history().",
	'and the guards guard');

my $events = 'SELECT count(*) FROM flagsmith.evidence_event';
$subscriber->safe_psql('postgres', "SELECT flagsmith.add_secret('a org', 'for the day of a promotion')");
is($subscriber->safe_psql('postgres', $events), $publisher->safe_psql('postgres', $events), 'a secret added there makes no event, whose id would be taken');

# ---- what it knows up to ----

is($subscriber->safe_psql('postgres', 'SELECT flagsmith.history_position() IS NULL'), 't', 'no mark yet');
ok($publisher->poll_query_until('postgres', 'SELECT flagsmith.mark_position() <= now()'), 'the first mark');
my $writer = session($publisher, \($in = ''), \($out = ''));
$in .= "BEGIN;\n" . more($last[0]) . "\\echo stored\n";
$writer->pump until $out =~ /stored\n/;
my $open = $publisher->safe_psql('postgres', 'SELECT clock_timestamp()');
is($publisher->safe_psql('postgres', "SELECT flagsmith.mark_position() < '$open'"), 't', 'while a delivery is being stored, a mark is not ahead of it');
is($publisher->safe_psql('postgres', "SELECT flagsmith.mark_position() < '$open'"), 't', 'nor is the next');
$in .= "COMMIT;\n\\q\n";
$writer->finish;
ok($publisher->poll_query_until('postgres', "SELECT flagsmith.mark_position() > '$open'"), 'once it is stored, the next one is');
synced($publisher, $subscriber);
my $position = 'SELECT flagsmith.history_position()';
is($subscriber->safe_psql('postgres', "SET ROLE reader; $position"), $publisher->safe_psql('postgres', $position), 'and it arrives with what it speaks of');

$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscriber DISABLE');
$subscriber->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_subscription WHERE pid IS NOT NULL") or die 'the worker runs';
$subscriber->psql('postgres', $position, stdout => \my $here);
is(health($subscriber, 'state, copied, lag_bytes IS NULL'), 'disabled|14 of 14|t', 'a subscription that is disabled says so');
$publisher->safe_psql('postgres', more(@last));
$publisher->poll_query_until('postgres', "SELECT flagsmith.mark_position() > '$here'") or die 'no mark';
is(health($publisher, 'role, state, lag_bytes > 1000'), 'publisher|not connected|t', 'and the publisher how far it is behind');
$publisher->psql('postgres', $position, stdout => \my $there);
is($publisher->safe_psql('postgres', "SELECT '$here'::timestamptz < '$there'"), 't', 'behind, it knows less');
isnt(answers($publisher, %asked), answers($subscriber, %asked), 'and answers as of then');
is(answers($subscriber, %asked, known_at => $here), answers($publisher, %asked, known_at => $here), 'with known_at both answer the same');
isnt(answers($publisher, %asked, known_at => $here), answers($publisher, %asked, known_at => $there), 'which is another answer than today\'s');
$publisher->safe_psql('postgres', more([ 4900e6, 'org', '{"event_type": "FLAG_UPDATED", "data": {"timestamp": "2026-03-01T01:20:00Z", "changed_by": "x", "new_state": {"enabled": true,'
	  . '"feature_state_value": 1, "environment": {"id": 1, "name": "env 1"}, "feature": {"id": 99, "name": "late", "project": {"id": 7, "name": "Shop"}}}}}' ]));
my $late = "SELECT count(*) FROM flagsmith.feature_state('Shop/env 1', 'late', known_at => '$here')";
is($publisher->safe_psql('postgres', $late), 0, 'a flag that came later is no row then');
psql_fails($subscriber, $late, "ERROR:  42704: feature \"late\" is not known\n"
	  . 'HINT:  The names that have been seen are in flagsmith.name; they are compared case-sensitively.', 'and unknown to who never heard of it');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION subscriber ENABLE');
same('caught up');
is($subscriber->safe_psql('postgres', $position), $there, 'and it knows as much');

# ---- promotion ----

$publisher->stop('fast');
my $lines = $subscriber->safe_psql('postgres', "SET client_min_messages = error; SELECT flagsmith.promote_subscriber()");
is($lines, join("\n",
	'Subscription "subscriber" is dropped. If the publisher is still there, it keeps its WAL for the slot: run SELECT pg_drop_replication_slot(\'subscriber\') there.',
	'Ids continue behind the highest that arrived.',
	'Webhook "signed" has no secret here and rejects every delivery: add it with flagsmith-add-secret, then send receivers here.'), 'promote_subscriber() says what is left to do');
is(answers($subscriber, %asked), $expected, 'it answers as before');
is(health($subscriber, '*'), '', 'and is a node by itself');
my ($status, undef, $err) = $subscriber->psql('postgres', 'DROP EXTENSION flagsmith_webhook');
like($err, qr/drop_extension_would_delete_the_flag_history depends on/, 'whose history is not dropped by accident');
is($subscriber->safe_psql('postgres', 'SELECT * FROM flagsmith.installation_health'), '', 'with all of its guards and indexes');
is($subscriber->safe_psql('postgres', more($last[-1]) . more([ 5000e6, 'org', '{"event_type": "NEWER", "data": {}}' ])), "duplicate|\nstored|", 'and takes deliveries');
is($subscriber->safe_psql('postgres', 'SELECT id = max(id) OVER () FROM flagsmith.delivery ORDER BY stored_at DESC LIMIT 1'),
	't', 'with ids behind the others');
ok($subscriber->poll_query_until('postgres', 'SELECT flagsmith.mark_position() > ' . literal($there)), 'and marks of its own');

# ---- distributed by Citus ----

# Its catalog, as far as it is looked at; a table that is in it is a shell.
$subscriber->safe_psql('postgres', <<'SQL');
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL);
SQL
is_deeply([ keys %{ doors($subscriber) } ], ['ok'], 'in a database with Citus every door answers');
# Citus says so itself when it converts a table; an ALTER TABLE does as well
$subscriber->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO pg_catalog.pg_dist_partition SELECT oid, 'n' FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace AND relkind = 'r'
    AND relname NOT IN ('webhook_secret', 'rejected', 'rejected_count', 'history_mark');
DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT logicalrelid FROM pg_dist_partition LOOP EXECUTE format('ALTER TABLE %s SET (fillfactor = 100)', t); END LOOP; END $$;
COMMIT;
SQL
$said = doors($subscriber);
is(scalar(grep { !/^ERROR:  55000: table "flagsmith\.\w+" is not the one that the extension made\nDETAIL:  It was distributed: its rows are on other nodes, and what is here may be none or old\.\nHINT:  Undo what was done to it\./ } keys %$said),
	0, 'with history tables that were distributed, every door raises') or diag(explain($said));
$subscriber->safe_psql('postgres', 'SET allow_system_table_mods = on; DROP TABLE pg_catalog.pg_dist_partition');

$subscriber->stop;
done_testing();
