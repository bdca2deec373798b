-- What things are called at which time, and what a pair of names means at an instant.
SET timezone = 'UTC';
SELECT flagsmith.add_webhook('names', source => 'names', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;

-- The hash of stored columns is defined by bytes: the test vectors of SipHash-2-4 with their key, and texts as anyone can compute them.
SELECT to_hex(flagsmith._hash('')) AS empty, flagsmith._hash(convert_from('\x01020304050607', 'UTF8')) AS bytes,
    flagsmith._hash('feature:checkout') AS feature, flagsmith._hash('segment:café') AS segment, flagsmith._hash('identity:u1') AS identity;

CREATE FUNCTION pg_temp.flag(sent timestamptz, project text, environment text, enabled boolean, value int, project_id int DEFAULT 7, environment_id int DEFAULT 1,
        feature_id int DEFAULT 1, feature text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(sent, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'new_state', jsonb_build_object('enabled', enabled, 'feature_state_value', value,
            'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'feature', jsonb_build_object('id', feature_id, 'name', feature, 'project', jsonb_build_object('id', project_id, 'name', project)),
            'environment', jsonb_build_object('id', environment_id, 'name', environment))))::text $$;
CREATE FUNCTION pg_temp.entry(at timestamptz, type text, id int, log text, project text, environment text DEFAULT NULL, environment_id int DEFAULT NULL,
        project_id int DEFAULT 7) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('created_date', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'log', log, 'author', NULL, 'related_object_id', id, 'related_object_type', type, 'is_system_event', false,
        'environment', CASE WHEN environment IS NULL THEN NULL ELSE jsonb_build_object('id', environment_id, 'name', environment) END,
        'project', jsonb_build_object('id', project_id, 'name', project)))::text $$;
CREATE TABLE told (arrived timestamptz, body text);
CREATE PROCEDURE pg_temp.hear() LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT 'names', convert_to(body, 'UTF8'), arrived FROM told $$;

-- An environment that is renamed twice, the second time back; a body that was on its way while it was renamed; a deletion that is told late,
-- under an old time and the present name.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 1, 'New Environment created: Dev', 'Shop', 'Dev', 1)),
    ('2026-03-01 10:05:01Z', pg_temp.flag('2026-03-01 10:05Z', 'Shop', 'Dev', true, 1)),
    ('2026-03-01 11:00:01Z', pg_temp.entry('2026-03-01 11:00Z', 'ENVIRONMENT', 1, 'Environment updated: Development', 'Shop', 'Development', 1)),
    ('2026-03-01 11:00:03Z', pg_temp.flag('2026-03-01 10:59:59Z', 'Shop', 'Dev', false, 2)),
    ('2026-03-01 11:30:01Z', pg_temp.flag('2026-03-01 11:30Z', 'Shop', 'Development', true, 3)),
    ('2026-03-01 11:45:01Z', pg_temp.entry('2026-03-01 11:45Z', 'ENVIRONMENT', 1, 'Environment updated: Dev', 'Shop', 'Dev', 1)),
    ('2026-03-01 12:30:01Z', pg_temp.flag('2026-03-01 10:06Z', 'Shop', 'Dev', false, 4, feature_id => 2, feature => 'y'));
CALL pg_temp.hear();
SELECT at, flagsmith._name('names', 'environment', '1', at) AS environment
FROM unnest('{2026-01-01, 2026-03-01 10:00, 2026-03-01 10:59:59.999999, 2026-03-01 11:00, 2026-03-01 11:10, 2026-03-01 11:44:59.999999, 2026-03-01 11:45, infinity}'::timestamptz[]) at;
-- Each name at its time, and at a time at which nothing bore it: what bore it next, else last.
SELECT at, flagsmith.get_feature_value('Shop/Dev', 'x', at) AS "Dev", flagsmith.get_feature_value('names/Shop/Development', 'x', at) AS "Development"
FROM unnest('{2026-03-01 10:05, 2026-03-01 10:59:59, 2026-03-01 11:10, 2026-03-01 11:30, 2026-03-01 12:00, infinity}'::timestamptz[]) at;
-- In the views, the names of the start of each period, and of today.
SELECT environment, lower(period) AS "from", value FROM flagsmith.flag_timeline WHERE source = 'names' AND feature = 'x' AND segment_id IS NULL ORDER BY 2;
SELECT environment, feature, value FROM flagsmith.current_state WHERE source = 'names' ORDER BY feature;
ROLLBACK;

