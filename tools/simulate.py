"""Histories of a simulated Flagsmith against the product: see tools/simulate."""
import argparse
import collections
import os
import random
import re
import sys
import time

from sim.draw import GIVEN
from sim.product import Product
from sim.shrink import Shrink, draw, judge, write

WORDS = ('confirmed', 'reported', 'inferred', 'unknown', 'none')

# What is held today, of any sample of 40 histories or more: raise a figure when something was mended.  It is far from what
# is promised (no fault at all, docs/simulation.md), but each is broken by many a mistake.  (what, figure, least, most)
HELD = (
    ('deliveries not stored once, refused or not decoded', lambda run: run.number('ingest'), 0, 0),
    ('questions that end in another error than that a name is unknown or ambiguous',
     lambda run: run.number('name', lambda key: 'error' in key[-1] and key[-1][-5:] not in ('42704', '42P08')), 0, 0),
    ('timelines whose states depend on the order of insertion',
     lambda run: run.number('order', lambda key: key[1] == 'timeline' and not set(key[2].split()) <= NAMES), 0, 0),
    ('deliveries in several lines of history', lambda run: run.number('line', lambda key: key[1] == 'in several lines'), 0, 0),
    ('audit entries in no line of history', lambda run: run.number('line', lambda key: key[1:] == ('in no lines', 'AUDIT_LOG_CREATED')), 0, 0),
    ('wrong in the end although confirmed and told', lambda run: run.wrong(('end',), ('confirmed',)), 0, 2),
    ('wrong between changes although confirmed and told', lambda run: run.wrong(('between',), ('confirmed',)), 0, 8),
    ('% of firm answers right in the end, environments and segments', lambda run: run.right(('end',)), 92, 100),
    ('% of firm answers right between changes, environments and segments', lambda run: run.right(('between',)), 85, 100),
    ('% of answers confirmed between changes, environments and segments', lambda run: run.confirmed(('between',)), 15, 100),
    ('phantoms for each history', lambda run: run.number('phantom') / run.done, 0, 6),
    ('questions by name not answered, for each history', lambda run: run.number('name') / run.done, 0, 6),
    ('lines of history for each history', lambda run: run.counts['lines'] / run.done, 8, 60),
)
NO_FAULT = {'reported', 'reported, near'}
NAMES = {'environment', 'feature', 'project', 'segment'}


def percent(part, whole):
    return '%7.2f%%' % (100.0 * part / whole) if whole else '        '


def table(counts):
    """Answers of the timeline by confidence: share of all, and how many were wrong although something told."""
    print('\n%-26s %8s' % ('answers of the timeline', '') + ''.join(' %17s' % w for w in WORDS) + '   firm right')
    for where in ('around', 'between', 'end'):
        for version in ('v1', 'v2'):
            for kind in ('environment', 'segment', 'identity'):
                rows = {k: n for k, n in counts.items() if len(k) == 6 and k[:3] == (version, kind, where)}
                total = sum(rows.values())
                if not total:
                    continue
                cells = ''
                for word in WORDS:
                    mine = sum(n for k, n in rows.items() if k[3] == word)
                    wrong = sum(n for k, n in rows.items() if k[3] == word and not k[4] and k[5] == 'told')
                    cells += ' %s %7d !' % (percent(mine, total), wrong) if mine else ' ' * 18
                firm = sum(n for k, n in rows.items() if k[3] in WORDS[:2] and (k[4] or k[5] == 'told'))
                right = sum(n for k, n in rows.items() if k[3] in WORDS[:2] and k[4])
                print('%-26s %8d' % ('%s %s, %s' % (version, kind, where), total) + cells + '  %s' % percent(right, firm))
    print('\n%-26s %8s  right of confirmed, of reported, of both (where something told)' % ('feature_state', 'asked'))
    for version in ('v1', 'v2'):
        for many in ('one', 'several overrides'):
            rows = {k: n for k, n in counts.items() if k[0] == 'state' and k[1:3] == (version, many)}
            if rows:
                cells = ''
                for words in (WORDS[:1], WORDS[1:2], WORDS[:2]):
                    mine = {k: n for k, n in rows.items() if k[3] in words and (k[4] or k[5] == 'told')}
                    cells += ' %s of %-6d' % (percent(sum(n for k, n in mine.items() if k[4]), sum(mine.values())), sum(mine.values()))
                print('%-26s %8d %s' % ('%s %s' % (version, many), sum(rows.values()), cells))


