-- Webhooks and secrets: registering, rotating, disabling, and every error on the way.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never

SELECT flagsmith.add_webhook('shop', 'a secret of some length', scope => 'environment', environment_id => 12);
SELECT flagsmith.add_webhook('audit', NULL, scope => 'organisation');
SELECT flagsmith.add_webhook('open', allow_unsigned => true, max_spool_age => NULL, source => 'staging', notify => true);
SELECT name, source, scope, environment_id, enabled, allow_unsigned, max_spool_age, notify, keep_rejected
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

DELETE FROM flagsmith.webhook_secret WHERE webhook IN ('shop', 'audit', 'open', 'rotated');
DELETE FROM flagsmith.webhook WHERE name IN ('shop', 'audit', 'open', 'rotated');
