-- States that were read in the middle of the next save, without a task processor: each event bears the time of the save before.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('late reading', NULL, source => 'lr', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);

CREATE PROCEDURE pg_temp.event(arrived timestamptz, at timestamptz, enabled boolean, value text, was text)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'late reading', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', nested || jsonb_build_object('enabled', enabled, 'feature_state_value', value),
        'previous_state', nested || jsonb_build_object('enabled', false, 'feature_state_value', was)))::text, 'UTF8'), arrived
    FROM (SELECT jsonb_build_object('multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
        'environment', '{"id": 1, "name": "Production"}'::jsonb,
        'feature', '{"id": 3, "name": "checkout", "type": "STANDARD", "default_enabled": false, "initial_value": null, "description": null,
            "created_date": "2026-05-01T10:00:00.000000Z", "project": {"id": 7, "name": "Shop"}}'::jsonb) AS nested) n $$;

CREATE PROCEDURE pg_temp.entry(id int, at timestamptz, log text)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('late reading', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', id, 'log', log,
        'created_date', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'author', NULL, 'is_system_event', false,
        'related_object_id', 3, 'related_object_type', 'FEATURE_STATE', 'related_object_uuid', NULL,
        'project', '{"id": 7, "name": "Shop", "organisation": 1, "prevent_flag_defaults": false}'::jsonb,
        'environment', '{"id": 1, "name": "Production"}'::jsonb))::text, 'UTF8'), at + interval '0.2 s') $$;

-- One value was saved at 10:10:00, another at 10:10:02: the event of the first was read when the second was there, and that of the second
-- when a third was.  So what the first one has is not its own for sure, although the next one has another.
CALL pg_temp.entry(1, '2026-05-01 10:10:00', 'Remote config value updated for feature: checkout');
CALL pg_temp.entry(2, '2026-05-01 10:10:02', 'Remote config value updated for feature: checkout');
CALL pg_temp.event('2026-05-01 10:10:02.2', '2026-05-01 10:10:00.04', false, 'second', 'before');
CALL pg_temp.entry(3, '2026-05-01 10:10:30', 'Remote config value updated for feature: checkout');
CALL pg_temp.entry(4, '2026-05-01 10:10:30.02', 'Flag state updated for feature: checkout');
CALL pg_temp.event('2026-05-01 10:10:30.18', '2026-05-01 10:10:02.02', false, 'third', 'second');
CALL pg_temp.event('2026-05-01 10:10:30.2', '2026-05-01 10:10:30.02', true, 'third', 'second');
CALL pg_temp.entry(5, '2026-05-01 10:20:00', 'Flag state updated for feature: another');

SELECT period, enabled, value, confidence, cause FROM flagsmith.flag_timeline WHERE source = 'lr' ORDER BY period;
-- A lookup reads as far.
SELECT enabled, value, confidence, cause FROM flagsmith.feature_state('Production', 'checkout', '2026-05-01 10:10:01');
SELECT enabled, value, confidence, cause FROM flagsmith.feature_state('Production', 'checkout', '2026-05-01 10:10:10');
SELECT enabled, value, confidence, cause FROM flagsmith.feature_state('Production', 'checkout', '2026-05-01 10:11:00');
