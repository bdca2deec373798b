-- Roles are cluster-wide and can be planted, so the extension makes none: it grants to roles that exist already.  Nothing
-- is granted to anyone else.  What a role needs stands here once, in lists.

CREATE FUNCTION flagsmith.grant_receiver(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA flagsmith TO %s', role);
    EXECUTE format('GRANT INSERT (webhook, signature, body, received_at) ON flagsmith.inbox TO %s', role);
    EXECUTE format('GRANT SELECT (delivery_id, outcome, reason) ON flagsmith.inbox TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.receive(text, bytea, jsonb, timestamptz) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.receive(text, text, jsonb, timestamptz) TO %s', role);
END;
$function$;
COMMENT ON FUNCTION flagsmith.grant_receiver(regrole) IS 'let a role insert deliveries and see what became of each, and nothing else';

CREATE FUNCTION flagsmith.grant_caller(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    routine text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA flagsmith TO %s', role);
    FOREACH routine IN ARRAY flagsmith._caller_routines() LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine::regprocedure, role);
    END LOOP;
    -- What only raises, for a timestamp without time zone: without the right to it the message would be about that.
    FOR routine IN SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.prosrc = 'fsw_instant_without_zone' AND NOT p.proname ~ '^import_' LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine, role);
    END LOOP;
END;
$function$;
COMMENT ON FUNCTION flagsmith.grant_caller(regrole) IS 'let a role call the scalar lookups, for policies, triggers and joins';

CREATE FUNCTION flagsmith.grant_reader(role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    routine text;
    relation text;
BEGIN
    PERFORM flagsmith.grant_caller(role);
    EXECUTE format('GRANT USAGE ON TYPE flagsmith.confidence TO %s', role);
    FOREACH relation IN ARRAY flagsmith._reader_relations() LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', relation::regclass, role);
    END LOOP;
    FOREACH routine IN ARRAY flagsmith._reader_routines() LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine::regprocedure, role);
    END LOOP;
END;
$function$;
COMMENT ON FUNCTION flagsmith.grant_reader(regrole) IS 'let a role read history and answers, but no bodies, signatures or secrets';

