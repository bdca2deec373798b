-- No stored row makes an answer fail, whatever its times: of bodies from the year 1 to 9999, of arrivals from the first instant
-- that a timestamptz can be, and of rows that came in otherwise, a restore of another version's, up to the last and infinity.
SET TimeZone = 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('extreme', NULL, source => 'extreme', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
CREATE SCHEMA extreme;
CREATE PROCEDURE extreme.deliver(type text, data jsonb, arrived timestamptz)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('extreme', convert_to(jsonb_build_object('event_type', type, 'data', data)::text, 'UTF8'), arrived) $$;
-- Of each feature, a change, an override, a deletion and an entry of each kind, at one time.
CREATE PROCEDURE extreme.tell(feature int, at text, arrived timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    state jsonb := jsonb_build_object('enabled', true, 'feature_state_value', 'x', 'multivariate_feature_state_values', '[]'::jsonb,
        'feature', jsonb_build_object('id', feature, 'name', 'feature ' || feature, 'created_date', at, 'default_enabled', false,
            'initial_value', 'y', 'project', jsonb_build_object('id', 73, 'name', 'Extreme')),
        'environment', jsonb_build_object('id', 1, 'name', 'Home'), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL);
    entry jsonb := jsonb_build_object('created_date', coalesce(at, '0001-01-01T00:00:00Z'), 'author', NULL, 'is_system_event', false,
        'project', jsonb_build_object('id', 73, 'name', 'Extreme', 'organisation', 1), 'environment', jsonb_build_object('id', 1, 'name', 'Home'));
BEGIN
    CALL extreme.deliver('FLAG_UPDATED', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', at, 'new_state', state), arrived);
    CALL extreme.deliver('FLAG_UPDATED', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', at, 'previous_state', state,
        'new_state', state || '{"feature_segment": {"priority": 0, "segment": {"id": 5, "name": "vip"}}}'), arrived);
    CALL extreme.deliver('AUDIT_LOG_CREATED', entry || jsonb_build_object('id', 10 * feature, 'related_object_id', feature,
        'related_object_type', 'FEATURE', 'log', 'New Flag / Remote Config created: feature ' || feature, 'environment', NULL), arrived);
    CALL extreme.deliver('AUDIT_LOG_CREATED', entry || jsonb_build_object('id', 10 * feature + 1, 'related_object_id', 1,
        'related_object_type', 'FEATURE_STATE', 'log', 'Flag state updated for feature: feature ' || feature), arrived);
    CALL extreme.deliver('AUDIT_LOG_CREATED', entry || jsonb_build_object('id', 10 * feature + 2, 'related_object_id', 1,
        'related_object_type', 'FEATURE', 'log', format('Flag state deleted for feature ''feature %s'' and segment ''vip''', feature)), arrived);
    IF feature % 3 = 0 THEN
        CALL extreme.deliver('AUDIT_LOG_CREATED', entry || jsonb_build_object('id', 10 * feature + 3, 'related_object_id', 2,
            'related_object_type', 'EF_VERSION', 'related_object_uuid', 'uuid ' || feature,
            'log', 'New version published for feature: feature ' || feature), arrived);
        CALL extreme.deliver('NEW_VERSION_PUBLISHED', jsonb_build_object('uuid', 'uuid ' || feature, 'published_by', NULL,
            'feature', jsonb_build_object('id', feature, 'name', 'feature ' || feature),
            'feature_states', '[{"enabled": true, "value": "x"}]'::jsonb), arrived);
    END IF;
    IF feature % 2 = 0 THEN
        CALL extreme.deliver('FLAG_DELETED', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', at, 'previous_state', state,
            'new_state', NULL), arrived);
        CALL extreme.deliver('AUDIT_LOG_CREATED', entry || jsonb_build_object('id', 10 * feature + 4, 'related_object_id', feature,
            'related_object_type', 'FEATURE', 'log', 'Flag / Remote Config Deleted: feature ' || feature, 'environment', NULL), arrived);
    END IF;
END $$;
CALL extreme.tell(1, '0001-01-01T00:00:00Z', '4714-11-24 00:00:00Z BC');
CALL extreme.tell(2, '9999-12-31T23:59:59.999999Z', '4714-11-24 00:00:00Z BC');
CALL extreme.tell(3, NULL, '4714-11-24 00:00:00Z BC');
CALL extreme.tell(4, NULL, '4714-11-24 00:00:00Z BC');
CALL extreme.tell(5, NULL, '-infinity');
CALL extreme.tell(6, NULL, 'infinity');
CALL extreme.tell(7, NULL, '294276-12-31 23:59:59.999999Z');
CALL extreme.tell(9, '9999-12-31T23:59:59.999999Z', '-infinity');
CALL extreme.tell(12, '0001-01-01T00:00:00Z', now());
SELECT DISTINCT undecoded_reason FROM flagsmith.delivery WHERE source = 'extreme';

-- Every view, to its last column, and every door at every kind of instant: which of them raised what.
CREATE FUNCTION extreme.faults() RETURNS SETOF text
    LANGUAGE plpgsql AS $$
DECLARE
    query text;
BEGIN
    FOR query IN
        SELECT format('SELECT count(v::text) FROM %s v', c.oid::regclass) FROM pg_class c
        WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'v' AND c.relname NOT IN ('inbox')
        UNION ALL
        SELECT format(d, e, f, at)
        FROM unnest(ARRAY['SELECT flagsmith.is_feature_enabled(%L, %L, %L)', 'SELECT flagsmith.get_feature_value(%L, %L, %L)',
                'SELECT count(s::text) FROM flagsmith.feature_state(%L, %L, %L, ARRAY[5]) s',
                'SELECT count(s::text) FROM flagsmith.environment_state(%1$L, %3$L) s',
                'SELECT count(s::text) FROM flagsmith.environment_state(%1$L, %3$L, %3$L) s']) d,
            unnest(ARRAY['Extreme/Home']) e,
            (SELECT 'feature ' || i AS f FROM generate_series(1, 12) i WHERE i NOT IN (8, 10, 11)) f,
            unnest(ARRAY['-infinity', '4714-11-24 00:00:00Z BC', '4714-11-24 00:00:01Z BC', '0001-01-01Z', '2026-01-01Z',
                '9999-12-31 23:59:59.999999Z', '294276-12-31 23:59:59.999999Z', 'infinity']) at
        ORDER BY 1
    LOOP
        BEGIN
            EXECUTE query;
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT query || ': ' || SQLSTATE || ' ' || SQLERRM;
        END;
    END LOOP;
END $$;
SELECT * FROM extreme.faults();

-- The same rows once more, moved to the last instants and beyond.
BEGIN;
DO $$
DECLARE
    instant timestamptz;
    n int := 0;
BEGIN
    FOREACH instant IN ARRAY ARRAY['294276-12-31 23:59:59.999999Z', '294276-12-31 23:59:58Z', '4714-11-24 00:00:00Z BC', 'infinity', '-infinity']::timestamptz[] LOOP
        n := n + 1;
        INSERT INTO flagsmith.delivery OVERRIDING SYSTEM VALUE
            SELECT (jsonb_populate_record(d, jsonb_build_object('id', -d.id * 10 - n, 'received_at', instant,
                'event_at', instant, 'digest', sha256((d.id * 10 + n)::text::bytea)))).*
            FROM flagsmith.delivery d WHERE d.source = 'extreme' AND d.id > 0;
        INSERT INTO flagsmith.flag_change
            SELECT (jsonb_populate_record(f, jsonb_build_object('delivery', -f.delivery * 10 - n, 'event_at', instant,
                'received_at', CASE WHEN isfinite(instant) THEN instant ELSE f.received_at END, 'feature_created_date', instant))).*
            FROM flagsmith.flag_change f WHERE f.source = 'extreme' AND f.delivery > 0 AND (isfinite(instant) OR f.segment_id IS NOT NULL);
        INSERT INTO flagsmith.audit_log
            SELECT (jsonb_populate_record(a, jsonb_build_object('delivery', -a.delivery * 10 - n, 'created_date', instant,
                'audit_id', a.audit_id + 1000 * n, 'received_at', instant))).*
            FROM flagsmith.audit_log a WHERE a.source = 'extreme' AND a.delivery > 0;
        INSERT INTO flagsmith.audit_effect
            SELECT (jsonb_populate_record(t, jsonb_build_object('delivery', -t.delivery * 10 - n, 'at', instant, 'received_at', instant))).*
            FROM flagsmith.audit_effect t WHERE t.source = 'extreme' AND t.delivery > 0;
        INSERT INTO flagsmith.version_published
            SELECT (jsonb_populate_record(v, jsonb_build_object('delivery', -v.delivery * 10 - n, 'received_at', instant))).*
            FROM flagsmith.version_published v WHERE v.source = 'extreme' AND v.delivery > 0;
        INSERT INTO flagsmith.delivery_repeat (delivery, webhook, count, first_received_at, last_received_at)
            SELECT -d.id * 10 - n, 'extreme', 1, instant, instant FROM flagsmith.delivery d WHERE d.source = 'extreme' AND d.id > 0;
    END LOOP;
END $$;
SELECT count(*) FROM flagsmith.flag_change WHERE source = 'extreme' AND delivery < 0;
SELECT * FROM extreme.faults();
-- Nor does it make pruning fail.
SELECT flagsmith.prune_history('infinity', 1000000) > 0 AS pruned;
SELECT flagsmith.prune_history('294276-12-31Z', 1000000) >= 0 AS pruned;
SELECT * FROM extreme.faults();
ROLLBACK;

DROP SCHEMA extreme CASCADE;
