-- The two payloads of Flagsmith's own documentation, signed as its Python example signs: they go in, and every field
-- comes out typed.
SET TimeZone = 'UTC';
\set audit_log `cat "$PG_ABS_SRCDIR/t/data/seed/audit_log.json"`
\set flag_updated `cat "$PG_ABS_SRCDIR/t/data/seed/flag_updated.json"`

SELECT count(*) FROM flagsmith.add_webhook('seed', 'my shared secret', source => 'seed', max_spool_age => NULL);

INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('seed', '53e852523ce12afb7c59fdc9bfcec122a9669e64d3eb13cf4fd458321df03a44', convert_to(:'audit_log', 'UTF8'),
    '2020-02-23 17:30:58Z')
RETURNING delivery_id IS NOT NULL AS has_id, outcome, reason;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('seed', '5509a698f52571b854e49abfda8499499dad281ec4777476647c9cc379701c1f', convert_to(:'flag_updated', 'UTF8'),
    '2021-06-18 07:50:27Z')
RETURNING delivery_id IS NOT NULL AS has_id, outcome, reason;

SELECT webhook, source, received_at, stored_at > now() - interval '1 minute' AS stored_now, signature, secret_id IS NOT NULL AS verified,
    event_type, event_at, digest = sha256(body) AS digest, octet_length(body) AS bytes, undecoded_reason
FROM flagsmith.delivery WHERE source = 'seed' ORDER BY event_at \gx
SELECT body = convert_to(:'flag_updated', 'UTF8') AS same_bytes
FROM flagsmith.delivery WHERE source = 'seed' AND event_type = 'FLAG_UPDATED';

SELECT a.ordinal, a.origin, a.is_test, a.audit_id, a.created_date, a.log, a.author_id, a.author_email, a.author_first_name,
    a.author_last_name, a.author_last_login, a.author_uuid, a.organisation_id, a.project_id, a.project, a.environment_id,
    a.environment, a.use_v2_feature_versioning, a.related_object_id, a.related_object_uuid, a.related_object_type,
    a.is_system_event, a.action, a.object, a.feature, a.segment, a.identity, a.environment_named, a.change_request,
    a.scheduled_for, a.name, a.ambiguous, a.extra, a.received_at
FROM flagsmith.audit_log a WHERE a.source = 'seed' \gx

SELECT f.ordinal, f.event_at, f.received_at, f.origin, f.is_test, f.deleted, f.changed_by, f.project_id, f.project,
    f.environment_id, f.environment, f.feature_id, f.feature, f.feature_type, f.feature_created_date, f.feature_description,
    f.feature_default_enabled, f.feature_initial_value, f.segment_id, f.segment, f.segment_description, f.segment_priority,
    f.identity, f.identity_kind, f.identity_identifier, f.enabled, f.value, f.variants, f.enabled_before, f.value_before,
    f.variants_before, f.extra
FROM flagsmith.flag_change f WHERE f.source = 'seed' \gx
-- The value is text of three lines, not JSON's spelling of it.
SELECT value #>> '{}' AS value FROM flagsmith.flag_change WHERE source = 'seed';

SELECT kind, id, seen_at, existed_at, exact, name, project_id FROM flagsmith.name WHERE source = 'seed' ORDER BY kind, id;

-- The same once more is the same event; a changed byte, a cut signature or another secret is none.
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('seed', '53E852523CE12AFB7C59FDC9BFCEC122A9669E64D3EB13CF4FD458321DF03A44', convert_to(:'audit_log', 'UTF8'),
    '2020-02-23 17:31:02Z')
RETURNING delivery_id = (SELECT delivery FROM flagsmith.audit_log WHERE source = 'seed') AS same_id, outcome, reason;
SELECT r.webhook, r.count, r.first_received_at, r.last_received_at
FROM flagsmith.delivery_repeat r JOIN flagsmith.delivery d ON d.id = r.delivery WHERE d.source = 'seed';
INSERT INTO flagsmith.inbox (webhook, signature, body)
VALUES
    ('seed', '53e852523ce12afb7c59fdc9bfcec122a9669e64d3eb13cf4fd458321df03a44', convert_to(:'audit_log' || E'\n', 'UTF8')),
    ('seed', '53e852523ce12afb7c59fdc9bfcec122a9669e64d3eb13cf4fd458321df03a4', convert_to(:'audit_log', 'UTF8')),
    ('seed', NULL, convert_to(:'audit_log', 'UTF8')),
    ('seed', '', convert_to(:'audit_log', 'UTF8')),
    ('seed', flagsmith.sign(convert_to(:'audit_log', 'UTF8'), 'another secret'), convert_to(:'audit_log', 'UTF8'))
RETURNING delivery_id, outcome, reason;

-- Sessions differ, what is stored does not.
BEGIN;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'German, DMY';
SET LOCAL IntervalStyle = 'iso_8601';
SET LOCAL search_path = pg_temp;
SET LOCAL bytea_output = 'escape';
SET LOCAL extra_float_digits = -15;
INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
VALUES ('seed', flagsmith.sign(convert_to(replace(:'flag_updated', '7168', '7169'), 'UTF8'), 'my shared secret'), convert_to(replace(:'flag_updated', '7168', '7169'), 'UTF8'),
    '2021-06-18T07:50:27Z')
RETURNING outcome, reason;
COMMIT;
SET TimeZone = 'UTC';
SELECT count(*) AS rows, count(DISTINCT (event_at, received_at, feature_created_date, value, value_before)) AS different
FROM flagsmith.flag_change WHERE source = 'seed';
