-- What was live when, and how sure that is: each kind of evidence, from bodies as Flagsmith builds them.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('tl org', NULL, source => 'tl', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('tl env 2', NULL, source => 'tl', scope => 'environment', environment_id => 2,
    allow_unsigned => true, max_spool_age => NULL);

-- A state; variants as {"option": percentage}.
CREATE FUNCTION pg_temp.state(enabled boolean, value jsonb, variants jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 900, 'percentage_allocation', v.value,
            'multivariate_feature_option', jsonb_build_object('id', v.key::int, 'value', 'x'))), '[]')
         FROM jsonb_each(variants) v)) $$;

-- A flag event of environment 1 (without feature versioning) or 2 (with it).
CREATE PROCEDURE pg_temp.event(arrived timestamptz, at timestamptz, environment int, feature int, name text,
        after jsonb, before jsonb DEFAULT NULL, segment int DEFAULT NULL, identity int DEFAULT NULL)
    LANGUAGE plpgsql AS $$
DECLARE
    nested jsonb := jsonb_build_object(
        'feature', jsonb_build_object('id', feature, 'name', name, 'type', 'STANDARD', 'default_enabled', false,
            'initial_value', 'first', 'created_date', format('2026-01-01T%s:00.000000Z', CASE WHEN feature = 14 THEN '11:30' ELSE '00:00' END), 'description', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Shop')),
        'environment', jsonb_build_object('id', environment, 'name', CASE environment WHEN 1 THEN 'Production' ELSE 'Staging' END),
        'identity', identity, 'identity_identifier', 'user ' || identity,
        'feature_segment', CASE WHEN segment IS NOT NULL THEN jsonb_build_object('priority', segment,
            'segment', jsonb_build_object('id', segment, 'name', 'segment ' || segment, 'description', NULL)) END);
    data jsonb := jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', CASE WHEN after IS NOT NULL THEN nested || after END);
BEGIN
    IF before IS NOT NULL THEN
        data := data || jsonb_build_object('previous_state', nested || before);
    END IF;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('tl org', convert_to(jsonb_build_object('data', data, 'event_type',
        CASE WHEN after IS NULL THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END)::text, 'UTF8'), arrived);
END $$;

-- An audit entry, which arrives two seconds after the act.
CREATE SEQUENCE pg_temp.audit_id;
CREATE PROCEDURE pg_temp.entry(at timestamptz, environment int, type text, log text, object int DEFAULT NULL, uuid text DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('tl org', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', nextval('pg_temp.audit_id'), 'created_date', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'log', log, 'author', NULL, 'is_system_event', false, 'related_object_id', object,
        'related_object_type', type, 'related_object_uuid', uuid,
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1, 'prevent_flag_defaults', false),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment,
            'name', CASE environment WHEN 1 THEN 'Production' ELSE 'Staging' END) END))::text, 'UTF8'), at + interval '2 s') $$;

-- A version's list, of environment 2.
CREATE PROCEDURE pg_temp.list(arrived timestamptz, feature int, name text, uuid text, VARIADIC states jsonb[])
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('tl env 2', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object(
        'uuid', uuid, 'published_by', NULL, 'feature', jsonb_build_object('id', feature, 'name', name),
        'feature_states', (SELECT jsonb_agg((s - 'feature_state_value') || jsonb_build_object('value', s->'feature_state_value') ORDER BY n)
            FROM unnest(states) WITH ORDINALITY u(s, n))))::text, 'UTF8'), arrived) $$;

CREATE FUNCTION pg_temp.periods(of text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', environment, COALESCE('segment ' || segment_id, 'identity ' || identity),
        to_char(lower(period), 'HH24:MI:SS.MS'), '-', COALESCE(to_char(upper(period), 'HH24:MI:SS.MS'), '...'),
        COALESCE(enabled::text, 'none'), value, NULLIF(variants::text, '{}'), confidence, '(' || cause || ')')
    FROM flagsmith.flag_timeline WHERE source = 'tl' AND feature = of
    ORDER BY environment_id, segment_id NULLS FIRST, identity NULLS FIRST, period $$;

CALL pg_temp.entry('2026-01-01 00:00', 1, 'ENVIRONMENT', 'New Environment created: Production', 1);
CALL pg_temp.entry('2026-01-01 00:00', 2, 'ENVIRONMENT', 'New Environment created: Staging', 2);