-- Two environments that swap their names: no answer about the past changes.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 1, 'New Environment created: blue', 'Shop', 'blue', 1)),
    ('2026-03-01 10:00:02Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 2, 'New Environment created: green', 'Shop', 'green', 2)),
    ('2026-03-01 10:01:01Z', pg_temp.flag('2026-03-01 10:01Z', 'Shop', 'blue', true, 1, environment_id => 1)),
    ('2026-03-01 10:01:02Z', pg_temp.flag('2026-03-01 10:01Z', 'Shop', 'green', true, 2, environment_id => 2)),
    ('2026-03-01 12:00:01Z', pg_temp.entry('2026-03-01 12:00Z', 'ENVIRONMENT', 1, 'Environment updated: swap', 'Shop', 'swap', 1)),
    ('2026-03-01 12:00:02Z', pg_temp.entry('2026-03-01 12:01Z', 'ENVIRONMENT', 2, 'Environment updated: blue', 'Shop', 'blue', 2)),
    ('2026-03-01 12:00:03Z', pg_temp.entry('2026-03-01 12:02Z', 'ENVIRONMENT', 1, 'Environment updated: green', 'Shop', 'green', 1));
CALL pg_temp.hear();
SELECT at, flagsmith.get_feature_value('Shop/blue', 'x', at) AS blue, flagsmith.get_feature_value('Shop/green', 'x', at) AS green,
    flagsmith.get_feature_value('swap', 'x', at) AS swap
FROM unnest('{2026-03-01 11:00, 2026-03-01 12:00:30, 2026-03-01 12:01:30, 2026-03-01 12:02:30, infinity}'::timestamptz[]) at;
ROLLBACK;

-- A younger environment goes without a word, and an older one is called so: who took a name last has it.  Then the youngest takes it in turn.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 1, 'New Environment created: old', 'Shop', 'old', 1)),
    ('2026-03-01 10:00:02Z', pg_temp.flag('2026-03-01 10:00:01Z', 'Shop', 'old', true, 1, environment_id => 1)),
    ('2026-03-01 10:30:01Z', pg_temp.entry('2026-03-01 10:30Z', 'ENVIRONMENT', 2, 'New Environment created: live', 'Shop', 'live', 2)),
    ('2026-03-01 10:31:01Z', pg_temp.flag('2026-03-01 10:31Z', 'Shop', 'live', true, 2, environment_id => 2)),
    ('2026-03-01 11:00:01Z', pg_temp.entry('2026-03-01 11:00Z', 'ENVIRONMENT', 1, 'Environment updated: live', 'Shop', 'live', 1)),
    ('2026-03-01 11:05:01Z', pg_temp.flag('2026-03-01 11:05Z', 'Shop', 'live', true, 3, environment_id => 1)),
    ('2026-03-01 12:00:01Z', pg_temp.entry('2026-03-01 12:00Z', 'ENVIRONMENT', 3, 'New Environment created: live', 'Shop', 'live', 3)),
    ('2026-03-01 12:01:01Z', pg_temp.flag('2026-03-01 12:01Z', 'Shop', 'live', true, 4, environment_id => 3));
CALL pg_temp.hear();
SELECT at, flagsmith.get_feature_value('Shop/live', 'x', at) AS scalar, s.value, s.environment_id,
    (SELECT e.value FROM flagsmith.environment_state('Shop/live', at) e) AS among_all
FROM unnest('{2026-03-01 10:40, 2026-03-01 10:59:59.999999, 2026-03-01 11:00, 2026-03-01 11:06, 2026-03-01 12:02, infinity}'::timestamptz[]) at,
    LATERAL (SELECT f.* FROM flagsmith.feature_state('Shop/live', 'x', at) f) s;
ROLLBACK;

-- An environment that was there all day is heard of in the evening alone, called as another one was in the morning: then the name means that other one until the evening.
-- What is heard of soon after it was made had its name from the beginning.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.flag('2026-03-01 10:00Z', 'Shop', 'Dev', true, 1, environment_id => 2)),
    ('2026-03-01 20:00:01Z', pg_temp.flag('2026-03-01 09:55Z', 'Shop', 'Dev', true, 2, environment_id => 1)),
    ('2026-03-01 21:01:29Z', pg_temp.flag('2026-03-01 21:00Z', 'Shop', 'Dev', true, 3, environment_id => 3));
CALL pg_temp.hear();
SELECT at, flagsmith.get_feature_value('Shop/Dev', 'x', at) AS scalar, s.value, s.environment_id, (SELECT e.value FROM flagsmith.environment_state('Shop/Dev', at) e) AS among_all
FROM unnest('{2026-03-01 10:04, 2026-03-01 12:00, 2026-03-01 20:00:00.999999, 2026-03-01 20:00:01, 2026-03-01 20:59:59, 2026-03-01 21:00:01, infinity}'::timestamptz[]) at,
    LATERAL (SELECT f.* FROM flagsmith.feature_state('Shop/Dev', 'x', at) f) s;
ROLLBACK;

