"""The timeline of a captured run against the truth: see tools/truth."""
import argparse
import bisect
import collections
import datetime
import json
import lzma
import random
import subprocess
import sys

from truth_doors import Doors, Names, broken_promises, door_figures, print_counts, print_doors

SCENARIOS = {
    'both': 'everything that was delivered',
    'drop1': '1 % of the deliveries dropped at random',
    'drop5': '5 % dropped',
    'duplicated': 'one in four delivered again, up to a minute later',
    'reordered': 'inserted in random order, arrival times unchanged',
    'delayed': 'half of the deliveries up to 60 s late',
    'organisation': 'the organisation webhook alone',
    'environment': 'the environment webhooks alone',
    'organisation5': 'the organisation webhook alone, 5 % dropped',
    'midlife': 'webhooks registered in mid-life, after an import of the audit log and one of the states',
    'midlifestates': 'the same with the states alone, as where the plan shows no audit log',
    'backfilled': '5 % dropped, or what was lost in the outages, and then the audit log imported as pages',
    'lossy': 'a run with outages, with what they cost; what was refused by a secret is readmitted',
    'refused': 'the same, and what was refused by a secret is lost as well',
    'restated': 'a run with outages, its audit log imported, and then the final states of each environment',
}
OUTAGES = ('lossy', 'refused', 'restated')
PAGE_SIZE = 500
KINDS = ('default', 'segment', 'identity')
ORDER = ('confirmed', 'reported', 'inferred', 'unknown', 'none')
# A scheduled version is not live before this; the operation that scheduled it ended earlier.
INFINITY = 1 << 62


def micros(text):
    when = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    return int((when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) /
               datetime.timedelta(microseconds=1))


def timestamp(at):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=at)).isoformat(' ') + '+00'


def read_lines(path):
    with lzma.open(path, 'rt', encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]


def state_of(enabled, value, variants):
    return (enabled, json.dumps(value, sort_keys=True),
            tuple(sorted((int(option), float(share)) for option, share in variants.items())))


class Told:
    """Which operations any delivery told of: by the scope of an event, or the names in an audit entry."""

    def __init__(self, deliveries, pages=()):
        self.events = collections.defaultdict(list)
        self.entries = []
        self.imported = -INFINITY               # acts before this instant, a state import told of
        times = {}
        for row in deliveries:
            body = json.loads(row['body'])
            data = body['data']
            if body['event_type'] == 'AUDIT_LOG_CREATED':
                self.entries.append((micros(data['created_date']), data['project']['id'], data['log']))
                times[data['id']] = self.entries[-1][0]
            elif body['event_type'] != 'NEW_VERSION_PUBLISHED' and data['timestamp']:
                state = data['new_state'] or data['previous_state']
                self.events[state['environment']['id'], state['feature']['id']].append(
                    (micros(data['timestamp']), state['feature']['name'], state['feature']['project']['id']))
        for data in pages:
            if data['project']:
                self.entries.append((micros(data['created_date']), data['project']['id'], data['log']))
                times[data['id']] = self.entries[-1][0]
        self.entries.sort()
        self.holes = []                         # stretches of time in which audit entries are missing, by their ids
        ids = sorted(times)
        for i in range(1, len(ids)):
            if ids[i] != ids[i - 1] + 1:
                near = [times[one] for one in ids[max(i - 2, 0):i + 2]]
                self.holes.append((min(near), max(near)))

    def beside_hole(self, start, end):
        """Do missing ids show that something of about this time was lost?"""
        return any(start <= hole[1] + 1000000 and end >= hole[0] - 1000000 for hole in self.holes)

    def tells(self, flag, start, end):
        if end <= self.imported:
            return True
        around = (start - 200000, end + 3000000)
        events = self.events[flag]
        if any(around[0] <= at <= around[1] for at, name, project in events):
            return True
        if not events:
            return False
        first = bisect.bisect_left(self.entries, around[:1])
        last = bisect.bisect_right(self.entries, around[1:] + (INFINITY,))
        return any(project == events[0][2] and events[0][1] in log for at, project, log in self.entries[first:last])


