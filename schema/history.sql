-- Whether a name is too long for a btree, which takes less than 2,700 bytes: rows with a name of more than 500 are left out of
-- the indexes below and have one of their own, which is next to empty everywhere.  1 and no truth value, since the planner takes
-- "not equal" for nearly always true; and in C, since the planner would put an expression in its place wherever it stands.
CREATE FUNCTION flagsmith._long(text, text, text) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_long';
COMMENT ON FUNCTION flagsmith._long(text, text, text) IS '1 where one of the names is too long for an index, else 0';

-- The candidates for a line.  These indexes hold all that the view reads of one, since a scan that has to fetch each row loses,
-- in the planner's eyes, against reading and sorting a whole feature or author.  For all of them by time alone the indexes that the
-- tables have anyway do, since few rows are no candidates.
CREATE INDEX audit_log_feature_idx ON flagsmith.audit_log (feature, created_date) INCLUDE (author_email, environment, delivery, ordinal)
    WHERE NOT is_test AND flagsmith._long(feature, author_email, environment) <> 1;
CREATE INDEX audit_log_author_idx ON flagsmith.audit_log (author_email, created_date) INCLUDE (feature, environment, delivery, ordinal)
    WHERE NOT is_test AND flagsmith._long(feature, author_email, environment) <> 1;
CREATE INDEX audit_log_long_idx ON flagsmith.audit_log (created_date)
    WHERE NOT is_test AND flagsmith._long(feature, author_email, environment) = 1;
CREATE INDEX audit_log_system_idx ON flagsmith.audit_log (created_date)
    WHERE NOT is_test AND (ambiguous OR is_system_event AND action = 'committed');
-- Percentages of overrides, and the features whose names can be mistaken for one: mostly there are none of these.
CREATE INDEX audit_log_share_idx ON flagsmith.audit_log (created_date)
    WHERE NOT is_test AND NOT ambiguous AND object = 'variant' AND (segment IS NOT NULL OR identity IS NOT NULL);
CREATE INDEX name_misread_idx ON flagsmith.name (kind)
    WHERE kind = 'feature' AND (name LIKE '%'' and segment ''%' OR name LIKE '%'' and identity ''%');
CREATE INDEX flag_change_feature_idx ON flagsmith.flag_change (feature, event_at) INCLUDE (changed_by, environment, delivery, ordinal)
    WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) <> 1;
CREATE INDEX flag_change_changed_by_idx ON flagsmith.flag_change (changed_by, event_at) INCLUDE (feature, environment, delivery, ordinal)
    WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) <> 1;
CREATE INDEX flag_change_long_idx ON flagsmith.flag_change (event_at)
    WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) = 1;
CREATE INDEX flag_change_deleted_idx ON flagsmith.flag_change (received_at)
    WHERE NOT is_test AND deleted AND origin <> 'import';
CREATE INDEX delivery_repeat_event_idx ON flagsmith.delivery_repeat (first_received_at)
    WHERE event_type IN ('FLAG_DELETED', 'NEW_VERSION_PUBLISHED');
CREATE INDEX version_published_at_idx ON flagsmith.version_published (received_at)
    WHERE flagsmith._long(feature, published_by_email, NULL) <> 1;
CREATE INDEX version_published_name_idx ON flagsmith.version_published (feature, received_at) INCLUDE (published_by_email, delivery, ordinal)
    WHERE flagsmith._long(feature, published_by_email, NULL) <> 1;
CREATE INDEX version_published_publisher_idx ON flagsmith.version_published (published_by_email, received_at) INCLUDE (feature, delivery, ordinal)
    WHERE flagsmith._long(feature, published_by_email, NULL) <> 1;
CREATE INDEX version_published_long_idx ON flagsmith.version_published (received_at)
    WHERE flagsmith._long(feature, published_by_email, NULL) = 1;

