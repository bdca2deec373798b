-- How late the entries beside a hole came is told by their first arrival, also where one that came again was stored before it.
SET TimeZone = 'UTC';
BEGIN;
SELECT count(flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL))
FROM unnest(ARRAY['twice forward', 'twice backward']) AS name;
CREATE FUNCTION pg_temp.at(second numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + second * interval '1 second' $$;
CREATE FUNCTION pg_temp.stamp(second numeric) RETURNS text LANGUAGE sql AS
$$ SELECT to_char(pg_temp.at(second), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE TABLE pg_temp.arrival (arrived numeric, body jsonb);
-- An entry for each 100 seconds, a second late, but for the one that never came; the one behind it comes again after 40 seconds.
-- The third is of the flag.
INSERT INTO pg_temp.arrival
SELECT id * 100 + late, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
    jsonb_build_object('id', id, 'created_date', pg_temp.stamp(id * 100), 'author', NULL, 'is_system_event', false,
        'related_object_id', 1, 'related_object_uuid', NULL, 'project', jsonb_build_object('id', 7, 'name', 'Twice', 'organisation', 1))
    || CASE WHEN id = 3 THEN jsonb_build_object('log', 'Remote config value updated for feature: flag',
            'related_object_type', 'FEATURE_STATE', 'environment', jsonb_build_object('id', 1, 'name', 'env'))
        ELSE jsonb_build_object('log', 'Segment updated: s', 'related_object_type', 'SEGMENT', 'environment', NULL) END)
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
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'twice forward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'twice backward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived DESC;
-- Both the same: nothing was later than usual.
SELECT source, first_audit_id, last_audit_id, earliest, latest FROM flagsmith.missing_audit_entry WHERE source LIKE 'twice %' ORDER BY 1 DESC;
SELECT source, period, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'twice %' ORDER BY 1 DESC, 2;

-- So is by how much the receiver's clock was behind: an entry came 0.29 s before its time, and again, and an event 0.27 s before its own.
SELECT count(flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL))
FROM unnest(ARRAY['behind forward', 'behind backward']) AS name;
TRUNCATE pg_temp.arrival;
INSERT INTO pg_temp.arrival
SELECT 0.03 + late, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
    jsonb_build_object('id', 14, 'created_date', pg_temp.stamp(0.03), 'author', NULL, 'is_system_event', false, 'environment', NULL,
        'related_object_id', 1, 'related_object_uuid', NULL, 'log', 'Multivariate option added to feature ''flag''.',
        'related_object_type', 'FEATURE', 'project', jsonb_build_object('id', 7, 'name', 'Twice', 'organisation', 1)))
FROM unnest(ARRAY[-0.29, 11]) AS late;
INSERT INTO pg_temp.arrival
SELECT 99.73, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(100), 'previous_state', state || jsonb_build_object('multivariate_feature_state_values', jsonb_build_array(a)),
    'new_state', state || jsonb_build_object('enabled', false, 'multivariate_feature_state_values', jsonb_build_array(a, b))))
FROM pg_temp.state,
    (SELECT '{"id": 1, "percentage_allocation": 10.0, "multivariate_feature_option": {"id": 1, "value": "a"}}'::jsonb AS a,
        '{"id": 2, "percentage_allocation": 20.0, "multivariate_feature_option": {"id": 2, "value": "b"}}'::jsonb AS b) AS o;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'behind forward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'behind backward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived DESC;
SELECT source, period, enabled, variants, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'behind %' ORDER BY 1 DESC, 2;

-- So is when a version went live that an entry tells of, by a clock that is behind: it came 0.2 s before its time, and again.
SELECT count(flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL))
FROM unnest(ARRAY['version forward', 'version backward']) AS name;
TRUNCATE pg_temp.arrival;
INSERT INTO pg_temp.arrival
SELECT 1.8 + late, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
    jsonb_build_object('id', 4, 'created_date', pg_temp.stamp(2), 'author', NULL, 'is_system_event', false,
        'related_object_id', NULL, 'related_object_uuid', '00000000-0000-4000-b000-00000000000f', 'log', 'New version published for feature: flag',
        'related_object_type', 'EF_VERSION', 'environment', jsonb_build_object('id', 1, 'name', 'env'),
        'project', jsonb_build_object('id', 7, 'name', 'Twice', 'organisation', 1)))
FROM unnest(ARRAY[0, 3]) AS late;
INSERT INTO pg_temp.arrival
SELECT 2.2, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(0.5), 'new_state', state, 'previous_state', state || '{"enabled": false}'))
FROM pg_temp.state;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'version forward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'version backward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived DESC;
SELECT source, period, enabled, confidence, cause FROM flagsmith.flag_timeline WHERE source LIKE 'version %' ORDER BY 1 DESC, 2;

-- Of two events of one time, whose order nothing but their arrival tells, the first shows what the next save of a line was.
SELECT count(flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL))
FROM unnest(ARRAY['next forward', 'next backward']) AS name;
TRUNCATE pg_temp.arrival;
INSERT INTO pg_temp.arrival
SELECT at + late, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
    jsonb_build_object('id', id, 'created_date', pg_temp.stamp(at), 'is_system_event', false,
        'author', '{"id": 1, "email": "ada@example.com", "first_name": "A", "last_name": "L"}'::jsonb,
        'related_object_id', 1, 'related_object_uuid', NULL, 'log', log, 'related_object_type', 'FEATURE_STATE',
        'environment', jsonb_build_object('id', 1, 'name', 'env'), 'project', jsonb_build_object('id', 7, 'name', 'Twice', 'organisation', 1)))
FROM (VALUES (4, 100, -0.15, 'Flag state updated for feature: flag'),
    (5, 346.3, -0.15, 'Remote config value updated for feature: flag')) AS e (id, at, late, log);
INSERT INTO pg_temp.arrival
SELECT arrived, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
    'timestamp', pg_temp.stamp(at), 'new_state', state || jsonb_build_object('enabled', e.enabled, 'feature_state_value', e.value),
    'previous_state', state || jsonb_build_object('enabled', NOT e.enabled, 'feature_state_value', e.before)))
FROM pg_temp.state, (VALUES (99.86, 100, true, 1, 0), (346.16, 100, true, 2, 1),
    (346.2, 346.35, false, 2, 1), (591.6, 346.35, false, 3, 2)) AS e (arrived, at, enabled, value, before);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'next forward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'next backward', convert_to(body::text, 'UTF8'), pg_temp.at(arrived) FROM pg_temp.arrival ORDER BY arrived DESC;
SELECT source, at, summary FROM flagsmith.history WHERE source LIKE 'next %' ORDER BY 1 DESC, 2, 3;
ROLLBACK;