class Truth:
    """For each scope, stretches of time in which its state is known: (from, snapshot, to, state)."""

    def __init__(self, run):
        self.versioned = {}
        self.deleted = {}
        self.vanished = set()
        self.last_act = {}
        self.rounds = {}
        self.stretches = collections.defaultdict(list)
        self.operations = read_lines(run + '/operations.jsonl.xz')
        snapshots, project_of = self.read_snapshots(run)
        environments = collections.defaultdict(list)
        for environment, project in project_of.items():
            environments[project].append(environment)
        self.by_flag = collections.defaultdict(list)
        self.by_segment = collections.defaultdict(list)
        self.by_identity = collections.defaultdict(list)
        self.by_environment = collections.defaultdict(list)
        self.requests = collections.defaultdict(list)
        for operation in self.operations:
            self.requests[operation['project']].append((micros(operation['started_at']), micros(operation['ended_at']), operation['op']))
            self.file_operation(operation, environments)
        for environment, rounds in snapshots.items():
            self.read_environment(environment, rounds)

    def read_snapshots(self, run):
        snapshots = collections.defaultdict(dict)
        project_of = {}
        for row in read_lines(run + '/truth.jsonl.xz'):
            environment = row.get('environment')
            if environment is None:
                continue
            if row.get('environment_deleted'):
                self.deleted[environment] = micros(row['at'])
            elif 'states' in row:
                project_of[environment] = row['project']
                self.versioned[environment] = row['v2']
                snapshots[environment][row['round']] = row
        return snapshots, project_of

    def file_operation(self, operation, environments):
        kind = operation['kind']
        end = micros(operation['ended_at'])
        if kind == 'version_publish_scheduled' and (operation['request'] or {}).get('live_from'):
            end = max(end, micros(operation['request']['live_from']))
        entry = (micros(operation['started_at']), end, operation['round'], operation['op'])
        feature = operation.get('feature')
        where = [operation['environment']] if operation['environment'] else environments[operation['project']]
        if kind == 'feature_create':
            feature = operation.get('result_id')
            where = environments[operation['project']]
        if feature is not None:
            for environment in where:
                self.by_flag[environment, feature].append(entry)
        elif kind == 'segment_delete':
            self.by_segment[operation['segment']].append(entry)
        elif kind == 'identity_delete':
            self.by_identity[operation['identity']].append(entry)
            self.vanished.add(operation['identity'])
        elif kind == 'environment_create':
            self.by_environment[operation['result_id']].append(entry)
        elif kind == 'environment_delete':
            self.by_environment[operation['target_environment']].append(entry)

    @staticmethod
    def scope_of(environment, row):
        if row['identity'] is not None:
            return environment, row['feature'], 'identity', row['identity']
        if row['segment'] is not None:
            return environment, row['feature'], 'segment', row['segment']
        return environment, row['feature'], 'default', 0

    def read_environment(self, environment, rounds):
        live = {}
        raw = {}
        snapshots = []
        seen = set()
        states = []
        for number in sorted(rounds):
            row = rounds[number]
            changed = {self.scope_of(environment, state):
                       state_of(state['enabled'], state['value'], state['variants'])
                       for state in row['states']}
            told = {self.scope_of(environment, state): state for state in row['states']}
            if row['full']:
                live = changed
                raw = told
            else:
                live.update(changed)
                raw.update(told)
                for state in row['removed']:
                    live.pop(self.scope_of(environment, state), None)
            seen.update(live)
            states.append((number, micros(row['at']), dict(live)))
            snapshots.append((number, micros(row['at']), states[-1][2], {scope: raw[scope] for scope in live}))
        if snapshots:
            self.rounds[environment] = snapshots
        for scope in seen:
            acts = sorted(self.by_flag[scope[:2]] + self.by_environment[environment] +
                          (self.by_segment[scope[3]] if scope[2] == 'segment' else []) +
                          (self.by_identity[scope[3]] if scope[2] == 'identity' else []))
            for number, at, then in states:
                own = [act[1] for act in acts if act[0] <= at]
                self.last_act[scope, at] = [act for act in acts if act[0] <= at][-1:]
                touched = any(act[2] == number for act in acts)
                later = [act[0] for act in acts if act[0] > at]
                self.stretches[scope].append((max(own) if touched and own else at, at,
                                              min(later) if later else INFINITY, then.get(scope)))


