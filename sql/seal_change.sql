-- Every byte of every sealed column, every row of every sealed table: what is changed, removed, added or swapped is named,
-- and nothing else is.  Many changes at once, each in a row of its own, so that one verification finds them all.
-- In a database of its own: what other tests did to their history on purpose is not to be found here, and prunings stay.
\set home :DBNAME
CREATE DATABASE regress_flagsmith_seal_change TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_flagsmith_seal_change
SET client_min_messages = warning;
CREATE EXTENSION flagsmith_webhook;
RESET client_min_messages;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT count(flagsmith.add_webhook(w, 'a secret of the changes', source => 'change', max_spool_age => NULL)) FROM (VALUES ('change'), ('again')) AS _ (w);

CREATE FUNCTION pg_temp.deliver(webhook text, n integer, received_at timestamptz) RETURNS bigint LANGUAGE sql AS $function$
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    SELECT webhook, flagsmith.sign(b, 'a secret of the changes'), b, received_at
    FROM convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'timestamp', '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second', 'changed_by', 'a@example.com',
        'new_state', jsonb_build_object('enabled', true, 'feature_state_value', n,
            'environment', jsonb_build_object('id', 3, 'name', 'P'),
            'feature', jsonb_build_object('id', 7, 'name', 'change'))))::text, 'UTF8') b
    RETURNING delivery_id
$function$;
SELECT count(pg_temp.deliver('change', n, CASE WHEN n <= 150 THEN '1999-01-01Z' ELSE '2026-01-01Z' END::timestamptz)) FROM generate_series(1, 450) n;
-- Repeats, some of which turn out to have arrived earlier.
SELECT count(pg_temp.deliver('again', n, '2026-01-01 00:00:09Z')) FROM generate_series(1, 60) n;
SELECT count(pg_temp.deliver('again', n, ('2026-01-01 00:00:0' || n || 'Z')::timestamptz)) FROM generate_series(3, 8) n;
SELECT count(*), count(DISTINCT subject) FROM flagsmith.evidence_event e JOIN flagsmith.delivery_repeat r ON r.id = e.subject
WHERE e.kind = 'arrival before' AND e.webhook = 'again';
-- Secrets by every way, and a guard.
SELECT flagsmith.add_secret('change', 'another secret of the changes') AS secret \gset
SELECT flagsmith.retire_secret(:secret, '2026-06-01Z');
SELECT flagsmith.retire_secret(:secret, '2026-06-01Z');
UPDATE flagsmith.webhook_secret SET secret = 'yet another of the changes' WHERE id = :secret;
DELETE FROM flagsmith.webhook_secret WHERE id = :secret;
ALTER TABLE flagsmith.name DISABLE TRIGGER name_guard;
SELECT flagsmith._protect_history();
SELECT kind, made_by = session_user AS by_me, webhook, valid_from, valid_until, detail FROM flagsmith.evidence_event
WHERE subject = :secret AND kind LIKE 'secret %' OR detail LIKE 'name_guard%' ORDER BY id;
SELECT count(*) AS with_a_secret FROM flagsmith.evidence_event e WHERE e::text LIKE '%of the changes%';
-- Prunings: bodies, and history twice, so that a later one leaves less of what an earlier one left.
CREATE TEMP TABLE pruned AS SELECT flagsmith.prune_bodies('2000-01-01Z', 150) AS bodies;
SELECT flagsmith.prune_history('2026-01-01 00:01:00Z') > 0 AS pruned;
SELECT flagsmith.prune_history('2026-01-01 00:02:00Z') > 0 AS pruned;
-- Autovacuum's transactions can stand in the way for a moment.
CREATE PROCEDURE pg_temp.seal() LANGUAGE plpgsql AS $procedure$
BEGIN
    LOOP
        PERFORM flagsmith.seal();
        COMMIT;
        EXIT WHEN coalesce((SELECT s.settled = s.highest FROM flagsmith.seal s ORDER BY s.id DESC LIMIT 1), true);
    END LOOP;
