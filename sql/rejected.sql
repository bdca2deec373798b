-- What was refused: kept within bounds for each webhook, out of which a secret that was added too late brings it in.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
-- The warnings about types that we do not know name deliveries by their ids.
SET client_min_messages = error;

SELECT count(*) FROM flagsmith.add_webhook('ring', 'the old secret of the ring', source => 'ring');
SELECT count(*) FROM flagsmith.add_webhook('other ring', 'the old secret of the ring', source => 'ring');
SELECT flagsmith.readmit('ring');

-- The secret was changed in Flagsmith first: three deliveries are refused, with the times they arrived at.
\set now `date -u +%Y-%m-%dT%H:%M:%SZ`
CREATE TEMP TABLE sent AS
SELECT n, convert_to(format('{"event_type": "RING", "n": %s}', n), 'UTF8') AS body, :'now'::timestamptz - n * interval '1 hour' AS at
FROM generate_series(1, 3) n;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'ring', flagsmith.sign(body, 'the new secret of the ring'), body, at FROM sent ORDER BY n
RETURNING delivery_id, outcome, reason;
SELECT count(*) AS stored FROM flagsmith.delivery WHERE source = 'ring';

-- A flood without signatures, or with malformed ones, takes what room there is and no more, and pushes nothing well-formed
-- out, not even when it goes on the next second.  What has no body to speak of counts 1 kB.
UPDATE flagsmith.webhook SET rejected_limit = 64 * 1024 WHERE name = 'ring';
CREATE FUNCTION pg_temp.a_second_passes() RETURNS void LANGUAGE sql AS $$
    UPDATE flagsmith.rejected SET rejected_at = rejected_at - interval '2 seconds' WHERE webhook = 'ring';
    UPDATE flagsmith.rejected_count SET last_at = last_at - interval '2 seconds' WHERE webhook = 'ring' AND outcome = 'recounted';
$$;
WITH i AS (
    INSERT INTO flagsmith.inbox (webhook, signature, body)
    SELECT 'ring', CASE n % 2 WHEN 0 THEN 'sha256=' || repeat('0', 64) END, convert_to('flood ' || n, 'UTF8')
    FROM generate_series(1, 1000) n
    RETURNING outcome, reason
)
SELECT outcome, reason, count(*) FROM i GROUP BY 1, 2 ORDER BY 2;
SELECT pg_temp.a_second_passes();
WITH i AS (
    INSERT INTO flagsmith.inbox (webhook, signature, body)
    SELECT 'ring', NULL, convert_to('flood again ' || n, 'UTF8') FROM generate_series(1, 1000) n
    RETURNING outcome
)
SELECT outcome, count(*) FROM i GROUP BY 1;
SELECT count(*) AS kept, sum(bytes) <= 64 * 1024 AS bounded, count(*) FILTER (WHERE reason LIKE '28W01 %') AS well_formed,
    count(*) FILTER (WHERE convert_from(body, 'UTF8') LIKE 'flood again %') BETWEEN 1 AND 3 AS "write rate"
FROM flagsmith.rejected WHERE webhook = 'ring';

-- Well-formed forgeries take the place of malformed ones first, one a second.
SELECT pg_temp.a_second_passes();
WITH i AS (
    INSERT INTO flagsmith.inbox (webhook, signature, body)
    SELECT 'ring', repeat('0', 64), convert_to('forgery ' || n, 'UTF8') FROM generate_series(1, 1000) n
    RETURNING outcome
)
SELECT outcome, count(*) FROM i GROUP BY 1;
SELECT count(*) AS kept, count(*) FILTER (WHERE body IN (SELECT body FROM sent)) AS ours,
    count(*) FILTER (WHERE convert_from(body, 'UTF8') LIKE 'forgery %') BETWEEN 1 AND 3 AS "write rate"
FROM flagsmith.rejected WHERE webhook = 'ring';

-- All of it is counted, whether it was kept or not.
SELECT rejected_kept, rejected_bytes, rejected_limit, rejected_ever, rejected_lost = rejected_ever - rejected_kept AS lost,
    first_rejected <= last_rejected AS times
FROM flagsmith.webhook_health WHERE webhook = 'ring';
SELECT code, sum((c ->> 'count')::bigint) FILTER (WHERE outcome IN ('kept', 'not kept')) AS refused,
    bool_and((c ->> 'first')::timestamptz <= (c ->> 'last')::timestamptz) AS times
FROM flagsmith.webhook_health, jsonb_each(rejected_counts) AS r (code, counts), jsonb_each(counts) AS o (outcome, c)
WHERE webhook = 'ring' GROUP BY code ORDER BY code;