def scenario(name, deliveries, middle):
    """The deliveries of a scenario, in the order of insertion, with their arrivals in microseconds."""
    outages = any(row['answer'] != 'ok' for row in deliveries)
    dice = random.Random(20261124)
    rows = [dict(row, at=micros(row['arrived_at'])) for row in deliveries]
    if name == 'refused':
        rows = [row for row in rows if row['answer'] == 'ok']
    if name in ('lossy', 'backfilled', 'restated'):
        rows = [row for row in rows if row['answer'] in ('ok', '401')]
    if name.startswith('organisation'):
        rows = [row for row in rows if row['webhook'] == 'organisation']
    if name == 'environment':
        rows = [row for row in rows if row['webhook'] == 'environment']
    if name in ('drop1', 'drop5', 'organisation5') or (name == 'backfilled' and not outages):
        rows = [row for row in rows if dice.random() >= (0.01 if name == 'drop1' else 0.05)]
    if name == 'duplicated':
        rows += [dict(row, at=row['at'] + dice.randrange(60000000)) for row in rows if dice.random() < 0.25]
    if name == 'delayed':
        for row in rows:
            if dice.random() < 0.5:
                row['at'] += dice.randrange(60000000)
    if name.startswith('midlife'):
        rows = [row for row in rows if row['at'] > middle]
    rows.sort(key=lambda row: row['at'])
    if name == 'reordered':
        dice.shuffle(rows)
    return rows


def psql(sql, database, stdin=None, quiet=False):
    done = subprocess.run(['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', sql],
                          input=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, check=True, encoding='utf-8')
    return done.stdout


def load(rows, webhooks):
    psql('DROP DATABASE IF EXISTS truth', 'postgres', quiet=True)
    psql('CREATE DATABASE truth', 'postgres')
    psql('CREATE EXTENSION flagsmith_webhook', 'truth')
    hooks = []
    for path, (kind, environment, secrets) in sorted(webhooks.items()):
        secret = secrets[0]
        hooks.append("SELECT flagsmith.add_webhook($n$%s$n$, %s, scope => '%s', environment_id => %s,"
                     " allow_unsigned => %s, max_spool_age => NULL);" %
                     (path, 'NULL' if not secret else '$n$%s$n$' % secret, kind, environment or 'NULL',
                      'false' if secret else 'true'))
        hooks += ['SELECT flagsmith.add_secret($n$%s$n$, $n$%s$n$);' % (path, later) for later in secrets[1:]]
    psql('\n'.join(hooks), 'truth', quiet=True)
    lines = []
    for row in rows:
        signature = [value for name, value in row['headers'] if name == 'X-Flagsmith-Signature']
        lines.append('\t'.join((row['path'], signature[0] if signature else '\\N',
                                '\\\\x' + row['body'].encode().hex(), timestamp(row['at']))) + '\n')
    psql('COPY flagsmith.inbox (webhook, signature, body, received_at) FROM STDIN', 'truth', ''.join(lines))
    refused = psql('SELECT count(*) FROM flagsmith.rejected', 'truth').strip()
    if refused != '0':
        raise SystemExit('%s deliveries were rejected' % refused)


def pages_of(entries):
    for first in range(0, len(entries), PAGE_SIZE):
        yield json.dumps({'count': len(entries), 'next': None, 'previous': None, 'results': entries[first:first + PAGE_SIZE]})


def import_audit_log(entries):
    psql('CREATE TABLE public.page (environment text, at timestamptz, page text, segments text)', 'truth')
    for page in pages_of(entries):
        psql('COPY public.page (page) FROM STDIN', 'truth', page.replace('\\', '\\\\') + '\n')
    psql('SELECT flagsmith.import_audit_log(page) FROM public.page', 'truth')
    psql('TRUNCATE public.page', 'truth')


