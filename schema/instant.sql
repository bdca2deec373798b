-- A timestamp without time zone is another instant in each session's zone, and the server would convert it without a word.  So
-- each function that takes an instant stands beside one that raises for such a value.  They are made of the functions as they
-- are, so that none is forgotten.  A literal is no timestamp yet: of the two it finds the one with a zone.
DO $do$
DECLARE
    door record;
    made regprocedure;
BEGIN
    FOR door IN
        SELECT p.oid, p.proname, pg_catalog.pg_get_function_result(p.oid) AS result,
            pg_catalog.regexp_replace(pg_catalog.pg_get_function_arguments(p.oid), '\mat timestamp with time zone( DEFAULT [^,]+)?',
                'at timestamp without time zone') AS arguments
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'flagsmith'::pg_catalog.regnamespace AND pg_catalog.left(p.proname, 1) <> '_'
            AND pg_catalog.pg_get_function_identity_arguments(p.oid) ~ '\mat timestamp with time zone\M'
        ORDER BY p.oid
    LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION flagsmith.%I(%s) RETURNS %s LANGUAGE c STABLE PARALLEL SAFE
            AS ''MODULE_PATHNAME'', ''fsw_instant_without_zone''', door.proname, door.arguments, door.result);
        SELECT p.oid INTO made FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = 'flagsmith'::pg_catalog.regnamespace AND p.prosrc = 'fsw_instant_without_zone'
                AND pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL;
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s IS %L', made, 'raises: an instant must have a time zone');
    END LOOP;
END;
$do$;
