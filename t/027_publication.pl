# What a publication carries: the one that docs/operations.md makes no secret, body or signature, one of the whole schema all of
# them, as documented.  Reads the documents, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my ($sql) = slurp_body("$FindBin::Bin/../docs/operations.md") =~ /^## Publications\n.*?^```sql\n(.*?)^```\n/ms;
ok(defined $sql, 'docs/operations.md has the statement');

my $node = start_node('publication', conf => "wal_level = logical\n");
is($node->safe_psql('postgres', $sql),
	"In each database that is to subscribe: CREATE EXTENSION flagsmith_webhook; CREATE SUBSCRIPTION flag_history CONNECTION '\x{2026}' PUBLICATION flag_history;"
	=~ s/\x{2026}/\xe2\x80\xa6/r, 'it says what to run on a subscriber');
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR TABLES IN SCHEMA flagsmith; CREATE TABLE other (a int)');

sub published
{
	my ($publication, $condition) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(DISTINCT tablename || '.' || a, ' ' ORDER BY tablename || '.' || a)"
		  . " FROM pg_publication_tables, unnest(attnames) a WHERE pubname = '$publication' AND $condition");
}

my $private = "a IN ('secret', 'body', 'signature')";
is(published('everything', $private), 'delivery.body delivery.signature rejected.body rejected.signature webhook_secret.secret',
	'a publication of the schema carries secrets, bodies and signatures');
is(published('flag_history', $private), '', 'the documented one does not');
is($node->safe_psql('postgres', <<'SQL'), '', 'and it has every other column of every table of history');
SELECT c.relname, a.attname
FROM pg_class c
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'rejected%' AND c.relname <> 'webhook_secret'
    AND a.attname NOT IN ('body', 'signature')
    AND NOT EXISTS (SELECT FROM pg_publication_tables p
        WHERE p.pubname = 'flag_history' AND p.tablename = c.relname AND a.attname = ANY (p.attnames))
SQL


# What is wrong with one, and that the remedies put it right.
sub faults
{
	my ($publication) = @_;

	return $node->safe_psql('postgres', "SELECT object, fault, remedy FROM flagsmith.check_publication('$publication')");
}

sub remedied
{
	my ($publication, $name) = @_;

	for (1 .. 5)
	{
		my $remedies = $node->safe_psql('postgres', "SELECT string_agg(DISTINCT remedy, '; ') FROM flagsmith.check_publication('$publication')");
		last if $remedies eq '';
		$node->psql('postgres', $remedies);
	}
	is(faults($publication), '', "$name: nothing after the remedies");
	return;
}

is(faults('flag_history'), '', 'check_publication() finds nothing in what create_publication() made');
$node->safe_psql('postgres', <<'SQL');
CREATE PUBLICATION worn FOR TABLE other, flagsmith.webhook_secret, flagsmith.delivery (id, body), flagsmith.webhook,
    flagsmith.delivery_repeat, flagsmith.audit_log (delivery, ordinal, source), flagsmith.audit_effect, flagsmith.version_published, flagsmith.name,
    flagsmith.pruning, flagsmith.audit_id_block, flagsmith.history_mark WHERE (id > 0) WITH (publish = 'insert')
SQL
my $faults = faults('worn');
like($faults, qr/^publication worn\|does not publish update, delete\|ALTER PUBLICATION worn SET \(publish = 'insert, update, delete'\)$/m, 'updates and deletions');
like($faults, qr/^table flagsmith\.flag_change\|is not published\|ALTER PUBLICATION worn ADD TABLE flagsmith\.flag_change$/m, 'a table that is not there');
like($faults, qr/^table flagsmith\.webhook_secret\|must not be published\|ALTER PUBLICATION worn DROP TABLE flagsmith\.webhook_secret$/m, 'secrets');
like($faults, qr/^table flagsmith\.delivery\|does not publish webhook, .*undecoded_reason; must not publish body\|ALTER PUBLICATION worn DROP TABLE flagsmith\.delivery; ALTER PUBLICATION worn ADD TABLE flagsmith\.delivery \(id, webhook, source, .*undecoded_reason\)$/m,
	'columns of deliveries');
like($faults, qr/^table flagsmith\.audit_log\|does not publish received_at, /m, 'columns of another');
like($faults, qr/^table flagsmith\.history_mark\|is not published whole: \(id > 0\)\|/m, 'a condition');
is(scalar(split(/\n/, $faults)), 9, 'and nothing else but the three tables of what is sealed');
remedied('worn', 'a list of tables');
is(published('worn', $private), '', 'nor a secret');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'worn' AND tablename = 'other'"), 1,
	'what else it has stays');
remedied('everything', 'a publication of the schema');
is(published('everything', $private), '', 'which has no secret then');
my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT flagsmith.check_publication('none')");
like($err, qr/ERROR:  42704: publication "none" does not exist\nHINT:  Create it with flagsmith\.create_publication\(\)\./, 'one that is not there');

# Another that carries them is warned about.
($status, $out, $err) = $node->psql('postgres', 'SET client_min_messages = warning; CREATE PUBLICATION everything_else FOR ALL TABLES; SELECT flagsmith.create_publication($$Second "one"$$)');
is($status, 0, 'a second publication');
like($err, qr/WARNING:  publication "everything_else" carries secrets, bodies or signatures$/m, 'with a warning');
like($err, qr/^DETAIL:  Whoever may subscribe to it can read delivery\.body, delivery\.signature, rejected\.body, rejected\.signature, webhook_secret\.secret\.$/m, 'of what');
like($err, qr/^HINT:  Subscribe to "Second "one"", and drop it or take the tables of schema flagsmith out of it\.$/m, 'and what to do');
is(() = $err =~ /WARNING/g, 1, 'and of no other');
is(faults('Second "one"'), '', 'a name that needs quotes');
like(faults('everything_else'), qr/^table flagsmith\.rejected\|must not be published\|DROP PUBLICATION everything_else; SELECT flagsmith\.create_publication\('everything_else'\)$/m,
	'out of all tables none can be taken');
$node->safe_psql('postgres', 'DROP PUBLICATION everything_else');
for my $name ('NULL', "''")
{
	($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT flagsmith.create_publication($name)");
	like($err, qr/ERROR:  22023: publication name must not be empty/, "no publication with the name $name");
}

# Nothing that the publisher does to a published table is refused for want of a replica identity.
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('x', allow_unsigned => true);\n"
	  . insert_sql('x', undef, '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 1, "created_date": "2026-01-01T00:00:00Z", "log": "x"}}') x 2);
is($node->safe_psql('postgres', 'SELECT flagsmith.prune_bodies(now()), count(*) FROM flagsmith.delivery_repeat'), '1|1',
	'repeats are counted, bodies are pruned');

$node->stop;
done_testing();
