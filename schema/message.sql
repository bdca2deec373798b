-- related_object_type may be NULL, so not STRICT.
CREATE FUNCTION flagsmith.parse_log(
    log text,
    related_object_type text,
    OUT action text,
    OUT object text,
    OUT feature text,
    OUT segment text,
    OUT identity text,
    OUT environment text,
    OUT change_request text,
    OUT name text,
    OUT scheduled_for text,
    OUT audit_effect text,
    OUT ambiguous boolean,
    OUT splits jsonb
)
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_parse_log_sql';
COMMENT ON FUNCTION flagsmith.parse_log(text, text) IS 'what the log text of an audit entry says: action, object, names, and every way to split it into names';
