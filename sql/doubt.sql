-- What was called sure and was not: each block is a class of wrong answers that a simulated Flagsmith showed.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('doubt', NULL, source => 'doubt', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('doubt 2', NULL, source => 'doubt', scope => 'environment', environment_id => 2,
    allow_unsigned => true, max_spool_age => NULL);

-- The clock is the time of 2026-01-01.
CREATE FUNCTION pg_temp.at(clock text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT ('2026-01-01 ' || clock)::timestamptz $$;
CREATE FUNCTION pg_temp.shown(clock text) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(pg_temp.at(clock), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- A state; variants as {"option": percentage}.
CREATE FUNCTION pg_temp.state(enabled boolean, value jsonb, variants jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('id', 900, 'percentage_allocation', v.value,
            'multivariate_feature_option', jsonb_build_object('id', v.key::int, 'value', 'x'))), '[]')
         FROM jsonb_each(variants) v)) $$;

-- A flag event of environment 1, without versions, or 2, with versions.
CREATE PROCEDURE pg_temp.event(arrived text, at text, environment int, feature int, after jsonb, before jsonb DEFAULT NULL,
        segment int DEFAULT NULL, identity int DEFAULT NULL, by text DEFAULT 'ada@example.com')
    LANGUAGE plpgsql AS $$
DECLARE
    nested jsonb := jsonb_build_object(
        'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature, 'type', 'STANDARD', 'default_enabled', false,
            'initial_value', 'first', 'created_date', pg_temp.shown(lpad((feature / 10)::text, 2, '0') || ':00'), 'description', NULL,
            'project', jsonb_build_object('id', 7, 'name', 'Mill')),
        'environment', jsonb_build_object('id', environment, 'name', 'env ' || environment),
        'identity', identity, 'identity_identifier', 'user',
        'feature_segment', CASE WHEN segment IS NOT NULL THEN jsonb_build_object('priority', segment,
            'segment', jsonb_build_object('id', segment, 'name', 'segment ' || segment, 'description', NULL)) END);
    data jsonb;
BEGIN
    IF identity IS NULL THEN
        nested := nested || '{"identity_identifier": null}';
    END IF;
    data := jsonb_build_object('changed_by', by, 'timestamp', pg_temp.shown(at), 'new_state', CASE WHEN after IS NOT NULL THEN nested || after END);
    IF before IS NOT NULL THEN
        data := data || jsonb_build_object('previous_state', nested || before);
    END IF;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('doubt', convert_to(jsonb_build_object('data', data, 'event_type',
        CASE WHEN after IS NULL THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END)::text, 'UTF8'), pg_temp.at(arrived));
END $$;

-- An audit entry, which arrives two seconds after the act.
CREATE SEQUENCE pg_temp.audit_id;
CREATE PROCEDURE pg_temp.entry(at text, environment int, type text, log text, object int DEFAULT NULL, uuid text DEFAULT NULL, arrived text DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('doubt', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object(
        'id', nextval('pg_temp.audit_id'), 'created_date', pg_temp.shown(at), 'log', log, 'author', NULL, 'is_system_event', false,
        'related_object_id', object, 'related_object_type', type, 'related_object_uuid', uuid,
        'project', jsonb_build_object('id', 7, 'name', 'Mill', 'organisation', 1, 'prevent_flag_defaults', false),
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', environment,
            'name', 'env ' || environment, 'is_creating', false) END))::text, 'UTF8'),
        COALESCE(pg_temp.at(arrived), pg_temp.at(at) + interval '2 s')) $$;
