CREATE TABLE flagsmith.name (
    source      text NOT NULL,
    kind        text NOT NULL,
    id          text NOT NULL,
    since       timestamptz NOT NULL,
    name        text NOT NULL,
    project_id  bigint,
    CONSTRAINT name_pkey PRIMARY KEY (source, kind, id, since),
    CONSTRAINT name_kind_check CHECK (kind IN ('project', 'environment', 'feature', 'segment', 'identity'))
);
-- By hashes, which are compared fast in every collation.
CREATE INDEX name_name_idx ON flagsmith.name (hashtextextended(name, 0), kind);
CREATE INDEX name_thing_idx ON flagsmith.name (hashtextextended(kind || ':' || id, 0), since);
CREATE INDEX name_project_idx ON flagsmith.name (project_id, kind, source, id);
COMMENT ON TABLE flagsmith.name IS 'Names of projects, environments, features, segments and identities as they were seen: a hint for reading.';
COMMENT ON COLUMN flagsmith.name.kind IS 'project, environment, feature, segment or identity.';
COMMENT ON COLUMN flagsmith.name.id IS 'Flagsmith''s id, as text; of an identity, its kind, a colon and the id: core:17.';
COMMENT ON COLUMN flagsmith.name.since IS 'The event time of the first delivery that had this name.';
COMMENT ON COLUMN flagsmith.name.project_id IS 'The project it belongs to; NULL where no delivery said so.';
CREATE TRIGGER name_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.name
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.name ENABLE ALWAYS TRIGGER name_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.name', '');
