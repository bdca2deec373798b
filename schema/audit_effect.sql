CREATE TABLE flagsmith.audit_effect (
    delivery        bigint NOT NULL,
    ordinal         integer NOT NULL,
    split           integer NOT NULL,
    source          text NOT NULL,
    project_id      bigint,
    environment_id  bigint,
    kind            text NOT NULL,
    feature_id      bigint,
    feature_hash    bigint,
    scope_hash      bigint,
    segment_id      bigint,
    version         text,
    occurred_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    stored_at       timestamptz NOT NULL,
    CONSTRAINT audit_effect_pkey PRIMARY KEY (delivery, ordinal, split),
    CONSTRAINT audit_effect_kind_check CHECK (kind IN ('state', 'value', 'override', 'removal', 'variant', 'version', 'feature_created',
        'feature_deleted', 'environment_created', 'segment_deleted', 'scheduled', 'reordered'))
);
COMMENT ON TABLE flagsmith.audit_effect IS 'Each thing that an audit entry says may have changed, one row for each way to split an ambiguous message.';
COMMENT ON COLUMN flagsmith.audit_effect.delivery IS 'The delivery of the audit entry.';
COMMENT ON COLUMN flagsmith.audit_effect.ordinal IS 'The ordinal of the audit entry.';
COMMENT ON COLUMN flagsmith.audit_effect.split IS 'Which way to split the message, from 1.';
COMMENT ON COLUMN flagsmith.audit_effect.kind IS 'What may have changed: state, value (saved apart from the state), override, removal, variant, version, feature_created, feature_deleted, environment_created, segment_deleted, scheduled or reordered (the overrides by segment).';
COMMENT ON COLUMN flagsmith.audit_effect.feature_id IS 'The feature, where the entry gives its id.';
COMMENT ON COLUMN flagsmith.audit_effect.feature_hash IS 'flagsmith._hash() of ''feature:'' and the name, where the message names one.';
COMMENT ON COLUMN flagsmith.audit_effect.scope_hash IS 'flagsmith._hash() of ''segment:'' or ''identity:'' and the name of an override; NULL for the environment default.';
COMMENT ON COLUMN flagsmith.audit_effect.segment_id IS 'The segment, where the entry gives its id.';
COMMENT ON COLUMN flagsmith.audit_effect.version IS 'The uuid of a published version.';
COMMENT ON COLUMN flagsmith.audit_effect.occurred_at IS 'The entry''s created_date.';
COMMENT ON COLUMN flagsmith.audit_effect.received_at IS 'The delivery''s received_at.';
COMMENT ON COLUMN flagsmith.audit_effect.stored_at IS 'The delivery''s stored_at.';
COMMENT ON COLUMN flagsmith.audit_effect.source IS 'Which Flagsmith installation sent it.';
COMMENT ON COLUMN flagsmith.audit_effect.project_id IS 'The project of the entry.';
COMMENT ON COLUMN flagsmith.audit_effect.environment_id IS 'The environment of the entry; NULL where it is about the whole project.';
CREATE TRIGGER audit_effect_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.audit_effect
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.audit_effect ENABLE ALWAYS TRIGGER audit_effect_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.audit_effect', '');
