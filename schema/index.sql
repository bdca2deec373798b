-- The indexes that C code searches directly are made of the list that it knows them by, in src/read/relation.c: what they are
-- stands there once.  Those that only statements use stand beside their tables.
CREATE FUNCTION flagsmith._index_statements() RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_index_statements';
COMMENT ON FUNCTION flagsmith._index_statements() IS 'the statements that make the indexes which are searched directly; keys come with their tables';

DO $do$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY flagsmith._index_statements() LOOP
        EXECUTE statement;
    END LOOP;
END;
$do$;
