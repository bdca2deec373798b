# Histories of a simulated Flagsmith, other ones in each run: is what is held today still held?  The comparison is
# tools/simulate.py, which tools/simulate runs at length; what is held is its table HELD.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $tools = dirname($FindBin::Bin) . '/tools';
plan skip_all => 'needs python3' if system('python3 -c "import json" 2>/dev/null') != 0;

my $node = start_node('simulate');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;

# Without a seed in the environment a new one is drawn, and printed.
my $seed = $ENV{SIMULATE_SEED} ? "--seed $ENV{SIMULATE_SEED}" : '';
my $output = `python3 $tools/simulate.py --held --histories 40 --batch 40 $seed 2>&1`;
is($?, 0, 'what is held today is held') or diag($output);
my ($printed) = $output =~ /^seed (\d+), 40 histories$/m;
ok(defined $printed, 'the seed is printed') and note("SIMULATE_SEED=$printed");
note(grep { /^held/ } map { "$_\n" } split(/\n/, $output));

# The comparison itself: claims that were changed, and a line of history left out, are noticed.
$output = `python3 $tools/simulate.py --held --histories 12 --batch 12 --spoil --seed 7 2>&1`;
isnt($?, 0, 'wrong claims are noticed');
like($output, qr/^BROKEN % of firm answers right in the end/m, 'wrong states are');
like($output, qr/^BROKEN audit entries in no line of history/m, 'lost lines are');

# One seed is one history, whatever the hashes of the day are.
my @twice = map { scalar `PYTHONHASHSEED=$_ python3 $tools/simulate.py --show 11` } 1, 2;
like($twice[0], qr/^act 0 /m, 'a history is shown');
is($twice[0], $twice[1], 'and is the same again');

# Small inputs with known truth, as tools/cases takes them: these are right, and one is not where its truth is another.
my $cases = tempdir(CLEANUP => 1);
my $kept = data_dir('cases');
$output = `python3 $tools/cases.py $kept 2>&1`;
is($?, 0, 'cases that are right') or diag($output);
like($output, qr/^3 cases, 0 failed$/m, 'is counted');
copy("$kept/plain.jsonl", "$cases/plain.jsonl") or die $!;
open(my $in, '<', "$kept/plain.truth") or die $!;
open(my $out, '>', "$cases/plain.truth") or die $!;
while (my $line = <$in>)
{
	$line =~ s/\((True|False), /$1 eq 'True' ? '(False, ' : '(True, '/e if $line =~ /^\(/;
	print $out $line;
}
close($out) or die $!;
$output = `python3 $tools/cases.py $cases 2>&1`;
isnt($?, 0, 'a case that is wrong');
like($output, qr/^    confirmed: .* says \[/m, 'is shown');

done_testing();
