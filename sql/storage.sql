-- A body or a jsonb of some size is stored in less, where the server has LZ4, and read as it came.
SELECT flagsmith.add_webhook('compressed', source => 'compressed', allow_unsigned => true) IS NOT NULL AS registered;
INSERT INTO flagsmith.inbox (webhook, body) VALUES ('compressed', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data',
    jsonb_build_object('id', 1, 'log', 'Flag state updated for feature: x', 'created_date', '2026-01-02T03:04:05Z', 'more', repeat('air ', 250)))::text, 'UTF8'))
RETURNING outcome;
SELECT octet_length(d.body) > 1000 AS whole, d.digest = sha256(d.body) AS as_sent, a.extra ->> 'more' = repeat('air ', 250) AS kept,
    bool_or(o.lz4) = (pg_column_size(d.body) < 300) AS body_packed, bool_or(o.lz4) = (pg_column_size(a.extra) < 300) AS extra_packed
FROM flagsmith.delivery d JOIN flagsmith.audit_log a ON a.delivery = d.id,
    (SELECT 'lz4' = ANY (enumvals) AS lz4 FROM pg_settings WHERE name = 'default_toast_compression') o
WHERE d.source = 'compressed'
GROUP BY d.id, a.delivery, a.ordinal;
SELECT count(*) AS differences FROM flagsmith.delivery d, LATERAL flagsmith.rebuild(true, d.id, d.id) r WHERE d.source = 'compressed';
SELECT flagsmith.disable_webhook('compressed');
