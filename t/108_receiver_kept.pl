# What the database refuses while the spool is emptied was answered 200 all
# the same: it stays on disk and goes in once somebody has mended the cause.
# Files of the spool that can't be read keep nobody waiting and are not lost.
# Regress has neither processes nor HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = Receiver::server('kept');
my $number = 0;
my $receiver;

sub body
{
	my ($size) = @_;

	return sprintf('{"n": %d, "filler": "%s"}', ++$number, 'x' x ($size // 0));
}

# How many of some bodies are stored, and whether one is there twice.
sub stored
{
	my (@bodies) = @_;
	my $list = join(',', map { "convert_to('$_', 'UTF8')" } @bodies);

	return $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT digest) FROM flagsmith.delivery WHERE body IN ($list)");
}

sub rejected
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.rejected');
}

sub spool_dir
{
	my ($name) = @_;

	mkdir "$tmp/$name" or die "$tmp/$name: $!";
	return "$tmp/$name";
}

sub files
{
	my ($dir, $suffix) = @_;
	my @files = glob "$dir/*.$suffix";

	return scalar @files;
}

sub wait_metric
{
	my ($name, $wanted, $what) = @_;
	my $value;

	for (1 .. 600)
	{
		$value = $receiver->metric("flagsmith_receiver_$name");
		last if defined $value && $value == $wanted;
		sleep 0.05;
	}
	is($value, $wanted, $what);
}

