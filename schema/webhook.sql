CREATE TABLE flagsmith.webhook (
    name            text NOT NULL,
    source          text NOT NULL DEFAULT 'default',
    scope           text,
    environment_id  bigint,
    enabled         boolean NOT NULL DEFAULT true,
    allow_unsigned  boolean NOT NULL DEFAULT false,
    max_spool_age   interval DEFAULT '1 day',
    notify          boolean NOT NULL DEFAULT false,
    rejected_limit  bigint NOT NULL DEFAULT 16777216,
    audit_ids_shared boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at      timestamptz,
    CONSTRAINT webhook_pkey PRIMARY KEY (name),
    -- A receiver ignores one slash at the end of a path.  Both are parts of keys, so that longer ones fail in an index.
    CONSTRAINT webhook_name_check CHECK (name <> '' AND octet_length(name) <= 255 AND right(name, 1) <> '/'),
    CONSTRAINT webhook_source_check CHECK (source <> '' AND octet_length(source) <= 255),
    CONSTRAINT webhook_max_spool_age_check CHECK (max_spool_age >= '0' AND max_spool_age <= '100 years'),
    CONSTRAINT webhook_rejected_limit_check CHECK (rejected_limit >= 0),
    CONSTRAINT webhook_scope_check CHECK (scope IN ('environment', 'organisation'))
);
COMMENT ON TABLE flagsmith.webhook IS 'One row for each webhook registered in Flagsmith.';
COMMENT ON COLUMN flagsmith.webhook.name IS 'Name that a receiver gives with each delivery, usually the last part of the URL; it does not end in a slash.';
COMMENT ON COLUMN flagsmith.webhook.source IS 'Which Flagsmith installation it belongs to: ids are unique within one source.';
COMMENT ON COLUMN flagsmith.webhook.scope IS 'Where it is configured in Flagsmith: environment, organisation, or NULL where not said.';
COMMENT ON COLUMN flagsmith.webhook.environment_id IS 'Flagsmith''s id of the environment of an environment webhook, which says where a NEW_VERSION_PUBLISHED belongs; bodies about another one are rejected.';
COMMENT ON COLUMN flagsmith.webhook.enabled IS 'Deliveries to a disabled webhook raise an error.';
COMMENT ON COLUMN flagsmith.webhook.allow_unsigned IS 'Whether a delivery without a signature is accepted; one that has a signature is verified all the same.';
COMMENT ON COLUMN flagsmith.webhook.max_spool_age IS 'How far back a receiver may date a delivery with received_at; NULL takes what is claimed.';
COMMENT ON COLUMN flagsmith.webhook.notify IS 'Whether each stored flag change is announced on the channel flagsmith_flag.';
COMMENT ON COLUMN flagsmith.webhook.rejected_limit IS 'How many bytes of refused deliveries the table rejected keeps; 0 keeps nothing.';
COMMENT ON COLUMN flagsmith.webhook.audit_ids_shared IS 'Whether other organisations take ids of audit entries in between, as on the hosted service, so that none is missing where ids have holes; of one webhook, it holds for its source.';
COMMENT ON COLUMN flagsmith.webhook.created_at IS 'When it was registered; secrets that are older belong to an earlier registration and verify nothing.';
COMMENT ON COLUMN flagsmith.webhook.removed_at IS 'When remove_webhook() ended it. The row stays, since history is read by its environment_id.';
SELECT pg_catalog.pg_extension_config_dump('flagsmith.webhook', '');

-- No NOT NULL, no CHECK and no identity column: whatever constraint fails prints the whole row, the secret included.  A NULL
-- only makes a secret useless or its validity unbounded.  No statistics either, and no foreign key to or from it, so that a
-- dump can leave its data out.
CREATE SEQUENCE flagsmith.webhook_secret_id_seq AS bigint;
CREATE TABLE flagsmith.webhook_secret (
    id              bigint DEFAULT nextval('flagsmith.webhook_secret_id_seq'),
    webhook         text,
    secret          text,
    valid_from      timestamptz DEFAULT '-infinity',
    valid_until     timestamptz DEFAULT 'infinity',
    created_at      timestamptz DEFAULT clock_timestamp(),
    ended_at        timestamptz
);
ALTER SEQUENCE flagsmith.webhook_secret_id_seq OWNED BY flagsmith.webhook_secret.id;
ALTER TABLE flagsmith.webhook_secret ALTER COLUMN secret SET STATISTICS 0;
ALTER TABLE flagsmith.webhook_secret REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX webhook_secret_id_idx ON flagsmith.webhook_secret (id);
CREATE INDEX webhook_secret_webhook_idx ON flagsmith.webhook_secret (webhook);
COMMENT ON TABLE flagsmith.webhook_secret IS 'The secrets that deliveries are verified with. No view or function returns the secret itself.';
COMMENT ON COLUMN flagsmith.webhook_secret.secret IS 'The shared secret, as entered in Flagsmith; its UTF-8 bytes are the key.';
COMMENT ON COLUMN flagsmith.webhook_secret.valid_from IS 'Deliveries received from this instant on may be signed with it.';
COMMENT ON COLUMN flagsmith.webhook_secret.valid_until IS 'Deliveries received from this instant on may no longer be signed with it.';
COMMENT ON COLUMN flagsmith.webhook_secret.created_at IS 'When it was added here.';
COMMENT ON COLUMN flagsmith.webhook_secret.ended_at IS 'When it was ended for every delivery, whatever arrival is claimed: by retire_secret(…, at_once => true) or remove_webhook().';
COMMENT ON COLUMN flagsmith.webhook_secret.id IS 'By which everything else names the secret.';
COMMENT ON COLUMN flagsmith.webhook_secret.webhook IS 'The webhook whose deliveries it verifies.';
SELECT pg_catalog.pg_extension_config_dump('flagsmith.webhook_secret', '');
SELECT pg_catalog.pg_extension_config_dump('flagsmith.webhook_secret_id_seq', '');

