-- What could not be decoded when it came, and a later version can: rebuild() takes it in as the inbox would.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
BEGIN;

SELECT count(*) FROM flagsmith.add_webhook('undecoded', allow_unsigned => true, source => 'undecoded', max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('undecoded org', allow_unsigned => true, source => 'undecoded', max_spool_age => NULL);

CREATE FUNCTION pg_temp.flag(environment bigint, at timestamptz, feature text) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(json_build_object('event_type', 'FLAG_UPDATED', 'data', json_build_object('changed_by', 'ada@example.com', 'timestamp', at,
        'new_state', json_build_object('enabled', true, 'feature_state_value', 5, 'environment', json_build_object('id', environment, 'name', 'Env ' || environment),
            'feature', json_build_object('id', 31, 'name', feature, 'project', json_build_object('id', 30, 'name', 'Shop')))))::text, 'UTF8')
$$;
CREATE FUNCTION pg_temp.audit(id bigint) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(json_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', json_build_object('id', id, 'created_date', '2026-11-01T12:00:00Z',
        'log', 'Flag state / Remote Config value updated for feature ''flag''', 'author', null, 'environment', null, 'project', json_build_object('id', 30, 'name', 'Shop'),
        'related_object_id', 31, 'related_object_type', 'FEATURE', 'is_system_event', false))::text, 'UTF8')
$$;
CREATE FUNCTION pg_temp.deliver(body bytea, at timestamptz, webhook text DEFAULT 'undecoded') RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES (webhook, body, at) RETURNING concat_ws(' ', outcome, reason)
$$;

-- Many that are decoded, and five that will not have been.
SELECT outcome, count(*) FROM (SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01'::timestamptz + n * interval '1 second', 'many'), '2026-11-01 01:00Z') AS outcome
    FROM generate_series(1, 3000) n) d GROUP BY 1;
SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01 12:00:01Z', 'own'), '2026-11-01 13:00Z');
SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01 12:00:01Z', 'own'), '2026-11-01 12:10Z', 'undecoded org');
SELECT pg_temp.deliver(pg_temp.flag(8, '2026-11-01 12:00:02Z', 'other'), '2026-11-01 13:01Z');
SELECT pg_temp.deliver(pg_temp.flag(9, '2026-11-01 12:00:03Z', 'third'), '2026-11-01 13:02Z');
SELECT pg_temp.deliver(pg_temp.audit(1), '2026-11-01 13:03Z');
SELECT pg_temp.deliver(pg_temp.flag(7, '2026-11-01 12:00:04Z', 'damaged'), '2026-11-01 13:04Z');
SET LOCAL client_min_messages = error;
SELECT pg_temp.deliver(convert_to('{"event_type": "FLAG_RENAMED", "data": {}}', 'UTF8'), '2026-11-01 13:05Z');
SET LOCAL client_min_messages = warning;

ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
ALTER TABLE flagsmith.flag_change DISABLE TRIGGER flag_change_guard;
ALTER TABLE flagsmith.audit_log DISABLE TRIGGER audit_log_guard;
ALTER TABLE flagsmith.audit_effect DISABLE TRIGGER audit_effect_guard;
ALTER TABLE flagsmith.name DISABLE TRIGGER name_guard;
CREATE TEMP VIEW late AS SELECT id FROM flagsmith.delivery WHERE source = 'undecoded' AND received_at > '2026-11-01 12:00Z';
UPDATE flagsmith.delivery SET undecoded_reason = '01W01 unrecognized webhook event type' WHERE id IN (TABLE late) AND undecoded_reason IS NULL;
DELETE FROM flagsmith.flag_change WHERE delivery IN (TABLE late);
DELETE FROM flagsmith.audit_log WHERE delivery IN (TABLE late);
DELETE FROM flagsmith.audit_effect WHERE delivery IN (TABLE late);
DELETE FROM flagsmith.name WHERE source = 'undecoded';
UPDATE flagsmith.delivery SET body = body || ' ' WHERE id IN (TABLE late) AND event_at = '2026-11-01 12:00:04Z';
-- Of what is decoded already one row is wrong, which is nothing that was asked for.
UPDATE flagsmith.flag_change SET enabled = false WHERE source = 'undecoded' AND event_at = '2026-11-01 00:00:01Z';
ALTER TABLE flagsmith.delivery ENABLE ALWAYS TRIGGER delivery_guard;
ALTER TABLE flagsmith.flag_change ENABLE ALWAYS TRIGGER flag_change_guard;
ALTER TABLE flagsmith.audit_log ENABLE ALWAYS TRIGGER audit_log_guard;
ALTER TABLE flagsmith.audit_effect ENABLE ALWAYS TRIGGER audit_effect_guard;
ALTER TABLE flagsmith.name ENABLE ALWAYS TRIGGER name_guard;
-- The webhook is registered for one environment since.
UPDATE flagsmith.webhook SET environment_id = 7 WHERE name = 'undecoded';
ANALYZE flagsmith.delivery, flagsmith.flag_change;

