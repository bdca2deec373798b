-- Roles: what the grants to receivers, callers, readers and witnesses give, as the whole matrix of role, object and verb out of
-- the catalogs, and that each role can do its work and nothing beside.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('privilege', 'a secret of the privileged', source => 'privilege', max_spool_age => NULL);

CREATE ROLE regress_flagsmith_nobody;
CREATE ROLE regress_flagsmith_receiver;
CREATE ROLE regress_flagsmith_caller;
CREATE ROLE "regress_flagsmith_Reader ""x""";
CREATE ROLE regress_flagsmith_witness;
CREATE ROLE regress_flagsmith_sealer;
SELECT flagsmith.grant_receiver('regress_flagsmith_receiver');
SELECT flagsmith.grant_caller('regress_flagsmith_caller');
SELECT flagsmith.grant_reader('"regress_flagsmith_Reader ""x"""');
SELECT flagsmith.grant_witness('regress_flagsmith_witness');
SELECT flagsmith.grant_witness('regress_flagsmith_sealer', may_seal => true);
-- Twice is once.
SELECT flagsmith.grant_receiver('regress_flagsmith_receiver');

CREATE TEMP VIEW role AS
SELECT oid, rolname, regexp_replace(lower(rolname), '^regress_flagsmith_(\w+).*', '\1') AS role
FROM pg_roles WHERE rolname LIKE 'regress\_flagsmith\_%';

-- Everything in the schema that has rights, by what the server itself would say.
CREATE TEMP VIEW matrix AS
SELECT r.role, 'schema' AS kind, n.nspname::text AS object, v.verb
FROM role r CROSS JOIN pg_namespace n CROSS JOIN (VALUES ('CREATE'), ('USAGE')) AS v (verb)
WHERE n.nspname = 'flagsmith' AND has_schema_privilege(r.oid, n.oid, v.verb)
UNION ALL
SELECT r.role, 'relation', c.relname, v.verb
FROM role r CROSS JOIN pg_class c
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) AS v (verb)
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND has_table_privilege(r.oid, c.oid, v.verb)
UNION ALL
SELECT r.role, 'column', c.relname || '.' || a.attname, v.verb
FROM role r CROSS JOIN pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('REFERENCES')) AS v (verb)
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
    AND NOT has_table_privilege(r.oid, c.oid, v.verb) AND has_column_privilege(r.oid, c.oid, a.attnum, v.verb)
UNION ALL
SELECT r.role, 'sequence', c.relname, v.verb
FROM role r CROSS JOIN pg_class c CROSS JOIN (VALUES ('USAGE'), ('SELECT'), ('UPDATE')) AS v (verb)
-- one that belongs to an identity column has no rights of its own to give away
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'S' AND has_sequence_privilege(r.oid, c.oid, v.verb)
UNION ALL
SELECT r.role, 'function', p.oid::regprocedure::text, v.verb
FROM role r CROSS JOIN pg_proc p CROSS JOIN (VALUES ('EXECUTE')) AS v (verb)
-- sql/instant.sql has those beside the functions with an instant, which only raise
WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.prosrc <> 'fsw_instant_without_zone' AND has_function_privilege(r.oid, p.oid, v.verb)
UNION ALL
-- row types and arrays have no rights of their own
SELECT r.role, 'type', t.oid::regtype::text, 'USAGE'
FROM role r CROSS JOIN pg_type t
WHERE t.typnamespace = 'flagsmith'::regnamespace AND t.typrelid = 0 AND t.typelem = 0 AND has_type_privilege(r.oid, t.oid, 'USAGE');
SELECT role, kind, object, string_agg(verb, ', ' ORDER BY verb COLLATE "C") AS verbs
FROM matrix GROUP BY role, kind, object
ORDER BY role COLLATE "C", kind COLLATE "C", object COLLATE "C";

-- No right may be passed on, and nothing is any role's by way of PUBLIC or of what the owner will create.
SELECT c.relname, a.grantee::regrole FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.relnamespace = 'flagsmith'::regnamespace AND a.is_grantable AND a.grantee <> c.relowner;
SELECT role, object FROM matrix WHERE role = 'nobody';

