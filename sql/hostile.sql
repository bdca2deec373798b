-- Authentic bodies that nobody would send: content never refuses a delivery, and never aborts its INSERT.
SET TimeZone = 'UTC';
SET statement_timeout = '10s';
\set SHOW_CONTEXT never
\set flag_updated `cat "$PG_ABS_SRCDIR/t/data/seed/flag_updated.json"`
\set audit_log `cat "$PG_ABS_SRCDIR/t/data/seed/audit_log.json"`
\set version `cat "$PG_ABS_SRCDIR/t/data/payloads/new_version_published_multivariate.json"`
\set override `cat "$PG_ABS_SRCDIR/t/data/payloads/flag_updated_v2_segment_override_added.json"`
\set deleted `cat "$PG_ABS_SRCDIR/t/data/payloads/flag_deleted_multivariate.json"`
\set audit `cat "$PG_ABS_SRCDIR/t/data/payloads/audit_segment_override_value_updated.json"`

SELECT count(*) FROM flagsmith.add_webhook('hostile', 'a secret of the hostile', source => 'hostile');

CREATE TEMP TABLE body (n integer GENERATED ALWAYS AS IDENTITY, what text, body bytea);
INSERT INTO body (what, body) VALUES
    ('nothing', ''),
    ('blanks', '   '),
    ('a string', '"FLAG_UPDATED"'),
    ('a number', '17'),
    ('true', 'true'),
    ('null', 'null'),
    ('an empty array', '[]'),
    ('an empty object', '{}'),
    ('an array of events', '[{"event_type": "FLAG_UPDATED"}]'),
    ('no JSON', 'hello'),
    ('half', '{"event_type": "FLAG_UPDATED", "data": {'),
    ('two', '{"event_type": "FLAG_UPDATED"}{}'),
    ('a form', 'payload=%7B%22event_type%22%3A%22FLAG_UPDATED%22%7D'),
    ('Python', '{''event_type'': ''FLAG_UPDATED'', ''data'': None}'),
    ('not a number', '{"event_type": "FLAG_UPDATED", "data": NaN}'),
    ('a BOM', '\xefbbbf7b7d'),
    ('UTF-16', '\xfffe7b007d00'),
    ('a zero byte', '\x7b7d00'),
    ('a zero byte within', '\x7b22610022 3a317d'),
    ('an invalid byte', '\x7b2261223a22ff227d'),
    ('an overlong slash', '\x7b2261223a22c0af227d'),
    ('a surrogate in UTF-8', '\x7b2261223a22eda080227d'),
    ('beyond Unicode', '\x7b2261223a22f4908080227d'),
    ('a cut letter', '\x7b2261223a22c3'),
    ('\u0000', '{"event_type": "FLAG_UPDATED", "data": "\\u0000"}'),
    ('a lone high surrogate', '{"event_type": "FLAG_UPDATED", "data": "\\ud800"}'),
    ('a lone low surrogate', '{"event_type": "FLAG_UPDATED", "data": "\\udc00"}'),
    ('surrogates in the wrong order', '{"event_type": "\\udc00\\ud800"}'),
    ('half an escape', '{"event_type": "\\u12'),
    ('100,000 opening brackets', convert_to(repeat('[', 100000), 'UTF8')),
    ('100,000 opening braces', convert_to(repeat('{"a":', 100000), 'UTF8')),
    ('513 levels', convert_to(repeat('[', 513) || repeat(']', 513), 'UTF8')),
    ('512 levels', convert_to(repeat('[', 512) || repeat(']', 512), 'UTF8')),
    ('brackets in a string', convert_to('{"a": "' || repeat('[{', 5000) || '\""}', 'UTF8')),
    ('1e400000', '{"event_type": "FLAG_UPDATED", "data": 1e400000}'),
    ('-1E+400000', '{"event_type": "FLAG_UPDATED", "data": -1E+400000}'),
    ('1e-400000', '{"event_type": "FLAG_UPDATED", "data": 1e-400000}'),
    ('1e99999999999999999999', '{"event_type": "FLAG_UPDATED", "data": 1e99999999999999999999}'),
    ('100,000 digits', convert_to('{"data": ' || repeat('9', 100000) || '}', 'UTF8')),
    ('72 KB of 1e131071', convert_to('[1' || repeat(',1e131071', 8000) || ']', 'UTF8')),
    ('1 MB of 1e999', convert_to('[1' || repeat(',1e999', 174000) || ']', 'UTF8')),
    ('1 MB of empty arrays', convert_to('[[]' || repeat(',[]', 349000) || ']', 'UTF8')),
    ('1 MB of empty objects', convert_to('[{}' || repeat(',{}', 349000) || ']', 'UTF8')),
    ('1 MB of digits', convert_to('[0' || repeat(',0', 520000) || ']', 'UTF8')),
    ('1 MB of one key', convert_to('{"a":0' || repeat(',"a":0', 170000) || '}', 'UTF8')),
    ('1 MB of keys', convert_to((SELECT '{' || string_agg('"' || i || '":0', ',') || '}' FROM generate_series(1, 95000) i), 'UTF8')),
    ('1 MB of escapes', convert_to('{"a": "' || repeat('\u00e4', 170000) || '"}', 'UTF8')),
    ('1 MB of a key', convert_to('{"' || repeat('k', 1000000) || '": 1}', 'UTF8')),
    ('1 MB of an event type', convert_to('{"event_type": "' || repeat('E', 1000000) || '", "data": {}}', 'UTF8')),
    ('1 MB of a value', convert_to(replace(:'flag_updated', '<strong>', repeat('x', 1000000)), 'UTF8')),
    ('1 MB of a feature''s name', convert_to(replace(:'flag_updated', 'butter_bar', repeat('n', 500000)), 'UTF8')),
    ('1 MB of a log message', convert_to(replace(:'audit_log', 'my_feature', repeat(' for feature ''x'' and segment ''y''', 30000)), 'UTF8')),
    ('1 MB of an e-mail', convert_to(replace(:'audit_log', 'user@', repeat('u', 1000000) || '@'), 'UTF8')),
    ('one key twice', '{"event_type": "X", "event_type": "FLAG_UPDATED", "data": {}}'),
    ('an object as event_type', '{"event_type": {}, "data": {}}'),
    ('an array as data', '{"event_type": "FLAG_UPDATED", "data": []}'),
    ('no data', '{"event_type": "FLAG_UPDATED"}'),
    ('no event_type', '{"data": {}}'),
    ('no state', '{"event_type": "FLAG_UPDATED", "data": {"timestamp": "2021-06-18T07:50:26.595298Z", "changed_by": "x"}}'),
    ('time without zone', convert_to(replace(:'flag_updated', '26.595298Z', '26.595298'), 'UTF8')),
    ('time of seven digits', convert_to(replace(:'flag_updated', '26.595298Z', '26.5952981Z'), 'UTF8')),
    ('time infinity', convert_to(replace(:'flag_updated', '2021-06-18T07:50:26.595298Z', 'infinity'), 'UTF8')),
    ('time now', convert_to(replace(:'flag_updated', '2021-06-18T07:50:26.595298Z', 'now'), 'UTF8')),
    ('time that is none', convert_to(replace(:'flag_updated', '2021-06-18T', '2021-02-30T'), 'UTF8')),
    ('time of the year 0', convert_to(replace(:'flag_updated', '2021-06-18T', '0000-06-18T'), 'UTF8')),
    ('time of the year 9999', convert_to(replace(:'flag_updated', '2021-06-18T', '9999-06-18T'), 'UTF8')),
    ('time as a number', convert_to(replace(:'flag_updated', '"2021-06-18T07:50:26.595298Z"', '1624002626'), 'UTF8')),
    ('an id of 1.5', convert_to(replace(:'flag_updated', '7168', '1.5'), 'UTF8')),
    ('an id of 1e2', convert_to(replace(:'flag_updated', '7168', '1e2'), 'UTF8')),
    ('an id of 2^63', convert_to(replace(:'flag_updated', '7168', '9223372036854775808'), 'UTF8')),
    ('an id of 2^63-1', convert_to(replace(:'flag_updated', '7168', '9223372036854775807'), 'UTF8')),
    ('an id of -2^63', convert_to(replace(:'flag_updated', '7168', '-9223372036854775808'), 'UTF8')),
    ('an id of 300 digits', convert_to(replace(:'flag_updated', '7168', repeat('7', 300)), 'UTF8'));

