# Every door against the periods of flag_timeline, at 1 us around the boundaries of random histories: each lookup as a statement
# of its own, which may read a part of the history, and all of them in one, which uses the cache, also where that has hardly
# any memory.  What the names mean and which override counts is modelled here once more, in SQL over whole histories.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Test::More;

my $seed = $ENV{FSW_SEED} // time;
note("FSW_SEED=$seed repeats this run");
srand($seed);

my $node = start_node('lookup');
my @told;

sub act
{
	my ($deliveries, undef, $end) = history(@_);

	push @told, @$deliveries;
	return $end;
}

# Short ones, and long ones; one so long that little of it is read, mostly without audit entries.
act($_, 10 * $_ + 1, 25) for 1, 2;
act(1, 41, 2500, quiet => 0.9, deleted => 0, overrides => 0.1);
act(2, 42, 300, deleted => 0);
act(1, 43, 600);
act(2, 44, 400, overrides => 0, deleted => 0);
# Many acts of one time, with the same states and with others.
act(1, 51, 200, ties => 0.7, quiet => 0.5);
act(2, 52, 150, ties => 0.7);
act(1, 53, 400, ties => 0.95, quiet => 1, deleted => 0);
# Events that do not tell their time.
act(1, 61, 100, untimed => 0.5);
# Features of one name, each created after the one before it was deleted.
my $born = 0;
$born = 20e6 + act(1, $_, 15, name => 'phoenix', born => $born, deleted => 1) for 71 .. 74;
# An environment that is renamed, and back.
my @renamed = (environment_names => [ [ 0, 'old' ], [ 200e6, 'new' ], [ 400e6, 'old' ], [ 600e6, 'newest' ] ]);
act(3, $_, 40, @renamed, deleted => 0) for 81, 82;
# Two projects with an environment and features of the same names.
for my $project (7, 8)
{
	act($project == 7 ? 4 : 5, 100 * $project + $_, 20, project => $project, name => "flag $_", born => 300e6 * ($project - 7),
		environment_names => [ [ 0, 'Production' ] ]) for 91, 92;
}
# Many flags.
act(6, $_, 1 + int(rand(4))) for 1001 .. 1200;
@told = sort { $a->[0] <=> $b->[0] } @told;
# Without a hole: pruning forgets those that were, and must not make any.
number(0, @told);
take_in($node, 'lookup', @told);

# States read from the API, of some of the flags.
for my $environment (1, 1, 2, 3, 6, 6)
{
	my $page = $node->safe_psql('postgres', <<"SQL");
SELECT json_agg(json_build_object('id', 1, 'feature', id, 'environment', $environment, 'identity', NULL, 'feature_segment', NULL,
    'enabled', id % 2 = 0, 'feature_state_value', id % 5))
FROM (SELECT DISTINCT feature_id AS id FROM flagsmith.flag_change WHERE environment_id = $environment ORDER BY 1 LIMIT 8) f
SQL
	$node->safe_psql('postgres', "SELECT flagsmith.import_feature_states('$page', 'lookup/Shop/"
		  . ($environment == 3 ? 'newest' : "env $environment") . "', '" . at(int(rand(1500e6))) . "')");
}

