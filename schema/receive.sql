-- For callers that have a function to call rather than a table to insert into, as PostgREST has: the raw body and the
-- request's headers, names in any case.
CREATE FUNCTION flagsmith.receive(webhook text, body bytea, headers jsonb, received_at timestamptz DEFAULT NULL,
    OUT delivery_id bigint, OUT outcome text, OUT reason text, OUT status integer)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    INSERT INTO flagsmith.inbox (webhook, signature, body, received_at)
    VALUES (webhook,
            (SELECT h.value FROM jsonb_each_text(headers) AS h WHERE lower(h.key) = 'x-flagsmith-signature'),
            body, received_at)
    RETURNING inbox.delivery_id, inbox.outcome, inbox.reason,
        CASE WHEN inbox.outcome <> 'rejected' THEN 200
             WHEN inbox.reason LIKE '54000 %' THEN 413
             ELSE 401 END;
END;
COMMENT ON FUNCTION flagsmith.receive(text, bytea, jsonb, timestamptz) IS 'take one request in and say what became of it, with the HTTP status to answer';
