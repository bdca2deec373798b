#!/bin/bash
# Runs once, when the database is made: the extension, a webhook, and the role of the receiver with its password.
set -eu
psql -X -v ON_ERROR_STOP=1 -v webhook="${FLAGSMITH_WEBHOOK:-shop}"\
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\set secret `head -n 1 /run/secrets/webhook_secret`
\set password `head -n 1 /run/secrets/receiver_password`
CREATE EXTENSION flagsmith_webhook;
SELECT FROM flagsmith.add_webhook(:'webhook');
SELECT FROM flagsmith.add_secret(:'webhook', :'secret');
CREATE ROLE flagsmith_receiver LOGIN PASSWORD :'password';
SELECT FROM flagsmith.grant_receiver('flagsmith_receiver');
SQL
