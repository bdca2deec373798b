"""A receiver in Python: gunicorn --threads 4 --timeout 30 receiver:application, with psycopg 3."""
import os
import threading
import time
from datetime import datetime, timezone
from urllib.parse import unquote

import psycopg

INSERT = ("INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) VALUES (%s, %s, %b, %s) "
          "RETURNING outcome, reason")
local = threading.local()


def application(environ, start_response):
    webhook = unquote(environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"))[1:]
    body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), 4 << 20))
    row = (webhook, environ.get("HTTP_X_FLAGSMITH_SIGNATURE"), body, datetime.now(timezone.utc))
    status, deadline = None, time.monotonic() + 8
    while status is None:
        try:
            if getattr(local, "connection", None) is None or local.connection.closed:
                local.connection = psycopg.connect("", autocommit=True, connect_timeout=2)
            outcome, reason = local.connection.execute(INSERT, row).fetchone()
            status = "200 OK" if outcome != "rejected" else "401 Unauthorized"
        except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState):
            status = "404 Not Found"
        except psycopg.Error:
            if time.monotonic() > deadline:
                os._exit(1)  # closes the connection: Flagsmith tries again, as it does not after a 500
            time.sleep(0.5)
    start_response(status, [("Content-Type", "text/plain")])
    return [status.encode()]
