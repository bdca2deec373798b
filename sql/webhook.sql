-- Webhooks and secrets: registering, rotating, disabling, and every error on the way.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never

SELECT flagsmith.add_webhook('shop', 'a secret of some length', scope => 'environment', environment_id => 12);
SELECT flagsmith.add_webhook('audit', NULL, scope => 'organisation');
SELECT flagsmith.add_webhook('open', allow_unsigned => true, max_spool_age => NULL, source => 'staging', notify => true);
SELECT name, source, scope, environment_id, enabled, allow_unsigned, max_spool_age, notify, rejected_limit
FROM flagsmith.webhook WHERE name IN ('shop', 'audit', 'open') ORDER BY name COLLATE "C";

-- What cannot be registered.
SELECT flagsmith.add_webhook('shop', 'another secret, as long');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', scope => 'project');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', max_spool_age => '-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', max_spool_age => '200000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other/');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook(repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', source => repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', source => '');
\echo :LAST_ERROR_SQLSTATE
-- Nor can the table be told so.
\set VERBOSITY sqlstate
UPDATE flagsmith.webhook SET max_spool_age = '200000 years' WHERE name = 'shop';
UPDATE flagsmith.webhook SET name = 'shop/' WHERE name = 'shop';
UPDATE flagsmith.webhook SET source = repeat('x', 10000) WHERE name = 'shop';
\set VERBOSITY default
SELECT * FROM flagsmith.import_audit_log('{"results": []}', repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM flagsmith.import_audit_log('{"results": []}', '');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_webhook('other', '');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM flagsmith.webhook WHERE name = 'other';

-- Secrets: refused when blank, warned about when Flagsmith would change them or anyone could guess them.
SELECT flagsmith.add_secret('shop', '');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_secret('shop', E' \t\n');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_secret('shop', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_secret('shop', 'another secret, as long', '2026-01-02', '2026-01-01');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_secret('nowhere', 'another secret, as long');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.add_secret('shop', 'short') IS NOT NULL AS added;
SELECT flagsmith.add_secret('shop', ' another secret, as long') IS NOT NULL AS added;

-- Rotation: the old secret ends, the new one begins, and a delivery is judged by when it was received.
SELECT flagsmith.add_webhook('rotated', 'the old secret of it', max_spool_age => NULL, source => 'rotated');
SELECT flagsmith.retire_secret(id, '2026-02-01 00:00Z') FROM flagsmith.webhook_secret WHERE webhook = 'rotated';
SELECT flagsmith.add_secret('rotated', 'the new secret of it', '2026-01-31 00:00Z') IS NOT NULL AS added;
\set VERBOSITY terse
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'rotated', flagsmith.sign(b.body, s.secret), b.body, t.at
FROM (VALUES ('the old secret of it'), ('the new secret of it')) AS s (secret)
CROSS JOIN (VALUES ('2026-01-30 23:59:59.999999Z'::timestamptz), ('2026-01-31 00:00Z'), ('2026-01-31 23:59:59.999999Z'), ('2026-02-01 00:00Z')) AS t (at)
CROSS JOIN LATERAL (SELECT convert_to(format('{"event_type": "ROTATION", "n": "%s %s"}', s.secret, t.at), 'UTF8')) AS b (body)
RETURNING received_at, outcome, reason;
\set VERBOSITY default
SELECT flagsmith.retire_secret(-1);
\echo :LAST_ERROR_SQLSTATE

-- A disabled webhook is the caller's mistake, and so is one that does not exist.
SELECT flagsmith.disable_webhook('open');
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('open', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.enable_webhook('open');
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('open', '{}') RETURNING outcome, reason;
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('nowhere', '{}');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO flagsmith.inbox (webhook) VALUES ('open');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO flagsmith.inbox (body) VALUES ('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.disable_webhook('nowhere');
\echo :LAST_ERROR_SQLSTATE

-- A signature that is there is verified, also where none is needed.
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES
    ('open', '', '{"a": 1}'), ('open', repeat('0', 64), '{"a": 1}'), ('open', 'x', '{"a": 1}')
RETURNING outcome, reason;

SET client_min_messages = error;
-- The longest names there are, and a delivery through them.
SELECT count(*) FROM flagsmith.add_webhook(repeat('w', 255), source => repeat('ß', 127), allow_unsigned => true, max_spool_age => '100 years');
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT repeat('w', 255), convert_to('{"event_type": "LONG", "at": "' || coalesce(at::text, '') || '"}', 'UTF8'), at
FROM unnest(ARRAY[NULL, 'infinity', '-infinity', '4713-01-01 BC', '294276-12-31 23:59:59', now() - interval '40 years']::timestamptz[]) AS t (at)
RETURNING outcome, coalesce(received_at::text, '') <> '' AS claimed;
SELECT event_at > now() AS from_the_future, received_at <= now() AS arrived, received_at > now() - interval '101 years' AS bounded, count(*)
FROM flagsmith.delivery WHERE webhook = repeat('w', 255) GROUP BY 1, 2, 3 ORDER BY 1, 2;
-- An age whose parts are out of range and cancel out.
UPDATE flagsmith.webhook SET max_spool_age = '200000 years -71999999 days' WHERE name = repeat('w', 255);
INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES (repeat('w', 255), '{"event_type": "LONG", "n": 1}', now() - interval '1 week')
RETURNING outcome;
SELECT received_at > now() - interval '1 day 1 hour' AS bounded FROM flagsmith.delivery WHERE webhook = repeat('w', 255) ORDER BY id DESC LIMIT 1;
-- Nor is the future believed where anything else is: one such row made every reader raise.
UPDATE flagsmith.webhook SET max_spool_age = NULL WHERE name = repeat('w', 255);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
VALUES (repeat('w', 255), '{"event_type": "LONG", "n": 2}', now() + interval '1 day'), (repeat('w', 255), '{"event_type": "LONG", "n": 3}', '294276-12-31 23:59:59'),
    (repeat('w', 255), '{"event_type": "LONG", "n": 4}', '4713-01-01 BC')
RETURNING outcome;
SELECT count(*) AS stored, max(received_at) <= clock_timestamp() AS none_in_the_future, min(received_at)
FROM flagsmith.delivery WHERE webhook = repeat('w', 255);
-- A body that dates itself into the last year there is.
INSERT INTO flagsmith.inbox (webhook, body)
SELECT repeat('w', 255), convert_to($${"event_type": "AUDIT_LOG_CREATED", "data": {"id": 1, "created_date": "$$ || at || $$Z", "log": "New Flag / Remote Config created: far", "author": null,
    "environment": null, "project": {"id": 1, "name": "Far"}, "related_object_id": 1, "related_object_type": "FEATURE", "is_system_event": false}}$$, 'UTF8')
FROM unnest(ARRAY['9999-12-31T23:59:59.999999', '294276-12-31T23:59:59.999999']) AS at
RETURNING outcome, reason;
SELECT count(*) > 0 AS readable FROM flagsmith.history WHERE source = repeat('ß', 127);

-- A view that has a further column, as a later version's may: this library does not know it and leaves it alone.
BEGIN;
CREATE OR REPLACE VIEW flagsmith.inbox WITH (security_invoker = false) AS
    SELECT NULL::text AS webhook, NULL::text AS signature, NULL::bytea AS body, NULL::timestamptz AS received_at,
        NULL::bigint AS delivery_id, NULL::text AS outcome, NULL::text AS reason, NULL::text AS more, NULL::bigint AS and_more WHERE false;
INSERT INTO flagsmith.inbox (webhook, body, more) VALUES ('open', '{"event_type": "MORE"}', 'a text') RETURNING outcome, reason, more, and_more;
ROLLBACK;

DELETE FROM flagsmith.webhook WHERE name = repeat('w', 255);
DELETE FROM flagsmith.webhook_secret WHERE webhook IN ('shop', 'audit', 'open', 'rotated');
DELETE FROM flagsmith.webhook WHERE name IN ('shop', 'audit', 'open', 'rotated');
