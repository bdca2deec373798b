-- After t/data/cookbook.sql, for docs/names.md and docs/troubleshooting.md: what is renamed, deleted, born again, refused and lost.
SELECT pg_temp.said('2026-11-12 09:00Z', 'ada@example.com', 'Staging', 'ENVIRONMENT', 'Environment updated: Preview',
    '{"environment": {"id": 1, "name": "Preview"}, "related_object_id": 1}');
SELECT pg_temp.deliver(jsonb_build_object('event_type', 'FLAG_DELETED', 'data', jsonb_build_object('changed_by', 'ada@example.com', 'timestamp', '2026-11-01T09:14:00.500000Z',
        'new_state', NULL, 'previous_state', jsonb_build_object('feature', '{"id": 14, "name": "old_banner", "type": "STANDARD", "project": {"id": 1, "name": "Shop"}}'::jsonb,
            'environment', pg_temp.environment('Production'), 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL, 'enabled', true,
            'feature_state_value', NULL, 'multivariate_feature_state_values', '[]'::jsonb))), '2026-11-12 10:00Z'),
    pg_temp.said('2026-11-12 10:00Z', 'ada@example.com', NULL, 'FEATURE', 'Flag / Remote Config Deleted: old_banner', '{"related_object_id": 14}');
SELECT pg_temp.said('2026-11-12 11:00Z', 'zoe@example.com', NULL, 'FEATURE', 'New Flag / Remote Config created: old_banner', '{"related_object_id": 21}'),
    pg_temp.state('2026-11-12 11:00:00.5Z', 'zoe@example.com', 'Production', 21, 'old_banner', false, NULL, NULL);
-- An act of which only the entry came.
SELECT pg_temp.said('2026-11-12 14:00Z', 'zoe@example.com', 'Production', 'FEATURE_STATE', 'Flag state updated for feature: price_test', '{"related_object_id": 7002}');
-- A webhook that is strict, what it refuses, and one that is silent.
SELECT flagsmith.add_webhook('billing', 'the secret of billing', max_spool_age => NULL), flagsmith.add_webhook('spare', 'the secret of nobody');
INSERT INTO flagsmith.inbox (webhook, received_at, signature, body)
SELECT 'billing', '2026-11-12 15:00Z'::timestamptz + n * interval '1 minute', signature, b
FROM (SELECT convert_to('{"event_type": "FLAG_UPDATED", "data": {}}', 'UTF8') AS b) x,
    LATERAL (VALUES (1, NULL), (2, 'sha256=' || flagsmith.sign(b, 'the secret of billing')), (3, flagsmith.sign(b, 'the secret of nobody')),
        (4, flagsmith.sign(convert_to('{"data": {}, "event_type": "FLAG_UPDATED"}', 'UTF8'), 'the secret of billing'))) s (n, signature);
CREATE ROLE flag_reader;
SELECT flagsmith.grant_reader('flag_reader');
