"""What changed of one flag, as the events that webhooks would have brought."""

import bisect
import collections
import datetime
import json

from flag import begin_of, is_gone
from flagsmith import AGES_AGO, FOREVER, as_of, stamp

DELETED = "Flag / Remote Config Deleted: "
REMOVED = "Flag state / Remote config value deleted for feature "
OVERRIDDEN = "Flag state / Remote config value updated for feature "
# Flagsmith saves a state, its value and its percentages within a tenth of a second.
SAME_SAVE = datetime.timedelta(milliseconds=250)
SECOND = datetime.timedelta(seconds=1)


class Entries:
    """What the audit entries of an environment say about times."""

    def __init__(self, flagsmith, environment):
        rows = flagsmith.rows(
            "audit_auditlog", "(t.environment_id = %s AND (t.related_object_type = 'EF_VERSION' OR t.is_system_event)) OR"
            " ((t.environment_id = %s OR (t.project_id = %s AND t.environment_id IS NULL)) AND t.related_object_type IN ('FEATURE',"
            " 'FEATURE_STATE') AND (starts_with(t.log, %s) OR starts_with(t.log, %s)))",
            [environment.id, environment.id, environment.project_id, DELETED, REMOVED], "ORDER BY t.created_date")
        self.versions = {str(row.related_object_uuid) for row in rows if row.related_object_type == "EF_VERSION"}
        self.deletions = [row for row in rows if row.related_object_type != "EF_VERSION" and not row.is_system_event]
        self.overridden = {row.related_object_id: row.log for row in flagsmith.rows(
            "audit_auditlog", "t.environment_id = %s AND t.related_object_type = 'FEATURE_STATE' AND starts_with(t.log, %s)"
            " AND t.log LIKE '%% and identity ''%%'", [environment.id, OVERRIDDEN])}
        self.begins = collections.defaultdict(list)
        for row in rows:
            if row.is_system_event and row.related_object_type == "FEATURE_STATE":
                self.begins[row.related_object_id].append(row.created_date)

    def is_deletion(self, at, feature, kind, name):
        """Does an entry tell that a flag, or an override of it, was deleted then?  Its segment may have had another name."""
        begin = f"{REMOVED}'{feature}' and {kind} '" + (name or "")
        for row in self.deletions[bisect.bisect_left(self.deletions, at - SECOND, key=lambda row: row.created_date):]:
            if row.created_date > at + SECOND:
                return False
            if row.log == DELETED + feature or (kind is not None and row.log.startswith(begin)):
                return True
        return False

    def live(self, state, at):
        """When a change request took effect: its entry says so, where there is one."""
        return next((entry for entry in self.begins[state] if at - SECOND <= entry <= at + 600 * SECOND), at)


class Teller:
    """What changed of one flag, as events."""

    def __init__(self, flag, names, entries):
        self.flag = flag
        self.names = names
        self.entries = entries
        self.events = []                # (event, arrival, scope, time), scope None for a list

    def feature(self):
        feature = self.flag.feature
        return {"id": feature.id, "name": feature.name, "created_date": stamp(feature.created_date),
                "default_enabled": feature.default_enabled, "initial_value": feature.initial_value, "type": feature.type,
                "project": {"id": self.flag.environment.project_id}}

    def shown(self, scope, state, priority, at):
        """A state in the shape of a webhook's, with the names of its time.  Projects are renamed without a word."""
        segment, identity = scope
        environment = self.flag.environment.id
        result = {"feature": self.feature(), "environment": {"id": environment, "name": self.names.at("environment", environment, at)},
                  "identity": identity, "identity_identifier": self.identifier(identity), "feature_segment": None,
                  "enabled": state.enabled, "feature_state_value": json.loads(state.value)}
        if segment is not None:
            result["feature_segment"] = {"segment": {"id": segment, "name": self.names.at("segment", segment, at)}, "priority": priority}
        if state.variants is not None:
            result["multivariate_feature_state_values"] = variants(state.variants)
        return result

    def tell(self, scope, at, arrived, by, state, before, priority):
        """That a scope has a state from an instant on, or none."""
        data = {"timestamp": stamp(at), "changed_by": by, "new_state": state and self.shown(scope, state, priority, at)}
        if before is not None:
            data["previous_state"] = self.shown(scope, before, priority, at)
        self.events.append(({"event_type": "FLAG_UPDATED", "data": data}, max(at, arrived), scope, at))

    def identifier(self, identity):
        """Of an identity that is deleted, an entry about one of its states may tell it."""
        flag = self.flag
        if identity is None or identity in flag.identities:
            return flag.identities.get(identity)
        begin = f"{OVERRIDDEN}'{flag.feature.name}' and identity '"
        logs = [self.entries.overridden.get(state, "") for state in flag.states if flag.scope_of(state) == (None, identity)]
        return next((log[len(begin):-1] for log in logs if log.startswith(begin) and log.endswith("'")), None)


