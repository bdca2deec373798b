# The parts that need no server, in t/unit: their tables under the sanitizers, and a second of coverage-guided fuzzing of
# each.  Not regress tests, since AddressSanitizer sees a byte too far only where each palloc() is a malloc() of its own.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use Test::More;

use PostgreSQL::Test::Utils;

my $top = dirname(dirname(abs_path(__FILE__)));
my $out = "$PostgreSQL::Test::Utils::tmp_check/unit";
my @make = ('make', '-s', '-j', 2, '-C', "$top/t/unit", "OUT=$out");
my $seed = $ENV{FSW_SEED} // int(rand 2**31);

# Run a command: whether it succeeded, which one that is not here did not, and all that it said.
sub run_quietly
{
	my $output = '';
	my $ok = eval { IPC::Run::run([@_], '>', \$output, '2>&1') };

	return ($ok, $output);
}

# Does a program come of this compiler with these flags?
sub compiles
{
	my ($main, @command) = @_;

	open(my $fh, '>', "$out/try.c") or die "$out/try.c: $!";
	print $fh $main;
	close $fh;
	return (run_quietly(@command, '-o', "$out/try", "$out/try.c"))[0] && -x "$out/try";
}

mkdir $out or die "$out: $!";
my $main = "int main(void) { return 0; }\n";
push @make, 'SANITIZE=' unless compiles($main, 'cc', '-fsanitize=address,undefined');
diag 'no sanitizers here (libasan, libubsan): the tables run without' if $make[-1] eq 'SANITIZE=';

my ($built, $said) = run_quietly(@make, 'all', 'COPT=-Werror');
ok($built, 'the tests are built') or diag $said;
my @subjects = sort map { s/.*\/test_//r } glob "$out/test_*";
is(scalar @subjects, 7, 'all of them');
for my $subject (@subjects)
{
	my ($ok, $output) = run_quietly("$out/test_$subject", "$top/t/unit/$subject.tsv");
	my @lines = split /\n/, $output;
	my ($plan) = $output =~ /^1\.\.(\d+)$/m;

	for my $line (@lines)
	{
		next unless $line =~ /^(not )?ok \d+ - (.*)/;
		ok(!$1, "$subject: $2");
	}
	ok($ok && $plan, "$subject: without a report of the sanitizers") or diag $output;
}

SKIP:
{
	my $fuzzer = "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n) { return d && n > 9999; }\n";
	skip 'no clang with libFuzzer here (libclang-rt-NN-dev)', 2 * @subjects
	  unless compiles($fuzzer, 'clang', '-fsanitize=fuzzer,address,undefined');

	($built, $said) = run_quietly(@make, 'fuzz', 'FUZZ_OPTIMIZE=-O0');
	diag $said unless $built;
	for my $subject (@subjects)
	{
		my $corpus = "$out/seeds_$subject";

		mkdir $corpus or die "$corpus: $!";
		ok((run_quietly("$out/test_$subject", '--seeds', $corpus, "$top/t/unit/$subject.tsv"))[0],
			"$subject: seeds");
		my ($ok, $output) = run_quietly(
			"$out/fuzz_$subject", '-runs=1000', '-max_total_time=3', "-seed=$seed",
			"-artifact_prefix=$out/$subject-", $corpus);
		ok($ok, "$subject: fuzzed (FSW_SEED=$seed)") or diag $output;
	}
}

done_testing();