-- However a secret is changed or removed, by a function or by hand, that is an event.
CREATE FUNCTION flagsmith._record_secret() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    another boolean;
BEGIN
    -- Where events come by logical replication, an id made here would be one of the publisher's.
    IF flagsmith._is_subscriber() THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO flagsmith.evidence_event (kind, webhook, subject, valid_from, valid_until)
            VALUES ('secret removed', OLD.webhook, OLD.id, OLD.valid_from, OLD.valid_until);
    ELSIF OLD IS DISTINCT FROM NEW THEN
        -- An assignment is no statement of its own, so nothing can show the secret as its parameter.
        another := NEW.secret IS DISTINCT FROM OLD.secret;
        INSERT INTO flagsmith.evidence_event (kind, webhook, subject, valid_from, valid_until, detail)
            VALUES ('secret changed', NEW.webhook, NEW.id, NEW.valid_from, NEW.valid_until,
                nullif(concat_ws(', ',
                    CASE WHEN NEW.ended_at IS DISTINCT FROM OLD.ended_at THEN 'ended at ' || coalesce((extract(epoch FROM NEW.ended_at) * 1000000)::bigint::text, 'never') END,
                    CASE WHEN another THEN 'another secret' END,
                    CASE WHEN NEW.id IS DISTINCT FROM OLD.id THEN 'its id was ' || coalesce(OLD.id::text, 'null') END,
                    CASE WHEN NEW.webhook IS DISTINCT FROM OLD.webhook THEN 'its webhook was another' END), ''));
    END IF;
    RETURN NULL;
END;
$function$;
COMMENT ON FUNCTION flagsmith._record_secret() IS 'record that a secret was changed or removed, never the secret';
CREATE TRIGGER webhook_secret_record AFTER UPDATE OR DELETE ON flagsmith.webhook_secret
    FOR EACH ROW EXECUTE FUNCTION flagsmith._record_secret();
ALTER TABLE flagsmith.webhook_secret ENABLE ALWAYS TRIGGER webhook_secret_record;

