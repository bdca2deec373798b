-- What one person does within a second, a line for each act.
SET TimeZone = 'UTC';
BEGIN;
SELECT count(*) FROM flagsmith.add_webhook('spree', NULL, source => 'spree', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('spree env', NULL, source => 'spree', scope => 'environment', environment_id => 1,
    allow_unsigned => true, max_spool_age => NULL);
CREATE FUNCTION pg_temp.at(second numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + second * interval '1 second' $$;
CREATE FUNCTION pg_temp.told(second numeric) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(pg_temp.at(second), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE PROCEDURE pg_temp.deliver(webhook text, arrived numeric, event_type text, data jsonb) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (webhook, convert_to(jsonb_build_object('event_type', event_type, 'data', data)::text, 'UTF8'), pg_temp.at(arrived)) $$;
CREATE PROCEDURE pg_temp.entry(id int, second numeric, arrived numeric, log text, type text, uuid text) LANGUAGE sql AS $$
    CALL pg_temp.deliver('spree', arrived, 'AUDIT_LOG_CREATED', jsonb_build_object('id', id, 'created_date', pg_temp.told(second),
        'author', jsonb_build_object('id', 1, 'email', 'ada@example.com', 'first_name', 'Ada', 'last_name', 'Quill'), 'is_system_event', false,
        'log', log, 'related_object_type', type, 'related_object_uuid', uuid, 'related_object_id', CASE WHEN uuid IS NULL THEN 1 END,
        'environment', CASE WHEN uuid IS NOT NULL THEN jsonb_build_object('id', 1, 'name', 'env', 'use_v2_feature_versioning', true) END,
        'project', jsonb_build_object('id', 7, 'name', 'Spree', 'organisation', 1))) $$;
CREATE PROCEDURE pg_temp.version(uuid text, second numeric, enabled boolean, arrived numeric, listed numeric) LANGUAGE plpgsql AS $$
DECLARE
    state jsonb := '{"feature_state_value": null, "multivariate_feature_state_values": [], "identity": null, "identity_identifier": null,
        "feature_segment": null, "environment": {"id": 1, "name": "env"}, "feature": {"id": 1, "name": "flag", "type": "STANDARD",
        "default_enabled": true, "initial_value": null, "created_date": "2026-01-01T00:00:00.000000Z", "description": null,
        "project": {"id": 7, "name": "Spree"}}}';
BEGIN
    CALL pg_temp.deliver('spree', arrived, 'FLAG_UPDATED', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', pg_temp.told(second),
        'new_state', state || jsonb_build_object('enabled', enabled), 'previous_state', state || jsonb_build_object('enabled', NOT enabled)));
    IF listed IS NULL THEN
        RETURN;
    END IF;
    -- the override of a segment is off, as the flag sometimes is
    CALL pg_temp.deliver('spree env', listed, 'NEW_VERSION_PUBLISHED', jsonb_build_object('uuid', uuid,
        'feature', jsonb_build_object('id', 1, 'name', 'flag'), 'published_by', jsonb_build_object('id', 1, 'email', 'ada@example.com'),
        'feature_states', jsonb_build_array(jsonb_build_object('enabled', enabled, 'value', NULL, 'multivariate_feature_state_values', '[]'::jsonb),
            jsonb_build_object('enabled', false, 'value', NULL, 'multivariate_feature_state_values', '[]'::jsonb))));
END $$;
-- A switch, off, on and off again; the entry of one version is nearer to the event of the next one than its own is.
CALL pg_temp.version('a', 22.011, false, 23.08, 24.42);
CALL pg_temp.version('b', 22.294, true, 23.09, 23.07);
CALL pg_temp.version('c', 23.203, false, 24.45, 25.53);
CALL pg_temp.entry(1, 22.433, 23.12, 'New version published for feature: flag', 'EF_VERSION', 'a');
CALL pg_temp.entry(2, 22.914, 23.73, 'New version published for feature: flag', 'EF_VERSION', 'b');
CALL pg_temp.entry(3, 24.011, 24.38, 'New version published for feature: flag', 'EF_VERSION', 'c');
-- The same where no lists come.
CALL pg_temp.version('e', 63.203, true, 64.4, NULL);
CALL pg_temp.entry(4, 62.95, 63.7, 'New version published for feature: flag', 'EF_VERSION', 'd');
CALL pg_temp.entry(5, 63.6, 64.3, 'New version published for feature: flag', 'EF_VERSION', 'e');
-- Two variants are added by one click each.
CALL pg_temp.entry(6, 90, 91.2, 'Multivariate option added to feature ''flag''.', 'FEATURE', NULL);
CALL pg_temp.entry(7, 90.08, 91.3, 'Multivariate option added to feature ''flag''.', 'FEATURE', NULL);
SELECT at, action, object, enabled_before, enabled, audit_id, cardinality(delivery_ids) AS deliveries FROM flagsmith.history
WHERE source = 'spree' ORDER BY at;
ROLLBACK;
