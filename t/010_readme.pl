# The README's quick start, run as it stands, gives the answer that stands below it.  Reads the README, so not a regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $readme = slurp_body("$FindBin::Bin/../README.md");
my ($sql, $shown) = $readme =~ /^## Quick start\n.*?^```sql\n(.*?)^```\n.*?^```\n(.*?)^```\n/ms;
ok(defined $sql && defined $shown, 'the quick start has statements and an answer');

my $line = ($readme =~ /\A(.*?)^SELECT enabled, value/ms) ? ($1 =~ tr/\n//) + 1 : 999;
cmp_ok($line, '<', 40, "the first query stands in line $line");

my $node = start_node('readme');
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
my ($status, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 1, extra_params => [ '-q', '-P', 'format=aligned', '-P', 'tuples_only=off', '-P', 'footer=off' ]);
is($status, 0, 'every statement of it runs') or diag $err;
my ($answer) = $out =~ /(^ enabled .*)\z/ms;

# psql pads the last column, an editor does not.
s/[ ]+$//mg, s/\n+\z/\n/ for ($shown, $answer .= "\n");
is($answer, $shown, 'and the answer is the one shown');

$node->stop;
done_testing();
