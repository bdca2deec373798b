#!/usr/bin/env perl
#
# What a wrong answer is blamed on when simulated histories are compared (tools/sim/judge.py): each change by itself.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempfile);
use FindBin;
use Test::More;

my $tools = dirname($FindBin::Bin) . '/tools';
plan skip_all => 'needs python3' if system('python3 -c "import json" 2>/dev/null') != 0;
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;

# Acts 1 to 4 set a state, each at ten times its number: (enabled, value, variants).  2 is told by nothing.
my $script = <<"PYTHON";
import collections, json, sys
sys.path.insert(0, '$tools')
from sim.draw import History
from sim.judge import Judge

SCOPE = (1, 1, None, None)

class Told:
    def told(self, act, scope=None, at=None):
        return 'silent' if act in (2, 4) else 'told'

def judged(truth, claim, since=0):
    judge = object.__new__(Judge)
    judge.history = Told()
    judge.truth = {SCOPE: [(10 * (i + 1), shown and (shown[0], json.dumps(shown[1]), shown[2], None), i + 1) for i, shown in enumerate(truth)]}
    judge.changes = {SCOPE: [row[0] for row in judge.truth[SCOPE]]}
    judge.told = {i + 1: Told().told(i + 1) for i in range(len(truth))}
    judge.changes_told = {}
    row = claim and {'enabled': claim[0], 'value': claim[1], 'variants': dict(claim[2])}
    judge.mine = {SCOPE: [{**(row or {'enabled': None}), 'begin': since, 'finish': 1 << 62}]}
    if since:
        judge.mine[SCOPE].insert(0, {'enabled': True, 'value': 'another', 'variants': {}, 'begin': 0, 'finish': since})
    judge.starts = {SCOPE: [since]}
    judge.sim = collections.namedtuple('Sim', 'versions')({})
    return judge, row

def blamed(truth, claim, at, since=0):
    judge, row = judged(truth, claim, since)
    return judge.blame(SCOPE, at, row, None)

def answer_blamed(truth, claim, at):
    return judged(truth, claim)[0].blame_answer([SCOPE], [SCOPE], at)

a, b = ((1, 5.0),), ((1, 5.0), (2, 0.0))
print('missed', *blamed([(True, 'x', a), (True, 'y', a)], (True, 'x', a), 25))
print('on top', *blamed([(True, 'x', a), (True, 'y', a), (True, 'y', b)], (True, 'x', b), 35))
print('told on top', *blamed([(True, 'x', a), (True, 'y', a), (False, 'y', b)], (True, 'x', b), 35))
print('too early', *blamed([(True, 'x', a), (False, 'x', a), (True, 'z', a)], (True, 'z', a), 15))
print('gone all along', *blamed([None, (True, 'x', a), None], None, 25))
back = [(True, 'z', a), (True, 'x', a), (True, 'y', a), (True, 'z', a)]
print('claimed all along', *blamed(back, (True, 'z', a), 35))
print('anew, and so later without a word', *blamed(back, (True, 'z', a), 35, 30))
print('answer', *answer_blamed([(True, 'x', a), (True, 'y', a)], (True, 'y', a), 15))

# An answer about several scopes: the timeline is wrong about some of them.
DEFAULT, FIRST, SECOND, PERSON = SCOPE, (1, 1, 7, None), (1, 1, 8, None), (1, 1, None, 9)

def wrong_of(answered, best, *wrong):
    judge = object.__new__(Judge)
    judge.fits = lambda scope, at: scope not in wrong
    row = {'scope': 'identity' if answered[3] else 'segment' if answered[2] else 'environment', 'segment_id': answered[2]}
    return judge.wrong_scopes([DEFAULT, FIRST, SECOND, PERSON], row, [(best, None)], 0)

print('wrong scopes told', wrong_of(PERSON, FIRST, DEFAULT, PERSON) == [PERSON], wrong_of(SECOND, FIRST, DEFAULT, FIRST) == [FIRST],
      wrong_of(SECOND, FIRST, DEFAULT, PERSON) == [DEFAULT, PERSON], wrong_of(SECOND, FIRST) == [])

# Of a request that saves several rows, what was read before the last of them tells nothing of it.
class Delivery:
    lost = False
    def __init__(self, event, tells, data, read=None, saved=None):
        self.event, self.tells, self.data, self.read, self.saved = event, tells, data, read, saved

shown = {'environment': {'id': 1}}
body = Delivery('FLAG_UPDATED', {1}, {'new_state': shown}, read=15)
entry = Delivery('AUDIT_LOG_CREATED', {1}, {'log': 'Remote config value updated for feature: f', 'id': 1}, saved=10)
late = Delivery('FLAG_UPDATED', {1}, {'new_state': shown}, read=25)
for name, sent in (('none', [body, entry]), ('read later', [body, late])):
    history = object.__new__(History)
    history.sim = collections.namedtuple('Sim', 'sent acts')(sent, {1: collections.namedtuple('Act', 'kind')('put')})
    history.received = {}
    history.truth = {SCOPE: [(10, True, 1), (20, True, 1)]}
    print(name, history.told(1), history.told(1, SCOPE, 10), history.told(1, SCOPE, 20))

