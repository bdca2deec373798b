# Nothing that was answered 200 may be missing, or there twice: a receiver
# killed at the worst moments, a database that goes away under load, a full
# disk, a torn spool.  Regress has neither processes nor HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = Receiver::server('crash');
my $number = 0;

# A body of our own, and a fresh one each time.
sub body
{
	my ($size) = @_;

	return sprintf('{"n": %d, "filler": "%s"}', ++$number, 'x' x ($size // 0));
}

sub stored
{
	my ($body) = @_;

	return $node->safe_psql('postgres',
		qq(SELECT count(*) FROM flagsmith.delivery WHERE body = convert_to('$body', 'UTF8')));
}

sub spool_dir
{
	my ($name) = @_;

	mkdir "$tmp/$name" or die "$tmp/$name: $!";
	return "$tmp/$name";
}

sub wait_empty
{
	my ($receiver, $what) = @_;

	for (1 .. 300)
	{
		last if ($receiver->metric('flagsmith_receiver_spool_records') // 1) == 0;
		sleep 0.1;
	}
	is($receiver->metric('flagsmith_receiver_spool_records'), 0, "$what: the spool is empty");
}

# --- killed before the INSERT, and after the COMMIT
foreach my $point ('before_insert', 'after_commit')
{
	my $body = body();
	my $receiver = Receiver->start($node, env => { RECEIVER_FAULT => $point });

	is(($receiver->post('/open', $body))[0], 'closed', "$point: no answer");
	$receiver->wait_exit;
	is(stored($body), $point eq 'after_commit' ? 1 : 0, "$point: as was to be expected");

	# The sender tries again: with the same bytes, and a later arrival.
	$body = '{"data": {"timestamp": "2026-01-01T00:00:00.000000Z"}, "event_type": "X' . $point . '"}';
	$receiver = Receiver->start($node, env => { RECEIVER_FAULT => $point });
	$receiver->post('/open', $body);
	$receiver->wait_exit;
	$receiver = Receiver->start($node);
	is(($receiver->post('/open', $body))[0], 200, "$point: the second attempt is answered");
	is(stored($body), 1, "$point: and stored once");
	$receiver->stop("$point: the receiver");
}

# --- killed after the fsync of the spool, before the answer
my $spool = spool_dir('spool_kill');
$node->stop;
my $receiver = Receiver->start(
	$node,
	options => [ '--spool', $spool, '--hold', '0.2' ],
	env => { RECEIVER_FAULT => 'after_spool_fsync' });
my $killed = body();
my $before = time;
is(($receiver->post('/open', $killed))[0], 'closed', 'after_spool_fsync: no answer');
my $after = time;
$receiver->wait_exit;
sleep 1;
$node->start;
$receiver = Receiver->start($node, options => [ '--spool', $spool ]);
wait_empty($receiver, 'after_spool_fsync');
is(stored($killed), 1, 'after_spool_fsync: stored once all the same');
is( $node->safe_psql(
		'postgres',
		qq(SELECT extract(epoch FROM received_at) BETWEEN $before AND $after FROM flagsmith.delivery
		   WHERE body = convert_to('$killed', 'UTF8'))),
	't',
	'after_spool_fsync: with its time of arrival');
$receiver->stop;

# --- a second receiver keeps its hands off a spool in use
$receiver = Receiver->start($node, options => [ '--spool', $spool ]);
my $second = Receiver->start($node, options => [ '--spool', $spool ], may_fail => 1);
ok(!$second->{pid}, 'one spool, one receiver');
like($second->log_content, qr/another receiver uses it/, 'it says why');
$receiver->stop;

# --- the database stops under load and starts again, without and with a spool
foreach my $with_spool (0, 1)
{
	my $what = $with_spool ? 'load with a spool' : 'load without a spool';
	my @options = ('--hold', $with_spool ? '0.5' : '3');

	push @options, '--spool', spool_dir('spool_load') if $with_spool;
	$receiver = Receiver->start($node, options => \@options);

	# Each connection sends one request after the other until the time is up.
	my %client;
	my %sent;
	my $select = IO::Select->new;
	my $end = time + 5;
	my @events = ([ time + 0.7, 'stop' ], [ time + 2.4, 'start' ], [ time + 3.6, 'restart' ]);
	my $next = sub {
		my $socket = $receiver->connect;
		my $body = body(int(rand(3000)));

		$client{$socket} = { socket => $socket, body => $body, at => time };
		Receiver::send_bytes($socket, Receiver::request('/open', $body, close => 1));
		$select->add($socket);
	};
	$next->() for 1 .. 16;
	while (%client)
	{
		if (@events && time >= $events[0][0])
		{
			my $mode = (shift @events)->[1];

			$mode eq 'stop' ? $node->stop('immediate') : $mode eq 'start' ? $node->start : $node->restart;
		}
		foreach my $socket ($select->can_read(0.05))
		{
			my $client = delete $client{$socket};
			my ($status) = Receiver::answer($socket, 5);

			$select->remove($socket);
			close $socket;
			push @{ $sent{$status} }, [ $client->{body}, $client->{at}, time ];
			$next->() if time < $end;
		}
	}

	wait_empty($receiver, $what) if $with_spool;
	my %count = map { $_ => scalar @{ $sent{$_} } } keys %sent;
	note(explain(\%count));
	my $answered = $count{200} // 0;
	cmp_ok($answered, '>=', 100, "$what: requests were answered");
	is($count{closed} // 0, 0, "$what: every one of them") if $with_spool;
	is_deeply([ grep { !/^(200|closed)$/ } keys %count ], [], "$what: nothing but 200, or no answer");

	my $values = join ",\n", map { sprintf "('%s', %f, %f)", @$_ } @{ $sent{200} };
	my $script = "$tmp/answered_$with_spool.sql";
	append_to_file($script, <<"SQL");
WITH answered (body, sent, answered) AS (VALUES $values),
	sent AS MATERIALIZED (SELECT sha256(convert_to(body, 'UTF8')) AS digest, sent, answered FROM answered),
	stored AS MATERIALIZED (SELECT digest, count(*) AS n, min(received_at) AS at FROM flagsmith.delivery GROUP BY 1)
SELECT count(*), count(*) FILTER (WHERE n = 1),
	count(*) FILTER (WHERE extract(epoch FROM at) BETWEEN sent - 0.001 AND answered + 0.001)
FROM sent LEFT JOIN stored USING (digest);
SQL
	$node->command_like(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script ],
		qr/^$answered\|$answered\|$answered$/,
		"$what: what was answered 200 is there once, with its time of arrival");
	if ($with_spool)
	{
		cmp_ok($receiver->metric('flagsmith_receiver_spool_written_total'), '>', 0, "$what: the spool was used");
	}
	$receiver->stop($what);
}

# --- the spool at its limit, and a file that may not grow
foreach my $case ([ 'limit', [ '--spool-limit', '20kB' ], undef ],
	[ 'disk', [], 'ulimit -f 40' ])
{
	my ($name, $options, $limit) = @$case;
	my $dir = spool_dir("spool_$name");
	my @kept;
	my @not_kept;

	$node->stop;
	$receiver = Receiver->start(
		$node,
		options => [ '--spool', $dir, '--hold', '0.1', @$options ],
		limit => $limit,
		# the log must not run into the limit of the disk
		log => "/dev/null");
	foreach my $i (1 .. 12)
	{
		my $body = body(4000);
		my ($status) = $receiver->post('/open', $body);

		push @{ $status eq '200' ? \@kept : \@not_kept }, $body;
	}
	cmp_ok(scalar @kept, '>=', 3, "spool $name: some fit in");
	# the limit of the disk is one for each file, and a new one is begun
	cmp_ok(scalar @not_kept, '>=', 1, "spool $name: some do not, and are not answered");
	is(($receiver->get('/readyz'))[0], 503, "spool $name: not ready") if $name eq 'limit';
	$node->start;
	wait_empty($receiver, "spool $name");
	is(join(',', map { stored($_) } @kept), join(',', (1) x @kept), "spool $name: what fitted in is there");
	is(join(',', map { stored($_) } @not_kept), join(',', (0) x @not_kept), "spool $name: and nothing else");
	is(($receiver->post('/open', body(4000)))[0], 200, "spool $name: then all is well again");
	$receiver->signal('TERM');
	is($receiver->wait_exit, 0, "spool $name: stops cleanly");
}

# --- torn and damaged records
sub spool_some
{
	my ($dir, $count) = @_;
	my @bodies = map { body(100) } 1 .. $count;

	$node->stop;
	my $receiver = Receiver->start($node, options => [ '--spool', $dir, '--hold', '0.1' ]);
	foreach my $body (@bodies)
	{
		is(($receiver->post('/signed', $body, secret => 'geheim'))[0], 200, 'spooled');
	}
	$receiver->kill9;
	$node->start;
	return @bodies;
}

sub segments
{
	my @segments = sort glob "$_[0]/*.spool";

	return @segments;
}

my $torn = spool_dir('spool_torn');
my @bodies = spool_some($torn, 5);
my ($segment) = segments($torn);
truncate($segment, (-s $segment) - 7) or die "truncate: $!";
$receiver = Receiver->start($node, options => [ '--spool', $torn ]);
wait_empty($receiver, 'torn');
is(join(',', map { stored($_) } @bodies), '1,1,1,1,0', 'torn: all but the torn record');
is($receiver->metric('flagsmith_receiver_spool_unreadable_total{result="torn"}'), 1, 'torn: counted');
is_deeply([ segments($torn) ], [], 'torn: the file is done with');
is(scalar(@{ [ glob "$torn/*.damaged" ] }), 1, 'torn: and kept, since nobody can tell damage from a torn end');
is(($receiver->post('/open', body()))[0], 200, 'torn: and life goes on');
$receiver->stop;

my $damaged = spool_dir('spool_damaged');
@bodies = spool_some($damaged, 5);
($segment) = segments($damaged);
open(my $fh, '+<', $segment) or die "$segment: $!";
binmode $fh;
seek($fh, int((-s $segment) * 0.5), 0);
print $fh "\xff";
close $fh;
$receiver = Receiver->start($node, options => [ '--spool', $damaged ]);
wait_empty($receiver, 'damaged');
is(join(',', map { stored($_) } @bodies), '1,1,0,1,1', 'damaged: all but the damaged record');
is($receiver->metric('flagsmith_receiver_spool_unreadable_total{result="damaged"}'), 1, 'damaged: counted');
my @kept = glob "$damaged/*.damaged";
is(scalar @kept, 1, 'damaged: the file is kept');
$receiver->stop;

# --- what the database will not have does not hold up the rest
my $poison = spool_dir('spool_poison');
@bodies = spool_some($poison, 3);
$node->safe_psql('postgres', <<SQL);
CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	IF NEW.body = convert_to('$bodies[1]', 'UTF8') THEN
		RAISE 'not this one' USING ERRCODE = 'XX001';
	END IF;
	RETURN NEW;
END \$\$;
CREATE TRIGGER poison BEFORE INSERT ON flagsmith.delivery FOR EACH ROW EXECUTE FUNCTION public.poison();
SQL
$receiver = Receiver->start($node, options => [ '--spool', $poison ]);
wait_empty($receiver, 'poison');
is(join(',', map { stored($_) } @bodies), '1,0,1', 'poison: the others are in');
is($receiver->metric('flagsmith_receiver_spool_kept_records'), 1, 'poison: it is kept');
is($receiver->metric('flagsmith_receiver_spool_refused_total{result="error"}'), 1, 'poison: and counted');
is(scalar(@{ [ glob "$poison/*.kept" ] }), 1, 'poison: in a file of its own');
$node->safe_psql('postgres', 'DROP TRIGGER poison ON flagsmith.delivery');
$receiver->signal('HUP');
ok(Receiver::wait_for($node, qq(SELECT count(*) = 1 FROM flagsmith.delivery WHERE body = convert_to('$bodies[1]', 'UTF8'))),
	'poison: and goes in when the database takes it');
$receiver->stop;

done_testing();
