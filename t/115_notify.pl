# The programs of docs/notify.md, taken from it as they stand: two caches that hear of a change, and a line in Slack's format.
# They need python with psycopg and node with pg, and a second session, so not a regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IO::Socket::INET;
use IPC::Run qw(start finish pump timeout);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_body("$FindBin::Bin/../docs/notify.md");
my ($python, $slack) = $page =~ /^```python\n(.*?)^```/gms;
my ($node_js) = $page =~ /^```js\n(.*?)^```/ms;
ok($python && $slack && $node_js, 'the page has three programs');

my $tmp = PostgreSQL::Test::Utils::tempdir_short();
my $node = start_node('notify');
my $limit = $PostgreSQL::Test::Utils::timeout_default;
my $number = 0;

$node->safe_psql('postgres', q(SELECT flagsmith.add_webhook('shop', allow_unsigned => true, notify => true, max_spool_age => NULL)));
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';

# A flag event, a minute after the one before, and what it announces.
sub change
{
	my ($feature, $enabled, $value) = @_;
	my $at = sprintf('2026-11-01T10:%02d:00.000000Z', $number++);

	$node->safe_psql('postgres', insert_sql('shop', undef, encode_json({ event_type => 'FLAG_UPDATED', data => { changed_by => 'ada@example.com', timestamp => $at,
		new_state => { enabled => $enabled ? JSON::PP::true : JSON::PP::false, feature_state_value => $value, environment => { id => 512, name => 'Production' },
			feature => { id => $feature, name => "flag_$feature", project => { id => 77, name => 'Shop' } } } } }), $at));
}

# Ask a program that answers each line of "ENVIRONMENT FEATURE TOLD" with a line; TOLD: a notification is on its way.
sub conversation
{
	my ($what, $first, @command) = @_;
	my $second = $first + 1;
	my ($in, $out, $err) = ('', '', '');
	my $run = start(\@command, '<', \$in, '>', \$out, '2>', \$err, timeout($limit));
	my $ask = sub {
		$out = '';
		$in .= join(' ', 512, $_[0], $_[1] // 0) . "\n";
		eval { pump($run) until $out =~ /\n/ || !$run->pumpable; 1 } or diag $@;
		diag $err if $out eq '';
		return $out =~ s/\n//r;
	};

	change($first, 1, 'a');
	is($ask->($first), 'true, asked', "$what: asks what it does not have");
	is($ask->($first), 'true, held', "$what: and then has it");
	is($ask->($second), 'null, asked', "$what: nothing is known of another");
	change($second, 1, 'a');
	is($ask->($second, 1), 'true, asked', "$what: until it is heard of");
	is($ask->($first), 'true, held', "$what: which is not about the first");
	change($first, 0, 'a');
	is($ask->($first, 1), 'false, asked', "$what: a change is seen with the next question");
	is($ask->($first), 'false, held', "$what: and held");
	finish($run);
	is($err, '', "$what: without a complaint");
}

sub file
{
	my ($name, $text) = @_;

	open(my $fh, '>:raw', "$tmp/$name") or die "$tmp/$name: $!";
	print $fh $text;
	close($fh);
	return "$tmp/$name";
}

SKIP:
{
	skip 'python3 with psycopg is not here', 8 if system('python3 -c "import psycopg" 2>/dev/null') != 0;
	file('cache.py', $python);
	conversation('python', 10, 'python3', '-u', file('ask.py', <<'PYTHON'));
import json, select, sys
sys.path.insert(0, sys.path[0])
from cache import Flags
flags = Flags()
flags.asked = 0
execute = flags.conn.execute
def counted(*arguments):
    flags.asked += 1
    return execute(*arguments)
flags.conn.execute = counted
for line in iter(sys.stdin.readline, ""):
    environment, feature, told = map(int, line.split())
    # what was announced is on its way to us when the change is committed: not here yet
    if told:
        select.select([flags.conn.fileno()], [], [], 180)
    before = flags.asked
    print(json.dumps(flags.enabled(environment, feature)) + (", held" if flags.asked == before else ", asked"), flush=True)
PYTHON
}

SKIP:
{
	$ENV{NODE_PATH} = join(':', grep { defined } $ENV{NODE_PATH}, '/usr/share/nodejs');
	skip 'node with pg is not here', 8 if system(q(node -e 'require("pg")' 2>/dev/null)) != 0;
	file('cache.js', $node_js);
	conversation('node', 20, 'node', file('ask.js', <<'JS'));
const Flags = require('./cache.js');
const flags = new Flags();
flags.open().then(async () => {
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    // a notification that is on its way has come when the answer to anything else has
    await flags.client.query('SELECT 1');
    const [environment, feature] = line.split(' ').map(Number);
    const held = flags.held.has(`${environment}/${feature}`);
    console.log(JSON.stringify(await flags.enabled(environment, feature)) + (held ? ', held' : ', asked'));
  }
  await flags.client.end();
});
JS
}

SKIP:
{
	skip 'python3 with psycopg is not here', 6 if system('python3 -c "import psycopg" 2>/dev/null') != 0;
	my $server = IO::Socket::INET->new(Listen => 4, LocalAddr => '127.0.0.1', Timeout => $limit) or die "no socket: $!";
	$ENV{SLACK_URL} = 'http://127.0.0.1:' . $server->sockport . '/services/x';
	change(3, 1, 'green');
	change(4, 0, 'blue');
	my ($in, $out, $err) = ('', '', '');
	my $run = start([ 'python3', file('slack.py', $slack) ], '<', \$in, '>', \$out, '2>', \$err);

	# The line that it sends; where there is a second argument it is done before the answer.
	my $line = sub {
		my ($meanwhile) = @_;
		my $client = $server->accept or die "no line came: $err";
		my $length = 0;

		while (defined(my $head = <$client>))
		{
			$length = $1 if $head =~ /^Content-Length: (\d+)/i;
			last if $head =~ /^\r?\n$/;
		}
		read($client, my $body, $length);
		$meanwhile->() if defined $meanwhile;
		print $client "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
		close($client);
		return decode_json($body)->{text};
	};
	my $listening = q(SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'LISTEN flagsmith_flag' AND state = 'idle');
	ok($node->poll_query_until('postgres', $listening), 'slack: it listens') or diag $err;
	# While it waits for an answer, another change is announced, and a third one while it asks about that: it comes with its answer.
	my $holder = $node->background_psql('postgres');
	change(3, 0, 'red');
	is($line->(sub {
		$node->safe_psql('postgres', q(NOTIFY flagsmith_flag, '{"source": "default", "environment": 512, "feature": 4}'));
		$holder->query_safe('BEGIN; LOCK TABLE flagsmith.flag_change');
	}), 'ada@example.com changed flag_3 in Production: it is off, its value "red"', 'slack: the line');
	ok($node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT changed_by%')), 'slack: it asks')
	  or diag $err;
	# One whose flag is gone tells nothing.
	$node->safe_psql('postgres', qq(NOTIFY flagsmith_flag, '{"source": "default", "environment": 512, "feature": $_}')) for 5, 3;
	$holder->query_safe('COMMIT');
	$holder->quit;
	is($line->(), 'ada@example.com changed flag_4 in Production: it is off, its value "blue"', 'slack: what came meanwhile');
	is($line->(), 'ada@example.com changed flag_3 in Production: it is off, its value "red"', 'slack: and what came with an answer');
	$run->kill_kill;
	is($err, '', 'slack: without a complaint');
}

$node->stop;
done_testing();
