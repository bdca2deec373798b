-- How a question names its flag: by names or ids, and what is told where they mean nothing or several things.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
\set VERBOSITY terse
BEGIN;
-- beside the sources of other tests, two that have ids in common
SET LOCAL flagsmith_webhook.unknown_name = notice;
CREATE FUNCTION pg_temp.deliver(webhook text, environment int, name text, feature int, feature_name text, project int, project_name text, value text, at text)
RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (webhook, convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', at, 'new_state', jsonb_build_object('enabled', true, 'feature_state_value', value,
            'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'environment', jsonb_build_object('id', environment, 'name', name),
            'feature', jsonb_build_object('id', feature, 'name', feature_name, 'created_date', '2026-01-01T00:00:00Z', 'default_enabled', false,
                'initial_value', 'y', 'project', jsonb_build_object('id', project, 'name', project_name)))))::text, 'UTF8'), at::timestamptz + interval '1 second')
    RETURNING outcome $$;
SELECT count(flagsmith.add_webhook(name, source => name, allow_unsigned => true, max_spool_age => NULL)) FROM unnest(ARRAY['ask', 'ask too']) AS name;
SELECT pg_temp.deliver('ask', 901, 'Productive', 91, 'checkout_v2', 90, 'Asked', 'one', '2026-03-01T10:00:00Z'),
    pg_temp.deliver('ask', 901, 'Productive', 91, 'checkout_v2', 90, 'Asked', 'two', '2026-03-02T10:00:00Z'),
    pg_temp.deliver('ask', 902, 'Staged', 92, 'banner', 95, 'Other', 'three', '2026-03-02T10:00:00Z'),
    pg_temp.deliver('ask too', 901, 'Twin', 91, 'checkout_v2', 90, 'Asked twice', 'twin', '2026-03-02T10:00:00Z');

-- By ids, every door gives what it gives by names.
SELECT flagsmith.get_feature_value(901, 91, '2026-03-01 12:00Z', source => 'ask') AS then, flagsmith.get_feature_value(901, 91, source => 'ask') AS latest,
    flagsmith.get_feature_value(901, 91, source => 'ask too') AS twin, flagsmith.is_feature_enabled(901, 91, source => 'ask') AS enabled,
    flagsmith.is_feature_enabled(901, 91, NULL, source => 'ask') IS NULL AS never, flagsmith.is_feature_enabled(NULL, 91, source => 'ask') IS NULL AS none;
SELECT (SELECT f FROM flagsmith.feature_state(901, 91, '2026-03-01 12:00Z', source => 'ask') f)
    = (SELECT f FROM flagsmith.feature_state('Asked/Productive', 'checkout_v2', '2026-03-01 12:00Z') f) AS same_state,
    (SELECT array_agg(e) FROM flagsmith.environment_state(901, '2026-03-01 12:00Z', source => 'ask') e)
    = (SELECT array_agg(e) FROM flagsmith.environment_state('Asked/Productive', '2026-03-01 12:00Z') e) AS same_environment;
-- literals without a type are names, and dates
SELECT flagsmith.get_feature_value('Asked/Productive', 'checkout_v2', '2026-03-01 12:00Z');
-- many of them at one call site, which keeps them
SELECT count(*), count(DISTINCT value) FROM (
    SELECT flagsmith.get_feature_value(901, 91, '2026-03-01Z'::timestamptz + n * interval '1 hour', source => CASE n % 2 WHEN 0 THEN 'ask' ELSE 'ask too' END) AS value
    FROM generate_series(1, 100) n) v WHERE value IS NOT NULL;

-- Of which source, has to be said where there are several.
SAVEPOINT s;
SELECT flagsmith.get_feature_value(901, 91);
ROLLBACK TO s;
SELECT * FROM flagsmith.environment_state(901);
ROLLBACK TO s;
SELECT 1 AS "two sources" FROM flagsmith.feature_state(901, 91);
ROLLBACK TO s;

