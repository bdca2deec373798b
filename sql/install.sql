-- First test: the extension installs into a fresh database, and its schema is its own.
CREATE EXTENSION flagsmith_webhook;
SELECT extname, extversion, extrelocatable FROM pg_extension WHERE extname = 'flagsmith_webhook';
