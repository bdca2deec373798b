"""A simulated Flagsmith: what it holds at every instant, and what it tells of it.

Written from the description of the real one's behaviour, and apart from the extension: nothing here knows how the product
decides.  Times are microseconds by the sender's clock.  An act is one write request; its saves happen some milliseconds
apart, its tasks run later and read what is there by then.  Whatever is drawn while an act is executed comes from dice of
its own, so that leaving out another act changes nothing about it.
"""
import datetime
import heapq
import json
import random

SECOND = 1000000
EPOCH = datetime.datetime(1970, 1, 1)
USERS = (('ada@example.com', 1, 'Ada', 'Quill'), ('zoe@example.com', 2, 'Zo\u00eb', 'M\u00fcller-\u0141'),
         ('hanako@example.com', 3, '\u82b1\u5b50', '\u5c71\u7530 "Hana"'))
# Seconds from a change to the arrival of what tells of it, at 0, 5, 10, 25, 50, 75, 90, 95, 99 and 100 %, as counted in
# two captured runs on a busy machine; audit entries and bodies of v1 alike, and versions.
LATENESS = {'v1': (1.2, 1.82, 2.06, 2.56, 3.23, 4.11, 4.94, 6.11, 7.42, 8.3),
            'v2': (0.15, 0.43, 0.54, 0.91, 1.54, 2.48, 3.45, 4.33, 5.45, 6.7),
            'idle v1': (1.2, 1.25, 1.3, 1.4, 1.6, 1.9, 2.2, 2.4, 2.9, 3.2),
            'idle v2': (0.15, 0.2, 0.24, 0.3, 0.4, 0.55, 0.7, 0.8, 0.95, 1.1)}
SHARES = (0, 5, 10, 25, 50, 75, 90, 95, 99, 100)


def iso(at, short=False):
    when = EPOCH + datetime.timedelta(microseconds=at)
    if short and when.microsecond == 0:
        return when.isoformat() + 'Z'
    return when.isoformat(timespec='microseconds') + 'Z'


def lateness(dice, table):
    """A delay in microseconds, by the quantiles of LATENESS."""
    share = dice.random() * 100
    row = LATENESS[table]
    for i in range(1, len(SHARES)):
        if share <= SHARES[i]:
            part = (share - SHARES[i - 1]) / (SHARES[i] - SHARES[i - 1])
            return int(SECOND * (row[i - 1] + part * (row[i] - row[i - 1])))
    return int(SECOND * row[-1])


class Thing:
    """A project, environment, segment, feature, option or identity."""

    def __init__(self, **known):
        self.deleted_at = None
        self.__dict__.update(known)


class State:
    """A feature state row with its value row and percentage rows, each with its history of saves."""

    def __init__(self, number, env, feature, segment=None, identity=None, priority=None):
        self.id, self.env, self.feature, self.segment, self.identity = number, env, feature, segment, identity
        self.priority = priority
        self.enabled, self.value = False, None
        self.mv = {}                # option id: [row id, percentage, saves]
        self.saves = []             # of the state row: (at, enabled, changed_by, act)
        self.value_saves = []
        self.value_act = None
        self.gone = False

    def shown(self):
        return (self.enabled, json.dumps(self.value), tuple(sorted((o, float(r[1])) for o, r in self.mv.items())),
                self.priority)

    def copy(self, number, env=None):
        other = State(number, env or self.env, self.feature, self.segment, self.identity, self.priority)
        other.enabled, other.value = self.enabled, self.value
        other.mv = {o: [number * 100 + o, r[1], [r[1]]] for o, r in self.mv.items()}
        other.value_saves = [self.value]
        return other


class Version:
    def __init__(self, uuid, states, live_from=None, published_at=None, act=None):
        self.uuid, self.states, self.live_from, self.published_at, self.act = uuid, states, live_from, published_at, act
        self.saved_at = published_at    # its environment default, some milliseconds before it is published
        self.announced = {}     # the states as it was published, also of segments that were deleted since


