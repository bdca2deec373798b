-- Rows go into the tables without a statement, but where the owner added what an INSERT would have to obey, that is obeyed.
\set VERBOSITY terse
SELECT flagsmith.add_webhook('direct', source => 'direct', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;
CREATE FUNCTION pg_temp.send(n integer) RETURNS TABLE (outcome text, reason text) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('direct', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED',
        'data', jsonb_build_object('timestamp', '2026-01-02T03:04:05Z', 'changed_by', 'n' || $1, 'new_state', jsonb_build_object('enabled', true,
        'feature', jsonb_build_object('id', 7, 'name', 'direct', 'project', jsonb_build_object('id', 3, 'name', 'Direct')),
        'environment', jsonb_build_object('id', 5, 'name', 'Live'))))::text, 'UTF8'), '2026-01-02T03:04:06Z')
    RETURNING outcome, reason $$;
SELECT * FROM pg_temp.send(1);
-- the same once more, in one transaction with its first arrival and behind it
SELECT * FROM pg_temp.send(1);
BEGIN;
SELECT * FROM pg_temp.send(2);
SELECT * FROM pg_temp.send(2);
COMMIT;
-- undone with its savepoint, and stored all the same when it comes again
BEGIN;
SAVEPOINT one;
SELECT * FROM pg_temp.send(3);
ROLLBACK TO one;
SELECT * FROM pg_temp.send(3);
COMMIT;
SELECT count(*) AS rows, count(DISTINCT changed_by) AS events FROM flagsmith.flag_change WHERE source = 'direct';

-- a trigger
CREATE TABLE pg_temp.fired (changed_by text);
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pg_temp.fired VALUES (NEW.changed_by); RETURN NEW; END $$;
CREATE TRIGGER note AFTER INSERT ON flagsmith.flag_change FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
SELECT * FROM pg_temp.send(4);
DROP TRIGGER note ON flagsmith.flag_change;
SELECT * FROM pg_temp.send(5);
SELECT * FROM pg_temp.fired;

-- a column with a default, in both tables
ALTER TABLE flagsmith.flag_change ADD COLUMN noted text DEFAULT 'by default';
ALTER TABLE flagsmith.delivery ADD COLUMN noted text DEFAULT 'by default';
SELECT * FROM pg_temp.send(6);
SELECT f.noted, d.noted FROM flagsmith.flag_change f JOIN flagsmith.delivery d ON d.id = f.delivery WHERE f.changed_by = 'n6';
ALTER TABLE flagsmith.flag_change DROP COLUMN noted;
ALTER TABLE flagsmith.delivery DROP COLUMN noted;
SELECT * FROM pg_temp.send(7);

-- a constraint: its error is the caller's, and nothing of the delivery stays
ALTER TABLE flagsmith.flag_change ADD CONSTRAINT not_eight CHECK (changed_by <> 'n8');
SELECT * FROM pg_temp.send(8);
SELECT * FROM pg_temp.send(9);
ALTER TABLE flagsmith.flag_change DROP CONSTRAINT not_eight;
SELECT * FROM pg_temp.send(8);
ALTER TABLE flagsmith.delivery ADD CONSTRAINT not_direct CHECK (source <> 'direct') NOT VALID;
SELECT * FROM pg_temp.send(10);
ALTER TABLE flagsmith.delivery DROP CONSTRAINT not_direct;

