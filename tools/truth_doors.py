"""What each door of a loaded run says, against the truth, both ways: see tools/truth.

Each check gives counts by class: (door, "v1" or "v2", kind, what it was).  What is "right" has no other class.
"""
import collections
import json
import lzma
import random
import subprocess

ASK = """
CREATE FUNCTION public.ask(door text, q jsonb) RETURNS jsonb LANGUAGE plpgsql SET client_min_messages TO error AS $$
DECLARE
    environment text := q ->> 'environment';
    feature text := q ->> 'feature';
    at timestamptz := q ->> 'at';
BEGIN
    RETURN CASE door
        WHEN 'scalar' THEN jsonb_build_object('enabled', flagsmith.is_feature_enabled(environment, feature, at),
            'value', flagsmith.get_feature_value(environment, feature, at))
        WHEN 'feature_state' THEN (SELECT jsonb_agg(to_jsonb(s)) FROM flagsmith.feature_state(environment, feature, at,
            ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(q -> 'segments') e), q ->> 'identity') s)
        WHEN 'environment_state' THEN (SELECT jsonb_agg(to_jsonb(s)) FROM flagsmith.environment_state(environment, at) s)
        END;
EXCEPTION WHEN OTHERS THEN
    RETURN jsonb_build_object('error', SQLSTATE);
END
$$;
CREATE TABLE public.question (id bigint, q jsonb);
"""

LINES = """
SELECT json_build_object('at', (extract(epoch FROM h.at) * 1000000)::bigint, 'action', h.action, 'object', h.object, 'actor', h.actor,
    'feature', h.feature, 'environment', h.environment, 'segment', h.segment, 'identity', h.identity_identifier,
    'after', json_build_array(h.enabled, h.value, h.variants),
    'before', json_build_array(h.enabled_before, h.value_before, h.variants_before), 'log', h.log, 'deliveries', h.delivery_ids)
FROM flagsmith.history h"""

TOLD = """
SELECT json_build_object('delivery', d.id, 'type', d.event_type, 'feature', coalesce(a.feature, f.feature), 'author', a.author_email,
    'told_id', CASE WHEN a.related_object_type = 'FEATURE' OR a.log LIKE 'Multivariate value changed %' THEN a.related_object_id END,
    'at', (extract(epoch FROM a.created_date) * 1000000)::bigint, 'project', a.project_id, 'environment_id', f.environment_id, 'feature_id', f.feature_id, 'segment_id', f.segment_id,
    'event_at', (extract(epoch FROM f.event_at) * 1000000)::bigint, 'segment', f.segment, 'identity', f.identity, 'identifier', f.identity_identifier, 'deleted', f.deleted)
FROM flagsmith.delivery d
LEFT JOIN flagsmith.audit_log a ON a.delivery = d.id
LEFT JOIN flagsmith.flag_change f ON f.delivery = d.id
WHERE d.webhook IS NOT NULL AND NOT coalesce(a.is_test, f.is_test, false)
    AND d.event_type IN ('AUDIT_LOG_CREATED', 'FLAG_UPDATED', 'FLAG_DELETED', 'NEW_VERSION_PUBLISHED')"""

# Features of which some delivery shows a state.
SHOWN = 'SELECT feature_id FROM flagsmith.flag_change UNION SELECT feature_id FROM flagsmith.version_published'

IMPORTED = """
SELECT json_build_object('log', a.log, 'at', (extract(epoch FROM a.created_date) * 1000000)::bigint, 'delivery', a.delivery)
FROM flagsmith.audit_log a
WHERE a.origin = 'import' AND NOT EXISTS (SELECT FROM flagsmith.audit_log w
    WHERE w.source = a.source AND w.audit_id = a.audit_id AND w.created_date = a.created_date AND (w.origin = 'webhook' OR w.delivery < a.delivery))"""


def shares_of(variants):
    """Percentages by option id, also of variants as they were sent."""
    if isinstance(variants, list):
        return {option['id'] if isinstance(option, dict) else option: variant['percentage_allocation']
                for variant in variants for option in (variant['multivariate_feature_option'],)}
    return variants or {}


