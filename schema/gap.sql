-- Blocks of ids that are complete, so that a search for holes passes them at once.  What is not marked is looked at: the marks
-- change no answer.
CREATE TABLE flagsmith.audit_id_block (
    source     text NOT NULL,
    size       bigint NOT NULL,
    block      bigint NOT NULL,
    stored_at  timestamptz NOT NULL,
    CONSTRAINT audit_id_block_pkey PRIMARY KEY (source, size, block)
);
COMMENT ON TABLE flagsmith.audit_id_block IS 'Blocks of ids of audit entries of which every one was there when they were marked.';
COMMENT ON COLUMN flagsmith.audit_id_block.source IS 'Which Flagsmith installation gave the ids.';
COMMENT ON COLUMN flagsmith.audit_id_block.size IS 'How many ids it has: 64, 4096 or 262144.';
COMMENT ON COLUMN flagsmith.audit_id_block.block IS 'Its first id, divided by its size.';
COMMENT ON COLUMN flagsmith.audit_id_block.stored_at IS 'When it was marked.';
CREATE TRIGGER audit_id_block_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.audit_id_block
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.audit_id_block ENABLE ALWAYS TRIGGER audit_id_block_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.audit_id_block', '');

-- Which audit entries never came, by the ids that the others have.  An installation of one organisation gives them without a
-- hole; where ids are shared with other organisations, hardly one follows another, and nothing is concluded.
CREATE VIEW flagsmith.missing_audit_entry WITH (security_invoker = false, security_barrier = true) AS
WITH entry AS (
    -- Rows of one id are one entry, or several of a Flagsmith that was restored: then it is not missing either.
    SELECT a.source, a.audit_id, min(a.created_date) AS first_at, max(a.created_date) AS last_at,
        min(f.arrived) AS arrived, min(f.arrived) FILTER (WHERE a.origin = 'webhook') AS told,
        -- seconds, which are in range for any two instants
        extract(epoch FROM min(f.arrived) FILTER (WHERE a.origin = 'webhook')) - extract(epoch FROM min(a.created_date)) AS late,
        min(a.project_id) AS first_project, max(a.project_id) AS last_project
    FROM flagsmith.audit_log a
    -- A body that came again may have been stored before the one that came first.
    LEFT JOIN (SELECT d.delivery, min(d.first_received_at) AS arrived FROM flagsmith.delivery_repeat d GROUP BY d.delivery) r
        ON r.delivery = a.delivery
    CROSS JOIN LATERAL (SELECT least(a.received_at, r.arrived) AS arrived) f
    WHERE a.audit_id IS NOT NULL AND NOT a.is_test
        AND NOT EXISTS (SELECT FROM flagsmith.webhook w WHERE w.source = a.source AND w.audit_ids_shared)
    GROUP BY a.source, a.audit_id
), step AS (
    SELECT e.source, e.audit_id, e.first_at, e.arrived,
        lead(e.audit_id) OVER ids AS next_id,
        lead(e.arrived) OVER ids AS next_arrived,
        (lead(e.audit_id) OVER ids > e.audit_id + 1)::integer AS broken,
        -- an id is given when the task runs, seconds after the change, or later where tasks had to wait
        least(min(e.first_at) OVER near, CASE WHEN min(e.told) OVER near > '1970-01-01Z'
            THEN min(e.told) OVER near - make_interval(secs => greatest(2 * least(max(e.late) OVER near, 86400), 3)::double precision) END) AS earliest,
        greatest(max(e.last_at) OVER near, max(e.told) FILTER (WHERE e.late <= 86400) OVER near) AS latest,
        -- told by the two entries on either side, or by all of the source
        CASE WHEN min(e.first_project) OVER near = max(e.last_project) OVER near THEN min(e.first_project) OVER near END AS near_project,
        count(*) OVER (ids ROWS BETWEEN 63 PRECEDING AND 64 FOLLOWING) AS ids
    FROM entry e
    WINDOW ids AS (PARTITION BY e.source ORDER BY e.audit_id),
        near AS (PARTITION BY e.source ORDER BY e.audit_id ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING)
), judged AS (
    SELECT s.*,
        coalesce(sum(s.broken) OVER (ids ROWS BETWEEN 63 PRECEDING AND 1 PRECEDING), 0)
            + coalesce(sum(s.broken) OVER (ids ROWS BETWEEN 1 FOLLOWING AND 63 FOLLOWING), 0) AS other_holes
    FROM step s
    WINDOW ids AS (PARTITION BY s.source ORDER BY s.audit_id)
)
SELECT j.source, j.near_project AS project_id, flagsmith._name(j.source, 'project', j.near_project::text, j.latest) AS project,
    j.audit_id + 1 AS first_audit_id, j.next_id - 1 AS last_audit_id, j.next_id - j.audit_id - 1 AS entries,
    j.earliest, j.latest,
    CASE WHEN j.next_arrived > now() - interval '5 minutes' THEN 'open' ELSE 'missing' END AS status