-- The receiver: its one statement, and nothing else.
\set body '\\x7b226576656e745f74797065223a20224752414e54227d'
SELECT flagsmith.sign(:'body', 'a secret of the privileged') AS signature \gset
SET ROLE regress_flagsmith_receiver;
SET client_min_messages = error;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) VALUES ('privilege', :'signature', :'body', '2026-01-01 00:00Z')
RETURNING delivery_id IS NOT NULL AS has_id, outcome, reason;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) VALUES ('privilege', :'signature', :'body', '2026-01-01 00:00Z')
RETURNING delivery_id IS NOT NULL AS has_id, outcome, reason;
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('privilege', 'x', '{}') RETURNING delivery_id, outcome, reason;
COPY flagsmith.inbox (webhook, body) FROM stdin;
\.
SELECT delivery_id, outcome, reason FROM flagsmith.inbox;
-- What it gave it does not get back, and what it may not say it cannot say.
INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('privilege', 'x', '{}') RETURNING body;
INSERT INTO flagsmith.inbox (webhook, signature, body, outcome) VALUES ('privilege', 'x', '{}', 'stored');
INSERT INTO flagsmith.inbox (webhook, signature, body, delivery_id) VALUES ('privilege', 'x', '{}', 1);
SELECT webhook FROM flagsmith.inbox;
SELECT count(*) FROM flagsmith.delivery;
SELECT count(*) FROM flagsmith.rejected;
SELECT secret FROM flagsmith.webhook_secret;
INSERT INTO flagsmith.delivery (source, received_at, stored_at, event_at, digest) VALUES ('x', now(), now(), now(), '');
SELECT flagsmith.readmit('privilege');
SELECT flagsmith.add_secret('privilege', 'a secret of the intruder');
SELECT flagsmith.sign('{}', 'x');
SELECT nextval('flagsmith.delivery_id_seq');
CREATE TEMP TABLE forged (webhook text, signature text, body bytea);
CREATE TRIGGER forged BEFORE INSERT ON forged FOR EACH ROW EXECUTE FUNCTION flagsmith._inbox_insert();
RESET ROLE;

-- The caller: answers by functions alone.
SET ROLE regress_flagsmith_caller;
SELECT flagsmith.is_feature_enabled('no such environment', 'no such feature') IS NULL AS answered,
    flagsmith.get_feature_value('no such environment', 'no such feature', now()) IS NULL AS answered;
SELECT count(*) FROM flagsmith.flag_change;
SELECT count(*) FROM flagsmith.name;
SELECT flagsmith.sign('{}', 'x');
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('privilege', '{}');
RESET ROLE;

-- The reader: history and answers, but no bodies, no signatures, no secrets, and no change.
SET ROLE "regress_flagsmith_Reader ""x""";
SELECT count(*) >= 0 AS read FROM flagsmith.flag_change;
SELECT count(*) >= 0 AS read FROM flagsmith.current_state;
SELECT count(*) >= 0 AS read FROM flagsmith.history;
SELECT count(*) AS answered FROM flagsmith.is_feature_enabled('no such environment', 'no such feature');
SELECT body FROM flagsmith.delivery;
SELECT signature FROM flagsmith.rejected;
SELECT secret FROM flagsmith.webhook_secret;
DELETE FROM flagsmith.flag_change;
UPDATE flagsmith.webhook SET allow_unsigned = true;
SELECT flagsmith.retire_secret(1);
SELECT flagsmith.prune_bodies('infinity');
SELECT flagsmith.prune_history('infinity');
SELECT flagsmith.rebuild();
SELECT flagsmith.import_audit_log('{}');
CREATE TEMP TABLE answer AS SELECT confidence FROM flagsmith.current_state WHERE false;
SELECT flagsmith.add_webhook('mine', 'a secret of the intruder');
SELECT flagsmith.grant_receiver('regress_flagsmith_nobody');
RESET ROLE;

