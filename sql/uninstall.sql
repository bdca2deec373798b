-- Last test: it goes away without a trace.
DROP EXTENSION flagsmith_webhook;
SELECT count(*) FROM pg_namespace WHERE nspname = 'flagsmith';
