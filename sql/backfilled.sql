-- What was delivered and is fetched from the REST API as well is as sure as before, and a page of states says whose they are
-- where anything does.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('fill', NULL, source => 'fill', scope => 'organisation', allow_unsigned => true, audit_ids_shared => true,
    max_spool_age => NULL);

CREATE FUNCTION pg_temp.stamp(at text) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(('2026-01-01 ' || at)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- A flag event; variants as {"option": percentage}.
CREATE PROCEDURE pg_temp.event(arrived text, at text, feature int, enabled boolean, variants jsonb DEFAULT '{}',
        identity int DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('fill', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', pg_temp.stamp(at), 'new_state', jsonb_build_object(
            'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', false,
                'initial_value', NULL, 'created_date', pg_temp.stamp('01:00'), 'description', NULL,
                'project', jsonb_build_object('id', 7, 'name', 'Shop')),
            'environment', jsonb_build_object('id', 1, 'name', 'env 1'),
            'identity', identity, 'identity_identifier', 'user ' || identity, 'feature_segment', NULL,
            'enabled', enabled, 'feature_state_value', NULL, 'multivariate_feature_state_values',
            (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 900, 'percentage_allocation', v.value,
                'multivariate_feature_option', jsonb_build_object('id', v.key::int, 'value', 'x'))), '[]')
             FROM jsonb_each(variants) v))))::text, 'UTF8'), ('2026-01-01 ' || arrived)::timestamptz) $$;

-- An audit entry as a webhook brings it, two seconds after the act; all of them are a page in the end.
CREATE TEMPORARY TABLE entry (id int GENERATED ALWAYS AS IDENTITY, at text, entry jsonb);
CREATE PROCEDURE pg_temp.entry(at text, environment int, type text, log text, object int)
    LANGUAGE sql AS $$
    INSERT INTO entry (at, entry) VALUES (at, jsonb_build_object('created_date', pg_temp.stamp(at), 'log', log, 'author', NULL,
        'is_system_event', false, 'related_object_id', object, 'related_object_type', type, 'related_object_uuid', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1, 'prevent_flag_defaults', false),
        'environment', CASE WHEN environment IS NOT NULL THEN
            jsonb_build_object('id', environment, 'name', 'env ' || environment, 'is_creating', false) END));
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'fill', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', e.entry || jsonb_build_object('id', e.id))::text, 'UTF8'),
        ('2026-01-01 ' || e.at)::timestamptz + interval '2 s'
    FROM entry e ORDER BY id DESC LIMIT 1 $$;

CREATE VIEW pg_temp.period AS
SELECT feature_id, concat_ws(' ', 'identity ' || identity || ' ' || COALESCE(identity_identifier, '?'),
    to_char(lower(period), 'HH24:MI:SS.MS'), '-', COALESCE(to_char(upper(period), 'HH24:MI:SS.MS'), '...'),
    COALESCE(enabled::text, 'none'), variants, confidence, '(' || cause || ')') AS period
FROM flagsmith.flag_timeline WHERE source = 'fill'
ORDER BY feature_id, identity NULLS FIRST, lower(flag_timeline.period);

CALL pg_temp.entry('00:00', 1, 'ENVIRONMENT', 'New Environment created: env 1', 1);

