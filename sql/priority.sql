-- Which of several overrides by segment wins: what says that their order changed makes it a guess.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
BEGIN;
SELECT count(flagsmith.add_webhook(name, source => 'priority', allow_unsigned => true, max_spool_age => NULL)) FROM unnest(ARRAY['priority']) AS name;
CREATE FUNCTION pg_temp.override(environment int, segment int, priority int, value text, at text, before text DEFAULT NULL, feature int DEFAULT 41) RETURNS text LANGUAGE sql AS $$
    WITH flag AS (
        SELECT jsonb_build_object('multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL,
            'feature_segment', jsonb_build_object('priority', priority, 'segment', jsonb_build_object('id', segment, 'name', 'segment ' || segment)),
            'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment),
            'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'project', '{"id": 40, "name": "Ranks"}'::jsonb), 'enabled', true) AS state)
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'priority', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_strip_nulls(jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', at, 'new_state', state || jsonb_build_object('feature_state_value', value),
        'previous_state', CASE WHEN before IS NOT NULL THEN state || jsonb_build_object('feature_state_value', before) END)))::text, 'UTF8'), at::timestamptz + interval '1 s'
    FROM flag
    RETURNING outcome $$;
CREATE FUNCTION pg_temp.entry(id int, environment int, type text, log text, at text, uuid text DEFAULT NULL, object int DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('priority', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', id, 'created_date', at, 'log', log,
        'author', '{"id": 1, "email": "ada@example.com", "first_name": "", "last_name": ""}'::jsonb,
        'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment), 'project', '{"id": 40, "name": "Ranks"}'::jsonb,
        'related_object_id', object, 'related_object_type', type, 'related_object_uuid', uuid, 'is_system_event', false))::text, 'UTF8'), at::timestamptz + interval '2 s')
    RETURNING outcome $$;
CREATE FUNCTION pg_temp.answers(environment int, feature int, VARIADIC at timestamptz[]) RETURNS TABLE (at timestamptz, segment_id bigint, value jsonb, confidence flagsmith.confidence) LANGUAGE sql AS $$
    SELECT a, s.segment_id, s.value, s.confidence FROM unnest(at) a, flagsmith.feature_state(environment, feature, a, '{7,8}', source => 'priority') s $$;

-- Saved one by one: an entry says that they were put in another order, and not in which, until each was told anew.
SELECT pg_temp.override(401, 7, 0, 'seven', '2026-03-01T10:00:00Z'),
    pg_temp.entry(1, 401, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 41'' and segment ''segment 7''', '2026-03-01T10:00:00Z'),
    pg_temp.override(401, 8, 1, 'eight', '2026-03-01T11:00:00Z'),
    pg_temp.entry(2, 401, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 41'' and segment ''segment 8''', '2026-03-01T11:00:00Z'),
    pg_temp.entry(3, 401, 'FEATURE', 'Segment overrides re-ordered for feature ''flag 41''.', '2026-03-01T12:00:00Z', NULL, 41),
    -- of another environment, and of another feature of this name
    pg_temp.entry(4, 402, 'FEATURE', 'Segment overrides re-ordered for feature ''flag 41''.', '2026-03-01T11:30:00Z', NULL, 41),
    pg_temp.entry(5, 401, 'FEATURE', 'Segment overrides re-ordered for feature ''flag 41''.', '2026-03-01T11:40:00Z', NULL, 49),
    pg_temp.override(401, 7, 1, 'seven again', '2026-03-01T13:00:00Z', 'seven'),
    pg_temp.entry(6, 401, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 41'' and segment ''segment 7''', '2026-03-01T13:00:00Z'),
    pg_temp.override(401, 8, 0, 'eight again', '2026-03-01T14:00:00Z', 'eight'),
    pg_temp.entry(7, 401, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 41'' and segment ''segment 8''', '2026-03-01T14:00:00Z'),
    pg_temp.entry(8, 401, 'ENVIRONMENT', 'Environment updated: env 401', '2026-03-01T20:00:00Z');
SELECT * FROM pg_temp.answers(401, 41, '2026-03-01 11:50Z', '2026-03-01 12:00Z', '2026-03-01 12:30Z', '2026-03-01 13:30Z', '2026-03-01 14:30Z');
-- one override alone has no order
SELECT segment_id, value, confidence FROM flagsmith.feature_state(401, 41, '2026-03-01 12:30Z', '{8}', source => 'priority');
SELECT kind, count(*) FROM flagsmith.audit_effect WHERE source = 'priority' GROUP BY 1 ORDER BY 1;
SELECT action, object, feature FROM flagsmith.history WHERE source = 'priority' AND action = 'reordered' AND environment = 'env 401' ORDER BY at;

