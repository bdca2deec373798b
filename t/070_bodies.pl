# Every body of t/data through the inbox: the rows that it decodes to, that no leaf of it is lost, and what damage does.
# Not a regress test, since regress cannot read files wherever they lie.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $node = start_node('bodies');
my @bodies = map { my $dir = $_; map { +{ %$_, dir => $dir } } manifest($dir) } qw(captured payloads);

# Each folder has a source of its own, and each body an arrival that names it.
my $sql = '';
for my $dir (qw(captured payloads))
{
	$sql .= "SELECT flagsmith.add_webhook('$dir', allow_unsigned => true, source => '$dir', max_spool_age => NULL);\n";
}
$sql .= "CREATE TABLE sent (n integer PRIMARY KEY, folder text, name text, body bytea);\n";
my $n = 0;
for my $body (@bodies)
{
	$body->{n} = ++$n;
	$sql .= "INSERT INTO sent VALUES ($n, '$body->{dir}', " . literal($body->{name}) . ', ' . bytea($body->{body}) . ");\n";
}
$node->safe_psql('postgres', $sql);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE came (n integer PRIMARY KEY, delivery bigint, outcome text, reason text);
DO $$
DECLARE
    s record;
    id bigint;
    o text;
    r text;
BEGIN
    FOR s IN SELECT * FROM sent ORDER BY sent.n LOOP
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
            VALUES (s.folder, s.body, '2026-11-24 12:00:00Z'::timestamptz + s.n * interval '1 second')
            RETURNING delivery_id, outcome, reason INTO id, o, r;
        INSERT INTO came VALUES (s.n, id, o, r);
    END LOOP;
END
$$;
SQL

# What each body became, in one line; t/data/rows.tsv is what it has to be.
my $rows = $node->safe_psql('postgres', <<'SQL');
SELECT concat_ws(E'\t', s.folder || '/' || s.name, c.outcome, coalesce(left(c.reason, 5), '-'), coalesce(d.event_type, '-'),
    coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('id', a.audit_id, 'action', a.action, 'object', a.object,
        'feature', left(a.feature, 30), 'segment', left(a.segment, 30), 'identity', left(a.identity, 30),
        'environment', a.environment_named, 'change_request', a.change_request, 'scheduled_for', a.scheduled_for,
        'name', a.name, 'author', a.author_email, 'ambiguous', nullif(a.ambiguous, false), 'test', nullif(a.is_test, false)))::text
        FROM flagsmith.audit_log a WHERE a.delivery = c.delivery), '-'),
    coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('environment', f.environment_id, 'feature', f.feature_id,
        'segment', f.segment_id, 'priority', f.segment_priority, 'identity', f.identity, 'kind', f.identity_kind,
        'enabled', f.enabled, 'value', left(f.value::text, 30), 'variants', jsonb_array_length(f.variants),
        'enabled_before', f.enabled_before, 'value_before', left(f.value_before::text, 30),
        'variants_before', jsonb_array_length(f.variants_before), 'by', f.changed_by,
        'deleted', nullif(f.deleted, false), 'test', nullif(f.is_test, false),
        'timeless', nullif(f.event_at = f.received_at, false)))::text
        FROM flagsmith.flag_change f WHERE f.delivery = c.delivery), '-'),
    coalesce((SELECT jsonb_strip_nulls(jsonb_build_object('uuid', v.uuid, 'feature', v.feature_id,
        'by', v.published_by_email, 'states', jsonb_array_length(v.states)))::text
        FROM flagsmith.version_published v WHERE v.delivery = c.delivery), '-'),
    coalesce((SELECT string_agg(t.kind, ' ' ORDER BY t.split) FROM flagsmith.audit_effect t WHERE t.delivery = c.delivery), '-'))
