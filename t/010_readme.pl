# Every statement of the README, pasted in the order it stands into one session of psql, as a reader would, gives the answer
# that stands below it, or some answer and no complaint.  Reads the README, so not a regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_body("$FindBin::Bin/../README.md");
my $line = ($readme =~ /\A(.*?)^SELECT enabled, value/ms) ? ($1 =~ tr/\n//) + 1 : 999;
cmp_ok($line, '<', 40, "the first query stands in line $line");

my $node = start_node('readme');
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
my (@sql, @shown);
while ($readme =~ /^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms)
{
	push @sql, $1;
	push @shown, $2;
}
cmp_ok(scalar @sql, '>=', 2, 'there are a quick start and questions');

my ($out, $err) = ('', '');
my $input = join('', map { "$_\n\\echo end of a block\n" } @sql);
run_log([ 'psql', '-XqP', 'pager=off', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-f', '-' ], '<', \$input, '>', \$out, '2>', \$err);
is($err, '', 'nothing in it makes the server complain');

# psql pads the last column, an editor does not.
$out =~ s/[ ]+$//mg;
my @answers = split(/^end of a block\n/m, $out);
is(scalar @answers, scalar @sql, 'all of it ran');
for my $i (grep { defined $shown[$_] } 0 .. $#sql)
{
	my $answer = $answers[$i] =~ s/\(\d+ rows?\)\n\n//gr;

	# of a block with several statements the last answer is shown
	is(substr($answer, -length($shown[$i])), $shown[$i], 'the answer is the one shown: ' . substr($sql[$i], 0, 40));
}

# A question over the events of the quick start that finds nothing is about other names than those.
for my $i (grep { !defined $shown[$_] } 0 .. $#sql)
{
	my $none = () = $answers[$i] =~ /^\(0 rows\)$/mg;
	my $gaps = () = $sql[$i] =~ /history_gap/g;

	is($none, $gaps, 'every question but the one for gaps has an answer: ' . substr($sql[$i], 0, 40));
}
like($readme, qr/convert_to\(\$\$.*?\$\$, 'UTF8'\)/s, 'bodies are given as bytes');

$node->stop;
done_testing();
