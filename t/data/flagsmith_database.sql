-- The tables of a self-hosted Flagsmith 2.265 that the back-fill reads, with the columns that it reads and some that it must
-- not, and functions that write into them what Flagsmith writes when somebody acts.  What was live is noted in truth.
CREATE TABLE projects_project (id int PRIMARY KEY, uuid uuid DEFAULT gen_random_uuid(), deleted_at timestamptz, name varchar(2000) NOT NULL,
    created_date timestamptz, organisation_id int NOT NULL, hide_disabled_flags bool DEFAULT false, enable_dynamo_db bool DEFAULT false,
    prevent_flag_defaults bool DEFAULT false, enable_realtime_updates bool DEFAULT false, only_allow_lower_case_feature_names bool DEFAULT true,
    feature_name_regex varchar(255), show_edge_identity_overrides_for_feature bool DEFAULT false, stale_flags_limit_days int DEFAULT 30,
    identity_overrides_v2_migration_status varchar(50) DEFAULT 'NOT_STARTED', minimum_change_request_approvals int,
    enforce_feature_owners bool DEFAULT false);
CREATE TABLE environments_environment (id int PRIMARY KEY, uuid uuid DEFAULT gen_random_uuid(), deleted_at timestamptz, name varchar(2000) NOT NULL,
    created_date timestamptz, project_id int NOT NULL, api_key varchar(100) DEFAULT 'the client side key', description text,
    minimum_change_request_approvals int, allow_client_traits bool DEFAULT true, banner_text varchar(255), banner_colour varchar(7),
    hide_disabled_flags bool, use_mv_v2_evaluation bool DEFAULT true, hide_sensitive_data bool DEFAULT false,
    use_v2_feature_versioning bool DEFAULT false, use_identity_overrides_in_local_eval bool DEFAULT true, is_creating bool DEFAULT false);
CREATE TABLE environments_historicalenvironment (id int, name varchar(2000) NOT NULL, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL,
    history_type varchar(1) NOT NULL);
CREATE TABLE environments_identity (id int PRIMARY KEY, identifier varchar(2000) NOT NULL, environment_id int NOT NULL);
CREATE TABLE users_ffadminuser (id int PRIMARY KEY, password varchar(128) DEFAULT 'a hash that nobody may see', last_login timestamptz,
    email varchar(254) NOT NULL, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, uuid uuid DEFAULT gen_random_uuid());
CREATE TABLE api_keys_masterapikey (id varchar(150) PRIMARY KEY, prefix varchar(8), hashed_key varchar(150) DEFAULT 'a hash that nobody may see',
    name varchar(50) NOT NULL);
CREATE TABLE audit_auditlog (id serial PRIMARY KEY, created_date timestamptz NOT NULL, log text NOT NULL, author_id int, environment_id int,
    project_id int, master_api_key_id varchar(150), related_object_id int, related_object_type varchar(20), related_object_uuid varchar(36),
    skip_signals varchar(500), is_system_event bool NOT NULL DEFAULT false, history_record_id int, history_record_class_path varchar(200));
CREATE TABLE segments_segment (id int PRIMARY KEY, deleted_at timestamptz, name varchar(2000) NOT NULL, project_id int NOT NULL);
CREATE TABLE segments_historicalsegment (id int, name varchar(2000) NOT NULL, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL,
    history_type varchar(1) NOT NULL);
CREATE TABLE features_feature (id int PRIMARY KEY, deleted_at timestamptz, name varchar(2000) NOT NULL, created_date timestamptz NOT NULL,
    project_id int NOT NULL, initial_value varchar(20000), description text, default_enabled bool NOT NULL, type varchar(50) NOT NULL);
CREATE TABLE features_historicalfeature (LIKE features_feature, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL,
    history_type varchar(1) NOT NULL, history_user_id int, master_api_key_id varchar(150));
CREATE TABLE features_featuresegment (id serial PRIMARY KEY, feature_id int, segment_id int NOT NULL, environment_id int, priority int NOT NULL,
    environment_feature_version_id uuid);
CREATE TABLE features_historicalfeaturesegment (id int, feature_id int, segment_id int, environment_id int, priority int NOT NULL,
    environment_feature_version_id uuid, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL, history_type varchar(1) NOT NULL,
    history_user_id int, master_api_key_id varchar(150));