-- Two acts, each with an entry and an event; the last state is confirmed up to the latest news.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: told', 11);
CALL pg_temp.entry('2026-01-01 01:00:00.01', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: told', 110);
CALL pg_temp.event('2026-01-01 01:00:03', '2026-01-01 01:00:00.01', 1, 11, 'told', pg_temp.state(false, '"first"'));
CALL pg_temp.entry('2026-01-01 02:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: told', 110);
CALL pg_temp.event('2026-01-01 02:00:03', '2026-01-01 02:00', 1, 11, 'told', pg_temp.state(true, '"first"'), pg_temp.state(false, 'null'));
-- An act whose event never came, and one whose previous state says that something is missing.
CALL pg_temp.entry('2026-01-01 03:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: told', 110);
CALL pg_temp.entry('2026-01-01 04:00', 1, 'FEATURE_STATE', 'Remote config value updated for feature: told', 111);
CALL pg_temp.event('2026-01-01 04:00:03', '2026-01-01 04:00:00.03', 1, 11, 'told', pg_temp.state(false, '"b"'), pg_temp.state(false, '"first"'));
CALL pg_temp.entry('2026-01-01 05:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: told', 110);
CALL pg_temp.event('2026-01-01 05:00:03', '2026-01-01 05:00', 1, 11, 'told', pg_temp.state(true, '"b"'), pg_temp.state(true, 'null'));
-- A variant is added: the variants are a guess until the next event.
CALL pg_temp.entry('2026-01-01 06:00', NULL, 'FEATURE', 'Multivariate option added to feature ''told''.', 11);
CALL pg_temp.entry('2026-01-01 07:00', 1, 'FEATURE_STATE', 'Multivariate value changed for feature ''told''.', 11);
CALL pg_temp.event('2026-01-01 07:00:03', '2026-01-01 07:00', 1, 11, 'told', pg_temp.state(true, '"b"', '{"4": 50}'), pg_temp.state(true, '"b"'));
CALL pg_temp.entry('2026-01-01 12:00', NULL, 'SEGMENT', 'Segment updated: nobody', 99);
SELECT * FROM pg_temp.periods('told');

-- Overrides: set, removed, set by a segment that was deleted, and of an identity.
CALL pg_temp.event('2026-01-01 08:00:03', '2026-01-01 08:00', 1, 11, 'told', pg_temp.state(true, '1'), segment => 3);
CALL pg_temp.entry('2026-01-01 08:00', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''told'' and segment ''segment 3''', 112);
CALL pg_temp.entry('2026-01-01 09:00', 1, 'FEATURE', 'Flag state / Remote config value deleted for feature ''told'' and segment ''segment 3''', 11);
CALL pg_temp.event('2026-01-01 08:10:03', '2026-01-01 08:10', 1, 11, 'told', pg_temp.state(false, '2'), segment => 4);
CALL pg_temp.entry('2026-01-01 08:10', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''told'' and segment ''segment 4''', 113);
CALL pg_temp.entry('2026-01-01 10:00', NULL, 'SEGMENT', 'Segment deleted: segment 4', 4);
CALL pg_temp.event('2026-01-01 08:20:03', '2026-01-01 08:20', 1, 11, 'told', pg_temp.state(false, '3'), identity => 5);
CALL pg_temp.entry('2026-01-01 08:20', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''told'' and identity ''user 5''', 114);
SELECT * FROM pg_temp.periods('told') p WHERE p LIKE '%segment%' OR p LIKE '%identity%';
SELECT p.instant, p.segments, p.identity, s.enabled, s.value, s.scope, s.confidence
FROM (VALUES ('2026-01-01 08:30'::timestamptz, NULL::bigint[], NULL::text), ('2026-01-01 08:30', '{3,4}', NULL),
    ('2026-01-01 08:30', '{4}', 'user 5'), ('2026-01-01 09:30', '{3}', NULL), ('infinity', '{3,4}', 'nobody')) p (instant, segments, identity),
    flagsmith.feature_state('Production', 'told', p.instant, p.segments, p.identity) s;

-- With versions: the first event's previous state tells what was there since the creation; a list confirms, or shows what
-- was removed.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: versioned', 12);
CALL pg_temp.entry('2026-01-01 02:00:00.5', 2, 'EF_VERSION', 'New version published for feature: versioned', NULL, 'aaaaaaaa-0000-0000-0000-000000000001');
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 12, 'versioned', pg_temp.state(true, '"x"'), pg_temp.state(false, '"first"'));
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 12, 'versioned', pg_temp.state(true, '"s"'), segment => 6);
CALL pg_temp.list('2026-01-01 02:00:01', 12, 'versioned', 'aaaaaaaa-0000-0000-0000-000000000001', pg_temp.state(true, '"x"'), pg_temp.state(true, '"s"'));
CALL pg_temp.entry('2026-01-01 03:00:00.5', 2, 'EF_VERSION', 'New version published for feature: versioned', NULL, 'aaaaaaaa-0000-0000-0000-000000000002');
CALL pg_temp.list('2026-01-01 03:00:01', 12, 'versioned', 'aaaaaaaa-0000-0000-0000-000000000002', pg_temp.state(true, '"x"'));
-- Only the audit entry came: what it published is not known.
CALL pg_temp.entry('2026-01-01 04:00:00.5', 2, 'EF_VERSION', 'New version published for feature: versioned', NULL, 'aaaaaaaa-0000-0000-0000-000000000003');
SELECT * FROM pg_temp.periods('versioned') p WHERE p NOT LIKE 'Production%';
SELECT environment, feature, segment, period, cause FROM flagsmith.history_gap WHERE source = 'tl' AND feature = 'versioned' AND environment = 'Staging' ORDER BY segment NULLS FIRST;