-- The last news of an environment is told to the hour, and in whichever order that was heard.
CREATE FUNCTION pg_temp.news(backwards boolean) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'names', convert_to(pg_temp.flag(t, 'Shop', 'Dev', true, 1), 'UTF8'), t + interval '1 second'
    FROM unnest('{2026-03-01 10:05Z, 2026-03-01 11:10Z, 2026-03-01 11:20Z, 2026-03-01 11:59Z}'::timestamptz[]) t
    ORDER BY CASE WHEN backwards THEN -extract(epoch FROM t) ELSE extract(epoch FROM t) END;
    RETURN (SELECT last_news FROM flagsmith.environment WHERE source = 'names' AND environment_id = 1);
END $$;
BEGIN;
SELECT pg_temp.news(false);
ROLLBACK;
BEGIN;
SELECT pg_temp.news(true);
ROLLBACK;

-- A project's rename is announced by nothing: bodies tell.  One that was built before it and comes after it does not take it back.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.flag('2026-03-01 10:00Z', 'Shop', 'Dev', true, 1)),
    ('2026-03-01 11:00:01Z', pg_temp.flag('2026-03-01 11:00Z', 'Store', 'Dev', true, 2)),
    ('2026-03-01 11:00:05Z', pg_temp.flag('2026-03-01 10:59:58Z', 'Shop', 'Dev', true, 3)),
    ('2026-03-01 13:00:01Z', pg_temp.flag('2026-03-01 13:00Z', 'Store', 'Dev', true, 4));
CALL pg_temp.hear();
SELECT at, flagsmith._name('names', 'project', '7', at) AS project
FROM unnest('{2026-03-01 10:30, 2026-03-01 11:00:01, 2026-03-01 12:00, infinity}'::timestamptz[]) at;
SELECT flagsmith.get_feature_value('Shop/Dev', 'x') AS "yesterday's name", flagsmith.get_feature_value('Store/Dev', 'x', '2026-03-01 10:30Z') AS "today's name";
ROLLBACK;

-- The entry of a rename is lost: bodies show the name.  It is taken back, and that entry is lost as well.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 1, 'New Environment created: a', 'Shop', 'a', 1)),
    ('2026-03-01 11:00:01Z', pg_temp.flag('2026-03-01 11:00Z', 'Shop', 'b', true, 1)),
    ('2026-03-01 12:00:01Z', pg_temp.flag('2026-03-01 12:00Z', 'Shop', 'a', true, 2));
CALL pg_temp.hear();
SELECT at, flagsmith._name('names', 'environment', '1', at) AS environment
FROM unnest('{2026-03-01 10:30, 2026-03-01 11:30, 2026-03-01 12:00:01}'::timestamptz[]) at;
ROLLBACK;

-- A project that is gone gives way to its namesake if all its evidence ends before; where they overlap, the name is ambiguous.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.flag('2026-03-01 10:00Z', 'Shop', 'Dev', true, 1)),
    ('2026-03-02 10:00:01Z', pg_temp.flag('2026-03-02 10:00Z', 'Shop', 'Dev', true, 2, project_id => 8, environment_id => 2, feature_id => 2));
CALL pg_temp.hear();
SELECT at, flagsmith.get_feature_value('Shop/Dev', 'x', at) AS value FROM unnest('{2026-03-01 11:00, 2026-03-02 11:00, infinity}'::timestamptz[]) at;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
VALUES ('names', convert_to(pg_temp.flag('2026-03-03 10:00Z', 'Shop', 'Dev', true, 3), 'UTF8'), '2026-03-03 10:00:01Z');
SELECT flagsmith.get_feature_value('Shop/Dev', 'x') AS ambiguous;
SELECT enabled FROM flagsmith.feature_state('Shop/Dev', 'x', '2026-03-03 11:00Z');
ROLLBACK;

-- Within the hour of its last evidence too, where entries tell that this was all; and whatever flags the other one had by then.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', pg_temp.flag('2026-03-01 10:00Z', 'Shop', 'Dev', true, 1)),
    ('2026-03-01 10:00:02Z', pg_temp.entry('2026-03-01 10:00Z', 'ENVIRONMENT', 1, 'Environment updated: Dev', 'Shop', 'Dev', 1)),
    ('2026-03-01 10:10:01Z', pg_temp.entry('2026-03-01 10:10Z', 'ENVIRONMENT', 2, 'New Environment created: Dev', 'Shop', 'Dev', 2, 8)),
    ('2026-03-01 10:20:01Z', pg_temp.flag('2026-03-01 10:20Z', 'Shop', 'Dev', true, 2, project_id => 8, environment_id => 2, feature_id => 2));
CALL pg_temp.hear();
SELECT at, flagsmith.get_feature_value('Shop/Dev', 'x', at) AS value FROM unnest('{2026-03-01 10:09, 2026-03-01 10:15, 2026-03-01 10:30}'::timestamptz[]) at;
ROLLBACK;

