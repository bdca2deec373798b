CREATE FUNCTION flagsmith._environment_flags(source text, environment_id bigint, OUT versioned boolean, OUT flags bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 1
    AS 'MODULE_PATHNAME', 'fsw_environment_flags';
COMMENT ON FUNCTION flagsmith._environment_flags(text, bigint) IS 'how many flags an environment has, and whether they are published in versions';

-- Every body names its environment, and of each hour one sighting is kept, so the last of them tells of the last news without
-- a look at the history.  A later one of the same hour is there as well if it was stored before, so only the first counts.
CREATE VIEW flagsmith.environment WITH (security_invoker = false) AS
SELECT e.source, e.project_id, flagsmith._name(e.source, 'project', e.project_id::text) AS project,
    e.environment_id, n.name AS environment, array_remove(e.names, n.name) AS former_names, f.versioned, f.flags, e.last_news
FROM (SELECT s.source, max(s.project_id) AS project_id, s.id::bigint AS environment_id, max(s.last_seen) AS last_news,
        array_agg(s.name ORDER BY s.first_seen, s.name COLLATE "C") AS names
    FROM (SELECT h.source, h.id, h.name, max(h.project_id) AS project_id, min(h.seen_at) AS first_seen, max(h.seen_at) AS last_seen
        FROM (SELECT n.source, n.id, n.name, max(n.project_id) AS project_id, min(n.seen_at) AS seen_at
            FROM flagsmith.name n
            WHERE n.kind = 'environment' AND n.id ~ '^[0-9]{1,18}$'
            GROUP BY n.source, n.id, n.name, date_bin('1 hour', n.seen_at, timestamptz '2000-01-01 00:00Z')) h
        GROUP BY h.source, h.id, h.name) s
    GROUP BY s.source, s.id) e
CROSS JOIN LATERAL (SELECT flagsmith._name(e.source, 'environment', e.environment_id::text) AS name OFFSET 0) n
CROSS JOIN LATERAL flagsmith._environment_flags(e.source, e.environment_id) f
WHERE flagsmith._whole();
COMMENT ON VIEW flagsmith.environment IS 'Every environment that was ever heard of, and what is known of it: where to look first.';
COMMENT ON COLUMN flagsmith.environment.source IS 'Which Flagsmith installation it is in.';
COMMENT ON COLUMN flagsmith.environment.project_id IS 'Its project.';
COMMENT ON COLUMN flagsmith.environment.project IS 'The project''s name after all evidence.';
COMMENT ON COLUMN flagsmith.environment.environment_id IS 'Flagsmith''s id of it, which every door takes in place of the name.';
COMMENT ON COLUMN flagsmith.environment.environment IS 'Its name after all evidence.';
COMMENT ON COLUMN flagsmith.environment.former_names IS 'Other names that it was seen under, the earliest first; empty if there are none.';
COMMENT ON COLUMN flagsmith.environment.versioned IS 'Whether any of its flags was published in versions, as far as evidence shows.';
COMMENT ON COLUMN flagsmith.environment.flags IS 'How many flags are live in it after all evidence; 0 once it was deleted.';
COMMENT ON COLUMN flagsmith.environment.last_news IS 'When a body last spoke of it, to the hour: of several within an hour the first counts.';
