-- What the catalogs must say of everything that the extension made.  Each query but the last returns no row; the last
-- prints the surface of the functions, which changes only on purpose.
SET search_path = pg_catalog;

CREATE TEMP VIEW member AS
SELECT d.classid, d.objid
FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'flagsmith_webhook';

CREATE TEMP VIEW member_function AS
SELECT p.*, l.lanname
FROM member m
JOIN pg_proc p ON p.oid = m.objid
JOIN pg_language l ON l.oid = p.prolang
WHERE m.classid = 'pg_proc'::regclass;

CREATE TEMP VIEW member_relation AS
SELECT c.*
FROM member m
JOIN pg_class c ON c.oid = m.objid
WHERE m.classid = 'pg_class'::regclass;

-- There is something to look at.
SELECT count(*) > 0 AS functions FROM member_function;
SELECT count(*) > 0 AS relations FROM member_relation;

-- Outside of the schema flagsmith.
SELECT pg_describe_object(m.classid, m.objid, 0)
FROM member m
CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, 0) i
WHERE i.schema IS DISTINCT FROM 'flagsmith' AND (i.type <> 'schema' OR i.name <> 'flagsmith');

-- Without a comment.  Helpers, whose names start with an underscore, are no exception; row types of tables, members since
-- PostgreSQL 17, are.
SELECT pg_describe_object(m.classid, m.objid, 0)
FROM member m
WHERE obj_description(m.objid, m.classid::regclass::text::name) IS NULL
    AND NOT EXISTS (SELECT FROM pg_class c WHERE m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind IN ('i', 'S'))
    AND NOT EXISTS (SELECT FROM pg_type t WHERE m.classid = 'pg_type'::regclass AND t.oid = m.objid AND (t.typrelid <> 0 OR t.typelem <> 0))
ORDER BY 1;

-- A column of a table or a public view without a comment.
SELECT c.relname, a.attname
FROM member_relation c
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'v') AND c.relname NOT LIKE '\_%' AND a.attnum > 0 AND NOT a.attisdropped
    AND col_description(c.oid, a.attnum) IS NULL
ORDER BY c.relname COLLATE "C", a.attnum;

-- SECURITY DEFINER without the pinned path, pg_temp last.
SELECT oid::regprocedure
FROM member_function
WHERE prosecdef AND NOT ('search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}')));

-- A body in SQL or plpgsql whose names are looked up when it runs, with the path of the caller.
SELECT oid::regprocedure
FROM member_function
WHERE lanname IN ('sql', 'plpgsql') AND prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM unnest(proconfig) setting WHERE setting LIKE 'search_path=%');

-- Granted to PUBLIC.
SELECT p.oid::regprocedure, a.privilege_type
FROM member_function p
CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE a.grantee = 0;

SELECT c.oid::regclass, a.privilege_type
FROM member_relation c
CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE a.grantee = 0;

SELECT n.nspname, a.privilege_type
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(n.nspacl) a
WHERE n.nspname = 'flagsmith' AND a.grantee = 0;

-- A table or sequence whose rows a dump would leave out.
SELECT c.oid::regclass
FROM member_relation c
WHERE c.relkind IN ('r', 'p', 'S')
    AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'flagsmith_webhook' AND c.oid = ANY (e.extconfig));

-- A trigger on a table that fires on INSERT: it would fire again when a dump is restored.
SELECT t.tgrelid::regclass, t.tgname
FROM pg_trigger t
JOIN member_relation c ON c.oid = t.tgrelid
WHERE c.relkind = 'r' AND t.tgtype::integer & 4 <> 0;

-- A table of history without its guard, or one that a setting switches off.
SELECT c.relname
FROM member_relation c
WHERE c.relkind = 'r' AND c.relname NOT IN ('webhook', 'webhook_secret', 'rejected', 'rejected_count', 'history_mark')
    AND NOT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = c.oid AND t.tgname = c.relname || '_guard' AND t.tgenabled = 'A'
            -- before, statement: update, delete, truncate
            AND t.tgtype::integer = 2 | 8 | 16 | 32
            AND t.tgfoid = 'flagsmith._guard()'::regprocedure
    );

-- A C function that is not ours by name.
SELECT oid::regprocedure, prosrc FROM member_function WHERE lanname = 'c' AND prosrc NOT LIKE 'fsw\_%';

-- LEAKPROOF.
SELECT oid::regprocedure FROM member_function WHERE proleakproof;

-- A foreign key whose columns have no index.
SELECT f.conrelid::regclass, f.conname
FROM pg_constraint f
JOIN member_relation c ON c.oid = f.conrelid
WHERE f.contype = 'f'
    AND NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = f.conrelid AND (i.indkey::smallint[])[0:cardinality(f.conkey) - 1] @> f.conkey
    );

-- A column whose type blocks pg_upgrade.
SELECT a.attrelid::regclass, a.attname, a.atttypid::regtype
FROM pg_attribute a
JOIN member_relation c ON c.oid = a.attrelid
WHERE c.relkind IN ('r', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid IN ('oid'::regtype, 'regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype,
        'regoperator'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype,
        'regcollation'::regtype);

-- A view that does not say whose rights it reads with.
SELECT c.oid::regclass
FROM member_relation c
WHERE c.relkind = 'v'
    AND NOT EXISTS (SELECT FROM unnest(c.reloptions) option WHERE option LIKE 'security\_invoker=%');

-- The secrets' column with statistics, or with a constraint that would print the row.
SELECT a.attname FROM pg_attribute a
WHERE a.attrelid = 'flagsmith.webhook_secret'::regclass AND a.attname = 'secret' AND (a.attstattarget IS DISTINCT FROM 0 OR a.attnotnull);
SELECT conname FROM pg_constraint WHERE conrelid = 'flagsmith.webhook_secret'::regclass AND contype NOT IN ('p', 'n');

-- A view over the secrets that shows the secret.
SELECT DISTINCT r.ev_class::regclass
FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'flagsmith.webhook_secret'::regclass AND a.attname = 'secret';

-- The surface; unaligned, so that a new function is one new line.
\pset format unaligned
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS function,
    CASE WHEN p.prokind = 'p' THEN 'procedure' ELSE pg_get_function_result(p.oid) END AS result,
    CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
    p.proisstrict AS strict,
    CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
    p.prosecdef AS definer
FROM member_function p
-- sql/instant.sql has those beside the functions with an instant, which only raise
WHERE p.prosrc <> 'fsw_instant_without_zone'
ORDER BY p.proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C";
