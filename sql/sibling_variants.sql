-- Which variant was added or removed no entry says, and where nothing was saved since no event: other environments show it.
SET TimeZone = 'UTC';
SELECT count(*) FROM flagsmith.add_webhook('sibling variants', NULL, source => 'sv', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);

CREATE FUNCTION pg_temp.shares(percentages jsonb) RETURNS jsonb
    LANGUAGE sql RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('percentage_allocation', value,
        'multivariate_feature_option', jsonb_build_object('id', key::int, 'value', key))), '[]') FROM jsonb_each(percentages));

-- An event of a flag of one environment, with the percentages of its variants and those that its previous state shows.
CREATE PROCEDURE pg_temp.event(at timestamptz, environment text, feature text, variants jsonb, was jsonb, author text DEFAULT 'ada@example.com')
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'sibling variants', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', author,
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', nested || jsonb_build_object('multivariate_feature_state_values', pg_temp.shares(variants)),
        'previous_state', nested || jsonb_build_object('multivariate_feature_state_values', pg_temp.shares(was))))::text, 'UTF8'), at + interval '0.3 s'
    FROM (SELECT jsonb_build_object('enabled', true, 'feature_state_value', environment, 'identity', NULL, 'identity_identifier', NULL,
        'feature_segment', NULL, 'environment', jsonb_build_object('id', ascii(environment), 'name', environment),
        'feature', jsonb_build_object('id', ascii(feature), 'name', feature, 'type', 'MULTIVARIATE', 'default_enabled', true, 'initial_value', NULL,
            'description', NULL, 'created_date', '2026-05-01T10:00:00.000000Z', 'project', '{"id": 7, "name": "Shop"}'::jsonb)) AS nested) n $$;

-- An entry about a flag, of one environment or of the project.
CREATE PROCEDURE pg_temp.entry(id int, at timestamptz, environment text, feature text, log text, uuid text DEFAULT NULL)
    LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('sibling variants', convert_to(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', id, 'log', log,
        'created_date', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'author', NULL, 'is_system_event', false,
        'related_object_id', ascii(feature), 'related_object_type', CASE WHEN uuid IS NULL THEN 'FEATURE' ELSE 'EF_VERSION' END,
        'related_object_uuid', uuid, 'project', '{"id": 7, "name": "Shop", "organisation": 1, "prevent_flag_defaults": false}'::jsonb,
        'environment', CASE WHEN environment IS NOT NULL THEN jsonb_build_object('id', ascii(environment), 'name', environment) END))::text,
        'UTF8'), at + interval '0.2 s') $$;

-- What is known of a flag in one environment; a lookup beside each boundary reads only what is near, and says the same.
CREATE FUNCTION pg_temp.told(environment text, feature text) RETURNS TABLE (since text, variants jsonb, confidence text, cause text)
    LANGUAGE sql AS $$
    SELECT to_char(lower(period), 'HH24:MI:SS'), variants, confidence, cause FROM flagsmith.flag_timeline f
    WHERE source = 'sv' AND f.environment = told.environment AND f.feature = told.feature AND segment IS NULL AND identity IS NULL
    ORDER BY period $$;
CREATE FUNCTION pg_temp.other_lookups() RETURNS bigint
    LANGUAGE sql AS $$
    SELECT count(*) FROM flagsmith.flag_timeline f
    CROSS JOIN LATERAL (VALUES (lower(period)), (lower(period) + interval '1 us'), (coalesce(upper(period), 'infinity') - interval '1 us')) v(at)
    LEFT JOIN LATERAL flagsmith.feature_state(environment_id, feature_id, at, source => 'sv') s ON true
    WHERE f.source = 'sv' AND segment IS NULL AND identity IS NULL
        AND (s.variants, s.confidence, s.cause) IS DISTINCT FROM (f.variants, f.confidence, f.cause) $$;