-- a constraint that sends a delivery itself
CREATE FUNCTION pg_temp.nested(changed_by text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF changed_by = 'n15' THEN PERFORM pg_temp.send(16); END IF;
    RETURN true;
END $$;
ALTER TABLE flagsmith.flag_change ADD CONSTRAINT nested CHECK (pg_temp.nested(changed_by));
SELECT * FROM pg_temp.send(15);
ALTER TABLE flagsmith.flag_change DROP CONSTRAINT nested;
-- the same behind an error that it caught, and one that fails in the midst, is caught, and comes again
CREATE FUNCTION pg_temp.nested_behind(changed_by text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM 1 / (changed_by <> 'n17')::integer;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    IF changed_by = 'n17' THEN PERFORM pg_temp.send(18); END IF;
    RETURN true;
END $$;
ALTER TABLE flagsmith.flag_change ADD CONSTRAINT nested_behind CHECK (pg_temp.nested_behind(changed_by));
SELECT * FROM pg_temp.send(17);
ALTER TABLE flagsmith.flag_change DROP CONSTRAINT nested_behind;
ALTER TABLE flagsmith.flag_change ADD CONSTRAINT not_nineteen CHECK (1 / (changed_by <> 'n19')::integer = 1);
DO $$
BEGIN
    PERFORM pg_temp.send(19);
EXCEPTION WHEN division_by_zero THEN
    PERFORM pg_temp.send(21);
END $$;
ALTER TABLE flagsmith.flag_change DROP CONSTRAINT not_nineteen;
SELECT * FROM pg_temp.send(19);

-- a constraint that casts to a domain, which is constrained later
CREATE DOMAIN pg_temp.named AS text;
ALTER TABLE flagsmith.flag_change ADD CONSTRAINT named CHECK (changed_by::pg_temp.named IS NOT NULL) NOT VALID;
SELECT * FROM pg_temp.send(22);
ALTER DOMAIN pg_temp.named ADD CONSTRAINT not_twenty_three CHECK (VALUE <> 'n23');
SELECT * FROM pg_temp.send(23);
ALTER TABLE flagsmith.flag_change DROP CONSTRAINT named;
SELECT * FROM pg_temp.send(23);
-- and an index that calls a function which does
CREATE FUNCTION pg_temp.named(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1::pg_temp.named $$;
CREATE INDEX direct_named_idx ON flagsmith.flag_change (pg_temp.named(changed_by)) WHERE changed_by >= 'n26' AND source = 'direct';
SELECT * FROM pg_temp.send(26);
ALTER DOMAIN pg_temp.named ADD CONSTRAINT not_twenty_seven CHECK (VALUE <> 'n27');
SELECT * FROM pg_temp.send(27);
DROP INDEX flagsmith.direct_named_idx;
SELECT * FROM pg_temp.send(27);

-- indexes that are made, dropped, and of another kind, all of which have what is stored from then on
CREATE INDEX direct_made_idx ON flagsmith.flag_change (upper(changed_by)) WHERE source = 'direct';
SELECT * FROM pg_temp.send(10);
CREATE INDEX direct_hash_idx ON flagsmith.flag_change USING hash (changed_by);
CREATE UNIQUE INDEX direct_unique_idx ON flagsmith.flag_change (changed_by) WHERE source = 'direct';
SELECT * FROM pg_temp.send(11);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM flagsmith.flag_change WHERE upper(changed_by) IN ('N10', 'N11') AND source = 'direct';
SELECT count(*) FROM flagsmith.flag_change WHERE changed_by = 'n11';
DROP INDEX flagsmith.direct_hash_idx, flagsmith.direct_made_idx;
SELECT * FROM pg_temp.send(12);
SELECT count(*) FROM flagsmith.flag_change WHERE changed_by = 'n12' AND source = 'direct';
INSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT 'direct', overlay(body PLACING convert_to('2026-02', 'UTF8') FROM position(convert_to('2026-01', 'UTF8') IN body)), received_at
    FROM flagsmith.delivery WHERE id = (SELECT delivery FROM flagsmith.flag_change WHERE changed_by = 'n12');
DROP INDEX flagsmith.direct_unique_idx;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- an index that takes no entries yet, as while it is built CONCURRENTLY, and then does: what is said of it alone, not of its table, is heard
CREATE INDEX direct_building_idx ON flagsmith.flag_change (lower(changed_by)) WHERE source = 'direct';
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'flagsmith.direct_building_idx'::regclass;
SELECT * FROM pg_temp.send(24);
UPDATE pg_index SET indisready = true WHERE indexrelid = 'flagsmith.direct_building_idx'::regclass;
SELECT * FROM pg_temp.send(25);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'flagsmith.direct_building_idx'::regclass;
SET enable_seqscan = off;
SELECT lower(changed_by) FROM flagsmith.flag_change WHERE lower(changed_by) IN ('n24', 'n25') AND source = 'direct';
RESET enable_seqscan;
DROP INDEX flagsmith.direct_building_idx;

-- at REPEATABLE READ the statement decides, and in a read-only transaction none does
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM pg_temp.send(13);
SELECT * FROM pg_temp.send(13);
COMMIT;
BEGIN READ ONLY;
SELECT * FROM pg_temp.send(14);
ROLLBACK;

-- a webhook and its secrets are read without a statement, too, and by one where the owner's rules or the size of a table ask for it
SELECT flagsmith.add_webhook('direct signed', 'the first of two secrets', source => 'direct', max_spool_age => NULL) IS NOT NULL AS registered;
SELECT flagsmith.add_secret('direct signed', 'the second of two secrets') IS NOT NULL AS added;
CREATE FUNCTION pg_temp.signed(n integer) RETURNS TABLE (outcome text, reason text) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    SELECT 'direct signed', flagsmith.sign(convert_to('{"event_type": "X"}', 'UTF8'), s), convert_to('{"event_type": "X"}', 'UTF8'), to_timestamp($1 + i)
    FROM unnest(ARRAY['the first of two secrets', 'the second of two secrets', 'another secret']) WITH ORDINALITY AS u (s, i)
    RETURNING outcome, reason $$;
SELECT * FROM pg_temp.signed(100);
ALTER TABLE flagsmith.webhook_secret ENABLE ROW LEVEL SECURITY;
SELECT * FROM pg_temp.signed(200);
ALTER TABLE flagsmith.webhook_secret DISABLE ROW LEVEL SECURITY;
CREATE TEMP TABLE many AS SELECT flagsmith.add_webhook('direct ' || i, source => repeat('direct', 40), allow_unsigned => true) FROM generate_series(1, 300) i;
SELECT pg_relation_size('flagsmith.webhook') > 8 * current_setting('block_size')::integer AS large;
SELECT * FROM pg_temp.signed(300);
SELECT * FROM pg_temp.send(20);
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('direct nowhere', '{}');
SELECT dense_rank() OVER (ORDER BY secret_id) AS secret, count(*) FROM flagsmith.delivery WHERE webhook = 'direct signed' GROUP BY secret_id;
DELETE FROM flagsmith.webhook WHERE source = repeat('direct', 40);
VACUUM flagsmith.webhook;
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('direct 7', '{}');
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('direct signed', '{}') RETURNING outcome, reason;
SELECT flagsmith.disable_webhook('direct signed');

-- every row is there once, as its body has it
SELECT count(*) AS rows, count(DISTINCT changed_by) AS events FROM flagsmith.flag_change WHERE source = 'direct';
SELECT r.* FROM flagsmith.delivery d, LATERAL flagsmith.rebuild(true, d.id, d.id) r WHERE d.source = 'direct';
SELECT count(*) AS faults FROM flagsmith.installation_health;
SELECT flagsmith.disable_webhook('direct');
