# Requests that are not quite HTTP, and some that only look it.  Regress cannot
# send bytes to a socket.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Socket qw(SHUT_WR);
use Test::More;

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $node = Receiver::server('malformed');
my $receiver = Receiver->start($node, options => [ '--head-timeout', 2, '--request-timeout', 3 ]);

sub bytes
{
	my ($text) = @_;
	my %letter = (r => "\r", n => "\n", t => "\t", '\\' => '\\');

	$text =~ s/\\R\{(\d+),([^}]*)\}/$2 x $1/ge;
	$text =~ s/\\(?:x([0-9a-f]{2})|([rnt\\]))/defined $1 ? chr(hex $1) : $letter{$2}/ge;
	return $text;
}

my $count = 0;

foreach my $line (split /\n/, slurp_file("$Receiver::data/malformed_http.tsv"))
{
	next if $line =~ /^(#|$)/;
	my ($name, $expected, $request) = split /\t/, $line, 3;
	my $socket = $receiver->connect;
	my @wanted = split / /, $expected;
	my @got;
	my $said = '';

	${*$socket}{receiver_head} = $request =~ /^HEAD/;
	Receiver::send_bytes($socket, bytes($request));
	shutdown($socket, SHUT_WR) if $expected =~ /closed/;
	foreach my $wanted (@wanted)
	{
		my ($status, $text) = Receiver::answer($socket, 10);

		$said .= $text;
		# a connection closed over unread bytes may be reset under its answer
		push @got, $status;
		($status) = Receiver::answer($socket, 10) if $status eq '100';
		is($status, 200, "$name: the answer behind 100") if $got[-1] eq '100';

		# on a busy machine the deadline may come before the end of the stream
		$got[-1] = 'closed' if $wanted eq 'closed' && $got[-1] eq '408';
		last if $got[-1] !~ /^(?:$wanted)$/;
	}
	like("@got", qr/^(?:@{[join ' ', map { "(?:$_)" } @wanted]})$/, $name);

	# what was refused is refused once; no second head hides behind the first
	if ($got[-1] =~ /^[45]/)
	{
		shutdown($socket, SHUT_WR);
		$said .= Receiver::rest($socket, 10);
		unlike($said, qr/HTTP\/1\.\d \d/, "$name: one status line");
	}
	$count++;
}
cmp_ok($count, '>=', 200, 'there are at least 200 of them');

is($node->safe_psql('postgres', q(SELECT count(*) FROM flagsmith.delivery WHERE webhook <> 'open')),
	0, 'nothing went in through another webhook');
is($node->safe_psql('postgres', q(SELECT count(*) FROM flagsmith.delivery WHERE body LIKE 'unfin%')),
	0, 'nothing unfinished was stored');
is(($receiver->post('/open', '{"good": true}'))[0], 200, 'the receiver lives');
unlike($receiver->log_content, qr/aaaaaaaaaa|garbage/, 'no header and no body is in the log');
$receiver->stop;

done_testing();
