# The whole captured run through the inbox, then the view history against what really happened: every delivery of the run is
# told in exactly one line, and who, when and what agree with Flagsmith's own audit log and with the requests that were made.
# Not a regress test, since it reads compressed files.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

# The lines of t/data/run/NAME.jsonl.xz, decompressed.
sub run_lines
{
	my ($name) = @_;

	open(my $fh, '-|:raw', 'xz', '-dc', data_dir('run', "$name.jsonl.xz")) or die "could not run xz: $!";
	my @lines = <$fh>;
	close($fh) or die "could not read $name: $?";
	chomp @lines;
	return @lines;
}

if (system('xz --version >/dev/null 2>&1') != 0)
{
	plan skip_all => 'xz is not installed';
}

my $node = start_node('history');
# By the server, which is a hundred times as fast as the JSON that comes with perl.
foreach my $name (qw(deliveries operations audit_rest))
{
	$node->safe_psql('postgres', "CREATE TABLE $name (n serial, r jsonb);\nCOPY $name (r) FROM STDIN;\n"
		  . join('', map { my $line = $_; $line =~ s/\\/\\\\/g; "$line\n" } run_lines($name)) . "\\.\n");
}
$node->safe_psql('postgres', <<'SQL');
BEGIN;
SELECT flagsmith.add_webhook(r->>'path', scope => min(r->>'webhook'), environment_id => min(r->>'environment')::bigint, allow_unsigned => true, max_spool_age => NULL)
FROM deliveries GROUP BY r->>'path' ORDER BY r->>'path';
SELECT flagsmith.add_secret(path, secret)
FROM (SELECT DISTINCT r->>'path' AS path, r->>'secret' AS secret FROM deliveries WHERE r->>'secret' <> '' ORDER BY 1, 2) s;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT r->>'path', (SELECT h->>1 FROM jsonb_array_elements(r->'headers') h WHERE lower(h->>0) = 'x-flagsmith-signature'),
    convert_to(r->>'body', 'UTF8'), (r->>'arrived_at')::timestamptz
FROM deliveries ORDER BY n;
COMMIT;
SQL
$node->safe_psql('postgres', <<'SQL');
VACUUM ANALYZE;
CREATE TABLE line AS SELECT row_number() OVER () AS line, h.* FROM flagsmith.history h;
CREATE TABLE entry_line AS
SELECT l.*, a.audit_id AS entry, a.created_date, a.environment AS named, a.related_object_type, a.related_object_id
FROM line l, unnest(l.delivery_ids) d
JOIN flagsmith.audit_log a ON a.delivery = d;
SQL

# A query's only row.
sub row
{
	return $node->safe_psql('postgres', $_[0]);
}

is(row("SELECT count(*) FROM flagsmith.delivery WHERE undecoded_reason IS NOT NULL"), '0', 'all of the run is decoded');
cmp_ok(row('SELECT count(*) FROM line'), '>', 1000, 'there are lines');
is(row(q{SELECT count(*) FROM flagsmith.delivery FULL JOIN (SELECT id, count(DISTINCT line) AS lines FROM line, unnest(delivery_ids) id GROUP BY id) l USING (id)
	WHERE lines IS DISTINCT FROM 1}), '0', 'every delivery is told in exactly one line');
is(row('SELECT count(*) - count(DISTINCT act) FROM line'), '0', 'each line has a key of its own');
is(row('SELECT count(*) FROM line WHERE cardinality(delivery_ids) <> (SELECT count(DISTINCT d) FROM unnest(delivery_ids) d)'),
	'0', 'and once in it');

