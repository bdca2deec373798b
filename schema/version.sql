CREATE TABLE flagsmith.version_published (
    delivery            bigint NOT NULL,
    ordinal             integer NOT NULL,
    source              text NOT NULL,
    webhook             text,
    received_at         timestamptz NOT NULL,
    stored_at           timestamptz NOT NULL,
    uuid                text,
    feature_id          bigint,
    feature             text,
    published_by_id     bigint,
    published_by_email  text,
    states              jsonb,
    extra               jsonb,
    CONSTRAINT version_published_pkey PRIMARY KEY (delivery, ordinal)
);
COMMENT ON TABLE flagsmith.version_published IS 'Published feature versions (NEW_VERSION_PUBLISHED) as typed rows.';
COMMENT ON COLUMN flagsmith.version_published.delivery IS 'The delivery it was decoded from.';
COMMENT ON COLUMN flagsmith.version_published.ordinal IS 'Position within the delivery, from 1.';
COMMENT ON COLUMN flagsmith.version_published.webhook IS 'The webhook that brought it first, which may tell the environment.';
COMMENT ON COLUMN flagsmith.version_published.uuid IS 'The version''s uuid, which the EF_VERSION audit entry has as related_object_uuid.';
COMMENT ON COLUMN flagsmith.version_published.published_by_email IS 'E-mail of the publisher; NULL for an API key.';
COMMENT ON COLUMN flagsmith.version_published.states IS 'The version''s states in the order sent, as an array.';
COMMENT ON COLUMN flagsmith.version_published.extra IS 'All keys of the body that have no column, at their places.';
COMMENT ON COLUMN flagsmith.version_published.source IS 'Which Flagsmith installation sent it.';
COMMENT ON COLUMN flagsmith.version_published.received_at IS 'The delivery''s received_at.';
COMMENT ON COLUMN flagsmith.version_published.stored_at IS 'The delivery''s stored_at.';
COMMENT ON COLUMN flagsmith.version_published.feature_id IS 'The feature that has the version.';
COMMENT ON COLUMN flagsmith.version_published.feature IS 'The feature''s name.';
COMMENT ON COLUMN flagsmith.version_published.published_by_id IS 'Flagsmith''s id of the publisher; NULL for an API key.';
CREATE TRIGGER version_published_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.version_published
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.version_published ENABLE ALWAYS TRIGGER version_published_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.version_published', '');