CREATE FUNCTION flagsmith.add_secret(webhook text, secret text,
    valid_from timestamptz DEFAULT '-infinity', valid_until timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'fsw_add_secret';
COMMENT ON FUNCTION flagsmith.add_secret(text, text, timestamptz, timestamptz) IS 'add a secret that deliveries to a webhook may be signed with, and return its id';

CREATE FUNCTION flagsmith.retire_secret(secret_id bigint, valid_until timestamptz DEFAULT now(), at_once boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    valid_until := coalesce(valid_until, now());
    IF at_once AND valid_until > now() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a webhook secret cannot be ended at once in the future';
    END IF;
    -- Whatever copies there are of it: what is retired must not verify through another row.
    UPDATE flagsmith.webhook_secret AS s
        SET valid_until = CASE WHEN s.id = named.id AND NOT at_once THEN valid_until ELSE least(s.valid_until, valid_until) END,
            ended_at = CASE WHEN at_once THEN coalesce(s.ended_at, now()) ELSE s.ended_at END
        FROM flagsmith.webhook_secret AS named
        WHERE named.id = secret_id AND (s.id = named.id OR s.webhook = named.webhook AND s.secret = named.secret);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('webhook secret %s does not exist', coalesce(secret_id::text, 'null')),
            HINT = 'flagsmith.secret_usage lists the secrets by id.';
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith.retire_secret(bigint, timestamptz, boolean) IS 'end the validity of a secret: deliveries received from then on may not be signed with it, or, at once, none that comes from now on';

CREATE FUNCTION flagsmith.add_webhook(name text, secret text DEFAULT NULL, source text DEFAULT 'default',
    scope text DEFAULT NULL, environment_id bigint DEFAULT NULL, allow_unsigned boolean DEFAULT false,
    max_spool_age interval DEFAULT '1 day', notify boolean DEFAULT false, audit_ids_shared boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    secret_id bigint;
    before bigint;
BEGIN
    PERFORM flagsmith._refuse_on_subscriber();
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook name must not be empty';
    END IF;
    IF right(name, 1) = '/' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('webhook name "%s" must not end in a slash', name),
            DETAIL = 'A receiver ignores a slash at the end of a path, so that no delivery could name it.';
    END IF;
    IF octet_length(name) > 255 OR octet_length(source) > 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook name and source must not be longer than 255 bytes';
    END IF;
    IF source = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook source must not be empty';
    END IF;
    IF scope NOT IN ('environment', 'organisation') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('webhook scope "%s" does not exist', scope),
            HINT = 'Give environment, organisation or null.';
    END IF;
    IF max_spool_age < interval '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook max_spool_age must not be negative';
    ELSIF max_spool_age > interval '100 years' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook max_spool_age must not be longer than 100 years',
            HINT = 'Give null to take what a receiver claims.';
    END IF;
    -- One that was removed may come back, with what it brought before: that is read by its environment.
    SELECT w.environment_id INTO before FROM flagsmith.webhook AS w WHERE w.name = name AND w.removed_at IS NOT NULL;
    IF before <> coalesce(environment_id, before) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('webhook "%s" was registered for environment %s before', name, before),
            DETAIL = 'What it brought then is read as of that environment.',
            HINT = 'Choose another name.';
    END IF;
    INSERT INTO flagsmith.webhook AS w (name, source, scope, environment_id, allow_unsigned, max_spool_age, notify, audit_ids_shared)
        VALUES (name, coalesce(source, 'default'), scope, coalesce(environment_id, before), coalesce(allow_unsigned, false),
            max_spool_age, coalesce(notify, false), coalesce(audit_ids_shared, false))
        ON CONFLICT ON CONSTRAINT webhook_pkey DO UPDATE
            SET source = excluded.source, scope = excluded.scope, environment_id = excluded.environment_id, enabled = true,
                allow_unsigned = excluded.allow_unsigned, max_spool_age = excluded.max_spool_age, notify = excluded.notify,
                audit_ids_shared = excluded.audit_ids_shared, created_at = greatest(excluded.created_at, w.removed_at), removed_at = NULL
            WHERE w.removed_at IS NOT NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = format('webhook "%s" already exists', name);
    END IF;
    IF secret IS NOT NULL THEN
        -- An assignment is no statement of its own, so nothing can show the secret as its parameter.
        secret_id := flagsmith.add_secret(name, secret, '-infinity', 'infinity');
    ELSIF NOT coalesce(allow_unsigned, false) THEN
        RAISE NOTICE USING MESSAGE = format('webhook "%s" rejects every delivery until it has a secret', name),
            HINT = 'Add it with flagsmith.add_secret() or flagsmith-add-secret.';
    END IF;
    PERFORM flagsmith._protect_history();

    RETURN format('In Flagsmith, under %s settings > Webhooks, enter the URL of your receiver for "%s"%s, and enable it.',
        CASE scope WHEN 'environment' THEN 'environment' WHEN 'organisation' THEN 'organisation'
            ELSE 'environment or organisation' END,
        name,
        CASE WHEN secret IS NULL AND coalesce(allow_unsigned, false) THEN ', with an empty secret'
            ELSE ', with the same secret as here' END);
END;
$function$;
COMMENT ON FUNCTION flagsmith.add_webhook(text, text, text, text, bigint, boolean, interval, boolean, boolean) IS 'register a webhook, with its first secret if given, and return what to enter in Flagsmith';

CREATE FUNCTION flagsmith._set_webhook_enabled(name text, enabled boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    PERFORM flagsmith._refuse_on_subscriber();
    UPDATE flagsmith.webhook AS w SET enabled = enabled WHERE w.name = name AND w.removed_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('webhook "%s" does not exist', name),
            HINT = 'Register it with flagsmith.add_webhook().';
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._set_webhook_enabled(text, boolean) IS 'enable or disable a webhook that is registered, or raise';

CREATE FUNCTION flagsmith.enable_webhook(name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT flagsmith._set_webhook_enabled(name, true); END;
COMMENT ON FUNCTION flagsmith.enable_webhook(text) IS 'accept deliveries to a webhook again';

CREATE FUNCTION flagsmith.disable_webhook(name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT flagsmith._set_webhook_enabled(name, false); END;
COMMENT ON FUNCTION flagsmith.disable_webhook(text) IS 'refuse deliveries to a webhook with an error, which a receiver answers with 404';

CREATE FUNCTION flagsmith.remove_webhook(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    PERFORM flagsmith._set_webhook_enabled(name, false);
    UPDATE flagsmith.webhook AS w SET removed_at = clock_timestamp() WHERE w.name = name;
    UPDATE flagsmith.webhook_secret AS s SET ended_at = clock_timestamp() WHERE s.webhook = name AND s.ended_at IS NULL;
END;
$function$;
COMMENT ON FUNCTION flagsmith.remove_webhook(text) IS 'end a webhook and its secrets; what it brought stays, and so does what was refused';
