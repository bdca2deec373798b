-- decode_audit_log() and decode_flag_change(): the decoder of the inbox without a table.
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
\pset null (null)
\x on

-- Today's body, with keys that nobody knows yet, and a previous state that differs in more than the state.
SELECT * FROM flagsmith.decode_flag_change('{"data": {"changed_by": "ada@example.com", "future": [1, {"a": null}],
    "new_state": {"enabled": true, "environment": {"id": 512, "name": "Production", "colour": "red"},
        "feature": {"id": 4101, "name": "checkout", "type": "MULTIVARIATE", "created_date": "2025-11-03T09:15:42.120394Z",
            "default_enabled": false, "description": "", "initial_value": "7", "project": {"id": 77, "name": "Shop"}},
        "feature_segment": {"priority": 0, "segment": {"id": 5, "name": "vip", "description": null}},
        "feature_state_value": "007", "identity": null, "identity_identifier": null,
        "multivariate_feature_state_values": [{"id": 1, "multivariate_feature_option": {"id": 9, "value": true}, "percentage_allocation": 50.0}]},
    "previous_state": {"enabled": false, "environment": {"id": 512, "name": "Production", "colour": "red"},
        "feature": {"id": 4101, "name": "checkout", "type": "MULTIVARIATE", "created_date": "2025-11-03T09:15:42.120394Z",
            "default_enabled": false, "description": "", "initial_value": "7", "project": {"id": 77, "name": "Shop"}},
        "feature_segment": {"priority": 2, "segment": {"id": 5, "name": "vip", "description": null}},
        "feature_state_value": null, "identity": null, "identity_identifier": null, "multivariate_feature_state_values": []},
    "timestamp": "2026-08-20T14:03:11.482913Z"}, "event_type": "FLAG_UPDATED", "version": 2}');

-- 1.12 to 2.1: bare ids.  1.12 to 2.5: a feature_segment with a state of its own.  An Edge identity, and no time.
SELECT event_at, project_id, project, environment_id, segment_id, identity, identity_kind, identity_identifier, value, variants, extra
FROM flagsmith.decode_flag_change('{"data": {"changed_by": "", "new_state": {"enabled": true, "environment": 12,
    "feature": {"id": 31, "name": "old", "project": 7}, "feature_segment": {"enabled": true, "priority": 1, "segment": {"id": 3}, "value": "gold"},
    "feature_state_value": 1.5, "identity": "7b4b2c56-3f55-4f0c-9a58-0e0f5b1f9f10", "identity_identifier": "device:1"}, "timestamp": ""},
    "event_type": "FLAG_UPDATED"}');

-- 2.29.2 to 2.49.2, Edge: arguments in the wrong places.
SELECT enabled, value, identity, identity_kind, identity_identifier
FROM flagsmith.decode_flag_change('{"data": {"changed_by": "ada@example.com", "new_state": {"enabled": "7b4b2c56", "environment": {"id": 1, "name": "P"},
    "feature": {"id": 31, "name": "old", "project": {"id": 7, "name": "Web"}}, "feature_segment": null,
    "feature_state_value": "device:1", "identity": true, "identity_identifier": null}, "timestamp": "2022-09-01T08:00:00.250000Z"},
    "event_type": "FLAG_UPDATED"}');

-- A deletion has only the state before.
SELECT deleted, feature_id, environment_id, enabled, value, enabled_before, value_before, variants_before, extra
FROM flagsmith.decode_flag_change('{"data": {"changed_by": "ada@example.com", "new_state": null, "previous_state": {"enabled": true,
    "environment": {"id": 1, "name": "P"}, "feature": {"id": 31, "name": "old", "project": {"id": 7, "name": "Web"}},
    "feature_state_value": "v2", "identity": null, "multivariate_feature_state_values": []}, "timestamp": "2026-08-20T14:03:11.482913Z"},
    "event_type": "FLAG_DELETED"}');

-- The bare audit entry of the documentation, and the client key of an environment, which is kept nowhere.
SELECT * FROM flagsmith.decode_audit_log('{"created_date": "2020-02-23T17:30:57.006318Z", "log": "New Flag / Remote Config created: my_feature",
    "author": {"id": 3, "email": "user@domain.com", "first_name": "Kyle", "last_name": "Johnson"}, "environment": {"id": 4, "name": "Live", "api_key": "SECRET", "project": 6},
    "project": {"id": 6, "name": "Project name", "organisation": 1}, "related_object_id": 6, "related_object_type": "FEATURE"}');
\x off

-- Times are read by one rule, whatever the session's settings.
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SELECT t.sent, extract(epoch FROM d.event_at) AS epoch, d.extra
FROM (VALUES ('2026-08-20T14:03:11.482913Z'), ('2026-08-20T14:03:11Z'), ('2026-08-20T14:03:11.4Z'), ('2026-08-20T16:03:11+02:00'), ('2026-08-20T09:33:11-04:30'),
    ('2026-02-29T00:00:00Z'), ('2026-08-20T14:03:11'), ('2026-08-20 14:03:11Z'), ('2026-08-20T14:03:11.1234567Z'), ('now'), ('infinity'), ('epoch'), ('20/08/2026'),
    ('0000-01-01T00:00:00Z'), ('9999-12-31T23:59:59Z'), ('2026-08-20T24:00:00Z'), ('2026-08-20T23:59:60Z'), ('')) AS t (sent)
CROSS JOIN LATERAL flagsmith.decode_flag_change(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data',
    jsonb_build_object('new_state', NULL, 'timestamp', t.sent))) AS d;
RESET DateStyle;
SET TimeZone = 'UTC';

-- What cannot be decoded says why, by the path of the key.
SELECT flagsmith.decode_flag_change('[1]');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.decode_flag_change('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.decode_flag_change('{"event_type": 7}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED"}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": []}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": 1}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": {}}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": {"enabled": null}}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": {"feature": {"id": 1.5}}}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": {"feature": {"id": 9223372036854775808}}}}');
SELECT flagsmith.decode_flag_change('{"event_type": "FLAG_UPDATED", "data": {"new_state": null, "timestamp": 5}}');
SELECT flagsmith.decode_flag_change('{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "x", "feature": {"id": 1}, "feature_states": []}}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.decode_audit_log('{"event_type": "AUDIT_LOG_CREATED", "data": {"log": "x"}}');
\echo :LAST_ERROR_SQLSTATE
SELECT flagsmith.decode_audit_log('{"event_type": "SEGMENT_UPDATED", "data": {"log": "x"}}');
SELECT flagsmith.decode_audit_log(NULL);
