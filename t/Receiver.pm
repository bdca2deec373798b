# What the receiver's tests share: a receiver as a child process, and a client
# that sends exactly the bytes it is given.
#
# The program under test is receiver/flagsmith-receiver-check (make -C receiver
# check-build: sanitizers and fault points), or what FLAGSMITH_RECEIVER names.

package Receiver;

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(IPPROTO_TCP TCP_NODELAY SHUT_WR);
use Test::More;
use Tidy;
use Time::HiRes qw(sleep time);

our $top = dirname(dirname(abs_path(__FILE__)));
our $data = "$top/t/data";

# The program, or a skipped test file that says how to build it.
sub program
{
	my $program = $ENV{FLAGSMITH_RECEIVER}
	  // "$top/receiver/flagsmith-receiver-check";

	plan skip_all => "$program is missing: make -C receiver check-build"
	  unless -x $program;
	return $program;
}

# A server with the extension, a webhook "open" that takes anything, "signed"
# with the secret "geheim", and "off", which is disabled.
sub server
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->append_conf('postgresql.conf', "max_connections = 50\n");
	$node->start;
	$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION flagsmith_webhook;
SELECT FROM flagsmith.add_webhook('open', allow_unsigned => true, max_spool_age => NULL);
SELECT FROM flagsmith.add_webhook('signed', 'geheim');
SELECT FROM flagsmith.add_webhook('off', 'geheim');
SELECT FROM flagsmith.disable_webhook('off');
CREATE ROLE receiver LOGIN;
SELECT FROM flagsmith.grant_receiver('receiver');
SQL
	return $node;
}

