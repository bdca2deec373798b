# Random histories of flags as deliveries, for the tests that compare timelines.
package FlagHistory;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use Test::More;

our @EXPORT = qw(as_periods at entry state event history keep_periods none_differs number pages take_in);

my $json = JSON::PP->new->canonical->allow_nonref;
my $audit_id = 0;

# Microseconds since the start of March, as text in the form that Flagsmith sends.
sub at
{
	my ($us) = @_;
	my $seconds = int($us / 1e6);
	my $days = int($seconds / 86400);

	return sprintf('2026-%02d-%02dT%02d:%02d:%02d.%06dZ', $days < 31 ? (3, 1 + $days) : (4, $days - 30),
		int($seconds / 3600) % 24, int($seconds / 60) % 60, $seconds % 60, $us % 1e6);
}

# Names as they are at an instant: {name => ...}, or {names => [[since, name], ...]}.
sub name_at
{
	my ($names, $otherwise, $us) = @_;
	my $name = $otherwise;

	for (@{ $names || [] })
	{
		$name = $_->[1] if $_->[0] <= $us;
	}
	return $name;
}

sub project
{
	my (%more) = @_;
	my $id = $more{project} // 7;

	return { id => $id, name => $id == 7 ? 'Shop' : "Shop $id" };
}

# A delivery: [arrival, webhook without its source, body].
sub entry
{
	my ($us, $environment, $type, $log, %more) = @_;

	return [ $us + 1e6 + int(rand(3e6)), 'org', $json->encode({ event_type => 'AUDIT_LOG_CREATED', data => {
		# far apart, as where others take ids as well, unless number() gives others
		id => 1000 * ++$audit_id, created_date => at($us), log => $log, author => undef, related_object_type => $type,
		related_object_id => $more{id}, related_object_uuid => $more{uuid}, is_system_event => JSON::PP::false,
		project => { %{ project(%more) }, organisation => 1, prevent_flag_defaults => JSON::PP::false },
		environment => $environment ? { id => $environment, name => name_at($more{environment_names}, "env $environment", $us) } : undef } }) ];
}

sub state
{
	my ($enabled, $value) = @_;

	return { enabled => $enabled ? JSON::PP::true : JSON::PP::false, feature_state_value => $value,
		multivariate_feature_state_values => [] };
}

