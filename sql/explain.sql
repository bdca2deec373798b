-- explain_signature(): why a signature does not verify, in words.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;

CREATE TEMP TABLE sent AS
SELECT convert_to('{"data": {"a": "caf\u00e9 \ud83d\ude00 / \"q\"", "bb": [1, 50.0, 33.333333333333336, true, null, {}], "B": {"z": [], "y": "\u2028"}}, "event_type": "X"}', 'UTF8') AS plain,
       'whsec-explain-0123456789'::text AS secret;
-- as Flagsmith writes it: sorted by code point
CREATE TEMP TABLE body AS SELECT flagsmith._json_form(plain, 'flagsmith') AS body, secret FROM sent;
SELECT convert_from(body, 'UTF8') FROM body;
SELECT form, convert_from(flagsmith._json_form(body, form), 'UTF8') FROM body,
    (VALUES ('sorted'), ('spaced'), ('compact'), ('indent 2')) AS f (form);

CREATE FUNCTION pg_temp.explain(body bytea, signature text, secret text) RETURNS text LANGUAGE sql
    RETURN regexp_replace(flagsmith.explain_signature(body, signature, secret), 'ecret \d+', 'ecret N', 'g');

-- What happens to the body.
SELECT what, pg_temp.explain(changed, flagsmith.sign(body, secret), secret)
FROM body, LATERAL (VALUES
    (1, 'nothing', body),
    (2, 'newline added', body || '\x0a'),
    (3, 'CR LF added', body || '\x0d0a'),
    (4, 'BOM added', '\xefbbbf'::bytea || body),
    (5, 'jsonb and back', convert_to(convert_from(flagsmith._json_form(body, 'flagsmith'), 'UTF8')::jsonb::text, 'UTF8')),
    (6, 'compact', flagsmith._json_form(body, 'compact')),
    (7, 'sorted compact', flagsmith._json_form(body, 'sorted')),
    (8, 'pretty, 2', flagsmith._json_form(body, 'indent 2')),
    (9, 'pretty, 4, and a newline', flagsmith._json_form(body, 'indent 4') || '\x0a'),
    (10, 'one byte', overlay(body placing '\x58' from 5)),
    (11, 'lost', ''::bytea)) AS v (n, what, changed)
ORDER BY n;

-- The signed one had what this one has not.
SELECT what, pg_temp.explain(body, flagsmith.sign(signed, secret), secret)
FROM body, LATERAL (VALUES
    (1, 'newline lost', body || '\x0a'),
    (2, 'BOM lost', '\xefbbbf'::bytea || body),
    (3, 'compact', flagsmith._json_form(body, 'compact')),
    (4, 'indented', flagsmith._json_form(body, 'indent 4')),
    (5, 'empty', ''::bytea)) AS v (n, what, signed)
ORDER BY n;

-- Flagsmith's old test in the browser signs a spaced copy of what it sends.
SELECT pg_temp.explain('{"event_type":"X","data":{"b":1}}', flagsmith.sign('{"event_type": "X", "data": {"b": 1}}', secret), secret) FROM body;

-- What happens to the signature.
SELECT what, pg_temp.explain(body, signature, secret)
FROM body, LATERAL (SELECT flagsmith.sign(body, secret)) AS s (signed), LATERAL (VALUES
    (1, 'prefix', 'sha256=' || signed),
    (2, 'prefix and upper case', 'SHA256=' || upper(signed)),
    (3, 'upper case', upper(signed)),
    (4, 'base64', encode(decode(signed, 'hex'), 'base64')),
    (5, 'base64url', rtrim(translate(encode(decode(signed, 'hex'), 'base64'), '+/', '-_'), '=')),
    (6, 'blanks', ' ' || signed || E'\n'),
    (7, 'quotes', '"' || signed || '"'),
    (8, 'cut', left(signed, 63)),
    (9, 'none', NULL),
    (10, 'empty', ''),
    (11, 'prefix, and the body written again', 'sha256=' || flagsmith.sign(flagsmith._json_form(body, 'compact'), secret))) AS v (n, what, signature)
ORDER BY n;

-- What happens to the secret.
SELECT what, pg_temp.explain(body, flagsmith.sign(body, used), given)
FROM body, LATERAL (VALUES
    (1, 'newline', secret, secret || E'\n'),
    (2, 'blanks', secret, '  ' || secret || ' '),
    (3, 'quotes', secret, '"' || secret || '"'),
    (4, 'quotes there', '"' || secret || '"', secret),
    (5, 'newline there', secret || E'\n', secret),
    (6, 'case', secret, upper(secret)),
    (7, 'empty', secret, ''),
    (8, 'none', secret, NULL),
    (9, 'another', 'another', secret)) AS v (n, what, used, given)
ORDER BY n;

-- Secrets that are registered are named by their number.
SELECT count(*) FROM flagsmith.add_webhook('explain', 'the secret of explain', source => 'explain');
SELECT count(*) FROM flagsmith.add_webhook('explain other', 'the secret of the other one', source => 'explain');
INSERT INTO flagsmith.webhook_secret (webhook, secret, valid_until)
VALUES ('explain', 'the retired one of explain', now() - interval '1 day');
SELECT pg_temp.explain(body, flagsmith.sign(body, 'the secret of the other one'), secret) FROM body;
SELECT pg_temp.explain(body, flagsmith.sign(body, 'the retired one of explain'), secret) FROM body;
SELECT pg_temp.explain(flagsmith._json_form(body, 'compact'), flagsmith.sign(body, 'the secret of the other one'), NULL) FROM body;

-- A row of rejected explains itself.
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'explain', v.signature, v.body FROM body, LATERAL (VALUES
    (flagsmith.sign(body, 'the secret of the other one'), body),
    (flagsmith.sign(body, 'the retired one of explain'), body || '\x20'),
    (flagsmith.sign(body || '\x2020', 'the retired one of explain'), body || '\x2020'),
    (flagsmith.sign(body, 'the secret of explain'), flagsmith._json_form(body, 'compact')),
    (NULL, body),
    (flagsmith.sign(body, 'nobody knows'), body)) AS v (signature, body)
RETURNING outcome, reason;
SELECT regexp_replace(flagsmith.explain_signature(r), 'ecret \d+', 'ecret N', 'g') AS why
FROM flagsmith.rejected AS r WHERE r.webhook = 'explain' ORDER BY 1;

-- No JSON, hostile JSON.
SELECT flagsmith._json_form(convert_to(t, 'UTF8'), 'flagsmith') IS NULL AS refused
FROM (VALUES ('{'), ('{"a"}'), ('{"a":1,}'), ('"\x"'), ('[1 2]'), (''), (repeat('[', 100000)), ('"\u12"'), ('{"a":1}x')) AS v (t);
SELECT flagsmith._json_form('\x22ff22', 'flagsmith') IS NULL AS refused, flagsmith._json_form('\x5b315d00', 'compact') IS NULL AS refused;
SELECT flagsmith._json_form('[1]', 'none');
\echo :LAST_ERROR_SQLSTATE

-- No secret in any answer.
SELECT count(*) FROM (
    SELECT flagsmith.explain_signature(r) FROM flagsmith.rejected r) AS e (t)
WHERE e.t LIKE '%the secret of%' OR e.t LIKE '%the retired one%';

DELETE FROM flagsmith.rejected WHERE webhook LIKE 'explain%';
DELETE FROM flagsmith.webhook_secret WHERE webhook LIKE 'explain%';
DELETE FROM flagsmith.webhook WHERE name LIKE 'explain%';
