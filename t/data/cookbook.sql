-- A fortnight of a shop, for docs/cookbook.md: two environments, five flags, two people, an API key, and orders to ask about.
SET TimeZone = 'UTC';
SELECT flagsmith.add_webhook('shop', allow_unsigned => true, scope => 'organisation', max_spool_age => NULL);
CREATE SEQUENCE pg_temp.audit_id;
CREATE FUNCTION pg_temp.deliver(body jsonb, at timestamptz) RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('shop', convert_to(body::text, 'UTF8'), at + interval '2 seconds');
END;
CREATE FUNCTION pg_temp.environment(name text) RETURNS jsonb LANGUAGE sql
    RETURN CASE WHEN name IS NOT NULL THEN jsonb_build_object('id', CASE name WHEN 'Staging' THEN 1 ELSE 2 END, 'name', name) END;
CREATE FUNCTION pg_temp.said(at timestamptz, who text, environment text, type text, log text, rest jsonb DEFAULT '{}') RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', nextval('pg_temp.audit_id'),
        'created_date', at, 'log', log, 'related_object_type', type, 'is_system_event', false,
        'author', CASE WHEN who LIKE '%@%' THEN jsonb_build_object('id', length(who), 'email', who, 'first_name', '', 'last_name', '') END,
        'environment', pg_temp.environment(environment), 'project', '{"id": 1, "name": "Shop"}'::jsonb) || rest), at);
END;
CREATE FUNCTION pg_temp.state(at timestamptz, who text, environment text, id bigint, feature text, enabled boolean, value jsonb, percentage numeric)
    RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', who,
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('feature', jsonb_build_object('id', id, 'name', feature, 'type', 'STANDARD', 'project', '{"id": 1, "name": "Shop"}'::jsonb),
            'environment', pg_temp.environment(environment), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'enabled', enabled, 'feature_state_value', value, 'multivariate_feature_state_values', CASE WHEN percentage IS NULL THEN '[]'::jsonb
            ELSE jsonb_build_array(jsonb_build_object('id', 1, 'multivariate_feature_option', '{"id": 1, "value": "new"}'::jsonb, 'percentage_allocation', percentage)) END))), at);
END;
CREATE FUNCTION pg_temp.change(at timestamptz, who text, environment text, id bigint, feature text, enabled boolean, value jsonb,
    percentage numeric DEFAULT NULL, log text DEFAULT 'Flag state updated for feature: %') RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_temp.said(at, who, environment, 'FEATURE_STATE', replace(log, '%', feature));
    SELECT pg_temp.state(at, who, environment, id, feature, enabled, value, percentage);
END;

DO $$
DECLARE
    flag record;
BEGIN
    FOR flag IN SELECT * FROM (VALUES (11, 'checkout_v2', false, NULL::jsonb, NULL::numeric), (12, 'price_test', true, '"A"', NULL),
        (13, 'search_beta', false, NULL, NULL), (14, 'old_banner', true, NULL, NULL), (15, 'new_cart', true, NULL, 0)) f (id, name, on_, value, percentage) LOOP
        PERFORM pg_temp.said('2026-11-01 09:00Z'::timestamptz + flag.id * interval '1 minute', 'ada@example.com', NULL, 'FEATURE', 'New Flag / Remote Config created: ' || flag.name);
        PERFORM pg_temp.change('2026-11-01 09:00:00.5Z'::timestamptz + flag.id * interval '1 minute', 'ada@example.com', e, flag.id, flag.name, flag.on_, flag.value,
            flag.percentage, 'New Flag / Remote Config created: %') FROM unnest('{Staging,Production}'::text[]) e;
    END LOOP;
END
$$;
SELECT pg_temp.change('2026-11-02 11:00Z', 'zoe@example.com', 'Staging', 11, 'checkout_v2', true, NULL);
SELECT pg_temp.change('2026-11-03 10:00Z', 'ada@example.com', 'Production', 11, 'checkout_v2', true, NULL);
SELECT pg_temp.change('2026-11-05 14:05Z', 'zoe@example.com', 'Production', 11, 'checkout_v2', false, NULL);
SELECT pg_temp.change('2026-11-06 09:30Z', 'ada@example.com', 'Production', 11, 'checkout_v2', true, NULL);
SELECT pg_temp.change('2026-11-04 15:00Z', 'ada@example.com', 'Production', 12, 'price_test', true, '"B"',
    log => 'Remote config value updated for feature: %');
SELECT pg_temp.change('2026-11-08 02:13Z', 'deploy key', 'Production', 12, 'price_test', true, '"C"',
    log => 'Remote config value updated for feature: %');
SELECT pg_temp.change('2026-11-09 10:00Z'::timestamptz + i * interval '4 minutes', 'zoe@example.com', 'Production', 13, 'search_beta', i % 2 = 0, NULL)
FROM generate_series(0, 5) i;
SELECT pg_temp.change(at, 'ada@example.com', 'Production', 15, 'new_cart', true, NULL, percentage,
    $$Multivariate value changed for feature '%'.$$)
FROM (VALUES ('2026-11-02 09:00Z'::timestamptz, 10), ('2026-11-04 09:00Z', 50), ('2026-11-09 09:00Z', 100)) p (at, percentage);
SELECT pg_temp.said('2026-11-09 16:00Z', 'ada@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Black Friday created'),
    pg_temp.said('2026-11-09 17:00Z', 'zoe@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Black Friday approved'),
    pg_temp.said('2026-11-09 17:05Z', 'ada@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Black Friday committed'),
    pg_temp.said('2026-11-10 06:00Z', NULL, 'Production', 'FEATURE_STATE',
        'Scheduled change to Flag state / Remote config value went live for feature: price_test by Change Request: Black Friday', '{"is_system_event": true}'),
    pg_temp.state('2026-11-10 06:00Z', '', 'Production', 12, 'price_test', true, '"SALE"', NULL),
    pg_temp.said('2026-11-11 18:30Z', 'zoe@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Quick fix created'),
    pg_temp.said('2026-11-11 18:31Z', 'zoe@example.com', 'Production', 'CHANGE_REQUEST', 'Change Request: Quick fix committed');

-- An order each three hours; while the new checkout is on they are larger, and now and then one fails.
CREATE TABLE orders (id bigint PRIMARY KEY, created_at timestamptz NOT NULL, total numeric NOT NULL, failed boolean NOT NULL);
INSERT INTO orders
SELECT i, at, 20 + i % 7, at >= '2026-11-03 10:00Z' AND at < '2026-11-05 14:05Z' AND i % 3 = 0
FROM generate_series(1, 104) i, LATERAL (SELECT timestamptz '2026-11-01 12:00Z' + i * interval '3 hours' AS at) t;
VACUUM ANALYZE;
