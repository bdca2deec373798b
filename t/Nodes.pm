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

our @EXPORT = qw(publisher deliveries more subscribe synced published answers doors);

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

# Every set of rows that a door gives, as one number, of what history() made; and answers about instants and pairs spread over the history.
my %rows = (
	history => "SELECT h::text FROM flagsmith.history h WHERE at < '2026-06-01'",
	timeline => "SELECT t::text FROM flagsmith.flag_timeline t WHERE source = 'a'",
	current => "SELECT c::text FROM flagsmith.current_state c WHERE source = 'a'",
	gaps => "SELECT g::text FROM flagsmith.history_gap g WHERE source = 'a'",
	missing => 'SELECT m::text FROM flagsmith.missing_audit_entry m',
	reused => 'SELECT r::text FROM flagsmith.audit_id_reused r');

# Answers to $n questions, the same questions for the same $seed, of names and instants that $of, a list of rows, has.
sub answers
{
	my ($node, %options) = @_;
	my $database = $options{database} // 'postgres';
	my $known = defined $options{known_at} ? ', known_at => ' . literal($options{known_at}) : '';
	my $n = $options{n} // 200;
	my $seed = $options{seed} // 1;
	my $sql = $known eq '' ? join('', map { "SELECT '$_', count(*), md5(convert_to(coalesce(string_agg(r, chr(10) ORDER BY r COLLATE \"C\"), ''), 'UTF8')) FROM ($rows{$_}) AS q (r);\n" } sort keys %rows) : '';

	# instants and pairs are drawn by md5, which is the same everywhere
	$sql .= <<SQL;
CREATE TEMP VIEW question AS
SELECT n, timestamptz '2026-03-01 00:00Z' + interval '1 second' * (draw(n, 'at') % 4000) AS at,
    (ARRAY['', 'Shop/', 'a/Shop/'])[1 + draw(n, 'environment') / 2 % 3]
        || coalesce(flagsmith._name('a', 'environment', (1 + draw(n, 'environment') % 2)::text), '') AS environment,
    1 + draw(n, 'environment') % 2 AS environment_id,
    1 + draw(n, 'feature') % $options{features} AS feature_id,
    CASE WHEN draw(n, 'segment') % 3 = 0 THEN ARRAY[draw(n, 'segment') / 3 % 4 + 1, 2] END AS segments,
    CASE WHEN draw(n, 'identity') % 3 = 0 THEN 'user ' || draw(n, 'identity') / 3 % 4 + 1 END AS identity
FROM generate_series(1, $n) n;
SET flagsmith_webhook.unknown_name = 'ignore';
SELECT 'enabled', md5(convert_to(string_agg(coalesce(a::text, '-'), ' ' ORDER BY n), 'UTF8')), count(a)
    FROM question, flagsmith.is_feature_enabled(environment_id, feature_id, at, source => 'a'$known) a;
SELECT 'value', md5(convert_to(string_agg(coalesce(a::text, '-'), ' ' ORDER BY n), 'UTF8')), count(a)
    FROM question, flagsmith.get_feature_value(environment_id, feature_id, at, source => 'a'$known) a;
SELECT 'state', md5(convert_to(string_agg(a::text, ' ' ORDER BY n), 'UTF8')), count(*)
    FROM question, flagsmith.feature_state(environment_id, feature_id, at, segments, identity, source => 'a'$known) a;
SELECT 'environment', md5(convert_to(string_agg(a::text, ' ' ORDER BY n, a::text COLLATE "C"), 'UTF8')), count(*)
    FROM question, flagsmith.environment_state(environment_id, at, source => 'a'$known) a WHERE n <= 20;
SQL
	$sql .= <<SQL if $known eq '';
SELECT 'by name', md5(convert_to(string_agg(coalesce(a::text, '-'), ' ' ORDER BY n), 'UTF8')), count(a)
    FROM question, flagsmith.is_feature_enabled(environment, coalesce(flagsmith._name('a', 'feature', feature_id::text), ''), at) a;
SELECT 'now', md5(convert_to(string_agg(coalesce(a::text, '-'), ' ' ORDER BY n), 'UTF8')), count(a)
    FROM question, flagsmith.get_feature_value(environment, coalesce(flagsmith._name('a', 'feature', feature_id::text), '')) a;
SQL
	return $node->safe_psql($database, "CREATE FUNCTION pg_temp.draw(n bigint, what text) RETURNS bigint LANGUAGE sql IMMUTABLE"
		  . " RETURN ('x' || left(md5($seed || ' ' || n || ' ' || what), 8))::bit(32)::bigint;\n" . ($sql =~ s/\bdraw\(/pg_temp.draw(/gr));
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