# Start a receiver for the node and wait until it listens.
#
# Receiver->start($node, options => [...], env => {...}, limit => 'ulimit ...')
sub start
{
	my ($class, $node, %args) = @_;
	my $program = program();
	my $port = $args{port} // PostgreSQL::Test::Cluster::get_free_port();
	my $log = $args{log}
	  // "$PostgreSQL::Test::Utils::tmp_check/receiver_" . $node->name . "_$port.log";
	my $self = bless {
		node => $node,
		port => $port,
		log => $log,
		program => $program
	}, $class;
	my @command = (
		$program, '--listen', "127.0.0.1:$port", '--log-level', 'debug',
		@{ $args{options} // [] });

	@command = ('sh', '-c', "$args{limit}; exec \"\$0\" \"\$@\"", @command)
	  if $args{limit};

	my $pid = fork // die "could not fork: $!";

	if ($pid == 0)
	{
		%ENV = (%ENV, %{ $args{env} // {} });
		$ENV{PGHOST} = $node->host;
		$ENV{PGPORT} = $node->port;
		$ENV{PGUSER} = 'receiver';
		$ENV{PGDATABASE} = 'postgres';
		delete $ENV{PGSERVICE};
		$ENV{ASAN_OPTIONS} = 'detect_leaks=1:abort_on_error=0';
		open(STDERR, '>>', $log) or die "$log: $!";
		open(STDOUT, '>&', \*STDERR) or die "stdout: $!";
		exec(@command) or POSIX::_exit(127);
	}
	$self->{pid} = $pid;

	for (1 .. 200)
	{
		my $socket = $self->connect_quietly;

		return $self if $socket;
		last if waitpid($pid, WNOHANG) != 0;
		sleep 0.05;
	}
	delete $self->{pid};
	return $self if $args{may_fail};
	die "the receiver did not start: " . slurp_file($log);
}

sub connect_quietly
{
	my ($self) = @_;

	return IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		PeerPort => $self->{port},
		Proto => 'tcp');
}

sub connect
{
	my ($self) = @_;
	my $socket = $self->connect_quietly // die "could not connect: $!";

	setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, 1);
	return $socket;
}

# The bytes of a POST as Flagsmith would send it.
sub request
{
	my ($path, $body, %args) = @_;
	my $signature =
	  defined $args{secret}
	  ? hmac_sha256_hex($body, $args{secret})
	  : $args{signature};

	return
		"POST $path HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	  . "User-Agent: python-requests/2.33.0\r\nAccept-Encoding: gzip, deflate\r\n"
	  . "Accept: */*\r\nConnection: "
	  . ($args{close} ? 'close' : 'keep-alive')
	  . "\r\ncontent-type: application/json\r\n"
	  . (defined $signature ? "X-Flagsmith-Signature: $signature\r\n" : '')
	  . 'Content-Length: '
	  . length($body)
	  . "\r\n\r\n$body";
}

# Read one answer from a socket.  Returns (status, body, head), the status
# being "closed" where the connection ended and "late" where nothing came.
sub answer
{
	my ($socket, $timeout) = @_;
	my $deadline = time + ($timeout // 30);
	my $buffer = \${*$socket}{receiver_buffer};
	my $select = IO::Select->new($socket);

	$$buffer //= '';
	while (1)
	{
		if ($$buffer =~ /\A(HTTP\/1\.1 (\d+) .*?\r\n\r\n)/s)
		{
			my ($head, $status) = ($1, $2);
			my ($length) = $head =~ /^Content-Length: (\d+)/mi;

			# HEAD, and interim answers, have no body
			$length = 0 if $status == 100 || ${*$socket}{receiver_head};
			if (length($$buffer) >= length($head) + ($length // 0))
			{
				my $body = substr($$buffer, length($head), $length // 0);

				substr($$buffer, 0, length($head) + ($length // 0)) = '';
				return ($status, $body, $head);
			}
		}
		return ('late', '', '') if time >= $deadline;
		next unless $select->can_read($deadline - time);
		my $got = sysread($socket, $$buffer, 65536, length $$buffer);

		# a reset counts as closed as well
		return ('closed', $$buffer, '') unless $got;
	}
}

# What else comes on a socket until its end, or "late".
sub rest
{
	my ($socket, $timeout) = @_;
	my $deadline = time + ($timeout // 30);
	my $buffer = \${*$socket}{receiver_buffer};
	my $select = IO::Select->new($socket);

	$$buffer //= '';
	while (time < $deadline)
	{
		next unless $select->can_read($deadline - time);
		return $$buffer unless sysread($socket, $$buffer, 65536, length $$buffer);
	}
	return 'late';
}

# Send to a socket as much as the peer takes.
sub send_bytes
{
	my ($socket, $bytes) = @_;
	my $sent = 0;

	local $SIG{PIPE} = 'IGNORE';
	while ($sent < length $bytes)
	{
		my $n = syswrite($socket, $bytes, length($bytes) - $sent, $sent);

		return 0 unless $n;
		$sent += $n;
	}
	return 1;
}

# One request on a connection of its own: (status, body, head).
sub exchange
{
	my ($self, $bytes, $timeout) = @_;
	my $socket = $self->connect;

	send_bytes($socket, $bytes);
	return answer($socket, $timeout);
}

sub post
{
	my ($self, $path, $body, %args) = @_;

	return $self->exchange(request($path, $body, close => 1, %args),
		$args{timeout});
}

sub get
{
	my ($self, $path) = @_;

	return $self->exchange("GET $path HTTP/1.1\r\nHost: x\r\n\r\n");
}

# One number out of /metrics.
sub metric
{
	my ($self, $name) = @_;
	my (undef, $page) = $self->get('/metrics');

	return $page =~ /^\Q$name\E (\S+)$/m ? $1 : undef;
}

sub log_content { return slurp_file($_[0]->{log}); }

# Wait for the process to be gone; its exit status, or undef after a while.
sub wait_exit
{
	my ($self, $timeout) = @_;
	my $deadline = time + ($timeout // 60);

	return unless $self->{pid};
	while (time < $deadline)
	{
		if (waitpid($self->{pid}, WNOHANG) == $self->{pid})
		{
			delete $self->{pid};
			return $?;
		}
		sleep 0.02;
	}
	return;
}

sub signal
{
	my ($self, $signal) = @_;

	kill($signal, $self->{pid}) if $self->{pid};
}

# Stop it as systemd would, and see that it found nothing wrong with itself.
sub stop
{
	my ($self, $what) = @_;

	$self->signal('TERM');
	is($self->wait_exit, 0, ($what // 'the receiver') . ' stops cleanly');
	unlike($self->log_content, qr/runtime error|AddressSanitizer|LeakSanitizer/,
		'without a report of the sanitizers');
}

sub kill9
{
	my ($self) = @_;

	$self->signal('KILL');
	$self->wait_exit;
}

sub DESTROY
{
	my ($self) = @_;

	if ($self->{pid})
	{
		local $?;
		kill('KILL', $self->{pid});
		waitpid($self->{pid}, 0);
	}
}

# Poll until the query says true.
sub wait_for
{
	my ($node, $query) = @_;

	return $node->poll_query_until('postgres', $query);
}

1;