CREATE PROCEDURE pg_temp.said(at text, feature int, log text) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, 1, 'FEATURE_STATE', replace(log, '%', 'flag ' || feature)) $$;
CREATE PROCEDURE pg_temp.made(at text, feature int) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, NULL, 'FEATURE', 'New Flag / Remote Config created: flag ' || feature, feature) $$;
CREATE PROCEDURE pg_temp.option(at text, feature int) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, NULL, 'FEATURE', format('Multivariate option added to feature %L.', 'flag ' || feature), feature) $$;
-- A version's entry, of an environment, and its list.
CREATE PROCEDURE pg_temp.version(at text, environment int, feature int, uuid text, arrived text DEFAULT NULL) LANGUAGE sql AS $$
    CALL pg_temp.entry(at, environment, 'EF_VERSION', 'New version published for feature: flag ' || feature, NULL, uuid,
        COALESCE(arrived, to_char(pg_temp.at(at) + interval '0.5 s', 'HH24:MI:SS.MS'))) $$;
CREATE PROCEDURE pg_temp.list(arrived text, feature int, uuid text, VARIADIC states jsonb[]) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('doubt 2', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object(
        'uuid', uuid, 'published_by', NULL, 'feature', jsonb_build_object('id', feature, 'name', 'flag ' || feature),
        'feature_states', (SELECT COALESCE(jsonb_agg((s - 'feature_state_value') || jsonb_build_object('value', s->'feature_state_value') ORDER BY n), '[]')
            FROM unnest(states) WITH ORDINALITY u(s, n))))::text, 'UTF8'), pg_temp.at(arrived)) $$;

CREATE FUNCTION pg_temp.periods(of int) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', environment, COALESCE('segment ' || segment_id, 'identity ' || identity),
        to_char(lower(period), 'HH24:MI:SS.MS'), '-', COALESCE(to_char(upper(period), 'HH24:MI:SS.MS'), '...'),
        COALESCE(enabled::text, 'none'), value, NULLIF(variants::text, '{}'), confidence, '(' || cause || ')')
    FROM flagsmith.flag_timeline WHERE source = 'doubt' AND feature_id = of
    ORDER BY environment_id, segment_id NULLS FIRST, identity NULLS FIRST, period $$;

CALL pg_temp.entry('00:00', 1, 'ENVIRONMENT', 'New Environment created: env 1', 1);
CALL pg_temp.entry('00:00', 2, 'ENVIRONMENT', 'New Environment created: env 2', 2);
-- the latest news: until then, what nothing contradicts is sure
CALL pg_temp.entry('23:00', NULL, 'SEGMENT', 'Segment updated: nobody', 99);

-- Of an act that no event tells the first entry counts, also where the next act's event is near it.
CALL pg_temp.made('03:00', 30);
CALL pg_temp.event('03:00:02', '03:00', 1, 30, pg_temp.state(true, '"first"'));
CALL pg_temp.said('03:00', 30, 'New Flag / Remote Config created: %');
CALL pg_temp.said('03:10', 30, 'Remote config value updated for feature: %');
CALL pg_temp.said('03:10:00.01', 30, 'Flag state updated for feature: %');
CALL pg_temp.event('03:10:03', '03:10:00.3', 1, 30, pg_temp.state(false, '"second"'), pg_temp.state(false, '"second"'));
SELECT * FROM pg_temp.periods(30) p WHERE p LIKE 'env 1%';

-- A value that an entry says was saved and that is what it was: it was something else between.  The value before a save that
-- nobody told of: a save is missing.
CALL pg_temp.made('04:00', 40);
CALL pg_temp.event('04:00:02', '04:00', 1, 40, pg_temp.state(true, '"first"'));
CALL pg_temp.said('04:00', 40, 'New Flag / Remote Config created: %');
CALL pg_temp.event('04:20:02', '04:20', 1, 40, pg_temp.state(true, '"third"'), pg_temp.state(true, '"lost"'));
CALL pg_temp.said('04:20', 40, 'Remote config value updated for feature: %');
CALL pg_temp.event('04:20:14', '04:20:12', 1, 40, pg_temp.state(true, '"third"'), pg_temp.state(true, '"third"'));
CALL pg_temp.said('04:20:12', 40, 'Remote config value updated for feature: %');
SELECT * FROM pg_temp.periods(40) p WHERE p LIKE 'env 1%';

