-- bench/plpgsql.sql - what a careful user would write without the extension: the same view, tables, indexes, outcome for
-- each row and names, with pgcrypto and plpgsql.  It is spared what is hard to do there: limits on hostile bodies, one
-- parsing of ambiguous messages, several splits, the ring of rejected deliveries, notifications.
CREATE EXTENSION pgcrypto;
CREATE SCHEMA plain;
CREATE TABLE plain.webhook (LIKE flagsmith.webhook INCLUDING ALL);
CREATE TABLE plain.webhook_secret (LIKE flagsmith.webhook_secret INCLUDING ALL);
CREATE TABLE plain.delivery (LIKE flagsmith.delivery INCLUDING ALL);
CREATE TABLE plain.delivery_repeat (LIKE flagsmith.delivery_repeat INCLUDING ALL);
CREATE TABLE plain.flag_change (LIKE flagsmith.flag_change INCLUDING ALL);
CREATE TABLE plain.audit_log (LIKE flagsmith.audit_log INCLUDING ALL);
CREATE TABLE plain.audit_effect (LIKE flagsmith.audit_effect INCLUDING ALL);
CREATE TABLE plain.name (LIKE flagsmith.name INCLUDING ALL);
INSERT INTO plain.webhook SELECT * FROM flagsmith.webhook;
INSERT INTO plain.webhook_secret OVERRIDING SYSTEM VALUE SELECT * FROM flagsmith.webhook_secret;

CREATE VIEW plain.inbox (webhook, signature, body, delivery_id, outcome, reason)
    AS SELECT NULL::text, NULL::text, NULL::bytea, NULL::bigint, NULL::text, NULL::text WHERE false;

-- A sighting an hour is enough, of features and identities one for ever.
CREATE FUNCTION plain.see_name(p_source text, p_kind text, p_id text, p_seen timestamptz, p_name text, p_project bigint)
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_id IS NULL OR p_name IS NULL THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM plain.name n
        WHERE flagsmith._hash(n.source || '/' || n.kind || ':' || n.id) = flagsmith._hash(p_source || '/' || p_kind || ':' || p_id)
            AND flagsmith._hash(n.kind || ':' || n.name) = flagsmith._hash(p_kind || ':' || p_name)
            AND n.seen_at <= p_seen AND n.seen_at >= CASE WHEN p_kind IN ('feature', 'identity') THEN '-infinity'
                ELSE date_trunc('hour', p_seen, 'UTC') END) THEN
        INSERT INTO plain.name (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)
        VALUES (p_source, p_kind, p_id, p_name, p_project, p_seen, false, p_seen, p_seen);
    END IF;
END $$;

