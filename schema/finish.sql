-- What _installation_fault() compares with.  A constant in a function and no table: a dump must not bring it to a server that
-- prints definitions in other words, and CREATE EXTENSION there makes it anew.  An update script that changes any of them does, too.
DO $do$
BEGIN
    EXECUTE format('CREATE FUNCTION flagsmith._installed() RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN %L::pg_catalog.jsonb',
        (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(g)) FROM flagsmith._installation() g));
END;
$do$;
COMMENT ON FUNCTION flagsmith._installed() IS 'the tables, indexes and triggers as they were installed';

-- Last: whatever the parts before created is nobody's but the owner's, whatever default privileges the installing role has.
-- The server keeps the rights of this moment as those of the extension, so that a dump has what was granted afterwards.
SELECT flagsmith._revoke_all(classid, objid)
FROM pg_catalog.pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_catalog.pg_extension'::regclass
    AND refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'flagsmith_webhook');
