/* flagsmith_webhook: install script, put together from schema/ in the order of the Makefile */

\echo Use "CREATE EXTENSION flagsmith_webhook" to load this file. \quit

-- Without any "if it is missing": a schema that somebody else made first must stop the installation.
CREATE SCHEMA flagsmith;
COMMENT ON SCHEMA flagsmith IS 'Flagsmith webhooks: deliveries, flag history, and what was live at any instant.';
