CREATE FUNCTION flagsmith._drawn_flags(environment text, feature text, environment_id bigint, feature_id bigint, source text, at timestamptz,
        OUT source text, OUT environment_id bigint, OUT feature_id bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 200 ROWS 1
    AS 'MODULE_PATHNAME', 'fsw_drawn_flags';
COMMENT ON FUNCTION flagsmith._drawn_flags(text, text, bigint, bigint, text, timestamptz) IS 'the environment that is meant at an instant, and the features that ever bore the name in it';

CREATE FUNCTION flagsmith._cell(shown text, columns integer) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_cell';
COMMENT ON FUNCTION flagsmith._cell(text, integer) IS 'a text without control characters, cut and padded to a number of columns; negative: only cut';

CREATE FUNCTION flagsmith._columns(shown text) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_columns';
COMMENT ON FUNCTION flagsmith._columns(text) IS 'how many columns a text takes on a terminal';

CREATE FUNCTION flagsmith._xml(shown text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_xml';
COMMENT ON FUNCTION flagsmith._xml(text) IS 'a text as it may stand in XML';

-- In C, since a function in SQL cannot hold characters that the encoding of the database may lack.
CREATE FUNCTION flagsmith._shades() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_shades';
COMMENT ON FUNCTION flagsmith._shades() IS 'the characters of bars: on, on with another value, off, and on and off that are inferred';

-- Percentages by option, of an object of them as of an array as Flagsmith sends it; NULL if there are none.
CREATE FUNCTION flagsmith._drawn_variants(variants jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE jsonb_typeof(variants)
        WHEN 'object' THEN (SELECT string_agg('option ' || v.key || ': ' || (v.value #>> '{}') || '%', ', ' ORDER BY length(v.key), v.key COLLATE "C")
            FROM jsonb_each(variants) v)
        WHEN 'array' THEN (SELECT string_agg('option ' || (v #>> '{multivariate_feature_option,id}') || ': ' || (v ->> 'percentage_allocation') || '%', ', '
                ORDER BY length(v #>> '{multivariate_feature_option,id}'), v #>> '{multivariate_feature_option,id}' COLLATE "C")
            FROM jsonb_array_elements(variants) v)
        END;
COMMENT ON FUNCTION flagsmith._drawn_variants(jsonb) IS 'percentages by option, in a few words';

-- What a state is called beside its bar.
CREATE FUNCTION flagsmith._drawn_state(enabled boolean, value jsonb, variants jsonb, confidence flagsmith.confidence) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN confidence = 'unknown' THEN 'unknown' WHEN enabled IS NULL THEN 'not there'
        ELSE concat_ws(', ', CASE WHEN enabled THEN 'on' ELSE 'off' END, CASE WHEN value <> 'null' THEN value::text END,
            flagsmith._drawn_variants(variants), CASE WHEN confidence = 'inferred' THEN 'inferred' END) END;
COMMENT ON FUNCTION flagsmith._drawn_state(boolean, jsonb, jsonb, flagsmith.confidence) IS 'a state in a few words';

-- The bars, and the stretches of each.  A stretch is changed where its state is another than that of the one before, which a
-- mere change of confidence is not; the shade alternates with each other value, or other variants, while it is on.
CREATE FUNCTION flagsmith._drawn_stretches(source text, environment_id bigint, feature_ids bigint[], since timestamptz, until timestamptz,
        OUT bar bigint, OUT feature text, OUT feature_id bigint, OUT scope text, OUT segment text, OUT identity text,
        OUT "from" timestamptz, OUT "to" timestamptz, OUT enabled boolean, OUT value jsonb, OUT variants jsonb,
        OUT confidence flagsmith.confidence, OUT shade integer, OUT changed boolean, OUT last boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE COST 100000 ROWS 100
BEGIN ATOMIC
    WITH period AS (
        SELECT t.feature, t.feature_id, t.segment, coalesce(t.identity_identifier, t.identity) AS identity,
            coalesce(t.segment_id::text, '') AS segment_key, coalesce(t.identity_kind || ':' || t.identity, '') AS identity_key,
            greatest(lower(t.period), _drawn_stretches.since) AS "from", least(upper(t.period), _drawn_stretches.until) AS "to",
            t.enabled, t.value, t.variants, t.confidence
        FROM flagsmith.flag_timeline t
        WHERE t.source = _drawn_stretches.source AND t.environment_id = _drawn_stretches.environment_id
            AND (t.feature_id = ANY (_drawn_stretches.feature_ids)
                OR (_drawn_stretches.feature_ids IS NULL AND t.segment_id IS NULL AND t.identity IS NULL))
            AND t.period && tstzrange(_drawn_stretches.since, _drawn_stretches.until, '[)')
    ), compared AS (
        SELECT p.*, max(p.feature) OVER (PARTITION BY p.feature_id) AS named,
            -- what is seen of it: a state that is not known is none
            (lag((CASE WHEN p.confidence <> 'unknown' THEN p.enabled END, CASE WHEN p.confidence <> 'unknown' THEN p.value END,
                CASE WHEN p.confidence <> 'unknown' THEN p.variants END, p.confidence = 'unknown')::text) OVER own
                <> (CASE WHEN p.confidence <> 'unknown' THEN p.enabled END, CASE WHEN p.confidence <> 'unknown' THEN p.value END,
                CASE WHEN p.confidence <> 'unknown' THEN p.variants END, p.confidence = 'unknown')::text) AS changed,
            p.enabled AND lag((p.value, p.variants)::text) OVER alike <> (p.value, p.variants)::text AS other_value
        FROM period p
        WINDOW own AS (PARTITION BY p.feature_id, p.segment_key, p.identity_key ORDER BY p."from"),
            alike AS (PARTITION BY p.feature_id, p.segment_key, p.identity_key, p.enabled ORDER BY p."from")
    )
    SELECT dense_rank() OVER (ORDER BY c.named COLLATE "C", c.feature_id, c.segment_key <> '', c.identity_key <> '',
            c.segment COLLATE "C", c.segment_key, c.identity COLLATE "C", c.identity_key),
        c.named, c.feature_id,
        CASE WHEN c.segment_key <> '' THEN 'segment ' || coalesce(c.segment, c.segment_key)
            WHEN c.identity_key <> '' THEN 'identity ' || c.identity END,
        c.segment, c.identity, c."from", c."to", c.enabled, c.value, c.variants, c.confidence,
        (count(*) FILTER (WHERE c.other_value) OVER (PARTITION BY c.feature_id, c.segment_key, c.identity_key ORDER BY c."from") % 2)::integer,
        coalesce(c.changed, false), c."to" = max(c."to") OVER own
    FROM compared c
    WINDOW own AS (PARTITION BY c.feature_id, c.segment_key, c.identity_key ORDER BY c."from" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ORDER BY 1, c."from";
END;
COMMENT ON FUNCTION flagsmith._drawn_stretches(text, bigint, bigint[], timestamptz, timestamptz) IS 'the bars of a drawing and their stretches';

-- The acts beneath them, the newest 52, which have the letters a to z and A to Z.
CREATE FUNCTION flagsmith._drawn_acts(source text, environment_id bigint, feature_ids bigint[], since timestamptz, until timestamptz,
        OUT letter text, OUT at timestamptz, OUT who text, OUT what text, OUT feature text, OUT segment text, OUT identity text,
        OUT change_request text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE COST 100000 ROWS 50
BEGIN ATOMIC
    WITH named AS (
        SELECT array_agg(n.name) FILTER (WHERE n.kind = 'environment') AS environments,
            array_agg(n.name) FILTER (WHERE n.kind = 'project') AS projects,
            array_agg(n.name) FILTER (WHERE n.kind = 'feature') AS features
        FROM flagsmith.name n
        WHERE n.source = _drawn_acts.source
            AND (n.kind = 'environment' AND n.id = _drawn_acts.environment_id::text
                OR n.kind = 'project' AND n.id = (SELECT max(e.project_id)::text FROM flagsmith.name e
                    WHERE e.source = _drawn_acts.source AND e.kind = 'environment' AND e.id = _drawn_acts.environment_id::text)
                OR n.kind = 'feature' AND n.id = ANY (_drawn_acts.feature_ids::text[]))
    ), act AS (
        -- By time alone, which the view can do without looking at all of them.
        SELECT h.*
        FROM flagsmith.history h
        WHERE h.source = _drawn_acts.source AND h.at >= _drawn_acts.since AND h.at < _drawn_acts.until
            AND h.feature IS NOT NULL
            AND (h.environment IS NULL OR h.environment = ANY ((SELECT n.environments FROM named n)::text[]))
            AND (h.project IS NULL OR h.project = ANY ((SELECT n.projects FROM named n)::text[]))
            AND (_drawn_acts.feature_ids IS NULL OR h.feature = ANY ((SELECT n.features FROM named n)::text[]))
        ORDER BY h.at DESC
        FETCH FIRST 52 ROWS WITH TIES
    )
    SELECT chr(CASE WHEN a.n <= 26 THEN 96 ELSE 38 END + a.n::integer), a.at, a.who, a.what, a.feature, a.segment, a.identity, a.change_request
    FROM (
        -- Of one instant by all that is shown, so that every node, however it comes by the rows, gives them the same letters.
        SELECT row_number() OVER (ORDER BY a.at, a.audit_id, a.feature COLLATE "C", a.segment_id, a.identity_identifier COLLATE "C",
                a.action COLLATE "C", a.actor COLLATE "C", a.enabled, a.value, a.delivery_ids) - greatest(count(*) OVER () - 52, 0) AS n, a.at,
            coalesce(nullif(a.actor, ''), a.actor_type) AS who,
            coalesce(CASE WHEN a.action NOT IN ('updated', 'set', 'went live') THEN a.action || ' ' ELSE '' END
                || nullif(concat_ws(', ',
                    CASE WHEN a.enabled IS DISTINCT FROM a.enabled_before THEN CASE WHEN a.enabled THEN 'on' WHEN NOT a.enabled THEN 'off' END END,
                    CASE WHEN a.value IS DISTINCT FROM a.value_before AND a.value <> 'null' THEN a.value::text END,
                    CASE WHEN a.variants IS DISTINCT FROM a.variants_before THEN flagsmith._drawn_variants(a.variants) END), ''),
                concat_ws(' ', a.action, a.object)) AS what,
            a.feature, a.segment, a.identity_identifier AS identity, a.change_request
        FROM act a
    ) a
    WHERE a.n > 0
    ORDER BY a.n;
END;
COMMENT ON FUNCTION flagsmith._drawn_acts(text, bigint, bigint[], timestamptz, timestamptz) IS 'the newest acts of a drawing, with a letter each';

-- From when to when a drawing goes: without a beginning, of the last 30 days; from -infinity, as far back as is known.
CREATE FUNCTION flagsmith._drawn_range(source text, environment_id bigint, feature_ids bigint[], INOUT since timestamptz, INOUT until timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    IF until IS NULL OR until = 'infinity' THEN
        until := now();
    END IF;
    IF since = '-infinity' THEN
        since := (
            SELECT min(lower(t.period)) FILTER (WHERE isfinite(lower(t.period)))
            FROM flagsmith.flag_timeline t
            WHERE t.source = _drawn_range.source AND t.environment_id = _drawn_range.environment_id
                AND (feature_ids IS NULL OR t.feature_id = ANY (feature_ids)));
    END IF;
    -- bounded, since the difference of two extremes is no interval
    until := least(greatest(until, timestamptz '0001-01-02 00:00:00+00'), timestamptz '9999-01-01 00:00:00+00');
    since := least(greatest(coalesce(since, until - interval '30 days'), timestamptz '0001-01-01 00:00:00+00'),
        timestamptz '9999-01-01 00:00:00+00');
    IF since >= until THEN
        RAISE EXCEPTION 'the beginning of the timeline must be before its end'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It would go from %s to %s.', since, until);
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._drawn_range(text, bigint, bigint[], timestamptz, timestamptz) IS 'from when to when a drawing goes';

-- The bars as text, so many columns wide, each column one character for what was live at its end.
CREATE FUNCTION flagsmith._drawn_bars(source text, environment_id bigint, feature_ids bigint[], since timestamptz, until timestamptz, width integer,
        OUT bar bigint, OUT label text, OUT cells text, OUT marks text, OUT state text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE COST 200000 ROWS 20
BEGIN ATOMIC
    WITH glyph AS (
        -- on, on with another value, off, both inferred, unknown, several
        SELECT regexp_split_to_array(flagsmith._shades() || '?|', '') AS g
    ), stretch AS (
        SELECT s.*, least(floor(extract(epoch FROM s."from" - _drawn_bars.since) / z.step)::integer, _drawn_bars.width - 1) AS first,
            -- what begins in a column is seen in it, what ends in one is not
            CASE WHEN s."to" >= _drawn_bars.until THEN _drawn_bars.width
                ELSE floor(extract(epoch FROM s."to" - _drawn_bars.since) / z.step)::integer END - 1 AS last_column
        FROM flagsmith._drawn_stretches(_drawn_bars.source, _drawn_bars.environment_id, _drawn_bars.feature_ids, _drawn_bars.since, _drawn_bars.until) s
        CROSS JOIN (SELECT extract(epoch FROM _drawn_bars.until - _drawn_bars.since) / _drawn_bars.width AS step) z
    ), cell AS MATERIALIZED (
        SELECT s.bar, x.i,
            CASE WHEN s.confidence = 'unknown' THEN g.g[6] WHEN s.enabled IS NULL THEN ' '
                WHEN s.confidence = 'inferred' THEN g.g[CASE WHEN s.enabled THEN 4 ELSE 5 END]
                WHEN s.enabled THEN g.g[1 + s.shade] ELSE g.g[3] END AS glyph
        FROM stretch s CROSS JOIN glyph g CROSS JOIN LATERAL generate_series(s.first, s.last_column) AS x (i)
    ), busy AS MATERIALIZED (
        SELECT s.bar, s.first AS i FROM stretch s WHERE s.changed GROUP BY s.bar, s.first HAVING count(*) > 1
    ), bar AS (
        SELECT s.bar, coalesce(max(s.scope), max(s.feature)) AS label, max(s.feature) AS feature, max(s.segment) AS segment, max(s.identity) AS identity,
            max(s.scope) IS NOT NULL AS is_override,
            max(flagsmith._drawn_state(s.enabled, s.value, s.variants, s.confidence)) FILTER (WHERE s.last) AS state
        FROM stretch s
        GROUP BY s.bar
    ), mark AS MATERIALIZED (
        SELECT b.bar, m.i, CASE WHEN count(*) = 1 THEN min(m.letter) ELSE '+' END AS letter
        FROM bar b
        JOIN (SELECT a.*, least(floor(extract(epoch FROM a.at - _drawn_bars.since)
                / (extract(epoch FROM _drawn_bars.until - _drawn_bars.since) / _drawn_bars.width))::integer, _drawn_bars.width - 1) AS i
            FROM flagsmith._drawn_acts(_drawn_bars.source, _drawn_bars.environment_id, _drawn_bars.feature_ids, _drawn_bars.since, _drawn_bars.until) a) m
            ON m.feature = b.feature
            AND CASE WHEN b.is_override THEN m.segment = b.segment OR m.identity = b.identity
                ELSE _drawn_bars.feature_ids IS NULL OR (m.segment IS NULL AND m.identity IS NULL) END
        GROUP BY b.bar, m.i
    )
    SELECT b.bar, b.label,
        (SELECT string_agg(CASE WHEN w.i IS NOT NULL THEN g.g[7] ELSE coalesce(c.glyph, ' ') END, '' ORDER BY x.i)
            FROM generate_series(0, _drawn_bars.width - 1) AS x (i)
            LEFT JOIN cell c ON c.bar = b.bar AND c.i = x.i
            LEFT JOIN busy w ON w.bar = b.bar AND w.i = x.i),
        (SELECT rtrim(string_agg(coalesce(m.letter, ' '), '' ORDER BY x.i))
            FROM generate_series(0, _drawn_bars.width - 1) AS x (i)
            LEFT JOIN mark m ON m.bar = b.bar AND m.i = x.i),
        b.state
    FROM bar b CROSS JOIN glyph g
    ORDER BY b.bar;
END;
COMMENT ON FUNCTION flagsmith._drawn_bars(text, bigint, bigint[], timestamptz, timestamptz, integer) IS 'the bars of a drawing as text, with the letters of the acts beneath';

CREATE FUNCTION flagsmith._draw_lines(environment text, feature text, environment_id bigint, feature_id bigint, source text, since timestamptz, until timestamptz)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL SAFE COST 200000 ROWS 20 SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    ids     bigint[];
    title   text;
    b       record;
    a       record;
    wide    integer;        -- the labels
    bars    integer;        -- the bars; beside them stands the state at the end
    step    interval;
    g       text[];
    n       integer := 0;
BEGIN
    SELECT max(f.source), max(f.environment_id), array_agg(f.feature_id) FILTER (WHERE f.feature_id IS NOT NULL)
    INTO source, environment_id, ids
    FROM flagsmith._drawn_flags(environment, feature, environment_id, feature_id, source, coalesce(until, 'infinity')) f;
    SELECT r.since, r.until INTO since, until FROM flagsmith._drawn_range(source, environment_id, ids, since, until) r;

    SELECT coalesce(least(28, greatest(8, max(flagsmith._columns(coalesce(s.scope, s.feature))))), 8) INTO wide
    FROM flagsmith._drawn_stretches(source, environment_id, ids, since, until) s;
    bars := 100 - wide;
    step := (until - since) / bars;
    title := concat_ws('/', flagsmith._name(source, 'project', (SELECT max(n.project_id)::text FROM flagsmith.name n
        WHERE n.source = source AND n.kind = 'environment' AND n.id = environment_id::text), until),
        flagsmith._name(source, 'environment', environment_id::text, until));
    RETURN NEXT flagsmith._cell(title, -60) || format('  %s to %s', to_char(since, 'YYYY-MM-DD HH24:MI'), to_char(until, 'YYYY-MM-DD HH24:MI TZ'));
    g := regexp_split_to_array(flagsmith._shades(), '');
    RETURN NEXT format('%s%s on, another sign is another value; %s off; %s on and %s off, but inferred; ? unknown; | several changes',
        g[1], g[2], g[3], g[4], g[5]);
    RETURN NEXT rtrim(repeat(' ', wide + 1) || (
        SELECT string_agg(rpad('|' || to_char(since + i * 12 * step, CASE WHEN step * 12 >= interval '20 days' THEN 'YYYY-MM-DD' ELSE 'MM-DD HH24:MI' END), 12), '' ORDER BY i)
        FROM generate_series(0, bars / 12 - 1) i));
    FOR b IN SELECT * FROM flagsmith._drawn_bars(source, environment_id, ids, since, until, bars) ORDER BY bar LOOP
        n := n + 1;
        RETURN NEXT rtrim(flagsmith._cell(b.label, wide) || ' ' || b.cells || ' ' || flagsmith._cell(b.state, -18));
        IF b.marks <> '' THEN
            RETURN NEXT repeat(' ', wide + 1) || b.marks;
        END IF;
    END LOOP;
    IF n = 0 THEN
        RETURN NEXT 'no flag was there in that time';
    END IF;
    n := 0;
    FOR a IN SELECT * FROM flagsmith._drawn_acts(source, environment_id, ids, since, until) LOOP
        n := n + 1;
        RETURN NEXT flagsmith._cell(format('%s  %s  %s: %s, by %s', a.letter, to_char(a.at, 'YYYY-MM-DD HH24:MI:SS'),
            concat_ws(', ', a.feature, 'segment ' || a.segment, 'identity ' || a.identity), a.what, a.who)
            || coalesce(', change request ' || a.change_request, ''), -120);
    END LOOP;
    IF n = 52 THEN
        RETURN NEXT 'Older acts are in flagsmith.history.';
    END IF;
END;
$function$;
COMMENT ON FUNCTION flagsmith._draw_lines(text, text, bigint, bigint, text, timestamptz, timestamptz) IS 'the lines of timeline()';

CREATE FUNCTION flagsmith.timeline(environment text, feature text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE COST 200000 ROWS 20
BEGIN ATOMIC
    SELECT t FROM flagsmith._draw_lines($1, $2, NULL, NULL, NULL, $3, $4) t;
END;
COMMENT ON FUNCTION flagsmith.timeline(text, text, timestamptz, timestamptz) IS 'the flags of an environment, or one with its overrides, drawn as lines of at most 120 columns: bars, and the acts beneath; of the last 30 days unless told otherwise';

CREATE FUNCTION flagsmith.timeline(environment_id bigint, feature_id bigint DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
        source text DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE COST 200000 ROWS 20
BEGIN ATOMIC
    SELECT t FROM flagsmith._draw_lines(NULL, NULL, $1, $2, $5, $3, $4) t;
END;
COMMENT ON FUNCTION flagsmith.timeline(bigint, bigint, timestamptz, timestamptz, text) IS 'the flags of an environment, or one with its overrides, drawn as lines of at most 120 columns, by Flagsmith''s ids';

-- One element of the picture: a bar's stretch with its hatching.  Where is in hundredths of the width, so that a picture of any
-- width has text of one size.
CREATE FUNCTION flagsmith._drawn_rect(id text, top integer, "from" numeric, "to" numeric, enabled boolean, shade integer,
        confidence flagsmith.confidence, title text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN format('<g><title>%s</title><rect x="%s%%" y="%s" width="%s%%" height="18" fill="%s" stroke="#1f2328"/>', flagsmith._xml(title),
            round("from", 3), top, round("to" - "from", 3),
            CASE WHEN confidence = 'unknown' OR NOT enabled THEN '#ffffff' WHEN shade = 0 THEN '#12355b' ELSE '#5b87b5' END)
        || CASE WHEN confidence = 'confirmed' THEN ''
            ELSE format('<rect x="%s%%" y="%s" width="%s%%" height="18" fill="url(#%s%s)"/>', round("from", 3), top, round("to" - "from", 3), id,
                CASE WHEN confidence = 'unknown' THEN 'u' ELSE left(confidence::text, 1) || CASE WHEN enabled THEN '1' ELSE '0' END END) END
        || '</g>';
COMMENT ON FUNCTION flagsmith._drawn_rect(text, integer, numeric, numeric, boolean, integer, flagsmith.confidence, text) IS 'one stretch of a bar in SVG';

-- Hatching, the denser the less sure: of reported and inferred, on a dark and on a white bar, and of unknown.
CREATE FUNCTION flagsmith._drawn_patterns(id text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '<defs>' || (
            SELECT string_agg(format('<pattern id="%s%s" width="%s" height="%s" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
                '<path d="M0 0V%s" stroke="%s" stroke-width="%s"/></pattern>', id, p.name, p.wide, p.wide, p.wide, p.colour, p.thick), '' ORDER BY p.name)
            FROM (VALUES ('r1', 14, '#ffffff', 2), ('r0', 14, '#57606a', 2), ('i1', 6, '#ffffff', 4), ('i0', 6, '#57606a', 3)) AS p (name, wide, colour, thick))
        || format('<pattern id="%su" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<path d="M0 0V8M0 0H8" stroke="#1f2328" stroke-width="3"/></pattern></defs>', id);
COMMENT ON FUNCTION flagsmith._drawn_patterns(text) IS 'the hatching of a picture';

CREATE FUNCTION flagsmith._draw_svg(environment text, feature text, environment_id bigint, feature_id bigint, source text,
        since timestamptz, until timestamptz, width integer) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE COST 200000 SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    ids     bigint[];
    name    text;
    id      text;           -- of the picture, before those of its parts: several can stand in one page
    span    numeric;
    format_ text;
    parts   text[] := '{}';  -- since a text that grows is copied each time
    told    text := '';
    top     integer := 66;
    acts    jsonb;          -- read once
    bar     bigint := 0;
    labels  bigint := 0;
    s       record;
    a       record;
    x       numeric;
BEGIN
    IF width NOT BETWEEN 200 AND 10000 THEN
        RAISE EXCEPTION 'the width of a picture must be between 200 and 10000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT max(f.source), max(f.environment_id), array_agg(f.feature_id) FILTER (WHERE f.feature_id IS NOT NULL)
    INTO source, environment_id, ids
    FROM flagsmith._drawn_flags(environment, feature, environment_id, feature_id, source, coalesce(until, 'infinity')) f;
    SELECT r.since, r.until INTO since, until FROM flagsmith._drawn_range(source, environment_id, ids, since, until) r;
    feature := CASE WHEN ids IS NOT NULL THEN flagsmith._name(source, 'feature', ids[1]::text, until) END;
    acts := (SELECT jsonb_agg(to_jsonb(t)) FROM flagsmith._drawn_acts(source, environment_id, ids, since, until) t);
    span := extract(epoch FROM until - since) / 100;
    id := 'f' || left(md5(concat_ws('/', source, environment_id, ids::text, extract(epoch FROM since), extract(epoch FROM until))), 8);
    format_ := CASE WHEN until - since > interval '100 days' THEN 'YYYY-MM-DD' ELSE 'MM-DD HH24:MI' END;
    name := concat_ws('/', flagsmith._name(source, 'project', (SELECT max(n.project_id)::text FROM flagsmith.name n
        WHERE n.source = source AND n.kind = 'environment' AND n.id = environment_id::text), until),
        flagsmith._name(source, 'environment', environment_id::text, until));

    -- The scale.
    FOR i IN 0 .. 2 LOOP
        parts := array_append(parts, format('<text x="%s%%" y="56" class="s" text-anchor="%s">%s</text>', i * 50, (ARRAY['start', 'middle', 'end'])[i + 1],
            to_char(since + (until - since) * i / 2, format_)));
    END LOOP;
    FOR s IN SELECT t.*, d.state, d.state || CASE WHEN t.confidence IN ('reported', 'confirmed') THEN ', ' || t.confidence::text ELSE '' END AS sure
        FROM flagsmith._drawn_stretches(source, environment_id, ids, since, until) t
        CROSS JOIN LATERAL flagsmith._cell(flagsmith._drawn_state(t.enabled, t.value, t.variants, t.confidence), -120) AS d (state) ORDER BY t.bar, t."from"
    LOOP
        IF s.bar <> bar THEN
            top := top + CASE WHEN bar = 0 THEN 8 ELSE 60 END;
            bar := s.bar;
            parts := array_append(parts, format('<text x="0" y="%s" class="n">%s</text>', top + 8, flagsmith._xml(flagsmith._cell(coalesce(s.scope, s.feature), -30))));
            told := told || CASE WHEN told = '' THEN '' ELSE ' ' END || flagsmith._cell(coalesce(s.scope || ' of ', '') || s.feature, -120) || ': ';
            -- the letters of the acts, without those that would stand on another
            x := -100;
            FOR a IN SELECT t.* FROM jsonb_to_recordset(acts) AS t (letter text, at timestamptz, who text, what text, feature text, segment text, identity text, change_request text)
                WHERE t.feature = s.feature AND CASE WHEN s.scope IS NOT NULL THEN t.segment = s.segment OR t.identity = s.identity
                    ELSE ids IS NULL OR (t.segment IS NULL AND t.identity IS NULL) END
                ORDER BY t.at
            LOOP
                parts := array_append(parts, format('<svg x="%s%%" y="%s" overflow="visible"><title>%s</title><path d="M0 0L4 7H-4Z"/>%s</svg>',
                    round(extract(epoch FROM a.at - since) / span, 3), top + 33,
                    flagsmith._xml(format('%s %s, by %s', to_char(a.at, 'YYYY-MM-DD HH24:MI:SS'), flagsmith._cell(a.what, -120),
                        flagsmith._cell(a.who || coalesce(', change request ' || a.change_request, ''), -120))),
                    CASE WHEN extract(epoch FROM a.at - since) / span >= x + 2.5 THEN '<text y="18" class="s" text-anchor="middle">' || a.letter || '</text>' ELSE '' END));
                IF extract(epoch FROM a.at - since) / span >= x + 2.5 THEN
                    x := extract(epoch FROM a.at - since) / span;
                END IF;
            END LOOP;
        END IF;
        IF s.enabled IS NOT NULL OR s.confidence = 'unknown' THEN
            parts := array_append(parts, flagsmith._drawn_rect(id, top + 14, extract(epoch FROM s."from" - since) / span, extract(epoch FROM s."to" - since) / span,
                s.enabled, s.shade, s.confidence, format('%s: %s, from %s to %s', flagsmith._cell(coalesce(s.scope, s.feature), -120), s.sure,
                    to_char(s."from", 'YYYY-MM-DD HH24:MI:SS'), to_char(s."to", 'YYYY-MM-DD HH24:MI:SS'))));
        END IF;
        IF length(told) < 4000 THEN -- a description that takes longer to hear is none
            told := told || format('%s until %s%s', s.sure, to_char(s."to", 'YYYY-MM-DD HH24:MI'), CASE WHEN s.last THEN '.' ELSE ', ' END);
        END IF;
        IF s.last THEN
            parts := array_append(parts, format('<text x="100%%" y="%s" class="s" text-anchor="end">%s</text>', top + 8, flagsmith._xml(flagsmith._cell(s.state, -20))));
        END IF;
    END LOOP;
    IF bar = 0 THEN
        told := 'No flag was there in that time.';
        parts := array_append(parts, format('<text x="0" y="%s" class="s">%s</text>', top + 20, told));
    END IF;

    -- What the looks mean, in two rows, so that it fits where the picture is narrow.
    top := top + 76;
    FOR s IN SELECT * FROM (VALUES (1, 'on', true, 'confirmed'), (2, 'another value', true, 'confirmed'), (3, 'off', false, 'confirmed'),
        (4, 'reported', true, 'reported'), (5, 'inferred', true, 'inferred'), (6, 'unknown', false, 'unknown')) AS l (n, word, enabled, confidence)
    LOOP
        parts := array_append(parts, format('<svg x="%s%%" y="%s" width="32%%" height="22" overflow="visible">', (s.n - 1) % 3 * 34, top + (s.n - 1) / 3 * 26)
            || replace(flagsmith._drawn_rect(id, 0, 0, 18, s.enabled, (s.n = 2)::integer, s.confidence::flagsmith.confidence, s.word), '18.000%', '26')
            || format('<text x="32" y="14" class="s">%s</text></svg>', s.word));
    END LOOP;
    top := top + 66;
    FOR a IN SELECT t.* FROM jsonb_to_recordset(acts) AS t (letter text, at timestamptz, who text, what text, feature text, segment text, identity text, change_request text) LOOP
        parts := array_append(parts, format('<text x="0" y="%s" class="s"><tspan class="n">%s</tspan> %s %s</text><text x="14" y="%s" class="s">%s</text>', top, a.letter,
            to_char(a.at, 'YYYY-MM-DD HH24:MI:SS'), flagsmith._xml(flagsmith._cell('by ' || a.who || coalesce(', ' || a.change_request, ''), -36)), top + 15,
            flagsmith._xml(flagsmith._cell(concat_ws(', ', a.feature, 'segment ' || a.segment, 'identity ' || a.identity) || ': ' || a.what, -56))));
        labels := labels + 1;
        top := top + 36;
    END LOOP;
    IF labels = 52 THEN
        parts := array_append(parts, format('<text x="0" y="%s" class="s">Older acts are in flagsmith.history.</text>', top));
        top := top + 20;
    END IF;
    RETURN format('<svg xmlns="http://www.w3.org/2000/svg" %s role="img" aria-labelledby="%st %sd">',
            coalesce(format('width="%s" height="%s" viewBox="0 0 %s %s"', width, top, width, top), format('width="100%%" height="%s"', top)), id, id)
        || format('<title id="%st">%s</title><desc id="%sd">%s</desc>', id, flagsmith._xml(flagsmith._cell(concat_ws(': ', name, feature), -120)), id, flagsmith._xml(told))
        || format('<style>#%s text{font-family:system-ui,sans-serif;font-size:13px;fill:#1f2328}#%s .n{font-weight:bold}#%s .s{font-size:12px}#%s path{fill:#1f2328}</style>', id, id, id, id)
        || flagsmith._drawn_patterns(id)
        || '<rect width="100%" height="100%" fill="#ffffff"/>'
        || format('<svg id="%s" x="2%%" width="96%%" height="100%%" overflow="visible">', id)
        || format('<text x="0" y="20" class="n">%s</text><text x="0" y="38" class="s">%s</text>', flagsmith._xml(flagsmith._cell(concat_ws(': ', name, feature), -44)),
            to_char(since, 'YYYY-MM-DD HH24:MI') || ' to ' || to_char(until, 'YYYY-MM-DD HH24:MI TZ'))
        || array_to_string(parts, '') || '</svg></svg>';
END;
$function$;
COMMENT ON FUNCTION flagsmith._draw_svg(text, text, bigint, bigint, text, timestamptz, timestamptz, integer) IS 'the picture of timeline_svg()';

CREATE FUNCTION flagsmith.timeline_svg(environment text, feature text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
        width integer DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE COST 200000
    RETURN flagsmith._draw_svg($1, $2, NULL, NULL, NULL, $3, $4, $5);
COMMENT ON FUNCTION flagsmith.timeline_svg(text, text, timestamptz, timestamptz, integer) IS 'the flags of an environment, or one with its overrides, drawn as one SVG that needs nothing beside it: as wide as its place, or so many pixels';

CREATE FUNCTION flagsmith.timeline_svg(environment_id bigint, feature_id bigint DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
        width integer DEFAULT NULL, source text DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE COST 200000
    RETURN flagsmith._draw_svg(NULL, NULL, $1, $2, $6, $3, $4, $5);
COMMENT ON FUNCTION flagsmith.timeline_svg(bigint, bigint, timestamptz, timestamptz, integer, text) IS 'the flags of an environment, or one with its overrides, drawn as one SVG that needs nothing beside it, by Flagsmith''s ids';
