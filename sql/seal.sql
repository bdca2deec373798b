-- Evidence: what was committed is sealed, proofs are those of the RFC, and whatever changed afterwards is named.
-- In a database of its own: what other tests did to their history on purpose is not to be found here, and prunings stay.
\set home :DBNAME
CREATE DATABASE regress_flagsmith_seal TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_flagsmith_seal
SET client_min_messages = warning;
CREATE EXTENSION flagsmith_webhook;
RESET client_min_messages;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('seal', 'a secret of the seals', source => 'seal', max_spool_age => NULL);

CREATE FUNCTION pg_temp.deliver(n integer) RETURNS bigint LANGUAGE sql AS $function$
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    SELECT 'seal', flagsmith.sign(b, 'a secret of the seals'), b, '2026-01-01 00:00Z'
    FROM convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'timestamp', '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second', 'changed_by', 'a@example.com',
        'new_state', jsonb_build_object('enabled', true, 'feature_state_value', n,
            'environment', jsonb_build_object('id', 3, 'name', 'P'),
            'feature', jsonb_build_object('id', 7, 'name', 'seal'))))::text, 'UTF8') b
    RETURNING delivery_id
$function$;
-- Until what was committed is settled: a transaction elsewhere, an autovacuum's, can stand in the way for a moment.
CREATE PROCEDURE pg_temp.seal() LANGUAGE plpgsql AS $procedure$
BEGIN
    LOOP
        PERFORM flagsmith.seal();
        COMMIT;
        EXIT WHEN coalesce((SELECT s.settled = s.highest FROM flagsmith.seal s ORDER BY s.id DESC LIMIT 1), true);
    END LOOP;
END;
$procedure$;
CREATE FUNCTION pg_temp.findings(typed boolean DEFAULT false) RETURNS TABLE (finding text, relation text, detail text) LANGUAGE sql AS $function$
    SELECT v.finding, v.relation, v.detail FROM flagsmith.verify_seals(typed => typed) v
    WHERE v.finding <> 'pruned' ORDER BY v.relation COLLATE "C", v.id, v.finding
$function$;

SELECT count(pg_temp.deliver(n)) FROM generate_series(1, 700) n;
CALL pg_temp.seal();
SELECT * FROM pg_temp.findings();
SELECT flagsmith.seal();
SELECT size AS first_size FROM flagsmith.seal ORDER BY id DESC LIMIT 1 \gset
SELECT split_part(c, E'\n', 1) AS origin, split_part(c, E'\n', 2) = :'first_size' AS size,
    decode(split_part(c, E'\n', 3), 'base64') = s.root AS root, split_part(c, E'\n', 4) = '' AS the_end
FROM flagsmith.checkpoint('example.com/flags') c, flagsmith.seal s ORDER BY s.id DESC LIMIT 1;

-- A leaf, byte by byte.
SELECT min(id) AS delivery FROM flagsmith.delivery WHERE source = 'seal' \gset
SELECT regexp_replace(convert_from(leaf, 'UTF8'), '(?n)^((secret_)?id|stored_at) (\d+):\d+$', '\1 …', 'g') FROM flagsmith.inclusion_proof(:delivery);

-- Proofs, verified by the algorithms of RFC 9162 (2.1.3.2 and 2.1.4.2) written down once more.
CREATE FUNCTION pg_temp.included(leaf bytea, index bigint, size bigint, proof bytea[]) RETURNS bytea LANGUAGE plpgsql AS $function$
DECLARE
    fn bigint := index; sn bigint := size - 1; r bytea := sha256('\x00' || leaf); p bytea;
BEGIN
    FOREACH p IN ARRAY proof LOOP
        IF sn = 0 THEN RETURN NULL; END IF;
        IF fn & 1 = 1 OR fn = sn THEN
            r := sha256('\x01' || p || r);
            WHILE fn & 1 = 0 AND fn <> 0 LOOP fn := fn >> 1; sn := sn >> 1; END LOOP;
        ELSE
            r := sha256('\x01' || r || p);
        END IF;
        fn := fn >> 1; sn := sn >> 1;
    END LOOP;
    RETURN CASE WHEN sn = 0 THEN r END;