def import_states(states):
    """states: (environment id, instant, rows of the featurestates endpoint, rows of the feature-segments endpoint)"""
    psql('CREATE TABLE IF NOT EXISTS public.page (environment text, at timestamptz, page text, segments text)', 'truth', quiet=True)
    skipped = 0
    for environment, at, rows, segments in states:
        name = psql("SELECT concat_ws('/', flagsmith._name(source, 'project', max(project_id)::text), flagsmith._name(source, 'environment', id))"
                    " FROM flagsmith.name WHERE kind = 'environment' AND id = '%d' GROUP BY source, id" % environment, 'truth').strip('\n')
        if not name or not rows:
            skipped += 1
            continue
        page = json.dumps({'count': len(rows), 'next': None, 'previous': None, 'results': rows})
        psql('TRUNCATE public.page', 'truth')
        psql('COPY public.page FROM STDIN', 'truth', '\t'.join(text.replace('\\', '\\\\') for text in (
            name, timestamp(at), page, json.dumps(segments))) + '\n')
        psql('SELECT flagsmith.import_feature_states(page, environment, at, segments) FROM public.page', 'truth')
    return skipped


def states_of_snapshot(truth, middle, names):
    """What the REST API would have shown at an instant, in the shape of its endpoints."""
    for environment, rounds in truth.rounds.items():
        past = [row for row in rounds if row[1] <= middle]
        if not past or truth.deleted.get(environment, INFINITY) <= middle:
            continue
        rows, segments = [], []
        for scope, row in past[-1][3].items():
            value = row['value']
            kind = 'bool' if isinstance(value, bool) else 'int' if isinstance(value, int) else 'unicode'
            rows.append({'id': row['state_id'], 'feature': row['feature'], 'environment': environment, 'identity': row['identity'],
                         'feature_segment': None if row['segment'] is None else row['state_id'], 'enabled': row['enabled'],
                         'feature_state_value': {'type': kind, 'string_value': value if kind == 'unicode' else None,
                                                 'integer_value': value if kind == 'int' else None,
                                                 'boolean_value': value if kind == 'bool' else None},
                         'multivariate_feature_state_values': [
                             {'multivariate_feature_option': int(option), 'percentage_allocation': share}
                             for option, share in row['variants'].items()]})
            if row['segment'] is not None:
                segments.append({'id': row['state_id'], 'segment': row['segment'], 'priority': row['priority'],
                                 'environment': environment, 'segment_name': names.at(names.segments[row['segment']], middle)})
        yield environment, middle, rows, segments


def final_states(run, at):
    """What the REST API showed at the end of a run; which segment an override is of, the environment document says."""
    with lzma.open(run + '/final_featurestates.json.xz', 'rt', encoding='utf-8') as text:
        pages = json.load(text)
    with lzma.open(run + '/final_environment_document.json.xz', 'rt', encoding='utf-8') as text:
        documents = json.load(text)
    override = {state['featurestate_uuid']: (segment['id'], segment['name'], state['feature_segment']['priority'])
                for document in documents.values() for segment in document['project']['segments']
                for state in segment.get('feature_states') or []}
    for environment, rows in pages.items():
        rows = [row for row in rows if row['feature_segment'] is None or row['uuid'] in override]
        segments = [{'id': row['feature_segment'], 'segment': override[row['uuid']][0], 'segment_name': override[row['uuid']][1],
                     'priority': override[row['uuid']][2]} for row in rows if row['feature_segment'] is not None]
        yield int(environment), at, rows, segments


class Periods(dict):
    """Scope to its periods."""

    def __init__(self):
        super().__init__()
        self.by_environment = collections.defaultdict(list)

    @staticmethod
    def at(mine, instant):
        index = bisect.bisect_right(mine, instant, key=lambda period: period[0]) - 1
        return mine[index] if index >= 0 and instant < mine[index][1] else None


