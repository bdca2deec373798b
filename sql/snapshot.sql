-- Every door answers from the snapshot of the statement that asks, wherever the call stands and however long its call site
-- lives: never from before an ingest that the statement can see, and never from after one that it cannot.
SET TimeZone = 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('snapshot', NULL, source => 'snapshot', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
CREATE SCHEMA snapshot;

-- Minute n: the flag is n, and enabled if n is odd.  Deliveries of several minutes arrive in order.
CREATE FUNCTION snapshot.body(n int, feature text DEFAULT 'it', environment text DEFAULT 'Home', project text DEFAULT 'Snap',
        project_id int DEFAULT 7,
        environment_id int DEFAULT 1, feature_id int DEFAULT 1) RETURNS bytea
    LANGUAGE sql STABLE AS $$
    SELECT convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', to_char(timestamp '2026-01-01' + n * interval '1 min', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'new_state', jsonb_build_object('enabled', n % 2 = 1, 'feature_state_value', n, 'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', feature_id, 'name', feature, 'project',
                jsonb_build_object('id', project_id, 'name', project)),
            'environment', jsonb_build_object('id', environment_id, 'name', environment),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8') $$;
CREATE FUNCTION snapshot.tell(n int) RETURNS text
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('snapshot', snapshot.body(n), timestamptz '2026-01-01 00:00:01Z' + n * interval '1 min') RETURNING outcome $$;

-- What the statement can see, read from the table; and whether all doors say the same.
CREATE FUNCTION snapshot.doors() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT told.value || CASE WHEN (said.values_, said.enabled) IS NOT DISTINCT FROM
            (array_fill(told.value, '{6}'), array_fill((told.value::int % 2) = 1, '{2}'))
        THEN ' ok' ELSE format(' ng: %s %s', said.values_, said.enabled) END
    FROM (SELECT f.value FROM flagsmith.flag_change f
          WHERE f.source = 'snapshot' AND f.environment_id = 1 AND f.feature_id = 1 ORDER BY f.event_at DESC LIMIT 1) told,
        (SELECT ARRAY[flagsmith.get_feature_value('Snap/Home', 'it'), flagsmith.get_feature_value('Snap/Home', 'it', 'infinity'),
            (SELECT s.value FROM flagsmith.feature_state('Snap/Home', 'it') s),
            (SELECT s.value FROM flagsmith.environment_state('Snap/Home') s WHERE s.feature = 'it'),
            (SELECT s.value FROM flagsmith.current_state s WHERE s.source = 'snapshot' AND s.environment_id = 1 AND s.feature_id = 1),
            (SELECT s.value FROM flagsmith.flag_timeline s
             WHERE s.source = 'snapshot' AND s.environment_id = 1 AND s.feature_id = 1 ORDER BY s.period DESC LIMIT 1)] AS values_,
            ARRAY[flagsmith.is_feature_enabled('Snap/Home', 'it'), flagsmith.is_feature_enabled('Snap/Home', 'it', 'infinity')] AS enabled) said $$;

-- Call sites that outlive their statement: plpgsql keeps a simple expression for the rest of the transaction.
CREATE FUNCTION snapshot.site() RETURNS jsonb
    LANGUAGE plpgsql AS $$ BEGIN RETURN flagsmith.get_feature_value('Snap/Home', 'it'); END $$;
CREATE FUNCTION snapshot.site_at() RETURNS jsonb
    LANGUAGE plpgsql AS $$ BEGIN RETURN flagsmith.get_feature_value('Snap/Home', 'it', 'infinity'); END $$;
-- A STABLE one sees what its caller sees, ...
CREATE FUNCTION snapshot.stable_site() RETURNS jsonb
    LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN flagsmith.get_feature_value('Snap/Home', 'it'); END $$;
-- ... whether it is inlined, ...
CREATE FUNCTION snapshot.inlined() RETURNS jsonb
    LANGUAGE sql STABLE AS $$ SELECT flagsmith.get_feature_value('Snap/Home', 'it') $$;
