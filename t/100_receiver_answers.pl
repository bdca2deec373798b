# What flagsmith-receiver answers, over real HTTP, and how it is operated.
# Regress has no HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use Receiver;

my $program = Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = Receiver::server('answers');

# systemd, as far as it is spoken to
my $notify_path = "$tmp/notify";
my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $notify_path)
  // die "$notify_path: $!";
my $receiver = Receiver->start(
	$node,
	options => [ '--max-body', '100kB' ],
	env => { NOTIFY_SOCKET => $notify_path, WATCHDOG_USEC => 300000 });

my $message;
$notify->recv($message, 100);
is($message, 'READY=1', 'systemd hears that it is ready');
$notify->recv($message, 100);
is($message, 'WATCHDOG=1', 'and that it is alive');

my $body = slurp_file("$Receiver::data/captured/005_flag_updated_v1_default_str_prev.json");

# What a person reads who tries a wrong name, path or secret with curl.
my %text_of = (
	'401 rejected' => 'rejected: flagsmith.rejected in the database says why',
	'404 no_webhook' => 'no_webhook: no webhook of this name is registered and enabled',
	'404 not_found' => "not_found: the path does not begin with the receiver's --prefix, or ends there");

sub post_is
{
	my ($path, $content, $args, $status, $word, $what) = @_;
	my ($got, $text, $head) = $receiver->post($path, $content, %$args);

	is($got, $status, "$what: $status");
	is($text, ($text_of{"$status $word"} // $word) . "\n", "$what: $word") if defined $word;
	unlike($head, qr/^Location:/mi, "$what: no redirect");
	return $head;
}

# what became of a delivery
post_is('/signed', $body, { secret => 'geheim' }, 200, 'stored', 'signed');
post_is('/signed', $body, { secret => 'geheim' }, 200, 'duplicate', 'sent again');
post_is('/open', $body, {}, 200, 'duplicate', 'by another webhook');
post_is('/open', 'not JSON', {}, 200, 'undecoded', 'not JSON');
post_is('/open', '', {}, 200, 'undecoded', 'empty');
post_is('/signed', $body, { secret => 'other' }, 401, 'rejected', 'another secret');
post_is('/signed', $body, {}, 401, 'rejected', 'unsigned');
post_is('/nobody', $body, {}, 404, 'no_webhook', 'unknown webhook');
post_is('/off', $body, {}, 404, 'no_webhook', 'disabled webhook');
post_is('/', $body, {}, 404, 'not_found', 'no webhook in the path');
post_is('/open', 'x' x 102401, {}, 413, 'too_large', 'one byte over the limit');
post_is('/open', '"' . ('x' x 102398) . '"', {}, 200, undef, 'as large as allowed');

$node->safe_psql('postgres', q(INSERT INTO flagsmith.webhook (name, allow_unsigned) VALUES ('Käse/üb er 100%', true)));
post_is('/K%C3%A4se/%c3%bcb%20er%20100%25?token=x', '{}', {}, 200, undef, 'any name');

my $head = post_is('/open', '[]', {}, 200, undef, 'head of an answer');
like($head, qr/^Content-Type: text\/plain\r$/m, 'answers are plain text');

# exactly the bytes, and the time of arrival
my $bytes = join('', map { chr } 0 .. 255) x 3;
post_is('/signed', $bytes, { secret => 'geheim' }, 200, 'undecoded', 'every byte');
is( $node->safe_psql(
		'postgres',
		q(SELECT count(*) FROM flagsmith.delivery WHERE webhook = 'signed' AND body = '\x)
		  . unpack('H*', $bytes)
		  . q(' AND signature ~ '^[0-9a-f]{64}$' AND received_at BETWEEN now() - interval '1 min' AND stored_at)),
	1,
	'body and signature are stored untouched');

# the size limit of the inbox itself
$node->safe_psql('postgres', q(ALTER ROLE receiver SET flagsmith_webhook.max_body_size = '50kB'));

# Systemd reads what it is told when it likes: with its queue full, everything else goes on.
sub read_all
{
	my @said;

	push @said, $message while defined $notify->recv($message, 100) && $message ne '';
	return @said;
}

sub queue_is_full
{
	my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $notify_path) // die "$notify_path: $!";

	$socket->blocking(0);
	1 while defined $socket->send('x');
	return $!{EAGAIN} || $!{ENOBUFS};
}

$notify->blocking(0);
ok(queue_is_full(), 'the queue of the socket is full');
my $silent = $receiver->connect;
is((Receiver::answer($silent))[0], 408, 'full: the clock goes on');
close $silent;
read_all();
my $said = '';
for (1 .. 600)
{
	$said = join(',', read_all());
	last if $said =~ /WATCHDOG=1/;
	sleep 0.05;
}
like($said, qr/WATCHDOG=1/, 'and afterwards systemd is told again');
ok(queue_is_full(), 'the queue is full again');
$receiver->stop('the first one');
read_all();
$receiver = Receiver->start($node, env => { NOTIFY_SOCKET => $notify_path });
$receiver->stop('one without a watchdog');
is(join(',', read_all()), 'READY=1,STOPPING=1', 'systemd hears the beginning and the end');
ok(queue_is_full(), 'the queue is full before the start');
$receiver = Receiver->start($node, env => { NOTIFY_SOCKET => $notify_path });
for (1 .. 600)
{
	last if ($receiver->get('/readyz'))[0] == 200;
	sleep 0.05;
}
$said = '';
for (1 .. 600)
{
	$said = join(',', grep { $_ ne 'x' } read_all());
	last if $said ne '';
	sleep 0.05;
}
is($said, 'READY=1', 'what could not be said at the start is said later');
$receiver->stop('the one before the second');
$receiver = Receiver->start($node, options => [ '--prefix', 'hooks/flagsmith' ]);
post_is('/hooks/flagsmith/open', 'x' x 60000, {}, 413, 'rejected', 'too large for the inbox');
post_is('/hooks/flagsmith/open', '"short"', {}, 200, undef, 'behind a prefix');
post_is('/open', '"short"', {}, 404, 'not_found', 'outside the prefix');
$node->safe_psql('postgres', q(ALTER ROLE receiver RESET flagsmith_webhook.max_body_size));

# several requests on one connection
my $socket = $receiver->connect;
foreach my $i (1 .. 3)
{
	Receiver::send_bytes($socket, Receiver::request('/hooks/flagsmith/open', "[$i]"));
	is((Receiver::answer($socket))[0], 200, "request $i of a connection");
}
close $socket;

# the status pages
is(($receiver->get('/healthz'))[0], 200, 'healthz');
is(($receiver->get('/readyz'))[0], 200, 'readyz with a database');
my ($status, $page, $page_head) = $receiver->get('/metrics');
is($status, 200, 'metrics');
like($page_head, qr/^Content-Type: application\/openmetrics-text; version=1\.0\.0; charset=utf-8\r$/m,
	'they are OpenMetrics');
like($page, qr/\n# EOF\n\z/, 'with an end');
like($page, qr/^flagsmith_receiver_answers_total\{status="404",outcome="not_found"\} 1$/m,
	'answers are counted');
like($page, qr/^flagsmith_receiver_database_latency_seconds_count [1-9]/m, 'latencies as well');
my %family;
foreach my $line (split /\n/, $page)
{
	if ($line =~ /^# (TYPE|UNIT|HELP) (\w+) (.+)$/)
	{
		ok(!$family{$2}{$1}++, "one $1 of $2");
		$family{$2}{kind} = $3 if $1 eq 'TYPE';
	}
	elsif ($line ne '# EOF')
	{
		like($line, qr/^\w+(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? (?:\d+|\d+\.\d+)$/, "sample: $line");
	}
}
is_deeply([ grep { !$family{$_}{HELP} } keys %family ], [], 'each has a HELP');

# nothing sensitive in the log, at any level
my $log = $receiver->log_content;
like($log, qr/^ts=\S+Z level=info event=delivery webhook="open" status=200 outcome=undecoded/m,
	'a delivery is one line');
unlike($log, qr/[0-9a-f]{64}|xxxxx|geheim/, 'without body, signature or secret');

# what the inbox has other reasons for is not the sender's fault
$receiver->stop('the second one');
$node->safe_psql('postgres', 'ALTER ROLE receiver SET default_transaction_read_only = on');
$node->safe_psql('postgres', 'ALTER ROLE receiver SET synchronous_commit = off');
# one connection: another that is made only now would say that the database is there
$receiver = Receiver->start($node, options => [ '--hold', '0.3', '--connections', '1' ]);
is(($receiver->post('/open', '[7]'))[0], 200, 'settings of the role that would do harm are overruled');
$node->safe_psql('postgres', 'REVOKE INSERT (body) ON flagsmith.inbox FROM receiver');
is(($receiver->post('/open', '[8]'))[0], 'closed', 'no right to insert: closed without an answer');
is(($receiver->get('/readyz'))[0], 503, 'and not ready');
$node->safe_psql('postgres', 'GRANT INSERT (body) ON flagsmith.inbox TO receiver');
is(($receiver->post('/open', '[8]'))[0], 200, 'until it is granted again');
is(($receiver->get('/readyz'))[0], 200, 'and ready');

# a server that comes back under a connection is not noticed outside
$node->restart;
is(($receiver->post('/open', '[9]'))[0], 200, 'after a restart');
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receiver'));
is(($receiver->post('/open', '[10]'))[0], 200, 'after its sessions were ended');

# 40001 and what else a COMMIT can say, with as much patience as it has by default
$receiver->stop('the third one');
$receiver = Receiver->start($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE public.trouble (n int);
GRANT ALL ON public.trouble TO PUBLIC;
INSERT INTO public.trouble VALUES (2);
CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	-- a sequence of its own, since what this transaction does is undone
	IF nextval('public.trouble_seq') <= 2 THEN
		RAISE 'no commit this time' USING ERRCODE = '40001';
	END IF;
	RETURN NULL;
END $$;
CREATE SEQUENCE public.trouble_seq;
CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON flagsmith.delivery
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.trouble();
SQL
is(($receiver->post('/open', '[11]'))[0], 200, 'a COMMIT that failed twice is tried again');
is($node->safe_psql('postgres', 'SELECT last_value FROM public.trouble_seq'), 3, 'with three commits');
is( $node->safe_psql('postgres', q(SELECT count(*) FROM flagsmith.delivery WHERE body = '[11]')),
	1,
	'and one row');
$node->safe_psql('postgres', 'DROP TRIGGER trouble ON flagsmith.delivery');

# a request under way is answered before the process ends
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE');
$receiver->stop('the fourth one');
$receiver = Receiver->start($node);
$socket = $receiver->connect;
Receiver::send_bytes($socket, Receiver::request('/open', '[12]'));
sleep 0.1 until $receiver->log_content =~ /database_up/ && $receiver->metric('flagsmith_receiver_held_requests');
$receiver->signal('TERM');
sleep 0.3;
$lock->query_safe('COMMIT');
$lock->quit;
is((Receiver::answer($socket))[0], 200, 'what was held at SIGTERM is answered');
is($receiver->wait_exit, 0, 'then it ends');

# the command line
my ($out, $err);
command_like([ $program, '--help' ], qr/Usage:\n  flagsmith-receiver/, '--help');
command_like([ $program, '--version' ], qr/^flagsmith-receiver \d+\.\d+/, '--version');
foreach my $wrong ([ '--hold', 'x' ], [ '--max-body', '1GB' ], [ '--connections', '0' ],
	['--nonsense'], ['word'], [ '--spool-limit', '-1' ], [ '--log-level', 'loud' ])
{
	ok(!run_log([ $program, @$wrong ]), "refuses @$wrong");
}
ok(!run_log([ $program, '--listen', '127.0.0.1:' . $node->port . '0000' ]), 'refuses a port that is none');

done_testing();