CREATE TABLE features_featurestate (id serial PRIMARY KEY, deleted_at timestamptz, enabled bool NOT NULL, live_from timestamptz, version int,
    environment_id int, feature_id int NOT NULL, identity_id int, feature_segment_id int, change_request_id int,
    environment_feature_version_id uuid);
CREATE TABLE features_historicalfeaturestate (id int, deleted_at timestamptz, enabled bool NOT NULL, live_from timestamptz, version int,
    environment_id int, feature_id int, identity_id int, feature_segment_id int, change_request_id int, environment_feature_version_id uuid,
    history_id serial PRIMARY KEY, history_date timestamptz NOT NULL, history_type varchar(1) NOT NULL, history_user_id int,
    master_api_key_id varchar(150));
CREATE TABLE features_featurestatevalue (id serial PRIMARY KEY, type varchar(10), boolean_value bool, integer_value int,
    string_value varchar(20000), feature_state_id int NOT NULL);
CREATE TABLE features_historicalfeaturestatevalue (id int, type varchar(10), boolean_value bool, integer_value int, string_value varchar(20000),
    feature_state_id int, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL, history_type varchar(1) NOT NULL,
    history_user_id int, master_api_key_id varchar(150));
CREATE TABLE multivariate_multivariatefeatureoption (id int PRIMARY KEY, feature_id int NOT NULL, string_value varchar(20000),
    default_percentage_allocation float8 NOT NULL);
CREATE TABLE multivariate_multivariatefeaturestatevalue (id serial PRIMARY KEY, feature_state_id int NOT NULL,
    multivariate_feature_option_id int NOT NULL, percentage_allocation float8 NOT NULL);
CREATE TABLE multivariate_historicalmultivariatefeaturestatevalue (id int, feature_state_id int, multivariate_feature_option_id int,
    percentage_allocation float8 NOT NULL, history_id serial PRIMARY KEY, history_date timestamptz NOT NULL, history_type varchar(1) NOT NULL,
    history_user_id int, master_api_key_id varchar(150));
CREATE TABLE feature_versioning_environmentfeatureversion (uuid uuid PRIMARY KEY, deleted_at timestamptz, environment_id int NOT NULL,
    feature_id int NOT NULL, published_at timestamptz, live_from timestamptz, published_by_id int, published_by_api_key_id varchar(150));

CREATE TABLE truth (at timestamptz, environment int, feature int, segment int, identity text, enabled bool, value jsonb, variants jsonb);

CREATE FUNCTION entry(at timestamptz, log text, type text, object int, environment int, project int, author int,
    uuid text DEFAULT NULL, system bool DEFAULT false) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit_auditlog (created_date, log, author_id, environment_id, project_id, related_object_id, related_object_type,
        related_object_uuid, is_system_event) VALUES (at, log, author, environment, project, object, type, uuid, system);
$$;

