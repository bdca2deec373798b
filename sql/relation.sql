-- What is read directly is checked first: whatever an owner does to a table or an index, an answer is right or an ERROR that
-- says what to do, in sessions that have read before (this one) as in new ones.
SET TimeZone = 'UTC';
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT count(*) FROM flagsmith.add_webhook('relation', NULL, source => 'relation', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
CREATE SCHEMA relation;
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'relation', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', to_char(timestamp '2026-01-01' + n * interval '1 min', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'new_state', jsonb_build_object('enabled', true, 'feature_state_value', n, 'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', 1, 'name', 'it', 'project', jsonb_build_object('id', 70, 'name', 'Relation')),
            'environment', jsonb_build_object('id', 1, 'name', 'Home'),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8'),
    timestamptz '2026-01-01 00:00:01Z' + n * interval '1 min'
FROM generate_series(1, 3) n;

-- All doors, each in a subtransaction: the value, or the error.
CREATE FUNCTION relation.try(query text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    result text;
    message text; detail text; hint text;
BEGIN
    EXECUTE query INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION relation.doors() RETURNS SETOF text
    LANGUAGE sql AS $$
    SELECT DISTINCT relation.try(q) FROM unnest(ARRAY[
        $q$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$q$,
        $q$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$q$,
        $q$SELECT value FROM flagsmith.environment_state('Relation/Home')$q$,
        $q$SELECT value FROM flagsmith.current_state WHERE source OPERATOR(pg_catalog.=) 'relation'$q$]) q $$;
SELECT * FROM relation.doors();

-- An index is found by what it is: renamed, or built anew under another name.
BEGIN;
ALTER INDEX flagsmith.flag_change_default_idx RENAME TO other;
SELECT * FROM relation.doors();
CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (event_at);
SELECT * FROM relation.doors();
ROLLBACK;
SELECT * FROM relation.doors();

-- Without any like it, the error has the statement that makes one.
BEGIN;
DROP INDEX flagsmith.flag_change_default_idx;
SELECT * FROM relation.doors();
SELECT substring(relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) FROM 'will do: (.*);$') AS statement \gset
:statement;
SELECT * FROM relation.doors();
ROLLBACK;
BEGIN;
DROP INDEX flagsmith.audit_effect_life_idx;
DROP INDEX flagsmith.name_thing_idx;
SELECT relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) AS error;
SELECT substring(relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) FROM 'will do: (.*);$') AS statement \gset
:statement;
SELECT relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) AS error;
SELECT substring(relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) FROM 'will do: (.*);$') AS statement \gset
:statement;
SELECT * FROM relation.doors();
ROLLBACK;

-- Each way in which one of the same name can be another.
CREATE TABLE relation.fault (of serial, ddl text);
INSERT INTO relation.fault (ddl) VALUES
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id)'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id, environment_id, hashtextextended(source, 0), event_at, received_at) INCLUDE (enabled)'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id, environment_id, hashtextextended(source, 0), event_at, received_at) INCLUDE (enabled) WHERE segment_id IS NULL AND identity IS NULL AND NOT is_test'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id, environment_id, hashtextextended(source, 0), event_at, received_at) WHERE segment_id IS NULL AND identity IS NULL AND NOT deleted AND NOT is_test'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id, environment_id, hashtextextended(source, 1), event_at, received_at) INCLUDE (enabled) WHERE segment_id IS NULL AND identity IS NULL AND NOT deleted AND NOT is_test'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change (feature_id, environment_id, hashtextextended(source, 0), event_at DESC, received_at) INCLUDE (enabled) WHERE segment_id IS NULL AND identity IS NULL AND NOT deleted AND NOT is_test'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.flag_change USING hash (feature_id)'),
    ('CREATE INDEX flag_change_default_idx ON flagsmith.audit_log (project_id)'),
    ('CREATE TABLE flagsmith.flag_change_default_idx (feature_id bigint)');
CREATE FUNCTION relation.fault_of(ddl text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    DROP INDEX flagsmith.flag_change_default_idx;
    EXECUTE ddl;
    SELECT string_agg(split_part(d, E'\n  ', 1) || E'\n  ' || split_part(d, E'\n  ', 2), E'\n') INTO result FROM relation.doors() d;
    RAISE EXCEPTION 'undo %', result USING ERRCODE = 'P0099';
EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN substring(SQLERRM FROM 6);
END $$;
SELECT of, relation.fault_of(ddl) FROM relation.fault ORDER BY of;
SELECT * FROM relation.doors();
BEGIN;
ALTER INDEX flagsmith.version_published_feature_idx RENAME TO other;
DROP INDEX flagsmith.other;
CREATE INDEX version_published_feature_idx ON flagsmith.version_published (feature_id, hashtextextended(source COLLATE "C", 0), hashtextextended(webhook, 0), received_at);
SELECT relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$) AS error;
ROLLBACK;

-- One that a failed build left, and one that lacks what an old transaction can see.
BEGIN;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'flagsmith.flag_change_default_idx'::regclass;
SELECT * FROM relation.doors();
ROLLBACK;
BEGIN;
UPDATE pg_index SET indcheckxmin = true WHERE indexrelid = 'flagsmith.flag_change_default_idx'::regclass;
SELECT * FROM relation.doors();
ROLLBACK;
SELECT * FROM relation.doors();

-- A table in the place of another, a column that is gone, and one that was added.
BEGIN;
ALTER TABLE flagsmith.delivery_repeat RENAME TO other;
SELECT relation.try($$SELECT flagsmith.get_feature_value('Relation/Home', 'it')$$),
    relation.try($$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$$);
