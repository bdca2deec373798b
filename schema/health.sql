CREATE INDEX delivery_secret_idx ON flagsmith.delivery (secret_id, received_at) WHERE secret_id IS NOT NULL;
CREATE INDEX delivery_stored_at_idx ON flagsmith.delivery (webhook, stored_at);
CREATE INDEX delivery_repeat_webhook_idx ON flagsmith.delivery_repeat (webhook, last_received_at);

-- What the test button sent, of which there is next to nothing.
CREATE INDEX flag_change_test_idx ON flagsmith.flag_change (delivery) WHERE is_test;
CREATE INDEX audit_log_test_idx ON flagsmith.audit_log (delivery) WHERE is_test;

CREATE VIEW flagsmith.undecoded_delivery WITH (security_invoker = false, security_barrier = true) AS
SELECT d.id AS delivery_id, d.webhook, d.source, d.received_at, d.stored_at, d.event_type, octet_length(d.body) AS body_bytes,
    d.undecoded_reason AS reason
FROM flagsmith.delivery d
WHERE d.undecoded_reason IS NOT NULL;
COMMENT ON VIEW flagsmith.undecoded_delivery IS 'Deliveries without typed rows, not readable or of a type that is not known yet, and why; rebuild(undecoded_only => true) takes them up after an update.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.delivery_id IS 'Its id in flagsmith.delivery.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.webhook IS 'The webhook that brought it first; NULL for an imported page.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.source IS 'Which Flagsmith installation sent it.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.received_at IS 'When the request arrived at the receiver.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.stored_at IS 'When this server stored it, by its own clock.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.event_type IS 'The event_type of the body, as far as it could be read.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.body_bytes IS 'Length of the body; NULL once pruned.';
COMMENT ON COLUMN flagsmith.undecoded_delivery.reason IS 'Why it has no typed rows: code, blank, text.';

-- In the order of the index, so it takes no sort; it reads all of it.
CREATE VIEW flagsmith.audit_id_reused WITH (security_invoker = false, security_barrier = true) AS
SELECT a.source, a.audit_id, array_agg(DISTINCT a.created_date) AS created_dates
FROM flagsmith.audit_log a
WHERE a.audit_id IS NOT NULL AND NOT a.is_test AND flagsmith._whole()
GROUP BY a.source, a.audit_id
HAVING min(a.created_date) <> max(a.created_date);
COMMENT ON VIEW flagsmith.audit_id_reused IS 'Ids of audit entries that one source gave at several times: a Flagsmith that was restored, or two of them registered as one source. Each is an entry of its own in history.';
COMMENT ON COLUMN flagsmith.audit_id_reused.created_dates IS 'The times of its entries.';
COMMENT ON COLUMN flagsmith.audit_id_reused.source IS 'The source that gave the id.';
COMMENT ON COLUMN flagsmith.audit_id_reused.audit_id IS 'The id that it gave several times.';