SET client_min_messages = error;
CREATE TEMP TABLE answer (n integer GENERATED ALWAYS AS IDENTITY, delivery_id bigint, outcome text, reason text, took interval);

-- One statement each, so that each has its own time.
DO $do$
DECLARE
    b record;
    started timestamptz;
    id bigint;
    outcome text;
    reason text;
BEGIN
    FOR b IN SELECT * FROM body ORDER BY n LOOP
        started := clock_timestamp();
        INSERT INTO flagsmith.inbox AS i (webhook, signature, body)
            VALUES ('hostile', flagsmith.sign(b.body, 'a secret of the hostile'), b.body)
            RETURNING i.delivery_id, i.outcome, i.reason INTO id, outcome, reason;
        INSERT INTO answer (delivery_id, outcome, reason, took) VALUES (id, outcome, reason, clock_timestamp() - started);
    END LOOP;
END;
$do$;

SELECT b.n, b.what, a.outcome, left(a.reason, 100) AS reason FROM body b JOIN answer a USING (n) ORDER BY n;

-- None took a second, none is lost, each has the bytes that were sent, and the reason is kept.
SELECT b.what, a.took FROM body b JOIN answer a USING (n) WHERE a.took > '1 second';
SELECT count(*) = (SELECT count(*) FROM body) AS all_there,
    bool_and(d.body = b.body) AS same_bytes,
    bool_and(d.digest = sha256(b.body)) AS same_digest,
    bool_and(a.reason IS NOT DISTINCT FROM d.undecoded_reason OR d.undecoded_reason LIKE '01W01 %') AS same_reason,
    max(octet_length(d.undecoded_reason)) < 300 AS short_reason,
    max(octet_length(d.event_type)) AS longest_type
