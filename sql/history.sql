-- The view history: one line for each act, whatever told of it.
SET TimeZone = 'UTC';

SELECT count(*) FROM flagsmith.add_webhook('history', allow_unsigned => true, source => 'history', max_spool_age => NULL);

-- An audit entry, and a flag event, as Flagsmith sends them; all at some seconds after noon.
CREATE FUNCTION pg_temp.entry(id bigint, at numeric, author text, environment text, type text, log text, rest jsonb DEFAULT '{}')
    RETURNS text LANGUAGE sql
    RETURN (jsonb_build_object('id', id, 'created_date', timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'log', log,
        'author', CASE WHEN author IS NOT NULL THEN jsonb_build_object('id', length(author), 'email', author, 'first_name', '', 'last_name', '') END,
        'environment', CASE environment WHEN 'Staging' THEN '{"id": 71, "name": "Staging"}'::jsonb WHEN 'Production' THEN '{"id": 72, "name": "Production"}' END,
        'project', '{"id": 7, "name": "Shop"}'::jsonb, 'related_object_type', type, 'is_system_event', false)
        || rest)::text;
CREATE FUNCTION pg_temp.change(at numeric, by text, environment text, feature text, enabled boolean, value jsonb, rest jsonb DEFAULT '{}',
    deleted boolean DEFAULT false) RETURNS text LANGUAGE sql
    RETURN (
        WITH state AS (
            SELECT jsonb_build_object('feature', jsonb_build_object('id', 700 + length(feature), 'name', feature, 'type', 'STANDARD',
                    'project', '{"id": 7, "name": "Shop"}'::jsonb),
                'environment', CASE environment WHEN 'Staging' THEN '{"id": 71, "name": "Staging"}'::jsonb ELSE '{"id": 72, "name": "Production"}' END,
                'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL, 'enabled', enabled, 'feature_state_value', value,
                'multivariate_feature_state_values', '[]'::jsonb) || rest AS state
        )
        SELECT jsonb_build_object('event_type', CASE WHEN deleted THEN 'FLAG_DELETED' ELSE 'FLAG_UPDATED' END, 'data',
            jsonb_build_object('changed_by', by, 'timestamp', to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second',
                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            || CASE WHEN deleted THEN jsonb_build_object('new_state', NULL, 'previous_state', state) ELSE jsonb_build_object('new_state', state) END)::text
        FROM state
    );
CREATE FUNCTION pg_temp.deliver(body text, at numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('history', convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + at * interval '1 second')
    RETURNING outcome INTO result;
    RETURN result;
END
$$;
CREATE TEMP VIEW told AS
SELECT at::time(3) AS at, actor, actor_type, action, object, change_request AS request, environment, feature, segment, identity_identifier AS identity,
    enabled AS e, value AS v, enabled_before AS eb, value_before AS vb, log, audit_id AS id, cardinality(delivery_ids) AS n
FROM flagsmith.history
WHERE source = 'history'
ORDER BY at, audit_id;
CREATE TEMP VIEW forgotten AS
SELECT d.event_type, count(h.at)
FROM flagsmith.delivery d
LEFT JOIN flagsmith.history h ON d.id = ANY (h.delivery_ids)
WHERE d.source = 'history'
GROUP BY d.id, d.event_type
HAVING count(h.at) <> 1;

BEGIN;
-- A flag is made: an entry of the project and one of each environment with a body.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, 'ada@example.com', NULL, 'FEATURE', 'New Flag / Remote Config created: checkout'), 2),
    pg_temp.deliver(pg_temp.entry(2, 0.2, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'New Flag / Remote Config created: checkout'), 3),
    pg_temp.deliver(pg_temp.change(0.2, 'ada@example.com', 'Staging', 'checkout', false, '"old"'), 3);
