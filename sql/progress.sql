-- How far long calls are: told at every step here, which the setting makes of the ten seconds.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
BEGIN;
SELECT count(flagsmith.add_webhook('progress', source => 'progress', allow_unsigned => true, max_spool_age => NULL));
CREATE FUNCTION pg_temp.change(value int) RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('progress', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(timestamptz '2026-03-01Z' + value * interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'new_state', jsonb_build_object('enabled', true,
            'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL,
            'feature_segment', NULL, 'environment', '{"id": 1, "name": "Home"}'::jsonb,
            'feature', '{"id": 1, "name": "it", "project": {"id": 1, "name": "Progress"}}'::jsonb)))::text, 'UTF8'),
        timestamptz '2026-03-01Z' + value * interval '1 hour')
    RETURNING outcome $$;
SELECT outcome, count(*) FROM (SELECT pg_temp.change(n) AS outcome FROM generate_series(1, 3) n) o GROUP BY 1;
SELECT min(id) AS first, max(id) AS last FROM flagsmith.delivery WHERE source = 'progress' \gset

-- As long as nobody asks for it, ten seconds; a short call tells nothing.
SHOW flagsmith_webhook.progress_interval;
SELECT count(*) FROM flagsmith.rebuild(first => :first, last => :last);
SELECT flagsmith.prune_bodies('2026-03-01Z') >= 0 AS pruned;
-- Never.
SET LOCAL flagsmith_webhook.progress_interval = -1;
SELECT count(*) FROM flagsmith.rebuild(first => :first, last => :last);
SET LOCAL flagsmith_webhook.progress_interval = 0;
-- At every step.  What depends on ids, and on what other tests left, is seen by t/022_progress.pl.
DO $$
BEGIN
    PERFORM FROM flagsmith.import_audit_log('{"results": [
        {"id": 1, "created_date": "2026-03-01T00:00:00Z", "log": "New Flag / Remote Config created: it", "author": null, "environment": null, "project": {"id": 1, "name": "Progress"}, "related_object_type": "FEATURE"},
        {"id": 2, "created_date": "2026-03-01T01:00:00Z", "log": "Segment updated: x", "author": null, "environment": null, "project": {"id": 1, "name": "Progress"}, "related_object_type": "SEGMENT"}]}', 'progress');
    PERFORM flagsmith.prune_bodies('2026-03-01 02:30Z', 1);
    PERFORM flagsmith.readmit('progress');
END
$$;
-- The statement has its own text again.
SELECT query LIKE 'SELECT query LIKE%' AS own, (SELECT count(*) FROM flagsmith.prune_bodies('2026-03-01Z')) AS called FROM pg_stat_activity WHERE pid = pg_backend_pid();
SELECT query LIKE 'SELECT query LIKE%' AS own FROM pg_stat_activity WHERE pid = pg_backend_pid();
\set VERBOSITY sqlstate
SET LOCAL flagsmith_webhook.progress_interval = -2;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DELETE FROM flagsmith.webhook WHERE name = 'progress';
