-- bench/bodies.sql - :n signed bodies of the shapes and sizes that Flagsmith 2.265 sends, in the proportion counted in
-- t/data/run: three flag bodies for two audit entries.  Every value is a function of the number, so all runs are alike.
CREATE SCHEMA bench;
CREATE UNLOGGED TABLE bench.body (i bigint PRIMARY KEY, signature text NOT NULL, body bytea NOT NULL)
    WITH (autovacuum_enabled = false);

CREATE FUNCTION bench.stamp(i bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN to_char(timestamp '2026-01-01' + i * interval '0.137137 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- One state as FLAG_UPDATED shows it, each thing of one project: 85 in 100 the environment's own, 10 of a segment, 5 of an identity.
CREATE FUNCTION bench.state(i bigint, f bigint, e bigint, enabled boolean, value text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN format('{"enabled": %s, "environment": {"id": %s, "name": "%s"}, "feature": {"created_date": '
        '"2025-11-03T09:15:42.120394Z", "default_enabled": false, "description": null, "id": %s, "initial_value": null, '
        '"name": "feature_number_%s", "project": {"id": %s, "name": "%s"}, "type": "STANDARD"}, "feature_segment": %s, '
        '"feature_state_value": %s, "identity": %s, "identity_identifier": %s, "multivariate_feature_state_values": []}',
        enabled::text, 500 + e, (ARRAY['Development', 'Staging', 'Production', 'Production EU'])[e % 4 + 1], 4000 + f + 1000 * (e / 4), f,
        77 + e / 4, (ARRAY['Storefront', 'Back office'])[e / 4 + 1],
        CASE WHEN i % 100 BETWEEN 80 AND 89 THEN
            format('{"segment": {"id": %s, "name": "segment_%s", "description": null}, "priority": 0}', i % 17 + 100 * (e / 4),
                i % 17)
        ELSE 'null' END,
        value,
        CASE WHEN i % 100 >= 95 THEN (i % 1009 + 10000 * (e / 4))::text ELSE 'null' END,
        CASE WHEN i % 100 >= 95 THEN format('"customer-%s@example.com"', i % 1009) ELSE 'null' END);

CREATE FUNCTION bench.flag(i bigint, f bigint, e bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN format('{"data": {"changed_by": "ada@example.com", "new_state": %s, "previous_state": %s, "timestamp": "%s"}, '
        '"event_type": "FLAG_UPDATED"}',
        bench.state(i, f, e, i % 2 = 0, format('"value %s"', i % 10)),
        bench.state(i, f, e, i % 2 = 1, format('"value %s"', (i + 9) % 10)), bench.stamp(i));

CREATE FUNCTION bench.audit(i bigint, f bigint, e bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN format('{"data": {"author": {"email": "ada@example.com", "first_name": "Ada", "id": 21, "last_login": '
        '"2026-08-20T07:58:01.331907Z", "last_name": "Osei", "uuid": "5b0f6a0e-5d34-4c5f-9d0b-3c4c9c3b1f21"}, '
        '"created_date": "%s", "environment": {"allow_client_traits": true, "api_key": "ExampleClientKey512", '
        '"banner_colour": null, "banner_text": null, "description": null, "hide_disabled_flags": null, '
        '"hide_sensitive_data": false, "id": %s, "is_creating": false, "minimum_change_request_approvals": null, '
        '"name": "%s", "project": %s, "use_identity_composite_key_for_hashing": true, '
        '"use_identity_overrides_in_local_eval": true, "use_mv_v2_evaluation": true, "use_v2_feature_versioning": false, '
        '"uuid": "9f4d6f2c-6a3d-4a57-a2ce-9b6e0a9d0512"}, "id": %s, "is_system_event": false, "log": '
        '"%s for feature: feature_number_%s", "project": {"edge_v2_migration_status": "NOT_STARTED", '
        '"enable_dynamo_db": false, "enable_realtime_updates": false, "enforce_feature_owners": false, '
        '"feature_name_regex": null, "hide_disabled_flags": false, "id": %s, "migration_status": "NOT_APPLICABLE", '
        '"minimum_change_request_approvals": null, "name": "%s", "only_allow_lower_case_feature_names": true, '
        '"organisation": 9, "prevent_flag_defaults": false, "show_edge_identity_overrides_for_feature": false, '
        '"stale_flags_limit_days": 30, "use_edge_identities": false, "uuid": "c1a5d6fe-0f0a-4a87-8f86-0d9a4a5f0c77"}, '
        '"related_object_id": %s, "related_object_type": "FEATURE_STATE", "related_object_uuid": null}, '
        '"event_type": "AUDIT_LOG_CREATED"}',
        bench.stamp(i), 500 + e, (ARRAY['Development', 'Staging', 'Production', 'Production EU'])[e % 4 + 1], 77 + e / 4,
        90000 + i, CASE WHEN i % 3 = 0 THEN 'Remote config value updated' ELSE 'Flag state updated' END, f, 77 + e / 4,
        (ARRAY['Storefront', 'Back office'])[e / 4 + 1], 55000 + i % 2400);

INSERT INTO bench.body
SELECT i, flagsmith.sign(b.body, 'my shared secret'), b.body
FROM generate_series(1, :n) i,
    LATERAL (SELECT abs(hashint8(i)) % 300 AS f, abs(hashint8(i + 1000000000)) % 8 AS e OFFSET 0) p,
    LATERAL (SELECT convert_to(CASE WHEN i % 5 < 3 THEN bench.flag(i, p.f, p.e) ELSE bench.audit(i, p.f, p.e) END, 'UTF8')
             AS body OFFSET 0) b;
VACUUM (ANALYZE) bench.body;