-- A row of the history of a state, its value or one of its percentages, as it is now.
CREATE FUNCTION keep_state(state int, at timestamptz, type text, author int, key text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO features_historicalfeaturestate (id, deleted_at, enabled, live_from, version, environment_id, feature_id, identity_id,
        feature_segment_id, change_request_id, environment_feature_version_id, history_date, history_type, history_user_id, master_api_key_id)
    SELECT id, deleted_at, enabled, live_from, version, environment_id, feature_id, identity_id, feature_segment_id, change_request_id,
        environment_feature_version_id, at, type, author, key FROM features_featurestate WHERE id = state;
$$;
CREATE FUNCTION keep_value(state int, at timestamptz, kind text, author int, key text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO features_historicalfeaturestatevalue (id, type, boolean_value, integer_value, string_value, feature_state_id, history_date,
        history_type, history_user_id, master_api_key_id)
    SELECT id, type, boolean_value, integer_value, string_value, feature_state_id, at, kind, author, key
    FROM features_featurestatevalue WHERE feature_state_id = state;
$$;

CREATE FUNCTION value_of(state int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(CASE type WHEN 'int' THEN to_jsonb(integer_value) WHEN 'bool' THEN to_jsonb(boolean_value) ELSE to_jsonb(string_value) END, 'null')
    FROM features_featurestatevalue WHERE feature_state_id = state;
$$;
CREATE FUNCTION note(state int, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO truth SELECT at, s.environment_id, s.feature_id, g.segment_id, i.identifier, s.enabled, value_of(s.id),
        (SELECT coalesce(jsonb_object_agg(v.multivariate_feature_option_id, v.percentage_allocation), '{}')
         FROM multivariate_multivariatefeaturestatevalue v WHERE v.feature_state_id = s.id)
    FROM features_featurestate s LEFT JOIN features_featuresegment g ON g.id = s.feature_segment_id
    LEFT JOIN environments_identity i ON i.id = s.identity_id WHERE s.id = state;
$$;
CREATE FUNCTION note_gone(state int, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO truth SELECT at, s.environment_id, s.feature_id, g.segment_id, i.identifier
    FROM features_featurestate s LEFT JOIN features_featuresegment g ON g.id = s.feature_segment_id
    LEFT JOIN environments_identity i ON i.id = s.identity_id WHERE s.id = state;
$$;

-- A state with its value, which is made before it gets the value that was asked for.
CREATE FUNCTION make_state(at timestamptz, environment int, feature int, on_ bool, value jsonb, author int, segment_row int DEFAULT NULL,
    identity int DEFAULT NULL, of_version uuid DEFAULT NULL, key text DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    state int;
BEGIN
    INSERT INTO features_featurestate (enabled, live_from, version, environment_id, feature_id, identity_id, feature_segment_id, environment_feature_version_id)
    VALUES (on_, CASE WHEN of_version IS NULL THEN at - interval '1 millisecond' END, CASE WHEN of_version IS NULL THEN 1 END, environment, feature,
        identity, segment_row, of_version) RETURNING id INTO state;
    PERFORM keep_state(state, at, '+', author, key);
    INSERT INTO features_featurestatevalue (type, string_value, feature_state_id)
    SELECT 'unicode', initial_value, state FROM features_feature f WHERE f.id = feature;
    PERFORM keep_value(state, at + interval '3 milliseconds', '+', author, key);
    IF segment_row IS NULL AND identity IS NULL THEN
        INSERT INTO multivariate_multivariatefeaturestatevalue (feature_state_id, multivariate_feature_option_id, percentage_allocation)
        SELECT state, o.id, o.default_percentage_allocation FROM multivariate_multivariatefeatureoption o WHERE o.feature_id = feature;
    END IF;
    IF value IS DISTINCT FROM value_of(state) THEN
        PERFORM set_value(state, value, at + interval '12 milliseconds', author, key);
    END IF;
    RETURN state;
END;
$$;
CREATE FUNCTION set_value(state int, value jsonb, at timestamptz, author int, key text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    UPDATE features_featurestatevalue SET type = CASE jsonb_typeof(value) WHEN 'number' THEN 'int' WHEN 'boolean' THEN 'bool' ELSE 'unicode' END,
        integer_value = CASE jsonb_typeof(value) WHEN 'number' THEN value::int END, boolean_value = CASE jsonb_typeof(value) WHEN 'boolean' THEN value::bool END,
        string_value = CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END WHERE feature_state_id = state;
    SELECT keep_value(state, at, '~', author, key);
$$;

CREATE FUNCTION make_feature(at timestamptz, feature int, project int, called text, on_ bool, value text, author int, options jsonb DEFAULT '{}')
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e record;
    state int;
    n int := 0;
    v uuid;
BEGIN
    INSERT INTO features_feature VALUES (feature, NULL, called, at, project, value, NULL, on_, CASE options WHEN '{}' THEN 'STANDARD' ELSE 'MULTIVARIATE' END);
    INSERT INTO features_historicalfeature SELECT f.*, nextval('features_historicalfeature_history_id_seq'), at, '+', author, NULL FROM features_feature f WHERE f.id = feature;
    INSERT INTO multivariate_multivariatefeatureoption SELECT o.key::int, feature, 'option ' || o.key, o.value::float8 FROM jsonb_each_text(options) o;
    PERFORM entry(at + interval '1 millisecond', 'New Flag / Remote Config created: ' || called, 'FEATURE', feature, NULL, project, author);
    FOR e IN SELECT * FROM environments_environment WHERE project_id = project AND deleted_at IS NULL ORDER BY id LOOP
        n := n + 1;
        v := NULL;
        IF e.use_v2_feature_versioning THEN
            v := gen_random_uuid();
            INSERT INTO feature_versioning_environmentfeatureversion VALUES (v, NULL, e.id, feature, at + n * interval '20 milliseconds', at + n * interval '20 milliseconds');
        END IF;
        state := make_state(at + n * interval '20 milliseconds', e.id, feature, on_, coalesce(to_jsonb(value), 'null'), author, of_version => v);
        IF v IS NULL THEN
            PERFORM entry(at + n * interval '20 milliseconds', 'New Flag / Remote Config created: ' || called, 'FEATURE_STATE', state, e.id, project, author);
        END IF;
        PERFORM note(state, at + n * interval '20 milliseconds');
    END LOOP;
END;
$$;

-- A PUT of a state without versions: the value is saved first, the state always, and each that changed has an entry.
CREATE FUNCTION save(at timestamptz, state int, on_ bool, value jsonb, author int, key text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s features_featurestate := (SELECT x FROM features_featurestate x WHERE x.id = state);
    called text := (SELECT name FROM features_feature WHERE id = s.feature_id);
    project int := (SELECT project_id FROM features_feature WHERE id = s.feature_id);
    of_segment text := (SELECT y.name FROM features_featuresegment g JOIN segments_segment y ON y.id = g.segment_id WHERE g.id = s.feature_segment_id);
    of_identity text := (SELECT i.identifier FROM environments_identity i WHERE i.id = s.identity_id);
BEGIN
    IF value IS DISTINCT FROM value_of(state) THEN
        PERFORM set_value(state, value, at - interval '8 milliseconds', author, key);
        PERFORM entry(at - interval '8 milliseconds', CASE
            WHEN of_segment IS NOT NULL THEN format('Remote config updated for segment override on feature ''%s'' and segment ''%s''.', called, of_segment)
            WHEN of_identity IS NOT NULL THEN format('Remote config value updated for identity override on feature ''%s'' and identity ''%s''.', called, of_identity)
            ELSE 'Remote config value updated for feature: ' || called END, 'FEATURE_STATE', state, s.environment_id, project, author);
    END IF;
    UPDATE features_featurestate SET enabled = on_ WHERE id = state;
    PERFORM keep_state(state, at, '~', author, key);
    IF on_ <> s.enabled THEN
        PERFORM entry(at, CASE
            WHEN of_segment IS NOT NULL THEN format('Flag state / Remote config value updated for feature ''%s'' and segment ''%s''', called, of_segment)
            WHEN of_identity IS NOT NULL THEN format('Flag state / Remote config value updated for feature ''%s'' and identity ''%s''', called, of_identity)
            ELSE 'Flag state updated for feature: ' || called END, 'FEATURE_STATE', state, s.environment_id, project, author);
    END IF;
    PERFORM note(state, at);
END;
$$;
CREATE FUNCTION save_share(at timestamptz, state int, option int, share float8, author int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v multivariate_multivariatefeaturestatevalue;
    f record;
BEGIN
    UPDATE multivariate_multivariatefeaturestatevalue m SET percentage_allocation = share WHERE feature_state_id = state
        AND multivariate_feature_option_id = option RETURNING m.* INTO v;
    INSERT INTO multivariate_historicalmultivariatefeaturestatevalue (id, feature_state_id, multivariate_feature_option_id, percentage_allocation,
        history_date, history_type, history_user_id) VALUES (v.id, state, option, share, at - interval '5 milliseconds', '~', author);
    SELECT x.* , s.environment_id INTO f FROM features_featurestate s JOIN features_feature x ON x.id = s.feature_id WHERE s.id = state;
    PERFORM entry(at - interval '5 milliseconds', format('Multivariate value changed for feature ''%s''.', f.name), 'FEATURE_STATE', f.id, f.environment_id, f.project_id, author);
    PERFORM keep_state(state, at, '~', author);
    PERFORM note(state, at);
END;
$$;

-- Overrides without versions.
CREATE FUNCTION override_segment(at timestamptz, environment int, feature int, segment int, on_ bool, value jsonb, author int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    row_ int;
    state int;
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = feature);
    called text := (SELECT name FROM segments_segment WHERE id = segment);
BEGIN
    INSERT INTO features_featuresegment (feature_id, segment_id, environment_id, priority) VALUES (feature, segment, environment,
        (SELECT count(*) FROM features_featuresegment g WHERE g.feature_id = feature AND g.environment_id = environment)) RETURNING id INTO row_;
    INSERT INTO features_historicalfeaturesegment SELECT g.*, nextval('features_historicalfeaturesegment_history_id_seq'), at - interval '9 milliseconds', '+', author
        FROM features_featuresegment g WHERE g.id = row_;
    state := make_state(at, environment, feature, on_, value, author, segment_row => row_);
    PERFORM entry(at, format('Flag state / Remote config value updated for feature ''%s'' and segment ''%s''', f.name, called), 'FEATURE_STATE', state, environment, f.project_id, author);
    PERFORM note(state, at);
    RETURN state;
END;
$$;
CREATE FUNCTION override_identity(at timestamptz, environment int, feature int, identity int, on_ bool, value jsonb, author int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    state int := make_state(at, environment, feature, on_, value, author, identity => identity);
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = feature);
    called text := (SELECT identifier FROM environments_identity WHERE id = identity);
BEGIN
    PERFORM entry(at, format('Flag state / Remote config value updated for feature ''%s'' and identity ''%s''', f.name, called), 'FEATURE_STATE', state, environment, f.project_id, author);
    PERFORM note(state, at);
    RETURN state;
END;
$$;
-- told: what removes an identity's override has an entry, what deletes the identity has none.
CREATE FUNCTION remove_override(at timestamptz, state int, author int, told bool DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s features_featurestate := (SELECT x FROM features_featurestate x WHERE x.id = state);
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = s.feature_id);
    of_segment text := (SELECT y.name FROM features_featuresegment g JOIN segments_segment y ON y.id = g.segment_id WHERE g.id = s.feature_segment_id);
BEGIN
    PERFORM note_gone(state, at);
    IF of_segment IS NOT NULL THEN
        INSERT INTO features_historicalfeaturesegment SELECT g.*, nextval('features_historicalfeaturesegment_history_id_seq'), at, '-', author
            FROM features_featuresegment g WHERE g.id = s.feature_segment_id;
        PERFORM entry(at, format('Flag state / Remote config value deleted for feature ''%s'' and segment ''%s''', f.name, of_segment), 'FEATURE', f.id, s.environment_id, f.project_id, author);
    ELSIF told THEN
        PERFORM entry(at, format('Flag state / Remote config value deleted for feature ''%s'' and identity ''%s''', f.name,
            (SELECT identifier FROM environments_identity i WHERE i.id = s.identity_id)), 'FEATURE_STATE', state, s.environment_id, f.project_id, author);
    END IF;
    PERFORM keep_state(state, at, '-', author);
    DELETE FROM features_featurestatevalue WHERE feature_state_id = state;
    DELETE FROM features_featuresegment WHERE id = s.feature_segment_id;
    DELETE FROM features_featurestate WHERE id = state;
END;
$$;

-- A change request without versions: a draft, committed in bulk, live at once or later.
CREATE FUNCTION schedule(at timestamptz, live timestamptz, environment int, feature int, on_ bool, value jsonb, author int, title text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    state int := make_state(at, environment, feature, on_, value, author);
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = feature);
BEGIN
    UPDATE multivariate_multivariatefeaturestatevalue m SET percentage_allocation = o.percentage_allocation
        FROM multivariate_multivariatefeaturestatevalue o WHERE m.feature_state_id = state AND o.feature_state_id = default_of(feature, environment)
            AND o.multivariate_feature_option_id = m.multivariate_feature_option_id;
    UPDATE features_featurestate SET version = NULL, live_from = NULL, change_request_id = 1 WHERE id = state;
    UPDATE features_historicalfeaturestate SET version = NULL, live_from = NULL, change_request_id = 1 WHERE id = state;
    UPDATE features_featurestate SET live_from = live, version = 2 WHERE id = state;
    PERFORM entry(live, format('Scheduled change to Flag state / Remote config value went live for feature: %s by Change Request: %s', f.name, title),
        'FEATURE_STATE', state, environment, f.project_id, NULL, system => true);
    PERFORM note(state, live);
END;
$$;

-- A version: the states of the one before, but for changes: [{"segment": id or null, "enabled":, "value":, "gone": true}]
CREATE FUNCTION publish(at timestamptz, live timestamptz, environment int, feature int, changes jsonb, author int, key text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v uuid := gen_random_uuid();
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = feature);
    s record;
    row_ int;
    state int;
BEGIN
    FOR s IN
        WITH last AS (SELECT y.id, y.enabled, value_of(y.id) AS value, g.segment_id AS segment, g.priority FROM features_featurestate y
            LEFT JOIN features_featuresegment g ON g.id = y.feature_segment_id WHERE y.environment_feature_version_id = (
                SELECT x.uuid FROM feature_versioning_environmentfeatureversion x WHERE x.environment_id = environment AND x.feature_id = feature
                    AND x.live_from <= at ORDER BY x.live_from DESC LIMIT 1))
        SELECT coalesce(c.segment, last.segment) AS segment, coalesce(c.enabled, last.enabled) AS enabled, coalesce(c.value, last.value) AS value,
            c.segment IS NOT DISTINCT FROM last.segment AND c.gone AS gone, last.id AS was, coalesce(last.priority, 0) AS priority,
            c.enabled IS NOT NULL AS changed
        FROM last FULL JOIN jsonb_to_recordset(changes) AS c (segment int, enabled bool, value jsonb, gone bool)
            ON coalesce(c.segment, 0) = coalesce(last.segment, 0) ORDER BY 1 NULLS FIRST
    LOOP
        IF s.gone THEN
            PERFORM note_gone(s.was, live);
            CONTINUE;
        END IF;
        row_ := NULL;
        IF s.segment IS NOT NULL THEN
            INSERT INTO features_featuresegment (feature_id, segment_id, environment_id, priority, environment_feature_version_id)
                VALUES (feature, s.segment, environment, s.priority, v) RETURNING id INTO row_;
            INSERT INTO features_historicalfeaturesegment SELECT g.*, nextval('features_historicalfeaturesegment_history_id_seq'), at - interval '90 milliseconds', '+', author
                FROM features_featuresegment g WHERE g.id = row_;
        END IF;
        state := make_state(at - interval '80 milliseconds', environment, feature, s.enabled, s.value, author, segment_row => row_, of_version => v);
        -- one for the past is never live
        IF s.changed AND live >= at THEN
            PERFORM note(state, live);
        END IF;
    END LOOP;
    INSERT INTO feature_versioning_environmentfeatureversion VALUES (v, NULL, environment, feature, at, live, author, key);
    PERFORM entry(at + interval '300 milliseconds', 'New version published for feature: ' || f.name, 'EF_VERSION', NULL, environment, f.project_id, author, v::text);
END;
$$;

CREATE FUNCTION delete_feature(at timestamptz, feature int, author int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f features_feature := (SELECT x FROM features_feature x WHERE x.id = feature);
    s record;
BEGIN
    UPDATE features_feature SET deleted_at = at WHERE id = feature;
    PERFORM entry(at, 'Flag / Remote Config Deleted: ' || f.name, 'FEATURE', feature, NULL, f.project_id, author);
    FOR s IN SELECT * FROM features_featurestate x WHERE x.feature_id = feature AND x.deleted_at IS NULL ORDER BY x.id LOOP
        UPDATE features_featurestate SET deleted_at = at WHERE id = s.id;
        PERFORM keep_state(s.id, at + interval '2 milliseconds', '~', author);
        PERFORM keep_state(s.id, at + interval '3 milliseconds', '-', author);
        IF s.environment_feature_version_id IS NULL THEN
            PERFORM note_gone(s.id, at);
        END IF;
    END LOOP;
END;
$$;

INSERT INTO users_ffadminuser (id, email, first_name, last_name) VALUES (21, 'ada@example.com', 'Ada', 'Byron'), (22, 'zoe@example.com', 'Zoe', 'Ash');
INSERT INTO api_keys_masterapikey (id, prefix, name) VALUES ('abcd.hash', 'abcd', 'CI deploy key');
INSERT INTO projects_project (id, name, organisation_id) VALUES (77, 'Shop', 9), (78, 'Other', 10);
INSERT INTO environments_environment (id, name, created_date, project_id, use_v2_feature_versioning) VALUES
    (512, 'Production', '2025-01-01Z', 77, false), (513, 'Versions', '2025-01-01Z', 77, true), (514, 'Elsewhere', '2025-01-01Z', 78, false);
SELECT entry('2025-01-01 08:00Z', 'New Environment created: Production', 'ENVIRONMENT', 512, 512, 77, 21),
    entry('2025-01-01 08:00:01Z', 'New Environment created: Versions', 'ENVIRONMENT', 513, 513, 77, 21),
    entry('2025-01-01 08:00:02Z', 'New Environment created: Elsewhere', 'ENVIRONMENT', 514, 514, 78, 21),
    entry('2025-01-01 08:00:03Z', 'New Segment created: vip', 'SEGMENT', 5, NULL, 77, 21),
    entry('2025-01-01 08:00:04Z', 'New Segment created: beta', 'SEGMENT', 6, NULL, 77, 21);
INSERT INTO segments_segment (id, name, project_id) VALUES (5, 'vip', 77), (6, 'beta', 77);
INSERT INTO environments_identity VALUES (42, 'alice', 512), (43, 'bob', 512);

SELECT make_feature('2025-01-02Z', 4101, 77, 'checkout', false, NULL, 21);
SELECT make_feature('2025-01-02 01:00Z', 4102, 77, 'split', true, 'control', 21, '{"31": 30, "32": 20.5}');
SELECT make_feature('2025-01-02 02:00Z', 4103, 77, 'gone', true, 'seven', 22);
SELECT make_feature('2025-01-02 03:00Z', 4104, 78, 'elsewhere', true, 'x', 22);

CREATE FUNCTION default_of(feature int, environment int) RETURNS int LANGUAGE sql AS $$
    SELECT min(id) FROM features_featurestate s WHERE s.feature_id = feature AND s.environment_id = environment AND identity_id IS NULL AND feature_segment_id IS NULL
$$;
SELECT save('2025-01-03Z', default_of(4101, 512), true, 'null', 21);
SELECT save('2025-01-04Z', default_of(4101, 512), true, '"green"', 22);
SELECT save('2025-01-05Z', default_of(4101, 512), false, '1', 21);
SELECT save('2025-01-06Z', default_of(4101, 512), false, 'true', NULL, 'abcd.hash');
-- two within half a second
SELECT save('2025-01-07Z', default_of(4101, 512), true, '"007"', 21);
SELECT save('2025-01-07 00:00:00.2Z', default_of(4101, 512), false, '"008"', 21);
SELECT save_share('2025-01-04Z', default_of(4102, 512), 31, 45, 21);
SELECT save_share('2025-01-05Z', default_of(4102, 512), 32, 5, 21);
-- a change request of it, whose percentages are edited when it is live
SELECT schedule('2025-01-06Z', '2025-01-08Z', 512, 4102, false, '"changed"', 22, 'February');
SELECT save_share('2025-01-10Z', (SELECT max(id) FROM features_featurestate WHERE feature_id = 4102 AND environment_id = 512), 31, 1, 21);
SELECT override_segment('2025-01-08Z', 512, 4101, 5, true, '"for vip"', 21) AS vip \gset
SELECT override_segment('2025-01-08 01:00Z', 512, 4101, 6, true, '"for beta"', 21) AS beta \gset
SELECT save('2025-01-09Z', :vip, false, '"for vip"', 22);
SELECT remove_override('2025-01-10Z', :vip, 22);
SELECT override_identity('2025-01-08Z', 512, 4101, 42, true, '"alice"', 21) AS alice \gset
SELECT override_identity('2025-01-08 01:00Z', 512, 4101, 43, true, '"bob"', 21) AS bob \gset
SELECT save('2025-01-09 01:00Z', :alice, true, '"alice 2"', 21);
SELECT remove_override('2025-01-10Z', :alice, 21);
-- the identity is deleted, of which nothing tells
SELECT remove_override('2025-01-11Z', :bob, 21, false);
DELETE FROM environments_identity WHERE id = 43;
SELECT schedule('2025-01-12Z', '2025-01-20Z', 512, 4101, true, '"scheduled"', 22, 'January');

SELECT publish('2025-01-03Z', '2025-01-03Z', 513, 4101, '[{"enabled": true, "value": "v2 one"}]', 21);
SELECT publish('2025-01-04Z', '2025-01-04Z', 513, 4101, '[{"segment": 5, "enabled": true, "value": "v2 vip"}]', 21);
SELECT publish('2025-01-05Z', '2025-01-05Z', 513, 4101, '[{"enabled": false, "value": "v2 two"}, {"segment": 6, "enabled": false, "value": 9}]', NULL, 'abcd.hash');
SELECT publish('2025-01-06Z', '2025-01-08Z', 513, 4101, '[{"enabled": true, "value": "v2 scheduled"}]', 22);
SELECT publish('2025-01-09Z', '2025-01-09Z', 513, 4101, '[{"segment": 5, "gone": true}]', 22);
SELECT publish('2025-01-12Z', '2025-01-01 12:00Z', 513, 4101, '[{"enabled": false, "value": "never"}]', 22);
SELECT delete_feature('2025-01-15Z', 4103, 22);
