-- Back-fill from the REST API, rebuilding typed rows from their bodies, and pruning.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
\pset null (null)
\set entry '{"id": 9001, "created_date": "2026-08-20T14:03:11.482913Z", "log": "Flag state updated for feature: checkout", "author": {"id": 21, "email": "ada@example.com", "first_name": "Ada", "last_name": "Osei"}, "environment": {"id": 512, "name": "Production", "api_key": "KEY", "project": 77}, "project": {"id": 77, "name": "Shop", "organisation": 9}, "related_object_id": 55, "related_object_type": "FEATURE_STATE", "related_object_uuid": null, "is_system_event": false}'
\set body '{"data": ' :entry ', "event_type": "AUDIT_LOG_CREATED"}'
\set page '{"count": 2, "next": null, "previous": null, "results": [' :entry ', {"id": 9000, "created_date": "2026-08-20T14:00:00Z", "log": "New Segment created: vip", "author": null, "environment": null, "project": {"id": 77, "name": "Shop", "organisation": 9}, "related_object_id": 5, "related_object_type": "SEGMENT", "related_object_uuid": null, "is_system_event": false}]}'
\set detail '{"id": 8999, "created_date": "2026-08-20T13:00:00Z", "log": "Flag / Remote Config updated: checkout", "author": null, "environment": null, "project": {"id": 77, "name": "Shop", "organisation": 9}, "related_object_id": 4101, "related_object_type": "FEATURE", "related_object_uuid": null, "is_system_event": false, "change_type": "UPDATE", "change_details": [{"field": "description", "old": null, "new": "x"}]}'

-- A page of the audit log is a delivery: the same page again is a duplicate, and an entry that a webhook brought as well is
-- another row of the same audit_id.
SELECT count(*) FROM flagsmith.add_webhook('maintained', 'a secret of some length', source => 'maintenance', max_spool_age => NULL);
SELECT outcome, entries FROM flagsmith.import_audit_log(:'page', 'maintenance');
SELECT outcome, entries FROM flagsmith.import_audit_log(:'page', 'maintenance');
SELECT outcome, entries FROM flagsmith.import_audit_log(:'detail', 'maintenance');
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('maintained', flagsmith.sign(convert_to(:'body', 'UTF8'), 'a secret of some length'), convert_to(:'body', 'UTF8'), '2026-08-20 14:03:13Z')
RETURNING outcome, reason;
SELECT audit_id, origin, created_date, action, object, feature, segment, author_email, extra
FROM flagsmith.audit_log WHERE source = 'maintenance' ORDER BY audit_id, origin;
SELECT webhook, event_type, event_at, undecoded_reason FROM flagsmith.delivery WHERE source = 'maintenance' ORDER BY id;

-- A body of a webhook is never taken for an import.
INSERT INTO flagsmith.inbox (webhook, signature, body)
VALUES ('maintained', flagsmith.sign(convert_to(:'page', 'UTF8'), 'a secret of some length'), convert_to(:'page', 'UTF8'))
RETURNING outcome, reason;