CREATE VIEW flagsmith.webhook_health WITH (security_invoker = false, security_barrier = true) AS
SELECT w.name AS webhook, w.source, w.scope, w.enabled,
    CASE
        WHEN w.removed_at IS NOT NULL THEN 'removed'
        WHEN NOT w.enabled THEN 'disabled'
        WHEN recent.last_arrival IS NULL THEN 'nothing yet'
        WHEN few.arrivals < 20 THEN 'too few to judge'
        WHEN isfinite(recent.last_arrival) AND now() - recent.last_arrival > greatest(recent.longest_silence, interval '1 hour') THEN 'unusually silent'
        ELSE 'as usual'
    END AS silence,
    CASE WHEN isfinite(recent.last_arrival) THEN now() - recent.last_arrival END AS silent_for,
    recent.longest_silence,
    recent.last_arrival, recent.last_arrival_by_kind, recent.last_duplicate, recent.last_duplicate_by_kind, tested.last_test_at,
    counted.stored_last_hour, counted.stored_last_day, counted.undecoded_last_hour, counted.undecoded_last_day,
    ring.rejected_kept, ring.rejected_by_reason, ring.rejected_bytes, w.rejected_limit,
    refused.rejected_ever, refused.rejected_lost, refused.first_rejected, refused.last_rejected, refused.rejected_counts,
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
            -- bounded, since the difference of two extremes is no interval
            SELECT a.*, b.at - lag(b.at) OVER (ORDER BY a.at) AS gap
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
            CROSS JOIN LATERAL (SELECT greatest(least(a.at, timestamptz '9999-01-01 00:00:00+00'),
                timestamptz '0001-01-01 00:00:00+00') AS at) b
        ) g
        GROUP BY g.kind
    ) k
) recent
-- The button sends the same bytes each time: stored once, and then counted.
CROSS JOIN LATERAL (
    SELECT max(greatest(CASE WHEN d.webhook = w.name THEN d.received_at END, r.last_received_at)) AS last_test_at
    FROM (SELECT f.delivery FROM flagsmith.flag_change f WHERE f.is_test
        UNION ALL
        SELECT a.delivery FROM flagsmith.audit_log a WHERE a.is_test) t
    JOIN flagsmith.delivery d ON d.id = t.delivery
    LEFT JOIN flagsmith.delivery_repeat r ON r.delivery = t.delivery AND r.webhook = w.name
) tested
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
        coalesce(sum(r.bytes), 0)::bigint AS rejected_bytes
    FROM (
        -- The reason of a body that is too large names its size.
        SELECT CASE WHEN j.reason LIKE '54000 %' THEN '54000 webhook body is too large' ELSE j.reason END AS reason,
            count(*) AS n, sum(j.bytes) AS bytes
        FROM flagsmith.rejected j
        WHERE j.webhook = w.name AND j.readmitted_at IS NULL
        GROUP BY 1
    ) r
) ring
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.refused), 0)::bigint AS rejected_ever, coalesce(sum(c.lost), 0)::bigint AS rejected_lost,
        min(c.first_refused) AS first_rejected, max(c.last_refused) AS last_rejected,
        jsonb_object_agg(c.reason, c.counts) AS rejected_counts
    FROM (
        SELECT o.reason, sum(o.n) FILTER (WHERE o.outcome IN ('kept', 'not kept')) AS refused,
            sum(o.n) FILTER (WHERE o.outcome IN ('overwritten', 'not kept')) AS lost,
            min(o.first_at) FILTER (WHERE o.outcome IN ('kept', 'not kept')) AS first_refused,
            max(o.last_at) FILTER (WHERE o.outcome IN ('kept', 'not kept')) AS last_refused,
            jsonb_object_agg(o.outcome, jsonb_build_object('count', o.n, 'first', o.first_at, 'last', o.last_at)) AS counts
        FROM (
            SELECT k.reason, k.outcome, sum(k.count) AS n, min(k.first_at) AS first_at, max(k.last_at) AS last_at
            FROM flagsmith.rejected_count k
            WHERE k.webhook = w.name AND k.reason <> ''
            GROUP BY k.reason, k.outcome
        ) o
        GROUP BY o.reason
    ) c
) refused
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
COMMENT ON COLUMN flagsmith.webhook_health.silence IS 'removed, disabled, nothing yet, too few to judge (less than 20 arrivals), unusually silent (for longer than ever among its last 1,000 arrivals, and an hour), or as usual.';
COMMENT ON COLUMN flagsmith.webhook_health.longest_silence IS 'The longest time between two of its last 1,000 arrivals.';
COMMENT ON COLUMN flagsmith.webhook_health.last_arrival_by_kind IS 'The last arrival of each event type among these, as an object.';
COMMENT ON COLUMN flagsmith.webhook_health.last_duplicate IS 'The last arrival of a body that was stored already; normal where an environment and an organisation webhook send the same.';
COMMENT ON COLUMN flagsmith.webhook_health.last_test_at IS 'When what Flagsmith''s test button sends last arrived and was authentic; NULL if it never did. A sign of life that changes no flag.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_kept IS 'How many refused deliveries are kept, without what readmit() brought in.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_by_reason IS 'How many of these for each reason, as an object.';
COMMENT ON COLUMN flagsmith.webhook_health.reused_audit_ids IS 'Ids of audit entries among its last 1,000 deliveries that its source gave to others at another time: see audit_id_reused; NULL if there is none.';
COMMENT ON COLUMN flagsmith.webhook_health.installation IS 'Tables, guards and indexes that are not as installed, the same for each webhook: see installation_health; NULL if all is well.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_bytes IS 'What these count against rejected_limit.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_ever IS 'How many deliveries were ever refused.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_lost IS 'How many of these were not kept, or overwritten before they were readmitted.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_counts IS 'For each SQLSTATE what became of them (kept, not kept, overwritten, readmitted, cleared): count, first and last time.';
COMMENT ON COLUMN flagsmith.webhook_health.webhook IS 'Its name.';
COMMENT ON COLUMN flagsmith.webhook_health.source IS 'Which Flagsmith installation it belongs to.';
COMMENT ON COLUMN flagsmith.webhook_health.scope IS 'Where it is configured in Flagsmith.';
COMMENT ON COLUMN flagsmith.webhook_health.enabled IS 'Whether it takes deliveries.';
COMMENT ON COLUMN flagsmith.webhook_health.silent_for IS 'Time since its last arrival.';
COMMENT ON COLUMN flagsmith.webhook_health.last_arrival IS 'Its last arrival, repeats included.';
COMMENT ON COLUMN flagsmith.webhook_health.last_duplicate_by_kind IS 'The last repeat of each event type among its last 1,000, as an object.';
COMMENT ON COLUMN flagsmith.webhook_health.stored_last_hour IS 'Deliveries stored within an hour.';
COMMENT ON COLUMN flagsmith.webhook_health.stored_last_day IS 'Deliveries stored within a day.';
COMMENT ON COLUMN flagsmith.webhook_health.undecoded_last_hour IS 'How many of those of the hour have no typed rows: see undecoded_delivery.';
COMMENT ON COLUMN flagsmith.webhook_health.undecoded_last_day IS 'How many of those of the day have no typed rows.';
COMMENT ON COLUMN flagsmith.webhook_health.rejected_limit IS 'How many bytes of refused deliveries are kept at most.';
COMMENT ON COLUMN flagsmith.webhook_health.first_rejected IS 'When the first delivery was refused.';
COMMENT ON COLUMN flagsmith.webhook_health.last_rejected IS 'When the last delivery was refused.';

