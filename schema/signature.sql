CREATE FUNCTION flagsmith.sign(body bytea, secret text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_sign';
COMMENT ON FUNCTION flagsmith.sign(bytea, text) IS 'the signature that Flagsmith sends with a body: hexadecimal HMAC-SHA256';

CREATE FUNCTION flagsmith.verify_signature(body bytea, signature text, VARIADIC secrets text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_verify_signature';
COMMENT ON FUNCTION flagsmith.verify_signature(bytea, text, text[]) IS 'verify the signature of a webhook delivery against any of several secrets';
