-- Timelines as lines and as a picture, over a small history; names that would do harm where they are shown.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
BEGIN;
CREATE FUNCTION pg_temp.deliver(body jsonb, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES ('draw', convert_to(body::text, 'UTF8'), at + interval '1 second');
END $$;
CREATE FUNCTION pg_temp.flag(at timestamptz, by text, id int, feature text, enabled boolean, value jsonb, rest jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object('changed_by', by,
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'new_state', jsonb_build_object('enabled', enabled, 'feature_state_value', value,
            'multivariate_feature_state_values', '[]'::jsonb, 'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL,
            'environment', '{"id": 801, "name": "Gallery"}'::jsonb,
            'feature', jsonb_build_object('id', id, 'name', feature, 'project', '{"id": 80, "name": "Draw"}'::jsonb)) || rest)), at) $$;
CREATE FUNCTION pg_temp.entry(at timestamptz, by text, type text, log text, rest jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.deliver(jsonb_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', jsonb_build_object('id', extract(epoch FROM at)::bigint % 1000000, 'created_date', at, 'log', log,
        'author', CASE WHEN by IS NOT NULL THEN jsonb_build_object('id', 1, 'email', by, 'first_name', '', 'last_name', '') END,
        'environment', '{"id": 801, "name": "Gallery"}'::jsonb, 'project', '{"id": 80, "name": "Draw"}'::jsonb,
        'related_object_type', type, 'is_system_event', by IS NULL) || rest), at) $$;
SELECT count(flagsmith.add_webhook('draw', source => 'draw', allow_unsigned => true, max_spool_age => NULL));
SELECT pg_temp.flag('2026-03-02 06:00Z', 'ada@example.com', 811, 'banner', false, 'null'),
    pg_temp.flag('2026-03-03 06:00Z', 'zoe@example.com', 811, 'banner', true, 'null'),
    pg_temp.flag('2026-03-04 06:00Z', 'ada@example.com', 811, 'banner', true, '"red"'),
    pg_temp.flag('2026-03-07 06:00Z', 'ada@example.com', 811, 'banner', true, '"blue"'),
    pg_temp.entry('2026-03-09 06:00Z', 'zoe@example.com', 'FEATURE_STATE', 'Flag state updated for feature: banner');
SELECT pg_temp.flag('2026-03-01 12:00Z', 'ada@example.com', 812, 'cart', true, '1', '{"multivariate_feature_state_values": [{"id": 1, "percentage_allocation": 30, "multivariate_feature_option": {"id": 9, "value": "x"}}]}'),
    pg_temp.flag('2026-03-05 12:00Z', 'ada@example.com', 812, 'cart', false, '1'), pg_temp.flag('2026-03-05 12:05Z', 'ada@example.com', 812, 'cart', true, '1'),
    pg_temp.flag('2026-03-05 12:10Z', 'ada@example.com', 812, 'cart', false, '1'),
    pg_temp.flag('2026-03-04 12:00Z', 'ada@example.com', 812, 'cart', true, '"for beta"', '{"feature_segment": {"segment": {"id": 8, "name": "beta"}, "priority": 0}}'),
    pg_temp.flag('2026-03-06 12:00Z', 'ada@example.com', 812, 'cart', false, '"for x"', '{"identity": 4, "identity_identifier": "customer <x>"}'),
    pg_temp.entry('2026-03-08 12:00:01Z', NULL, 'FEATURE_STATE', 'Scheduled change to Flag state / Remote config value went live for feature: cart by Change Request: Spring & "more"'),
    pg_temp.flag('2026-03-08 12:00:01Z', '', 812, 'cart', true, '2');

-- As lines: an environment, one flag with its overrides, by ids; none is wider than it may be.
SELECT flagsmith.timeline('Draw/Gallery', NULL, '2026-03-01', '2026-03-11');
SELECT flagsmith.timeline('Draw/Gallery', 'cart', '2026-03-01', '2026-03-11');
SELECT flagsmith.timeline(801, 811, '2026-03-02 00:00Z', '2026-03-05 00:00Z', 'draw');
SELECT flagsmith.timeline('Draw/Gallery', 'banner', '2026-02-01', '2026-02-11');
SET LOCAL TimeZone = 'America/New_York';
SELECT (array_agg(line))[1] FROM flagsmith.timeline('Draw/Gallery', 'banner', '2026-03-02', '2026-03-03') AS line;
SET LOCAL TimeZone = 'UTC';