END;
$procedure$;
CALL pg_temp.seal();
SELECT v.* FROM flagsmith.verify_seals(typed => true) v WHERE v.finding <> 'pruned';
SELECT count(*) > 100 AS pruned, count(*) FILTER (WHERE d.body IS NOT NULL) AS with_a_body
FROM flagsmith.verify_seals() v JOIN flagsmith.delivery d ON d.id = v.id WHERE v.finding = 'pruned';

-- The changes: one for each byte, or one for each of eight bytes of a number or an instant.
CREATE TEMP TABLE sealed (relation text, name text, type regtype, length integer);
INSERT INTO sealed
SELECT c.relname, a.attname, a.atttypid,
    CASE WHEN c.relname = 'delivery' THEN CASE a.attname WHEN 'digest' THEN 32 WHEN 'signature' THEN 64 WHEN 'body' THEN 200
        WHEN 'webhook' THEN 6 WHEN 'source' THEN 6 ELSE 8 END
    WHEN a.attname = 'row_digests' THEN 32 WHEN a.atttypid = 'text'::regtype THEN 4 WHEN a.atttypid = 'int8multirange'::regtype THEN 1 WHEN a.atttypid = 'jsonb'::regtype THEN 1 ELSE 8 END
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'flagsmith'::regnamespace AND (
    c.relname = 'delivery' AND a.attname NOT IN ('event_type', 'undecoded_reason')
    OR c.relname = 'delivery_repeat' AND a.attname NOT IN ('count', 'last_received_at')
    OR c.relname IN ('pruning', 'evidence_event'));
CREATE TEMP TABLE change AS
SELECT row_number() OVER (PARTITION BY relation ORDER BY name COLLATE "C", k) - 1 AS n, relation, name, k,
    CASE type
        WHEN 'bigint'::regtype THEN format('%1$I # (1::bigint << %2$s)', name, 8 * k)
        -- to the next microsecond, to another century
        WHEN 'timestamptz'::regtype THEN format('%1$I + (1::bigint << %2$s) * interval ''1 us''', name, 7 * k)
        WHEN 'bytea'::regtype THEN format('set_byte(%1$I, %2$s, get_byte(%1$I, %2$s) # %3$s)', name, k, 1 << k % 8)
        WHEN 'text'::regtype THEN format('overlay(%1$I placing chr(ascii(substr(%1$I, %2$s, 1)) # 1) from %2$s for 1)', name, k + 1)
        WHEN 'int8multirange'::regtype THEN format('%1$I - ''{[1,100000000]}''::int8multirange', name)
        -- one that has holes gets another, one without gets one
        WHEN 'jsonb'::regtype THEN format('coalesce(%1$I, ''[]'') || ''[{}]''::jsonb', name)
    END AS expression
FROM sealed CROSS JOIN LATERAL generate_series(0, length - 1) k;
SELECT relation, count(*) AS changes, string_agg(DISTINCT name, ' ' ORDER BY name) AS columns FROM change GROUP BY 1 ORDER BY 1;

-- What is NULL, infinite or not allowed cannot be changed so, or is no change: such a row is passed over.
CREATE FUNCTION pg_temp.changed(c change, row_id bigint) RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE changed integer;
BEGIN
    EXECUTE format('UPDATE flagsmith.%I SET %I = %s WHERE id = %s AND %3$s IS DISTINCT FROM %2$I', c.relation, c.name, c.expression, row_id);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN false;
END;
$function$;
CREATE PROCEDURE pg_temp.open() LANGUAGE plpgsql AS $procedure$
DECLARE guard text;
BEGIN
    FOREACH guard IN ARRAY '{delivery,delivery_repeat,pruning,evidence_event,flag_change,audit_log,audit_effect,version_published}'::text[] LOOP
        EXECUTE format('ALTER TABLE flagsmith.%I DISABLE TRIGGER %I', guard, guard || '_guard');
    END LOOP;
