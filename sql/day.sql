-- The working day: values as text, names that are NULL or written in other letters, the environments that are known, and the
-- test button as a sign of life.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
\set VERBOSITY default
BEGIN;
CREATE FUNCTION pg_temp.deliver(body jsonb, at text, webhook text DEFAULT 'day') RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (webhook, convert_to(body::text, 'UTF8'), at::timestamptz + interval '1 second') RETURNING outcome $$;
CREATE FUNCTION pg_temp.flag(id int, feature text, environment_id int, environment text, value jsonb, at text, enabled boolean DEFAULT true) RETURNS text
LANGUAGE sql AS $$
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', at, 'new_state', jsonb_build_object('enabled', enabled, 'feature_state_value', value,
            'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'environment', jsonb_build_object('id', environment_id, 'name', environment),
            'feature', jsonb_build_object('id', id, 'name', feature, 'project', '{"id": 70, "name": "Day"}'::jsonb)))), at) $$;
CREATE FUNCTION pg_temp.entry(id int, environment text, type text, log text, at text, rest jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', id, 'created_date', at, 'log', log,
        'author', '{"id": 1, "email": "ada@example.com", "first_name": "", "last_name": ""}'::jsonb, 'environment', environment::jsonb,
        'project', '{"id": 70, "name": "Day"}'::jsonb, 'related_object_type', type, 'is_system_event', false) || rest), at) $$;
SELECT count(flagsmith.add_webhook(name, source => 'day', allow_unsigned => true, max_spool_age => NULL)) FROM unnest(ARRAY['day', 'day too']) AS name;

-- A value as text is what the application gets: no quotes, and null is NULL.
SELECT pg_temp.flag(700 + n::int, 'f' || n, 701, 'Morning', value, '2026-03-01T10:00:00Z')
FROM jsonb_array_elements('["it''s \"so\"", "", 42, -1.5, true, false, null, {"a": [1]}]') WITH ORDINALITY AS v (value, n);
SELECT n, flagsmith.get_feature_value('Day/Morning', 'f' || n) AS value, flagsmith.get_feature_value_text('Day/Morning', 'f' || n) AS text
FROM generate_series(1, 8) n ORDER BY n;
SELECT flagsmith.get_feature_value_text('Day/Morning', 'f3', '2026-03-01 09:00Z') AS before, flagsmith.get_feature_value_text('Day/Morning', 'f3', '2026-03-02 09:00Z') AS after,
    flagsmith.get_feature_value_text(701, 703, source => 'day') AS by_id, flagsmith.get_feature_value_text(NULL, 'f3') IS NULL AS none;
SELECT flagsmith.get_feature_value_text('Day/Morning', 'f9') IS NULL AS unknown;

