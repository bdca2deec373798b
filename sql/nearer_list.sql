-- Version lists without audit entry, of which several can be of one flag event: it belongs to the nearest one.
SET TimeZone = 'UTC';

CREATE TEMPORARY TABLE told (id int GENERATED ALWAYS AS IDENTITY, arrived numeric, body text);
CREATE PROCEDURE pg_temp.event(at numeric, arrived numeric, who text, value text) LANGUAGE sql AS $$
    INSERT INTO told (arrived, body) SELECT arrived, jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', who, 'timestamp', to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object(
            'feature', '{"id": 9, "name": "menu", "type": "STANDARD", "project": {"id": 7, "name": "Shop"}}'::jsonb,
            'environment', '{"id": 71, "name": "Staging"}'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb)))::text $$;
CREATE PROCEDURE pg_temp.list(arrived numeric, uuid int, who text, VARIADIC states text[]) LANGUAGE sql AS $$
    INSERT INTO told (arrived, body) SELECT arrived, jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object(
        'uuid', '00000000-0000-4000-b000-00000000000' || uuid, 'feature', '{"id": 9, "name": "menu"}'::jsonb,
        'published_by', jsonb_build_object('id', 1, 'email', who), 'feature_states', (SELECT jsonb_agg(jsonb_build_object(
            'enabled', true, 'value', s, 'multivariate_feature_state_values', '[]'::jsonb) ORDER BY n) FROM unnest(states) WITH ORDINALITY u (s, n))))::text $$;

-- The first changed the default, the second by the same person an override that sent no event.
CALL pg_temp.event(10, 10.5, 'ada@example.com', 'a');
CALL pg_temp.list(10.7, 1, 'ada@example.com', 'a');
CALL pg_temp.list(20, 2, 'ada@example.com', 'a', 'b');
-- Another person's is not asked, nor one of another default; what comes twice is one list.
CALL pg_temp.list(101, 3, 'zoe@example.com', 'c');
CALL pg_temp.list(101.5, 4, 'ada@example.com', 'd');
CALL pg_temp.event(100, 100.5, 'ada@example.com', 'c');
CALL pg_temp.list(105, 5, 'ada@example.com', 'c');
-- One that came more than a second before the event's time stays apart, although it came again after it.
CALL pg_temp.list(200, 6, 'ada@example.com', 'e');
CALL pg_temp.event(201.2, 201.3, 'ada@example.com', 'e');
CALL pg_temp.list(220, 6, 'ada@example.com', 'e');

DO $$
BEGIN
    FOR n IN 0 .. 3 LOOP
        PERFORM flagsmith.add_webhook('nearer ' || n, NULL, source => 'nearer ' || n, scope => 'environment', environment_id => 71,
            allow_unsigned => true, max_spool_age => NULL);
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT 'nearer ' || n, convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + arrived * interval '1 second'
        FROM told ORDER BY CASE n WHEN 0 THEN lpad(id::text, 4, '0') WHEN 1 THEN lpad((1000 - id)::text, 4, '0') ELSE md5(n || ' ' || id) END;
    END LOOP;
END $$;

SELECT to_char(at, 'HH24:MI:SS.MS') AS at, actor, action, object, value, cardinality(delivery_ids) AS deliveries
FROM flagsmith.history WHERE source = 'nearer 0' AND at BETWEEN '2026-11-01 11:00Z' AND '2026-11-01 14:00Z' ORDER BY at;

-- In whatever order they came.
SELECT count(*) AS lines_that_depend_on_the_order FROM (
    SELECT at, actor, action, object, value, cardinality(delivery_ids) FROM flagsmith.history WHERE source LIKE 'nearer _' AND at BETWEEN '2026-11-01 11:00Z' AND '2026-11-01 14:00Z'
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING count(*) % 4 <> 0) s;

-- Nor do other sources with the same ids in the same second take the place of what belongs together.
DO $$
BEGIN
    FOR n IN 1 .. 70 LOOP
        TRUNCATE told;
        CALL pg_temp.event(10 + n * 0.001, 10.5, 'ada@example.com', 'a');
        CALL pg_temp.list(10.7 + n * 0.001, 1, 'ada@example.com', 'a');
        PERFORM flagsmith.add_webhook('crowd ' || n, NULL, source => 'crowd ' || n, scope => 'environment', environment_id => 71,
            allow_unsigned => true, max_spool_age => NULL);
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT 'crowd ' || n, convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + arrived * interval '1 second' FROM told;
    END LOOP;
END $$;
SELECT action, value, cardinality(delivery_ids) AS deliveries, count(*) FROM flagsmith.history WHERE source LIKE 'crowd %' GROUP BY 1, 2, 3;
