# What pg_stat_activity shows of a long call while it runs, and what rebuild() says.  Not a regress test: it takes another session
# to look, and a call that waits meanwhile for a lock.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $node = start_node('progress');
my $deliveries = 1500;

$node->safe_psql('postgres', <<"SQL");
SELECT flagsmith.add_webhook('p', allow_unsigned => true, max_spool_age => NULL);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'p', convert_to(json_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', json_build_object('id', n,
        'created_date', to_char(timestamptz '2026-01-01Z' + n * interval '1 min', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'log', 'Segment updated: x'))::text, 'UTF8'),
    timestamptz '2026-01-01Z' + n * interval '1 min'
FROM generate_series(1, $deliveries) n;
SQL
my ($first, $last) = split(/\|/, $node->safe_psql('postgres', 'SELECT min(id), max(id) FROM flagsmith.delivery'));
my $progress = 'SET flagsmith_webhook.progress_interval = 0';

# Run a call in one session while another one holds what it needs last, until the activity of the first is like a pattern.
# Returns what it told and what it gave.
sub while_waiting
{
	my ($hold, $call, $activity, $what) = @_;
	my @psql = ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'));
	my ($in, $out, $err) = ("BEGIN;\n$hold;\n\\echo held\n", '', '');
	my $holder = IPC::Run::start([ @psql ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	my ($told, $gave) = ('', '');

	$holder->pump until $out =~ /^held$/m || $err ne '';
	is($err, '', "$what: another session holds what it needs");
	my $caller = IPC::Run::start([ @psql, '-c', $progress, '-c', $call ], '>', \$gave, '2>', \$told, IPC::Run::timeout(120));
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '$activity'"),
		"$what: pg_stat_activity tells, in front of the statement") or diag($node->safe_psql('postgres', 'SELECT query FROM pg_stat_activity'));
	$in .= "ROLLBACK;\n\\q\n";
	$holder->finish;
	ok($caller->finish, "$what: and then it goes on") or diag($told);
	return ($told, $gave);
}

my ($told, $gave) = while_waiting("SELECT FROM flagsmith.delivery WHERE id = $last FOR UPDATE", "SELECT flagsmith.prune_bodies('2027-01-01Z', $deliveries) AS bodies",
	"/* flagsmith.prune_bodies: forgot 1000 bodies of at most $deliveries */ SELECT flagsmith.prune_bodies(''2027-01-01Z'', $deliveries) AS bodies",
	'prune_bodies()');
is($told, "NOTICE:  forgot 1000 bodies of at most $deliveries\nNOTICE:  forgot $deliveries bodies of at most $deliveries\n", 'each step is told');
is($gave, "$deliveries\n", 'and all of them are gone');
is($node->safe_psql('postgres', 'SELECT count(*), sum(bodies) FROM flagsmith.pruning'), "1|$deliveries", 'of which there is one record');
is($node->safe_psql('postgres', 'SELECT flagsmith.prune_bodies(now())'), 0, 'nothing is left');

# A typed row is missing, and another session is about to insert it.
$node->safe_psql('postgres', insert_sql('p', undef, '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 9000, "created_date": "2026-02-01T00:00:00Z", "log": "x"}}') x 1
	. insert_sql('p', undef, '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 9001, "created_date": "2026-02-01T00:00:00Z", "log": "y"}}'));
my ($one, $other) = split(/\n/, $node->safe_psql('postgres', 'SELECT id FROM flagsmith.delivery WHERE body IS NOT NULL ORDER BY id'));
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE kept AS SELECT * FROM flagsmith.audit_log WHERE delivery = $other;
ALTER TABLE flagsmith.audit_log DISABLE TRIGGER audit_log_guard;
DELETE FROM flagsmith.audit_log WHERE delivery = $other;
ALTER TABLE flagsmith.audit_log ENABLE ALWAYS TRIGGER audit_log_guard;
SQL
($told, $gave) = while_waiting('INSERT INTO flagsmith.audit_log SELECT * FROM kept', "SELECT relation, delivery, difference FROM flagsmith.rebuild(first => $one)",
	"/* flagsmith.rebuild: compared 1 deliveries, 0 differences; at delivery $one of $other */ SELECT relation,%", 'rebuild()');
is($told, "NOTICE:  compared 1 deliveries, 0 differences; at delivery $one of $other\nNOTICE:  compared 2 deliveries, 1 differences; at delivery $other of $other\n",
	'each step is told');
is($gave, "audit_log|$other|missing\n", 'and it is put right');

# The choice of what prune_history() removes is one statement, which the activity names while it lasts.
($told, $gave) = while_waiting("SELECT FROM flagsmith.audit_log WHERE delivery = $first FOR UPDATE", "SELECT flagsmith.prune_history('2027-01-01Z')",
	'/* flagsmith.prune_history: choosing what to remove */ SELECT flagsmith.prune_history(%', 'prune_history()');
like($told, qr/\ANOTICE:  removed 1000 rows\nNOTICE:  removed \d+ rows\n/, 'each step is told');
is($gave, $node->safe_psql('postgres', "SELECT audit_log FROM flagsmith.pruning WHERE what = 'history'") . "\n", 'and recorded');
$node->stop;
done_testing();