CREATE TEMP VIEW state AS
SELECT to_char(d.received_at, 'HH24:MI') AS arrival, d.event_type, d.undecoded_reason,
    (SELECT count(*) FROM flagsmith.flag_change f WHERE f.delivery = d.id) AS changes,
    (SELECT count(*) FROM flagsmith.audit_log a WHERE a.delivery = d.id) AS entries,
    (SELECT count(*) FROM flagsmith.audit_effect a WHERE a.delivery = d.id) AS effects
FROM flagsmith.delivery d WHERE d.id IN (TABLE late) ORDER BY d.id;
TABLE state;

-- A dry run says what would come in and writes nothing.
SELECT relation, ordinal, difference, columns FROM flagsmith.rebuild(dry_run => true, undecoded_only => true) ORDER BY delivery, relation COLLATE "C";
SELECT count(*) FROM state WHERE changes + entries + effects > 0;
SELECT count(*) FROM flagsmith.name WHERE source = 'undecoded';

-- Nothing else is read: no table that has many rows is walked through.
CREATE TEMP VIEW walked AS
SELECT sum(seq_scan) AS scans FROM pg_stat_xact_user_tables WHERE schemaname = 'flagsmith' AND relname IN ('delivery', 'flag_change');
SELECT scans FROM walked \gset
SELECT relation, ordinal, difference, columns FROM flagsmith.rebuild(undecoded_only => true) ORDER BY delivery, relation COLLATE "C";
SELECT scans - :scans AS walks FROM walked;
TABLE state;
-- Names come along, as of the first arrival of their bytes; of what was refused none do.
SELECT kind, name, seen_at FROM flagsmith.name WHERE source = 'undecoded' ORDER BY 1, 2;
SELECT relation, difference FROM flagsmith.rebuild(undecoded_only => true) WHERE difference <> 'damaged';

-- A webhook that may speak for it brings the same bytes: no event is lost.
SELECT pg_temp.deliver(pg_temp.flag(8, '2026-11-01 12:00:02Z', 'other'), '2026-11-01 14:00Z', 'undecoded org');
SELECT relation, difference, columns FROM flagsmith.rebuild(undecoded_only => true) WHERE difference <> 'damaged' ORDER BY delivery, relation COLLATE "C";
-- The id is put right: a range of deliveries leaves the others, and without undecoded_only it holds as well.
UPDATE flagsmith.webhook SET environment_id = 9 WHERE name = 'undecoded';
SELECT count(*) FROM flagsmith.rebuild(undecoded_only => true, last => (SELECT min(id) FROM late));
SELECT relation, difference, columns FROM flagsmith.rebuild(first => (SELECT min(id) FROM late), undecoded_only => NULL) WHERE difference <> 'damaged' ORDER BY delivery, relation COLLATE "C";
TABLE state;
SELECT relation, difference, columns FROM flagsmith.rebuild() WHERE difference <> 'damaged' ORDER BY delivery, relation COLLATE "C";

ROLLBACK;