-- ... or not; and a volatile one what is there when it is called.
CREATE FUNCTION snapshot.stable_sql() RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT flagsmith.get_feature_value('Snap/Home', 'it') $$;
CREATE FUNCTION snapshot.volatile_sql() RETURNS jsonb
    LANGUAGE sql SECURITY DEFINER AS $$ SELECT flagsmith.get_feature_value('Snap/Home', 'it') $$;
CREATE FUNCTION snapshot.volatile_doors() RETURNS text
    LANGUAGE plpgsql AS $$ BEGIN RETURN snapshot.doors(); END $$;
CREATE VIEW snapshot.sites AS
    SELECT snapshot.site(), snapshot.site_at(), snapshot.stable_site(), snapshot.inlined(), snapshot.stable_sql(), snapshot.volatile_sql();

SELECT snapshot.tell(1);
SELECT snapshot.doors();

-- Between the statements of one transaction, at each isolation level; with what a savepoint undoes.
BEGIN;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SELECT snapshot.tell(2);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SAVEPOINT a;
SELECT snapshot.tell(3);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK TO a;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SELECT snapshot.tell(4);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
RELEASE a;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SAVEPOINT a;
SELECT snapshot.tell(2);
SAVEPOINT b;
SELECT snapshot.tell(3);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK TO b;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
RELEASE b;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK TO a;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SELECT snapshot.tell(4);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SAVEPOINT a;
SELECT snapshot.tell(2);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK TO a;
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
SELECT snapshot.tell(3);
SELECT s.*, snapshot.doors() FROM snapshot.sites s;
ROLLBACK;

-- Within one statement: what is STABLE keeps to the statement's snapshot, what is volatile sees each ingest.
BEGIN;
SELECT n, flagsmith.get_feature_value('Snap/Home', 'it') AS before, snapshot.tell(n),
    flagsmith.get_feature_value('Snap/Home', 'it') AS after, s.*, snapshot.doors(), snapshot.volatile_doors()
FROM generate_series(2, 4) n,
    LATERAL (SELECT snapshot.site_at(), snapshot.stable_site(), snapshot.inlined(), snapshot.stable_sql(), snapshot.volatile_sql()
             WHERE n > 0 OFFSET 0) s;
SELECT snapshot.doors();
ROLLBACK;

-- A CTE that delivers, and the same statement again: its two call sites, one with an instant and one in a subquery, agree.
BEGIN;
PREPARE deliver (int) AS
    WITH i AS (INSERT INTO flagsmith.inbox (webhook, body, received_at)
        VALUES ('snapshot', snapshot.body($1), timestamptz '2026-01-01 00:00:01Z' + $1 * interval '1 min') RETURNING outcome)
    SELECT outcome, flagsmith.get_feature_value('Snap/Home', 'it') AS one, flagsmith.get_feature_value('Snap/Home', 'it', 'infinity') AS other,
        (SELECT value FROM flagsmith.feature_state('Snap/Home', 'it')) AS state,
        (SELECT flagsmith.is_feature_enabled('Snap/Home', 'it')) AS enabled, snapshot.doors(), snapshot.site()
    FROM i;
EXECUTE deliver(2);
EXECUTE deliver(3);
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE deliver(4);
EXECUTE deliver(5);
EXECUTE deliver(5);
ROLLBACK;

-- Prepared statements, with custom and with generic plans; one where the call stands in a WHERE by itself.
BEGIN;
PREPARE doors AS SELECT snapshot.doors();
PREPARE value (text) AS SELECT flagsmith.get_feature_value('Snap/Home', $1), flagsmith.get_feature_value('Snap/Home', $1, 'infinity');
PREPARE gate AS SELECT count(*) FROM generate_series(1, 3) WHERE flagsmith.is_feature_enabled('Snap/Home', 'it');
SET LOCAL plan_cache_mode = force_custom_plan;
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
SELECT snapshot.tell(2);
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
SELECT snapshot.tell(3);
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
SAVEPOINT a;
SELECT snapshot.tell(4);
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
ROLLBACK TO a;
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
ROLLBACK;
EXECUTE doors; EXECUTE value('it'); EXECUTE gate;
DEALLOCATE ALL;

