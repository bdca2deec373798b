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

-- Pruning leaves each scope's last change, and a record; a pruned body is still a duplicate when it comes again.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT flagsmith.prune_bodies('2026-08-20 15:00Z') > 0 AS pruned;
SELECT count(*) FROM flagsmith.delivery WHERE source = 'maintenance' AND body IS NULL;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('maintained', flagsmith.sign(convert_to(:'body', 'UTF8'), 'a secret of some length'), convert_to(:'body', 'UTF8'), '2026-08-20 14:04Z')
RETURNING outcome, reason;
SELECT flagsmith.prune_history('infinity') > 0 AS pruned;
SELECT feature_id, segment_id, identity FROM flagsmith.flag_change WHERE source = 'maintenance' ORDER BY ordinal;
SELECT what, before, pruned_by = session_user AS by_me, bodies > 0 AS bodies, audit_log > 0 AS audit_log FROM flagsmith.pruning ORDER BY id;
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);
ROLLBACK;
SELECT flagsmith.prune_bodies(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.prune_history(now(), 0);
\echo :LAST_ERROR_SQLSTATE

DELETE FROM flagsmith.webhook_secret WHERE webhook = 'maintained';
DELETE FROM flagsmith.webhook WHERE name = 'maintained';
