-- Which audit entries are one save, whom an ambiguous message means, and that neither depends on the order of insertion.
SET TimeZone = 'UTC';

-- What was told, once for each source, in an order of its own.
CREATE TEMPORARY TABLE told (id int GENERATED ALWAYS AS IDENTITY, at numeric, body text);
CREATE FUNCTION pg_temp.stamp(at numeric) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE PROCEDURE pg_temp.entry(at numeric, log text, type text, object int, environment boolean DEFAULT true) LANGUAGE sql AS $$
    INSERT INTO told (at, body) SELECT at + 2, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', 100 + (SELECT count(*) FROM told), 'created_date', pg_temp.stamp(at), 'log', log,
        'author', '{"id": 1, "email": "ada@example.com", "first_name": "", "last_name": ""}'::jsonb,
        'environment', CASE WHEN environment THEN '{"id": 71, "name": "Staging"}'::jsonb END, 'project', '{"id": 7, "name": "Shop"}'::jsonb,
        'related_object_id', object, 'related_object_type', type, 'is_system_event', false))::text $$;
CREATE PROCEDURE pg_temp.event(at numeric, feature text, value jsonb) LANGUAGE sql AS $$
    INSERT INTO told (at, body) SELECT at + 2, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', pg_temp.stamp(at), 'new_state', jsonb_build_object(
            'feature', jsonb_build_object('id', 700 + length(feature), 'name', feature, 'type', 'STANDARD', 'project', '{"id": 7, "name": "Shop"}'::jsonb),
            'environment', '{"id": 71, "name": "Staging"}'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb)))::text $$;
CREATE PROCEDURE pg_temp.state(at numeric, feature text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 'Flag state updated for feature: ' || feature, 'FEATURE_STATE', 1) $$;
CREATE PROCEDURE pg_temp.value(at numeric, feature text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 'Remote config value updated for feature: ' || feature, 'FEATURE_STATE', 1) $$;

-- A value, then a state and a value some milliseconds later: the state is of the nearer one.
CALL pg_temp.value(1.180, 'near');
CALL pg_temp.state(1.387, 'near');
CALL pg_temp.value(1.393, 'near');
-- The other way round, and with percentages between.
CALL pg_temp.state(11.000, 'near');
CALL pg_temp.value(11.010, 'near');
CALL pg_temp.entry(11.020, 'Multivariate value changed for feature ''near''.', 'FEATURE_STATE', 704);
CALL pg_temp.entry(11.200, 'Multivariate value changed for feature ''near''.', 'FEATURE_STATE', 704);
CALL pg_temp.state(11.210, 'near');
-- A state, and a value of which the event bears a time of its own: two saves.  One save has the time of its state.
CALL pg_temp.state(21.389, 'apart');
CALL pg_temp.value(21.489, 'apart');
CALL pg_temp.event(21.499, 'apart', '"a"');
CALL pg_temp.state(31.389, 'apart');
CALL pg_temp.value(31.489, 'apart');
CALL pg_temp.event(31.389, 'apart', '"b"');
CALL pg_temp.value(41.389, 'apart');
CALL pg_temp.state(41.420, 'apart');
CALL pg_temp.event(41.420, 'apart', '"c"');
-- Nothing else tells: one.
CALL pg_temp.state(51.389, 'apart');
CALL pg_temp.value(51.489, 'apart');

-- A flag with a name like a message: what has its id is about it, whatever else the message fits.  Of another id, the message counts.
CALL pg_temp.entry(61, 'New Flag / Remote Config created: x'' and identity ''y'' 4', 'FEATURE', 27, false);
CALL pg_temp.entry(62, 'Multivariate value changed for feature ''x'' and identity ''y'' 4''.', 'FEATURE_STATE', 27);
CALL pg_temp.entry(63, 'Multivariate value changed for feature ''x'' and identity ''y'' 4''.', 'FEATURE_STATE', 28);
-- The same of a message that is ambiguous.
CALL pg_temp.entry(64, 'New Flag / Remote Config created: a'' and segment ''b', 'FEATURE', 29, false);
CALL pg_temp.entry(65, 'Flag state / Remote config value deleted for feature ''a'' and segment ''b'' and segment ''c''', 'FEATURE', 29);
CALL pg_temp.entry(66, 'Flag state / Remote config value deleted for feature ''a'' and segment ''b'' and segment ''c''', 'FEATURE', 30);

