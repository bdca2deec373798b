"""The database with the extension."""

import json

import psycopg
from psycopg.rows import namedtuple_row

from flagsmith import FOREVER, Failure

PAGE = 999
BATCH = 200


class History:
    """The database with the extension, which the PG* variables lead to."""

    def __init__(self, source):
        self.source = source
        self.conn = psycopg.connect("", application_name="flagsmith backfill", client_encoding="UTF8", row_factory=namedtuple_row)
        self.conn.execute("SET TimeZone TO 'UTC'")
        if self.one("SELECT to_regprocedure('flagsmith.import_event(text, timestamptz, text)') IS NULL"):
            raise Failure("the database that the PG* variables lead to has no extension flagsmith_webhook")
        self.conn.commit()

    def all(self, sql, arguments=()):
        return self.conn.execute(sql, arguments).fetchall()

    def one(self, sql, arguments=()):
        return self.conn.execute(sql, arguments).fetchone()[0]

    def missing(self, entries):
        """Which of these entries nobody brought yet."""
        rows = self.all(
            "SELECT e.id FROM unnest(%s::bigint[], %s::timestamptz[]) AS e (id, at) WHERE NOT EXISTS (SELECT FROM flagsmith.audit_log a"
            " WHERE a.source = %s AND a.audit_id = e.id AND a.created_date = e.at)",
            [[e.id for e in entries], [e.created_date for e in entries], self.source])
        return {row.id for row in rows}

    def import_audit_log(self, entries):
        page = json.dumps({"flagsmith_import": "database", "results": entries})
        self.conn.execute("SELECT FROM flagsmith.import_audit_log(%s, %s)", [page, self.source])
        self.conn.commit()

    def holes(self):
        """Entries that should be there and are not, as pairs of their neighbours."""
        return self.all("SELECT first_audit_id - 1 AS below, last_audit_id + 1 AS above FROM flagsmith.missing_audit_entry"
                        " WHERE source = %s AND status = 'missing' ORDER BY first_audit_id", [self.source])

    def first_webhook(self, environment):
        """When the first webhook of an environment came: from there on, webhooks tell."""
        return self.one("SELECT min(received_at) FROM flagsmith.flag_change WHERE source = %s AND environment_id = %s"
                        " AND origin = 'webhook' AND NOT is_test AND NOT deleted", [self.source, environment]) or FOREVER

    def told(self, environment, feature):
        """The changes of a flag that were told already, as (segment, identity, time)."""
        rows = self.all("SELECT segment_id, identity, event_at FROM flagsmith.flag_change WHERE source = %s AND environment_id = %s"
                        " AND feature_id = %s AND origin <> 'import' AND NOT deleted", [self.source, environment, feature])
        return {(row.segment_id, row.identity, row.event_at) for row in rows}

    def listed(self, feature):
        """The versions whose list was told already."""
        return {row.uuid for row in self.all("SELECT uuid FROM flagsmith.version_published WHERE source = %s AND feature_id = %s",
                                             [self.source, feature])}

    def import_events(self, events):
        """Flagsmith's clock may be ahead of ours."""
        for first in range(0, len(events), BATCH):
            batch = events[first:first + BATCH]
            self.conn.execute(
                "SELECT count(i.delivery_id) FROM unnest(%s::text[], %s::timestamptz[]) AS e (event, at),"
                " LATERAL flagsmith.import_event(e.event, least(e.at, clock_timestamp()), %s) AS i",
                [[json.dumps(dict(event, flagsmith_import="database")) for event, at in batch], [at for event, at in batch],
                 self.source])
            self.conn.commit()

    def live_since(self, environment, at):
        """What imports later than an instant say is live, by scope."""
        rows = self.all(
            "SELECT DISTINCT ON (feature_id, segment_id, identity) feature_id, segment_id, identity, enabled, value, variants FROM flagsmith.flag_change"
            " WHERE source = %s AND environment_id = %s AND event_at > %s AND origin = 'import' ORDER BY feature_id, segment_id, identity, event_at DESC",
            [self.source, environment, at])
        return {(row.feature_id, row.segment_id, row.identity): (row.enabled, json.dumps(row.value), {
            variant["multivariate_feature_option"]["id"]: variant["percentage_allocation"] for variant in row.variants or []}) for row in rows}

    def import_states(self, environment, at, states, segments):
        """What is live; False if it was imported before."""
        if self.one("SELECT EXISTS (SELECT FROM flagsmith.flag_change WHERE source = %s AND environment_id = %s AND feature_id = %s"
                    " AND event_at = %s AND origin = 'import')", [self.source, environment.id, states[0]["feature"]["id"], at]):
            return False
        for first in range(0, len(states), PAGE):
            self.conn.execute(
                "SELECT FROM flagsmith.import_feature_states(%s, %s, least(%s, clock_timestamp()), %s, environment_id => %s, project_id => %s, project => %s,"
                " source => %s)",
                [json.dumps({"results": states[first:first + PAGE]}), environment.name, at, json.dumps(segments), environment.id,
                 environment.project_id, environment.project, self.source])
        self.conn.commit()
        return True