# Flagsmith's own audit log, as far as deliveries of the run reach.
my $known = '(r->>\'id\')::bigint <= (SELECT max(audit_id) FROM flagsmith.audit_log)';
my $joined = "FROM audit_rest LEFT JOIN entry_line e ON e.entry = (r->>'id')::bigint WHERE $known";
my $entries = row("SELECT count(*) FROM audit_rest WHERE $known");
is(row("SELECT count(e.entry) $joined"), $entries, "every audit entry is in a line ($entries)");
is(row("SELECT count(*) $joined AND CASE WHEN r->'author'->>'email' IS NULL
	THEN e.actor_type = 'api key' AND coalesce(e.actor, 'CI deploy key') = 'CI deploy key'
	ELSE e.actor_type = 'user' AND e.actor = r->'author'->>'email' END"), $entries, 'who agrees with the audit log');
is(row("SELECT count(*) $joined AND position(r->>'log' IN e.log) > 0"), $entries, 'what agrees with the audit log');
is(row("SELECT count(*) $joined AND e.environment IS NOT DISTINCT FROM e.named
	AND e.environment_id IS NOT DISTINCT FROM (r->'environment'->>'id')::bigint"), $entries,
	'where agrees with the audit log');
is(row("SELECT count(*) $joined AND e.related_object_type = 'FEATURE' AND e.feature_id IS DISTINCT FROM e.related_object_id"), '0',
	'a line has the id of its feature');
is(row("SELECT count(*) $joined AND e.related_object_type = 'SEGMENT' AND e.segment_id IS DISTINCT FROM e.related_object_id"), '0',
	'and of its segment');
is(row("SELECT count(*) $joined AND e.feature IS NOT NULL AND e.feature_id IS NULL"), '0', 'of each feature there is');
cmp_ok(row("SELECT count(*) $joined AND abs(extract(epoch FROM e.at - (r->>'created_date')::timestamptz)) <= 1"), '>=',
	0.97 * $entries, 'a line is within a second of nearly all of its entries');
is(row("SELECT count(*) $joined AND abs(extract(epoch FROM e.at - (r->>'created_date')::timestamptz)) > 5"), '0',
	'and within five seconds of each');

# The requests.  A time of its own has what is done by one request; a version's entry is written by a task after it.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE op AS
SELECT (r->>'op')::bigint AS op, r->>'kind' AS kind, r->>'author' AS author, r->>'author_kind' = 'user' AS is_user,
    (r->>'started_at')::timestamptz - interval '50 ms' AS since,
    CASE WHEN (r->>'v2')::boolean AND r->>'kind' !~ 'identity' THEN (r->>'settled_at')::timestamptz
        ELSE (r->>'ended_at')::timestamptz + interval '50 ms' END AS until,
    (r->>'project')::bigint AS project_id, (r->>'environment')::bigint AS environment_id, (r->>'feature')::bigint AS feature_id,
    r->'request' AS request
FROM operations
WHERE (r->>'status')::integer < 300;
CREATE TABLE op_line AS
SELECT o.*, l.line, l.action, l.object, l.enabled, l.value
FROM op o
LEFT JOIN LATERAL (
    SELECT l.*
    FROM line l
    WHERE l.at BETWEEN o.since AND o.until
        AND CASE WHEN o.is_user THEN l.actor = o.author ELSE l.actor_type = 'api key' END
        AND EXISTS (
            SELECT FROM unnest(l.delivery_ids) d
            JOIN (SELECT delivery, project_id, environment_id FROM flagsmith.audit_log
                UNION ALL SELECT delivery, project_id, environment_id FROM flagsmith.flag_change) t ON t.delivery = d
            WHERE t.project_id = o.project_id AND (t.environment_id = o.environment_id) IS NOT FALSE)
        AND (o.feature_id IS NULL OR l.feature IS NULL
            OR EXISTS (SELECT FROM flagsmith.name n WHERE n.kind = 'feature' AND n.id = o.feature_id::text AND n.name = l.feature))
    ORDER BY l.enabled IS NULL, l.at
    LIMIT 1
) l ON true;
SQL

# Requests that always leave an audit entry, and what the line must say of them.
my %always = (
	environment_create => "object = 'environment' AND action = 'created'",
	environment_update => "object = 'environment' AND action = 'updated'",
	feature_create => "object IN ('feature', 'feature state') AND action = 'created'",
	feature_delete => "object IN ('feature', 'feature state') AND action = 'deleted'",
	identity_override_create => "action IN ('set', 'updated', 'deleted')",
	identity_override_update => "action IN ('set', 'updated')",
	identity_override_delete => "action = 'deleted'",
	segment_create => "object = 'segment' AND action = 'created'",
	segment_delete => "object = 'segment' AND action = 'deleted'",
	segment_update => "object = 'segment'",
	segment_override_delete => "action = 'deleted'",
	variant_create => "object IN ('variant', 'feature')",
	variant_delete => "object = 'variant' AND action = 'deleted'");
foreach my $kind (sort keys %always)
{
	my $all = row("SELECT count(*) FROM op WHERE kind = '$kind'");
	is(row("SELECT count(line) FROM op_line WHERE kind = '$kind'"), $all, "$kind: a line for each of $all requests");
}

# What a request said, where no other touched the same flag in the seconds around it.
my $alone = "NOT EXISTS (SELECT FROM op p WHERE p.op <> o.op AND p.feature_id = o.feature_id AND p.environment_id IS NOT DISTINCT FROM o.environment_id
	AND p.since < o.until + interval '5 seconds' AND p.until > o.since - interval '2 seconds')";
my $told = "FROM op_line o WHERE kind IN ('toggle', 'value', 'toggle_and_value') AND enabled IS NOT NULL AND $alone";
cmp_ok(row("SELECT count(*) $told"), '>', 100, 'there are requests to compare states with');
is(row("SELECT count(*) $told AND request ? 'enabled' AND enabled IS DISTINCT FROM (request->>'enabled')::boolean"), '0',
	'enabled is what the request asked for');
is(row("SELECT count(*) $told AND request ? 'feature_state_value' AND value IS DISTINCT FROM request->'feature_state_value'"), '0',
	'the value is what the request asked for');

diag(row("SELECT format('%s deliveries, %s audit entries, %s lines, of them %s without an audit entry',
	(SELECT count(*) FROM flagsmith.delivery), $entries, count(*), count(*) FILTER (WHERE audit_id IS NULL)) FROM line"));

$node->stop;
done_testing();