-- A barrier, since the rows it reads hold the secrets; it does not read that column.
CREATE VIEW flagsmith.secret_usage WITH (security_invoker = false, security_barrier = true) AS
SELECT s.id AS secret_id, s.webhook, s.created_at, s.valid_from, s.valid_until,
    CASE WHEN s.ended_at IS NOT NULL OR s.created_at < w.created_at OR w.name IS NULL THEN 'ended'
        WHEN s.valid_until <= now() THEN 'retired' WHEN s.valid_from > now() THEN 'not yet valid' ELSE 'live' END AS state, s.ended_at,
    used.first_used, used.last_used, used.used_last_day,
    -- The old one may go when a newer one verifies and this one has not for a day, in which retries and spools are over.
    CASE WHEN s.valid_until > now() AND s.ended_at IS NULL AND newer.first_used IS NOT NULL
        THEN least(greatest(newer.first_used, coalesce(used.last_used, newer.first_used)), timestamptz '294276-01-01 00:00:00+00')
            + interval '1 day' END AS may_retire_from
FROM flagsmith.webhook_secret s
LEFT JOIN flagsmith.webhook w ON w.name = s.webhook AND w.removed_at IS NULL
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
COMMENT ON COLUMN flagsmith.secret_usage.state IS 'live, retired, not yet valid, or ended: at once, or with its webhook.';
COMMENT ON COLUMN flagsmith.secret_usage.last_used IS 'Arrival of the last delivery that it verified first; repeats of stored bodies are not counted.';
COMMENT ON COLUMN flagsmith.secret_usage.may_retire_from IS 'A day after a newer one was first used and this one last; NULL while none newer was.';
COMMENT ON COLUMN flagsmith.secret_usage.secret_id IS 'The secret, for retire_secret().';
COMMENT ON COLUMN flagsmith.secret_usage.webhook IS 'The webhook whose deliveries it verifies.';
COMMENT ON COLUMN flagsmith.secret_usage.created_at IS 'When it was added here.';
COMMENT ON COLUMN flagsmith.secret_usage.valid_from IS 'Deliveries received from this instant on may be signed with it.';
COMMENT ON COLUMN flagsmith.secret_usage.valid_until IS 'Deliveries received from this instant on may no longer be signed with it.';
COMMENT ON COLUMN flagsmith.secret_usage.ended_at IS 'When it was ended for every delivery.';
COMMENT ON COLUMN flagsmith.secret_usage.first_used IS 'Arrival of the first delivery that it verified.';
COMMENT ON COLUMN flagsmith.secret_usage.used_last_day IS 'Deliveries that it verified within a day.';