-- The witness: checkpoints and proofs, and nothing that they are made of; it seals only if it may.
SET ROLE regress_flagsmith_witness;
SELECT flagsmith.checkpoint('example.com/flags') LIKE E'example.com/flags\n%' AS told, cardinality(flagsmith.consistency_proof(0)) AS hashes;
SELECT flagsmith.seal();
SELECT count(*) FROM flagsmith.tree_tile;
SELECT count(*) FROM flagsmith.delivery;
SELECT count(*) FROM flagsmith.verify_seals();
SELECT flagsmith.verify_delivery(1);
BEGIN;
SET LOCAL ROLE regress_flagsmith_sealer;
SELECT flagsmith.seal() > 0 AS sealed;
ROLLBACK;
SET ROLE regress_flagsmith_sealer;
SELECT count(*) FROM flagsmith.seal;
DELETE FROM flagsmith.seal;
RESET ROLE;

-- Row security on a table holds for who selects from it; answers are given past it, as docs/security.md says.
BEGIN;
SET LOCAL client_min_messages = error;
UPDATE flagsmith.webhook SET allow_unsigned = true WHERE name = 'privilege';
INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('privilege', convert_to('{"event_type": "FLAG_UPDATED", "data": {
    "changed_by": "ada@example.com", "timestamp": "2026-01-02T00:00:00.000000Z", "new_state": {"enabled": true, "feature_state_value": 50,
    "environment": {"id": 512, "name": "Production"}, "feature": {"id": 4102, "name": "page_size", "project": {"id": 77, "name": "Secluded"}},
    "feature_segment": null, "identity": null, "identity_identifier": null, "multivariate_feature_state_values": []}}}', 'UTF8'), '2026-01-02 00:00:01Z')
RETURNING outcome, reason;
ALTER TABLE flagsmith.flag_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY none_of_it ON flagsmith.flag_change USING (false);
SET LOCAL ROLE "regress_flagsmith_Reader ""x""";
SELECT count(*) FROM flagsmith.flag_change WHERE project = 'Secluded';
SELECT flagsmith.get_feature_value('privilege/Secluded/Production', 'page_size');
SELECT feature, value FROM flagsmith.environment_state('privilege/Secluded/Production', '2026-01-03 00:00Z');
SELECT count(*) FROM flagsmith.current_state WHERE project = 'Secluded';
SELECT count(*) FROM flagsmith.history WHERE project = 'Secluded';
ROLLBACK;

-- Nobody: not even the schema.
SET ROLE regress_flagsmith_nobody;
SELECT flagsmith.is_feature_enabled('no such environment', 'no such feature');
RESET ROLE;

-- A caller's own objects do not get into ours: neither tables, functions nor operators of its search_path.
CREATE SCHEMA regress_flagsmith_trap;
GRANT USAGE, CREATE ON SCHEMA regress_flagsmith_trap TO regress_flagsmith_receiver;
SET ROLE regress_flagsmith_receiver;
CREATE FUNCTION regress_flagsmith_trap.trap(text, text) RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'sprung by %', current_user; END $$;
CREATE OPERATOR regress_flagsmith_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_flagsmith_trap.trap);
CREATE FUNCTION regress_flagsmith_trap.now() RETURNS timestamptz LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'sprung by %', current_user; END $$;
CREATE TEMP TABLE webhook (name text);
CREATE TEMP TABLE delivery (id bigint);
SET search_path = regress_flagsmith_trap, pg_temp, pg_catalog;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) VALUES ('privilege', :'signature', :'body', '2026-01-01 00:00Z')
RETURNING outcome;
RESET search_path;
RESET ROLE;

DROP SCHEMA regress_flagsmith_trap CASCADE;
DROP OWNED BY regress_flagsmith_receiver, regress_flagsmith_caller, "regress_flagsmith_Reader ""x""", regress_flagsmith_nobody,
    regress_flagsmith_witness, regress_flagsmith_sealer;
DROP ROLE regress_flagsmith_receiver, regress_flagsmith_caller, "regress_flagsmith_Reader ""x""", regress_flagsmith_nobody,
    regress_flagsmith_witness, regress_flagsmith_sealer;
DELETE FROM flagsmith.rejected WHERE webhook = 'privilege';
