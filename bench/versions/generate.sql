-- Seven flags with 1,000 versions each, as Flagsmith sends them: of each version an entry, a flag event and a list of all states of the
-- flag.  A version changes the environment default or the override of one of 50 segments, a while after the version before it.  The rows
-- are what the inbox would have written; there is no body behind them.
\set ON_ERROR_STOP on
SET default_toast_compression = lz4;
SELECT setseed(0.42);
\set from '''2025-01-01 00:00Z''::timestamptz'
\set made '''2024-12-31 00:00Z''::timestamptz'
CREATE TABLE public.shape (feature bigint, what text, least float, most float, share float);
INSERT INTO public.shape VALUES
    (1, 'each changes the default, 5 to 15 min', 300, 900, 1),
    (2, 'the same, 30 to 90 s', 30, 90, 1),
    (3, 'each changes one of 50 overrides, 5 to 15 min', 300, 900, 0),
    (4, 'the same, 30 to 90 s', 30, 90, 0),
    (5, 'a third the default, the rest one of 50 overrides, 15 to 45 min', 900, 2700, 0.34),
    (6, 'the same, 5 to 15 min', 300, 900, 0.34),
    (7, 'the same, 30 to 90 s', 30, 90, 0.34);
CREATE TABLE public.step AS
SELECT s.feature, n, 100000 + s.feature * 10000 + n * 3 AS delivery, md5(s.feature || '/' || n)::uuid::text AS uuid,
    :from + sum(least + random() * (most - least)) OVER (PARTITION BY s.feature ORDER BY n) * interval '1 s' AS at,
    CASE WHEN random() < share THEN 0 ELSE 1 + floor(random() * 50)::integer END AS scope,
    random() < 0.5 AS enabled, floor(random() * 20)::integer AS value
FROM public.shape s, generate_series(1, 1000) n;
CREATE INDEX ON public.step (feature, scope, n);
-- What each list shows: of each scope what was told last, and a default at any rate.
CREATE TABLE public.held AS
SELECT s.feature, s.n, o.scope, coalesce(l.enabled, false) AS enabled, coalesce(l.value, 0) AS value
FROM public.step s CROSS JOIN generate_series(0, 50) AS o (scope) LEFT JOIN LATERAL (
    SELECT p.enabled, p.value FROM public.step p WHERE p.feature = s.feature AND p.scope = o.scope AND p.n <= s.n
    ORDER BY p.n DESC LIMIT 1) l ON true
WHERE o.scope = 0 OR l.enabled IS NOT NULL;
CREATE INDEX ON public.held (feature, n);

INSERT INTO flagsmith.name (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)
SELECT 'default', kind, id, name, 7, :made, false, :made, :made
FROM (VALUES ('project', '7', 'Shop'), ('environment', '1', 'Production')) v (kind, id, name)
UNION ALL SELECT 'default', 'feature', f::text, 'flag_' || f, 7, :made, false, :made, :made FROM generate_series(1, 7) f
UNION ALL SELECT 'default', 'segment', s::text, 'segment_' || s, 7, :made, false, :made, :made FROM generate_series(1, 50) s;
INSERT INTO flagsmith.webhook (name, source, environment_id, allow_unsigned) VALUES ('production', 'default', 1, true);
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_id, feature_hash, version,
    occurred_at, received_at, stored_at)
SELECT 10 + f, 1, 1, 'default', 7, NULL, 'feature_created', f, flagsmith._hash('feature:flag_' || f), NULL, :made, :made, :made
FROM generate_series(1, 7) f
UNION ALL
SELECT delivery, 1, 1, 'default', 7, 1, 'version', NULL, flagsmith._hash('feature:flag_' || feature), uuid,
    at + interval '100 ms', at + interval '2 s', at + interval '2 s'
FROM public.step;
INSERT INTO flagsmith.audit_log (delivery, ordinal, source, received_at, stored_at, origin, is_test, audit_id, created_date, log, project_id,
    project, environment_id, environment, related_object_uuid, related_object_type, is_system_event, action, object, feature, ambiguous)
SELECT delivery, 1, 'default', at + interval '2 s', at + interval '2 s', 'webhook', false, 100000 + row_number() OVER (ORDER BY at),
    at + interval '100 ms', 'New version published for feature: flag_' || feature, 7, 'Shop', 1, 'Production', uuid, 'EF_VERSION', false,
    'published', 'version', 'flag_' || feature, false
FROM public.step;
-- Blocks of ids are marked as they come in.
INSERT INTO flagsmith.audit_id_block (source, size, block, stored_at)
SELECT 'default', size, audit_id / size, max(stored_at) FROM flagsmith.audit_log, unnest(ARRAY[64, 4096]) AS size
GROUP BY size, audit_id / size HAVING count(*) = size;
INSERT INTO flagsmith.version_published (delivery, ordinal, source, webhook, received_at, stored_at, uuid, feature_id, feature,
    published_by_email, states)
SELECT s.delivery + 1, 1, 'default', 'production', s.at + interval '700 ms', s.at + interval '700 ms', s.uuid, s.feature,
    'flag_' || s.feature, 'ada@example.com', (
        SELECT jsonb_agg(jsonb_build_object('enabled', h.enabled, 'value', h.value, 'multivariate_feature_state_values', '[]'::jsonb)
            ORDER BY h.scope)
        FROM public.held h WHERE h.feature = s.feature AND h.n = s.n)
FROM public.step s;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted, changed_by,
    project_id, project, environment_id, environment, feature_id, feature, feature_type, feature_created_date, feature_default_enabled,
    feature_initial_value, segment_id, segment, segment_priority, enabled, value, variants, enabled_before, value_before, variants_before)
SELECT s.delivery + 2, 1, 'default', s.at, s.at + interval '900 ms', s.at + interval '900 ms', 'webhook', false, false, 'ada@example.com',
    7, 'Shop', 1, 'Production', s.feature, 'flag_' || s.feature, 'STANDARD', :made, false, '0', nullif(s.scope, 0),
    CASE WHEN s.scope > 0 THEN 'segment_' || s.scope END, nullif(s.scope, 0), s.enabled, to_jsonb(s.value), '[]', b.enabled,
    to_jsonb(b.value), CASE WHEN b.enabled IS NOT NULL THEN '[]'::jsonb END
FROM public.step s LEFT JOIN public.held b ON b.feature = s.feature AND b.n = s.n - 1 AND b.scope = s.scope;
DROP TABLE public.held;
VACUUM ANALYZE;
