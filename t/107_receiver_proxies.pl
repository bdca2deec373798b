# Requests as real proxies make them: chunked bodies, slashes and headers added
# on the way, bodies that are too large; and who sent what was refused.
# Regress has no sockets.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Digest::SHA qw(hmac_sha256_hex);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use Receiver;

my $program = Receiver::program();
my $node = Receiver::server('proxies');

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0]; }

sub chunked_head
{
	my ($path, @more) = @_;

	return join '', map { "$_\r\n" } "POST $path HTTP/1.1", 'Host: 127.0.0.1', 'Transfer-Encoding: chunked', @more, '';
}

sub stored
{
	my ($body) = @_;

	return $node->safe_psql('postgres',
		q{SELECT count(*) FROM flagsmith.delivery WHERE digest = sha256('\x} . unpack('H*', $body) . q{'::bytea)});
}

sub resident_kb
{
	my ($receiver) = @_;

	return slurp_file("/proc/$receiver->{pid}/status") =~ /^VmRSS:\s+(\d+) kB/m ? $1 : 0;
}

# Wait for a line of the log.
sub logs
{
	my ($receiver, $pattern, $what) = @_;
	my $deadline = time + 10;

	sleep 0.05 until $receiver->log_content =~ $pattern || time > $deadline;
	like($receiver->log_content, $pattern, $what);
}

# --- bodies in chunks
my $receiver = Receiver->start($node, options => [ '--client-address-header', 'X-Forwarded-For' ]);
my $body = slurp_file("$Receiver::data/captured/005_flag_updated_v1_default_str_prev.json");
my $signature = 'X-Flagsmith-Signature: ' . hmac_sha256_hex($body, 'geheim');

is(($receiver->exchange(chunked_head('/signed', $signature) . chunk($body) . chunk('')))[1],
	"stored\n", 'one chunk');
is(stored($body), 1, 'its bytes are stored');
is( ($receiver->exchange(chunked_head('/signed', $signature)
			  . join('', map { chunk($_) } unpack('(A7)*', $body =~ tr/ /\t/r) ) . chunk('')))[0],
	401, 'what was changed on the way is refused');

