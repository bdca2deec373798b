"""Compares what the product claims with the truth of a history, and sorts what is wrong."""
import bisect
import collections
import json
import random

from .product import digest, micros, timestamp

FIRM = ('confirmed', 'reported')
NEVER = 1 << 62


class Fault:
    """kind: what is promised and broken; group: what makes two of them the same; text: for people."""

    def __init__(self, kind, group, text):
        self.kind, self.group, self.text = kind, group, text

    @property
    def key(self):
        return (self.kind,) + self.group


def shares(variants):
    """Percentages by option, of an object or of the list that a body has."""
    if isinstance(variants, list):
        variants = {row['multivariate_feature_option']['id']: row['percentage_allocation'] for row in variants}
    return tuple(sorted((int(o), float(s)) for o, s in (variants or {}).items()))


def same(enabled, value, variants, shown):
    return enabled == shown[0] and json.dumps(value) == shown[1] and shares(variants) == shown[2]


def as_shown(claim):
    """What is claimed, as the truth has it; None where there is nothing."""
    return None if claim is None or claim['enabled'] is None else (claim['enabled'], json.dumps(claim['value']), shares(claim['variants']))


def scope_kind(scope):
    return 'identity' if scope[3] is not None else 'segment' if scope[2] is not None else 'environment'


def is_answered(row, scope):
    """Whether a row of feature_state(), of which one identity was asked, is of a scope."""
    return row['scope'] == scope_kind(scope) and row['segment_id'] == scope[2]


