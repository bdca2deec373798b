-- What was stored later changes no answer about what was known before; and what tells that something lives, that it had not ended.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('later org', source => 'later', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('later env', source => 'later', scope => 'environment', allow_unsigned => true, max_spool_age => NULL);
CREATE FUNCTION pg_temp.state(environment int, feature int, enabled boolean) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'created_date', '2026-03-01T09:00:00.000000Z', 'default_enabled', true, 'initial_value', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Shop')),
        'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
        'enabled', enabled, 'feature_state_value', 1, 'multivariate_feature_state_values', '[]'::jsonb) $$;
CREATE PROCEDURE pg_temp.event(webhook text, at timestamptz, new jsonb, old jsonb DEFAULT NULL) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, received_at, body) VALUES (webhook, at + interval '1 second', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data',
        jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'new_state', new)
        || CASE WHEN old IS NULL THEN '{}' ELSE jsonb_build_object('previous_state', old) END)::text, 'UTF8')) $$;
CREATE PROCEDURE pg_temp.entry(at timestamptz, environment int, type text, log text, uuid text DEFAULT NULL, object int DEFAULT NULL) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, received_at, body) VALUES ('later org', at + interval '1 second', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
        jsonb_build_object('created_date', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'log', log, 'author', NULL, 'is_system_event', false,
            'related_object_id', object, 'related_object_type', type, 'related_object_uuid', uuid, 'project', jsonb_build_object('id', 7, 'name', 'Shop'),
            'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment, 'name', 'env ' || environment) END))::text, 'UTF8')) $$;
CREATE PROCEDURE pg_temp.list(at timestamptz, uuid text, enabled boolean) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, received_at, body) VALUES ('later env', at, convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data',
        jsonb_build_object('uuid', uuid, 'feature', jsonb_build_object('id', 1, 'name', 'flag 1'), 'published_by', NULL, 'feature_states',
            jsonb_build_array(jsonb_build_object('enabled', enabled, 'value', 1, 'multivariate_feature_state_values', '[]'::jsonb))))::text, 'UTF8')) $$;
CREATE FUNCTION pg_temp.answers(known_at timestamptz DEFAULT NULL) RETURNS TABLE (at timestamptz, enabled boolean, confidence flagsmith.confidence, cause text) LANGUAGE sql AS $$
    SELECT a, f.enabled, f.confidence, f.cause FROM generate_series('2026-03-01 08:30Z'::timestamptz, '2026-03-01 12:30Z', '30 min') a,
        LATERAL flagsmith.feature_state(1, 1, a, known_at => answers.known_at, source => 'later') f $$;

-- Whose a version's list is, its entry tells, or the only environment of its webhook; both can be heard of later.
CALL pg_temp.event('later org', '2026-03-01 10:00Z', pg_temp.state(1, 1, false), pg_temp.state(1, 1, true));
CALL pg_temp.list('2026-03-01 11:00:01Z', '5b1e7f3a-1111-4222-8333-444455556601', true);
CREATE TEMP TABLE known AS SELECT 1 AS step, clock_timestamp() AS known_at, a.* FROM pg_temp.answers() a;
CALL pg_temp.entry('2026-03-01 11:00Z', 1, 'EF_VERSION', 'New version published for feature: flag 1', '5b1e7f3a-1111-4222-8333-444455556601');
CALL pg_temp.list('2026-03-01 11:30:01Z', '5b1e7f3a-1111-4222-8333-444455556602', false);
CALL pg_temp.event('later env', '2026-03-01 09:30Z', pg_temp.state(1, 1, true), pg_temp.state(1, 1, true));
INSERT INTO known SELECT 2, clock_timestamp(), a.* FROM pg_temp.answers() a;
CALL pg_temp.event('later env', '2026-03-01 12:15Z', pg_temp.state(2, 1, true), pg_temp.state(2, 1, false));
SELECT step, count(*) AS answers, count(DISTINCT enabled) AS states FROM known GROUP BY step ORDER BY step;
SELECT (SELECT count(*) FROM (SELECT at, enabled, confidence, cause FROM known WHERE step = 1 EXCEPT SELECT * FROM pg_temp.answers((SELECT max(known_at) FROM known WHERE step = 1))) d) AS first_differs,
    (SELECT count(*) FROM (SELECT at, enabled, confidence, cause FROM known WHERE step = 2 EXCEPT SELECT * FROM pg_temp.answers((SELECT max(known_at) FROM known WHERE step = 2))) d) AS second_differs,
    (SELECT count(*) > 0 FROM (SELECT at, enabled, confidence, cause FROM known WHERE step = 1 EXCEPT SELECT * FROM pg_temp.answers()) d) AS later_differs;

-- The entry that a feature was deleted is lost, and what is left of it looks like the end of its environment.  A flag that is made later and
-- has an event there says otherwise, in every door.
CALL pg_temp.event('later org', '2026-03-01 10:00Z', pg_temp.state(3, 3, true));
CALL pg_temp.entry('2026-03-01 08:00Z', 3, 'FEATURE_STATE', 'Flag / Remote Config Deleted: flag 4', object => 40);
CALL pg_temp.event('later org', '2026-03-01 07:00Z', pg_temp.state(3, 4, true) #- '{feature,created_date}');
CALL pg_temp.entry('2026-03-01 09:00Z', NULL, 'FEATURE', 'New Flag / Remote Config created: flag 3', object => 3);
SELECT f.enabled, f.confidence, f.cause, flagsmith.is_feature_enabled(3, 3, '2026-03-01 11:00Z'::timestamptz, source => 'later') AS scalar,
    (SELECT count(*) FROM flagsmith.flag_timeline t WHERE t.source = 'later' AND t.feature_id = 3) > 0 AS told
FROM flagsmith.feature_state(3, 3, '2026-03-01 11:00Z', source => 'later') f;
