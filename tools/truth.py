"""The timeline of a captured run against the truth: see tools/truth."""
import bisect
import collections
import datetime
import json
import lzma
import random
import subprocess
import sys

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
}
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

    def __init__(self, deliveries):
        self.events = collections.defaultdict(list)
        self.entries = []
        for row in deliveries:
            body = json.loads(row['body'])
            data = body['data']
            if body['event_type'] == 'AUDIT_LOG_CREATED':
                self.entries.append((micros(data['created_date']), data['project']['id'], data['log']))
            elif body['event_type'] != 'NEW_VERSION_PUBLISHED' and data['timestamp']:
                state = data['new_state'] or data['previous_state']
                self.events[state['environment']['id'], state['feature']['id']].append(
                    (micros(data['timestamp']), state['feature']['name'], state['feature']['project']['id']))

    def tells(self, flag, start, end):
        around = (start - 200000, end + 3000000)
        events = self.events[flag]
        if any(around[0] <= at <= around[1] for at, name, project in events):
            return True
        return any(around[0] <= at <= around[1] and project == events[0][2] and events[0][1] in log
                   for at, project, log in self.entries) if events else False


class Truth:
    """For each scope, stretches of time in which its state is known: (from, snapshot, to, state)."""

    def __init__(self, run):
        self.versioned = {}
        self.deleted = {}
        self.vanished = set()
        self.last_act = {}
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
        for operation in self.operations:
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
        seen = set()
        states = []
        for number in sorted(rounds):
            row = rounds[number]
            changed = {self.scope_of(environment, state):
                       state_of(state['enabled'], state['value'], state['variants'])
                       for state in row['states']}
            if row['full']:
                live = changed
            else:
                live.update(changed)
                for state in row['removed']:
                    live.pop(self.scope_of(environment, state), None)
            seen.update(live)
            states.append((number, micros(row['at']), dict(live)))
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


def scenario(name, deliveries):
    """The deliveries of a scenario, in the order of insertion, with their arrivals in microseconds."""
    dice = random.Random(20261124)
    rows = [dict(row, at=micros(row['arrived_at'])) for row in deliveries]
    if name.startswith('organisation'):
        rows = [row for row in rows if row['webhook'] == 'organisation']
    if name == 'environment':
        rows = [row for row in rows if row['webhook'] == 'environment']
    if name in ('drop1', 'drop5', 'organisation5'):
        rows = [row for row in rows if dice.random() >= (0.01 if name == 'drop1' else 0.05)]
    if name == 'duplicated':
        rows += [dict(row, at=row['at'] + dice.randrange(60000000)) for row in rows if dice.random() < 0.25]
    if name == 'delayed':
        for row in rows:
            if dice.random() < 0.5:
                row['at'] += dice.randrange(60000000)
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
    for path, (kind, environment, secret) in sorted(webhooks.items()):
        psql("SELECT flagsmith.add_webhook($n$%s$n$, %s, scope => '%s', environment_id => %s,"
             " allow_unsigned => %s, max_spool_age => NULL)" %
             (path, 'NULL' if not secret else '$n$%s$n$' % secret, kind, environment or 'NULL',
              'false' if secret else 'true'), 'truth', quiet=True)
    lines = []
    for row in rows:
        signature = [value for name, value in row['headers'] if name == 'X-Flagsmith-Signature']
        lines.append('\t'.join((row['path'], signature[0] if signature else '\\N',
                                '\\\\x' + row['body'].encode().hex(), timestamp(row['at']))) + '\n')
    psql('COPY flagsmith.inbox (webhook, signature, body, received_at) FROM STDIN', 'truth', ''.join(lines))
    refused = psql('SELECT count(*) FROM flagsmith.rejected', 'truth').strip()
    if refused != '0':
        raise SystemExit('%s deliveries were rejected' % refused)


def history():
    """Periods of each scope: (from, to, state or None, confidence, cause)."""
    periods = collections.defaultdict(list)
    for line in psql(
            "SELECT json_build_array(environment_id, feature_id, segment_id, identity,"
            " (extract(epoch FROM lower(period)) * 1000000)::bigint,"
            " (extract(epoch FROM upper(period)) * 1000000)::bigint, enabled, value, variants,"
            " confidence, cause) FROM flagsmith.flag_timeline ORDER BY period", 'truth').split('\n')[:-1]:
        (environment, feature, segment, identity, start, end, enabled, value, variants,
         confidence, cause) = json.loads(line)
        if identity is not None:
            scope = (environment, feature, 'identity', int(identity))
        elif segment is not None:
            scope = (environment, feature, 'segment', segment)
        else:
            scope = (environment, feature, 'default', 0)
        state = None if enabled is None else state_of(enabled, value, variants)
        periods[scope].append((start, INFINITY if end is None else end, state, confidence, cause))
    return periods


def compare(truth, told, periods):
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
                if at > truth.deleted.get(scope[0], INFINITY):
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


def report(name, truth, counts, wrong, untold):
    """Print the tables; return what is missed of what is promised."""
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
    for (scope, operation, confidence), n in sorted(known.items())[:12]:
        print('  %6d %s: operation %d on %s' % (n, confidence, operation, scope))
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
        promised += [('confirmed', share(kinds['confirmed'], kinds['total']), 60),
                     ('confirmed or reported', share(kinds['stated'], kinds['total']), 90),
                     ('right in v1', 100 - share(kinds['false v1'], kinds['stated v1'] or 1), 99.9),
                     ('right in v2', 100 - share(kinds['false v2'], kinds['stated v2'] or 1), 98),
                     ('right among identities', 100 - share(lost, named or 1), 95)]
    for what, figure, least in promised:
        if figure < least:
            missed.append('%s: %s: %.3f %% instead of %s %%' % (name, what, figure, least))
    return missed


def main():
    if '--help' in sys.argv:
        for name, what in SCENARIOS.items():
            print('    %-14s %s' % (name, what))
        return
    run = sys.argv[1]
    truth = Truth(run)
    deliveries = read_lines(run + '/deliveries.jsonl.xz')
    webhooks = {row['path']: (row['webhook'], row['environment'], row['secret']) for row in deliveries}
    missed = []
    reference = None
    for name in sys.argv[2:] or SCENARIOS:
        rows = scenario(name, deliveries)
        load(rows, webhooks)
        periods = history()
        if name == 'both':
            reference = periods
        if name == 'reordered' and reference is not None and periods != reference:
            missed.append('reordered: another timeline than in the order of arrival')
        missed += report(name, truth, *compare(truth, Told(rows), periods))
    for line in missed:
        print('MISSED', line)
    sys.exit(1 if missed else 0)


main()