CREATE FUNCTION flagsmith.grant_witness(role regrole, may_seal boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA flagsmith TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.checkpoint(text) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.consistency_proof(bigint, bigint) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.inclusion_proof(bigint, bigint) TO %s', role);
    IF may_seal THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION flagsmith.seal() TO %s', role);
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith.grant_witness(regrole, boolean) IS 'let a role read checkpoints and proofs, and seal before if it may, and nothing else';

CREATE FUNCTION flagsmith._caller_routines() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[
        'flagsmith.get_feature_value(bigint, bigint, timestamptz, timestamptz, text)',
        'flagsmith.get_feature_value(text, text)',
        'flagsmith.get_feature_value(text, text, timestamptz)',
        'flagsmith.get_feature_value(text, text, timestamptz, timestamptz)',
        'flagsmith.get_feature_value_text(bigint, bigint, timestamptz, timestamptz, text)',
        'flagsmith.get_feature_value_text(text, text)',
        'flagsmith.get_feature_value_text(text, text, timestamptz)',
        'flagsmith.get_feature_value_text(text, text, timestamptz, timestamptz)',
        'flagsmith.history_position()',
        'flagsmith.is_feature_enabled(bigint, bigint, timestamptz, timestamptz, text)',
        'flagsmith.is_feature_enabled(text, text)',
        'flagsmith.is_feature_enabled(text, text, timestamptz)',
        'flagsmith.is_feature_enabled(text, text, timestamptz, timestamptz)'
    ]::text[];
COMMENT ON FUNCTION flagsmith._caller_routines() IS 'what grant_caller() lets a role call';

CREATE FUNCTION flagsmith._reader_routines() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[
        'flagsmith._cell(text, integer)',
        'flagsmith._columns(text)',
        'flagsmith._draw_lines(text, text, bigint, bigint, text, timestamptz, timestamptz)',
        'flagsmith._draw_svg(text, text, bigint, bigint, text, timestamptz, timestamptz, integer)',
        'flagsmith._drawn_acts(text, bigint, bigint[], timestamptz, timestamptz)',
        'flagsmith._drawn_bars(text, bigint, bigint[], timestamptz, timestamptz, integer)',
        'flagsmith._drawn_flags(text, text, bigint, bigint, text, timestamptz)',
        'flagsmith._drawn_patterns(text)',
        'flagsmith._drawn_range(text, bigint, bigint[], timestamptz, timestamptz)',
        'flagsmith._drawn_rect(text, integer, numeric, numeric, boolean, integer, flagsmith.confidence, text)',
        'flagsmith._drawn_state(boolean, jsonb, jsonb, flagsmith.confidence)',
        'flagsmith._drawn_stretches(text, bigint, bigint[], timestamptz, timestamptz)',
        'flagsmith._drawn_variants(jsonb)',
        'flagsmith._environment_flags(text, bigint)',
        'flagsmith._flag_now(text, bigint, bigint)',
        'flagsmith._flag_periods(text, bigint, bigint, timestamptz)',
        'flagsmith._hash(text)',
        'flagsmith._history_before(text, bigint, bigint, text, bigint, text, timestamptz, bigint[], json)',
        'flagsmith._history_feature(bigint, integer)',
        'flagsmith._history_line(text, bigint, integer, timestamptz)',
        'flagsmith._history_person(bigint, integer)',
        'flagsmith._history_summary(text, text, text, text, text, text, text, text, text, boolean, jsonb, jsonb, text)',
        'flagsmith._installation_fault()',
        'flagsmith._long(text, text, text)',
        'flagsmith._name(text, text, text, timestamptz)',
        'flagsmith._shades()',
        'flagsmith._subscription_health()',
        'flagsmith._whole()',
        'flagsmith._xml(text)',
        'flagsmith.decode_audit_log(jsonb)',
        'flagsmith.decode_flag_change(jsonb)',
        'flagsmith.environment_state(bigint, timestamptz, timestamptz, text)',
        'flagsmith.environment_state(text, timestamptz, timestamptz)',
        'flagsmith.feature_state(bigint, bigint, timestamptz, bigint[], text, timestamptz, text)',
        'flagsmith.feature_state(text, text, timestamptz, bigint[], text, timestamptz)',
        'flagsmith.parse_log(text, text)',
        'flagsmith.sign(bytea, text)',
        'flagsmith.timeline(bigint, bigint, timestamptz, timestamptz, text)',
        'flagsmith.timeline(text, text, timestamptz, timestamptz)',
        'flagsmith.timeline_svg(bigint, bigint, timestamptz, timestamptz, integer, text)',
        'flagsmith.timeline_svg(text, text, timestamptz, timestamptz, integer)',
        'flagsmith.verify_signature(bytea, text, text[])'
    ]::text[];
COMMENT ON FUNCTION flagsmith._reader_routines() IS 'what grant_reader() lets a role call besides the scalar lookups';

CREATE FUNCTION flagsmith._reader_relations() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[
        'flagsmith.audit_effect',
        'flagsmith.audit_id_reused',
        'flagsmith.audit_log',
        'flagsmith.current_state',
        'flagsmith.environment',
        'flagsmith.flag_change',
        'flagsmith.flag_timeline',
        'flagsmith.history',
        'flagsmith.history_gap',
        'flagsmith.installation_health',
        'flagsmith.missing_audit_entry',
        'flagsmith.name',
        'flagsmith.secret_usage',
        'flagsmith.subscription_health',
        'flagsmith.undecoded_delivery',
        'flagsmith.version_published',
        'flagsmith.webhook_health'
    ]::text[];
COMMENT ON FUNCTION flagsmith._reader_relations() IS 'what grant_reader() lets a role read';

-- What ALTER DEFAULT PRIVILEGES gave away when an object was created, and what PUBLIC has of functions and types unless told
-- otherwise.
CREATE FUNCTION flagsmith._revoke_all(class regclass, object oid) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    named   text;
    owner   oid;
    acl     aclitem[];
    grantee oid;
BEGIN
    CASE class
        WHEN 'pg_class'::regclass THEN
            SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass, relowner,
                nullif(relacl || ARRAY(SELECT unnest(attacl) FROM pg_attribute WHERE attrelid = c.oid), '{}')
            INTO named, owner, acl FROM pg_class c WHERE c.oid = object AND relkind IN ('r', 'v', 'm', 'p', 'f', 'S');
        WHEN 'pg_proc'::regclass THEN
            SELECT 'ROUTINE ' || oid::regprocedure, proowner, coalesce(proacl, acldefault('f', proowner))
            INTO named, owner, acl FROM pg_proc WHERE oid = object;
        WHEN 'pg_type'::regclass THEN
            -- The row type of a table and an array have no rights of their own.
            SELECT 'TYPE ' || oid::regtype, typowner, coalesce(typacl, acldefault('T', typowner))
            INTO named, owner, acl FROM pg_type WHERE oid = object AND typrelid = 0 AND typelem = 0;
        WHEN 'pg_namespace'::regclass THEN
            SELECT 'SCHEMA ' || oid::regnamespace, nspowner, nspacl
            INTO named, owner, acl FROM pg_namespace WHERE oid = object;
        ELSE
            NULL;
    END CASE;
    FOR grantee IN SELECT DISTINCT a.grantee FROM aclexplode(acl) a WHERE a.grantee <> owner LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', named, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END);
    END LOOP;
    IF acl IS NOT NULL THEN
        EXECUTE format('GRANT ALL ON %s TO %s', named, owner::regrole);
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._revoke_all(regclass, oid) IS 'take every right on an object from everyone but its owner';
