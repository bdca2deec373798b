-- Several identities that bear one identifier: what was there before an act is the youngest's, in any order of insertion; before one of
-- a younger identity there was nothing, since the older was deleted.
SET TimeZone = 'UTC';

BEGIN;
SELECT count(flagsmith.add_webhook(name, allow_unsigned => true, source => name, max_spool_age => NULL))
FROM unnest('{older first,younger first}'::text[]) name;

CREATE FUNCTION pg_temp.deliver(webhook text, at int, identity int, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at)
    VALUES (webhook, convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', 'ada@example.com',
        'timestamp', to_char(timestamptz '2026-11-01 12:00Z' + at * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'new_state', jsonb_build_object('feature', '{"id": 71, "name": "quick", "type": "STANDARD", "project": {"id": 7, "name": "Shop"}}'::jsonb,
            'environment', '{"id": 72, "name": "Production"}'::jsonb, 'identity', identity, 'identity_identifier', 'ada',
            'feature_segment', NULL, 'enabled', true, 'feature_state_value', value, 'multivariate_feature_state_values', '[]'::jsonb)))::text,
        'UTF8'), timestamptz '2026-11-01 12:00Z' + (at + 2) * interval '1 second');
END
$$;

DO $$
BEGIN
    PERFORM pg_temp.deliver('older first', at, at, 'v' || at) FROM unnest('{1,2,10,40}'::int[]) at;
    PERFORM pg_temp.deliver('younger first', at, at, 'v' || at) FROM unnest('{40,10,2,1}'::int[]) at;
    PERFORM pg_temp.deliver(source, 200, 40, 'v200') FROM unnest('{older first,younger first}'::text[]) source;
    PERFORM pg_temp.deliver(source, 300, 10, 'v300') FROM unnest('{older first,younger first}'::text[]) source;
END
$$;
SELECT source, at::time, value, value_before FROM flagsmith.history WHERE identity_identifier = 'ada' ORDER BY source, at;
ROLLBACK;