# The periods, with the time over which the state stays the same; and what everything was called when.
keep_periods($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE called AS
SELECT kind, id::bigint, project_id, name, sight, until, at AS lo, COALESCE(lead(at) OVER (PARTITION BY kind, id ORDER BY at), 'infinity') AS hi
FROM (SELECT n.*, flagsmith._name(source, kind, id, at) AS name,
          flagsmith._name(source, kind, id, at) IS DISTINCT FROM lag(flagsmith._name(source, kind, id, at)) OVER (PARTITION BY kind, id ORDER BY at) AS begins
      FROM (SELECT DISTINCT n.source, n.kind, n.id, t.at, max(n.project_id) OVER i AS project_id, min(n.existed_at) OVER i AS sight,
                max(date_trunc('hour', n.seen_at)) OVER i + interval '1 hour' AS until
            FROM flagsmith.name n, LATERAL (VALUES (n.seen_at), (n.existed_at)) t (at) WHERE n.kind IN ('project', 'environment', 'feature') AND t.at IS NOT NULL
            WINDOW i AS (PARTITION BY n.kind, n.id)) n) n
WHERE begins;
CREATE INDEX ON called (kind, name);
CREATE FUNCTION level(called, timestamptz) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN $1.lo > $2 THEN 1 WHEN $1.hi <= $2 AND $1.hi <> 'infinity' THEN 2 ELSE 0 END $$;
CREATE FUNCTION away(called, timestamptz) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE level($1, $2) WHEN 1 THEN $1.lo - timestamptz '2000-01-01Z' WHEN 2 THEN timestamptz '2000-01-01Z' - $1.hi END $$;

-- What "environment" or "project/environment" and a feature mean at an instant: in each project what bore the names then, else next, else last,
-- of several environments the one that took it last, of several flags the youngest that existed by then; of several projects, those where they were borne then.
CREATE FUNCTION meant(environment text, feature text, at timestamptz, OUT environment_id bigint, OUT feature_id bigint) RETURNS SETOF record
    LANGUAGE sql STABLE AS $$
    WITH best AS (
        SELECT DISTINCT ON (p.id) e.id AS environment, f.id AS feature, greatest(level(p, at), level(e, at), level(f, at)) AS level,
            least(p.sight, e.sight, f.sight) AS evidence_from, greatest(p.until, e.until) AS evidence_to
        FROM called e
        JOIN called p ON p.kind = 'project' AND p.id = e.project_id
        JOIN called f ON f.kind = 'feature' AND f.project_id = p.id AND f.name = meant.feature
        WHERE e.kind = 'environment' AND meant.environment IN (e.name, p.name || '/' || e.name)
        ORDER BY p.id, CASE WHEN meant.environment <> e.name THEN level(p, at) END, CASE WHEN meant.environment <> e.name THEN away(p, at) END, level(e, at), away(e, at),
            CASE WHEN level(e, at) = 0 THEN e.lo END DESC, e.sight <= at DESC, CASE WHEN e.sight <= at THEN e.sight END DESC, e.sight, e.id DESC,
            level(f, at), away(f, at), f.sight <= at DESC, CASE WHEN f.sight <= at THEN f.sight END DESC, f.sight, f.id DESC),
    nearest AS (SELECT * FROM best b WHERE b.level = (SELECT min(b.level) FROM best b))
    SELECT t.environment, t.feature FROM nearest t
    WHERE NOT EXISTS (SELECT FROM nearest o WHERE t.evidence_to <= o.evidence_from AND o.evidence_from <= at) $$;

-- The question at each boundary of the environment defaults, and its answer: the only live one, or what became of the only one.
CREATE TABLE question AS
SELECT row_number() OVER (ORDER BY md5(q::text)) AS n, q.*, a.live, a.live > 1 OR a.live = 0 AND a.found > 1 AS unclear,
    CASE WHEN a.live = 1 THEN a.live_one WHEN a.found = 1 THEN a.one END AS told
FROM (SELECT DISTINCT b.environment_id, b.feature_id, b.at, CASE WHEN whole THEN p.name || '/' ELSE '' END || e.name AS environment, f.name AS feature
      FROM (SELECT DISTINCT s.project_id, s.environment_id, s.feature_id, b.at + d * interval '1 us' AS at
            FROM period s, LATERAL (VALUES (s."from"), (s."to")) b (at), generate_series(-1, 1) d
            WHERE b.at IS NOT NULL AND s.scope = ''
                AND s.run % CASE WHEN s.feature_id = 41 THEN 10 WHEN s.feature_id IN (43, 53) THEN 5 WHEN s.feature_id IN (42, 44) THEN 3 ELSE 1 END = 0
                AND (s.cause <> 'feature_defaults' OR s."to" IS NOT NULL OR s.feature_id % 20 = 1)) b
      JOIN called p ON p.kind = 'project' AND p.id = b.project_id AND p.lo <= b.at AND b.at < p.hi
      JOIN called e ON e.kind = 'environment' AND e.id = b.environment_id AND e.lo <= b.at AND b.at < e.hi
      JOIN called f ON f.kind = 'feature' AND f.id = b.feature_id AND f.lo <= b.at AND b.at < f.hi,
      LATERAL (SELECT DISTINCT whole FROM (VALUES (true), (b.environment_id NOT IN (4, 5))) v (whole)) w) q,
    LATERAL (SELECT count(s) AS found, count(s) FILTER (WHERE NOT s.removed) AS live, (array_agg(s))[1] AS one,
                 (array_agg(s) FILTER (WHERE NOT s.removed))[1] AS live_one
             FROM meant(q.environment, q.feature, q.at) m
             JOIN period s ON s.environment_id = m.environment_id AND s.feature_id = m.feature_id AND s.scope = ''
                 AND s."from" <= q.at AND (q.at < s."to" OR s."to" IS NULL)) a;
CREATE INDEX ON question (n);
ANALYZE;
SQL

my $questions = $node->safe_psql('postgres', 'SELECT count(*) FROM question');
is($node->safe_psql('postgres', 'SELECT count(*) > 0, count(*) FILTER (WHERE unclear) > 0, count(*) FILTER (WHERE (told).removed) > 0,'
	  . ' count(DISTINCT (told).cause) > 8, count(DISTINCT (told).confidence) FROM question'), 't|t|t|t|4', 'the questions are of every kind');

# Scalar lookups in one statement, with another flag on each row; then the same with hardly any memory for the cache.
my $scalars = <<'SQL';
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT q.*, (is_enabled, got) IS DISTINCT FROM ((told).enabled, (told).value) AS bad
      FROM (SELECT q.*, flagsmith.is_feature_enabled(environment, feature, at) AS is_enabled,
                flagsmith.get_feature_value(environment, feature, at) AS got
            FROM (SELECT * FROM question WHERE CONDITION ORDER BY n) q) q) q
