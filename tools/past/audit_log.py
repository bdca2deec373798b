"""The audit log, as pages of the REST API."""

import time

from history import PAGE
from report import EVERY, say, to_go

# Names of the REST API for columns that have another one.
PROJECT_NAMES = {"organisation_id": "organisation", "identity_overrides_v2_migration_status": "edge_v2_migration_status"}
ENVIRONMENT_NAMES = {"project_id": "project"}


class AuditLog:
    def __init__(self, flagsmith, history, organisation):
        self.flagsmith = flagsmith
        self.history = history
        projects = flagsmith.rows("projects_project", "%s::bigint IS NULL OR t.organisation_id = %s", [organisation, organisation])
        self.projects = {row.id: row for row in projects}
        self.environments = {row.id: row for row in flagsmith.rows("environments_environment", "true", [])}
        self.users = {row.id: row for row in flagsmith.rows("users_ffadminuser", "true", [])}

    def is_asked_for(self, row):
        """Entries that belong to no project are in no page of Flagsmith either."""
        return self.project_of(row) in self.projects

    def project_of(self, row):
        environment = self.environments.get(row.environment_id)
        return row.project_id if row.project_id is not None else environment.project_id if environment is not None else None

    def entry(self, row):
        """One entry, as the REST API shows it."""
        environment = self.environments.get(row.environment_id)
        user = self.users.get(row.author_id)
        entry = self.flagsmith.object(row, "audit_auditlog", {}, ("author_id", "environment_id", "project_id"))
        entry["author"] = user and self.flagsmith.object(user, "users_ffadminuser", {})
        entry["project"] = self.flagsmith.object(self.projects[self.project_of(row)], "projects_project", PROJECT_NAMES, ("deleted_at",))
        entry["environment"] = None
        if environment is not None:
            shown_as = self.flagsmith.object(environment, "environments_environment", ENVIRONMENT_NAMES, ("deleted_at",))
            if "use_mv_v2_evaluation" in shown_as:
                shown_as["use_identity_composite_key_for_hashing"] = shown_as["use_mv_v2_evaluation"]
            entry["environment"] = shown_as
        return entry

    def fill(self):
        """Page by page from the oldest on, what nobody brought yet."""
        last = stored = seen = read = 0
        number = self.flagsmith.conn.execute("SELECT count(*) AS number FROM audit_auditlog").fetchone().number
        began = said = time.monotonic()
        while True:
            rows = self.flagsmith.rows("audit_auditlog", "t.id > %s", [last], f"ORDER BY t.id LIMIT {PAGE}")
            if not rows:
                break
            last = rows[-1].id
            asked = [row for row in rows if self.is_asked_for(row)]
            missing = self.history.missing(asked)
            if missing:
                self.history.import_audit_log([self.entry(row) for row in asked if row.id in missing])
            seen += len(asked)
            stored += len(missing)
            read += len(rows)
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                say(f"audit log: {read} of {number} entries read, {stored} stored{to_go(read, number, said - began)}")
        self.close_holes()
        say(f"audit log: {stored} entries stored, {seen - stored} were there")

    def close_holes(self):
        """Ids that Flagsmith does not have either: a page with both neighbours says that there is nothing between them."""
        for hole in self.history.holes():
            rows = self.flagsmith.rows("audit_auditlog", "t.id = ANY(%s)", [[hole.below, hole.above]], "ORDER BY t.id")
            if len(rows) == 2 and all(self.is_asked_for(row) for row in rows):
                self.history.import_audit_log([self.entry(row) for row in rows])
                say(f"audit log: there is no entry from {hole.below + 1} to {hole.above - 1}")
