-- What a flag is made as, and whom an entry about its beginning means.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('initial', NULL, source => 'initial', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);

-- An audit entry of a second of 2026-01-01, which arrives two seconds later.
CREATE SEQUENCE pg_temp.audit_id;
CREATE PROCEDURE pg_temp.entry(at text, environment int, type text, log text, object int, creating boolean DEFAULT false)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('initial', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', nextval('pg_temp.audit_id'), 'created_date', to_char(('2026-01-01 ' || at)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'log', log, 'author', NULL, 'is_system_event', false, 'related_object_id', object,
        'related_object_type', type, 'related_object_uuid', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1, 'prevent_flag_defaults', false),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment,
            'name', 'env ' || environment, 'is_creating', creating, 'use_v2_feature_versioning', environment = 1) END))::text, 'UTF8'),
        ('2026-01-01 ' || at)::timestamptz + interval '2 s') $$;

-- A flag event, which tells what the flag was made with.
CREATE PROCEDURE pg_temp.event(at text, feature int, initial text)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('initial', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', to_char(('2026-01-01 ' || at)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('enabled', true, 'feature_state_value', 'later', 'multivariate_feature_state_values', '[]'::jsonb,
            'environment', jsonb_build_object('id', 1, 'name', 'env 1'), 'identity', NULL, 'identity_identifier', NULL,
            'feature_segment', NULL, 'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD',
                'default_enabled', false, 'initial_value', initial, 'created_date', '2026-01-01T02:00:00.000000Z', 'description', NULL,
                'project', jsonb_build_object('id', 7, 'name', 'Shop')))))::text, 'UTF8'),
        ('2026-01-01 ' || at)::timestamptz + interval '2 s') $$;

-- A word that Python's int() takes is an integer, below 2^31 - 1, and the four words for true and false are those.
CALL pg_temp.entry('01:00:00', 1, 'ENVIRONMENT', 'New Environment created: env 1', 1);
CREATE TEMP TABLE made AS SELECT 100 + n AS feature, word, stands_for
FROM (VALUES (1, '007', '7'), (2, '-0', '0'), (3, '+4', '4'), (4, ' 3 ', '3'), (5, '1_0', '10'), (6, '1234567890', '1234567890'),
    (7, '2147483646', '2147483646'), (8, '-2147483646', '-2147483646'), (9, 'True', 'true'), (10, 'false', 'false'), (11, 'False', 'false'),
    (12, '2147483647', '"2147483647"'), (13, '-2147483647', '"-2147483647"'), (14, '99999999999999999999', '"99999999999999999999"'),
    (15, '1__0', '"1__0"'), (16, '_1', '"_1"'), (17, '1_', '"1_"'), (18, '-', '"-"'), (19, '', '""'), (20, '1.0', '"1.0"'),
    (21, 'TRUE', '"TRUE"'), (22, '- 1', '"- 1"'), (23, '1 1', '"1 1"'), (24, '0x7', '"0x7"'), (25, 'null', '"null"'), (26, NULL, 'null')) w (n, word, stands_for);
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT * FROM made LOOP
        CALL pg_temp.entry('02:00:00', NULL, 'FEATURE', 'New Flag / Remote Config created: flag ' || made.feature, made.feature);
        CALL pg_temp.event('03:00:00', made.feature, made.word);
    END LOOP;
END $$;
SELECT word, flagsmith.get_feature_value('initial/Shop/env 1', 'flag ' || feature, '2026-01-01 02:30Z') AS initial
FROM made ORDER BY feature;
SELECT count(*) FROM made
WHERE flagsmith.get_feature_value('initial/Shop/env 1', 'flag ' || feature, '2026-01-01 02:30Z') IS DISTINCT FROM stands_for::jsonb;

-- A flag is deleted and made again under its name within a second: the deletion does not end the new one.
CALL pg_temp.entry('04:00:00', NULL, 'FEATURE', 'New Flag / Remote Config created: again', 200);
CALL pg_temp.entry('05:00:00', 1, 'FEATURE_STATE', 'Flag / Remote Config Deleted: again', 900);
CALL pg_temp.entry('05:00:00.01', NULL, 'FEATURE', 'Flag / Remote Config Deleted: again', 200);
CALL pg_temp.entry('05:00:00.8', NULL, 'FEATURE', 'New Flag / Remote Config created: again', 201);
SELECT feature_id, to_char(lower(period), 'HH24:MI:SS.MS') AS since, enabled, confidence, cause
FROM flagsmith.flag_timeline WHERE feature = 'again' ORDER BY feature_id, period;

-- A copy of an environment has its source's state, which its first event tells: every door says so.
CALL pg_temp.entry('06:00:00', 2, 'ENVIRONMENT', 'New Environment created: env 2', 2, creating => true);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
VALUES ('initial', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', (SELECT jsonb_build_object(
    'changed_by', 'ada@example.com', 'timestamp', '2026-01-01T07:00:00.000000Z',
    'new_state', nested || '{"enabled": true, "feature_state_value": "later"}',
    'previous_state', nested || '{"enabled": false, "feature_state_value": "of the source"}')
    FROM jsonb_build_object('multivariate_feature_state_values', '[]'::jsonb, 'environment', jsonb_build_object('id', 2, 'name', 'env 2'),
        'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL, 'feature', jsonb_build_object('id', 120, 'name', 'flag 120',
        'type', 'STANDARD', 'default_enabled', false, 'initial_value', '1.0', 'created_date', '2026-01-01T02:00:00.000000Z', 'description', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'Shop'))) nested))::text, 'UTF8'), '2026-01-01 07:00:02Z');
SELECT value, confidence, cause FROM flagsmith.feature_state('initial/Shop/env 2', 'flag 120', '2026-01-01 06:30Z');
SELECT flagsmith.get_feature_value('initial/Shop/env 2', 'flag 120', '2026-01-01 06:30Z');
