-- What an owner or a restore did to guards and indexes is seen, and the guards are armed again.
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('installation', 'a secret of some length', source => 'installation');
SET client_min_messages = error;
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'installation', flagsmith.sign(b, 'a secret of some length'), b FROM convert_to('{"event_type": "INSTALLATION"}', 'UTF8') b;
RESET client_min_messages;

-- All is well, and everything that the catalogs know is looked at.
SELECT * FROM flagsmith.installation_health;
SELECT webhook, installation FROM flagsmith.webhook_health WHERE webhook = 'installation';
CREATE TEMP VIEW catalog AS
SELECT 'index' AS kind, i.indexrelid::regclass::text AS object
FROM pg_index i
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'flagsmith_webhook'
UNION ALL
SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname
FROM pg_trigger t
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = t.tgrelid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'flagsmith_webhook'
WHERE NOT t.tgisinternal;
CREATE TEMP VIEW installed AS
SELECT kind, CASE kind WHEN 'index' THEN 'flagsmith.' || name ELSE 'flagsmith.' || relation || '.' || name END AS object, definition, state
FROM jsonb_to_recordset(flagsmith._installed()) AS i (kind text, relation text, name text, definition text, state text)
WHERE kind IN ('index', 'trigger');
SELECT kind, object FROM catalog EXCEPT SELECT kind, object FROM installed;
SELECT kind, object FROM installed EXCEPT SELECT kind, object FROM catalog;
SELECT kind, state, count(*) > 0 AS some FROM installed GROUP BY kind, state ORDER BY kind, state;
SELECT definition FROM installed WHERE object IN ('flagsmith.delivery_event_key', 'flagsmith.delivery_undecoded_idx') ORDER BY object;

CREATE TEMP VIEW fault AS
SELECT kind, relation, name, fault, remedy FROM flagsmith.installation_health ORDER BY kind COLLATE "C", relation COLLATE "C", name COLLATE "C";

-- Guards: as pg_restore --disable-triggers leaves them, disabled, dropped, made harmless, put on one verb only.
BEGIN;
ALTER TABLE flagsmith.delivery ENABLE TRIGGER delivery_guard;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
ALTER TABLE flagsmith.audit_effect ENABLE REPLICA TRIGGER audit_effect_guard;
DROP TRIGGER audit_log_guard ON flagsmith.audit_log;
ALTER TRIGGER delivery_repeat_guard ON flagsmith.delivery_repeat RENAME TO another;
DROP TRIGGER name_guard ON flagsmith.name;
DROP TRIGGER inbox_insert ON flagsmith.inbox;
CREATE TRIGGER name_guard BEFORE UPDATE ON flagsmith.name FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
DROP VIEW flagsmith.drop_extension_would_delete_the_flag_history;
SELECT * FROM fault;
SELECT cardinality(installation), installation[1] FROM flagsmith.webhook_health WHERE webhook = 'installation';
-- Registering a webhook arms them again.
SELECT count(*) FROM flagsmith.add_webhook('installation 2', 'a secret of some length', source => 'installation');
SELECT * FROM fault;
SET LOCAL session_replication_role = replica;
SAVEPOINT s;
DELETE FROM flagsmith.delivery;
ROLLBACK TO s;
DELETE FROM flagsmith.flag_change;
ROLLBACK TO s;
TRUNCATE flagsmith.audit_log;
ROLLBACK TO s;
TRUNCATE flagsmith.name;
ROLLBACK TO s;
SET LOCAL session_replication_role = origin;
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('installation', 'x', 'x') RETURNING outcome;
ROLLBACK;

BEGIN;
CREATE OR REPLACE FUNCTION flagsmith._guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN NULL; END $$;
SELECT * FROM fault;
ROLLBACK;

-- Indexes: dropped, renamed, under another definition, invalid; the remedies are statements.
BEGIN;
DROP INDEX flagsmith.delivery_undecoded_idx;
ALTER TABLE flagsmith.delivery DROP CONSTRAINT delivery_event_key;
ALTER INDEX flagsmith.audit_log_audit_id_idx RENAME TO "Another";
DROP INDEX flagsmith.delivery_webhook_idx;
CREATE INDEX delivery_webhook_idx ON flagsmith.delivery (webhook, stored_at);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'flagsmith.delivery_stored_at_idx'::regclass;
SELECT * FROM fault;
SELECT installation FROM flagsmith.webhook_health WHERE webhook = 'installation';
SELECT remedy FROM fault WHERE remedy IS NOT NULL \gexec
SELECT * FROM fault;
ROLLBACK;

-- A table that was renamed, or whose columns changed.
BEGIN;
ALTER TABLE flagsmith.webhook RENAME TO elsewhere;
ALTER TABLE flagsmith.pruning ADD COLUMN another integer;
ALTER TABLE flagsmith.pruning ALTER COLUMN bodies TYPE integer;
SELECT kind, name, fault FROM fault WHERE kind = 'table';
SELECT count(*) > 2 AS told FROM (SELECT unnest(installation) FROM flagsmith.webhook_health WHERE webhook = 'installation') AS _;
ROLLBACK;

-- What is no fault: tuning, an index of one's own, and whatever is in front of the path of who looks.
BEGIN;
ALTER INDEX flagsmith.delivery_webhook_idx SET (fillfactor = 70);
CREATE INDEX regress_fsw_own ON flagsmith.delivery (octet_length(body));
CREATE FUNCTION pg_temp.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 1;
CREATE SCHEMA regress_fsw_trap;
CREATE FUNCTION regress_fsw_trap.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 1;
SET LOCAL search_path = regress_fsw_trap, flagsmith, pg_catalog;
SELECT * FROM fault;
ROLLBACK;

-- A reader sees it, and can mend nothing.
CREATE ROLE regress_fsw_installation;
SELECT flagsmith.grant_reader('regress_fsw_installation');
SET ROLE regress_fsw_installation;
SELECT count(*) FROM flagsmith.installation_health;
SELECT flagsmith._protect_history();
RESET ROLE;
DROP OWNED BY regress_fsw_installation;
DROP ROLE regress_fsw_installation;
DELETE FROM flagsmith.webhook_secret WHERE webhook = 'installation';
DELETE FROM flagsmith.webhook WHERE source = 'installation';
