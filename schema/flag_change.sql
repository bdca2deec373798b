CREATE TABLE flagsmith.flag_change (
    delivery                 bigint NOT NULL,
    ordinal                  integer NOT NULL,
    source                   text NOT NULL,
    event_at                 timestamptz NOT NULL,
    received_at              timestamptz NOT NULL,
    stored_at                timestamptz NOT NULL,
    origin                   text NOT NULL,
    is_test                  boolean NOT NULL,
    deleted                  boolean NOT NULL,
    changed_by               text,
    project_id               bigint,
    project                  text,
    environment_id           bigint,
    environment              text,
    feature_id               bigint,
    feature                  text,
    feature_type             text,
    feature_created_date     timestamptz,
    feature_description      text,
    feature_default_enabled  boolean,
    feature_initial_value    text,
    segment_id               bigint,
    segment                  text,
    segment_description      text,
    segment_priority         bigint,
    identity                 text,
    identity_kind            text,
    identity_identifier      text,
    enabled                  boolean,
    value                    jsonb,
    variants                 jsonb,
    enabled_before           boolean,
    value_before             jsonb,
    variants_before          jsonb,
    extra                    jsonb,
    CONSTRAINT flag_change_pkey PRIMARY KEY (delivery, ordinal)
);
CREATE INDEX flag_change_event_at_idx ON flagsmith.flag_change (event_at);
COMMENT ON TABLE flagsmith.flag_change IS 'Flag events as typed rows: one for each body, with the state it reports and the state it says there was before.';
COMMENT ON COLUMN flagsmith.flag_change.delivery IS 'The delivery it was decoded from.';
COMMENT ON COLUMN flagsmith.flag_change.ordinal IS 'Position within the delivery, from 1.';
COMMENT ON COLUMN flagsmith.flag_change.source IS 'Which Flagsmith installation sent it.';
COMMENT ON COLUMN flagsmith.flag_change.event_at IS 'The body''s timestamp; received_at where that is empty. Of a deletion, the last edit before it. More than five minutes after received_at, it is not believed: then received_at counts.';
COMMENT ON COLUMN flagsmith.flag_change.received_at IS 'The delivery''s received_at.';
COMMENT ON COLUMN flagsmith.flag_change.stored_at IS 'The delivery''s stored_at.';
COMMENT ON COLUMN flagsmith.flag_change.origin IS 'webhook; import for a page of states of the REST API, or of that shape; database for an event that was read from Flagsmith''s own database; unknown_event for an event of a type that is not known, whose new_state has the shape of a state: never more than reported.';
COMMENT ON COLUMN flagsmith.flag_change.is_test IS 'Made by the test button of Flagsmith; never part of a state.';
COMMENT ON COLUMN flagsmith.flag_change.deleted IS 'The body reports a deletion (FLAG_DELETED).';
COMMENT ON COLUMN flagsmith.flag_change.changed_by IS 'E-mail of a user, name of an API key, or empty, as sent.';
COMMENT ON COLUMN flagsmith.flag_change.identity IS 'The identity as sent: an integer''s digits or a string.';
COMMENT ON COLUMN flagsmith.flag_change.identity_kind IS 'core where identity is a JSON number, edge where it is a string.';
COMMENT ON COLUMN flagsmith.flag_change.segment_priority IS 'Priority of the segment override; 0 is the highest.';
COMMENT ON COLUMN flagsmith.flag_change.value IS 'The value with its JSON type: JSON null is a value, SQL NULL means no state.';
COMMENT ON COLUMN flagsmith.flag_change.variants IS 'The variants with percentages as sent; NULL where the key was absent.';
COMMENT ON COLUMN flagsmith.flag_change.enabled_before IS 'enabled of previous_state; NULL where there is none.';
COMMENT ON COLUMN flagsmith.flag_change.value_before IS 'Value of previous_state, which v1 often reports wrongly.';
COMMENT ON COLUMN flagsmith.flag_change.variants_before IS 'Variants of previous_state.';
COMMENT ON COLUMN flagsmith.flag_change.extra IS 'All keys of the body that have no column, at their places.';
COMMENT ON COLUMN flagsmith.flag_change.project_id IS 'The project of the feature.';
COMMENT ON COLUMN flagsmith.flag_change.project IS 'The project''s name when the body was built.';
COMMENT ON COLUMN flagsmith.flag_change.environment_id IS 'The environment of the state.';
COMMENT ON COLUMN flagsmith.flag_change.environment IS 'The environment''s name when the body was built.';
COMMENT ON COLUMN flagsmith.flag_change.feature_id IS 'The feature.';
COMMENT ON COLUMN flagsmith.flag_change.feature IS 'The feature''s name.';
COMMENT ON COLUMN flagsmith.flag_change.feature_type IS 'STANDARD or MULTIVARIATE, as sent.';
COMMENT ON COLUMN flagsmith.flag_change.feature_created_date IS 'When the feature was created.';
COMMENT ON COLUMN flagsmith.flag_change.feature_description IS 'The feature''s description.';
COMMENT ON COLUMN flagsmith.flag_change.feature_default_enabled IS 'Whether the feature is enabled in environments that come to be later.';
COMMENT ON COLUMN flagsmith.flag_change.feature_initial_value IS 'The value that the feature has in environments that come to be later.';
COMMENT ON COLUMN flagsmith.flag_change.segment_id IS 'The segment of an override by segment; NULL for the environment default and for identities.';
COMMENT ON COLUMN flagsmith.flag_change.segment IS 'The segment''s name when the body was built.';
COMMENT ON COLUMN flagsmith.flag_change.segment_description IS 'The segment''s description.';
COMMENT ON COLUMN flagsmith.flag_change.identity_identifier IS 'What the identity is called in the application.';
COMMENT ON COLUMN flagsmith.flag_change.enabled IS 'Whether the state that the body reports is on; NULL where it reports none, as a deletion does.';
CREATE TRIGGER flag_change_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.flag_change
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.flag_change', '');
