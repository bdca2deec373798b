-- States of an environment that nothing told of yet, as an installation without an audit log gives them; and how few names a page costs.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
BEGIN;
SELECT outcome, entries FROM flagsmith.import_feature_states('{"count": 2, "next": null, "previous": null, "results": [
    {"id": 61, "name": "banner", "type": "STANDARD", "created_date": "2026-01-01T00:00:00Z", "default_enabled": false, "initial_value": null,
     "environment_feature_state": {"id": 1, "enabled": true, "environment": 600, "identity": null, "feature_segment": null, "feature_state_value": "red"}},
    {"id": 62, "name": "cart", "type": "STANDARD", "created_date": "2026-01-01T00:00:00Z", "default_enabled": false, "initial_value": null,
     "environment_feature_state": {"id": 2, "enabled": false, "environment": 600, "identity": null, "feature_segment": null, "feature_state_value": null}}]}',
    'Production "one"', '2026-03-01 12:00Z', environment_id => 600, project_id => 60, project => E'Boot\\strap', source => 'bootstrap');
-- By then its name is known, and overrides come with the states.
SELECT outcome, entries FROM flagsmith.import_feature_states('[{"id": 1, "feature": 61, "environment": 600, "identity": null, "feature_segment": null, "enabled": true,
      "feature_state_value": {"type": "unicode", "string_value": "red", "integer_value": null, "boolean_value": null}, "multivariate_feature_state_values": []},
    {"id": 3, "feature": 61, "environment": 600, "identity": null, "feature_segment": 7, "enabled": false,
      "feature_state_value": {"type": "int", "string_value": null, "integer_value": 7, "boolean_value": null}, "multivariate_feature_state_values": []},
    {"id": 2, "feature": 62, "environment": 600, "identity": null, "feature_segment": null, "enabled": false,
      "feature_state_value": {"type": "unicode", "string_value": null, "integer_value": null, "boolean_value": null}, "multivariate_feature_state_values": []}]',
    E'Boot\\strap/Production "one"', '2026-03-01 12:01Z', '[{"id": 7, "segment": 9, "segment_name": "beta", "priority": 1}]');
SELECT source, project_id, project, environment_id, environment, flags FROM flagsmith.environment WHERE source = 'bootstrap';
SELECT feature, enabled, value, confidence, cause FROM flagsmith.environment_state(600, '2026-03-01 12:30Z', source => 'bootstrap') ORDER BY feature;
SELECT enabled, value, scope, confidence FROM flagsmith.feature_state(E'Boot\\strap/Production "one"', 'banner', '2026-03-01 12:30Z', '{9}');
SELECT count(*) AS differences FROM flagsmith.rebuild(dry_run => true);

-- A page of flags has no variants: those of the page of states a little behind it count, else those that were told last, else it is a guess.
CREATE FUNCTION pg_temp.flags(enabled boolean, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT outcome FROM flagsmith.import_feature_states(jsonb_build_array(jsonb_build_object('id', 63, 'name', 'split', 'type', 'MULTIVARIATE', 'created_date', '2026-01-01T00:00:00Z',
        'default_enabled', false, 'initial_value', NULL, 'environment_feature_state', jsonb_build_object('id', 4, 'enabled', enabled, 'environment', 600,
            'identity', NULL, 'feature_segment', NULL, 'feature_state_value', 'control')))::text, 'Production "one"', at, environment_id => 600, project_id => 60, project => E'Boot\\strap', source => 'bootstrap') $$;
SELECT pg_temp.flags(true, '2026-03-01 10:00Z'), pg_temp.flags(true, '2026-03-01 13:00Z'),
    (SELECT outcome FROM flagsmith.import_feature_states('[{"id": 4, "feature": 63, "environment": 600, "identity": null, "feature_segment": null, "enabled": true,
        "feature_state_value": {"type": "unicode", "string_value": "control", "integer_value": null, "boolean_value": null},
        "multivariate_feature_state_values": [{"id": 1, "multivariate_feature_option": 8, "percentage_allocation": 25}]}]',
    E'Boot\\strap/Production "one"', '2026-03-01 13:00:01Z')), pg_temp.flags(false, '2026-03-01 14:00Z');
SELECT to_char(lower(period), 'HH24:MI:SS') AS since, enabled, variants, confidence, cause FROM flagsmith.flag_timeline WHERE source = 'bootstrap' AND feature_id = 63 ORDER BY period;
SELECT to_char(at, 'HH24:MI:SS') AS at, s.enabled, s.variants, s.confidence, s.cause FROM unnest('{2026-03-01 12:00Z, 2026-03-01 13:00:00.5Z, 2026-03-01 14:00Z}'::timestamptz[]) at,
    LATERAL (SELECT f.* FROM flagsmith.feature_state(600, 63, at, source => 'bootstrap') f) s;

-- What cannot be.
SAVEPOINT s;
SELECT flagsmith.import_feature_states('[]', 'Production', now(), environment_id => 601);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT flagsmith.import_feature_states('[]', 'Production', now(), environment_id => 601, project_id => 60);
ROLLBACK TO s;
SELECT flagsmith.import_feature_states('[]', NULL, now(), environment_id => 601, project_id => 60, project => 'Bootstrap');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT flagsmith.import_feature_states('[]', 'Production', now(), environment_id => 601, project_id => 60, project => 'Bootstrap', source => '');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT flagsmith.import_feature_states('[], "project": {"id": 1}, "x": []', 'Production', now(), environment_id => 601, project_id => 60, project => 'Bootstrap');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT flagsmith.import_feature_states('[{"id": 1, "feature": 61, "environment": 600, "identity": null, "feature_segment": null, "enabled": true, "feature_state_value": null}]',
    'Production', '2026-03-01 12:00Z', environment_id => 601, project_id => 60, project => 'Bootstrap');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;

-- A page of the audit log has the newest entries first, each of which tells that its environment existed earlier still.
SELECT i.outcome, i.entries FROM (SELECT jsonb_build_object('count', 200, 'next', NULL, 'previous', NULL, 'results', jsonb_agg(jsonb_build_object(
        'id', 1000 - n, 'created_date', timestamptz '2026-03-01 12:00Z' - n * interval '1 hour', 'log', 'Flag state updated for feature: banner',
        'author', NULL, 'environment', '{"id": 602, "name": "Paged"}'::jsonb, 'project', '{"id": 60, "name": "Bootstrap"}'::jsonb,
        'related_object_id', n, 'related_object_type', 'FEATURE_STATE', 'is_system_event', false) ORDER BY n)) AS page
    FROM generate_series(1, 200) n) p, flagsmith.import_audit_log(p.page::text, 'bootstrap page') i;
SELECT kind, count(*), min(existed_at) AS existed_at FROM flagsmith.name WHERE source = 'bootstrap page' GROUP BY kind ORDER BY kind;
ROLLBACK;
