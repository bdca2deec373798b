# When flagsmith-receiver may say that it is ready: after an INSERT, or a look
# at its rights, never after a mere connect; and what it says of an outage.
# Regress has no HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use Receiver;

my $program = Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = Receiver::server('ready');
my $number = 0;

sub body { return sprintf '{"n": %d}', ++$number; }

sub spool_dir
{
	my ($name) = @_;

	mkdir "$tmp/$name" or die "$tmp/$name: $!";
	return "$tmp/$name";
}

# Wait for a status of /readyz.
sub becomes
{
	my ($receiver, $wanted, $what) = @_;
	my $status;

	for (1 .. 600)
	{
		$status = ($receiver->get('/readyz'))[0];
		last if $status eq $wanted;
		sleep 0.05;
	}
	is($status, $wanted, $what);
}

# The lines about the database that somebody reads who does not debug.
sub said
{
	my ($receiver) = @_;

	return grep { /event=database_/ && !/level=debug/ } split /\n/, $receiver->log_content;
}

# --- everybody can connect, and nobody insert
my $receiver = Receiver->start($node, options => [ '--hold', '0.3' ]);
becomes($receiver, 200, 'ready with a database');
is(($receiver->post('/open', body()))[0], 200, 'and rightly so');
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE');
is(($receiver->post('/open', body()))[0], 'closed', 'lock: no delivery is taken');
my %looks;
for (1 .. 8)
{
	$looks{ ($receiver->get('/readyz'))[0] }++ for 1 .. 10;
	is(($receiver->post('/open', body()))[0], 'closed', 'lock: nor another');
	# refused before it comes to the table, so it says nothing about that
	is(($receiver->post('/nobody', body()))[0], 404, 'lock: a wrong path is told as ever');
}
is_deeply(\%looks, { 503 => 80 }, 'lock: not ready at any moment, although it can connect');
is($receiver->metric('flagsmith_receiver_database_up'), 0, 'lock: the metrics agree');
is($receiver->metric('flagsmith_receiver_ready'), 0, 'lock: all of them');
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.delivery_repeat');
$lock->query_safe('COMMIT');
becomes($receiver, 200, 'lock: ready again when it is gone, without a request');
$lock->query_safe('BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE');
is(($receiver->post('/open', body()))[0], 'closed', 'lock: once more');
$lock->query_safe('COMMIT');
# somebody who tries wrong paths all the time keeps the workers busy
my %refused;
my $patience = time + $PostgreSQL::Test::Utils::timeout_default;
do
{
	$refused{ ($receiver->post('/nobody', body()))[0] }++;
} until (($receiver->get('/readyz'))[0] eq '200' || time > $patience);
is_deeply([ keys %refused ], [404], 'lock: a wrong path is told as ever, however often');
is(($receiver->get('/readyz'))[0], 200, 'lock: ready again, whatever is refused meanwhile');
is($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.delivery_repeat'), $before,
	'lock: finding that out left nothing behind');
is(($receiver->post('/open', body()))[0], 200, 'lock: and it is true');
is(scalar(grep { /database_down/ } said($receiver)), 2, 'lock: one line when it began');
is(scalar(grep { /database_up/ } said($receiver)), 3, 'lock: one line when it ended, as at the start');
$receiver->stop;

# --- the same with a spool: who comes later is not held as long as the first
$receiver = Receiver->start($node, options => [ '--hold', '2', '--spool', spool_dir('spool_lock') ]);
is(($receiver->post('/open', body()))[0], 200, 'lock, spool: stored');
$lock->query_safe('BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE');
my @bodies = map { body() } 1 .. 6;
is(($receiver->post('/open', $bodies[0]))[0], 200, 'lock, spool: spooled after the hold');
is(($receiver->post('/open', $bodies[1]))[0], 200, 'lock, spool: the next one too');
foreach my $body (@bodies[ 2 .. 5 ])
{
	my $begin = time;

	is(($receiver->post('/open', $body))[0], 200, 'lock, spool: spooled');
	cmp_ok(time - $begin, '<', 1.9, 'lock, spool: at once');
}
is(($receiver->get('/readyz'))[0], 200, 'lock, spool: ready, since the spool takes it');
$lock->query_safe('COMMIT');
$lock->quit;
ok( Receiver::wait_for(
		$node,
		"SELECT count(*) = 6 FROM flagsmith.delivery WHERE convert_from(body, 'UTF8') IN ("
		  . join(',', map { "'$_'" } @bodies) . ')'),
	'lock, spool: all are in the database afterwards');
$receiver->stop;

