CREATE TABLE flagsmith.webhook (
    name            text NOT NULL,
    source          text NOT NULL DEFAULT 'default',
    scope           text,
    environment_id  bigint,
    enabled         boolean NOT NULL DEFAULT true,
    allow_unsigned  boolean NOT NULL DEFAULT false,
    max_spool_age   interval DEFAULT '1 day',
    notify          boolean NOT NULL DEFAULT false,
    keep_rejected   boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_pkey PRIMARY KEY (name),
    CONSTRAINT webhook_name_check CHECK (name <> '' AND name NOT LIKE '%/'),
    CONSTRAINT webhook_source_check CHECK (source <> ''),
    CONSTRAINT webhook_scope_check CHECK (scope IN ('environment', 'organisation'))
);
COMMENT ON TABLE flagsmith.webhook IS 'One row for each webhook registered in Flagsmith.';
COMMENT ON COLUMN flagsmith.webhook.name IS 'Name that a receiver gives with each delivery, usually the last part of the URL; it does not end in a slash.';
COMMENT ON COLUMN flagsmith.webhook.source IS 'Which Flagsmith installation it belongs to: ids are unique within one source.';
COMMENT ON COLUMN flagsmith.webhook.scope IS 'Where it is configured in Flagsmith: environment, organisation, or NULL where not said.';
COMMENT ON COLUMN flagsmith.webhook.environment_id IS 'Flagsmith''s id of the environment of an environment webhook, which says where a NEW_VERSION_PUBLISHED belongs.';
COMMENT ON COLUMN flagsmith.webhook.enabled IS 'Deliveries to a disabled webhook raise an error.';
COMMENT ON COLUMN flagsmith.webhook.allow_unsigned IS 'Whether a delivery without a signature is accepted; one that has a signature is verified all the same.';
COMMENT ON COLUMN flagsmith.webhook.max_spool_age IS 'How far back a receiver may date a delivery with received_at; NULL takes what is claimed.';
COMMENT ON COLUMN flagsmith.webhook.notify IS 'Whether each stored flag change is announced on the channel flagsmith_flag.';
COMMENT ON COLUMN flagsmith.webhook.keep_rejected IS 'Whether refused deliveries are kept in the bounded table rejected.';
COMMENT ON COLUMN flagsmith.webhook.created_at IS 'When it was registered.';
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
    created_at      timestamptz DEFAULT now()
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
SELECT pg_catalog.pg_extension_config_dump('flagsmith.webhook_secret', '');
SELECT pg_catalog.pg_extension_config_dump('flagsmith.webhook_secret_id_seq', '');

CREATE FUNCTION flagsmith.add_secret(webhook text, secret text,
    valid_from timestamptz DEFAULT '-infinity', valid_until timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'fsw_add_secret';
COMMENT ON FUNCTION flagsmith.add_secret(text, text, timestamptz, timestamptz) IS 'add a secret that deliveries to a webhook may be signed with, and return its id';

CREATE FUNCTION flagsmith.retire_secret(secret_id bigint, valid_until timestamptz DEFAULT now()) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    UPDATE flagsmith.webhook_secret AS s SET valid_until = valid_until WHERE s.id = secret_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('webhook secret %s does not exist', coalesce(secret_id::text, 'null')),
            HINT = 'flagsmith.secret_usage lists the secrets by id.';
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith.retire_secret(bigint, timestamptz) IS 'end the validity of a secret: deliveries received from then on may not be signed with it';

CREATE FUNCTION flagsmith.add_webhook(name text, secret text DEFAULT NULL, source text DEFAULT 'default',
    scope text DEFAULT NULL, environment_id bigint DEFAULT NULL, allow_unsigned boolean DEFAULT false,
    max_spool_age interval DEFAULT '1 day', notify boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    secret_id bigint;
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook name must not be empty';
    END IF;
    IF name LIKE '%/' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook name must not end in a slash',
            DETAIL = 'A receiver ignores one at the end of a URL.';
    END IF;
    IF scope NOT IN ('environment', 'organisation') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('webhook scope "%s" does not exist', scope),
            HINT = 'Give environment, organisation or null.';
    END IF;
    IF max_spool_age < interval '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'webhook max_spool_age must not be negative';
    END IF;
    INSERT INTO flagsmith.webhook (name, source, scope, environment_id, allow_unsigned, max_spool_age, notify)
        VALUES (name, coalesce(source, 'default'), scope, environment_id, coalesce(allow_unsigned, false),
            max_spool_age, coalesce(notify, false))
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = format('webhook "%s" already exists', name);
    END IF;
    IF secret IS NOT NULL THEN
        -- An assignment is no statement of its own, so nothing can show the secret as its parameter.
        secret_id := flagsmith.add_secret(name, secret, '-infinity', 'infinity');
    ELSIF NOT coalesce(allow_unsigned, false) THEN
        RAISE NOTICE USING MESSAGE = format('webhook "%s" rejects every delivery until it has a secret', name),
            HINT = 'Add it with flagsmith.add_secret() or tools/add-secret.';
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
COMMENT ON FUNCTION flagsmith.add_webhook(text, text, text, text, bigint, boolean, interval, boolean) IS 'register a webhook, with its first secret if given, and return what to enter in Flagsmith';

CREATE FUNCTION flagsmith._set_webhook_enabled(name text, enabled boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    UPDATE flagsmith.webhook AS w SET enabled = enabled WHERE w.name = name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('webhook "%s" does not exist', name),
            HINT = 'Register it with flagsmith.add_webhook().';
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._set_webhook_enabled(text, boolean) IS 'enable or disable a webhook';

CREATE FUNCTION flagsmith.enable_webhook(name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT flagsmith._set_webhook_enabled(name, true); END;
COMMENT ON FUNCTION flagsmith.enable_webhook(text) IS 'accept deliveries to a webhook again';

CREATE FUNCTION flagsmith.disable_webhook(name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT flagsmith._set_webhook_enabled(name, false); END;
COMMENT ON FUNCTION flagsmith.disable_webhook(text) IS 'refuse deliveries to a webhook with an error, which a receiver answers with 404';
