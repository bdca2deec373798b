# A subscriber has the tree but no signatures and bodies: it says so, and verifies what it has.  Not a regress test: it needs
# two servers.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $publisher = start_node('seal_publisher', init => { allows_streaming => 'logical' });
my $subscriber = start_node('seal_subscriber', init => { allows_streaming => 'logical' });
my ($publication) = slurp_body("$FindBin::Bin/../docs/operations.md") =~ /^## Publications\n.*?^```sql\n(.*?)^```\n/ms;

$publisher->safe_psql('postgres', "SELECT flagsmith.add_webhook('w', allow_unsigned => true, max_spool_age => NULL);\n$publication");
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION flag_history CONNECTION \$\$" . $publisher->connstr('postgres') . "\$\$ PUBLICATION flag_history");
$publisher->safe_psql('postgres', "SET client_min_messages = error; INSERT INTO flagsmith.inbox (webhook, body) SELECT 'w',"
	  . " convert_to(format('{\"event_type\": \"AUDIT_LOG_CREATED\", \"data\": {\"created_date\": \"2026-01-01T00:00:00Z\", \"id\": %s, \"log\": \"x\"}}', n % 500), 'UTF8') FROM generate_series(1, 600) n;"
	  . "SELECT flagsmith.prune_bodies('infinity', 50); SELECT flagsmith.seal()");
$subscriber->wait_for_subscription_sync($publisher, 'flag_history');
$publisher->wait_for_catchup('flag_history');

is($subscriber->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')"), $publisher->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')"),
	'a subscriber has the same root');
my ($status, $out, $err) = $subscriber->psql('postgres', 'SELECT * FROM flagsmith.verify_seals()');
is("$status $out", '0 ', 'and finds nothing changed');
like($err, qr/NOTICE:  leaves of deliveries are not computed again\n.*Deliveries come by a subscription here/, 'but says what it cannot know');

sub after
{
	my ($statement) = @_;

	return $subscriber->safe_psql('postgres', "SET client_min_messages = error; BEGIN; ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;"
		  . "ALTER TABLE flagsmith.delivery_repeat DISABLE TRIGGER delivery_repeat_guard; $statement;"
		  . "SELECT finding, relation, id FROM flagsmith.verify_seals(); ROLLBACK");
}
is(after('DELETE FROM flagsmith.delivery WHERE id = 77'), 'missing|delivery|77', 'a delivery that is missing');
is(after("INSERT INTO flagsmith.delivery (id, source, received_at, stored_at, event_at, digest) VALUES (-1, 'x', now(), now(), now(), '')"),
	'added|delivery|-1', 'one that was added');
like(after("UPDATE flagsmith.delivery_repeat SET arrived_at = arrived_at - interval '1 s' WHERE delivery = 77"), qr/^changed\|delivery_repeat\|/, 'a repeat that was changed');

$subscriber->stop('fast');
$publisher->stop('fast');
done_testing();