-- Two options, of which the event of the creation has seen both, as their entries tell; and a value saved about two others.
CALL pg_temp.entry('01:00', NULL, 'FEATURE', 'New Flag / Remote Config created: flag 1', 1);
CALL pg_temp.entry('01:00:00.1', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 1', 1);
CALL pg_temp.entry('01:00:00.2', NULL, 'FEATURE', 'Multivariate option added to feature ''flag 1''.', 1);
CALL pg_temp.entry('01:00:00.3', NULL, 'FEATURE', 'Multivariate option added to feature ''flag 1''.', 1);
CALL pg_temp.event('01:00:03', '01:00:00.1', 1, false, '{"11": 5, "12": 10}');
CALL pg_temp.entry('02:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 1', 1);
CALL pg_temp.entry('02:00:00.1', 1, 'FEATURE_STATE', 'Remote config value updated for feature: flag 1', 1);
CALL pg_temp.event('02:00:03', '02:00', 1, true, '{"11": 5, "12": 10}');
CALL pg_temp.entry('03:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 2', 2);
CREATE TEMPORARY TABLE delivered AS SELECT * FROM pg_temp.period;
SELECT period FROM delivered;
SELECT outcome, entries FROM flagsmith.import_audit_log((SELECT jsonb_build_object('results', jsonb_agg(entry || jsonb_build_object('id', id)
    ORDER BY id DESC)) FROM entry)::text, 'fill');
SELECT period FROM pg_temp.period EXCEPT SELECT period FROM delivered;
SELECT to_char(at, 'HH24:MI:SS.MS') AS at, confidence FROM unnest(ARRAY['2026-01-01 01:00:01Z', '2026-01-01 02:30Z']::timestamptz[]) at,
    LATERAL (SELECT confidence FROM flagsmith.feature_state(1, 1, at, source => 'fill')) s;

-- States that are read after an option was added tell it from there on, and contradict nothing that was before.
CALL pg_temp.entry('04:00', NULL, 'FEATURE', 'New Flag / Remote Config created: flag 3', 3);
CALL pg_temp.entry('04:00:00.1', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 3', 3);
CALL pg_temp.event('04:00:03', '04:00:00.1', 3, false);
CALL pg_temp.entry('05:00', NULL, 'FEATURE', 'Multivariate option added to feature ''flag 3''.', 3);
SELECT outcome, entries FROM flagsmith.import_feature_states('[{"id": 3001, "feature": 3, "environment": 1, "identity": null, "enabled": false,
    "feature_segment": null, "feature_state_value": null, "multivariate_feature_state_values":
    [{"multivariate_feature_option": 31, "percentage_allocation": 0}]}]', 'fill/Shop/env 1', '2026-01-01 06:00Z');
SELECT period FROM pg_temp.period WHERE feature_id = 3;

-- What they have of other options, which no entry tells, does.
CALL pg_temp.event('04:00:03', '04:00:00.1', 4, false);
SELECT outcome, entries FROM flagsmith.import_feature_states('[{"id": 4001, "feature": 4, "environment": 1, "identity": null, "enabled": false,
    "feature_segment": null, "feature_state_value": null, "multivariate_feature_state_values":
    [{"multivariate_feature_option": 41, "percentage_allocation": 0}]}]', 'fill/Shop/env 1', '2026-01-01 06:00Z');
SELECT period FROM pg_temp.period WHERE feature_id = 4;

-- A page of states has identities by their keys alone.  Entries about one state tell what 51 is called, its own or another's; an
-- event of another flag does of 52; nothing does of 53, who may be anybody.
CALL pg_temp.event('04:00:03', '04:00:00.1', 5, false);
CALL pg_temp.event('04:00:03', '04:00:00.1', 6, false, '{}', 52);
SELECT outcome, entries FROM flagsmith.import_feature_states((SELECT jsonb_agg(jsonb_build_object('id', state, 'feature', 5, 'environment', 1,
    'identity', identity, 'enabled', true, 'feature_segment', NULL, 'feature_state_value', NULL, 'multivariate_feature_state_values', '[]'::jsonb))
    FROM (VALUES (5001, 51), (5002, 52), (5003, 53)) s (state, identity))::text, 'fill/Shop/env 1', '2026-01-01 06:00Z');
