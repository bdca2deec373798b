-- Append-only: nobody changes or removes history by DML, the owner and superusers included, by whatever way.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('guard', 'a secret of the guard', source => 'guard');
SET client_min_messages = error;
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'guard', flagsmith.sign(b, 'a secret of the guard'), b FROM convert_to('{"event_type": "GUARD"}', 'UTF8') b;
RESET client_min_messages;

-- Each verb on each table of history; whether a row would be met does not matter.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    message text;
    code text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
    RETURN code || ' ' || message;
END;
$function$;
CREATE TEMP VIEW history_table AS
SELECT c.oid, c.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = 1) AS first
FROM pg_class c
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE c.relkind = 'r' AND c.relnamespace = 'flagsmith'::regnamespace
    AND c.relname NOT IN ('webhook', 'webhook_secret', 'rejected', 'rejected_count', 'history_mark');
CREATE TEMP VIEW attempted AS
SELECT relname, verb, pg_temp.attempt(format(template, relname, first)) AS result
FROM history_table
CROSS JOIN (VALUES
    ('UPDATE', 'UPDATE flagsmith.%1$I SET %2$I = %2$I'),
    ('UPDATE of no row', 'UPDATE flagsmith.%1$I SET %2$I = %2$I WHERE false'),
    ('DELETE', 'DELETE FROM flagsmith.%1$I'),
    ('TRUNCATE', 'TRUNCATE flagsmith.%1$I'),
    ('TRUNCATE CASCADE', 'TRUNCATE flagsmith.%1$I CASCADE'),
    ('MERGE UPDATE', 'MERGE INTO flagsmith.%1$I t USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET %2$I = t.%2$I'),
    ('MERGE DELETE', 'MERGE INTO flagsmith.%1$I t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE'),
    ('in a CTE', 'WITH gone AS (DELETE FROM flagsmith.%1$I RETURNING 1) SELECT count(*) FROM gone')
) AS _ (verb, template);
SELECT verb, result FROM attempted WHERE relname = 'delivery' ORDER BY verb COLLATE "C";
SELECT * FROM attempted WHERE result NOT LIKE '55000 cannot %';
SELECT count(DISTINCT relname) >= 7 AS tables FROM attempted;
SELECT pg_temp.attempt($$INSERT INTO flagsmith.delivery SELECT * FROM flagsmith.delivery WHERE source = 'guard'
    ON CONFLICT (id) DO UPDATE SET source = 'forged'$$);

-- As a replica, where ordinary triggers do not fire, and with a setting of whatever name.
SET session_replication_role = replica;
SELECT DISTINCT left(result, 5) AS code FROM attempted;
SET session_replication_role = origin;
SELECT set_config('flagsmith_webhook.history_writable', 'on', false);
\echo :LAST_ERROR_SQLSTATE
SELECT DISTINCT left(result, 5) AS code FROM attempted;

-- As a role that was given everything, and as a function of the owner.
CREATE ROLE regress_flagsmith_all;
GRANT USAGE ON SCHEMA flagsmith TO regress_flagsmith_all;
GRANT ALL ON ALL TABLES IN SCHEMA flagsmith TO regress_flagsmith_all;
GRANT SELECT ON history_table, attempted TO regress_flagsmith_all;
SET ROLE regress_flagsmith_all;
SELECT DISTINCT left(result, 5) AS code FROM attempted;
RESET ROLE;

-- The door of our own functions is shut behind them, also when they fail half-way or a savepoint takes them back.
INSERT INTO flagsmith.inbox (webhook, signature, body)
SELECT 'guard', flagsmith.sign(b, 'a secret of the guard'), b FROM convert_to('{"event_type": "GUARD"}', 'UTF8') b
RETURNING outcome;
BEGIN;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
SELECT 'guard', signature, body, received_at FROM flagsmith.delivery WHERE source = 'guard' RETURNING outcome;
SAVEPOINT s;
DELETE FROM flagsmith.delivery;
ROLLBACK TO s;
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('no such webhook', '', '{}');
ROLLBACK TO s;
DELETE FROM flagsmith.delivery;
ROLLBACK;
DELETE FROM flagsmith.delivery;

-- Called in another way it raises, too.
SELECT flagsmith._guard();
\echo :LAST_ERROR_SQLSTATE

DROP OWNED BY regress_flagsmith_all;
DROP ROLE regress_flagsmith_all;