-- A draft that was saved just before it took effect.  Its own entry says when; without it, it is known by the arrival.
CALL pg_temp.made('05:00', 50);
CALL pg_temp.event('05:00:02', '05:00', 1, 50, pg_temp.state(true, '"first"'));
CALL pg_temp.said('05:00', 50, 'New Flag / Remote Config created: %');
CALL pg_temp.event('05:10:02', '05:10', 1, 50, pg_temp.state(false, '"draft"'), pg_temp.state(true, '"first"'), by => '');
SELECT * FROM pg_temp.periods(50) p WHERE p LIKE 'env 1%';

-- More variants than entries tell of: when they came is not known before they were read.
CALL pg_temp.made('06:00', 60);
CALL pg_temp.event('06:00:03', '06:00', 1, 60, pg_temp.state(true, '"first"', '{"1": 10}'));
CALL pg_temp.said('06:00', 60, 'New Flag / Remote Config created: %');
SELECT * FROM pg_temp.periods(60) p WHERE p LIKE 'env 1%';

-- An event that saved no percentage tells the variants since the last option before it; one that did does not.
CALL pg_temp.made('06:30', 65);
CALL pg_temp.event('06:30:02', '06:30', 1, 65, pg_temp.state(true, '"first"'));
CALL pg_temp.said('06:30', 65, 'New Flag / Remote Config created: %');
CALL pg_temp.option('06:35', 65);
CALL pg_temp.option('06:36', 65);
CALL pg_temp.event('06:40:02', '06:40', 1, 65, pg_temp.state(false, '"first"', '{"1": 0, "2": 0}'), pg_temp.state(true, '"first"'));
CALL pg_temp.said('06:40', 65, 'Flag state updated for feature: %');
CALL pg_temp.option('06:45', 65);
CALL pg_temp.event('06:50:02', '06:50', 1, 65, pg_temp.state(false, '"first"', '{"1": 0, "2": 0, "3": 5}'), pg_temp.state(false, '"first"'));
CALL pg_temp.said('06:50', 65, $$Multivariate value changed for feature '%'.$$);
SELECT * FROM pg_temp.periods(65) p WHERE p LIKE 'env 1%';

-- An entry about an identity's override can be about another identity that was made under its name: it can have gone before.
CALL pg_temp.made('07:00', 70);
CALL pg_temp.event('07:10:02', '07:10', 1, 70, pg_temp.state(true, '"i"'), identity => 5);
CALL pg_temp.said('07:10', 70, 'Flag state / Remote config value updated for feature ''%'' and identity ''user''');
CALL pg_temp.said('07:20', 70, 'Flag state / Remote config value updated for feature ''%'' and identity ''user''');
SELECT * FROM pg_temp.periods(70) p WHERE p LIKE 'env 1 identity%';

-- The entry of a version is not of an event that was saved by itself before the environment was switched to versions.
CALL pg_temp.made('01:00', 10);
CALL pg_temp.event('01:00:02', '01:00', 1, 10, pg_temp.state(false, '"first"'));
CALL pg_temp.said('01:00', 10, 'New Flag / Remote Config created: %');
CALL pg_temp.event('01:10:02', '01:10:00.04', 1, 10, pg_temp.state(true, '"saved"'), pg_temp.state(false, '"first"'));
CALL pg_temp.said('01:10', 10, 'Remote config value updated for feature: %');
CALL pg_temp.said('01:10:00.04', 10, 'Flag state updated for feature: %');
CALL pg_temp.version('01:15', 1, 10, 'switched');
SELECT * FROM pg_temp.periods(10) p WHERE p LIKE 'env 1%';

-- Nor of one of which the value alone was saved, some milliseconds before the time that the event has.
CALL pg_temp.made('01:20', 15);
CALL pg_temp.event('01:20:02', '01:20', 1, 15, pg_temp.state(false, '"first"'));
CALL pg_temp.said('01:20', 15, 'New Flag / Remote Config created: %');
CALL pg_temp.event('01:30:02', '01:30:00.04', 1, 15, pg_temp.state(false, '"value"'), pg_temp.state(false, '"first"'));
CALL pg_temp.said('01:30', 15, 'Remote config value updated for feature: %');
CALL pg_temp.version('01:35', 1, 15, 'switched after a value');
SELECT * FROM pg_temp.periods(15) p WHERE p LIKE 'env 1%';

