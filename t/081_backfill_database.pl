# flagsmith-backfill database: the past from the tables of a Flagsmith, made by t/data/flagsmith_database.sql, and the audit
# log of the captured run from its tables as from its REST pages.  Not a regress test, since it needs two databases.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

if (system('/usr/bin/python3 -c "import psycopg" 2>/dev/null'))
{
	plan skip_all => 'psycopg for python3 is not here';
}

my $node = start_node('past');
my $tmp = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(flagsmith captured);
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', "$tmp/made", '-d', $node->connstr('flagsmith'), '-f', data_dir('flagsmith_database.sql') ],
	'a Flagsmith of some weeks');

sub answer { my ($sql, $db) = @_; return $node->safe_psql($db // 'postgres', "SET TimeZone = 'UTC'; $sql"); }

our $tool = "$FindBin::Bin/../tools/backfill";

# The tool, with where Flagsmith is; %ENV says where the extension is.
sub past
{
	my ($conninfo, @rest) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => scalar(getpwuid($<)), PGDATABASE => 'postgres', %main::other);
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run([ $tool, 'database', @$conninfo, @rest ], '<', \undef, '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}
our %other;
my $flagsmith = [ 'dbname=flagsmith' ];
my ($rc, $stdout, $stderr);

# What cannot work, and why.
($rc, $stdout, $stderr) = past([]);
is($rc, 2, 'how it is called');
like($stderr, qr/^backfill database CONNINFO \[SOURCE \[ORGANISATION\]\]/m, 'is said');
($rc, $stdout, $stderr) = past($flagsmith, 'default', 'nine');
is($rc, 2, 'an organisation is a number');
for my $case (
	[ [ 'no such thing' ], qr/CONNINFO is no connection string: missing "="/ ],
	[ [ 'dbname=postgres' ], 'the database that CONNINFO leads to has no table audit_auditlog: it is not Flagsmith\'s, or its tables are in a schema that is not in the search_path of this role' ],
	[ [ 'dbname=flagsmith', 'default', 1 ], 'Flagsmith\'s database has no project of organisation 1' ])
{
	my ($arguments, $why) = @$case;

	($rc, $stdout, $stderr) = past($arguments);
	is($rc, 1, "@$arguments");
	ref $why ? like($stderr, qr/^backfill: .*$why/, 'is refused') : is($stderr, "backfill: $why\n", 'is refused');
}
{
	# As it is installed.
	local $tool = "$tmp/bin/flagsmith-backfill";

	system("mkdir '$tmp/bin' '$tmp/share' && cp '$FindBin::Bin/../tools/backfill' '$tool' && cp -r '$FindBin::Bin/../tools/past' '$tmp/share/flagsmith-backfill'") == 0
		or die 'could not install it';
	($rc, $stdout, $stderr) = past([ 'postgresql://ada:x@/flagsmith' ]);
	is($stderr, "backfill: a password on a command line can be seen by others: write it into ~/.pgpass or a service file\n", 'a password is refused');
	system("rm -r '$tmp/share'");
	($rc, $stdout, $stderr) = past($flagsmith);
	is("$rc $stderr", "1 backfill: the program for \"database\" is not installed\n", 'a part is lacking');
}
{
	local %other = (PGDATABASE => 'flagsmith');

	($rc, $stdout, $stderr) = past($flagsmith);
	is($stderr, "backfill: the database that the PG* variables lead to has no extension flagsmith_webhook\n", 'a target without the extension');
}
$node->safe_psql('flagsmith', 'ALTER TABLE features_featurestate RENAME COLUMN version TO generation');
($rc, $stdout, $stderr) = past($flagsmith);
is($stderr, "backfill: Flagsmith's table features_featurestate has no column version: it is of a release that this tool does not know\n", 'an unknown release');
$node->safe_psql('flagsmith', 'ALTER TABLE features_featurestate RENAME COLUMN generation TO version');

# The right to read, and no more than what it says; it asks for no password and no key.
$node->safe_psql('flagsmith', 'CREATE ROLE regress_flagsmith_reader LOGIN');
my $reader = [ 'dbname=flagsmith user=regress_flagsmith_reader' ];
($rc, $stdout, $stderr) = past($reader);
is($rc, 1, 'without the right to read');
my ($grants) = $stderr =~ /^backfill: the role may not read all that it takes of Flagsmith's tables\.  As their owner:\n((?:GRANT SELECT \([a-z0-9_, ]+\) ON \w+ TO regress_flagsmith_reader;\n)+)\z/;
ok($grants, 'it says what to grant') or diag($stderr);
unlike($grants, qr/password|\bapi_key\b|hashed_key/, 'no password and no key among it');
$node->safe_psql('flagsmith', $grants);

# Stopped between the audit log and the flags.
my $lock = $node->background_psql('flagsmith');
$lock->query_safe('BEGIN; LOCK TABLE features_historicalfeaturestate');
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => scalar(getpwuid($<)), PGDATABASE => 'postgres');
	my $run = IPC::Run::start([ $tool, 'database', @$reader ], '<', \undef, '>', \my $out, '2>', \my $err);

	$node->poll_query_until('flagsmith', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'features_historicalfeaturestate'::regclass")
		or die 'it does not wait';
	$run->kill_kill;
}
$lock->query_safe('COMMIT');
$lock->quit;
my $entries = $node->safe_psql('flagsmith', 'SELECT count(*) FROM audit_auditlog');
is(answer('SELECT count(*), (SELECT count(*) FROM flagsmith.flag_change) FROM flagsmith.audit_log'), "$entries|0", 'stopped when the audit log was in');

# One organisation, and then all of it.
($rc, $stdout, $stderr) = past($reader, 'default', 10);
is($rc, 0, 'one organisation alone') or diag($stderr);
is($stdout, "audit log: 0 entries stored, 3 were there\nenvironment 1 of 1: Other/Elsewhere: 1 changes, 0 versions, 1 states stored\ndone\n", 'says what it did');
($rc, $stdout, $stderr) = past($reader);
is($rc, 0, 'everything') or diag($stderr);
like($stdout, qr/^audit log: 0 entries stored, $entries were there\nenvironment 1 of 3: Shop\/Production: 21 changes, 0 versions, 3 states stored; 2 to go, about \d+ s
environment 2 of 3: Shop\/Versions: 7 changes, 6 versions, 6 states stored; 1 to go, about \d+ s\nenvironment 3 of 3: Other\/Elsewhere: 0 changes, 0 versions, 0 states stored\ndone\n\z/,
	'goes on where it stopped');
is(answer('SELECT origin, count(*) FROM (SELECT origin FROM flagsmith.audit_log UNION ALL SELECT origin FROM flagsmith.flag_change) o GROUP BY 1 ORDER BY 1'),
	'database|' . ($entries + 29) . "\nimport|10", 'from the database');

# A second time.
my $stored = "SELECT (SELECT count(*) FROM flagsmith.delivery), (SELECT count(*) FROM flagsmith.delivery_repeat), (SELECT count(*) FROM flagsmith.name)";
my $before = answer($stored);
($rc, $stdout, $stderr) = past($reader);
is($rc, 0, 'a second time') or diag($stderr);
is(answer($stored), $before, 'adds nothing');

# Every state that there was, in the middle of the time in which it held, by the timeline and by the scalar lookup.
my $truth = $node->safe_psql('flagsmith', "SET TimeZone = 'UTC'; SELECT json_agg(t) FROM (SELECT *, at + least(lead(at, 1, '2026-01-01Z') OVER (PARTITION BY environment, feature,"
	  . " segment, identity ORDER BY at) - at, interval '6 hours') / 2 AS middle FROM truth) t");
my $compare = <<'SQL';
WITH t AS (SELECT * FROM json_to_recordset(%s) AS t (middle timestamptz, environment bigint, feature bigint, segment bigint, identity text, enabled bool, value jsonb, variants jsonb)),
    a AS (SELECT t.*, p.enabled AS told, p.value AS told_value, p.variants AS told_variants, p.confidence FROM t
        LEFT JOIN flagsmith.flag_timeline p ON p.source = '%s' AND p.environment_id = t.environment AND p.feature_id = t.feature
            AND p.segment_id IS NOT DISTINCT FROM t.segment AND p.identity_identifier IS NOT DISTINCT FROM t.identity AND p.period @> t.middle)
SELECT * FROM a WHERE ((enabled, CASE WHEN enabled IS NOT NULL THEN coalesce(value, 'null') END) IS DISTINCT FROM (told, CASE WHEN told IS NOT NULL THEN told_value END)
    OR (enabled IS NOT NULL AND confidence >= 'reported' AND variants <> told_variants))
SQL
is(answer(sprintf($compare, literal($truth), 'default')), '', 'what was live at each time, and which overrides were gone');
is(answer(sprintf("SELECT count(*) FROM ($compare) c WHERE confidence = 'confirmed'", literal($truth), 'default')), 0, 'nothing wrong is confirmed');
is(answer(sprintf("SELECT confidence, count(*) FROM json_to_recordset(%s) AS t (middle timestamptz, environment bigint, feature bigint, segment bigint, identity text, enabled bool)"
	  . " JOIN flagsmith.flag_timeline p ON p.source = 'default' AND p.environment_id = t.environment AND p.feature_id = t.feature AND p.segment_id IS NOT DISTINCT FROM t.segment"
	  . " AND p.identity_identifier IS NOT DISTINCT FROM t.identity AND p.period @> t.middle WHERE t.enabled IS NOT NULL GROUP BY 1 ORDER BY 1", literal($truth))),
	"inferred|1\nreported|5\nconfirmed|23", 'and nearly all of it is confirmed');
is(answer(sprintf("SELECT count(*) FROM json_to_recordset(%s) AS t (middle timestamptz, environment bigint, feature bigint, segment bigint, identity text, enabled bool)"
	  . " WHERE segment IS NULL AND identity IS NULL AND flagsmith.is_feature_enabled(environment, feature, middle) IS DISTINCT FROM enabled", literal($truth))), 0, 'the lookup says so, too');
is(answer("SELECT count(*) FROM flagsmith.history_gap"), 0, 'there is no gap');
is(answer("SELECT count(*) FROM flagsmith.history WHERE feature = 'checkout' AND action NOT IN ('created', 'deleted') AND actor_type = 'unknown' AND identity_identifier IS DISTINCT FROM 'bob'"),
	0, 'who did it is known, but for an identity that was deleted');
is(answer("SELECT at, actor, actor_type, enabled_before, value_before, enabled, value FROM flagsmith.history WHERE environment = 'Production' AND feature = 'checkout' AND actor_type = 'api key'"),
	'2025-01-06 00:00:00+00|CI deploy key|api key|f|1|f|true', 'what was before, and what then, by which key');
is(answer("SELECT count(*) FROM flagsmith.delivery WHERE convert_from(body, 'UTF8') ~ 'nobody may see|client side key'"), 0, 'no secret of Flagsmith is in it');

# What is made later, in an environment with versions without a word.
$node->safe_psql('flagsmith', "SELECT make_feature('2025-02-01Z', 4105, 77, 'late', true, 'x', 21)");
($rc, $stdout, $stderr) = past($reader);
like($stdout, qr/^audit log: 2 entries stored, $entries were there\nenvironment 1 of 3: Shop\/Production: 1 changes, 0 versions, 4 states stored;.*\nenvironment 2 of 3: Shop\/Versions: 0 changes, 0 versions, 5 states stored;/,
	'what was made since') or diag($stderr);
is(answer("SELECT environment, enabled, value FROM flagsmith.current_state WHERE source = 'default' AND feature = 'late' ORDER BY 1"), "Production|t|\"x\"\nVersions|t|\"x\"", 'is live');
$entries += 2;

# What changes without a trace in Flagsmith's history is seen in what is live, once.
$node->safe_psql('flagsmith', 'UPDATE features_featurestate SET enabled = NOT enabled WHERE id = default_of(4105, 512)');
($rc, $stdout, $stderr) = past($reader);
like($stdout, qr/^environment 1 of 3: Shop\/Production: 0 changes, 0 versions, 4 states stored;.*\nenvironment 2 of 3: Shop\/Versions: 0 changes, 0 versions, 0 states stored;/m,
	'a change without a trace') or diag($stderr);
is(answer("SELECT enabled FROM flagsmith.current_state WHERE source = 'default' AND feature = 'late' AND environment = 'Production'"), 'f', 'is seen');
$before = answer($stored);
($rc, $stdout, $stderr) = past($reader);
is(answer($stored), $before, 'and not stored again');

# Webhooks of one environment began in between, of which some came before the first one that was stored.
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('hooks', source => 'hooks', allow_unsigned => true, max_spool_age => NULL)");
$node->safe_psql('postgres', "INSERT INTO flagsmith.inbox (webhook, body, received_at)"
	  . " SELECT 'hooks', convert_to((convert_from(d.body, 'UTF8')::jsonb - 'flagsmith_import')::text, 'UTF8'), f.event_at + interval '2 seconds'"
	  . " FROM flagsmith.flag_change f JOIN flagsmith.delivery d ON d.id = f.delivery WHERE f.origin = 'database' AND f.environment_id = 512 AND f.enabled IS NOT NULL AND f.event_at >= '2025-01-07 00:00:00.1Z'");
$node->safe_psql('postgres', "INSERT INTO flagsmith.inbox (webhook, body, received_at)"
	  . " SELECT 'hooks', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', e)::text, 'UTF8'), (e ->> 'created_date')::timestamptz + interval '2 seconds'"
	  . " FROM flagsmith.delivery d, jsonb_array_elements(convert_from(d.body, 'UTF8')::jsonb -> 'results') e WHERE d.event_type = 'audit_log_page' AND e ->> 'created_date' >= '2025-01-07T00:00:00.1'");
my $by_webhooks = answer("SELECT count(*) FROM flagsmith.flag_change WHERE source = 'hooks'");
($rc, $stdout, $stderr) = past($reader, 'hooks');
is($rc, 0, 'where webhooks have begun') or diag($stderr);
is(answer("SELECT origin, count(*) FROM flagsmith.flag_change WHERE source = 'hooks' AND environment_id = 512 AND origin <> 'import' GROUP BY 1 ORDER BY 1"),
	'database|' . (22 - $by_webhooks - 1) . "\nwebhook|$by_webhooks", 'the time before them is filled, and nothing after');
is(answer("SELECT count(*), count(DISTINCT (feature_id, segment_id, identity, event_at)) FROM flagsmith.flag_change WHERE source = 'hooks' AND environment_id = 512 AND origin <> 'import'"),
	'21|21', 'no change is there twice');
is(answer("SELECT count(*), count(DISTINCT audit_id) FROM flagsmith.audit_log WHERE source = 'hooks'"), "$entries|$entries", 'and no entry');
is(answer(sprintf("$compare AND identity IS DISTINCT FROM 'bob'", literal($truth), 'hooks')), '', 'the answers are right all the same');

# The audit log of a real run: the tables give what the REST API gave, and a hole that Flagsmith has itself is closed.
SKIP:
{
	skip 'xz is not here', 8 if system('command -v xz >/dev/null 2>&1');
	my $file = data_dir('run', 'audit_rest.jsonl.xz');
	my @log = grep { /^\{"id": (\d+),/ && $1 >= 1000 && $1 < 1900 } split(/\n/, `xz -dc '$file'`);

	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', "$tmp/made", '-d', $node->connstr('captured'), '-f', data_dir('flagsmith_database.sql') ], 'its tables');
	open(my $fh, '>', "$tmp/log") or die "could not write: $!";
	print $fh '[' . join(",\n", @log) . ']';
	close($fh);
	$node->safe_psql('captured', <<"SQL");
CREATE TABLE entry AS SELECT e FROM jsonb_array_elements(pg_read_file('$tmp/log')::jsonb) e WHERE e ->> 'id' <> '1350';
TRUNCATE audit_auditlog, projects_project, environments_environment, users_ffadminuser, features_featurestate, features_historicalfeaturestate;
INSERT INTO projects_project SELECT DISTINCT ON (p.id) p.* FROM entry, jsonb_populate_record(NULL::projects_project, (e -> 'project') ||
    jsonb_build_object('organisation_id', e #> '{project,organisation}', 'identity_overrides_v2_migration_status', e #> '{project,edge_v2_migration_status}')) p ORDER BY p.id;
INSERT INTO environments_environment SELECT DISTINCT ON (v.id) v.* FROM entry, jsonb_populate_record(NULL::environments_environment,
    CASE jsonb_typeof(e -> 'environment') WHEN 'object' THEN (e -> 'environment') || jsonb_build_object('project_id', e #> '{environment,project}') END) v WHERE v.id IS NOT NULL ORDER BY v.id;
INSERT INTO users_ffadminuser (id, email, first_name, last_name, last_login, uuid) SELECT DISTINCT ON (u.id) u.id, u.email, u.first_name, u.last_name, u.last_login, u.uuid
    FROM entry, jsonb_populate_record(NULL::users_ffadminuser, CASE jsonb_typeof(e -> 'author') WHEN 'object' THEN e -> 'author' END) u WHERE u.id IS NOT NULL ORDER BY u.id;
INSERT INTO audit_auditlog (id, created_date, log, author_id, environment_id, project_id, related_object_id, related_object_type, related_object_uuid, is_system_event)
SELECT (e ->> 'id')::int, (e ->> 'created_date')::timestamptz, e ->> 'log', (e #>> '{author,id}')::int, (e #>> '{environment,id}')::int, (e #>> '{project,id}')::int,
    (e ->> 'related_object_id')::int, e ->> 'related_object_type', e ->> 'related_object_uuid', (e ->> 'is_system_event')::bool FROM entry;
SQL
	my $number = $node->safe_psql('captured', 'SELECT count(*) FROM audit_auditlog');
	# Some came by a webhook.
	$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('$_', source => '$_', allow_unsigned => true, max_spool_age => NULL);"
		  . " INSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT '$_', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', e)::text, 'UTF8'),"
		  . " (e ->> 'created_date')::timestamptz + interval '2 seconds' FROM jsonb_array_elements(pg_read_file('$tmp/log')::jsonb) e WHERE (e ->> 'id')::int BETWEEN 1300 AND 1400 AND e ->> 'id' <> '1350'")
		for qw(tables rest);
	($rc, $stdout, $stderr) = past([ 'dbname=captured' ], 'tables');
	is($rc, 0, 'the captured run') or diag($stderr);
	my $rest = $number - 100;
	like($stdout, qr/^audit log: there is no entry from 1350 to 1350\naudit log: $rest entries stored, 100 were there\n/, 'all entries that did not come');
	$node->safe_psql('postgres', "SELECT flagsmith.import_audit_log(jsonb_build_object('results', jsonb_agg(e ORDER BY n DESC))::text, 'rest')"
		  . " FROM (SELECT e, row_number() OVER () AS n FROM jsonb_array_elements(pg_read_file('$tmp/log')::jsonb) e WHERE e ->> 'id' <> '1350') e");
	my $columns = answer("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'flagsmith.audit_log'::regclass AND attnum > 0"
		  . " AND attname NOT IN ('delivery', 'ordinal', 'source', 'received_at', 'stored_at', 'origin', 'extra')");
	# Flagsmith works these out: they are in no table.
	my $rows = "SELECT $columns, extra #- '{project,migration_status}' #- '{project,use_edge_identities}' FROM flagsmith.audit_log WHERE source =";
	is(answer("SELECT count(*) FROM (($rows 'tables') EXCEPT ($rows 'rest')) d"), 0, 'each as over REST pages');
	is(answer("SELECT count(*) FROM (($rows 'rest') EXCEPT ($rows 'tables')) d"), 0, 'and none is lacking');
	is(answer("SELECT count(*) FROM flagsmith.missing_audit_entry WHERE source = 'tables'"), 0, 'nothing is missing');
	my $lines = "SELECT at, actor, actor_type, action, environment_id, feature, segment, identity_identifier, change_request, summary FROM flagsmith.history WHERE project_id = 1 AND source =";
	is(answer("SELECT count(*) > 50 FROM ($lines 'rest') l"), 't', 'the lines of history');
	is(answer("SELECT count(*) FROM (($lines 'tables') EXCEPT ALL ($lines 'rest') UNION ALL (($lines 'rest') EXCEPT ALL ($lines 'tables'))) d"), 0, 'are the same');
}

$node->stop;
done_testing();
