-- Evidence that the history is what it was: a Merkle tree over it, whose root somebody else keeps.  docs/evidence.md.

CREATE TABLE flagsmith.tree_tile (
    level       smallint NOT NULL,
    tile        bigint NOT NULL,
    hashes      bytea NOT NULL,
    refs        bytea,
    deliveries  int8range,
    CONSTRAINT tree_tile_pkey PRIMARY KEY (level, tile)
);
-- Hashes do not compress.
ALTER TABLE flagsmith.tree_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE INDEX tree_tile_deliveries_idx ON flagsmith.tree_tile USING gist (deliveries);
COMMENT ON TABLE flagsmith.tree_tile IS 'The Merkle tree over what was sealed, 256 hashes in a row.';
COMMENT ON COLUMN flagsmith.tree_tile.level IS '0: hashes of leaves; above it, hashes over the full tiles of the level below.';
COMMENT ON COLUMN flagsmith.tree_tile.tile IS 'Counts up from 0 on each level.';
COMMENT ON COLUMN flagsmith.tree_tile.hashes IS 'Up to 256 SHA-256 hashes of 32 bytes; fewer only in the last tile of a level.';
COMMENT ON COLUMN flagsmith.tree_tile.refs IS 'Which rows the leaves were made of, packed; only on level 0.';
COMMENT ON COLUMN flagsmith.tree_tile.deliveries IS 'The least and the greatest id of the deliveries among them.';
CREATE TRIGGER tree_tile_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.tree_tile
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.tree_tile ENABLE ALWAYS TRIGGER tree_tile_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.tree_tile', '');