class Judge:
    """One history and what the product says of it."""

    def __init__(self, source, history, periods):
        self.source, self.history, self.sim = source, history, history.sim
        self.truth = history.truth
        self.faults = []
        self.counts = collections.Counter()
        self.told = {n: history.told(n) for n in self.sim.acts}
        self.changes_told = {}
        self.mine = collections.defaultdict(list)
        for row in periods:
            scope = self.scope_of(row)
            if scope is not None:
                self.mine[scope].append(row)
        for rows in self.mine.values():
            rows.sort(key=lambda row: row['begin'])
        self.starts = {scope: [row['begin'] for row in rows] for scope, rows in self.mine.items()}
        self.changes = {scope: [row[0] for row in rows] for scope, rows in self.truth.items()}

    def fault(self, kind, group, text):
        self.faults.append(Fault(kind, group, text))

    def scope_of(self, row):
        identity = row['identity']
        if identity is not None:
            # an identity that only an entry told has its identifier there
            identity = int(identity) if identity.isdigit() else identity
        elif row['identity_identifier'] is not None:
            known = [i.id for i in self.sim.identities.values()
                     if i.env == row['environment_id'] and i.identifier == row['identity_identifier']]
            identity = max(known) if known else None
            if identity is None:
                self.fault('phantom', ('identity',), 'a row of an identity that never was: %s' % row['identity_identifier'])
                return None
        return row['environment_id'], row['feature_id'], row['segment_id'], identity

    # Truth and claims at an instant.

    def true_at(self, scope, at):
        """(shown or None, act or None)"""
        index = bisect.bisect_right(self.changes.get(scope, ()), at) - 1
        return self.truth[scope][index][1:] if index >= 0 else (None, None)

    def claim_at(self, scope, at):
        index = bisect.bisect_right(self.starts.get(scope, ()), at) - 1
        row = self.mine[scope][index] if index >= 0 else None
        return row if row is not None and at < row['finish'] else None

    def dead(self, env, feature, at):
        """Why a flag cannot have a state at an instant, and the act that tells so: (reason, act)."""
        e, f = self.sim.envs.get(env), self.sim.features.get(feature)
        if e is None or f is None or e.project != f.project:
            return 'never was', None
        for thing, word in ((e, 'environment'), (f, 'feature'), (self.sim.projects[e.project], 'project')):
            if thing.deleted_at and at >= thing.deleted_at:
                return word + ' deleted', thing.deleted_by
        for thing, word in ((e, 'environment'), (f, 'feature')):
            if at < thing.created - 1000000:
                return word + ' not made yet', thing.act
        return None, None

    def dead_told(self, reason, by):
        """
        Only all entries of an environment's deletion tell it from that of some of its flags; and when it was made its own entry
        tells, or a flag that nothing was before.
        """
        if by is not None and reason == 'environment not made yet':
            return any(by in d.tells and (d.data['log'].startswith('New Environment created: ') if d.event == 'AUDIT_LOG_CREATED' else
                                          d.event == 'FLAG_UPDATED' and d.data.get('previous_state') is None)
                       for d in self.history.received.values())
        if by is None or reason != 'environment deleted':
            return by is None or self.told[by] == 'told'
        return self.told[by] == 'told' and not any(d.lost for d in self.sim.sent if by in d.tells)

    def version_of(self, env, at):
        e = self.sim.envs.get(env)
        if e is None or not e.v2:
            return 'v1'
        return 'v2' if at >= getattr(e, 'switched', e.created) else 'v1'

    def act_name(self, n):
        return 'nothing' if n is None else self.sim.acts[n].kind

    def last_arrival(self, n):
        return max((d.arrival for d in self.sim.sent if n in d.tells), default=0)

    # The timeline.

    def points(self, scope):
        found = {}
        changes = self.changes.get(scope, [])
        for at in changes:
            for near in (at - 1, at, at + 1):
                found[near] = 'around'
        for other, starts in self.changes.items():
            if other[:2] == scope[:2] and other != scope:
                for at in starts:
                    found.setdefault(at, 'around')
        edges = sorted(set(changes) | {row['begin'] for row in self.mine.get(scope, ()) if row['begin'] > 0} | {self.history.end})
        for a, b in zip(edges, edges[1:]):
            found.setdefault((a + b) // 2, 'between')
        found[self.history.end] = 'end'
        found.setdefault(edges[0] - 3600 * 1000000, 'between')
        return sorted(found.items())

    def timeline(self):
        for scope in sorted(set(self.truth) | set(self.mine), key=str):
            for at, where in self.points(scope):
                self.judge_point(scope, at, where)

    def judge_point(self, scope, at, where):
        claim = self.claim_at(scope, at)
        shown, act = self.true_at(scope, at)
        confidence = claim['confidence'] if claim else 'none'
        claimed = claim is not None and claim['enabled'] is not None
        if not claimed and shown is None and confidence in ('none', 'unknown'):
            return
        if shown is None and claimed and self.being_made(scope, at):
            shown, act = self.truth[scope][0][1:]
        right = (shown is not None and same(claim['enabled'], claim['value'], claim['variants'], shown)) if claimed else \
            shown is None and confidence != 'unknown'
        told, act = ('told', act) if right else self.blame(scope, at, claim if claimed else None, act)
        if not right and act is None and shown is None:
            # that there is nothing may have been told by nothing: an environment without flags goes without a word
            reason, by = self.dead(scope[0], scope[1], at)
            told = 'told' if by is None or self.dead_told(reason, by) else 'silent'
        if not right and claim is not None and self.never_live(scope, at, claim):
            told = 'announced'
        version, kind = self.version_of(scope[0], at), scope_kind(scope)
        self.counts[version, kind, where, confidence, right, told] += 1
        if right:
            return
        what = 'gone' if not claimed else 'phantom' if shown is None else \
            'enabled' if claim['enabled'] != shown[0] else 'value' if json.dumps(claim['value']) != shown[1] else 'variants'
        text = '%s at %s: says %s (%s, %s), was %s by act %s (%s, %s)' % (
            scope, timestamp(at), [claim[c] for c in ('enabled', 'value', 'variants')] if claim else None, confidence,
            claim and claim['cause'], shown, act, self.act_name(act), told)
        reason, by = self.dead(scope[0], scope[1], at) if claimed and shown is None and confidence != 'unknown' else (None, None)
        if reason and self.dead_told(reason, by) and (by is None or at > self.last_arrival(by) or 'not made' in reason):
            self.fault('phantom', (version, kind, reason, confidence), text)
        near = self.nearness(scope, at)
        if confidence == 'confirmed' and self.counts_as_told(told, act):
            self.fault('confirmed' if told == 'told' else 'confirmed, ' + told,
                       (version, kind, what, self.act_name(act), near), text)
        if confidence == 'reported' and told in ('told', 'hole'):
            self.fault('reported' if near == 'settled' else 'reported, near',
                       (version, kind, what, self.act_name(act), claim['cause']), text)

    # What can be done without a word is never confirmed by its absence; all else of which nothing was sent nobody can know.
    WORDLESS = ('identity_delete', 'experiment', 'override', 'env_clone')

    def counts_as_told(self, told, act):
        return told in ('told', 'hole') or \
            told == 'silent' and self.history.config['organisation'] and self.act_name(act) in self.WORDLESS

    def blame(self, scope, at, claim, act):
        """(told, act) of the change that a wrong claim missed, or put too early: between the true state and the claimed one."""
        rows = self.truth.get(scope, [])
        index = bisect.bisect_right(self.changes.get(scope, ()), at) - 1

        def claimed(i):
            shown = rows[i][1] if i >= 0 else None
            return shown is None if claim is None else \
                shown is not None and same(claim['enabled'], claim['value'], claim['variants'], shown)

        def held(begin, end):
            return all(as_shown(row) == as_shown(claim) for row in self.mine.get(scope, ())
                       if row['finish'] > begin and row['begin'] <= end)

        before = next((i for i in range(index - 1, -2, -1) if claimed(i)), None)
        after = next((i for i in range(index + 1, len(rows)) if claimed(i)), None)
        # what will be so was claimed too early if it is claimed up to then, and was not all along since it last was so
        if before is not None and (after is None or held(rows[before + 1][0], at) or not held(at, rows[after][0])):
            blamed = self.missed(rows, before, index) or range(before + 1, index + 1)
        elif after is not None:
            blamed = range(index + 1, after + 1)
        else:
            blamed = self.missed_parts(rows, index, claim) or ([index] if index >= 0 else [])
        if not blamed:
            return ('told', None) if act is None else (self.told[act], act)
        order = ('told', 'hole', 'silent', 'lost')
        found = [(self.told_change(scope, rows[i]), rows[i][2]) for i in blamed]
        return min(found, key=lambda pair: order.index(pair[0]))

    def told_change(self, scope, row):
        if (scope, row[0]) not in self.changes_told:
            self.changes_told[scope, row[0]] = self.history.told(row[2], scope, row[0])
        return self.changes_told[scope, row[0]]

    @staticmethod
    def missed(rows, before, index):
        """The changes since a state that is claimed of that in which the true one differs."""
        then, now = (rows[i][1] if i >= 0 else None for i in (before, index))
        if then is None or now is None:
            return []
        parts = [i for i in range(3) if then[i] != now[i]]
        return [i for i in range(before + 1, index + 1)
                if rows[i][1] is None or rows[i - 1][1] is None or any(rows[i][1][part] != rows[i - 1][1][part] for part in parts)]

    @staticmethod
    def missed_parts(rows, index, claim):
        """
        The same of a claim that never was true as a whole, as where a change that was told lies on top of one that nothing tells:
        of each part that is wrong, what changed it since it was as claimed, or until it will be, or at all.
        """
        shown = rows[index][1] if index >= 0 else None
        if claim is None or shown is None:
            return []
        claimed = as_shown(claim)
        blamed = []
        for part in (i for i in range(3) if claimed[i] != shown[i]):
            values = [row[1] and row[1][part] for row in rows]
            changed = [i for i in range(len(rows)) if not i or values[i] != values[i - 1]]
            before = [i for i in range(index) if values[i] == claimed[part]]
            after = [i for i in range(index + 1, len(rows)) if values[i] == claimed[part]]
            if before:
                blamed += [i for i in changed if before[-1] < i <= index]
            elif after:
                blamed += [i for i in changed if index < i <= after[0]]
            else:
                blamed += [i for i in changed if i <= index][-1:]
        return blamed

    def never_live(self, scope, at, claim):
        """
        Does a claim take a version for live, by what it has or what it lacks, that was announced with an instant of effect
        in the past?  Nothing tells that.  Its variants may have been removed since.
        """
        for version in self.sim.versions.get(scope[:2], ()):
            state = version.announced.get(scope[2:])
            claimed = state is None if claim['enabled'] is None else \
                state is not None and (claim['enabled'], json.dumps(claim['value'])) == state.shown()[:2]
            if version.published_at is not None and version.live_from < version.published_at <= at and claimed and \
                    not any(row[2] == version.act.n for s, rows in self.truth.items() if s[:2] == scope[:2] for row in rows):
                return True
        return False

    def nearness(self, scope, at):
        """Whether the flag was changed within a second of an instant."""
        near = any(abs(change - at) < 1000000 for other, changes in self.changes.items() if other[:2] == scope[:2]
                   for change in changes)
        return 'near' if near else 'settled'

    def being_made(self, scope, at):
        """In the milliseconds between the row of a feature and that of its state in an environment, the state may be there."""
        rows = self.truth.get(scope)
        return bool(rows) and 0 < rows[0][0] - at < 200000 and at >= self.sim.features[scope[1]].created

    # Names.

    def named(self, kind, number, at):
        rows = self.sim.names[kind, number]
        index = bisect.bisect_right([row[0] for row in rows], at) - 1
        return rows[max(index, 0)][1]

    def lives(self, thing, at):
        return thing.created <= at < (thing.deleted_at or NEVER)

    def bearers(self, kind, things, name, at):
        """Which things a name may mean at an instant, as the rule has it."""
        found = [t for t in things if any(n == name for _, n in self.sim.names[kind, t.id])]
        then = [t for t in found if self.lives(t, at) and self.named(kind, t.id, at) == name]
        if then and (len(found) == 1 or kind != 'environment' or self.name_told(then[0].id, name, at)):
            return [max(then, key=lambda t: t.created)]
        return found

    def name_told(self, env, name, at):
        """Whether anything tells that an environment had taken a name by an instant: its entry, or a body that came by then."""
        taken = max(row[0] for row in self.sim.names['environment', env] if row[0] <= at)
        for d in self.history.received.values():
            if d.event == 'NEW_VERSION_PUBLISHED':
                continue
            entry = d.event == 'AUDIT_LOG_CREATED'
            shown = d.data['environment'] if entry else (d.data['new_state'] or d.data['previous_state'])['environment']
            if entry and (d.data['related_object_type'], d.data['related_object_id']) == ('ENVIRONMENT', env) and \
                    d.data['log'].endswith(': ' + name) and micros(d.data['created_date']) >= taken:
                return True
            if shown and (shown['id'], shown['name']) == (env, name) and taken <= d.arrival <= at:
                return True
        return False

    def known_names(self):
        known = set()
        for d in self.history.received.values():
            data = d.data
            if d.event == 'AUDIT_LOG_CREATED':
                known.add(('project', data['project']['id'], data['project']['name']))
                if data['environment']:
                    known.add(('environment', data['environment']['id'], data['environment']['name']))
            elif d.event == 'NEW_VERSION_PUBLISHED':
                known.add(('feature', data['feature']['id'], data['feature']['name']))
            else:
                state = data['new_state'] or data['previous_state']
                f = state['feature']
                known.add(('project', f['project']['id'], f['project']['name']))
                known.add(('feature', f['id'], f['name']))
                known.add(('environment', state['environment']['id'], state['environment']['name']))
                if state['feature_segment']:
                    s = state['feature_segment']['segment']
                    known.add(('segment', s['id'], s['name']))
        return known

    def instants(self, dice, most):
        """Around true changes, of flags with several overrides first."""
        overrides = collections.Counter(scope[:2] for scope in self.truth if scope[2] is not None)
        found = [(scope, at + d) for scope, rows in self.truth.items() for at, _, _ in rows for d in (-1, 0, 1)]
        dice.shuffle(found)
        several = [item for item in found if overrides[item[0][:2]] > 1]
        return (several[:most // 3] + found)[:most]

    def questions(self, most):
        """(question, what to check it by) of this history."""
        dice = random.Random('questions %s' % self.history.config['seed'])
        known = self.known_names()
        found = []
        for scope, at in self.instants(dice, most):
            env, feature = scope[:2]
            p = self.sim.projects[self.sim.envs[env].project]
            if sum(1 for rows in self.sim.names.items() if rows[0][0] == 'project' and any(n == p.name for _, n in rows[1])) > 1:
                continue
            for when in ('then', 'today'):
                moment = at if when == 'then' else NEVER
                names = [self.named('project', p.id, moment), self.named('environment', env, moment),
                         self.named('feature', feature, 0)]
                if not all(pair in known for pair in (('project', p.id, names[0]), ('environment', env, names[1]),
                                                      ('feature', feature, names[2]))):
                    continue
                where = '%s/%s/%s' % (self.source, names[0], names[1])
                check = (p.id, names[1], names[2], at, when)
                door = dice.choice(('enabled', 'value', 'state', 'state', 'environment'))
                if door == 'state':
                    segments = sorted({s[2] for s in self.truth if s[:2] == (env, feature) and s[2] is not None and dice.random() < 0.85})
                    identities = sorted({s[3] for s in self.truth if s[:2] == (env, feature) and s[3] is not None})
                    identity = dice.choice(identities) if identities and dice.random() < 0.4 else None
                    text = self.sim.identities[identity].identifier if identity is not None else None
                    found.append(((door, where, names[2], at, segments, text), check + (segments, text)))
                else:
                    found.append(((door, where, None if door == 'environment' else names[2], at, None, None), check))
        return found

    def answer(self, question, check, answer):
        door, _, _, _, _, _ = question
        project, environment, feature, at, when = check[:5]
        envs = self.bearers('environment', [e for e in self.sim.envs.values() if e.project == project], environment, at)
        features = self.bearers('feature', [f for f in self.sim.features.values() if f.project == project], feature, at)
        group = (door, when)
        claims = [self.claim_at((e.id, f.id, None, None), at) for e in envs for f in features]
        text = '%s of %r, %r at %s by the name of %s: %s; the timeline has %s' % (
            door, environment, feature, timestamp(at), when, json.dumps(answer)[:300],
            [c and (c['environment_id'], c['feature_id'], c['enabled'], c['value'], c['confidence']) for c in claims])
        self.counts['door', door, when] += 1
        if isinstance(answer, dict):
            if any(c and c['enabled'] is not None for c in claims):
                self.fault('name', group + ('error ' + answer['error'],), text + ' ' + answer['message'])
        elif door in ('enabled', 'value'):
            states = [c[door] if c and c['enabled'] is not None else None for c in claims]
            if json.dumps(answer[0]) not in [json.dumps(s) for s in states]:
                self.fault('name', group + ('null' if answer[0] is None else 'differs',), text)
        elif door == 'environment':
            self.answer_environment(envs, at, answer, group)
        else:
            self.answer_state(envs, features, at, check[5], check[6], answer, group, text)

    def answer_environment(self, envs, at, answer, group):
        if len(envs) != 1:
            return
        env = envs[0].id
        for row in answer:
            scope = (env, row['feature_id'], None, None)
            claim = self.claim_at(scope, at)
            reason, by = self.dead(env, row['feature_id'], at)
            mine = (row['enabled'], json.dumps(row['value'])) if row['enabled'] is not None else None
            other = (claim['enabled'], json.dumps(claim['value'])) if claim and claim['enabled'] is not None else None
            if mine != other:
                self.fault('door', group + ('differs from the timeline',),
                           '%s at %s: %s, the timeline has %s' % (scope, timestamp(at), mine, other))
            if reason and mine and self.dead_told(reason, by) and (by is None or at > self.last_arrival(by)):
                self.fault('phantom', ('environment_state', reason), '%s at %s: %s' % (scope, timestamp(at), mine))
        rows = [row['feature_id'] for row in answer]
        if len(rows) != len(set(rows)):
            self.fault('door', group + ('twice',), 'environment_state of %d at %s has a feature twice' % (env, timestamp(at)))

    def answer_state(self, envs, features, at, segments, identity, answer, group, text):
        if len(envs) != 1 or len(features) != 1:
            return
        flag = (envs[0].id, features[0].id)
        candidates = [s for s in self.truth if s[:2] == flag and (
            s[3] is not None and identity is not None and self.sim.identities[s[3]].identifier == identity or
            s[3] is None and (s[2] is None or s[2] in segments))]
        live = [(s, self.true_at(s, at)[0]) for s in candidates]
        live = [(s, shown) for s, shown in live if shown is not None]
        live.sort(key=lambda item: (item[0][3] is None, item[0][2] is None, item[1][3] or 0))
        row = answer[0] if answer else None
        if row is None or row['enabled'] is None:
            claim = self.claim_at(flag + (None, None), at)
            if live and claim and claim['enabled'] is not None:
                self.fault('name', group + ('null',), text)
            return
        right = bool(live) and same(row['enabled'], row['value'], row['variants'], live[0][1]) and is_answered(row, live[0][0])
        many = 'several overrides' if len([s for s, _ in live if s[2] is not None]) > 1 else 'one'
        version = self.version_of(flag[0], at)
        blamed = self.wrong_scopes(candidates, row, live, at)
        told, act = self.blame_answer(blamed, [s for s, _ in live], at)
        if not live and self.being_made(flag + (None, None), at):
            return
        self.counts['state', version, many, row['confidence'], right, told] += 1
        if right:
            return
        wrong = (version, many, 'timeline' if blamed else 'choice', self.act_name(act))
        says = '%s at %s for segments %s and identity %s: %s; true %s' % (flag, timestamp(at), segments, identity, json.dumps(row), live[:1])
        if row['confidence'] == 'reported' and many != 'one' and told == 'told':
            self.fault('reported', ('question',) + wrong, says)
        if row['confidence'] == 'confirmed' and self.counts_as_told(told, act):
            self.fault('question' if told == 'told' else 'question, ' + told, wrong, says)

    def wrong_scopes(self, candidates, row, live, at):
        """What to blame for an answer: the scope that was answered, or else the one that is right, if the timeline is wrong
        about it, or those about which it is; if it is about none, the order of the overrides."""
        wrong = [s for s in candidates if not self.fits(s, at)]
        return [s for s in wrong if is_answered(row, s)] or \
            [s for s in wrong if live and s == live[0][0]] or wrong

    def blame_answer(self, blamed, live, at):
        """The same of an answer about several scopes: what was missed of those that are wrong, or what is true of those that live."""
        claims = {s: self.claim_at(s, at) for s in blamed}
        if claims and all(claim is not None and self.never_live(s, at, claim) for s, claim in claims.items()):
            return 'announced', None
        found = [self.blame(s, at, claim if claim and claim['enabled'] is not None else None, self.true_at(s, at)[1])
                 for s, claim in claims.items()] or [(self.told[n], n) for s in live for n in [self.true_at(s, at)[1]] if n is not None]
        return min(found, key=lambda pair: (pair[0] != 'told', pair[1] or 0), default=('told', None))

    def fits(self, scope, at):
        claim, shown = self.claim_at(scope, at), self.true_at(scope, at)[0]
        if claim is None or claim['enabled'] is None:
            return shown is None
        return shown is not None and same(claim['enabled'], claim['value'], claim['variants'], shown)

    # What is live now.

    def current(self, rows):
        known = self.known_names()
        for row in rows:
            env, feature = row['environment_id'], row['feature_id']
            reason, by = self.dead(env, feature, NEVER)
            if reason:
                if row['enabled'] is not None and self.dead_told(reason, by):
                    self.fault('phantom', ('current_state', reason), json.dumps(row)[:400])
                continue
            for kind, number, shown in (('environment', env, row['environment']), ('feature', feature, row['feature']),
                                        ('segment', row['segment_id'], row['segment'])):
                if number is None or (kind, number) not in self.sim.names:
                    continue
                name = self.named(kind, number, NEVER)
                told = self.name_told(number, name, NEVER) if kind == 'environment' else \
                    (kind, number, name) in known or kind == 'segment' and self.renamed(number)
                if shown != name and told:
                    self.fault('name', ('current_state', kind), '%s %d is shown as %r, its name is %r' % (kind, number, shown, name))

    def renamed(self, segment):
        """Whether the entry about the segment's last name was delivered."""
        at, name = self.sim.names['segment', segment][-1]
        return any(d.event == 'AUDIT_LOG_CREATED' and d.data['related_object_type'] == 'SEGMENT' and
                   d.data['related_object_id'] == segment and d.data['log'].endswith(': ' + name)
                   for d in self.history.received.values())

    # Lines of history.

    def lines(self, rows, deliveries):
        bodies = {}
        for d in self.history.received.values():
            bodies.setdefault(digest(d.body), []).append(d)
        by_id = {}
        for hashed, found in bodies.items():
            ids = deliveries.get(hashed, [])
            if len(ids) != 1:
                self.fault('ingest', ('stored %d times' % len(ids),), found[0].body[:200])
            for number in ids:
                by_id[number] = found
        seen = collections.Counter(number for row in rows for number in row['delivery_ids'])
        self.counts['lines'] += len(rows)
        for number, found in by_id.items():
            self.counts['told in lines'] += 1
            if seen[number] != 1:
                self.fault('line', ('in %s lines' % ('no' if not seen[number] else 'several'), found[0].event), self.tell(found[0]))
        keys = collections.Counter(json.dumps(row['act']) for row in rows if 'act' in row)
        for key, n in keys.items():
            if n > 1:
                self.fault('line', ('one key twice',), key)
        for row in rows:
            self.line(row, [by_id[number] for number in row['delivery_ids'] if number in by_id])

    def tell(self, d):
        return 'act %s (%s), %s: %s' % (sorted(d.tells), ', '.join(self.act_name(n) for n in sorted(d.tells)), d.event,
                                        d.data.get('log') or d.body[:300])

    def line(self, row, found):
        """One act a line: the deliveries have an act in common, its feature, and its author."""
        parts = [frozenset().union(*[d.tells for d in same_body]) for same_body in found]
        common = frozenset.intersection(*parts) if parts else frozenset()
        text = '%s line at %s: %s' % (row['action'], row['at'], ' | '.join(self.tell(d[0]) for d in found)[:900])
        if parts and not common:
            self.fault('line', ('acts folded', ' '.join(sorted({self.act_name(n) for part in parts for n in part}))), text)
            return
        features = {d[0].feature for d in found if d[0].feature is not None}
        names = {self.named('feature', f, 0) if isinstance(f, int) else f for f in features}
        if len(names) == 1 and row['feature'] not in names and (row['feature'] is not None or self.split_once(found)):
            self.fault('line', ('feature', 'none' if row['feature'] is None else 'wrong'), text + ' says %r' % row['feature'])
        actors = {d[0].actor for d in found if d[0].actor}
        if len(actors) == 1 and row['actor'] not in actors:
            self.fault('line', ('actor', 'none' if row['actor'] is None else 'wrong'), text + ' says %r' % row['actor'])
        self.line_states(row, [d[0] for d in found], common, text)

    @staticmethod
    def split_once(found):
        """Whether the feature of a line is beyond doubt: a body names it, or a message that can be split in one way."""
        return any(d[0].event != 'AUDIT_LOG_CREATED' or
                   d[0].data['log'].count("' and identity '") + d[0].data['log'].count("' and segment '") +
                   d[0].data['log'].count(' by Change Request: ') <= 1 for d in found)

    def entry_told(self, act):
        return any(act in d.tells for d in self.history.received.values() if d.event == 'AUDIT_LOG_CREATED')

    def line_states(self, row, found, common, text):
        """Before and after of a line whose bodies are about one scope, unless it is a deletion of the whole."""
        events = [d for d in found if d.event == 'FLAG_UPDATED']
        scopes = {(s['environment']['id'], s['feature']['id'],
                   s['feature_segment'] and s['feature_segment']['segment']['id'], s['identity'])
                  for d in events for s in [d.data['new_state']]}
        if len(scopes) != 1 or row['enabled'] is None:
            return
        scope = scopes.pop()
        acts = common if len(common) == 1 else {d.main for d in events}
        rows = [i for i, r in enumerate(self.truth.get(scope, ())) if r[2] in acts]
        # acts whose saves mingle with those of others have no state before and after
        if len(acts) != 1 or not rows or rows != list(range(rows[0], rows[-1] + 1)):
            return
        self.counts['states of lines'] += 1
        version = self.version_of(scope[0], row['micros'])
        changes = self.truth[scope]
        after = changes[rows[-1]][1]
        if self.act_name(next(iter(acts))) == 'feature_create':
            # the options of a flag are added by saves, and told by entries and lines, of their own; that it was created no
            # line can say that has no entry
            after = next((changes[i][1] for i in rows if changes[i][1] and
                          same(row['enabled'], row['value'], row['variants'], changes[i][1])), after)
        before = changes[rows[0] - 1][1] if rows[0] else None
        # a body may show what later acts did, and what was before may be told by nothing
        arrival = max(d.arrival for d in events)
        plain = all(self.entry_told(n) for at, _, n in changes[rows[-1] + 1:] if at <= arrival)
        known = not rows[0] or self.told[changes[rows[0] - 1][2]] == 'told'
        # where variants are left open, the rest is told
        variants = row['variants'] if row['variants'] is not None else dict(after[2] if after else ())
        if plain and after and not same(row['enabled'], row['value'], variants, after):
            self.fault('line', ('after', version, scope_kind(scope)), text + ' says after %s, was %s' % (
                (row['enabled'], row['value'], row['variants']), after))
        if known and row['enabled_before'] is not None and not (
                before and same(row['enabled_before'], row['value_before'], row['variants_before'], before)):
            self.fault('line', ('before', version, scope_kind(scope)), text + ' says before %s, was %s' % (
                (row['enabled_before'], row['value_before'], row['variants_before']), before))