CREATE FUNCTION flagsmith._history_line(
    kind text, delivery bigint, ordinal integer, at timestamptz,
    OUT actor_type text, OUT action text, OUT object text, OUT change_request text,
    OUT source text, OUT project_id bigint, OUT project text, OUT environment_id bigint, OUT feature_id bigint, OUT segment_id bigint,
    OUT segment text, OUT identity_identifier text,
    OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
    OUT log text, OUT audit_id bigint, OUT act text, OUT delivery_ids bigint[], OUT before_at timestamptz,
    OUT before_environment_id bigint, OUT before json)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 1000 ROWS 1
    AS 'MODULE_PATHNAME', 'fsw_history_line';
COMMENT ON FUNCTION flagsmith._history_line(text, bigint, integer, timestamptz) IS 'the line of history that a candidate stands for; no row where another does';

-- What an entry of the system does not say by itself.
CREATE FUNCTION flagsmith._history_person(delivery bigint, ordinal integer) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200
    AS 'MODULE_PATHNAME', 'fsw_history_person';
COMMENT ON FUNCTION flagsmith._history_person(bigint, integer) IS 'who committed the change request that an audit entry of the system is of, or its author';
CREATE FUNCTION flagsmith._history_feature(delivery bigint, ordinal integer) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200
    AS 'MODULE_PATHNAME', 'fsw_history_feature';
COMMENT ON FUNCTION flagsmith._history_feature(bigint, integer) IS 'the feature that an audit entry is about, though its message may be ambiguous';

-- What the line knows of it is json, by which the server cannot hash: else the planner would keep the states of the lines before
-- by all of these, which takes a tenth of a page, and no two lines have the same.
CREATE FUNCTION flagsmith._history_before(source text, environment_id bigint, feature_id bigint, segment text, segment_id bigint,
        identity_identifier text, at timestamptz, act bigint[], told json) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'fsw_history_before';
COMMENT ON FUNCTION flagsmith._history_before(text, bigint, bigint, text, bigint, text, timestamptz, bigint[], json) IS 'the state before an act, as an object';

