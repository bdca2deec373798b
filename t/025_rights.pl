# Rights through a dump: what default privileges gave is neither in the installation nor in the restored one, and what was
# granted afterwards is there, however many default privileges either database has.  Needs pg_dump, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('rights');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $defaults = join('', map { "ALTER DEFAULT PRIVILEGES GRANT $_ TO regress_fsw_default, PUBLIC;\n" }
	  ('ALL ON TABLES', 'ALL ON SEQUENCES', 'ALL ON ROUTINES', 'ALL ON TYPES', 'ALL ON SCHEMAS'));

$node->safe_psql('postgres', join('', map { "CREATE ROLE regress_fsw_$_;\n" } qw(default reader receiver caller)));

# Every right of everyone but the owner.
sub rights
{
	my ($db) = @_;

	return $node->safe_psql($db, <<'SQL');
SELECT o.object, coalesce(nullif(a.grantee::regrole::text, '-'), 'PUBLIC'), a.privilege_type, a.is_grantable
FROM (
    SELECT c.oid::regclass::text, c.relowner, c.relacl FROM pg_class c WHERE c.relnamespace = 'flagsmith'::regnamespace AND relkind IN ('r', 'v', 'S')
    UNION ALL
    SELECT t.attrelid::regclass || '.' || attname, c.relowner, attacl FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
    WHERE c.relnamespace = 'flagsmith'::regnamespace AND attacl IS NOT NULL
    UNION ALL
    SELECT p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p WHERE p.pronamespace = 'flagsmith'::regnamespace
    UNION ALL
    SELECT t.oid::regtype::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)) FROM pg_type t
    WHERE t.typnamespace = 'flagsmith'::regnamespace AND t.typrelid = 0 AND t.typelem = 0
    UNION ALL
    SELECT nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = 'flagsmith'
) AS o (object, owner, acl)
CROSS JOIN LATERAL aclexplode(o.acl) a
WHERE a.grantee <> o.owner
ORDER BY 1, 2, 3
SQL
}

sub dump_and_restore
{
	my ($from, $to, @before) = @_;

	command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/$to.dump", $node->connstr($from) ], "pg_dump of $from");
	$node->safe_psql('postgres', "CREATE DATABASE $to TEMPLATE template0");
	$node->safe_psql($to, $_) for @before;
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr($to), "$dir/$to.dump" ], "restore into $to");
	return;
}

# What is granted where nothing stands in the way, to compare with.
my $grants = join('', map { "SELECT flagsmith.grant_$_('regress_fsw_$_');\n" } qw(reader receiver caller))
  . "GRANT SELECT (name, source) ON flagsmith.webhook TO regress_fsw_caller;\n"
  . "GRANT EXECUTE ON FUNCTION flagsmith.prune_bodies(timestamptz, integer, boolean) TO regress_fsw_caller WITH GRANT OPTION;\n";
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('x', allow_unsigned => true)");
is(rights('postgres'), '', 'nothing is granted to anyone');
$node->safe_psql('postgres', $grants);
my $expected = rights('postgres');
like($expected, qr/flagsmith\.confidence\|regress_fsw_reader\|USAGE/, 'a reader may use the type of the answers');
like($expected, qr/prune_bodies.*\|regress_fsw_caller\|EXECUTE\|t/, 'what the owner grants beside is there');

$node->safe_psql('postgres', 'CREATE DATABASE generous TEMPLATE template0');
$node->safe_psql('generous', $defaults . 'CREATE EXTENSION flagsmith_webhook');
$node->safe_psql('generous', "SELECT flagsmith.add_webhook('x', allow_unsigned => true)");
is(rights('generous'), '', 'nothing is granted by default privileges');
$node->safe_psql('generous', $grants);
is(rights('generous'), $expected, 'grants under default privileges are the same');

dump_and_restore('generous', 'from_generous');
is(rights('from_generous'), $expected, 'restored from a database with default privileges: the same rights');

# The view that stands in the way of DROP EXTENSION is a plain one, so there the database's default privileges hold.
my $member = join("\n", grep { !/drop_extension/ } split /\n/, $expected);
dump_and_restore('postgres', 'into_generous', $defaults);
is(join("\n", grep { !/drop_extension/ } split /\n/, rights('into_generous')), $member, 'restored into a database with default privileges: the same rights');
$node->psql('into_generous', 'SET ROLE regress_fsw_default; SELECT * FROM flagsmith.drop_extension_would_delete_the_flag_history',
	stderr => \my $err);
like($err, qr/permission denied for schema flagsmith/, 'and the view shows nothing to whom they name');

$node->stop;
done_testing();
