CREATE INDEX delivery_secret_idx ON flagsmith.delivery (secret_id, received_at) WHERE secret_id IS NOT NULL;
CREATE INDEX delivery_stored_at_idx ON flagsmith.delivery (webhook, stored_at);
CREATE INDEX delivery_repeat_webhook_idx ON flagsmith.delivery_repeat (webhook, last_received_at);

CREATE VIEW flagsmith.delivery_undecoded WITH (security_invoker = false, security_barrier = true) AS
SELECT d.id AS delivery_id, d.webhook, d.source, d.received_at, d.stored_at, d.event_type, octet_length(d.body) AS body_bytes,
    d.undecoded_reason AS reason
FROM flagsmith.delivery d
WHERE d.undecoded_reason IS NOT NULL;
COMMENT ON VIEW flagsmith.delivery_undecoded IS 'Deliveries without typed rows, not readable or of a type that is not known yet, and why; reprocess() takes them up after an update.';

-- In the order of the index, so it takes no sort; it reads all of it.
CREATE VIEW flagsmith.audit_id_reused WITH (security_invoker = false, security_barrier = true) AS
SELECT a.source, a.audit_id, array_agg(DISTINCT a.created_date) AS created_dates
FROM flagsmith.audit_log a
WHERE a.audit_id IS NOT NULL AND NOT a.is_test
GROUP BY a.source, a.audit_id
HAVING min(a.created_date) <> max(a.created_date);
COMMENT ON VIEW flagsmith.audit_id_reused IS 'Ids of audit entries that one source gave at several times: a Flagsmith that was restored, or two of them registered as one source. Each is an entry of its own in history.';
COMMENT ON COLUMN flagsmith.audit_id_reused.created_dates IS 'The times of its entries.';

CREATE VIEW flagsmith.webhook_health WITH (security_invoker = false, security_barrier = true) AS
SELECT w.name AS webhook, w.source, w.scope, w.enabled,
    CASE
        WHEN NOT w.enabled THEN 'disabled'
        WHEN recent.last_arrival IS NULL THEN 'nothing yet'
        WHEN few.arrivals < 20 THEN 'too few to judge'
        WHEN now() - recent.last_arrival > greatest(recent.longest_silence, interval '1 hour') THEN 'unusually silent'
        ELSE 'as usual'
    END AS silence,
    now() - recent.last_arrival AS silent_for,
    recent.longest_silence,
    recent.last_arrival, recent.last_arrival_by_kind, recent.last_duplicate, recent.last_duplicate_by_kind,
    counted.stored_last_hour, counted.stored_last_day, counted.undecoded_last_hour, counted.undecoded_last_day,
    ring.rejected_kept, ring.rejected_by_reason, ring.last_rejected,
    reused.reused_audit_ids,
    (SELECT array_agg(format('%s %s: %s', i.kind, i.name, i.fault) ORDER BY i.kind, i.name) FROM flagsmith.installation_health i) AS installation