-- States of one instant by one user, that arrive together, and of which no entry tells.
CALL pg_temp.event(71, 'instant', '"a"');
CALL pg_temp.event(71, 'instant', '"b"');
CALL pg_temp.event(71, 'instant', '"c"');

-- The entry of a version is written by a task, after the change request that published it was saved: one from before is of another act.
CALL pg_temp.entry(81, 'New version published for feature: own', 'EF_VERSION', NULL);
CALL pg_temp.entry(81.5, 'Change Request: Unrelated committed', 'CHANGE_REQUEST', 5);
CALL pg_temp.entry(96, 'Change Request: Published committed', 'CHANGE_REQUEST', 6);
CALL pg_temp.entry(96.5, 'New version published for feature: own', 'EF_VERSION', NULL);

DO $$
BEGIN
    FOR n IN 0 .. 11 LOOP
        PERFORM flagsmith.add_webhook('fold ' || n, NULL, source => 'fold ' || n, allow_unsigned => true, max_spool_age => NULL);
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT 'fold ' || n, convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + at * interval '1 second'
        FROM told ORDER BY CASE n WHEN 0 THEN lpad(id::text, 4, '0') WHEN 1 THEN lpad((1000 - id)::text, 4, '0') ELSE md5(n || ' ' || id) END;
    END LOOP;
END $$;

CREATE VIEW pg_temp.line AS
SELECT source, at, actor, action, object, feature, feature_id, segment, identity_identifier, enabled, value, enabled_before, value_before, log, audit_id,
    cardinality(delivery_ids) AS deliveries
FROM flagsmith.history;
SELECT at::time(3), action, object, feature, feature_id AS id, segment, identity_identifier AS identity, value, deliveries FROM pg_temp.line WHERE source = 'fold 0' ORDER BY at, audit_id;
-- Each is found by what it shows.
SELECT at::time(3), feature, log FROM pg_temp.line WHERE source = 'fold 0' AND feature = 'x'' and identity ''y'' 4' ORDER BY at;
SELECT at::time(3), feature, log FROM pg_temp.line WHERE source = 'fold 0' AND feature = 'x' ORDER BY at;
WITH told AS MATERIALIZED (SELECT unnest(delivery_ids) AS id FROM flagsmith.history WHERE source = 'fold 0')
SELECT count(*) AS in_another_line FROM flagsmith.delivery d
WHERE d.source = 'fold 0' AND (SELECT count(*) FROM told WHERE told.id = d.id) <> 1;
-- No order of insertion makes another line.
SELECT count(DISTINCT lines) AS ways, max(n) AS lines FROM (
    SELECT source, count(*) AS n, jsonb_agg(to_jsonb(l) - 'source' ORDER BY (to_jsonb(l) - 'source')::text) AS lines FROM pg_temp.line l WHERE source LIKE 'fold %' GROUP BY source) s;

-- An entry of a version that came twice has the earlier arrival, whichever copy was stored first.
CREATE PROCEDURE pg_temp.twice(of text, copies text[]) LANGUAGE plpgsql AS $$
DECLARE
    arrived text;
BEGIN
    PERFORM flagsmith.add_webhook(of, NULL, source => of, allow_unsigned => true, max_spool_age => NULL);
    CALL pg_temp.event(100, 'version', '"a"');
    CALL pg_temp.entry(100.1, 'New version published for feature: version', 'EF_VERSION', NULL);
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT of, convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:01:56Z'
    FROM told ORDER BY id DESC LIMIT 1 OFFSET 1;
    FOREACH arrived IN ARRAY copies LOOP
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT of, convert_to(jsonb_set(body::jsonb, '{data,related_object_uuid}', '"00000006-0000-4000-b000-000000000006"')::text, 'UTF8'), timestamptz '2026-11-01 12:00Z' + arrived::interval FROM told ORDER BY id DESC LIMIT 1;
    END LOOP;
    DELETE FROM told WHERE at > 100;
END $$;
CALL pg_temp.twice('twice', '{100.2 s, 109 s}');
CALL pg_temp.twice('twice, the later first', '{109 s, 100.2 s}');
SELECT source, to_char(lower(period), 'HH24:MI:SS.MS') AS since, to_char(upper(period), 'HH24:MI:SS.MS') AS until, value, confidence, cause
FROM flagsmith.flag_timeline WHERE source LIKE 'twice%' ORDER BY source, period;
