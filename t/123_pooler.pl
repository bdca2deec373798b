# The receiver behind pgbouncer in transaction mode: deliveries come in, and neither a setting nor a prepared statement is left in
# a server connection that other clients get next.  Needs pgbouncer (FSW_PGBOUNCER names it), so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Receiver;
use Test::More;

my ($pgbouncer) = grep { -x $_ } $ENV{FSW_PGBOUNCER} // (), map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';

plan skip_all => 'pgbouncer is not installed' unless defined $pgbouncer;
Receiver::program();

my $node = Receiver::server('pooler');
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $user = (getpwuid($<))[0];

# Two server connections for everyone: whoever comes next gets one that the receiver had.
append_to_file("$dir/pgbouncer.ini", <<INI);
[databases]
postgres = host=${\ $node->host } port=${\ $node->port }
[pgbouncer]
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 2
max_db_connections = 2
server_lifetime = 3600
logfile = $dir/log
pidfile = $dir/pid
INI
append_to_file("$dir/users", "\"receiver\" \"\"\n\"$user\" \"\"\n");
my $bouncer = IPC::Run::start([ $pgbouncer, '-q', "$dir/pgbouncer.ini" ], '>', "$dir/out", '2>&1');
for (1 .. 200)
{
	last if -S "$dir/.s.PGSQL.$port";
	Time::HiRes::sleep(0.05);
}
IPC::Run::run([ $pgbouncer, '--version' ], '>', \my $version);
note($version);

# What another client of the role sees in a server connection that the receiver used.
sub leaked
{
	my $sql = 'SELECT pg_backend_pid();'
	  . 'SELECT name, setting FROM pg_settings WHERE source = \'session\' AND name NOT IN (\'client_encoding\', \'application_name\', \'DateStyle\', \'TimeZone\', \'extra_float_digits\', \'standard_conforming_strings\', \'IntervalStyle\', \'search_path\');'
	  . 'SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE \'%inbox%\'';
	my $found = '';

	for (1 .. 6)
	{
		IPC::Run::run([ 'psql', '-XAtq', '-h', $dir, '-p', $port, '-U', 'receiver', '-d', 'postgres', '-c', $sql ], '>', \my $out, '2>&1');
		$found .= join('', map { "$_\n" } grep { $_ !~ /^\d+$/ } split(/\n/, $out));
	}
	return $found;
}

# Whatever the role's defaults are, as without a pooler.
$node->safe_psql('postgres', "ALTER ROLE receiver SET default_transaction_read_only = on; ALTER ROLE receiver SET default_transaction_isolation = 'serializable';"
	  . 'ALTER ROLE receiver SET synchronous_commit = off');
my $receiver = Receiver->start($node, options => [ '--dbname', "host=$dir port=$port dbname=postgres user=receiver", '--hold', '5' ]);
my @answers = map { ($receiver->post('/open', "{\"n\": $_}"))[0] // '' } 1 .. 20;
is(join(' ', map { /(\d{3})/ } @answers), join(' ', (200) x 20), 'deliveries through pgbouncer') or diag($receiver->log_content);
is($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.delivery'), 20, 'are stored');
my $timed = '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 1, "created_date": "2026-01-01T00:00:00Z", "log": "x"}}';
is(join(' ', map { ($receiver->post('/open', $timed))[0] } 1, 2), '200 200', 'one that comes again');
is(join(' ', map { (($receiver->post($_, '{}'))[0] // '') =~ /(\d{3})/ } qw(/none /off /signed)), '404 404 401', 'verdicts are those without a pooler');
is(($receiver->post('/open', '{"n": 21}'))[0] =~ /(\d{3})/ ? $1 : '', 200, 'after one that failed, the next comes in');
is(leaked(), '', 'no setting and no prepared statement is left for others');
is($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.delivery_repeat'), 1, 'the repeat is counted once');

# A server connection that ends is replaced by the pooler without a word.
$node->safe_psql('postgres', "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'receiver'");
is(join(' ', map { (($receiver->post('/open', "{\"n\": $_}"))[0] // '') =~ /(\d{3})/ } 31 .. 36), join(' ', (200) x 6), 'deliveries after server connections ended');
is($node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.delivery'), 28, 'are stored, each once');
is(leaked(), '', 'and again nothing is left');

$receiver->stop;
$bouncer->signal('TERM');
$bouncer->finish;
$node->stop;
done_testing();
