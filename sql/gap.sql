-- What never came: holes in the ids of audit entries.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
CREATE SCHEMA gap;
-- One entry of a source, a second for each id from noon on.
CREATE FUNCTION gap.entry(id bigint, project int DEFAULT 7) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', id, 'created_date', to_char(timestamp '2026-03-01 12:00' + id * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'author', NULL, 'is_system_event', false, 'environment', NULL, 'related_object_id', 1, 'related_object_type', 'FEATURE_STATE',
        'project', jsonb_build_object('id', project, 'name', 'Project ' || project, 'organisation', 1),
        'log', 'Flag state updated for feature: one') $$;
CREATE FUNCTION gap.tell(source text, ids int8range, arrived timestamptz DEFAULT NULL, step int DEFAULT 1, project int DEFAULT 7) RETURNS bigint
    LANGUAGE sql AS $$
    WITH told AS (
        INSERT INTO flagsmith.inbox (webhook, body, received_at)
        SELECT source, convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', gap.entry(id, project))::text, 'UTF8'),
            coalesce(arrived, '2026-03-01 12:00:01Z'::timestamptz + id * interval '1 second')
        FROM generate_series(lower(ids), upper(ids) - 1, step) AS id
        RETURNING outcome)
    SELECT count(*) FROM told WHERE outcome = 'stored' $$;
CREATE VIEW gap.missing AS
    SELECT source, project_id, project, first_audit_id, last_audit_id, entries, earliest, latest, status
    FROM flagsmith.missing_audit_entry WHERE source LIKE 'gap%' ORDER BY 1, 4;
SELECT count(flagsmith.add_webhook(name, source => name, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL))
FROM unnest(ARRAY['gap 1', 'gap 2', 'gap 3', 'gap 4', 'gap 5', 'gap fifth']) AS name;

-- An outage: eight entries never came.  Of three ids nothing is concluded.
SELECT gap.tell('gap 1', '[51,53)'), gap.tell('gap 1', '[61,62)');
SELECT * FROM gap.missing;
SELECT gap.tell('gap 1', '[62,66)'), gap.tell('gap 1', '[40,51)');
SELECT * FROM gap.missing;
-- Of another project on one side, and a hole beside it: each is judged by itself, the other counts once.
SELECT gap.tell('gap 1', '[66,70)'), gap.tell('gap 1', '[90,110)', project => 8);
SELECT * FROM gap.missing;
-- An entry that comes late parts a hole, the last ones close it.
SELECT gap.tell('gap 1', '[56,57)');
SELECT first_audit_id, last_audit_id FROM gap.missing;
SELECT gap.tell('gap 1', '[53,61)');
SELECT first_audit_id, last_audit_id FROM gap.missing;
-- So does a page of the audit log that has both neighbours, since nothing is between them there; one that has one of them does not.
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(gap.entry(69), gap.entry(68)))::text, 'gap 1');
SELECT first_audit_id, last_audit_id FROM gap.missing;
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(gap.entry(90, 8), gap.entry(69)))::text, 'gap 1');
SELECT first_audit_id, last_audit_id FROM gap.missing;

-- Ids that others take as well: of every id but the third, hardly one follows another.
SELECT gap.tell('gap 2', '[1000,1600)', step => 3), gap.tell('gap 2', '[1600,1616)');
SELECT * FROM gap.missing WHERE source = 'gap 2';
-- Said for good, no hole is one.
SELECT gap.tell('gap 3', '[1,100)'), gap.tell('gap 3', '[101,200)');
SELECT source, first_audit_id, last_audit_id FROM gap.missing WHERE source = 'gap 3';
SELECT count(flagsmith.add_webhook('gap 3b', source => 'gap 3', allow_unsigned => true, audit_ids_shared => true));
SELECT * FROM gap.missing WHERE source = 'gap 3';
-- Of 128 ids around, 34 other holes: three ids each with a hole behind say nothing, until more follow without.
SELECT gap.tell('gap 4', '[1,65)'), gap.tell('gap 4', '[66,130)');
SELECT first_audit_id FROM gap.missing WHERE source = 'gap 4';
SELECT sum(gap.tell('gap 5', int8range(i * 4 + 1, i * 4 + 4))) FROM generate_series(0, 24) AS i;
SELECT count(*) FROM gap.missing WHERE source = 'gap 5';
SELECT gap.tell('gap 5', '[101,300)');
SELECT first_audit_id FROM gap.missing WHERE source = 'gap 5';
-- Where every fifth entry is lost, all of these are missing.
SELECT sum(gap.tell('gap fifth', int8range(i * 5 + 1, i * 5 + 5))) FROM generate_series(0, 19) AS i;
SELECT count(*), min(first_audit_id), max(last_audit_id) FROM gap.missing WHERE source = 'gap fifth';

-- While the entry behind has just come, its neighbours may come yet.
SELECT gap.tell('gap 4', '[131,133)', now());
SELECT first_audit_id, status FROM gap.missing WHERE source = 'gap 4';
-- What was pruned is not missing.
BEGIN;
INSERT INTO flagsmith.pruning (what, before, bodies, audit_log, flag_change, audit_effect, version_published)
VALUES ('history', '2026-03-01 12:01:06Z', 0, 1, 0, 0, 0);
SELECT source, first_audit_id FROM gap.missing WHERE source IN ('gap 4', 'gap 5');
ROLLBACK;

