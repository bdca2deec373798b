"""Draws a history: the circumstances, the acts, and what became of the deliveries on their way."""
import bisect
import hashlib
import hmac
import random

from .acts import Flagsmith
from .sender import SECOND, Thing, iso

MINUTE = 60 * SECOND
NAMES = ('checkout', 'new-search', "a' and segment 'b", 'x by Change Request: y', 'two\nlines', '\u05e9\u05dc\u05d5\u05dd', 'Prod/EU',
         'quo"te', 'back\\slash\\', 'for feature: z', "' and identity 'q", '50 %', 'rocket \U0001f680', 'Shop/Production/x', '\u2028',
         '.', 'NULL', "it's", 'default', 'created')
PLAIN = ('banner', 'beta', 'price', 'speed', 'theme', 'limits', 'menu', 'login')
VALUES = ('blue', 'green', 'red', '', 'true', '007', 'line one\nline two', 'gr\u00fcn \U0001f680', 5, -1, 1, 0, True, False, None,
          2147483647, '"', '[1]')
SECRETS = {'organisation': 'organisation secret', 'environment': 'environment secret'}


# Circumstances that are given instead of drawn.
GIVEN = {
    'drawn': {},
    'whole': {'lost': 0, 'bursts': []},
    'lost-1': {'lost': 0.01, 'bursts': []},
    'lost-5': {'lost': 0.05, 'bursts': []},
    'bursts': {'lost': 0, 'bursts': None},
    'organisation': {'lost': 0, 'bursts': [], 'organisation': True, 'webhooks': 0.0},
    'environments': {'lost': 0, 'bursts': [], 'organisation': False, 'webhooks': 1.0},
}


