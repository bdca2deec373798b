# Every door by ids, without saying of which source, gives what it gives by names, where there is one source.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('ids');
$node->safe_psql('postgres', slurp_body(data_dir('cookbook.sql')));

my $named = q{
    SELECT v.source, v.environment_id, v.feature_id, t.at, concat_ws('/', v.source, flagsmith._name(v.source, 'project', v.project_id::text, t.at),
            flagsmith._name(v.source, 'environment', v.environment_id::text, t.at)) AS environment,
        flagsmith._name(v.source, 'feature', v.feature_id::text, t.at) AS feature
    FROM flagsmith._flag v
    CROSS JOIN LATERAL (SELECT event_at FROM flagsmith.flag_change UNION SELECT 'infinity') t (at)};
is($node->safe_psql('postgres', 'SELECT count(DISTINCT source) FROM flagsmith.webhook'), '1', 'there is one source');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM ($named) n"), '>', 20, 'there are flags and instants');
is($node->safe_psql('postgres', "
    SELECT n.* FROM ($named) n
    WHERE flagsmith.get_feature_value(environment_id, feature_id, at) IS DISTINCT FROM flagsmith.get_feature_value(environment, feature, at)
        OR flagsmith.is_feature_enabled(environment_id, feature_id, at) IS DISTINCT FROM flagsmith.is_feature_enabled(environment, feature, at)
        OR (SELECT f FROM flagsmith.feature_state(environment_id, feature_id, at) f) IS DISTINCT FROM (SELECT f FROM flagsmith.feature_state(environment, feature, at) f)
        OR ARRAY(SELECT e FROM flagsmith.environment_state(environment_id, at) e) IS DISTINCT FROM ARRAY(SELECT e FROM flagsmith.environment_state(environment, at) e)"),
	'', 'by ids as by names');

# A second source, and it has to be said which.
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('second', source => 'second', allow_unsigned => true)");
for my $call ("is_feature_enabled(1, 1)", "get_feature_value(1, 1)", "feature_state(1, 1)", "environment_state(1)")
{
	my ($status, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT flagsmith.$call");

	isnt($status, 0, "$call needs a source");
	like($stderr, qr/ERROR:  42P08: there are several sources\nHINT:  Say of which one the ids are, with source => '\.\.\.'\./, 'and says so');
}
$node->stop;
done_testing();
