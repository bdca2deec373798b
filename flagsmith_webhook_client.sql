/* flagsmith_webhook_client.sql: what a database without the extension needs to read another's history by postgres_fdw */

-- For managed services that allow no C extension.  Run it once, with psql, then as docs/distributed.md has it:
--   IMPORT FOREIGN SCHEMA flagsmith LIMIT TO (history, flag_timeline, current_state, ...) FROM SERVER flags INTO flagsmith;
-- No IF NOT EXISTS: a schema that is there already may be that of the extension, which needs none of this.

CREATE SCHEMA flagsmith;
COMMENT ON SCHEMA flagsmith IS 'Foreign tables that read the flag history of another database.';

-- Foreign tables name the type of a column, which has to be here, with the same words in the same order.
CREATE TYPE flagsmith.confidence AS ENUM ('unknown', 'inferred', 'reported', 'confirmed');
COMMENT ON TYPE flagsmith.confidence IS 'How sure an answer about an instant is: confirmed by two pieces of evidence, reported by one, inferred, or unknown.';
