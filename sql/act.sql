-- What is one act of the view history: where folding ends, and that each piece is in exactly one line.
SET TimeZone = 'UTC';

SELECT count(*) FROM flagsmith.add_webhook('act', allow_unsigned => true, source => 'act', max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('act of 72', allow_unsigned => true, source => 'act', max_spool_age => NULL, environment_id => 72);

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
    VALUES ('act', convert_to(body, 'UTF8'), timestamptz '2026-11-01 12:00Z' + at * interval '1 second')
    RETURNING outcome INTO result;
    RETURN result;
END
$$;
CREATE TEMP VIEW told AS
SELECT at::time(3) AS at, actor, actor_type, action, object, change_request AS request, environment_id AS env, feature, feature_id AS f,
    segment_id AS s, enabled AS e, value AS v, audit_id AS id, substr(act, 5) AS act, cardinality(delivery_ids) AS n
FROM flagsmith.history
WHERE source = 'act'
ORDER BY at, act;
CREATE TEMP VIEW forgotten AS
WITH line AS MATERIALIZED (
    SELECT unnest(delivery_ids) AS delivery FROM flagsmith.history)
SELECT d.event_type, count(l.delivery)
FROM flagsmith.delivery d
LEFT JOIN line l ON d.id = l.delivery
WHERE d.source = 'act'
GROUP BY d.id, d.event_type
HAVING count(l.delivery) <> 1;


BEGIN;
-- A hundred changes a few hundredths of a second apart are a hundred lines; a save of state and value is one.
SELECT count(pg_temp.deliver(pg_temp.entry(i, i * 0.06, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: quick'), i * 0.06 + 2)),
    count(pg_temp.deliver(pg_temp.change(i * 0.06, 'ada@example.com', 'Staging', 'quick', i % 2 = 0, '1'), i * 0.06 + 2))
FROM generate_series(1, 100) i;
SELECT count(*), count(DISTINCT act), sum(n), bool_and(e = (id % 2 = 0)) FROM told;
SELECT pg_temp.deliver(pg_temp.entry(200 + i * 2, 100 + i * 0.06, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: both'), 102),
    pg_temp.deliver(pg_temp.entry(201 + i * 2, 100.01 + i * 0.06, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: both'), 102)
FROM generate_series(1, 3) i;
SELECT at, id, n FROM told WHERE feature = 'both';
-- In a run of more than a thousand within a minute each piece is in one line as well.
SELECT count(pg_temp.deliver(pg_temp.entry(1000 + i, 200 + i * 0.05, 'ada@example.com', 'Staging', 'FEATURE_STATE',
    CASE i % 3 WHEN 0 THEN 'Flag state updated for feature: run' ELSE 'Multivariate value changed for feature ''run''.' END), 300))
FROM generate_series(1, 1020) i;
SELECT count(*) > 339 AS many, count(*) - count(DISTINCT act) AS doubled, sum(n) FROM told WHERE feature = 'run';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- A change request of v2 is one line with its title, its version and what that changed.  Of v1 it is the entry of the system, the
-- committer's name and the body with the time of the draft; what is scheduled goes live by itself.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, 'ada@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Sale created'), 1),
    pg_temp.deliver(pg_temp.entry(2, 60.01, 'zoe@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Sale committed'), 61.5),
    pg_temp.deliver(pg_temp.entry(3, 60.7, 'zoe@example.com', 'Production', 'EF_VERSION', 'New version published for feature: banner',
        '{"related_object_uuid": "8be5e2a1-0000-4000-8000-000000000011"}'), 61),
    pg_temp.deliver(pg_temp.change(60, 'zoe@example.com', 'Production', 'banner', true, '1'), 60.6),
    pg_temp.deliver('{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "8be5e2a1-0000-4000-8000-000000000011", "feature": {"id": 706, "name": "banner"},
        "published_by": {"id": 2, "email": "zoe@example.com"}, "feature_states": [{"enabled": true, "value": 1}]}}', 60.8);
SELECT pg_temp.deliver(pg_temp.entry(4, 120.01, 'zoe@example.com', 'Staging', 'CHANGE_REQUEST', 'Change Request: Winter committed'), 121),
    pg_temp.deliver(pg_temp.entry(5, 120, NULL, 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config updated for feature: checkout by Change Request: Winter', '{"is_system_event": true}'), 120.5),
    pg_temp.deliver(pg_temp.change(30, '', 'Staging', 'checkout', true, '2'), 121.2);
SELECT pg_temp.deliver(pg_temp.entry(6, 180, 'zoe@example.com', 'Staging', 'CHANGE_REQUEST', 'Change Request: Spring committed'), 181),
    pg_temp.deliver(pg_temp.entry(7, 90000, NULL, 'Staging', 'FEATURE_STATE',
        'Scheduled change to Flag state / Remote config value went live for feature: checkout by Change Request: Spring', '{"is_system_event": true}'), 90001),
    pg_temp.deliver(pg_temp.change(150, '', 'Staging', 'checkout', false, '3'), 90001.5);
-- The message of this one can be read in two ways; what it changed is in the event, which has the time of the draft.
SELECT pg_temp.deliver(pg_temp.entry(8, 90100, NULL, 'Staging', 'FEATURE_STATE',
        'Scheduled change to Flag state / Remote config value went live for feature: checkout by Change Request: a by Change Request: b',
        '{"is_system_event": true}'), 90101),
    pg_temp.deliver(pg_temp.change(160, '', 'Staging', 'checkout', false, '4'), 90101.5);
SELECT * FROM told;
SELECT count(*) FROM flagsmith.history WHERE source = 'act' AND feature = 'checkout';
SELECT log FROM flagsmith.history WHERE source = 'act' AND change_request = 'Winter';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- Two versions of one second, whose entries were written in the other order: the lists tell which is whose.
SELECT pg_temp.deliver(pg_temp.change(i * 0.3, 'ada@example.com', 'Production', 'banner', true, to_jsonb(i)), i * 0.3 + 1),
    pg_temp.deliver(pg_temp.entry(i, 1 - i * 0.1, 'ada@example.com', 'Production', 'EF_VERSION', 'New version published for feature: banner',
        jsonb_build_object('related_object_uuid', '8be5e2a1-0000-4000-8000-00000000002' || i)), 2),
    pg_temp.deliver(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object('uuid', '8be5e2a1-0000-4000-8000-00000000002' || i,
        'feature', '{"id": 706, "name": "banner"}'::jsonb, 'published_by', '{"id": 2, "email": "ada@example.com"}'::jsonb,
        'feature_states', jsonb_build_array(jsonb_build_object('enabled', true, 'value', i))))::text, 2)
FROM generate_series(1, 2) i;
SELECT id, v, n FROM told;
SELECT * FROM forgotten;
-- Lists that nothing else tells of, and of one whose entry was lost; the key stays when the entry comes after all.
SELECT pg_temp.deliver('{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "8be5e2a1-0000-4000-8000-000000000031", "feature": {"id": 706, "name": "banner"},
    "published_by": null, "feature_states": [{"enabled": true, "value": 7}]}}', 600);
SELECT actor, actor_type, action, object, feature, f, act, n FROM told WHERE at > '12:05';
SELECT pg_temp.deliver(pg_temp.entry(9, 599.5, 'ada@example.com', 'Production', 'EF_VERSION', 'New version published for feature: banner',
    '{"related_object_uuid": "8be5e2a1-0000-4000-8000-000000000031"}'), 601);
SELECT actor, actor_type, action, object, feature, f, act, n FROM told WHERE at > '12:05';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- Whatever type of entry explains it, a flag event is in one line; an entry without author is an API key's only where that is sure.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, 'ada@example.com', 'Staging', 'RELEASE_PIPELINE', 'Flag state updated for feature: piped'), 1),
    pg_temp.deliver(pg_temp.change(0, 'ada@example.com', 'Staging', 'piped', true, '1'), 2),
    pg_temp.deliver(pg_temp.entry(2, 10, NULL, 'Staging', 'SOMETHING_NEW', 'Flag state updated for feature: newer'), 11),
    pg_temp.deliver(pg_temp.change(10, '', 'Staging', 'newer', true, '1'), 12),
    pg_temp.deliver(pg_temp.entry(3, 20, NULL, NULL, 'SEGMENT', 'New Segment created: beta', '{"related_object_id": 5}'), 21),
    pg_temp.deliver(pg_temp.entry(4, 30, NULL, 'Staging', 'EDGE_IDENTITY', 'Flag state updated for feature: edge', '{"is_system_event": null}'), 31);
SELECT count(*) FROM flagsmith.import_audit_log('{"count": 1, "next": null, "previous": null, "results": [
    {"id": 5, "created_date": "2026-11-01T12:00:40Z", "log": "Flag state updated for feature: piped", "author": null,
    "environment": {"id": 71, "name": "Staging"}, "project": {"id": 7, "name": "Shop"}, "related_object_id": 1, "related_object_type": "FEATURE_STATE",
    "is_system_event": false}]}', 'act');
SELECT * FROM told;
SELECT * FROM forgotten WHERE event_type <> 'audit_log_page';
ROLLBACK;

BEGIN;
-- The same body by two webhooks: which was stored first makes no difference.
SELECT pg_temp.deliver(pg_temp.change(-900, 'ada@example.com', 'Production', 'gone', true, '1', deleted => true), 5);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'act of 72', body, received_at - interval '2 seconds' FROM flagsmith.delivery WHERE source = 'act' RETURNING outcome;
SELECT * FROM told;
ROLLBACK;

BEGIN;
-- A flag event dated long after its arrival has the time of its arrival, and one of a type that is not known tells what it shows.
SET LOCAL client_min_messages = error;
SELECT pg_temp.deliver(pg_temp.change(31536000, 'ada@example.com', 'Staging', 'ahead', true, '1'), 5),
    pg_temp.deliver(replace(pg_temp.change(10, 'ada@example.com', 'Staging', 'unheard', true, '1'), 'FLAG_UPDATED', 'FLAG_TOGGLED'), 11),
    pg_temp.deliver(pg_temp.entry(1, 10, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: unheard'), 12);
SELECT at, actor, action, object, env, feature, e, v, id, n FROM told;
SELECT count(*) FROM flagsmith.history WHERE source = 'act' AND at > '2026-11-02';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- Each line in one sentence.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'New Flag / Remote Config created: search'), 1),
    pg_temp.deliver(pg_temp.change(0, 'ada@example.com', 'Staging', 'search', false, '"old"'), 2),
    pg_temp.deliver(pg_temp.entry(2, 10, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: search'), 11),
    pg_temp.deliver(pg_temp.change(10, 'zoe@example.com', 'Staging', 'search', true, '"old"'), 12),
    pg_temp.deliver(pg_temp.entry(3, 20, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: search'), 21),
    pg_temp.deliver(pg_temp.change(20, 'zoe@example.com', 'Staging', 'search', true, to_jsonb(repeat('long', 40))), 22),
    pg_temp.deliver(pg_temp.entry(4, 30, 'zoe@example.com', 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config value updated for feature ''search'' and segment ''beta'''), 31),
    pg_temp.deliver(pg_temp.change(30, 'zoe@example.com', 'Staging', 'search', false, 'null',
        '{"feature_segment": {"segment": {"id": 5, "name": "beta"}, "priority": 0}}'), 32),
    pg_temp.deliver(pg_temp.change(40, 'deploy key', 'Staging', 'search', false, '7'), 42),
    pg_temp.deliver(pg_temp.entry(5, 50, NULL, 'Staging', 'FEATURE_STATE',
        'Scheduled change to Flag state / Remote config value went live for feature: search by Change Request: Sale', '{"is_system_event": true}'), 51),
    pg_temp.deliver(pg_temp.entry(6, 60, NULL, NULL, 'FEATURE', 'Flag / Remote Config Deleted: search', '{"related_object_id": 706}'), 61),
    pg_temp.deliver(pg_temp.entry(7, 70, 'ada@example.com', NULL, 'NEWER', 'Something that' || E'\n' || 'later releases say'), 71);
SELECT summary FROM flagsmith.history WHERE source = 'act' ORDER BY at;
-- Who does not ask for the state before does not wait for it.
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS off) ' || query;
END
$$;
SELECT count(*) FROM pg_temp.plan('SELECT count(*) FROM flagsmith.history') p WHERE p ~ '_history_before|_history_summary';
SELECT count(*) FROM pg_temp.plan('SELECT actor, count(*) FROM flagsmith.history GROUP BY actor') p WHERE p ~ '_history_before|_history_summary';
SELECT count(*) > 0 AS asked FROM pg_temp.plan('SELECT enabled_before FROM flagsmith.history') p WHERE p ~ '_history_before';
ROLLBACK;

BEGIN;
-- What says that a change request was committed, but is of another type, is an act of its own, whatever the same person does then.
SELECT pg_temp.deliver(pg_temp.entry(1, 0, 'zoe@example.com', 'Production', 'NEWER', 'Change Request: Sale committed'), 1),
    pg_temp.deliver(pg_temp.entry(2, 0.5, 'zoe@example.com', 'Production', 'EF_VERSION', 'New version published for feature: banner',
        '{"related_object_uuid": "8be5e2a1-0000-4000-8000-000000000041"}'), 2);
SELECT count(*) FROM told;
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- The event of a flag's making can come a second after it: there was nothing before it all the same.
WITH made AS (
    SELECT '{"feature": {"id": 750, "name": "slow", "type": "STANDARD", "project": {"id": 7, "name": "Shop"}, "default_enabled": false,
        "initial_value": "first", "created_date": "2026-11-01T12:00:08.900000Z"}}'::jsonb AS made
)
SELECT pg_temp.deliver(pg_temp.entry(0, 1, 'zoe@example.com', 'Staging', 'ENVIRONMENT', 'New Environment created: Staging'), 2),
    pg_temp.deliver(pg_temp.entry(1, 8.9, 'zoe@example.com', NULL, 'FEATURE', 'New Flag / Remote Config created: slow',
        '{"related_object_id": 750, "project": {"id": 7, "name": "Shop", "prevent_flag_defaults": false}}'), 11),
    pg_temp.deliver(pg_temp.entry(2, 10.2, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'New Flag / Remote Config created: slow'), 12),
    pg_temp.deliver(pg_temp.change(10.2, 'zoe@example.com', 'Staging', 'slow', false, '"first"', made), 12.6),
    pg_temp.deliver(pg_temp.entry(3, 60, 'zoe@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: slow'), 61),
    pg_temp.deliver(pg_temp.change(60, 'zoe@example.com', 'Staging', 'slow', true, '"first"', made), 62)
FROM made;
SELECT at::time(3) AS at, action, object, enabled_before, value_before, enabled, value FROM flagsmith.history
WHERE source = 'act' AND feature_id = 750 ORDER BY at;
ROLLBACK;

BEGIN;
-- The event of a change request has the time of its draft, about when an API key saved the flag: it is of the request all the same.
SELECT pg_temp.deliver(pg_temp.entry(1, 10, NULL, 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: near'), 11),
    pg_temp.deliver(pg_temp.change(10, '', 'Staging', 'near', true, '1'), 11.5),
    pg_temp.deliver(pg_temp.entry(2, 60, NULL, 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config updated for feature: near by Change Request: Late', '{"is_system_event": true}'), 60.5),
    pg_temp.deliver(pg_temp.change(10.4, '', 'Staging', 'near', false, '2'), 61.2);
-- A save of the value alone has no entry of its event's very time either, but no change request is near to when that came.
SELECT pg_temp.deliver(pg_temp.entry(3, 120.3, NULL, 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: near'), 121),
    pg_temp.deliver(pg_temp.change(120.5, '', 'Staging', 'near', false, '3'), 124);
SELECT at, actor_type, action, request, e, v, n FROM told WHERE feature = 'near';
SELECT * FROM forgotten;
ROLLBACK;

BEGIN;
-- Of two readings of one save, the one that came first was the later one: what it says was there before is what the other shows.
WITH part AS (
    SELECT n, jsonb_build_object('multivariate_feature_state_values', jsonb_build_array(
        jsonb_build_object('multivariate_feature_option', '{"id": 1}'::jsonb, 'percentage_allocation', a),
        jsonb_build_object('multivariate_feature_option', '{"id": 2}'::jsonb, 'percentage_allocation', b))) AS shares
    FROM (VALUES ('was', 30, 20), ('half', 0, 20), ('whole', 0, 5)) v (n, a, b)
), event AS (
    SELECT n, jsonb_set(pg_temp.change(10, 'ada@example.com', 'Staging', 'torn', true, '"x"', shares)::jsonb, '{data,previous_state}',
        (SELECT pg_temp.change(0, '', 'Staging', 'torn', true, '"x"', shares)::jsonb FROM part WHERE n = 'was') #> '{data,new_state}')::text AS body
    FROM part
)
SELECT pg_temp.deliver(body, CASE n WHEN 'whole' THEN 11 ELSE 11.2 END) FROM event WHERE n <> 'was' ORDER BY n DESC;
SELECT pg_temp.deliver(pg_temp.entry(1, 10, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: torn'), 11),
    pg_temp.deliver(pg_temp.entry(2, 10.01, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Multivariate value changed for feature ''torn''.'), 11),
    pg_temp.deliver(pg_temp.entry(3, 10.02, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Multivariate value changed for feature ''torn''.'), 11);
SELECT enabled, value, variants, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'act' AND feature = 'torn';
ROLLBACK;

BEGIN;
-- Two readings that follow each other are of a save and of what undid it: the last one is right, whichever of them is stored first.
SELECT pg_temp.deliver(pg_temp.entry(i, 10, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: undone ' || i), 11),
    pg_temp.deliver(pg_temp.entry(10 + i, 10.01, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: undone ' || i), 11)
FROM generate_series(1, 4) i;
SELECT pg_temp.deliver(jsonb_set(pg_temp.change(10, 'ada@example.com', 'Staging', 'undone ' || i, true, to_jsonb(is_now || i), id)::jsonb, '{data,previous_state}',
        pg_temp.change(0, '', 'Staging', 'undone ' || i, true, to_jsonb(was || i), id)::jsonb #> '{data,new_state}')::text, arrived)
FROM (VALUES ('new', 'old', 10.8), ('old', 'new', 12.2)) v (is_now, was, arrived), generate_series(1, 4) i,
    LATERAL (SELECT jsonb_build_object('feature', jsonb_build_object('id', 750 + i, 'name', 'undone ' || i, 'type', 'STANDARD', 'project', '{"id": 7, "name": "Shop"}'::jsonb)) AS id) f;
SELECT feature, enabled, value, cardinality(delivery_ids) AS n FROM flagsmith.history WHERE source = 'act' AND feature LIKE 'undone%' ORDER BY feature;
ROLLBACK;

BEGIN;
-- What a change request left was read again in the middle of a save, the value of which was in, and has the time of its draft: it is of that save.
SELECT pg_temp.deliver(pg_temp.entry(1, 60, NULL, 'Staging', 'FEATURE_STATE',
        'Flag state / Remote config updated for feature: again by Change Request: Late', '{"is_system_event": true}'), 60.5),
    pg_temp.deliver(pg_temp.change(10, '', 'Staging', 'again', false, '1'), 61.2),
    pg_temp.deliver(pg_temp.entry(2, 120, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Remote config value updated for feature: again'), 121),
    pg_temp.deliver(pg_temp.entry(3, 120.03, 'ada@example.com', 'Staging', 'FEATURE_STATE', 'Flag state updated for feature: again'), 121),
    pg_temp.deliver(pg_temp.change(10, '', 'Staging', 'again', false, '2'), 121.4),
    pg_temp.deliver(pg_temp.change(120.03, 'ada@example.com', 'Staging', 'again', true, '2'), 121.3);
-- The same of an API key, which is shown by its own event; but not what came long after, nor the first to come of a draft.
SELECT pg_temp.deliver(pg_temp.entry(4, 180, NULL, 'Production', 'FEATURE_STATE',
        'Flag state / Remote config updated for feature: again by Change Request: Later', '{"is_system_event": true}'), 180.5),
    pg_temp.deliver(pg_temp.change(20, '', 'Production', 'again', false, '1'), 181.2),
    pg_temp.deliver(pg_temp.entry(5, 240, NULL, 'Production', 'FEATURE_STATE', 'Remote config value updated for feature: again'), 241),
    pg_temp.deliver(pg_temp.entry(6, 240.03, NULL, 'Production', 'FEATURE_STATE', 'Flag state updated for feature: again'), 241),
    pg_temp.deliver(pg_temp.change(20, '', 'Production', 'again', false, '2'), 241.4),
    pg_temp.deliver(pg_temp.change(240.03, 'key', 'Production', 'again', true, '2'), 241.3),
    pg_temp.deliver(pg_temp.entry(7, 300, NULL, 'Production', 'FEATURE_STATE', 'Remote config value updated for feature: again'), 301),
    pg_temp.deliver(pg_temp.change(20, '', 'Production', 'again', true, '4'), 311),
    pg_temp.deliver(pg_temp.change(25, '', 'Production', 'again', true, '5'), 302);
SELECT at, actor, action, env, v, n FROM told WHERE feature = 'again';
SELECT at::time(3) AS at, enabled_before, value_before, enabled, value FROM flagsmith.history
WHERE source = 'act' AND feature = 'again' AND at BETWEEN '2026-11-01 12:02Z' AND '2026-11-01 12:02:01Z';
SELECT * FROM forgotten;
ROLLBACK;

SELECT flagsmith._history_line('nothing', 1, 1, now());
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith._history_line(NULL, 1, 1, now()), flagsmith._history_person(NULL, 1), flagsmith._history_feature(NULL, 1),
    flagsmith._history_before(NULL, 1, 1, NULL, NULL, NULL, now(), NULL, NULL);

DELETE FROM flagsmith.webhook WHERE name LIKE 'act%';
