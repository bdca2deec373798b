# docs/receiver.md, step by step as it stands, against a small Flagsmith; then each step that can fail, and what undoes it all.
# As nobody special and below a directory of its own: commands that only root can run are replaced by others of their name,
# and addresses by those of this test.  tools/pages does the same as root in bare Debian.  Needs HTTP, so not a regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use FswTest;
use IPC::Run qw(start);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $top = "$FindBin::RealBin/..";
plan skip_all => 'flagsmith-receiver is not built: make receiver' unless -x "$top/receiver/flagsmith-receiver";
for my $need ('curl --version', 'python3 -c "import psycopg"', 'openssl version', 'bash --version')
{
	plan skip_all => "not here: $need" if system("$need >/dev/null 2>&1") != 0;
}

my $tmp = PostgreSQL::Test::Utils::tempdir_short();
my $node = start_node('page');
my $http = PostgreSQL::Test::Cluster::get_free_port();
my $root = "$tmp/root";

sub file
{
	my ($name, $text) = @_;

	open(my $fh, '>:raw', "$tmp/$name") or die "$tmp/$name: $!";
	print $fh $text;
	close($fh);
	chmod(0755, "$tmp/$name");
	return "$tmp/$name";
}

mkdir "$tmp/$_" or die "$tmp/$_: $!" for qw(bin page);
is(system("make -C '$top/receiver' -s install 'DESTDIR=$root' prefix=/usr >'$tmp/make.log' 2>&1"), 0, 'make install') or diag slurp_body("$tmp/make.log");
for my $name (qw(flagsmith-receiver.8 flagsmith-setup.8 flagsmith-add-secret.1 flagsmith-backfill.1 flagsmith-verify-delivery.1 flagsmith-witness.1))
{
	my ($section) = $name =~ /(\d)$/;

	ok(-f "$root/usr/share/man/man$section/$name", "the manual page $name is installed");
}
like(slurp_body("$root/usr/lib/systemd/system/flagsmith-receiver.service"), qr{^ExecStart=/usr/sbin/flagsmith-receiver .*^User=flagsmith_receiver$}ms,
	'the unit runs as whom flagsmith-setup makes a role');

# What only root may do, or what has been done.
file('bin/apt-get', "#!/bin/sh\nexit 0\n");
file('bin/make', "#!/bin/sh\nexit 0\n");
file('bin/runuser', "#!/bin/sh\nshift 3\nexec \"\$\@\"\n");
file('bin/flagsmith-setup', "#!/bin/sh\nexec '$root/usr/sbin/flagsmith-setup' '--root=$root' \"\$\@\"\n");
$ENV{PATH} = "$tmp/bin:$root/usr/bin:$ENV{PATH}";
$ENV{HOME} = $tmp;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
delete $ENV{PGDATABASE};
file('flagsmith.key', "the master key\n");

my $mock = start([ 'python3', "$FindBin::RealBin/mock_flagsmith.py", "$tmp/url" ]);
for (1 .. 300)
{
	last if -e "$tmp/url";
	sleep 0.1;
}
my $flagsmith = slurp_body("$tmp/url");

# What outlives a test that dies: a receiver and the small Flagsmith.
END
{
	my $rc = $?;

	kill('TERM', slurp_body("$tmp/pid")) if defined $tmp && -e "$tmp/pid";
	$mock->kill_kill if defined $mock;
	$? = $rc;
}

sub bash
{
	my ($script) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'bash', '-c', $script ], '<', \undef, '>', \$out, '2>', \$err);
	return ($?, $out, $err);
}

# The page has the usual port; this test's is told to flagsmith-setup as anyone would who wants another.
is(system('perl', "$top/tools/pages.pl", "$top/docs/receiver.md", "$tmp/page", "https://flagsmith.example.com|$flagsmith",
		"127.0.0.1:8480|127.0.0.1:$http", "--webhook=shop app|--webhook=shop --listen=127.0.0.1:$http app", "/tmp/|$tmp/"), 0, 'the page has steps');
my ($status, $out, $err) = bash(<<"BASH");
before_block() { :; }
started()
{
    receiver=\$!
    echo \$receiver >'$tmp/pid'
    for _ in \$(seq 300); do curl -sf -o /dev/null http://127.0.0.1:$http/healthz && return; sleep 0.1; done
    return 1
}
. '$tmp/page/run.sh'
BASH
is($status, 0, 'each step of the page works') or diag "$out$err";
like($out, qr/^\d+ commands, \d+ s of machine time, of a processor \d+m[\d.]+s and \d+m[\d.]+s$/m, 'the commands are counted');