class Names:
    """What environments, features, segments and projects were called: from the configuration and the requests."""

    def __init__(self, run, operations, micros):
        with lzma.open(run + '/config.json.xz', 'rt', encoding='utf-8') as text:
            config = json.load(text)
        self.project = {project['id']: project['name'] for project in config['projects']}
        self.project_of = {}
        self.feature = {}
        self.feature_project = {}
        self.born = {}
        self.segment_project = {}
        self.environments = collections.defaultdict(list)
        self.segments = collections.defaultdict(list)
        for project in config['projects']:
            for environment in project['envs']:
                self.environments[environment['id']].append((0, 0, environment['name']))
                self.project_of[environment['id']] = project['id']
        for operation in operations:
            if not 200 <= operation['status'] < 300:
                continue
            start, end, kind = micros(operation['started_at']), micros(operation['ended_at']), operation['kind']
            name = (operation['request'] or {}).get('name') if isinstance(operation['request'], dict) else None
            thing = operation.get('result_id')
            if kind in ('environment_create', 'environment_update') and name:
                self.environments[thing].append((start, end, name))
                self.project_of[thing] = operation['project']
            elif kind in ('segment_create', 'segment_update') and name:
                self.segments[thing].append((start, end, name))
                self.segment_project[thing] = operation['project']
            elif kind == 'feature_create':
                self.feature[thing] = name
                self.feature_project[thing] = operation['project']
            if kind in ('environment_create', 'feature_create'):
                self.born[kind.split('_')[0], thing] = start
        # A request that took effect may have had no answer (the receiver's database is not Flagsmith's, but its machine is).
        with lzma.open(run + '/truth.jsonl.xz', 'rt', encoding='utf-8') as lines:
            for row in map(json.loads, lines):
                for feature, name in row.get('names', {}).get('features', {}).items():
                    self.feature[int(feature)] = name[0]
                    self.feature_project[int(feature)] = row['project']

    @staticmethod
    def at(names, instant):
        """The name at an instant; None where requests overlap that may have come in either order."""
        past = sorted((end, start, name) for start, end, name in names if end <= instant)
        if not past or any(start < instant < end for start, end, name in names):
            return None
        end, start, name = past[-1]
        if any(other[0] > start and other[2] != name for other in past[:-1]):
            return None
        return name

    def call(self, environment, instant):
        """`Project/environment` by the name of an instant, or None."""
        name = self.at(self.environments[environment], instant)
        project = self.project.get(self.project_of.get(environment))
        return None if name is None or project is None else project + '/' + name