CALL pg_temp.entry('07:00', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 5'' and identity ''user 59''', 5009);
-- The ids of a value and of a feature, which an entry about a value and one about a percentage have, say nothing of states of these ids.
CALL pg_temp.entry('07:00', 1, 'FEATURE_STATE', 'Remote config value updated for identity override on feature ''flag 5'' and identity ''user 59''.', 5003);
CALL pg_temp.entry('07:00', 1, 'FEATURE_STATE', 'Multivariate value changed for feature ''flag 5'' and identity ''user 59''.', 5003);
CALL pg_temp.entry('07:00', 1, 'FEATURE_STATE', 'Flag state / Remote config value deleted for feature ''flag 5'' and identity ''user 51''', 5001);
CALL pg_temp.entry('07:30', 1, 'FEATURE_STATE', 'Flag state / Remote config value deleted for feature ''flag 5'' and identity ''user 52''', 5002);
CALL pg_temp.entry('08:00', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 2', 2);
SELECT period FROM pg_temp.period WHERE feature_id = 5 AND period LIKE 'identity%';
SELECT identity, to_char(at, 'HH24:MI') AS at, scope, enabled, confidence
FROM unnest(ARRAY['user 51', 'user 52', 'user 59', 'nobody', '53']) identity, unnest(ARRAY['2026-01-01 05:00Z', '2026-01-01 06:30Z', '2026-01-01 07:45Z']::timestamptz[]) at,
    LATERAL (SELECT scope, enabled, confidence FROM flagsmith.feature_state(1, 5, at, identity => identity, source => 'fill')) s
ORDER BY identity, at;
-- An event tells.
CALL pg_temp.event('09:00:03', '09:00', 6, false, '{}', 53);
SELECT identity, scope, confidence
FROM unnest(ARRAY['user 53', 'nobody']) identity,
    LATERAL (SELECT scope, confidence FROM flagsmith.feature_state(1, 5, '2026-01-01 06:30Z', identity => identity, source => 'fill')) s;

-- The entry of a version never came and is fetched: it was made at once, and the event comes minutes later, so it was scheduled.  One
-- that was told of within a minute may only have been late.
CREATE PROCEDURE pg_temp.version(uuid text, at text, arrived text, enabled boolean) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT 'fill', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', pg_temp.stamp(at), 'new_state', s.state || jsonb_build_object('enabled', enabled),
        'previous_state', s.state || jsonb_build_object('enabled', NOT enabled)))::text, 'UTF8'), ('2026-01-01 ' || arrived)::timestamptz
    FROM (SELECT jsonb_build_object('feature', jsonb_build_object('id', 7, 'name', 'flag 7', 'project', jsonb_build_object('id', 7, 'name', 'Shop')),
        'environment', jsonb_build_object('id', 1, 'name', 'env 1'), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
        'feature_state_value', NULL, 'multivariate_feature_state_values', '[]'::jsonb) AS state) s;
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('fill', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data',
        jsonb_build_object('uuid', uuid, 'feature', jsonb_build_object('id', 7, 'name', 'flag 7'), 'published_by', NULL, 'feature_states',
            jsonb_build_array(jsonb_build_object('enabled', enabled, 'value', NULL, 'multivariate_feature_state_values', '[]'::jsonb))))::text, 'UTF8'),
        ('2026-01-01 ' || arrived)::timestamptz);
    SELECT flagsmith.import_audit_log(jsonb_build_object('id', 7000 + extract(epoch FROM at::interval)::int, 'created_date', pg_temp.stamp(at), 'log', 'New version published for feature: flag 7',
        'author', NULL, 'is_system_event', false, 'related_object_id', NULL, 'related_object_type', 'EF_VERSION', 'related_object_uuid', uuid,
        'project', jsonb_build_object('id', 7, 'name', 'Shop'), 'environment', jsonb_build_object('id', 1, 'name', 'env 1'))::text, 'fill') $$;
CALL pg_temp.version('5b1e7f3a-1111-4222-8333-444455556601', '02:00:00.1', '02:00:01', true);
CALL pg_temp.version('5b1e7f3a-1111-4222-8333-444455556602', '03:00:00.1', '03:10:01', false);
CALL pg_temp.version('5b1e7f3a-1111-4222-8333-444455556603', '04:00:00.1', '04:00:31', true);
SELECT period FROM pg_temp.period WHERE feature_id = 7;
