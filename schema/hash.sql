-- Stored hashes are of UTF-8 bytes by a function that is defined by bytes, so that rows mean the same in another database.
CREATE FUNCTION flagsmith._hash(text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_hash_text';
COMMENT ON FUNCTION flagsmith._hash(text) IS 'SipHash-2-4 of the UTF-8 bytes, as columns of audit effects and indexes of names have it';
