-- Lines of the view history that nothing but distance or known names tells apart.
SET timezone = 'UTC';
SELECT flagsmith.add_webhook('apart', source => 'apart', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;
CREATE PROCEDURE pg_temp.entry(at numeric, type text, log text, related int DEFAULT NULL, author text DEFAULT 'ada@example.com')
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('apart', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'created_date', to_char(timestamp '2026-11-01 12:00' + at * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'log', log, 'related_object_id', related,
        'related_object_type', type, 'is_system_event', author IS NULL, 'project', jsonb_build_object('id', 7, 'name', 'Shop'),
        'author', CASE WHEN author IS NOT NULL THEN jsonb_build_object('id', 1, 'email', author, 'first_name', '', 'last_name', '') END,
        'environment', CASE WHEN type <> 'FEATURE' AND type <> 'SEGMENT' THEN jsonb_build_object('id', 1, 'name', 'env') END))::text, 'UTF8'),
        timestamptz '2026-11-01 12:00Z' + (at + 2) * interval '1 s') $$;
CREATE TEMP VIEW told AS
SELECT to_char(at, 'MI:SS.MS') AS at, actor, action, change_request AS request, feature, feature_id AS f, segment, identity_identifier AS identity, cardinality(delivery_ids) AS n
FROM flagsmith.history WHERE source = 'apart' ORDER BY history.at, act;

-- A save takes some milliseconds from one entry to the next: those of a person that are farther apart are two saves.
BEGIN;
CALL pg_temp.entry(0, 'FEATURE_STATE', 'Remote config value updated for feature: near');
CALL pg_temp.entry(0.175, 'FEATURE_STATE', 'Flag state updated for feature: near');
CALL pg_temp.entry(60, 'FEATURE_STATE', 'Remote config value updated for feature: far');
CALL pg_temp.entry(60.176, 'FEATURE_STATE', 'Flag state updated for feature: far');
CALL pg_temp.entry(120, 'FEATURE_STATE', 'Multivariate value changed for feature ''many''.', 9);
CALL pg_temp.entry(120.02, 'FEATURE_STATE', 'Multivariate value changed for feature ''many''.', 9);
CALL pg_temp.entry(120.22, 'FEATURE_STATE', 'Multivariate value changed for feature ''many''.', 9);
SELECT * FROM told;
ROLLBACK;

-- The title of a change request has the words that a longer name of the flag would have: the flag that is known is meant.
BEGIN;
CALL pg_temp.entry(0, 'FEATURE', 'New Flag / Remote Config created: cart', 1);
CALL pg_temp.entry(60, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: cart by Change Request: x by Change Request: y', 100, NULL);
CALL pg_temp.entry(120, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: cart by Change Request: x by Change Request: z by Change Request: ', 100, NULL);
SELECT * FROM told;
SELECT feature, change_request FROM flagsmith.history WHERE source = 'apart' AND feature = 'cart' AND action = 'committed' ORDER BY at;
-- Of two that are known, neither.
CALL pg_temp.entry(30, 'FEATURE', 'New Flag / Remote Config created: cart by Change Request: x', 2);
SELECT * FROM told;
ROLLBACK;

-- An identifier, a segment or a flag has the words of the message: those that are known are meant.
BEGIN;
CALL pg_temp.entry(0, 'FEATURE', 'New Flag / Remote Config created: cart', 1);
CALL pg_temp.entry(1, 'FEATURE', 'New Flag / Remote Config created: a'' and segment ''b', 2);
CALL pg_temp.entry(2, 'SEGMENT', 'New Segment created: c', 5);
CALL pg_temp.entry(3, 'SEGMENT', 'New Segment created: d'' and segment ''e', 6);
CALL pg_temp.entry(60, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''a'' and segment ''b'' and segment ''c''', 100);
CALL pg_temp.entry(61, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''cart'' and segment ''d'' and segment ''e''', 101);
CALL pg_temp.entry(62, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''cart'' and identity ''u'' and segment ''v''', 102);
CALL pg_temp.entry(63, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''who'' and segment ''knows'' and segment ''it''', 103);
SELECT * FROM told;
SELECT feature, segment, identity_identifier FROM flagsmith.history WHERE source = 'apart' AND feature = 'cart' AND at > '2026-11-01 12:01Z' ORDER BY at;
SELECT count(*) = count(DISTINCT id) AND count(*) = 8 AS all_told
FROM flagsmith.delivery d JOIN (SELECT unnest(delivery_ids) AS id FROM flagsmith.history) h USING (id) WHERE source = 'apart';
ROLLBACK;
-- Two versions, whose entries were written in the other order: the change request belongs to the one whose list came behind it.
BEGIN;
CREATE PROCEDURE pg_temp.version(at numeric, arrived numeric, uuid text) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('apart', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('log', 'New version published for feature: cart',
        'created_date', to_char(timestamp '2026-11-01 12:00' + at * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'related_object_uuid', uuid, 'related_object_type', 'EF_VERSION',
        'is_system_event', false, 'author', '{"id": 1, "email": "ada@example.com", "first_name": "", "last_name": ""}'::jsonb, 'project', '{"id": 7, "name": "Shop"}'::jsonb,
        'environment', '{"id": 1, "name": "env"}'::jsonb))::text, 'UTF8'), timestamptz '2026-11-01 12:00Z' + (at + 1) * interval '1 s'),
        ('apart', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object('uuid', uuid, 'published_by', '{"id": 1, "email": "ada@example.com"}'::jsonb,
        'feature', '{"id": 1, "name": "cart"}'::jsonb, 'feature_states', '[{"enabled": true, "value": 1, "multivariate_feature_state_values": []}]'::jsonb))::text, 'UTF8'),
        timestamptz '2026-11-01 12:00Z' + arrived * interval '1 s') $$;
