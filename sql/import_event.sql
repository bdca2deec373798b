-- Events that were read from Flagsmith's own database, as webhooks would have brought them then.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
\pset null (null)
\set scope '"feature": {"id": 31, "name": "checkout", "project": {"id": 30}}, "environment": {"id": 300, "name": "Production"}'
\set event '{"flagsmith_import": "database", "event_type": "FLAG_UPDATED", "data": {"timestamp": "2026-03-01T12:00:00.000000Z", "changed_by": "ada@example.com", "new_state": {' :scope ', "enabled": true, "feature_state_value": 1}, "previous_state": {' :scope ', "enabled": false, "feature_state_value": 1}}}'

SELECT outcome, entries FROM flagsmith.import_event(:'event', '2026-03-01 12:00:01Z', 'past');
SELECT outcome, entries FROM flagsmith.import_event(:'event', '2026-03-01 12:00:01Z', 'past');
SELECT outcome, entries FROM flagsmith.import_event(:'event', '2026-03-01 12:00:01Z');
SELECT webhook, event_type, event_at, received_at FROM flagsmith.delivery WHERE source = 'past';
SELECT origin, environment, feature, enabled, value, enabled_before, changed_by, event_at, received_at, extra FROM flagsmith.flag_change WHERE source = 'past';

-- The audit log from there says so as well, and is an import in all else: its neighbours show that nothing lies between.
\set entry '{"id": %s, "created_date": "2026-03-01T12:00:00Z", "log": "Flag state updated for feature: checkout", "author": {"id": 21, "email": "ada@example.com"}, "environment": {"id": 300, "name": "Production", "project": 30}, "project": {"id": 30, "name": "Past"}, "related_object_id": 1, "related_object_type": "FEATURE_STATE"}'
SELECT outcome, entries FROM flagsmith.import_audit_log('{"flagsmith_import": "database", "results": [' || format(:'entry', 7) || ']}', 'past');
SELECT origin, audit_id, log, author_email, extra -> 'flagsmith_import' AS wrapper FROM flagsmith.audit_log WHERE source = 'past';
SELECT actor, action, feature, enabled, value, enabled_before, summary FROM flagsmith.history WHERE source = 'past';
SELECT enabled, value, confidence, cause, changed_by FROM flagsmith.feature_state('past/Past/Production', 'checkout', '2026-03-01 13:00Z');

-- A hole, which one page with both neighbours closes.
SELECT count(*) FROM generate_series(100, 180) n, flagsmith.import_audit_log('{"flagsmith_import": "database", "results": [' || format(:'entry', n) || ']}', 'past hole')
WHERE n NOT IN (140, 141);
SELECT first_audit_id, last_audit_id FROM flagsmith.missing_audit_entry WHERE source = 'past hole';
SELECT outcome, entries FROM flagsmith.import_audit_log('{"flagsmith_import": "database", "results": [' || format(:'entry', 139) || ', ' || format(:'entry', 142) || ']}', 'past hole');
SELECT first_audit_id, last_audit_id FROM flagsmith.missing_audit_entry WHERE source = 'past hole';

-- A version that was published on one day for another: its list arrived when it went live, though the entry came only now.
\set version 'b6a0c7d2-0000-4000-8000-000000000002'
SELECT count(*) FROM flagsmith.import_audit_log('{"flagsmith_import": "database", "results": [
    {"id": 20, "created_date": "2026-04-01T12:00:00.3Z", "log": "New version published for feature: checkout", "author": null, "environment": {"id": 301, "name": "Versions", "project": 30}, "project": {"id": 30, "name": "Past"}, "related_object_id": null, "related_object_uuid": "b6a0c7d2-0000-4000-8000-000000000001", "related_object_type": "EF_VERSION"},
    {"id": 21, "created_date": "2026-04-02T12:00:00.3Z", "log": "New version published for feature: checkout", "author": null, "environment": {"id": 301, "name": "Versions", "project": 30}, "project": {"id": 30, "name": "Past"}, "related_object_id": null, "related_object_uuid": "b6a0c7d2-0000-4000-8000-000000000002", "related_object_type": "EF_VERSION"}]}', 'past');
SELECT i.outcome, i.entries FROM (VALUES
    ('2026-04-01 12:00Z'::timestamptz, 'b6a0c7d2-0000-4000-8000-000000000001', 'true', 'false', '2026-04-01T12:00:00.000000Z'),
    ('2026-04-09 12:00Z', 'b6a0c7d2-0000-4000-8000-000000000002', 'false', 'true', '2026-04-02T12:00:00.000000Z')) AS v (live, uuid, state, before, published)
CROSS JOIN LATERAL (VALUES
    (format('{"flagsmith_import": "database", "event_type": "FLAG_UPDATED", "data": {"timestamp": "%s", "new_state": {"feature": {"id": 31, "name": "checkout", "project": {"id": 30}}, "environment": {"id": 301}, "enabled": %s, "feature_state_value": null}, "previous_state": {"enabled": %s, "feature_state_value": null}}}', v.published, v.state, v.before)),
    (format('{"flagsmith_import": "database", "event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "%s", "feature": {"id": 31, "name": "checkout"}, "feature_states": [{"enabled": %s, "value": null}]}}', v.uuid, v.state))) AS e (event)
CROSS JOIN LATERAL flagsmith.import_event(e.event, v.live, 'past') AS i;
SELECT origin, environment_id, enabled, enabled_before, event_at, received_at FROM flagsmith.flag_change WHERE source = 'past' AND environment_id = 301 ORDER BY event_at;
SELECT at, enabled, confidence FROM unnest('{2026-04-01 18:00Z, 2026-04-05Z, 2026-04-09 18:00Z}'::timestamptz[]) at, flagsmith.feature_state('past/Past/Versions', 'checkout', at) ORDER BY at;
SELECT flagsmith.is_feature_enabled('past/Past/Versions', 'checkout', at) FROM unnest('{2026-04-01 18:00Z, 2026-04-05Z, 2026-04-09 18:00Z}'::timestamptz[]) at ORDER BY at;

-- What is no such event is refused.
SELECT flagsmith.import_event(NULL, now());
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event(:'event', now() + interval '1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event(:'event', timestamp '2026-03-01 12:00');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event(:'event', '2026-03-01 12:00:01Z', '');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event('{"flagsmith_import": "database", "results": []}', '2026-03-01Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event('{"event_type": "FLAG_UPDATED", "data": {}}', '2026-03-01Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event('{"flagsmith_import": "database", "event_type": "FLAG_UPDATED"}', '2026-03-01Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event('{"flagsmith_import": "database", "event_type": "FLAG_UPDATED", "data": {}}', '2026-03-01Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_event('{"flagsmith_import": "database", "event_type": "FLAG_DELETED", "data": {"timestamp": "2026-03-01T12:00:00.000000Z"}}', '2026-03-01Z');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.import_audit_log(:'event');
\echo :LAST_ERROR_SQLSTATE
-- A webhook's body does not become one by the key.
SELECT count(*) FROM flagsmith.add_webhook('past', allow_unsigned => true, source => 'past hook', max_spool_age => NULL);
INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('past', convert_to(:'event', 'UTF8'), '2026-03-01 12:00:01Z') RETURNING outcome;
SELECT origin, extra -> 'envelope' AS envelope FROM flagsmith.flag_change WHERE source = 'past hook';
SELECT * FROM flagsmith.rebuild(dry_run => true);