-- A flag of which only an entry's text told is unknown, not unheard of; once its id is known, the flag has a period of its own.
-- Two flags that the text could mean, and what is only scheduled, are none.
CREATE FUNCTION gap.say(id bigint, log text, type text DEFAULT 'FEATURE_STATE') RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'gap 1', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', gap.entry(id, 77) || jsonb_build_object('log', log,
        'related_object_id', 55010, 'related_object_type', type,
        'environment', jsonb_build_object('id', 512, 'name', 'Production', 'project', 77)))::text, 'UTF8'), '2026-03-01 12:00:01Z'::timestamptz + id * interval '1 second'
    RETURNING outcome $$;
CREATE VIEW gap.gaps AS
    SELECT project, environment_id, environment, feature_id, feature, segment, identity_identifier, period, cause
    FROM flagsmith.history_gap WHERE source = 'gap 1' AND project_id = 77 ORDER BY feature, segment, identity_identifier;
SELECT gap.say(900, 'Flag state updated for feature: old_flag'), gap.say(901, 'Flag state updated for feature: old_flag'),
    gap.say(902, $$Flag state / Remote config value updated for feature 'old_flag' and segment 'vip'$$),
    gap.say(903, $$Flag state / Remote config value updated for feature 'a' and segment 'b' and segment 'c'$$),
    gap.say(904, 'Flag state / Remote Config value update scheduled for 01/04/2026 06:00:00 for feature: later'),
    gap.say(905, 'Flag state updated for feature: short'), gap.say(906, 'Flag / Remote Config Deleted: short');
SELECT * FROM gap.gaps;
SELECT gap.say(910, 'Multivariate value changed for feature ''old_flag''.');
SELECT feature_id, feature, period, cause FROM gap.gaps WHERE feature = 'old_flag';

-- Where entries are missing, that none came proves nothing: what is confirmed is reported from the hole's beginning to the next body.
SELECT count(flagsmith.add_webhook('gap 6', source => 'gap 6', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL));
CREATE FUNCTION gap.state(value text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb,
        'feature', jsonb_build_object('id', 61, 'name', 'hot', 'created_date', '2026-03-01T12:01:04Z', 'default_enabled', false, 'initial_value', 'y',
            'type', 'STANDARD', 'description', NULL, 'project', jsonb_build_object('id', 7, 'name', 'Project 7')),
        'environment', jsonb_build_object('id', 1, 'name', 'Gap lab'), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL) $$;
-- Entries about something else, but at some ids one about the flag, with its body.
CREATE PROCEDURE gap.live(ids int8range, acts bigint[] DEFAULT '{}') LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'gap 6', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', gap.entry(id) || CASE WHEN id = ANY (acts)
        THEN jsonb_build_object('log', 'Remote config value updated for feature: hot', 'environment', jsonb_build_object('id', 1, 'name', 'Gap lab'))
        ELSE jsonb_build_object('log', 'Segment updated: s', 'related_object_type', 'SEGMENT') END)::text, 'UTF8'),
        '2026-03-01 12:00:01Z'::timestamptz + id * interval '1 second'
    FROM generate_series(lower(ids), upper(ids) - 1) AS id;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'gap 6', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', gap.entry(id) -> 'created_date', 'previous_state', gap.state('state ' || n), 'new_state', gap.state('state ' || n)))::text, 'UTF8'),
        '2026-03-01 12:00:01Z'::timestamptz + id * interval '1 second'
    FROM unnest(acts) WITH ORDINALITY AS a (id, n);
$$;
CREATE VIEW gap.told AS
    SELECT extract(epoch FROM lower(period) - '2026-03-01 12:00Z') AS from, extract(epoch FROM upper(period) - '2026-03-01 12:00Z') AS to, value, confidence, cause
    FROM flagsmith.flag_timeline WHERE source = 'gap 6' AND feature = 'hot' ORDER BY 1;
CREATE VIEW gap.asked AS
    SELECT n, value, confidence FROM generate_series(105, 330, 25) n
    CROSS JOIN LATERAL flagsmith.feature_state('gap 6/Project 7/Gap lab', 'hot', '2026-03-01 12:00Z'::timestamptz + n * interval '1 second') ORDER BY 1;
CALL gap.live('[64,150)', '{100,140}');
CALL gap.live('[158,400)', '{200,300}');
SELECT first_audit_id, last_audit_id FROM gap.missing WHERE source = 'gap 6';
SELECT * FROM gap.told;
SELECT * FROM gap.asked;
-- whoever is asked, what is marked changes no answer
SELECT size, block FROM flagsmith.audit_id_block WHERE source = 'gap 6' ORDER BY 1, 2;
CREATE TABLE gap.answers AS SELECT * FROM gap.told;
BEGIN;
ALTER TABLE flagsmith.audit_id_block DISABLE TRIGGER audit_id_block_guard;
DELETE FROM flagsmith.audit_id_block;
SELECT count(*) FROM (SELECT * FROM gap.told EXCEPT SELECT * FROM gap.answers) d;
ROLLBACK;
-- where ids are shared, and once the entries came, it is confirmed again
BEGIN;
UPDATE flagsmith.webhook SET audit_ids_shared = true WHERE name = 'gap 6';
SELECT "from", "to", confidence FROM gap.told WHERE "to" <= 200;
ROLLBACK;
BEGIN;
CALL gap.live('[150,158)');
SELECT "from", "to", confidence FROM gap.told WHERE "to" <= 200;
ROLLBACK;
-- so it is by a page of the audit log that shows that there is nothing to be had
BEGIN;
SELECT outcome FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(gap.entry(158), gap.entry(149)))::text, 'gap 6');
SELECT "from", "to", confidence FROM gap.told WHERE "to" <= 200;
ROLLBACK;
DROP SCHEMA gap CASCADE;