-- No sequence: one session seals at a time, and the ids have no gap.
CREATE TABLE flagsmith.seal (
    id                 bigint NOT NULL,
    size               bigint NOT NULL,
    root               bytea NOT NULL,
    sealed_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    highest            bigint[] NOT NULL,
    settled            bigint[] NOT NULL,
    next_xid           bigint NOT NULL,
    system_identifier  bigint NOT NULL,
    CONSTRAINT seal_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE flagsmith.seal IS 'One row for each call of seal() that sealed or settled something.';
COMMENT ON COLUMN flagsmith.seal.id IS 'Counts up by one.';
COMMENT ON COLUMN flagsmith.seal.size IS 'How many leaves the tree has with it.';
COMMENT ON COLUMN flagsmith.seal.root IS 'The root of the tree of that size.';
COMMENT ON COLUMN flagsmith.seal.sealed_at IS 'When, by this server''s clock.';
COMMENT ON COLUMN flagsmith.seal.highest IS 'The highest id sealed so far, for each kind of leaf.';
COMMENT ON COLUMN flagsmith.seal.settled IS 'The id up to which every row is sealed or never comes, for each kind of leaf.';
COMMENT ON COLUMN flagsmith.seal.next_xid IS 'The next transaction id, read after the rows.';
COMMENT ON COLUMN flagsmith.seal.system_identifier IS 'The server that sealed.';
CREATE TRIGGER seal_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.seal
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.seal ENABLE ALWAYS TRIGGER seal_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.seal', '');

CREATE FUNCTION flagsmith.seal() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_seal';
COMMENT ON FUNCTION flagsmith.seal() IS 'append what was committed and has no leaf yet to the tree, and return how many leaves that made; one session at a time, off the path of deliveries';

CREATE FUNCTION flagsmith.checkpoint(origin text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    IF origin IS NULL OR origin = '' OR origin ~ '[[:space:][:cntrl:]+]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'origin must be a name without white space, control characters and "+"',
            HINT = 'Take one that nobody else has, such as example.com/flags.';
    END IF;
    RETURN coalesce(
        (SELECT format(E'%s\n%s\n%s\n', origin, s.size, encode(s.root, 'base64')) FROM flagsmith.seal s ORDER BY s.id DESC LIMIT 1),
        format(E'%s\n0\n%s\n', origin, encode(sha256(''), 'base64')));
END;
$function$;
COMMENT ON FUNCTION flagsmith.checkpoint(text) IS 'the text of a C2SP tlog-checkpoint for a witness to sign: the origin as given, the size of the tree, its root';

CREATE FUNCTION flagsmith.consistency_proof(from_size bigint, to_size bigint DEFAULT NULL) RETURNS bytea[]
    LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_consistency_proof';
COMMENT ON FUNCTION flagsmith.consistency_proof(bigint, bigint) IS 'that the tree of one size is the beginning of that of another, or of the newest: RFC 9162, section 2.1.4';

CREATE FUNCTION flagsmith.inclusion_proof(delivery bigint, size bigint DEFAULT NULL,
    OUT leaf_index bigint, OUT tree_size bigint, OUT leaf bytea, OUT hashes bytea[])
    LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_inclusion_proof';
COMMENT ON FUNCTION flagsmith.inclusion_proof(bigint, bigint) IS 'that a delivery is in the tree of a size, or in the newest: its leaf and the hashes from there to the root, RFC 9162, section 2.1.3';

CREATE FUNCTION flagsmith._verify_seals(from_size bigint, to_size bigint,
    OUT finding text, OUT relation text, OUT id bigint, OUT leaf_index bigint, OUT detail text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_verify_seals';
COMMENT ON FUNCTION flagsmith._verify_seals(bigint, bigint) IS 'part of verify_seals(): leaves, tree and digests of bodies';

CREATE FUNCTION flagsmith._verify_pruned(
    OUT finding text, OUT relation text, OUT id bigint, OUT leaf_index bigint, OUT detail text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_verify_pruned';
COMMENT ON FUNCTION flagsmith._verify_pruned() IS 'part of verify_seals(): typed rows of which no body tells any more';

CREATE FUNCTION flagsmith.verify_seals(from_size bigint DEFAULT 0, to_size bigint DEFAULT NULL, typed boolean DEFAULT false,
    OUT finding text, OUT relation text, OUT id bigint, OUT leaf_index bigint, OUT detail text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    first bigint;
    last bigint;
BEGIN
    RETURN QUERY SELECT v.* FROM flagsmith._verify_seals(from_size, to_size) v;
    IF typed THEN
        IF from_size > 0 OR to_size IS NOT NULL THEN
            SELECT min(lower(t.deliveries)), max(upper(t.deliveries)) - 1 INTO first, last
                FROM flagsmith.tree_tile t
                WHERE t.level = 0 AND t.tile >= from_size / 256 AND (to_size IS NULL OR t.tile < (to_size + 255) / 256);
        END IF;
        RETURN QUERY
        SELECT CASE r.difference WHEN 'extra' THEN 'added' WHEN 'different' THEN 'changed' ELSE r.difference END,
            r.relation, r.delivery, NULL::bigint,
            concat_ws(', ', 'row ' || r.ordinal, 'split ' || r.split, nullif(array_to_string(r.columns, ', '), ''))
        FROM flagsmith.rebuild(dry_run => true, first => first, last => last) r
        -- Bodies were looked at above.
        WHERE r.difference IN ('extra', 'different', 'missing');
        RETURN QUERY SELECT v.* FROM flagsmith._verify_pruned() v;
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith.verify_seals(bigint, bigint, boolean) IS 'compute what was sealed again from what is there, all or from one size of the tree to another, and list what was changed, what is missing, what was added and what was pruned, each by its id, typed rows by that of their delivery; typed: decode the bodies again as well';

CREATE FUNCTION flagsmith.verify_delivery(id bigint, OUT verified boolean, OUT secret_id bigint, OUT reason text)
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_verify_delivery';
COMMENT ON FUNCTION flagsmith.verify_delivery(bigint) IS 'verify Flagsmith''s signature of a stored body again, with the secret of then, or with that of the setting flagsmith_webhook.secret; null where it cannot be told';
