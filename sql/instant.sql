-- An instant has a time zone: a timestamp without one raises in every door, whoever calls it, and nothing else does.
SET TimeZone = 'America/New_York';
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('instant', 'a secret of instants', source => 'instant', allow_unsigned => true, max_spool_age => NULL);
INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('instant', convert_to($${"data": {"changed_by": "ada@example.com", "new_state": {"enabled": true,
 "environment": {"id": 7512, "name": "Instant"}, "feature": {"id": 74101, "name": "clock", "project": {"id": 777, "name": "Clocks"}}, "feature_state_value": "green"},
 "timestamp": "2025-11-03T12:00:00.000000Z"}, "event_type": "FLAG_UPDATED"}$$, 'UTF8'), '2025-11-03 12:00:02Z') RETURNING outcome;

-- With a zone, and what has none but is read in the session's by the server: literals and dates.
SELECT flagsmith.is_feature_enabled('Clocks/Instant', 'clock', '2025-11-03 12:00:00Z') AS utc,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock', '2025-11-03 11:59:59Z') AS before,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock', '2025-11-03 07:00:00') AS literal,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock', '2025-11-03 06:59:59') AS literal_before,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock', date '2025-11-04') AS date,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00' AT TIME ZONE 'UTC') AS at_time_zone,
    flagsmith.is_feature_enabled('Clocks/Instant', 'clock') AS now;
PREPARE untyped AS SELECT enabled FROM flagsmith.feature_state('Clocks/Instant', 'clock', $1);
EXECUTE untyped ('2025-11-03 12:00Z');
SELECT count(*) FROM flagsmith.feature_state('Clocks/Instant', 'clock', at => '2025-11-03 12:00Z', known_at => now());
SELECT count(*) FROM flagsmith.environment_state('Clocks/Instant', at => now());

-- Without one.
SELECT flagsmith.is_feature_enabled('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00');
\set VERBOSITY terse
SELECT flagsmith.is_feature_enabled('Clocks/Instant', 'clock', localtimestamp);
SELECT flagsmith.is_feature_enabled(7512, 74101, timestamp '2025-11-03 12:00');
SELECT flagsmith.get_feature_value('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00');
SELECT flagsmith.get_feature_value(7512, 74101, at => timestamp '2025-11-03 12:00', source => 'instant');
SELECT flagsmith.get_feature_value_text('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00', now());
SELECT enabled FROM flagsmith.feature_state('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00', identity => 'ada');
SELECT enabled FROM flagsmith.feature_state(7512, 74101, timestamp '2025-11-03 12:00');
SELECT feature FROM flagsmith.environment_state('Clocks/Instant', timestamp '2025-11-03 12:00');
SELECT feature FROM flagsmith.environment_state(7512, timestamp '2025-11-03 12:00');
SELECT * FROM flagsmith.import_feature_states('{}', 'Clocks/Instant', timestamp '2025-11-03 12:00');
-- A column, which is where it comes from; and one that has a zone.
CREATE TEMP TABLE orders (created_at timestamp, paid_at timestamptz);
INSERT INTO orders VALUES ('2025-11-03 12:00', '2025-11-03 12:00Z');
SELECT count(*) FROM orders WHERE flagsmith.is_feature_enabled('Clocks/Instant', 'clock', created_at);
SELECT count(*) FROM orders WHERE flagsmith.is_feature_enabled('Clocks/Instant', 'clock', paid_at);
SELECT count(*) FROM orders WHERE flagsmith.is_feature_enabled('Clocks/Instant', 'clock', created_at AT TIME ZONE 'UTC');
-- Whoever may call the doors reads this and not that a right is missing.
CREATE ROLE regress_flagsmith_instant;
SELECT flagsmith.grant_caller('regress_flagsmith_instant');
SET ROLE regress_flagsmith_instant;
SELECT flagsmith.get_feature_value('Clocks/Instant', 'clock', timestamp '2025-11-03 12:00');
RESET ROLE;
DROP OWNED BY regress_flagsmith_instant;
DROP ROLE regress_flagsmith_instant;

-- And nobody else may call what raises, nor what raises in the place of an import.
SELECT p.oid::regprocedure FROM pg_proc p
CROSS JOIN LATERAL aclexplode(p.proacl) a
WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.prosrc = 'fsw_instant_without_zone' AND a.grantee <> p.proowner;

-- Each function with an instant has its like, with the same results.
SELECT count(*) AS doors, count(*) FILTER (WHERE z.oid IS NULL) AS without
FROM pg_proc p
LEFT JOIN pg_proc z ON z.pronamespace = p.pronamespace AND z.proname = p.proname AND z.prosrc = 'fsw_instant_without_zone'
    AND z.proargtypes[0] = p.proargtypes[0] AND z.proretset = p.proretset AND z.prorettype = p.prorettype
    AND z.proargnames = p.proargnames AND cardinality(z.proallargtypes) IS NOT DISTINCT FROM cardinality(p.proallargtypes)
WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.proname !~ '^_' AND p.prosrc <> 'fsw_instant_without_zone'
    AND pg_get_function_identity_arguments(p.oid) ~ '\mat timestamp with time zone\M';
