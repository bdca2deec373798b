# What weakens the guards without meaning to, a restore of data with --disable-triggers, and two sessions that make the view
# which stands in the way of DROP EXTENSION.  Needs pg_restore and several sessions, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('guards');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $view = 'drop_extension_would_delete_the_flag_history';

$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('x', allow_unsigned => true);\n" . insert_sql('x', undef, '[]'));
command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/guards.dump", $node->connstr('postgres') ], 'pg_dump');

# As superuser pg_restore turns ENABLE ALWAYS into ENABLE.
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->safe_psql('restored', 'CREATE EXTENSION flagsmith_webhook');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--data-only', '--disable-triggers', '-d', $node->connstr('restored'), "$dir/guards.dump" ],
	'pg_restore --data-only --disable-triggers');
my $guards = $node->safe_psql('restored', q{SELECT count(*) FROM jsonb_to_recordset(flagsmith._installed()) AS i (kind text, state text) WHERE kind = 'trigger' AND state = 'always'});
cmp_ok($guards, '>=', 7, 'there are guards');
is($node->safe_psql('restored', "SELECT fault, count(*) FROM flagsmith.installation_health GROUP BY fault ORDER BY fault"),
	"does not fire when session_replication_role is replica|$guards\nmissing|1", 'installation_health: every guard is weaker, the view is missing');
is($node->safe_psql('restored', "SELECT cardinality(installation) FROM flagsmith.webhook_health"), $guards + 1, 'and webhook_health says so');
my ($status, $out, $err) = $node->psql('restored', "SET session_replication_role = replica; BEGIN; DELETE FROM flagsmith.delivery; ROLLBACK");
is($status, 0, 'a weak guard does not guard');
$node->safe_psql('restored', 'SELECT flagsmith._protect_history()');
is($node->safe_psql('restored', 'SELECT * FROM flagsmith.installation_health'), '', '_protect_history() puts it right');
($status, $out, $err) = $node->psql('restored', "SET session_replication_role = replica; DELETE FROM flagsmith.delivery");
like($err, qr/cannot delete from table "delivery"/, 'and the guards guard again');
($status, $out, $err) = $node->psql('restored', 'DROP EXTENSION flagsmith_webhook');
like($err, qr/$view depends on/, 'and the history is not dropped by accident');

# Two sessions that register the first webhooks at once; whoever holds an advisory lock is in nobody's way.
sub session
{
	my ($in, $out) = @_;

	return IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('race') ], '<', $in, '>', $out, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}

$node->safe_psql('postgres', 'CREATE DATABASE race TEMPLATE template0');
$node->safe_psql('race', 'CREATE EXTENSION flagsmith_webhook');
my ($in_lock, $out_lock, $in_a, $out_a, $in_b, $out_b) = ('') x 6;
my $lock = session(\$in_lock, \$out_lock);
my $first = session(\$in_a, \$out_a);
my $second = session(\$in_b, \$out_b);
$in_lock .= "SELECT pg_advisory_lock(hashtextextended('flagsmith.$view', 0)); \\echo held\n";
$lock->pump until $out_lock =~ /held/;
$in_a .= "BEGIN; SELECT 1 FROM flagsmith.add_webhook('a', allow_unsigned => true); \\echo registered\n";
$first->pump until $out_a =~ /registered|ERROR/;
$in_b .= "SELECT 1 FROM flagsmith.add_webhook('b', allow_unsigned => true); \\echo registered\n";
$second->pump_nb;
ok($node->poll_query_until('race', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'race' AND query LIKE '%''b''%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()}),
	'the second waits for the first');
$in_a .= "COMMIT;\n";
$_->pump_nb for $first, $second;
$_->finish for $first, $second, $lock;
is($out_a, "1\nregistered\n", 'the first registered its webhook');
is($out_b, "1\nregistered\n", 'the second as well');
is($node->safe_psql('race', "SELECT string_agg(name, ',' ORDER BY name) FROM flagsmith.webhook"), 'a,b', 'both are there');
is($node->safe_psql('race', 'SELECT * FROM flagsmith.installation_health'), '', 'and the view is');

$node->stop;
done_testing();
