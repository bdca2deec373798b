-- What a body may say that no release says today: values of every JSON type, events that are not known, dates that cannot be.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
-- the details have the numbers of deliveries
\set VERBOSITY terse
SELECT count(*) FROM flagsmith.add_webhook('evidence', NULL, source => 'evidence', scope => 'organisation', allow_unsigned => true,
    max_spool_age => NULL);
CREATE SCHEMA evidence;
CREATE FUNCTION evidence.state(feature int, value jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb,
        'feature', jsonb_build_object('id', feature, 'name', 'feature ' || feature, 'created_date', '2026-01-01T00:00:00Z',
            'default_enabled', false, 'initial_value', 'y', 'project', jsonb_build_object('id', 73, 'name', 'Evidence')),
        'environment', jsonb_build_object('id', 1, 'name', 'Lab'), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL) $$;
CREATE FUNCTION evidence.deliver(type text, at text, new_state jsonb, arrived timestamptz,
    OUT outcome text, OUT reason text) LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES ('evidence', convert_to(jsonb_build_object('event_type', type, 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', at, 'previous_state', NULL, 'new_state', new_state))::text, 'UTF8'), arrived)
    RETURNING outcome, reason $$;

-- A value of any type is kept, and answered.
SELECT v.n, d.* FROM (VALUES (1, '{"a": [1, {"b": null}]}'), (2, '[]'), (3, '{}'), (4, '[true]'), (5, 'null'), (6, '-1')) AS v (n, value)
CROSS JOIN LATERAL evidence.deliver('FLAG_UPDATED', '2026-03-01T10:00:00Z', evidence.state(v.n, v.value::jsonb), '2026-03-01 10:00:01Z') d ORDER BY 1;
SELECT feature, value FROM flagsmith.environment_state('Lab', '2026-03-02') ORDER BY 1;
SELECT flagsmith.get_feature_value('Lab', 'feature 1', '2026-03-02');

-- An event of a later release that shows a state is evidence, and never more than reported; one of another shape tells nothing.
SELECT * FROM evidence.deliver('FLAG_UPDATED', '2026-03-01T10:00:00Z', evidence.state(10, '"old"'), '2026-03-01 10:00:01Z');
SELECT * FROM evidence.deliver('FLAG_ARCHIVED', '2026-03-01T11:00:00Z', evidence.state(10, '"new"'), '2026-03-01 11:00:01Z');
SELECT * FROM evidence.deliver('FLAG_ARCHIVED', '2026-03-01T11:30:00Z', evidence.state(10, '"new"'), '2026-03-01 11:30:01Z');
SELECT * FROM evidence.deliver('FLAG_UPDATED', '2026-03-01T12:00:00Z',
    evidence.state(10, '"last"') || '{"enabled": false}', '2026-03-01 12:00:01Z');
SELECT * FROM evidence.deliver('FLAG_MOVED', '2026-03-01T13:00:00Z', evidence.state(10, '"new"') - 'environment', '2026-03-01 13:00:01Z');
SELECT * FROM evidence.deliver('FLAG_GONE', '2026-03-01T13:00:00Z', NULL, '2026-03-01 13:00:01Z');
SELECT event_type, reason FROM flagsmith.undecoded_delivery WHERE source = 'evidence' ORDER BY delivery_id;
SELECT origin, event_at, value FROM flagsmith.flag_change WHERE source = 'evidence' AND feature_id = 10 ORDER BY event_at;
SELECT period, enabled, value, confidence, cause FROM flagsmith.flag_timeline WHERE source = 'evidence' AND feature_id = 10 ORDER BY period;
SELECT value, confidence FROM flagsmith.feature_state('Lab', 'feature 10', '2026-03-01 11:10Z');

-- A body that is dated more than five minutes after its arrival is taken as of its arrival, by every door; its typed row keeps the date.
SELECT d.* FROM (VALUES (20, '2026-03-01T10:00:00Z', '"first"', '2026-03-01 10:00:01Z'), (20, '2036-03-01T10:00:00Z', '"ahead"', '2026-03-01 11:00:00Z'),
    (20, '2026-03-01T12:00:00Z', '"now"', '2026-03-01 12:00:01Z'), (20, '2026-03-01T13:05:00Z', '"soon"', '2026-03-01 13:00:00Z'),
    (21, '2036-03-01T10:00:00Z', '"only"', '2026-03-01 11:00:00Z')) AS v (n, at, value, arrived)
CROSS JOIN LATERAL evidence.deliver('FLAG_UPDATED', v.at, evidence.state(v.n, v.value::jsonb), v.arrived::timestamptz) d;
SELECT feature_id, event_at, received_at, value FROM flagsmith.flag_change WHERE source = 'evidence' AND feature_id >= 20 ORDER BY 1, received_at;
SELECT feature_id, period, value FROM flagsmith.flag_timeline WHERE source = 'evidence' AND feature_id >= 20 ORDER BY 1, period;
-- around each instant alone, and by the whole history at once
SELECT t.at, s.value AS state, flagsmith.get_feature_value('Lab', 'feature 20', t.at) AS value,
    (SELECT flagsmith.get_feature_value('Lab', 'feature 20', t.at) LIMIT 1) AS whole
FROM (VALUES ('2026-03-01 10:30Z'::timestamptz), ('2026-03-01 11:30Z'), ('2026-03-01 12:30Z'), ('2026-03-01 13:10Z'), ('2030-01-01'), ('2040-01-01'), ('infinity')) AS t (at)
CROSS JOIN LATERAL flagsmith.feature_state('Lab', 'feature 20', t.at) s ORDER BY 1;
SELECT flagsmith.get_feature_value('Lab', 'feature 20') AS latest, flagsmith.get_feature_value('Lab', 'feature 21') AS only,
    flagsmith.get_feature_value('Lab', 'feature 21', '2026-03-01 12:00Z') AS then;
-- an override, too
SELECT d.* FROM (VALUES ('2036-03-01T10:00:00Z', '"ahead"', '2026-03-01 11:00:00Z'), ('2026-03-01T12:00:00Z', '"now"', '2026-03-01 12:00:01Z')) AS v (at, value, arrived)
CROSS JOIN LATERAL evidence.deliver('FLAG_UPDATED', v.at, evidence.state(20, v.value::jsonb) ||
    '{"feature_segment": {"priority": 0, "segment": {"id": 5, "name": "vip"}}}', v.arrived::timestamptz) d;
SELECT t.at, s.scope, s.value FROM (VALUES ('2026-03-01 11:30Z'::timestamptz), ('2026-03-01 12:30Z'), ('2040-01-01')) AS t (at)
CROSS JOIN LATERAL flagsmith.feature_state('Lab', 'feature 20', t.at, ARRAY[5]) s ORDER BY 1;
DROP SCHEMA evidence CASCADE;