SQL
none_differs($node, 'in one statement', $scalars =~ s/CONDITION/true/r, $questions);
none_differs($node, 'with a tiny work_mem', "SET work_mem = '64kB'; SET hash_mem_multiplier = 1; SET max_parallel_workers_per_gather = 0; "
	  . $scalars =~ s/CONDITION/n <= 200/r, 200);
none_differs($node, 'a flag at a time', $scalars =~ s/CONDITION ORDER BY n/true ORDER BY environment, feature, at/r, $questions);

# Names as constants, which are not looked at again: all questions about a flag in one statement, in no order.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE constant (n bigint, is_enabled boolean, got jsonb);
DO $$
DECLARE
    q record;
BEGIN
    FOR q IN SELECT environment, feature FROM question GROUP BY 1, 2 HAVING count(*) > 40 LOOP
        EXECUTE format('INSERT INTO constant SELECT n, flagsmith.is_feature_enabled(%1$L, %2$L, at), flagsmith.get_feature_value(%1$L, %2$L, at)'
            ' FROM (SELECT * FROM question WHERE environment = %1$L AND feature = %2$L ORDER BY n) q', q.environment, q.feature);
    END LOOP;
END $$;
SQL
none_differs($node, 'with constant names', <<'SQL', 200);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT q, c, (c.is_enabled, c.got) IS DISTINCT FROM ((q.told).enabled, (q.told).value) AS bad FROM constant c JOIN question q USING (n)) q
SQL

# Each lookup by itself: a statement for each question, some of each flag.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE answer (n bigint, is_enabled boolean, got jsonb, enabled boolean, value jsonb, variants jsonb, confidence flagsmith.confidence,
    cause text, since timestamptz, until timestamptz, changed_by text, delivery_id bigint, scope text);
DO $$
DECLARE
    q record;
BEGIN
    FOR q IN SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY environment_id, feature_id ORDER BY n) AS i FROM question) q
             WHERE i <= CASE WHEN feature_id IN (41, 42, 43, 52, 53) THEN 24 WHEN feature_id < 1000 THEN 6 ELSE feature_id % 7 / 6 END LOOP
        EXECUTE format('INSERT INTO answer (n, is_enabled, got) SELECT %s, flagsmith.is_feature_enabled(%L, %L, %4$L), flagsmith.get_feature_value(%2$L, %3$L, %4$L)',
            q.n, q.environment, q.feature, q.at);
        IF NOT q.unclear THEN
            EXECUTE format('UPDATE answer a SET (enabled, value, variants, confidence, cause, since, until, changed_by, delivery_id) ='
                ' (SELECT s.enabled, s.value, s.variants, s.confidence, s.cause, s.since, s.next_change, s.changed_by, s.delivery_id'
                '  FROM flagsmith.feature_state(%L, %L, %L) s) WHERE n = %s',
                q.environment, q.feature, q.at, q.n);
        END IF;
    END LOOP;
