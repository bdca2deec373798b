# What the tests of several nodes share: bodies that bring a history, a publisher with it, subscribers, and questions whose
# answers must be the same on all of them.
package Nodes;

use strict;
use warnings;

use Exporter 'import';

use FlagHistory;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(publisher deliveries more subscribe synced published answers views doors);

# Random histories of $features flags in two environments, the second of which publishes versions; the same for the same $seed.
sub deliveries
{
	my (%options) = @_;
	my @deliveries;

	srand($options{seed} // 1);
	foreach my $feature (1 .. $options{features})
	{
		foreach my $environment (1, 2)
		{
			my ($some) = history($environment, $feature, $options{acts}, born => $feature * 1e6, %{ $options{more} // {} },
				name => ($options{name} // 'flag') . " $feature");

			push @deliveries, @$some;
		}
	}
	number(0.01, @deliveries);
	return sort { $a->[0] <=> $b->[0] } @deliveries;
}

# A server that may publish.
sub publisher
{
	my ($name, %options) = @_;

	return start_node($name, conf => "wal_level = logical\nmax_replication_slots = 10\nmax_wal_senders = 10\n" . ($options{conf} // ''),
		init => { allows_streaming => 'logical', %{ $options{init} // {} } });
}

# Further deliveries, once take_in() has made the webhooks of source a, as SQL.
sub more
{
	my $sql = '';

	foreach my $delivery (@_)
	{
		# Flagsmith sends ASCII
		my $body = $delivery->[2] =~ s/([^\x00-\x7f])/sprintf('\\u%04x', ord $1)/ger;

		$sql .= insert_sql("a $delivery->[1]", undef, $body, at($delivery->[0]));
	}
	return $sql;
}

sub subscribe
{
	my ($node, $publisher, %options) = @_;
	my $name = $options{name} // $node->name;
	my $connstr = $publisher->connstr($options{from} // 'postgres');

	$node->safe_psql($options{database} // 'postgres', "CREATE SUBSCRIPTION $name CONNECTION " . literal($connstr) . " PUBLICATION flag_history");
	return;
}

# Wait until a subscriber has the first copy and all that the publisher had committed.
sub synced
{
	my ($publisher, $node, %options) = @_;
	my $name = $options{name} // $node->name;
	my $database = $options{database} // 'postgres';

	$node->poll_query_until($database,
		"SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'") or die "$name: the first copy is not complete";
	$publisher->wait_for_catchup($name, 'replay', $publisher->lsn('insert'));
	return;
}

# Of every published table, all rows that were published, as one number.
sub published
{
	my ($node, %options) = @_;
	my $database = $options{database} // 'postgres';
	my @tables = split(/\n/, $node->safe_psql($database, "SELECT relation || '|' || coalesce(array_to_string(columns, ', '), 't.*') FROM flagsmith._published()"));

	return join("\n", map {
		my ($table, $columns) = split(/\|/, $_);

		"$table " . $node->safe_psql($database, "SELECT count(*), sum(hashtextextended(r::text, 0)::numeric) FROM (SELECT $columns FROM flagsmith.$table t) r");
	} @tables);
}

# Every set of rows that a door gives.
my @views = qw(environment history flag_timeline current_state history_gap missing_audit_entry audit_id_reused);

# All rows of the views as one number each; nothing is made in the database, so that a standby can be asked as well.  %options:
# views, those that are asked, and each row as its text, in the time zone of the session.
sub views
{
	my (%options) = @_;

	return join('', map { "SELECT '$_', count(*), md5(string_agg(h, '' ORDER BY h)) FROM"
		  . " (SELECT md5(convert_to(v::text, 'UTF8')) COLLATE \"C\" FROM flagsmith.$_ v) AS v (h);\n" } @{ $options{views} // \@views });
}

# Every set of rows and the answers of every door to $n questions as one number each.  The questions are the same for the same
# $seed: instants spread over the history that history() made, and names and ids that $features flags have.  Of the second of
# two questions where $load is given: { from => ..., seconds => ... }, the time in which the flags 1 to 100 of source load were changed,
# each in environment 1 + its id % 4.
# With known_at, what the doors that take it answer as of then.
sub answers
{
	my ($node, %options) = @_;
	my $database = $options{database} // 'postgres';
	my $n = $options{n} // 200;
	my $seed = $options{seed} // 1;
	my $known = defined $options{known_at} ? ', known_at => ' . literal($options{known_at}) : '';
	my $load = $options{load} // { from => '2026-03-01 00:00Z', seconds => 1 };
	my $of_load = $options{load} ? 'n % 2 = 0' : 'false';
	my $number = sub { "md5(convert_to(string_agg(coalesce(($_[0])::text, '-'), ' ' ORDER BY n, ($_[0])::text COLLATE \"C\"), 'UTF8')), count($_[0])" };
	# what is drawn is drawn by md5, which is the same everywhere
	my $question = <<SQL;
WITH drawn AS MATERIALIZED (
    SELECT n, draw(n, 'at') AS at, draw(n, 'environment') AS environment, draw(n, 'feature') AS feature, draw(n, 'name') AS name,
        CASE WHEN draw(n, 'segment') % 3 = 0 THEN ARRAY[draw(n, 'segment') / 3 % 4 + 1, 2] END AS segments,
        CASE WHEN draw(n, 'identity') % 3 = 0 THEN 'user ' || draw(n, 'identity') / 3 % 4 + 1 END AS identity
    FROM generate_series(1, $n) n
), question AS MATERIALIZED (
    SELECT n, 'a' AS source, timestamptz '2026-03-01 00:00Z' + interval '1 second' * (at % 4000) AS at, 1 + environment % 2 AS environment_id,
        1 + feature % $options{features} AS feature_id, (ARRAY['', 'Shop/', 'a/Shop/'])[1 + name % 3] AS prefix, segments, identity
    FROM drawn WHERE NOT ($of_load)
    UNION ALL
    SELECT n, 'load', timestamptz '$load->{from}' + interval '1 second' * ($load->{seconds} * (at % 100000) / 100000.0),
        1 + (1 + feature % 100) % 4, 1 + feature % 100, (ARRAY['Load/', 'load/Load/'])[1 + name % 2], segments, identity
    FROM drawn WHERE $of_load
), named AS MATERIALIZED (
    SELECT *, prefix || coalesce(flagsmith._name(source, 'environment', environment_id::text), '') AS environment,
        coalesce(flagsmith._name(source, 'feature', feature_id::text), '') AS feature
    FROM question
)
SQL
	my %ask = (
		'enabled, by id' => "is_feature_enabled(environment_id, feature_id, at, source => q.source$known)",
		'enabled, by name' => "is_feature_enabled(environment, feature, at$known)",
		'value, by id' => "get_feature_value(environment_id, feature_id, at, source => q.source$known)",
		'value, by name' => "get_feature_value(environment, feature, at$known)",
		'text, by id' => "get_feature_value_text(environment_id, feature_id, at, source => q.source$known)",
		'text, by name' => "get_feature_value_text(environment, feature, at$known)",
		'state, by id' => "feature_state(environment_id, feature_id, at, segments, identity, source => q.source$known)",
		'state, by name' => "feature_state(environment, feature, at, segments, identity$known)",
		'environment, by id' => "environment_state(environment_id, at, source => q.source$known) a WHERE n % 10 = 0",
		'environment, by name' => "environment_state(environment, at$known) a WHERE n % 10 = 0");

	if ($known eq '')
	{
		$ask{'enabled, now'} = 'is_feature_enabled(environment, feature)';
		$ask{'value, now'} = 'get_feature_value(environment_id, feature_id, source => q.source)';
		$ask{'text, now'} = 'get_feature_value_text(environment, feature)';
	}
	if ($known eq '' && ($options{pictures} // 1))
	{
		$ask{'picture, by id'} = "timeline(environment_id, feature_id, at - interval '1 hour', at, source => q.source) a WHERE n % 50 = 0 AND feature <> ''";
		$ask{'picture, by name'} = "timeline_svg(environment, feature, at - interval '1 hour', at) a WHERE n % 50 = 0 AND feature <> ''";
	}
	my $sql = ($known eq '' ? views() : '') . $question . join("UNION ALL ", map { "SELECT '$_', " . $number->('a') . ' FROM named q, flagsmith.'
		  . ($ask{$_} =~ / a WHERE / ? $ask{$_} : "$ask{$_} a") . "\n" } sort keys %ask) . "ORDER BY 1;\n";
	$sql =~ s/\bdraw\(n, '(\w+)'\)/('x' || left(md5('$seed ' || n || ' $1'), 8))::bit(32)::bigint/g;
	return $node->safe_psql($database, "SET flagsmith_webhook.unknown_name = 'ignore';\n$sql");
}

# Each door with what it says: 'ok', or code, message, detail and hint of the error.
sub doors
{
	my ($node, %options) = @_;
	my %said;
	my %doors = (
		(map { $_ => "SELECT count(*) FROM flagsmith.$_" } qw(environment history flag_timeline current_state history_gap missing_audit_entry audit_id_reused)),
		is_feature_enabled => "SELECT flagsmith.is_feature_enabled('Shop/env 1', 'flag 1', '2026-03-01 00:30Z')",
		'is_feature_enabled by id' => "SELECT flagsmith.is_feature_enabled(1, 1, source => 'a')",
		get_feature_value => "SELECT flagsmith.get_feature_value('Shop/env 1', 'flag 1')",
		'get_feature_value by id' => "SELECT flagsmith.get_feature_value(1, 1, '2026-03-01 00:30Z', source => 'a')",
		get_feature_value_text => "SELECT flagsmith.get_feature_value_text('Shop/env 1', 'flag 1')",
		'get_feature_value_text by id' => "SELECT flagsmith.get_feature_value_text(1, 1, '2026-03-01 00:30Z', source => 'a')",
		timeline => "SELECT count(*) FROM flagsmith.timeline('Shop/env 1')",
		'timeline by id' => "SELECT count(*) FROM flagsmith.timeline(1, source => 'a')",
		feature_state => "SELECT count(*) FROM flagsmith.feature_state('Shop/env 1', 'flag 1')",
		'feature_state by id' => "SELECT count(*) FROM flagsmith.feature_state(1, 1, source => 'a')",
		environment_state => "SELECT count(*) FROM flagsmith.environment_state('Shop/env 1')",
		'environment_state by id' => "SELECT count(*) FROM flagsmith.environment_state(1, source => 'a')",
		history_position => 'SELECT flagsmith.history_position()');

	foreach my $door (sort keys %doors)
	{
		my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . ($options{before} // '') . $doors{$door});
		my @lines = map { s/^psql:\S+ //r } grep { /ERROR|DETAIL|HINT/ } split(/\n/, $err);

		push @{ $said{ $status == 0 ? 'ok' : join("\n", @lines) } }, $door;
	}
	return \%said;
}

1;
