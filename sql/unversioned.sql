-- What is saved state by state: when it can have lived, what it was made as, which variants it can have had, when it took effect,
-- and whom a name means.  Each is a class of answers that were wrong once.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('act', NULL, source => 'act', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);

-- A state; variants as {"option": percentage}.
CREATE FUNCTION pg_temp.state(enabled boolean, value jsonb, variants jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 900, 'percentage_allocation', v.value,
            'multivariate_feature_option', jsonb_build_object('id', v.key::int, 'value', 'x'))), '[]')
         FROM jsonb_each(variants) v)) $$;

-- A flag event about a feature and an environment by their ids; the clock is the time of 2026-01-01.
CREATE PROCEDURE pg_temp.event(arrived text, at text, environment int, feature int, after jsonb, before jsonb DEFAULT NULL,
        segment int DEFAULT NULL, segment_name text DEFAULT NULL, identity int DEFAULT NULL, identifier text DEFAULT NULL,
        by text DEFAULT 'ada@example.com')
    LANGUAGE plpgsql AS $$
DECLARE
    nested jsonb := jsonb_build_object(
        'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', true,
            'initial_value', 'first', 'created_date', format('2026-01-01T0%s:00:00.000000Z', CASE WHEN feature IN (3, 4) THEN 2 ELSE 1 END), 'description', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Shop')),
        'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment),
        'identity', identity, 'identity_identifier', identifier,
        'feature_segment', CASE WHEN segment IS NOT NULL THEN jsonb_build_object('priority', segment,
            'segment', jsonb_build_object('id', segment, 'name', COALESCE(segment_name, 'segment ' || segment), 'description', NULL)) END);
    data jsonb := jsonb_build_object('changed_by', by,
        'timestamp', to_char(('2026-01-01 ' || at)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', CASE WHEN after IS NOT NULL THEN nested || after END);
BEGIN
    IF before IS NOT NULL THEN
        data := data || jsonb_build_object('previous_state', nested || before);
    END IF;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('act', convert_to(jsonb_build_object('data', data, 'event_type',
        CASE WHEN after IS NULL THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END)::text, 'UTF8'), ('2026-01-01 ' || arrived)::timestamptz);
END $$;

-- An audit entry, which arrives two seconds after the act.
CREATE SEQUENCE pg_temp.audit_id;
CREATE PROCEDURE pg_temp.entry(at text, environment int, type text, log text, object int DEFAULT NULL,
        prevented boolean DEFAULT false, creating boolean DEFAULT false)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('act', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', nextval('pg_temp.audit_id'), 'created_date', to_char(('2026-01-01 ' || at)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'log', log, 'author', NULL, 'is_system_event', false, 'related_object_id', object,
        'related_object_type', type, 'related_object_uuid', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'Shop', 'organisation', 1, 'prevent_flag_defaults', prevented),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment,
            'name', 'env ' || environment, 'is_creating', creating) END))::text, 'UTF8'), ('2026-01-01 ' || at)::timestamptz + interval '2 s') $$;

-- A feature is made: the entry of the project and that of an environment.
CREATE PROCEDURE pg_temp.made(at text, feature int, prevented boolean DEFAULT false)
    LANGUAGE sql AS $$ CALL pg_temp.entry(at, NULL, 'FEATURE', 'New Flag / Remote Config created: flag ' || feature, feature, prevented) $$;

CREATE FUNCTION pg_temp.periods(of int) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', environment, COALESCE('segment ' || segment_id, 'identity ' || identity),
        to_char(lower(period), 'HH24:MI:SS.MS'), '-', COALESCE(to_char(upper(period), 'HH24:MI:SS.MS'), '...'),
        COALESCE(enabled::text, 'none'), value, NULLIF(variants::text, '{}'), confidence, '(' || cause || ')')
    FROM flagsmith.flag_timeline WHERE source = 'act' AND feature_id = of
    ORDER BY environment_id, segment_id NULLS FIRST, identity NULLS FIRST, period $$;

-- What a question is answered: scope, state, confidence.
CREATE FUNCTION pg_temp.asked(environment int, feature int, at text, segments bigint[] DEFAULT NULL, identity text DEFAULT NULL) RETURNS text
    LANGUAGE sql AS $$
    SELECT concat_ws(' ', s.scope, COALESCE(s.enabled::text, 'none'), s.value, s.confidence)
    FROM flagsmith.feature_state('act/Shop/env ' || environment, 'flag ' || feature, ('2026-01-01 ' || at)::timestamptz, segments, identity) s $$;

