-- A webhook that was registered for one environment does not speak for another.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;

SELECT count(*) FROM flagsmith.add_webhook('environment', 'the secret of the environment', source => 'environment', scope => 'environment', environment_id => 7);
SELECT count(*) FROM flagsmith.add_webhook('environment org', 'the secret of the organisation', source => 'environment', scope => 'organisation');
SELECT count(*) FROM flagsmith.add_webhook('environment open', allow_unsigned => true, source => 'environment', environment_id => 7);

CREATE FUNCTION pg_temp.flag(environment bigint, at text, type text DEFAULT 'FLAG_UPDATED', project text DEFAULT 'Shop', ids bigint DEFAULT 31) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(json_build_object('event_type', type, 'data', json_build_object('changed_by', 'ada@example.com', 'timestamp', at,
        'new_state', json_build_object('enabled', true, 'feature_state_value', 5, 'identity', null, 'identity_identifier', null,
            'feature_segment', null, 'multivariate_feature_state_values', json_build_array(), 'environment', json_build_object('id', environment, 'name', 'Env ' || environment),
            'feature', json_build_object('id', ids, 'name', 'flag', 'type', 'STANDARD', 'created_date', '2026-08-01T09:00:00.000000Z', 'default_enabled', false,
                'description', null, 'initial_value', null, 'project', json_build_object('id', ids, 'name', project)))))::text, 'UTF8')
$$;
CREATE FUNCTION pg_temp.audit(environment json, id bigint) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(json_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', json_build_object('id', id, 'created_date', '2026-11-01T12:00:00.000000Z',
        'log', 'Flag state / Remote Config value updated for feature ''flag''', 'author', null, 'environment', environment, 'project', json_build_object('id', 31, 'name', 'Shop', 'organisation', 3),
        'related_object_id', 31, 'related_object_uuid', null, 'related_object_type', 'FEATURE', 'is_system_event', false))::text, 'UTF8')
$$;
CREATE FUNCTION pg_temp.deliver(body bytea, webhook text DEFAULT 'environment', secret text DEFAULT 'the secret of the environment') RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES (webhook, flagsmith.sign(body, secret), body) RETURNING concat_ws(' ', outcome, reason)
$$;

-- Of its own environment everything, of another nothing.
SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01T12:00:01.000000Z'));
SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01T12:00:02.000000Z', 'FLAG_DELETED'));
SELECT pg_temp.deliver(pg_temp.audit('{"id": 7, "name": "Env 7"}', 1));
SELECT pg_temp.deliver(pg_temp.flag(8, '2026-11-01T12:00:03.000000Z'));
SELECT pg_temp.deliver(pg_temp.flag(8, '2026-11-01T12:00:04.000000Z', 'FLAG_DELETED'));
SELECT pg_temp.deliver(pg_temp.audit('{"id": 8, "name": "Env 8"}', 2));
-- An entry without an environment is about a project, and so about other environments, too.
SELECT pg_temp.deliver(pg_temp.audit(null, 3));
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('environment open', pg_temp.flag(8, '2026-11-01T12:00:05.000000Z')), ('environment open', pg_temp.flag(7, '2026-11-01T12:00:05.000000Z'))
RETURNING outcome, reason;
SELECT outcome, reason, status FROM pg_temp.flag(9, '2026-11-01T12:00:06.000000Z') AS body,
    LATERAL flagsmith.receive('environment', body, jsonb_build_object('x-flagsmith-signature', flagsmith.sign(body, 'the secret of the environment'))) AS r;
-- A list of a version names no environment, a test request means none, and what is not understood is kept as ever.
SELECT pg_temp.deliver(convert_to($${"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "5b1e7f3a-1111-4222-8333-444455556666", "feature": {"id": 31, "name": "flag"}, "published_by": null, "feature_states": []}}$$, 'UTF8'));
SELECT pg_temp.deliver(pg_temp.flag(1, '2021-06-18T07:50:26.595298Z', project => 'Test Project', ids => 1));
SELECT pg_temp.deliver(convert_to('{"event_type": "FLAG_RENAMED", "data": {"environment": {"id": 8}}}', 'UTF8'));
SELECT pg_temp.deliver(convert_to('not JSON', 'UTF8'));
-- Under the organisation's webhook the same bytes are an event; nothing has taken their key.
SELECT pg_temp.deliver(pg_temp.flag(8, '2026-11-01T12:00:03.000000Z'), 'environment org', 'the secret of the organisation');
SELECT pg_temp.deliver(pg_temp.audit(null, 3), 'environment org', 'the secret of the organisation');

-- They are kept as what they are: authentic.  No forgery pushes them out.
SELECT reason, rank, count(*) FROM flagsmith.rejected WHERE webhook LIKE 'environment%' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT DISTINCT flagsmith.explain_signature(r) FROM flagsmith.rejected r WHERE webhook = 'environment' AND reason LIKE '28W04 %';
SELECT rejected_counts -> '28W04' -> 'kept' ->> 'count' AS kept, rejected_by_reason FROM flagsmith.webhook_health WHERE webhook = 'environment';
UPDATE flagsmith.webhook SET rejected_limit = (SELECT sum(bytes) FROM flagsmith.rejected WHERE webhook = 'environment') WHERE name = 'environment';
UPDATE flagsmith.rejected SET rejected_at = rejected_at - interval '2 seconds' WHERE webhook = 'environment';
SELECT left(pg_temp.deliver('a forgery', secret => 'another secret'), 14);
SELECT count(*) FROM flagsmith.rejected WHERE webhook = 'environment' AND reason LIKE '28W01 %';

-- Once the id is right they come in; what was signed for yet another environment waits.
SELECT flagsmith.readmit('environment');
UPDATE flagsmith.webhook SET environment_id = 8 WHERE name = 'environment';
SELECT flagsmith.readmit('environment');
SELECT count(*) FROM flagsmith.rejected WHERE webhook = 'environment' AND readmitted_at IS NULL;
UPDATE flagsmith.webhook SET environment_id = NULL WHERE name = 'environment';
SELECT flagsmith.readmit('environment');
SELECT environment_id, deleted, is_test, count(*) FROM flagsmith.flag_change WHERE source = 'environment' GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT audit_id, environment_id FROM flagsmith.audit_log WHERE source = 'environment' ORDER BY 1;

-- Refused for one reason, then for another: a row says why it is still there.
UPDATE flagsmith.webhook SET environment_id = 7 WHERE name = 'environment';
SELECT left(pg_temp.deliver(pg_temp.flag(10, '2026-11-01T12:00:07.000000Z'), secret => 'a secret to be added'), 14);
SELECT count(*) FROM flagsmith.add_secret('environment', 'a secret to be added');
SELECT flagsmith.readmit('environment');
SELECT reason, rank FROM flagsmith.rejected WHERE webhook = 'environment' AND readmitted_at IS NULL;

DELETE FROM flagsmith.rejected WHERE webhook LIKE 'environment%';
DELETE FROM flagsmith.rejected_count WHERE webhook LIKE 'environment%';
DELETE FROM flagsmith.webhook_secret WHERE webhook LIKE 'environment%';
DELETE FROM flagsmith.webhook WHERE name LIKE 'environment%';