END;
$function$;
CREATE FUNCTION pg_temp.consistent(first bigint, second bigint, first_root bytea, second_root bytea, proof bytea[]) RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE
    fn bigint := first - 1; sn bigint := second - 1; fr bytea; sr bytea; p bytea;
BEGIN
    IF first = second THEN RETURN cardinality(proof) = 0 AND first_root = second_root; END IF;
    IF first & (first - 1) = 0 THEN proof := first_root || proof; END IF;
    WHILE fn & 1 = 1 LOOP fn := fn >> 1; sn := sn >> 1; END LOOP;
    fr := proof[1]; sr := proof[1];
    FOREACH p IN ARRAY proof[2:] LOOP
        IF sn = 0 THEN RETURN false; END IF;
        IF fn & 1 = 1 OR fn = sn THEN
            fr := sha256('\x01' || p || fr); sr := sha256('\x01' || p || sr);
            WHILE fn & 1 = 0 AND fn <> 0 LOOP fn := fn >> 1; sn := sn >> 1; END LOOP;
        ELSE
            sr := sha256('\x01' || sr || p);
        END IF;
        fn := fn >> 1; sn := sn >> 1;
    END LOOP;
    RETURN fr = first_root AND sr = second_root AND sn = 0;
END;
$function$;
-- Small seals, so that there are many roots.
DO $do$
BEGIN
    FOR n IN 701 .. 760 LOOP
        PERFORM pg_temp.deliver(n);
        PERFORM flagsmith.seal();
        COMMIT;
    END LOOP;
END;
$do$;
SELECT count(*) > 700 AS proved, count(*) FILTER (WHERE pg_temp.included(p.leaf, p.leaf_index, p.tree_size, p.hashes) IS DISTINCT FROM s.root) AS wrong
FROM flagsmith.delivery d CROSS JOIN LATERAL flagsmith.inclusion_proof(d.id) p, (SELECT root FROM flagsmith.seal ORDER BY id DESC LIMIT 1) s
WHERE d.source = 'seal';
SELECT count(*) > 1000 AS proved, count(*) FILTER (WHERE NOT pg_temp.consistent(a.size, b.size, a.root, b.root,
    flagsmith.consistency_proof(a.size, b.size))) AS wrong
FROM flagsmith.seal a JOIN flagsmith.seal b ON b.id >= a.id;
SELECT count(*) FILTER (WHERE pg_temp.included(p.leaf, p.leaf_index, p.tree_size, p.hashes) IS DISTINCT FROM s.root) AS wrong
FROM flagsmith.seal s CROSS JOIN LATERAL flagsmith.inclusion_proof(:delivery, s.size) p WHERE s.size >= :first_size;
SELECT * FROM pg_temp.findings();
SELECT cardinality(flagsmith.consistency_proof(0)) AS of_nothing, cardinality(flagsmith.consistency_proof(:first_size, :first_size)) AS of_the_same;

