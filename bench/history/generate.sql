-- A history as an organisation collects it in years: :entries audit entries of 20 projects with three environments and 50
-- features each, 40 people and some API keys, two thirds of the entries about states and followed by a flag body, some with
-- two entries for one click.  In Production, every second project publishes versions: an entry, a list and a body.  The rows
-- are what the decoder would have written; there is no body behind them.
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
    CASE WHEN kind > 0.9 THEN 'segment ' || a.f % 5 END AS segment,
    a.e = 2 AND a.project_id % 2 = 0 AS versioned, md5('version ' || n)::uuid::text AS version
FROM public.act a, generate_series(1, 2) k
WHERE k = 1 OR (a.n % 2 = 0 AND NOT (a.e = 2 AND a.project_id % 2 = 0));
INSERT INTO flagsmith.audit_log (delivery, ordinal, source, received_at, stored_at, origin, is_test, audit_id, created_date, log,
    author_email, project_id, project, environment_id, environment, related_object_id, related_object_uuid, related_object_type,
    is_system_event, action, object, feature, segment, ambiguous)
SELECT 2 * id, 1, 'default', at + interval '2 seconds', at + interval '2 seconds', 'webhook', false, id, at + (k - 1) * interval '20 ms',
    CASE WHEN versioned THEN 'New version published for feature: ' ELSE 'Flag state updated for feature: ' END || feature, email,
    project_id, 'Project ' || project_id, environment_id, (ARRAY['Development', 'Staging', 'Production'])[e + 1],
    CASE WHEN NOT versioned THEN feature_id END, CASE WHEN versioned THEN version END,
    CASE WHEN versioned THEN 'EF_VERSION' ELSE 'FEATURE_STATE' END, false, CASE WHEN versioned THEN 'published' ELSE 'updated' END,
    CASE WHEN versioned THEN 'version' WHEN segment IS NOT NULL THEN 'segment override' WHEN k = 1 THEN 'feature state' ELSE 'feature value' END,
    feature, CASE WHEN NOT versioned THEN segment END, false
FROM public.entry;
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_hash, scope_hash, version,
    occurred_at, received_at, stored_at)
SELECT 2 * id, 1, 1, 'default', project_id, environment_id,
    CASE WHEN versioned THEN 'version' WHEN k = 2 THEN 'value' WHEN segment IS NULL THEN 'state' ELSE 'override' END,
    flagsmith._hash('feature:' || feature), CASE WHEN NOT versioned THEN flagsmith._hash('segment:' || segment) END,
    CASE WHEN versioned THEN version END, at + (k - 1) * interval '20 ms', at + interval '2 seconds', at + interval '2 seconds'
FROM public.entry;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted, changed_by,
    project_id, project, environment_id, environment, feature_id, feature, segment_id, segment, enabled, value, variants, enabled_before, value_before)
SELECT 2 * id + 1, 1, 'default', CASE WHEN versioned THEN at - interval '0.7 second' ELSE at END, at + interval '2 seconds', at + interval '2 seconds', 'webhook', false, false, changed_by,
    project_id, 'Project ' || project_id, environment_id, (ARRAY['Development', 'Staging', 'Production'])[e + 1], feature_id, feature,
    CASE WHEN segment IS NOT NULL THEN f % 5 + 1 END, segment, n % 3 > 0, to_jsonb(n % 7), '[]', n % 2 > 0, to_jsonb(n % 5)
FROM public.entry
WHERE k = 1;
INSERT INTO flagsmith.webhook (name, source, environment_id, allow_unsigned)
SELECT DISTINCT 'webhook ' || environment_id, 'default', environment_id, true FROM public.entry WHERE versioned;
INSERT INTO flagsmith.version_published (delivery, ordinal, source, webhook, received_at, stored_at, uuid, feature_id, feature,
    published_by_email, states)
SELECT 2 * (SELECT max(id) FROM public.entry) + 10 + id, 1, 'default', 'webhook ' || environment_id, at + interval '0.5 second',
    at + interval '0.5 second', version, feature_id, feature, email,
    CASE WHEN segment IS NULL THEN '[]' ELSE '[{"enabled": true, "value": null, "multivariate_feature_state_values": []}]'::jsonb END ||
    jsonb_build_array(jsonb_build_object('enabled', n % 3 > 0, 'value', n % 7, 'multivariate_feature_state_values', '[]'::jsonb))
FROM public.entry
WHERE versioned;
INSERT INTO flagsmith.name (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)
SELECT 'default', t.kind, t.id, t.name, t.project_id, '2024-01-01Z', false, '2024-01-01Z', '2024-01-01Z'
FROM public.entry e
CROSS JOIN LATERAL (VALUES ('project', e.project_id, 'Project ' || e.project_id, e.project_id),
    ('environment', e.environment_id, (ARRAY['Development', 'Staging', 'Production'])[e.e + 1], e.project_id),
    ('feature', e.feature_id, e.feature, e.project_id),
    ('segment', CASE WHEN e.segment IS NOT NULL THEN e.f % 5 + 1 END, e.segment, e.project_id)) t (kind, id, name, project_id)
WHERE t.id IS NOT NULL
GROUP BY t.kind, t.id, t.name, t.project_id;
DROP TABLE public.act, public.entry;
VACUUM ANALYZE;