-- Added at 10:20, and saved anew in Staging at 10:30, which leaves its percentage as it was: the previous state lacks it.
CALL pg_temp.event('2026-05-01 10:10', 'Production', 'checkout', '{"1": 30}', '{"1": 30}');
CALL pg_temp.entry(1, '2026-05-01 10:10', 'Production', 'checkout', 'Flag state updated for feature: checkout');
CALL pg_temp.event('2026-05-01 10:11', 'Staging', 'checkout', '{"1": 10}', '{"1": 10}');
CALL pg_temp.entry(2, '2026-05-01 10:11', 'Staging', 'checkout', 'Flag state updated for feature: checkout');
CALL pg_temp.entry(3, '2026-05-01 10:20', NULL, 'checkout', 'Multivariate option added to feature ''checkout''.');
SELECT * FROM pg_temp.told('Production', 'checkout');
SELECT clock_timestamp() AS before \gset
CALL pg_temp.event('2026-05-01 10:30', 'Staging', 'checkout', '{"1": 10, "2": 5}', '{"1": 10}');
CALL pg_temp.entry(4, '2026-05-01 10:30', 'Staging', 'checkout', 'Flag state updated for feature: checkout');
SELECT * FROM pg_temp.told('Production', 'checkout');
-- It was not known then.
SELECT variants, confidence, cause FROM flagsmith.feature_state('sv/Shop/Production', 'checkout', '2026-05-01 10:25', known_at => :'before');

-- Of what is removed, Staging shows what is left, which has in Production what it came with.
CALL pg_temp.entry(5, '2026-05-01 10:40', NULL, 'checkout', 'Multivariate option removed from feature ''checkout''.');
CALL pg_temp.event('2026-05-01 10:50', 'Staging', 'checkout', '{"2": 5}', '{"2": 5}');
CALL pg_temp.entry(6, '2026-05-01 10:50', 'Staging', 'checkout', 'Flag state updated for feature: checkout');
SELECT * FROM pg_temp.told('Production', 'checkout');

-- A change request has percentages of its own from the start, so that the previous state lacking one says nothing.
CALL pg_temp.entry(7, '2026-05-01 11:00', NULL, 'checkout', 'Multivariate option added to feature ''checkout''.');
CALL pg_temp.event('2026-05-01 11:10', 'Staging', 'checkout', '{"2": 5, "3": 50}', '{"2": 5}', '');
SELECT * FROM pg_temp.told('Production', 'checkout') WHERE since >= '11:00';

-- Nor does an environment that was heard of only since: it can be a copy.
CALL pg_temp.event('2026-05-01 11:20', 'Quality', 'checkout', '{"2": 5, "3": 50}', '{"2": 5}');
SELECT * FROM pg_temp.told('Production', 'checkout') WHERE since >= '11:00';

-- A previous state that has it may have had it saved, but that of the first version since has it as it was added.
CALL pg_temp.event('2026-05-01 10:10', 'Production', 'banner', '{"5": 30}', '{"5": 30}');
CALL pg_temp.entry(11, '2026-05-01 10:10', 'Production', 'banner', 'Flag state updated for feature: banner');
CALL pg_temp.entry(12, '2026-05-01 10:20', NULL, 'banner', 'Multivariate option added to feature ''banner''.');
CALL pg_temp.event('2026-05-01 10:30', 'Staging', 'banner', '{"5": 10, "6": 60}', '{"5": 10, "6": 7}');
SELECT * FROM pg_temp.told('Production', 'banner');
CALL pg_temp.entry(13, '2026-05-01 10:30:00.1', 'Staging', 'banner', 'New version published for feature: banner', 'sv-1');
SELECT * FROM pg_temp.told('Production', 'banner');
-- A version before it that nobody else told of may have saved another percentage.
CALL pg_temp.entry(14, '2026-05-01 10:25', 'Staging', 'banner', 'New version published for feature: banner', 'sv-0');
SELECT * FROM pg_temp.told('Production', 'banner');

-- What is published in versions itself learns it as well.
CALL pg_temp.event('2026-05-01 10:10', 'Development', 'checkout', '{"1": 70}', '{"1": 60}');
CALL pg_temp.entry(21, '2026-05-01 10:10:00.1', 'Development', 'checkout', 'New version published for feature: checkout', 'sv-2');
SELECT * FROM pg_temp.told('Development', 'checkout');

