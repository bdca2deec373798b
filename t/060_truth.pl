# The captured run of a real Flagsmith: is the timeline right, and does it know when it is not?  The comparison is
# tools/truth.py, which tools/truth runs with all its scenarios and tables; here are those that fail for most mistakes, and the
# doors asked a few questions each.
use strict;
use warnings;

use File::Basename qw(dirname);
use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $script = dirname($FindBin::Bin) . '/tools/truth.py';
plan skip_all => 'needs python3' if system('python3 -c "import lzma" 2>/dev/null') != 0;

my $node = start_node('truth');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGUSER} = $node->safe_psql('postgres', 'SELECT current_user');

my $output = `python3 $script --doors both --ask 200 --run @{[ data_dir('run') ]} both drop5 reordered organisation environment 2>&1`;
is($?, 0, 'every figure that is promised is reached') or diag($output);
like($output, qr/^both: defaults and segments: \d+ answers/m, 'there are figures');
like($output, qr/^$_ +v[12] .* asked/m, "of $_") for qw(is_feature_enabled get_feature_value feature_state environment_state current_state);
like($output, qr/^history +-- AUDIT_LOG_CREATED +2273 asked/m, 'and of every audit entry in history');
note(grep { /^\w+: / } map { "$_\n" } split(/\n/, $output));

done_testing();
