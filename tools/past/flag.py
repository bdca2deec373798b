"""All that Flagsmith's database has about one feature in one environment."""

import collections
import datetime
import json

from flagsmith import AGES_AGO, FOREVER, as_of

# What is made at once is made within this time.
AT_ONCE = datetime.timedelta(seconds=1)
# value as JSON, since to Python true is 1
State = collections.namedtuple("State", "enabled value variants")


class Component:
    """The history of rows of one kind by the state they belong to, each row's in order; and what they are now."""

    def __init__(self, history, now, owner, key):
        self.by_owner = collections.defaultdict(lambda: collections.defaultdict(list))
        self.now = collections.defaultdict(dict)
        for row in sorted(history, key=lambda row: (row.history_date, row.history_id)):
            self.by_owner[getattr(row, owner)][getattr(row, key)].append(row)
        for row in now:
            self.now[getattr(row, owner)][getattr(row, key, None)] = row


def begin_of(version):
    """The instant that a version is to be live from."""
    return version.live_from or version.published_at


def is_gone(row):
    return row.history_type == "-" or getattr(row, "deleted_at", None) is not None


def value_of(row):
    return {"int": row.integer_value, "bool": row.boolean_value}.get(row.type, row.string_value)


class Flag:
    """All that Flagsmith's database has about one feature in one environment."""

    def __init__(self, flagsmith, environment, feature):
        self.environment = environment
        self.feature = feature
        keys = [environment.id, feature.id]
        where = "t.environment_id = %s AND t.feature_id = %s"
        history = flagsmith.rows("features_historicalfeaturestate", where, keys, "ORDER BY t.history_date, t.history_id")
        self.states = collections.defaultdict(list)
        for row in history:
            self.states[row.id].append(row)
        self.now = {row.id: row for row in flagsmith.rows("features_featurestate", where, keys)}
        ids = [list(self.states.keys() | self.now.keys())]
        owned = "t.feature_state_id = ANY(%s)"
        self.values = Component(
            [row for row in flagsmith.rows("features_historicalfeaturestatevalue", owned, ids) if row.history_type != "-"],
            flagsmith.rows("features_featurestatevalue", owned, ids), "feature_state_id", "feature_state_id")
        self.shares = Component(
            flagsmith.rows("multivariate_historicalmultivariatefeaturestatevalue", owned, ids),
            flagsmith.rows("multivariate_multivariatefeaturestatevalue", owned, ids), "feature_state_id", "id")
        options = {row.multivariate_feature_option_id for rows in self.shares.now.values() for row in rows.values()}
        self.options = {row.id: row.default_percentage_allocation for row in flagsmith.rows(
            "multivariate_multivariatefeatureoption", "t.id = ANY(%s)", [list(options)])}
        self.read_overrides(flagsmith)
        self.versions = sorted(
            (row for row in flagsmith.rows("feature_versioning_environmentfeatureversion", where + " AND t.published_at IS NOT NULL", keys)),
            key=lambda row: (begin_of(row), row.published_at))

        self.made_in = collections.defaultdict(list)
        for state in sorted(self.states.keys() | self.now.keys()):
            self.made_in[self.version_of(state)].append(state)

    def read_overrides(self, flagsmith):
        rows = [row for rows in self.states.values() for row in rows] + list(self.now.values())
        ids = [list({row.feature_segment_id for row in rows if row.feature_segment_id is not None})]
        history = flagsmith.rows("features_historicalfeaturesegment", "t.id = ANY(%s)", ids, "ORDER BY t.history_date, t.history_id")
        self.segments = collections.defaultdict(list)
        for row in history:
            self.segments[row.id].append(row)
        self.segments_now = {row.id: row for row in flagsmith.rows("features_featuresegment", "t.id = ANY(%s)", ids)}
        identities = [list({row.identity_id for row in rows if row.identity_id is not None})]
        self.identities = {row.id: row.identifier for row in flagsmith.rows("environments_identity", "t.id = ANY(%s)", identities)}

    def last_change(self, now):
        """When anything of it changed last, told or not."""
        saved = [row.history_date for rows in self.states.values() for row in rows]
        for component in (self.values, self.shares):
            saved += [row.history_date for histories in component.by_owner.values() for rows in histories.values() for row in rows]
        begun = [begin for row in [*self.versions, *self.now.values()] for begin in (row.live_from,) if begin is not None and begin <= now]
        return max(saved + begun, default=AGES_AGO)

    def scope_of(self, state):
        """(segment, identity) of a state; None if nothing says which segment it was for."""
        row = self.states[state][-1] if self.states.get(state) else self.now[state]
        if row.feature_segment_id is None:
            return None, row.identity_id
        known = self.segments[row.feature_segment_id]
        segment = known[-1] if known else self.segments_now.get(row.feature_segment_id)
        return None if segment is None else (segment.segment_id, None)

    def is_of_identity(self, state):
        return (self.states[state][-1] if self.states.get(state) else self.now[state]).identity_id is not None

    def priority_of(self, state, at):
        row = self.states[state][-1] if self.states.get(state) else self.now[state]
        then = as_of(self.segments[row.feature_segment_id], at) or self.segments_now.get(row.feature_segment_id)
        return then and then.priority

    def version_of(self, state):
        """The uuid of the version that a state was made in."""
        rows = self.states.get(state, []) + ([self.now[state]] if state in self.now else [])
        return next((str(row.environment_feature_version_id) for row in reversed(rows) if row.environment_feature_version_id), None)

    def removed_at(self, state):
        return next((row.history_date for row in self.states.get(state, []) if is_gone(row)),
                    FOREVER if state not in self.now or self.now[state].deleted_at is None else self.now[state].deleted_at)

    def is_fresh(self, state):
        """Is it no copy?  Copies are live since their original was, or not at once."""
        first = self.states[state][0] if self.states.get(state) else None
        if first is None or self.scope_of(state) != (None, None):
            return False
        if first.environment_feature_version_id is None:
            return first.live_from is not None and datetime.timedelta(0) <= first.history_date - first.live_from < AT_ONCE
        return bool(self.versions) and self.version_of(state) == str(self.versions[0].uuid) and \
            abs(first.history_date - self.versions[0].published_at) < AT_ONCE

    def variants_at(self, state, at, copied=None):
        """{option: percentage}, or None where that cannot be known any more; copied gives those of its original."""
        result = {}
        if self.feature.type == "MULTIVARIATE" and state not in self.now and not self.shares.by_owner[state]:
            return None
        for key in self.shares.by_owner[state].keys() | self.shares.now[state].keys():
            rows = self.shares.by_owner[state][key]
            now = self.shares.now[state].get(key)
            then = as_of(rows, at)
            if then is not None:
                if then.history_type != "-":
                    result[then.multivariate_feature_option_id] = then.percentage_allocation
            elif not rows:
                result[now.multivariate_feature_option_id] = now.percentage_allocation
            elif rows[0].history_type == "-":
                result[rows[0].multivariate_feature_option_id] = rows[0].percentage_allocation
            elif rows[0].history_type != "+":
                # made in bulk with its state, which leaves no history: as its option says, or copied
                option = rows[0].multivariate_feature_option_id
                shares = self.options if self.is_fresh(state) else copied and copied()
                if shares is None or option not in shares:
                    return None
                result[option] = shares[option]
        return result

    def saves_of(self, state):
        """(time, part, row) of all that was saved of a state, in order."""
        parts = [(row.history_date, "state", row) for row in self.states.get(state, []) if not is_gone(row)]
        for component, name in ((self.values, "value"), (self.shares, "share")):
            parts += [(row.history_date, (name, key), row) for key, rows in component.by_owner[state].items() for row in rows]
        return sorted(parts, key=lambda part: part[0])

    def state_now(self, state):
        """What a row of Flagsmith's states says now: not all that changes it leaves a history."""
        row, value = self.now.get(state), self.values.now[state].get(state)
        if row is None:
            return self.state_at(state, FOREVER)
        shares = {share.multivariate_feature_option_id: share.percentage_allocation for share in self.shares.now[state].values()}
        return State(row.enabled, json.dumps(value and value_of(value)), shares)

    def state_at(self, state, at, copied=None):
        """What a row of Flagsmith's states said at an instant."""
        rows, values = self.states.get(state, []), self.values.by_owner[state][state]
        row = as_of(rows, at) or (rows[0] if rows else self.now[state])
        value = as_of(values, at) or (values[0] if values else self.values.now[state].get(state))
        return State(row.enabled, json.dumps(value and value_of(value)), self.variants_at(state, at, copied))
