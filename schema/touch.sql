CREATE TABLE flagsmith.touch (
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
    at              timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    stored_at       timestamptz NOT NULL,
    CONSTRAINT touch_pkey PRIMARY KEY (delivery, ordinal, split),
    CONSTRAINT touch_kind_check CHECK (kind IN ('state', 'value', 'override', 'removal', 'variant', 'version', 'feature_created',
        'feature_updated', 'feature_deleted', 'environment_created', 'segment_deleted', 'scheduled'))
);
CREATE INDEX touch_feature_hash_idx ON flagsmith.touch (feature_hash, environment_id, hashtextextended(source, 0), scope_hash, at);
-- What decides which states count at all: when the feature came and went, whether it is published in versions, and what changed for
-- all environments.
CREATE INDEX touch_life_idx ON flagsmith.touch (feature_hash, hashtextextended(source, 0), kind, environment_id, at)
    WHERE kind IN ('feature_created', 'feature_deleted', 'version') OR (environment_id IS NULL AND kind IN ('feature_updated', 'variant'));
CREATE INDEX touch_feature_id_idx ON flagsmith.touch (source, feature_id, at) WHERE feature_id IS NOT NULL;
CREATE INDEX touch_segment_idx ON flagsmith.touch (source, segment_id, at) WHERE kind = 'segment_deleted';
CREATE INDEX touch_environment_idx ON flagsmith.touch (source, environment_id, at) WHERE kind = 'environment_created';
CREATE INDEX touch_version_idx ON flagsmith.touch (hashtextextended(version, 0)) WHERE version IS NOT NULL;
COMMENT ON TABLE flagsmith.touch IS 'Each thing that an audit entry says may have changed, one row for each way to split an ambiguous message.';
COMMENT ON COLUMN flagsmith.touch.delivery IS 'The delivery of the audit entry.';
COMMENT ON COLUMN flagsmith.touch.ordinal IS 'The ordinal of the audit entry.';
COMMENT ON COLUMN flagsmith.touch.split IS 'Which way to split the message, from 1.';
COMMENT ON COLUMN flagsmith.touch.kind IS 'What may have changed: state, value (saved apart from the state), override, removal, variant, version, feature_created, feature_updated, feature_deleted, environment_created, segment_deleted or scheduled.';
COMMENT ON COLUMN flagsmith.touch.feature_id IS 'The feature, where the entry gives its id.';
COMMENT ON COLUMN flagsmith.touch.feature_hash IS 'flagsmith._hash() of ''feature:'' and the name, where the message names one.';
COMMENT ON COLUMN flagsmith.touch.scope_hash IS 'flagsmith._hash() of ''segment:'' or ''identity:'' and the name of an override; NULL for the environment default.';
COMMENT ON COLUMN flagsmith.touch.segment_id IS 'The segment, where the entry gives its id.';
COMMENT ON COLUMN flagsmith.touch.version IS 'The uuid of a published version.';
COMMENT ON COLUMN flagsmith.touch.at IS 'The entry''s created_date.';
COMMENT ON COLUMN flagsmith.touch.received_at IS 'The delivery''s received_at.';
COMMENT ON COLUMN flagsmith.touch.stored_at IS 'The delivery''s stored_at.';
CREATE TRIGGER touch_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.touch
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.touch ENABLE ALWAYS TRIGGER touch_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.touch', '');
