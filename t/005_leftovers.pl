# What a failed test leaves under the temporary directory: nothing.  Two tests that fail, one by its result and one by dying,
# each with a server, a receiver where there is one, and temporary directories.  Not a regress test, since it is about these
# tests.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Utils;
use Receiver;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $receiver = $ENV{FLAGSMITH_RECEIVER} // "$Receiver::top/receiver/flagsmith-receiver-check";
my $start = -x $receiver ? 'my $receiver = Receiver->start(Receiver::server("left_receiver"));' : '';

for my $end ('ok(0); done_testing();', 'die "on purpose";')
{
	mkdir "$dir/$_" or die "could not make $dir/$_: $!" for qw(tmp test);
	open(my $script, '>', "$dir/fails.pl") or die "could not write: $!";
	print $script <<"EOT";
use lib '$FindBin::Bin';
use FswTest;
use Receiver;
use Test::More;
my \$node = start_node('left');
$start
open(my \$file, '>', PostgreSQL::Test::Utils::tempdir_short() . '/file') or die;
ok(-e '$dir/tmp', 'it ran to its end');
$end
EOT
	close($script);

	my ($output, $left);
	{
		local $ENV{TMPDIR} = "$dir/tmp";
		# Where its data goes, before PostgreSQL 17 and since.
		local @ENV{qw(TESTDIR TESTDATADIR TESTLOGDIR)} = ("$dir/test", "$dir/test", "$dir/test/log");
		delete local $ENV{PG_TEST_NOCLEAN};
		my @path = map { ('-I', $_) } grep { !ref } @INC;

		ok(!IPC::Run::run([ $^X, @path, "$dir/fails.pl" ], '>', \$output, '2>&1'), 'a test fails');
	}
	like($output, qr/^ok 1 - it ran to its end$/m, 'as it should') or diag($output);
	opendir(my $tmp, "$dir/tmp") or die "no $dir/tmp: $!";
	is(join(' ', grep { !/^\.\.?$/ } readdir($tmp)), '', "and leaves nothing behind: $end");
	system_or_bail('rm', '-rf', "$dir/tmp", "$dir/test");
}

done_testing();
