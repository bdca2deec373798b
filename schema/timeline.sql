CREATE TYPE flagsmith.confidence AS ENUM ('unknown', 'inferred', 'reported', 'confirmed');
COMMENT ON TYPE flagsmith.confidence IS 'How sure an answer about an instant is: confirmed by two pieces of evidence, reported by one, inferred, or unknown.';

CREATE FUNCTION flagsmith.is_feature_enabled(environment text, feature text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_is_feature_enabled';
COMMENT ON FUNCTION flagsmith.is_feature_enabled(text, text) IS 'whether a feature is enabled by default in an environment, after all evidence; NULL if not known';

CREATE FUNCTION flagsmith.is_feature_enabled(environment text, feature text, at timestamptz) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_is_feature_enabled';
COMMENT ON FUNCTION flagsmith.is_feature_enabled(text, text, timestamptz) IS 'whether a feature was enabled by default in an environment at an instant; NULL if not known';

CREATE FUNCTION flagsmith.is_feature_enabled(environment text, feature text, at timestamptz, known_at timestamptz) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_is_feature_enabled';
COMMENT ON FUNCTION flagsmith.is_feature_enabled(text, text, timestamptz, timestamptz) IS 'whether a feature was enabled by default in an environment at an instant, by what this database knew at another; NULL if not known';

CREATE FUNCTION flagsmith.is_feature_enabled(environment_id bigint, feature_id bigint, at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT NULL, source text DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_is_feature_enabled_by_id';
COMMENT ON FUNCTION flagsmith.is_feature_enabled(bigint, bigint, timestamptz, timestamptz, text) IS 'whether a feature was enabled by default in an environment at an instant, by Flagsmith''s ids; source: of which installation, where there are several';

CREATE FUNCTION flagsmith.get_feature_value(environment text, feature text) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value';
COMMENT ON FUNCTION flagsmith.get_feature_value(text, text) IS 'the default value of a feature in an environment, after all evidence; NULL if not known';

CREATE FUNCTION flagsmith.get_feature_value(environment text, feature text, at timestamptz) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value';
COMMENT ON FUNCTION flagsmith.get_feature_value(text, text, timestamptz) IS 'the default value of a feature in an environment at an instant; NULL if not known';

CREATE FUNCTION flagsmith.get_feature_value(environment text, feature text, at timestamptz, known_at timestamptz) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value';
COMMENT ON FUNCTION flagsmith.get_feature_value(text, text, timestamptz, timestamptz) IS 'the default value of a feature in an environment at an instant, by what this database knew at another; NULL if not known';

CREATE FUNCTION flagsmith.get_feature_value(environment_id bigint, feature_id bigint, at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT NULL, source text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value_by_id';
COMMENT ON FUNCTION flagsmith.get_feature_value(bigint, bigint, timestamptz, timestamptz, text) IS 'the default value of a feature in an environment at an instant, by Flagsmith''s ids; source: of which installation, where there are several';

CREATE FUNCTION flagsmith.get_feature_value_text(environment text, feature text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value_text';
COMMENT ON FUNCTION flagsmith.get_feature_value_text(text, text) IS 'the default value of a feature in an environment, after all evidence, as text: a string without quotes; NULL if not known, or null';

CREATE FUNCTION flagsmith.get_feature_value_text(environment text, feature text, at timestamptz) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value_text';
COMMENT ON FUNCTION flagsmith.get_feature_value_text(text, text, timestamptz) IS 'the default value of a feature in an environment at an instant, as text: a string without quotes; NULL if not known, or null';

CREATE FUNCTION flagsmith.get_feature_value_text(environment text, feature text, at timestamptz, known_at timestamptz) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value_text';
COMMENT ON FUNCTION flagsmith.get_feature_value_text(text, text, timestamptz, timestamptz) IS 'the default value of a feature in an environment at an instant, by what this database knew at another, as text: a string without quotes; NULL if not known, or null';

CREATE FUNCTION flagsmith.get_feature_value_text(environment_id bigint, feature_id bigint, at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT NULL, source text DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'fsw_get_feature_value_text_by_id';
COMMENT ON FUNCTION flagsmith.get_feature_value_text(bigint, bigint, timestamptz, timestamptz, text) IS 'the default value of a feature in an environment at an instant, as text, by Flagsmith''s ids; source: of which installation, where there are several';

CREATE FUNCTION flagsmith.feature_state(environment text, feature text, at timestamptz DEFAULT 'infinity',
        segments bigint[] DEFAULT NULL, identity text DEFAULT NULL, known_at timestamptz DEFAULT NULL,
        OUT source text, OUT environment_id bigint, OUT feature_id bigint,
        OUT enabled boolean, OUT value jsonb, OUT variants jsonb, OUT scope text, OUT segment_id bigint,
        OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence flagsmith.confidence, OUT delivery_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 200 ROWS 1
    AS 'MODULE_PATHNAME', 'fsw_feature_state';
COMMENT ON FUNCTION flagsmith.feature_state(text, text, timestamptz, bigint[], text, timestamptz) IS 'the state of a feature at an instant, for a user in these segments or of this identity, and how sure it is; identity: its identifier, or its key where nobody is known to bear that as identifier';

CREATE FUNCTION flagsmith.feature_state(environment_id bigint, feature_id bigint, at timestamptz DEFAULT 'infinity',
        segments bigint[] DEFAULT NULL, identity text DEFAULT NULL, known_at timestamptz DEFAULT NULL,
        source text DEFAULT NULL,
        OUT source text, OUT environment_id bigint, OUT feature_id bigint,
        OUT enabled boolean, OUT value jsonb, OUT variants jsonb, OUT scope text, OUT segment_id bigint,
        OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence flagsmith.confidence, OUT delivery_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 200 ROWS 1
    AS 'MODULE_PATHNAME', 'fsw_feature_state_by_id';
COMMENT ON FUNCTION flagsmith.feature_state(bigint, bigint, timestamptz, bigint[], text, timestamptz, text) IS 'the state of a feature at an instant, for a user in these segments or of this identity, and how sure it is, by Flagsmith''s ids; identity: its identifier, or its key where nobody is known to bear that as identifier';

CREATE FUNCTION flagsmith.environment_state(environment text, at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT NULL,
        OUT feature text, OUT feature_id bigint, OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
        OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence flagsmith.confidence, OUT delivery_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 100
    AS 'MODULE_PATHNAME', 'fsw_environment_state';
COMMENT ON FUNCTION flagsmith.environment_state(text, timestamptz, timestamptz) IS 'the default state of every feature of an environment at an instant, and how sure it is';

CREATE FUNCTION flagsmith.environment_state(environment_id bigint, at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT NULL, source text DEFAULT NULL,
        OUT feature text, OUT feature_id bigint, OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
        OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence flagsmith.confidence, OUT delivery_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 100
    AS 'MODULE_PATHNAME', 'fsw_environment_state_by_id';
COMMENT ON FUNCTION flagsmith.environment_state(bigint, timestamptz, timestamptz, text) IS 'the default state of every feature of an environment at an instant, and how sure it is, by Flagsmith''s id';

CREATE FUNCTION flagsmith._flag_periods(source text, environment_id bigint, feature_id bigint,
        known_at timestamptz DEFAULT NULL,
        OUT segment_id bigint, OUT priority bigint, OUT identity_kind text, OUT identity text,
        OUT identity_identifier text, OUT "from" timestamptz, OUT "to" timestamptz,
        OUT enabled boolean, OUT value jsonb, OUT variants jsonb, OUT confidence flagsmith.confidence,
        OUT cause text, OUT changed_by text, OUT delivery_id bigint, OUT removed boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 500 ROWS 20
    AS 'MODULE_PATHNAME', 'fsw_flag_periods';
COMMENT ON FUNCTION flagsmith._flag_periods(text, bigint, bigint, timestamptz) IS 'the periods of all scopes of one flag';

CREATE FUNCTION flagsmith._flag_now(source text, environment_id bigint, feature_id bigint,
        OUT segment_id bigint, OUT priority bigint, OUT identity_kind text, OUT identity text,
        OUT identity_identifier text, OUT "from" timestamptz, OUT "to" timestamptz,
        OUT enabled boolean, OUT value jsonb, OUT variants jsonb, OUT confidence flagsmith.confidence,
        OUT cause text, OUT changed_by text, OUT delivery_id bigint, OUT removed boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 100 ROWS 2
    AS 'MODULE_PATHNAME', 'fsw_flag_now';
COMMENT ON FUNCTION flagsmith._flag_now(text, bigint, bigint) IS 'the last period of each scope of one flag, from when on its state is the same';

CREATE FUNCTION flagsmith._name(source text, kind text, id text, at timestamptz DEFAULT 'infinity') RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'fsw_name';
COMMENT ON FUNCTION flagsmith._name(text, text, text, timestamptz) IS 'what a thing was called at an instant, else at first; NULL if never heard of';

-- A pair of an environment and a feature of one project is a flag, whether or not anything was told of it.
CREATE VIEW flagsmith._flag WITH (security_invoker = false) AS
    SELECT e.source, e.project_id, e.id AS environment_id, f.id AS feature_id
    FROM (SELECT n.source, max(n.project_id) AS project_id, n.id::bigint AS id FROM flagsmith.name n
          WHERE n.kind = 'environment' AND n.id ~ '^[0-9]{1,18}$' GROUP BY n.source, n.id) e
    JOIN (SELECT n.source, max(n.project_id) AS project_id, n.id::bigint AS id FROM flagsmith.name n
          WHERE n.kind = 'feature' AND n.id ~ '^[0-9]{1,18}$' GROUP BY n.source, n.id) f
        ON f.source = e.source AND f.project_id IS NOT DISTINCT FROM e.project_id
    WHERE flagsmith._whole();
COMMENT ON VIEW flagsmith._flag IS 'Every feature in every environment of its project.';

CREATE VIEW flagsmith.flag_timeline WITH (security_invoker = false) AS
    SELECT v.source, v.project_id, flagsmith._name(v.source, 'project', v.project_id::text, t."from") AS project,
        v.environment_id, flagsmith._name(v.source, 'environment', v.environment_id::text, t."from") AS environment,
        v.feature_id, flagsmith._name(v.source, 'feature', v.feature_id::text, t."from") AS feature,
        t.segment_id, flagsmith._name(v.source, 'segment', t.segment_id::text, t."from") AS segment, t.priority,
        t.identity_kind, t.identity, t.identity_identifier,
        tstzrange(t."from", t."to", '[)') AS period,
        t.enabled, t.value, t.variants, t.confidence, t.cause, t.changed_by, t.delivery_id
    FROM flagsmith._flag v
    CROSS JOIN LATERAL flagsmith._flag_periods(v.source, v.environment_id, v.feature_id) t;
COMMENT ON VIEW flagsmith.flag_timeline IS 'What each flag was and when, as periods, with overrides by segment and identity, and how sure that is.';
COMMENT ON COLUMN flagsmith.flag_timeline.source IS 'Which Flagsmith installation it is of.';
COMMENT ON COLUMN flagsmith.flag_timeline.project_id IS 'The project.';
COMMENT ON COLUMN flagsmith.flag_timeline.project IS 'The project''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.flag_timeline.environment_id IS 'The environment.';
COMMENT ON COLUMN flagsmith.flag_timeline.environment IS 'The environment''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.flag_timeline.feature_id IS 'The feature.';
COMMENT ON COLUMN flagsmith.flag_timeline.feature IS 'The feature''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.flag_timeline.segment_id IS 'The segment of an override by segment, else NULL.';
COMMENT ON COLUMN flagsmith.flag_timeline.segment IS 'The segment''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.flag_timeline.priority IS 'Of an override by segment: 0 is the highest; NULL where not told.';
COMMENT ON COLUMN flagsmith.flag_timeline.identity IS 'Id of the identity of such an override.';
COMMENT ON COLUMN flagsmith.flag_timeline.identity_identifier IS 'What that identity is called in the application.';
COMMENT ON COLUMN flagsmith.flag_timeline.period IS 'From the change, inclusive, to the next; without an upper bound if there is none.';
COMMENT ON COLUMN flagsmith.flag_timeline.identity_kind IS 'Of an override by identity: core or edge, as two identities of these kinds can have one id; identifier where no event showed it, and identity is its identifier.';
COMMENT ON COLUMN flagsmith.flag_timeline.enabled IS 'Best estimate; NULL where the scope had no state, or none was told.';
COMMENT ON COLUMN flagsmith.flag_timeline.value IS 'Best estimate of the value, with its JSON type.';
COMMENT ON COLUMN flagsmith.flag_timeline.variants IS 'Percentages by option id.';
COMMENT ON COLUMN flagsmith.flag_timeline.confidence IS 'How sure it is, the surest last: unknown, inferred, reported, confirmed.';
COMMENT ON COLUMN flagsmith.flag_timeline.cause IS 'What the period rests on, or why it is in doubt, as a short code: docs/causes.md lists them.';
COMMENT ON COLUMN flagsmith.flag_timeline.changed_by IS 'Who made the change, as the flag event says.';
COMMENT ON COLUMN flagsmith.flag_timeline.delivery_id IS 'The delivery that tells of the state; NULL where none does by itself.';

CREATE VIEW flagsmith.current_state WITH (security_invoker = false) AS
    SELECT v.source, v.project_id, flagsmith._name(v.source, 'project', v.project_id::text) AS project,
        v.environment_id, flagsmith._name(v.source, 'environment', v.environment_id::text) AS environment,
        v.feature_id, flagsmith._name(v.source, 'feature', v.feature_id::text) AS feature,
        t.segment_id, flagsmith._name(v.source, 'segment', t.segment_id::text) AS segment, t.priority,
        t.identity_kind, t.identity, t.identity_identifier,
        tstzrange(t."from", t."to", '[)') AS period, t."from" AS since,
        t.enabled, t.value, t.variants, t.confidence, t.cause, t.changed_by, t.delivery_id
    FROM flagsmith._flag v
    CROSS JOIN LATERAL flagsmith._flag_now(v.source, v.environment_id, v.feature_id) t
    WHERE t."to" IS NULL AND (t.enabled IS NOT NULL OR t.confidence = 'unknown');
COMMENT ON VIEW flagsmith.current_state IS 'The state of every scope of every flag after all evidence.';
COMMENT ON COLUMN flagsmith.current_state.source IS 'Which Flagsmith installation it is of.';
COMMENT ON COLUMN flagsmith.current_state.project_id IS 'The project.';
COMMENT ON COLUMN flagsmith.current_state.project IS 'The project''s name after all evidence.';
COMMENT ON COLUMN flagsmith.current_state.environment_id IS 'The environment.';
COMMENT ON COLUMN flagsmith.current_state.environment IS 'The environment''s name after all evidence.';
COMMENT ON COLUMN flagsmith.current_state.feature_id IS 'The feature.';
COMMENT ON COLUMN flagsmith.current_state.feature IS 'The feature''s name after all evidence.';
COMMENT ON COLUMN flagsmith.current_state.segment_id IS 'The segment of an override by segment, else NULL.';
COMMENT ON COLUMN flagsmith.current_state.segment IS 'The segment''s name after all evidence.';
COMMENT ON COLUMN flagsmith.current_state.priority IS 'Of an override by segment: 0 is the highest; NULL where not told.';
COMMENT ON COLUMN flagsmith.current_state.identity_kind IS 'Of an override by identity: core or edge, as two identities of these kinds can have one id; identifier where no event showed it, and identity is its identifier.';
COMMENT ON COLUMN flagsmith.current_state.identity IS 'Id of the identity of such an override.';
COMMENT ON COLUMN flagsmith.current_state.identity_identifier IS 'What that identity is called in the application.';
COMMENT ON COLUMN flagsmith.current_state.period IS 'From the last change of the state on, whatever its confidence; without an upper bound.';
COMMENT ON COLUMN flagsmith.current_state.since IS 'The last change of the state: the lower bound of period.';
COMMENT ON COLUMN flagsmith.current_state.enabled IS 'Best estimate; NULL where the scope had no state, or none was told.';
COMMENT ON COLUMN flagsmith.current_state.value IS 'Best estimate of the value, with its JSON type.';
COMMENT ON COLUMN flagsmith.current_state.variants IS 'Percentages by option id.';
COMMENT ON COLUMN flagsmith.current_state.confidence IS 'How sure it is, the surest last: unknown, inferred, reported, confirmed.';
COMMENT ON COLUMN flagsmith.current_state.cause IS 'What the period rests on, or why it is in doubt, as a short code: docs/causes.md lists them.';
COMMENT ON COLUMN flagsmith.current_state.changed_by IS 'Who made the change, as the flag event says.';
COMMENT ON COLUMN flagsmith.current_state.delivery_id IS 'The delivery that tells of the state; NULL where none does by itself.';

CREATE VIEW flagsmith.history_gap WITH (security_invoker = false) AS
    SELECT h.source, h.project_id, h.project, h.environment_id, h.environment, h.feature_id, h.feature,
        h.segment_id, h.segment, h.identity_kind, h.identity, h.identity_identifier, h.period, h.cause
    FROM flagsmith.flag_timeline h
    WHERE h.confidence = 'unknown'
    UNION ALL
    -- A flag of which audit entries told by name alone, so that it has no id and no period.
    SELECT a.source, a.project_id, flagsmith._name(a.source, 'project', a.project_id::text, a.since),
        a.environment_id, flagsmith._name(a.source, 'environment', a.environment_id::text, a.since),
        NULL, a.feature, NULL, a.segment, NULL, NULL, a.identity,
        tstzrange(a.since, (
            SELECT max(d.created_date)
            FROM flagsmith.audit_log d
            WHERE d.source = a.source AND d.project_id = a.project_id AND d.environment_id = a.environment_id AND NOT d.is_test
                AND d.created_date > a.last_at AND d.feature = a.feature AND d.action = 'deleted' AND d.object = 'feature state'), '[)'),
        'change_without_event'
    FROM (
        SELECT l.source, l.project_id, l.environment_id, l.feature, l.segment, l.identity, min(l.created_date) AS since,
            max(l.created_date) AS last_at
        FROM flagsmith.audit_log l
        WHERE NOT l.is_test AND NOT l.ambiguous AND l.feature IS NOT NULL AND l.environment_id IS NOT NULL
            AND EXISTS (
                SELECT FROM flagsmith.audit_effect e
                WHERE e.delivery = l.delivery AND e.ordinal = l.ordinal AND e.kind NOT IN ('feature_deleted', 'scheduled'))
        GROUP BY l.source, l.project_id, l.environment_id, l.feature, l.segment, l.identity
    ) a
    WHERE NOT EXISTS (
        SELECT FROM flagsmith.name n
        WHERE flagsmith._hash(n.kind || ':' || n.name) = flagsmith._hash('feature:' || a.feature)
            AND n.kind = 'feature' AND n.name = a.feature AND n.source = a.source
            AND coalesce(n.project_id = a.project_id, true));
COMMENT ON VIEW flagsmith.history_gap IS 'When it is not known what a flag was, because something changed that nobody told.';
COMMENT ON COLUMN flagsmith.history_gap.source IS 'Which Flagsmith installation it is of.';
COMMENT ON COLUMN flagsmith.history_gap.project_id IS 'The project.';
COMMENT ON COLUMN flagsmith.history_gap.project IS 'The project''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.history_gap.environment_id IS 'The environment.';
COMMENT ON COLUMN flagsmith.history_gap.environment IS 'The environment''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.history_gap.feature IS 'The feature''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.history_gap.segment_id IS 'The segment of an override by segment, else NULL.';
COMMENT ON COLUMN flagsmith.history_gap.segment IS 'The segment''s name at the start of the period.';
COMMENT ON COLUMN flagsmith.history_gap.identity_kind IS 'Of an override by identity: core or edge, as two identities of these kinds can have one id.';
COMMENT ON COLUMN flagsmith.history_gap.identity IS 'Id of the identity of such an override.';
COMMENT ON COLUMN flagsmith.history_gap.identity_identifier IS 'What that identity is called in the application.';
COMMENT ON COLUMN flagsmith.history_gap.period IS 'From the change, inclusive, to the next; without an upper bound if there is none.';
COMMENT ON COLUMN flagsmith.history_gap.cause IS 'What the period rests on, or why it is in doubt, as a short code: docs/causes.md lists them.';
COMMENT ON COLUMN flagsmith.history_gap.feature_id IS 'NULL of a flag of which only audit entries told, which know its name alone.';