# Environment 1 is called n and then d, from 20 on, which another bore, and may have been deleted without a word.
class Thing:
    def __init__(self, id, created, deleted=None):
        self.id, self.created, self.deleted_at = id, created, deleted

def meant(sent, at):
    judge = object.__new__(Judge)
    judge.sim = collections.namedtuple('Sim', 'names')({('environment', 1): [(0, 'n'), (20, 'd')], ('environment', 2): [(5, 'd')]})
    judge.history = collections.namedtuple('Received', 'received')(dict(enumerate(sent)))
    return [thing.id for thing in judge.bearers('environment', [Thing(1, 0), Thing(2, 5, 10)], 'd', at)]

seen = Delivery('FLAG_UPDATED', {1}, {'new_state': {'environment': {'id': 1, 'name': 'd'}}, 'previous_state': None})
seen.arrival = 30
entry = Delivery('AUDIT_LOG_CREATED', {1}, {'environment': {'id': 1, 'name': 'd'}, 'related_object_type': 'ENVIRONMENT',
                                            'related_object_id': 1, 'log': 'Environment updated: d',
                                            'created_date': '1970-01-01T00:00:00.000020Z'})
entry.arrival = 30
older = Delivery('AUDIT_LOG_CREATED', {1}, {**entry.data, 'created_date': '1970-01-01T00:00:00.000019Z'})
older.arrival = 30
print('not seen yet told', *meant([seen], 25))
print('seen told', *meant([seen], 35))
print('entry told', *meant([entry], 25))
print('older entry told', *meant([older], 25))

# A version with an instant of effect in the past, of which act 9 brought the override of a segment that was deleted since.
from sim.sender import Version
def taken_for_live(states, announced):
    judge, row = judged([(True, 'x', ())], (True, 'y', ()))
    version = Version('uuid', states, 5, 10, collections.namedtuple('Act', 'n')(9))
    version.announced = {scope: collections.namedtuple('State', 'shown')(lambda: (True, json.dumps('y'), (), None)) for scope in announced}
    judge.sim = collections.namedtuple('Sim', 'versions')({(1, 1): [version]})
    scope = (1, 1, 7, None)
    judge.mine[scope], judge.starts[scope] = judge.mine[SCOPE], judge.starts[SCOPE]
    return '%s %s' % ('told' if judge.never_live(scope, 15, row) else 'silent', judge.blame_answer([scope], [], 15)[0])

print('announced', taken_for_live({}, [(7, None)]))
print('not announced', taken_for_live({}, [(8, None)]))
PYTHON
my ($file, $name) = tempfile(UNLINK => 1);
print $file $script;
close($file) or die $!;
my $output = `python3 $name 2>&1`;
is($?, 0, 'compared') or diag($output);
my %got = map { /^(.*?) ((?:told|silent)(?: .*)?)$/ ? ($1 => $2) : () } split(/\n/, $output);

is($got{missed}, 'silent 2', 'a change that nothing told');
is($got{'on top'}, 'silent 2', 'the same beneath one that was told, so that the claim was never true');
is($got{'told on top'}, 'told 3', 'unless that is wrong as well');
is($got{'too early'}, 'told 3', 'what was told, and claimed too early');
is($got{'gone all along'}, 'silent 2', 'what was made without a word, and never claimed');
is($got{'claimed all along'}, 'told 3', 'a state that comes back, and was claimed all along');
is($got{'anew, and so later without a word'}, 'silent 4', 'the same, claimed anew before a change that nothing told made it so');
is($got{answer}, 'silent 2', 'so an answer about several scopes, not on what is true then');
is($got{'wrong scopes'}, 'told True True True True', 'the scope that was answered, or the right one, if the timeline is wrong about it');
is($got{none}, 'told told silent', 'a save of which neither its entry nor a body read later came') or diag(explain(\%got));
is($got{'read later'}, 'told told told', 'one that a later reading shows');
is($got{'not seen yet'}, 'told 1 2', 'a name that no entry and nothing that came by then tells can mean the other one');
is($got{seen}, 'told 1', 'unless it was seen');
is($got{entry}, 'told 1', 'or its entry tells when it was taken');
is($got{'older entry'}, 'told 1 2', 'but not one of when it bore that before');
is($got{announced}, 'told announced', 'a version that was announced and never live, of which a segment was deleted since');
is($got{'not announced'}, 'silent told', 'which says nothing of another segment');

done_testing();