CALL pg_temp.entry('00:00', 1, 'ENVIRONMENT', 'New Environment created: env 1', 1);
CALL pg_temp.event('01:00:02', '01:00', 1, 1, pg_temp.state(true, '"first"'));
CALL pg_temp.made('01:00', 1);

-- A feature that is gone is in no environment made later, whatever tells that it is gone.
CALL pg_temp.made('01:10', 2);
CALL pg_temp.event('01:10:03', '01:10', 1, 2, pg_temp.state(true, '"first"'));
CALL pg_temp.entry('01:20', NULL, 'FEATURE', 'Flag / Remote Config Deleted: flag 2', 2);
CALL pg_temp.entry('01:30', 2, 'ENVIRONMENT', 'New Environment created: env 2', 2);
SELECT * FROM pg_temp.periods(2);
SELECT flagsmith.is_feature_enabled('act/Shop/env 2', 'flag 2', '2026-01-01 02:00') AS is_enabled, pg_temp.asked(2, 2, '02:00');

-- An environment is gone where all of its flags are: with their identities, and without those made later.
CALL pg_temp.event('01:40:03', '01:40', 2, 1, pg_temp.state(false, '"2"'));
CALL pg_temp.event('01:41:03', '01:41', 2, 1, pg_temp.state(true, '"i"'), identity => 21, identifier => 'eve');
CALL pg_temp.entry('01:50', 2, 'FEATURE_STATE', 'Flag / Remote Config Deleted: flag 1', 1001);
SELECT * FROM pg_temp.periods(1) p WHERE p LIKE 'env 2%';
CALL pg_temp.made('02:00', 3);
CALL pg_temp.event('02:00:03', '02:00', 1, 3, pg_temp.state(true, '"first"'));
SELECT * FROM pg_temp.periods(3);
SELECT flagsmith.is_feature_enabled('act/Shop/env 2', 'flag 3', '2026-01-01 02:30') AS is_enabled;

-- Where the defaults are kept from new states, these are off and without value; a copy has what its source had, and the first
-- event in it says what that was.
CALL pg_temp.made('02:10', 4, prevented => true);
CALL pg_temp.event('02:10:03', '02:10', 1, 4, pg_temp.state(false, 'null'));
CALL pg_temp.entry('02:11', 3, 'ENVIRONMENT', 'New Environment created: env 3', 3, prevented => true);
CALL pg_temp.entry('02:12', 4, 'ENVIRONMENT', 'New Environment created: env 4', 4, creating => true);
CALL pg_temp.entry('02:13', 5, 'ENVIRONMENT', 'New Environment created: env 5', 5);
CALL pg_temp.event('02:30:03', '02:30', 4, 4, pg_temp.state(true, '"new"'), pg_temp.state(false, '"copied"'));
CALL pg_temp.event('02:30:03', '02:30', 5, 4, pg_temp.state(true, '"new"'), pg_temp.state(false, '"odd"'));
SELECT * FROM pg_temp.periods(4) p WHERE p NOT LIKE 'env 1%';
SELECT flagsmith.get_feature_value('act/Shop/env ' || e, 'flag 4', '2026-01-01 02:20') AS value FROM generate_series(3, 5) e;
SELECT pg_temp.asked(4, 4, '02:29', '{1}'), pg_temp.asked(4, 4, '02:31', '{1}') AS later, pg_temp.asked(4, 4, '02:31') AS default_alone;