END $$;
SQL
none_differs($node, 'is_feature_enabled() and get_feature_value() by itself', <<'SQL', 200);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT q, a, (a.is_enabled, a.got) IS DISTINCT FROM ((q.told).enabled, (q.told).value) AS bad FROM answer a JOIN question q USING (n)) q
SQL
none_differs($node, 'feature_state() by itself', <<'SQL', 200);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT q, a, (a.enabled, a.value, a.variants, a.confidence, a.cause, a.since, a.until, a.changed_by, a.delivery_id) IS DISTINCT FROM
          ((q.told).enabled, (q.told).value, (q.told).variants, (q.told).confidence, (q.told).cause, (q.told).since, (q.told).until,
           (q.told).changed_by, (q.told).delivery_id) AS bad
      FROM answer a JOIN question q USING (n) WHERE NOT q.unclear) q
SQL

# Overrides: around their boundaries, for a segment, an identity, and everything at once.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE asked AS
SELECT row_number() OVER (ORDER BY md5(q::text)) AS n, q.*
FROM (SELECT s.environment_id, s.feature_id, s."from" + d * interval '1 us' AS at, v.segments, v.identity, p.name || '/' || e.name AS environment, f.name AS feature
      FROM (SELECT *, row_number() OVER (PARTITION BY environment_id, feature_id, scope ORDER BY md5("from"::text)) AS i FROM period) s
      CROSS JOIN generate_series(-1, 0) d
      JOIN called p ON p.kind = 'project' AND p.id = s.project_id AND s."from" >= p.lo AND s."from" < p.hi
      JOIN called e ON e.kind = 'environment' AND e.id = s.environment_id AND s."from" + d * interval '1 us' >= e.lo AND s."from" + d * interval '1 us' < e.hi
      JOIN called f ON f.kind = 'feature' AND f.id = s.feature_id AND s."from" >= f.lo AND s."from" < f.hi,
      LATERAL (VALUES (ARRAY[s.segment_id], s.identity), (NULL, s.identity_identifier), ('{3,NULL,1,2}', '2'), ('{1,3}', NULL)) v (segments, identity)
      WHERE s.i <= 2 AND s.scope <> '' AND s.feature_id < 1000 AND f.name <> 'phoenix'
          AND (v.segments[1] IS NOT NULL OR v.identity IS NOT NULL)) q;