-- What cannot be asked.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE message text; code text; detail text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN code || ' ' || regexp_replace(concat_ws(' ', message, nullif(detail, '')), '\m\d+\M', 'N', 'g');
END;
$function$;
SELECT pg_temp.attempt(statement) FROM (VALUES
    (1, 'SELECT flagsmith.inclusion_proof(NULL)'),
    (2, 'SELECT flagsmith.inclusion_proof(-5)'),
    (3, 'SELECT flagsmith.inclusion_proof(id, 0) FROM flagsmith.delivery WHERE source = ''seal'''),
    (4, 'SELECT flagsmith.inclusion_proof(id, 1000000000000) FROM flagsmith.delivery WHERE source = ''seal'''),
    (5, 'SELECT flagsmith.consistency_proof(NULL)'),
    (6, 'SELECT flagsmith.consistency_proof(-1)'),
    (7, 'SELECT flagsmith.consistency_proof(5, 4)'),
    (8, 'SELECT flagsmith.consistency_proof(5, 1000000000000)'),
    (9, 'SELECT flagsmith.verify_seals(5, 4)'),
    (10, 'SELECT flagsmith.verify_seals(-1)'),
    (11, 'SELECT flagsmith.checkpoint(NULL)'),
    (12, 'SELECT flagsmith.checkpoint('''')'),
    (13, 'SELECT flagsmith.checkpoint(E''a\nb'')'),
    (14, 'SELECT flagsmith.checkpoint(''a+b'')')) AS _ (n, statement) ORDER BY n;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT flagsmith.seal();
ROLLBACK;
BEGIN READ ONLY;
SELECT flagsmith.seal();
ROLLBACK;

-- Each thing that somebody with the rights of the owner could do, each by itself, is named.  All is taken back.
CALL pg_temp.seal();
CREATE FUNCTION pg_temp.after(statement text, typed boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE found text;
BEGIN
    BEGIN
        SET LOCAL session_replication_role = replica;
        ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
        ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
        ALTER TABLE flagsmith.tree_tile DISABLE TRIGGER tree_tile_guard;
        ALTER TABLE flagsmith.seal DISABLE TRIGGER seal_guard;
        EXECUTE statement;
        SELECT string_agg(concat_ws(' ', f.finding, f.relation, f.detail), '; ') INTO found FROM pg_temp.findings(typed) f;
        RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        RETURN coalesce(found, 'NOTHING');
    END;
END;
$function$;
SELECT max(id) - 30 AS id, max(id) - 29 AS other FROM flagsmith.delivery WHERE source = 'seal' \gset
SELECT change, pg_temp.after(format('UPDATE flagsmith.delivery SET %s WHERE id = %s', change, :id)) FROM (VALUES
    ('webhook = NULL'), ('webhook = ''sea1'''), ('source = ''sea1'''), ('received_at = received_at + ''1 us'''),
    ('stored_at = stored_at + ''-1 us'''), ('event_at = event_at + ''1 us'''), ('signature = NULL'),
    ('signature = overlay(signature placing ''x'' from 64)'), ('secret_id = secret_id + 1'), ('secret_id = NULL'),
    ('digest = set_byte(digest, 31, get_byte(digest, 31) # 1)'), ('body = set_byte(body, 0, 32)'), ('body = NULL'),
    ('body = body || ''\x20'''), ('body = ''{}'', digest = sha256(''{}'')')) AS _ (change);
SELECT pg_temp.after(format('DELETE FROM flagsmith.delivery WHERE id = %s', :id)) AS one_gone;
SELECT pg_temp.after(format('UPDATE flagsmith.delivery SET id = -7 WHERE id = %s', :id)) AS under_another_id;
SELECT pg_temp.after(format('INSERT INTO flagsmith.delivery SELECT -8, webhook, ''other'', received_at, stored_at, signature, secret_id, event_type, event_at, digest, body FROM flagsmith.delivery WHERE id = %s', :id)) AS one_more;
SELECT pg_temp.after(format('UPDATE flagsmith.delivery SET id = CASE id WHEN %1$s THEN -1 ELSE -2 END WHERE id IN (%1$s, %2$s);'
    ' UPDATE flagsmith.delivery SET id = CASE id WHEN -1 THEN %2$s ELSE %1$s END WHERE id IN (-1, -2)', :id, :other)) AS two_swapped;
SELECT pg_temp.after(format('UPDATE flagsmith.flag_change SET enabled = NOT enabled WHERE delivery = %s', :id)) AS not_looked_at,
    pg_temp.after(format('UPDATE flagsmith.flag_change SET enabled = NOT enabled WHERE delivery = %s', :id), true) AS looked_at;
