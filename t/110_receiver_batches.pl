# What waits together goes into the database together, and none of a batch is
# lost, refused or stored twice for what another one is.  Regress has no HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $node = Receiver::server('batches');
my $committed = 'flagsmith_receiver_database_batches_total{result="committed"}';
my $undone = 'flagsmith_receiver_database_batches_total{result="undone"}';
my $number = 0;

# An event of its own; no two receivers' clocks have a part in its key.
sub body
{
	return sprintf('{"data": {"timestamp": "2026-01-01T00:00:%02d.%06dZ"}, "event_type": "X%d"}',
		$number % 60, $number, $number++);
}

# Send all of these while nothing gets into the table, then let go; returns
# what each was answered, as "status word".  Those whose place is in %gone
# leave before that, and are answered "gone".
my %gone;

sub send_together
{
	my ($receiver, @requests) = @_;
	my $lock = $node->background_psql('postgres');
	my $before = $receiver->metric('flagsmith_receiver_held_requests');
	my @sockets;

	$lock->query_safe('BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE');
	foreach my $request (@requests)
	{
		my $socket = $receiver->connect;

		Receiver::send_bytes($socket, $request);
		push @sockets, $socket;
		# the first of them is under way when the others come
		next if @sockets > 1;
		Receiver::wait_for($node,
			q(SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'receiver' AND wait_event_type = 'Lock'));
	}
	for (1 .. 600)
	{
		last if $receiver->metric('flagsmith_receiver_held_requests') >= $before + @requests;
		sleep 0.05;
	}
	close $sockets[$_] foreach keys %gone;
	$lock->query_safe('COMMIT');
	$lock->quit;
	return map {
		my ($status, $answer) = $gone{$_} ? ('gone', '') : Receiver::answer($sockets[$_]);
		"$status " . ($answer =~ /^(\w*)/)[0];
	} 0 .. $#sockets;
}

sub rows
{
	my ($bodies) = @_;

	return $node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT body) FROM flagsmith.delivery WHERE body IN ('
		. join(', ', map { "convert_to('$_', 'UTF8')" } @$bodies) . ')');
}

# --- a batch in one transaction
my $receiver = Receiver->start($node, options => [ '--connections', 1, '--hold', 60 ]);
my @bodies = map { body() } 1 .. 12;
my @answers = send_together($receiver, map { Receiver::request('/open', $_) } @bodies);
is_deeply(\@answers, [ ('200 stored') x 12 ], 'all are stored');
is(rows(\@bodies), '12|12', 'each once');
is($receiver->metric($committed), 1, 'those that waited together, in one transaction');
is($receiver->metric($undone), 0, 'which was not undone');
is( $node->safe_psql('postgres',
		'SELECT count(DISTINCT xmin::text) FROM flagsmith.delivery WHERE body IN ('
		  . join(', ', map { "convert_to('$_', 'UTF8')" } @bodies) . ')'),
	2,
	'by their transaction ids as well');

# --- what is refused without an error undoes nothing
@bodies = map { body() } 1 .. 6;
@answers = send_together($receiver,
	(map { Receiver::request('/open', $_) } @bodies[ 0 .. 2 ]),
	Receiver::request('/signed', body(), secret => 'wrong'),
	Receiver::request('/open', $bodies[1]),
	Receiver::request('/open', 'no JSON'),
	map { Receiver::request('/open', $_) } @bodies[ 3 .. 5 ]);
is_deeply(
	\@answers,
	[ ('200 stored') x 3, '401 rejected', '200 duplicate', '200 undecoded', ('200 stored') x 3 ],
	'a forged, a repeated and a malformed one have answers of their own')
  or diag(explain(\@answers));
is(rows(\@bodies), '6|6', 'and those beside them are there once');
is($receiver->metric($undone), 0, 'nothing was undone for them');

# --- bodies of all lengths keep their places beside signatures that some lack
@bodies = map { $_ ? '[' . join(',', (7) x $_) . ']' : '' } 0 .. 40;
@answers = send_together($receiver, map { $_ % 2 ? Receiver::request('/open', $bodies[$_]) : Receiver::request('/signed', $bodies[$_], secret => 'geheim') } 0 .. 40);
is_deeply(\@answers, [ ('200 undecoded') x 41 ], 'forty and one of them are taken')
  or diag(explain(\@answers));
is(rows(\@bodies), '41|41', 'each once');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FILTER (WHERE webhook = 'open' AND signature IS NULL), count(*) FILTER (WHERE webhook = 'signed' AND flagsmith.verify_signature(body, signature, 'geheim'))}
		  . q{ FROM flagsmith.delivery WHERE digest = sha256(body) AND (body = '' OR body LIKE '[7%')}),
	'20|21', 'with its own webhook and signature');