-- The priority of what told the state, or where that came only later, of the last event before.
CREATE FUNCTION priority(p period, at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT COALESCE((SELECT c.segment_priority FROM flagsmith.flag_change c
            WHERE c.environment_id = p.environment_id AND c.feature_id = p.feature_id AND c.segment_id = p.segment_id AND c.identity IS NULL
                AND c.segment_priority IS NOT NULL AND c.event_at <= at
                AND at < COALESCE((SELECT e.event_at FROM flagsmith.flag_change e WHERE e.delivery = p.delivery_id LIMIT 1),
                    (SELECT v.received_at FROM flagsmith.version_published v WHERE v.delivery = p.delivery_id))
            ORDER BY c.event_at DESC LIMIT 1), p.priority)
$$;
CREATE TABLE override AS
SELECT a.n, COALESCE(first.one, d) AS told, LEAST(lowest.confidence, (COALESCE(first.one, d)).confidence) AS confidence,
    -- that there is no other override, and with versions which of several wins, is a claim of its own
    (a.identity IS NULL OR number.identities > 0)
        AND ((first.one).identity IS NOT NULL OR number.segments = (SELECT count(DISTINCT s) FROM unnest(a.segments) s))
        AND (a.environment_id <> 2 OR number.segments < 2) AS whole,
    tie.segments AS tied
FROM asked a
CROSS JOIN LATERAL (SELECT array_agg(p ORDER BY p.identity IS NULL, CASE WHEN p.enabled IS NULL THEN -1 ELSE priority(p, a.at) END) AS scopes
    FROM period p WHERE p.environment_id = a.environment_id AND p.feature_id = a.feature_id AND p."from" <= a.at AND (a.at < p."to" OR p."to" IS NULL)
        AND (p.segment_id = ANY (a.segments) OR p.identity IS NOT NULL AND a.identity IN (p.identity, p.identity_identifier))) c
CROSS JOIN LATERAL (SELECT count(u.segment_id) AS segments, count(u.identity) AS identities FROM unnest(c.scopes) u) number
LEFT JOIN LATERAL (SELECT u.i, c.scopes[u.i] AS one FROM generate_subscripts(c.scopes, 1) u (i) WHERE (c.scopes[u.i]).enabled IS NOT NULL ORDER BY i LIMIT 1) first ON true
LEFT JOIN LATERAL (SELECT min(u.confidence) AS confidence FROM unnest(c.scopes[:COALESCE(first.i, cardinality(c.scopes))]) u) lowest ON true
-- Lists tell no priorities: which of several that only they tell of wins is not known.
LEFT JOIN LATERAL (SELECT array_agg(u.segment_id) AS segments FROM unnest(c.scopes) u
    WHERE (first.one).identity IS NULL AND priority(first.one, a.at) IS NULL AND u.segment_id IS NOT NULL AND u.enabled IS NOT NULL
    HAVING count(*) > 1) tie ON true
LEFT JOIN period d ON d.environment_id = a.environment_id AND d.feature_id = a.feature_id AND d.scope = ''
    AND d."from" <= a.at AND (a.at < d."to" OR d."to" IS NULL);
SQL
none_differs($node, 'overrides', <<'SQL', 300);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT a, s, o, CASE WHEN o.tied IS NOT NULL THEN s.segment_id <> ALL (o.tied) OR s.confidence > 'inferred' ELSE
          (s.enabled, s.value, s.variants, CASE WHEN o.whole OR s.confidence > o.confidence THEN s.confidence ELSE o.confidence END, s.cause,
              s.since, s.next_change, s.changed_by, s.delivery_id, s.segment_id, s.scope)
          IS DISTINCT FROM ((o.told).enabled, (o.told).value, (o.told).variants, o.confidence, (o.told).cause, (o.told).since, (o.told).until,
           (o.told).changed_by, (o.told).delivery_id, (o.told).segment_id, CASE WHEN (o.told).segment_id IS NOT NULL THEN 'segment'
               WHEN (o.told).identity IS NOT NULL THEN 'identity' WHEN (o.told).scope = '' THEN 'environment' END) END AS bad
      FROM asked a JOIN override o USING (n)
      LEFT JOIN LATERAL flagsmith.feature_state(a.environment, a.feature, a.at, a.segments, a.identity) s ON true WHERE n <= 400) q
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE whole) > 50, count(*) FILTER (WHERE NOT whole) > 50 FROM override WHERE n <= 400'), 't|t',
	'overrides that are all there is, and others');

# environment_state() at random instants, and before anything was heard of the environment: each flag that is live, and no other.
# A page of the API may tell of a flag before anything tells its name, which is then the next one.
for my $asked ([ 6, 5e6 ], map { [ $_, int(rand($_ == 6 ? 400e6 : 1500e6)) ] } 1, 2, 3, 4, 6, 6, 6)
{
	my ($environment, $at) = ($asked->[0], at($asked->[1]));

	none_differs($node, "environment_state() of environment $environment at $at", <<"SQL", 1);
WITH name AS (SELECT p.name || '/' || e.name AS environment FROM called e JOIN called p ON p.kind = 'project' AND p.id = e.project_id
        WHERE e.kind = 'environment' AND e.id = $environment
        ORDER BY level(p, '$at'), away(p, '$at'), level(e, '$at'), away(e, '$at') LIMIT 1),
    said AS (SELECT s.* FROM name, LATERAL flagsmith.environment_state(name.environment, '$at') s),
    told AS (SELECT p.*, f.name AS feature FROM period p, LATERAL (SELECT f.name FROM called f WHERE f.kind = 'feature' AND f.id = p.feature_id
            ORDER BY level(f, '$at'), away(f, '$at') LIMIT 1) f
        WHERE p.environment_id = $environment AND p.scope = '' AND NOT p.removed AND p."from" <= '$at' AND ('$at' < p."to" OR p."to" IS NULL))
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT s, t, (s.feature, s.feature_id, s.enabled, s.value, s.variants, s.confidence, s.cause, s.since, s.next_change, s.changed_by, s.delivery_id) IS DISTINCT FROM
          (t.feature, t.feature_id, t.enabled, t.value, t.variants, t.confidence, t.cause, t.since, t.until, t.changed_by, t.delivery_id) AS bad
      FROM said s FULL JOIN told t USING (feature_id)) q