-- A change request before that took effect at its entry, not at the time of its draft.
CALL pg_temp.made('02:00', 20);
CALL pg_temp.event('02:00:02', '02:00', 1, 20, pg_temp.state(false, '"first"'));
CALL pg_temp.said('02:00', 20, 'New Flag / Remote Config created: %');
CALL pg_temp.event('02:20:01', '02:10', 1, 20, pg_temp.state(true, '"requested"'), pg_temp.state(false, '"first"'), by => '');
CALL pg_temp.said('02:20', 20, 'Flag state / Remote config updated for feature: % by Change Request: far');
CALL pg_temp.version('02:40', 1, 20, 'switched later');
SELECT * FROM pg_temp.periods(20) p WHERE p LIKE 'env 1%';

-- What was there before the first version is told with the variants of the time when the event was built.
CALL pg_temp.made('08:00', 80);
CALL pg_temp.version('08:10:00.2', 2, 80, 'initial variants');
CALL pg_temp.event('08:10:09', '08:10', 2, 80, pg_temp.state(true, '"first"', '{"1": 10}'), pg_temp.state(false, '"first"', '{"1": 10}'));
CALL pg_temp.option('08:10:05', 80);
CALL pg_temp.list('08:10:09', 80, 'initial variants', pg_temp.state(true, '"first"', '{"1": 10}'));
SELECT * FROM pg_temp.periods(80) p WHERE p LIKE 'env 2%';

