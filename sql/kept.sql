-- What a statement keeps from one call to the next is seen by its snapshot alone, and is gone when the statement is: no answer
-- changes, and nothing is left open, which the server would warn of.
SET TimeZone = 'UTC';
\set VERBOSITY terse
SELECT count(*) FROM flagsmith.add_webhook('kept', NULL, source => 'kept', allow_unsigned => true, max_spool_age => NULL);

CREATE FUNCTION pg_temp.state(environment int, feature int, value int) RETURNS jsonb LANGUAGE sql
    RETURN jsonb_build_object('enabled', value % 2 = 1, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb,
        'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', false,
            'initial_value', '0', 'created_date', '2026-01-01T01:00:00.000000Z', 'description', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Shop')),
        'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment),
        'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL);
CREATE PROCEDURE pg_temp.event(at timestamptz, environment int, feature int, value int)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('kept', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'new_state', pg_temp.state(environment, feature, value),
        'previous_state', pg_temp.state(environment, feature, value - 12)))::text, 'UTF8'), at + interval '1 s') $$;
DO $$
BEGIN
    FOR i IN 0 .. 23 LOOP
        CALL pg_temp.event('2026-01-01 02:00Z'::timestamptz + i * interval '10 min', 1 + i % 3, 1 + i % 4, i);
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.now_of(environment bigint, feature bigint) RETURNS text LANGUAGE sql
    RETURN (SELECT concat_ws(' ', environment, feature, t.value, t."from") FROM flagsmith._flag_now('kept', environment, feature) t);

-- One statement for all flags says what one for each says; of more environments than are kept, too.
SELECT count(*), count(*) FILTER (WHERE concat_ws(' ', environment_id, feature_id, value, since) <> pg_temp.now_of(environment_id, feature_id)) AS different,
    string_agg(DISTINCT project || '/' || environment, ', ') FROM flagsmith.current_state WHERE source = 'kept';
CREATE FUNCTION pg_temp.values_in(environments bigint[]) RETURNS text LANGUAGE sql STABLE
    RETURN (SELECT string_agg(t.value::text, ' ' ORDER BY n) FROM unnest(environments) WITH ORDINALITY u (e, n), LATERAL flagsmith._flag_now('kept', e, 1) t);
SELECT count(DISTINCT t.value) FROM generate_series(1, 2) turn, generate_series(1, 1000) e, LATERAL flagsmith._flag_now('kept', e, 1) t;
SELECT pg_temp.values_in(ARRAY[1, 2, 3, 1, 2, 3]) AS few,
    pg_temp.values_in((SELECT array_agg(e % 500 + 1 ORDER BY e) FROM generate_series(0, 1999) e)) = repeat(pg_temp.values_in(ARRAY[1, 2, 3]) || ' ', 3) || pg_temp.values_in(ARRAY[1, 2, 3]) AS many;

-- A cursor sees what there was when it was opened, in a subtransaction that is rolled back as well as before and after.
BEGIN;
DECLARE kept CURSOR FOR SELECT f AS feature, t.value, flagsmith._name('kept', 'feature', f::text) AS name, t."from"
    FROM generate_series(1, 4) f, LATERAL flagsmith._flag_now('kept', 1, f) t;
FETCH kept;
CALL pg_temp.event('2026-01-02 02:00Z', 1, 2, 102);
SAVEPOINT s;
CALL pg_temp.event('2026-01-02 02:00Z', 1, 3, 103);
FETCH kept;
SELECT pg_temp.now_of(1, 2) AS two, pg_temp.now_of(1, 3) AS three;
ROLLBACK TO s;
FETCH kept;
SELECT pg_temp.now_of(1, 2) AS two, pg_temp.now_of(1, 3) AS three;
FETCH kept;
CLOSE kept;
DECLARE kept CURSOR FOR SELECT t.value FROM generate_series(1, 4) f, LATERAL flagsmith._flag_now('kept', 1, f) t;
FETCH kept;
ROLLBACK;
BEGIN;
DECLARE kept CURSOR WITH HOLD FOR SELECT t.value FROM generate_series(1, 4) f, LATERAL flagsmith._flag_now('kept', 1, f) t;
FETCH kept;
COMMIT;
FETCH ALL kept;
CLOSE kept;

