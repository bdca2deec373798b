-- Guards and indexes are no members of an extension: an owner can drop or rename them without a word, and a restore with
-- --disable-triggers leaves the guards where session_replication_role switches them off.  So what is there is compared with
-- what was installed.

-- The tables with their columns, the indexes, the triggers and the functions of the triggers, as they are now.  An index's
-- definition is without its name, which may have changed, and without storage parameters, which are for tuning.
CREATE FUNCTION flagsmith._installation(OUT kind text, OUT relation text, OUT name text, OUT definition text, OUT state text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT 'index', c.relname, i.relname,
        concat_ws(' ', CASE WHEN x.indisunique THEN 'UNIQUE' END,
            regexp_replace(substr(pg_get_indexdef(i.oid),
                length(CASE WHEN x.indisunique THEN 'CREATE UNIQUE INDEX ' ELSE 'CREATE INDEX ' END || quote_ident(i.relname)) + 2),
                ' WITH \([^)]*\)', '')),
        CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN 'valid' ELSE 'invalid' END
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class c ON c.oid = x.indrelid
    WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'r'
    UNION ALL
    SELECT 'trigger', c.relname, t.tgname, pg_get_triggerdef(t.oid),
        CASE t.tgenabled WHEN 'A' THEN 'always' WHEN 'O' THEN 'origin' WHEN 'R' THEN 'replica' ELSE 'disabled' END
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'flagsmith'::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'table', NULL, c.relname,
        (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), NULL
    FROM pg_class c
    WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'r'
    UNION ALL
    SELECT 'function', NULL, p.proname, concat_ws(' ', l.lanname, p.prosrc, p.probin), NULL
    FROM pg_proc p
    JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.prorettype = 'trigger'::regtype
$function$;
COMMENT ON FUNCTION flagsmith._installation() IS 'the tables, indexes and triggers of the schema as they are now';

-- What differs from what was installed; _installed() is made of the same at the end of the installation.
CREATE FUNCTION flagsmith._installation_fault(OUT kind text, OUT relation text, OUT name text, OUT fault text, OUT remedy text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH now AS MATERIALIZED (
        SELECT * FROM flagsmith._installation()
    )
    SELECT i.kind, i.relation, i.name,
        CASE
            WHEN renamed.name IS NOT NULL THEN format('renamed to %I', renamed.name)
            WHEN n.kind IS NULL THEN 'missing'
            WHEN n.definition <> i.definition THEN 'not as installed: ' || n.definition
            WHEN n.state = 'origin' THEN 'does not fire when session_replication_role is replica'
            WHEN n.state = 'replica' THEN 'fires only when session_replication_role is replica'
            ELSE n.state
        END,
        CASE
            WHEN i.kind = 'trigger' THEN 'SELECT flagsmith._protect_history()'
            WHEN renamed.name IS NOT NULL THEN format('ALTER INDEX flagsmith.%I RENAME TO %I', renamed.name, i.name)
            WHEN i.kind = 'index' AND n.kind IS NULL
                THEN format('CREATE %sINDEX %I %s', CASE WHEN i.definition LIKE 'UNIQUE %' THEN 'UNIQUE ' END, i.name,
                    regexp_replace(i.definition, '^UNIQUE ', ''))
            WHEN i.kind = 'index' AND n.definition = i.definition THEN format('REINDEX INDEX flagsmith.%I', i.name)
        END
    FROM jsonb_to_recordset(flagsmith._installed()) AS i (kind text, relation text, name text, definition text, state text)
    LEFT JOIN now n ON n.kind = i.kind AND n.name = i.name AND (n.relation = i.relation OR n.kind <> 'trigger')
    LEFT JOIN LATERAL (
        SELECT o.name
        FROM now o
        WHERE n.kind IS NULL AND i.kind = 'index' AND o.kind = 'index' AND o.definition = i.definition AND o.state = 'valid'
            AND NOT EXISTS (SELECT FROM jsonb_to_recordset(flagsmith._installed()) AS k (kind text, name text)
                WHERE k.kind = 'index' AND k.name = o.name)
        ORDER BY o.name
        LIMIT 1
    ) renamed ON true
    WHERE n.kind IS NULL OR n.definition <> i.definition OR n.state <> i.state;

    -- The view that stands in the way of DROP EXTENSION is needed as soon as there is something to lose.
    IF to_regclass('flagsmith.webhook') IS NULL OR to_regclass('flagsmith.delivery') IS NULL THEN
        RETURN;
    END IF;
    IF (EXISTS (SELECT FROM flagsmith.webhook) OR EXISTS (SELECT FROM flagsmith.delivery)) AND NOT EXISTS (
        SELECT FROM pg_depend d
        JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.refobjid = 'flagsmith.delivery'::regclass
            AND r.ev_class = to_regclass('flagsmith.drop_extension_would_delete_the_flag_history'))
    THEN
        kind := 'view';
        relation := 'delivery';
        name := 'drop_extension_would_delete_the_flag_history';
        fault := 'missing';
        remedy := 'SELECT flagsmith._protect_history()';
        RETURN NEXT;
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._installation_fault() IS 'part of installation_health: what differs from what was installed';

CREATE VIEW flagsmith.installation_health WITH (security_invoker = false, security_barrier = true) AS
SELECT f.kind, f.relation, f.name, f.fault, f.remedy
FROM flagsmith._installation_fault() f;
COMMENT ON VIEW flagsmith.installation_health IS 'Guards, indexes and columns of tables that are not as installed, a row for each; no row if all is well.';
COMMENT ON COLUMN flagsmith.installation_health.kind IS 'index, table, trigger, function (of a trigger) or view (the one that stands in the way of DROP EXTENSION).';
COMMENT ON COLUMN flagsmith.installation_health.relation IS 'The table or view that it is of; NULL for a function or a table.';
COMMENT ON COLUMN flagsmith.installation_health.name IS 'Its name as installed.';
COMMENT ON COLUMN flagsmith.installation_health.fault IS 'missing, renamed to …, not as installed: …, invalid (an index), disabled, or when a guard fires.';
COMMENT ON COLUMN flagsmith.installation_health.remedy IS 'The statement that puts it right, for the owner; NULL where somebody has to look first.';

-- A member table can be dropped with the extension without a word.  A view that is no member and depends on the history
-- makes DROP EXTENSION and DROP SCHEMA without CASCADE fail, and its name says why.
CREATE FUNCTION flagsmith._protect_history() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    guard record;
BEGIN
    IF to_regclass('flagsmith.drop_extension_would_delete_the_flag_history') IS NULL THEN
        BEGIN
            CREATE VIEW flagsmith.drop_extension_would_delete_the_flag_history
                WITH (security_invoker = true) AS
                SELECT count(*) AS deliveries FROM flagsmith.delivery;
            COMMENT ON VIEW flagsmith.drop_extension_would_delete_the_flag_history IS
                'Stands in the way of DROP EXTENSION flagsmith_webhook, which would delete the flag history. To do that on purpose, drop this view first.';
            PERFORM flagsmith._revoke_all('pg_class', 'flagsmith.drop_extension_would_delete_the_flag_history'::regclass);
        EXCEPTION WHEN duplicate_table OR unique_violation THEN
            -- Another session made it meanwhile.  No lock of ours: an advisory one, anybody could hold for ever.
            NULL;
        END;
    END IF;

    FOR guard IN
        SELECT i.*, f.fault
        FROM flagsmith._installation_fault() f
        JOIN jsonb_to_recordset(flagsmith._installed()) AS i (kind text, relation text, name text, definition text, state text)
            ON i.kind = f.kind AND i.relation = f.relation AND i.name = f.name
        WHERE f.kind = 'trigger'
        ORDER BY i.relation, i.name
    LOOP
        IF guard.fault = 'missing' OR guard.fault LIKE 'not as installed: %' THEN
            IF guard.fault <> 'missing' THEN
                EXECUTE format('DROP TRIGGER %I ON flagsmith.%I', guard.name, guard.relation);
            END IF;
            EXECUTE guard.definition;
        END IF;
        IF guard.state = 'always' THEN
            EXECUTE format('ALTER TABLE flagsmith.%I ENABLE ALWAYS TRIGGER %I', guard.relation, guard.name);
        END IF;
        -- Not where events come by logical replication: an id made here would be one of the publisher's.
        IF to_regclass('flagsmith.evidence_event') IS NOT NULL AND NOT flagsmith._is_subscriber() THEN
            INSERT INTO flagsmith.evidence_event (kind, detail)
                VALUES ('guard armed', format('%s of %s was: %s', guard.name, guard.relation, guard.fault));
        END IF;
        RAISE NOTICE USING MESSAGE = format('trigger "%s" of "%s" is armed again', guard.name, guard.relation),
            DETAIL = format('It was: %s.', guard.fault);
    END LOOP;
END;
$function$;
COMMENT ON FUNCTION flagsmith._protect_history() IS 'arm the guards of the history again, and make DROP EXTENSION fail while there is history';