-- No ring of another webhook has them.
SELECT count(*) FROM flagsmith.rejected WHERE webhook = 'other ring';
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'other ring', repeat('0', 64), convert_to('other', 'UTF8') RETURNING outcome;
SELECT reason, signature = repeat('0', 64) AS signature, convert_from(body, 'UTF8') AS body, readmitted_at
FROM flagsmith.rejected WHERE webhook = 'other ring';

-- Not yet: no secret, then one that was not valid when they arrived.
SELECT flagsmith.readmit('ring');
SELECT flagsmith.add_secret('ring', 'the new secret of the ring', now()) AS too_late \gset
SELECT flagsmith.readmit('ring');
-- Valid for all time it brings them in, with their arrival times; the forgeries stay outside.
UPDATE flagsmith.webhook_secret SET valid_from = '-infinity' WHERE id = :too_late;
\set secret_id :too_late
SELECT flagsmith.readmit('ring');
SELECT convert_from(d.body, 'UTF8') AS body, d.received_at = s.at AS arrival, d.event_at = s.at AS event_at,
    d.secret_id = :secret_id AS secret, d.stored_at > now() - interval '1 minute' AS stored_now
FROM flagsmith.delivery d LEFT JOIN sent s ON s.body = d.body WHERE d.source = 'ring' ORDER BY 1;
SELECT flagsmith.readmit('ring') AS again;
SELECT count(*) AS readmitted, bool_and(body IN (SELECT body FROM sent)) AS ours
FROM flagsmith.rejected WHERE webhook = 'ring' AND readmitted_at IS NOT NULL;
-- The receiver's own retry of one of them meets it.
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'ring', flagsmith.sign(body, 'the new secret of the ring'), body, at FROM sent WHERE n = 2
RETURNING outcome;

-- Room of what came in is free at once, and so is that of rows older than a day.
UPDATE flagsmith.rejected SET rejected_at = rejected_at - interval '25 hours'
WHERE id IN (SELECT id FROM flagsmith.rejected WHERE webhook = 'ring' AND readmitted_at IS NULL ORDER BY id DESC LIMIT 2);
INSERT INTO flagsmith.inbox (webhook, body)
SELECT 'ring', convert_to('late ' || n, 'UTF8') FROM generate_series(1, 10) n;
SELECT count(*) AS kept, count(*) FILTER (WHERE readmitted_at IS NOT NULL) AS readmitted,
    count(*) FILTER (WHERE convert_from(body, 'UTF8') LIKE 'late %') AS late
FROM flagsmith.rejected WHERE webhook = 'ring';
SELECT rejected_counts -> '28W01' -> 'readmitted' ->> 'count' AS readmitted, rejected_counts -> '28W01' -> 'cleared' ->> 'count' AS cleared
FROM flagsmith.webhook_health WHERE webhook = 'ring';

-- Among equals the largest goes first, and of these the oldest; one that would need two to go is not kept.
DELETE FROM flagsmith.rejected WHERE webhook = 'ring';
SELECT pg_temp.a_second_passes();
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'ring', repeat('0', 64), convert_to(rpad(n || ' ', size, 'x'), 'UTF8')
FROM (VALUES (1, 20480), (2, 10240), (3, 20480), (4, 14336)) AS v (n, size);
SELECT array_agg(split_part(convert_from(body, 'UTF8'), ' ', 1) ORDER BY id), sum(bytes) FROM flagsmith.rejected WHERE webhook = 'ring';
SELECT pg_temp.a_second_passes();
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('ring', repeat('0', 64), convert_to(rpad('5 ', 20481, 'x'), 'UTF8'));
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('ring', repeat('0', 64), convert_to(rpad('6 ', 4096, 'x'), 'UTF8'));
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('ring', NULL, convert_to(rpad('7 ', 4096, 'x'), 'UTF8'));
SELECT pg_temp.a_second_passes();
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('ring', repeat('0', 64), convert_to(rpad('8 ', 20480, 'x'), 'UTF8'));
SELECT array_agg(split_part(convert_from(body, 'UTF8'), ' ', 1) ORDER BY id), sum(bytes) FROM flagsmith.rejected WHERE webhook = 'ring';

-- Whoever deletes rows by hand has the room back; the counts stay.
DELETE FROM flagsmith.rejected WHERE webhook = 'ring';
SELECT pg_temp.a_second_passes();
INSERT INTO flagsmith.inbox (webhook, body) SELECT 'ring', convert_to('after ' || n, 'UTF8') FROM generate_series(1, 70) n;
SELECT rejected_kept, rejected_bytes, rejected_ever FROM flagsmith.webhook_health WHERE webhook = 'ring';