CREATE TABLE flagsmith.delivery_repeat (LIKE flagsmith.other INCLUDING ALL);
SELECT relation.try($$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$$);
DROP TABLE flagsmith.delivery_repeat;
CREATE VIEW flagsmith.delivery_repeat AS SELECT * FROM flagsmith.other;
SELECT relation.try($$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$$);
DROP VIEW flagsmith.delivery_repeat;
ALTER TABLE flagsmith.other RENAME TO delivery_repeat;
SELECT * FROM relation.doors();
ALTER TABLE flagsmith.delivery_repeat RENAME first_received_at TO other;
SELECT relation.try($$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$$);
ROLLBACK;
BEGIN;
ALTER TABLE flagsmith.flag_change ADD COLUMN later text DEFAULT 'x';
ALTER TABLE flagsmith.name ADD COLUMN later text DEFAULT 'x';
SELECT * FROM relation.doors();
ROLLBACK;
-- A column of the same name in another place: an old layout would read the bytes of another type.
BEGIN;
ALTER TABLE flagsmith.webhook RENAME COLUMN environment_id TO earlier;
SELECT * FROM relation.doors();
ALTER TABLE flagsmith.webhook ADD COLUMN environment_id text DEFAULT 'x';
INSERT INTO flagsmith.version_published (delivery, ordinal, source, webhook, received_at, stored_at, feature_id)
    VALUES (-1, 1, 'relation', 'relation', now(), now(), 1);
SELECT relation.try($$SELECT value FROM flagsmith.feature_state('Relation/Home', 'it')$$);
ROLLBACK;

-- Nothing of it depends on search_path.
BEGIN;
CREATE FUNCTION relation.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE FUNCTION relation.cat(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'x'$$;
CREATE OPERATOR relation.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = relation.cat);
CREATE FUNCTION relation.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR relation.= (LEFTARG = text, RIGHTARG = text, FUNCTION = relation.same);
SET LOCAL search_path = relation, pg_catalog;
SELECT * FROM relation.doors();
ROLLBACK;

-- A library of before an update meets functions of after it.
CREATE FUNCTION relation.wider(text, text, timestamptz DEFAULT 'infinity', bigint[] DEFAULT NULL, text DEFAULT NULL, timestamptz DEFAULT NULL,
        OUT source text, OUT environment_id bigint, OUT feature_id bigint, OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
        OUT scope text, OUT segment_id bigint, OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence flagsmith.confidence, OUT delivery_id bigint, OUT later text, OUT latest timestamptz, OUT a text, OUT b text, OUT c text,
        OUT d text, OUT e text, OUT f text, OUT g text, OUT h text, OUT i text, OUT j text, OUT k text, OUT l text)
    RETURNS SETOF record LANGUAGE c AS '$libdir/flagsmith_webhook', 'fsw_feature_state';
SELECT value, confidence, later, latest, l FROM relation.wider('Relation/Home', 'it');
CREATE FUNCTION relation.narrower(text, text, timestamptz DEFAULT 'infinity', bigint[] DEFAULT NULL, text DEFAULT NULL, timestamptz DEFAULT NULL,
        OUT source text, OUT environment_id bigint)
    RETURNS SETOF record LANGUAGE c AS '$libdir/flagsmith_webhook', 'fsw_feature_state';
SELECT relation.try($$SELECT source FROM relation.narrower('Relation/Home', 'it')$$);
CREATE FUNCTION relation.changed(text, timestamptz DEFAULT 'infinity', timestamptz DEFAULT NULL,
        OUT feature text, OUT feature_id bigint, OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
        OUT since timestamptz, OUT changed_by text, OUT cause text, OUT next_change timestamptz,
        OUT confidence text, OUT delivery_id bigint)
    RETURNS SETOF record LANGUAGE c AS '$libdir/flagsmith_webhook', 'fsw_environment_state';
SELECT relation.try($$SELECT value FROM relation.changed('Relation/Home')$$);
CREATE FUNCTION relation.rebuild(dry_run boolean, first bigint, last bigint,
        OUT table_name text, OUT delivery bigint, OUT ordinal integer, OUT split integer, OUT difference text, OUT columns text[],
        OUT later text, OUT latest text)
    RETURNS SETOF record LANGUAGE c AS '$libdir/flagsmith_webhook', 'fsw_rebuild';
CREATE FUNCTION relation.rebuild_changed(dry_run boolean, first bigint, last bigint,
        OUT table_name text, OUT delivery text, OUT ordinal integer, OUT split integer, OUT difference text, OUT columns text[])
    RETURNS SETOF record LANGUAGE c AS '$libdir/flagsmith_webhook', 'fsw_rebuild';
BEGIN;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted)
    SELECT min(delivery), 99, 'relation', now(), now(), now(), 'webhook', true, false FROM flagsmith.flag_change WHERE source = 'relation';
SELECT table_name, ordinal, difference, later, latest FROM relation.rebuild(true, NULL, NULL) WHERE ordinal = 99;
SELECT relation.try('SELECT relation.rebuild_changed(true, NULL, NULL)');
ROLLBACK;

-- Segments of any number: those without an override, NULLs and repetitions change nothing.
SELECT value, scope FROM flagsmith.feature_state('Relation/Home', 'it', 'infinity', (SELECT array_agg(i % 60000) FROM generate_series(1, 100000) i));
SELECT value, scope FROM flagsmith.feature_state('Relation/Home', 'it', 'infinity', (SELECT array_agg(nullif(i, 7)) FROM generate_series(200000, 1, -1) i));

DROP SCHEMA relation CASCADE;