# --- a receiver that may not insert says so, once, and is not ready
sub check
{
	my ($options, %env) = @_;
	my ($out, $err) = ('', '');

	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => 'receiver',
		PGDATABASE => 'postgres', %env);
	delete local $ENV{PGSERVICE};
	my $ok = IPC::Run::run([ $program, '--check', @{ $options // [] } ], '>', \$out, '2>', \$err);

	return ($ok ? 0 : $? >> 8, $out, $err);
}

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE stranger LOGIN;
CREATE DATABASE empty;
SQL
foreach my $case (
	[ 'no grant', [ '--dbname', 'user=stranger' ], qr/permission denied for schema flagsmith/, 'check' ],
	[ 'no such role', [ '--dbname', 'user=nobody_at_all' ], qr/role .*nobody_at_all.* does not exist/, 'connect' ],
	[ 'no extension', [ '--dbname', 'dbname=empty' ], qr/relation .*flagsmith\.inbox.* does not exist/, 'check' ],
	[ 'read only', [], qr/read-only transaction/, undef ],
	[ 'not one column', [], qr/permission denied for view inbox/, 'check' ])
{
	my ($what, $options, $cause, $during) = @$case;
	my ($code, $out, $err);

	if ($what eq 'read only')
	{
		# what a role's default is does not matter
		$node->safe_psql('postgres', 'ALTER ROLE receiver SET default_transaction_read_only = on');
		is((check())[0], 0, "$what: overruled");
		$node->safe_psql('postgres', 'ALTER ROLE receiver RESET default_transaction_read_only');
		next;
	}
	$node->safe_psql('postgres', 'REVOKE INSERT (signature) ON flagsmith.inbox FROM receiver')
	  if $what eq 'not one column';
	($code, $out, $err) = check($options);
	is($code, 1, "$what: --check fails");
	like($err, $cause, "$what: and says why");
	is($out, '', "$what: and nothing else");

	(my $dir = "spool_$what") =~ tr/ /_/;
	$receiver = Receiver->start($node,
		options => [ '--hold', '0.2', '--spool', spool_dir($dir), @$options ]);
	for (1 .. 600)
	{
		last if said($receiver);
		sleep 0.05;
	}
	my $line = (said($receiver))[0];
	like($line // '', qr/level=error event=database_down during=$during cause=/, "$what: the log says at what it failed");
	like($line // '', $cause, "$what: and why");
	is(($receiver->get('/readyz'))[0], 503, "$what: not ready, in spite of the spool");
	is(($receiver->post('/open', body()))[0], 200, "$what: what comes all the same is spooled");
	is(($receiver->get('/readyz'))[0], 503, "$what: still not ready");
	is(scalar(said($receiver)), 1, "$what: and it says so once");
	if ($what eq 'not one column')
	{
		$node->safe_psql('postgres', 'GRANT INSERT (signature) ON flagsmith.inbox TO receiver');
		becomes($receiver, 200, "$what: ready once it is granted");
	}
	$receiver->stop($what);
}
my ($code, $out, $err) = check();
is($code, 0, '--check succeeds');
like($out, qr/^flagsmith-receiver: role "receiver" can insert into flagsmith\.inbox of database "postgres"$/,
	'and says what it found');
is($err, '', 'without a complaint');
($code, $out, $err) = check([ '--spool', "$tmp/none" ]);
is($code, 1, '--check looks at the spool');
like($err, qr/cannot use the spool ".*none": No such file or directory/, 'and says what is wrong with it');
($code, $out, $err) = check([ '--dbname', 'port=1' ]);
is($code, 1, '--check without a server fails');
like($err, qr/could not connect to the database: /, 'and says so');

# --- an outage is two lines, however many requests and connections meet it
$receiver = Receiver->start($node, options => [ '--hold', '0.5', '--connections', 8 ]);
becomes($receiver, 200, 'outage: ready before');
my $lines = scalar(said($receiver));
$node->stop('immediate');
becomes($receiver, 503, 'outage: seen without a request');
foreach (1 .. 4)
{
	is(($receiver->post('/open', body()))[0], 'closed', 'outage: nothing is taken');
}
is(($receiver->get('/readyz'))[0], 503, 'outage: not ready');
$node->start;
becomes($receiver, 200, 'outage: over');
is(($receiver->post('/open', body()))[0], 200, 'outage: and a delivery is stored');
my @said = said($receiver);
splice @said, 0, $lines;
is(scalar(@said), 2, 'outage: two lines') or note(join "\n", @said);
like($said[0], qr/level=warning event=database_down during=\w+ cause=".+"/, 'outage: one when it began');
like($said[1], qr/level=info event=database_up after_ms=\d+ failures=\d+/, 'outage: one when it ended');
$receiver->stop;

# --- neither the database nor the disk takes anything
SKIP:
{
	skip 'no prlimit', 5 if system('prlimit --version >/dev/null 2>&1') != 0;

	my $dir = spool_dir('spool_full');

	$receiver = Receiver->start(
		$node,
		options => [ '--hold', '0.1', '--spool', $dir ],
		limit => 'ulimit -S -f 1',
		# the log must not run into the limit
		log => '/dev/null');
	becomes($receiver, 200, 'full disk: ready while there is a database');
	$node->stop;
	my $large = '{"filler": "' . ('x' x 5000) . '"}';
	is(($receiver->post('/open', $large))[0], 'closed', 'full disk: nothing can be promised');
	is(($receiver->get('/readyz'))[0], 503, 'full disk: not ready');
	system('prlimit', '--pid', $receiver->{pid}, '--fsize=unlimited:') == 0 or die 'prlimit';
	becomes($receiver, 200, 'full disk: ready once there is room, without a request');
	is(($receiver->post('/open', $large))[0], 200, 'full disk: and that is true');
	$receiver->signal('TERM');
	is($receiver->wait_exit, 0, 'full disk: stops cleanly');
	$node->start;
}

done_testing();
