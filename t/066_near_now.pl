# What a flag with versions is after all evidence is told by the last of its versions: the same as the last of its periods, by every
# door, and of a long history without reading all of it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Test::More;

my $seed = $ENV{FSW_SEED} // time;
note("FSW_SEED=$seed repeats this run");

my $node = start_node('near_now');
my @told;
my $nflags = $ENV{FSW_NEAR_FLAGS} // 90;
my $nlong = 4;
my $long = 100 + $nflags;

# Whether the end of a history is told by what is near depends on how its last versions overlap, so these are always the same.
for my $i (0 .. $nlong - 1)
{
	srand(1 + $i);
	push @told, @{ (history(2, $long + $i, 150, pace => 20, lost => 0, overrides => 0, deleted => 0))[0] };
}
srand($seed);

for my $feature (100 .. $long - 1)
{
	my ($deliveries) = history(2, $feature, 6 + int(rand(30)), pace => (1, 5, 20)[ int(rand(3)) ], lost => (0, 0.02, 0.2)[ int(rand(3)) ],
		overrides => (0, 0, 0.4)[ int(rand(3)) ], unlisted => (0, 0.2)[ int(rand(2)) ], scheduled => (0, 0.1)[ int(rand(2)) ],
		ties => (0, 0.2)[ int(rand(2)) ], deleted => (0, 0.3)[ int(rand(2)) ]);

	push @told, @$deliveries;
}
@told = sort { $a->[0] <=> $b->[0] } @told;
number($ENV{FSW_NEAR_HOLES} // 0.005, @told);
take_in($node, 'now', @told);
keep_periods($node);

as_periods($node, 'feature_state() without an instant', <<"SQL", $nflags / 2);
period p
LEFT JOIN LATERAL flagsmith.feature_state(2, p.feature_id) s ON true
WHERE p.environment_id = 2 AND p.scope = '' AND p."to" IS NULL AND NOT p.removed
SQL
as_periods($node, 'environment_state() without an instant', <<"SQL", $nflags / 2);
(SELECT * FROM period WHERE environment_id = 2 AND scope = '' AND "to" IS NULL AND NOT removed) p
FULL JOIN flagsmith.environment_state(2) s USING (feature_id)
SQL
as_periods($node, 'current_state', <<"SQL", $nflags);
(SELECT * FROM period WHERE environment_id = 2 AND "to" IS NULL AND (enabled IS NOT NULL OR confidence = 'unknown')) p
FULL JOIN (SELECT *, COALESCE(segment_id::text, 'identity ' || identity, '') AS scope, NULL::timestamptz AS next_change FROM flagsmith.current_state
           WHERE environment_id = 2) s USING (feature_id, scope)
SQL

my @all = map { pages($node, "SELECT * FROM flagsmith._flag_periods('now', 2, $_)") } $long .. $long + $nlong - 1;
my @few = map { pages($node, "SELECT * FROM flagsmith.feature_state(2, $_)") } $long .. $long + $nlong - 1;
cmp_ok(scalar(grep { $few[$_] * 4 < $all[$_] } 0 .. $#all), '>=', 1, "of some little is read: pages @few, of @all");

done_testing();