-- What is not known: a notice, once for each call of a statement, and NULL; no hint, since the callers may be anybody.
\set VERBOSITY default
SELECT flagsmith.get_feature_value('Asked/Productive', 'checkout_v3') IS NULL AS feature, flagsmith.is_feature_enabled('Asked/Production', 'checkout_v2') IS NULL AS environment;
SELECT count(*), count(flagsmith.is_feature_enabled('Asked/Productive', 'feature ' || n)) FROM generate_series(1, 100) n;
SELECT flagsmith.is_feature_enabled(901, 92, source => 'ask') IS NULL AS "of another project", flagsmith.is_feature_enabled(999, 91, source => 'ask') IS NULL AS environment,
    flagsmith.is_feature_enabled(901, 91, source => 'nowhere') IS NULL AS source;
SET LOCAL flagsmith_webhook.unknown_name = ignore;
SELECT flagsmith.get_feature_value('Asked/Productive', 'checkout_v3') IS NULL AS ignored;
SET LOCAL flagsmith_webhook.unknown_name = error;
SAVEPOINT e;
SELECT flagsmith.get_feature_value('Asked/Productive', 'checkout_v3');
\echo :SQLSTATE
ROLLBACK TO e;
SELECT flagsmith.get_feature_value(999, 91, source => 'ask');
ROLLBACK TO e;
SET LOCAL flagsmith_webhook.unknown_name = whatever;
ROLLBACK TO e;

-- Doors that return rows raise, with the nearest name for those who may read it.
SELECT * FROM flagsmith.feature_state('Asked/Productive', 'chekout_v2');
ROLLBACK TO e;
SELECT * FROM flagsmith.feature_state('Asked/Productiv', 'checkout_v2');
ROLLBACK TO e;
SELECT * FROM flagsmith.environment_state('productive');
ROLLBACK TO e;
SELECT * FROM flagsmith.environment_state('nothing at all like that');
ROLLBACK TO e;
SELECT * FROM flagsmith.feature_state('Asked/Productive', '');
ROLLBACK TO e;
SELECT * FROM flagsmith.feature_state(901, 92, source => 'ask');
ROLLBACK TO e;
SELECT * FROM flagsmith.environment_state(999, source => 'ask');
ROLLBACK TO e;
CREATE ROLE regress_flagsmith_ask;
SELECT flagsmith.grant_caller('regress_flagsmith_ask');
GRANT EXECUTE ON FUNCTION flagsmith.feature_state(text, text, timestamptz, bigint[], text, timestamptz) TO regress_flagsmith_ask;
SET LOCAL ROLE regress_flagsmith_ask;
SAVEPOINT r;
SELECT 1 AS one FROM flagsmith.feature_state('Asked/Productive', 'chekout_v2');
ROLLBACK TO r;
SELECT flagsmith.get_feature_value(901, 91, source => 'ask');
RESET ROLE;

-- Several meanings: NULL, or an error that says which.
SELECT pg_temp.deliver('ask', 911, 'Both', 911, 'both', 911, 'Here', 'here', '2026-03-01T10:00:00Z'),
    pg_temp.deliver('ask too', 912, 'Both', 912, 'both', 912, 'There', 'there', '2026-03-01T10:00:00Z');
SET LOCAL flagsmith_webhook.unknown_name = notice;
SELECT flagsmith.get_feature_value('Both', 'both') IS NULL AS ambiguous;
SAVEPOINT a;
SELECT * FROM flagsmith.feature_state('Both', 'both');
\echo :SQLSTATE
ROLLBACK TO a;
SELECT * FROM flagsmith.environment_state('Both');
ROLLBACK TO a;
SET LOCAL ROLE regress_flagsmith_ask;
SELECT 1 AS one FROM flagsmith.feature_state('Both', 'both');
ROLLBACK TO a;
SELECT value FROM flagsmith.feature_state('There/Both', 'both');
ROLLBACK;
