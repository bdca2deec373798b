-- A rotation in the wrong order, for a long time: ten thousand deliveries of the sizes that a real Flagsmith sends are
-- refused, and all of them come in when the secret is there, directly or from a spool.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;

SELECT count(*) FROM flagsmith.add_webhook('many', 'the old secret of many', source => 'many');
CREATE TEMP TABLE sent AS
SELECT n, spooled, convert_to(rpad(format('{"event_type": "MANY", "spooled": %s, "n": %s, "x": "', spooled, n), size - 2, md5(n::text)) || '"}', 'UTF8') AS body,
    CASE WHEN spooled THEN now() - interval '20 hours' + n * interval '1 second' END AS received_at
FROM generate_series(1, 10000) n,
    LATERAL (SELECT (ARRAY[459, 618, 676, 731, 859, 1031, 1064, 1099, 1165, 1281, 1359, 1449, 1549, 1572, 1591, 1608, 1634, 1689, 1862, 2877])[n % 20 + 1]) AS s (size),
    (VALUES (false), (true)) AS v (spooled);

INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'many', flagsmith.sign(body, 'the new secret of many'), body FROM sent WHERE NOT spooled ORDER BY n;
SELECT rejected_kept, rejected_lost, rejected_bytes < rejected_limit AS below FROM flagsmith.webhook_health WHERE webhook = 'many';
SELECT count(*) FROM flagsmith.add_secret('many', 'the new secret of many');
SELECT flagsmith.readmit('many');
SELECT rejected_kept, rejected_ever, rejected_lost FROM flagsmith.webhook_health WHERE webhook = 'many';

-- What came in is the first to go when the spool of another ten thousand is drained, signed with yet another secret; a
-- forgery among them stays behind.
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'many', flagsmith.sign(body, 'the newest secret of many'), CASE WHEN n = 5000 THEN body || '\x20' ELSE body END, received_at
FROM sent WHERE spooled ORDER BY n;
SELECT rejected_kept, rejected_lost FROM flagsmith.webhook_health WHERE webhook = 'many';
SELECT count(*) FROM flagsmith.add_secret('many', 'the newest secret of many');
SELECT flagsmith.readmit('many');
SELECT rejected_kept, rejected_ever, rejected_lost FROM flagsmith.webhook_health WHERE webhook = 'many';

ANALYZE sent;
ANALYZE flagsmith.delivery;
-- Each once, with its bytes, its arrival, and in its order.
SELECT s.spooled, count(*) AS sent, count(d.id) AS stored, count(*) FILTER (WHERE d.received_at = s.received_at) AS at_its_time,
    bool_and(d.id > before OR before IS NULL) AS in_order
FROM (SELECT s.*, lag(d.id) OVER (PARTITION BY s.spooled ORDER BY s.n) AS before
    FROM sent s LEFT JOIN flagsmith.delivery d ON d.source = 'many' AND d.body = s.body) s
LEFT JOIN flagsmith.delivery d ON d.source = 'many' AND d.body = s.body
GROUP BY s.spooled ORDER BY s.spooled;
-- The sum that is kept is the sum of what is there.
SELECT sum(bytes) - (SELECT sum(bytes) FROM flagsmith.rejected WHERE webhook = 'many') AS difference
FROM flagsmith.rejected_count WHERE webhook = 'many';

DELETE FROM flagsmith.rejected WHERE webhook = 'many';
DELETE FROM flagsmith.rejected_count WHERE webhook = 'many';
DELETE FROM flagsmith.webhook_secret WHERE webhook = 'many';
DELETE FROM flagsmith.webhook WHERE name = 'many';