CALL pg_temp.entry(10, 'CHANGE_REQUEST', 'Change Request: Sale committed');
CALL pg_temp.version(13, 10.5, '8be5e2a1-0000-4000-8000-000000000001');
CALL pg_temp.version(12.5, 12.2, '8be5e2a1-0000-4000-8000-000000000002');
SELECT at::time(3), action, change_request, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
ROLLBACK;

-- An effect is of one change request: of two with one title, of which one had no effect that was told, the nearer one.
BEGIN;
CALL pg_temp.entry(10, 'CHANGE_REQUEST', 'Change Request: Sale committed');
CALL pg_temp.entry(10.02, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: cart by Change Request: Sale', 100, NULL);
CALL pg_temp.entry(10.2, 'CHANGE_REQUEST', 'Change Request: Sale committed');
SELECT at::time(3), action, object, change_request, actor, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
ROLLBACK;

-- The making of a flag is told by two events of its time, one of which was read after the next save: what it was made with is shown.
CREATE PROCEDURE pg_temp.made(arrived numeric, value text, created numeric) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'apart', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', '2026-11-01T12:00:00.010000Z',
        'new_state', jsonb_build_object('enabled', false, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL,
            'environment', '{"id": 1, "name": "env"}'::jsonb, 'feature_segment', NULL, 'feature', jsonb_build_object('id', 1, 'name', 'cart', 'type', 'STANDARD', 'description', NULL,
                'default_enabled', false, 'initial_value', 'at first', 'project', '{"id": 7, "name": "Shop"}'::jsonb,
                'created_date', to_char(timestamp '2026-11-01 12:00' + created * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))))::text, 'UTF8'),
        timestamptz '2026-11-01 12:00Z' + arrived * interval '1 s' $$;
BEGIN;
CALL pg_temp.entry(0.010, 'FEATURE_STATE', 'New Flag / Remote Config created: cart', 100);
CALL pg_temp.made(1, 'at first', 0);
CALL pg_temp.made(2, 'later', 0);
SELECT action, feature, enabled, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart';
ROLLBACK;
-- Of a save, the last reading is.
BEGIN;
CALL pg_temp.entry(0.010, 'FEATURE_STATE', 'Flag state updated for feature: cart', 100);
CALL pg_temp.made(1, 'at first', -60);
CALL pg_temp.made(2, 'later', -60);
SELECT action, feature, enabled, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart';
ROLLBACK;
-- But one that came before the next save began, rather than one that may have been read after it.
BEGIN;
CALL pg_temp.entry(0.010, 'FEATURE_STATE', 'Flag state updated for feature: cart', 100);
CALL pg_temp.made(0.5, 'of this save', -60);
CALL pg_temp.made(2, 'of the next', -60);
CALL pg_temp.entry(1, 'FEATURE_STATE', 'Remote config value updated for feature: cart', 100);
SELECT action, feature, enabled, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
ROLLBACK;
-- A flag event, of the environment default.
CREATE PROCEDURE pg_temp.event(at numeric, arrived numeric, value text, by text, variants jsonb DEFAULT '[]') LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'apart', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', by,
        'timestamp', to_char(timestamp '2026-11-01 12:00' + at * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('enabled', false, 'feature_state_value', value, 'multivariate_feature_state_values', variants, 'identity', NULL, 'identity_identifier', NULL,
            'environment', '{"id": 1, "name": "env"}'::jsonb, 'feature_segment', NULL, 'feature', jsonb_build_object('id', 1, 'name', 'cart', 'type', 'STANDARD', 'description', NULL,
                'default_enabled', false, 'initial_value', 'at first', 'project', '{"id": 7, "name": "Shop"}'::jsonb, 'created_date', '2026-11-01T08:00:00.000000Z'))))::text, 'UTF8'),
        timestamptz '2026-11-01 12:00Z' + arrived * interval '1 s' $$;
