-- May I trust this?  The views over webhooks, their secrets and what could not be decoded.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
CREATE ROLE regress_fsw_health;
SELECT flagsmith.grant_reader('regress_fsw_health');

SELECT count(*) FROM flagsmith.add_webhook('health', 'canary that nobody may see', source => 'health', max_spool_age => NULL);
SELECT count(*) FROM flagsmith.add_webhook('health quiet', allow_unsigned => true, source => 'health');
SELECT count(*) FROM flagsmith.add_webhook('health off', allow_unsigned => true, source => 'health');
SELECT flagsmith.disable_webhook('health off');

CREATE FUNCTION pg_temp.deliver(body text, ago interval, secret text DEFAULT 'canary that nobody may see') RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    VALUES ('health', flagsmith.sign(convert_to(body, 'UTF8'), secret), convert_to(body, 'UTF8'), now() - ago)
    RETURNING concat_ws(' ', outcome, reason) INTO result;
    RETURN result;
END
$$;
-- An audit entry each quarter of an hour until two hours ago; a body that is no JSON, one of a newer Flagsmith, a repeat and a
-- forgery.
SELECT pg_temp.deliver(format('{"event_type": "AUDIT_LOG_CREATED", "data": {"id": %s, "created_date": "2026-11-01T12:00:00Z", "log": "x"}}', i),
    i * interval '15 minutes') AS outcome, count(*)
FROM generate_series(8, 40) i
GROUP BY 1;
SELECT pg_temp.deliver('no json', interval '3 hours');
SET client_min_messages = error;
SELECT pg_temp.deliver('{"event_type": "FLAG_RENAMED", "data": {}}', interval '3 hours');
RESET client_min_messages;
SELECT pg_temp.deliver('{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 40, "created_date": "2026-11-01T12:00:00Z", "log": "x"}}', interval '2 hours');
SELECT pg_temp.deliver('{}', interval '2 hours', 'another');

SELECT webhook, event_type, body_bytes, reason FROM flagsmith.undecoded_delivery WHERE source = 'health' ORDER BY delivery_id;

SELECT webhook, enabled, silence, date_trunc('minute', silent_for) AS silent_for, longest_silence FROM flagsmith.webhook_health WHERE source = 'health' ORDER BY webhook;
SELECT stored_last_hour, stored_last_day, undecoded_last_hour, undecoded_last_day, rejected_kept, rejected_by_reason,
    (SELECT array_agg(key ORDER BY key COLLATE "C") FROM jsonb_object_keys(last_arrival_by_kind) key) AS kinds,
    last_duplicate IS NOT NULL AS duplicate, last_duplicate_by_kind ? 'AUDIT_LOG_CREATED' AS of_audit
FROM flagsmith.webhook_health
WHERE webhook = 'health';

-- The secret is changed: the new one verifies, the old one may go a day later.
SELECT flagsmith.add_secret('health', 'the second canary of them') IS NOT NULL AS added;
SELECT state, used_last_day, last_used IS NOT NULL AS used, may_retire_from FROM flagsmith.secret_usage WHERE webhook = 'health' ORDER BY secret_id;
SELECT pg_temp.deliver('{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 50, "created_date": "2026-11-01T12:00:00Z", "log": "x"}}', interval '30 minutes',
    'the second canary of them');
SELECT state, used_last_day, may_retire_from - max(last_used) OVER () AS may_retire_after FROM flagsmith.secret_usage WHERE webhook = 'health' ORDER BY secret_id;

-- A reader sees the views and not the secret, not even with a function so cheap that it could be called before all conditions.
SET ROLE regress_fsw_health;
SELECT count(*) FROM flagsmith.secret_usage WHERE webhook = 'health';
CREATE FUNCTION pg_temp.spy(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'saw %', $1;
    RETURN true;
END
$$;
SELECT count(*) FROM flagsmith.secret_usage u WHERE webhook = 'health' AND pg_temp.spy(u.webhook);
SELECT count(*) FROM flagsmith.secret_usage u WHERE u::text LIKE '%canary%';
SELECT count(*) FROM flagsmith.webhook_health h WHERE h::text LIKE '%canary%';
SELECT secret FROM flagsmith.webhook_secret;
\echo :LAST_ERROR_SQLSTATE
SELECT body FROM flagsmith.delivery;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DELETE FROM flagsmith.webhook_secret WHERE webhook = 'health';
DELETE FROM flagsmith.webhook WHERE source = 'health';
DROP OWNED BY regress_fsw_health;
DROP ROLE regress_fsw_health;
