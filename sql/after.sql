-- The state after an act, of which the flag event was read later than what followed, and the state before one that was a draft.
SET TimeZone = 'UTC';

CREATE TEMPORARY TABLE told (id int GENERATED ALWAYS AS IDENTITY, arrived numeric, body text);
CREATE FUNCTION pg_temp.stamp(at numeric) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE PROCEDURE pg_temp.entry(at numeric, log text, type text, object int, environment boolean DEFAULT true, who text DEFAULT 'ada@example.com') LANGUAGE sql AS $$
    INSERT INTO told (arrived, body) SELECT at + 3, jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', 100 + (SELECT count(*) FROM told), 'created_date', pg_temp.stamp(at), 'log', log,
        'author', jsonb_build_object('id', 1, 'email', who, 'first_name', '', 'last_name', ''),
        'environment', CASE WHEN environment THEN '{"id": 71, "name": "Staging"}'::jsonb END, 'project', '{"id": 7, "name": "Shop"}'::jsonb,
        'related_object_id', object, 'related_object_type', type, 'is_system_event', false))::text $$;
CREATE PROCEDURE pg_temp.made(at numeric, feature text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 'New Flag / Remote Config created: ' || feature, 'FEATURE', 700 + length(feature), false) $$;
CREATE PROCEDURE pg_temp.option(at numeric, feature text, who text DEFAULT 'ada@example.com') LANGUAGE sql AS $$
    CALL pg_temp.entry(at, format('Multivariate option added to feature ''%s''.', feature), 'FEATURE', 700 + length(feature), false, who) $$;
CREATE PROCEDURE pg_temp.state(at numeric, feature text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 'Flag state updated for feature: ' || feature, 'FEATURE_STATE', 1) $$;
CREATE PROCEDURE pg_temp.value(at numeric, feature text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 'Remote config value updated for feature: ' || feature, 'FEATURE_STATE', 1) $$;
CREATE PROCEDURE pg_temp.event(at numeric, arrived numeric, feature text, enabled boolean, value text, options int DEFAULT 0, who text DEFAULT 'ada@example.com') LANGUAGE sql AS $$
    INSERT INTO told (arrived, body) SELECT arrived, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', who, 'timestamp', pg_temp.stamp(at), 'new_state', jsonb_build_object(
            'feature', jsonb_build_object('id', 700 + length(feature), 'name', feature, 'type', 'STANDARD', 'project', '{"id": 7, "name": "Shop"}'::jsonb),
            'environment', '{"id": 71, "name": "Staging"}'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values',
            (SELECT coalesce(jsonb_agg(jsonb_build_object('id', o, 'multivariate_feature_option', jsonb_build_object('id', o), 'percentage_allocation', 10)), '[]')
             FROM generate_series(1, options) o))))::text $$;

