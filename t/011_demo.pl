# What tools/demo asks exists under the names it uses: its questions are planned, with instants for the shell's variables.  The
# demonstration itself builds everything and is no part of the tests.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

my $node = start_node('demo');
my @questions = slurp_file("$FindBin::Bin/../tools/demo") =~ /^ask "(.*?)"$/gms;

cmp_ok(@questions, '>=', 8, 'there are questions');
for my $question (@questions)
{
	my ($status, $output, $error) = $node->psql('postgres', 'EXPLAIN ' . $question =~ s/\$\w+/2026-03-01Z/gr);

	is($error, '', $question);
}

done_testing();
