-- What is told of a flag by deliveries about something else: when it was made, and with what.
SET timezone = 'UTC';
SELECT flagsmith.add_webhook('elsewhere', source => 'elsewhere', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;

-- An event of a flag, as an override for a segment where one is given; of a deletion, the last state.
CREATE PROCEDURE pg_temp.event(at text, feature int, name text, created text, value text, segment int DEFAULT NULL, environment int DEFAULT 1, deleted boolean DEFAULT false)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'elsewhere', convert_to(jsonb_build_object('event_type', CASE WHEN deleted THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END,
        'data', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', '2026-01-01T' || at || '.000000Z',
            CASE WHEN deleted THEN 'previous_state' ELSE 'new_state' END, jsonb_build_object('enabled', true, 'feature_state_value', value,
                'multivariate_feature_state_values', '[]'::jsonb, 'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment),
                'identity', NULL, 'identity_identifier', NULL, 'feature_segment', CASE WHEN segment IS NOT NULL THEN
                    jsonb_build_object('priority', 0, 'segment', jsonb_build_object('id', segment, 'name', 'segment ' || segment)) END,
                'feature', jsonb_build_object('id', feature, 'name', name, 'type', 'STANDARD', 'default_enabled', true, 'initial_value', 'at first',
                    'created_date', '2026-01-01T' || created || '.000000Z', 'description', NULL, 'project', jsonb_build_object('id', 7, 'name', 'Shop'))),
            CASE WHEN deleted THEN 'new_state' ELSE 'previous_state' END, NULL))::text, 'UTF8'), ('2026-01-01 ' || at || 'Z')::timestamptz + interval '2 s' $$;
CREATE PROCEDURE pg_temp.entry(at text, environment int, type text, log text, related int, uuid text DEFAULT NULL, author int DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('elsewhere', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'created_date', '2026-01-01T' || at || '.000000Z', 'log', log, 'author', CASE WHEN author IS NOT NULL THEN jsonb_build_object('id', author, 'email', author || '@example.com') END, 'related_object_id', related, 'related_object_uuid', uuid,
        'related_object_type', type, 'is_system_event', false, 'project', jsonb_build_object('id', 7, 'name', 'Shop'),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment, 'name', 'env ' || environment) END))::text, 'UTF8'),
        ('2026-01-01 ' || at || 'Z')::timestamptz + interval '2 s') $$;
CREATE PROCEDURE pg_temp.list(at text, feature int, name text, uuid text, value text)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('elsewhere', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object('uuid', uuid, 'published_by', NULL,
        'feature', jsonb_build_object('id', feature, 'name', name), 'feature_states', jsonb_build_array(
            jsonb_build_object('enabled', true, 'value', value, 'multivariate_feature_state_values', '[]'::jsonb),
            jsonb_build_object('enabled', false, 'value', 'of an override', 'multivariate_feature_state_values', '[]'::jsonb))))::text, 'UTF8'),
        ('2026-01-01 ' || at || 'Z')::timestamptz + interval '2 s') $$;
CALL pg_temp.entry('01:00:00', 1, 'ENVIRONMENT', 'New Environment created: env 1', 1);
CALL pg_temp.entry('01:00:00', 2, 'ENVIRONMENT', 'New Environment created: env 2', 2);

-- A flag is deleted and made again under its name, and no entry comes: each event says when its flag was made, so the name means the new one from then on.
CALL pg_temp.event('02:10:00', 1, 'again', '02:00:00', 'of the old one');
CALL pg_temp.event('03:00:00', 1, 'again', '02:00:00', 'of the old one', deleted => true);
CALL pg_temp.event('03:20:00', 2, 'again', '03:10:00', 'of the new one');
SELECT to_char(at, 'HH24:MI') AS at, s.feature_id, s.value, s.cause, flagsmith.get_feature_value('elsewhere/Shop/env 1', 'again', at) AS value
FROM unnest('{2026-01-01 02:30Z, 2026-01-01 03:05Z, 2026-01-01 03:15Z, 2026-01-01 03:30Z}'::timestamptz[]) at, flagsmith.feature_state('elsewhere/Shop/env 1', 'again', at) s;