-- Absence of an override that nobody told is not sure: one that equals the default is made without a word.
CALL pg_temp.made('03:00', 5);
CALL pg_temp.event('03:00:03', '03:00', 1, 5, pg_temp.state(true, '"first"'));
CALL pg_temp.entry('03:00', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 5', 5001);
CALL pg_temp.event('03:10:03', '03:10', 1, 5, pg_temp.state(false, '"first"'), pg_temp.state(true, '"first"'));
CALL pg_temp.entry('03:10', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 5', 5001);
SELECT pg_temp.asked(1, 5, '03:05') AS default_alone, pg_temp.asked(1, 5, '03:05', '{1}') AS segment, pg_temp.asked(1, 5, '03:05', NULL, 'eve') AS identity;

-- Options: before its entry "added" a state cannot have had one; an event that shows fewer was built too early; one built after
-- an entry "removed" does not say what was before.
CALL pg_temp.made('03:20', 6);
CALL pg_temp.entry('03:20:00.01', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 6', 6001);
CALL pg_temp.entry('03:20:00.3', NULL, 'FEATURE', 'Multivariate option added to feature ''flag 6''.', 6);
CALL pg_temp.entry('03:20:00.7', NULL, 'FEATURE', 'Multivariate option added to feature ''flag 6''.', 6);
CALL pg_temp.event('03:20:30', '03:20:00.01', 1, 6, pg_temp.state(true, '"first"', '{"61": 10}'));
CALL pg_temp.event('03:30:02', '03:30', 1, 6, pg_temp.state(false, '"first"', '{"61": 10, "62": 20}'), pg_temp.state(true, 'null'));
CALL pg_temp.entry('03:30', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 6', 6001);
CALL pg_temp.event('03:40:09', '03:40', 1, 6, pg_temp.state(true, '"first"', '{"61": 10}'), pg_temp.state(false, 'null'));
CALL pg_temp.entry('03:40', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 6', 6001);
CALL pg_temp.entry('03:40:05', NULL, 'FEATURE', 'Multivariate option removed from feature ''flag 6''.', 6);
SELECT * FROM pg_temp.periods(6) p WHERE p LIKE 'env 1%';

-- Two events that agree say nothing of the time before an entry between them: the first was built after it.
CALL pg_temp.made('04:00', 7);
CALL pg_temp.event('04:00:02', '04:00', 1, 7, pg_temp.state(true, '"first"'));
CALL pg_temp.entry('04:00', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 7', 7001);
CALL pg_temp.event('04:10:03', '04:10', 1, 7, pg_temp.state(false, '"late"'), pg_temp.state(true, 'null'));
CALL pg_temp.entry('04:10', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 7', 7001);
CALL pg_temp.entry('04:10:02', 1, 'FEATURE_STATE', 'Remote config value updated for feature: flag 7', 7001);
CALL pg_temp.event('04:10:04', '04:10:02.02', 1, 7, pg_temp.state(false, '"late"'), pg_temp.state(false, 'null'));
CALL pg_temp.entry('04:20', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 5', 5001);
SELECT * FROM pg_temp.periods(7) p WHERE p LIKE 'env 1%';

-- While an act is being saved, its state is not yet whole.
CALL pg_temp.made('04:30', 15);
CALL pg_temp.event('04:30:02', '04:30', 1, 15, pg_temp.state(true, '"first"'));
CALL pg_temp.entry('04:30', 1, 'FEATURE_STATE', 'New Flag / Remote Config created: flag 15', 15001);
CALL pg_temp.event('04:40:02', '04:40', 1, 15, pg_temp.state(false, '"both"'), pg_temp.state(true, '"first"'));
CALL pg_temp.entry('04:40', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 15', 15001);
CALL pg_temp.entry('04:40:00.04', 1, 'FEATURE_STATE', 'Remote config value updated for feature: flag 15', 15001);
SELECT * FROM pg_temp.periods(15) p WHERE p LIKE 'env 1%';

-- A deletion tells the last edit, whose own event never came; of several, of which some were drafts, that is not sure.
CALL pg_temp.made('05:00', 8);
CALL pg_temp.event('05:00:02', '05:00', 1, 8, pg_temp.state(true, '"first"'));
CALL pg_temp.event('05:30', '05:10', 1, 8, NULL, pg_temp.state(false, '"lost"'));
CALL pg_temp.entry('05:30:01', NULL, 'FEATURE', 'Flag / Remote Config Deleted: flag 8', 8);
SELECT * FROM pg_temp.periods(8) p WHERE p LIKE 'env 1%';
SELECT flagsmith.get_feature_value('act/Shop/env 1', 'flag 8', '2026-01-01 05:20') AS value;
CALL pg_temp.made('05:00', 9);
CALL pg_temp.event('05:00:02', '05:00', 1, 9, pg_temp.state(true, '"first"'));
CALL pg_temp.event('05:30', '05:10', 1, 9, NULL, pg_temp.state(false, '"draft"'));
CALL pg_temp.event('05:30', '05:11', 1, 9, NULL, pg_temp.state(false, '"lost"'));
CALL pg_temp.entry('05:30:01', NULL, 'FEATURE', 'Flag / Remote Config Deleted: flag 9', 9);
SELECT * FROM pg_temp.periods(9) p WHERE p LIKE 'env 1%';

-- A change request takes effect at its entry, not at the time of its draft.
CALL pg_temp.made('06:00', 10);
CALL pg_temp.event('06:00:02', '06:00', 1, 10, pg_temp.state(false, '"start"'));
CALL pg_temp.event('06:20:02', '06:20', 1, 10, pg_temp.state(false, '"between"'), pg_temp.state(false, '"start"'));
CALL pg_temp.event('06:30:02', '06:10', 1, 10, pg_temp.state(true, '"requested"'), pg_temp.state(false, '"between"'), by => '');
CALL pg_temp.entry('06:30', 1, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: flag 10 by Change Request: late', 10001);
CALL pg_temp.event('06:50:02', '06:40', 1, 10, pg_temp.state(false, '"scheduled"'), pg_temp.state(true, '"requested"'), by => '');
CALL pg_temp.entry('06:50', 1, 'FEATURE_STATE', 'Scheduled change to Flag state / Remote config value went live for feature: flag 10 by Change Request: far', 10001);
SELECT * FROM pg_temp.periods(10) p WHERE p LIKE 'env 1%';
SELECT at, flagsmith.get_feature_value('act/Shop/env 1', 'flag 10', ('2026-01-01 ' || at)::timestamptz) AS value, pg_temp.asked(1, 10, at)
FROM unnest('{06:15, 06:25, 06:35, 06:45, 06:55}'::text[]) at;

-- A number is not its opposite.
CALL pg_temp.made('07:00', 11);
CALL pg_temp.event('07:00:02', '07:00', 1, 11, pg_temp.state(true, '1'));
CALL pg_temp.event('07:10:02', '07:10', 1, 11, pg_temp.state(true, '-1'), pg_temp.state(true, '1'));
SELECT * FROM pg_temp.periods(11) p WHERE p LIKE 'env 1%';

-- An identity is asked for by its identifier; by its id only where nobody bears that; of two that bore it the younger counts.
CALL pg_temp.made('08:00', 12);
CALL pg_temp.event('08:00:02', '08:00', 1, 12, pg_temp.state(true, '"first"'));
CALL pg_temp.event('08:10:02', '08:10', 1, 12, pg_temp.state(true, '"of 9"'), identity => 9, identifier => '11');
CALL pg_temp.event('08:10:02', '08:10', 1, 12, pg_temp.state(true, '"of 11"'), identity => 11, identifier => '13');
CALL pg_temp.event('08:20:02', '08:20', 1, 12, pg_temp.state(true, '"of 12"'), identity => 12, identifier => '13');
CALL pg_temp.event('08:20:02', '08:20', 1, 1, pg_temp.state(true, '"of 12"'), identity => 12, identifier => '13');
SELECT who, pg_temp.asked(1, 12, '08:15', NULL, who), pg_temp.asked(1, 12, '08:30', NULL, who) AS later, pg_temp.asked(1, 1, '08:15', NULL, who) AS other
FROM unnest('{11, 13, 9, 12}'::text[]) who;
-- So does an entry of the flag say that somebody bears it, also one of a removal.
CALL pg_temp.entry('08:40', 1, 'FEATURE_STATE', 'Flag state / Remote config value deleted for feature ''flag 12'' and identity ''9''', 12001);
SELECT who, pg_temp.asked(1, 12, '08:15', NULL, who) FROM unnest('{9, 11}'::text[]) who;

-- Overrides that entries alone tell are unknown from there, not absent.
CALL pg_temp.made('09:00', 13);
CALL pg_temp.event('09:00:02', '09:00', 1, 13, pg_temp.state(true, '"first"'));
CALL pg_temp.entry('09:05', NULL, 'SEGMENT', 'New Segment created: lost', 31);
CALL pg_temp.entry('09:06', NULL, 'SEGMENT', 'New Segment created: lost', 32);
CALL pg_temp.entry('09:10', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 13'' and segment ''lost''', 13001);
CALL pg_temp.entry('09:20', 1, 'FEATURE_STATE', 'Flag state / Remote config value updated for feature ''flag 13'' and identity ''zoe''', 13002);
SELECT * FROM pg_temp.periods(13) p WHERE p LIKE 'env 1%';
SELECT at, pg_temp.asked(1, 13, at, '{31}') AS segment, pg_temp.asked(1, 13, at, '{1,2,3,4,5,31}') AS segments, pg_temp.asked(1, 13, at, NULL, 'zoe') AS identity
FROM unnest('{09:07, 09:15, 09:25}'::text[]) at;
SELECT segment, identity, identity_kind, cause FROM flagsmith.history_gap WHERE source = 'act' AND feature_id = 13 AND environment_id = 1 ORDER BY segment;

-- Of two segments of one name, a removal ends neither.
CALL pg_temp.made('10:00', 14);
CALL pg_temp.event('10:00:02', '10:00', 1, 14, pg_temp.state(false, '"first"'));
CALL pg_temp.event('10:10:02', '10:10', 1, 14, pg_temp.state(true, '"a"'), segment => 41, segment_name => 'twin');
CALL pg_temp.event('10:11:02', '10:11', 1, 14, pg_temp.state(true, '"b"'), segment => 42, segment_name => 'twin');
CALL pg_temp.event('10:12:02', '10:12', 1, 14, pg_temp.state(true, '"c"'), segment => 43, segment_name => 'single');
CALL pg_temp.entry('10:20', 1, 'FEATURE', 'Flag state / Remote config value deleted for feature ''flag 14'' and segment ''twin''', 14);
CALL pg_temp.entry('10:20', 1, 'FEATURE', 'Flag state / Remote config value deleted for feature ''flag 14'' and segment ''single''', 14);
SELECT * FROM pg_temp.periods(14) p WHERE p LIKE 'env 1 segment%';
SELECT segment, pg_temp.asked(1, 14, '10:30', ARRAY[segment]) FROM generate_series(41, 43) segment;

-- Entries say which override they are about by name, and a page of states has ids alone: what it tells of a segment without a
-- name is never confirmed, whatever entries come about others.
CALL pg_temp.made('11:00', 15);
CALL pg_temp.event('11:00:02', '11:00', 1, 15, pg_temp.state(false, '"first"'));
SELECT outcome, entries FROM flagsmith.import_feature_states('[{"id": 15001, "feature": 15, "environment": 1, "identity": null, "enabled": true,
    "feature_segment": 91, "feature_state_value": "imported", "multivariate_feature_state_values": []},
    {"id": 15002, "feature": 15, "environment": 1, "identity": null, "enabled": true,
    "feature_segment": 92, "feature_state_value": "imported", "multivariate_feature_state_values": []}]', 'act/Shop/env 1', '2026-01-01 11:10Z',
    '[{"id": 91, "segment": 51, "priority": 0, "environment": 1}, {"id": 92, "segment": 43, "priority": 1, "environment": 1}]');
CALL pg_temp.entry('11:20', 1, 'FEATURE', 'Flag state / Remote config value deleted for feature ''flag 15'' and segment ''nameless''', 15);
CALL pg_temp.entry('11:30', 1, 'FEATURE_STATE', 'Flag state updated for feature: flag 12', 12);
SELECT * FROM pg_temp.periods(15) p WHERE p LIKE 'env 1 segment%';

-- An identity of another project, whom an event showed, is not the one of which an entry alone tells: pruning keeps that.
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'act', convert_to(replace(replace(replace(replace(convert_from(d.body, 'UTF8'), '"id": 7, "name": "Shop"', '"id": 8, "name": "Other"'),
    '"id": 1, "name": "env 1"', '"id": 21, "name": "env 21"'), '"id": 12, "name": "flag 12"', '"id": 22, "name": "flag 22"'), '"13"', '"zoe"'), 'UTF8'), d.received_at
FROM flagsmith.delivery d JOIN flagsmith.flag_change f ON f.delivery = d.id
WHERE f.source = 'act' AND f.identity = '12' AND f.feature_id = 12
RETURNING outcome;
BEGIN;
SELECT flagsmith.prune_history('2026-01-01 11:25Z') > 0 AS pruned;
SELECT p FROM pg_temp.periods(13) p WHERE p LIKE 'env 1 identity%';
ROLLBACK;
-- Nor one whose id was seen in both.
BEGIN;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'act', convert_to(replace(replace(convert_from(d.body, 'UTF8'), '"id": 12, "name": "flag 12"', '"id": 23, "name": "flag 23"'),
    '"13"', '"zoe"'), 'UTF8'), d.received_at + interval '1 second'
FROM flagsmith.delivery d JOIN flagsmith.flag_change f ON f.delivery = d.id
WHERE f.source = 'act' AND f.identity = '12' AND f.feature_id = 12
RETURNING outcome;
SELECT flagsmith.prune_history('2026-01-01 11:25Z') > 0 AS pruned;
SELECT p FROM pg_temp.periods(13) p WHERE p LIKE 'env 1 identity%';
ROLLBACK;