SQL
}

# current_state is flag_timeline where it has no end, and a lookup without an instant is what stands there.
none_differs($node, 'now', <<'SQL', 200);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT c, p, (c.enabled, c.value, c.variants, c.confidence, c.cause, flagsmith.is_feature_enabled(c.project || '/' || c.environment, c.feature),
              flagsmith.get_feature_value(c.project || '/' || c.environment, c.feature, 'infinity'))
          IS DISTINCT FROM (p.enabled, p.value, p.variants, p.confidence, p.cause, p.enabled, p.value) AS bad
      FROM flagsmith.current_state c
      FULL JOIN (SELECT * FROM period WHERE "to" IS NULL AND (enabled IS NOT NULL OR confidence = 'unknown') AND scope = '') p
          USING (environment_id, feature_id)
      WHERE c.segment_id IS NULL AND c.identity IS NULL AND c.environment_id <> 3 AND c.feature IS DISTINCT FROM 'phoenix') q
SQL

# Every scope that has a state, or one that nobody told, is in it once, since the last change of the state.
none_differs($node, 'now, every scope', <<'SQL', 200);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT c, p, (c.enabled, c.value, c.variants, c.confidence, c.cause, c.since, lower(c.period), c.changed_by, c.delivery_id, c.priority)
          IS DISTINCT FROM (p.enabled, p.value, p.variants, p.confidence, p.cause, p.since, p.since, p.changed_by, p.delivery_id, p.priority) AS bad
      FROM (SELECT *, COALESCE(segment_id::text, 'identity ' || identity, '') AS scope FROM flagsmith.current_state) c
      FULL JOIN (SELECT * FROM period WHERE "to" IS NULL AND (enabled IS NOT NULL OR confidence = 'unknown')) p
          USING (environment_id, feature_id, scope)) q
SQL

# Pruning changes no answer about its horizon or later.  An override of a deleted feature that entries alone told of may be
# forgotten, where a later feature has its name and theirs.
my $pruned = 0;
for my $horizon (at(300e6 + int(rand(600e6))), at(1000e6 + int(rand(19000e6))), at(20001e6))
{
	$pruned += $node->safe_psql('postgres', "SET client_min_messages = warning; SELECT flagsmith.prune_history('$horizon', 1000000)");
	none_differs($node, "periods after pruning before $horizon", <<"SQL", 100);
WITH after AS MATERIALIZED (SELECT f.environment_id, f.feature_id, COALESCE(p.segment_id::text, 'identity ' || p.identity, '') AS scope, p.*
    FROM flagsmith._flag f, LATERAL flagsmith._flag_periods(f.source, f.environment_id, f.feature_id) p),
    boundary AS (SELECT *, GREATEST("from", '$horizon') AS at FROM period WHERE ("to" IS NULL OR "to" > '$horizon'))
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT b, a, (a.enabled, a.value, a.variants, a.removed, a.confidence, a.cause, a.changed_by, a.delivery_id)
          IS DISTINCT FROM (b.enabled, b.value, b.variants, b.removed, b.confidence, b.cause, b.changed_by, b.delivery_id)
          AND NOT (a.environment_id IS NULL AND b.scope <> '' AND b.removed AND b.cause = 'feature_deleted') AS bad
      FROM boundary b LEFT JOIN after a ON a.environment_id = b.environment_id AND a.feature_id = b.feature_id AND a.scope = b.scope
          AND a."from" <= b.at AND (b.at < a."to" OR a."to" IS NULL)) q
SQL
	none_differs($node, "lookups after pruning before $horizon", $scalars =~ s/CONDITION/at >= '$horizon'/r, 50);
}

cmp_ok($pruned, '>', 1000, "rows pruned: $pruned");

# Without overrides by segment, the last changes of a flag with versions are enough.
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.flag_change WHERE feature_id = 44'), '<', 250, 'changes left with versions');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.version_published WHERE feature_id = 44'), '<', 250, 'lists left');

done_testing();
