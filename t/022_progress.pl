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

# Sealing waits for its turn, and then goes through the rows by the tile.
my ($told, $gave) = while_waiting('LOCK TABLE flagsmith.seal IN EXCLUSIVE MODE', 'SELECT flagsmith.seal()',
	'/* flagsmith.seal: waiting for its turn */ SELECT flagsmith.seal()', 'seal()');
is($told, join('', map { "NOTICE:  looked at $_ rows, sealed " . ($_ - 1) . "\n" } map { $_ * 256 } 1 .. 5), 'each step is told');
is($gave, "$deliveries\n", 'and everything has its leaf');
(undef, undef, $told) = $node->psql('postgres', "$progress; SELECT finding FROM flagsmith.verify_seals()");
like($told, qr/NOTICE:  verified 0 of $deliveries leaves, 0 findings\n.*NOTICE:  looked for the leaves of 1280 rows, 0 findings$/s, 'verify_seals(): each step is told');

($told, $gave) = while_waiting("SELECT FROM flagsmith.delivery WHERE id = $last FOR UPDATE", "SELECT flagsmith.prune_bodies('2027-01-01Z', $deliveries) AS bodies",
	"/* flagsmith.prune_bodies: forgot 1000 bodies of at most $deliveries */ SELECT flagsmith.prune_bodies(''2027-01-01Z'', $deliveries) AS bodies",
	'prune_bodies()');
is($told, "NOTICE:  forgot 1000 bodies of at most $deliveries\nNOTICE:  forgot $deliveries bodies of at most $deliveries\n"
	. "NOTICE:  read the rows that $deliveries of $deliveries deliveries keep\n", 'each step is told');
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

# The choice of what prune_history() removes is one statement, of which nothing can have come while it looks at its first rows.
(undef, undef, $told) = $node->psql('postgres', "$progress; SELECT flagsmith.prune_history('2027-01-01Z', dry_run => true)");
like($told, qr/NOTICE:  looked at 1000 rows, removed 0\n.*NOTICE:  looked at 2000 rows, removed 0$/m, 'prune_history(): counting is told');
is($node->psql('postgres', "$progress; SELECT count(*) > 1500 FROM flagsmith._prunable_history('2027-01-01Z', 100000)", stderr => \my $silence), 0, 'and once it is over');
is($silence, '', 'there is nothing to tell');
($told, $gave) = while_waiting("SELECT FROM flagsmith.audit_log WHERE delivery = $first FOR UPDATE", "SELECT flagsmith.prune_history('2027-01-01Z')",
	'/* flagsmith.prune_history: looked at %000 rows, removed 0 */ SELECT flagsmith.prune_history(%', 'prune_history()');
like($told, qr/\ANOTICE:  looked at 1000 rows, removed 0\n.*removed 1000\n.*removed 1500\nNOTICE:  read the rows that 1500 of 1500 deliveries keep\n\z/s, 'each step is told');
is($gave, $node->safe_psql('postgres', "SELECT audit_log FROM flagsmith.pruning WHERE what = 'history'") . "\n", 'and recorded');
$node->stop;
done_testing();