FROM body b JOIN answer a USING (n) JOIN flagsmith.delivery d ON d.id = a.delivery_id;

-- A type that we do not know is no fault of the body; the reason tells it apart, and shows only the start of it.
SELECT d.undecoded_reason FROM flagsmith.delivery d WHERE d.source = 'hostile' AND d.undecoded_reason LIKE '01W01 %';
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'hostile', flagsmith.sign(b, 'a secret of the hostile'), b
FROM (VALUES ('\x7b226576656e745f74797065223a20224e4557227d'::bytea)) AS _ (b)
RETURNING convert_from(body, 'UTF8') AS body, outcome, reason;

-- Again as one statement: all of them are duplicates.  Bodies without a time of their own are told apart by their
-- arrival, so they are given the same.
WITH again AS (
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    SELECT d.webhook, d.signature, d.body, d.received_at FROM flagsmith.delivery d WHERE d.webhook = 'hostile'
    RETURNING outcome
)
SELECT outcome, count(*) FROM again GROUP BY outcome;

-- A wrong type in every place of a body: each leaf and each container in turn becomes each of these.  It is stored
-- or undecoded with a reason of ours, and never lost.
CREATE TEMP TABLE mutant AS
WITH RECURSIVE origin (name, body) AS (
    VALUES ('flag_updated', :'flag_updated'::jsonb), ('audit_log', :'audit_log'::jsonb), ('version', :'version'::jsonb),
        ('override', :'override'::jsonb), ('deleted', :'deleted'::jsonb), ('audit', :'audit'::jsonb)
), node (name, path, value) AS (
    SELECT name, '{}'::text[], body FROM origin
    UNION ALL
    SELECT n.name, n.path || child.key, child.value
    FROM node n
    CROSS JOIN LATERAL (
        SELECT key, value FROM jsonb_each(CASE jsonb_typeof(n.value) WHEN 'object' THEN n.value ELSE '{}' END)
        UNION ALL
        SELECT (i - 1)::text, value
        FROM jsonb_array_elements(CASE jsonb_typeof(n.value) WHEN 'array' THEN n.value ELSE '[]' END) WITH ORDINALITY AS _ (value, i)
    ) AS child
)
SELECT n.name, n.path, v.value AS new, convert_to(jsonb_set(o.body, n.path, v.value)::text, 'UTF8') AS body
FROM node n
JOIN origin o USING (name)
CROSS JOIN (VALUES ('null'::jsonb), ('true'), ('0'), ('-1'), ('1.5'), ('1e300'), ('99999999999999999999'), ('""'), ('"x"'),
    ('"2021-06-18T07:50:26.595298Z"'), ('[]'), ('[null]'), ('["x"]'), ('[[]]'), ('[{}]'), ('{}'), ('{"id": 1}'), ('{"id": "x"}'),
    ('{"id": {}, "name": []}')) AS v (value)