-- Large bodies are not kept, long signatures are cut, and a webhook can do without keeping anything.
DELETE FROM flagsmith.rejected WHERE webhook IN ('ring', 'other ring');
UPDATE flagsmith.webhook SET rejected_limit = DEFAULT WHERE name = 'ring';
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES
    ('ring', repeat('ä', 100000), convert_to(repeat('x', 65536), 'UTF8')),
    ('ring', repeat('0', 64), convert_to(repeat('x', 65537), 'UTF8'))
RETURNING outcome, reason;
SELECT reason, length(signature) AS signature, octet_length(body) AS body, bytes, rank FROM flagsmith.rejected WHERE webhook = 'ring' ORDER BY id;
UPDATE flagsmith.webhook SET rejected_limit = 0 WHERE name = 'other ring';
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('other ring', '{}') RETURNING outcome, reason;
SELECT count(*) FROM flagsmith.rejected WHERE webhook = 'other ring';
SELECT rejected_kept, rejected_lost, rejected_counts -> '28W02' -> 'not kept' ->> 'count' AS not_kept
FROM flagsmith.webhook_health WHERE webhook = 'other ring';
\set VERBOSITY terse
UPDATE flagsmith.webhook SET rejected_limit = -1 WHERE name = 'other ring';
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE

SELECT flagsmith.readmit('no such ring');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.disable_webhook('ring');
SELECT flagsmith.readmit('ring');
\echo :LAST_ERROR_SQLSTATE

-- A forged row in the middle of a batch is refused and the rest goes in: several rows of one INSERT, and COPY.
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'other ring', CASE n WHEN 2 THEN repeat('f', 64) ELSE flagsmith.sign(b, 'the old secret of the ring') END, b
FROM generate_series(1, 4) n CROSS JOIN LATERAL convert_to(format('{"event_type": "BATCH", "n": %s}', n), 'UTF8') b
RETURNING convert_from(body, 'UTF8') AS body, outcome, reason;
COPY flagsmith.inbox (webhook, signature, body, received_at) FROM stdin (DELIMITER '|');
other ring|4a0f9f916f629bc0c7ccf37aac4879d42e42e90638a9b61ce6d67d0e51f2428c|\\x7b226576656e745f74797065223a2022434f5059222c20226e223a20317d|\N
other ring|4a0f9f916f629bc0c7ccf37aac4879d42e42e90638a9b61ce6d67d0e51f2428c|\\x7b226576656e745f74797065223a2022434f5059222c20226e223a20327d|\N
other ring|D7D65771970BDA27C336A91E6236F467FFFB3856822ED90ADC68073756A2627F|\\x7b226576656e745f74797065223a2022434f5059222c20226e223a20337d|\N
\.
SELECT convert_from(body, 'UTF8') AS body FROM flagsmith.delivery WHERE webhook = 'other ring' AND event_type = 'COPY' ORDER BY 1;
-- A mistake of the caller aborts its statement, and nothing of it stays.
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT CASE n WHEN 3 THEN 'no such ring' ELSE 'other ring' END, flagsmith.sign(b, 'the old secret of the ring'), b
FROM generate_series(1, 4) n CROSS JOIN LATERAL convert_to(format('{"event_type": "HALF", "n": %s}', n), 'UTF8') b;
SELECT count(*) FROM flagsmith.delivery WHERE event_type = 'HALF';

-- Where a transaction counted before there is no such row any more, or another one.
CREATE FUNCTION pg_temp.refuse(n integer, signature text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('other ring', $2, convert_to('moved ' || $1, 'UTF8')) RETURNING outcome $$;
BEGIN;
DELETE FROM flagsmith.rejected_count WHERE webhook = 'other ring';
SELECT pg_temp.refuse(1), pg_temp.refuse(2), pg_temp.refuse(3, 'x');
CLUSTER flagsmith.rejected_count USING rejected_count_webhook_idx;
SELECT pg_temp.refuse(4), pg_temp.refuse(5, 'x');
DELETE FROM flagsmith.rejected_count WHERE webhook = 'other ring' AND reason = '28W02';
SELECT pg_temp.refuse(6), pg_temp.refuse(7, 'x');
COMMIT;
SELECT reason, outcome, sum(count), sum(bytes) AS bytes FROM flagsmith.rejected_count WHERE webhook = 'other ring' AND reason <> '' GROUP BY 1, 2 ORDER BY 1, 2;

DELETE FROM flagsmith.rejected WHERE webhook IN ('ring', 'other ring');
DELETE FROM flagsmith.rejected_count WHERE webhook IN ('ring', 'other ring');