def variants(shares):
    return [{"multivariate_feature_option": {"id": option}, "percentage_allocation": share} for option, share in sorted(shares.items())]


class Saves(Teller):
    """States that are saved by themselves: without versions, and those of identities everywhere."""

    def is_by_itself(self, row):
        if row.identity_id is not None:
            return True
        if row.environment_feature_version_id is not None:
            return False
        return not any(begin_of(v) <= row.history_date < (v.deleted_at or FOREVER) for v in self.flag.versions)

    def groups(self, state):
        """The saves of a state: rows of its history less than half a second apart, of each row one change."""
        flag = self.flag
        rows = [row for row in flag.states.get(state, []) if self.is_by_itself(row) and not is_gone(row)]
        if not rows:
            return
        parts = [(at, part, row) for at, part, row in flag.saves_of(state) if part != "state" or self.is_by_itself(row)]
        until = flag.removed_at(state)
        if rows[0].identity_id is None:
            begins = [begin_of(v) for v in flag.versions]
            until = min([until] + [begin for begin in begins if begin > rows[-1].history_date])
        group, changed = [], set()
        for at, part, row in parts:
            if at < rows[0].history_date or at >= until:
                continue
            if group and (at - group[-1][0] >= SAME_SAVE or (part in changed and row.history_type != "+")):
                yield group
                group, changed = [], set()
            group.append((at, part, row))
            # what is made and then given its value at once is one save
            if row.history_type != "+":
                changed.add(part)
        if group:
            yield group

    def begin_of(self, state, at):
        """From when on a state is live, as far as was known at an instant; None for a draft."""
        flag = self.flag
        row = as_of(flag.states.get(state, []), at)
        if row is not None and row.version is not None:
            return row.live_from or AGES_AGO
        now = flag.now.get(state)
        # A change request is committed without a word in the history of the state.
        return now.live_from if now is not None and now.version is not None else None

    def live(self, states, at):
        """Which of the states of a scope is live at an instant, or None."""
        flag = self.flag
        live = []
        for state in states:
            begin = self.begin_of(state, at)
            row = as_of(flag.states.get(state, []), at) or flag.now.get(state)
            made = flag.states[state][0].history_date if flag.states.get(state) else AGES_AGO
            if begin is not None and max(begin, made) <= at < flag.removed_at(state):
                live.append((begin, row.version or 0, state))
        return max(live)[2] if live else None

    def instants(self, states, now):
        """When something may have changed, in order: (time of the event, by when it is complete, by whom)."""
        flag = self.flag
        result = []
        for state in states:
            for group in self.groups(state):
                saved = [row for at, part, row in group if part == "state"]
                authors = (self.names.of_author(row.history_user_id, row.master_api_key_id) for at, part, row in reversed(group))
                result.append((saved[-1].history_date if saved else group[-1][0], group[-1][0], next(filter(None, authors), None)))
            begin = self.begin_of(state, now)
            first = flag.states[state][0] if flag.states.get(state) else None
            if begin is not None and first is not None and begin <= now and (first.version is None or first.history_date + SAME_SAVE < begin):
                at = self.entries.live(state, begin)
                result.append((at, at, ""))
            removed = flag.removed_at(state)
            # with versions, it is told otherwise
            if removed <= now and (flag.is_of_identity(state) or not any(v.published_at <= removed for v in flag.versions)):
                result.append((removed, removed, None))
        return sorted(result, key=lambda instant: instant[:2])

    def state_at(self, states, state, at):
        return self.flag.state_at(state, at, lambda: self.copied(states, state))

    def copied(self, states, state):
        """The percentages of what was live when a draft was made: it is a copy of it."""
        made = self.flag.states[state][0].history_date
        original = self.live([other for other in states if other != state], made)
        return None if original is None else self.state_at(states, original, made).variants

    def is_deletion(self, scope, at):
        segment, identity = scope
        kind = "segment" if segment is not None else "identity" if identity is not None else None
        return self.entries.is_deletion(at, self.flag.feature.name, kind, self.identifier(identity))

    def scopes(self):
        """The states of each scope."""
        flag = self.flag
        result = collections.defaultdict(list)
        for state in sorted(flag.states.keys() | flag.now.keys()):
            scope = flag.scope_of(state)
            if scope is not None and (any(self.is_by_itself(row) for row in flag.states[state]) if flag.states.get(state) else
                                      flag.now[state].environment_feature_version_id is None):
                result[scope].append(state)
        return result

    def run(self, now):
        """Tells each change."""
        for scope, states in self.scopes().items():
            held = None
            for at, complete, by in self.instants(states, now):
                state = self.live(states, complete)
                is_now = state and self.state_at(states, state, complete)
                if is_now == held:
                    continue
                if is_now is not None or not self.is_deletion(scope, at):
                    self.tell(scope, at, complete, by, is_now, held, state and self.flag.priority_of(state, complete))
                held = is_now