END;
$procedure$;
-- Changes of one table in rows from some place on; as many rounds as it takes, each taken back.
CREATE FUNCTION pg_temp.named(of_relation text, OUT changes bigint, OUT tried bigint, OUT unnamed text, OUT wrongly text) LANGUAGE plpgsql AS $function$
DECLARE
    ids bigint[];
    round integer := 0;
    result text[];
BEGIN
    changes := 0; unnamed := ''; wrongly := '';
    EXECUTE format('SELECT array_agg(id ORDER BY id) FROM flagsmith.%I%s', of_relation,
        CASE of_relation WHEN 'delivery' THEN ' WHERE source = ''change'' AND body IS NOT NULL' ELSE '' END) INTO ids;
    LOOP
        BEGIN
            CALL pg_temp.open();
            CREATE TEMP TABLE touched AS
            SELECT c.name, c.k, ids[1 + (c.n + round * 7) % cardinality(ids)] AS id
            FROM change c WHERE c.relation = of_relation AND c.n / cardinality(ids) = round
                AND pg_temp.changed(c, ids[1 + (c.n + round * 7) % cardinality(ids)]);
            WITH v AS MATERIALIZED (SELECT * FROM flagsmith.verify_seals() WHERE finding <> 'pruned')
            SELECT array[
                (SELECT string_agg(format('%s %s', t.name, t.k), ', ') FROM touched t WHERE NOT EXISTS (
                    SELECT FROM v WHERE v.relation = of_relation AND v.id = t.id)),
                (SELECT string_agg(v::text, ', ') FROM v WHERE v.relation = of_relation AND v.finding = 'changed' AND NOT EXISTS (
                    SELECT FROM touched t WHERE t.id = v.id)),
                (SELECT count(*)::text FROM touched)] INTO result;
            RAISE EXCEPTION USING ERRCODE = 'ZZ001';
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
            unnamed := unnamed || coalesce(result[1], '');
            wrongly := wrongly || coalesce(result[2], '');
            changes := changes + result[3]::bigint;
        END;
        round := round + 1;
        EXIT WHEN NOT EXISTS (SELECT FROM change c WHERE c.relation = of_relation AND c.n / cardinality(ids) >= round);
    END LOOP;
    SELECT count(*) INTO tried FROM change c WHERE c.relation = of_relation;
END;
$function$;
-- An id that is changed is one row missing and one added: of those the first is looked for.
SELECT r.relation, n.changes, n.tried, n.unnamed, n.wrongly FROM (VALUES ('delivery'), ('delivery_repeat'), ('pruning'), ('evidence_event')) AS r (relation)
CROSS JOIN LATERAL pg_temp.named(r.relation) n;