-- What is no page is refused: whoever imports still has it.
SELECT flagsmith.import_audit_log('nothing', 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_audit_log('{"a": 1}', 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_audit_log('{"results": [1]}', 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_feature_states('[]', 'Nowhere');
\echo :LAST_ERROR_SQLSTATE

-- The states of an environment at an instant; segments map the rows of overrides to their segments.
SELECT outcome, entries FROM flagsmith.import_feature_states(
    '{"count": 4, "next": null, "previous": null, "results": [
      {"id": 1, "enabled": true, "feature": 4101, "environment": 512, "identity": null, "feature_segment": null,
       "feature_state_value": {"type": "unicode", "string_value": "007", "integer_value": null, "boolean_value": null},
       "multivariate_feature_state_values": [{"id": 3, "multivariate_feature_option": 9, "percentage_allocation": 25.0}]},
      {"id": 2, "enabled": false, "feature": 4101, "environment": 512, "identity": null, "feature_segment": 31,
       "feature_state_value": {"type": "int", "string_value": null, "integer_value": 7, "boolean_value": null}, "multivariate_feature_state_values": []},
      {"id": 3, "enabled": false, "feature": 4101, "environment": 512, "identity": 8, "feature_segment": null,
       "feature_state_value": {"type": "bool", "string_value": null, "integer_value": null, "boolean_value": false}, "multivariate_feature_state_values": []},
      {"id": 4, "enabled": true, "feature": 4102, "environment": 512, "identity": null, "feature_segment": null,
       "feature_state_value": {"type": "unicode", "string_value": null, "integer_value": null, "boolean_value": null}, "multivariate_feature_state_values": []}]}',
    'maintenance/Shop/Production', '2026-08-21 00:00Z',
    '{"count": 1, "next": null, "previous": null, "results": [{"id": 31, "segment": 5, "priority": 2, "environment": 512}]}');
SELECT event_at, origin, project_id, environment_id, feature_id, segment_id, segment_priority, identity, identity_kind, enabled, value, variants
FROM flagsmith.flag_change WHERE source = 'maintenance' ORDER BY ordinal;

-- The other shape of the REST API: the features of a project, each with its state there, plain and without percentages.
BEGIN;
SELECT outcome, entries FROM flagsmith.import_feature_states(
    '{"count": 4, "next": null, "previous": null, "results": [
      {"id": 4103, "name": "banner/blue", "type": "MULTIVARIATE", "created_date": "2026-08-01T00:00:00.250000Z", "description": "of the front page",
       "default_enabled": true, "initial_value": "first", "project": 77, "tags": [1], "is_archived": false,
       "environment_feature_state": {"id": 51, "enabled": false, "environment": 512, "identity": null, "feature_segment": null,
        "feature_state_value": "sea"}},
      {"id": 4104, "name": "elsewhere", "type": "STANDARD", "created_date": "2026-08-02T00:00:00Z", "description": null,
       "default_enabled": false, "initial_value": null, "environment_feature_state": null},
      {"id": 4105, "name": "count", "type": "STANDARD", "created_date": "2026-08-03T00:00:00Z", "description": null,
       "default_enabled": false, "initial_value": null,
       "environment_feature_state": {"id": 52, "enabled": true, "environment": 512, "identity": null, "feature_segment": null,
        "feature_state_value": 7}},
      {"id": 4106, "name": "valueless", "type": "STANDARD", "created_date": "2026-08-04T00:00:00Z", "description": null,
       "default_enabled": false, "initial_value": null,
       "environment_feature_state": {"id": 53, "enabled": true, "environment": 512, "identity": null, "feature_segment": null,
        "feature_state_value": null}}]}',
    'maintenance/Shop/Production', '2026-08-22 00:00Z');
SELECT f.event_at, f.origin, f.project, f.environment, f.feature_id, f.feature, f.feature_type, f.feature_created_date, f.feature_default_enabled,
    f.feature_initial_value, f.enabled, f.value, f.variants, f.extra
FROM flagsmith.flag_change f WHERE f.source = 'maintenance' AND f.feature_id > 4102 ORDER BY f.ordinal;
SELECT id, name, seen_at, project_id FROM flagsmith.name WHERE source = 'maintenance' AND kind = 'feature' AND id > '4102' ORDER BY id;
SELECT feature, enabled, value, variants, confidence, cause, since
FROM flagsmith.environment_state('maintenance/Shop/Production', '2026-08-22 12:00Z') WHERE feature_id > 4102 ORDER BY feature_id;
SELECT at, flagsmith.is_feature_enabled('maintenance/Shop/Production', 'banner/blue', at) AS enabled,
    flagsmith.get_feature_value('maintenance/Shop/Production', 'banner/blue', at) AS value
