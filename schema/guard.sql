-- History is append-only.  The triggers fire ALWAYS, so session_replication_role does not switch them off; the one
-- bypass is a variable inside the module that only its own functions set.
CREATE FUNCTION flagsmith._guard() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'fsw_guard';
COMMENT ON FUNCTION flagsmith._guard() IS 'refuse UPDATE, DELETE and TRUNCATE of an append-only table';
