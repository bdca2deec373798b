-- A history as an organisation collects it in years: :entries audit entries of 20 projects with three environments and 50
-- features each, 40 people and some API keys, two thirds of the entries about states and followed by a flag body, some with
-- two entries for one click.  The rows are what the decoder would have written; there is no body behind them.
\set ON_ERROR_STOP on
SELECT setseed(0.42);
CREATE TABLE public.act AS
SELECT n,
    timestamptz '2024-01-01 00:00Z' + n * interval '1 minute' * (1000000.0 / :entries) + random() * interval '20 seconds' AS at,
    1 + floor(random() * 20)::bigint AS project_id,
    floor(random() * 3)::bigint AS e,
    floor(50 * power(random(), 2))::bigint AS f,
    floor(40 * power(random(), 2))::integer AS author,
    random() AS kind
FROM generate_series(1, (:entries / 1.5)::integer) n;
CREATE TABLE public.entry AS
SELECT row_number() OVER (ORDER BY n, k) AS id, a.*, k, a.project_id * 10 + a.e AS environment_id, a.project_id * 1000 + a.f AS feature_id,
    'feature_' || a.f || CASE WHEN a.f % 10 = 0 THEN '_with a rather longer name than usual' ELSE '' END AS feature,
    CASE WHEN author > 35 THEN NULL ELSE 'person' || author || '@example.com' END AS email,
    CASE WHEN author > 35 THEN 'deploy key ' || author ELSE 'person' || author || '@example.com' END AS changed_by,
    CASE WHEN kind > 0.9 THEN 'segment ' || a.f % 5 END AS segment
FROM public.act a, generate_series(1, 2) k
WHERE k = 1 OR a.n % 2 = 0;
INSERT INTO flagsmith.audit_log (delivery, ordinal, source, received_at, stored_at, origin, is_test, audit_id, created_date, log,
    author_email, project_id, project, environment_id, environment, related_object_id, related_object_type, is_system_event,
    action, object, feature, segment, ambiguous)
SELECT 2 * id, 1, 'default', at + interval '2 seconds', at + interval '2 seconds', 'webhook', false, id, at + (k - 1) * interval '20 ms',
    'Flag state updated for feature: ' || feature, email, project_id, 'Project ' || project_id, environment_id,
    (ARRAY['Development', 'Staging', 'Production'])[e + 1], feature_id, 'FEATURE_STATE', false, 'updated',
    CASE WHEN segment IS NOT NULL THEN 'segment override' WHEN k = 1 THEN 'feature state' ELSE 'feature value' END, feature, segment, false
FROM public.entry;
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_hash, scope_hash, occurred_at,
    received_at, stored_at)
SELECT 2 * id, 1, 1, 'default', project_id, environment_id, CASE WHEN segment IS NULL THEN 'state' ELSE 'override' END,
    flagsmith._hash('feature:' || feature), flagsmith._hash('segment:' || segment), at + (k - 1) * interval '20 ms',
    at + interval '2 seconds', at + interval '2 seconds'
FROM public.entry;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted, changed_by,
    project_id, project, environment_id, environment, feature_id, feature, segment_id, segment, enabled, value, variants)
SELECT 2 * id + 1, 1, 'default', at, at + interval '2 seconds', at + interval '2 seconds', 'webhook', false, false, changed_by,
    project_id, 'Project ' || project_id, environment_id, (ARRAY['Development', 'Staging', 'Production'])[e + 1], feature_id, feature,
    CASE WHEN segment IS NOT NULL THEN f % 5 + 1 END, segment, n % 3 > 0, to_jsonb(n % 7), '[]'
FROM public.entry
WHERE k = 1;
DROP TABLE public.act, public.entry;
VACUUM ANALYZE;