# Again, with nothing to do; and with one thing.
my $setup = 'flagsmith-setup';
($status, $out, $err) = bash($setup);
is("$status $err", '0 ', 'flagsmith-setup may be called again');
unlike($out, qr/^  made /m, 'and makes nothing then');
file('others', slurp_body("$root/etc/default/flagsmith-receiver") . "PGPASSFILE=\"/etc/pass\"\n");
rename("$tmp/others", "$root/etc/default/flagsmith-receiver") or die $!;
($status, $out) = bash("$setup --prefix=/other");
like($out, qr/^  made   file/m, 'an option is changed');
like(slurp_body("$root/etc/default/flagsmith-receiver"), qr/^PGPASSFILE="\/etc\/pass"$/m, 'and what others wrote into the file stays');
bash("$setup --prefix=/hooks");

# Debian's psql finds a server at another port by itself, which libpq does not.
my ($psql) = grep { -x } map { "$_/psql" } split(/:/, $ENV{PATH});
file('bin/psql', "#!/bin/sh\nPGPORT=" . $node->port . " exec '$psql' \"\$\@\"\n");
my $port = $node->port;
($status, $out, $err) = bash("sed -i /PGPORT/d '$root/etc/default/flagsmith-receiver'; unset PGPORT; $setup");
is("$status $err", '0 ', 'a server at another port is found');
like($out, qr/^The server has port $port: export PGPORT=$port for the tools\.$/m, 'which is said');
like(slurp_body("$root/etc/default/flagsmith-receiver"), qr/^PGPORT="$port"$/m, 'and kept');
unlink("$tmp/bin/psql");

# Wrong calls.
for my $case ([ '--nonsense', 'flagsmith-setup \[--webhook=NAME\]', 2 ], [ 'app other', 'flagsmith-setup \[--webhook=NAME\]', 2 ],
	[ 'nowhere', 'there is no such database, or it takes no connection', 1 ], [ "'--listen=a b'", 'an option must not have a blank', 1 ],
	[ '--webhook=bad/ app', 'must not end in a slash', 1 ])
{
	my ($arguments, $text, $wanted) = @$case;

	($status, $out, $err) = bash("$setup $arguments");
	is($status >> 8, $wanted, "$arguments: its status");
	like($err, qr/$text/, "$arguments: what is wrong");
}
bash("sed -i '/PGDATABASE/d' '$root/etc/default/flagsmith-receiver'");
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
($status, $out, $err) = bash($setup);
like($out, qr/^In database app:$/m, 'the only database with the extension is found') or diag $err;
bash("sed -i '/PGDATABASE/d' '$root/etc/default/flagsmith-receiver'");
$node->safe_psql('postgres', 'CREATE EXTENSION flagsmith_webhook');
($status, $out, $err) = bash($setup);
like($err, qr/^flagsmith-setup: several databases have the extension, so name one: app postgres$/m, 'of several one must be named');
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');

# What a failing step shows.
my $data = $node->data_dir;
my $log = $node->logfile;
($status, $out, $err) = bash(<<"BASH");
set -eu
flagsmith-setup app >/dev/null
document='$top/docs/receiver.md' options='$root/etc/default/flagsmith-receiver' spool='$root/var/lib/flagsmith-receiver'
url=http://127.0.0.1:$http prefix='' may='does not exist'
sql() { psql -Xq -v ON_ERROR_STOP=1 -d "\$1" -c "\$2"; }
setup() { flagsmith-setup "\$\@"; }
stop() { pg_ctl -D '$data' -w -m fast stop >/dev/null; }
start() { pg_ctl -D '$data' -l '$log' -w start >/dev/null; }
. '$top/tools/pages-fail.sh'
all_failures
BASH
is($status, 0, 'each step that fails names its cause, in the table of the page') or diag "$out$err";
like($out, qr/^1[0-9] failing steps$/m, 'there are enough of them');
$node->_update_pid(1);

# And back.
kill('TERM', slurp_body("$tmp/pid"));
unlink("$tmp/pid");
(undef, $out) = bash("$setup app");
my ($undo) = $out =~ /^To undo it.*?:\n(.*)\z/ms;
like($undo, qr/^  rm -r \S+ \S+\n  psql -d app -c .*\n\z/, 'it says how to undo it');
($status, undef, $err) = bash("set -e\n$undo");
is($status, 0, 'which can be run as it stands') or diag $err;
ok(!-e "$root/etc/default/flagsmith-receiver" && !-e "$root/var/lib/flagsmith-receiver", 'the files are gone');
is($node->safe_psql('app', q(SELECT count(*) FROM pg_roles WHERE rolname ~ 'flagsmith')), '0', 'and so is the role');
cmp_ok($node->safe_psql('app', 'SELECT count(*) FROM flagsmith.delivery'), '>', 0, 'but not the history');

$node->stop;
done_testing();
