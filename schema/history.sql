-- Names can have thousands of characters, and a btree takes less than 2,700 bytes: rows with a name of more than 500 are left
-- out here and have an index of their own, which is next to empty everywhere.  The condition is written so that the planner
-- takes it for nearly always true.  The indexes hold all that the view reads of a candidate, since a scan that has to fetch
-- each row loses, in the planner's eyes, against reading and sorting a whole feature or author.
CREATE INDEX audit_log_at_idx ON flagsmith.audit_log (created_date)
    WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX audit_log_feature_idx ON flagsmith.audit_log (feature, created_date) INCLUDE (author_email, environment, delivery, ordinal)
    WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX audit_log_author_idx ON flagsmith.audit_log (author_email, created_date) INCLUDE (feature, environment, delivery, ordinal)
    WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX audit_log_long_idx ON flagsmith.audit_log (created_date)
    WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) = 1;
CREATE INDEX flag_change_at_idx ON flagsmith.flag_change (event_at)
    WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX flag_change_feature_idx ON flagsmith.flag_change (feature, event_at) INCLUDE (changed_by, environment, delivery, ordinal)
    WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX flag_change_changed_by_idx ON flagsmith.flag_change (changed_by, event_at) INCLUDE (feature, environment, delivery, ordinal)
    WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1;
CREATE INDEX flag_change_long_idx ON flagsmith.flag_change (event_at)
    WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) = 1;
CREATE INDEX flag_change_deleted_idx ON flagsmith.flag_change (received_at) WHERE deleted;
CREATE INDEX flag_change_deleted_feature_idx ON flagsmith.flag_change (source, feature_id) WHERE deleted;
-- What lies near an instant and concerns one feature, of any length of name.
CREATE INDEX audit_log_near_idx ON flagsmith.audit_log (flagsmith._hash('feature:' || coalesce(feature, '')), created_date);
CREATE INDEX flag_change_near_idx ON flagsmith.flag_change (flagsmith._hash('feature:' || coalesce(feature, '')), event_at);

