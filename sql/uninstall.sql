-- Last test: once a webhook is registered, the history does not go by mistake; on purpose it goes without a trace.
\set SHOW_CONTEXT never
-- Every typed row of the tests before is what its body says.
SELECT relation, difference, columns FROM flagsmith.rebuild(dry_run => true);
SELECT count(*) FROM flagsmith.add_webhook('uninstall', 'a secret of the uninstalled');
DROP EXTENSION flagsmith_webhook;
\echo :LAST_ERROR_SQLSTATE
DROP SCHEMA flagsmith;
\echo :LAST_ERROR_SQLSTATE
SELECT obj_description('flagsmith.drop_extension_would_delete_the_flag_history'::regclass);
DROP VIEW flagsmith.drop_extension_would_delete_the_flag_history;
DROP EXTENSION flagsmith_webhook;
SELECT count(*) FROM pg_namespace WHERE nspname = 'flagsmith';