-- Scheduled: published before, live after another version, which it reverts.
CALL pg_temp.entry('2026-01-01 01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: scheduled', 13);
CALL pg_temp.event('2026-01-01 02:00:01', '2026-01-01 02:00', 2, 13, 'scheduled', pg_temp.state(true, '"a"'), pg_temp.state(false, '"first"'));
CALL pg_temp.event('2026-01-01 02:30:01', '2026-01-01 02:10', 2, 13, 'scheduled', pg_temp.state(true, '"c"'), pg_temp.state(true, '"b"'));
CALL pg_temp.event('2026-01-01 02:20:01', '2026-01-01 02:20', 2, 13, 'scheduled', pg_temp.state(true, '"b"'), pg_temp.state(true, '"a"'));
CALL pg_temp.list('2026-01-01 02:00:01', 13, 'scheduled', 'bbbbbbbb-0000-0000-0000-000000000001', pg_temp.state(true, '"a"'));
CALL pg_temp.list('2026-01-01 02:30:01', 13, 'scheduled', 'bbbbbbbb-0000-0000-0000-000000000002', pg_temp.state(true, '"c"'));
CALL pg_temp.list('2026-01-01 02:20:01', 13, 'scheduled', 'bbbbbbbb-0000-0000-0000-000000000003', pg_temp.state(true, '"b"'));
SELECT * FROM pg_temp.periods('scheduled') p WHERE p NOT LIKE 'Production%';

-- States read from the REST API: one that agrees makes what was before it sure, one that does not shows that something is missing.
SELECT outcome, entries FROM flagsmith.import_feature_states(
    '{"results": [{"id": 1, "enabled": true, "feature": 13, "environment": 2, "identity": null, "feature_segment": null,
        "feature_state_value": {"type": "unicode", "string_value": "c", "integer_value": null, "boolean_value": null},
        "multivariate_feature_state_values": []}]}', 'tl/Shop/Staging', '2026-01-01 12:30Z');
SELECT outcome, entries FROM flagsmith.import_feature_states(
    '{"results": [{"id": 2, "enabled": true, "feature": 11, "environment": 1, "identity": null, "feature_segment": null,
        "feature_state_value": {"type": "unicode", "string_value": "else", "integer_value": null, "boolean_value": null},
        "multivariate_feature_state_values": []}]}', 'tl/Shop/Production', '2026-01-01 10:45Z');
SELECT * FROM pg_temp.periods('scheduled') p WHERE p NOT LIKE 'Production%';
SELECT * FROM pg_temp.periods('told') p WHERE p ~ '^Production [01]';

-- Deleted and created again under the same name: the youngest wins, from its first sight on.
CALL pg_temp.entry('2026-01-01 11:00', NULL, 'FEATURE', 'Flag / Remote Config Deleted: told', 11);
CALL pg_temp.entry('2026-01-01 11:30', NULL, 'FEATURE', 'New Flag / Remote Config created: told', 14);
CALL pg_temp.event('2026-01-01 11:30:03', '2026-01-01 11:30', 1, 14, 'told', pg_temp.state(false, '"again"'));
SELECT t, flagsmith.is_feature_enabled('Production', 'told', t), flagsmith.get_feature_value('Shop/Production', 'told', t)
FROM unnest('{-infinity, 2026-01-01 00:30, 2026-01-01 01:30, 2026-01-01 02:30, 2026-01-01 11:10, 2026-01-01 11:31, infinity}'::timestamptz[]) t;
SELECT flagsmith.is_feature_enabled('tl/Shop/Production', 'told') AS now, flagsmith.get_feature_value('Production', 'told') AS value;

-- What is not known: scalar functions answer NULL, the others say what to do.
SELECT flagsmith.is_feature_enabled('Production', 'nothing') IS NULL AS feature, flagsmith.is_feature_enabled('Nowhere', 'told') IS NULL AS environment,
    flagsmith.is_feature_enabled(NULL, 'told') IS NULL AS "null", flagsmith.is_feature_enabled('production', 'told') IS NULL AS "case";