sub start
{
	my ($dir, %args) = @_;

	$receiver = Receiver->start(
		$node, %args,
		options => [ '--spool', $dir, '--hold', '0.1', @{ $args{options} // [] } ]);
}

# Post while the database is away, each [path, body, arguments]; then kill the
# receiver, and have the database back.
sub spool
{
	my ($dir, @posts) = @_;
	my %answers;

	$node->stop;
	start($dir);
	foreach my $post (@posts)
	{
		my ($path, $body, @args) = @$post;

		$answers{ ($receiver->post($path, $body, @args))[0] }++;
	}
	is_deeply(\%answers, { 200 => scalar @posts }, 'all are answered 200');
	$receiver->kill9;
	$node->start;
}

# --- webhooks that are disabled, renamed, or without their secret
my $dir = spool_dir('refused');
my @signed = map { body(200) } 1 .. 100;
my @off = map { body() } 1 .. 3;
my @later = map { body() } 1 .. 2;
my @open = map { body() } 1 .. 5;
my $total = 110;
spool(
	$dir,
	(map { [ '/signed', $_, secret => 'geheim' ] } @signed[ 0 .. 49 ]),
	(map { [ '/off', $_, secret => 'geheim' ] } @off),
	(map { [ '/open', $_ ] } @open),
	(map { [ '/later', $_, secret => 'spät' ] } @later),
	(map { [ '/signed', $_, secret => 'geheim' ] } @signed[ 50 .. 99 ]));
my $arrived = $node->safe_psql('postgres', 'SELECT now()');
$node->safe_psql('postgres',
	q(DELETE FROM flagsmith.webhook_secret WHERE webhook = 'signed'));
start($dir);
wait_metric('spool_records', 0, 'refused: the spool is done with');
wait_metric('spool_kept_records', 105, 'refused: what was refused is kept');
is(stored(@open), '5|5', 'refused: what was not is stored');
is($receiver->metric('flagsmith_receiver_spool_drained_total'), 5, 'refused: and only that is counted as stored');
is($receiver->metric('flagsmith_receiver_spool_refused_total{result="rejected"}'), 100, 'refused: rejected');
is($receiver->metric('flagsmith_receiver_spool_refused_total{result="no_webhook"}'), 5, 'refused: no webhook');
cmp_ok($receiver->metric('flagsmith_receiver_spool_kept_bytes'), '>', 20000, 'refused: its size is told');
is(files($dir, 'spool'), 0, 'refused: the segment is gone');
is(files($dir, 'kept'), 1, 'refused: one file instead');
like(
	$receiver->log_content,
	qr/level=warning event=spool_kept file=\S+\.kept records=105 rejected=100 no_webhook=5 error=0 webhook="signed"$/m,
	'refused: the log tells');
is(($receiver->get('/readyz'))[0], 200, 'refused: ready, for it keeps nobody waiting');

# trials at growing intervals leave nothing in the database
my $rejected = rejected();
my $inserts = $receiver->metric('flagsmith_receiver_database_latency_seconds_count');
for (1 .. 600)
{
	last if $receiver->metric('flagsmith_receiver_database_latency_seconds_count') >= $inserts + 210;
	sleep 0.05;
}
cmp_ok($receiver->metric('flagsmith_receiver_database_latency_seconds_count'),
	'>=', $inserts + 210, 'refused: it is tried again');
is(rejected(), $rejected, 'refused: without being rejected again');

# it survives, and each part goes in when its own cause is mended
$receiver->kill9;
start($dir);
is($receiver->metric('flagsmith_receiver_spool_kept_records'), 105, 'refused: still there after a restart');
$node->safe_psql('postgres', q(SELECT flagsmith.enable_webhook('off')));
wait_metric('spool_kept_records', 102, 'refused: enabled');
is(stored(@off), '3|3', 'refused: and stored');
$node->safe_psql('postgres', q(SELECT FROM flagsmith.add_webhook('later', 'spät')));
$receiver->signal('HUP');
wait_metric('spool_kept_records', 100, 'refused: registered');
is(stored(@later), '2|2', 'refused: and stored');
$node->safe_psql('postgres', q(SELECT FROM flagsmith.add_secret('signed', 'geheim')));
$receiver->signal('HUP');
wait_metric('spool_kept_records', 0, 'refused: the secret is back');
is(stored(@signed), '100|100', 'refused: all 100 are stored');
is($receiver->metric('flagsmith_receiver_spool_drained_total'), 105, 'refused: and counted');
is($receiver->metric('flagsmith_receiver_spool_bytes'), 0, 'refused: nothing is left');
is(files($dir, '*'), 0, 'refused: on disk neither');
is( $node->safe_psql('postgres',
		qq(SELECT count(*) FROM flagsmith.delivery WHERE webhook IN ('signed', 'off', 'later') AND received_at < '$arrived')),
	105,
	'refused: each with its time of arrival');
$node->safe_psql('postgres', q(SELECT flagsmith.disable_webhook('off')));
$receiver->stop;

# --- an unknown webhook is not asked for a hundred times, since each is an
# --- error in the server's log
$dir = spool_dir('unknown');
my @many = map { body() } 1 .. 200;
spool($dir, map { [ '/many', $_, secret => 'viele' ] } @many);
start($dir);
wait_metric('spool_kept_records', 200, 'unknown: all are kept');
my $log = -s $node->logfile;
$receiver->signal('HUP');
for (1 .. 600)
{
	last if slurp_file($node->logfile, $log) =~ /webhook "many" does not exist/;
	sleep 0.05;
}
# a change of something else shows that the turn is over
$node->safe_psql('postgres', q(SELECT FROM flagsmith.add_webhook('many', 'viele')));
wait_metric('spool_kept_records', 0, 'unknown: until it is registered');
my $errors = () = slurp_file($node->logfile, $log) =~ /ERROR:  webhook "many" does not exist/g;
cmp_ok($errors, '<=', 130, 'unknown: asked for some of them in each turn');
is(stored(@many), '200|200', 'unknown: all are stored');
$receiver->stop;

# --- killed wherever a record changes its place
foreach my $point ('before_spool_kept', 'after_spool_kept', 'before_spool_rewritten')
{
	my @refused = map { body() } 1 .. 4;
	my @fine = map { body() } 1 .. 4;
	my @soon = map { body() } 1 .. 2;

	$dir = spool_dir("killed_$point");
	spool(
		$dir,
		(map { [ '/off', $_, secret => 'geheim' ] } @refused),
		(map { [ '/open', $_ ] } @fine),
		(map { [ "/$point", $_ ] } @soon));
	# it may be gone before anybody could connect
	start($dir, env => { RECEIVER_FAULT => $point }, may_fail => 1);
	if ($point eq 'before_spool_rewritten')
	{
		wait_metric('spool_kept_records', 6, "$point: kept");
		$node->safe_psql('postgres',
			qq(SELECT FROM flagsmith.add_webhook('$point', allow_unsigned => true, max_spool_age => NULL)));
		$receiver->signal('HUP');
	}
	ok(!$receiver->{pid} || ($receiver->wait_exit & 127) == 9, "$point: killed");
	unlike($receiver->log_content, qr/runtime error|AddressSanitizer/, "$point: by nobody else");
	is(stored(@fine), '4|4', "$point: some are stored");
	start($dir);
	wait_metric('spool_records', 0, "$point: the spool is done with");
	$node->safe_psql('postgres', qq(SELECT FROM flagsmith.enable_webhook('off')));
	$node->safe_psql('postgres',
		qq(SELECT FROM flagsmith.add_webhook('$point', allow_unsigned => true, max_spool_age => NULL)))
	  if $point ne 'before_spool_rewritten';
	$receiver->signal('HUP');
	wait_metric('spool_kept_records', 0, "$point: and with what was kept");
	is(stored(@refused, @fine, @soon), '10|10', "$point: everything is there once");
	is(files($dir, '*'), 0, "$point: no file is left");
	$node->safe_psql('postgres', q(SELECT FROM flagsmith.disable_webhook('off')));
	$receiver->stop;
}

# --- the limit is one for all files: what is kept is not dropped for what comes
$dir = spool_dir('limit');
spool($dir, map { [ '/signed', body(4000), signature => 'a' x 64 ] } 1 .. 4);
start($dir, options => [ '--spool-limit', '20kB', '--max-body', '8kB' ]);
wait_metric('spool_kept_records', 4, 'limit: forgeries are kept as well');
is(($receiver->post('/open', body()))[0], 200, 'limit: the database takes what comes');
$node->stop;
is(($receiver->post('/open', body(5000)))[0], 'closed', 'limit: no room is no promise');
is(($receiver->get('/readyz'))[0], 503, 'limit: not ready');
is($receiver->metric('flagsmith_receiver_spool_kept_records'), 4, 'limit: nothing was dropped');
unlink glob("$dir/*.kept");
$receiver->signal('HUP');
wait_metric('spool_bytes', 0, 'limit: somebody removed them');
is($receiver->metric('flagsmith_receiver_spool_kept_records'), 0, 'limit: all of them');
is(($receiver->get('/readyz'))[0], 200, 'limit: ready again');
my $small = body(5000);
is(($receiver->post('/open', $small))[0], 200, 'limit: and it is true');
$node->start;
wait_metric('spool_records', 0, 'limit: emptied');
is(stored($small), '1|1', 'limit: stored');
$receiver->stop;

# --- what lies in the place of a segment and is none
$dir = spool_dir('strange');
my @before = map { body() } 1 .. 3;
spool($dir, map { [ '/open', $_ ] } @before);
rename((glob "$dir/*.spool")[0], "$dir/0000000000000007.spool") or die "rename: $!";
mkfifo("$dir/0000000000000001.spool", 0600) or die "mkfifo: $!";
mkdir "$dir/0000000000000002.spool" or die "mkdir: $!";
symlink('/etc/passwd', "$dir/0000000000000003.spool") or die "symlink: $!";
symlink('/dev/zero', "$dir/0000000000000004.kept") or die "symlink: $!";
append_to_file("$dir/0000000000000005.spool", "FWR1 and nothing else");
append_to_file("$dir/0000000000000006.spool", 'unreadable');
chmod 0, "$dir/0000000000000006.spool";
start($dir);
wait_metric('spool_records', 0, 'strange: the spool is done with');
ok( Receiver::wait_for($node,
		"SELECT count(*) = 3 FROM flagsmith.delivery WHERE convert_from(body, 'UTF8') IN ("
		  . join(',', map { "'$_'" } @before) . ')'),
	'strange: the records are stored');
for (1 .. 600)
{
	last if files($dir, 'spool') + files($dir, 'kept') == 0;
	sleep 0.05;
}
is(files($dir, 'damaged'), 6, 'strange: everything else is set aside');
is(files($dir, '*'), 6, 'strange: and nothing removed');
is(($receiver->get('/readyz'))[0], 200, 'strange: ready');
like($receiver->log_content, qr/event=spool_unreadable file=0000000000000001\.spool message="is not a plain file"/,
	'strange: the log tells');
$receiver->stop;

# --- a segment that is exchanged while the receiver runs
$dir = spool_dir('exchanged');
$node->stop;
start($dir);
is(($receiver->post('/open', body()))[0], 200, 'exchanged: spooled');
my ($segment) = glob "$dir/*.spool";
unlink $segment;
mkfifo($segment, 0600) or die "mkfifo: $!";
$node->start;
wait_metric('spool_records', 0, 'exchanged: not waited for');
wait_metric('database_up', 1, 'exchanged: the database is back');
for (1 .. 600)
{
	last if files($dir, 'damaged');
	sleep 0.05;
}
is(files($dir, 'damaged'), 1, 'exchanged: set aside');
is(($receiver->post('/open', body()))[0], 200, 'exchanged: life goes on');
$receiver->stop;

# --- damage to the last record looks like a torn end, and is kept like damage
$dir = spool_dir('last');
my @last = map { body(100) } 1 .. 3;
spool($dir, map { [ '/open', $_ ] } @last);
($segment) = glob "$dir/*.spool";
my $size = -s $segment;
open(my $fh, '+<', $segment) or die "$segment: $!";
binmode $fh;
seek($fh, -20, 2);
print $fh 'y';
close $fh;
start($dir);
wait_metric('spool_records', 0, 'last: the spool is done with');
is(stored(@last), '2|2', 'last: the others are stored');
wait_metric('spool_damaged_bytes', $size, 'last: the bytes are still there, and counted');
is(files($dir, 'damaged'), 1, 'last: in a file of their own');
is($receiver->metric('flagsmith_receiver_spool_unreadable_total{result="torn"}'), 1, 'last: counted');
$receiver->kill9;
start($dir);
is($receiver->metric('flagsmith_receiver_spool_damaged_bytes'), $size, 'last: after a restart as well');
unlink glob("$dir/*.damaged");
$receiver->signal('HUP');
wait_metric('spool_bytes', 0, 'last: until somebody removes it');
$receiver->stop;

# --- damage within what is kept
$dir = spool_dir('kept_damaged');
my @kept = map { body(100) } 1 .. 3;
spool($dir, map { [ '/off', $_, secret => 'geheim' ] } @kept);
start($dir);
wait_metric('spool_kept_records', 3, 'damage in what is kept: kept');
$receiver->stop;
($segment) = glob "$dir/*.kept";
open($fh, '+<', $segment) or die "$segment: $!";
binmode $fh;
seek($fh, (-s $segment) / 2, 0);
print $fh "\xff";
close $fh;
# as version 1.0 named a single record
rename($segment, "$dir/0000000000000000-1c.aside") or die "rename: $!";
start($dir);
wait_metric('spool_kept_records', 2, 'damage in what is kept: the others are still tried');
for (1 .. 600)
{
	last if files($dir, 'damaged');
	sleep 0.05;
}
is(files($dir, 'damaged'), 1, 'damage in what is kept: the file is set aside');
$node->safe_psql('postgres', q(SELECT FROM flagsmith.enable_webhook('off')));
$receiver->signal('HUP');
wait_metric('spool_kept_records', 0, 'damage in what is kept: done with');
is(stored(@kept), '2|2', 'damage in what is kept: the others are stored');
$receiver->stop;

done_testing();