FROM sent s JOIN came c USING (n) LEFT JOIN flagsmith.delivery d ON d.id = c.delivery ORDER BY s.n;
SQL
my @got = split(/\n/, $rows);
my $file = data_dir('rows.tsv');
if ($ENV{FSW_WRITE_ROWS})
{
	open(my $fh, '>:raw', $file) or die "could not write $file: $!";
	print $fh map { "$_\n" } @got;
	close($fh);
}
my @expected = split(/\n/, slurp_body($file));
is(scalar(@got), scalar(@bodies), 'every body became something');
for my $i (0 .. $#bodies)
{
	is($got[$i], $expected[$i], "rows of $bodies[$i]{dir}/$bodies[$i]{name}");
}

# No leaf is lost: whichever leaf of a body changes, the decoded row changes; and only the client key is kept nowhere.  A
# string that is a time changes in its last digit, every other leaf in its own type.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE leaf AS
WITH RECURSIVE body AS (
    SELECT s.folder || '/' || s.name AS name, convert_from(s.body, 'UTF8')::jsonb AS body, d.event_type
    FROM sent s JOIN came c USING (n) JOIN flagsmith.delivery d ON d.id = c.delivery
    WHERE c.outcome IN ('stored', 'duplicate')
        AND d.event_type IN ('FLAG_UPDATED', 'FLAG_DELETED', 'AUDIT_LOG_CREATED')),
node AS (
    SELECT b.name, b.body, b.event_type, ARRAY[]::text[] AS path, b.body AS value FROM body b
    UNION ALL
    SELECT n.name, n.body, n.event_type, n.path || c.key, c.value
    FROM node n CROSS JOIN LATERAL (
        SELECT o.key, o.value FROM jsonb_each(CASE jsonb_typeof(n.value) WHEN 'object' THEN n.value ELSE '{}' END) o
        UNION ALL
        SELECT (a.i - 1)::text, a.value
        FROM jsonb_array_elements(CASE jsonb_typeof(n.value) WHEN 'array' THEN n.value ELSE '[]' END) WITH ORDINALITY a (value, i)) c)
SELECT name, event_type, path, body, jsonb_set(body, path, CASE jsonb_typeof(value)
    WHEN 'boolean' THEN to_jsonb(value <> 'true')
    WHEN 'number' THEN to_jsonb((value #>> '{}')::numeric + 1)
    ELSE to_jsonb(CASE WHEN value #>> '{}' ~ '^\d{4}-.*\dZ$'
        THEN regexp_replace(value #>> '{}', '\d(?=Z$)', CASE WHEN value #>> '{}' ~ '8Z$' THEN '7' ELSE '8' END)
        ELSE (value #>> '{}') || 'x' END) END) AS changed
FROM node
WHERE jsonb_typeof(value) IN ('string', 'number', 'boolean') AND path <> '{event_type}';
CREATE TABLE verdict AS
SELECT name, path, path[cardinality(path)] = 'api_key' AS secret, CASE WHEN event_type = 'AUDIT_LOG_CREATED'
    THEN flagsmith.decode_audit_log(body)::text IS DISTINCT FROM flagsmith.decode_audit_log(changed)::text
    ELSE flagsmith.decode_flag_change(body)::text IS DISTINCT FROM flagsmith.decode_flag_change(changed)::text END AS kept
FROM leaf;
SQL
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM verdict'), '>', 4000, 'there are leaves to look at');
is($node->safe_psql('postgres', 'SELECT name, path FROM verdict WHERE NOT secret AND NOT kept ORDER BY 1, 2 LIMIT 20'),
	'', 'each leaf of each body is in a typed column or in extra');
is($node->safe_psql('postgres', 'SELECT name, path FROM verdict WHERE secret AND kept LIMIT 20'), '', 'the client key is in none');
is($node->safe_psql('postgres', <<'SQL'), '', 'each leaf of a published version is kept');
SELECT d.id, l
FROM flagsmith.delivery d
JOIN flagsmith.version_published v ON v.delivery = d.id
CROSS JOIN LATERAL jsonb_path_query(convert_from(d.body, 'UTF8')::jsonb -> 'data', 'strict $.** ? (@.type() != "object" && @.type() != "array" && @.type() != "null")') l
WHERE NOT jsonb_path_exists(to_jsonb(v), 'strict $.** ? (@ == $x)', jsonb_build_object('x', l));
SQL

is($node->safe_psql('postgres', 'SELECT * FROM flagsmith.rebuild(dry_run => true)'), '', 'every typed row is what its body says');

# Damaged bodies: none lost, none slow, and the same rows when decoded again.
my $seed = $ENV{FSW_SEED} // time;
note("seed $seed (FSW_SEED)");
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
	my ($stdout, $stderr) = ('', '');
	my $ok = IPC::Run::run([ $^X, "$FindBin::Bin/../tools/mutate", '--count', 5000, '--batch', 100, '--seed', $seed ], '>', \$stdout, '2>', \$stderr);

	ok($ok, "5,000 damaged bodies, seed $seed");
	note($stdout);
	diag($stdout . $stderr) unless $ok;
}

$node->stop;
done_testing();