class Versions(Teller):
    """States that are published in versions."""

    def states_of(self, version, at):
        """{scope: (row, state)} of a version, as of an instant."""
        flag = self.flag
        result = {}
        for state in flag.made_in[str(version.uuid)]:
            scope = flag.scope_of(state)
            if scope is not None and scope[1] is None and at < flag.removed_at(state):
                result[scope] = state, flag.state_at(state, at)
        return result

    def run(self, now):
        """Tells each version but the first, of which no webhook tells either; of that, and of what changes without a version,
        the states are told, as (time, states).
        """
        self.pages = []
        lives = [(max(begin_of(version), version.published_at), version) for version in self.flag.versions]
        lives = sorted((item for item in lives if item[0] <= now), key=lambda item: item[0])
        first = min((version for live, version in lives), key=lambda version: version.published_at, default=None)
        for live, version in lives:
            before = [other for at, other in lives if at <= live and begin_of(other) < begin_of(version)]
            after = [at for at, other in lives if begin_of(other) > begin_of(version)]
            if version is not first:
                self.tell_version(version, live, self.states_of(max(before, key=begin_of), live) if before else {})
            # one with an instant of effect before that of another is announced, and never live
            if not any(at <= live for at in after):
                for at in self.instants(version, live, min(after, default=now), version is first):
                    self.pages.append((at, self.states_of(version, at)))

    def instants(self, version, live, until, is_first):
        """When the states of a version were made, if they were made with the first one, and when they changed in place."""
        flag = self.flag
        rows = [flag.states[state][0] for state in flag.made_in[str(version.uuid)] if flag.states.get(state)]
        known = any(row.history_date < live - SECOND for row in rows)
        saved = sorted(at for state in flag.made_in[str(version.uuid)] for at, part, row in flag.saves_of(state) if at >= live)
        saved = [live] + [at for at in saved if at < until]
        ends = [at for at, after in zip(saved, saved[1:] + [FOREVER]) if after - at >= SAME_SAVE]
        return ends if is_first and not known else ends[1:]

    def tell_version(self, version, live, before):
        states = self.states_of(version, live)
        by = self.names.of_author(version.published_by_id, version.published_by_api_key_id)
        for scope, (row, state) in states.items():
            was = before[scope][1] if scope in before else None
            if state != was:
                self.tell(scope, version.published_at, live, by, state, was, self.flag.priority_of(row, live))
        if str(version.uuid) not in self.entries.versions:
            return
        user = self.names.now.get(("user", version.published_by_id))
        listed = [{"enabled": state.enabled, "value": json.loads(state.value),
                   **({} if state.variants is None else {"multivariate_feature_state_values": variants(state.variants)})}
                  for row, state in sorted(states.values(), key=lambda item: item[0])]
        data = {"uuid": str(version.uuid), "feature": {"id": self.flag.feature.id, "name": self.flag.feature.name},
                "published_by": user and {"id": version.published_by_id, "email": user}, "feature_states": listed}
        self.events.append(({"event_type": "NEW_VERSION_PUBLISHED", "data": data}, live, None, version.published_at))