-- Cursors keep to the snapshot they were opened with: forwards, backwards, and after the end of their transaction.
BEGIN;
DECLARE scroll SCROLL CURSOR FOR SELECT n, flagsmith.get_feature_value('Snap/Home', 'it') AS value, snapshot.doors(), snapshot.site() FROM generate_series(1, 4) n;
DECLARE held CURSOR WITH HOLD FOR SELECT n, flagsmith.get_feature_value('Snap/Home', 'it') AS value, snapshot.doors() FROM generate_series(1, 4) n;
FETCH scroll;
FETCH held;
SAVEPOINT a;
SELECT snapshot.tell(2);
FETCH scroll;
FETCH held;
SELECT snapshot.doors();
ROLLBACK TO a;
FETCH scroll;
SELECT snapshot.tell(3);
FETCH PRIOR scroll;
CLOSE scroll;
COMMIT;
FETCH ALL held;
CLOSE held;
SELECT snapshot.doors();

-- A loop over a query keeps to the snapshot of the query; its body sees each ingest.
BEGIN;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT n, flagsmith.get_feature_value('Snap/Home', 'it') AS value FROM generate_series(4, 16) n LOOP
        PERFORM snapshot.tell(r.n);
        IF r.value <> '3' OR flagsmith.get_feature_value('Snap/Home', 'it') <> to_jsonb(r.n)
            OR flagsmith.get_feature_value('Snap/Home', 'it', 'infinity') <> to_jsonb(r.n) OR snapshot.doors() <> r.n || ' ok' THEN
            RAISE WARNING 'round %: % % %', r.n, r.value, flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors();
        END IF;
    END LOOP;
END $$;
SELECT snapshot.doors();
ROLLBACK;

-- More subtransactions than a snapshot has room for, every second undone; and statements planned anew each time.
BEGIN;
DO $$
DECLARE
    expected int := 3;
    said jsonb;
BEGIN
    FOR i IN 4..110 LOOP
        BEGIN
            PERFORM snapshot.tell(i);
            IF flagsmith.get_feature_value('Snap/Home', 'it') <> to_jsonb(i) THEN
                RAISE WARNING 'round %: % in the block', i, flagsmith.get_feature_value('Snap/Home', 'it');
            END IF;
            IF i % 2 = 0 THEN
                RAISE EXCEPTION USING ERRCODE = 'ZZ001';
            END IF;
            expected := i;
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        END;
        EXECUTE 'SELECT flagsmith.get_feature_value(''Snap/Home'', ''it'')' INTO said;
        IF (flagsmith.get_feature_value('Snap/Home', 'it'), flagsmith.is_feature_enabled('Snap/Home', 'it'), said)
            IS DISTINCT FROM (to_jsonb(expected), expected % 2 = 1, to_jsonb(expected)) THEN
            RAISE WARNING 'round %: % % after it', i, flagsmith.get_feature_value('Snap/Home', 'it'), said;
        END IF;
    END LOOP;
END $$;
SELECT snapshot.doors();
ROLLBACK;

-- A procedure that commits and rolls back.
CREATE PROCEDURE snapshot.in_transactions()
    LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 4..7 LOOP
        PERFORM snapshot.tell(i);
        RAISE WARNING '% told: % %', i, flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors();
        IF i % 2 = 0 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
        RAISE WARNING '% ended: % %', i, flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors();
    END LOOP;
END $$;
CALL snapshot.in_transactions();