CREATE FUNCTION flagsmith._history_summary(actor text, actor_type text, action text, object text, environment text, feature text,
        segment text, identity_identifier text, change_request text, enabled boolean, value jsonb, before jsonb, log text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_history_summary';
COMMENT ON FUNCTION flagsmith._history_summary(text, text, text, text, text, text, text, text, text, boolean, jsonb, jsonb, text) IS 'a line of history in one sentence';

-- Who did what.  The candidates for a line are merged in the order of their times, so that a page of the newest needs no more
-- than the newest candidates; each is a line or, where another stands for its act, none.  The state before is a query of its
-- own, which is left out where nothing asks for it.
CREATE VIEW flagsmith.history WITH (security_invoker = false) AS
SELECT c.at, c.actor, l.actor_type, l.action, l.object, c.environment, c.feature, l.segment, l.identity_identifier,
    l.enabled, l.value, l.variants,
    (b.state -> 'enabled')::boolean AS enabled_before, b.state -> 'value' AS value_before, b.state -> 'variants' AS variants_before,
    flagsmith._history_summary(c.actor, l.actor_type, l.action, l.object, c.environment, c.feature, l.segment, l.identity_identifier,
        l.change_request, l.enabled, l.value, b.state, l.log) AS summary,
    l.change_request, l.log, l.project, l.source, l.project_id, l.environment_id, l.feature_id, l.segment_id,
    l.audit_id, l.act, l.delivery_ids
FROM (
    (SELECT 'entry' AS kind, created_date AS at, author_email AS actor, environment, feature, delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND flagsmith._long(feature, author_email, environment) <> 1
        ORDER BY created_date DESC)
    UNION ALL
    (SELECT 'entry', created_date, author_email, environment, feature, delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND flagsmith._long(feature, author_email, environment) = 1
        ORDER BY created_date DESC)
    UNION ALL
    -- What a change request changed: the entry is the system's, who committed it is in another, what it changed in an event.  And what
    -- an ambiguous message is about, as far as the id that comes with it, the names that are known or an event tell.
    (SELECT 'request', created_date, flagsmith._history_person(delivery, ordinal), environment, flagsmith._history_feature(delivery, ordinal),
            delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND (ambiguous OR is_system_event AND action = 'committed')
        ORDER BY created_date DESC)
    UNION ALL
    -- The message about a percentage of an override fits that of a feature with a longer name.
    (SELECT 'request', created_date, author_email, environment, flagsmith._history_feature(delivery, ordinal), delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND NOT ambiguous AND object = 'variant' AND (segment IS NOT NULL OR identity IS NOT NULL)
            AND (SELECT EXISTS (SELECT FROM flagsmith.name n
                WHERE n.kind = 'feature' AND (n.name LIKE '%'' and segment ''%' OR n.name LIKE '%'' and identity ''%')))
            AND related_object_id::text = ANY (ARRAY(SELECT n.id FROM flagsmith.name n
                WHERE n.kind = 'feature' AND (n.name LIKE '%'' and segment ''%' OR n.name LIKE '%'' and identity ''%')))
        ORDER BY created_date DESC)
    UNION ALL
    (SELECT 'event', event_at, changed_by, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) <> 1 AND changed_by <> ''
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'event', event_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) <> 1 AND changed_by = ''
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'event', event_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) <> 1 AND changed_by IS NULL
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'event', event_at, nullif(changed_by, ''), environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin <> 'import' AND flagsmith._long(feature, changed_by, environment) = 1
        ORDER BY event_at DESC)
    UNION ALL
    -- A time long after the arrival is not believed.
    (SELECT 'event', received_at, nullif(changed_by, ''), environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE isfinite(event_at) AND isfinite(received_at) AND event_at - received_at > '5 minutes'::interval AND NOT is_test AND NOT deleted
            AND origin <> 'import'
        ORDER BY received_at DESC)
    UNION ALL
    -- Who deleted a flag is not in the body: it names the last editor.
    (SELECT 'deletion', received_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND deleted AND origin <> 'import'
        ORDER BY received_at DESC)
    UNION ALL
    -- One that came earlier than its stored copy.
    (SELECT 'deletion', r.first_received_at, NULL, f.environment, f.feature, f.delivery, f.ordinal
        FROM flagsmith.delivery_repeat r
        JOIN flagsmith.flag_change f ON f.delivery = r.delivery
        WHERE r.event_type = 'FLAG_DELETED' AND NOT f.is_test AND f.deleted AND r.first_received_at < f.received_at AND NOT EXISTS (
            SELECT FROM flagsmith.delivery_repeat s
            WHERE s.delivery = r.delivery AND (s.first_received_at, coalesce(s.webhook, '')) < (r.first_received_at, coalesce(r.webhook, '')))
        ORDER BY r.first_received_at DESC)
    UNION ALL
    (SELECT 'list', r.first_received_at, v.published_by_email, NULL, v.feature, v.delivery, v.ordinal
        FROM flagsmith.delivery_repeat r
        JOIN flagsmith.version_published v ON v.delivery = r.delivery
        WHERE r.event_type = 'NEW_VERSION_PUBLISHED' AND r.first_received_at < v.received_at AND NOT EXISTS (
            SELECT FROM flagsmith.delivery_repeat s
            WHERE s.delivery = r.delivery AND (s.first_received_at, coalesce(s.webhook, '')) < (r.first_received_at, coalesce(r.webhook, '')))
        ORDER BY r.first_received_at DESC)
    UNION ALL
    (SELECT 'list', received_at, published_by_email, NULL, feature, delivery, ordinal
        FROM flagsmith.version_published
        WHERE flagsmith._long(feature, published_by_email, NULL) <> 1
        ORDER BY received_at DESC)
    UNION ALL
    (SELECT 'list', received_at, published_by_email, NULL, feature, delivery, ordinal
        FROM flagsmith.version_published
        WHERE flagsmith._long(feature, published_by_email, NULL) = 1
        ORDER BY received_at DESC)
) c
CROSS JOIN LATERAL flagsmith._history_line(c.kind, c.delivery, c.ordinal, c.at) l
CROSS JOIN LATERAL (
    SELECT flagsmith._history_before(l.source, l.before_environment_id, l.feature_id, l.segment, l.segment_id, l.identity_identifier,
        l.before_at, l.delivery_ids, l.before) AS state
    OFFSET 0
) b
WHERE flagsmith._whole();
COMMENT ON VIEW flagsmith.history IS 'Who did what: one line for each act, with its audit entries, flag events and version lists folded together.';
COMMENT ON COLUMN flagsmith.history.at IS 'When it happened, by Flagsmith''s clock; of a deletion or a version list that nothing else tells of, when it was received.';
COMMENT ON COLUMN flagsmith.history.actor IS 'E-mail of the user or name of the API key; NULL where nothing told.';
COMMENT ON COLUMN flagsmith.history.actor_type IS 'user, api key, system (a scheduled change request that went live), or unknown.';
COMMENT ON COLUMN flagsmith.history.action IS 'What was done, as the audit entry says; see docs/messages.md.';
COMMENT ON COLUMN flagsmith.history.object IS 'What it was done to.';
COMMENT ON COLUMN flagsmith.history.environment IS 'Environment, as it was named then; NULL for acts on the project.';
COMMENT ON COLUMN flagsmith.history.feature IS 'Feature, as it was named then; NULL where the act has none or the message leaves it open.';
COMMENT ON COLUMN flagsmith.history.segment IS 'Segment, of an act on a segment or its override.';
COMMENT ON COLUMN flagsmith.history.identity_identifier IS 'Identifier, of an act on an identity override.';
COMMENT ON COLUMN flagsmith.history.enabled IS 'Whether it was on after the act, as far as a flag event told, or the timeline where that came too late.';
COMMENT ON COLUMN flagsmith.history.value IS 'The value after the act.';
COMMENT ON COLUMN flagsmith.history.variants IS 'Percentages by option id after the act; NULL where an option came or went before the event was read, and nothing tells.';
COMMENT ON COLUMN flagsmith.history.enabled_before IS 'Whether it was on before the act: as the timeline has it if it is at least reported, of a version as its flag event says.';
COMMENT ON COLUMN flagsmith.history.value_before IS 'The value before the act.';
COMMENT ON COLUMN flagsmith.history.variants_before IS 'Percentages by option id before the act.';
COMMENT ON COLUMN flagsmith.history.summary IS 'The line in one sentence, for people; its wording may change.';
COMMENT ON COLUMN flagsmith.history.change_request IS 'Title of the change request.';
COMMENT ON COLUMN flagsmith.history.log IS 'The messages of the act''s audit entries, in their order, one below the other.';
COMMENT ON COLUMN flagsmith.history.project IS 'Project, as it was named then.';
COMMENT ON COLUMN flagsmith.history.source IS 'Which Flagsmith installation it is.';
COMMENT ON COLUMN flagsmith.history.project_id IS 'Flagsmith''s id of the project.';
COMMENT ON COLUMN flagsmith.history.environment_id IS 'Flagsmith''s id of the environment; NULL for acts on the project.';
COMMENT ON COLUMN flagsmith.history.feature_id IS 'Flagsmith''s id of the feature, where anything told it.';
COMMENT ON COLUMN flagsmith.history.segment_id IS 'Flagsmith''s id of the segment, where anything told it.';
COMMENT ON COLUMN flagsmith.history.audit_id IS 'Flagsmith''s id of the first audit entry.';
COMMENT ON COLUMN flagsmith.history.act IS 'A key of the act: of what was stored first of it, so that what comes later does not change it.';
COMMENT ON COLUMN flagsmith.history.delivery_ids IS 'All deliveries that tell of the act.';
