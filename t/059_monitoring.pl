# grafana/ and prometheus/: every query runs over t/data/cookbook.sql as a role that may only read, with Grafana's macros
# expanded, and gives what its panel shows; every metric that is named exists.  Reads files and needs a receiver, so no regress
# test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use JSON::PP;
use Receiver;
use Test::More;

my $json = JSON::PP->new->canonical;
my $node = start_node('monitoring');
$node->safe_psql('postgres', slurp_body(data_dir('cookbook.sql')));
$node->safe_psql('postgres', "CREATE ROLE watcher; SELECT flagsmith.grant_reader('watcher')");

# The rows of a query, as the role that Grafana has.
sub rows
{
	my ($sql) = @_;

	return map { $json->decode($_) } split(/\n/, $node->safe_psql('postgres', "SET ROLE watcher;\nSELECT row_to_json(q) FROM ($sql) q"));
}

# What Grafana makes of it between two instants.
sub expand
{
	my ($sql, $from, $to) = @_;

	$sql =~ s/\$__timeFilter\(([^()]+)\)/$1 BETWEEN '$from' AND '$to'/g;
	$sql =~ s/\$__timeFrom\(\)/'$from'/g;
	$sql =~ s/\$__timeTo\(\)/'$to'/g;
	$sql =~ s/\$\{environment:sqlstring\}/'default\/2'/g;
	unlike($sql, qr/\$/, 'no macro or variable is left') or diag($sql);
	return $sql;
}

my $dashboard = $json->decode(slurp_body(data_dir('..', '..', 'grafana', 'dashboard.json')));
my @panels = @{ $dashboard->{panels} };
my (%id, %cell, %rows, @expressions);

is_deeply([ rows($dashboard->{templating}{list}[2]{query}) ],
	[ map { { __text => "default/Shop/$$_[0]", __value => "default/$$_[1]" } } [ 'Production', 2 ], [ 'Staging', 1 ] ], 'the environments to choose from');
