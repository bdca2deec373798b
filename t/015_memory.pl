# What one body of a megabyte may cost: under 50 MB of the backend's memory and under a second, whatever is in it.  A
# backend's peak can only be seen in /proc, and only if it has not had another one before.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

plan skip_all => 'there is no /proc here' unless -r '/proc/self/status';

my $node = start_node('memory', conf => "shared_buffers = 16MB\nmax_parallel_workers_per_gather = 0\n");
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('memory', 'the secret of the memory')");

my %body = (
	'zeros' => "'[0' || repeat(',0', 520000) || ']'",
	'zeros within the limit of values' => "'[0' || repeat(',0', 290000) || ']'",
	'empty arrays' => "'[[]' || repeat(',[]', 349000) || ']'",
	'empty arrays within the limit of values' => "'[[]' || repeat(',[]', 94000) || ']'",
	'empty objects' => "'[{}' || repeat(',{}', 349000) || ']'",
	'empty objects within the limit of values' => "'[{}' || repeat(',{}', 56000) || ']'",
	'one key again and again' => q('{"a":0' || repeat(',"a":0', 170000) || '}'),
	'keys' => q((SELECT '{' || string_agg('"' || i || '":0', ',') || '}' FROM generate_series(1, 95000) i)),
	'numbers of 1,000 digits when printed' => "'[1' || repeat(',1e999', 174000) || ']'",
	'numbers of 131,071 digits when printed' => "'[1' || repeat(',1e131071', 110000) || ']'",
	'escapes' => q('{"a": "' || repeat('\u00e4', 170000) || '"}'),
	'brackets' => "repeat('[', 1000000)",
	'a name' => q('{"event_type": "FLAG_UPDATED", "data": {"timestamp": "2021-06-18T07:50:26Z", "new_state": {"enabled": true, "environment": {"id": 1, "name": "e"}, "feature": {"id": 1, "name": "' || repeat('n', 1000000) || '"}}}}'),
	'variants' => q('{"event_type": "FLAG_UPDATED", "data": {"timestamp": "2021-06-18T07:50:26Z", "new_state": {"enabled": true, "environment": {"id": 1, "name": "e"}, "feature": {"id": 1, "name": "f"}, "multivariate_feature_state_values": [1' || repeat(',{"a":1}', 55000) || ']}}}'),
	'a message' => q('{"created_date": "2021-06-18T07:50:26Z", "log": "Flag state updated for feature ''x''' || repeat(' for feature ''x'' and segment ''y''', 30000) || '", "project": {"id": 1, "name": "p"}}'),
	'states' => q('{"event_type": "NEW_VERSION_PUBLISHED", "data": {"uuid": "u", "feature": {"id": 1, "name": "f"}, "feature_states": [{"enabled": true}' || repeat(',{"enabled": true}', 55000) || ']}}'));

for my $what (sort keys %body)
{
	# The body is made before, so that the peak is not that of making it.
	my $out = $node->safe_psql('postgres', qq{
		SET client_min_messages = error;
		CREATE TEMP TABLE b AS SELECT b, flagsmith.sign(b, 'the secret of the memory') AS s FROM convert_to($body{$what}, 'UTF8') b;
		INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('memory', flagsmith.sign('{}', 'the secret of the memory'), '{}') RETURNING '';
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)');
		SELECT extract(epoch FROM clock_timestamp()) AS started \\gset
		INSERT INTO flagsmith.inbox (webhook, signature, body) SELECT 'memory', s, b FROM b RETURNING outcome;
		SELECT extract(epoch FROM clock_timestamp()) - :started;
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)');
	});
	my ($before, $outcome, $seconds, $after) = grep { $_ ne '' } split /\n/, $out;
	like($outcome, qr/^(stored|undecoded)$/, "$what: $outcome");
	cmp_ok($after - $before, '<', 50 * 1024, sprintf('%s: %d kB', $what, $after - $before));
	cmp_ok($seconds, '<', 1, "$what: $seconds s");
}

$node->stop;
done_testing();