-- Triggers of a table of the application: for each row and for the statement, before and after, with a condition, a default.
CREATE TABLE snapshot.app (n int, tell int, seen jsonb, told text, by_default jsonb DEFAULT flagsmith.get_feature_value('Snap/Home', 'it'));
CREATE TABLE snapshot.log (serial serial, line text);
CREATE FUNCTION snapshot.before_row() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.seen := flagsmith.get_feature_value('Snap/Home', 'it');
    IF NEW.tell IS NOT NULL THEN
        PERFORM snapshot.tell(NEW.tell);
        NEW.told := flagsmith.get_feature_value('Snap/Home', 'it')::text || ', ' || snapshot.doors();
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION snapshot.after() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO snapshot.log (line) SELECT concat_ws(' ', TG_WHEN, TG_LEVEL, TG_ARGV[0], CASE TG_LEVEL WHEN 'ROW' THEN NEW.n END,
        flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors());
    IF TG_ARGV[0] = 'tells' THEN
        PERFORM snapshot.tell(flagsmith.get_feature_value('Snap/Home', 'it')::int + 1);
        INSERT INTO snapshot.log (line) SELECT concat_ws(' ', 'then', flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors());
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION snapshot.rows() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO snapshot.log (line) SELECT concat_ws(' ', 'row', r.n, flagsmith.get_feature_value('Snap/Home', 'it'), snapshot.doors())
    FROM new_rows r ORDER BY r.n;
    RETURN NULL;
END $$;
CREATE TRIGGER a BEFORE INSERT ON snapshot.app FOR EACH STATEMENT EXECUTE FUNCTION snapshot.after('asks');
CREATE TRIGGER b BEFORE INSERT ON snapshot.app FOR EACH ROW EXECUTE FUNCTION snapshot.before_row();
CREATE TRIGGER c AFTER INSERT ON snapshot.app FOR EACH ROW WHEN (flagsmith.is_feature_enabled('Snap/Home', 'it'))
    EXECUTE FUNCTION snapshot.after('was enabled');
CREATE TRIGGER d AFTER INSERT ON snapshot.app FOR EACH ROW WHEN (NEW.n = 2) EXECUTE FUNCTION snapshot.after('tells');
CREATE TRIGGER e AFTER INSERT ON snapshot.app REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION snapshot.rows();
CREATE TRIGGER f AFTER INSERT ON snapshot.app FOR EACH STATEMENT EXECUTE FUNCTION snapshot.after('tells');
BEGIN;
INSERT INTO snapshot.app (n, tell) SELECT n, CASE WHEN n IN (2, 4) THEN 6 + n END FROM generate_series(1, 5) n;
SELECT snapshot.doors();
SELECT snapshot.tell(14);
INSERT INTO snapshot.app (n, tell) VALUES (6, NULL), (7, 15), (8, NULL);
SELECT snapshot.doors();
COPY snapshot.app (n, tell) FROM STDIN (DELIMITER ',');
9,20
10,21
\.
SAVEPOINT s;
INSERT INTO snapshot.app (n, tell) VALUES (11, 30);
ROLLBACK TO s;
INSERT INTO snapshot.app (n) VALUES (12);
SELECT n, tell, seen, told, by_default FROM snapshot.app ORDER BY n;
SELECT line FROM snapshot.log ORDER BY serial;
ROLLBACK;
-- Deferred to the commit.
CREATE CONSTRAINT TRIGGER g AFTER UPDATE ON snapshot.app DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION snapshot.after('deferred');
ALTER TABLE snapshot.app DISABLE TRIGGER d, DISABLE TRIGGER f;
INSERT INTO snapshot.app (n) VALUES (1);
TRUNCATE snapshot.log;
BEGIN;
UPDATE snapshot.app SET n = 2;
SELECT snapshot.tell(8);
UPDATE snapshot.app SET n = 3;
SELECT snapshot.tell(9);
COMMIT;
SELECT line FROM snapshot.log ORDER BY serial;