SELECT count(*) FROM flagsmith.feature_state('Production', 'told', NULL);
SELECT count(*) FROM flagsmith.feature_state('Production', 'told', '-infinity');
SELECT * FROM flagsmith.feature_state('Production', 'nothing');
SELECT * FROM flagsmith.environment_state('Nowhere');
SELECT feature, enabled, value, since, confidence FROM flagsmith.environment_state('Shop/Production', '2026-01-01 05:30') ORDER BY feature;
SELECT feature, enabled, value, changed_by, confidence FROM flagsmith.current_state WHERE source = 'tl' AND environment = 'Staging' ORDER BY feature, segment_id NULLS FIRST;

-- A second project with a Production: the pair decides, and a pair that exists twice is ambiguous.
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'tl org', convert_to(replace(replace(replace(replace(convert_from(d.body, 'UTF8'), '"id": 7', '"id": 8'), 'Shop', 'Shop/Two'), '"id": 1,', '"id": 21,'), '"id": 14', '"id": 34'), 'UTF8'), d.received_at
FROM flagsmith.delivery d JOIN flagsmith.flag_change f ON f.delivery = d.id
WHERE f.source = 'tl' AND f.environment_id = 1 AND f.feature_id = 14;
SELECT flagsmith.is_feature_enabled('Production', 'told') IS NULL AS ambiguous, flagsmith.is_feature_enabled('Shop/Production', 'told') AS shop,
    flagsmith.is_feature_enabled('Shop/Two/Production', 'told') AS two;
SELECT * FROM flagsmith.feature_state('Production', 'told');

-- Known at: what this database knew then.
SELECT count(*) FROM flagsmith.feature_state('Shop/Production', 'told', 'infinity', known_at => '2000-01-01');

-- Answers inside one transaction that ingests: always the state of the snapshot.
BEGIN;
SELECT flagsmith.is_feature_enabled('Shop/Production', 'told') AS before;
SAVEPOINT s;
CALL pg_temp.event('2026-01-01 13:00:03', '2026-01-01 13:00', 1, 14, 'told', pg_temp.state(true, '"inside"'), pg_temp.state(false, '"again"'));
SELECT flagsmith.is_feature_enabled('Shop/Production', 'told') AS inside;
ROLLBACK TO s;
SELECT flagsmith.is_feature_enabled('Shop/Production', 'told') AS rolled_back;
DO $$
BEGIN
    FOR i IN 1..3 LOOP
        RAISE NOTICE 'round %: %', i, flagsmith.get_feature_value('Shop/Production', 'told');
        CALL pg_temp.event('2026-01-01 13:00:03'::timestamptz + i * interval '1 min', '2026-01-01 13:00'::timestamptz + i * interval '1 min',
            1, 14, 'told', pg_temp.state(true, to_jsonb(i)), pg_temp.state(true, to_jsonb(i - 1)));
    END LOOP;
    BEGIN
        CALL pg_temp.event('2026-01-01 14:00:03', '2026-01-01 14:00', 1, 14, 'told', pg_temp.state(true, '"lost"'));
        RAISE NOTICE 'in the block: %', flagsmith.get_feature_value('Shop/Production', 'told');
        RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        RAISE NOTICE 'after it: %', flagsmith.get_feature_value('Shop/Production', 'told');
    END;
END $$;
DECLARE c CURSOR FOR SELECT g, flagsmith.get_feature_value('Shop/Production', 'told') FROM generate_series(1, 3) g;
FETCH c;
CALL pg_temp.event('2026-01-01 15:00:03', '2026-01-01 15:00', 1, 14, 'told', pg_temp.state(true, '"later"'));
FETCH c;
SELECT flagsmith.get_feature_value('Shop/Production', 'told') AS outside;
FETCH c;
ROLLBACK;
SELECT flagsmith.get_feature_value('Shop/Production', 'told') AS after;

-- A call needs EXECUTE and nothing else, and its search_path is not the owner's.
CREATE ROLE regress_fsw_timeline;
SELECT flagsmith.grant_caller('regress_fsw_timeline');
SET ROLE regress_fsw_timeline;
SET search_path = nowhere, pg_catalog;
SELECT flagsmith.is_feature_enabled('Shop/Production', 'told'::text), current_user, current_setting('search_path') AS path;
SELECT count(*) FROM flagsmith.flag_change;
RESET ROLE;
RESET search_path;
DROP OWNED BY regress_fsw_timeline;
DROP ROLE regress_fsw_timeline;