-- Only an override's events tell what a flag was made with.
CALL pg_temp.entry('04:00:00', NULL, 'FEATURE', 'New Flag / Remote Config created: overridden', 3);
CALL pg_temp.event('04:10:00', 3, 'overridden', '04:00:00', 'for some', segment => 5);
SELECT environment_id, environment_state.value, confidence, cause, flagsmith.get_feature_value('elsewhere/Shop/env ' || environment_id, 'overridden', '2026-01-01 04:05Z') AS value
FROM unnest('{1, 2}'::bigint[]) environment_id, flagsmith.environment_state('elsewhere/Shop/env ' || environment_id, '2026-01-01 04:05Z') WHERE feature = 'overridden' ORDER BY 1;

-- Only lists of versions of another environment do, of which the first counts, and nothing is sure.
CALL pg_temp.entry('05:00:00', NULL, 'FEATURE', 'New Flag / Remote Config created: listed', 4);
CALL pg_temp.entry('05:20:00', 2, 'EF_VERSION', 'New version published for feature: listed', 4, 'bbbbbbbb-0000-4000-8000-000000000002');
CALL pg_temp.list('05:20:00', 4, 'listed', 'bbbbbbbb-0000-4000-8000-000000000002', 'later');
SELECT flagsmith.get_feature_value('elsewhere/Shop/env 1', 'listed', '2026-01-01 05:30Z') AS later_alone;
CALL pg_temp.entry('05:10:00', 2, 'EF_VERSION', 'New version published for feature: listed', 4, 'bbbbbbbb-0000-4000-8000-000000000001');
CALL pg_temp.list('05:10:00', 4, 'listed', 'bbbbbbbb-0000-4000-8000-000000000001', 'at first');
SELECT environment_id, s.value, s.confidence, s.cause, flagsmith.get_feature_value('elsewhere/Shop/env ' || environment_id, 'listed', '2026-01-01 05:30Z') AS value
FROM unnest('{1, 2}'::bigint[]) environment_id, flagsmith.environment_state('elsewhere/Shop/env ' || environment_id, '2026-01-01 05:30Z') s WHERE feature = 'listed' ORDER BY 1;

-- Nothing does: then it is not known.
CALL pg_temp.entry('06:00:00', NULL, 'FEATURE', 'New Flag / Remote Config created: untold', 6);
SELECT flagsmith.get_feature_value('elsewhere/Shop/env 1', 'untold', '2026-01-01 06:30Z') AS value, s.confidence, s.cause
FROM flagsmith.feature_state('elsewhere/Shop/env 1', 'untold', '2026-01-01 06:30Z') s;
-- An environment is deleted a second before a feature: its entries, of one time, tell so in whichever order they come.
CALL pg_temp.entry('07:00:00', 3, 'ENVIRONMENT', 'New Environment created: env 3', 3);
CALL pg_temp.event('07:05:00', 7, 'kept', '07:01:00', 'in env 3', environment => 3);
CREATE PROCEDURE pg_temp.ended(ids int[]) LANGUAGE plpgsql AS $$
DECLARE
    id int;
BEGIN
    FOREACH id IN ARRAY ids LOOP
        CALL pg_temp.entry('07:10:00', 3, 'FEATURE', 'Flag / Remote Config Deleted: ' || ('{again,again,overridden,listed,none,untold,kept}'::text[])[id], id);
    END LOOP;
    CALL pg_temp.entry('07:10:01', NULL, 'FEATURE', 'Flag / Remote Config Deleted: listed', 4);
