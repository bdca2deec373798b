-- Before the extension is there: whatever the role that installs it gives away by default, nothing of the extension is given.
-- All in one transaction that is taken back.
\set SHOW_CONTEXT never
BEGIN;
CREATE ROLE regress_fsw_default;
CREATE ROLE "regress_fsw Default ""2""";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_fsw_default;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "regress_fsw Default ""2""" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_fsw_default, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON ROUTINES TO regress_fsw_default WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO regress_fsw_default WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_fsw_default;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC;
-- What the owner keeps from itself it has of the extension all the same.
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM CURRENT_USER;
CREATE EXTENSION flagsmith_webhook;
-- The view that is created later is no exception.
SELECT count(*) FROM flagsmith.add_webhook('default privilege', allow_unsigned => true);

CREATE TEMP VIEW object AS
SELECT 'relation' AS kind, c.oid::regclass::text AS object, c.relowner AS owner, c.relacl AS acl, c.oid
FROM pg_class c WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind IN ('r', 'v', 'S')
UNION ALL
SELECT 'column', a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl, c.oid
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind IN ('r', 'v') AND a.attacl IS NOT NULL
UNION ALL
SELECT 'function', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), p.oid
FROM pg_proc p WHERE p.pronamespace = 'flagsmith'::regnamespace
UNION ALL
SELECT 'type', t.oid::regtype::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)), t.oid
FROM pg_type t WHERE t.typnamespace = 'flagsmith'::regnamespace AND t.typrelid = 0 AND t.typelem = 0
UNION ALL
SELECT 'schema', n.nspname, n.nspowner, n.nspacl, n.oid
FROM pg_namespace n WHERE n.nspname = 'flagsmith';
SELECT kind, count(*) > 0 AS looked_at FROM object GROUP BY kind ORDER BY kind;
-- Anyone but the owner.
SELECT o.kind, o.object, a.grantee::regrole, a.privilege_type
FROM object o CROSS JOIN LATERAL aclexplode(o.acl) a
WHERE a.grantee <> o.owner;
-- The owner without all.
SELECT o.kind, o.object, d.privilege_type
FROM object o
CROSS JOIN LATERAL aclexplode(acldefault(CASE o.kind WHEN 'function' THEN 'f' WHEN 'type' THEN 'T' WHEN 'schema' THEN 'n' ELSE 'r' END::"char", o.owner)) d
WHERE d.grantee = o.owner AND o.acl IS NOT NULL AND o.kind <> 'column'
    AND o.object NOT LIKE '%\_seq'
    AND NOT EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = o.owner AND a.privilege_type = d.privilege_type);
-- In the server's own words, for the members one by one: what it takes to read secrets, prune or go on.
SELECT r.rolname, o.kind, o.object
FROM object o CROSS JOIN pg_roles r
WHERE r.rolname LIKE 'regress\_fsw%'
    AND CASE o.kind
        WHEN 'function' THEN has_function_privilege(r.oid, o.oid, 'EXECUTE')
        WHEN 'type' THEN has_type_privilege(r.oid, o.oid, 'USAGE')
        WHEN 'schema' THEN has_schema_privilege(r.oid, o.oid, 'USAGE, CREATE')
        ELSE CASE WHEN o.object LIKE '%\_seq' THEN has_sequence_privilege(r.oid, o.oid, 'USAGE, SELECT, UPDATE')
            ELSE has_any_column_privilege(r.oid, o.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
                OR has_table_privilege(r.oid, o.oid, 'DELETE, TRUNCATE, TRIGGER') END END;
-- What is granted afterwards is no part of the extension's own rights, which a dump leaves out.
SELECT flagsmith.grant_reader('regress_fsw_default');
SELECT count(*) > 0 AS own, count(*) FILTER (WHERE a.grantee = 'regress_fsw_default'::regrole) AS of_the_reader
FROM pg_init_privs p CROSS JOIN LATERAL aclexplode(p.initprivs) a
JOIN object o ON o.oid = p.objoid;
-- And no right that a default gave holds on to the role.
DROP OWNED BY regress_fsw_default, "regress_fsw Default ""2""";
DROP ROLE regress_fsw_default, "regress_fsw Default ""2""";
ROLLBACK;