def history():
    """Periods of each scope: (from, to, state or None, confidence, cause)."""
    periods = Periods()
    for line in psql(
            "SELECT json_build_array(environment_id, feature_id, segment_id, identity,"
            " (extract(epoch FROM lower(period)) * 1000000)::bigint,"
            " (extract(epoch FROM upper(period)) * 1000000)::bigint, enabled, value, variants,"
            " confidence, cause) FROM flagsmith.flag_timeline ORDER BY period", 'truth').split('\n')[:-1]:
        (environment, feature, segment, identity, start, end, enabled, value, variants,
         confidence, cause) = json.loads(line)
        if identity is not None:
            scope = (environment, feature, 'identity', int(identity) if identity.isdigit() else identity)
        elif segment is not None:
            scope = (environment, feature, 'segment', segment)
        else:
            scope = (environment, feature, 'default', 0)
        state = None if enabled is None else state_of(enabled, value, variants)
        periods.setdefault(scope, []).append((start, INFINITY if end is None else end, state, confidence, cause))
    for scope, mine in periods.items():
        periods.by_environment[scope[0]].append((scope, mine))
    return periods


def compare(truth, told, periods, since):
    """Counts of answers, the wrong ones, and those that are wrong because no delivery told of the last act."""
    counts = collections.Counter()
    wrong = []
    untold = collections.Counter()
    for scope, stretches in truth.stretches.items():
        mine = periods.get(scope, [])
        starts = [period[0] for period in mine]
        for begin, snapshot, end, state in stretches:
            points = [(snapshot, 'snapshot')]
            if begin != snapshot:
                points.append((begin, 'operation'))
            if end != INFINITY:
                points.append((end, 'operation'))
            for at, where in points:
                if at > truth.deleted.get(scope[0], INFINITY) or at < since:
                    continue
                index = bisect.bisect_right(starts, at) - 1
                period = mine[index] if index >= 0 else None
                if period is None and state is None:
                    continue
                confidence = period[3] if period else 'none'
                right = period is not None and period[2] == state
                if not right and confidence != 'inferred' and confidence != 'unknown':
                    # at its end, a stretch is what its snapshot was
                    act = truth.last_act[scope, snapshot]
                    if act and not told.tells(scope[:2], act[0][0], act[0][1]):
                        untold[scope, act[0][3], confidence] += 1
                        continue
                counts[truth.versioned[scope[0]], scope[2], where, confidence, right] += 1
                if not right:
                    wrong.append((scope, at, where, confidence, period, state))
    return counts, wrong, untold


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def report(name, truth, told, counts, wrong, untold):
    """Print the tables; return what is missed of what is promised, and the figures."""
    missed = []
    kinds = collections.Counter()
    for where in ('snapshot', 'operation'):
        print('\n%s, %s' % (name, 'at snapshots' if where == 'snapshot' else 'at starts and ends of operations'))
        print('%-12s %7s' % ('', 'answers') + ''.join(' %16s' % word for word in ORDER) + '  conf+rep   right')
        for versioned in (False, True):
            for kind in KINDS:
                mine = {word: [sum(n for (v, k, w, c, r), n in counts.items()
                                   if (v, k, w, c, r) == (versioned, kind, where, word, right))
                               for right in (True, False)] for word in ORDER}
                total = sum(sum(pair) for pair in mine.values())
                if total == 0:
                    continue
                stated = sum(mine['confirmed']) + sum(mine['reported'])
                false = mine['confirmed'][1] + mine['reported'][1] + mine['none'][1]
                print('%-12s %7d' % (('v2 ' if versioned else 'v1 ') + kind, total) +
                      ''.join(' %7.2f%% %5d !' % (share(sum(mine[word]), total), mine[word][1])
                              if sum(mine[word]) else ' ' * 17 for word in ORDER) +
                      '  %7.2f%% %7.3f%%' % (share(stated, total), share(stated - false, stated)))
                if kind != 'identity':
                    kinds[where] += total
                    kinds[where + ' stated'] += stated
                    kinds['total'] += total
                    kinds['confirmed'] += sum(mine['confirmed'])
                    kinds['stated'] += stated
                    kinds['stated v2' if versioned else 'stated v1'] += stated
                    kinds['false v2' if versioned else 'false v1'] += false
                kinds['all confirmed'] += sum(mine['confirmed'])
                kinds['false confirmed'] += mine['confirmed'][1]
    named = sum(n for (v, k, w, c, r), n in counts.items() if k == 'identity' and c == 'reported')
    lost = sum(1 for scope, at, where, confidence, period, state in wrong
               if scope[2] == 'identity' and confidence == 'reported' and scope[3] not in truth.vanished)
    print('\n%s: defaults and segments: %d answers, confirmed %.2f %%, with reported %.2f %%; of these right in v1 %.3f %%,'
          ' in v2 %.3f %%; identities reported and right but for deleted ones %.2f %%; wrong among confirmed %.3f %%' %
          (name, kinds['total'], share(kinds['confirmed'], kinds['total']), share(kinds['stated'], kinds['total']),
           100 - share(kinds['false v1'], kinds['stated v1']) if kinds['stated v1'] else 100,
           100 - share(kinds['false v2'], kinds['stated v2']) if kinds['stated v2'] else 100,
           100 - share(lost, named) if named else 100,
           share(kinds['false confirmed'], kinds['all confirmed']) if kinds['all confirmed'] else 0))

    known = {key: n for key, n in untold.items()
             if key[2] in ('confirmed', 'reported') and not (key[0][2] == 'identity' and key[0][3] in truth.vanished)}
    print('  %d answers of %d acts that no delivery told of are not counted' %
          (sum(untold.values()), len({key[1] for key in untold})))
    times = {operation['op']: (micros(operation['started_at']), micros(operation['ended_at'])) for operation in truth.operations}
    for (scope, operation, confidence), n in sorted(known.items())[:12]:
        print('  %6d %s: operation %d on %s%s' % (
            n, confidence, operation, scope, ', beside missing audit ids' if told.beside_hole(*times[operation]) else ''))
    beside = sum(n for (scope, operation, confidence), n in untold.items()
                 if confidence == 'confirmed' and told.beside_hole(*times[operation]))
    beside += sum(1 for scope, at, where, confidence, period, state in wrong if confidence == 'confirmed' and told.beside_hole(at, at))
    seen = set()
    for scope, at, where, confidence, period, state in wrong:
        if confidence == 'confirmed' and scope not in seen:
            seen.add(scope)
            print('  wrong although confirmed: %s from %s: said %s (%s), was %s' %
                  (scope, timestamp(at), period[2], period[4], state))
    causes = collections.Counter()
    for scope, at, where, confidence, period, state in wrong:
        cause = period[4] if period else 'no row'
        if scope[2] == 'identity' and scope[3] in truth.vanished:
            cause += ' (identity deleted)'
        causes['v2' if truth.versioned[scope[0]] else 'v1', scope[2], confidence, cause] += 1
    for key, n in causes.most_common(16):
        print('  %6d wrong: %s' % (n, ', '.join(key)))

    promised = [('right among confirmed', 100 - share(kinds['false confirmed'], kinds['all confirmed'] or 1), 100)]
    if name in ('both', 'duplicated', 'reordered', 'delayed'):
        promised += [('confirmed', share(kinds['confirmed'], kinds['total']), 75),
                     ('confirmed or reported at snapshots', share(kinds['snapshot stated'], kinds['snapshot']), 95),
                     ('right in v1', 100 - share(kinds['false v1'], kinds['stated v1'] or 1), 99.9),
                     ('right in v2', 100 - share(kinds['false v2'], kinds['stated v2'] or 1), 99.5),
                     ('right among identities', 100 - share(lost, named or 1), 99)]
    for what, figure, least in promised:
        if figure < least:
            missed.append('%s: %s: %.3f %% instead of %s %%' % (name, what, figure, least))
    figures = (kinds['total'], share(kinds['confirmed'], kinds['total']), share(kinds['stated'], kinds['total']),
               share(kinds['snapshot stated'], kinds['snapshot']),
               100 - share(kinds['false v1'], kinds['stated v1']) if kinds['stated v1'] else 100,
               100 - share(kinds['false v2'], kinds['stated v2']) if kinds['stated v2'] else 100,
               kinds['false confirmed'], sum(n for (scope, act, confidence), n in untold.items() if confidence == 'confirmed'), beside)
    return missed, figures