class Doors:
    def __init__(self, truth, names, psql, state_of, timestamp, limit, since):
        self.truth = truth
        self.names = names
        self.psql = psql
        self.state_of = state_of
        self.timestamp = timestamp
        self.limit = limit
        self.dice = random.Random(20261125)
        self.counts = collections.Counter()
        self.examples = {}
        self.end = max(rounds[-1][1] for rounds in truth.rounds.values())
        # every snapshot of every environment: (environment, at, live, rows)
        self.snapshots = [(environment, at, live, rows) for environment, rounds in sorted(truth.rounds.items())
                          for number, at, live, rows in rounds if at >= since and at <= truth.deleted.get(environment, at)]
        psql(ASK, 'truth')

    def count(self, door, environment, kind, what, example=None):
        key = (door, '--' if environment is None else 'v2' if self.truth.versioned.get(environment) else 'v1', kind, what)
        self.counts[key] += 1
        if not what.startswith('right') and example is not None:
            self.examples.setdefault(key, example)

    def sample(self, questions, limit=None):
        limit = limit or self.limit
        return questions if len(questions) <= limit else self.dice.sample(questions, limit)

    def ask(self, door, questions):
        """Answers in the order of the questions."""
        lines = ''.join('%d\t%s\n' % (i, json.dumps(question['ask']).replace('\\', '\\\\')) for i, question in enumerate(questions))
        self.psql('TRUNCATE public.question', 'truth')
        self.psql('COPY public.question FROM STDIN', 'truth', lines)
        answers = self.psql("SELECT coalesce(public.ask('%s', q), 'null') FROM public.question ORDER BY id" % door, 'truth')
        return [json.loads(line) for line in answers.split('\n')[:-1]]

    def state(self, row):
        return None if row['enabled'] is None else self.state_of(row['enabled'], row['value'], shares_of(row['variants']))

    # Every claim of flag_timeline about a scope that was not there.
    def timeline(self, periods):
        births = self.names.born
        for environment, at, live, rows in self.snapshots:
            for scope, mine in periods.by_environment[environment]:
                if scope in live or scope in self.truth.stretches:
                    continue                    # compared by truth.py
                period = periods.at(mine, at)
                if period and period[2] is not None:
                    self.count('flag_timeline', environment, scope[2], 'phantom %s (%s)' % (period[3], period[4]), (scope, self.timestamp(at)))
        for environment, at in self.truth.deleted.items():
            for scope, mine in periods.by_environment[environment]:
                period = periods.at(mine, self.end)
                if period and period[2] is not None:
                    self.count('flag_timeline', environment, scope[2], 'lives on in a deleted environment, %s (%s)' % period[3:5], scope)
        for scope, mine in periods.items():
            begin = max(births.get(('environment', scope[0]), 0), births.get(('feature', scope[1]), 0))
            for period in mine:
                if period[2] is not None and period[0] < begin and period[3] in ('confirmed', 'reported'):
                    self.count('flag_timeline', scope[0], scope[2], 'live before its birth, %s (%s)' % period[3:5], (scope, self.timestamp(period[0])))
                    break

    def current_state(self):
        said = {}
        for line in self.psql("SELECT to_jsonb(c) - 'period' FROM flagsmith.current_state c", 'truth').split('\n')[:-1]:
            row = json.loads(line)
            kind, thing = ('identity', int(row['identity']) if row['identity'].isdigit() else row['identity']) if row['identity'] is not None else \
                ('segment', row['segment_id']) if row['segment_id'] is not None else ('default', 0)
            said[row['environment_id'], row['feature_id'], kind, thing] = row
        was = {}
        for environment, rounds in self.truth.rounds.items():
            if environment not in self.truth.deleted:
                was.update(rounds[-1][2])
        for scope in sorted(set(said) | set(was), key=str):
            if scope[0] not in self.truth.rounds:
                continue                        # no environment that the truth tells of
            row = said.get(scope)
            answer = self.state(row) if row else None
            about = '%s (%s)' % (row['confidence'], row['cause']) if row else 'no row'
            if answer == was.get(scope):
                what = 'right, ' + about.split()[0]
            elif answer is None:
                what = 'not told, ' + about
            else:
                what = ('phantom, ' if scope not in was else 'wrong, ') + about
            self.count('current_state', scope[0], scope[2], what, scope)
            if row and scope in was:
                self.current_names(scope, row)

    def current_names(self, scope, row):
        names = self.names
        expected = {'project': names.project.get(names.project_of.get(scope[0])), 'feature': names.feature.get(scope[1]),
                    'environment': names.at(names.environments[scope[0]], self.end)}
        if scope[2] == 'segment':
            expected['segment'] = names.at(names.segments[scope[3]], self.end)
        for column, name in expected.items():
            if name is not None:
                self.count('current_state', scope[0], column + ' name', 'right' if row[column] == name else
                           'NULL' if row[column] is None else 'another name', (scope, row[column], name))

    # The scalar doors, by the names of the time and by today's.
    def scalars(self):
        questions = []
        self.shown = {int(line) for line in self.psql(SHOWN, 'truth').split()}
        bearers = collections.Counter((self.names.feature_project[feature], name) for feature, name in self.names.feature.items())
        for environment, at, live, rows in self.snapshots:
            then, today = self.names.call(environment, at), self.names.call(environment, self.end)
            forms = [('only name', then)] if then == today else [('name of the time', then), ("today's name", today)]
            for feature, name in self.names.feature.items():
                scope = (environment, feature, 'default', 0)
                project = self.names.feature_project[feature]
                if project != self.names.project_of[environment] or (scope not in live and bearers[project, name] > 1):
                    continue
                questions += [{'ask': {'environment': call, 'feature': name, 'at': self.timestamp(at)}, 'environment': environment,
                               'feature': feature, 'form': form, 'state': live.get(scope)} for form, call in forms if call]
        # those about what was not live yet, or no more, are a sample of their own
        for some, kind in (([q for q in questions if q['state']], ''), ([q for q in questions if not q['state']], ', not live')):
            some = self.sample(some, self.limit if kind == '' else self.limit // 4)
            for question, answer in zip(some, self.ask('scalar', some)):
                self.judge_scalar(question, answer, kind)

    def judge_scalar(self, question, answer, kind):
        state = question['state']
        for door, key, expected in (('is_feature_enabled', 'enabled', state and state[0]),
                                    ('get_feature_value', 'value', json.loads(state[1]) if state else None)):
            if 'error' in answer:
                what = 'error ' + answer['error']
            elif answer[key] == expected and type(answer[key]) is type(expected):
                what = 'right'
            else:
                what = 'a state that was not' if state is None else 'wrong'
                if answer[key] is None:
                    # what an entry alone says was made, and nothing else, has no state that anybody could know
                    what = 'NULL' if question['feature'] in self.shown else 'NULL, of what no delivery shows'
            self.count(door, question['environment'], question['form'] + kind, what, (question['ask'], answer, state))

    # feature_state with segments and identities: the override that wins.
    def feature_states(self):
        questions = []
        for environment, at, live, rows in self.snapshots:
            flags = collections.defaultdict(list)
            for scope in live:
                flags[scope[1]].append(scope)
            call = self.names.call(environment, at)
            others = [s for s, p in self.names.segment_project.items() if p == self.names.project_of.get(environment)]
            for feature, scopes in flags.items():
                if call and len(scopes) > 1 and (environment, feature, 'default', 0) in live:
                    questions += self.combinations(environment, feature, at, scopes, live, rows, call, others)
        by_kind = collections.defaultdict(list)
        for question in questions:
            by_kind[question['kind']].append(question)
        for kind, some in sorted(by_kind.items()):
            some = self.sample(some, self.limit // 2)
            for question, answer in zip(some, self.ask('feature_state', some)):
                self.judge_state(question, answer)

    def combinations(self, environment, feature, at, scopes, live, rows, call, others):
        segments = sorted(scope[3] for scope in scopes if scope[2] == 'segment')
        people = [scope for scope in scopes if scope[2] == 'identity']
        without = [segment for segment in others if segment not in segments][:3]
        some = self.dice.sample(segments, self.dice.randint(1, len(segments))) if segments else []
        asked = []
        if len(segments) > 1:
            asked.append(('several segments', segments, None))
        if segments:
            asked.append(('one segment', [self.dice.choice(segments)] + without[:1], None))
        if without:
            asked.append(('segments without', without, None))
        if people:
            asked.append(('identity', some, self.dice.choice(people)))
        asked.append(('stranger', some, None))
        made = []
        for kind, mine, person in asked:
            ranked = sorted((rows[environment, feature, 'segment', segment]['priority'], segment) for segment in mine if segment in segments)
            if len(ranked) > 1 and ranked[0][0] == ranked[1][0] and person is None:
                continue                        # nothing says which of the two wins
            winner = person or ((environment, feature, 'segment', ranked[0][1]) if ranked else (environment, feature, 'default', 0))
            made.append({'ask': {'environment': call, 'feature': self.names.feature[feature], 'at': self.timestamp(at), 'segments': mine,
                                 'identity': rows[person]['identifier'] if person else 'nobody-at-all' if kind == 'stranger' else None},
                         'environment': environment, 'kind': kind, 'winner': winner, 'state': live[winner]})
        return made

    def judge_state(self, question, answer):
        if not answer:
            what = 'no row'
        elif 'error' in answer:
            what = 'error ' + answer['error']
        else:
            row = answer[0]
            scope = {'environment': 'default'}.get(row['scope'], row['scope'])
            same = scope == question['winner'][2] and (scope != 'segment' or row['segment_id'] == question['winner'][3])
            if self.state(row) == question['state']:
                what = 'right, %s' % row['confidence'] if same else 'right state of another scope, %s' % row['confidence']
            else:
                what = '%s, %s (%s)' % ('wrong state' if same else '%s instead of %s' % (scope, question['winner'][2]) if
                                        scope != question['winner'][2] else 'another segment', row['confidence'], row['cause'])
        self.count('feature_state', question['environment'], question['kind'], what, (question['ask'], question['winner']))

    def environment_states(self):
        questions = [{'ask': {'environment': self.names.call(environment, at), 'at': self.timestamp(at)}, 'environment': environment,
                      'live': {scope[1]: state for scope, state in live.items() if scope[2] == 'default'}}
                     for environment, at, live, rows in self.snapshots if self.names.call(environment, at)]
        questions = self.sample(questions, self.limit // 8)
        for question, answer in zip(questions, self.ask('environment_state', questions)):
            environment, live = question['environment'], question['live']
            if answer and 'error' in answer:
                self.count('environment_state', environment, 'call', 'error ' + answer['error'], question['ask'])
                continue
            said = {row['feature_id']: row for row in answer or []}
            for feature in set(said) | set(live):
                row = said.get(feature)
                state = self.state(row) if row else None
                about = '%s (%s)' % (row['confidence'], row['cause']) if row else 'no row'
                what = 'right, ' + about.split()[0] if state == live.get(feature) else \
                    ('not told, ' if state is None else 'wrong, ' if feature in live else 'phantom, ') + about
                self.count('environment_state', environment, 'default', what, (question['ask'], feature))
                if row and self.names.feature.get(feature) not in (None, row['feature']):
                    self.count('environment_state', environment, 'feature name', 'another name', (question['ask'], row['feature']))

    # history: everything that was told in exactly one line, which says the same as it.
    def history(self):
        lines = [json.loads(line) for line in self.psql(LINES, 'truth').split('\n')[:-1]]
        told = collections.defaultdict(list)
        for line in self.psql(TOLD, 'truth').split('\n')[:-1]:
            row = json.loads(line)
            told[row['delivery']].append(row)
        within = collections.defaultdict(list)
        for line in lines:
            for delivery in line['deliveries']:
                within[delivery].append(line)
        for delivery, rows in told.items():
            row = rows[0]
            environment = row['environment_id']
            mine = within[delivery]
            what = 'right' if len(mine) == 1 else 'in no line' if not mine else 'in several lines'
            self.count('history', environment, row['type'], what, delivery)
            if len(mine) == 1:
                self.judge_line(row, mine[0])
        for line in self.psql(IMPORTED, 'truth').split('\n')[:-1]:
            row = json.loads(line)
            found = [l for l in within[row['delivery']] if row['log'] in (l['log'] or '') and abs(l['at'] - row['at']) < 5000000]
            self.count('history', None, 'imported entry', 'right' if found else 'in no line', row)
        self.edges = {}
        for scope, stretches in self.truth.stretches.items():
            # the state before each request begins and after it ended
            for begin, snapshot, end, state in stretches:
                self.edges[scope, 'before', end] = state
                if begin != snapshot:
                    self.edges[scope, 'after', begin] = state
        for line in lines:
            self.judge_folding(line, [told[delivery][0] for delivery in line['deliveries'] if told.get(delivery)])
            self.judge_before_after(line, [row for delivery in line['deliveries'] for row in told.get(delivery, ()) if row['feature_id']])

    def judge_folding(self, line, rows):
        """Some one request must have been under way at all its entries; those that tasks wrote later say nothing."""
        under_way = [self.requests(row['project'], row['at']) for row in rows if row['type'] == 'AUDIT_LOG_CREATED' and row['at']]
        under_way = [requests for requests in under_way if requests]
        if len(under_way) > 1:
            self.count('history', None, 'lines of several entries', 'right' if set.intersection(*under_way) else 'folds several requests',
                       (self.timestamp(line['at']), line['log']))

    def requests(self, project, at):
        return {operation for start, end, operation in self.truth.requests[project] if start <= at <= end}

    def judge_line(self, row, line):
        if row['feature'] is not None:
            # a message that can be split in another way is read wrongly, where the id that comes with it is not
            feature = self.names.feature.get(row['told_id'], row['feature'])
            self.count('history', row['environment_id'], 'feature of ' + row['type'],
                       'right' if line['feature'] == feature else 'line of another feature', (row['delivery'], line['feature']))
        if row['type'] == 'AUDIT_LOG_CREATED' and row['author'] is not None:
            self.count('history', row['environment_id'], 'author of the entry',
                       'right' if line['actor'] == row['author'] else 'another actor', (row['delivery'], line['actor']))

    def judge_before_after(self, line, events):
        """Against the truth at the start and the end of the one request that it belongs to."""
        fitting = [event for event in events if (event['segment'] == line['segment'] if line['segment'] else
                                                 event['identifier'] == line['identity'] if line['identity'] else
                                                 event['segment_id'] is None and event['identity'] is None)]
        # the deletion of a flag is of all environments, which have no one state before it
        if not fitting or line['environment'] is None:
            return
        event = fitting[0]
        kind, thing = ('identity', int(event['identity'])) if event['identity'] is not None else \
            ('segment', event['segment_id']) if event['segment_id'] is not None else ('default', 0)
        scope = (event['environment_id'], event['feature_id'], kind, thing)
        # a version's entry is written by a task, perhaps while the next request is under way
        at = event['event_at'] if line['object'] == 'version' else line['at']
        acts = [act for act in self.truth.by_flag[scope[:2]] if act[0] - 100000 <= at <= act[1] + 100000]
        if len(acts) != 1 or scope not in self.truth.stretches or \
                any(act[0] <= acts[0][1] and act[1] >= acts[0][0] for act in self.truth.by_flag[scope[:2]] if act != acts[0]):
            return
        for column, edge in (('before', acts[0][0]), ('after', acts[0][1])):
            if (scope, column, edge) not in self.edges:
                continue
            state = self.edges[scope, column, edge]
            enabled, value, variants = line[column]
            said = None if enabled is None else self.state_of(enabled, value, shares_of(variants))
            self.count('history', scope[0], '%s, %s' % (column, kind), 'right' if said == state else
                       'NULL' if said is None else 'of what was not there' if state is None else 'wrong',
                       (line['log'], self.timestamp(line['at']), said, state))

    def check(self, periods):
        self.timeline(periods)
        self.current_state()
        self.scalars()
        self.feature_states()
        self.environment_states()
        self.history()
        return self.counts


def is_firm(what):
    return 'confirmed' in what or 'reported' in what or what.endswith('no row')


def tally(counts, doors, kinds=lambda kind: True, what=lambda what: True):
    return sum(n for (door, versioned, kind, was), n in counts.items() if door in doors and kinds(kind) and what(was))


def is_right(what):
    return what.startswith('right')


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


SCALARS = ('is_feature_enabled', 'get_feature_value')
WHOLE = ('AUDIT_LOG_CREATED', 'FLAG_UPDATED', 'FLAG_DELETED', 'NEW_VERSION_PUBLISHED', 'imported entry')
COLUMNS = ('', 'phantoms', 'firm', 'now right', 'firm', 'by name', 'no answer', 'overrides', 'several', 'env. right', 'lines', 'folded', 'before', 'after')


def door_figures(counts):
    """A row of the last table, in the order of COLUMNS."""
    def right(doors, kinds=lambda kind: True, what=lambda what: True):
        return share(tally(counts, doors, kinds, lambda was: what(was) and is_right(was)), tally(counts, doors, kinds, what))

    def scope(kind):
        return kind in ('default', 'segment', 'identity')

    def renamed(kind):
        return kind in ('name of the time', "today's name")

    def at_all(kind):
        return 'not live' not in kind
    return ('%d' % tally(counts, ('flag_timeline',)), '%d' % tally(counts, ('flag_timeline',), what=is_firm),
            '%.2f%%' % right(('current_state',), scope), '%.2f%%' % right(('current_state',), scope, is_firm),
            '%.2f%%' % right(SCALARS, renamed),
            '%.2f%%' % share(tally(counts, SCALARS, at_all, lambda what: what == 'NULL' or what.startswith('error')),
                             tally(counts, SCALARS, at_all)),
            '%.2f%%' % right(('feature_state',), what=is_firm),
            '%.2f%%' % right(('feature_state',), lambda kind: kind == 'several segments', is_firm),
            '%.2f%%' % right(('environment_state',), what=is_firm),
            '%d' % tally(counts, ('history',), lambda kind: kind in WHOLE, lambda what: not is_right(what)),
            '%d' % tally(counts, ('history',), what=lambda what: what.startswith('folds')),
            '%.2f%%' % right(('history',), lambda kind: kind.startswith('before')),
            '%.2f%%' % right(('history',), lambda kind: kind.startswith('after')))


def print_doors(table):
    print("\nBy door: claims of scopes that were not there, and how many of them firm; scopes that are right in current_state, and of the"
          " firm;\nright answers about renamed environments by a name, and NULL or error of all by name; right of feature_state's firm"
          " answers, and of those\nwith several segments; right of environment_state's firm ones; what is not in exactly one line of"
          " history; its lines of several\nrequests; its states before and after that are right\n" + ('%-14s' + ' %10s' * 13) % COLUMNS)
    for name, figures in table:
        print(('%-14s' + ' %10s' * 13) % ((name,) + figures))


def broken_promises(name, counts):
    """What must hold of the doors where nothing was lost."""
    must = (('claims of scopes that were not there are never confirmed', ('flag_timeline', 'current_state'), lambda kind: True,
             lambda what: 'confirmed' in what and ('phantom' in what or 'live' in what)),
            ("views show today's names", ('current_state', 'environment_state'), lambda kind: kind.endswith(' name'),
             lambda what: not is_right(what)),
            ('a renamed environment answers by both names', SCALARS, lambda kind: kind in ('name of the time', "today's name"),
             lambda what: not is_right(what) and what != 'wrong'),
            ('all that was told is in exactly one line of history', ('history',), lambda kind: kind in WHOLE,
             lambda what: not is_right(what)),
            ('a line of history has the feature and the author of its entries', ('history',),
             lambda kind: kind.startswith(('feature of', 'author of')), lambda what: not is_right(what)))
    return ['%s: %s: %d do not' % (name, text, n) for text, doors, kinds, what in must
            for n in (tally(counts, doors, kinds, what),) if n]


def print_counts(name, counts, examples, shown):
    """A line for each door, version and kind: how many right, and the other classes; with an example each where asked for."""
    groups = collections.defaultdict(collections.Counter)
    for (door, versioned, kind, what), n in counts.items():
        groups[door, versioned, kind][what] += n
    print('\n%s, by door' % name)
    for key, whats in sorted(groups.items()):
        total = sum(whats.values())
        right = sum(n for what, n in whats.items() if is_right(what))
        firm = sum(n for what, n in whats.items() if is_firm(what))
        sure = sum(n for what, n in whats.items() if is_firm(what) and is_right(what))
        print('%-18s %s %-30s %7d asked %8.3f%% right %6d not%s' % (
            key + (total, share(right, total), total - right,
                   '; %d firm, %.3f%% of them right' % (firm, share(sure, firm)) if firm else '')))
        for what, n in whats.most_common():
            if not what.startswith('right') or ' state of' in what:
                print('    %6d %s' % (n, what))
                if shown and key + (what,) in examples:
                    print('           e.g. %s' % (examples[key + (what,)],))
