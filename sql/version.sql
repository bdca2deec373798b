-- What is published in versions: each class of evidence that was put together wrongly once.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('vs org', NULL, source => 'vs', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('vs env 1', NULL, source => 'vs', scope => 'environment', environment_id => 1,
    allow_unsigned => true, max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('vs env 2', NULL, source => 'vs', scope => 'environment', environment_id => 2,
    allow_unsigned => true, max_spool_age => NULL);

-- A state; variants as {"option": percentage}.
CREATE FUNCTION pg_temp.state(enabled boolean, value jsonb, variants jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 900, 'percentage_allocation', v.value,
            'multivariate_feature_option', jsonb_build_object('id', v.key::int, 'value', 'x'))), '[]')
         FROM jsonb_each(variants) v)) $$;

-- A flag event of environment 1 (switched to versions) or 2 (with versions all along).
CREATE PROCEDURE pg_temp.event(arrived timestamptz, at timestamptz, environment int, feature int, name text,
        after jsonb, before jsonb DEFAULT NULL, segment int DEFAULT NULL, priority int DEFAULT 0, segment_name text DEFAULT NULL)
    LANGUAGE plpgsql AS $$
DECLARE
    nested jsonb := jsonb_build_object(
        'feature', jsonb_build_object('id', feature, 'name', name, 'type', 'STANDARD', 'default_enabled', false,
            'initial_value', 'first', 'created_date', '2026-01-01T00:00:00.000000Z', 'description', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Depot')),
        'environment', jsonb_build_object('id', environment, 'name', CASE environment WHEN 1 THEN 'Production' ELSE 'Staging' END),
        'identity', NULL, 'identity_identifier', NULL,
        'feature_segment', CASE WHEN segment IS NOT NULL THEN jsonb_build_object('priority', priority,
            'segment', jsonb_build_object('id', segment, 'name', COALESCE(segment_name, 'segment ' || segment), 'description', NULL)) END);
    data jsonb := jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', CASE WHEN after IS NOT NULL THEN nested || after END);
BEGIN
    IF before IS NOT NULL THEN
        data := data || jsonb_build_object('previous_state', nested || before);
    END IF;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('vs org', convert_to(jsonb_build_object('data', data, 'event_type',
        CASE WHEN after IS NULL THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END)::text, 'UTF8'), arrived);
END $$;

-- An audit entry, which arrives two seconds after the act.
CREATE SEQUENCE pg_temp.audit_id;
CREATE PROCEDURE pg_temp.entry(at timestamptz, environment int, type text, log text, object int DEFAULT NULL, uuid text DEFAULT NULL,
        arrived timestamptz DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('vs org', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', nextval('pg_temp.audit_id'), 'created_date', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'log', log, 'author', NULL, 'is_system_event', false, 'related_object_id', object,
        'related_object_type', type, 'related_object_uuid', uuid,
        'project', jsonb_build_object('id', 7, 'name', 'Depot', 'organisation', 1),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment,
            'name', CASE environment WHEN 1 THEN 'Production' ELSE 'Staging' END) END))::text, 'UTF8'), COALESCE(arrived, at + interval '2 s')) $$;

-- A version's list.
CREATE PROCEDURE pg_temp.list(arrived timestamptz, feature int, name text, uuid text, VARIADIC states jsonb[])
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (CASE name WHEN 'switched' THEN 'vs env 1' ELSE 'vs env 2' END, convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object(
        'uuid', uuid, 'published_by', NULL, 'feature', jsonb_build_object('id', feature, 'name', name),
        'feature_states', (SELECT COALESCE(jsonb_agg((s - 'feature_state_value') || jsonb_build_object('value', s->'feature_state_value') ORDER BY n), '[]')
            FROM unnest(states) WITH ORDINALITY u(s, n))))::text, 'UTF8'), arrived) $$;

-- An entry of a version, which arrives half a second after it was written.
CREATE PROCEDURE pg_temp.version(at timestamptz, environment int, name text, uuid text)
    LANGUAGE sql AS $$
    CALL pg_temp.entry(at, environment, 'EF_VERSION', 'New version published for feature: ' || name, NULL, uuid, at + interval '0.5 s') $$;