my $before_gone = $receiver->metric($committed);
@bodies = map { body() } 1 .. 8;
%gone = map { $_ => 1 } 0, 1, 5;
@answers = send_together($receiver, map { Receiver::request('/open', $_) } @bodies);
%gone = ();
is_deeply(\@answers, [ ('gone ') x 2, ('200 stored') x 3, 'gone ', ('200 stored') x 2 ],
	'where the first of a batch went away, those behind it have their answers');
is(rows(\@bodies), '8|8', 'and all are there');
is($receiver->metric($committed), $before_gone + 1, 'out of one batch');
is($receiver->metric('flagsmith_receiver_held_requests'), 0, 'nothing is held any more');

# --- an error undoes all, and each then has what it would have had alone
@bodies = map { body() } 1 .. 8;
@answers = send_together($receiver,
	(map { Receiver::request('/open', $_) } @bodies[ 0 .. 3 ]),
	Receiver::request('/nowhere', body()),
	Receiver::request('/off', body(), secret => 'geheim'),
	map { Receiver::request('/open', $_) } @bodies[ 4 .. 7 ]);
is_deeply(\@answers, [ ('200 stored') x 4, ('404 no_webhook') x 2, ('200 stored') x 4 ], 'two without a webhook')
  or diag(explain(\@answers));
is(rows(\@bodies), '8|8', 'the others are there once');
is($receiver->metric($undone), 1, 'their transaction was undone');

# --- a COMMIT that fails undoes all as well
$node->safe_psql('postgres', <<'SQL');
CREATE SEQUENCE public.trouble_seq;
GRANT USAGE ON SEQUENCE public.trouble_seq TO PUBLIC;
CREATE FUNCTION public.trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type = 'XFAIL' AND nextval('public.trouble_seq') < 2 THEN RAISE 'not now'; END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON flagsmith.delivery DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION public.trouble();
SQL
# the batch behind an undone one goes one by one
send_together($receiver, map { Receiver::request('/open', body()) } 1 .. 4);
my $before = $receiver->metric($undone);
@bodies = ((map { body() } 1 .. 5), '{"data": {"timestamp": "2026-01-01T00:00:00.0Z"}, "event_type": "XFAIL"}');
@answers = send_together($receiver, map { Receiver::request('/open', $_) } @bodies);
is_deeply(\@answers, [ ('200 stored') x 6 ], 'nobody is told of a COMMIT that failed');
is(rows(\@bodies), '6|6', 'all are there once');
is($receiver->metric($undone), $before + 1, 'what failed was undone');
$node->safe_psql('postgres', 'DROP TRIGGER trouble ON flagsmith.delivery');
$receiver->stop('the first receiver');

# --- the same bodies by two webhooks, through several connections: by whichever way round, there is no deadlock
$node->safe_psql('postgres', q(SELECT FROM flagsmith.add_webhook('too', allow_unsigned => true, max_spool_age => NULL)));
$receiver = Receiver->start($node, options => [ '--connections', 3, '--hold', 60 ]);
@bodies = map { body() } 1 .. 24;
@answers = send_together($receiver,
	(map { Receiver::request('/open', $_) } @bodies),
	map { Receiver::request('/too', $_) } reverse @bodies);
is(scalar(grep { $_ eq '200 stored' } @answers), 24, 'each body is stored once');
is(scalar(grep { $_ eq '200 duplicate' } @answers), 24, 'and once a duplicate');
is(rows(\@bodies), '24|24', 'as the table has it');
is($receiver->metric('flagsmith_receiver_database_retries_total'), 0, 'nothing had to be tried again');
is($node->safe_psql('postgres', q(SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres')), 0, 'without a deadlock');
$receiver->stop('the second receiver');

# --- killed behind the COMMIT of a batch: who sends again finds it there
@bodies = map { body() } 1 .. 5;
$receiver = Receiver->start($node, options => [ '--connections', 1, '--hold', 60 ], env => { RECEIVER_FAULT => 'after_commit' });
@answers = send_together($receiver, map { Receiver::request('/open', $_) } @bodies);
is(scalar(grep { $_ eq 'closed ' } @answers), 5, 'nobody is answered');
$receiver->wait_exit;
$receiver = Receiver->start($node);
is(($receiver->post('/open', $_))[0], 200, 'sent again') foreach @bodies;
is(rows(\@bodies), '5|5', 'each is there once');
$receiver->stop('the third receiver');

done_testing();
