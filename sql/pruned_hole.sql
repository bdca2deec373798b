-- That entries are missing is still known when their neighbours are pruned, and only then: answers get no surer by it.
SET TimeZone = 'UTC';
BEGIN;
SELECT count(*) FROM flagsmith.add_webhook('pruned hole', NULL, source => 'pruned hole', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
-- The entry of an id, made so many minutes after the first; entry 40 is about the flag.
CREATE FUNCTION pg_temp.at(id int) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + id * interval '1 minute' $$;
CREATE FUNCTION pg_temp.entry(id int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', id, 'created_date', to_char(pg_temp.at(id), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'author', NULL,
        'is_system_event', false, 'related_object_id', 1, 'related_object_uuid', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'Pruned', 'organisation', 1)) || CASE WHEN id = 40
        THEN jsonb_build_object('log', 'Flag state updated for feature: flag', 'related_object_type', 'FEATURE_STATE',
            'environment', jsonb_build_object('id', 1, 'name', 'env'))
        ELSE jsonb_build_object('log', 'Segment updated: s', 'related_object_type', 'SEGMENT', 'environment', NULL) END $$;
CREATE PROCEDURE pg_temp.tell(ids int4range, arrived timestamptz DEFAULT NULL) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'pruned hole', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', pg_temp.entry(id))::text, 'UTF8'),
        coalesce(arrived, pg_temp.at(id) + interval '1 second')
    FROM generate_series(lower(ids), upper(ids) - 1) AS id $$;
CREATE PROCEDURE pg_temp.change(id int, enabled boolean, before boolean) LANGUAGE plpgsql AS $$
DECLARE
    state jsonb := '{"feature_state_value": null, "multivariate_feature_state_values": [], "identity": null, "identity_identifier": null,
        "feature_segment": null, "environment": {"id": 1, "name": "env"}, "feature": {"id": 1, "name": "flag", "type": "STANDARD",
        "default_enabled": false, "initial_value": null, "created_date": "2026-01-01T00:00:00.000000Z", "description": null,
        "project": {"id": 7, "name": "Pruned"}}}';
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('pruned hole', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(pg_temp.at(id), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', state || jsonb_build_object('enabled', enabled), 'previous_state', state || jsonb_build_object('enabled', before)))::text, 'UTF8'),
        pg_temp.at(id) + interval '2 seconds');
END $$;
CALL pg_temp.tell('[1,100)');
CALL pg_temp.tell('[104,300)');
CALL pg_temp.change(40, true, false);
CREATE TEMP VIEW missing AS
SELECT first_audit_id, last_audit_id, entries, project_id, project, earliest, latest, status FROM flagsmith.missing_audit_entry WHERE source = 'pruned hole';
CREATE TEMP VIEW asked AS
SELECT id, s.enabled, s.confidence, s.cause, t.confidence AS in_timeline
FROM unnest('{260, 290}'::int[]) AS id
CROSS JOIN LATERAL flagsmith.feature_state('pruned hole/Pruned/env', 'flag', pg_temp.at(id)) s
JOIN flagsmith.flag_timeline t ON t.source = 'pruned hole' AND t.period @> pg_temp.at(id);

SELECT * FROM missing;
SELECT * FROM asked;

-- A call that removes nothing forgets nothing; the next one notes what it would.
SELECT flagsmith.prune_history('2025-12-31Z');
SELECT flagsmith.prune_history(pg_temp.at(250), dry_run => true) > 200 AS counted;
SELECT flagsmith.prune_history(pg_temp.at(250), at_most => 100) >= 100 AS pruned;
SELECT flagsmith.prune_history(pg_temp.at(250)) > 100 AS pruned;
SELECT jsonb_path_query_array(holes, '$[*] ? (@.source == "pruned hole")') AS holes FROM flagsmith.pruning WHERE before = pg_temp.at(250) ORDER BY id;
SELECT count(*) BETWEEN 50 AND 60 AS few FROM flagsmith.audit_log WHERE source = 'pruned hole';
SELECT * FROM missing;
SELECT * FROM asked;

-- Pruned again, further, it is noted once.
SELECT flagsmith.prune_history(pg_temp.at(252)) > 0 AS pruned;
SELECT count(*) FROM missing;
SELECT * FROM asked;

-- A page of the audit log has what was missing, or shows that nothing was there.
SAVEPOINT before;
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(pg_temp.entry(102), pg_temp.entry(101)))::text, 'pruned hole');
SELECT count(*) FROM missing;
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(pg_temp.entry(103), pg_temp.entry(100)))::text, 'pruned hole');
SELECT count(*) FROM missing;
SELECT * FROM asked;
ROLLBACK TO before;
SAVEPOINT before;
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(pg_temp.entry(104), pg_temp.entry(99)))::text, 'pruned hole');
SELECT count(*) FROM missing;
SELECT * FROM asked;
ROLLBACK TO before;

-- Where ids are shared with other organisations, nothing is concluded.
SAVEPOINT before;
UPDATE flagsmith.webhook SET audit_ids_shared = true WHERE name = 'pruned hole';
SELECT count(*) FROM missing;
SELECT * FROM asked;
ROLLBACK TO before;
ROLLBACK;
