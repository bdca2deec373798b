-- A view with an INSTEAD OF trigger, not a table: a trigger on a dumped table would fire again during restore.
CREATE VIEW flagsmith.inbox
    (webhook, signature, body, received_at, delivery_id, outcome, reason)
    WITH (security_invoker = false)
    AS SELECT NULL::text, NULL::text, NULL::bytea, NULL::timestamptz, NULL::bigint, NULL::text, NULL::text
    WHERE false;
COMMENT ON VIEW flagsmith.inbox IS 'Where a receiver inserts each request: webhook, signature, body and, if it wants, received_at; RETURNING tells what became of it.';
COMMENT ON COLUMN flagsmith.inbox.webhook IS 'Name of a registered webhook.';
COMMENT ON COLUMN flagsmith.inbox.signature IS 'X-Flagsmith-Signature as received; NULL if the header was absent.';
COMMENT ON COLUMN flagsmith.inbox.body IS 'The exact bytes of the request body.';
COMMENT ON COLUMN flagsmith.inbox.received_at IS 'When the request arrived at the receiver; NULL means now.';
COMMENT ON COLUMN flagsmith.inbox.delivery_id IS 'RETURNING: the id in flagsmith.delivery; NULL if rejected.';
COMMENT ON COLUMN flagsmith.inbox.outcome IS 'RETURNING: stored, duplicate, undecoded or rejected.';
COMMENT ON COLUMN flagsmith.inbox.reason IS 'RETURNING: why it was rejected or is undecoded: code, blank, text.';

CREATE FUNCTION flagsmith._inbox_insert() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_inbox_insert';
COMMENT ON FUNCTION flagsmith._inbox_insert() IS 'verify, decode and store one delivery';

CREATE TRIGGER inbox_insert INSTEAD OF INSERT ON flagsmith.inbox
    FOR EACH ROW EXECUTE FUNCTION flagsmith._inbox_insert();

CREATE FUNCTION flagsmith.readmit(webhook text) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'fsw_readmit';
COMMENT ON FUNCTION flagsmith.readmit(text) IS 'verify the rejected deliveries of a webhook again, after a forgotten secret was added, and return how many came in';