class Sender:
    def __init__(self, config):
        self.config = config
        self.now = config['start']
        self.heap = []
        self.order = 0
        self.rows = 0
        self.audit_id = 0
        self.projects, self.envs, self.segments, self.features, self.identities = {}, {}, {}, {}, {}
        self.live = {}              # (env, feature): {(segment, identity): State} of v1, and identities of both
        self.old_rows = {}          # (env, feature): former and drafted default rows of v1, which a deletion tells too
        self.versions = {}          # (env, feature): [Version] of v2
        self.truth = {}             # (env, feature, segment, identity): [(at, shown or None, act)]
        self.names = {}             # (kind, id): [(at, name)]
        self.acts = {}
        self.sent = []

    # The clock.

    def at(self, when, what, *arguments):
        self.order += 1
        heapq.heappush(self.heap, (max(when, self.now), self.order, what, arguments))

    def run(self, until):
        while self.heap and self.heap[0][0] <= until:
            self.now, _, what, arguments = heapq.heappop(self.heap)
            what(*arguments)
        if until < 1 << 62:
            self.now = max(self.now, until)

    def due(self, when, dice):
        """When a task that is due then really runs: a task processor that stood still works off its queue in any order."""
        for begin, end in self.config['stops']:
            if begin <= when < end:
                return end + dice.randrange(4 * SECOND)
        return when

    def task(self, act, table, share, what, *arguments, least=0):
        """Run something after a share of the lateness seen between a change and its arrival."""
        dice = act.dice
        if self.config['threads']:
            return self.at(self.now + dice.randrange(500, 15000), what, *arguments)
        whole = lateness(dice, table if self.config['busy'] else 'idle ' + table)
        self.at(self.due(self.now + least + int(max(whole - least, 0) * share), dice), what, *arguments)

    def row(self):
        self.rows += 1
        return self.rows

    # Truth.

    def name(self, kind, thing, name):
        thing.name = name
        self.names.setdefault((kind, thing.id), []).append((self.now, name))

    def live_version(self, env, feature):
        shown = [v for v in self.versions.get((env, feature), ()) if v.published_at is not None and v.live_from <= self.now]
        return max(shown, key=lambda v: v.live_from) if shown else None

    def exists(self, env, feature):
        e, f = self.envs[env], self.features[feature]
        return not (e.deleted_at or f.deleted_at or self.projects[e.project].deleted_at)

    def current(self, env, feature):
        """The live states of a flag, by (segment, identity)."""
        if not self.exists(env, feature):
            return {}
        states = {s: state for s, state in self.live.get((env, feature), {}).items()
                  if s[1] is not None or not self.envs[env].v2}
        if self.envs[env].v2:
            version = self.live_version(env, feature)
            states.update(version.states if version else {})
        return states

    def record(self, act, pairs=None):
        if pairs is None:
            pairs = [(e.id, f.id) for e in self.envs.values() for f in self.features.values() if e.project == f.project]
        for env, feature in pairs:
            now = {(env, feature) + s: state.shown() for s, state in self.current(env, feature).items()}
            for scope in set(now) | {s for s in self.truth if s[:2] == (env, feature)}:
                rows = self.truth.setdefault(scope, [])
                shown = now.get(scope)
                if shown == (rows[-1][1] if rows else None):
                    continue
                if rows and rows[-1][0] == self.now:
                    rows.pop()
                if shown != (rows[-1][1] if rows else None):
                    rows.append((self.now, shown, act.n))

    # Bodies.

    def project_json(self, p):
        return {'edge_v2_migration_status': 'NOT_STARTED', 'enable_dynamo_db': False, 'enable_realtime_updates': False,
                'enforce_feature_owners': False, 'feature_name_regex': None, 'hide_disabled_flags': False, 'id': p.id,
                'migration_status': 'NOT_APPLICABLE', 'minimum_change_request_approvals': None, 'name': p.name,
                'only_allow_lower_case_feature_names': True, 'organisation': 1, 'prevent_flag_defaults': p.no_defaults,
                'show_edge_identity_overrides_for_feature': False, 'stale_flags_limit_days': 30,
                'use_edge_identities': False, 'uuid': '00000000-0000-4000-8000-%012d' % p.id}

    def environment_json(self, e):
        return {'allow_client_traits': True, 'api_key': 'sim-key-%d' % e.id, 'banner_colour': None, 'banner_text': None,
                'description': None, 'hide_disabled_flags': None, 'hide_sensitive_data': False, 'id': e.id,
                'is_creating': e.is_creating, 'minimum_change_request_approvals': None, 'name': e.name,
                'project': e.project, 'use_identity_composite_key_for_hashing': True,
                'use_identity_overrides_in_local_eval': True, 'use_mv_v2_evaluation': True,
                'use_v2_feature_versioning': e.v2, 'uuid': '00000000-0000-4000-9000-%012d' % e.id}

    def feature_json(self, f):
        p = self.projects[f.project]
        return {'created_date': iso(f.created), 'default_enabled': f.default_enabled, 'description': None, 'id': f.id,
                'initial_value': f.initial_value, 'name': f.name, 'project': {'id': p.id, 'name': p.name}, 'type': f.type}

    def variants_json(self, feature, mv, dice):
        rows = [{'id': row[0], 'multivariate_feature_option': {'id': option, 'value': feature.options[option]},
                 'percentage_allocation': float(row[1])} for option, row in mv.items() if option in feature.options]
        dice.shuffle(rows)
        return rows

    def state_json(self, state, enabled, value, mv, dice):
        f, e = self.features[state.feature], self.envs[state.env]
        segment = None
        if state.segment is not None:
            s = self.segments[state.segment]
            segment = {'priority': state.priority or 0, 'segment': {'description': None, 'id': s.id, 'name': s.name}}
        identity = self.identities.get(state.identity)
        return {'enabled': enabled, 'environment': {'id': e.id, 'name': e.name}, 'feature': self.feature_json(f),
                'feature_segment': segment, 'feature_state_value': value,
                'identity': identity.id if identity else None,
                'identity_identifier': identity.identifier if identity else None,
                'multivariate_feature_state_values': self.variants_json(f, mv, dice)}

    # What is sent.

    def send(self, act, channels, event, data, tells, feature=None, actor=None, main=None, saved=None):
        """
        One delivery for each webhook; every one has its own task.  An entry is about what was saved at an instant; a body shows
        what is there now.
        """
        body = json.dumps({'data': data, 'event_type': event}, sort_keys=True)
        for channel in channels:
            act.sent += 1
            dice = random.Random('%s/%s/%s' % (self.config['seed'], act.n, act.sent))
            wait = dice.randrange(3000, 80000) if not self.config['busy'] else int(SECOND * dice.expovariate(4))
            arrival = self.due(self.now + wait, dice)
            self.sent.append(Thing(key=(act.n, act.sent), channel=channel, event=event, body=body, tells=frozenset(tells), main=main,
                                   feature=feature, actor=actor, arrival=arrival, dice=dice, lost=False, data=data,
                                   read=self.now, saved=saved))

    def channels(self, env, organisation=True):
        found = []
        if organisation and self.config['organisation']:
            found.append('organisation')
        if self.envs[env].webhook:
            found.append(env)
        return found

    def audit(self, act, kind, log, env=None, project=None, related=None, uuid=None, system=False, state=None,
              feature=None, late=False, after=0):
        """The audit entry about a save just done; where it is about a v1 state, the flag body comes after it."""
        if act.author is None and not system:
            return
        created = None if kind == 'EF_VERSION' else self.now + after
        # entries about an environment show it as it was saved, all others as it is when they are written
        shown = self.environment_json(self.envs[env]) if kind == 'ENVIRONMENT' else None
        # the tasks of saves begin after a second, those of versions and change requests at once
        self.task(act, 'v2' if late else 'v1', 0.6, self.audit_task, act, kind, log, env, project, related, uuid, system,
                  state, feature, created, shown, least=0 if late else SECOND)

    def audit_task(self, act, kind, log, env, project, related, uuid, system, state, feature, created, shown):
        self.audit_id += 1
        act.audit_ids.append(self.audit_id)
        e = self.envs.get(env)
        p = self.projects[e.project if e else project]
        if p.deleted_at:
            return
        author = None
        if act.author and act.author[0] == 'user' and not system:
            email, number, first, last = USERS[act.author[1]]
            author = {'email': email, 'first_name': first, 'id': number, 'last_login': None, 'last_name': last,
                      'uuid': '00000000-0000-4000-a000-%012d' % number}
        data = {'author': author, 'created_date': iso(self.now if created is None else created, True),
                'environment': shown or (self.environment_json(e) if e else None), 'id': self.audit_id, 'is_system_event': system,
                'log': log, 'project': self.project_json(p), 'related_object_id': related, 'related_object_type': kind,
                'related_object_uuid': uuid}
        if self.config['organisation']:
            self.send(act, ['organisation'], 'AUDIT_LOG_CREATED', data, [act.n], feature, author and author['email'],
                      saved=self.now if created is None else created)
        if state is not None and kind == 'FEATURE_STATE':
            self.task(act, 'v2', 0.15, self.flag_updated_v1, act, state)

    def flag_updated_v1(self, act, state):
        """Read from the database when the task runs, torn or not."""
        if state.gone or not self.exists(state.env, state.feature) or not state.saves:
            return
        if state.identity is None and self.envs[state.env].v2:
            return
        at, enabled, who, origin = state.saves[-1]
        data = {'changed_by': who, 'timestamp': iso(at),
                'new_state': self.state_json(state, state.enabled, state.value, state.mv, act.dice)}
        previous = getattr(state, 'replaced', None)
        if previous is not None and len(state.saves) == 1:
            data['previous_state'] = self.state_json(previous, previous.enabled, previous.value, previous.mv, act.dice)
        elif len(state.saves) > 1:
            mv = {o: [r[0], r[2][-2]] for o, r in state.mv.items() if len(r[2]) > 1}
            value = state.value_saves[-2] if len(state.value_saves) > 1 else None
            data['previous_state'] = self.state_json(state, state.saves[-2][1], value, mv, act.dice)
        tells = {origin} | ({state.value_act} if state.value_act is not None else set())
        self.send(act, self.channels(state.env), 'FLAG_UPDATED', data, tells, state.feature, who, origin)

    def flag_deleted(self, act, states):
        for state, at, who in states:
            data = {'changed_by': who, 'new_state': None, 'timestamp': iso(at),
                    'previous_state': self.state_json(state, state.enabled, state.value, state.mv, act.dice)}
            self.send(act, self.channels(state.env), 'FLAG_DELETED', data, [act.n], state.feature, None)
