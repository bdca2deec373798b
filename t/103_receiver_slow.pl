# 2,000 idle connections, heads and bodies that trickle: a good request in
# between is answered within a second, and the slow ones are ended in time.
# Regress has no sockets.

use strict;
use warnings;

# Many sockets need many descriptors; a child is started with more of them.
BEGIN
{
	exec 'sh', '-c', 'ulimit -n 5000 2>/dev/null; exec "$0" "$@"', $^X, (map { "-I$_" } @INC), $0
	  unless $ENV{RECEIVER_DESCRIPTORS}++;
}

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $node = Receiver::server('slow');

# 2,000 here, as many in the receiver, and some for everything else
my $idle = `sh -c 'ulimit -n'` >= 2500 ? 2000 : 500;

sub good
{
	my ($receiver, $what) = @_;
	my $begin = time;
	my ($status) = $receiver->post('/open', '{"good": ' . $begin . '}', timeout => 5);

	is($status, 200, "$what: a good request is answered");
	cmp_ok(time - $begin, '<', 1, "$what: within a second");
}

# --- idle connections, with room for all of them
my $receiver = Receiver->start($node, options => [ '--head-timeout', 3, '--request-timeout', 4 ]);
my @idle = map { $receiver->connect_quietly // die "connect: $!" } 1 .. $idle;
cmp_ok($receiver->metric('flagsmith_receiver_open_connections'), '>', $idle * 0.9, 'they are open');
good($receiver, "$idle idle connections");

# --- slow heads: one byte now and then
my @heads = map { $receiver->connect } 1 .. 200;
my @bodies = map { $receiver->connect } 1 .. 200;
my $begin = time;
Receiver::send_bytes($_, "POST /open HTTP/1.1\r\nHost: x\r\nX-Slow: ") foreach @heads;
Receiver::send_bytes($_, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n") foreach @bodies;
while (time - $begin < 2)
{
	Receiver::send_bytes($_, 'x') foreach @heads, @bodies;
	good($receiver, 'slow heads and bodies');
	sleep 0.5;
}
while (time - $begin < 4.6)
{
	# those that were ended are not written to, lest a reset hides the answer
	Receiver::send_bytes($_, 'x') foreach (time - $begin < 2.6 ? @heads : ()), (time - $begin < 3.6 ? @bodies : ());
	sleep 0.2;
}
my %answers;
$answers{ (Receiver::answer($_, 3))[0] }++ foreach @heads;
is_deeply(\%answers, { 408 => 200 }, 'slow heads are answered 408, although they never stopped');
%answers = ();
$answers{ (Receiver::answer($_, 3))[0] }++ foreach @bodies;
is_deeply(\%answers, { 408 => 200 }, 'slow bodies as well');
cmp_ok($receiver->metric('flagsmith_receiver_open_connections'), '<', 10, 'the idle ones are gone, too');
is($node->safe_psql('postgres', q(SELECT count(*) FROM flagsmith.delivery WHERE body LIKE '%xxx%')),
	0, 'nothing of them was stored');
good($receiver, 'afterwards');
$receiver->stop;
close $_ foreach @idle, @heads, @bodies;

# --- many more connections than there is room for
$receiver = Receiver->start($node, options => [ '--max-connections', 100, '--max-memory', '1MB' ]);
@idle = map { $receiver->connect_quietly } 1 .. 400;
good($receiver, 'four times too many idle connections');
close $_ foreach @idle;

# --- bodies beyond the memory there is for them
my @large = map { $receiver->connect } 1 .. 6;
foreach my $socket (@large)
{
	Receiver::send_bytes($socket, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" . ('x' x 300000));
}
sleep 0.3;
good($receiver, 'large bodies without end');
my $closed = grep { (Receiver::answer($_, 0.1))[0] eq 'closed' } @large;
cmp_ok($closed, '>=', 2, 'those that do not fit into the memory are closed');
close $_ foreach @large;

# --- a sender that goes away, and one that does not read
my $socket = $receiver->connect;
Receiver::send_bytes($socket, substr(Receiver::request('/open', 'x' x 100), 0, -50));
close $socket;
$socket = $receiver->connect;
Receiver::send_bytes($socket, Receiver::request('/open', '"gone"'));
close $socket;
ok(Receiver::wait_for($node, q(SELECT count(*) = 1 FROM flagsmith.delivery WHERE body = '"gone"')),
	'a request whose sender did not wait is stored');
good($receiver, 'afterwards');
$receiver->stop;

done_testing();