# each byte on its own, so that every piece of the framing is cut somewhere
$body = join '', map { chr } 0 .. 255;
my $socket = $receiver->connect;
foreach my $byte (split //, chunked_head('/open') . chunk(substr $body, 0, 100) . chunk(substr $body, 100) . "0\r\nX-Trailer: y\r\n\r\n")
{
	Receiver::send_bytes($socket, $byte);
}
is((Receiver::answer($socket))[0], 200, 'byte by byte');
is(stored($body), 1, 'with every byte stored');

# a million chunks
my $before = resident_kb($receiver);
is(($receiver->exchange(chunked_head('/open') . "1\r\nx\r\n" x 1000000 . "0\r\n\r\n"))[0], 200, 'a million chunks of one byte, in the time that a request has');
is(stored('x' x 1000000), 1, 'and are one body');
cmp_ok(resident_kb($receiver) - $before, '<', 32768, 'memory grew with the body only');

# --- two signatures, slashes
$body = '{"n": 1}';
$signature = 'X-Flagsmith-Signature: ' . hmac_sha256_hex($body, 'geheim') . "\r\n";
my $post = "POST /signed/ HTTP/1.1\r\nHost: x\r\nContent-Length: " . length($body) . "\r\n";
is(($receiver->exchange("$post$signature$signature\r\n$body"))[0], 200, 'two equal signatures and a slash');
is(($receiver->exchange("$post${signature}X-Flagsmith-Signature: 00\r\n\r\n$body"))[0], 400, 'two different ones');
my ($ret, $out, $err) = $node->psql('postgres', q(SELECT flagsmith.add_webhook('shop/')), on_error_die => 0);
isnt($ret, 0, 'a name with a slash at its end is refused');
($ret, $out, $err) = $node->psql('postgres', qq(\\set VERBOSITY verbose\nSELECT flagsmith.add_webhook('shop/')));
like($err, qr/22023: webhook name "shop\/" must not end in a slash/, 'with a reason');
($ret, $out, $err) = $node->psql('postgres', qq(\\set VERBOSITY verbose\nINSERT INTO flagsmith.webhook (name) VALUES ('shop/')));
like($err, qr/23514: .*webhook_name_check/, 'by the table as well');

# --- who sent what was refused
my $forged = Receiver::request('/signed', '{"forged": 1}', secret => 'other');
$forged =~ s/\r\n/\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 203.0.113.7, 198.51.100.1\r\n/;
is(($receiver->exchange($forged))[0], 401, 'a forgery');
logs($receiver, qr/status=401 .*client=127\.0\.0\.1 forwarded="203\.0\.113\.7, 198\.51\.100\.1"$/m,
	'its line has the address, and the last header of the proxy');
my $odd = qq(\r\nX-Forwarded-For: "\\) . "\xff" x 300 . "\t\"198.51.100.1\"\r\n";
$forged = Receiver::request('/signed', '{"forged": 2}', secret => 'other');
$forged =~ s/\r\n/$odd/;
is(($receiver->exchange($forged))[0], 401, 'a forgery with odd bytes');
logs($receiver, qr/status=401 .*forwarded="(?:\\xff){85}\\x09\\"198\.51\.100\.1\\""$/m, 'are escaped, and the end of it is kept');
is(scalar(grep { length > 1024 } split /\n/, $receiver->log_content), 0, 'and no line is long');
my $two_signatures = "X-Flagsmith-Signature: 00\r\nX-Flagsmith-Signature: 01\r\n";
foreach my $case (
	[ 404, "POST /nobody HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: case1\r\nContent-Length: 0\r\n\r\n" ],
	[ 413, "POST /open HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: case2\r\nContent-Length: 9999999999\r\n\r\n" ],
	[ 400, "POST /open HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: case3\r\nContent-Length: 1\r\n$two_signatures\r\nx" ],
	[ 405, "PUT /open HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: case4\r\nContent-Length: 0\r\n\r\n" ],
	[ 411, "POST /open HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: case5\r\n\r\n" ])
{
	my ($status, $bytes) = @$case;
	my ($name) = $bytes =~ /(case\d)/;

	is(($receiver->exchange($bytes))[0], $status, "$name: $status");
	logs($receiver, qr/status=$status .*client=127\.0\.0\.1 forwarded="$name"$/m, "$name: has a line");
}

# what libmicrohttpd refuses by itself, in one version or the other; 1.0.10 calls a length of more than 64 bits malformed
foreach my $case (
	[ 400, "POST /r1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n" ],
	[ 400, "POST /r1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nHost: y\r\n\r\nx" ],
	[ 400, "POST /r2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n" ],
	[ '4(?:13|00)', "POST /r3 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n" ],
	[ 400, "POST /r4 HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n" ],
	[ 400, chunked_head('/open') . "g\r\n" ])
{
	my ($status, $bytes) = @$case;
	my $before = () = $receiver->log_content =~ /status=$status .*client=127\.0\.0\.1$/mg;

	like(($receiver->exchange($bytes))[0], qr/^$status$/, "refused by the library: $status");
	logs($receiver, qr/(?:status=$status .*client=127\.0\.0\.1$(?s:.*)){@{[$before + 1]}}/m, 'has a line as well');
}

# a wrong length, in pieces, among heads that are not complete
my @open = map { $receiver->connect } 1 .. 20;
Receiver::send_bytes($_, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n") foreach @open;
Receiver::send_bytes($open[3], "Content-Length: 1\r\n");
$socket = $open[7];
Receiver::send_bytes($socket, "X-A: b\r\n");
my $half = $receiver->connect;
Receiver::send_bytes($half, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1e4\r\nX-A: b\r\nX-B: c\r\n");
my $wrong = $receiver->connect;
Receiver::send_bytes($wrong, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n");
Receiver::send_bytes($_, "X-C: d\r\n") foreach @open;
Receiver::send_bytes($wrong, "\r\n");
my ($status, $text) = Receiver::answer($wrong);
is($status, 400, 'a wrong length in pieces');
unlike($text . Receiver::rest($wrong), qr/HTTP\/1\.\d \d/, 'has one status line');
Receiver::send_bytes($socket, "\r\nx");
is((Receiver::answer($socket))[0], 200, 'and the others live');
like((Receiver::answer($half))[0], qr/^(?:400|408)$/, 'a half head that is as wrong has its answer');
is(Receiver::rest($half), '', 'and its end');
close $_ foreach @open;
$receiver->stop('the first one');

# --- too large
$receiver = Receiver->start($node, options => [ '--max-body', '100kB', '--request-timeout', 5, '--max-memory', '1MB' ]);

sub refused_is
{
	my ($bytes, $wanted, $what) = @_;
	my $socket = $receiver->connect;

	ok(Receiver::send_bytes($socket, $bytes), "$what: is read to the end");
	my ($status, $text, $head) = Receiver::answer($socket);
	is($status, $wanted, "$what: $wanted");
	like($head, qr/^Connection: close\r$/m, "$what: and closed");
	is(Receiver::rest($socket), '', "$what: with nothing more");
	return $text;
}

my $large = 'x' x (20 * 1024 * 1024);
is(refused_is("POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: " . length($large) . "\r\n\r\n$large", 413, '20 MB'),
	"too_large\n", 'as a word');
refused_is("POST /nobody/x/y HTTP/1.1\r\nHost: x\r\n${two_signatures}Content-Length: " . length($large) . "\r\n\r\n$large", 400, '20 MB, malformed');
refused_is("PUT /open HTTP/1.1\r\nHost: x\r\nContent-Length: " . length($large) . "\r\n\r\n$large", 405, '20 MB with PUT');
refused_is(chunked_head('/open') . chunk($large) . chunk(''), 413, '20 MB in a chunk');
refused_is(chunked_head('/open') . chunk('y' x 1000) x 5000 . chunk(''), 413, '5 MB in chunks');
refused_is(chunked_head('/open') . chunk('z' x 102401) . chunk(''), 413, 'one byte too many');
is(($receiver->exchange(chunked_head('/open') . chunk('z' x 102400) . chunk('')))[0], 200, 'as large as allowed');
is($receiver->metric('flagsmith_receiver_answers_total{status="413",outcome="too_large"}'), 4, 'they are counted');
is( $node->safe_psql('postgres', q(SELECT count(*) FROM flagsmith.delivery WHERE body LIKE 'yyy%' OR body LIKE 'xxx%' AND length(body) > 1000000)),
	0,
	'and not stored');

# one that never ends is not read for ever, and one that trickles has its time
my $endless = $receiver->connect;
my $slow = $receiver->connect;
my $begin = time;
Receiver::send_bytes($slow, chunked_head('/open'));
Receiver::send_bytes($endless, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n");
is((Receiver::answer($endless))[0], 413, 'a huge length is answered before the body came');
my $slow_until;
while (time - $begin < 20)
{
	# where it was ended, it is not written to, lest a reset hides the answer
	if (!$slow_until && IO::Select->new($slow)->can_read(0))
	{
		$slow_until = time - $begin;
	}
	elsif (!$slow_until)
	{
		Receiver::send_bytes($slow, chunk('s'));
	}
	last unless Receiver::send_bytes($endless, 'x');
	sleep 0.05;
}
cmp_ok(time - $begin, '<', 15, 'but not read for ever');
is((Receiver::answer($slow))[0], 408, 'chunks that trickle have no longer than a request may');
cmp_ok($slow_until, '<', 10, 'and that is the whole request');
logs($receiver, qr/event=delivery client=127\.0\.0\.1 status=408 outcome=timeout$/m, 'of which there is a line');

# nothing is set aside for what a chunk announces
@open = map { $receiver->connect } 1 .. 200;
Receiver::send_bytes($_, chunked_head('/open') . "19000\r\nx") foreach @open;
is(($receiver->post('/open', '[1]'))[0], 200, 'a good one beside 200 announced chunks');
Receiver::send_bytes($_, 'y' x 9 ) foreach @open;
my $closed = grep { IO::Select->new($_)->can_read(0) } @open;
is($closed, 0, 'which all live');
close $_ foreach @open;
unlike($receiver->log_content, qr/forwarded=/, 'no header is logged unless it was asked for');
$receiver->stop('the second one');

# --- a flood of refusals is counted, not written
$receiver = Receiver->start($node, options => [ '--log-level', 'info', '--prefix', 'hooks' ]);
$begin = time;
for (1 .. 10)
{
	my $socket = $receiver->connect;

	Receiver::send_bytes($socket, "POST /flood HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" x 50);
	Receiver::answer($socket) for 1 .. 50;
}
my $took = time - $begin;
$receiver->stop('the third one');
my $log = $receiver->log_content;
my $lines = () = $log =~ /event=delivery/g;
my $unwritten = 0;
$unwritten += $1 while $log =~ /event=lines_suppressed count=(\d+)/g;
is($lines + $unwritten, 500, 'each is written or counted');
cmp_ok($lines, '>=', 100, 'the first hundred are written');
cmp_ok($lines, '<=', 101 + 5 * $took, 'then five a second');

foreach my $wrong ('X-Flagsmith-Signature', 'authorization', 'Cookie', 'X Forwarded', '')
{
	ok(!run_log([ $program, '--client-address-header', $wrong ]), "--client-address-header refuses \"$wrong\"");
}

done_testing();
