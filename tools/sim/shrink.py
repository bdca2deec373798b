"""Runs histories through the product, and makes a failing one small."""
import collections
import json
import random

from .draw import Draw, History
from .judge import Fault, Judge, digest


def draw(seed, acts, given='drawn'):
    d = Draw(seed, given)
    return History(d.config, d.history(d.dice.randrange(*acts)))


def comparable(row, digests):
    """A row without what another order of insertion may change."""
    row = {k: v for k, v in row.items() if k not in ('source', 'delivery_id', 'delivery_ids', 'act')}
    return json.dumps([row, digests], sort_keys=True)


def shuffled(lines, seed):
    """The same deliveries in another order of insertion; their arrival stays what it was."""
    lines = list(lines)
    random.Random('order %s' % seed).shuffle(lines)
    return lines


def differing(rows, deliveries, source, twin):
    """(columns, text) of the first rows that differ between two orders of insertion, or None."""
    both = []
    for name in (source, twin):
        ids = {number: hashed for hashed, numbers in deliveries[name].items() for number in numbers}
        both.append(collections.Counter(
            comparable(row, sorted(ids.get(n, '?') for n in row.get('delivery_ids') or [row.get('delivery_id')] if n))
            for row in rows[name]))
    if both[0] == both[1]:
        return None
    ours, theirs = (sorted(a - b) for a, b in (both, both[::-1]))
    first = [json.loads(found[0]) if found else [{}, []] for found in (ours, theirs)]
    columns = sorted(k for k in set(first[0][0]) | set(first[1][0]) if first[0][0].get(k) != first[1][0].get(k))
    if len(ours) != len(theirs):
        columns = ['number of rows']
    return ' '.join(columns[:3]) or 'delivery', '%s <> %s' % (json.dumps(first[0])[:900], json.dumps(first[1])[:900])


def judge(product, histories, questions=24, permuted=(), lines=True):
    """A Judge for each history, with everything compared; those whose index is in permuted in a second order as well."""
    sources = {'s%d' % i: list(h.lines()) for i, h in enumerate(histories)}
    twins = {}
    for i in permuted:
        twins['s%d' % i] = 's%dp' % i
        sources['s%dp' % i] = shuffled(sources['s%d' % i], histories[i].config['seed'])
    product.load(sources)
    refused = product.refused()
    periods, current = product.periods(sources), product.current(sources)
    acts = product.history(sources) if lines else None
    deliveries = product.deliveries(sources)
    judges = []
    for i, h in enumerate(histories):
        source = 's%d' % i
        j = Judge(source, h, periods[source])
        j.timeline()
        j.current(current[source])
        if lines:
            j.lines(acts[source], deliveries[source])
        j.faults += [Fault('ingest', ('refused',), row) for row in refused if row.startswith((source + ':', source + '|'))]
        if source in twins:
            for what, rows in (('timeline', periods), ('current_state', current), ('history', acts)):
                difference = rows and differing(rows, deliveries, source, twins[source])
                if difference:
                    j.faults.append(Fault('order', (what, difference[0]), difference[1]))
        judges.append(j)
    asked = [(j, q, check) for j in judges for q, check in j.questions(questions)]
    for (j, q, check), answer in zip(asked, product.ask([q for _, q, _ in asked])):
        j.answer(q, check, answer)
    return judges


class Shrink:
    """Leaves out acts and deliveries as long as a fault of the same class stays."""

    def __init__(self, product, history, key, questions=24, batch=16):
        self.product, self.key, self.batch = product, key, batch
        # asking takes longest, and reading lines of history
        timeline = key[0].startswith(('reported', 'confirmed')) and key[1] != 'question'
        self.questions = 0 if timeline or key[0] in ('line', 'order', 'ingest') else questions
        self.lines = key[0] in ('line', 'order', 'ingest')
        self.config, self.ops = dict(history.config), list(history.ops)
        # what was lost by chance is lost by name from here on
        self.config['dropped'] = {d.key for d in history.sim.sent if d.lost}
        self.config.update(lost=0, bursts=[])

    def failing(self, candidates):
        """The first candidate, (config, ops), that still has the fault, or None."""
        for begin in range(0, len(candidates), self.batch):
            part = candidates[begin:begin + self.batch]
            histories = [History(config, ops) for config, ops in part]
            permuted = range(len(part)) if self.key[0] == 'order' else ()
            for candidate, j in zip(part, judge(self.product, histories, self.questions, permuted, self.lines)):
                if self.key in {f.key for f in j.faults}:
                    return candidate
        return None

    def less(self, items, candidate_of):
        """Leave out as many items as possible, larger parts first; the items that stay."""
        size = max(len(items) // 2, 1)
        while items:
            parts = [items[:i] + items[i + size:] for i in range(0, len(items), size)]
            found = self.failing([candidate_of(part) for part in parts])
            if found is not None:
                items = next(part for part in parts if candidate_of(part) == found)
                self.config, self.ops = found
            elif size == 1:
                break
            size = min(size, max(len(items), 1)) if found is not None else max(size // 2, 1)
        return items

    def circumstances(self):
        for change in ({'dropped': set(), 'late': 0, 'twice': 0, 'shuffled': False, 'threads': False, 'stops': [],
                        'busy': False, 'skew': 0}, {'dropped': set()}, {'shuffled': False}, {'late': 0}, {'twice': 0},
                       {'skew': 0}, {'stops': []}, {'threads': False}, {'busy': False}):
            config = dict(self.config, **change)
            if config != self.config and self.failing([(config, self.ops)]):
                self.config = config

    def run(self):
        if self.failing([(self.config, self.ops)]) is None:
            return None             # a fault of chance, as of a question that is not asked again
        self.circumstances()
        for _ in range(2):
            self.less(self.ops, lambda part: (self.config, part))
        sent = sorted(d.key for d in History(self.config, self.ops).received.values())
        whole = self.config['dropped']
        kept = self.less(sent, lambda part: (dict(self.config, dropped=whole | (set(sent) - set(part))), self.ops))
        self.less(self.ops, lambda part: (self.config, part))
        history = History(self.config, self.ops)
        del kept
        j = judge(self.product, [history], self.questions, [0] if self.key[0] == 'order' else (), self.lines)[0]
        return history, [f for f in j.faults if f.key == self.key]


def write(history, faults, name):
    """A case: NAME.jsonl and NAME.truth, as tools/cases reads them."""
    with open(name + '.jsonl', 'w', encoding='utf-8') as out:
        for line in history.lines():
            out.write(json.dumps(line) + '\n')
    with open(name + '.truth', 'w', encoding='utf-8') as out:
        for line in history.truth_lines():
            out.write(line + '\n')
    with open(name + '.txt', 'w', encoding='utf-8') as out:
        out.write('seed %s\n' % history.config['seed'])
        for fault in faults[:5]:
            out.write('%s\n    %s\n' % (' / '.join(map(str, fault.key)), fault.text))
