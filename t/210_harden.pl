# The short form of tools/harden, with what is installed: crashes under writers, damaged bodies and hostile arguments under
# the sanitizers, the receiver while its database misbehaves.  The parsers' is 005_unit.pl.  tools/harden --hours N is the
# long one.  Regress can neither kill a server nor load another module.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use Test::More;

my $top = dirname(dirname(abs_path(__FILE__)));

plan skip_all => 'no psycopg2 for python3 here (python3-psycopg2)'
  unless IPC::Run::run([ 'python3', '-c', 'import psycopg2' ], '>&', \my $said);

$ENV{PG_CONFIG} //= 'pg_config';
my $seed = $ENV{FSW_SEED} // int(rand 2**31);

# each part has a server of its own, and none looks at another's
local $ENV{FSW_TWINS} = 1;

sub harden
{
	my ($hours, @arguments) = @_;
	my $output = '';
	my $ok = IPC::Run::run(
		[ "$top/tools/harden", '--installed', $top, '--hours', $hours, '--seed', $seed, @arguments ],
		'>', \$output, '2>&1');

	return ($ok, $output);
}

my %ran = (
	crash => qr/^[1-9]\d* crashes .* [1-9]\d* deliveries answered/,
	bodies => qr/^[1-9]\d* damaged bodies/,
	functions => qr/^[1-9]\d+ calls /,
	receiver => qr/ [1-9]\d* answered 200/);
delete $ran{receiver} unless -x "$top/receiver/flagsmith-receiver-check";
diag 'no flagsmith-receiver-check (make -C receiver check-build): its part is left out' unless $ran{receiver};

# What the parts share is two seconds each; crash has a number of its own.
my ($ok, $output) = harden(0.00056 * keys %ran, '--cycles', 3, sort keys %ran);
ok($ok, "nothing found (FSW_SEED=$seed)") or diag $output;
for my $part (sort keys %ran)
{
	my ($row) = $output =~ /^\| $part \| (.*?) \|/m;

	like($row // '', $ran{$part}, "$part: something was tried");
	note $row // '';
}
SKIP:
{
	skip 'no sanitizers here (libasan, libubsan)', 2 if $output =~ /^no sanitizers here/m;
	like($output, qr/^\| $_ \|.*under ASan and UBSan/m, "$_: under the sanitizers") for qw(bodies functions);
}

# The measure measures: a server that may lose the last commits is seen to lose them.
($ok, $output) = harden(0.02, '--cycles', 5, '--setting', 'synchronous_commit=off', '--setting', 'wal_writer_delay=10s', 'crash');
ok(!$ok, 'a server that loses commits is found out');
like($output, qr/^FINDING \(crash\): [1-9]\d* lost/m, 'by what it lost') or diag $output;

done_testing();
