-- How late the entries beside a hole came is told by their first arrival, also where one that came again was stored before it.
SET TimeZone = 'UTC';
BEGIN;
CREATE FUNCTION pg_temp.at(second numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + second * interval '1 second' $$;
CREATE FUNCTION pg_temp.stamp(second numeric) RETURNS text LANGUAGE sql AS
$$ SELECT to_char(pg_temp.at(second), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE TABLE pg_temp.arrival (arrived numeric, body jsonb);
-- What is there, to two webhooks of a source each: in the order of its arrival, and backward.
CREATE PROCEDURE pg_temp.in_both_orders(what text) LANGUAGE sql AS $$
    SELECT flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL)
    FROM unnest(ARRAY[what || ' forward', what || ' backward']) AS name;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT what || ' forward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT what || ' backward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived DESC;
    DELETE FROM pg_temp.arrival;
$$;
-- An audit entry of the project, beside what else it has.
CREATE FUNCTION pg_temp.entry(id bigint, second numeric, log text, object_type text, environment text, more jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
        jsonb_build_object('id', id, 'created_date', pg_temp.stamp(second), 'author', NULL, 'is_system_event', false,
            'related_object_id', 1, 'related_object_uuid', NULL, 'log', log, 'related_object_type', object_type,
            'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', 1, 'name', environment) END,
            'project', jsonb_build_object('id', 7, 'name', 'Twice', 'organisation', 1)) || more)
$$;
-- An entry for each 100 seconds, a second late, but for the one that never came; the one behind it comes again after 40 seconds.
-- The third is of the flag.
INSERT INTO pg_temp.arrival
SELECT id * 100 + late, CASE WHEN id = 3 THEN pg_temp.entry(id, id * 100, 'Remote config value updated for feature: flag', 'FEATURE_STATE', 'env')
    ELSE pg_temp.entry(id, id * 100, 'Segment updated: s', 'SEGMENT', NULL) END
FROM generate_series(1, 12) AS id, unnest(ARRAY[1, 40]) AS late
WHERE id <> 6 AND (late = 1 OR id = 7);
CREATE TABLE pg_temp.state AS SELECT '{"enabled": true, "feature_state_value": 1, "multivariate_feature_state_values": [], "identity": null,
    "identity_identifier": null, "feature_segment": null, "environment": {"id": 1, "name": "env"}, "feature": {"id": 1, "name": "flag",
    "type": "STANDARD", "default_enabled": true, "initial_value": null, "created_date": "2026-01-01T00:00:00.000000Z",
    "description": null, "project": {"id": 7, "name": "Twice"}}}'::jsonb AS state;
INSERT INTO pg_temp.arrival
SELECT 301.1, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(300), 'new_state', state, 'previous_state', state || '{"feature_state_value": 0}'))
FROM pg_temp.state;
CALL pg_temp.in_both_orders('twice');
-- Both the same: nothing was later than usual.
SELECT source, first_audit_id, last_audit_id, earliest, latest FROM flagsmith.missing_audit_entry WHERE source LIKE 'twice %' ORDER BY 1 DESC;
SELECT source, period, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'twice %' ORDER BY 1 DESC, 2;

-- So is by how much the receiver's clock was behind: an entry came 0.29 s before its time, and again so many seconds behind it, and an
-- event 0.27 s before its own.
CREATE PROCEDURE pg_temp.by_a_slow_clock(what text, again numeric) LANGUAGE sql AS $$
    INSERT INTO pg_temp.arrival
    SELECT 0.03 + late, pg_temp.entry(14, 0.03, 'Multivariate option added to feature ''flag''.', 'FEATURE', NULL)
    FROM unnest(ARRAY[-0.29, again]) AS late;
    INSERT INTO pg_temp.arrival
    SELECT 99.73, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', pg_temp.stamp(100), 'previous_state', state || jsonb_build_object('multivariate_feature_state_values', jsonb_build_array(a)),
        'new_state', state || jsonb_build_object('enabled', false, 'multivariate_feature_state_values', jsonb_build_array(a, b))))
    FROM pg_temp.state,
        (SELECT '{"id": 1, "percentage_allocation": 10.0, "multivariate_feature_option": {"id": 1, "value": "a"}}'::jsonb AS a,
            '{"id": 2, "percentage_allocation": 20.0, "multivariate_feature_option": {"id": 2, "value": "b"}}'::jsonb AS b) AS o;
    CALL pg_temp.in_both_orders(what);
$$;
CALL pg_temp.by_a_slow_clock('behind', 11);
SELECT source, period, enabled, variants, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'behind %' ORDER BY 1 DESC, 2;
-- And where it came again within some seconds, so that the later copy alone would not look late.
CALL pg_temp.by_a_slow_clock('soon', 3);
SELECT source, period, enabled, variants, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'soon %' ORDER BY 1 DESC, 2;

-- So is when a version went live that an entry tells of, by a clock that is behind: it came 0.2 s before its time, and again.
INSERT INTO pg_temp.arrival
SELECT 1.8 + late, pg_temp.entry(4, 2, 'New version published for feature: flag', 'EF_VERSION', 'env',
    '{"related_object_id": null, "related_object_uuid": "00000000-0000-4000-b000-00000000000f"}')
FROM unnest(ARRAY[0, 3]) AS late;
INSERT INTO pg_temp.arrival
SELECT 2.2, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(0.5), 'new_state', state, 'previous_state', state || '{"enabled": false}'))
FROM pg_temp.state;
CALL pg_temp.in_both_orders('version');
SELECT source, period, enabled, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'version %' ORDER BY 1 DESC, 2;

-- Of two events of one time, whose order nothing but their arrival tells, the first shows what the next save of a line was.
INSERT INTO pg_temp.arrival
SELECT at + late, pg_temp.entry(id, at, log, 'FEATURE_STATE', 'env',
    '{"author": {"id": 1, "email": "ada@example.com", "first_name": "A", "last_name": "L"}}')
FROM (VALUES (4, 100, -0.15, 'Flag state updated for feature: flag'),
    (5, 346.3, -0.15, 'Remote config value updated for feature: flag')) AS e (id, at, late, log);
INSERT INTO pg_temp.arrival
SELECT arrived, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(at), 'new_state', state || jsonb_build_object('enabled', e.enabled, 'feature_state_value', e.value),
    'previous_state', state || jsonb_build_object('enabled', NOT e.enabled, 'feature_state_value', e.before)))
FROM pg_temp.state, (VALUES (99.86, 100, true, 1, 0), (346.16, 100, true, 2, 1),
    (346.2, 346.35, false, 2, 1), (591.6, 346.35, false, 3, 2)) AS e (arrived, at, enabled, value, before);
CALL pg_temp.in_both_orders('next');
SELECT source, at, summary FROM flagsmith.history WHERE source LIKE 'next %' ORDER BY 1 DESC, 2, 3;
ROLLBACK;
