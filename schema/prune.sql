-- An instant some minutes before or after another, which ends at what a timestamptz can be: no row may make every answer fail.
CREATE FUNCTION flagsmith._earlier(at timestamptz, by interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN at < timestamptz '4713-01-01 00:00:00+00 BC' THEN '-infinity' ELSE at - by END;
COMMENT ON FUNCTION flagsmith._earlier(timestamptz, interval) IS 'an instant before another, however early that is';
CREATE FUNCTION flagsmith._later(at timestamptz, by interval) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN at > timestamptz '294276-12-01 00:00:00+00' THEN 'infinity' ELSE at + by END;
COMMENT ON FUNCTION flagsmith._later(timestamptz, interval) IS 'an instant after another, however late that is';

-- What prune_history() may remove.  A row goes if it arrived before the instant and another one that did supersedes it: of the
-- same scope, later by its own time and no earlier by arrival.  In doubt, a row stays; docs/design.md says what was tried.

-- The changes of one flag, by the leading columns of the indexes.  The server puts this function and the next into the query
-- that calls them.
CREATE FUNCTION flagsmith._changes_of(flag_source text, flag_environment bigint, flag bigint) RETURNS SETOF flagsmith.flag_change
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT l.*
        FROM flagsmith.flag_change l
        WHERE l.feature_id = flag AND l.environment_id = flag_environment AND l.source = flag_source
            AND hashtextextended(l.source, 0) = hashtextextended(flag_source, 0)
            AND NOT l.is_test;
    END;
COMMENT ON FUNCTION flagsmith._changes_of(text, bigint, bigint) IS 'part of pruning: the changes of one flag';

CREATE FUNCTION flagsmith._defaults_of(flag_source text, flag_environment bigint, flag bigint) RETURNS SETOF flagsmith.flag_change
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT l.*
        FROM flagsmith._changes_of(flag_source, flag_environment, flag) l
        WHERE l.segment_id IS NULL AND l.identity IS NULL AND NOT l.deleted;
    END;
COMMENT ON FUNCTION flagsmith._defaults_of(text, bigint, bigint) IS 'part of pruning: the changes of one flag''s environment default';

-- reach: how many changes of a flag with versions are looked back on (REACH in src/timeline/version_order.c); late: how much
-- later than they an entry or a list may come; burst: bodies of one act come within it and explain each other.
-- STABLE, so that it stands where a row is first looked at; compared with NULL, so that no estimate changes.
CREATE FUNCTION flagsmith._looked_at(delivery bigint) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_looked_at';
COMMENT ON FUNCTION flagsmith._looked_at(bigint) IS 'part of pruning: its argument; the call tells now and then how many rows were looked at';

CREATE FUNCTION flagsmith._prunable_history(before timestamptz, at_most integer,
    reach integer DEFAULT 64, late interval DEFAULT '1 hour', burst interval DEFAULT '1 minute',
    OUT relation text, OUT delivery bigint, OUT ordinal integer, OUT split integer)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        WITH
        flag AS MATERIALIZED (
            SELECT f.source, f.environment_id, f.feature_id FROM flagsmith._flag f
        ),
        -- Entries tell of features by name, and of several by one.
        feature AS MATERIALIZED (
            SELECT DISTINCT n.source, n.id::bigint AS feature_id, flagsmith._hash('feature:' || n.name) AS feature_hash
            FROM flagsmith.name n
            WHERE n.kind = 'feature' AND n.id ~ '^[0-9]{1,18}$'
        ),
        -- Flags that are published in versions: their states are carried from version to version by bodies, lists and entries
        -- together, so none of them goes without the others.
        versioned AS MATERIALIZED (
            SELECT p.source, p.feature_id FROM flagsmith.version_published p WHERE p.feature_id IS NOT NULL
            UNION
            SELECT t.source, n.feature_id
            FROM (SELECT DISTINCT source, feature_hash FROM flagsmith.audit_effect WHERE kind = 'version') t
            JOIN feature n USING (source, feature_hash)
        ),
        -- What stays of each of them as a whole: from the last changes of the environment default on, further than any of them
        -- looks back, and from the first override by segment on.
        kept AS MATERIALIZED (
            SELECT s.*, min(s.since) OVER (PARTITION BY s.source, s.feature_id) AS since_anywhere
            FROM (
                SELECT f.source, f.environment_id, f.feature_id,
                    flagsmith._earlier(least(
                        coalesce((
                            SELECT l.event_at
                            FROM flagsmith._defaults_of(f.source, f.environment_id, f.feature_id) l
                            WHERE l.event_at < before AND l.received_at < before
                            ORDER BY l.event_at DESC
                            OFFSET reach - 1 LIMIT 1), '-infinity'),
                        (SELECT min(l.event_at)
                            FROM flagsmith._changes_of(f.source, f.environment_id, f.feature_id) l
                            WHERE l.segment_id IS NOT NULL)), late) AS since
                FROM flag f
                JOIN versioned USING (source, feature_id)
                WHERE EXISTS (SELECT FROM flagsmith._changes_of(f.source, f.environment_id, f.feature_id))
            ) s
        ),
        named AS MATERIALIZED (
            SELECT v.source, n.feature_hash, k.environment_id, min(k.since) AS since
            FROM versioned v
            JOIN feature n USING (source, feature_id)
            LEFT JOIN kept k ON k.source = v.source AND k.feature_id = v.feature_id
            GROUP BY 1, 2, 3
        ),

        -- When variants were added or removed.  What environments showed first after that, and last before it, tells all of
        -- them which (src/read/seen.c); what is read within a second need not show it.
        optioned AS MATERIALIZED (
            SELECT t.source, n.feature_id, t.feature_hash, t.occurred_at
            FROM (SELECT DISTINCT source, feature_hash, occurred_at FROM flagsmith.audit_effect
                WHERE kind = 'variant' AND environment_id IS NULL AND occurred_at < before) t
            JOIN feature n USING (source, feature_hash)
        ),
        beside AS MATERIALIZED (
            SELECT l.delivery, l.ordinal
            FROM optioned o
            JOIN flag g USING (source, feature_id)
            CROSS JOIN LATERAL (
                SELECT
                    (SELECT max(x.event_at) FROM flagsmith._defaults_of(g.source, g.environment_id, g.feature_id) x
                        WHERE x.event_at <= o.occurred_at) AS last_before,
                    (SELECT min(x.event_at) FROM flagsmith._defaults_of(g.source, g.environment_id, g.feature_id) x
                        WHERE x.event_at > flagsmith._later(o.occurred_at, '1 second')) AS first_after
                OFFSET 0
            ) e
            CROSS JOIN LATERAL flagsmith._defaults_of(g.source, g.environment_id, g.feature_id) l
            WHERE l.event_at >= coalesce(e.last_before, o.occurred_at) AND l.event_at <= coalesce(e.first_after, before)
        ),

        -- A deletion is never superseded: imports and late bodies tell of the time before it.  Nor is the last to tell of a
        -- feature's defaults, or of how an identity is called, by those that do not.
        changes AS (
            (SELECT f.delivery, f.ordinal
            FROM flagsmith.flag_change f
            WHERE f.event_at < before AND f.received_at < before
                AND flagsmith._looked_at(f.delivery) IS NOT NULL
                AND (f.is_test
                    -- What bears the time of a draft took effect later than it says.
                    OR NOT (f.changed_by IS NOT DISTINCT FROM '' AND f.received_at > flagsmith._later(f.event_at, '3 seconds'))
                        AND (f.identity IS NOT NULL
                            OR (f.source, f.feature_id) NOT IN (SELECT v.source, v.feature_id FROM versioned v))
                        AND NOT f.deleted
                        AND CASE WHEN f.segment_id IS NULL AND f.identity IS NULL
                            THEN EXISTS (
                                SELECT FROM flagsmith._defaults_of(f.source, f.environment_id, f.feature_id) l
                                WHERE l.event_at > flagsmith._later(f.event_at, burst) AND l.event_at < before
                                    AND l.received_at >= f.received_at AND l.received_at < before
                                    AND (l.feature_default_enabled IS NOT NULL OR f.feature_default_enabled IS NULL))
                                AND (f.delivery, f.ordinal) NOT IN (SELECT b.delivery, b.ordinal FROM beside b)
                            ELSE EXISTS (
                                SELECT FROM flagsmith._changes_of(f.source, f.environment_id, f.feature_id) l
                                WHERE l.event_at > flagsmith._later(f.event_at, burst) AND l.event_at < before
                                    AND l.received_at >= f.received_at AND l.received_at < before
                                    AND NOT l.deleted
                                    AND (l.segment_id IS NOT NULL OR l.identity IS NOT NULL)
                                    AND l.segment_id IS NOT DISTINCT FROM f.segment_id
                                    AND l.identity IS NOT DISTINCT FROM f.identity
                                    AND l.identity_kind IS NOT DISTINCT FROM f.identity_kind
                                    AND (l.identity_identifier IS NOT NULL OR f.identity_identifier IS NULL))
                            END)
            ORDER BY f.event_at
            LIMIT at_most)
            UNION ALL
            (SELECT f.delivery, f.ordinal
            FROM kept k
            CROSS JOIN LATERAL flagsmith._defaults_of(k.source, k.environment_id, k.feature_id) f
            WHERE f.event_at < k.since AND f.received_at < k.since
                AND flagsmith._looked_at(f.delivery) IS NOT NULL
                AND EXISTS (
                    SELECT FROM flagsmith._defaults_of(f.source, f.environment_id, f.feature_id) l
                    WHERE l.event_at > flagsmith._later(f.event_at, burst) AND l.event_at < before
                        AND l.received_at >= f.received_at AND l.received_at < before
                        AND (l.feature_default_enabled IS NOT NULL OR f.feature_default_enabled IS NULL))
                AND (f.delivery, f.ordinal) NOT IN (SELECT b.delivery, b.ordinal FROM beside b)
            LIMIT at_most)
            LIMIT at_most
        ),

        -- The latest entry says until when nothing else happened.
        newest AS MATERIALIZED (
            SELECT source, coalesce(project_id, -1) AS project_id, coalesce(environment_id, -1) AS environment_id,
                max(created_date) AS created_date
            FROM flagsmith.audit_log
            WHERE NOT is_test AND created_date < before AND received_at < before
                AND flagsmith._looked_at(delivery) IS NOT NULL
            GROUP BY 1, 2, 3
        ),
        entries AS (
            SELECT a.delivery, a.ordinal
            FROM flagsmith.audit_log a
            LEFT JOIN newest n ON n.source = a.source AND n.project_id = coalesce(a.project_id, -1)
                AND n.environment_id = coalesce(a.environment_id, -1)
            WHERE a.created_date < before AND a.received_at < before
                AND flagsmith._looked_at(a.delivery) IS NOT NULL
                -- What was made how, who deleted it, which options there are and when a change request took effect is read from the
                -- entry itself.
                AND (a.is_test OR a.created_date < n.created_date
                        AND (a.object = 'feature' AND a.action = 'created'
                            OR a.object IN ('feature', 'feature state') AND a.action = 'deleted'
                            OR a.object = 'environment' AND a.action IN ('created', 'updated')
                            OR a.object = 'variant' AND a.environment_id IS NULL
                            OR a.action IN ('committed', 'went live')
                            -- an identity that no event of its project showed, or one of another project, too
                            OR a.identity IS NOT NULL AND (
                                SELECT bool_and(coalesce(n.project_id, a.project_id) = a.project_id)
                                FROM flagsmith.name n
                                WHERE flagsmith._hash(n.kind || ':' || n.name) = flagsmith._hash('identity:' || a.identity)
                                    AND n.source = a.source AND n.kind = 'identity') IS NOT TRUE) IS NOT TRUE)
            ORDER BY a.created_date
            LIMIT at_most
        ),

        -- What begins or ends something stays, and so does each option that was added or removed.  A later effect of one name
        -- tells of the same segment only where no segment was ever renamed to or from it.  That it is of no version is said for
        -- the index, which has the others.
        renamed AS MATERIALIZED (
            SELECT DISTINCT n.source, flagsmith._hash('segment:' || n.name) AS scope_hash
            FROM flagsmith.name n
            WHERE n.kind = 'segment' AND EXISTS (
                SELECT FROM flagsmith.name o
                WHERE o.source = n.source AND o.kind = 'segment' AND o.id = n.id AND o.name <> n.name)
        ),
        effects AS (
            (SELECT t.delivery, t.ordinal, t.split
            FROM flagsmith.audit_effect t
            WHERE t.occurred_at < before AND t.received_at < before
                AND flagsmith._looked_at(t.delivery) IS NOT NULL
                AND (t.kind IN ('state', 'value', 'override', 'scheduled')
                    OR t.kind = 'variant' AND t.environment_id IS NOT NULL)
                AND EXISTS (
                    SELECT FROM flagsmith.audit_effect l
                    WHERE l.feature_hash = t.feature_hash AND l.environment_id IS NOT DISTINCT FROM t.environment_id
                        AND l.source = t.source AND hashtextextended(l.source, 0) = hashtextextended(t.source, 0)
                        AND l.project_id = t.project_id AND l.kind = t.kind AND l.kind <> 'version'
                        AND l.feature_id IS NOT DISTINCT FROM t.feature_id
                        AND l.scope_hash IS NOT DISTINCT FROM t.scope_hash
                        AND l.segment_id IS NOT DISTINCT FROM t.segment_id
                        AND l.occurred_at > flagsmith._later(t.occurred_at, burst) AND l.occurred_at < before
                        AND l.received_at >= t.received_at AND l.received_at < before)
                AND (t.scope_hash IS NULL
                    OR (t.source, t.scope_hash) NOT IN (SELECT r.source, r.scope_hash FROM renamed r))
            ORDER BY t.delivery
            LIMIT at_most)
            UNION ALL
            -- The entry of a version says of which environment its list is; the last one stays, so that the flag is still
            -- known to have versions.
            (SELECT t.delivery, t.ordinal, t.split
            FROM named n
            JOIN flagsmith.audit_effect t ON t.feature_hash = n.feature_hash AND t.environment_id = n.environment_id
                AND t.source = n.source AND hashtextextended(t.source, 0) = hashtextextended(n.source, 0)
            WHERE t.kind = 'version' AND t.occurred_at < n.since AND t.received_at < before
                AND flagsmith._looked_at(t.delivery) IS NOT NULL
                AND EXISTS (
                    SELECT FROM flagsmith.audit_effect l
                    WHERE l.feature_hash = t.feature_hash
                        AND hashtextextended(l.source, 0) = hashtextextended(t.source, 0) AND l.source = t.source
                        AND l.kind = 'version' AND l.environment_id = t.environment_id
                        AND l.feature_id IS NOT DISTINCT FROM t.feature_id
                        AND l.occurred_at > flagsmith._later(t.occurred_at, burst) AND l.occurred_at < before AND l.received_at < before)
                -- the first one since a variant was added or removed
                AND NOT EXISTS (
                    SELECT FROM optioned o
                    WHERE o.source = t.source AND o.feature_hash = t.feature_hash AND o.occurred_at < t.occurred_at
                        AND NOT EXISTS (
                            SELECT FROM flagsmith.audit_effect l
                            WHERE l.feature_hash = t.feature_hash
                                AND hashtextextended(l.source, 0) = hashtextextended(t.source, 0) AND l.source = t.source
                                AND l.kind = 'version' AND l.environment_id = t.environment_id
                                AND l.occurred_at > o.occurred_at AND l.occurred_at < t.occurred_at))
                AND NOT EXISTS (
                    SELECT FROM flagsmith.version_published p
                    WHERE hashtextextended(p.uuid, 0) = hashtextextended(t.version, 0) AND p.uuid = t.version
                        AND p.source = t.source AND p.received_at >= n.since)
            LIMIT at_most)
            LIMIT at_most
        ),

        -- Lists of versions.  Where the environment of one is not known, it can be that of any.
        versions AS (
            SELECT p.delivery, p.ordinal
            FROM kept k
            JOIN flagsmith.version_published p ON p.source = k.source AND p.feature_id = k.feature_id AND p.received_at < k.since
            CROSS JOIN LATERAL (
                SELECT coalesce(
                    (SELECT w.environment_id FROM flagsmith.webhook w WHERE w.name = p.webhook),
                    (SELECT min(t.environment_id)
                        FROM flagsmith.audit_effect t
                        WHERE hashtextextended(t.version, 0) = hashtextextended(p.uuid, 0)
                            AND t.version IS NOT NULL AND t.version = p.uuid AND t.source = p.source)) AS environment_id
                OFFSET 0
            ) e
            WHERE flagsmith._looked_at(p.delivery) IS NOT NULL
                AND CASE WHEN e.environment_id IS NULL THEN p.received_at < k.since_anywhere
                    ELSE k.environment_id = e.environment_id END
                AND EXISTS (
                    SELECT FROM flagsmith.version_published l
                    WHERE l.source = p.source AND l.feature_id = p.feature_id AND l.webhook IS NOT DISTINCT FROM p.webhook
                        AND l.received_at > flagsmith._later(p.received_at, burst) AND l.received_at < before
                    OFFSET 1)
            LIMIT at_most
        )

        SELECT 'flag_change', c.delivery, c.ordinal, 0 FROM changes c
        UNION ALL
        SELECT 'audit_log', c.delivery, c.ordinal, 0 FROM entries c
        UNION ALL
        SELECT 'audit_effect', c.delivery, c.ordinal, c.split FROM effects c
        UNION ALL
        SELECT 'version_published', c.delivery, c.ordinal, 0 FROM versions c;
    END;
COMMENT ON FUNCTION flagsmith._prunable_history(timestamptz, integer, integer, interval, interval) IS 'the typed rows that prune_history() removes, at most so many of each table';

CREATE FUNCTION flagsmith.prune_history(before timestamptz, at_most integer DEFAULT 100000, dry_run boolean DEFAULT false) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    AS 'MODULE_PATHNAME', 'fsw_prune_history';
COMMENT ON FUNCTION flagsmith.prune_history(timestamptz, integer, boolean) IS 'remove typed rows that say nothing about any instant from the given one on, at most so many of each table, with their bodies, and return how many; the last change of each scope stays; dry_run only counts';
