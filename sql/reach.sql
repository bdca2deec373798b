-- Flags of an environment are read one after the other, each as far around the instant as those before needed: whatever is
-- guessed, the answers are those of each flag by itself.
SET TimeZone = 'UTC';
\set VERBOSITY terse
SELECT count(*) FROM flagsmith.add_webhook('reach', NULL, source => 'reach', allow_unsigned => true, max_spool_age => NULL);

CREATE FUNCTION pg_temp.body(at timestamptz, feature int, value int) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('enabled', value % 2 = 1, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', false,
                'initial_value', '0', 'created_date', '2026-01-01T01:00:00.000000Z', 'description', NULL,
                'project', jsonb_build_object('id', 7, 'name', 'Reach')),
            'environment', jsonb_build_object('id', 1, 'name', 'Home'),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8') $$;
-- Flags with one event to some dozens, hours apart or seconds; the first sixty alike, then all by turns; now and then a state
-- that stays, two events of one instant, and a time long after the arrival.
SELECT setseed(0.42);
CREATE TEMP TABLE event AS
SELECT f AS feature, e.n, ('2026-01-02Z'::timestamptz + CASE WHEN f <= 60 THEN e.n * interval '3 h' + random() * interval '1 h'
        WHEN f % 3 = 0 THEN interval '20 h' + e.n * interval '7 s' WHEN f % 3 = 1 THEN random() * interval '100 h' ELSE e.n * interval '11 h' END) AS at,
    CASE WHEN f % 7 = 0 THEN e.n / 5 ELSE e.n END AS value, random() AS r
FROM generate_series(1, 150) f, LATERAL (SELECT generate_series(1, CASE WHEN f <= 60 THEN 12 WHEN f % 3 = 0 THEN 45 ELSE 1 + f % 4 END) AS n) e;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'reach', pg_temp.body(CASE WHEN r < 0.02 THEN date_trunc('hour', at) WHEN r > 0.98 THEN at + interval '1 day' ELSE at END, feature, value), at + interval '1 s'
FROM event ORDER BY r;
-- After all evidence, the latest audit entry is what the reach is told from.
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'reach', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', f, 'created_date', at,
    'log', 'Flag state updated for feature: flag ' || f, 'is_system_event', false,
    'author', jsonb_build_object('id', 1, 'email', 'ada@example.com', 'first_name', 'Ada', 'last_name', 'Quill'),
    'project', jsonb_build_object('id', 7, 'name', 'Reach', 'organisation', 1),
    'environment', jsonb_build_object('id', 1, 'name', 'Home', 'use_v2_feature_versioning', false),
    'related_object_id', 1000 + f, 'related_object_type', 'FEATURE_STATE', 'related_object_uuid', NULL))::text, 'UTF8'), at + interval '2 s'
FROM (SELECT feature AS f, max(at) AS at FROM event WHERE feature % 2 = 0 GROUP BY feature) s;
-- What was rolled back is in the index, and seen by nobody.
BEGIN;
INSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT 'reach', pg_temp.body(at - interval '1 s', feature, value + 1), at FROM event WHERE n % 9 = 1;
ROLLBACK;
SELECT count(*) AS flags, sum(n) AS events, min(n), max(n) FROM
    (SELECT count(*) AS n FROM flagsmith.flag_change WHERE source = 'reach' GROUP BY feature_id) s;

CREATE TEMP TABLE instant AS
SELECT '2026-01-01 12:00Z'::timestamptz + i * interval '13 h' AS at FROM generate_series(0, 9) i
UNION ALL SELECT at FROM event WHERE r BETWEEN 0.5 AND 0.503
UNION ALL SELECT unnest(ARRAY['infinity', '-infinity', '2026-01-02 20:02Z', now()]::timestamptz[]);
CREATE FUNCTION pg_temp.different() RETURNS TABLE (compared bigint, different bigint) LANGUAGE sql AS $$
    WITH a AS MATERIALIZED (SELECT i.at, s.* FROM instant i, LATERAL flagsmith.environment_state(1, i.at, source => 'reach') s),
    b AS MATERIALIZED (SELECT i.at, 'flag ' || f AS feature, s.* FROM instant i, generate_series(1, 150) f, LATERAL flagsmith.feature_state(1, f, i.at, source => 'reach') s)
    SELECT count(*), count(*) FILTER (WHERE (a.feature_id, a.enabled, a.value, a.variants, a.since, a.changed_by, a.cause, a.next_change, a.confidence, a.delivery_id)
        IS DISTINCT FROM (b.feature_id, b.enabled, b.value, b.variants, b.since, b.changed_by, b.cause, b.next_change, b.confidence, b.delivery_id))
    FROM a FULL JOIN b ON a.at = b.at AND a.feature = b.feature $$;
SELECT different FROM pg_temp.different() WHERE compared > 1500;
-- By the index alone where all see the rows.
VACUUM flagsmith.flag_change;
SELECT different FROM pg_temp.different() WHERE compared > 1500;