CREATE FUNCTION plain.take_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    w plain.webhook;
    s record;
    secret_id bigint;
    j jsonb;
    d jsonb;
    n jsonb;
    p jsonb;
    st jsonb;
    at timestamptz;
    parts text[];
    now timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO w FROM plain.webhook WHERE name = NEW.webhook;
    IF NOT FOUND OR NOT w.enabled THEN
        RAISE EXCEPTION 'no such webhook: %', NEW.webhook;
    END IF;
    FOR s IN SELECT id, secret FROM plain.webhook_secret WHERE webhook = NEW.webhook AND valid_from <= now AND now < valid_until
    LOOP
        IF hmac(NEW.body, convert_to(s.secret, 'UTF8'), 'sha256') = decode(NEW.signature, 'hex') THEN
            secret_id := s.id;
        END IF;
    END LOOP;
    IF secret_id IS NULL THEN
        NEW.outcome := 'rejected';
        RETURN NEW;
    END IF;

    BEGIN
        j := convert_from(NEW.body, 'UTF8')::jsonb;
        d := j -> 'data';
        at := coalesce(d ->> 'timestamp', d ->> 'created_date')::timestamptz;
    EXCEPTION WHEN data_exception THEN
        NEW.reason := SQLERRM;
    END;

    INSERT INTO plain.delivery (webhook, source, received_at, stored_at, signature, secret_id, event_type, event_at, digest,
        body, undecoded_reason)
    VALUES (NEW.webhook, w.source, now, now, NEW.signature, secret_id, j ->> 'event_type', coalesce(at, now),
        sha256(NEW.body), NEW.body, NEW.reason)
    ON CONFLICT (source, event_at, digest) DO NOTHING RETURNING id INTO NEW.delivery_id;
    IF NEW.delivery_id IS NULL THEN
        SELECT id INTO NEW.delivery_id FROM plain.delivery
        WHERE source = w.source AND event_at = coalesce(at, now) AND digest = sha256(NEW.body);
        INSERT INTO plain.delivery_repeat AS r VALUES (NEW.delivery_id, NEW.webhook, 1, now, now)
        ON CONFLICT (delivery, webhook) DO UPDATE SET count = r.count + 1, last_received_at = excluded.last_received_at;
        NEW.outcome := 'duplicate';
        RETURN NEW;
    END IF;
    NEW.outcome := CASE WHEN NEW.reason IS NULL THEN 'stored' ELSE 'undecoded' END;

    IF j ->> 'event_type' IN ('FLAG_UPDATED', 'FLAG_DELETED') THEN
        n := nullif(d -> 'new_state', 'null');
        p := nullif(d -> 'previous_state', 'null');
        st := coalesce(n, p);
        INSERT INTO plain.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted,
            changed_by, project_id, project, environment_id, environment, feature_id, feature, feature_type,
            feature_created_date, feature_description, feature_default_enabled, feature_initial_value, segment_id, segment,
            segment_description, segment_priority, identity, identity_kind, identity_identifier, enabled, value, variants,
            enabled_before, value_before, variants_before, extra)
        VALUES (NEW.delivery_id, 1, w.source, coalesce(at, now), now, now, 'webhook',
            st #>> '{feature,project,name}' = 'Test Project', j ->> 'event_type' = 'FLAG_DELETED',
            d ->> 'changed_by', (st #>> '{feature,project,id}')::bigint, st #>> '{feature,project,name}',
            (st #>> '{environment,id}')::bigint, st #>> '{environment,name}', (st #>> '{feature,id}')::bigint,
            st #>> '{feature,name}', st #>> '{feature,type}', (st #>> '{feature,created_date}')::timestamptz,
            st #>> '{feature,description}', (st #>> '{feature,default_enabled}')::boolean, st #>> '{feature,initial_value}',
            (st #>> '{feature_segment,segment,id}')::bigint, st #>> '{feature_segment,segment,name}',
            st #>> '{feature_segment,segment,description}', (st #>> '{feature_segment,priority}')::bigint,
            st ->> 'identity',
            CASE jsonb_typeof(st -> 'identity') WHEN 'number' THEN 'core' WHEN 'string' THEN 'edge' END,
            st ->> 'identity_identifier', (n ->> 'enabled')::boolean, n -> 'feature_state_value',
            n -> 'multivariate_feature_state_values', (p ->> 'enabled')::boolean, p -> 'feature_state_value',
            p -> 'multivariate_feature_state_values',
            nullif(d - '{changed_by,new_state,previous_state,timestamp}'::text[], '{}'));
        PERFORM plain.see_name(w.source, 'project', st #>> '{feature,project,id}', now, st #>> '{feature,project,name}',
            (st #>> '{feature,project,id}')::bigint);
        PERFORM plain.see_name(w.source, 'environment', st #>> '{environment,id}', now, st #>> '{environment,name}',
            (st #>> '{feature,project,id}')::bigint);
        PERFORM plain.see_name(w.source, 'feature', st #>> '{feature,id}', now, st #>> '{feature,name}',
            (st #>> '{feature,project,id}')::bigint);
        IF st -> 'feature_segment' <> 'null' THEN
            PERFORM plain.see_name(w.source, 'segment', st #>> '{feature_segment,segment,id}', now,
                st #>> '{feature_segment,segment,name}', (st #>> '{feature,project,id}')::bigint);
        END IF;
        IF st -> 'identity' <> 'null' THEN
            PERFORM plain.see_name(w.source, 'identity', 'core:' || (st ->> 'identity'), now, st ->> 'identity_identifier',
                (st #>> '{feature,project,id}')::bigint);
        END IF;
    ELSIF j ->> 'event_type' = 'AUDIT_LOG_CREATED' THEN
        parts := regexp_match(d ->> 'log', '^(Flag state|Remote config value) updated for feature: (.*)$');
        INSERT INTO plain.audit_log (delivery, ordinal, source, received_at, stored_at, origin, is_test, audit_id,
            created_date, log, author_id, author_email, author_first_name, author_last_name, author_last_login, author_uuid,
            organisation_id, project_id, project, environment_id, environment, use_v2_feature_versioning, related_object_id,
            related_object_uuid, related_object_type, is_system_event, action, object, feature, ambiguous, extra)
        VALUES (NEW.delivery_id, 1, w.source, now, now, 'webhook', d #>> '{project,name}' = 'Test Project',
            (d ->> 'id')::bigint, at, d ->> 'log', (d #>> '{author,id}')::bigint, d #>> '{author,email}',
            d #>> '{author,first_name}', d #>> '{author,last_name}', (d #>> '{author,last_login}')::timestamptz,
            d #>> '{author,uuid}', (d #>> '{project,organisation}')::bigint, (d #>> '{project,id}')::bigint,
            d #>> '{project,name}', (d #>> '{environment,id}')::bigint, d #>> '{environment,name}',
            (d #>> '{environment,use_v2_feature_versioning}')::boolean, (d ->> 'related_object_id')::bigint,
            d ->> 'related_object_uuid', d ->> 'related_object_type', (d ->> 'is_system_event')::boolean,
            CASE WHEN parts IS NOT NULL THEN 'updated' END, CASE WHEN parts IS NOT NULL THEN 'state' END, parts[2], false,
            jsonb_build_object(
                'environment', (d -> 'environment') - '{id,name,use_v2_feature_versioning,api_key}'::text[],
                'project', (d -> 'project') - '{id,name,organisation}'::text[]));
        IF parts IS NOT NULL THEN
            INSERT INTO plain.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_hash, occurred_at,
                received_at, stored_at)
            VALUES (NEW.delivery_id, 1, 1, w.source, (d #>> '{project,id}')::bigint, (d #>> '{environment,id}')::bigint,
                'state', hashtextextended(parts[2], 0), at, now, now);
        END IF;
        PERFORM plain.see_name(w.source, 'project', d #>> '{project,id}', now, d #>> '{project,name}',
            (d #>> '{project,id}')::bigint);
        PERFORM plain.see_name(w.source, 'environment', d #>> '{environment,id}', now, d #>> '{environment,name}',
            (d #>> '{project,id}')::bigint);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER take_delivery INSTEAD OF INSERT ON plain.inbox FOR EACH ROW EXECUTE FUNCTION plain.take_delivery();