class Draw:
    def __init__(self, seed, given='drawn'):
        self.seed = seed
        self.dice = random.Random('history %s' % seed)
        self.ids = {}
        self.hostile = self.dice.random() < 0.4
        self.config = self.circumstances()
        self.config.update(GIVEN[given])
        if self.config['bursts'] is None:
            dice = random.Random('bursts %s' % seed)
            begins = [self.config['start'] + dice.randrange(20 * MINUTE) for _ in range(dice.choice((1, 2, 3)))]
            self.config['bursts'] = [(begin, begin + dice.randrange(5, 60) * SECOND,
                                      dice.choice(('all', 'organisation', 'environment'))) for begin in begins]
        self.sim = Flagsmith(self.config)
        self.ops = []

    def circumstances(self):
        dice = self.dice
        # a whole number of days before now, so that what is claimed is never in the future
        start = 1735689600 * SECOND + dice.randrange(300 * 86400) * SECOND + dice.randrange(SECOND)
        config = {'seed': self.seed, 'start': start, 'busy': dice.random() < 0.5, 'threads': dice.random() < 0.08, 'stops': [],
                  'organisation': dice.random() < 0.88, 'webhooks': 0.9 if dice.random() < 0.88 else 0.0,
                  'lost': dice.choice((0, 0, 0, 0, 0.01, 0.05, 0.15)), 'bursts': [], 'late': dice.choice((0, 0, 0, 0.1, 0.5)),
                  'twice': dice.choice((0, 0, 0.05, 0.25)), 'shuffled': dice.random() < 0.25,
                  'skew': 0 if dice.random() < 0.6 else int(dice.gauss(0, 0.4) * SECOND), 'dropped': set(), 'ideal': False}
        if dice.random() < 0.7:
            config['lost'] = 0
        if not config['organisation']:
            config['webhooks'] = 1.0
        if dice.random() < 0.12:
            begin = start + dice.randrange(10 * MINUTE)
            config['stops'].append((begin, begin + dice.randrange(20, 90) * SECOND))
        if dice.random() < 0.15:
            begin = start + dice.randrange(12 * MINUTE)
            config['bursts'].append((begin, begin + dice.randrange(5, 60) * SECOND,
                                     dice.choice(('all', 'organisation', 'environment'))))
        return config

    def new(self, kind):
        self.ids[kind] = self.ids.get(kind, 0) + 1
        return self.ids[kind]

    def pick_name(self, taken, fresh=False):
        pool = [n for n in (NAMES if self.hostile and self.dice.random() < 0.6 else PLAIN) if n.lower() not in taken]
        return self.dice.choice(pool) if pool and not fresh else 'name %d' % self.dice.randrange(10**6)

    def history(self, acts):
        """Draw that many acts, each against what is there by then."""
        dice = self.dice
        at = self.config['start']
        self.step(at, 'project_create', project=self.new('project'), name=self.pick_name(()), no_defaults=dice.random() < 0.15)
        for _ in range(dice.choice((1, 1, 2, 2, 3))):
            at += dice.randrange(SECOND, 20 * SECOND)
            self.draw_env_create(at)
        style = dice.random()
        while len(self.ops) < acts:
            at += self.pause(style)
            self.sim.run(at)
            kind = self.choose()
            getattr(self, 'draw_' + kind)(at)
        return self.ops

    def pause(self, style):
        draw = self.dice.random()
        if draw < (0.1 if style < 0.6 else 0.5):
            return self.dice.randrange(20000, 900000)          # several people within one second
        if draw < (0.3 if style < 0.6 else 0.8):
            return self.dice.randrange(SECOND, 5 * SECOND)
        if draw < 0.98:
            return self.dice.randrange(10 * SECOND, 120 * SECOND)
        return self.dice.randrange(3600 * SECOND, 30 * 3600 * SECOND)

    WEIGHTS = {'feature_create': 9, 'put': 30, 'publish': 30, 'override': 14, 'override_remove': 4, 'identity': 7,
               'identity_remove': 3, 'identity_delete': 2, 'segment_create': 7, 'segment_update': 2, 'segment_delete': 2,
               'feature_delete': 4, 'feature_update': 1, 'option_add': 3, 'option_remove': 2, 'env_create': 2, 'env_clone': 2,
               'env_rename': 3, 'env_switch': 2, 'env_delete': 1.5, 'project_create': 1, 'project_rename': 1,
               'project_delete': 0.5, 'reorder': 2, 'import': 0.7, 'change_request': 4, 'version_delete': 1, 'experiment': 1}

    def choose(self):
        if not self.live_features() and self.dice.random() < 0.7:
            return 'feature_create'
        kinds = list(self.WEIGHTS)
        return self.dice.choices(kinds, [self.WEIGHTS[k] for k in kinds])[0]

    def step(self, at, kind, **arguments):
        draw = self.dice.random()
        author = ('user', self.dice.randrange(3)) if draw < 0.85 else ('key', 'CI deploy key')
        if kind in ('import', 'project_delete', 'experiment'):
            author = None
        op = {'n': len(self.ops), 'at': at, 'kind': kind, 'author': author, 'args': arguments}
        self.ops.append(op)
        self.sim.run(at)
        self.sim.perform(op)

    # What is there to act upon.

    def projects(self):
        return [p for p in self.sim.projects.values() if not p.deleted_at]

    def envs(self, v2=None):
        return [e for e in self.sim.envs.values() if self.sim.there(self.sim.envs, e.id) and (v2 is None or e.v2 == v2)]

    def live_features(self):
        return [f for f in self.sim.features.values() if self.sim.there(self.sim.features, f.id)]

    def flags(self, v2=None):
        return [(e, f) for e in self.envs(v2) for f in self.live_features() if e.project == f.project]

    def flag(self, v2=None):
        flags = self.flags(v2)
        return self.dice.choice(flags) if flags else (None, None)

    def segments(self, project):
        return [s for s in self.sim.segments.values() if s.project == project and not s.deleted_at]

    def value(self):
        return self.dice.choice(VALUES) if self.dice.random() < 0.5 else 'v%d' % self.dice.randrange(1000)

    # Acts.

    def draw_project_create(self, at):
        gone = [p.name for p in self.sim.projects.values() if p.deleted_at]
        name = self.dice.choice(gone) if gone else self.pick_name({p.name.lower() for p in self.projects()})
        self.step(at, 'project_create', project=self.new('project'), name=name, no_defaults=self.dice.random() < 0.15)
        if gone:
            self.draw_env_create(at + SECOND, self.sim.projects[self.ids['project']])

    def draw_project_rename(self, at):
        if self.projects():
            self.step(at, 'project_rename', project=self.dice.choice(self.projects()).id, name='Project %d' % len(self.ops))

    def draw_project_delete(self, at):
        if len(self.projects()) > 1 or self.dice.random() < 0.3:
            for p in self.projects()[:1]:
                self.step(at, 'project_delete', project=p.id)
                self.draw_project_create(at + SECOND)

    def environment_name(self, project):
        taken = {e.name.lower() for e in self.envs() if e.project == project}
        gone = [e.name for e in self.sim.envs.values() if e.name.lower() not in taken]
        if gone and self.dice.random() < 0.5:
            return self.dice.choice(gone)
        for name in ('Production', 'Development', 'Staging', 'Demo'):
            if name.lower() not in taken and (not self.hostile or self.dice.random() < 0.6):
                return name
        return self.pick_name(taken)

    def draw_env_create(self, at, project=None):
        if self.projects():
            project = project or self.dice.choice(self.projects())
            self.step(at, 'env_create', env=self.new('env'), project=project.id, name=self.environment_name(project.id),
                      webhook=self.dice.random() < self.config['webhooks'], v2=self.dice.random() < 0.5)

    def draw_env_clone(self, at):
        if self.envs():
            source = self.dice.choice(self.envs())
            self.step(at, 'env_clone', env=self.new('env'), source=source.id, name=self.environment_name(source.project),
                      webhook=self.dice.random() < self.config['webhooks'])

    def draw_env_rename(self, at):
        if self.envs():
            e = self.dice.choice(self.envs())
            self.step(at, 'env_rename', env=e.id, name=self.environment_name(e.project))

    def draw_env_switch(self, at):
        if self.envs(False):
            self.step(at, 'env_switch', env=self.dice.choice(self.envs(False)).id)

    def draw_env_delete(self, at):
        if len(self.envs()) > 1:
            self.step(at, 'env_delete', env=self.dice.choice(self.envs()).id)

    def draw_segment_create(self, at):
        if self.projects():
            project = self.dice.choice(self.projects()).id
            names = [s.name for s in self.segments(project)]
            name = self.dice.choice(names) if names and self.dice.random() < 0.2 else self.pick_name(())
            if self.dice.random() < 0.1:
                name = 'experiment-%d-rollout' % len(self.ops)
            self.step(at, 'segment_create', segment=self.new('segment'), project=project, name=name)

    def segment(self):
        found = [s for s in self.sim.segments.values() if self.sim.there(self.sim.segments, s.id)]
        return self.dice.choice(found) if found else None

    def draw_segment_update(self, at):
        s = self.segment()
        if s:
            self.step(at, 'segment_update', segment=s.id, revision=self.new('segment'),
                      name=self.pick_name((), True) if self.dice.random() < 0.4 else None)

    def draw_segment_delete(self, at):
        s = self.segment()
        if s:
            self.step(at, 'segment_delete', segment=s.id)

    def draw_feature_create(self, at):
        if self.projects():
            project = self.dice.choice(self.projects()).id
            taken = {f.name.lower() for f in self.live_features() if f.project == project}
            gone = [f.name for f in self.sim.features.values() if f.deleted_at and f.name.lower() not in taken]
            name = self.dice.choice(gone) if gone and self.dice.random() < 0.6 else self.pick_name(taken)
            options = [(self.new('option'), self.value(), self.dice.choice((0, 10, 25.0, 33.3)))
                       for _ in range(self.dice.choice((0, 0, 0, 0, 1, 2, 3)))]
            self.step(at, 'feature_create', feature=self.new('feature'), project=project, name=name,
                      default_enabled=self.dice.random() < 0.4,
                      initial=self.dice.choice((None, 'initial', 'init-%d' % len(self.ops), 7)), options=options)

    def feature(self, chosen=lambda f: True):
        found = [f for f in self.live_features() if chosen(f)]
        return self.dice.choice(found) if found else None

    def draw_feature_update(self, at):
        f = self.feature()
        if f:
            self.step(at, 'feature_update', feature=f.id)

    def draw_feature_delete(self, at):
        f = self.feature()
        if f:
            self.step(at, 'feature_delete', feature=f.id)

    def draw_option_add(self, at):
        f = self.feature()
        if f:
            self.step(at, 'option_add', feature=f.id, option=self.new('option'), value=self.value(),
                      share=self.dice.choice((0, 10, 25.0)))

    def draw_option_remove(self, at):
        f = self.feature(lambda f: f.options)
        if f:
            self.step(at, 'option_remove', feature=f.id, option=self.dice.choice(sorted(f.options)))

    def shares(self, f, often=0.4):
        if self.dice.random() < often:
            return {o: self.dice.choice((0, 5, 12.5, 20)) for o in sorted(f.options) if self.dice.random() < 0.7}
        return {}

    def sent_value(self, state):
        """What a PUT sends as value: a new one, the present one, or none."""
        draw = self.dice.random()
        return (self.value(),) if draw < 0.55 else (state.value,) if draw < 0.8 else None

    def draw_put(self, at):
        e, f = self.flag(False)
        state = e and self.sim.live.get((e.id, f.id), {}).get((None, None))
        if state:
            self.step(at, 'put', env=e.id, feature=f.id, enabled=self.dice.choice((not state.enabled, not state.enabled, None)),
                      value=self.sent_value(state), shares=self.shares(f))

    def draw_override(self, at):
        e, f = self.flag(False)
        segments = self.segments(e.project) if e else ()
        if not segments:
            return self.draw_segment_create(at)
        states = self.sim.live.get((e.id, f.id), {})
        self.step(at, 'override', env=e.id, feature=f.id, segment=self.dice.choice(segments).id, identity=None, identifier=None,
                  enabled=self.dice.random() < 0.5, value=(self.value(),) if self.dice.random() < 0.8 else None,
                  shares=self.shares(f), priority=len([s for s in states if s[0] is not None]))

    def draw_override_remove(self, at):
        found = [(k, s) for k, states in self.sim.live.items() for s in states
                 if s[0] is not None and self.sim.flag(*k) and not self.sim.envs[k[0]].v2]
        if found:
            (env, feature), scope = self.dice.choice(found)
            self.step(at, 'override_remove', env=env, feature=feature, segment=scope[0], identity=None)

    def draw_identity(self, at):
        e, f = self.flag()
        if not e:
            return
        known = [i for i in self.sim.identities.values() if i.env == e.id and not i.deleted_at]
        living = {i.identifier for i in known}
        gone = [i.identifier for i in self.sim.identities.values()
                if i.env == e.id and i.deleted_at and i.identifier not in living]
        if known and self.dice.random() < 0.6:
            identity = self.dice.choice(known)
        else:
            number = self.new('identity')
            # an identifier may look like another identity's id
            name = self.dice.choice(gone) if gone else str(number + 1) if self.dice.random() < 0.2 else 'user-%d' % number
            identity = Thing(id=number, identifier=name)
        self.step(at, 'override', env=e.id, feature=f.id, segment=None, identity=identity.id, identifier=identity.identifier,
                  enabled=self.dice.random() < 0.5, value=(self.value(),) if self.dice.random() < 0.8 else None,
                  shares=self.shares(f), priority=None)

    def draw_identity_remove(self, at):
        found = [(k, s) for k, states in self.sim.live.items() for s in states if s[1] is not None and self.sim.flag(*k)]
        if found:
            (env, feature), scope = self.dice.choice(found)
            self.step(at, 'override_remove', env=env, feature=feature, segment=None, identity=scope[1])

    def draw_identity_delete(self, at):
        known = [i for i in self.sim.identities.values() if not i.deleted_at and self.sim.there(self.sim.envs, i.env)]
        if known:
            self.step(at, 'identity_delete', identity=self.dice.choice(known).id)

    def draw_reorder(self, at):
        found = [(k, [s[0] for s in states if s[0] is not None]) for k, states in self.sim.live.items()
                 if self.sim.flag(*k) and not self.sim.envs[k[0]].v2]
        found = [(k, order) for k, order in found if len(order) > 1]
        if found:
            (env, feature), order = self.dice.choice(found)
            self.dice.shuffle(order)
            self.step(at, 'reorder', env=env, feature=feature, order=order)

    def draw_import(self, at):
        f = self.feature()
        if f:
            self.step(at, 'import', project=f.project, enabled=self.dice.random() < 0.5, value=self.value())

    def title(self):
        return self.dice.choice(('release', 'friday', 'a by Change Request: b', 'was created'))

    def draw_change_request(self, at):
        e, f = self.flag(False)
        if e:
            self.step(at, 'change_request', env=e.id, feature=f.id, title=self.title(), enabled=self.dice.random() < 0.5,
                      value=self.value(), commit=self.dice.choice((50000, 3 * SECOND, 80 * SECOND)),
                      live=self.dice.choice((0, 0, 10 * SECOND, 90 * SECOND)))

    def draw_publish(self, at):
        e, f = self.flag(True)
        live = e and self.sim.live_version(e.id, f.id)
        if not live:
            return
        changes = []
        segments = self.segments(e.project)
        for _ in range(self.dice.choice((1, 1, 1, 2, 3))):
            segment = self.dice.choice(segments).id if segments and self.dice.random() < 0.6 else None
            held = live.states.get((segment, None))
            overrides = len([s for s in live.states if s[0] is not None])
            changes.append({'segment': segment, 'enabled': self.dice.random() < 0.5,
                            'value': self.value() if held is None or self.dice.random() < 0.7 else held.value,
                            'shares': self.shares(f), 'remove': segment is not None and held is not None and
                            self.dice.random() < 0.3, 'priority': self.dice.randrange(overrides + 1)})
        draw = self.dice.random()
        self.step(at, 'publish', env=e.id, feature=f.id, changes=changes,
                  draft=self.dice.choice((0, 0, 0, 300000, 20 * SECOND)),
                  past=self.dice.choice((SECOND, MINUTE, 60 * MINUTE)) if draw < 0.06 else 0,
                  later=self.dice.choice((8 * SECOND, 30 * SECOND, 100 * SECOND)) if 0.06 < draw < 0.18 else 0,
                  title=self.title() if 0.18 < draw < 0.28 else None, separate=self.dice.random() < 0.5)

    def draw_version_delete(self, at):
        e, f = self.flag(True)
        if e:
            self.step(at, 'version_delete', env=e.id, feature=f.id)

    def draw_experiment(self, at):
        found = [(k, s[0]) for k in self.sim.versions for v in [self.sim.live_version(*k)] if v and self.sim.flag(*k)
                 for s in v.states if s[0] is not None and self.sim.segments[s[0]].name.startswith('experiment-')]
        if found:
            (env, feature), segment = self.dice.choice(found)
            self.step(at, 'experiment', env=env, feature=feature, segment=segment, enabled=self.dice.random() < 0.5,
                      value=self.value())