CREATE FUNCTION pg_temp.periods(of text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', environment, COALESCE('segment ' || segment_id, 'identity ' || identity),
        to_char(lower(period), 'HH24:MI:SS.MS'), '-', COALESCE(to_char(upper(period), 'HH24:MI:SS.MS'), '...'),
        COALESCE(enabled::text, 'none'), value, NULLIF(variants::text, '{}'), confidence, '(' || cause || ')')
    FROM flagsmith.flag_timeline WHERE source = 'vs' AND feature = of AND (environment_id = 1) = (of ~ 'switched')
    ORDER BY environment_id, segment_id NULLS FIRST, identity NULLS FIRST, period $$;

-- The latest news: until then, what nothing contradicts is sure.
CALL pg_temp.entry('2026-01-01 12:00', NULL, 'SEGMENT', 'Segment updated: nobody', 99);
CALL pg_temp.entry('2026-01-01 00:00', 1, 'ENVIRONMENT', 'New Environment created: Production', 1);
CALL pg_temp.entry('2026-01-01 00:00', 2, 'ENVIRONMENT', 'New Environment created: Staging', 2);

-- Two versions of one second: which list belongs to which events is not the order of the entries.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: second', 1);
CALL pg_temp.event('2026-01-01 02:00:02', '2026-01-01 02:00:00.08', 2, 1, 'second', pg_temp.state(true, '"a"'), pg_temp.state(false, '"first"'));
CALL pg_temp.event('2026-01-01 02:00:02', '2026-01-01 02:00:00.08', 2, 1, 'second', pg_temp.state(true, 'false'), segment => 40);
CALL pg_temp.event('2026-01-01 02:00:02', '2026-01-01 02:00:00.26', 2, 1, 'second', pg_temp.state(true, '"json"'), segment => 106);
CALL pg_temp.version('2026-01-01 02:00:01.1', 2, 'second', 'a-3');
CALL pg_temp.version('2026-01-01 02:00:01.2', 2, 'second', 'a-2');
CALL pg_temp.list('2026-01-01 02:00:02.1', 1, 'second', 'a-3', pg_temp.state(true, '"a"'), pg_temp.state(true, 'false'), pg_temp.state(true, '"json"'));
CALL pg_temp.list('2026-01-01 02:00:02.2', 1, 'second', 'a-2', pg_temp.state(true, '"a"'), pg_temp.state(true, 'false'));
SELECT * FROM pg_temp.periods('second');