-- A version list that comes before the first event of its feature says nothing of the project; the event does.
BEGIN;
INSERT INTO told VALUES
    ('2026-03-01 10:00:01Z', '{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "u1", "published_by": null, "feature": {"id": 1, "name": "x"}, "feature_states": []}}'),
    ('2026-03-01 10:00:02Z', pg_temp.flag('2026-03-01 10:00Z', 'Shop', 'Dev', true, 5));
CALL pg_temp.hear();
SELECT flagsmith.get_feature_value('Shop/Dev', 'x') AS value;
ROLLBACK;

-- The order of insertion changes nothing: bodies of an hour and of others, exact and not, doubled through a second webhook, in 40 orders.
SELECT flagsmith.add_webhook('names2', source => 'names', allow_unsigned => true, max_spool_age => NULL) IS NOT NULL AS registered;
INSERT INTO told
SELECT timestamptz '2026-04-01Z' + n * interval '7 min 13 s', CASE n % 5
    WHEN 0 THEN pg_temp.entry(timestamptz '2026-04-01Z' + n * interval '7 min', 'ENVIRONMENT', 1 + n % 2, 'Environment updated: ' || names[1 + n * 7 % 3], 'P' || n / 20, names[1 + n * 7 % 3], 1 + n % 2)
    WHEN 1 THEN pg_temp.entry(timestamptz '2026-04-01Z' + n * interval '7 min', 'SEGMENT', 1, 'Segment updated: ' || names[1 + n % 3], 'P' || n / 20)
    ELSE pg_temp.flag(timestamptz '2026-04-01Z' + n * interval '6 min', 'P' || n / 20, names[1 + (n - n % 5) * 7 % 3], n % 2 = 0, n, environment_id => 1 + n % 2) END
FROM generate_series(1, 60) n, (SELECT '{a,b,c}'::text[] AS names) k;
CREATE FUNCTION pg_temp.answers() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(concat_ws('|', t, flagsmith._name('names', 'environment', '1', t), flagsmith._name('names', 'environment', '2', t),
        flagsmith._name('names', 'project', '7', t), flagsmith._name('names', 'segment', '1', t), flagsmith.get_feature_value('a', 'x', t),
        flagsmith.get_feature_value('P0/b', 'x', t), flagsmith.get_feature_value('P2/c', 'x', t)), E'\n' ORDER BY t))
    FROM generate_series(timestamptz '2026-04-01Z', '2026-04-01 09:00Z', '5 min') t $$;
CREATE TABLE heard (n int, answers text);
SELECT setseed(0.25);
DO $$
DECLARE
    answers text;
BEGIN
    FOR n IN 1 .. 40 LOOP
        BEGIN
            INSERT INTO flagsmith.inbox (webhook, body, received_at)
            SELECT CASE WHEN i = 0 THEN 'names' ELSE 'names2' END, convert_to(body, 'UTF8'), arrived + i * interval '3 s'
            FROM told, generate_series(0, 1) i ORDER BY CASE WHEN n > 1 THEN random() ELSE 0 END, arrived;
            answers := pg_temp.answers();
            RAISE EXCEPTION 'undo' USING ERRCODE = 'UN000';
        EXCEPTION WHEN SQLSTATE 'UN000' THEN
            INSERT INTO heard VALUES (n, answers);
        END;
    END LOOP;
END $$;
SELECT count(*) AS orders, count(DISTINCT answers) AS answers FROM heard;
DROP TABLE told, heard;
SELECT flagsmith.disable_webhook('names'), flagsmith.disable_webhook('names2');

-- What a session remembers of the names it stored goes with a transaction that is undone, and with the rows.
CREATE FUNCTION pg_temp.told_again(n int) RETURNS text LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body)
    VALUES ('memory', convert_to(pg_temp.flag(timestamptz '2026-05-01Z' + n * interval '1 s', 'Memory', 'Mem', true, n, feature_id => 77, environment_id => 77, project_id => 77), 'UTF8'))
    RETURNING outcome || ', ' || (SELECT count(DISTINCT kind) FROM flagsmith.name WHERE source = 'memory') || ' kinds before' $$;
SELECT flagsmith.add_webhook('memory', source => 'memory', allow_unsigned => true) IS NOT NULL AS registered;
BEGIN;
SELECT pg_temp.told_again(1);
ROLLBACK;
SELECT pg_temp.told_again(2);
SELECT pg_temp.told_again(3);
BEGIN;
ALTER TABLE flagsmith.name DISABLE TRIGGER name_guard;
DELETE FROM flagsmith.name WHERE source = 'memory';
ALTER TABLE flagsmith.name ENABLE ALWAYS TRIGGER name_guard;
COMMIT;
SELECT pg_temp.told_again(4);
SELECT kind, name FROM flagsmith.name WHERE source = 'memory' ORDER BY 1;
SELECT flagsmith.disable_webhook('memory');
