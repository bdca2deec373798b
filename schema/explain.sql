-- Why does a signature not verify?  For whoever sets a webhook up: nobody else may call it, since it tries secrets.

CREATE FUNCTION flagsmith._json_form(body bytea, form text) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_json_form';
COMMENT ON FUNCTION flagsmith._json_form(bytea, text) IS 'write a body again in one of the forms flagsmith, sorted, spaced, compact, indent 2, indent 4, python numbers, javascript, unwrapped, doubled, halved; NULL where it has no such form';

CREATE FUNCTION flagsmith._explain_signature(body bytea, signature text, secret text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    digits text := lower(btrim(signature, E' \t\r\n"'''));
    how text := '';
    variant record;
BEGIN
    IF flagsmith.verify_signature(body, signature, secret) THEN
        RETURN 'The signature verifies.';
    END IF;
    IF digits LIKE 'sha256=%' THEN
        digits := substr(digits, 8);
        how := 'The signature has the prefix "sha256=", which Flagsmith does not send: something in between put it there. Without it, ';
    ELSIF digits ~ '^[0-9a-f]{64}$' AND digits <> lower(signature) THEN
        how := 'There are blanks or quotes around the signature. Without them, ';
    ELSIF btrim(signature) ~ '^[A-Za-z0-9+/_-]{43}=?$' THEN
        digits := encode(decode(translate(rtrim(btrim(signature), '='), '-_', '+/') || '=', 'base64'), 'hex');
        how := 'The signature is written in base64, Flagsmith sends hexadecimal digits: something in between wrote it anew. In hexadecimal, ';
    END IF;
    IF digits !~ '^[0-9a-f]{64}$' THEN
        RETURN NULL;
    END IF;
    IF how <> '' AND flagsmith.verify_signature(body, digits, secret) THEN
        RETURN how || 'it verifies.';
    END IF;

    FOR variant IN
        SELECT b.what AS body_what, s.what AS secret_what
        FROM (VALUES
                (1, body, NULL),
                (2, body || '\x0a'::bytea, 'A newline at its end was lost from the body.'),
                (3, body || '\x0d0a'::bytea, 'A line end (CR LF) was lost from the body.'),
                (4, CASE WHEN right(encode(body, 'hex'), 4) = '0d0a' THEN substr(body, 1, length(body) - 2) END,
                    'A line end (CR LF) was added to the body.'),
                (5, CASE WHEN right(encode(body, 'hex'), 2) = '0a' THEN substr(body, 1, length(body) - 1) END,
                    'A newline was added to the body.'),
                (6, CASE WHEN substr(body, 1, 3) = '\xefbbbf' THEN substr(body, 4) END,
                    'A byte order mark was added in front of the body.'),
                (7, '\xefbbbf'::bytea || body, 'A byte order mark was lost from the front of the body.'),
                (8, flagsmith._json_form(body, 'flagsmith'),
                    'The body was parsed and written again before it came here, with other blanks, escapes or order of keys than Flagsmith''s. Hand over the bytes of the request as they came.'),
                (9, flagsmith._json_form(body, 'spaced'),
                    'The body was written again without Python''s blanks behind commas and colons, or comes from Flagsmith''s old test in the browser, whose signature is of a spaced copy and never verifies.'),
                (10, flagsmith._json_form(body, 'compact'),
                    'The body was written again with blanks that the signed one did not have: the signature is of compact JSON.'),
                (11, flagsmith._json_form(body, 'sorted'),
                    'The body was written again: the signature is of the same JSON, compact and with sorted keys.'),
                (12, flagsmith._json_form(body, 'indent 2'),
                    'The body was written again: the signature is of the same JSON, indented by 2.'),
                (13, flagsmith._json_form(body, 'indent 4'),
                    'The body was written again: the signature is of the same JSON, indented by 4.'),
                (14, flagsmith._json_form(body, 'doubled'),
                    'Every backslash was halved: the body was given to bytea as a text literal. Hand over bytes as a parameter, or write convert_to($$...$$, ''UTF8'').'),
                (15, flagsmith._json_form(body, 'halved'),
                    'Every backslash was doubled: something escaped the body as text before it came here. Hand over the bytes of the request as they came.'),
                (16, flagsmith._json_form(body, 'python numbers'),
                    'The body was parsed by JavaScript and written again, which turns 50.0 into 50. Hand over the bytes of the request as they came.'),
                (17, flagsmith._json_form(body, 'javascript'),
                    'The signature is of the body as JavaScript writes it, with 50 for 50.0.'),
                (18, flagsmith._json_form(body, 'unwrapped'),
                    'The body was made JSON twice: it is a string that holds the body. Hand over the bytes of the request as they came.'),
                (19, flagsmith._json_form(flagsmith._json_form(body, 'unwrapped'), 'flagsmith'),
                    'The body was parsed, written again and then made JSON once more: it is a string. Hand over the bytes of the request as they came.'),
                (20, flagsmith._json_form(flagsmith._json_form(body, 'unwrapped'), 'python numbers'),
                    'The body was parsed by JavaScript, written again and then made JSON once more: it is a string in which 50.0 became 50. Hand over the bytes of the request as they came.'),
                (21, ''::bytea, 'The signature is of an empty body: what came here is not what was signed.')
             ) AS b (rank, bytes, what),
             (VALUES
                (1, secret, NULL),
                (2, btrim(secret, E' \t\r\n'),
                    'The secret has blanks or a newline around it, which Flagsmith does not keep.'),
                (3, btrim(btrim(secret, E' \t\r\n'), '"''`'), 'The secret has quotes around it.'),
                (4, secret || E'\n', 'The secret lacks a newline at its end.'),
                (5, '"' || secret || '"', 'The secret in Flagsmith has quotes around it.'),
                (6, '''' || secret || '''', 'The secret in Flagsmith has quotes around it.'),
                (7, lower(secret), 'The secret is in lower case in Flagsmith.'),
                (8, upper(secret), 'The secret is in upper case in Flagsmith.')
             ) AS s (rank, secret, what)
        WHERE b.bytes IS NOT NULL AND s.secret <> ''
          AND flagsmith.verify_signature(b.bytes, digits, s.secret)
        ORDER BY b.rank + s.rank, b.rank
        LIMIT 1
    LOOP
        RETURN concat_ws(' ', nullif(how || CASE WHEN how <> '' THEN 'this is left:' END, ''),
                         variant.body_what, variant.secret_what);
    END LOOP;
    RETURN NULL;
END;
$function$;
COMMENT ON FUNCTION flagsmith._explain_signature(bytea, text, text) IS 'what would make a signature verify with this secret; NULL if nothing that is known';

CREATE FUNCTION flagsmith.explain_signature(body bytea, signature text, secret text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    answer text;
    other record;
BEGIN
    IF signature IS NULL OR btrim(signature) = '' THEN
        RETURN 'The request has no signature: the webhook has no secret in Flagsmith, or a proxy dropped the header X-Flagsmith-Signature.';
    END IF;
    IF body IS NULL THEN
        RETURN 'The body is not here, so nothing can be said.';
    END IF;
    IF secret <> '' THEN
        answer := flagsmith._explain_signature(body, signature, secret);
        IF answer IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;

    -- Not this one; perhaps another that is registered.
    IF has_table_privilege('flagsmith.webhook_secret', 'SELECT') THEN
        FOR other IN
            SELECT s.id, s.webhook, s.valid_until, s.ended_at, e.explanation
            FROM flagsmith.webhook_secret AS s,
                 LATERAL flagsmith._explain_signature(body, signature, s.secret) AS e (explanation)
            WHERE s.secret <> '' AND e.explanation IS NOT NULL
            ORDER BY e.explanation <> 'The signature verifies.', s.id
            LIMIT 1
        LOOP
            RETURN format('It was signed with secret %s of webhook "%s"%s.', other.id, other.webhook,
                          CASE WHEN other.valid_until <= now() OR other.ended_at IS NOT NULL THEN ', which was retired' ELSE '' END)
                || CASE WHEN other.explanation <> 'The signature verifies.' THEN ' ' || other.explanation ELSE '' END;
        END LOOP;
    END IF;

    IF secret IS NULL OR secret = '' THEN
        RETURN 'There is no secret to try: an empty one never verifies.';
    ELSIF regexp_replace(btrim(signature, E' \t\r\n"'''), '^sha256=', '', 'i') !~* '^([0-9a-f]{64}|[a-z0-9+/_-]{43}=?)$' THEN
        RETURN 'The signature is not 64 hexadecimal digits: something in between changed it, or it was not sent by Flagsmith.';
    ELSIF body = '' THEN
        RETURN 'The body is empty: it was lost on its way here, so that nothing can verify.';
    END IF;
    RETURN 'Nothing that is known makes it verify: another secret was entered in Flagsmith, or the body is not the one that was signed, or Flagsmith did not send it.';
END;
$function$;
COMMENT ON FUNCTION flagsmith.explain_signature(bytea, text, text) IS 'say in words why a signature does not verify';

CREATE FUNCTION flagsmith.explain_signature(rejected flagsmith.rejected) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    answer text;
    own record;
BEGIN
    IF rejected.reason LIKE '28W04 %' THEN
        RETURN 'Nothing is wrong with the signature; the webhook was registered for another environment: put its environment_id right, then readmit() takes the delivery in.';
    END IF;
    IF rejected.signature IS NOT NULL AND rejected.body IS NOT NULL THEN
        FOR own IN
            SELECT s.id, s.valid_from, s.valid_until, e.explanation,
                s.ended_at IS NOT NULL OR s.created_at < (SELECT w.created_at FROM flagsmith.webhook AS w WHERE w.name = s.webhook) AS ended
            FROM flagsmith.webhook_secret AS s,
                 LATERAL flagsmith._explain_signature(rejected.body, rejected.signature, s.secret) AS e (explanation)
            WHERE s.webhook = rejected.webhook AND s.secret <> '' AND e.explanation IS NOT NULL
            ORDER BY e.explanation <> 'The signature verifies.', s.id DESC
            LIMIT 1
        LOOP
            IF own.ended THEN
                answer := format('Secret %s was ended.', own.id);
            ELSIF rejected.received_at < own.valid_from THEN
                answer := format('Secret %s was not valid yet when the delivery came.', own.id);
            ELSIF rejected.received_at >= own.valid_until THEN
                answer := format('Secret %s had been retired when the delivery came.', own.id);
            ELSIF own.explanation = 'The signature verifies.' THEN
                RETURN format('The signature verifies now, with secret %s: readmit() takes the delivery in.', own.id);
            ELSE
                answer := format('It was signed with secret %s.', own.id);
            END IF;
            RETURN answer || CASE WHEN own.explanation <> 'The signature verifies.' THEN ' ' || own.explanation ELSE '' END;
        END LOOP;
    END IF;
    RETURN flagsmith.explain_signature(rejected.body, rejected.signature,
        (SELECT s.secret FROM flagsmith.webhook_secret AS s WHERE s.webhook = rejected.webhook ORDER BY s.id DESC LIMIT 1));
END;
$function$;
COMMENT ON FUNCTION flagsmith.explain_signature(flagsmith.rejected) IS 'say in words why a delivery was rejected';
