# Lookups while every index is built anew beside them: none may fail or be wrong.  Not a regress test: REINDEX CONCURRENTLY
# wants sessions that do not wait for each other.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('reindex');
$node->safe_psql('postgres', <<'SQL');
SELECT flagsmith.add_webhook('reindex', NULL, scope => 'organisation', allow_unsigned => true, max_spool_age => NULL);
INSERT INTO flagsmith.inbox (webhook, body, received_at)
SELECT 'reindex', convert_to(jsonb_build_object('event_type', 'FLAG_UPDATED', 'data', jsonb_build_object(
        'changed_by', 'ada@example.com', 'timestamp', to_char(timestamp '2026-01-01' + n * interval '1 min', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'new_state', jsonb_build_object('enabled', n % 2 = 0, 'feature_state_value', n, 'multivariate_feature_state_values', '[]'::jsonb,
            'feature', jsonb_build_object('id', 1, 'name', 'it', 'project', jsonb_build_object('id', 1, 'name', 'Shop')),
            'environment', jsonb_build_object('id', 1, 'name', 'Home'),
            'identity', NULL, 'identity_identifier', NULL, 'feature_segment', NULL)))::text, 'UTF8'),
    timestamptz '2026-01-01 00:00:01Z' + n * interval '1 min'
FROM generate_series(1, 200) n;
SQL
my $script = PostgreSQL::Test::Utils::tempdir() . '/lookup.pgbench';
# A division by zero where an answer is wrong.
append_to_file($script, <<'SQL');
\set n random(1, 200)
SELECT 1 / (flagsmith.get_feature_value('Shop/Home', 'it', timestamptz '2026-01-01Z' + :n * interval '1 min') = to_jsonb(:n))::int;
SELECT 1 / (value = to_jsonb(:n))::int FROM flagsmith.feature_state('Shop/Home', 'it', timestamptz '2026-01-01Z' + :n * interval '1 min');
SQL

my @indexes = split(/\n/, $node->safe_psql('postgres', <<'SQL'));
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
WHERE n.nspname = 'flagsmith' AND t.relname IN ('name', 'flag_change', 'audit_effect', 'audit_log', 'version_published', 'delivery_repeat')
ORDER BY 1
SQL
cmp_ok(scalar @indexes, '>', 20, 'the indexes');

# Sessions that last, and a new one for each transaction; until all indexes were built anew.
my @bench;
for my $connect ([], ['-C'])
{
	my ($out, $err) = ('', '');
	push @bench, {
		out => \$out, err => \$err,
		run => IPC::Run::start([ 'pgbench', '-n', @$connect, '-c', 2, '-T', 6, '-f', $script, $node->connstr('postgres') ],
			'>', \$out, '2>', \$err) };
}
$node->safe_psql('postgres', join('', map { "REINDEX INDEX CONCURRENTLY $_;\n" } @indexes));
for my $bench (@bench)
{
	ok(IPC::Run::finish($bench->{run}), 'no lookup failed or was wrong') or diag(${ $bench->{err} });
	cmp_ok(${ $bench->{out} } =~ /actually processed: (\d+)/ ? $1 : 0, '>', 0, 'and there were some');
}
$node->stop;

done_testing();
