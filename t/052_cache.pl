# The cache of the scalar lookups stays within work_mem x hash_mem_multiplier, whatever one statement looks up: 2,000 flags with
# histories of 30 changes and one with 10,000.  What a backend holds is sampled from within the statement, its peak from /proc.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Test::More;

my $node = start_node('cache', conf => "shared_buffers = 2MB\nmax_parallel_workers_per_gather = 0\njit = off\n");

take_in($node, 'cache', entry(0, 1, 'ENVIRONMENT', 'New Environment created: env 1', id => 1),
	map { event(60e6 * $_, 60e6 * $_ + 1e6, 1, 3000, state($_ % 2, "$_ " . 'x' x 100)) } 1 .. 10000);

# Pages of the REST API, as it lists the features of a project with their states: quicker to take in than deliveries.
$node->safe_psql('postgres', <<'SQL');
CREATE PROCEDURE import(hour int, first int, last int, every int DEFAULT 1)
    LANGUAGE sql AS $$
    SELECT flagsmith.import_feature_states(jsonb_build_object('count', 1, 'results', jsonb_agg(jsonb_build_object('id', f, 'name', 'flag ' || f,
        'type', 'STANDARD', 'default_enabled', false, 'initial_value', NULL, 'environment_feature_state', jsonb_build_object('id', f, 'feature', f,
            'environment', 1, 'identity', NULL, 'feature_segment', NULL, 'enabled', (f + hour) % 2 = 0, 'feature_state_value',
            f || ' ' || hour || repeat('x', 100), 'multivariate_feature_state_values', '[]'::jsonb))))::text,
        'cache/Shop/env 1', timestamptz '2026-03-01 00:00Z' + hour * interval '1 hour')
    FROM generate_series(first, last, every) f $$;
DO $$ BEGIN FOR hour IN 1..30 LOOP CALL import(hour, 1, 2000); END LOOP; END $$;
VACUUM ANALYZE;
-- in an order in which no flag follows itself
CREATE TABLE app AS
SELECT row_number() OVER (ORDER BY h, md5(f::text)) AS n, 'flag ' || f AS feature, timestamptz '2026-03-01 00:30Z' + h * interval '1 hour' AS at,
    (f + h) % 2 = 0 AS enabled, to_jsonb(f || ' ' || h || repeat('x', 100)) AS value
FROM generate_series(1, 2000) f, generate_series(10, 30, 20) h;
CREATE FUNCTION held() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts WHERE name ~ '^(flag|environment|history) ' $$;
SQL

# What a statement over some rows of app holds more at its most than at its first row, in kB, and which answers are wrong.
sub held
{
	my ($settings, $condition) = @_;

	my ($rows, $wrong, $more) = split(/\|/, $node->safe_psql('postgres', "$settings SET client_min_messages = warning;\n"
		  . "SELECT count(*) FROM (SELECT held(), flagsmith.is_feature_enabled('Shop/env 1', 'flag 1'),"
		  . " flagsmith.get_feature_value('Shop/env 1', 'flag 1') FROM generate_series(1, 3)) s \\g /dev/null\n" . <<"SQL"));
SELECT count(*), count(*) FILTER (WHERE (is_enabled, got) IS DISTINCT FROM (enabled, value)), (max(held) - (array_agg(held ORDER BY n))[1]) / 1024
FROM (SELECT a.*, flagsmith.is_feature_enabled('Shop/env 1', feature, at) AS is_enabled, flagsmith.get_feature_value('Shop/env 1', feature, at) AS got,
          CASE WHEN n % 20 = 1 THEN held() END AS held
      FROM (SELECT * FROM app WHERE $condition ORDER BY n OFFSET 0) a OFFSET 0) s
SQL
	note("$settings $condition: $more kB more");
	cmp_ok($rows, '>', 0, "there are rows where $condition");
	is($wrong, 0, "$settings and all answers are right");
	return $more;
}

my $tiny = "SET work_mem = '64kB'; SET hash_mem_multiplier = 1;";
# each flag twice, since a history is read as a whole for the second lookup
cmp_ok(held("SET work_mem = '64MB';", 'true'), '>', 4096, 'with memory, the histories are kept');
cmp_ok(held($tiny, 'true'), '<', 512, 'with 64 kB they are not');
# two calls, of which each may hold a megabyte; 4,000 distinct values are asked for
cmp_ok(held("SET work_mem = '1MB'; SET hash_mem_multiplier = 1;", 'true'), '<', 2560, 'with 1 MB no more than that is held');


# A history that does not fit is not read as a whole: the peak of the process while 70 lookups are made into it.
sub peak
{
	my ($settings) = @_;
	my $hwm = q(SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)'));
	my $lookups = q(SELECT count(*) FILTER (WHERE flagsmith.get_feature_value('Shop/env 1', feature, at) IS NULL) FROM );
	my ($before, $missing, $after) = split(/\n/, $node->safe_psql('postgres', "$settings\n"
		  . "$lookups (SELECT feature, at FROM app WHERE n <= 30) a \\g /dev/null\n$hwm;\n"
		  . "$lookups (SELECT 'flag 3000' AS feature, timestamptz '2026-03-01 00:01Z' + n * interval '2 hours' AS at FROM generate_series(1, 70) n) a;\n$hwm;\n"));

	is($missing, 0, "$settings and each has an answer");
	note("$settings a peak of " . ($after - $before) . ' kB more');
	return $after - $before;
}

SKIP:
{
	skip 'there is no /proc here', 3 unless -r '/proc/self/status';
	peak("SET work_mem = '64MB';");
	cmp_ok(peak($tiny), '<', 3072, 'a history of 10,000 changes is not read with 64 kB');
}

$node->stop;
done_testing();
