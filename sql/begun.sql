-- Before the first audit entry nothing tells that there was none: states that were imported before the webhook was registered may have
-- changed by then, and are reported up to what is told next; those that were imported when the entries had begun are confirmed.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
BEGIN;
SELECT count(flagsmith.add_webhook('begun', source => 'begun', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL));
-- The entry of an id, made so many seconds after noon as it is above 500.
CREATE PROCEDURE pg_temp.tell(ids int4range, log text DEFAULT 'Segment updated: s') LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'begun', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', id, 'log', log, 'author', NULL,
        'created_date', to_char('2026-01-01 12:00Z'::timestamptz + (id - 500) * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'is_system_event', false, 'related_object_id', 1, 'related_object_uuid', NULL, 'related_object_type', 'SEGMENT',
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1),
        'environment', jsonb_build_object('id', 1, 'name', 'Production')))::text, 'UTF8'),
        '2026-01-01 12:00:01Z'::timestamptz + (id - 500) * interval '1 s'
    FROM generate_series(lower(ids), upper(ids) - 1) AS id $$;
CREATE FUNCTION pg_temp.page(VARIADIC features int[]) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('id', f, 'name', 'flag ' || f, 'type', 'STANDARD', 'created_date', '2025-01-01T00:00:00Z',
        'default_enabled', false, 'initial_value', NULL, 'environment_feature_state', jsonb_build_object('id', 100 + f, 'enabled', true,
            'environment', 1, 'identity', NULL, 'feature_segment', NULL, 'feature_state_value', 'v' || f)))::text
    FROM unnest(features) f $$;
CREATE TEMPORARY VIEW told AS
SELECT feature_id, to_char(lower(period), 'HH24:MI:SS') AS "from", to_char(upper(period), 'HH24:MI:SS') AS "to", value, confidence, cause
FROM flagsmith.flag_timeline WHERE source = 'begun' AND enabled ORDER BY 1, period;
-- At one instant, and of all.
CREATE TEMPORARY VIEW asked AS
SELECT f AS feature_id, n AS second, (SELECT confidence FROM flagsmith.environment_state(1, '2026-01-01 12:00Z'::timestamptz + n * interval '1 s', source => 'begun') s
    WHERE s.feature_id = f) AS confidence
FROM generate_series(1, 3) f, unnest('{-30, 50, 250}'::int[]) n ORDER BY 1, 2;

CALL pg_temp.tell('[500,900)');
SELECT outcome FROM flagsmith.import_feature_states(pg_temp.page(1, 3), 'begun/Shop/Production', '2026-01-01 11:59Z', source => 'begun');
SELECT outcome FROM flagsmith.import_feature_states(pg_temp.page(2), 'begun/Shop/Production', '2026-01-01 11:59:55Z', source => 'begun');
SELECT outcome FROM flagsmith.import_feature_states(pg_temp.page(3), 'begun/Shop/Production', '2026-01-01 12:03:20Z', source => 'begun');
SELECT * FROM told;
SELECT * FROM asked;
SELECT * FROM flagsmith.missing_audit_entry WHERE source = 'begun';
-- As sure when the first entries are pruned.
SELECT flagsmith.prune_history('2026-01-01 12:05Z') > 100 AS pruned;
SELECT * FROM told;
SELECT * FROM flagsmith.missing_audit_entry WHERE source = 'begun';
ROLLBACK;
