"""The acts of the simulated Flagsmith: what each saves, at which instants, and which tasks it leaves behind."""
import random

from .sender import SECOND, USERS, Sender, State, Thing, Version, iso

FS = 'FEATURE_STATE'


class Act:
    def __init__(self, n, seed, kind, author, arguments):
        self.n, self.kind, self.author, self.arguments = n, kind, author, arguments
        self.dice = random.Random('%s/%s' % (seed, n))
        self.sent = 0
        self.audit_ids = []
        self.at = None

    @property
    def who(self):
        if self.author is None:
            return ''
        return USERS[self.author[1]][0] if self.author[0] == 'user' else self.author[1]

    def gap(self, most=40):
        return self.dice.randrange(2000, most * 1000)


class Flagsmith(Sender):
    def perform(self, op):
        """Execute an operation as drawn; without effect where what it is about is not there."""
        act = Act(op['n'], self.config['seed'], op['kind'], op['author'], op['args'])
        act.at = self.now
        self.acts[act.n] = act
        getattr(self, 'do_' + op['kind'])(act, **op['args'])
        return act

    # What is there.

    def there(self, things, number):
        thing = things.get(number)
        if thing is None or thing.deleted_at:
            return None
        if hasattr(thing, 'project') and self.projects[thing.project].deleted_at:
            return None
        return thing

    def flag(self, env, feature):
        e, f = self.there(self.envs, env), self.there(self.features, feature)
        return e is not None and f is not None and e.project == f.project

    def envs_of(self, project):
        return [e for e in self.envs.values() if e.project == project and not e.deleted_at]

    def features_of(self, project):
        return [f for f in self.features.values() if f.project == project and not f.deleted_at]

    # Projects, environments, segments, identities.

    def do_project_create(self, act, project, name, no_defaults):
        p = self.projects[project] = Thing(id=project, no_defaults=no_defaults, created=self.now)
        self.name('project', p, name)

    def do_project_rename(self, act, project, name):
        if self.there(self.projects, project):
            self.name('project', self.projects[project], name)

    def do_project_delete(self, act, project):
        p = self.there(self.projects, project)
        if p:
            p.deleted_at, p.deleted_by = self.now, act.n
            self.record(act)

    def new_environment(self, act, env, project, name, webhook):
        e = self.envs[env] = Thing(id=env, project=project, v2=False, is_creating=False, webhook=webhook, created=self.now,
                                   act=act.n)
        self.name('environment', e, name)
        return e

    def do_env_create(self, act, env, project, name, webhook, v2):
        if not self.there(self.projects, project):
            return
        e = self.new_environment(act, env, project, name, webhook)
        for f in self.features_of(project):
            self.default_state(act, e, f)
        self.record(act)
        self.audit(act, 'ENVIRONMENT', 'New Environment created: ' + name, env, related=env)
        if v2:
            self.at(self.now + act.gap(), self.switch, act, env)

    def do_env_clone(self, act, env, source, name, webhook):
        old = self.there(self.envs, source)
        if not old:
            return
        e = self.new_environment(act, env, old.project, name, webhook)
        e.is_creating = True
        e.v2 = old.v2
        self.audit(act, 'ENVIRONMENT', 'New Environment created: ' + name, env, related=env)
        for f in self.features_of(old.project):
            states = {s: self.clone_state(act, state, env) for s, state in self.current(source, f.id).items() if s[1] is None}
            if old.v2:
                self.versions[env, f.id] = [Version(self.uuid(act), states, self.now, self.now, act)]
            else:
                self.live[env, f.id] = states
        self.record(act)
        if act.dice.random() < 0.7:
            self.at(self.now + SECOND // 10, self.clone_done, act, env)

    def clone_done(self, act, env):
        self.envs[env].is_creating = False
        self.audit(act, 'ENVIRONMENT', 'Environment updated: ' + self.envs[env].name, env, related=env)

    def clone_state(self, act, state, env):
        copy = state.copy(self.row(), env)
        self.save_row(act, copy)
        return copy

    def do_env_rename(self, act, env, name):
        if self.there(self.envs, env):
            self.name('environment', self.envs[env], name)
            self.audit(act, 'ENVIRONMENT', 'Environment updated: ' + name, env, related=env)

    def do_env_switch(self, act, env):
        if self.there(self.envs, env):
            self.switch(act, env)

    def switch(self, act, env):
        """Versions from now on: the states are labelled anew, which changes nothing and is told by nothing."""
        e = self.envs[env]
        if e.v2 or e.deleted_at:
            return
        for f in self.features_of(e.project):
            states = {s: state for s, state in self.live.get((env, f.id), {}).items() if s[1] is None}
            self.versions[env, f.id] = [Version(self.uuid(act), states, self.now, self.now, act)]
        e.v2 = True
        e.switched = self.now
        self.record(act)

    def do_env_delete(self, act, env):
        e = self.there(self.envs, env)
        if not e:
            return
        for f in self.features_of(e.project):
            for scope, state in self.current(env, f.id).items():
                if scope[0] is not None and not e.v2:
                    self.audit(act, 'FEATURE', self.override_log('deleted', f, state), env, related=f.id, feature=f.name)
            self.audit(act, FS, 'Flag / Remote Config Deleted: ' + f.name, env, related=self.row(), feature=f.name)
        e.deleted_at, e.deleted_by = self.now, act.n
        self.record(act)

    def do_segment_create(self, act, segment, project, name):
        if self.there(self.projects, project):
            s = self.segments[segment] = Thing(id=segment, project=project)
            self.name('segment', s, name)
            self.audit(act, 'SEGMENT', 'New Segment created: ' + name, project=project, related=segment)

    def do_segment_update(self, act, segment, revision, name=None):
        """An edit stores a revision, a segment of its own id under the same name, with an entry of its own."""
        s = self.there(self.segments, segment)
        if s:
            self.audit(act, 'SEGMENT', 'New Segment created: ' + s.name, project=s.project, related=revision)
            if name:
                self.name('segment', s, name)
            self.audit(act, 'SEGMENT', 'Segment updated: ' + s.name, project=s.project, related=segment, after=8000)

    def do_segment_delete(self, act, segment):
        s = self.there(self.segments, segment)
        if not s:
            return
        for (env, feature), states in list(self.live.items()):
            state = states.get((segment, None))
            if state and not self.envs[env].v2 and self.exists(env, feature):
                self.audit(act, 'FEATURE', self.override_log('deleted', self.features[feature], state), env, related=feature,
                           feature=self.features[feature].name)
            states.pop((segment, None), None)
        for versions in self.versions.values():
            for version in versions:
                version.states.pop((segment, None), None)
        self.audit(act, 'SEGMENT', 'Segment deleted: ' + s.name, project=s.project, related=segment, uuid=self.uuid(act))
        s.deleted_at = self.now
        self.record(act)

    def do_identity_delete(self, act, identity):
        i = self.there(self.identities, identity)
        if i:
            i.deleted_at = self.now
            for states in self.live.values():
                gone = states.pop((None, identity), None)
                if gone:
                    gone.gone = True
            self.record(act)

    # Features.

    def uuid(self, act):
        return '%08x-0000-4000-b000-%012x' % (act.n, act.dice.getrandbits(48))

    def default_state(self, act, e, f):
        state = State(self.row(), e.id, f.id)
        if not self.projects[e.project].no_defaults:
            state.enabled, state.value = f.default_enabled, f.initial
        state.value_saves = [state.value]
        state.value_act = act.n
        for option, share in f.shares.items():
            state.mv[option] = [self.row(), share, [share]]
        if e.v2:
            self.versions[e.id, f.id] = [Version(self.uuid(act), {(None, None): state}, self.now, self.now, act)]
        else:
            self.live.setdefault((e.id, f.id), {})[None, None] = state
        self.save_row(act, state)
        return state

    def save_row(self, act, state, who=None):
        state.saves.append((self.now, state.enabled, act.who if who is None else who, act.n))

    def do_feature_create(self, act, feature, project, name, default_enabled, initial, options):
        if not self.there(self.projects, project):
            return
        f = self.features[feature] = Thing(
            id=feature, project=project, created=self.now, default_enabled=default_enabled, initial=initial, options={},
            shares={}, initial_value=None if initial is None else str(initial), act=act.n,
            type='MULTIVARIATE' if options else 'STANDARD')
        self.name('feature', f, name)
        self.audit(act, 'FEATURE', 'New Flag / Remote Config created: ' + name, project=project, related=feature, feature=name)
        at = self.now
        for e in self.envs_of(project):
            at += act.gap(12)
            self.at(at, self.feature_in_environment, act, e, f)
        for option, value, share in options:
            at += act.gap(20)
            self.at(at, self.add_option, act, f, option, value, share, False)

    def feature_in_environment(self, act, e, f):
        if e.deleted_at or f.deleted_at:
            return
        state = self.default_state(act, e, f)
        self.record(act, [(e.id, f.id)])
        if not e.v2:
            self.audit(act, FS, 'New Flag / Remote Config created: ' + f.name, e.id, related=state.id, state=state,
                       feature=f.name)

    def do_feature_update(self, act, feature, after=0):
        f = self.there(self.features, feature)
        if f:
            self.audit(act, 'FEATURE', 'Flag / Remote Config updated: ' + f.name, project=f.project, related=feature,
                       feature=f.name, after=after)

    def all_states(self, feature, defaults=False):
        """Every row of a feature, in all versions, those that are not live included."""
        for pairs in (self.live, self.old_rows):
            for (env, f), states in pairs.items():
                if f == feature:
                    yield from (s for s in (states.values() if isinstance(states, dict) else states)
                                if not defaults or (s.segment is None and s.identity is None))
        for (env, f), versions in self.versions.items():
            if f == feature:
                for version in versions:
                    yield from (s for s in version.states.values() if not defaults or s.segment is None)

    def do_option_add(self, act, feature, option, value, share):
        f = self.there(self.features, feature)
        if f:
            self.add_option(act, f, option, value, share, True)

    def add_option(self, act, f, option, value, share, alone):
        if f.deleted_at:
            return
        flips = not f.options and alone
        f.options[option] = value
        f.shares[option] = share
        for state in {id(s): s for s in self.all_states(f.id, defaults=True)}.values():
            state.mv.setdefault(option, [self.row(), share, [share]])
        self.record(act)
        self.audit(act, 'FEATURE', "Multivariate option added to feature '%s'." % f.name, project=f.project, related=f.id,
                   feature=f.name)
        if flips:
            f.type = 'MULTIVARIATE'
            self.do_feature_update(act, f.id, 6000)

    def do_option_remove(self, act, feature, option):
        f = self.there(self.features, feature)
        if not f or option not in f.options:
            return
        del f.options[option]
        del f.shares[option]
        for state in self.all_states(f.id):
            state.mv.pop(option, None)
        self.record(act)
        self.audit(act, 'FEATURE', "Multivariate option removed from feature '%s'." % f.name, project=f.project,
                   related=f.id, feature=f.name)
        if not f.options:
            f.type = 'STANDARD'
            self.do_feature_update(act, f.id, 6000)

    def do_feature_delete(self, act, feature):
        f = self.there(self.features, feature)
        if not f:
            return
        for e in self.envs_of(f.project):
            rows = []
            if e.v2:
                for version in self.versions.get((e.id, feature), ()):
                    state = version.states.get((None, None))
                    if state:
                        rows.append((state, version.saved_at or version.made_at, version.act.who))
            else:
                default = self.live.get((e.id, feature), {}).get((None, None))
                for state in ([default] if default else []) + self.old_rows.get((e.id, feature), []):
                    rows.append((state, state.saves[-1][0], state.saves[-1][2]))
            self.flag_deleted(act, rows)
            if not e.v2:
                self.audit(act, FS, 'Flag / Remote Config Deleted: ' + f.name, e.id, related=self.row(), feature=f.name)
            for (segment, identity), state in self.live.get((e.id, feature), {}).items():
                if identity is not None:
                    self.audit(act, FS, self.override_log('deleted', f, state), e.id, related=state.id, feature=f.name)
        self.audit(act, 'FEATURE', 'Flag / Remote Config Deleted: ' + f.name, project=f.project, related=feature, feature=f.name)
        f.deleted_at, f.deleted_by = self.now, act.n
        self.record(act)

    # States of v1, and identity overrides of both.

    def override_log(self, word, f, state):
        return "Flag state / Remote config value %s for feature '%s' and %s" % (word, f.name, self.scope_log(state))

    def scope_log(self, state):
        if state.identity is not None:
            return "identity '%s'" % self.identities[state.identity].identifier
        return "segment '%s'" % self.segments[state.segment].name

    def logs(self, f, state):
        """The messages about a state's three kinds of rows."""
        if state.identity is not None:
            return (self.override_log('updated', f, state),
                    "Remote config value updated for identity override on feature '%s' and %s." % (f.name, self.scope_log(state)),
                    "Multivariate value changed for feature '%s' and %s." % (f.name, self.scope_log(state)))
        if state.segment is not None:
            return (self.override_log('updated', f, state),
                    "Remote config updated for segment override on feature '%s' and %s." % (f.name, self.scope_log(state)),
                    "Multivariate value changed for feature '%s' and %s." % (f.name, self.scope_log(state)))
        return ('Flag state updated for feature: ' + f.name, 'Remote config value updated for feature: ' + f.name,
                "Multivariate value changed for feature '%s'." % f.name)

    def put(self, act, state, enabled, value, shares):
        """One PUT: the value row, the state row, the percentage rows, each saved and logged by itself."""
        at = self.now
        if value is not None:
            self.save_value(act, state, value[0])
            at += act.gap()
        self.at(at, self.save_enabled, act, state, enabled)
        for option, share in sorted(shares.items()):
            at += act.gap(15)
            self.at(at, self.save_share, act, state, option, share)

    def usable(self, state):
        return not state.gone and self.exists(state.env, state.feature) and \
            self.current(state.env, state.feature).get((state.segment, state.identity)) is state

    def save_value(self, act, state, value):
        f = self.features[state.feature]
        changed = value != state.value or type(value) is not type(state.value)
        state.value = value
        state.value_saves.append(value)
        if changed:
            state.value_act = act.n
            self.record(act, [(state.env, state.feature)])
            self.audit(act, FS, self.logs(f, state)[1], state.env, related=state.id, state=state, feature=f.name)

    def save_enabled(self, act, state, enabled):
        if not self.usable(state):
            return
        f = self.features[state.feature]
        changed = enabled is not None and enabled != state.enabled
        if changed:
            state.enabled = enabled
        self.save_row(act, state)
        if changed:
            self.record(act, [(state.env, state.feature)])
            self.audit(act, FS, self.logs(f, state)[0], state.env, related=state.id, state=state, feature=f.name)

    def save_share(self, act, state, option, share):
        if not self.usable(state) or option not in state.mv:
            return
        f = self.features[state.feature]
        row = state.mv[option]
        changed = row[1] != share
        row[1] = share
        row[2].append(share)
        if changed:
            self.record(act, [(state.env, state.feature)])
            self.audit(act, FS, self.logs(f, state)[2], state.env, related=f.id, state=state, feature=f.name)

    def do_put(self, act, env, feature, enabled, value, shares):
        if self.flag(env, feature) and not self.envs[env].v2:
            state = self.live.get((env, feature), {}).get((None, None))
            if state:
                self.put(act, state, enabled, value, shares)

    def do_override(self, act, env, feature, segment, identity, identifier, enabled, value, shares, priority):
        if not self.flag(env, feature) or (segment is not None and (not self.there(self.segments, segment) or self.envs[env].v2)):
            return
        if identity is not None and identity not in self.identities:
            self.identities[identity] = Thing(id=identity, env=env, identifier=identifier)
        if identity is not None and not self.there(self.identities, identity):
            return
        states = self.live.setdefault((env, feature), {})
        state = states.get((segment, identity))
        if state:
            return self.put(act, state, enabled, value, shares)
        default = self.current(env, feature).get((None, None))
        if default is None:
            return
        state = states[segment, identity] = State(self.row(), env, feature, segment, identity, priority)
        state.enabled, state.value, state.value_act = enabled, value[0] if value else default.value, act.n
        state.value_saves = [default.value] if state.value != default.value else []
        state.value_saves.append(state.value)
        for option, share in self.features[feature].shares.items():
            state.mv[option] = [self.row(), shares.get(option, share), [shares.get(option, share)]]
        self.save_row(act, state)
        self.record(act, [(env, feature)])
        # an override equal to the default is told by nothing
        f = self.features[feature]
        logs = self.logs(f, state)
        if state.enabled != default.enabled:
            self.audit(act, FS, logs[0], env, related=state.id, state=state, feature=f.name)
        if state.value != default.value:
            self.audit(act, FS, logs[1], env, related=state.id, state=state, feature=f.name, after=act.gap())

    def do_override_remove(self, act, env, feature, segment, identity):
        if not self.flag(env, feature) or (segment is not None and self.envs[env].v2):
            return
        state = self.live.get((env, feature), {}).pop((segment, identity), None)
        if state is None:
            return
        state.gone = True
        f = self.features[feature]
        self.record(act, [(env, feature)])
        if segment is not None:
            self.audit(act, 'FEATURE', self.override_log('deleted', f, state), env, related=feature, feature=f.name)
        else:
            self.audit(act, FS, self.override_log('deleted', f, state), env, related=state.id, feature=f.name)

    def do_reorder(self, act, env, feature, order):
        if not self.flag(env, feature) or self.envs[env].v2:
            return
        states = self.live.get((env, feature), {})
        for priority, segment in enumerate(order):
            if (segment, None) in states:
                states[segment, None].priority = priority
        self.record(act, [(env, feature)])
        f = self.features[feature]
        self.audit(act, 'FEATURE', "Segment overrides re-ordered for feature '%s'." % f.name, env, related=feature, feature=f.name)

    def do_import(self, act, project, enabled, value):
        """A feature import changes states in place, and nothing is sent."""
        for e in self.envs_of(project):
            for f in self.features_of(project):
                state = self.current(e.id, f.id).get((None, None))
                if state:
                    state.enabled, state.value = enabled, value
        self.record(act)

    # Change requests of v1: drafted, committed, and live at once or later.

    def do_change_request(self, act, env, feature, title, enabled, value, commit, live):
        if not self.flag(env, feature) or self.envs[env].v2:
            return
        old = self.live.get((env, feature), {}).get((None, None))
        if old is None:
            return
        draft = old.copy(self.row())
        draft.enabled, draft.value, draft.value_saves, draft.value_act = enabled, value, [value], act.n
        self.save_row(act, draft, '')
        self.old_rows.setdefault((env, feature), []).append(draft)
        self.audit(act, 'CHANGE_REQUEST', 'Change Request: %s created' % title, env, related=act.n)
        self.at(self.now + commit, self.commit, act, draft, title, live)

    def commit(self, act, draft, title, live):
        if not self.flag(draft.env, draft.feature) or self.envs[draft.env].v2:
            return
        self.audit(act, 'CHANGE_REQUEST', 'Change Request: %s approved' % title, draft.env, related=act.n, after=-20000)
        if live:
            self.at(self.now + live, self.goes_live, act, draft, title, True)
        else:
            self.goes_live(act, draft, title, False)
        self.audit(act, 'CHANGE_REQUEST', 'Change Request: %s committed' % title, draft.env, related=act.n, after=10000)

    def goes_live(self, act, draft, title, scheduled):
        if not self.flag(draft.env, draft.feature) or self.envs[draft.env].v2:
            return
        states = self.live[draft.env, draft.feature]
        rows = self.old_rows[draft.env, draft.feature]
        draft.replaced = states[None, None]
        rows.remove(draft)
        rows.append(states[None, None])
        states[None, None] = draft
        self.record(act, [(draft.env, draft.feature)])
        name = self.features[draft.feature].name
        log = ('Scheduled change to Flag state / Remote config value went live for feature: %s by Change Request: %s'
               if scheduled else 'Flag state / Remote config updated for feature: %s by Change Request: %s') % (name, title)
        self.audit(act, FS, log, draft.env, related=draft.id, system=True, state=draft, feature=name, late=True)

    # Versions.

    def do_publish(self, act, env, feature, changes, draft, past, later, title, separate):
        """A draft copied from what is live, changed, and published now, later, or with an instant of effect in the past."""
        if not self.flag(env, feature) or not self.envs[env].v2:
            return
        live = self.live_version(env, feature)
        if live is None:
            return
        states = {s: state.copy(self.row()) for s, state in live.states.items()}
        for change in changes:
            self.change_version(env, feature, states, **change)
        version = Version(self.uuid(act), states, act=act)
        version.made_at = self.now
        version.separate = separate
        self.versions[env, feature].append(version)
        if title:
            self.audit(act, 'CHANGE_REQUEST', 'Change Request: %s created' % title, env, related=act.n)
        self.at(self.now + draft, self.publish, act, env, feature, version, past, later, title)

    def change_version(self, env, feature, states, segment, enabled, value, shares, remove, priority):
        if segment is not None and not self.there(self.segments, segment):
            return
        if remove:
            states.pop((segment, None), None)
            return
        state = states.get((segment, None))
        if state is None:
            if segment is None:
                return
            state = State(self.row(), env, feature, segment, None, priority)
            for option, share in self.features[feature].shares.items():
                state.mv[option] = [self.row(), share, [share]]
            for other in states.values():
                if other.segment is not None and other.priority >= priority:
                    other.priority += 1
            states[segment, None] = state
        state.enabled, state.value = enabled, value
        for option, share in shares.items():
            if option in state.mv:
                state.mv[option][1] = share

    def publish(self, act, env, feature, version, past, later, title):
        if not self.flag(env, feature) or version not in self.versions[env, feature]:
            return
        version.published_at = self.now
        version.saved_at = self.now - int(10 ** random.Random(version.uuid).uniform(3.3, 5.95))
        version.live_from = self.now - past + later
        version.announced = dict(version.states)
        f = self.features[feature]
        if title:
            self.audit(act, 'CHANGE_REQUEST', 'Change Request: %s committed' % title, env, related=act.n, after=10000)
        self.audit(act, 'EF_VERSION', 'New version published for feature: ' + f.name, env, uuid=version.uuid, feature=f.name,
                   late=True)
        self.at(max(self.now, version.live_from), self.version_live, act, env, feature, version)

    def version_live(self, act, env, feature, version):
        if not self.flag(env, feature) or version not in self.versions[env, feature]:
            return
        self.record(act, [(env, feature)])
        act.live_at = self.now
        if not self.config['threads']:
            self.task(act, 'v2', 0.6, self.version_told, act, env, feature, version)

    def version_told(self, act, env, feature, version):
        f, e = self.features[feature], self.envs[env]
        if e.deleted_at or self.projects[e.project].deleted_at:
            return
        before = [v for v in self.versions[env, feature] if v.published_at is not None and v.live_from < version.live_from]
        before = max(before, key=lambda v: v.live_from).states if before else {}
        who = act.who
        if act.author and act.author[0] == 'key' and not version.separate:
            who = ''
        shown = []
        for scope, state in sorted(version.states.items(), key=lambda item: item[1].id):
            if f.deleted_at:
                continue
            shown.append({'enabled': state.enabled, 'value': state.value,
                          'multivariate_feature_state_values': self.variants_json(f, state.mv, act.dice)})
            old = before.get(scope)
            if old is not None and old.shown()[:3] == state.shown()[:3]:
                continue
            data = {'changed_by': who, 'timestamp': iso(version.published_at),
                    'new_state': self.state_json(state, state.enabled, state.value, state.mv, act.dice)}
            if old is not None:
                data['previous_state'] = self.state_json(old, old.enabled, old.value, old.mv, act.dice)
            self.send(act, self.channels(env), 'FLAG_UPDATED', data, [act.n], feature, who or None, act.n)
        by = None
        if act.author and act.author[0] == 'user':
            by = {'email': USERS[act.author[1]][0], 'id': USERS[act.author[1]][1]}
        self.send(act, self.channels(env, False), 'NEW_VERSION_PUBLISHED',
                  {'feature': {'id': f.id, 'name': f.name}, 'feature_states': shown, 'published_by': by, 'uuid': version.uuid},
                  [act.n], feature, by and by['email'])

    def do_version_delete(self, act, env, feature):
        """A scheduled version that is deleted before it goes live: its entry stays, and nothing else comes of it."""
        if self.flag(env, feature) and self.envs[env].v2:
            pending = [v for v in self.versions.get((env, feature), ()) if v.published_at is None or v.live_from > self.now]
            if pending:
                self.versions[env, feature].remove(pending[-1])

    def do_experiment(self, act, env, feature, segment, enabled, value):
        """A rollout of an experiment changes the override of its own segment in place, and nothing is sent."""
        if self.flag(env, feature) and self.envs[env].v2:
            version = self.live_version(env, feature)
            state = version and version.states.get((segment, None))
            if state:
                state.enabled, state.value = enabled, value
                self.record(act, [(env, feature)])

