"""One environment after the other: what nobody told of its flags yet, and what is live in it."""

import collections
import json
import time

from events import Entries, Saves, Versions, variants
from flag import Flag, begin_of
from flagsmith import AGES_AGO
from report import EVERY, say

Environment = collections.namedtuple("Environment", "id name project_id project deleted_at")


def environments(flagsmith, projects):
    result = []
    for row in flagsmith.rows("environments_environment", "true", [], "ORDER BY t.id"):
        project = projects.get(row.project_id)
        if project is not None:
            result.append(Environment(row.id, row.name, row.project_id, project.name, row.deleted_at or project.deleted_at))
    return result


class EnvironmentFill:
    def __init__(self, flagsmith, history, environment, names):
        self.flagsmith = flagsmith
        self.history = history
        self.environment = environment
        self.names = names
        self.cut = history.first_webhook(environment.id)
        self.entries = Entries(flagsmith, environment)
        self.last = AGES_AGO
        self.live = []
        self.held = {}
        self.segments = []

    def features(self):
        ids = {row.feature_id for table in ("features_historicalfeaturestate", "features_featurestate") for row in
               self.flagsmith.rows(table, "t.environment_id = %s", [self.environment.id], "GROUP BY t.feature_id", names=("feature_id",))}
        rows = {row.id: row for row in self.flagsmith.rows("features_feature", "t.id = ANY(%s)", [list(ids)])}
        gone = self.flagsmith.rows("features_historicalfeature", "t.id = ANY(%s)", [list(ids - rows.keys())],
                                   "ORDER BY t.history_date, t.history_id")
        rows.update({row.id: row for row in gone if row.id not in rows})
        return [rows[feature] for feature in sorted(ids) if feature in rows]

    def run(self):
        """Returns how many events, lists and states were stored."""
        counts = collections.Counter()
        features = self.features()
        said = time.monotonic()
        for n, feature in enumerate(features):
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                say(f"{n} of {len(features)} flags read, {counts['events']} changes stored")
            flag = Flag(self.flagsmith, self.environment, feature)
            saves, versions = (kind(flag, self.names, self.entries) for kind in (Saves, Versions))
            saves.run(self.flagsmith.now)
            versions.run(self.flagsmith.now)
            told = self.history.told(self.environment.id, feature.id)
            listed = self.history.listed(feature.id)
            self.last = max(self.last, flag.last_change(self.flagsmith.now))
            events = []
            for event, arrived, scope, at in saves.events + versions.events:
                self.last = max(self.last, arrived)
                if at >= self.cut:
                    continue
                if (event["data"]["uuid"] in listed if scope is None else
                        (scope[0], None if scope[1] is None else str(scope[1]), at) in told):
                    continue
                counts["lists" if scope is None else "events"] += 1
                events.append((event, arrived))
            self.history.import_events(events)
            for at, states in versions.pages:
                page = self.page(flag, versions, states, at)
                if at < self.cut and page[0] and self.history.import_states(self.environment, at, *page):
                    counts["states"] += len(page[0])
            if getattr(feature, "deleted_at", None) is None:
                self.add_live(flag, saves, versions)
        if self.environment.deleted_at is None and self.live and self.held != self.history.live_since(self.environment.id, self.last):
            self.history.import_states(self.environment, self.flagsmith.now, self.live, self.segments)
            counts["states"] += len(self.live)
        return counts

    def add_live(self, flag, saves, versions):
        """What is live of a flag now."""
        now = self.flagsmith.now
        states = {}
        for scope, rows in saves.scopes().items():
            row = saves.live(rows, now)
            if row is not None:
                states[scope] = row, flag.state_now(row)
        published = [v for v in flag.versions if begin_of(v) <= now and v.deleted_at is None]
        if published:
            states = {scope: state for scope, state in states.items() if scope[1] is not None}
            states.update({scope: (row, flag.state_now(row)) for scope, (row, state) in versions.states_of(published[-1], now).items()})
        for (segment, identity), (row, state) in states.items():
            scope = flag.feature.id, segment, None if identity is None else str(identity)
            self.held[scope] = state.enabled, state.value, state.variants or {}
        shown, segments = self.page(flag, saves, states, now)
        self.live += shown
        self.segments += segments

    def page(self, flag, teller, states, at):
        """States as the REST API shows them, and the rows that say which segments they are of."""
        shown, segments = [], []
        for (segment, identity), (row, state) in sorted(states.items(), key=lambda item: item[1][0]):
            value = json.loads(state.value)
            kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "unicode"
            feature = teller.feature()
            del feature["project"]
            shown.append({"id": row, "feature": feature, "environment": self.environment.id, "identity": identity,
                          "feature_segment": None if segment is None else row, "enabled": state.enabled, "feature_state_value": {
                              "type": kind, "string_value": value if kind == "unicode" else None,
                              "integer_value": value if kind == "int" else None,
                              "boolean_value": value if kind == "bool" else None}})
            if state.variants is not None:
                shown[-1]["multivariate_feature_state_values"] = variants(state.variants)
            if segment is not None:
                segments.append({"id": row, "segment": segment, "segment_name": self.names.at("segment", segment, at),
                                 "priority": flag.priority_of(row, at)})
        return shown, segments