FROM judged j
WHERE j.broken = 1 AND flagsmith._whole()
    -- Other holes among the 64 ids on either side, counted once each, are at most a quarter of them and two.
    AND j.ids >= 4 AND j.other_holes <= j.ids / 4 + 2
    -- Flagsmith's own list has one behind the other: there never was anything between them that is to be had.
    AND NOT EXISTS (
        SELECT FROM flagsmith.audit_log below
        JOIN flagsmith.audit_log above ON above.delivery = below.delivery
        WHERE below.source = j.source AND below.audit_id = j.audit_id AND below.origin <> 'webhook'
            AND above.source = j.source AND above.audit_id = j.next_id)
    -- What was pruned is not missing, although a page that was imported later has its neighbour.
    AND NOT EXISTS (SELECT FROM flagsmith.pruning p WHERE p.what = 'history' AND p.before > least(j.arrived, j.first_at))
UNION ALL
-- What was missing when its neighbours were pruned stays so until it comes.
SELECT h.source, h.project_id, flagsmith._name(h.source, 'project', h.project_id::text, h.latest),
    h.first_audit_id, h.last_audit_id, h.last_audit_id - h.first_audit_id + 1, h.earliest, h.latest, 'missing'
FROM flagsmith.pruning p
CROSS JOIN LATERAL jsonb_to_recordset(p.holes) AS h (source text, project_id bigint, first_audit_id bigint, last_audit_id bigint,
    earliest timestamptz, latest timestamptz)
WHERE p.holes IS NOT NULL AND flagsmith._whole() AND h.earliest > '-infinity'
    AND NOT EXISTS (SELECT FROM flagsmith.webhook w WHERE w.source = h.source AND w.audit_ids_shared)
    AND (
        SELECT count(DISTINCT a.audit_id)
        FROM flagsmith.audit_log a
        WHERE a.source = h.source AND a.audit_id BETWEEN h.first_audit_id AND h.last_audit_id) <= h.last_audit_id - h.first_audit_id
    AND NOT EXISTS (
        SELECT FROM flagsmith.audit_log below
        JOIN flagsmith.audit_log above ON above.delivery = below.delivery
        WHERE below.source = h.source AND below.audit_id = h.first_audit_id - 1 AND below.origin <> 'webhook'
            AND above.source = h.source AND above.audit_id = h.last_audit_id + 1);
COMMENT ON VIEW flagsmith.missing_audit_entry IS 'Audit entries that never came, as the ids of the others show: what they told is not known. flagsmith-backfill missing fetches them.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.source IS 'Which Flagsmith installation it is of.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.project IS 'The name of that project then.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.project_id IS 'The project of the two entries on either side; NULL where they are of several or of none.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.first_audit_id IS 'The first id that is missing.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.last_audit_id IS 'The last one of those that follow it.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.entries IS 'How many ids that is.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.earliest IS 'No missing entry is earlier: the earliest time of two entries on either side, or three seconds before their arrival, or earlier where these came late.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.latest IS 'No missing entry is later: the latest arrival of two entries on either side.';
COMMENT ON COLUMN flagsmith.missing_audit_entry.status IS 'open while the entry behind came less than five minutes ago, since entries arrive shuffled; else missing.';