-- Rows removed, added and swapped.
CREATE FUNCTION pg_temp.after(statement text, typed boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE found text;
BEGIN
    BEGIN
        CALL pg_temp.open();
        EXECUTE statement;
        SELECT string_agg(DISTINCT concat_ws(' ', v.finding, v.relation, v.detail), '; ') || ' ' || count(*) INTO found
        FROM flagsmith.verify_seals(typed => typed) v WHERE v.finding <> 'pruned';
        RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        RETURN coalesce(found, 'NOTHING');
    END;
END;
$function$;
SELECT relation, pg_temp.after(format('DELETE FROM flagsmith.%I WHERE id IN (SELECT id FROM flagsmith.%1$I ORDER BY id DESC OFFSET 1 LIMIT 1)', relation)) AS removed
FROM (VALUES ('delivery'), ('delivery_repeat'), ('pruning'), ('evidence_event')) AS _ (relation);
SELECT relation, pg_temp.after(format('INSERT INTO flagsmith.%I SELECT (jsonb_populate_record(t, ''{"id": -1, "source": "other", "webhook": "other"}'')).* FROM flagsmith.%1$I t ORDER BY id DESC LIMIT 1', relation)) AS added
FROM (VALUES ('delivery_repeat'), ('pruning'), ('evidence_event')) AS _ (relation);
-- Two ids a and b, each the other's: a + b - id.
SELECT relation, pg_temp.after(format('UPDATE flagsmith.%I SET id = -id WHERE id IN (SELECT id FROM flagsmith.%1$I ORDER BY id DESC LIMIT 2);'
    ' UPDATE flagsmith.%1$I SET id = (SELECT -sum(o.id) FROM flagsmith.%1$I o WHERE o.id < 0) + id WHERE id < 0', relation)) AS swapped
FROM (VALUES ('delivery'), ('delivery_repeat'), ('evidence_event'), ('pruning')) AS _ (relation);
-- A pruning that never was, or that says that another body went.
SELECT pg_temp.after('UPDATE flagsmith.delivery SET body = NULL WHERE id = (SELECT max(id) FROM flagsmith.delivery WHERE source = ''change'')') AS body_gone;

-- Typed rows that no body tells any more.
SELECT column_name, pg_temp.after(format('UPDATE flagsmith.flag_change SET %I = %s WHERE (delivery, ordinal) IN ('
    'SELECT f.delivery, f.ordinal FROM flagsmith.flag_change f JOIN flagsmith.delivery d ON d.id = f.delivery WHERE d.source = ''change'' AND d.body IS NULL'
    ' ORDER BY 1 LIMIT 3)', column_name, expression), true) AS changed
FROM (VALUES ('ordinal', 'ordinal + 1'), ('source', '''chang'''), ('received_at', 'received_at + ''1 us'''), ('stored_at', 'stored_at + ''1 us'''),
    ('event_at', 'event_at + ''1 us'''), ('is_test', 'NOT is_test'), ('deleted', 'NOT deleted'), ('changed_by', 'changed_by || '' '''),
    ('environment_id', 'environment_id + 1'), ('feature', '''changf'''), ('feature_id', 'feature_id + 1'), ('segment', '''s'''),
    ('enabled', 'NOT enabled'), ('value', 'to_jsonb(value::text)'), ('value_before', '''0'''), ('extra', '''{"a": 1}''')) AS _ (column_name, expression);
SELECT pg_temp.after('DELETE FROM flagsmith.flag_change WHERE delivery IN (SELECT d.id FROM flagsmith.delivery d JOIN flagsmith.flag_change f ON f.delivery = d.id'
    ' WHERE d.source = ''change'' AND d.body IS NULL ORDER BY 1 LIMIT 3)', true) AS removed;
SELECT pg_temp.after('INSERT INTO flagsmith.flag_change SELECT (jsonb_populate_record(f, ''{"ordinal": 2}'')).* FROM flagsmith.flag_change f'
    ' JOIN flagsmith.delivery d ON d.id = f.delivery WHERE d.source = ''change'' AND d.body IS NULL ORDER BY f.delivery LIMIT 3', true) AS added;
SELECT v.* FROM flagsmith.verify_seals(typed => true) v WHERE v.finding <> 'pruned';

-- Prunings of more than one step: the record has the deliveries of all of them, and a digest for each.
SELECT count(pg_temp.deliver('change', n, '2026-01-02Z')) FROM generate_series(1001, 3600) n;
SELECT flagsmith.prune_bodies('2026-01-03Z', 2100) AS bodies;
SELECT flagsmith.prune_history('2026-01-03Z') > 2100 AS pruned;
SELECT p.what, d.deliveries > 2000 AS several_steps, d.deliveries = length(p.row_digests) / 32 AS digests,
    (p.what = 'bodies') = (p.bodies = d.deliveries) AS counted
FROM flagsmith.pruning p CROSS JOIN LATERAL (SELECT sum(upper(r) - lower(r)) AS deliveries FROM unnest(p.deliveries) r) d ORDER BY p.id DESC LIMIT 2;
CALL pg_temp.seal();
SELECT v.* FROM flagsmith.verify_seals(typed => true) v WHERE v.finding <> 'pruned';
SELECT pg_temp.after('UPDATE flagsmith.flag_change SET enabled = NOT enabled WHERE delivery = (SELECT max(delivery) FROM flagsmith.flag_change)', true) LIKE '%changed%' AS changed;

\c :home
DROP DATABASE regress_flagsmith_seal_change;