FROM flagsmith.webhook w
-- Its last 1,000 deliveries and as many repeats; gaps are those between its own arrivals.
CROSS JOIN LATERAL (
    SELECT max(k.last) AS last_arrival, max(k.longest) AS longest_silence,
        jsonb_object_agg(k.kind, k.last) AS last_arrival_by_kind,
        max(k.last_duplicate) AS last_duplicate,
        jsonb_object_agg(k.kind, k.last_duplicate) FILTER (WHERE k.last_duplicate IS NOT NULL) AS last_duplicate_by_kind
    FROM (
        SELECT g.kind, max(g.at) AS last, max(g.at) FILTER (WHERE g.is_duplicate) AS last_duplicate, max(g.gap) AS longest
        FROM (
            SELECT a.*, a.at - lag(a.at) OVER (ORDER BY a.at) AS gap
            FROM (
                (SELECT coalesce(d.event_type, 'undecoded') AS kind, d.received_at AS at, false AS is_duplicate
                    FROM flagsmith.delivery d
                    WHERE d.webhook = w.name
                    ORDER BY d.received_at DESC
                    LIMIT 1000)
                UNION ALL
                (SELECT coalesce(d.event_type, 'undecoded'), r.last_received_at, true
                    FROM flagsmith.delivery_repeat r
                    JOIN flagsmith.delivery d ON d.id = r.delivery
                    WHERE r.webhook = w.name
                    ORDER BY r.last_received_at DESC
                    LIMIT 1000)
            ) a
        ) g
        GROUP BY g.kind
    ) k
) recent
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM (SELECT FROM flagsmith.delivery d WHERE d.webhook = w.name LIMIT 20) t)
            + (SELECT count(*) FROM (SELECT FROM flagsmith.delivery_repeat r WHERE r.webhook = w.name LIMIT 20) t) AS arrivals
) few
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.stored_at > now() - interval '1 hour') AS stored_last_hour,
        count(*) AS stored_last_day,
        count(*) FILTER (WHERE d.undecoded_reason IS NOT NULL AND d.stored_at > now() - interval '1 hour') AS undecoded_last_hour,
        count(*) FILTER (WHERE d.undecoded_reason IS NOT NULL) AS undecoded_last_day
    FROM flagsmith.delivery d
    WHERE d.webhook = w.name AND d.stored_at > now() - interval '1 day'
) counted
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.n), 0)::bigint AS rejected_kept, jsonb_object_agg(r.reason, r.n) AS rejected_by_reason,
        max(r.last) AS last_rejected
    FROM (
        SELECT j.reason, count(*) AS n, max(j.rejected_at) AS last
        FROM flagsmith.rejected j
        WHERE j.webhook = w.name AND j.readmitted_at IS NULL
        GROUP BY j.reason
    ) r
) ring
-- Of the same deliveries: what a restored Flagsmith sends comes now.
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT a.audit_id) AS reused_audit_ids
    FROM (SELECT d.id FROM flagsmith.delivery d WHERE d.webhook = w.name ORDER BY d.received_at DESC LIMIT 1000) d
    CROSS JOIN LATERAL (
        SELECT a.source, a.audit_id, a.created_date
        FROM flagsmith.audit_log a
        WHERE a.delivery = d.id AND a.audit_id IS NOT NULL AND NOT a.is_test
        OFFSET 0
    ) a
    WHERE EXISTS (
        SELECT FROM flagsmith.audit_log o
        WHERE o.source = a.source AND o.audit_id = a.audit_id AND o.created_date <> a.created_date AND NOT o.is_test
        OFFSET 0)
) reused;
COMMENT ON VIEW flagsmith.webhook_health IS 'Whether each webhook still brings what it used to: arrivals, what was refused and why, and its silence against its own past.';
COMMENT ON COLUMN flagsmith.webhook_health.silence IS 'disabled, nothing yet, too few to judge (less than 20 arrivals), unusually silent (for longer than ever among its last 1,000 arrivals, and an hour), or as usual.';
COMMENT ON COLUMN flagsmith.webhook_health.longest_silence IS 'The longest time between two of its last 1,000 arrivals.';
COMMENT ON COLUMN flagsmith.webhook_health.last_arrival_by_kind IS 'The last arrival of each event type among these, as an object.';
COMMENT ON COLUMN flagsmith.webhook_health.last_duplicate IS 'The last arrival of a body that was stored already; normal where an environment and an organisation webhook send the same.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_kept IS 'What the ring of rejections holds, without what readmit() brought in.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_by_reason IS 'How many of these for each reason, as an object.';
COMMENT ON COLUMN flagsmith.webhook_health.reused_audit_ids IS 'Ids of audit entries among its last 1,000 deliveries that its source gave to others at another time: see audit_id_reused; NULL if there is none.';
COMMENT ON COLUMN flagsmith.webhook_health.installation IS 'Tables, guards and indexes that are not as installed, the same for each webhook: see installation_health; NULL if all is well.';

-- A barrier, since the rows it reads hold the secrets; it does not read that column.
CREATE VIEW flagsmith.secret_usage WITH (security_invoker = false, security_barrier = true) AS
SELECT s.id AS secret_id, s.webhook, s.created_at, s.valid_from, s.valid_until,
    CASE WHEN s.valid_until <= now() THEN 'retired' WHEN s.valid_from > now() THEN 'not yet valid' ELSE 'live' END AS state,
    used.first_used, used.last_used, used.used_last_day,
    -- The old one may go when a newer one verifies and this one has not for a day, in which retries and spools are over.
    CASE WHEN s.valid_until > now() AND newer.first_used IS NOT NULL
        THEN greatest(newer.first_used, coalesce(used.last_used, newer.first_used)) + interval '1 day' END AS may_retire_from
FROM flagsmith.webhook_secret s
CROSS JOIN LATERAL (
    SELECT min(d.received_at) AS first_used, max(d.received_at) AS last_used,
        (SELECT count(*) FROM flagsmith.delivery t WHERE t.secret_id = s.id AND t.received_at > now() - interval '1 day') AS used_last_day
    FROM flagsmith.delivery d
    WHERE d.secret_id = s.id
) used
LEFT JOIN LATERAL (
    SELECT min(d.received_at) AS first_used
    FROM flagsmith.webhook_secret n
    JOIN flagsmith.delivery d ON d.secret_id = n.id
    WHERE n.webhook = s.webhook AND n.id > s.id
) newer ON true;
COMMENT ON VIEW flagsmith.secret_usage IS 'Which secret verified deliveries, since when, and from when on an old one may be retired; never the secret itself.';
COMMENT ON COLUMN flagsmith.secret_usage.state IS 'live, retired or not yet valid.';
COMMENT ON COLUMN flagsmith.secret_usage.last_used IS 'Arrival of the last delivery that it verified first; repeats of stored bodies are not counted.';
COMMENT ON COLUMN flagsmith.secret_usage.may_retire_from IS 'A day after a newer one was first used and this one last; NULL while none newer was.';