-- A policy, bare and once for a query, within one transaction.
CREATE ROLE regress_fsw_snapshot;
GRANT USAGE ON SCHEMA snapshot TO regress_fsw_snapshot;
SELECT flagsmith.grant_caller('regress_fsw_snapshot');
CREATE TABLE snapshot.bare AS SELECT n FROM generate_series(1, 3) n;
CREATE TABLE snapshot.once AS SELECT n FROM generate_series(1, 3) n;
GRANT SELECT ON snapshot.bare, snapshot.once TO regress_fsw_snapshot;
ALTER TABLE snapshot.bare ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshot.once ENABLE ROW LEVEL SECURITY;
CREATE POLICY bare ON snapshot.bare USING (flagsmith.is_feature_enabled('Snap/Home', 'it'));
CREATE POLICY once ON snapshot.once USING ((SELECT flagsmith.is_feature_enabled('Snap/Home', 'it')));
CREATE FUNCTION snapshot.counts() RETURNS text
    LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM snapshot.bare) || ' ' || (SELECT count(*) FROM snapshot.once); END $$;
BEGIN;
SET LOCAL ROLE regress_fsw_snapshot;
SELECT snapshot.counts();
RESET ROLE;
SELECT snapshot.tell(10);
SET LOCAL ROLE regress_fsw_snapshot;
SELECT snapshot.counts();
RESET ROLE;
SELECT snapshot.tell(11);
SET LOCAL ROLE regress_fsw_snapshot;
SELECT snapshot.counts();
ROLLBACK;

-- Not only states: names that were not known, that were given to another flag, or that are no longer clear; imports; a late
-- delivery in the past; pruning.
CREATE FUNCTION snapshot.named() RETURNS text
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN concat_ws(' ', COALESCE(flagsmith.get_feature_value('Snap/Home', 'new')::text, 'none'),
        COALESCE(flagsmith.get_feature_value('Home', 'it')::text, 'none'),
        COALESCE(flagsmith.get_feature_value('Snap/Home', 'it')::text, 'none'),
        COALESCE(flagsmith.get_feature_value('Snap/Moved', 'it')::text, 'none'),
        COALESCE(flagsmith.get_feature_value('Snap/Home', 'it', '2026-01-01 00:02:30Z')::text, 'none'),
        (SELECT s.value FROM flagsmith.feature_state('snapshot/Snap/Home', 'it', '2026-01-01 00:02:30Z') s),
        (SELECT string_agg(s.feature, '+' ORDER BY s.feature) FROM flagsmith.environment_state('snapshot/Snap/Home', '2026-01-01 00:30Z') s));
END $$;
CREATE PROCEDURE snapshot.hear(n int, body bytea)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('snapshot', body, timestamptz '2026-01-01 00:00:01Z' + n * interval '1 min') $$;
BEGIN;
SELECT snapshot.named();
CALL snapshot.hear(20, snapshot.body(20, 'new', feature_id => 2));
SELECT snapshot.named();
SAVEPOINT a;
CALL snapshot.hear(21, snapshot.body(21, 'it', project => 'Other', project_id => 8, environment_id => 4, feature_id => 4));
SELECT snapshot.named();
ROLLBACK TO a;
SELECT snapshot.named();
-- late
CALL snapshot.hear(22, snapshot.body(2));
SELECT snapshot.named();
-- another flag of the same name, which is younger
CALL snapshot.hear(23, snapshot.body(23, 'it', feature_id => 5));
SELECT snapshot.named();
CALL snapshot.hear(40, snapshot.body(40, 'it', 'Moved', feature_id => 5));
SELECT snapshot.named();
ROLLBACK;
BEGIN;
SELECT snapshot.site(), snapshot.doors();
SELECT outcome, snapshot.site(), flagsmith.get_feature_value('Snap/Home', 'it') AS "same statement" FROM flagsmith.import_feature_states(
    '[{"id": 1, "enabled": false, "feature": 1, "environment": 1, "identity": null, "feature_segment": null, "feature_state_value": 50,
        "multivariate_feature_state_values": []}]', 'snapshot/Snap/Home', '2026-01-01 00:50Z');
SELECT snapshot.site(), snapshot.doors();
SELECT flagsmith.prune_history('2026-01-01 00:45Z') > 0 AS pruned, snapshot.site();
SELECT snapshot.site(), snapshot.doors(), flagsmith.is_feature_enabled('Snap/Home', 'it', '2026-01-01 00:45Z');
ROLLBACK;
SELECT snapshot.site(), snapshot.doors();