def summary(histories, answers):
    """Answers about environments and segments by circumstances: how many are confirmed, wrong though told, firm and right."""
    print('\n%-42s %9s %8s %10s %7s   firm right of v1, of v2' % (
        'environments and segments', 'histories', 'answers', 'confirmed', 'wrong'))
    for about, n in sorted(histories.items()):
        rows = {k[1:]: m for k, m in answers.items() if k[0] == about}
        cells = ''
        for version in ('v1', 'v2'):
            firm = [(k, m) for k, m in rows.items() if k[0] == version and k[1] in WORDS[:2] and (k[2] or k[3] == 'told')]
            cells += '  %s of %d' % (percent(sum(m for k, m in firm if k[2]), sum(m for _, m in firm)), sum(m for _, m in firm))
        print('%-42s %9d %8d %s %7d !%s' % (
            about, n, sum(rows.values()), percent(sum(m for k, m in rows.items() if k[1] == 'confirmed'), sum(rows.values())),
            sum(m for k, m in rows.items() if k[1] == 'confirmed' and not k[2] and k[3] in ('told', 'hole')), cells))


def spoil(product):
    """Claims of which some are wrong, to see that this is noticed."""
    periods, history = type(product).periods, type(product).history

    def spoilt_periods(sources):
        found = periods(product, sources)
        for rows in found.values():
            for row in rows[::2]:
                row['enabled'] = not row['enabled']
        return found

    def spoilt_history(sources):
        found = history(product, sources)
        return {source: rows[1:] + rows[-1:] for source, rows in found.items()}

    product.periods, product.history = spoilt_periods, spoilt_history


class Run:
    def __init__(self, options):
        self.options = options
        self.counts = collections.Counter()
        self.answers_by = collections.Counter()     # answers about environments and segments, by circumstances
        self.histories_by = collections.Counter()
        self.faults = collections.Counter()         # how many, by class
        self.histories = collections.Counter()      # how many histories, by class
        self.examples = {}
        self.text = {}
        self.done = 0

    def batch(self, product, seeds):
        histories = [draw(seed, self.options.acts, self.options.circumstances) for seed in seeds]
        permuted = [i for i in range(len(seeds)) if i % self.options.permute == 0] if self.options.permute else ()
        if self.options.spoil:
            spoil(product)
        for seed, j in zip(seeds, judge(product, histories, self.options.questions, permuted, not self.options.timelines)):
            self.counts.update(j.counts)
            about = j.history.circumstances()
            self.histories_by[about] += 1
            for key, n in j.counts.items():
                if len(key) == 6 and key[1] != 'identity':
                    self.answers_by[(about, key[0]) + key[3:]] += n
            self.done += 1
            for key, n in collections.Counter(f.key for f in j.faults).items():
                self.faults[key] += n
                self.histories[key] += 1
                self.examples.setdefault(key, []).append(seed)
            for f in j.faults:
                self.text.setdefault(f.key, (seed, f.text))

    # Figures of what is held.

    def number(self, kind, chosen=lambda key: True):
        return sum(n for key, n in self.faults.items() if key[0] == kind and chosen(key))

    def answers(self, where, chosen):
        return sum(n for k, n in self.counts.items() if len(k) == 6 and k[1] != 'identity' and k[2] in where and chosen(*k[3:]))

    def wrong(self, where, words):
        return self.answers(where, lambda word, right, told: word in words and not right and told == 'told')

    def right(self, where):
        firm = self.answers(where, lambda word, right, told: word in WORDS[:2] and (right or told == 'told'))
        return 100.0 * self.answers(where, lambda word, right, told: word in WORDS[:2] and right) / max(firm, 1)

    def confirmed(self, where):
        return 100.0 * self.answers(where, lambda word, right, told: word == 'confirmed') / max(
            self.answers(where, lambda word, right, told: True), 1)

    def held(self):
        broken = 0
        for what, figure, least, most in HELD:
            figure = figure(self)
            ok = least <= figure <= most
            broken += not ok
            print('%s %s: %.4g, at %s %.4g' % ('held  ' if ok else 'BROKEN', what, figure, *(
                ('most', most) if most < 100 and least == 0 else ('least', least))))
        return broken

    def report(self):
        table(self.counts)
        summary(self.histories_by, self.answers_by)
        kinds = collections.Counter()
        for key, n in self.faults.items():
            kinds[key[0]] += n
        print('\nin %d histories: %d lines of history, %d deliveries in them, %d lines with states, %d questions by name' % (
            self.done, self.counts['lines'], self.counts['told in lines'], self.counts['states of lines'],
            sum(n for k, n in self.counts.items() if k[0] == 'door')))
        print('\n%-22s %9s %s' % ('faults', 'number', 'by class: number in histories (seeds)'))
        for kind, total in sorted(kinds.items(), key=lambda item: -item[1]):
            print('%-22s %9d%s' % (kind, total, '   (no fault by itself)' if kind in NO_FAULT else ''))
            for key, n in sorted(self.faults.items(), key=lambda item: -item[1]):
                if key[0] == kind:
                    print('    %-66s %6d in %4d  (%s)' % (' / '.join(map(str, key[1:])), n, self.histories[key],
                                                          ' '.join(self.examples[key][:3])))
        return kinds

    def shrink(self, product):
        """The commonest classes of fault, each as a case of a few bodies."""
        done = collections.Counter()
        for key, n in sorted(self.faults.items(), key=lambda item: -item[1]):
            if self.options.only and not re.search(self.options.only, ' / '.join(map(str, key))):
                continue
            if sum(done.values()) >= self.options.shrink:
                break
            best = None
            for seed in self.examples[key][:self.options.tries]:
                found = Shrink(product, draw(seed, self.options.acts, self.options.circumstances), key, self.options.questions).run()
                if found and (best is None or len(found[0].arrived) < len(best[0].arrived)):
                    best = found
            if best is None:
                print('%s: not found again' % ' / '.join(map(str, key)))
                continue
            done[key] += 1
            name = re.sub('[^A-Za-z0-9]+', '_', '_'.join(map(str, key)))[:80]
            write(best[0], best[1], os.path.join(self.options.out, name))
            print('%s: %d acts, %d deliveries: %s.jsonl' % (' / '.join(map(str, key)), len(best[0].ops), len(best[0].arrived), name))
            sys.stdout.flush()