SELECT pg_temp.after(format('DELETE FROM flagsmith.flag_change WHERE delivery = %s', :id), true) AS typed_row_gone;
-- The evidence itself.
SELECT change, pg_temp.after(format('UPDATE flagsmith.seal SET %s WHERE id = (SELECT max(id) - 3 FROM flagsmith.seal)', change)) FROM (VALUES
    ('size = size - 1'), ('root = set_byte(root, 0, get_byte(root, 0) # 1)'), ('root = ''\x00'''),
    ('highest[1] = highest[1] - 1'), ('settled[1] = highest[1] + 1')) AS _ (change);
SELECT pg_temp.after('DELETE FROM flagsmith.seal WHERE id = 2') AS one_gone;
SELECT pg_temp.after('UPDATE flagsmith.tree_tile SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE level = 1') LIKE '%changed tree_tile level 0: the level above has another hash of it%' AS level_1;
SELECT pg_temp.after(format('UPDATE flagsmith.tree_tile SET hashes = set_byte(hashes, 100, get_byte(hashes, 100) # 1) WHERE level = 0 AND deliveries @> %s::bigint', :delivery)) ~ 'changed delivery its row .*changed seal its size and root .*changed tree_tile level 0' AS level_0;
SELECT pg_temp.after(format('UPDATE flagsmith.tree_tile SET refs = set_byte(refs, 3, get_byte(refs, 3) # 8) WHERE level = 0 AND deliveries @> %s::bigint', :delivery)) ~ '(changed|missing|added) delivery' AS refs;
SELECT pg_temp.after('DELETE FROM flagsmith.tree_tile WHERE level = 0 AND tile = 1') LIKE '%missing tree_tile level 0: it is not whole%' AS tile_gone;
SELECT pg_temp.after('INSERT INTO flagsmith.tree_tile (level, tile, hashes) VALUES (3, 9, sha256(''''))');
-- A tree whose edge is not whole is not added to.
SELECT pg_temp.attempt('ALTER TABLE flagsmith.tree_tile DISABLE TRIGGER tree_tile_guard; DELETE FROM flagsmith.tree_tile WHERE level = 1; SELECT flagsmith.seal()');
SELECT * FROM pg_temp.findings();

-- Flagsmith's signature, again: with the secret of then, kept or typed in; and what cannot be told.
SELECT * FROM flagsmith.verify_delivery(-1);
SELECT d.verified, d.secret_id = (SELECT min(id) FROM flagsmith.webhook_secret WHERE webhook = 'seal') AS kept, d.reason FROM flagsmith.verify_delivery(:id) d;
SET flagsmith_webhook.secret = 'another secret';
SELECT * FROM flagsmith.verify_delivery(:id);
SET flagsmith_webhook.secret = 'a secret of the seals';
SELECT * FROM flagsmith.verify_delivery(:id);
SELECT count(*) FROM pg_settings WHERE name = 'flagsmith_webhook.secret';
RESET flagsmith_webhook.secret;
BEGIN;
ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
UPDATE flagsmith.delivery SET body = body || '\x20' WHERE id = :id;
SELECT * FROM flagsmith.verify_delivery(:id);
UPDATE flagsmith.delivery SET digest = sha256(body) WHERE id = :id;
SELECT verified, reason FROM flagsmith.verify_delivery(:id);
UPDATE flagsmith.delivery SET signature = 'x' WHERE id = :id;
SELECT * FROM flagsmith.verify_delivery(:id);
UPDATE flagsmith.delivery SET signature = NULL WHERE id = :id;
SELECT * FROM flagsmith.verify_delivery(:id);
UPDATE flagsmith.delivery SET body = NULL WHERE id = :id;
SELECT * FROM flagsmith.verify_delivery(:id);
ROLLBACK;
BEGIN;
DELETE FROM flagsmith.webhook_secret;
SELECT * FROM flagsmith.verify_delivery(:id);
ROLLBACK;

\c :home
DROP DATABASE regress_flagsmith_seal;
