-- get_feature_value() over many rows: values are read when a row asks for them, from where they were found.  Whatever becomes
-- of the table meanwhile, each row is told what its snapshot sees.
SET TimeZone = 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('value', NULL, source => 'value', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
CREATE SCHEMA value;

-- What flag f is from minute n on: of every type, some as other flags have them too, some that are stored out of line.
CREATE FUNCTION value.value(f int, n int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE (f + n) % 8 WHEN 0 THEN 'null' WHEN 1 THEN to_jsonb(n % 5) WHEN 2 THEN to_jsonb(f * 1000 + n) WHEN 3 THEN '""'
        WHEN 4 THEN 'true' WHEN 5 THEN to_jsonb('value ' || n % 3)
        WHEN 6 THEN CASE WHEN n % 16 = 0 THEN to_jsonb((SELECT string_agg(md5(f || ' ' || n || ' ' || i), '') FROM generate_series(1, 120) i))
            ELSE to_jsonb(repeat('v' || n, 1000)) END
        ELSE to_jsonb(f || ' has ' || n) END $$;
CREATE FUNCTION value.body(f int, n int) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', to_char(timestamp '2026-01-01' + n * interval '1 min', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'new_state', jsonb_build_object('enabled', (f + n) % 3 = 0, 'feature_state_value', value.value(f, n),
            'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', f, 'name', 'flag ' || f, 'project', jsonb_build_object('id', 7, 'name', 'Value')),
            'environment', jsonb_build_object('id', 1, 'name', 'Here'),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8') $$;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'value', value.body(f, n), timestamptz '2026-01-01 00:00:01Z' + n * interval '1 min'
FROM generate_series(1, 40) n, generate_series(1, 30) f ORDER BY n % 2, n, f;
-- some told twice, with other people
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'value', convert_to(replace(convert_from(value.body(f, 20), 'UTF8'), 'ada@', 'bob@'), 'UTF8'), timestamptz '2026-01-01 00:20:02Z'
FROM (VALUES (3), (5)) v (f);
SELECT count(*), count(DISTINCT value) AS values, count(*) FILTER (WHERE pg_column_size(value) > 2500) AS large
FROM flagsmith.flag_change WHERE source = 'value';

-- Each flag at each minute twice, in an order in which no flag follows itself.
CREATE TABLE value.asked AS
SELECT row_number() OVER (ORDER BY i, md5(n::text), f) AS row, 'flag ' || f AS feature, timestamptz '2026-01-01 00:00:30Z' + n * interval '1 min' AS at,
    value.value(f, n) AS value
FROM generate_series(1, 2) i, generate_series(1, 40) n, generate_series(1, 30) f;
ANALYZE value.asked;
CREATE FUNCTION value.nothing() RETURNS text LANGUAGE sql AS $$ SELECT 'nothing' $$;
-- The rows, and those with a wrong answer, where something else is done in the middle of the statement.
CREATE FUNCTION value.wrong(what regproc DEFAULT 'value.nothing', by_ids boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT count(*) || '' rows, '' || count(*) FILTER (WHERE got IS DISTINCT FROM value) || '' wrong, '' || max(done)
        FROM (SELECT a.*, CASE WHEN row = 900 THEN %s() END AS done, %s AS got FROM (SELECT * FROM value.asked ORDER BY row) a OFFSET 0) s', what,
        CASE WHEN by_ids THEN 'flagsmith.get_feature_value(1, substr(feature, 6)::bigint, at, source => ''value'')'
        ELSE 'flagsmith.get_feature_value(''Value/Here'', feature, at)' END) INTO result;
    RETURN result;
END $$;
SELECT value.wrong(), value.wrong(by_ids => true);
VACUUM (ANALYZE) flagsmith.flag_change;
SELECT value.wrong(), value.wrong(by_ids => true);
-- with no room for values, and with next to none for anything
SET work_mem = '512kB';
SET hash_mem_multiplier = 1;
SELECT value.wrong();
SET work_mem = '64kB';
SELECT value.wrong();
RESET work_mem;
RESET hash_mem_multiplier;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT value.wrong();
COMMIT;

-- The table is made anew: rows stand elsewhere.
CREATE FUNCTION value.rewritten() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    CLUSTER flagsmith.flag_change USING flag_change_event_at_idx;
    RETURN 'rewritten';
END $$;
SELECT value.wrong('value.rewritten');
SELECT value.wrong();
VACUUM flagsmith.flag_change;
-- Something about it is changed, which the session must look at anew.
CREATE FUNCTION value.changed() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE flagsmith.flag_change ALTER COLUMN changed_by SET STATISTICS 50;
    RETURN 'changed';
END $$;
SELECT value.wrong('value.changed');
ALTER TABLE flagsmith.flag_change ALTER COLUMN changed_by SET STATISTICS -1;

-- Rows go, and others come: the statement that runs sees neither.
CREATE FUNCTION value.gone() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM flagsmith.flag_change WHERE source = 'value' AND feature_id % 2 = 0;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'value', convert_to(replace(convert_from(value.body(f, n), 'UTF8'), ':00Z', ':10Z'), 'UTF8'),
        timestamptz '2026-01-01 00:00:11Z' + n * interval '1 min' FROM generate_series(10, 20) n, generate_series(1, 30) f;
    RETURN 'gone';
END $$;
-- Versions of a row that no index entry leads to by itself.
CREATE FUNCTION value.touched() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE flagsmith.flag_change SET variants = variants WHERE source = 'value' AND feature_id % 2 = 0;
    RETURN 'touched';
END $$;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
BEGIN;
SELECT value.wrong('value.gone');
SELECT value.wrong() LIKE '% 0 wrong%' AS still_right;
ROLLBACK;
SELECT value.wrong();
SELECT value.wrong('value.touched');
SELECT value.wrong();
VACUUM flagsmith.flag_change;
SELECT value.wrong();

-- A cursor is open while they go.
BEGIN;
DECLARE rows CURSOR FOR
SELECT row, flagsmith.get_feature_value('Value/Here', feature, at) IS NOT DISTINCT FROM value AS is_right
FROM (SELECT * FROM value.asked ORDER BY row) a WHERE row % 100 < 3;
CREATE FUNCTION value.fetched(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows refcursor := 'rows';
    is_right boolean;
    row bigint;
    result int[] := '{0,0}';
BEGIN
    FOR i IN 1..n LOOP
        FETCH rows INTO row, is_right;
        EXIT WHEN NOT FOUND;
        result[1] := result[1] + 1;
        result[2] := result[2] + (NOT is_right)::int;
    END LOOP;
    RETURN result;
END $$;
SELECT value.fetched(20);
SELECT value.gone();
SELECT value.fetched(20);
SAVEPOINT a;
CLUSTER flagsmith.flag_change USING flag_change_event_at_idx;
SELECT value.fetched(20);
ROLLBACK TO a;
SELECT value.fetched(100);
ROLLBACK;

ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
DROP SCHEMA value CASCADE;
DELETE FROM flagsmith.webhook WHERE name = 'value';