WHERE n.path <> '{}'
UNION ALL
SELECT n.name, n.path, NULL, convert_to((o.body #- n.path)::text, 'UTF8')
FROM node n
JOIN origin o USING (name)
WHERE n.path <> '{}';

SELECT count(*) > 3000 AS many FROM mutant;
CREATE TEMP TABLE mutant_answer (delivery_id bigint, outcome text, reason text);
WITH i AS (
    INSERT INTO flagsmith.inbox (webhook, signature, body)
    SELECT 'hostile', flagsmith.sign(body, 'a secret of the hostile'), body FROM mutant
    RETURNING delivery_id, outcome, reason
)
INSERT INTO mutant_answer SELECT * FROM i;
SELECT outcome, left(reason, 5) AS code FROM mutant_answer GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS lost FROM mutant_answer a LEFT JOIN flagsmith.delivery d ON d.id = a.delivery_id WHERE d.id IS NULL;
SELECT count(*) = (SELECT count(*) FROM mutant) AS all_answered FROM mutant_answer;
-- What is undecoded has no typed rows; what is decoded has.
SELECT count(*) AS half_decoded
FROM flagsmith.delivery d
WHERE d.source = 'hostile' AND d.undecoded_reason IS NOT NULL
    AND (EXISTS (SELECT FROM flagsmith.flag_change t WHERE t.delivery = d.id)
        OR EXISTS (SELECT FROM flagsmith.audit_log t WHERE t.delivery = d.id)
        OR EXISTS (SELECT FROM flagsmith.audit_effect t WHERE t.delivery = d.id)
        OR EXISTS (SELECT FROM flagsmith.version_published t WHERE t.delivery = d.id));

-- One byte over the limit is refused and not kept, one byte less is not.
SET flagsmith_webhook.max_body_size = 70000;
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'hostile', flagsmith.sign(b, 'a secret of the hostile'), b
FROM generate_series(69999, 70001) n CROSS JOIN LATERAL convert_to(rpad('{}', n), 'UTF8') b
RETURNING outcome, reason;
SELECT reason, body IS NULL AS no_body FROM flagsmith.rejected WHERE webhook = 'hostile';
RESET flagsmith_webhook.max_body_size;
SELECT count(*) FROM flagsmith.rebuild(undecoded_only => true);
-- A typed row is a function of its body, whatever the body.
SELECT count(*) FROM flagsmith.rebuild(dry_run => true);

-- The caller's own mistakes do raise.
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('hostile', NULL, NULL);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES (NULL, NULL, '{}');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('no such webhook', NULL, '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.disable_webhook('hostile');
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('hostile', NULL, '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.enable_webhook('hostile');
-- Nor can the trigger's function be put to another use.
CREATE TEMP VIEW mine AS SELECT * FROM flagsmith.inbox;
CREATE TRIGGER mine INSTEAD OF INSERT ON mine FOR EACH ROW EXECUTE FUNCTION flagsmith._inbox_insert();
INSERT INTO mine (webhook, body) VALUES ('hostile', '{}');
\echo :LAST_ERROR_SQLSTATE
CREATE TEMP TABLE ours (webhook text, signature text, body bytea);
CREATE TRIGGER ours BEFORE INSERT ON ours FOR EACH ROW EXECUTE FUNCTION flagsmith._guard();
INSERT INTO ours VALUES ('hostile', NULL, '{}');
\echo :LAST_ERROR_SQLSTATE
