-- A body that was text on its way: what changes it, what says so, and what takes it as it is.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;

SELECT count(*) FROM flagsmith.add_webhook('text', 'the secret of the text body', source => 'text');
SELECT flagsmith.sign(convert_to('{"a": "gr\u00f6\u00dfe"}', 'UTF8'), 'the secret of the text body') AS s1,
    flagsmith.sign(convert_to('{"a": "\\d+"}', 'UTF8'), 'the secret of the text body') AS s2 \gset

-- bytea reads a text literal by its own escapes: one is refused, one is changed.
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('text', :'s1', '{"a": "gr\u00f6\u00dfe"}') RETURNING outcome, reason;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('text', :'s2', '{"a": "\\d+"}') RETURNING outcome, reason;
SELECT regexp_replace(flagsmith.explain_signature(r), 'ecret \d+', 'ecret N') FROM flagsmith.rejected r WHERE webhook = 'text';

-- convert_to(), and receive() with text.
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('text', :'s1', convert_to($${"a": "gr\u00f6\u00dfe"}$$, 'UTF8')) RETURNING outcome, reason;
SELECT outcome, reason, status
FROM flagsmith.receive('text', '{"a": "gr\u00f6\u00dfe"}', jsonb_build_object('X-Flagsmith-Signature', :'s1'), now() - interval '1 second');
SELECT outcome, reason, status
FROM flagsmith.receive('text', '{"a": "\\d+"}', jsonb_build_object('X-Flagsmith-Signature', :'s2'));
SELECT outcome, reason, status
FROM flagsmith.receive('text', '{"a": "\\d+"}'::bytea, jsonb_build_object('X-Flagsmith-Signature', :'s2'));
SELECT convert_from(body, 'UTF8') AS body FROM flagsmith.delivery WHERE source = 'text' ORDER BY id;

-- What others made of the body that was signed: backslashes, a string of it, numbers.
CREATE TEMP TABLE signed AS SELECT convert_to(
    '{"data": {"a": "\"\\d\u00e9", "multivariate": [{"id": 3, "percentage_allocation": 50.0}, {"percentage_allocation": 33.333333333333336}, {"percentage_allocation": 1e-05}], "value": 50}, "event_type": "X"}',
    'UTF8') AS body;
CREATE TEMP TABLE arrived (n integer, what text, body bytea);
INSERT INTO arrived
SELECT 1, 'backslashes doubled', convert_to(replace(convert_from(body, 'UTF8'), '\', '\\'), 'UTF8') FROM signed
UNION ALL SELECT 2, 'JavaScript', convert_to($${"event_type":"X","data":{"a":"\"\\dé","multivariate":[{"id":3,"percentage_allocation":50},{"percentage_allocation":33.333333333333336},{"percentage_allocation":0.00001}],"value":50}}$$, 'UTF8')
UNION ALL SELECT 3, 'JavaScript, indented', convert_to($${
  "event_type": "X", "data": {"multivariate": [ {"percentage_allocation": 50, "id": 3}, {"percentage_allocation": 33.333333333333336}, {"percentage_allocation": 0.00001} ], "value": 50, "a": "\"\\dé"}}$$, 'UTF8')
UNION ALL SELECT 4, 'a string', convert_to(to_json(convert_from(body, 'UTF8'))::text, 'UTF8') FROM signed
UNION ALL SELECT 5, 'a string, parsed before', convert_to(to_json(replace(replace(convert_from(body, 'UTF8'), ': ', ':'), '\u00e9', 'é'))::text, 'UTF8') FROM signed
UNION ALL SELECT 6, 'a string, from JavaScript', convert_to(to_json($${"event_type":"X","data":{"a":"\"\\dé","multivariate":[{"id":3,"percentage_allocation":50},{"percentage_allocation":33.333333333333336},{"percentage_allocation":0.00001}],"value":50}}$$::text)::text, 'UTF8');
SELECT what, flagsmith.explain_signature(a.body, flagsmith.sign(s.body, 'a secret of the signer'), 'a secret of the signer')
FROM arrived a, signed s ORDER BY n;
-- What JavaScript signed, where Flagsmith's own bytes came.
SELECT flagsmith.explain_signature(body, flagsmith.sign(flagsmith._json_form(body, 'javascript'), 'a secret of the signer'), 'a secret of the signer') FROM signed;

-- Numbers: as written, as JavaScript prints them, as Python prints a percentage.
SELECT n, convert_from(flagsmith._json_form(convert_to('[' || n || ']', 'UTF8'), 'javascript'), 'UTF8') AS javascript,
    convert_from(flagsmith._json_form(convert_to('{"percentage_allocation":' || n || '}', 'UTF8'), 'python numbers'), 'UTF8') AS python
FROM unnest(ARRAY['0', '-0.0', '50.0', '50', '0.1', '100', '1e21', '1e+21', '123456789012345678901234', '1000000000000000000000', '100000000000000000000',
    '1e16', '1e15', '1e-6', '1e-7', '0.0001', '0.00001', '1.5e-7', '-33.333333333333336', '12345678901234567890', '5e-324', '1.7976931348623157e308', '1e999']) AS n;
SELECT form, flagsmith._json_form(convert_to(t, 'UTF8'), form) IS NULL AS none
FROM (VALUES ('unwrapped', '{}'), ('unwrapped', '"a"x'), ('unwrapped', '"a'), ('unwrapped', ''), ('doubled', 'abc'), ('halved', 'abc')) AS v (form, t);
SELECT convert_from(flagsmith._json_form(convert_to($$"\"a\\ \u00e9\n"$$, 'UTF8'), 'unwrapped'), 'UTF8');

DELETE FROM flagsmith.rejected WHERE webhook = 'text';
DELETE FROM flagsmith.webhook_secret WHERE webhook = 'text';
DELETE FROM flagsmith.webhook WHERE name = 'text';