class History:
    """A history executed: truth, names, and deliveries as they came."""

    def __init__(self, config, ops):
        self.config, self.ops = config, ops
        sim = self.sim = Flagsmith(config)
        for op in sorted(ops, key=lambda op: (op['at'], op['n'])):
            sim.run(op['at'])
            sim.perform(op)
        sim.run(1 << 62)
        self.end = sim.now + 60 * SECOND
        self.truth = {scope: rows for scope, rows in sim.truth.items() if rows}
        self.journey()

    def journey(self):
        config = self.config
        arrived = []
        for d in self.sim.sent:
            dice = d.dice
            lost, late, twice, wait, again, order = (dice.random() for _ in range(6))
            kind = 'organisation' if d.channel == 'organisation' else 'environment'
            d.lost = d.key in config['dropped'] or lost < config['lost'] or any(
                begin <= d.arrival < end and which in ('all', kind) for begin, end, which in config['bursts'])
            if late < config['late']:
                d.arrival += int(wait * MINUTE)
            d.arrival += config['skew']
            d.order = order if config['shuffled'] else d.arrival
            if d.lost:
                continue
            arrived.append((d.order, d.key, d, d.arrival))
            if twice < config['twice']:
                at = d.arrival + int(again * 30 * SECOND)
                arrived.append((again if config['shuffled'] else at, d.key, d, at))
        arrived.sort(key=lambda row: row[:2])
        self.arrived = [(d, at) for _, _, d, at in arrived]
        self.received = {d.key: d for d, _ in self.arrived}

    # One request of these saves several rows, one after the other, and each save is told by itself.
    SAVES = ('put', 'override', 'feature_create')

    def tells_change(self, d, scope, at):
        """Whether a delivery of an act tells of what it saved at an instant: its own entry, or a body that was read later."""
        if d.event == 'AUDIT_LOG_CREATED':
            log = d.data['log']
            made = self.truth[scope][0][0] == at and ('created' in log or 'Multivariate' not in log) or \
                scope[2:] != (None, None)
            return d.saved == at or made and abs(d.saved - at) < SECOND // 4
        shown = d.data['new_state'] or d.data['previous_state']
        return d.read >= at and shown['environment']['id'] == scope[0]

    def told(self, act, scope=None, at=None):
        """
        Whether anything that was delivered told of an act, or of what it changed in a scope at an instant: told, silent
        (nothing was ever sent), hole or lost.
        """
        sent = [d for d in self.sim.sent if act in d.tells]
        if scope is not None and self.sim.acts[act].kind in self.SAVES:
            sent = [d for d in sent if self.tells_change(d, scope, at)]
        if any(not d.lost for d in sent):
            return 'told'
        if not sent:
            return 'silent'
        if any(d.event == 'AUDIT_LOG_CREATED' and self.is_hole(d.data['id']) for d in sent):
            return 'hole'
        return 'lost'

    def is_hole(self, missing):
        """Whether the ids that came show that one is missing: most of those on either side follow each other."""
        ids = sorted({d.data['id'] for d in self.received.values() if d.event == 'AUDIT_LOG_CREATED'})
        place = bisect.bisect(ids, missing)
        near = ids[max(place - 64, 0):place + 64]
        holes = sum(b > a + 1 for a, b in zip(near, near[1:]))
        return 0 < place < len(ids) and len(near) >= 4 and holes - 1 <= len(near) // 4 + 2

    def circumstances(self):
        """What of it a reader can know: whether anything was lost, and which webhooks there are."""
        lost = 'losses' if any(d.lost for d in self.sim.sent) else 'nothing lost'
        return lost + (', environment webhooks alone' if not self.config['organisation'] else
                       '' if self.config['webhooks'] else ', organisation webhook alone')

    def webhook(self, d):
        return 'organisation' if d.channel == 'organisation' else 'environment-%d' % d.channel

    def lines(self):
        """The deliveries as lines of a case: see the README of tools/cases."""
        for d, at in self.arrived:
            kind = 'organisation' if d.channel == 'organisation' else 'environment'
            yield {'path': self.webhook(d), 'kind': kind, 'secret': SECRETS[kind],
                   'environment': None if kind == 'organisation' else d.channel, 'signature': sign(SECRETS[kind], d.body),
                   'arrived_at': iso(at), 'body': d.body, 'act': d.key[0]}

    def truth_lines(self):
        for n, act in sorted(self.sim.acts.items()):
            told = sorted(d.event for d in self.received.values() if n in d.tells)
            yield 'act %d %s %s %s told by %s %s' % (n, iso(act.at), act.kind, act.who or 'nobody', told, act.arguments)
        for scope, rows in sorted(self.truth.items(), key=str):
            for at, shown, n in rows:
                yield '%s %s %s by act %d' % (scope, iso(at), shown and shown[:3], n)


def sign(secret, body):
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
