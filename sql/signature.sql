-- sign() and verify_signature(): HMAC-SHA256 as Flagsmith computes it.
\set SHOW_CONTEXT never

-- RFC 4231, all seven cases.  Some of its keys are no valid text, so bytes are passed off as text here.
BEGIN;
CREATE CAST (bytea AS text) WITHOUT FUNCTION;
CREATE TEMP TABLE vector (n integer, key bytea, data bytea, mac text);
INSERT INTO vector VALUES
    (1, decode(repeat('0b', 20), 'hex'), 'Hi There',
        'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'),
    (2, 'Jefe', 'what do ya want for nothing?',
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'),
    (3, decode(repeat('aa', 20), 'hex'), decode(repeat('dd', 50), 'hex'),
        '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'),
    (4, '\x0102030405060708090a0b0c0d0e0f10111213141516171819', decode(repeat('cd', 50), 'hex'),
        '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'),
    -- of which the RFC gives the first half only
    (5, decode(repeat('0c', 20), 'hex'), 'Test With Truncation',
        'a3b6167473100ee06e0c796c2955552b'),
    (6, decode(repeat('aa', 131), 'hex'), 'Test Using Larger Than Block-Size Key - Hash Key First',
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54'),
    (7, decode(repeat('aa', 131), 'hex'),
        'This is a test using a larger than block-size key and a larger than block-size data. '
        'The key needs to be hashed before being used by the HMAC algorithm.',
        '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2');
SELECT n, left(flagsmith.sign(data, key::text), length(mac)) = mac AS signs,
    flagsmith.verify_signature(data, mac, key::text) AS verifies
FROM vector ORDER BY n;
ROLLBACK;

CREATE TEMP TABLE body (n integer, body bytea, signature text);
INSERT INTO body
SELECT n, b, flagsmith.sign(b, 'my shared secret')
FROM unnest(ARRAY['', '{}', '{"event_type": "FLAG_UPDATED"}', convert_to(repeat('{"ä": "\u00e4"}', 100000), 'UTF8')])
    WITH ORDINALITY AS _ (b, n);
SELECT n, octet_length(body) FROM body ORDER BY n;

-- Right, in either case of the digits; for any one of several secrets, wherever it stands.
SELECT n, flagsmith.verify_signature(body, signature, 'my shared secret') AS same,
    flagsmith.verify_signature(body, upper(signature), 'my shared secret') AS upper_case,
    flagsmith.verify_signature(body, signature, 'old', 'my shared secret') AS second,
    flagsmith.verify_signature(body, signature, 'my shared secret', 'new') AS first,
    flagsmith.verify_signature(body, signature, 'old', NULL, '', 'my shared secret') AS fourth,
    flagsmith.verify_signature(body, signature, VARIADIC ARRAY[['old', 'new'], ['my shared secret', 'x']]) AS matrix
FROM body ORDER BY n;

-- Wrong secrets: each of these is false, never NULL, never an error.
SELECT what, bool_or(v) AS verifies, bool_or(v IS NULL) AS is_null
FROM body b
CROSS JOIN LATERAL (VALUES
    ('another', flagsmith.verify_signature(body, signature, 'another')),
    ('one letter more', flagsmith.verify_signature(body, signature, 'my shared secret ')),
    ('one letter less', flagsmith.verify_signature(body, signature, 'my shared secre')),
    ('another case', flagsmith.verify_signature(body, signature, 'My shared secret')),
    ('quoted', flagsmith.verify_signature(body, signature, '"my shared secret"')),
    ('empty', flagsmith.verify_signature(body, signature, '')),
    ('NULL', flagsmith.verify_signature(body, signature, NULL)),
    ('NULL array', flagsmith.verify_signature(body, signature, VARIADIC NULL::text[])),
    ('empty array', flagsmith.verify_signature(body, signature, VARIADIC '{}'::text[])),
    ('array of nothing', flagsmith.verify_signature(body, signature, VARIADIC ARRAY[NULL, '']))
) AS _ (what, v)
GROUP BY what ORDER BY what COLLATE "C";

-- A key of zero bytes is what anybody has: its signature verifies nothing.
SELECT flagsmith.verify_signature('Hi There', 'e48411262715c8370cd5e7bf8e82bef53bd53712d007f3429351843b77c7bb9b', '') AS known_value,
    flagsmith.verify_signature('', 'b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad', '') AS of_nothing;

-- Malformed signatures.
SELECT what, bool_or(flagsmith.verify_signature(body, s, 'my shared secret')) AS verifies
FROM body b
CROSS JOIN LATERAL (VALUES
    ('NULL', NULL),
    ('empty', ''),
    ('blank', ' '),
    ('cut', left(signature, 63)),
    ('half', left(signature, 32)),
    ('longer', signature || '0'),
    ('twice', signature || signature),
    ('a list', signature || ', ' || signature),
    ('blank before', ' ' || signature),
    ('blank after', signature || ' '),
    ('newline after', signature || E'\n'),
    ('blank instead of a digit', left(signature, 63) || ' '),
    ('sha256=', 'sha256=' || signature),
    ('sha256= in the same length', 'sha256=' || substr(signature, 8)),
    ('0x', '0x' || substr(signature, 3)),
    ('base64', encode(decode(signature, 'hex'), 'base64')),
    ('g for a digit', 'g' || substr(signature, 2)),
    ('a wide digit', U&'\FF10' || substr(signature, 4)),
    ('a sign', '+' || substr(signature, 2)),
    ('zeros', repeat('0', 64)),
    ('64 kB', repeat('0', 65536))
) AS _ (what, s)
GROUP BY what ORDER BY what COLLATE "C";
SELECT flagsmith.verify_signature(NULL, repeat('0', 64), 'my shared secret') AS null_body;

-- Every bit of a body, of its signature and of its secret counts.
SELECT count(*) AS body_bits, count(*) FILTER (WHERE flagsmith.verify_signature(set_bit(b, i, 1 - get_bit(b, i)), s, 'my shared secret')) AS accepted
FROM (SELECT b, flagsmith.sign(b, 'my shared secret') FROM convert_to(repeat('{"a": 1}', 128), 'UTF8') b) AS _ (b, s)
CROSS JOIN generate_series(0, 8 * 1024 - 1) i;
SELECT count(*) AS signature_bits, count(*) FILTER (WHERE flagsmith.verify_signature('{}', encode(set_bit(s, i, 1 - get_bit(s, i)), 'hex'), 'my shared secret')) AS accepted
FROM decode(flagsmith.sign('{}', 'my shared secret'), 'hex') s
CROSS JOIN generate_series(0, 255) i;
SELECT count(*) AS secret_bits, count(*) FILTER (WHERE flagsmith.verify_signature('{}', flagsmith.sign('{}', 'my-shared-secret'), convert_from(set_bit(k, i, 1 - get_bit(k, i)), 'UTF8'))) AS accepted
FROM convert_to('my-shared-secret', 'UTF8') k
-- without the eighth bit of a byte, which ASCII has not
CROSS JOIN generate_series(0, 127) i WHERE i % 8 <> 7;

-- Secrets of more than one block, and of other letters than ASCII: the key is their UTF-8.
SELECT flagsmith.sign('{}', repeat('x', 63)) AS x63,
    flagsmith.sign('{}', repeat('x', 64)) AS x64 \gx
SELECT flagsmith.sign('{}', repeat('x', 65)) AS x65,
    flagsmith.sign('{}', 'pässwörd-秘密-🔑') AS letters,
    flagsmith.sign(convert_to('{"name": "Überschrift 🔑"}', 'UTF8'), 'k') AS body \gx

-- More secrets than one call site keeps keys for, again and again.
SELECT count(*), bool_and(flagsmith.verify_signature('{}', flagsmith.sign('{}', 'secret ' || i % 20), 'secret ' || i % 20)) AS own,
    bool_or(flagsmith.verify_signature('{}', flagsmith.sign('{}', 'secret ' || i % 20), 'secret ' || (i + 1) % 20)) AS next
FROM generate_series(1, 500) i;

-- sign() is for those who know what they sign with.
SELECT flagsmith.sign(NULL, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.sign('x', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.sign('x', '');
\echo :LAST_ERROR_SQLSTATE
