-- Where entries came late, a missing one can be of long before those beside it: tasks had to wait.
SET TimeZone = 'UTC';
BEGIN;
SELECT count(*) FROM flagsmith.add_webhook('late hole', NULL, source => 'late hole', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
-- The entry of an id, of so many seconds after the first; the queue stands still from 100 to 170.
CREATE FUNCTION pg_temp.at(second numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + second * interval '1 second' $$;
CREATE PROCEDURE pg_temp.entry(id int, second numeric, arrived numeric, log text DEFAULT NULL) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'late hole', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
        jsonb_build_object('id', id, 'created_date', to_char(pg_temp.at(second), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'author', NULL,
            'is_system_event', false, 'related_object_id', 1, 'related_object_uuid', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Late', 'organisation', 1)) || CASE WHEN log IS NOT NULL
        THEN jsonb_build_object('log', log, 'related_object_type', CASE WHEN log LIKE 'Flag / %' THEN 'FEATURE' ELSE 'FEATURE_STATE' END,
            'environment', CASE WHEN log NOT LIKE 'Flag / %' THEN jsonb_build_object('id', 1, 'name', 'env') END)
        ELSE jsonb_build_object('log', 'Segment updated: s', 'related_object_type', 'SEGMENT', 'environment', NULL) END)::text, 'UTF8'),
        pg_temp.at(arrived) $$;
CREATE PROCEDURE pg_temp.change(second numeric, arrived numeric, value int, before int, enabled boolean DEFAULT true,
    was boolean DEFAULT true) LANGUAGE plpgsql AS $$
DECLARE
    state jsonb := '{"multivariate_feature_state_values": [], "identity": null, "identity_identifier": null,
        "feature_segment": null, "environment": {"id": 1, "name": "env"}, "feature": {"id": 1, "name": "flag", "type": "STANDARD",
        "default_enabled": true, "initial_value": null, "created_date": "2026-01-01T00:00:00.000000Z", "description": null,
        "project": {"id": 7, "name": "Late"}}}';
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('late hole', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(pg_temp.at(second), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', state || jsonb_build_object('feature_state_value', value, 'enabled', enabled),
        'previous_state', state || jsonb_build_object('feature_state_value', before, 'enabled', was)))::text, 'UTF8'), pg_temp.at(arrived));
END $$;
DO $$ BEGIN
    FOR id IN 1..70 LOOP
        CALL pg_temp.entry(id, id, id + 1);
    END LOOP;
    CALL pg_temp.entry(71, 80, 81.2, 'Remote config value updated for feature: flag');
    CALL pg_temp.change(80, 81.3, 1, 0);
    -- of what waits, the first is lost
    CALL pg_temp.entry(72, 108, 171, 'Flag state updated for feature: flag');
    CALL pg_temp.entry(73, 107.9, 171.1, 'Remote config value updated for feature: flag');
    CALL pg_temp.entry(74, 104, 171.2, 'Remote config value updated for feature: flag');
    CALL pg_temp.entry(76, 106, 171.4, 'Remote config value updated for feature: flag');
    CALL pg_temp.entry(77, 105.5, 171.45);
    CALL pg_temp.change(108, 171.5, 5, 4, false);
    FOR id IN 78..150 LOOP
        CALL pg_temp.entry(id, id + 200, id + 201);
    END LOOP;
    CALL pg_temp.entry(151, 360, 361.2, 'Remote config value updated for feature: flag');
    CALL pg_temp.change(360, 361.3, 6, 5, false, false);
    CALL pg_temp.entry(152, 400, 401);
END $$;
-- The first, of 102, changed the value: what was there up to 104 is not proved.  It could have been of 109 as well, as its id is
-- no older than those beside it, which came after 171.
SELECT first_audit_id, last_audit_id, earliest, latest FROM flagsmith.missing_audit_entry WHERE source = 'late hole';
SELECT period, value, confidence, cause FROM flagsmith.flag_timeline WHERE source = 'late hole' ORDER BY period;
SELECT s.value, s.confidence, s.cause FROM flagsmith.feature_state('late hole/Late/env', 'flag', pg_temp.at(103)) s;

-- An entry that the feature was updated tells of no state.  A variant that was added with it has an entry, and where that is
-- lost, here after 450, its id is missing.
DO $$ BEGIN
    CALL pg_temp.entry(153, 420, 421, 'Flag / Remote Config updated: flag');
    FOR id IN 154..170 LOOP
        CALL pg_temp.entry(id, id + 280, id + 281);
    END LOOP;
    CALL pg_temp.entry(172, 450.1, 451, 'Flag / Remote Config updated: flag');
    CALL pg_temp.entry(173, 460, 461);
END $$;
SELECT period, value, confidence, cause FROM flagsmith.flag_timeline WHERE source = 'late hole' AND lower(period) >= pg_temp.at(360) ORDER BY period;
ROLLBACK;
