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

-- For callers that have the body as text: the bytes are its UTF-8.  Without this one, a text literal would go through the
-- escapes of bytea, which change backslashes or refuse them.
CREATE FUNCTION flagsmith.receive(webhook text, body text, headers jsonb, received_at timestamptz DEFAULT NULL,
    OUT delivery_id bigint, OUT outcome text, OUT reason text, OUT status integer)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT r.delivery_id, r.outcome, r.reason, r.status
    FROM flagsmith.receive(webhook, convert_to(body, 'UTF8'), headers, received_at) AS r;
END;
COMMENT ON FUNCTION flagsmith.receive(text, text, jsonb, timestamptz) IS 'take one request in whose body is text, and say what became of it, with the HTTP status to answer';