-- Of the last 30 days, or of all that is known; the same from ids.
SELECT count(*) FROM flagsmith.timeline('Draw/Gallery', 'banner') l WHERE l LIKE 'banner %';
SELECT (array_agg(l))[1] LIKE 'Draw/Gallery  2026-03-01 12:00 to ' || to_char(now(), 'YYYY-MM-DD HH24:MI "UTC"') FROM flagsmith.timeline('Draw/Gallery', since => '-infinity', until => 'infinity') l;
SELECT flagsmith.timeline_svg('Draw/Gallery', 'cart', '2026-03-01', '2026-03-11') = flagsmith.timeline_svg(801, 812, '2026-03-01', '2026-03-11', source => 'draw') AS same,
    (SELECT array_agg(l) FROM flagsmith.timeline('Draw/Gallery', NULL, '2026-03-01', '2026-03-11') l)
    = (SELECT array_agg(l) FROM flagsmith.timeline(801, NULL, '2026-03-01', '2026-03-11', 'draw') l) AS same;

-- As a picture.
SELECT replace(flagsmith.timeline_svg('Draw/Gallery', 'banner', '2026-03-01', '2026-03-11', 720), '><', E'>\n<');

-- Whatever a name holds: nothing of it is markup, moves a cursor or turns a line around, and the lines keep their width.
SELECT pg_temp.flag('2026-03-01 12:00Z', E'<b>&"zoe\u202e"', 820 + n::int, name, true, to_jsonb(repeat(name, 2000)))
FROM unnest(ARRAY[E'</text><script>alert(1)</script>', E'a\u001b[2Jb\nc\td', E'\u202egnitset\u202c \u200bx', E'漢字漢字漢字漢字漢字漢字漢字漢字漢字', 'e' || repeat(chr(769), 50) || 'nd', '%s %n ''; --']) WITH ORDINALITY AS t (name, n);
SELECT line, flagsmith._columns(line) <= 120 AS fits FROM flagsmith.timeline('Draw/Gallery', NULL, '2026-03-01', '2026-03-02') line;
SELECT svg !~ '[\u0001-\u0008\u000b-\u001f\u202a-\u202e\u200b]' AS clean, svg !~ '<(script|b)\M' AS no_markup, svg LIKE '%&lt;/text&gt;&lt;script&gt;alert(1)%' AS shown, length(svg) < 20000 AS short
FROM flagsmith.timeline_svg('Draw/Gallery', NULL, '2026-03-01', '2026-03-02') svg;
SELECT flagsmith._cell('abcdef', 4) || '!', flagsmith._cell('ab', 4) || '!', flagsmith._cell('abcdef', -4) || '!', flagsmith._cell('ab', -4) || '!', flagsmith._cell('漢字漢', 4) || '!', flagsmith._cell(NULL, 2) || '!', flagsmith._cell('ab', 0) || '!';

-- Acts of one instant have the same letters in whatever order they came in, also where some of them have none left.
SELECT count(pg_temp.flag('2026-03-01 12:00Z', format('user %s', n), 813, 'tie', true, to_jsonb(n), format('{"environment": {"id": %s, "name": "%s"}, "feature_segment": {"segment": {"id": %s, "name": "segment %s"}, "priority": %s}}', id, name, n, n, n)::jsonb))
FROM (SELECT 803, 'Hall', n FROM generate_series(1, 54) n UNION ALL SELECT 804, 'Mall', n FROM generate_series(54, 1, -1) n) AS e (id, name, n);
SELECT l FROM flagsmith.timeline('Draw/Hall', 'tie', '2026-03-01', '2026-03-02') l WHERE l ~ '^ *[abZ]  ';
SELECT array_agg(replace(l, 'Mall', 'Hall')) = (SELECT array_agg(l) FROM flagsmith.timeline('Draw/Hall', 'tie', '2026-03-01', '2026-03-02') l) AS same FROM flagsmith.timeline('Draw/Mall', 'tie', '2026-03-01', '2026-03-02') l;

-- What cannot be drawn.
SAVEPOINT s;
SELECT flagsmith.timeline('Draw/Galery');
ROLLBACK TO s;
SELECT flagsmith.timeline('Draw/Gallery', 'baner');
ROLLBACK TO s;
SELECT flagsmith.timeline(NULL::text);
ROLLBACK TO s;
SELECT flagsmith.timeline(802, source => 'draw');
ROLLBACK TO s;
SELECT flagsmith.timeline('Draw/Gallery', NULL, '2026-03-11', '2026-03-01');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT flagsmith.timeline_svg('Draw/Gallery', NULL, '2026-03-01', '2026-03-11', 100);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;

-- A reader draws, a caller does not.
CREATE ROLE regress_flagsmith_draw;
SELECT flagsmith.grant_caller('regress_flagsmith_draw');
SET LOCAL ROLE regress_flagsmith_draw;
SAVEPOINT r;
SELECT flagsmith.timeline('Draw/Gallery');
ROLLBACK TO r;
RESET ROLE;
SELECT flagsmith.grant_reader('regress_flagsmith_draw');
SET LOCAL ROLE regress_flagsmith_draw;
SELECT count(*) > 5 FROM flagsmith.timeline('Draw/Gallery', NULL, '2026-03-01', '2026-03-11');
SELECT length(flagsmith.timeline_svg('Draw/Gallery', 'cart', '2026-03-01', '2026-03-11')) > 1000;
ROLLBACK;
