# docs/export.md, run as it stands by a role that may only read: every act once, late and changed ones again.  Reads the
# document, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use JSON::PP;
use Test::More;

my ($table, $export, $given) = slurp_body(data_dir('..', '..', 'docs', 'export.md')) =~ /^```sql\n(.*?)^```\n/msg;
my $node = start_node('export');
my $json = JSON::PP->new;

ok(defined $given, 'the document has the table and the statements');
$node->safe_psql('postgres', slurp_body(data_dir('cookbook.sql')));
$node->safe_psql('postgres', "CREATE ROLE exporter; SELECT flagsmith.grant_reader('exporter'); GRANT CREATE ON SCHEMA public TO exporter; SET ROLE exporter; $table");

# What is given now: by key, the line.
sub export
{
	return map { my $line = $json->decode($_); ($line->{act} => $line) } split(/\n/, $node->safe_psql('postgres', "SET ROLE exporter; $export"));
}

# As of a day ago, which no test can wait for.
sub a_day_later
{
	$node->safe_psql('postgres', "UPDATE flag_export SET sent_at = sent_at - interval '1 day'");
	return;
}

my %first = export();
my $acts = $node->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.history');
cmp_ok($acts, '>', 30, 'there are acts');
is(scalar(keys %first), $acts, 'the first time each act is given, once');
is_deeply([ sort { $a <=> $b } map { @{ $_->{delivery_ids} } } values %first ],
	[ split(/\n/, $node->safe_psql('postgres', 'SELECT id FROM flagsmith.delivery WHERE event_type IS NOT NULL ORDER BY id')) ], 'every delivery is in one');
is_deeply({ export() }, {}, 'then none');

# A change of which the entry comes first and the body late, behind a later one; and one that nobody told of until now.
sub deliver
{
	my ($data, $type, $at) = @_;

	$node->safe_psql('postgres', insert_sql('shop', undef, $json->encode({ event_type => $type, data => $data }), $at));
	return;
}

sub entry
{
	my ($id, $at, $log) = @_;

	deliver({ id => $id, created_date => $at, log => $log, related_object_type => 'FEATURE_STATE', is_system_event => JSON::PP::false,
		author => { id => 1, email => 'zoe@example.com', first_name => '', last_name => '' }, environment => { id => 2, name => 'Production' },
		project => { id => 1, name => 'Shop' } }, 'AUDIT_LOG_CREATED', $at);
	return;
}

sub body
{
	my ($at, $enabled, $value, $received, %other) = @_;

	deliver({ changed_by => 'zoe@example.com', timestamp => $at, new_state => { feature => { id => 14, name => 'old_banner', type => 'STANDARD',
		project => { id => 1, name => 'Shop' }, %{ $other{feature} // {} } }, environment => { id => 2, name => 'Production' }, identity => undef, identity_identifier => undef,
		feature_segment => undef, enabled => $enabled, feature_state_value => $value, multivariate_feature_state_values => [] } }, $other{type} // 'FLAG_UPDATED', $received // $at);
	return;
}

a_day_later();
entry(900, '2026-11-12T10:00:00.000000Z', 'Remote config value updated for feature: old_banner');
entry(901, '2026-11-12T12:00:00.000000Z', 'Remote config value updated for feature: old_banner');
body('2026-11-12T12:00:00.000000Z', JSON::PP::true, 'later');
my %second = export();
is(join(' ', sort map { $_->{at} } values %second), '2026-11-12T10:00:00+00:00 2026-11-12T12:00:00+00:00', 'new acts are given, and only these');
my ($told) = grep { $second{$_}{at} =~ /T10/ } keys %second;
is($second{$told}{enabled}, undef, 'one without its state');
a_day_later();
body('2026-11-12T10:00:00.100000Z', JSON::PP::true, 'late', '2026-11-12T14:00:00.000000Z');
my %third = export();
is_deeply([ sort keys %third ], [ sort keys %second ], 'a late body gives its act again, under the same key, and the one behind it');
is($third{$told}{value}, 'late', 'now with its state');
is_deeply([ map { $_->{value_before} } grep { $_->{at} =~ /T12/ } values %third ], ['late'], 'and with what was before');
a_day_later();
entry(2, '2025-01-01T10:00:00.000000Z', 'Flag state updated for feature: new_cart');
is(join(' ', map { $_->{at} } values %{ { export() } }), '2025-01-01T10:00:00+00:00', 'what comes a year late is given');
is_deeply({ export() }, {}, 'and then nothing');
my (undef, $csv) = $node->psql('postgres', "SET ROLE exporter; $given", extra_params => [ '--csv', '-P', 'tuples_only=off' ]);
like($csv, qr/^act,at,actor,actor_type,action,.*\n[^\n]*,2025-01-01T10:00:00\+00:00,zoe\@example\.com,user,updated,feature state,Shop,Production,new_cart,[^\n]*\n?\z/m,
	'what was given last, as CSV') or diag($csv);
a_day_later();
body('2026-11-13T08:00:00.000000Z', JSON::PP::true, 'newer', undef, type => 'FLAG_MOVED', feature => { id => 16, name => 'moved' });
is(join(' ', map { $_->{at} } values %{ { export() } }), '2026-11-13T08:00:00+00:00', 'an event of a type that is not known is given, too');
$node->stop;
done_testing();
