# What a publication carries: the list in docs/operations.md no secret, body or signature, one of the whole schema all of them,
# as documented.  Reads the documents, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my ($sql) = slurp_body("$FindBin::Bin/../docs/operations.md") =~ /^## Publications\n.*?^```sql\n(.*?)^```\n/ms;
ok(defined $sql, 'docs/operations.md has the statement');

my $node = start_node('publication', conf => "wal_level = logical\n");
$node->safe_psql('postgres', $sql);
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR TABLES IN SCHEMA flagsmith');

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

# Nothing that the publisher does to a published table is refused for want of a replica identity.
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('x', allow_unsigned => true);\n"
	  . insert_sql('x', undef, '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 1, "created_date": "2026-01-01T00:00:00Z", "log": "x"}}') x 2);
is($node->safe_psql('postgres', 'SELECT flagsmith.prune_bodies(now()), count(*) FROM flagsmith.delivery_repeat'), '1|1',
	'repeats are counted, bodies are pruned');

$node->stop;
done_testing();