-- Of two versions that differ in a percentage alone, each event is of the one whose list has it, though the other's entry is nearer.
BEGIN;
CREATE FUNCTION pg_temp.variant(share numeric) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 1, 'percentage_allocation', share, 'multivariate_feature_option', '{"id": 5, "value": "x"}'::jsonb) $$;
CREATE PROCEDURE pg_temp.shares(at numeric, entered numeric, uuid text, share numeric) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'apart', convert_to(jsonb_build_object('event_type', type, 'data', data)::text, 'UTF8'), timestamptz '2026-11-01 12:00Z' + (at + 3) * interval '1 s'
    FROM (VALUES ('AUDIT_LOG_CREATED', jsonb_build_object('log', 'New version published for feature: cart', 'related_object_uuid', uuid, 'related_object_type', 'EF_VERSION',
            'created_date', to_char(timestamp '2026-11-01 12:00' + entered * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'is_system_event', false,
            'author', '{"id": 1, "email": "ada@example.com", "first_name": "", "last_name": ""}'::jsonb, 'project', '{"id": 7, "name": "Shop"}'::jsonb, 'environment', '{"id": 1, "name": "env"}'::jsonb)),
        ('NEW_VERSION_PUBLISHED', jsonb_build_object('uuid', uuid, 'published_by', '{"id": 1, "email": "ada@example.com"}'::jsonb, 'feature', '{"id": 1, "name": "cart"}'::jsonb,
            'feature_states', jsonb_build_array(jsonb_build_object('enabled', false, 'value', '1', 'multivariate_feature_state_values', jsonb_build_array(pg_temp.variant(share))))))) body (type, data);
    CALL pg_temp.event(at, at + 3, '1', 'ada@example.com', jsonb_build_array(pg_temp.variant(share))) $$;
CALL pg_temp.shares(60, 61, '8be5e2a1-0000-4000-8000-000000000003', 10);
CALL pg_temp.shares(59, 62, '8be5e2a1-0000-4000-8000-000000000004', 20.0);
SELECT at::time(3), variants, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
ROLLBACK;
-- Events of one version have one time: an entry that is near to those of two is of the nearer one, and the other one's is the next.
BEGIN;
CALL pg_temp.entry(60.32, 'EF_VERSION', 'New version published for feature: cart');
CALL pg_temp.entry(60.33, 'EF_VERSION', 'New version published for feature: cart');
CALL pg_temp.event(60, 61, 'first', 'ada@example.com');
CALL pg_temp.event(60.18, 61, 'second', 'ada@example.com');
SELECT at::time(3), action, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
-- Where there is no other, it is told by itself.
CALL pg_temp.event(59.9, 61, 'before both', 'ada@example.com');
SELECT at::time(3), action, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY history.at;
ROLLBACK;
-- The time of a draft is near to what another request did: each entry has what was read after it.
BEGIN;
CALL pg_temp.entry(60, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: cart by Change Request: x', 100, NULL);
CALL pg_temp.entry(72, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: cart by Change Request: y', 100, NULL);
CALL pg_temp.event(30, 61.5, 'x', '');
CALL pg_temp.event(59.97, 73.5, 'y', '');
SELECT at::time(3), change_request, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY at;
-- A person's is none of the system.
CALL pg_temp.event(60.5, 62, 'later', 'ada@example.com');
SELECT at::time(3), change_request, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'apart' ORDER BY history.at;
ROLLBACK;
SELECT flagsmith.disable_webhook('apart');