-- In the target list, where the rest is not asked for, and after an error that is caught.
SELECT (flagsmith._flag_now('kept', 1, f)).value FROM generate_series(1, 4) f;
SELECT count(*) FROM (SELECT t.value FROM generate_series(1, 4) f, LATERAL flagsmith._flag_now('kept', 1, f) t LIMIT 2) s;
CREATE FUNCTION pg_temp.caught() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    flag record;
    result text := '';
BEGIN
    FOR flag IN SELECT f, t.value, flagsmith._name('kept', 'feature', f::text) AS name
            FROM generate_series(1, 4) f, LATERAL flagsmith._flag_now('kept', 1, f) t LOOP
        BEGIN
            result := concat_ws(' ', result, flagsmith._name('kept', 'environment', flag.f::text), flag.value);
            PERFORM 1 / (t.value::int - t.value::int) FROM flagsmith._flag_now('kept', 1, flag.f) t;
        EXCEPTION WHEN division_by_zero THEN
            result := concat_ws(' ', result, flagsmith._name('kept', 'environment', '2'), flag.name || ',');
        END;
    END LOOP;
    RETURN result;
END $$;
SELECT pg_temp.caught();
SELECT pg_temp.caught() = (SELECT pg_temp.caught()) AS again FROM generate_series(1, 2);

-- What was known when, asked by turns.
SELECT array_agg(DISTINCT stored_at) AS stored FROM flagsmith.flag_change WHERE source = 'kept' AND environment_id = 1 AND feature_id = 1 \gset
SELECT array_agg(n ORDER BY i) AS periods FROM (
    SELECT i, count(t.value) AS n FROM unnest(ARRAY[(:'stored'::timestamptz[])[1], NULL, '-infinity', 'infinity', (:'stored'::timestamptz[])[1], NULL]) WITH ORDINALITY u (known, i)
    LEFT JOIN LATERAL flagsmith._flag_periods('kept', 1, 1, known) t ON true GROUP BY i) s;

-- feature_state() keeps as much: of several environments, by what was known when, and in a cursor.
SELECT array_agg(s.value ORDER BY n) AS values FROM (VALUES (1, 1, NULL), (2, 1, '-infinity'), (3, 2, 'infinity'), (4, 1, (:'stored'::timestamptz[])[1]), (5, 3, NULL), (6, 1, NULL)) u (n, e, known)
LEFT JOIN LATERAL flagsmith.feature_state(e, 1, '2026-01-01 03:30Z', known_at => known::timestamptz, source => 'kept') s ON true;
BEGIN;
DECLARE kept CURSOR FOR SELECT f AS feature, s.value, s.since FROM generate_series(1, 3) f, LATERAL flagsmith.feature_state('kept/Shop/env 1', 'flag ' || f) s;
FETCH kept;
CALL pg_temp.event('2026-01-02 02:00Z', 1, 2, 102);
SAVEPOINT s;
CALL pg_temp.event('2026-01-02 02:00Z', 1, 3, 103);
FETCH kept;
SELECT value FROM flagsmith.feature_state('kept/Shop/env 1', 'flag 3');
ROLLBACK TO s;
FETCH kept;
SELECT f AS feature, s.value FROM generate_series(2, 3) f, LATERAL flagsmith.feature_state('kept/Shop/env 1', 'flag ' || f) s;
ROLLBACK;

-- A line of history is the same in any company.
CREATE FUNCTION pg_temp.line(wanted text, instant timestamptz) RETURNS text LANGUAGE sql
    RETURN (SELECT h::text FROM flagsmith.history h WHERE h.act = wanted AND h.at = instant);
SELECT count(*), count(*) FILTER (WHERE h::text IS DISTINCT FROM pg_temp.line(h.act, h.at)) AS different
FROM flagsmith.history h WHERE source = 'kept';
