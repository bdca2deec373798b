"""Small inputs with known truth against the product: see tools/cases."""
import ast
import bisect
import collections
import json
import os
import re
import sys

from sim.judge import same
from sim.product import Product, digest, micros, timestamp
from sim.shrink import differing, shuffled

HOUR = 3600 * 1000000


def read_truth(path):
    """{scope: [(at, state or None, act)]}, {act: what it was}"""
    truth, acts = collections.defaultdict(list), {}
    if not os.path.exists(path):
        return None, acts
    with open(path, encoding='utf-8') as lines:
        for line in lines:
            act = re.match(r'act (\d+) \S+ (.*?)( told by .*)?$', line)
            if act:
                acts[int(act.group(1))] = act.group(2)
                continue
            state = re.match(r'(\(.*?\)) (\d\d\d\d-\S+) (.*) by act (\d+)$', line)
            if not state:
                raise SystemExit('%s: not understood: %s' % (path, line))
            truth[ast.literal_eval(state.group(1))].append(
                (micros(state.group(2)), ast.literal_eval(state.group(3)), int(state.group(4))))
    for rows in truth.values():
        rows.sort(key=lambda row: row[0])
    return truth, acts


class Case:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-6]
        with open(path, encoding='utf-8') as lines:
            self.lines = [json.loads(line) for line in lines]
        self.truth, self.acts = read_truth(path[:-6] + '.truth')
        self.end = max(micros(line['arrived_at']) for line in self.lines) + HOUR
        self.identities = {}
        for line in self.lines:
            data = json.loads(line['body']).get('data') or {}
            for state in (data.get('new_state'), data.get('previous_state')):
                if state and state.get('identity') is not None:
                    self.identities[state['environment']['id'], state['identity_identifier']] = state['identity']
        self.wrong = []
        self.counts = collections.Counter()

    def scope(self, row):
        identity = row['identity']
        if identity is not None:
            identity = int(identity) if identity.isdigit() else identity
        elif row['identity_identifier'] is not None:
            identity = self.identities.get((row['environment_id'], row['identity_identifier']), row['identity_identifier'])
        return row['environment_id'], row['feature_id'], row['segment_id'], identity

    def timeline(self, periods):
        if self.truth is None:
            return
        claims = collections.defaultdict(list)
        for row in periods:
            claims[self.scope(row)].append(row)
        for scope in sorted(set(self.truth) | set(claims), key=str):
            rows = sorted(claims[scope], key=lambda row: row['begin'])
            edges = sorted({at for at, _, _ in self.truth.get(scope, ())} | {row['begin'] for row in rows} | {self.end})
            points = {at + d for at, _, _ in self.truth.get(scope, ()) for d in (-1, 0, 1)} | {self.end}
            points |= {(a + b) // 2 for a, b in zip(edges, edges[1:])}
            for at in sorted(points):
                self.point(scope, rows, at)

    def point(self, scope, rows, at):
        index = bisect.bisect_right([row['begin'] for row in rows], at) - 1
        claim = rows[index] if index >= 0 and at < rows[index]['finish'] else None
        shown, act = self.at(scope, at)
        claimed = claim is not None and claim['enabled'] is not None
        confidence = claim['confidence'] if claim else 'none'
        right = shown is not None and same(claim['enabled'], claim['value'], claim['variants'], shown) if claimed else shown is None
        self.counts[confidence, right] += 1
        if right:
            return
        text = '%s at %s: says %s (%s), was %s by %s' % (
            scope, timestamp(at), [claim[c] for c in ('enabled', 'value', 'variants')] if claim else None,
            claim and claim['cause'], shown, self.acts.get(act, 'nothing'))
        self.wrong.append((confidence, text))

    def questions(self):
        """What feature_state is asked: each override alone, by the last names that bodies show, around each true change."""
        names = {}
        for line in sorted(self.lines, key=lambda line: micros(line['arrived_at'])):
            data = json.loads(line['body']).get('data') or {}
            state = data.get('new_state') or data.get('previous_state')
            if state:
                f = state['feature']
                names['feature', f['id']] = f['name']
                names['environment', state['environment']['id']] = '%s/%s/%s' % (
                    self.name, f['project']['name'], state['environment']['name'])
            elif data.get('environment'):
                names['environment', data['environment']['id']] = '%s/%s/%s' % (
                    self.name, data['project']['name'], data['environment']['name'])
        identifiers = {number: identifier for (env, identifier), number in self.identities.items()}
        found = []
        for scope in sorted(self.truth or (), key=str):
            env, feature = names.get(('environment', scope[0])), names.get(('feature', scope[1]))
            if scope[2:] == (None, None) or env is None or feature is None or scope[3] not in identifiers and scope[3] is not None:
                continue
            for at in sorted({at + d for s in (scope, scope[:2] + (None, None)) for at, _, _ in self.truth.get(s, ()) for d in (-1, 0, 1)}):
                found.append((scope, ('state', env, feature, at, [scope[2]] if scope[2] is not None else [],
                                      identifiers.get(scope[3]))))
        return found

    def at(self, scope, at):
        changes = self.truth.get(scope, [])
        index = bisect.bisect_right([row[0] for row in changes], at) - 1
        return changes[index][1:] if index >= 0 else (None, None)

    def answer(self, scope, question, answer):
        at = question[3]
        own, default = self.at(scope, at), self.at(scope[:2] + (None, None), at)
        shown, act = own if own[0] is not None else default
        none = {'enabled': None, 'confidence': 'none' if answer == [] else 'error', 'cause': str(answer)}
        row = answer[0] if isinstance(answer, list) and answer else none
        claimed = row['enabled'] is not None
        right = shown is not None and same(row['enabled'], row['value'], row['variants'], shown) if claimed else shown is None
        self.counts['asked ' + row['confidence'], right] += 1
        if not right:
            self.wrong.append((row['confidence'], 'asked for %s at %s: %s (%s), true %s by %s' % (
                scope, timestamp(at), [row.get(c) for c in ('enabled', 'value', 'variants', 'scope')], row['cause'], shown,
                self.acts.get(act, 'nothing'))))

    def in_lines(self, rows, deliveries):
        seen = collections.Counter(number for row in rows for number in row['delivery_ids'])
        for line in {line['body']: line for line in self.lines}.values():
            numbers = deliveries.get(digest(line['body']), [])
            body = json.loads(line['body'])
            if len(numbers) != 1:
                self.wrong.append(('line', 'stored %d times: %s' % (len(numbers), line['body'][:200])))
            elif body.get('event_type') and seen[numbers[0]] != 1:
                self.wrong.append(('line', 'in %d lines: %s %s' % (seen[numbers[0]], body['event_type'],
                                                                   body['data'].get('log') or line['body'][:200])))


def check(cases):
    product = Product('cases')
    sources = {case.name: case.lines for case in cases}
    twins = {case.name: case.name + ' in another order' for case in cases}
    sources.update({twins[case.name]: shuffled(case.lines, case.name) for case in cases})
    product.load(sources)
    rows = {'timeline': product.periods(sources), 'current_state': product.current(sources), 'history': product.history(sources)}
    deliveries = product.deliveries(sources)
    for refused in product.refused():
        print('refused or not decoded: %s' % refused)
    asked = [(case, scope, question) for case in cases for scope, question in case.questions()]
    for (case, scope, question), answer in zip(asked, product.ask([question for _, _, question in asked])):
        case.answer(scope, question, answer)
    for case in cases:
        case.timeline(rows['timeline'][case.name])
        case.in_lines(rows['history'][case.name], deliveries[case.name])
        for what, found in rows.items():
            difference = differing(found, deliveries, case.name, twins[case.name])
            if difference:
                case.wrong.append(('order', '%s: %s: %s' % (what, difference[0], difference[1][:300])))


def main():
    paths = []
    for name in sys.argv[1:]:
        if os.path.isdir(name):
            paths += sorted(os.path.join(name, found) for found in os.listdir(name)
                            if found.endswith('.jsonl') and not found.endswith('.lost.jsonl'))
        else:
            paths.append(name)
    cases = [Case(path) for path in paths]
    if not cases:
        raise SystemExit('no case in %s' % ' '.join(sys.argv[1:]))
    check(cases)
    failed = 0
    for case in cases:
        kinds = collections.Counter(kind for kind, _ in case.wrong)
        bad = sum(kinds[kind] for kind in ('confirmed', 'line', 'order'))
        failed += bad > 0
        print('%-46s %s%s' % (case.name, 'FAILED' if bad else 'ok', '' if case.truth is not None else ' (no truth beside it)'))
        words = [word for first in ('', 'asked ') for word in ('confirmed', 'reported', 'inferred', 'unknown', 'none', 'error')
                 for word in [first + word] if case.counts[word, False] + case.counts[word, True]]
        if words:
            print('    %s' % ', '.join('%s: %d of %d wrong' % (w, case.counts[w, False], case.counts[w, False] + case.counts[w, True])
                                       for w in words))
        shown = collections.Counter()
        for kind, text in case.wrong:
            shown[kind] += 1
            if kind in ('confirmed', 'reported', 'error', 'line', 'order') and shown[kind] <= 4:
                print('    %s: %s' % (kind, text))
    print('%d cases, %d failed' % (len(cases), failed))
    sys.exit(1 if failed else 0)


main()
