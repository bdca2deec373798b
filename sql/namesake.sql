-- Several identities that bear one identifier: what was there before an act is the youngest's, in any order of insertion; before one of
-- a younger identity there was nothing, since the older was deleted.
SET TimeZone = 'UTC';

BEGIN;
SELECT count(flagsmith.add_webhook(name, allow_unsigned => true, source => name, max_spool_age => NULL))
FROM unnest('{older first,younger first}'::text[]) name;

CREATE FUNCTION pg_temp.deliver(webhook text, at int, identity int, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (webhook, convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('feature', '{"id": 71, "name": "quick", "type": "STANDARD", "project": {"id": 7, "name": "Shop"}}'::jsonb,
            'environment', '{"id": 72, "name": "Production"}'::jsonb, 'identity', identity, 'identity_identifier', 'ada',
            'feature_segment', NULL, 'enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb)))::text,
        'UTF8'), timestamptz '2026-11-01 12:00Z' + (at + 2) * interval '1 second');
END
$$;

DO $$
BEGIN
    PERFORM pg_temp.deliver('older first', at, at, 'v' || at) FROM unnest('{1,2,10,40}'::int[]) at;
    PERFORM pg_temp.deliver('younger first', at, at, 'v' || at) FROM unnest('{40,10,2,1}'::int[]) at;
    PERFORM pg_temp.deliver(source, 200, 40, 'v200') FROM unnest('{older first,younger first}'::text[]) source;
    PERFORM pg_temp.deliver(source, 300, 10, 'v300') FROM unnest('{older first,younger first}'::text[]) source;
END
$$;
SELECT source, at::time, value, value_before FROM flagsmith.history WHERE identity_identifier = 'ada' ORDER BY source, at;
ROLLBACK;

-- A flag was deleted, and one of its name is made anew, of which only another environment tells: what removed the old one has no say.
BEGIN;
SELECT flagsmith.add_webhook('anew', allow_unsigned => true, source => 'anew', max_spool_age => NULL) IS NOT NULL AS registered;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'anew', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('created_date', at, 'log', log,
    'related_object_type', type, 'related_object_id', 1, 'project', '{"id": 7, "name": "Shop", "prevent_flag_defaults": false}'::jsonb,
    'environment', '{"id": 1, "name": "Production"}'::jsonb))::text, 'UTF8'), at::timestamptz + interval '2 s'
FROM (VALUES ('2026-11-01T12:00:00Z', 'New Environment created: Production', 'ENVIRONMENT'),
    ('2026-11-01T12:00:10Z', 'Flag / Remote Config Deleted: cart', 'FEATURE_STATE')) entry (at, log, type);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
VALUES ('anew', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', '2026-11-01T12:02:00.000000Z',
    'new_state', jsonb_build_object('feature', jsonb_build_object('id', 2, 'name', 'cart', 'type', 'STANDARD', 'default_enabled', true, 'initial_value', 'x',
        'created_date', '2026-11-01T12:01:40.000000Z', 'project', '{"id": 7, "name": "Shop"}'::jsonb), 'environment', '{"id": 2, "name": "Staging"}'::jsonb, 'identity', NULL,
        'identity_identifier', NULL, 'feature_segment', NULL, 'enabled', false, 'feature_state_value', 'y', 'multivariate_feature_state_values', '[]'::jsonb)))::text, 'UTF8'), '2026-11-01T12:02:02Z');
SELECT flagsmith.is_feature_enabled(1, 2, '2026-11-01T12:03Z', source => 'anew'), flagsmith.get_feature_value(1, 2, '2026-11-01T12:03Z', source => 'anew'), enabled, value, cause
FROM flagsmith.feature_state(1, 2, '2026-11-01T12:03Z', source => 'anew');
ROLLBACK;