FROM unnest('{2026-07-31, 2026-08-10, 2026-08-22, infinity}'::timestamptz[]) at;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
ROLLBACK;
SELECT flagsmith.import_feature_states('[{"id": 4103, "name": "banner", "environment_feature_state": 51}]', 'maintenance/Shop/Production', '2026-08-22 00:00Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_feature_states('[{"id": 4103, "name": "banner", "environment_feature_state": {"id": 51, "enabled": false,
    "environment": 513, "feature_state_value": 7}}]', 'maintenance/Shop/Production', '2026-08-22 00:00Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_feature_states('[{"id": 4103, "name": "banner", "environment_feature_state": {"id": 51, "enabled": false,
    "environment": 512}}]', 'maintenance/Shop/Production', '2026-08-22 00:00Z');
\echo :LAST_ERROR_SQLSTATE

-- An imported page in the view history: a line for each entry, one for what a webhook brought as well, whichever came first.
BEGIN;
CREATE TEMP VIEW line AS
SELECT h.at, h.actor, h.actor_type, h.action, h.object, h.project, h.environment, h.feature, h.segment, h.log, h.audit_id, cardinality(h.delivery_ids) AS deliveries
FROM flagsmith.history h WHERE h.source = 'maintenance' AND h.audit_id IS NOT NULL ORDER BY h.at, h.audit_id;
SELECT * FROM line;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'maintained', flagsmith.sign(b, 'a secret of some length'), b, '2026-08-20 14:00:02Z'
FROM convert_to('{"event_type": "AUDIT_LOG_CREATED", "data": ' || (:'page'::jsonb -> 'results' -> 1)::text || '}', 'UTF8') b
RETURNING outcome;
SELECT * FROM line WHERE audit_id = 9000;
-- a later page of which half is known already
SELECT outcome, entries FROM flagsmith.import_audit_log(jsonb_build_object('results', jsonb_build_array(:'page'::jsonb -> 'results' -> 0,
    :'detail'::jsonb || '{"id": 9002, "created_date": "2026-08-20T15:00:00Z"}'))::text, 'maintenance');
