-- The history in several databases: one takes deliveries in, others hold a copy that PostgreSQL's logical replication keeps, and
-- answer as it does.  What is published stands here once.

-- NULL: all columns, those of later versions included.  Never secrets, bodies, signatures or what was refused.
CREATE FUNCTION flagsmith._published(OUT relation text, OUT columns text[]) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 14
BEGIN ATOMIC
    VALUES ('webhook', NULL::text[]),
        ('delivery', ARRAY['id', 'webhook', 'source', 'received_at', 'stored_at', 'secret_id', 'event_type', 'event_at', 'digest',
            'undecoded_reason']),
        ('delivery_repeat', NULL), ('audit_log', NULL), ('flag_change', NULL), ('audit_effect', NULL),
        ('version_published', NULL), ('name', NULL), ('audit_id_block', NULL), ('pruning', NULL), ('history_mark', NULL),
        ('evidence_event', NULL), ('tree_tile', NULL), ('seal', NULL);
END;
COMMENT ON FUNCTION flagsmith._published() IS 'the tables that a publication of the history has, and their columns where not all of them';

-- As CREATE and ALTER PUBLICATION want it.
CREATE FUNCTION flagsmith._published_table(relation text, columns text[]) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('flagsmith.%I', relation)
        || coalesce(' (' || (SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.ordinal)
            FROM unnest(columns) WITH ORDINALITY AS c (name, ordinal)) || ')', '');
COMMENT ON FUNCTION flagsmith._published_table(text, text[]) IS 'a table of a publication as a statement names it';

-- What no subscriber may get, in whatever publication.
CREATE FUNCTION flagsmith._published_secrets(OUT publication text, OUT columns text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT p.pubname::text, string_agg(format('%s.%s', p.tablename, a.attname), ', ' ORDER BY p.tablename::text, a.attname)
    FROM pg_publication_tables p
    CROSS JOIN LATERAL unnest(p.attnames::text[]) AS a (attname)
    WHERE p.schemaname = 'flagsmith'
        AND (p.tablename IN ('webhook_secret', 'rejected', 'delivery') AND a.attname IN ('secret', 'body', 'signature'))
    GROUP BY p.pubname
    ORDER BY p.pubname;
END;
COMMENT ON FUNCTION flagsmith._published_secrets() IS 'which publications carry secrets, bodies or signatures';

CREATE FUNCTION flagsmith.create_publication(name text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    other record;
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'publication name must not be empty';
    END IF;
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE %s WITH (publish = ''insert, update, delete'')', name,
        (SELECT string_agg(flagsmith._published_table(p.relation, p.columns), ', ') FROM flagsmith._published() p));
    FOR other IN SELECT s.publication, s.columns FROM flagsmith._published_secrets() s LOOP
        RAISE WARNING USING MESSAGE = format('publication "%s" carries secrets, bodies or signatures', other.publication),
            DETAIL = format('Whoever may subscribe to it can read %s.', other.columns),
            HINT = format('Subscribe to "%s", and drop it or take the tables of schema flagsmith out of it.', name);
    END LOOP;
    RETURN format('In each database that is to subscribe: CREATE EXTENSION flagsmith_webhook; CREATE SUBSCRIPTION %I CONNECTION ''…'' PUBLICATION %I;',
        name, name);
END;
$function$;
COMMENT ON FUNCTION flagsmith.create_publication(text) IS 'publish what answers need, and no secrets, bodies or signatures, for subscribers that answer as this database does; returns what to run there';

CREATE FUNCTION flagsmith.check_publication(name text, OUT object text, OUT fault text, OUT remedy text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 5 SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    publication pg_publication;
BEGIN
    SELECT * INTO publication FROM pg_publication p WHERE p.pubname = check_publication.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('publication "%s" does not exist', check_publication.name),
            HINT = 'Create it with flagsmith.create_publication().';
    END IF;
    IF NOT (publication.pubinsert AND publication.pubupdate AND publication.pubdelete) THEN
        object := format('publication %I', check_publication.name);
        fault := format('does not publish %s', concat_ws(', ', CASE WHEN NOT publication.pubinsert THEN 'insert' END,
            CASE WHEN NOT publication.pubupdate THEN 'update' END, CASE WHEN NOT publication.pubdelete THEN 'delete' END));
        remedy := format('ALTER PUBLICATION %I SET (publish = ''insert, update, delete'')', check_publication.name);
        RETURN NEXT;
    END IF;
    RETURN QUERY
    WITH wanted AS (
        SELECT w.relation, w.columns AS listed,
            coalesce(w.columns, (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = format('flagsmith.%I', w.relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped)) AS columns
        FROM flagsmith._published() w
    ), there AS (
        SELECT t.tablename::text AS relation, t.attnames::text[] AS columns, t.rowfilter
        FROM pg_publication_tables t
        WHERE t.pubname = check_publication.name AND t.schemaname = 'flagsmith'
    ), judged AS (
        SELECT coalesce(w.relation, t.relation) AS relation, w.listed,
            CASE
                WHEN t.relation IS NULL THEN 'is not published'
                WHEN w.relation IS NULL THEN 'must not be published'
                WHEN t.rowfilter IS NOT NULL THEN 'is not published whole: ' || t.rowfilter
                ELSE nullif(concat_ws('; ',
                    'does not publish ' || (SELECT string_agg(c, ', ') FROM unnest(w.columns) c WHERE c <> ALL (t.columns)),
                    'must not publish ' || (SELECT string_agg(c, ', ') FROM unnest(t.columns) c WHERE c <> ALL (w.columns))), '')
            END AS fault
        FROM wanted w
        FULL JOIN there t ON t.relation = w.relation
    )
    SELECT format('table flagsmith.%I', j.relation), j.fault,
        CASE
            -- A table cannot be taken out of such a publication.
            WHEN j.fault <> 'is not published' AND NOT EXISTS (SELECT FROM pg_publication_rel r
                WHERE r.prpubid = publication.oid AND r.prrelid = format('flagsmith.%I', j.relation)::regclass)
                THEN format('DROP PUBLICATION %I; SELECT flagsmith.create_publication(%L)', check_publication.name, check_publication.name)
            ELSE concat_ws('; ',
                CASE WHEN j.fault <> 'is not published'
                    THEN format('ALTER PUBLICATION %I DROP TABLE flagsmith.%I', check_publication.name, j.relation) END,
                CASE WHEN j.fault <> 'must not be published'
                    THEN format('ALTER PUBLICATION %I ADD TABLE %s', check_publication.name, flagsmith._published_table(j.relation, j.listed)) END)
        END
    FROM judged j
    WHERE j.fault IS NOT NULL
    ORDER BY j.relation COLLATE "C";
END;
$function$;
COMMENT ON FUNCTION flagsmith.check_publication(text) IS 'what a publication of the history lacks or has too much, a row for each; after what remedy says, and after an update of the extension, ALTER SUBSCRIPTION … REFRESH PUBLICATION on each subscriber';