def arguments():
    parser = argparse.ArgumentParser(prog='tools/simulate', description='Compare what the product says of simulated histories with their truth.')
    parser.add_argument('--seed', help='of the first history; those after it count on (default: a new one)')
    parser.add_argument('--histories', type=int, default=200, help='how many (default 200)')
    parser.add_argument('--acts', default='6-32', help='how many acts a history has (default 6-32)')
    parser.add_argument('--circumstances', choices=sorted(GIVEN), default='drawn',
                        help='what is lost and which webhooks are there (default: drawn for each history)')
    parser.add_argument('--timelines', action='store_true', help='leave out what reads lines of history')
    parser.add_argument('--batch', type=int, default=25, help='histories in one database (default 25)')
    parser.add_argument('--questions', type=int, default=16, help='instants of each history that the doors are asked about (default 16)')
    parser.add_argument('--permute', type=int, default=4, help='one history in so many is inserted in a second order too (default 4, 0: none)')
    parser.add_argument('--shrink', type=int, default=5, help='how many classes of fault to shrink (default 5)')
    parser.add_argument('--tries', type=int, default=2, help='histories tried for each of them (default 2)')
    parser.add_argument('--only', help='shrink only classes that match this regular expression')
    parser.add_argument('--out', default='.', help='directory for the shrunk cases (default: the present one)')
    parser.add_argument('--show', help='print the acts, true states and deliveries of one history, by its seed, and nothing else')
    parser.add_argument('--case', help='write one history, by its seed, to --out as a case, and nothing else')
    parser.add_argument('--held', action='store_true', help='fail only where what is held today is broken')
    parser.add_argument('--spoil', action='store_true', help='change claims before they are compared: all must be noticed')
    parser.add_argument('--text', action='store_true', help='print an example of each class')
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    low, high = options.acts.split('-')
    options.acts = (int(low), int(high) + 1)
    options.seed = int(options.seed) if options.seed else random.SystemRandom().randrange(10**8)
    return options


def main():
    options = arguments()
    if options.show:
        history = draw(options.show, options.acts, options.circumstances)
        print('\n'.join(history.truth_lines()))
        for line in history.lines():
            print(line['arrived_at'], line['path'], 'act %d' % line['act'], line['body'])
        return
    if options.case:
        return write(draw(options.case, options.acts, options.circumstances), [], os.path.join(options.out, 'seed_' + options.case))
    print('seed %d, %d histories' % (options.seed, options.histories))
    sys.stdout.flush()
    run = Run(options)
    product = Product()
    begun = time.time()
    for first in range(0, options.histories, options.batch):
        run.batch(product, [str(options.seed + i) for i in range(first, min(first + options.batch, options.histories))])
    taken = time.time() - begun
    kinds = run.report()
    print('\n%.1f s: %d histories an hour' % (taken, run.done * 3600 / taken))
    if options.text:
        for key, (seed, text) in sorted(run.text.items(), key=str):
            print('%s (seed %s)\n    %s' % (' / '.join(map(str, key)), seed, text))
    if options.shrink and not options.held:
        run.shrink(product)
    if options.held:
        sys.exit(1 if run.held() else 0)
    sys.exit(1 if set(kinds) - NO_FAULT else 0)


if __name__ == '__main__':
    main()