for my $panel (@panels)
{
	my %at = %{ $panel->{gridPos} };
	my $overlaps = 0;

	ok(!$id{ $panel->{id} }++, "$panel->{title}: an id of its own");
	for my $x ($at{x} .. $at{x} + $at{w} - 1) { $overlaps += $cell{$x}{$_}++ for $at{y} .. $at{y} + $at{h} - 1; }
	ok($overlaps == 0 && $at{x} + $at{w} <= 24, "$panel->{title}: a place of its own");
	for my $target (@{ $panel->{targets} // [] })
	{
		if ($target->{datasource}{type} eq 'prometheus') { push @expressions, $target->{expr}; next; }
		$rows{ $panel->{title} } = [ rows(expand($target->{rawSql}, '2026-11-03T00:00:00Z', '2026-11-12T00:00:00Z')) ];
	}
}
is_deeply([ map { "$_->{time} $_->{feature} $_->{state}" } grep { $_->{feature} =~ /checkout|price/ } @{ $rows{Flags} } ], [
	'2026-11-03T00:00:00+00:00 checkout_v2 off', '2026-11-03T00:00:00+00:00 price_test on "A"', '2026-11-03T10:00:00+00:00 checkout_v2 on',
	'2026-11-04T15:00:00+00:00 price_test on "B"', '2026-11-05T14:05:00+00:00 checkout_v2 off', '2026-11-06T09:30:00+00:00 checkout_v2 on',
	'2026-11-08T02:13:00+00:00 price_test on "C"', '2026-11-10T06:00:00+00:00 price_test on "SALE"', '2026-11-11T18:31:00+00:00 checkout_v2 on',
	'2026-11-11T18:31:00+00:00 price_test on "SALE"' ], 'the states of the time shown, from its beginning') or diag(explain($rows{Flags}));
is(join(' ', map { $_->{change_request} // '-' } @{ $rows{'Who did what'} }[ 0 .. 4 ]), 'Quick fix Quick fix Black Friday Black Friday Black Friday', 'the acts, the newest first');
is(join(' ', map { $_->{feature} } @{ $rows{'Stale flags'} }), '', 'nothing is stale yet');
is_deeply([ map { $_->{feature} } rows(expand($panels[3]{targets}[0]{rawSql}, '2026-11-03T00:00:00Z', '2026-12-02T00:00:00Z')) ], ['old_banner'], 'but a month later something is');
is(join(' ', map { "$_->{webhook} $_->{silence}" } @{ $rows{Webhooks} }), 'shop unusually silent', 'the webhook');
is($rows{'Unknown stretches'}[0]{gaps}, 0, 'no unknown stretch');
is_deeply($rows{Faults}, [ { missing_entries => 0, undecoded => 0, installation => 0 } ], 'no faults');
is_deeply($rows{'Confidence now'}, [ { confidence => 'reported', scopes => 5 } ], 'all that is now is reported');
is_deeply([ sort map { $_->{metric} } @{ $rows{Acts} } ], [ 'api key', 'system', ('user') x @{[ grep { $_->{metric} eq 'user' } @{ $rows{Acts} } ]} ], 'who acted');

my ($changes, $own) = @{ $dashboard->{annotations}{list} };
my ($last) = rows(expand($changes->{target}{rawSql}, '2026-11-05T00:00:00Z', '2026-11-06T00:00:00Z'));
is_deeply($last, { time => '2026-11-05T14:05:00+00:00', text => 'Flag state updated for feature: checkout_v2',
	tags => 'flagsmith,project:Shop,environment:Production,by:zoe@example.com,feature:checkout_v2,flag:disabled' },
	'an annotation, tagged as Flagsmith\'s own integration does') or diag(explain($last));
is_deeply($own->{target}{tags}, ['flagsmith'], 'whose annotations can be shown as well');

# Alerts of Grafana: they run, and what their texts name is there.
my %uid;
for my $rule (@{ $json->decode(slurp_body(data_dir('..', '..', 'grafana', 'alerts.json')))->{groups}[0]{rules} })
{
	my ($query, $threshold) = @{ $rule->{data} };
	my @found = rows($query->{model}{rawSql});

	ok(!$uid{ $rule->{uid} }++, "$rule->{uid}: an id of its own");
	is($rule->{condition} . $threshold->{model}{expression}, 'BA', "$rule->{uid}: the threshold of its query");
	for my $row (@found)
	{
		like($row->{value}, qr/^\d+$/, "$rule->{uid}: has a number");
		ok(exists $row->{$_}, "$rule->{uid}: $_ is told") for $rule->{annotations}{summary} =~ /\$labels\.(\w+)/g;
	}
	is(join(' ', map { $_->{value} } @found), 1, 'it would fire') if $rule->{uid} eq 'flagsmith-silent';
}

# The exporter: labels and values of each query are its columns, and each value is a number.
my $exporter = slurp_body(data_dir('..', '..', 'prometheus', 'sql_exporter.yml'));
my %exported;
while ($exporter =~ /^      - name: (\w+)\n        help: '[^'\n]+'\n(?:        labels:\n((?:          - \w+\n)+))?        values:\n((?:          - \w+\n)+)        query: \|\n((?:          .*\n)+)/mg)
{
	my ($name, $labels, $values, $sql) = ($1, $2 // '', $3, $4);
	my @labels = $labels =~ /- (\w+)/g;
	my @values = $values =~ /- (\w+)/g;
	my @found = rows($sql);

	ok(@found > 0, "$name: has rows");
	$exported{"sql_$name"}{$_} = 1 for @values;
	for my $row (@found)
	{
		is_deeply([ sort keys %$row ], [ sort @labels, @values ], "$name: labels and values");
		is(join(' ', grep { $row->{$_} !~ /^-?\d+(?:\.\d+)?$/ } @values), '', "$name: numbers");
	}
}
is_deeply([ sort keys %exported ], [ map { "sql_flagsmith_$_" } qw(environment trust webhook) ], 'every query was seen');
is(() = $exporter =~ /^        query:/mg, 3, 'and there are no others');

# The receiver's metrics, with a line of help each, are those that are asked for.
my $rules = slurp_body(data_dir('..', '..', 'prometheus', 'rules.yml'));
my @rules = $rules =~ /^        expr: (.*)$/mg;
is(scalar(@rules), () = $rules =~ /^      - alert: /mg, 'each alert has an expression');
for my $expression (@rules)
{
	while ($expression =~ /(sql_\w+)\{col="(\w+)"\}/g) { ok($exported{$1}{$2}, "$1 has $2"); }
}
SKIP:
{
	skip 'the receiver is not built', 1 unless -x ($ENV{FLAGSMITH_RECEIVER} // "$FindBin::Bin/../receiver/flagsmith-receiver-check");

	$node->safe_psql('postgres', "CREATE ROLE receiver LOGIN; SELECT flagsmith.grant_receiver('receiver')");
	my $receiver = Receiver->start($node);
	my ($status, $page) = $receiver->get('/metrics');
	my %sample = map { $_ => 1 } $page =~ /^(\w+)[ {]/mg;
	my %asked = map { $_ => 1 } map { /(flagsmith_receiver_\w+)/g } @rules, @expressions;

	cmp_ok(scalar(keys %asked), '>', 10, 'metrics are asked for');
	is(join(' ', grep { !$sample{$_} } sort keys %asked), '', 'and the receiver has them');
	$receiver->stop('the receiver');
}
SKIP:
{
	skip 'promtool is not here', 1 if system('command -v promtool >/dev/null 2>&1');
	is(system('promtool', 'check', 'rules', '--lint-fatal', data_dir('..', '..', 'prometheus', 'rules.yml')), 0, 'promtool has nothing to say');
}
$node->stop;
done_testing();
