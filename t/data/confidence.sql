-- Four small histories, one for each word of confidence, for docs/confidence/: each of a source of its own, named like the word.
SET TimeZone = 'UTC';
SELECT flagsmith.add_webhook(word, source => word, allow_unsigned => true, max_spool_age => NULL)
FROM unnest('{confirmed,reported,inferred,unknown}'::text[]) AS word;
CREATE FUNCTION pg_temp.deliver(word text, type text, data jsonb, at timestamptz) RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (word, convert_to(jsonb_build_object('event_type', type, 'data', data)::text, 'UTF8'), at + interval '2 seconds');
END;
CREATE FUNCTION pg_temp.state(word text, at timestamptz, who text, enabled boolean, rest jsonb DEFAULT '{}', before jsonb DEFAULT NULL) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_temp.deliver(word, 'FLAG_UPDATED', jsonb_build_object('changed_by', who, 'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('feature', '{"id": 11, "name": "checkout_v2", "type": "STANDARD", "project": {"id": 1, "name": "Shop"}}'::jsonb || rest,
            'environment', '{"id": 2, "name": "Production"}'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'enabled', enabled, 'feature_state_value', NULL, 'multivariate_feature_state_values', '[]'::jsonb)), at);
END;
CREATE FUNCTION pg_temp.said(word text, id int, at timestamptz, who text, log text) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_temp.deliver(word, 'AUDIT_LOG_CREATED', jsonb_build_object('id', id, 'created_date', at, 'log', log, 'related_object_type', 'FEATURE_STATE',
        'is_system_event', false, 'author', jsonb_build_object('id', length(who), 'email', who, 'first_name', '', 'last_name', ''),
        'environment', '{"id": 2, "name": "Production"}'::jsonb, 'project', '{"id": 1, "name": "Shop"}'::jsonb), at);
END;

-- Confirmed: bodies and audit entries tell the same, and later news shows that nothing else happened.
SELECT pg_temp.said('confirmed', 1, '2026-03-01 08:00Z', 'ada@example.com', 'New Flag / Remote Config created: checkout_v2'),
    pg_temp.state('confirmed', '2026-03-01 08:00Z', 'ada@example.com', false),
    pg_temp.said('confirmed', 2, '2026-03-03 10:00Z', 'zoe@example.com', 'Flag state updated for feature: checkout_v2'),
    pg_temp.state('confirmed', '2026-03-03 10:00Z', 'zoe@example.com', true),
    pg_temp.said('confirmed', 3, '2026-03-07 09:00Z', 'ada@example.com', 'Flag state updated for feature: checkout_v2'),
    pg_temp.state('confirmed', '2026-03-07 09:00Z', 'ada@example.com', false);
-- Reported: one body each, and no audit entries that would show what else happened.
SELECT pg_temp.state('reported', '2026-03-02 10:00Z', 'ada@example.com', true), pg_temp.state('reported', '2026-03-06 10:00Z', 'zoe@example.com', false);
-- Inferred: the flag is older than its first body, and what it was is concluded from the feature's defaults.
SELECT pg_temp.state('inferred', '2026-03-05 10:00Z', 'ada@example.com', true,
    '{"created_date": "2026-03-01T12:00:00Z", "default_enabled": false, "initial_value": null}');
-- Unknown: an audit entry tells of a change whose body never came, until the next one.
SELECT pg_temp.state('unknown', '2026-03-01 12:00Z', 'ada@example.com', true),
    pg_temp.said('unknown', 1, '2026-03-03 15:00Z', 'zoe@example.com', 'Flag state updated for feature: checkout_v2'),
    pg_temp.said('unknown', 2, '2026-03-06 09:00Z', 'ada@example.com', 'Flag state updated for feature: checkout_v2'),
    pg_temp.state('unknown', '2026-03-06 09:00Z', 'ada@example.com', false);
