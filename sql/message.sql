-- Audit log messages: every sentence of every release, and every way to split it.

-- what is known of a message, on one line
CREATE FUNCTION pg_temp.say(log text, related_object_type text) RETURNS text
LANGUAGE sql AS $$
    SELECT concat_ws(' | ', coalesce(p.action, '-'), coalesce(p.object, '-'), coalesce(p.audit_effect, '-'),
                     CASE WHEN p.ambiguous THEN 'ambiguous' END,
                     p.splits)
    FROM flagsmith.parse_log(log, related_object_type) AS p
$$;

\pset format unaligned
\pset footer off

-- Every template with plain names.  The numbers are only for finding a line.
CREATE TEMPORARY TABLE template (n int, type text, log text);
INSERT INTO template VALUES
    (1, 'FEATURE', 'New Flag / Remote Config created: F'),
    (2, 'FEATURE_STATE', 'New Flag / Remote Config created: F'),
    (3, 'FEATURE', 'Flag / Remote Config updated: F'),
    (4, 'FEATURE', 'Flag / Remote Config Deleted: F'),
    (4, 'FEATURE_STATE', 'Flag / Remote Config Deleted: F'),
    (5, 'FEATURE_STATE', 'Flag state updated for feature: F'),
    (6, 'FEATURE_STATE', 'Flag state / Remote Config value updated for feature: F'),
    (7, 'FEATURE_STATE', 'Remote config value updated for feature: F'),
    (8, 'FEATURE_STATE', $$Multivariate value changed for feature 'F'.$$),
    (9, 'FEATURE_STATE', $$Multivariate value changed for feature 'F' and identity 'I'.$$),
    (10, 'FEATURE_STATE', $$Multivariate value changed for feature 'F' and segment 'S'.$$),
    (11, 'FEATURE', $$Multivariate option added to feature 'F'.$$),
    (11, 'FEATURE', $$Multivariate option removed from feature 'F'.$$),
    (12, 'FEATURE_STATE', $$Flag state / Remote config value updated for feature 'F' and identity 'I'$$),
    (13, 'FEATURE_STATE', $$Flag state / Remote config value updated for feature 'F' and segment 'S'$$),
    (14, 'FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'F' and identity 'I'$$),
    (15, 'FEATURE', $$Flag state / Remote config value deleted for feature 'F' and segment 'S'$$),
    (15, 'FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'F' and segment 'S'$$),
    (16, 'FEATURE_STATE', $$Remote config value updated for identity override on feature 'F' and identity 'I'.$$),
    (17, 'FEATURE_STATE', $$Remote config updated for segment override on feature 'F' and segment 'S'.$$),
    (18, 'FEATURE', $$Segment overrides re-ordered for feature 'F'.$$),
    (19, 'FEATURE_STATE', 'Flag state / Remote Config value update scheduled for 01/03/2026 06:00:00 for feature: F'),
    (20, 'FEATURE_STATE', $$Identity override scheduled for 01/03/2026 06:00:00 for feature 'F' and identity 'I'$$),
    (21, 'FEATURE_STATE', $$Segment override scheduled for 01/03/2026 06:00:00 for feature 'F' and segment 'S'$$),
    (22, 'FEATURE_STATE', $$Flag state for feature 'F' scheduled for update by Change Request 'C' at March 1, 2026, 6 a.m..$$),
    (22, 'FEATURE_STATE', $$Flag state for feature 'F' scheduled for update by Change Request 'C' at Sept. 14, 2026, 1:30 p.m..$$),
    (22, 'FEATURE_STATE', $$Flag state for feature 'F' scheduled for update by Change Request 'C' at Dec. 31, 2026, noon.$$),
    (23, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: F by Change Request: C'),
    (24, 'FEATURE_STATE', 'Scheduled change to Flag state / Remote config value went live for feature: F by Change Request: C'),
    (25, 'EF_VERSION', 'New version published for feature: F'),
    (26, 'CHANGE_REQUEST', 'Change Request: C created'),
    (26, 'CHANGE_REQUEST', 'Change Request: C approved'),
    (26, 'CHANGE_REQUEST', 'Change Request: C committed'),
    (26, 'CHANGE_REQUEST', 'Change Request: C deleted'),
    (27, 'SEGMENT', 'New Segment created: S'),
    (27, 'SEGMENT', 'New Segment created: S (via Amplitude cohort sync)'),
    (27, 'SEGMENT', 'Segment updated: S'),
    (27, 'SEGMENT', 'Segment deleted: S'),
    (27, 'SEGMENT', $$Condition added to segment 'S'.$$),
    (27, 'SEGMENT', $$Condition updated on segment 'S'.$$),
    (27, 'SEGMENT', $$Condition removed from segment 'S'.$$),
    (28, 'ENVIRONMENT', 'New Environment created: E'),
    (28, 'ENVIRONMENT', 'Environment updated: E'),
    (29, 'EDGE_IDENTITY', $$Feature override created for feature 'F' and identity 'I'$$),
    (29, 'EDGE_IDENTITY', $$Feature override updated for feature 'F' and identity 'I'$$),
    (29, 'EDGE_IDENTITY', $$Feature override deleted for feature 'F' and identity 'I'$$),
    (30, 'IMPORT_REQUEST', 'New LaunchDarkly import requested'),
    (30, 'IMPORT_REQUEST', 'LaunchDarkly import completed successfully'),
    (30, 'IMPORT_REQUEST', 'LaunchDarkly import failed'),
    (30, 'IMPORT_REQUEST', 'LaunchDarkly import failed with error: X'),
    (30, 'IMPORT_REQUEST', E'LaunchDarkly import failed with errors:\n- one\n- two'),
    (31, 'FEATURE_HEALTH', 'Health provider N set up for project P.'),
    (31, 'FEATURE_HEALTH', 'Health provider N removed from project P.'),
    (32, 'FEATURE_HEALTH', 'Health status changed to HEALTHY for feature F.'),
    (32, 'FEATURE_HEALTH', E'Health status changed to HEALTHY for feature F.\n\nProvided by N'),
    (32, 'FEATURE_HEALTH', E'Health status changed to HEALTHY for feature F.\n\nReason:\n{}'),
    (32, 'FEATURE_HEALTH', E'Health status changed to HEALTHY for feature F.\n\nProvided by N\n\nReason:\n{}'),
    (32, 'FEATURE_HEALTH', 'Health status changed to UNHEALTHY for feature F in environment E.'),
    (32, 'FEATURE_HEALTH', E'Health status changed to UNHEALTHY for feature F in environment E.\n\nProvided by N'),
    (32, 'FEATURE_HEALTH', E'Health status changed to UNHEALTHY for feature F in environment E.\n\nReason:\n{}'),
    (32, 'FEATURE_HEALTH', E'Health status changed to UNHEALTHY for feature F in environment E.\n\nProvided by N\n\nReason:\n{}'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N created'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N cloned'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N updated'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N published'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N Converted to Draft'),
    (33, 'RELEASE_PIPELINE', 'Release Pipeline: N deleted'),
    (34, 'RELEASE_PIPELINE', 'Feature: F added to Release Pipeline: N'),
    (34, 'RELEASE_PIPELINE', 'Feature: F removed from Release Pipeline: N'),
    (35, 'FEATURE_STATE', 'Flag state / Remote config updated for feature: F by Release pipeline: N (stage: G)'),
    (36, 'RELEASE_PIPELINE', 'Phased rollout created for feature: F by release pipeline: N (stage: G)'),
    (36, 'RELEASE_PIPELINE', $$Phased rollout split changed from '10%' to '20%' for feature 'F' by release pipeline 'N' (stage: 'G')$$),
    (37, 'WAREHOUSE_CONNECTION', 'Warehouse connection created for environment E'),
    (37, 'WAREHOUSE_CONNECTION', 'Warehouse connection updated for environment E'),
    (37, 'WAREHOUSE_CONNECTION', 'Warehouse connection deleted for environment E'),
    (38, 'EXPERIMENT', $$Experiment 'N' created for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' updated for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' deleted for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' running for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' paused for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' completed for environment E$$),
    (38, 'EXPERIMENT', $$Experiment 'N' rollout set to 25% of segments [1, 2] (any)$$),
    (39, 'METRIC', $$Metric 'N' created$$),
    (39, 'METRIC', $$Metric 'N' updated$$),
    (39, 'METRIC', $$Metric 'N' deleted$$),
    (40, 'FEATURE', 'Segment rules updated for flag: F'),
    (40, 'FEATURE', 'Segment rules updated for flag: F in environment: E'),
    (41, 'FEATURE_STATE', $$Identity override created for feature 'F' and identity 'I'$$),
    (41, 'FEATURE_STATE', $$Segment override created for feature 'F' and segment 'S'$$),
    (42, 'FEATURE', 'New Flag / Remote Config created'),
    (42, 'FEATURE', 'Flag / Remove Config updated'),
    (42, 'FEATURE', 'Flag / Remove Config updated: F');
SELECT n, type, log, pg_temp.say(log, type) AS says FROM template ORDER BY n, type COLLATE "C", log COLLATE "C";

-- Texts of real and of made bodies.
SELECT log, pg_temp.say(log, type) AS says FROM (VALUES
    ('FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'a' and segment 'b 3' and identity 'ключ-11'$$),
    ('FEATURE_STATE', $$Remote config value updated for identity override on feature 'a' and segment 'b 3' and identity 'ключ-11'.$$),
    ('FEATURE', $$Flag state / Remote config value deleted for feature 'a' and segment 'b 3' and segment '顧客 13'$$),
    ('FEATURE_STATE', $$Remote config updated for segment override on feature 'a' and segment 'b 3' and segment '顧客 13'.$$),
    ('FEATURE_STATE', 'Flag state updated for feature: banner 1'),
    ('ENVIRONMENT', 'New Environment created: Development'),
    ('ENVIRONMENT', 'Environment updated: Development 15'),
    ('FEATURE', 'Flag / Remote Config Deleted: naïve_Größe_1'),
    ('FEATURE_STATE', 'Flag / Remote Config Deleted: naïve_Größe_1'),
    ('FEATURE', 'Flag / Remote Config updated: banner 4'),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'for feature: z 3' and identity '0f8fad5b-d9cb-469f-a165-000000000006'$$),
    ('FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'for feature: z 3' and identity '0f8fad5b-d9cb-469f-a165-000000000006'$$),
    ('FEATURE_STATE', $$Remote config value updated for identity override on feature 'for feature: z 3' and identity '0f8fad5b-d9cb-469f-a165-000000000006'.$$),
    ('FEATURE', $$Multivariate option added to feature 'banner 1'.$$),
    ('FEATURE_STATE', $$Multivariate value changed for feature 'banner 4'.$$),
    ('FEATURE_STATE', $$Multivariate value changed for feature 'a' and segment 'b 2'.$$),
    ('FEATURE', $$Multivariate option removed from feature 'for feature: z 5'.$$),
    ('FEATURE', 'New Flag / Remote Config created: banner 1'),
    ('FEATURE_STATE', 'New Flag / Remote Config created: banner 1'),
    ('FEATURE', E'New Flag / Remote Config created: line\nbreak 4'),
    ('FEATURE', $$Segment overrides re-ordered for feature 'release by Change Request: 1'.$$),
    ('FEATURE_STATE', 'Flag / Remote Config Deleted: HAS OVERRIDES'),
    ('SEGMENT', 'Segment deleted: beta_18'),
    ('SEGMENT', 'New Segment created: VIP "gold" 7'),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'banner 3' and segment 'Kunden in Köln 9'$$),
    ('FEATURE', $$Flag state / Remote config value deleted for feature 'banner 3' and segment 'Kunden in Köln 9'$$),
    ('FEATURE_STATE', $$Remote config updated for segment override on feature 'banner 3' and segment 'Kunden in Köln 9'.$$),
    ('SEGMENT', 'Segment updated: 顧客 9'),
    ('FEATURE_STATE', 'Flag state updated for feature: naïve_Größe_1'),
    ('FEATURE', 'New Flag / Remote Config created: my_feature'),
    ('ENVIRONMENT', 'New Environment created: live – green'),
    ('SEGMENT', 'New Segment created: عملاء 7'),
    ('FEATURE_STATE', 'Remote config value updated for feature: naïve_Größe_1'),
    ('EF_VERSION', 'New version published for feature: back\slash\5'),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'it's' and identity 'x' and identity 'y'$$),
    ('FEATURE_STATE', 'Flag state updated for feature: checkout_redesign'),
    ('CHANGE_REQUEST', 'Change Request: Turn on checkout approved'),
    ('CHANGE_REQUEST', 'Change Request: Turn on checkout committed'),
    ('CHANGE_REQUEST', 'Change Request: Turn on checkout created'),
    ('CHANGE_REQUEST', 'Change Request: what Ada created deleted'),
    ('EDGE_IDENTITY', $$Feature override updated for feature 'checkout_redesign' and identity 'device:0042'$$),
    ('ENVIRONMENT', 'New Environment created: Production'),
    ('ENVIRONMENT', 'Environment updated: Staging'),
    ('EXPERIMENT', $$Experiment 'checkout A/B' running for environment Production$$),
    ('FEATURE_STATE', 'New Flag / Remote Config created: checkout_redesign'),
    ('FEATURE', 'New Flag / Remote Config created: checkout_redesign'),
    ('FEATURE', 'Flag / Remote Config Deleted: checkout_redesign'),
    ('FEATURE_STATE', 'Flag / Remote Config Deleted: checkout_redesign'),
    ('FEATURE_HEALTH', E'Health status changed to HEALTHY for feature checkout_redesign in environment Production.\n\nProvided by Grafana\n\nReason:\n{"text_blocks": [{"text": "Manually dismissed by ada@example.com"}], "url_blocks": []}'),
    ('FEATURE', 'Flag / Remote Config updated: checkout_redesign'),
    ('FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'checkout_redesign' and identity 'user-0001@example.com'$$),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'checkout_redesign' and identity 'user-0001@example.com'$$),
    ('FEATURE_STATE', $$Remote config value updated for identity override on feature 'checkout_redesign' and identity 'user-0001@example.com'.$$),
    ('IMPORT_REQUEST', E'LaunchDarkly import failed with errors:\n- flag a: unsupported\n- flag b: “bad” rule'),
    ('FEATURE_STATE', 'Flag state / Remote Config value updated for feature: old_flag'),
    ('METRIC', $$Metric 'conversion' created$$),
    ('FEATURE', $$Multivariate option added to feature 'button_colour'.$$),
    ('FEATURE_STATE', $$Multivariate value changed for feature 'button_colour'.$$),
    ('RELEASE_PIPELINE', 'Release Pipeline: weekly created'),
    ('FEATURE_STATE', 'Remote config value updated for feature: checkout_redesign'),
    ('FEATURE_STATE', $$Flag state for feature 'checkout_redesign' scheduled for update by Change Request 'Turn on checkout' at March 1, 2026, 6 a.m..$$),
    ('FEATURE_STATE', 'Scheduled change to Flag state / Remote config value went live for feature: checkout_redesign by Change Request: Turn on checkout'),
    ('SEGMENT', 'New Segment created: beta_testers'),
    ('SEGMENT', 'Segment deleted: beta_testers'),
    ('FEATURE', $$Flag state / Remote config value deleted for feature 'checkout_redesign' and segment 'beta_testers'$$),
    ('FEATURE_STATE', $$Segment override scheduled for 01/03/2026 06:00:00 for feature 'checkout_redesign' and segment 'beta_testers'$$),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'checkout_redesign' and segment 'beta_testers'$$),
    ('FEATURE_STATE', $$Remote config updated for segment override on feature 'checkout_redesign' and segment 'beta_testers'.$$),
    ('FEATURE', $$Segment overrides re-ordered for feature 'checkout_redesign'.$$),
    ('SEGMENT', 'Segment updated: beta_testers'),
    ('FEATURE', 'New Flag / Remote Config created: sample_flag'),
    ('FEATURE_STATE', 'Flag state / Remote config updated for feature: checkout_redesign by Change Request: Turn on checkout'),
    ('EF_VERSION', 'New version published for feature: checkout_redesign'),
    ('WAREHOUSE_CONNECTION', 'Warehouse connection updated for environment Production')
) AS body (type, log) ORDER BY log COLLATE "C", type COLLATE "C";

-- A name that contains the words between two names: never guessed.
SELECT log, pg_temp.say(log, type) AS says FROM (VALUES
    -- both names could
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'a' and identity 'b' and identity 'c'$$),
    -- identity or segment override?
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'a' and segment 'b' and identity 'c'$$),
    -- the type decides
    ('FEATURE_STATE', $$Flag state / Remote config value deleted for feature 'a' and segment 'b' and identity 'c'$$),
    ('FEATURE', $$Flag state / Remote config value deleted for feature 'a' and segment 'b' and segment 'c'$$),
    (NULL, $$Flag state / Remote config value deleted for feature 'a' and segment 'b' and identity 'c'$$),
    -- separators that share their quotes
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature 'a' and identity ' and identity 'b'$$),
    ('FEATURE_STATE', $$Flag state / Remote config updated for feature: a by Change Request: b by Change Request: c$$),
    ('FEATURE_STATE', $$Flag state / Remote config updated for feature: a by Change Request: b by Release pipeline: c (stage: d)$$),
    ('RELEASE_PIPELINE', $$Feature: a added to Release Pipeline: b removed from Release Pipeline: c$$),
    ('EXPERIMENT', $$Experiment 'a' paused for environment b' created for environment c$$),
    -- no ambiguity: one sentence, and its first or last word decides
    ('CHANGE_REQUEST', $$Change Request: undo what was created deleted$$),
    ('FEATURE_STATE', $$Flag state updated for feature: a' and identity 'b$$),
    -- all splits agree on the time
    ('FEATURE_STATE', $$Identity override scheduled for 01/03/2026 06:00:00 for feature 'a' and identity 'b' and identity 'c'$$),
    -- weak splits: right only if a name contains what belongs to the longer sentence
    ('FEATURE_STATE', $$Multivariate value changed for feature 'a' and segment 'b' and identity 'c'.$$),
    ('SEGMENT', $$New Segment created: a (via Mixpanel cohort sync)$$),
    ('FEATURE', $$Segment rules updated for flag: a in environment: b in environment: c$$)
) AS odd (type, log);
SELECT feature, identity, scheduled_for, ambiguous
FROM flagsmith.parse_log($$Identity override scheduled for 01/03/2026 06:00:00 for feature 'a' and identity 'b' and identity 'c'$$, 'FEATURE_STATE');

-- Times.  What is none is read as one only where nothing else fits, and then the end of it may be in doubt.
SELECT t, p.scheduled_for, p.feature, p.ambiguous
FROM unnest(ARRAY[
    '01/03/2026 06:00:00', '31/12/2026 23:59:59', '32/12/2026 23:59:59', '1/3/2026 06:00:00', '2026-03-01T06:00:00Z',
    'Jan. 1, 2026, midnight', 'May 31, 2026, noon', 'May 31, 2026, 12:05 a.m.', 'May 31, 2026, 13 a.m.', 'May 32, 2026, 1 a.m.',
    'Mai 31, 2026, 1 a.m.', 'May 31, 2026, 1', 'May', '']) WITH ORDINALITY AS f (t, i),
    flagsmith.parse_log('Flag state / Remote Config value update scheduled for ' || t || ' for feature: x for feature: y', 'FEATURE_STATE') AS p
ORDER BY i;
SELECT pg_temp.say('Flag state / Remote Config value update scheduled for tomorrow for feature: a for feature: b', 'FEATURE_STATE');
SELECT pg_temp.say($$Flag state for feature 'a' scheduled for update by Change Request 'b' at noon' at March 1, 2026, noon.$$, 'FEATURE_STATE');

-- Empty names only where nothing else fits.
SELECT log, pg_temp.say(log, 'FEATURE_STATE') AS says FROM (VALUES
    ($$Flag state updated for feature: $$),
    ($$Flag state / Remote config value updated for feature '' and identity ''$$),
    ($$Flag state / Remote config value updated for feature '' and identity 'a' and identity ''$$)
) AS empty (log);

-- The type: of the message, unknown, missing, another; and what is no message.
SELECT type, log, pg_temp.say(log, type) AS says FROM (VALUES
    ('SEGMENT', 'Segment updated: a'),
    ('SEGMENT_OF_THE_FUTURE', 'Segment updated: a'),
    (NULL, 'Segment updated: a'),
    ('', 'Segment updated: a'),
    ('FEATURE', 'Segment updated: a'),
    (NULL, 'New Flag / Remote Config created: a'),
    ('SEGMENT', 'segment updated: a'),
    ('SEGMENT', ' Segment updated: a'),
    ('SEGMENT', 'Segment updated:'),
    ('METRIC', $$Metric 'a' created $$),
    ('IMPORT_REQUEST', 'LaunchDarkly import failed '),
    ('FEATURE_STATE', $$Multivariate value changed for feature 'a'$$),
    ('FEATURE_STATE', $$Multivariate value changed for feature '$$),
    ('FEATURE', ''),
    ('FEATURE', 'Flag archived: a')
) AS other (type, log);
SELECT p IS NULL AS all_null FROM flagsmith.parse_log(NULL, 'FEATURE') AS p;
SELECT p IS NULL AS all_null FROM flagsmith.parse_log(NULL, NULL) AS p;

-- Whatever the names, the true split is among the splits.
CREATE TEMPORARY TABLE odd_name AS
SELECT name FROM unnest(ARRAY[
    'plain', $$'$$, $$''$$, $$it's$$, '.', '..', ' ', ' x ', E'line\nbreak', E'\n\nReason:\n', E'tab\there', 'back\slash', '100% %s {x}',
    '{feature}', 'ключ', 'שלום', U&'\202Etxet\202C', U&'\+01F3F3\FE0F\200D\+01F308', repeat('long', 500),
    $$' and identity '$$, $$' and segment '$$, $$a' and identity 'b$$, $$a' and segment 'b$$, $$' and identity ' and identity '$$,
    'x by Change Request: y', ' by Change Request: ', 'x by Release pipeline: y (stage: z)', 'created', 'x created', 'x for feature: y',
    '01/03/2026 06:00:00', '01/03/2026 06:00:00 for feature: y', $$x' at March 1, 2026, 6 a.m.$$,
    $$' scheduled for update by Change Request '$$, 'x in environment y', E'x.\n\nProvided by y', 'x added to Release Pipeline: y',
    $$x' created for environment y$$, 'x (via y cohort sync)'
]) AS name;
CREATE TEMPORARY TABLE sentence (type text, form text, first text, second text);
INSERT INTO sentence VALUES
    ('FEATURE', 'New Flag / Remote Config created: %s', 'feature', NULL),
    ('FEATURE_STATE', 'Flag state updated for feature: %s', 'feature', NULL),
    ('FEATURE_STATE', $$Multivariate value changed for feature '%s'.$$, 'feature', NULL),
    ('FEATURE_STATE', $$Multivariate value changed for feature '%s' and identity '%s'.$$, 'feature', 'identity'),
    ('FEATURE_STATE', $$Multivariate value changed for feature '%s' and segment '%s'.$$, 'feature', 'segment'),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature '%s' and identity '%s'$$, 'feature', 'identity'),
    ('FEATURE_STATE', $$Flag state / Remote config value updated for feature '%s' and segment '%s'$$, 'feature', 'segment'),
    ('FEATURE_STATE', $$Flag state / Remote config value deleted for feature '%s' and identity '%s'$$, 'feature', 'identity'),
    ('FEATURE', $$Flag state / Remote config value deleted for feature '%s' and segment '%s'$$, 'feature', 'segment'),
    ('FEATURE_STATE', $$Remote config value updated for identity override on feature '%s' and identity '%s'.$$, 'feature', 'identity'),
    ('FEATURE_STATE', $$Remote config updated for segment override on feature '%s' and segment '%s'.$$, 'feature', 'segment'),
    ('FEATURE_STATE', 'Flag state / Remote Config value update scheduled for 01/03/2026 06:00:00 for feature: %s', 'feature', NULL),
    ('FEATURE_STATE', $$Identity override scheduled for 01/03/2026 06:00:00 for feature '%s' and identity '%s'$$, 'feature', 'identity'),
    ('FEATURE_STATE', $$Flag state for feature '%s' scheduled for update by Change Request '%s' at March 1, 2026, 6 a.m..$$, 'feature', 'change_request'),
    ('FEATURE_STATE', 'Flag state / Remote config updated for feature: %s by Change Request: %s', 'feature', 'change_request'),
    ('FEATURE_STATE', 'Scheduled change to Flag state / Remote config value went live for feature: %s by Change Request: %s', 'feature', 'change_request'),
    ('CHANGE_REQUEST', 'Change Request: %s created', 'change_request', NULL),
    ('SEGMENT', 'New Segment created: %s', 'segment', NULL),
    ('SEGMENT', 'Segment deleted: %s', 'segment', NULL),
    ('FEATURE_HEALTH', 'Health status changed to HEALTHY for feature %s in environment %s.', 'feature', 'environment'),
    ('FEATURE_HEALTH', E'Health status changed to HEALTHY for feature %s.\n\nProvided by %s', 'feature', 'name'),
    ('RELEASE_PIPELINE', 'Feature: %s added to Release Pipeline: %s', 'feature', 'name'),
    ('EXPERIMENT', $$Experiment '%s' created for environment %s$$, 'name', 'environment'),
    ('FEATURE', 'Segment rules updated for flag: %s in environment: %s', 'feature', 'environment');
CREATE TEMPORARY TABLE trial AS
SELECT s.form, p.*,
       jsonb_build_object(s.first, a.name) || CASE WHEN s.second IS NULL THEN '{}' ELSE jsonb_build_object(s.second, b.name) END AS truth
FROM sentence AS s
    CROSS JOIN odd_name AS a
    JOIN odd_name AS b ON s.second IS NOT NULL OR b.name = a.name
    CROSS JOIN flagsmith.parse_log(format(s.form, a.name, b.name), s.type) AS p;
SELECT count(*) AS messages, count(*) FILTER (WHERE ambiguous) AS ambiguous, max(jsonb_array_length(splits)) AS most_splits FROM trial;
SELECT form, truth, splits FROM trial
WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(splits) AS s WHERE s @> truth);
-- the columns hold what all splits but the weak ones agree on, the time and the effect aside
SELECT form, truth FROM trial AS t
WHERE jsonb_strip_nulls(jsonb_build_object('feature', feature, 'segment', segment, 'identity', identity, 'environment', environment,
                                           'change_request', change_request, 'name', name))
      IS DISTINCT FROM (
        SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM (
            SELECT e.key, min(e.value) AS value
            FROM jsonb_array_elements(t.splits) AS s, jsonb_each_text(s - 'scheduled_for') AS e
            WHERE NOT s ? 'weak'
            GROUP BY e.key
            HAVING count(DISTINCT e.value) = 1
                AND count(*) = (SELECT count(*) FROM jsonb_array_elements(t.splits) AS s WHERE NOT s ? 'weak')) AS agreed);
SELECT form, truth FROM trial
WHERE ambiguous <> ((SELECT count(*) FROM jsonb_array_elements(splits) AS s WHERE NOT s ? 'weak') > 1);

-- Bounds.  If there are too many splits, both ends are kept: one name may be full of separators.
SELECT p.ambiguous, jsonb_array_length(p.splits) AS splits,
       p.splits @> '[{"identity": "plain"}]' AS last_kept,
       p.splits @> '[{"feature": "x"}]' AS first_kept
FROM flagsmith.parse_log($$Flag state / Remote config value updated for feature '$$ || repeat($$x' and identity '$$, 200) || $$plain'$$, 'FEATURE_STATE') AS p;
SELECT length(m) AS length, p.action, p.ambiguous, jsonb_array_length(p.splits) BETWEEN 2 AND 64 AS bounded
FROM (VALUES
    ($$Flag state / Remote config value updated for feature '$$ || repeat($$x' and identity '$$, 65000) || $$'$$, 'FEATURE_STATE'),
    ($$Flag state / Remote config value updated for feature '$$ || repeat($$x' and segment 'y' and identity '$$, 35000) || $$'$$, NULL),
    ($$Flag state for feature '$$ || repeat($$' scheduled for update by Change Request 'x' at $$, 20000) || 'March 1, 2026, 6 a.m..', 'FEATURE_STATE'),
    ($$Flag state for feature '$$ || repeat($$' scheduled for update by Change Request 'x' at $$, 20000) || 'March 0, 2026, 6 a.m..', 'FEATURE_STATE'),
    ($$Phased rollout split changed from '$$ || repeat($$%' to '%' for feature '' by release pipeline '' (stage: '$$, 17000) || $$')$$, 'RELEASE_PIPELINE'),
    ('Health status changed to HEALTHY for feature ' || repeat(E'x in environment y.\n\nProvided by z\n\nReason:\nq', 21000), 'FEATURE_HEALTH'),
    ($$Multivariate value changed for feature '$$ || repeat($$'$$, 1000000) || $$'.$$, 'FEATURE_STATE'),
    (repeat('Flag state / Remote config value ', 30000), NULL)
) AS large (m, type), flagsmith.parse_log(m, type) AS p;

-- It depends on nothing but its arguments, and nobody may call it unasked.
SELECT provolatile, proisstrict, proparallel, has_function_privilege('public', oid, 'EXECUTE') AS granted
FROM pg_proc WHERE oid = 'flagsmith.parse_log(text,text)'::regprocedure;