-- An event that was read when they were in another order already has the priority since then.
SELECT pg_temp.override(404, 7, 1, 'seven', '2026-03-01T10:00:00Z', NULL, 43),
    pg_temp.entry(16, 404, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 43'' and segment ''segment 7''', '2026-03-01T10:00:00Z'),
    pg_temp.override(404, 8, 0, 'eight', '2026-03-01T11:00:00Z', NULL, 43),
    pg_temp.entry(17, 404, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 43'' and segment ''segment 8''', '2026-03-01T11:00:00Z'),
    pg_temp.entry(18, 404, 'FEATURE', 'Segment overrides re-ordered for feature ''flag 43''.', '2026-03-01T11:00:00.2Z', NULL, 43),
    pg_temp.entry(19, 404, 'ENVIRONMENT', 'Environment updated: env 404', '2026-03-01T20:00:00Z');
SELECT * FROM pg_temp.answers(404, 43, '2026-03-01 10:30Z', '2026-03-01 11:00:00.1Z', '2026-03-01 12:00Z');

-- Two of one priority: the removal of a third one, of which no entry came, moved one of them.
SELECT pg_temp.override(405, 7, 1, 'seven', '2026-03-01T10:00:00Z', NULL, 44),
    pg_temp.entry(20, 405, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 44'' and segment ''segment 7''', '2026-03-01T10:00:00Z'),
    pg_temp.override(405, 8, 1, 'eight', '2026-03-01T11:00:00Z', NULL, 44),
    pg_temp.entry(21, 405, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 44'' and segment ''segment 8''', '2026-03-01T11:00:00Z'),
    pg_temp.entry(22, 405, 'ENVIRONMENT', 'Environment updated: env 405', '2026-03-01T20:00:00Z');
SELECT segment_id, value, confidence FROM pg_temp.answers(405, 44, '2026-03-01 12:00Z');
SELECT segment_id, value, confidence FROM flagsmith.feature_state(405, 44, '2026-03-01 12:00Z', '{8}', source => 'priority');

-- In versions: what a later event says of a state between tells no priority of that time.
SELECT pg_temp.override(403, 7, 0, 'seven', '2026-03-02T10:00:00Z', NULL, 42), pg_temp.override(403, 8, 1, 'eight', '2026-03-02T10:00:00Z', NULL, 42),
    pg_temp.entry(9, 403, 'EF_VERSION', 'New version published for feature: flag 42', '2026-03-02T10:00:00.3Z', 'a'),
    -- a version of which nothing came changed a value
    pg_temp.entry(10, 403, 'EF_VERSION', 'New version published for feature: flag 42', '2026-03-02T11:00:00.3Z', 'b'),
    pg_temp.override(403, 8, 0, 'eight at last', '2026-03-02T12:00:00Z', 'eight between', 42), pg_temp.override(403, 7, 1, 'seven at last', '2026-03-02T12:00:00Z', 'seven', 42),
    pg_temp.entry(11, 403, 'EF_VERSION', 'New version published for feature: flag 42', '2026-03-02T12:00:00.3Z', 'c');
SELECT at, segment_id, value FROM pg_temp.answers(403, 42, '2026-03-02 10:30Z', '2026-03-02 11:30Z', '2026-03-02 12:30Z');

-- One that gets a priority behind another's moves that without a word: which of them wins is a guess from then on.
CREATE FUNCTION pg_temp.list(uuid text, at text, VARIADIC value text[]) RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('priority', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object('uuid', uuid, 'published_by', NULL,
        'feature', '{"id": 43, "name": "flag 43"}'::jsonb, 'feature_states', (SELECT jsonb_agg(jsonb_build_object('enabled', true, 'value', v,
            'multivariate_feature_state_values', '[]'::jsonb) ORDER BY n) FROM unnest(value) WITH ORDINALITY u (v, n))))::text, 'UTF8'), at::timestamptz + interval '1 s')
    RETURNING outcome $$;
SELECT pg_temp.override(403, 7, 0, 'seven', '2026-03-03T10:00:00Z', NULL, 43), pg_temp.override(403, 8, 1, 'eight', '2026-03-03T10:00:00Z', NULL, 43),
    pg_temp.entry(12, 403, 'EF_VERSION', 'New version published for feature: flag 43', '2026-03-03T10:00:00.3Z', 'd'),
    pg_temp.list('d', '2026-03-03T10:00:00Z', 'on', 'seven', 'eight'),
    pg_temp.override(403, 7, 0, 'seven again', '2026-03-03T11:00:00Z', 'seven', 43),
    pg_temp.entry(13, 403, 'EF_VERSION', 'New version published for feature: flag 43', '2026-03-03T11:00:00.3Z', 'e'),
    pg_temp.list('e', '2026-03-03T11:00:00Z', 'on', 'seven again', 'eight'),
    pg_temp.override(403, 7, 1, 'seven behind', '2026-03-03T12:00:00Z', 'seven again', 43),
    pg_temp.entry(14, 403, 'EF_VERSION', 'New version published for feature: flag 43', '2026-03-03T12:00:00.3Z', 'f'),
    pg_temp.list('f', '2026-03-03T12:00:00Z', 'on', 'eight', 'seven behind'),
    pg_temp.entry(15, 403, 'ENVIRONMENT', 'Environment updated: env 403', '2026-03-03T20:00:00Z');
SELECT at, segment_id, value, confidence FROM pg_temp.answers(403, 43, '2026-03-03 10:30Z', '2026-03-03 11:30Z', '2026-03-03 12:30Z');
ROLLBACK;