-- A name or an id that is NULL is not known either: what a variable forgot must not look like a flag that is not there.
SAVEPOINT s;
SELECT * FROM flagsmith.feature_state(NULL, 'f1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM flagsmith.feature_state('Day/Morning', NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM flagsmith.feature_state(701, NULL, source => 'day');
ROLLBACK TO s;
SELECT * FROM flagsmith.feature_state(NULL::bigint, 701, source => 'day');
ROLLBACK TO s;
SELECT * FROM flagsmith.environment_state(NULL::text);
ROLLBACK TO s;
SELECT * FROM flagsmith.environment_state(NULL::bigint);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT count(*) AS "at no instant" FROM flagsmith.feature_state('Day/Morning', 'f1', NULL);

-- The nearest name, whatever letters it was written in.
SELECT pg_temp.flag(720, 'CheckoutButton', 701, 'Morning', '1', '2026-03-01T10:00:00Z'), pg_temp.flag(721, 'checkout_butt', 701, 'Morning', '1', '2026-03-01T10:00:00Z');
SAVEPOINT n;
SELECT * FROM flagsmith.feature_state('Day/Morning', 'CHECKOUTBUTTON');
ROLLBACK TO n;
SELECT * FROM flagsmith.environment_state('DAY/MORNING');
ROLLBACK TO n;
SELECT * FROM flagsmith.feature_state('Day/Morning', 'checkout_but');
ROLLBACK TO n;

-- What environments there are: renamed, published in versions, deleted.
SELECT pg_temp.flag(701, 'f1', 702, 'Noon', '1', '2026-03-02T10:00:00Z'), pg_temp.flag(701, 'f1', 702, 'Midday', '1', '2026-03-02T12:10:00Z'),
    pg_temp.flag(701, 'f1', 702, 'Midday', '2', '2026-03-02T12:40:00Z'), pg_temp.flag(701, 'f1', 702, 'Dinner', '2', '2026-03-04T12:10:00Z');
SELECT pg_temp.flag(702, 'f2', 703, 'Evening', '1', '2026-03-02T10:00:00Z'),
    pg_temp.entry(1, '{"id": 703, "name": "Evening"}', 'EF_VERSION', 'New version published for feature: f2', '2026-03-02T10:00:00.4Z',
        '{"related_object_uuid": "8be5e2a1-0000-4000-8000-000000000077"}');
SELECT pg_temp.flag(703, 'f3', 704, 'Night', '1', '2026-03-02T10:00:00Z'),
    pg_temp.entry(2, '{"id": 704, "name": "Night"}', 'FEATURE', 'Flag / Remote Config Deleted: f3', '2026-03-03T10:00:00Z', '{"related_object_id": 703}');
SELECT * FROM flagsmith.environment WHERE source = 'day' ORDER BY environment_id;
SELECT environment, flags = (SELECT count(*) FROM flagsmith.environment_state(environment_id, source => source)) AS as_the_door_says
FROM flagsmith.environment WHERE source = 'day' ORDER BY environment_id;
SELECT * FROM flagsmith._environment_flags('day', 799);

-- Whoever may read, can: a view calls its functions with the rights of its reader.
CREATE ROLE regress_flagsmith_day;
SELECT flagsmith.grant_reader('regress_flagsmith_day');
SET LOCAL ROLE regress_flagsmith_day;
DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY (SELECT array_agg(c.oid::regclass::text) FROM pg_class c WHERE relnamespace = 'flagsmith'::regnamespace
        AND relkind IN ('r', 'v') AND has_table_privilege(c.oid, 'SELECT')) LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT * FROM %s OFFSET 0) t WHERE t IS NOT NULL', relation);
    END LOOP;
END
$$;
RESET ROLE;

-- The test button: stored once, then counted, for each webhook by itself.
SELECT webhook, last_test_at FROM flagsmith.webhook_health WHERE source = 'day' ORDER BY webhook;
\set test '{"data": {"changed_by": "user@domain.com", "new_state": {"enabled": true, "environment": {"id": 1, "name": "Development"}, "feature": {"id": 1, "name": "test_feature", "project": {"id": 1, "name": "Test Project"}, "type": "CONFIG"}, "feature_segment": null, "feature_state_value": "feature_state_value", "identity": 1, "identity_identifier": "test_identity", "multivariate_feature_state_values": []}, "timestamp": "2021-06-18T07:50:26.595298Z"}, "event_type": "FLAG_UPDATED"}'
\set test_audit '{"data": {"author": {"email": "user@domain.com", "first_name": "Jane", "id": 1, "last_name": "Doe"}, "created_date": "2020-02-23T17:30:57.006318Z", "environment": null, "log": "New Flag / Remote Config created: my_feature", "project": {"id": 1, "name": "Test Project", "organisation": 1}, "related_object_id": 1, "related_object_type": "FEATURE"}, "event_type": "AUDIT_LOG_CREATED"}'
SELECT pg_temp.deliver(:'test', '2026-03-05 08:00Z') AS one, pg_temp.deliver(:'test', '2026-03-05 09:00Z') AS again;
SELECT webhook, last_test_at FROM flagsmith.webhook_health WHERE source = 'day' ORDER BY webhook;
SELECT pg_temp.deliver(:'test', '2026-03-05 07:00Z', 'day too') AS other, pg_temp.deliver(:'test_audit', '2026-03-05 10:00Z') AS organisation;
SELECT webhook, last_test_at FROM flagsmith.webhook_health WHERE source = 'day' ORDER BY webhook;
SELECT count(*) AS "test environments" FROM flagsmith.environment WHERE project = 'Test Project';
ROLLBACK;
