# Flags whose versions follow each other within minutes or less: an instant in the middle is answered as all evidence would, also where
# events come minutes late, and without reading all.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use JSON::PP;
use Test::More;

my $json = JSON::PP->new->canonical->allow_nonref;
my $node = start_node('dense');

# Versions of a flag, each of which changes the override of one of so many segments, about every so many seconds; apart: so many more
# between the first two.  Of those that are told late, one of ten events, lists and entries comes so many seconds late at most, and one of
# twenty versions removes an override, which no event tells.
sub versions
{
	my ($feature, %options) = @_;
	my %held = ('' => FlagHistory::state(0, 'first'));
	my @told = (entry(0, 0, 'FEATURE', "New Flag / Remote Config created: flag $feature", id => $feature));
	my $us = 10e6;

	for my $i (1 .. $options{versions})
	{
		my $segment = 1 + int(rand($options{segments}));
		my $after = FlagHistory::state(rand() < 0.5, int(rand(6)));
		my $uuid = sprintf('%08x-0000-4000-8000-%012x', $feature, $i);
		my $removes = $options{late} && exists $held{$segment} && rand() < 0.05;
		my $late = sub { return $options{late} && rand() < 0.1 ? int(rand($options{late} * 1e6)) : 0 };
		my $entry = entry($us + int(rand(3e5)), 2, 'EF_VERSION', "New version published for feature: flag $feature", uuid => $uuid);

		push @told, event($us, $us + 3e5 + int(rand(5e5)) + $late->(), 2, $feature, $after, $held{$segment}, segment => $segment, by => "user $i")
			unless $removes;
		$entry->[0] += $late->();
		push @told, $entry;
		$held{$segment} = $after;
		delete $held{$segment} if $removes;
		push @told, [ $us + 3e5 + int(rand(5e5)) + $late->(), 'env', $json->encode({ event_type => 'NEW_VERSION_PUBLISHED', data => {
			uuid => $uuid, published_by => undef, feature => { id => $feature, name => "flag $feature" }, feature_states => [
				map { { enabled => $_->{enabled}, value => $_->{feature_state_value}, multivariate_feature_state_values => [] } }
				map { $held{$_} } sort keys %held ] } }) ];
		$us += int($options{every} * 1e6 * (0.5 + rand())) + ($i == 1 ? $options{apart} * 1e6 : 0);
	}
	return @told;
}

# a history of which one answer was wrong while far events had a say
srand(2);
my @told = sort { $a->[0] <=> $b->[0] } (
	versions(301, versions => 150, every => 100, apart => 300, segments => 4, late => 300),
	versions(302, versions => 600, every => 40, apart => 0, segments => 20));
number(0, @told);
take_in($node, 'dense', @told);
keep_periods($node);

for my $feature (301, 302)
{
	as_periods($node, "the default of flag $feature around all of its versions", <<"SQL", 300);
(SELECT DISTINCT v.at + d * interval '1 us' AS at FROM period p, LATERAL (VALUES (p."from"), (p."to")) v (at), generate_series(-1, 1) d
      WHERE p.feature_id = $feature AND v.at IS NOT NULL) b
JOIN period p ON p.feature_id = $feature AND p.scope = '' AND p."from" <= b.at AND (b.at < p."to" OR p."to" IS NULL) AND NOT p.removed
LEFT JOIN LATERAL flagsmith.feature_state(2, $feature, b.at) s ON true
SQL
}

my $all = pages($node, "SELECT * FROM flagsmith._flag_periods('dense', 2, 302)");
my @pages = sort { $a <=> $b } map { pages($node, "SELECT * FROM flagsmith.feature_state(2, 302, '" . at(6000e6 + 1000e6 * $_) . "')") } 0 .. 9;
cmp_ok($pages[5], '<', $all / 2, "pages of an answer in the middle, of @pages, less than half of the $all for all periods");

done_testing();
