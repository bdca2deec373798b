-- A secret that was ended verifies nothing any more, however often it was added and whatever became of its webhook.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;

CREATE FUNCTION pg_temp.deliver(secret text, n text, received_at timestamptz DEFAULT NULL, webhook text DEFAULT 'secret') RETURNS text
LANGUAGE sql AS $$
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    SELECT webhook, flagsmith.sign(b.body, secret), b.body, received_at
    FROM convert_to(format('{"event_type": "SECRET", "n": "%s"}', n), 'UTF8') AS b (body)
    RETURNING outcome || coalesce(' ' || left(reason, 5), '')
$$;
CREATE FUNCTION pg_temp.masked(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(format('%s %s | %s | %s', state, message, detail, hint), '(secret |retire_secret\()\d+', '\1N', 'g');
END $$;

SELECT count(*) FROM flagsmith.add_webhook('secret', 'the first secret of it', source => 'secret');
SELECT id AS first FROM flagsmith.webhook_secret WHERE webhook = 'secret' \gset

-- Not twice, in whatever validity; another webhook may have the same.
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the first secret of it')$$);
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the first secret of it', now() + interval '1 day')$$);
SELECT count(*) FROM flagsmith.add_webhook('secret other', 'the first secret of it', source => 'secret');
SELECT count(*) FROM flagsmith.webhook_secret WHERE webhook = 'secret';

-- A copy that came in by hand is retired with it.
INSERT INTO flagsmith.webhook_secret (webhook, secret) VALUES ('secret', 'the first secret of it');
SELECT pg_temp.deliver('the first secret of it', 'live');
SELECT flagsmith.retire_secret(:first);
SELECT pg_temp.deliver('the first secret of it', 'retired');
SELECT pg_temp.deliver('the first secret of it', 'retired', webhook => 'secret other');
-- Not again either.
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the first secret of it')$$);
-- By a claimed arrival it still verifies, within max_spool_age: a spool may hold what it signed.
SELECT pg_temp.deliver('the first secret of it', 'spooled', now() - interval '1 hour');
-- Ended at once it does not.
SELECT pg_temp.masked(format($$SELECT flagsmith.retire_secret(%s, now() + interval '1 hour', at_once => true)$$, :first));
SELECT flagsmith.retire_secret(:first, at_once => true);
SELECT pg_temp.deliver('the first secret of it', 'leaked', now() - interval '1 hour');
SELECT DISTINCT state, valid_until <= now() AS retired, ended_at <= now() AS ended, may_retire_from FROM flagsmith.secret_usage WHERE webhook = 'secret';
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the first secret of it')$$);
SELECT flagsmith.readmit('secret');
SELECT DISTINCT regexp_replace(flagsmith.explain_signature(r), 'ecret \d+', 'ecret N') FROM flagsmith.rejected r WHERE webhook = 'secret';

-- A retirement can be taken back by its id, an end at once cannot.
SELECT flagsmith.add_secret('secret', 'the second secret of it') AS second \gset
SELECT flagsmith.retire_secret(:second);
SELECT pg_temp.deliver('the second secret of it', '2, retired');
SELECT flagsmith.retire_secret(:second, 'infinity');
SELECT pg_temp.deliver('the second secret of it', '2, back');
SELECT flagsmith.retire_secret(:first, 'infinity');
SELECT pg_temp.deliver('the first secret of it', 'ended');

-- remove_webhook(): deliveries are the caller's mistake again, and what it brought stays.
SELECT flagsmith.remove_webhook('secret');
SELECT pg_temp.masked($$SELECT flagsmith.remove_webhook('secret')$$);
SELECT pg_temp.masked($$SELECT pg_temp.deliver('the second secret of it', 'removed')$$);
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the third secret of it')$$);
SELECT pg_temp.masked($$SELECT flagsmith.enable_webhook('secret')$$);
SELECT pg_temp.masked($$SELECT flagsmith.readmit('secret')$$);
SELECT pg_temp.masked($$SELECT flagsmith.remove_webhook(NULL)$$);
SELECT enabled, silence, rejected_kept > 0 AS rejected FROM flagsmith.webhook_health WHERE webhook = 'secret';
SELECT DISTINCT state FROM flagsmith.secret_usage WHERE webhook = 'secret';
SELECT count(*) FROM flagsmith.delivery WHERE webhook = 'secret';
-- Registered again, the secrets of before stay ended, ...
SELECT count(*) FROM flagsmith.add_webhook('secret', 'the fourth secret of it', source => 'secret');
SELECT pg_temp.deliver(secret, 'registered again'), pg_temp.deliver(secret, 'registered again, spooled', now() - interval '1 hour')
FROM (VALUES ('the first secret of it'), ('the second secret of it'), ('the fourth secret of it')) AS v (secret);
-- ... but one that had not been retired may be entered again.
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the second secret of it')$$);
SELECT pg_temp.deliver('the second secret of it', 'entered again');
SELECT pg_temp.masked($$SELECT flagsmith.add_secret('secret', 'the first secret of it')$$);

-- The same where the row was deleted by hand, in one transaction or in several.
DELETE FROM flagsmith.webhook WHERE name = 'secret';
SELECT count(*) FROM flagsmith.add_webhook('secret', 'the fifth secret of it', source => 'secret');
SELECT pg_temp.deliver('the fourth secret of it', 'by hand'), pg_temp.deliver('the fifth secret of it', 'by hand, new');
BEGIN;
SELECT count(*) FROM flagsmith.add_secret('secret', 'the sixth secret of it');
DELETE FROM flagsmith.webhook WHERE name = 'secret';
SELECT count(*) FROM flagsmith.add_webhook('secret', 'the seventh secret of it', source => 'secret');
SELECT pg_temp.deliver('the fifth secret of it', 'at once'), pg_temp.deliver('the sixth secret of it', 'at once'), pg_temp.deliver('the seventh secret of it', 'at once, new');
INSERT INTO flagsmith.webhook_secret (webhook, secret) VALUES ('secret', 'the eighth secret of it');
SELECT pg_temp.deliver('the eighth secret of it', 'by hand, in the same transaction');
COMMIT;
SELECT state, count(*) FROM flagsmith.secret_usage WHERE webhook = 'secret' GROUP BY state ORDER BY state;

-- What a webhook brought is read by its environment, so that it does not come back for another.
SELECT count(*) FROM flagsmith.add_webhook('secret env', 'the secret of an environment', source => 'secret', environment_id => 12);
SELECT flagsmith.remove_webhook('secret env');
SELECT pg_temp.masked($$SELECT flagsmith.add_webhook('secret env', 'the secret of an environment', source => 'secret', environment_id => 13)$$);
SELECT count(*) FROM flagsmith.add_webhook('secret env', 'the secret of an environment', source => 'secret');
SELECT environment_id, removed_at FROM flagsmith.webhook WHERE name = 'secret env';

DELETE FROM flagsmith.rejected WHERE webhook LIKE 'secret%';
DELETE FROM flagsmith.rejected_count WHERE webhook LIKE 'secret%';
DELETE FROM flagsmith.webhook_secret WHERE webhook LIKE 'secret%';
DELETE FROM flagsmith.webhook WHERE name LIKE 'secret%';