-- An instant some minutes before or after another, which ends at what a timestamptz can be: no row may make every answer fail.
CREATE FUNCTION flagsmith._earlier(at timestamptz, by interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN at < timestamptz '4713-01-01 00:00:00+00 BC' THEN '-infinity' ELSE at - by END;
COMMENT ON FUNCTION flagsmith._earlier(timestamptz, interval) IS 'an instant before another, however early that is';
CREATE FUNCTION flagsmith._later(at timestamptz, by interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN at > timestamptz '294276-12-01 00:00:00+00' THEN 'infinity' ELSE at + by END;
COMMENT ON FUNCTION flagsmith._later(timestamptz, interval) IS 'an instant after another, however late that is';

-- The audit entries, each once: rows of one source with one audit_id and one created_date are one entry, a webhook's before
-- one of the REST API.  The same id at another time is another entry, of a Flagsmith that was restored or of a wrong source.
CREATE VIEW flagsmith._entry WITH (security_invoker = false) AS
SELECT a.delivery, a.ordinal, a.source, a.created_date AS at, a.audit_id, a.origin, a.author_email, a.project_id, a.project, a.environment_id,
    a.is_system_event, a.feature, a.segment, a.identity, a.action, a.object, a.change_request, a.log, a.related_object_id,
    a.related_object_type, a.related_object_uuid, a.environment_named,
    -- Entries that may belong to one act have the same of all these.
    jsonb_build_array(a.project_id, a.environment_id, a.author_email, a.is_system_event, a.feature, a.segment, a.identity,
        CASE WHEN a.feature IS NULL THEN a.related_object_id END) AS act_key
FROM flagsmith.audit_log a
WHERE NOT a.is_test
    AND (a.audit_id IS NULL
        OR (a.delivery, a.ordinal) = (
            SELECT d.delivery, d.ordinal
            FROM flagsmith.audit_log d
            WHERE d.source = a.source AND d.audit_id = a.audit_id AND d.created_date = a.created_date AND NOT d.is_test
            ORDER BY d.origin = 'webhook' DESC, d.delivery, d.ordinal
            LIMIT 1));
COMMENT ON VIEW flagsmith._entry IS 'Part of history: the audit entries, each once.';

-- The audit entry that explains each flag change.  An entry of v1 has the very time of the body or one within a tenth of a
-- second; that of a version is written by a task of its own, after a hang of the task processor minutes later; one of a
-- change request that goes live is near the arrival, since the body carries the time of the draft.
CREATE VIEW flagsmith._explained WITH (security_invoker = false) AS
SELECT f.delivery, f.ordinal, f.source, f.event_at, f.received_at, f.feature, f.segment_id, f.identity,
    e.delivery AS entry_delivery, e.ordinal AS entry_ordinal, e.at AS entry_at, e.act_key
FROM flagsmith.flag_change f
CROSS JOIN LATERAL (
    SELECT e.*
    FROM (
        -- an override, by the hash of its name
        SELECT t.delivery, t.ordinal, 1 AS rank
        FROM flagsmith.audit_effect t
        WHERE t.source = f.source
            AND hashtextextended(t.source, 0) = hashtextextended(f.source, 0)
            AND t.project_id = f.project_id
            AND t.feature_hash = flagsmith._hash('feature:' || f.feature)
            AND t.scope_hash = flagsmith._hash(CASE WHEN f.identity IS NOT NULL THEN 'identity:' || f.identity_identifier
                ELSE 'segment:' || f.segment END)
            AND t.occurred_at BETWEEN flagsmith._earlier(f.event_at, interval '1 second') AND flagsmith._later(f.event_at, interval '1 second')
            AND t.environment_id = f.environment_id
        UNION ALL
        -- the environment default, and what a version changes
        SELECT t.delivery, t.ordinal, CASE WHEN t.kind = 'version' THEN 2 ELSE 1 END
        FROM flagsmith.audit_effect t
        WHERE t.source = f.source
            AND hashtextextended(t.source, 0) = hashtextextended(f.source, 0)
            AND t.project_id = f.project_id
            AND t.feature_hash = flagsmith._hash('feature:' || f.feature)
            AND t.scope_hash IS NULL
            AND t.occurred_at BETWEEN flagsmith._earlier(f.event_at, interval '1 second') AND flagsmith._later(f.event_at, interval '5 minutes')
            AND t.environment_id = f.environment_id
            AND f.identity IS NULL
            AND CASE WHEN t.kind = 'version' THEN t.occurred_at >= flagsmith._earlier(f.event_at, interval '0.2 second')
                ELSE t.kind IN ('state', 'value', 'variant', 'feature_created')
                    AND (f.segment_id IS NULL OR t.kind = 'variant')
                    AND t.occurred_at <= flagsmith._later(f.event_at, interval '1 second') END
        UNION ALL
        SELECT t.delivery, t.ordinal, 3
        FROM flagsmith.audit_effect t
        WHERE f.received_at > flagsmith._later(f.event_at, interval '2 seconds')
            AND t.source = f.source
            AND hashtextextended(t.source, 0) = hashtextextended(f.source, 0)
            AND t.project_id = f.project_id
            AND t.feature_hash = flagsmith._hash('feature:' || f.feature)
            AND t.scope_hash IS NULL
            AND t.occurred_at BETWEEN flagsmith._earlier(f.received_at, interval '10 seconds') AND flagsmith._later(f.received_at, interval '2 seconds')
            AND t.environment_id = f.environment_id
            AND f.identity IS NULL
            AND EXISTS (SELECT FROM flagsmith.audit_log s
                WHERE s.delivery = t.delivery AND s.ordinal = t.ordinal AND s.is_system_event
                OFFSET 0)
    ) t
    CROSS JOIN LATERAL (SELECT e.* FROM flagsmith._entry e WHERE e.delivery = t.delivery AND e.ordinal = t.ordinal OFFSET 0) e
    WHERE CASE WHEN e.author_email IS NOT NULL THEN e.author_email = f.changed_by
            ELSE e.is_system_event OR e.origin = 'import' OR position('@' IN coalesce(f.changed_by, '')) = 0 END
    ORDER BY t.rank, abs(extract(epoch FROM e.at) - extract(epoch FROM f.event_at)), e.audit_id, e.delivery, e.ordinal
    LIMIT 1
) e
WHERE f.origin = 'webhook' AND NOT f.is_test AND NOT f.deleted;
COMMENT ON VIEW flagsmith._explained IS 'Part of history: flag changes with the audit entry that explains each.';

-- The same for deletions.  The entry of a deleted feature has its id; in v1 each environment has an entry too, which is taken
-- first.  Both are written within the request, the body's own time is that of the last edit.
CREATE VIEW flagsmith._explained_deletion WITH (security_invoker = false) AS
SELECT f.delivery, f.ordinal, f.source, f.event_at, f.received_at, f.feature_id,
    e.delivery AS entry_delivery, e.ordinal AS entry_ordinal, e.at AS entry_at, e.act_key
FROM flagsmith.flag_change f
CROSS JOIN LATERAL (
    SELECT e.*
    FROM (
        SELECT d.delivery, d.ordinal, d.occurred_at AS at, 2 AS rank, d.project_id, d.feature_hash
        FROM flagsmith.audit_effect d
        WHERE d.source = f.source AND d.feature_id = f.feature_id AND d.kind = 'feature_deleted'
    ) d
    CROSS JOIN LATERAL (
        SELECT t.delivery, t.ordinal, 1 AS rank
        FROM flagsmith.audit_effect t
        WHERE t.source = f.source
            AND hashtextextended(t.source, 0) = hashtextextended(f.source, 0)
            AND t.project_id = d.project_id
            AND t.feature_hash = d.feature_hash
            AND t.scope_hash IS NULL
            AND t.occurred_at BETWEEN flagsmith._earlier(d.at, interval '10 seconds') AND flagsmith._later(d.at, interval '10 seconds')
            AND t.environment_id = f.environment_id
            AND t.kind = 'feature_deleted'
        UNION ALL
        SELECT d.delivery, d.ordinal, d.rank
    ) t
    CROSS JOIN LATERAL (SELECT e.* FROM flagsmith._entry e WHERE e.delivery = t.delivery AND e.ordinal = t.ordinal OFFSET 0) e
    ORDER BY t.rank, e.at, e.audit_id, e.delivery, e.ordinal
    LIMIT 1
) e
WHERE f.origin = 'webhook' AND NOT f.is_test AND f.deleted;
COMMENT ON VIEW flagsmith._explained_deletion IS 'Part of history: deleted flags with the audit entry that explains each.';

-- Flag changes that no entry explains.
CREATE VIEW flagsmith._unexplained WITH (security_invoker = false) AS
SELECT f.*
FROM flagsmith.flag_change f
WHERE f.origin = 'webhook' AND NOT f.is_test AND NOT f.deleted
    AND NOT EXISTS (SELECT FROM flagsmith._explained x WHERE x.delivery = f.delivery AND x.ordinal = f.ordinal OFFSET 0);
COMMENT ON VIEW flagsmith._unexplained IS 'Part of history: flag changes that no audit entry explains.';

-- The act that a candidate stands for, or no row where another one does.  In plpgsql, since its plans are made once a
-- session: as one query it takes longer to plan than to run.
CREATE FUNCTION flagsmith._act(
    kind text, delivery bigint, ordinal integer,
    OUT actor_type text, OUT action text, OUT object text, OUT change_request text,
    OUT source text, OUT project text, OUT segment text, OUT identity_identifier text,
    OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
    OUT enabled_before boolean, OUT value_before jsonb, OUT variants_before jsonb,
    OUT log text, OUT audit_id bigint, OUT delivery_ids bigint[])
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER COST 10000 ROWS 1
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    a       flagsmith._entry;               -- the act's first entry
    e       flagsmith._entry;
    x       flagsmith._explained;
    c       flagsmith.flag_change;          -- the candidate
    f       flagsmith.flag_change;          -- the change that the line shows
    since   timestamptz;
    until   timestamptz;
    hash    bigint;                         -- of the entries' feature
    near    timestamptz;
    id      bigint;
    actor     text;
BEGIN
    IF kind = 'entry' THEN
        SELECT * INTO a FROM flagsmith._entry t WHERE t.delivery = _act.delivery AND t.ordinal = _act.ordinal;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        hash := flagsmith._hash('feature:' || coalesce(a.feature, ''));
        -- It begins an act if none of the same act comes in the second before it.
        IF EXISTS (
            SELECT FROM flagsmith._entry p
            WHERE flagsmith._hash('feature:' || coalesce(p.feature, '')) = hash
                AND p.at BETWEEN flagsmith._earlier(a.at, interval '1 second') AND a.at
                AND p.source = a.source
                AND p.act_key = a.act_key
                AND (p.at, coalesce(p.audit_id, 0), p.delivery, p.ordinal) < (a.at, coalesce(a.audit_id, 0), a.delivery, a.ordinal))
        THEN
            RETURN;
        END IF;
    ELSIF kind = 'change' THEN
        SELECT * INTO x FROM flagsmith._explained t WHERE t.delivery = _act.delivery AND t.ordinal = _act.ordinal;
        IF FOUND THEN
            -- Its entry stands for the act, unless that does not say who or of what: an API key's, or an ambiguous message.
            SELECT * INTO a FROM flagsmith._entry t WHERE t.delivery = x.entry_delivery AND t.ordinal = x.entry_ordinal;
            IF (a.author_email IS NOT NULL OR a.is_system_event) AND a.feature IS NOT NULL THEN
                RETURN;
            END IF;
            hash := flagsmith._hash('feature:' || coalesce(a.feature, ''));
            LOOP
                SELECT * INTO e
                FROM flagsmith._entry p
                WHERE flagsmith._hash('feature:' || coalesce(p.feature, '')) = hash
                    AND p.at BETWEEN flagsmith._earlier(a.at, interval '1 second') AND a.at
                    AND p.source = a.source
                    AND p.act_key = a.act_key
                    AND (p.at, coalesce(p.audit_id, 0), p.delivery, p.ordinal)
                        < (a.at, coalesce(a.audit_id, 0), a.delivery, a.ordinal)
                ORDER BY p.at, p.audit_id, p.delivery, p.ordinal
                LIMIT 1;
                EXIT WHEN NOT FOUND;
                a := e;
            END LOOP;
        ELSE
            SELECT * INTO c FROM flagsmith.flag_change t WHERE t.delivery = _act.delivery AND t.ordinal = _act.ordinal;
            IF EXISTS (
                SELECT FROM flagsmith._unexplained p
                WHERE flagsmith._hash('feature:' || coalesce(p.feature, '')) = flagsmith._hash('feature:' || coalesce(c.feature, ''))
                    AND p.event_at BETWEEN flagsmith._earlier(c.event_at, interval '1 second') AND c.event_at
                    AND p.source = c.source AND p.environment_id IS NOT DISTINCT FROM c.environment_id
                    AND p.feature_id IS NOT DISTINCT FROM c.feature_id AND p.identity IS NOT DISTINCT FROM c.identity
                    AND p.changed_by IS NOT DISTINCT FROM c.changed_by
                    AND (p.event_at, p.received_at, p.delivery, p.ordinal) < (c.event_at, c.received_at, c.delivery, c.ordinal))
            THEN
                RETURN;
            END IF;
        END IF;
    ELSE
        SELECT * INTO c FROM flagsmith.flag_change t WHERE t.delivery = _act.delivery AND t.ordinal = _act.ordinal;
        IF EXISTS (
                SELECT FROM flagsmith._explained_deletion t WHERE t.delivery = _act.delivery AND t.ordinal = _act.ordinal)
            OR EXISTS (
                SELECT FROM flagsmith.flag_change p
                WHERE p.source = c.source AND p.environment_id = c.environment_id AND p.feature_id = c.feature_id
                    AND p.deleted AND NOT p.is_test AND p.origin = 'webhook'
                    AND (p.received_at, p.delivery, p.ordinal) < (c.received_at, c.delivery, c.ordinal))
        THEN
            RETURN;
        END IF;
    END IF;

    IF a.delivery IS NOT NULL THEN
        -- The act lasts until the first entry that no other follows within a second.
        since := a.at;
        until := a.at;
        LOOP
            SELECT max(n.at) INTO near
            FROM flagsmith._entry n
            WHERE flagsmith._hash('feature:' || coalesce(n.feature, '')) = hash
                AND n.at > until AND n.at <= flagsmith._later(until, interval '1 second')
                AND n.source = a.source
                AND n.act_key = a.act_key;
            EXIT WHEN near IS NULL;
            until := near;
        END LOOP;

        -- Where the first entry does not say who or of what and a flag change does, the first of these stands for the act.
        IF a.feature IS NULL OR (a.author_email IS NULL AND a.is_system_event IS NOT TRUE) THEN
            SELECT t.* INTO x
            FROM flagsmith.audit_effect w
            CROSS JOIN LATERAL (
                SELECT t.*
                FROM flagsmith._explained t
                WHERE flagsmith._hash('feature:' || coalesce(t.feature, '')) = w.feature_hash
                    AND t.event_at BETWEEN flagsmith._earlier(since, interval '5 minutes') AND flagsmith._later(until, interval '1 second')
                    AND t.source = a.source
                    AND t.entry_at BETWEEN since AND until
                    AND t.act_key = a.act_key
                OFFSET 0
            ) t
            WHERE w.delivery = a.delivery AND w.ordinal = a.ordinal
            ORDER BY t.event_at, t.received_at, t.delivery, t.ordinal
            LIMIT 1;
            IF FOUND AND (x.delivery, x.ordinal, 'change') IS DISTINCT FROM (_act.delivery, _act.ordinal, kind) THEN
                RETURN;
            END IF;
        END IF;

        -- Everything that tells of the act: its entries in all their copies, the versions they published, its flag changes.
        SELECT array_agg(DISTINCT r.delivery ORDER BY r.delivery), string_agg(r.log, E'\n' ORDER BY r.at, r.delivery)
        INTO delivery_ids, log
        FROM flagsmith._entry e
        CROSS JOIN LATERAL (
            SELECT e.delivery, e.at, e.log
            UNION ALL
            SELECT d.delivery, e.at, NULL
            FROM flagsmith.audit_log d
            WHERE d.source = e.source AND d.audit_id = e.audit_id AND d.created_date = e.at
            UNION ALL
            SELECT v.delivery, e.at, NULL
            FROM flagsmith.version_published v
            WHERE e.related_object_type = 'EF_VERSION'
                AND hashtextextended(v.uuid, 0) = hashtextextended(e.related_object_uuid, 0)
                AND v.uuid = e.related_object_uuid
                AND v.source = e.source
            OFFSET 0
        ) r
        WHERE flagsmith._hash('feature:' || coalesce(e.feature, '')) = hash
            AND e.at BETWEEN since AND until
            AND e.source = a.source
            AND e.act_key = a.act_key;

        IF a.related_object_type IN ('FEATURE', 'FEATURE_STATE', 'EF_VERSION') AND a.action = 'deleted' THEN
            SELECT delivery_ids || array_agg(t.delivery ORDER BY t.delivery), (array_agg(t.delivery ORDER BY t.event_at DESC, t.delivery DESC))[1]
            INTO delivery_ids, id
            FROM flagsmith._explained_deletion t
            WHERE t.source = a.source
                AND t.feature_id = ANY (ARRAY(
                    SELECT d.feature_id
                    FROM flagsmith.audit_effect d
                    WHERE d.source = a.source AND hashtextextended(d.source, 0) = hashtextextended(a.source, 0)
                        AND d.project_id = a.project_id AND d.feature_hash = hash AND d.scope_hash IS NULL
                        AND d.occurred_at BETWEEN flagsmith._earlier(since, interval '10 seconds') AND flagsmith._later(until, interval '10 seconds')
                        AND d.kind = 'feature_deleted' AND d.feature_id IS NOT NULL))
                AND t.entry_at BETWEEN since AND until
                AND t.act_key = a.act_key;
        ELSIF a.related_object_type IN ('FEATURE', 'FEATURE_STATE', 'EF_VERSION') THEN
            SELECT delivery_ids || array_agg(DISTINCT t.delivery ORDER BY t.delivery),
                (array_agg(t.delivery ORDER BY t.identity IS NOT NULL, t.segment_id IS NOT NULL, t.event_at DESC, t.received_at DESC,
                    t.delivery DESC))[1], min(t.event_at)
            INTO delivery_ids, id, near
            FROM flagsmith._explained t
            WHERE flagsmith._hash('feature:' || coalesce(t.feature, ''))
                    = CASE WHEN kind = 'change' THEN flagsmith._hash('feature:' || coalesce(x.feature, '')) ELSE hash END
                AND t.event_at BETWEEN flagsmith._earlier(since, interval '5 minutes') AND flagsmith._later(until, interval '1 second')
                AND t.source = a.source
                AND t.entry_at BETWEEN since AND until
                AND t.act_key = a.act_key;
        END IF;
        SELECT * INTO f FROM flagsmith.flag_change t WHERE t.delivery = id LIMIT 1;
        source := a.source;
        project := a.project;
        action := a.action;
        object := a.object;
        change_request := a.change_request;
        segment := coalesce(a.segment, f.segment);
        identity_identifier := coalesce(a.identity, f.identity_identifier);
        audit_id := a.audit_id;
        actor_type := CASE
            WHEN a.is_system_event THEN 'system'
            WHEN a.author_email IS NOT NULL THEN 'user'
            WHEN a.origin = 'webhook' THEN 'api key'
            WHEN f.deleted OR coalesce(f.changed_by, '') = '' THEN 'unknown'
            WHEN f.changed_by ~ '^[^@\s]+@[^@\s]+$' THEN 'user'
            ELSE 'api key' END;
        IF action IS NULL AND f.delivery IS NOT NULL THEN
            action := CASE WHEN f.segment_id IS NULL AND f.identity IS NULL THEN 'updated' ELSE 'set' END;
        END IF;
    ELSE
        IF kind = 'change' THEN
            since := c.event_at;
            until := c.event_at;
            LOOP
                SELECT max(n.event_at) INTO near
                FROM flagsmith._unexplained n
                WHERE flagsmith._hash('feature:' || coalesce(n.feature, '')) = flagsmith._hash('feature:' || coalesce(c.feature, ''))
                    AND n.event_at > until AND n.event_at <= flagsmith._later(until, interval '1 second')
                    AND n.source = c.source AND n.environment_id IS NOT DISTINCT FROM c.environment_id
                    AND n.feature_id IS NOT DISTINCT FROM c.feature_id AND n.identity IS NOT DISTINCT FROM c.identity
                    AND n.changed_by IS NOT DISTINCT FROM c.changed_by;
                EXIT WHEN near IS NULL;
                until := near;
            END LOOP;
            SELECT array_agg(DISTINCT t.delivery ORDER BY t.delivery),
                (array_agg(t.delivery ORDER BY t.identity IS NOT NULL, t.segment_id IS NOT NULL, t.event_at DESC, t.received_at DESC,
                    t.delivery DESC))[1]
            INTO delivery_ids, id
            FROM flagsmith._unexplained t
            WHERE flagsmith._hash('feature:' || coalesce(t.feature, '')) = flagsmith._hash('feature:' || coalesce(c.feature, ''))
                AND t.event_at BETWEEN since AND until
                AND t.source = c.source AND t.environment_id IS NOT DISTINCT FROM c.environment_id
                    AND t.feature_id IS NOT DISTINCT FROM c.feature_id AND t.identity IS NOT DISTINCT FROM c.identity
                    AND t.changed_by IS NOT DISTINCT FROM c.changed_by;
            SELECT * INTO f FROM flagsmith.flag_change t WHERE t.delivery = id LIMIT 1;
            near := since;
            actor := f.changed_by;
        ELSE
            SELECT array_agg(DISTINCT t.delivery ORDER BY t.delivery), (array_agg(t.delivery ORDER BY t.event_at DESC, t.delivery DESC))[1]
            INTO delivery_ids, id
            FROM flagsmith.flag_change t
            WHERE t.source = c.source AND t.environment_id = c.environment_id AND t.feature_id = c.feature_id
                AND t.deleted AND NOT t.is_test AND t.origin = 'webhook';
            SELECT * INTO f FROM flagsmith.flag_change t WHERE t.delivery = id LIMIT 1;
        END IF;
        action := CASE WHEN f.deleted THEN 'deleted' WHEN f.segment_id IS NULL AND f.identity IS NULL THEN 'updated' ELSE 'set' END;
        source := f.source;
        project := f.project;
        segment := f.segment;
        identity_identifier := f.identity_identifier;
        actor_type := CASE WHEN coalesce(actor, '') = '' THEN 'unknown' WHEN actor ~ '^[^@\s]+@[^@\s]+$' THEN 'user' ELSE 'api key' END;
    END IF;
    IF object IS NULL AND f.delivery IS NOT NULL THEN
        object := CASE WHEN f.identity IS NOT NULL THEN 'identity override' WHEN f.segment_id IS NOT NULL THEN 'segment override'
            ELSE 'feature state' END;
    END IF;

    enabled := f.enabled;
    value := f.value;
    variants := f.variants;
    IF f.delivery IS NOT NULL THEN
        -- The state before: what the newest earlier body of the same scope told, if no entry says that it was removed since.
        IF f.deleted THEN
            near := f.received_at;
        END IF;
        IF f.segment_id IS NULL AND f.identity IS NULL THEN
            SELECT b.enabled, b.value, b.variants
            INTO enabled_before, value_before, variants_before
            FROM flagsmith.flag_change b
            WHERE b.source = f.source AND hashtextextended(b.source, 0) = hashtextextended(f.source, 0)
                AND b.environment_id = f.environment_id AND b.feature_id = f.feature_id
                AND b.segment_id IS NULL AND b.identity IS NULL AND NOT b.is_test
                AND NOT b.deleted
                AND b.event_at < near
            ORDER BY b.event_at DESC, b.received_at DESC
            LIMIT 1;
        ELSE
            SELECT b.enabled, b.value, b.variants
            INTO enabled_before, value_before, variants_before
            FROM flagsmith.flag_change b
            WHERE b.source = f.source AND hashtextextended(b.source, 0) = hashtextextended(f.source, 0)
                AND b.environment_id = f.environment_id AND b.feature_id = f.feature_id
                AND b.segment_id IS NOT DISTINCT FROM f.segment_id
                AND b.identity IS NOT DISTINCT FROM f.identity
                AND (b.segment_id IS NOT NULL OR b.identity IS NOT NULL) AND NOT b.is_test
                AND NOT b.deleted
                AND b.event_at < near
                AND NOT EXISTS (
                    SELECT FROM flagsmith.audit_effect t
                    WHERE t.source = b.source AND hashtextextended(t.source, 0) = hashtextextended(b.source, 0)
                        AND t.project_id = b.project_id
                        AND t.feature_hash = flagsmith._hash('feature:' || b.feature)
                        AND t.scope_hash = flagsmith._hash(CASE WHEN b.identity IS NOT NULL THEN 'identity:' || b.identity_identifier
                            ELSE 'segment:' || b.segment END)
                        AND t.occurred_at > b.event_at AND t.occurred_at < near
                        AND t.environment_id = b.environment_id
                        AND t.kind = 'removal')
            ORDER BY b.event_at DESC, b.received_at DESC
            LIMIT 1;
        END IF;
        -- A version's previous_state can be trusted, and is all there is of a flag that was created with versions.
        IF NOT FOUND AND object = 'version' AND f.enabled_before IS NOT NULL THEN
            enabled_before := f.enabled_before;
            value_before := f.value_before;
            variants_before := f.variants_before;
        END IF;
    ELSIF action = 'deleted' AND object IN ('segment override', 'identity override') AND a.feature IS NOT NULL THEN
        -- The entry of a removal has names only.
        SELECT b.enabled, b.value, b.variants
        INTO enabled_before, value_before, variants_before
        FROM flagsmith.name i
        CROSS JOIN LATERAL (
            SELECT b.*
            FROM flagsmith.flag_change b
            WHERE b.source = a.source AND hashtextextended(b.source, 0) = hashtextextended(a.source, 0)
                AND b.environment_id = a.environment_id AND b.feature_id = i.id::bigint
                AND (b.segment_id IS NOT NULL OR b.identity IS NOT NULL) AND NOT b.is_test
                AND (b.segment = a.segment OR b.identity_identifier = a.identity)
                AND NOT b.deleted
                AND b.event_at < a.at
            OFFSET 0
        ) b
        WHERE i.source = a.source AND i.kind = 'feature' AND flagsmith._hash('feature:' || i.name) = hash AND i.name = a.feature
            AND i.project_id = a.project_id AND i.id ~ '^[0-9]{1,18}$'
        ORDER BY b.event_at DESC, b.received_at DESC
        LIMIT 1;
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION flagsmith._act(text, bigint, integer) IS 'the act that a candidate for a line of history stands for';

-- Who did what.  The candidates for a line are merged in the order of their times, so that a page of the newest needs no
-- more than the newest candidates; _act() looks near one instant through the indexes above.
CREATE VIEW flagsmith.history WITH (security_invoker = false) AS
SELECT c.at, c.actor, act.actor_type, act.action, act.object, act.change_request,
    act.source, act.project, c.environment, c.feature, act.segment, act.identity_identifier,
    act.enabled, act.value, act.variants, act.enabled_before, act.value_before, act.variants_before,
    act.log, act.audit_id, act.delivery_ids
FROM (
    (SELECT 'entry' AS kind, created_date AS at, author_email AS actor, environment, feature, delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1
        ORDER BY created_date DESC)
    UNION ALL
    (SELECT 'entry', created_date, author_email, environment, feature, delivery, ordinal
        FROM flagsmith.audit_log
        WHERE NOT is_test AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(author_email), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) = 1
        ORDER BY created_date DESC)
    UNION ALL
    (SELECT 'change', event_at, changed_by, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1 AND changed_by <> ''
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'change', event_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1 AND changed_by = ''
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'change', event_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) <> 1 AND changed_by IS NULL
        ORDER BY event_at DESC)
    UNION ALL
    (SELECT 'change', event_at, nullif(changed_by, ''), environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND NOT deleted AND origin = 'webhook' AND least(coalesce(octet_length(feature), 0) / 501 + coalesce(octet_length(changed_by), 0) / 501
        + coalesce(octet_length(environment), 0) / 501, 1) = 1
        ORDER BY event_at DESC)
    UNION ALL
    -- Who deleted a flag is not in the body: it names the last editor.
    (SELECT 'deletion', received_at, NULL, environment, feature, delivery, ordinal
        FROM flagsmith.flag_change
        WHERE NOT is_test AND deleted AND origin = 'webhook'
        ORDER BY received_at DESC)
) c
CROSS JOIN LATERAL flagsmith._act(c.kind, c.delivery, c.ordinal) act;
COMMENT ON VIEW flagsmith.history IS 'Who did what: one line for each act, with its audit entries and flag events folded together.';
COMMENT ON COLUMN flagsmith.history.at IS 'When it happened, by Flagsmith''s clock; of a deletion that no audit entry explains, when it was received.';
COMMENT ON COLUMN flagsmith.history.actor IS 'E-mail of the user or name of the API key; NULL where nothing told.';
COMMENT ON COLUMN flagsmith.history.actor_type IS 'user, api key, system (a change request that went live), or unknown.';
COMMENT ON COLUMN flagsmith.history.action IS 'What was done, as the audit entry says; see docs/messages.md.';
COMMENT ON COLUMN flagsmith.history.object IS 'What it was done to.';
COMMENT ON COLUMN flagsmith.history.change_request IS 'Title of the change request in the message.';
COMMENT ON COLUMN flagsmith.history.source IS 'Which Flagsmith installation it is.';
COMMENT ON COLUMN flagsmith.history.project IS 'Project, as it was named then.';
COMMENT ON COLUMN flagsmith.history.environment IS 'Environment, as it was named then; NULL for acts on the project.';
COMMENT ON COLUMN flagsmith.history.feature IS 'Feature, as it was named then; NULL where the act has none or the message leaves it open.';
COMMENT ON COLUMN flagsmith.history.segment IS 'Segment, of an act on a segment or its override.';
COMMENT ON COLUMN flagsmith.history.identity_identifier IS 'Identifier, of an act on an identity override.';
COMMENT ON COLUMN flagsmith.history.enabled IS 'Whether it was on after the act, as far as a flag event told.';
COMMENT ON COLUMN flagsmith.history.value IS 'The value after the act.';
COMMENT ON COLUMN flagsmith.history.variants IS 'The variants with percentages after the act.';
COMMENT ON COLUMN flagsmith.history.enabled_before IS 'Whether it was on before the act.';
COMMENT ON COLUMN flagsmith.history.value_before IS 'The value before the act.';
COMMENT ON COLUMN flagsmith.history.variants_before IS 'The variants with percentages before the act.';
COMMENT ON COLUMN flagsmith.history.log IS 'The messages of the act''s audit entries, in their order, one below the other.';
COMMENT ON COLUMN flagsmith.history.audit_id IS 'Flagsmith''s id of the first audit entry.';
COMMENT ON COLUMN flagsmith.history.delivery_ids IS 'All deliveries that tell of the act.';