-- Announced, but never live: a version from before the first one has no previous state.  And one whose entry came at once
-- while its events and its list came late was scheduled.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: past', 2);
CALL pg_temp.version('2026-01-01 02:00:00.1', 2, 'past', 'b-1');
CALL pg_temp.event('2026-01-01 02:00:05.3', '2026-01-01 02:00:05', 2, 2, 'past', pg_temp.state(false, '"now"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:00:05.4', 2, 'past', 'b-2', pg_temp.state(false, '"now"'));
CALL pg_temp.version('2026-01-01 02:00:05.5', 2, 'past', 'b-2');
CALL pg_temp.event('2026-01-01 02:00:09', '2026-01-01 02:00:08', 2, 2, 'past', pg_temp.state(true, '"never"'));
CALL pg_temp.list('2026-01-01 02:00:09', 2, 'past', 'b-3', pg_temp.state(true, '"never"'));
CALL pg_temp.version('2026-01-01 02:00:08.5', 2, 'past', 'b-3');
CALL pg_temp.event('2026-01-01 02:00:30', '2026-01-01 02:00:00', 2, 2, 'past', pg_temp.state(true, '"scheduled"'), pg_temp.state(false, '"now"'));
CALL pg_temp.list('2026-01-01 02:00:30', 2, 'past', 'b-1', pg_temp.state(true, '"scheduled"'));
SELECT * FROM pg_temp.periods('past');
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: late', 3);
CALL pg_temp.version('2026-01-01 02:00:00.1', 2, 'late', 'c-1');
CALL pg_temp.event('2026-01-01 02:10:00', '2026-01-01 02:00', 2, 3, 'late', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:10:00', 3, 'late', 'c-1', pg_temp.state(true, '"x"'));
SELECT * FROM pg_temp.periods('late');

-- Told as late, but the versions after its time know it: it was live then.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: delayed', 4);
CALL pg_temp.version('2026-01-01 02:00:00.1', 2, 'delayed', 'd-1');
CALL pg_temp.event('2026-01-01 02:01', '2026-01-01 02:00', 2, 4, 'delayed', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:01', 4, 'delayed', 'd-1', pg_temp.state(true, '"x"'));
CALL pg_temp.version('2026-01-01 02:00:30.1', 2, 'delayed', 'd-2');
CALL pg_temp.event('2026-01-01 02:00:31', '2026-01-01 02:00:30', 2, 4, 'delayed', pg_temp.state(true, '"y"'), pg_temp.state(true, '"x"'));
CALL pg_temp.list('2026-01-01 02:00:31', 4, 'delayed', 'd-2', pg_temp.state(true, '"y"'));
SELECT * FROM pg_temp.periods('delayed');

-- Three that were scheduled go live in reverse: what chains beats what is dated.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: reverse', 5);
CALL pg_temp.event('2026-01-01 02:02', '2026-01-01 02:00', 2, 5, 'reverse', pg_temp.state(true, '"3"'), pg_temp.state(true, '"2"'));
CALL pg_temp.event('2026-01-01 02:01', '2026-01-01 02:00:10', 2, 5, 'reverse', pg_temp.state(true, '"2"'), pg_temp.state(true, '"1"'));
CALL pg_temp.event('2026-01-01 02:00:40', '2026-01-01 02:00:20', 2, 5, 'reverse', pg_temp.state(true, '"1"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:02', 5, 'reverse', 'e-3', pg_temp.state(true, '"3"'));
CALL pg_temp.list('2026-01-01 02:01', 5, 'reverse', 'e-2', pg_temp.state(true, '"2"'));
CALL pg_temp.list('2026-01-01 02:00:40', 5, 'reverse', 'e-1', pg_temp.state(true, '"1"'));
SELECT * FROM pg_temp.periods('reverse');

-- A list that would change the default back without an event stands before it.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: behind', 6);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 6, 'behind', pg_temp.state(true, '"s"'), segment => 6);
CALL pg_temp.list('2026-01-01 02:00:01', 6, 'behind', 'f-1', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'));
CALL pg_temp.event('2026-01-01 02:00:12', '2026-01-01 02:00:11', 2, 6, 'behind', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:00:12', 6, 'behind', 'f-3', pg_temp.state(true, '"x"'));
CALL pg_temp.version('2026-01-01 02:00:14', 2, 'behind', 'f-2');
CALL pg_temp.list('2026-01-01 02:00:15', 6, 'behind', 'f-2', pg_temp.state(false, '"first"'));
SELECT * FROM pg_temp.periods('behind');

-- After a version whose list never came, an override that it does not show may be gone, and another may be there.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: silent', 7);
CALL pg_temp.version('2026-01-01 02:00:00.5', 2, 'silent', 'g-1');
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 7, 'silent', pg_temp.state(true, '"s"'), segment => 6);
CALL pg_temp.list('2026-01-01 02:00:01', 7, 'silent', 'g-1', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'));
CALL pg_temp.version('2026-01-01 03:00:00.5', 2, 'silent', 'g-2');
CALL pg_temp.event('2026-01-01 03:00:01', '2026-01-01 03:00', 2, 7, 'silent', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
-- A list with a state that no event told: an override that nobody knows lives.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: more', 8);
CALL pg_temp.version('2026-01-01 02:00:00.5', 2, 'more', 'h-1');
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 8, 'more', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('2026-01-01 02:00:01', 8, 'more', 'h-1', pg_temp.state(true, '"x"'), pg_temp.state(true, '"unheard"'));
CALL pg_temp.version('2026-01-01 03:00:00.5', 2, 'more', 'h-2');
CALL pg_temp.event('2026-01-01 03:00:01', '2026-01-01 03:00', 2, 8, 'more', pg_temp.state(true, '"y"'), pg_temp.state(true, '"x"'));
CALL pg_temp.list('2026-01-01 03:00:01', 8, 'more', 'h-2', pg_temp.state(true, '"y"'));

-- An environment that is switched to versions: the past before it stays, and the first list is complete.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: switched', 9);
CALL pg_temp.entry('2026-01-01 01:00:00.01', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: switched', 90);
CALL pg_temp.event('2026-01-01 01:00:03', '2026-01-01 01:00:00.01', 1, 9, 'switched', pg_temp.state(false, '"first"'));
CALL pg_temp.entry('2026-01-01 01:10', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''switched'' and segment ''segment 3''', 91);
CALL pg_temp.event('2026-01-01 01:10:03', '2026-01-01 01:10', 1, 9, 'switched', pg_temp.state(true, '3'), segment => 3);
CALL pg_temp.entry('2026-01-01 01:20', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''switched'' and segment ''segment 4''', 92);
CALL pg_temp.event('2026-01-01 01:20:03', '2026-01-01 01:20', 1, 9, 'switched', pg_temp.state(true, '4'), segment => 4);
CALL pg_temp.entry('2026-01-01 01:30', 1, 'FEATURE', 'Flag state / Remote config value deleted for feature ''switched'' and segment ''segment 3''', 9);
CALL pg_temp.entry('2026-01-01 01:40', 1, 'FEATURE_STATE', 'Flag state updated for feature: switched', 90);
-- without versions, the previous state is stale
CALL pg_temp.event('2026-01-01 01:40:03', '2026-01-01 01:40', 1, 9, 'switched', pg_temp.state(true, '"first"'), pg_temp.state(false, '"stale"'));
SELECT * FROM pg_temp.periods('switched');
CALL pg_temp.version('2026-01-01 02:00:00.5', 1, 'switched', 'i-1');
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 1, 9, 'switched', pg_temp.state(true, '5'), segment => 5);
CALL pg_temp.list('2026-01-01 02:00:01', 9, 'switched', 'i-1', pg_temp.state(true, '"first"'), pg_temp.state(true, '5'));
SELECT * FROM pg_temp.periods('switched');

-- A FLAG_DELETED tells the default of a version whose list was made when the feature was gone.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: ended', 10);
CALL pg_temp.version('2026-01-01 02:00:20', 2, 'ended', 'j-1');
CALL pg_temp.list('2026-01-01 02:00:20', 10, 'ended', 'j-1', VARIADIC '{}');
CALL pg_temp.event('2026-01-01 02:00:20', '2026-01-01 01:00', 2, 10, 'ended', NULL, pg_temp.state(false, '"first"'));
CALL pg_temp.event('2026-01-01 02:00:20', '2026-01-01 02:00', 2, 10, 'ended', NULL, pg_temp.state(true, '"x"'));
CALL pg_temp.entry('2026-01-01 02:00:05', NULL, 'FEATURE', 'Flag / Remote Config Deleted: ended', 10);
SELECT * FROM pg_temp.periods('ended');

-- A variant was added and removed between two events that agree, and one was added when the first state was there already.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: variants', 11);
CALL pg_temp.entry('2026-01-01 01:00:00.1', NULL, 'FEATURE', 'Multivariate option added to feature ''variants''.', 11);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 11, 'variants', pg_temp.state(true, '"x"', '{"4": 0}'), pg_temp.state(false, '"first"', '{"4": 0}'));
CALL pg_temp.version('2026-01-01 02:00:00.5', 2, 'variants', 'v-1');
CALL pg_temp.entry('2026-01-01 03:00', NULL, 'FEATURE', 'Multivariate option added to feature ''variants''.', 11);
CALL pg_temp.entry('2026-01-01 04:00', NULL, 'FEATURE', 'Multivariate option removed from feature ''variants''.', 11);
CALL pg_temp.event('2026-01-01 05:00:01', '2026-01-01 05:00', 2, 11, 'variants', pg_temp.state(true, '"y"', '{"4": 0}'), pg_temp.state(true, '"x"', '{"4": 0}'));
SELECT * FROM pg_temp.periods('variants');

-- The override of an experiment changes without a word.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: tried', 12);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 12, 'tried', pg_temp.state(true, '"s"'), segment => 20, segment_name => 'experiment-1-rollout');
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 12, 'tried', pg_temp.state(true, '"t"'), segment => 21, segment_name => 'experiment-x-rollout');
CALL pg_temp.list('2026-01-01 02:00:01', 12, 'tried', 'k-1', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'), pg_temp.state(true, '"t"'));

-- A new override takes the first place and moves the others without a word; those told of together keep their order.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: order', 13);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 13, 'order', pg_temp.state(true, '"1"'), segment => 31, priority => 0);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 13, 'order', pg_temp.state(true, '"2"'), segment => 32, priority => 1);
CALL pg_temp.list('2026-01-01 02:00:01', 13, 'order', 'l-1', pg_temp.state(false, '"first"'), pg_temp.state(true, '"1"'), pg_temp.state(true, '"2"'));
CALL pg_temp.event('2026-01-01 03:00:01', '2026-01-01 03:00', 2, 13, 'order', pg_temp.state(true, '"3"'), segment => 33, priority => 0);
CALL pg_temp.list('2026-01-01 03:00:01', 13, 'order', 'l-2', pg_temp.state(false, '"first"'), pg_temp.state(true, '"1"'), pg_temp.state(true, '"2"'), pg_temp.state(true, '"3"'));
-- nothing that is told changes: perhaps the order does
CALL pg_temp.list('2026-01-01 04:00:01', 13, 'order', 'l-3', pg_temp.state(false, '"first"'), pg_temp.state(true, '"1"'), pg_temp.state(true, '"2"'), pg_temp.state(true, '"3"'));

SELECT * FROM pg_temp.periods('silent');
SELECT * FROM pg_temp.periods('tried');
CREATE TEMP VIEW asked AS
SELECT q.feature, q.at, q.segments, s.enabled, s.value, s.scope, s.confidence, s.cause
FROM (VALUES ('silent', '2026-01-01 02:30'::timestamptz, '{77}'::bigint[]), ('silent', '2026-01-01 03:30', '{77}'), ('silent', '2026-01-01 03:30', '{6}'),
        ('more', '2026-01-01 02:30', '{77}'), ('more', '2026-01-01 02:30', NULL), ('more', '2026-01-01 03:30', '{77}'),
        ('order', '2026-01-01 02:30', '{31,32}'), ('order', '2026-01-01 03:30', '{31,32}'), ('order', '2026-01-01 03:30', '{31,33}'),
        ('order', '2026-01-01 04:30', '{31,32}'), ('order', '2026-01-01 04:30', '{32}')) q (feature, at, segments),
    flagsmith.feature_state('Depot/Staging', q.feature, q.at, q.segments) s;
SELECT * FROM asked;
-- Missing entries make no answer surer: neither that there is no other override, nor which of several comes first.
CREATE TEMP TABLE answered AS SELECT * FROM asked;
BEGIN;
DO $$ BEGIN
    FOR i IN 1..60 LOOP
        CALL pg_temp.entry('2026-01-01 02:15', NULL, 'SEGMENT', 'Segment updated: nobody', 99);
        PERFORM nextval('pg_temp.audit_id') WHERE i = 30;
    END LOOP;
END $$;
SELECT count(*) AS holes FROM flagsmith.missing_audit_entry WHERE source = 'vs';
SELECT feature, at, segments, a.confidence AS before, b.confidence FROM answered a JOIN asked b USING (feature, at, segments)
WHERE a.confidence <> b.confidence ORDER BY 1, 2, 3;
ROLLBACK;