SELECT * FROM line;
-- the same id at another time is another entry, by a webhook or the REST API, and somebody is told
SELECT webhook, reused_audit_ids FROM flagsmith.webhook_health WHERE webhook = 'maintained';
SELECT outcome, entries FROM flagsmith.import_audit_log(:'page'::jsonb #>> '{results,0}', 'maintenance');
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'maintained', flagsmith.sign(b, 'a secret of some length'), b, '2026-08-20 16:00:02Z'
FROM convert_to('{"event_type": "AUDIT_LOG_CREATED", "data": ' || jsonb_set(:'page'::jsonb #> '{results,0}', '{created_date}', '"2026-08-20T16:00:00Z"')::text || '}', 'UTF8') b
RETURNING outcome;
SELECT outcome, entries FROM flagsmith.import_audit_log(jsonb_set(:'page'::jsonb #> '{results,0}', '{created_date}', '"2026-08-20T17:00:00Z"')::text, 'maintenance');
SELECT * FROM line WHERE audit_id = 9001;
SELECT * FROM flagsmith.audit_id_reused WHERE source LIKE 'maintenance%';
SELECT webhook, reused_audit_ids FROM flagsmith.webhook_health WHERE webhook = 'maintained';
-- of another source they are others
SELECT outcome, entries FROM flagsmith.import_audit_log(:'page', 'maintenance elsewhere');
SELECT count(*), count(DISTINCT audit_id) FROM flagsmith.history WHERE source LIKE 'maintenance%' AND audit_id IS NOT NULL;
-- each delivery of an entry is told in exactly one line
WITH told AS MATERIALIZED (SELECT unnest(delivery_ids) AS id FROM flagsmith.history WHERE source LIKE 'maintenance%')
SELECT count(*) FROM flagsmith.delivery d
WHERE d.source LIKE 'maintenance%' AND EXISTS (SELECT FROM flagsmith.audit_log a WHERE a.delivery = d.id)
    AND NOT EXISTS (SELECT FROM told WHERE told.id = d.id);
ROLLBACK;

-- A typed row is a function of its body: what somebody with the rights of the owner changed is found and put right.
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
BEGIN;
ALTER TABLE flagsmith.audit_log DISABLE TRIGGER audit_log_guard;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
UPDATE flagsmith.audit_log SET author_email = 'eve@example.com', log = NULL WHERE source = 'maintenance' AND audit_id = 9000;
DELETE FROM flagsmith.audit_log WHERE source = 'maintenance' AND audit_id = 8999;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted)
SELECT delivery, 99, source, event_at, received_at, stored_at, origin, is_test, deleted
FROM flagsmith.flag_change WHERE source = 'maintenance' AND ordinal = 1;
ALTER TABLE flagsmith.audit_log ENABLE ALWAYS TRIGGER audit_log_guard;
ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
SELECT relation, ordinal, split, difference, columns FROM flagsmith.rebuild(dry_run => true) ORDER BY delivery, relation, ordinal;
SELECT relation, ordinal, split, difference, columns FROM flagsmith.rebuild() ORDER BY delivery, relation, ordinal;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
SELECT audit_id, log, author_email FROM flagsmith.audit_log WHERE source = 'maintenance' AND origin = 'import' ORDER BY audit_id;
ROLLBACK;

-- A body that was changed, or has rotted, is no truth: it is reported, and the rows that were made of the true one stay.
BEGIN;
ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
ALTER TABLE flagsmith.audit_log DISABLE TRIGGER audit_log_guard;
UPDATE flagsmith.delivery SET body = convert_to(replace(convert_from(body, 'UTF8'), 'ada@example.com', 'eve@example.com'), 'UTF8')
WHERE source = 'maintenance' AND webhook = 'maintained' AND event_type = 'AUDIT_LOG_CREATED';
UPDATE flagsmith.delivery SET body = set_byte(body, 3, get_byte(body, 3) # 1) WHERE source = 'maintenance' AND event_type = 'feature_states_page';
UPDATE flagsmith.audit_log SET log = 'forged' WHERE source = 'maintenance' AND audit_id = 9000;
SELECT relation, ordinal, difference, columns FROM flagsmith.rebuild(dry_run => true) ORDER BY delivery, relation, ordinal;
SELECT relation, ordinal, difference, columns FROM flagsmith.rebuild() ORDER BY delivery, relation, ordinal;
SELECT audit_id, origin, author_email, log FROM flagsmith.audit_log WHERE source = 'maintenance' ORDER BY audit_id, origin;
SELECT count(*) > 0 AS kept FROM flagsmith.flag_change WHERE source = 'maintenance';
ROLLBACK;
-- The digest alone, likewise; the time and the type that the row has of its body are corrected, but for a time that would
-- make it another delivery.
BEGIN;
ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
UPDATE flagsmith.delivery SET digest = '\x00' WHERE source = 'maintenance' AND event_type = 'feature_states_page';
UPDATE flagsmith.delivery SET event_at = '2001-01-01 00:00Z', event_type = 'FORGED'
WHERE source = 'maintenance' AND webhook = 'maintained' AND event_type = 'AUDIT_LOG_CREATED';
SELECT relation, difference, columns FROM flagsmith.rebuild() ORDER BY delivery, relation, ordinal;
SELECT event_type, event_at FROM flagsmith.delivery WHERE source = 'maintenance' AND webhook = 'maintained' AND event_type IS NOT NULL ORDER BY id;
UPDATE flagsmith.delivery SET event_at = '2001-01-01 00:00Z'
WHERE source = 'maintenance' AND webhook = 'maintained' AND event_type = 'AUDIT_LOG_CREATED';
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('maintained', flagsmith.sign(convert_to(:'body', 'UTF8'), 'a secret of some length'), convert_to(:'body', 'UTF8'), '2026-08-20 14:04Z')
RETURNING outcome, reason;
\set VERBOSITY sqlstate
SELECT relation, difference, columns FROM flagsmith.rebuild() ORDER BY delivery, relation, ordinal;
\set VERBOSITY default
SELECT event_type, event_at FROM flagsmith.delivery
WHERE source = 'maintenance' AND webhook = 'maintained' AND event_type = 'AUDIT_LOG_CREATED' ORDER BY id;
ROLLBACK;

-- Pruning leaves each scope's last change, and a record; a pruned body is still a duplicate when it comes again.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT flagsmith.prune_bodies('2026-08-20 15:00Z') > 0 AS pruned;
SELECT count(*) FROM flagsmith.delivery WHERE source = 'maintenance' AND body IS NULL;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('maintained', flagsmith.sign(convert_to(:'body', 'UTF8'), 'a secret of some length'), convert_to(:'body', 'UTF8'), '2026-08-20 14:04Z')
RETURNING outcome, reason;
SELECT count(*) FROM flagsmith._prunable_history('infinity', 100000) \gset prunable_
SELECT flagsmith.prune_history('infinity', dry_run => true) = :prunable_count AS counted, count(*) AS pruned FROM flagsmith.pruning WHERE what = 'history';
SELECT flagsmith.prune_history('infinity') = :prunable_count AS pruned, :prunable_count > 0 AS any;
SELECT flagsmith.prune_history('infinity', dry_run => true);
SELECT feature_id, segment_id, identity FROM flagsmith.flag_change WHERE source = 'maintenance' ORDER BY ordinal;
SELECT what, before, pruned_by = session_user AS by_me, bodies > 0 AS bodies, audit_log > 0 AS audit_log FROM flagsmith.pruning ORDER BY id;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
ROLLBACK;
SELECT flagsmith.prune_bodies(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.prune_history(now(), 0);
\echo :LAST_ERROR_SQLSTATE

-- What nothing else tells stays: deletions, defaults, how an identity is called, and what was said of a segment by a name that is
-- now another's.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT count(*) FROM flagsmith.add_webhook('pruned', NULL, source => 'pruned', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL);
CREATE FUNCTION pg_temp.take_in(body jsonb, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('pruned', convert_to(body::text, 'UTF8'), at) $$;
CREATE FUNCTION pg_temp.event(at timestamptz, environment int, feature int, value int, override jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.take_in(jsonb_build_object('event_type', CASE WHEN value IS NULL THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END, 'data',
        jsonb_build_object('changed_by', 'ada', 'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'new_state', NULL)
        || jsonb_build_object(CASE WHEN value IS NULL THEN 'previous_state' ELSE 'new_state' END, jsonb_build_object('enabled', true,
            'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL,
            'feature_segment', NULL, 'environment', jsonb_build_object('id', environment, 'name', 'E' || environment),
            'feature', jsonb_build_object('id', feature, 'name', 'f' || feature, 'type', 'STANDARD', 'default_enabled', false,
                'initial_value', 'x', 'created_date', '2026-01-01T00:00:00Z', 'description', NULL,
                'project', jsonb_build_object('id', 7, 'name', 'P'))) || override)), at + interval '1 s') $$;
CREATE FUNCTION pg_temp.entry(at timestamptz, type text, id int, log text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.take_in(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', extract(epoch FROM at)::bigint,
        'created_date', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'log', log, 'author', NULL, 'is_system_event', false,
        'related_object_id', id, 'related_object_type', type, 'related_object_uuid', NULL,
        'project', jsonb_build_object('id', 7, 'name', 'P', 'organisation', 1),
        'environment', jsonb_build_object('id', 1, 'name', 'E1'))), at + interval '2 s') $$;
CREATE FUNCTION pg_temp.segment(id int, name text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('feature_segment', jsonb_build_object('priority', id, 'segment',
        jsonb_build_object('id', id, 'name', name, 'description', NULL))) $$;
DO $$
BEGIN
    -- f1 and f2 are deleted; a late body of f1 and the import of f2 say otherwise
    PERFORM pg_temp.event('2026-01-01 01:00Z', 1, f, 1), pg_temp.event('2026-01-01 02:00Z', 1, f, NULL) FROM generate_series(1, 2) f;
    PERFORM pg_temp.event('2026-01-01 02:05Z', 1, 1, 3);
    -- of f3 in E2, only the body of E1 tells anything, and an import follows
    PERFORM pg_temp.event('2026-01-01 01:00Z', 1, f, 1) FROM generate_series(3, 5) f;
    PERFORM pg_temp.event('2026-01-01 01:00Z', 2, 5, 1);
    -- an identity that the import does not name
    PERFORM pg_temp.event('2026-01-01 01:00Z', 1, 5, 5, '{"identity": 8, "identity_identifier": "ada"}');
    PERFORM flagsmith.import_feature_states(jsonb_agg(jsonb_build_object('id', f, 'feature', LEAST(f, 5), 'environment', 1, 'enabled', true,
        'identity', CASE WHEN f = 6 THEN 8 END, 'feature_segment', NULL, 'feature_state_value', 9))::text, 'pruned/P/E1', '2026-01-01 03:00Z')
    FROM generate_series(2, 6) f;
    -- "beta" is segment 1, whose override of f6 is removed and of f7 changed to nobody knows what, and then segment 2
    PERFORM pg_temp.event('2026-01-01 01:00Z', 1, f, 1), pg_temp.event('2026-01-01 01:10Z', 1, f, 2, pg_temp.segment(1, 'beta'))
    FROM generate_series(6, 7) f;
    PERFORM pg_temp.entry('2026-01-01 01:20Z', 'FEATURE', 6, 'Flag state / Remote config value deleted for feature ''f6'' and segment ''beta''');
    PERFORM pg_temp.entry('2026-01-01 01:21Z', 'FEATURE_STATE', 4, 'Flag state / Remote config value updated for feature ''f7'' and segment ''beta''');
    PERFORM pg_temp.event('2026-01-01 01:30Z', 1, 1, 2, pg_temp.segment(1, 'gamma'));
    PERFORM pg_temp.event('2026-01-01 01:40Z', 1, f, 3, pg_temp.segment(2, 'beta')) FROM generate_series(6, 7) f;
    PERFORM pg_temp.entry('2026-01-01 01:50Z', 'FEATURE', 6, 'Flag state / Remote config value deleted for feature ''f6'' and segment ''beta''');
    PERFORM pg_temp.entry('2026-01-01 01:51Z', 'FEATURE_STATE', 4, 'Flag state / Remote config value updated for feature ''f7'' and segment ''beta''');
END $$;
CREATE TEMP VIEW answer AS
SELECT e, f, q.segments, q.identity, s.enabled, s.value, s.scope, s.confidence, s.cause
FROM generate_series(1, 2) e, generate_series(1, 7) f, (VALUES (NULL::bigint[], NULL), (NULL, 'ada'), ('{1}', NULL), ('{2}', NULL)) q (segments, identity),
    flagsmith.feature_state('pruned/P/E' || e, 'f' || f, '2026-01-05Z', q.segments, q.identity) s;
CREATE TEMP TABLE answer_before AS TABLE answer;
SELECT * FROM answer WHERE e = 1 AND COALESCE(segments::text, identity) IS NULL OR e = 2 AND f = 3 AND COALESCE(segments::text, identity) IS NULL
    OR f = 5 AND identity IS NOT NULL OR f > 5 AND segments IS NOT NULL AND e = 1
ORDER BY e, f, segments, identity;
SELECT flagsmith.prune_history('2026-01-04Z') > 0 AS pruned;
SELECT * FROM answer EXCEPT TABLE answer_before ORDER BY e, f, segments, identity;
SELECT count(*) FROM (TABLE answer_before EXCEPT TABLE answer) lost;
SELECT feature_id, segment_id, identity, event_at, origin, deleted FROM flagsmith.flag_change WHERE source = 'pruned' AND environment_id = 1
ORDER BY feature_id, event_at, segment_id, identity, origin;
ROLLBACK;

DELETE FROM flagsmith.webhook_secret WHERE webhook = 'maintained';
DELETE FROM flagsmith.webhook WHERE name = 'maintained';