-- One click that changes value and state: two entries, a torn body and the whole one.
SELECT pg_temp.deliver(pg_temp.entry(3, 60.01, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: checkout'), 62),
    pg_temp.deliver(pg_temp.entry(4, 60.03, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: checkout'), 63),
    pg_temp.deliver(pg_temp.change(60.02, 'zoe@example.com', 'Staging', 'checkout', false, '"new"'), 62),
    pg_temp.deliver(pg_temp.change(60.03, 'zoe@example.com', 'Staging', 'checkout', true, '"new"'), 63);
-- Another person within the same second is another act; and the same person two seconds later.
SELECT pg_temp.deliver(pg_temp.entry(5, 60.5, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: checkout'), 63),
    pg_temp.deliver(pg_temp.change(60.5, 'ada@example.com', 'Staging', 'checkout', false, '"new"'), 63),
    pg_temp.deliver(pg_temp.entry(6, 62.5, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: checkout'), 65),
    pg_temp.deliver(pg_temp.change(62.5, 'ada@example.com', 'Staging', 'checkout', true, '"new"'), 65);
-- An API key: the body has its name.  One without a body stays without.
SELECT pg_temp.deliver(pg_temp.entry(7, 120, NULL, 'Production', 'FEATURE_STATE', 'Flag state updated for feature: checkout'), 122),
    pg_temp.deliver(pg_temp.change(120, 'deploy key', 'Production', 'checkout', true, '"new"'), 122),
    pg_temp.deliver(pg_temp.entry(8, 125, NULL, NULL, 'SEGMENT', 'New Segment created: beta'), 126);
-- A change request: what people did has their names, the go-live is the system's.  The body has the time of the draft.
SELECT pg_temp.deliver(pg_temp.entry(9, 180, 'ada@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Black Friday created'), 181),
    pg_temp.deliver(pg_temp.entry(10, 190, 'zoe@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Black Friday approved'), 191),
    pg_temp.deliver(pg_temp.entry(11, 240, NULL, 'Production', 'FEATURE_STATE',
        'Scheduled change to Flag state / Remote config value went live for feature: checkout by Change Request: Black Friday',
        '{"is_system_event": true}'), 241),
    pg_temp.deliver(pg_temp.change(180, '', 'Production', 'checkout', true, '"sale"'), 241.5);
-- A version: its entry comes a little later, its list of states belongs to it.
SELECT pg_temp.deliver(pg_temp.entry(12, 300.4, 'ada@example.com', 'Production', 'EF_VERSION', 'New version published for feature: banner',
        '{"related_object_uuid": "8be5e2a1-0000-4000-8000-000000000001"}'), 301),
    pg_temp.deliver(pg_temp.change(300, 'ada@example.com', 'Production', 'banner', true, '1'), 300.6),
    pg_temp.deliver(pg_temp.change(300, 'ada@example.com', 'Production', 'banner', false, '2',
        '{"feature_segment": {"segment": {"id": 5, "name": "beta"}, "priority": 0}}'), 300.7),
    pg_temp.deliver('{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "8be5e2a1-0000-4000-8000-000000000001", "feature": {"id": 706, "name": "banner"},
        "published_by": {"id": 15, "email": "ada@example.com"}, "feature_states": [{"enabled": true, "value": 1}, {"enabled": false, "value": 2}]}}', 300.8);
-- An override of a segment is set and removed.
SELECT pg_temp.deliver(pg_temp.entry(13, 360, 'ada@example.com', 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config value updated for feature ''checkout'' and segment ''beta'''), 362),
    pg_temp.deliver(pg_temp.change(360, 'ada@example.com', 'Staging', 'checkout', true, '"b"',
        '{"feature_segment": {"segment": {"id": 5, "name": "beta"}, "priority": 0}}'), 362),
    pg_temp.deliver(pg_temp.entry(14, 380, 'zoe@example.com', 'Staging', 'FEATURE',
        'Flag state / Remote config value deleted for feature ''checkout'' and segment ''beta'''), 382);
-- A message that can be read in two ways: the body tells what it means.
SELECT pg_temp.deliver(pg_temp.entry(15, 420, 'ada@example.com', 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config value updated for feature ''it''s'' and identity ''x'' and identity ''y''', '{"related_object_id": 9}'), 422),
    pg_temp.deliver(pg_temp.change(420, 'ada@example.com', 'Staging', 'it''s'' and identity ''x', true, '3',
        '{"identity": 4, "identity_identifier": "y"}'), 422);
-- The flag is deleted; the entry that knows by whom comes after.  Another one's deletion is known from its bodies only.
SELECT pg_temp.deliver(pg_temp.change(62.5, 'ada@example.com', 'Staging', 'checkout', true, '"new"', deleted => true), 480.5),
    pg_temp.deliver(pg_temp.change(180, 'ada@example.com', 'Production', 'checkout', true, '"sale"', deleted => true), 480.6),
    pg_temp.deliver(pg_temp.entry(16, 480.1, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Flag / Remote Config Deleted: checkout'), 481.9),
    pg_temp.deliver(pg_temp.entry(17, 480.2, 'zoe@example.com', NULL, 'FEATURE', 'Flag / Remote Config Deleted: checkout', '{"related_object_id": 708}'), 482),
    pg_temp.deliver(pg_temp.change(300, 'ada@example.com', 'Production', 'banner', true, '1', deleted => true), 500),
    pg_temp.deliver(pg_temp.change(299, 'ada@example.com', 'Production', 'banner', true, '0', deleted => true), 500.1);
-- Bodies without any entry, as an environment's webhook alone brings them: each instant is an act.
SELECT pg_temp.deliver(pg_temp.change(540, 'ada@example.com', 'Production', 'lone', true, '1'), 541),
    pg_temp.deliver(pg_temp.change(540.05, 'ada@example.com', 'Production', 'lone', true, '2'), 541),
    pg_temp.deliver(pg_temp.change(545, 'ci key', 'Production', 'lone', false, '2'), 546),
    pg_temp.deliver(pg_temp.change(546.5, '', 'Production', 'lone', true, '2'), 547);
-- The same entry again, in another form: no act of its own.
SELECT pg_temp.deliver(pg_temp.entry(6, 62.5, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: checkout', '{"new_key": 1}'), 600);

SELECT at, actor, actor_type, action, object, request, environment, feature, segment, identity, id, n FROM told;
SELECT at, feature, e, v, eb, vb FROM told WHERE e IS NOT NULL OR eb IS NOT NULL;
SELECT id, log FROM told WHERE id IN (3, 12);
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- Names of any length go in and are found.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, repeat('long', 500) || '@example.com', 'Staging', 'FEATURE_STATE',
        'Flag state updated for feature: ' || string_agg(md5(i::text), '' ORDER BY i)), 1),
    pg_temp.deliver(pg_temp.change(0, repeat('long', 500) || '@example.com', 'Staging', string_agg(md5(i::text), '' ORDER BY i), true, '1'), 2)
FROM generate_series(1, 200) i;
SELECT at, left(actor, 8), length(feature), e, n
FROM told
WHERE feature = (SELECT string_agg(md5(i::text), '' ORDER BY i) FROM generate_series(1, 200) i);
SELECT count(*) FROM told WHERE actor = repeat('long', 500) || '@example.com';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- The test button's bodies are no acts.
SELECT pg_temp.deliver('{"event_type": "AUDIT_LOG_CREATED", "data": {"created_date": "2020-02-23T17:30:57.006318Z", "log": "New Flag / Remote Config created: my_feature",
    "author": {"id": 1, "email": "user@domain.com", "first_name": "Kyle", "last_name": "Johnson"}, "environment": null,
    "project": {"id": 1, "name": "Test Project", "organisation": 1}, "related_object_id": 1, "related_object_type": "FEATURE"}}', 1);
SELECT is_test FROM flagsmith.audit_log WHERE source = 'history';
SELECT count(*) FROM told;
ROLLBACK;

DELETE FROM flagsmith.webhook WHERE name = 'history';
