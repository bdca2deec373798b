-- Last: whatever the parts before created is nobody's but the owner's, whatever default privileges the installing role has.
-- The server keeps the rights of this moment as those of the extension, so that a dump has what was granted afterwards.
SELECT flagsmith._revoke_all(classid, objid)
FROM pg_catalog.pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_catalog.pg_extension'::regclass
    AND refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'flagsmith_webhook');
