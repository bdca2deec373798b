-- receive(): one request in by a function call, as PostgREST makes it.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never

SELECT count(*) FROM flagsmith.add_webhook('receive', 'the secret of receive', source => 'receive', max_spool_age => NULL);
CREATE ROLE regress_receive;
SELECT FROM flagsmith.grant_receiver('regress_receive');
SET ROLE regress_receive;
SELECT (r.delivery_id IS NULL) AS no_id, r.outcome, r.reason, r.status
FROM (VALUES
    (1, '{"X-Flagsmith-Signature": "32ef5dd3e5b3de7d6f1e2a54dee32a86aa48b3c1d3a5b1a6fbaf2a2d24ec4c28"}'::jsonb),
    (2, '{"x-flagsmith-signature": ""}'),
    (3, '{"host": "x"}'),
    (4, '{}'),
    (5, NULL)) AS v (n, headers),
    LATERAL flagsmith.receive('receive', '{"event_type": "RECEIVE"}', v.headers) AS r
ORDER BY n;
SELECT outcome FROM flagsmith.receive('nobody', '{}', '{}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT flagsmith.sign('{"event_type": 1}', 'the secret of receive') AS signature \gset
SET ROLE regress_receive;
SELECT outcome, reason, status
FROM flagsmith.receive('receive', '{"event_type": 1}', jsonb_build_object('x-FLAGSMITH-signature', :'signature'), '2026-01-02 03:04:05Z');
SELECT outcome, status
FROM flagsmith.receive('receive', '{"event_type": 1}', jsonb_build_object('x-flagsmith-signature', :'signature'), '2026-01-02 03:04:05Z');
RESET ROLE;
SELECT webhook, received_at FROM flagsmith.delivery WHERE source = 'receive';
REVOKE ALL ON FUNCTION flagsmith.receive(text, bytea, jsonb, timestamptz) FROM regress_receive;
REVOKE ALL ON FUNCTION flagsmith.receive(text, text, jsonb, timestamptz) FROM regress_receive;
REVOKE ALL ON flagsmith.inbox FROM regress_receive;
REVOKE ALL ON SCHEMA flagsmith FROM regress_receive;
DROP ROLE regress_receive;
