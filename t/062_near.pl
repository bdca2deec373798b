# Lookups in long histories of versions, of which little is read, against the periods of flag_timeline, of which all is: the same
# answers 1 us around every boundary, and few pages read for most of them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Test::More;

my $seed = $ENV{FSW_SEED} // time;
note("FSW_SEED=$seed repeats this run");
srand($seed);

my $node = start_node('near');
my $acts = $ENV{FSW_NEAR_ACTS} // 60;
my @told;
my %flag = (
	calm => [ 101, pace => 20, lost => 0, deleted => 0 ],
	usual => [ 102, pace => 20, deleted => 0 ],
	busy => [ 103, deleted => 0 ],
	plain => [ 104, overrides => 0, pace => 5, deleted => 0 ],
	overrides => [ 105, overrides => 0.95, pace => 20, lost => 0.01, deleted => 0 ],
	ties => [ 106, ties => 0.3, pace => 20, deleted => 0 ],
	lossy => [ 107, lost => 0.2, pace => 20, deleted => 0 ],
	unlisted => [ 108, unlisted => 0.3, pace => 20, deleted => 0 ],
	scheduled => [ 109, scheduled => 0.1, pace => 20, deleted => 0 ],
	deleted => [ 110, pace => 20, deleted => 1 ],
	long => [ 112, acts => 400, overrides => 0, pace => 20, lost => 0, deleted => 0 ],
	mixed => [ 111, pace => 5, lost => 0.02, scheduled => 0.02, unlisted => 0.02, deleted => 0 ],
);

foreach my $name (sort keys %flag)
{
	my ($feature, %options) = @{ $flag{$name} };
	my ($deliveries) = history(2, $feature, delete $options{acts} // $acts, %options);

	push @told, @$deliveries;
}
@told = sort { $a->[0] <=> $b->[0] } @told;
number($ENV{FSW_NEAR_HOLES} // 0.001, @told);
take_in($node, 'near', @told);
# States read from the API, which come without the feature's name.
for (1 .. 3)
{
	my $page = join(',', map { my $on = rand() < 0.5 ? 'true' : 'false'; my $value = int(rand(5));
			qq({"id": 1, "feature": $_, "environment": 2, "identity": null, "feature_segment": null, "enabled": $on, "feature_state_value": $value}) }
		101, 102, 104, 111);

	$node->safe_psql('postgres', "SELECT flagsmith.import_feature_states('[$page]', 'near/Shop/env 2', '" . at(int(rand(60000e6))) . "')");
}

keep_periods($node);

foreach my $name (sort keys %flag)
{
	my $feature = $flag{$name}[0];
	# as many questions of the long one as of the others
	my $some = $name eq 'long' ? 'p.run % 5 = 0' : 'true';

	# where almost all acts are about overrides, the default may change once or twice
	as_periods($node, "the default of a $name history", <<"SQL", $name eq 'overrides' ? 5 : 20);
(SELECT DISTINCT v.at + d * interval '1 us' AS at FROM period p, LATERAL (VALUES (p."from"), (p."to")) v (at), generate_series(-1, 1) d
      WHERE p.feature_id = $feature AND p.scope = '' AND v.at IS NOT NULL AND $some) b
JOIN period p ON p.feature_id = $feature AND p.scope = '' AND p."from" <= b.at AND (b.at < p."to" OR p."to" IS NULL) AND NOT p.removed
LEFT JOIN LATERAL flagsmith.feature_state(2, $feature, b.at) s ON true
SQL
}

# Of a long history, little is read: pages for one answer, beside those for all periods; in a session that has read before.
# Next to versions that overlap more is read, at last all, and there are some in any history.
my @pages = sort { $a <=> $b } map { pages($node, "SELECT * FROM flagsmith.feature_state(2, 112, '" . at(40000e6 + 5000e6 * $_) . "')") } 0 .. 39;
my @few = grep { $_ < 1000 } @pages;
cmp_ok(pages($node, "SELECT * FROM flagsmith._flag_periods('near', 2, 112)"), '>', 1200, 'pages read for all periods');
cmp_ok(scalar(@few), '>=', 3, "answers that read few pages, of those that read @pages");

done_testing();
