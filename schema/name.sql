CREATE TABLE flagsmith.name (
    source      text NOT NULL,
    kind        text NOT NULL,
    id          text NOT NULL,
    name        text NOT NULL,
    project_id  bigint,
    seen_at     timestamptz NOT NULL,
    exact       boolean NOT NULL,
    existed_at  timestamptz,
    stored_at   timestamptz NOT NULL,
    CONSTRAINT name_kind_check CHECK (kind IN ('project', 'environment', 'feature', 'segment', 'identity'))
);
-- It has no key, since a doubled row is harmless: in a publication of all tables it needs to say how its rows are told apart.
ALTER TABLE flagsmith.name REPLICA IDENTITY FULL;
COMMENT ON TABLE flagsmith.name IS 'When projects, environments, features, segments and identities were seen under which names.';
COMMENT ON COLUMN flagsmith.name.source IS 'Which Flagsmith installation it is in.';
COMMENT ON COLUMN flagsmith.name.kind IS 'project, environment, feature, segment or identity.';
COMMENT ON COLUMN flagsmith.name.id IS 'Flagsmith''s id, as text; of an identity, its kind, a colon and the id: core:17.';
COMMENT ON COLUMN flagsmith.name.name IS 'The name; of an identity, its identifier.';
COMMENT ON COLUMN flagsmith.name.project_id IS 'The project it belongs to; NULL where the body did not say so.';
COMMENT ON COLUMN flagsmith.name.seen_at IS 'When it was called so: of an audit entry about the thing itself its created_date, else the arrival of the body, which shows names as of when it was built.';
COMMENT ON COLUMN flagsmith.name.exact IS 'Whether an audit entry about the thing itself said so. Of other sightings the earliest of each hour is enough.';
COMMENT ON COLUMN flagsmith.name.existed_at IS 'An instant at which the thing existed; NULL where an earlier one was known.';
COMMENT ON COLUMN flagsmith.name.stored_at IS 'When this server stored it.';
CREATE TRIGGER name_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON flagsmith.name
    FOR EACH STATEMENT EXECUTE FUNCTION flagsmith._guard();
ALTER TABLE flagsmith.name ENABLE ALWAYS TRIGGER name_guard;
SELECT pg_catalog.pg_extension_config_dump('flagsmith.name', '');