def main():
    parser = argparse.ArgumentParser(prog='tools/truth', formatter_class=argparse.RawDescriptionHelpFormatter, epilog=''.join(
        '%-14s %s\n' % item for item in SCENARIOS.items()))
    parser.add_argument('--run', metavar='DIR', required=True, help='a captured run; default t/data/run')
    parser.add_argument('--ask', metavar='N', type=int, default=2000, help='questions to each door, drawn; 0: the timeline alone')
    parser.add_argument('--doors', metavar='SCENARIO', help='ask the doors in this scenario alone')
    parser.add_argument('--examples', action='store_true', help='with an example of each class that is not right')
    parser.add_argument('scenario', nargs='*', help='default: all that the run has')
    options = parser.parse_args()
    for name in options.scenario + [options.doors or 'both']:
        if name not in SCENARIOS:
            parser.error('no scenario is called %s' % name)
    run = options.run
    truth = Truth(run)
    deliveries = [dict(row, path=row['path'].removeprefix('/main')) for row in read_lines(run + '/deliveries.jsonl.xz')
                  if row['secret'] is not None]
    outages = any(row['answer'] != 'ok' for row in deliveries)
    webhooks = {}
    for row in deliveries:
        environment = row['path'].removeprefix('/env/') if row['webhook'] == 'environment' else None
        secrets = webhooks.setdefault(row['path'], (row['webhook'], environment, []))[2]
        if row['secret'] not in secrets:
            secrets.append(row['secret'])
    instants = sorted(at for rounds in truth.rounds.values() for number, at, live, rows in rounds)
    middle = instants[len(instants) // 2]
    names = Names(run, truth.operations, micros)
    # The rows of the REST API reach beyond the run.
    entries = [row for row in read_lines(run + '/audit_rest.jsonl.xz') if micros(row['created_date']) <= instants[-1]]
    missed = []
    reference = None
    table = []
    by_door = []
    for name in options.scenario or [name for name in SCENARIOS if outages or name not in OUTAGES]:
        rows = scenario(name, deliveries, middle)
        load(rows, webhooks)
        pages = []
        if name in ('backfilled', 'restated'):
            pages = entries
        elif name == 'midlife':
            pages = [row for row in entries if micros(row['created_date']) <= middle]
        if pages:
            import_audit_log(pages)
        skipped = 0
        if name.startswith('midlife'):
            skipped = import_states(states_of_snapshot(truth, middle, names))
        elif name == 'restated':
            skipped = import_states(final_states(run, instants[-1]))
        if skipped:
            print('%s: %d environments without states or a known name had no import' % (name, skipped))
        psql('ANALYZE', 'truth')
        periods = history()
        if name == 'both':
            reference = periods
        if name == 'reordered' and reference is not None and periods != reference:
            missed.append('reordered: another timeline than in the order of arrival')
        told = Told(rows, pages)
        since = -INFINITY
        if name.startswith('midlife'):
            told.imported = since = middle
        lacking, figures = report(name, truth, told, *compare(truth, told, periods, since))
        missed += lacking
        table.append((name,) + figures)
        if options.ask and options.doors in (None, name):
            doors = Doors(truth, names, psql, state_of, timestamp, options.ask, since)
            print_counts(name, doors.check(periods), doors.examples, options.examples)
            by_door.append((name, door_figures(doors.counts)))
            if name in ('both', 'duplicated', 'reordered', 'delayed'):
                missed += broken_promises(name, doors.counts)
    print('\nOf environment defaults and segment overrides; and wrong although confirmed, of all: where some delivery told, where none'
          ' did, and beside\nmissing audit ids, of both')
    print('%-14s %8s %10s %8s %14s %9s %9s %16s %11s %13s' % ('', 'answers', 'confirmed', 'firm', 'firm, settled', 'right v1', 'right v2',
                                                       'wrong confirmed', 'and untold', 'beside holes'))
    for row in table:
        print('%-14s %8d %9.2f%% %7.2f%% %13.2f%% %8.3f%% %8.3f%% %16d %11d %13d' % row)
    if by_door:
        print_doors(by_door)
    for line in missed:
        print('MISSED', line)
    sys.exit(1 if missed else 0)


main()