-- Of many versions a lookup reads a few, and knows it all the same.
CREATE PROCEDURE pg_temp.version(id int, at timestamptz)
    LANGUAGE plpgsql AS $$
BEGIN
    CALL pg_temp.entry(id, at + interval '0.1 s', 'Development', 'checkout', 'New version published for feature: checkout', 'sv-' || id);
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    SELECT 'sibling variants', convert_to(jsonb_set(jsonb_set(body, '{data,new_state,feature_segment}',
        '{"priority": 0, "segment": {"id": 9, "name": "beta", "description": null}}'), '{data,new_state,feature_state_value}', to_jsonb(id))::text,
        'UTF8'), at + interval '0.3 s'
    FROM (SELECT jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'new_state', jsonb_build_object('enabled', true,
        'identity', NULL, 'identity_identifier', NULL, 'multivariate_feature_state_values', '[]'::jsonb, 'environment',
        jsonb_build_object('id', ascii('Development'), 'name', 'Development'), 'feature', jsonb_build_object('id', ascii('checkout'), 'name', 'checkout',
            'type', 'MULTIVARIATE', 'default_enabled', true, 'initial_value', NULL, 'description', NULL,
            'created_date', '2026-05-01T10:00:00.000000Z', 'project', '{"id": 7, "name": "Shop"}'::jsonb)), 'previous_state', NULL)) AS body) b;
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('sibling variants', convert_to(jsonb_build_object('event_type', 'NEW_VERSION_PUBLISHED', 'data', jsonb_build_object('uuid', 'sv-' || id,
        'feature', jsonb_build_object('id', ascii('checkout'), 'name', 'checkout'), 'published_by', NULL, 'feature_states', jsonb_build_array(
        jsonb_build_object('enabled', true, 'value', 'Development', 'multivariate_feature_state_values',
            pg_temp.shares(CASE WHEN at < '2026-05-01 11:00' THEN '{"2": 5}' ELSE '{"2": 5, "3": 0}' END::jsonb)),
        jsonb_build_object('enabled', true, 'value', id, 'multivariate_feature_state_values', '[]'::jsonb))))::text, 'UTF8'), at + interval '0.4 s');
END $$;
DO $$
BEGIN
    FOR i IN 0..39 LOOP
        CALL pg_temp.version(100 + i, timestamptz '2026-05-01 10:45' + i * interval '10 min');
    END LOOP;
END $$;
SELECT * FROM pg_temp.told('Development', 'checkout');
SELECT pg_temp.other_lookups();

-- Pruning leaves what tells it.
CALL pg_temp.event('2026-05-01 10:10', 'Production', 'pruned', '{"8": 30}', '{"8": 30}');
CALL pg_temp.entry(201, '2026-05-01 10:10', 'Production', 'pruned', 'Flag state updated for feature: pruned');
CALL pg_temp.event('2026-05-01 10:12', 'Staging', 'pruned', '{"8": 10}', '{"8": 10}');
CALL pg_temp.entry(202, '2026-05-01 10:20', NULL, 'pruned', 'Multivariate option added to feature ''pruned''.');
CALL pg_temp.event('2026-05-01 10:30', 'Staging', 'pruned', '{"8": 10, "9": 5}', '{"8": 10}');
CALL pg_temp.event('2026-05-01 10:40', 'Staging', 'pruned', '{"8": 10, "9": 6}', '{"8": 10, "9": 5}');
CALL pg_temp.event('2026-05-01 10:50', 'Staging', 'pruned', '{"8": 10, "9": 7}', '{"8": 10, "9": 6}');
BEGIN;
SELECT * FROM pg_temp.told('Production', 'pruned');
SELECT flagsmith.prune_history('2026-05-01 11:30') > 0 AS pruned;
SELECT * FROM pg_temp.told('Production', 'pruned');
SELECT event_at FROM flagsmith.flag_change WHERE source = 'sv' AND feature = 'pruned' ORDER BY event_at;
ROLLBACK;