-- Parallel workers see what their leader sees, what it has not committed included.
CREATE TABLE snapshot.many AS SELECT n, timestamptz '2026-01-01 00:00Z' + n * interval '1 s' AS at FROM generate_series(1, 1500) n;
ALTER TABLE snapshot.many SET (parallel_workers = 2);
ANALYZE snapshot.many;
CREATE FUNCTION snapshot.plan(question text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
        IF line LIKE '%Gather%' THEN
            RETURN 'parallel';
        END IF;
    END LOOP;
    RETURN 'not parallel';
END $$;
\set question 'SELECT flagsmith.get_feature_value(''Snap/Home'', ''it'') AS now, flagsmith.get_feature_value(''Snap/Home'', ''it'', at) AS then, count(*), min(n) FROM snapshot.many GROUP BY 1, 2 ORDER BY 4'
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_leader_participation = off;
SELECT snapshot.plan(:'question');
:question;
SELECT snapshot.tell(15);
:question;
SAVEPOINT a;
SELECT snapshot.tell(20);
:question;
ROLLBACK TO a;
:question;
ROLLBACK;

-- What a delivery brings is remembered while its transaction lasts, but not once it is undone: names, and secrets.
BEGIN;
SAVEPOINT a;
CALL snapshot.hear(60, snapshot.body(60, 'undone', environment => 'Away', environment_id => 9, feature_id => 9));
SELECT flagsmith.get_feature_value('Snap/Away', 'undone');
ROLLBACK TO a;
SELECT flagsmith.get_feature_value('Snap/Away', 'undone');
CALL snapshot.hear(61, snapshot.body(61, 'undone', environment => 'Away', environment_id => 9, feature_id => 9));
SELECT flagsmith.get_feature_value('Snap/Away', 'undone'), flagsmith.get_feature_value('Snap/Away', 'undone', '2026-01-01 01:01Z') AS then;
ROLLBACK;
CALL snapshot.hear(62, snapshot.body(62, 'undone', environment => 'Away', environment_id => 9, feature_id => 9));
SELECT flagsmith.get_feature_value('Snap/Away', 'undone');
SELECT count(*) FROM flagsmith.add_webhook('snapshot signed', 'a secret of some length', source => 'snapshot', max_spool_age => NULL);
CREATE FUNCTION snapshot.signed(n int, secret text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    INSERT INTO flagsmith.inbox (webhook, signature, body)
    VALUES ('snapshot signed', flagsmith.sign(snapshot.body(n), secret), snapshot.body(n)) RETURNING outcome INTO result;
    RETURN result;
END $$;
BEGIN;
SELECT snapshot.signed(70, 'a secret of some length') AS old, snapshot.signed(71, 'another secret, as long') AS new;
SAVEPOINT a;
SELECT flagsmith.add_secret('snapshot signed', 'another secret, as long') IS NOT NULL AS added;
SELECT snapshot.signed(72, 'a secret of some length') AS old, snapshot.signed(73, 'another secret, as long') AS new;
ROLLBACK TO a;
SELECT snapshot.signed(74, 'a secret of some length') AS old, snapshot.signed(75, 'another secret, as long') AS new;
UPDATE flagsmith.webhook SET enabled = false WHERE name = 'snapshot signed';
SAVEPOINT b;
SELECT snapshot.signed(76, 'a secret of some length');
ROLLBACK TO b;
ROLLBACK;
SELECT snapshot.signed(77, 'a secret of some length') AS old, snapshot.signed(78, 'another secret, as long') AS new;

DROP OWNED BY regress_fsw_snapshot;
DROP ROLE regress_fsw_snapshot;
DROP SCHEMA snapshot CASCADE;
DELETE FROM flagsmith.rejected WHERE webhook = 'snapshot signed';
DELETE FROM flagsmith.webhook_secret WHERE webhook = 'snapshot signed';
DELETE FROM flagsmith.webhook WHERE name LIKE 'snapshot%';
