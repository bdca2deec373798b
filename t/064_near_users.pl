# What a user was given of a flag with versions that never had an override is told by what is near, too: the same answers as after
# an override of somebody else, which nothing that was asked depends on, but after which all of the history is read.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use JSON::PP;
use Test::More;

my $seed = $ENV{FSW_SEED} // time;
note("FSW_SEED=$seed repeats this run");
srand($seed);

my $node = start_node('near_users');
my $acts = $ENV{FSW_NEAR_ACTS} // 36;
my @told;
my @after;
my %flag = (
	plain => [ 101, pace => 5, deleted => 0 ],
	calm => [ 102, pace => 20, lost => 0, deleted => 0 ],
	ties => [ 103, ties => 0.3, pace => 20, deleted => 0 ],
	lossy => [ 104, lost => 0.2, pace => 20, deleted => 0 ],
	unlisted => [ 105, unlisted => 0.3, pace => 20, deleted => 0 ],
	scheduled => [ 106, scheduled => 0.1, pace => 20, deleted => 0 ],
	deleted => [ 107, pace => 20, deleted => 1 ],
	long => [ 108, acts => 110, pace => 20, lost => 0, deleted => 0 ],
	# lists show overrides of which no event came
	untold => [ 109, overrides => 0.3, pace => 20, lost => 0, deleted => 0 ],
	rarely => [ 110, overrides => 0.05, pace => 20, lost => 0.02, unlisted => 0.05, deleted => 0 ]);

# Is it an event of an override?
sub is_override
{
	my $state = decode_json($_[0][2])->{data}{new_state} // {};

	return defined $state->{feature_segment} || defined $state->{identity};
}

foreach my $name (sort keys %flag)
{
	my ($feature, %options) = @{ $flag{$name} };
	my ($deliveries, undef, $last) = history(2, $feature, delete $options{acts} // $acts, overrides => 0, %options);

	push @told, grep { !is_override($_) } @$deliveries;
	push @after, event($last, $last + 1e6, 2, $feature, state(1, 'of another'), undef, identity => 9);
}
@told = sort { $a->[0] <=> $b->[0] } @told;
number($ENV{FSW_NEAR_HOLES} // 0.02, @told);
take_in($node, 'near', @told);
keep_periods($node);

# Every other boundary, and as many questions of the long one as of the others.
my $states = <<'SQL';
SELECT b.feature_id AS of, b.at, a.segments, a.identity, s.*
FROM (SELECT DISTINCT p.feature_id, v.at + d * interval '1 us' AS at FROM period p, LATERAL (VALUES (p."from"), (p."to")) v (at), generate_series(-1, 1) d
      WHERE p.scope = '' AND v.at IS NOT NULL AND p.run % CASE p.feature_id WHEN 108 THEN 6 ELSE 2 END = 0) b
CROSS JOIN (VALUES ('{1}'::bigint[], NULL), ('{1,2,3}', NULL), (NULL, 'user 1'), ('{2}', 'nobody')) a (segments, identity)
LEFT JOIN LATERAL flagsmith.feature_state(2, b.feature_id, b.at, a.segments, a.identity) s ON true
SQL

# Pages for one answer.
sub user_pages
{
	my ($at) = @_;

	return pages($node, "SELECT * FROM flagsmith.feature_state(2, 108, '$at', '{1,2}', 'nobody')");
}
my @instants = map { at(10000e6 + 1000e6 * $_) } 0 .. 79;
my @near = map { user_pages($_) } @instants;

$node->safe_psql('postgres', "CREATE TABLE near AS $states");
take_in_more(@after);
$node->safe_psql('postgres', "CREATE TABLE whole AS $states");
foreach my $name (sort keys %flag)
{
	my $feature = $flag{$name}[0];

	none_differs($node, "users of a $name flag", <<"SQL", 100);
SELECT count(*), count(*) FILTER (WHERE n IS DISTINCT FROM w), min(n::text || ' ' || w::text) FILTER (WHERE n IS DISTINCT FROM w)
FROM (SELECT * FROM near WHERE of = $feature) n
FULL JOIN (SELECT * FROM whole WHERE of = $feature) w
    ON w.at = n.at AND w.segments IS NOT DISTINCT FROM n.segments AND w.identity IS NOT DISTINCT FROM n.identity
SQL
}
is($node->safe_psql('postgres', 'SELECT count(DISTINCT confidence) > 2 FROM near WHERE segments IS NOT NULL'), 't', 'some are surer than others');

# Next to versions that overlap more is read, at last all.
my @whole = map { user_pages($_) } @instants;
my $few = grep { $near[$_] * 2 < $whole[$_] } 0 .. $#instants;
cmp_ok($few, '>=', 3, "answers that read few pages: @near; of all: @whole");

done_testing();

# Further deliveries by the webhooks that are there.
sub take_in_more
{
	my @deliveries = @_;
	my $rows = join(",\n", map { my $body = $_->[2] =~ s/'/''/gr; "('near $_->[1]', convert_to('$body', 'UTF8'), '" . at($_->[0]) . "')" } @deliveries);

	$node->safe_psql('postgres', "INSERT INTO flagsmith.inbox (webhook, body, received_at) VALUES $rows");
	return;
}