END $$;
BEGIN;
CALL pg_temp.ended('{7, 1, 2, 3, 6, 4}');
SELECT to_char("from", 'HH24:MI:SS') AS "from", removed, cause FROM flagsmith._flag_periods('elsewhere', 3, 7) ORDER BY 1;
ROLLBACK;
BEGIN;
CALL pg_temp.ended('{4, 6, 3, 2, 1, 7}');
SELECT to_char("from", 'HH24:MI:SS') AS "from", removed, cause FROM flagsmith._flag_periods('elsewhere', 3, 7) ORDER BY 1;
ROLLBACK;

-- All flags of an environment are deleted, and a second later each of these features: by another author that is another act, and the environment is gone.
CREATE PROCEDURE pg_temp.ended_by(ids int[], one int, other int) LANGUAGE plpgsql AS $$
DECLARE
    id int;
BEGIN
    FOREACH id IN ARRAY ids LOOP
        CALL pg_temp.entry('07:10:00', 3, 'FEATURE_STATE', 'Flag / Remote Config Deleted: ' || ('{again,again,overridden,listed,none,untold,kept}'::text[])[id], id, author => one);
        CALL pg_temp.entry('07:10:01', NULL, 'FEATURE', 'Flag / Remote Config Deleted: ' || ('{again,again,overridden,listed,none,untold,kept}'::text[])[id], id, author => other);
    END LOOP;
    CALL pg_temp.entry('07:20:00', NULL, 'FEATURE', 'New Flag / Remote Config created: later', 9, author => 1);
    CALL pg_temp.event('07:20:00', 9, 'later', '07:20:00', 'made later');
END $$;
BEGIN;
CALL pg_temp.ended_by('{7, 1, 2, 3, 6, 4}', 1, 2);
SELECT to_char("from", 'HH24:MI:SS') AS "from", removed, cause FROM flagsmith._flag_periods('elsewhere', 3, 9) ORDER BY 1;
ROLLBACK;
-- An API key's entries have no author.  Pruning keeps who deleted a feature.
BEGIN;
CALL pg_temp.ended_by('{7, 1, 2, 3, 6, 4}', NULL, 2);
SELECT flagsmith.prune_history('2026-01-01 12:00Z') > 0 AS pruned;
SELECT to_char("from", 'HH24:MI:SS') AS "from", removed, cause FROM flagsmith._flag_periods('elsewhere', 3, 9) ORDER BY 1;
ROLLBACK;
BEGIN;
CALL pg_temp.ended_by('{7, 1, 2, 3, 6, 4}', 1, 1);
SELECT to_char("from", 'HH24:MI:SS') AS "from", removed, cause FROM flagsmith._flag_periods('elsewhere', 3, 9) ORDER BY 1;
ROLLBACK;

-- A deletion that one environment tells is that of the feature, of which the others tell nothing; and not of the one with that id elsewhere.
SELECT flagsmith.add_webhook('other', source => 'other', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;
CALL pg_temp.event('08:00:00', 8, 'gone', '07:30:00', 'one');
CALL pg_temp.event('08:00:00', 8, 'gone', '07:30:00', 'two', environment => 2);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'other', d.body, d.received_at FROM flagsmith.delivery d JOIN flagsmith.flag_change c ON c.delivery = d.id
WHERE c.feature = 'gone' AND c.source = 'elsewhere' ORDER BY d.id;
CALL pg_temp.event('08:30:00', 8, 'gone', '07:30:00', 'one', deleted => true);
SELECT source, environment_id, to_char(lower(period), 'HH24:MI:SS') AS "from", value, confidence, cause FROM flagsmith.flag_timeline WHERE feature_id = 8 AND source IN ('elsewhere', 'other') ORDER BY 1, 2, 3;
SELECT source, environment_id, value FROM flagsmith.current_state WHERE feature_id = 8 AND source IN ('elsewhere', 'other') ORDER BY 1, 2;
SELECT flagsmith.disable_webhook('other');
SELECT flagsmith.disable_webhook('elsewhere');