-- A list tells its own time: that a flag was made as something else contradicts it for the time before.
CALL pg_temp.made('09:00', 90);
CALL pg_temp.event('09:00:02', '09:00', 1, 90, pg_temp.state(false, '"first"'));
CALL pg_temp.version('09:10:00.2', 2, 90, 'initial list');
CALL pg_temp.event('09:10:01', '09:10', 2, 90, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.list('09:10:01', 90, 'initial list', pg_temp.state(false, '"imported"'), pg_temp.state(true, '"s"'));
SELECT * FROM pg_temp.periods(90) p WHERE p LIKE 'env 2 09%';

-- What chains says nothing of versions that tell of other scopes: it may have been live before them.
CALL pg_temp.made('10:00', 100);
CALL pg_temp.event('10:10:01', '10:10', 2, 100, pg_temp.state(true, '"a"'), pg_temp.state(false, '"first"'));
CALL pg_temp.version('10:10:00.2', 2, 100, 'a', '10:10:01');
CALL pg_temp.event('10:10:40', '10:10:12', 2, 100, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.version('10:10:12.2', 2, 100, 's', '10:10:13');
CALL pg_temp.event('10:10:50', '10:09:58', 2, 100, pg_temp.state(false, '"b"'), pg_temp.state(true, '"a"'));
CALL pg_temp.version('10:09:58.2', 2, 100, 'b', '10:10:55');
SELECT * FROM pg_temp.periods(100) p WHERE p LIKE 'env 2 10%';

-- A version whose event does not know what was held may never have been live: its list ends nothing for sure.
CALL pg_temp.made('11:00', 110);
CALL pg_temp.event('11:10:01', '11:10', 2, 110, pg_temp.state(true, '"a"'), pg_temp.state(false, '"first"'));
CALL pg_temp.event('11:10:01', '11:10', 2, 110, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.version('11:10:00.2', 2, 110, 'with s');
CALL pg_temp.list('11:10:01', 110, 'with s', pg_temp.state(true, '"a"'), pg_temp.state(true, '"s"'));
CALL pg_temp.event('11:20:01', '11:20', 2, 110, pg_temp.state(true, '"c"'), pg_temp.state(false, '"first"'));
CALL pg_temp.version('11:20:00.2', 2, 110, 'announced');
CALL pg_temp.list('11:20:01', 110, 'announced', pg_temp.state(true, '"c"'));
SELECT * FROM pg_temp.periods(110) p WHERE p LIKE 'env 2 segment%';

-- A list alone that came late is of before an override which it lacks, where the next one has it.
CALL pg_temp.made('12:00', 120);
CALL pg_temp.version('12:10', 2, 120, 'late');
CALL pg_temp.event('12:10:21', '12:10:20', 2, 120, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.version('12:10:20.2', 2, 120, 'adds s');
CALL pg_temp.list('12:10:21', 120, 'adds s', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'));
CALL pg_temp.list('12:10:30', 120, 'late', pg_temp.state(false, '"first"'));
CALL pg_temp.version('12:20', 2, 120, 'has s');
CALL pg_temp.event('12:20:01', '12:19:59.9', 2, 120, pg_temp.state(true, '"first"'), pg_temp.state(false, '"first"'));
CALL pg_temp.list('12:20:01', 120, 'has s', pg_temp.state(true, '"first"'), pg_temp.state(true, '"s"'));
SELECT * FROM pg_temp.periods(120) p WHERE p LIKE 'env 2 segment%';

-- Two versions whose parts came late by different times: each event has its own list, though another's is nearer.
CALL pg_temp.made('13:00', 130);
CALL pg_temp.event('13:10:40', '13:10', 2, 130, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.version('13:10:00.3', 2, 130, 'one', '13:10:02');
CALL pg_temp.list('13:10:01', 130, 'one', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'));
CALL pg_temp.event('13:10:08', '13:10:01.5', 2, 130, pg_temp.state(true, '"b"'), pg_temp.state(false, '"first"'));
CALL pg_temp.version('13:10:01.7', 2, 130, 'two', '13:10:30');
CALL pg_temp.list('13:10:32', 130, 'two', pg_temp.state(true, '"b"'), pg_temp.state(true, '"s"'));
SELECT * FROM pg_temp.periods(130) p WHERE p LIKE 'env 2%';

-- The variants of two events of one second were read when another one was removed: that is no reason to put them in another order.
CALL pg_temp.made('14:00', 140);
CALL pg_temp.option('14:00:00.1', 140);
CALL pg_temp.event('14:10:03', '14:10', 2, 140, pg_temp.state(true, '"a"'), pg_temp.state(false, '"first"', '{"1": 10}'));
CALL pg_temp.version('14:10:00.4', 2, 140, 'a of two');
CALL pg_temp.list('14:10:03', 140, 'a of two', pg_temp.state(true, '"a"'));
CALL pg_temp.event('14:10:01.5', '14:10:00.5', 2, 140, pg_temp.state(true, '"b"', '{"1": 10}'), pg_temp.state(true, '"a"', '{"1": 10}'));
CALL pg_temp.version('14:10:00.9', 2, 140, 'b of two');
CALL pg_temp.list('14:10:01.5', 140, 'b of two', pg_temp.state(true, '"b"', '{"1": 10}'));
CALL pg_temp.entry('14:10:02', NULL, 'FEATURE', 'Multivariate option removed from feature ''flag 140''.', 140);
SELECT * FROM pg_temp.periods(140) p WHERE p LIKE 'env 2%';

-- A list alone that came late ends an override where nothing that came after it has that: it was scheduled.
CALL pg_temp.made('15:00', 150);
CALL pg_temp.version('15:10', 2, 150, 'scheduled without s');
CALL pg_temp.event('15:10:21', '15:10:20', 2, 150, pg_temp.state(true, '"s"'), segment => 1);
CALL pg_temp.version('15:10:20.2', 2, 150, 'has s for a minute');
CALL pg_temp.list('15:10:21', 150, 'has s for a minute', pg_temp.state(false, '"first"'), pg_temp.state(true, '"s"'));
CALL pg_temp.list('15:11:30', 150, 'scheduled without s', pg_temp.state(false, '"first"'));
SELECT * FROM pg_temp.periods(150) p WHERE p LIKE 'env 2 segment%';
