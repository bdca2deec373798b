# A feature that was seen each hour for years has as many rows, of which environment_state() reads few to know what there is, and all
# where one of them has another name.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $node = start_node('sightings');

# 1 was never renamed, 2 was near the end of its life, 3 is seen rarely, and 2 and 20 follow each other as text.
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION IF NOT EXISTS flagsmith_webhook;
INSERT INTO flagsmith.name (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)
SELECT 'default', kind, id, name, 7, at, false, CASE WHEN first THEN at END, at
FROM (SELECT 'project' AS kind, '7' AS id, 'Shop' AS name, timestamptz '2024-01-01Z' AS at, true AS first
      UNION ALL
      SELECT 'environment', '1', 'Production', '2024-01-01Z', true
      UNION ALL
      SELECT 'feature', f.id, CASE WHEN f.id = '2' AND n > 990 THEN 'renamed' ELSE 'feature ' || f.id END, timestamptz '2024-01-01Z' + n * interval '1 hour', n = 0
      FROM (VALUES ('1', 40000), ('2', 1000), ('20', 300), ('3', 3)) f (id, hours), generate_series(0, f.hours) n) s;
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted, changed_by, project_id, project,
    environment_id, environment, feature_id, feature, enabled, value, variants)
SELECT id, 1, 'default', '2024-01-02Z', '2024-01-02Z', '2024-01-02Z', 'webhook', false, false, 'ada@example.com', 7, 'Shop',
    1, 'Production', id, 'feature ' || id, true, to_jsonb(id), '[]'
FROM unnest('{1,2,20,3}'::bigint[]) id;
VACUUM ANALYZE;
SQL

sub states
{
	my ($at) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(feature_id || ' ' || feature || ' ' || value, ', ' ORDER BY feature_id) FROM flagsmith.environment_state('Shop/Production', '$at')");
}

is(states('2024-01-10'), '1 feature 1 1, 2 feature 2 2, 3 feature 3 3, 20 feature 20 20', 'names and states before one was renamed');
is(states('2025-01-10'), '1 feature 1 1, 2 renamed 2, 3 feature 3 3, 20 feature 20 20', 'and since');

my $sql = q(SELECT * FROM flagsmith.environment_state('Shop/Production', '2024-01-10'));
my ($pages) = $node->safe_psql('postgres', "$sql; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) $sql") =~ /shared hit=(\d+)/;
my ($all) = $node->safe_psql('postgres', 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT * FROM flagsmith.name') =~ /shared hit=(\d+)/;
cmp_ok($pages, '<', $all / 2, "of 41,306 sightings few are read: $pages pages are looked at, of $all");

$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
$node->stop;
done_testing();
