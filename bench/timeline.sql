-- What bench/timeline reads: 1,000 flags of Shop/Production with :changes changes over two years, a tenth of them of flag_1
-- alone if :hot; the effect of an audit entry for each change if :effects; the table that a user would keep instead; and
-- 1,000,000 rows of an application.
--
-- The typed tables are filled here, by the superuser and without bodies: the inbox would take 20 minutes for 10,000,000.
-- The columns are those that the inbox fills from bodies of these flags; the last block sends two of them and compares.
\set ON_ERROR_STOP on
\set from '''2024-01-01 00:00Z''::timestamptz'
SELECT setseed(0.42);
SELECT interval '730 days' / :changes AS step \gset
CREATE SCHEMA bench;

-- CPU of this backend in us.  The kernel brings the number up to date when a backend waits, as it does between statements.
CREATE FUNCTION bench.cpu() RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint / 1000;
CREATE UNLOGGED TABLE bench.mark (id bigserial, us bigint);

-- The k-th state of a flag, from 1; state 0 is what the feature was created with.
CREATE FUNCTION bench.enabled(flag bigint, k bigint) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN (k * 7 + flag) % 5 < 3;
CREATE FUNCTION bench.value(k bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN 'value ' || k % 97;

-- Change i of all is change k of its flag.  Bodies come within ten seconds, but now and then 50 at once after an outage.
CREATE VIEW bench.change_of AS
SELECT i, flag, k, at, CASE WHEN i % 100000 BETWEEN 50000 AND 50049
        THEN GREATEST(at, :from + (i / 100000 * 100000 + 50050) * interval :'step') + i % 50 * interval '50 ms'
        ELSE at + (500 + i * 7919 % 9000) * interval '1 ms' END AS received_at
FROM generate_series(0::bigint, :changes - 1) AS i,
    LATERAL (SELECT CASE WHEN NOT :hot THEN 1 + i % 1000 WHEN i % 10 = 0 THEN 1 ELSE 2 + (i - i / 10 - 1) % 999 END::bigint AS flag,
        CASE WHEN NOT :hot THEN 1 + i / 1000 WHEN i % 10 = 0 THEN 1 + i / 10 ELSE 1 + (i - i / 10 - 1) / 999 END::bigint AS k,
        :from + i * interval :'step' + i * 104729 % 1000 / 1000.0 * interval :'step' AS at OFFSET 0) s;

CREATE TABLE bench.feature AS SELECT id, 'flag_' || id AS flag FROM generate_series(1, 1000) AS id;
-- Every project has a Production, and some flags bear the same name in two projects.
INSERT INTO flagsmith.name (source, kind, id, seen_at, exact, existed_at, stored_at, name, project_id)
SELECT 'default', kind, id, :from, false, :from, :from, name, project_id
FROM (VALUES ('project', '7', 'Shop', 7), ('project', '8', 'Office', 8)) v (kind, id, name, project_id)
UNION ALL
SELECT 'default', 'environment', ((project_id - 7) * 3 + e)::text, :from, false, :from, :from, (ARRAY['Production', 'Staging', 'Development'])[e], project_id
FROM generate_series(7, 8) AS project_id, generate_series(1, 3) AS e
UNION ALL
SELECT 'default', 'feature', f.id::text, :from, false, :from, :from, f.flag, 7 FROM bench.feature f
UNION ALL
SELECT 'default', 'feature', (1000 + f.id)::text, :from, false, :from, :from, f.flag, 8 FROM bench.feature f WHERE f.id <= 10;
-- Project, environment and features were created the day before; of audit entries themselves only the newest is read.
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_id, feature_hash, occurred_at,
    received_at, stored_at)
SELECT -1, 1, 1, 'default', 7, 1, 'environment_created', NULL, NULL, at, at + interval '2 s', at + interval '2 s'
FROM (SELECT :from - interval '1 day' AS at) s
UNION ALL
SELECT -1 - f.id, 1, 1, 'default', 7, NULL, 'feature_created', f.id, flagsmith._hash('feature:' || f.flag), at, at + interval '2 s',
    at + interval '2 s'
FROM bench.feature f, LATERAL (SELECT :from - interval '20 hours' + f.id * interval '1 min' AS at) s;

-- Indexes are made at once from all rows, in half the time.
CREATE TABLE bench.index AS
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid IN ('flagsmith.flag_change'::regclass, 'flagsmith.audit_effect'::regclass) AND NOT indisprimary;
SELECT 'DROP INDEX ' || name FROM bench.index \gexec
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted,
    changed_by, project_id, project, environment_id, environment, feature_id, feature, feature_type, feature_created_date,
    feature_default_enabled, feature_initial_value, enabled, value, variants, enabled_before, value_before, variants_before)
SELECT 2 * i + 1, 1, 'default', at, received_at, received_at, 'webhook', false, false,
    'ada@example.com', 7, 'Shop', 1, 'Production', flag, 'flag_' || flag, 'STANDARD',
    :from - interval '20 hours' + flag * interval '1 min', bench.enabled(flag, 0), bench.value(0),
    bench.enabled(flag, k), to_jsonb(bench.value(k)), '[]', bench.enabled(flag, k - 1), to_jsonb(bench.value(k - 1)), '[]'
FROM bench.change_of;
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_hash, occurred_at, received_at,
    stored_at)
SELECT 2 * i + 2, 1, 1, 'default', 7, 1, 'state', flagsmith._hash('feature:flag_' || flag), at, received_at, received_at
FROM bench.change_of
WHERE :effects;
INSERT INTO flagsmith.audit_log (delivery, ordinal, source, received_at, stored_at, origin, is_test, audit_id, created_date, log,
    author_id, author_email, author_first_name, author_last_name, organisation_id, project_id, project, environment_id,
    environment, use_v2_feature_versioning, related_object_id, related_object_type, is_system_event, action, object, feature,
    ambiguous)
SELECT 2 * i + 2, 1, 'default', received_at, received_at, 'webhook', false, i, at, 'Flag state updated for feature: flag_' || flag,
    1, 'ada@example.com', 'Ada', 'Quill', 1, 7, 'Shop', 1,
    'Production', false, 100000 + flag, 'FEATURE_STATE', false, 'updated', 'feature state', 'flag_' || flag,
    false
FROM bench.change_of
WHERE :effects AND i >= :changes - 1000;
SELECT definition FROM bench.index \gexec

-- What a user would keep: the least columns, an integer for the flag, and an index that answers alone.
CREATE TABLE bench.change AS SELECT flag::integer, at, bench.enabled(flag, k) AS enabled FROM bench.change_of;
CREATE INDEX ON bench.change (flag, at) INCLUDE (enabled);

-- Rows from the time when each flag had a change.
CREATE TABLE bench.app AS
SELECT i AS id, :from + 2000 * interval :'step' + random() * (:changes - 2000) * interval :'step' AS created_at,
    'flag_' || feature_id AS flag, feature_id
FROM generate_series(1, 1000000) AS i, LATERAL (SELECT 1 + floor(random() * 1000)::integer + 0 * i AS feature_id OFFSET 0) s;
-- And under row security: for bench_caller a flag decides, for bench_constant nothing does, bench_reader has no policy.
SELECT flagsmith.grant_caller('bench_caller') AS ignored \gset
GRANT USAGE ON SCHEMA bench TO bench_caller, bench_constant, bench_reader;
GRANT SELECT ON bench.app TO bench_caller, bench_constant, bench_reader;
ALTER TABLE bench.app ENABLE ROW LEVEL SECURITY;
-- Rows are seen only where the flag is on, so one that is.
SELECT f.flag AS on FROM bench.feature f, LATERAL (SELECT c.enabled FROM bench.change c WHERE c.flag = f.id
    ORDER BY c.at DESC LIMIT 1) c WHERE c.enabled ORDER BY f.id LIMIT 1 \gset
CREATE POLICY flag ON bench.app TO bench_caller USING ((SELECT flagsmith.is_feature_enabled('Shop/Production', :'on')));
CREATE POLICY constant ON bench.app TO bench_constant USING ((SELECT true));

-- The last change and its audit entry as bodies through the inbox: prints what differs but for
-- the delivery's id and time.
BEGIN;
SELECT flagsmith.add_webhook('bench', allow_unsigned => true, max_spool_age => NULL) AS ignored \gset
SELECT setval(pg_get_serial_sequence('flagsmith.delivery', 'id'), 2 * :changes + 2) AS ignored \gset
CREATE TEMPORARY TABLE sent ON COMMIT DROP AS SELECT * FROM bench.change_of WHERE i = :changes - 1;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'bench', convert_to(body::text, 'UTF8'), received_at
FROM sent, LATERAL (
    SELECT jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_object_agg(key, jsonb_build_object(
            'enabled', bench.enabled(flag, state), 'feature_state_value', bench.value(state),
            'environment', jsonb_build_object('id', 1, 'name', 'Production'),
            'feature', jsonb_build_object('id', flag, 'name', 'flag_' || flag, 'type', 'STANDARD', 'description', NULL,
                'created_date', :from - interval '20 hours' + flag * interval '1 min', 'default_enabled', bench.enabled(flag, 0),
                'initial_value', bench.value(0), 'project', jsonb_build_object('id', 7, 'name', 'Shop')),
            'feature_segment', NULL, 'identity', NULL, 'identity_identifier', NULL, 'multivariate_feature_state_values', '[]'::jsonb))
        || jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', at)) AS body
    FROM (VALUES ('new_state', k), ('previous_state', k - 1)) v (key, state)
    UNION ALL
    SELECT jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', i, 'created_date', at,
        'log', 'Flag state updated for feature: flag_' || flag, 'is_system_event', false,
        'author', jsonb_build_object('id', 1, 'email', 'ada@example.com', 'first_name', 'Ada', 'last_name', 'Quill'),
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1),
        'environment', jsonb_build_object('id', 1, 'name', 'Production', 'use_v2_feature_versioning', false),
        'related_object_id', 100000 + flag, 'related_object_type', 'FEATURE_STATE', 'related_object_uuid', NULL))
    WHERE :effects
) b;
SELECT which || ' is not filled as by the inbox: ' || rows FROM (
    SELECT 'flag_change' AS which, jsonb_agg(to_jsonb(f) - '{delivery,stored_at}'::text[]) AS rows
    FROM flagsmith.flag_change f, sent WHERE f.event_at = at
    UNION ALL
    SELECT 'audit_effect', jsonb_agg(to_jsonb(t) - '{delivery,stored_at}'::text[]) FROM flagsmith.audit_effect t, sent
    WHERE t.feature_hash = flagsmith._hash('feature:flag_' || flag) AND t.occurred_at = sent.at
    UNION ALL
    SELECT 'audit_log', jsonb_agg(to_jsonb(a) - '{delivery,stored_at}'::text[]) FROM flagsmith.audit_log a, sent
    WHERE a.created_date = at
) s
WHERE rows -> 0 IS DISTINCT FROM rows -> 1 OR jsonb_array_length(rows) > 2;
ROLLBACK;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