sub event
{
	my ($us, $arrived, $environment, $feature, $after, $before, %more) = @_;
	my $nested = sub {
		return { %{ $_[0] }, feature => { id => $feature, name => $more{name} // "flag $feature", type => 'STANDARD', description => undef,
				default_enabled => JSON::PP::false, initial_value => 'first', created_date => at($more{born} // 0),
				project => project(%more) },
			environment => { id => $environment, name => name_at($more{environment_names}, "env $environment", $us) },
			identity => $more{identity}, identity_identifier => $more{identity} ? "user $more{identity}" : undef,
			feature_segment => $more{segment} ? { priority => $more{segment},
				segment => { id => $more{segment}, name => "segment $more{segment}", description => undef } } : undef };
	};
	my $data = { changed_by => $more{by} // 'ada@example.com', timestamp => $more{untimed} ? '' : at($us),
		new_state => $after ? $nested->($after) : undef };

	$data->{previous_state} = $nested->($before) if $before;
	return [ $arrived, 'org', $json->encode({ event_type => $after ? 'FLAG_UPDATED' : 'FLAG_DELETED', data => $data }) ];
}

# A random history of one flag, with everything that can happen, in environment 2 with feature versioning; of the options:
#   complete   each act told, by its entry and its event, and nothing else
#   born       when the flag was created
#   ties       how likely an act has the time of the one before
#   untimed    how likely an event has an empty timestamp
#   pace       how many times the time between acts is what it is otherwise
#   lost       how likely a delivery is, 0.05 unless given
#   unlisted   how likely a version has no list
#   scheduled  how likely a version goes live long after its entry
#   quiet      how likely an act has no audit entries
#   overrides  how likely an act is about an override
#   deleted    how likely the flag is deleted in the end
#   name, project, environment_names
# Returns the deliveries, the acts of the environment default if complete, and the time of the last act.
sub history
{
	my ($environment, $feature, $nacts, %options) = @_;
	my $complete = $options{complete};
	my %who = map { $_ => $options{$_} } qw(project environment_names name born);
	my $name = $options{name} // "flag $feature";
	my $born = $options{born} // 0;
	my @deliveries = (entry($born, 0, 'FEATURE', "New Flag / Remote Config created: $name", %who, id => $feature));
	my @model;
	my %held = ('' => state(0, 'first'));
	my $us = $born + 10e6;

	for my $act (1 .. $nacts)
	{
		my %scope = $complete || rand() >= ($options{overrides} // 0.4) ? () : rand() < 0.7 ? (segment => 1 + int(rand(3))) : (identity => 1 + int(rand(2)));
		my $key = join(' ', %scope);
		my $after = state(rand() < 0.5, rand() < 0.2 ? undef : int(rand(6)));
		my $uuid = sprintf('%08x-0000-4000-8000-%06x%06x', $environment, $feature, $act);
		my $named = $scope{segment} ? " and segment 'segment $scope{segment}'" : $scope{identity} ? " and identity 'user $scope{identity}'" : '';
		my $quiet = rand() < ($options{quiet} // 0);
		my @act;

		if (rand() >= ($options{ties} // 0))
		{
			$us += $complete || rand() < 0.7 ? ($options{pace} // 1) * (20e6 + int(rand(60e6))) : rand() < 0.2 ? 0 : int(rand(2e6));
		}
		if (!$complete && %scope && rand() < 0.2)
		{
			push @act, entry($us, $environment, $scope{segment} ? 'FEATURE' : 'FEATURE_STATE',
				"Flag state / Remote config value deleted for feature '$name'$named", %who, id => $feature);
			delete $held{$key};
		}
		elsif ($environment == 2 && !$scope{identity})
		{
			my $late = rand() < ($options{scheduled} // 0) ? 20e6 + int(rand(3600e6)) : rand() < 0.1 ? int(rand(90e6)) : 0;

			push @act, event($us, $us + 3e5 + int(rand(2e6)) + $late, 2, $feature, $after, $held{$key}, %who, %scope, by => "user $act");
			push @act, entry($us + int(rand(1e6)), 2, 'EF_VERSION', "New version published for feature: $name", %who, uuid => $uuid);
			$held{$key} = $after;
			push @act, [ $us + 3e5 + int(rand(3e6)) + $late, 'env', $json->encode({ event_type => 'NEW_VERSION_PUBLISHED', data => {
				uuid => $uuid, published_by => undef, feature => { id => $feature, name => $name }, feature_states => [
					map { { enabled => $_->{enabled}, value => $_->{feature_state_value}, multivariate_feature_state_values => [] } }
					map { $held{$_} } grep { !/identity/ } sort keys %held ] } }) ] if rand() >= ($options{unlisted} // 0);
		}
		else
		{
			my $before = rand() < 0.4 ? $held{''} : $held{$key};

			push @act, entry($us, $environment, 'FEATURE_STATE', %scope ?
				"Flag state / Remote config value updated for feature '$name'$named" : "Flag state updated for feature: $name", %who)
				if !$quiet;
			push @act, entry($us + int(rand(4e5)) - 1e5, $environment, 'FEATURE_STATE', "Remote config value updated for feature: $name", %who)
				if !$quiet && !%scope && rand() < 0.4;
			push @act, event($us, $us + 1e6 + int(rand(5e6)), $environment, $feature, $after, $before, %who, %scope, by => "user $act",
				untimed => !$complete && rand() < ($options{untimed} // 0.02));
			$held{$key} = $after;
			push @model, [ $us, $after ] if $complete;
		}
		push @act, entry($us + 5e5, 0, 'FEATURE', "Multivariate option added to feature '$name'.", %who, id => $feature)
			if !$complete && !$quiet && rand() < 0.03;
		@act = grep { $complete || rand() > ($options{lost} // 0.05) } @act;
		push @act, map { [ $_->[0] + int(rand(60e6)), @$_[1, 2] ] } grep { rand() < 0.1 } @act;
		push @deliveries, @act;
	}
	if (!$complete && rand() < ($options{deleted} // 0.5))
	{
		$us += 30e6;
		push @deliveries, event($us - 20e6, $us, $environment, $feature, undef, state(1, 'old'), %who) for 1 .. 2;
		push @deliveries, entry($us, 0, 'FEATURE', "Flag / Remote Config Deleted: $name", %who, id => $feature) if rand() < 0.7;
	}
	return (\@deliveries, \@model, $us);
}

# Give the audit entries ids without a hole, in the order of their times, but for some that are left out.
sub number
{
	my ($loss, @deliveries) = @_;
	my @entries;
	my $id = 0;

	# What entry() wrote, in an order of its own; to decode and encode all of it again would take longer than the server does.
	foreach my $delivery (@deliveries)
	{
		my ($created, $old) = $delivery->[2] =~ /"created_date":"([^"]*)".*"id":(\d+),"is_system_event"/s or next;

		# a whole second has no fraction
		push @entries, [ $delivery, $created =~ s/:(\d\d)Z$/:$1.000000Z/r, $old ];
	}
	foreach my $entry (sort { $a->[1] cmp $b->[1] || $a->[2] <=> $b->[2] } @entries)
	{
		$id += rand() < $loss ? 2 : 1;
		$entry->[0][2] =~ s/"id":\d+(?=,"is_system_event")/"id":$id/;
	}
	return;
}

# Take deliveries in, as those of one source.
sub take_in
{
	my ($node, $source, @deliveries) = @_;
	my $sql = "SELECT flagsmith.add_webhook('$source org', source => '$source', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL);\n"
	  . "SELECT flagsmith.add_webhook('$source env', source => '$source', scope => 'environment', environment_id => 2, allow_unsigned => true, max_spool_age => NULL);\n"
	  . "CREATE TEMP TABLE spool (n serial, webhook text, body text, at timestamptz);\nCOPY spool (webhook, body, at) FROM STDIN;\n";

	foreach my $delivery (@deliveries)
	{
		my $body = $delivery->[2] =~ s/\\/\\\\/gr;

		$sql .= join("\t", "$source $delivery->[1]", $body, at($delivery->[0])) . "\n";
	}
	$sql .= "\\.\nINSERT INTO flagsmith.inbox (webhook, body, received_at) SELECT webhook, convert_to(body, 'UTF8'), at FROM spool ORDER BY n;\n";
	$node->safe_psql('postgres', $sql);
}

# Keep all periods in a table, with the time over which the state stays the same.
sub keep_periods
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
VACUUM ANALYZE;
CREATE TABLE period AS
SELECT p.*, min(p."from") OVER r AS since, NULLIF(max(COALESCE(p."to", 'infinity')) OVER r, 'infinity') AS until
FROM (SELECT p.*, count(*) FILTER (WHERE p.changed) OVER s AS run
      FROM (SELECT f.project_id, f.environment_id, f.feature_id, p.*, COALESCE(p.segment_id::text, 'identity ' || p.identity, '') AS scope,
                (p.enabled, p.value, p.variants, p.removed) IS DISTINCT FROM (lag(p.enabled) OVER s, lag(p.value) OVER s,
                    lag(p.variants) OVER s, lag(p.removed) OVER s) AS changed
            FROM flagsmith._flag f, LATERAL flagsmith._flag_periods(f.source, f.environment_id, f.feature_id) p
            WINDOW s AS (PARTITION BY f.environment_id, f.feature_id, p.segment_id, p.identity ORDER BY p."from")) p
      WINDOW s AS (PARTITION BY p.environment_id, p.feature_id, p.scope ORDER BY p."from")) p
WINDOW r AS (PARTITION BY p.environment_id, p.feature_id, p.scope, p.run);
CREATE INDEX ON period (environment_id, feature_id, scope, "from");
SQL
	return;
}

# How many pages an answer reads, in a session that has read before.
sub pages
{
	my ($node, $sql) = @_;
	my ($hit) = $node->safe_psql('postgres', "$sql; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) $sql") =~ /shared hit=(\d+)/;

	return $hit;
}

# Of a query that gives how many were compared, how many differ and one of these.
sub none_differs
{
	my ($node, $what, $sql, $least) = @_;
	my ($n, $bad, $first) = split(/\|/, $node->safe_psql('postgres', $sql));

	cmp_ok($n, '>=', $least, "$what: $n");
	is($bad, 0, "$what: none differs") or diag($first);
	return;
}

# Of answers s joined with the periods p that keep_periods() kept, at least so many: each is what its period says.
sub as_periods
{
	my ($node, $what, $joined, $least) = @_;

	none_differs($node, $what, <<"SQL", $least);
SELECT count(*), count(*) FILTER (WHERE bad), min(q::text) FILTER (WHERE bad)
FROM (SELECT s, p, (s.enabled, s.value, s.variants, s.confidence, s.cause, s.since, s.next_change, s.changed_by, s.delivery_id) IS DISTINCT FROM
          (p.enabled, p.value, p.variants, p.confidence, p.cause, p.since, p.until, p.changed_by, p.delivery_id) AS bad
      FROM $joined) q
SQL
	return;
}

1;
