CREATE TABLE flagsmith.audit_log (
    delivery                    bigint NOT NULL,
    ordinal                     integer NOT NULL,
    source                      text NOT NULL,
    received_at                 timestamptz NOT NULL,
    stored_at                   timestamptz NOT NULL,
    origin                      text NOT NULL,
    is_test                     boolean NOT NULL,
    audit_id                    bigint,
    created_date                timestamptz NOT NULL,
    log                         text,
    author_id                   bigint,
    author_email                text,
    author_first_name           text,
    author_last_name            text,
    author_last_login           timestamptz,
    author_uuid                 text,
    organisation_id             bigint,
    project_id                  bigint,
    project                     text,
    environment_id              bigint,
    environment                 text,
    use_v2_feature_versioning   boolean,
    related_object_id           bigint,
    related_object_uuid         text,
    related_object_type         text,
    is_system_event             boolean,
    action                      text,
    object                      text,
    feature                     text,
    segment                     text,
    identity                    text,
    environment_named           text,
    change_request              text,
    scheduled_for               text,
    name                        text,
    ambiguous                   boolean NOT NULL,
    extra                       jsonb,
    CONSTRAINT audit_log_pkey PRIMARY KEY (delivery, ordinal)
);
CREATE INDEX audit_log_created_date_idx ON flagsmith.audit_log (created_date);
COMMENT ON TABLE flagsmith.audit_log IS 'Audit-log entries as typed rows; rows of one source with one audit_id and one created_date are one entry.';
COMMENT ON COLUMN flagsmith.audit_log.delivery IS 'The delivery it was decoded from.';
COMMENT ON COLUMN flagsmith.audit_log.ordinal IS 'Position within the delivery, from 1.';
COMMENT ON COLUMN flagsmith.audit_log.source IS 'Which Flagsmith installation sent it.';
COMMENT ON COLUMN flagsmith.audit_log.received_at IS 'The delivery''s received_at.';
COMMENT ON COLUMN flagsmith.audit_log.stored_at IS 'The delivery''s stored_at.';
COMMENT ON COLUMN flagsmith.audit_log.origin IS 'webhook; import for a page of the REST API; database for one that was read from Flagsmith''s own database.';
COMMENT ON COLUMN flagsmith.audit_log.is_test IS 'Made by the test button of Flagsmith.';
COMMENT ON COLUMN flagsmith.audit_log.audit_id IS 'Flagsmith''s id of the entry; NULL before release 2.28 and in tests.';
COMMENT ON COLUMN flagsmith.audit_log.created_date IS 'When the act happened, by Flagsmith''s clock; received_at where the entry has no time.';
COMMENT ON COLUMN flagsmith.audit_log.log IS 'The message as sent.';
COMMENT ON COLUMN flagsmith.audit_log.action IS 'What was done, read from the message; NULL where the message is of no known kind.';
COMMENT ON COLUMN flagsmith.audit_log.object IS 'What it was done to, read from the message.';
COMMENT ON COLUMN flagsmith.audit_log.feature IS 'Name of the feature in the message; NULL where the message can be split in several ways that disagree.';
COMMENT ON COLUMN flagsmith.audit_log.segment IS 'Name of the segment in the message.';
COMMENT ON COLUMN flagsmith.audit_log.identity IS 'Identifier of the identity in the message.';
COMMENT ON COLUMN flagsmith.audit_log.environment_named IS 'Name of an environment in the message.';
COMMENT ON COLUMN flagsmith.audit_log.change_request IS 'Title of the change request in the message.';
COMMENT ON COLUMN flagsmith.audit_log.scheduled_for IS 'Time in the message, as written there.';
COMMENT ON COLUMN flagsmith.audit_log.name IS 'Any other name in the message: pipeline, experiment, metric, health provider.';
COMMENT ON COLUMN flagsmith.audit_log.ambiguous IS 'The message can be split into names in more than one way.';
COMMENT ON COLUMN flagsmith.audit_log.extra IS 'All keys of the entry that have no column, at their places; without environment.api_key.';
COMMENT ON COLUMN flagsmith.audit_log.author_id IS 'Flagsmith''s id of the user who did it; NULL for the system, an API key, or a user who was deleted since.';
COMMENT ON COLUMN flagsmith.audit_log.author_email IS 'That user''s e-mail.';
COMMENT ON COLUMN flagsmith.audit_log.author_first_name IS 'That user''s first name.';
COMMENT ON COLUMN flagsmith.audit_log.author_last_name IS 'That user''s last name.';
COMMENT ON COLUMN flagsmith.audit_log.author_last_login IS 'When that user last logged in, as sent.';
COMMENT ON COLUMN flagsmith.audit_log.author_uuid IS 'That user''s uuid, which newer releases send.';
COMMENT ON COLUMN flagsmith.audit_log.organisation_id IS 'The organisation of the project.';
COMMENT ON COLUMN flagsmith.audit_log.project_id IS 'The project; NULL where the entry names none.';
COMMENT ON COLUMN flagsmith.audit_log.project IS 'The project''s name when the entry was sent.';
COMMENT ON COLUMN flagsmith.audit_log.environment_id IS 'The environment; NULL where the act was on the project.';
COMMENT ON COLUMN flagsmith.audit_log.environment IS 'The environment''s name when the entry was sent.';
COMMENT ON COLUMN flagsmith.audit_log.use_v2_feature_versioning IS 'Whether the environment publishes versions, as of when the entry was sent; NULL where not told.';
COMMENT ON COLUMN flagsmith.audit_log.related_object_id IS 'Id of what the act was on; of which kind is in related_object_type.';
COMMENT ON COLUMN flagsmith.audit_log.related_object_uuid IS 'Its uuid, where it has one: of a published version.';
COMMENT ON COLUMN flagsmith.audit_log.related_object_type IS 'What the id or uuid is of, as sent: FEATURE, FEATURE_STATE, SEGMENT, ENVIRONMENT, CHANGE_REQUEST, EF_VERSION or another.';
COMMENT ON COLUMN flagsmith.audit_log.is_system_event IS 'Done by Flagsmith itself, as a change request that goes live at its time.';
CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.audit_log ENABLE ALWAYS TRIGGER audit_log_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.audit_log', '');