-- An option that came after the save and before its event was read: entries count none at the save.
CALL pg_temp.made(0, 'made');
CALL pg_temp.state(10, 'made');
CALL pg_temp.option(12, 'made');
CALL pg_temp.event(10, 14, 'made', true, 'a', 1);
-- Where nothing tells of the making, it can have had some: the rest is told.
CALL pg_temp.state(10, 'elder');
CALL pg_temp.option(12, 'elder');
CALL pg_temp.event(10, 14, 'elder', true, 'a', 1);
-- One that came after the event was read changes nothing.
CALL pg_temp.state(10, 'read early');
CALL pg_temp.event(10, 11, 'read early', true, 'a', 0);
CALL pg_temp.option(12, 'read early');
-- What a flag is made with has options that are saved some milliseconds later, and one that is added three seconds later is not of it.
CALL pg_temp.entry(20, 'New Flag / Remote Config created: new', 'FEATURE_STATE', 1);
CALL pg_temp.option(20.010, 'new');
CALL pg_temp.event(20, 24, 'new', true, 'a', 1);
CALL pg_temp.entry(20, 'New Flag / Remote Config created: newer', 'FEATURE_STATE', 1);
CALL pg_temp.option(23, 'newer');
CALL pg_temp.event(20, 24, 'newer', true, 'a', 1);
-- Nor is one that another adds at once.
CALL pg_temp.entry(20, 'New Flag / Remote Config created: newest', 'FEATURE_STATE', 1);
CALL pg_temp.option(20.7, 'newest', 'bob@example.com');
CALL pg_temp.event(20, 24, 'newest', true, 'a', 1);
-- Another save came between, and is what both events show.
CALL pg_temp.state(10, 'between');
CALL pg_temp.value(10.970, 'between');
CALL pg_temp.state(11, 'between');
CALL pg_temp.event(10, 11.5, 'between', true, 'b');
CALL pg_temp.event(11, 11.6, 'between', true, 'b');
-- And one that was not yet saved when the event was read.
CALL pg_temp.state(10, 'behind it');
CALL pg_temp.event(10, 10.5, 'behind it', true, 'a');
CALL pg_temp.value(10.970, 'behind it');
CALL pg_temp.state(11, 'behind it');
CALL pg_temp.event(11, 11.5, 'behind it', true, 'b');
-- A save of the value alone sends the time of the state before, and the clock of the receiver is behind.
CALL pg_temp.state(10, 'value alone');
CALL pg_temp.event(10, 9.9, 'value alone', true, 'a');
CALL pg_temp.value(60, 'value alone');
CALL pg_temp.event(10, 59.9, 'value alone', true, 'b');
-- The same without any entry.
CALL pg_temp.event(10, 10.1, 'without entry', true, 'a');
CALL pg_temp.event(10, 60.1, 'without entry', true, 'b');
-- A change request without entry names nobody and has the time of its draft: before it was what was saved since.
CALL pg_temp.event(10, 10.1, 'a drafted flag', true, 'a');
CALL pg_temp.event(50, 50.1, 'a drafted flag', true, 'b');
CALL pg_temp.event(20, 90, 'a drafted flag', false, 'c', 0, '');

DO $$
BEGIN
    FOR n IN 0 .. 4 LOOP
        PERFORM flagsmith.add_webhook('after ' || n, NULL, source => 'after ' || n, allow_unsigned => true, max_spool_age => NULL);
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT 'after ' || n, convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + arrived * interval '1 second'
        FROM told WHERE n < 4 OR body::jsonb #>> '{data,new_state,feature,name}' = 'a drafted flag'
        ORDER BY CASE n WHEN 0 THEN lpad(id::text, 4, '0') WHEN 1 THEN lpad((1000 - id)::text, 4, '0') ELSE md5(n || ' ' || id) END;
    END LOOP;
END $$;

SELECT feature, extract(epoch FROM at - '2026-11-01 12:00Z')::numeric(6, 3) AS at, enabled, value, variants, enabled_before, value_before
FROM flagsmith.history WHERE source = 'after 0' AND at BETWEEN '2026-11-01 11:00Z' AND '2026-11-01 14:00Z' AND (action = 'updated' OR feature IN ('new', 'newer', 'newest') AND environment IS NOT NULL) ORDER BY feature_id, at;

-- Of environment webhooks alone, which send no entries, the timeline knows when the draft took effect.
SELECT feature, extract(epoch FROM at - '2026-11-01 12:00Z')::numeric(6, 3) AS at, enabled, value, variants, enabled_before, value_before
FROM flagsmith.history WHERE source = 'after 4' AND at BETWEEN '2026-11-01 11:00Z' AND '2026-11-01 14:00Z' ORDER BY at;

-- In whatever order it was told.
SELECT count(*) AS lines_that_depend_on_the_order FROM (
    SELECT at, action, object, feature, enabled, value, variants, enabled_before, value_before FROM flagsmith.history WHERE source BETWEEN 'after 0' AND 'after 3' AND at BETWEEN '2026-11-01 11:00Z' AND '2026-11-01 14:00Z'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 HAVING count(*) % 4 <> 0) s;

-- An entry that came twice, by a back-fill too, is of the making as well.
SELECT outcome, entries FROM flagsmith.import_audit_log((SELECT jsonb_build_object('results', jsonb_agg(body::jsonb -> 'data'))::text
    FROM told WHERE body LIKE '%option added to feature ''new''%'), 'after 0');
SELECT enabled, value, variants FROM flagsmith.history WHERE source = 'after 0' AND feature = 'new' AND environment IS NOT NULL;
