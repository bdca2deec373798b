-- known_at: what was stored later does not count, in the scalar lookups as in feature_state(), names included; and what a mark
-- says of it.
SET TimeZone = 'UTC';
\set VERBOSITY terse
SELECT count(*) FROM flagsmith.add_webhook('known', NULL, source => 'known', allow_unsigned => true, max_spool_age => NULL);

CREATE PROCEDURE pg_temp.event(at timestamptz, environment text, feature int, value int)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('known', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('enabled', value % 2 = 1, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', false,
                'initial_value', '0', 'created_date', '2026-01-01T01:00:00.000000Z', 'description', NULL,
                'project', jsonb_build_object('id', 7, 'name', 'Shop')),
            'environment', jsonb_build_object('id', 1, 'name', environment),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8'), at + interval '1 s') $$;

SELECT clock_timestamp() AS before \gset
CALL pg_temp.event('2026-01-01 02:00Z', 'Home', 1, 1);
SELECT clock_timestamp() AS one \gset
-- Told later, of an earlier instant and of a later one, where the environment has another name.
CALL pg_temp.event('2026-01-01 01:30Z', 'Home', 1, 2);
CALL pg_temp.event('2026-01-01 05:00Z', 'House', 1, 4);
CALL pg_temp.event('2026-01-01 05:00Z', 'House', 2, 3);
SELECT clock_timestamp() AS two \gset

CREATE TEMP VIEW instant AS SELECT unnest(ARRAY['2026-01-01 01:45Z', '2026-01-01 02:30Z', 'infinity']::timestamptz[]) AS at;
CREATE FUNCTION pg_temp.answers(known timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', to_char(at, 'HH24:MI'), flagsmith.is_feature_enabled('Shop/Home', 'flag 1', at, known),
        flagsmith.get_feature_value('Shop/Home', 'flag 1', at, known),
        flagsmith.is_feature_enabled(1, 1, at, known, 'known'), flagsmith.get_feature_value(1, 1, at, known, 'known'))
    FROM instant ORDER BY at $$;
SELECT * FROM pg_temp.answers(:'one');
SELECT * FROM pg_temp.answers(:'two');
SELECT * FROM pg_temp.answers(NULL);

SET flagsmith_webhook.unknown_name = ignore;
-- As feature_state() says it, for whatever was known when.
SELECT count(*) AS compared, count(*) FILTER (WHERE (s.enabled, s.value, s.value #>> '{}') IS DISTINCT FROM
    (flagsmith.is_feature_enabled(1, f, at, known, 'known'), flagsmith.get_feature_value(1, f, at, known, 'known'),
        flagsmith.get_feature_value_text(1, f, at, known, 'known'))) AS different
FROM instant
CROSS JOIN unnest(ARRAY[:'before', :'one', :'two', 'infinity']::timestamptz[]) known
CROSS JOIN generate_series(1, 2) f
LEFT JOIN LATERAL flagsmith.feature_state(1, f, at, known_at => known, source => 'known') s ON true;

-- A name that came later means nothing then: no row, no value.  One that never came is a mistake.
SELECT flagsmith.get_feature_value('Shop/House', 'flag 1', 'infinity', :'one') AS later, flagsmith.get_feature_value('Shop/House', 'flag 1', 'infinity', :'two') AS then;
SELECT flagsmith.get_feature_value_text('Shop/House', 'flag 1', 'infinity', :'one') AS later, flagsmith.get_feature_value_text('Shop/House', 'flag 1', 'infinity', :'two') AS then;
SELECT count(*) FROM flagsmith.feature_state('Shop/House', 'flag 1', known_at => :'one');
SELECT count(*) FROM flagsmith.environment_state('Shop/House', known_at => :'one');
SELECT feature, value FROM flagsmith.environment_state('Shop/Home', known_at => :'one');
SELECT feature, value FROM flagsmith.environment_state('Shop/House', known_at => :'two') ORDER BY feature;
SELECT count(*) FROM flagsmith.feature_state('Shop/Nowhere', 'flag 1', known_at => :'one');
SELECT flagsmith.is_feature_enabled('Shop/Home', 'flag 1', NULL, :'two') IS NULL AS no_instant, flagsmith.is_feature_enabled(NULL, 'flag 1', 'infinity', :'two') IS NULL AS no_environment;

-- One call site, asked by turns what was known when, does not mix them up.
SELECT string_agg(coalesce(flagsmith.get_feature_value('Shop/Home', 'flag 1', 'infinity', k)::text, '-'), ' ' ORDER BY n)
FROM unnest(ARRAY[:'one', :'two', :'before', :'one', :'two', NULL]::timestamptz[]) WITH ORDINALITY AS u (k, n);

-- However much comes in later: what was known then, the defaults of a flag too, is answered as before.
CREATE TEMP VIEW answer AS
SELECT string_agg(s::text, E'\n' ORDER BY at, feature_id) AS answer
FROM (SELECT timestamptz '2026-01-01 01:15Z' AS at UNION ALL SELECT at FROM instant) i, flagsmith.environment_state(1, at, known_at => current_setting('fsw.two')::timestamptz, source => 'known') s;
SELECT count(set_config('fsw.two', :'two', false));
SELECT answer AS answered FROM pg_temp.answer \gset
DO $$ BEGIN FOR n IN 1 .. 70 LOOP CALL pg_temp.event(timestamptz '2026-01-01 05:30Z' + n * interval '1 s', 'House', 2, n); END LOOP; END $$;
SELECT :'answered' LIKE '%feature_defaults%' AS has_defaults, answer = :'answered' AS same FROM pg_temp.answer;

-- Marks: the instant of the call where nothing is being stored, and never one that is earlier than before.
SELECT flagsmith.history_position() IS NULL AS none_yet;
-- Any transaction of the cluster that writes, autovacuum's too, leaves a mark for the next.
CREATE PROCEDURE pg_temp.settle() LANGUAGE plpgsql AS $$
DECLARE begun timestamptz := clock_timestamp();
BEGIN
    LOOP
        COMMIT;
        EXIT WHEN flagsmith.mark_position() >= begun OR clock_timestamp() > begun + interval '1 minute';
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
CALL pg_temp.settle();
SELECT flagsmith.history_position() >= :'two' AS known, flagsmith.history_position() <= now() AS not_ahead;
SELECT flagsmith.history_position() AS first \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL pg_temp.event('2026-01-01 06:00Z', 'House', 1, 6);
SELECT flagsmith.mark_position() <= now() AS not_of_this_transaction;
COMMIT;
SELECT count(*) FROM (SELECT flagsmith.mark_position() FROM generate_series(1, 1005)) m;
CALL pg_temp.settle();
SELECT flagsmith.history_position() > :'first' AS later, count(*) AS kept FROM flagsmith.history_mark;
SELECT bool_and(settled_at >= coalesce(earlier, settled_at)) AS never_back FROM (SELECT settled_at, lag(settled_at) OVER (ORDER BY id) AS earlier FROM flagsmith.history_mark) m;
SELECT * FROM flagsmith.subscription_health;
SELECT flagsmith.remove_webhook('known');
DELETE FROM flagsmith.history_mark;
