# grafana/ and prometheus/: every query runs over t/data/cookbook.sql as a role that may only read, with Grafana's macros
# expanded, and gives what its panel shows; every metric that is named exists.  A real Prometheus scrapes the receiver and Debian's
# sql_exporter as these files have it, evaluates every rule and every expression of the dashboard, and its promtool has nothing to
# say; tools/check unpacks the packages of these three programs.  Reads files and needs a receiver, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Receiver;
use Test::More;
use Time::HiRes qw(sleep);

my $json = JSON::PP->new->canonical;
my $top = "$FindBin::Bin/..";
my $http = HTTP::Tiny->new(timeout => 10);
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my ($port, $sql_port, $receiver_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;
my @missing = grep { my $program = $_; !grep { -x "$_/$program" } split(/:/, $ENV{PATH}) } qw(prometheus promtool prometheus-sql-exporter);
my @running;

END
{
	local $?;

	$_->kill_kill for @running;
}

# Prometheus looks at what it is to scrape five seconds after it began.
if (!@missing)
{
	append_to_file("$dir/prometheus.yml", <<YML);
global: {scrape_interval: 250ms, evaluation_interval: 250ms}
scrape_configs:
  - job_name: flagsmith-receiver
    static_configs: [{targets: ['127.0.0.1:$receiver_port']}]
  - job_name: sql
    static_configs: [{targets: ['127.0.0.1:$sql_port']}]
rule_files: ['$top/prometheus/rules.yml']
YML
	push @running, IPC::Run::start([ 'prometheus', "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/tsdb", "--web.listen-address=127.0.0.1:$port" ],
		'>', "$dir/prometheus.log", '2>&1');
}
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
# What Prometheus answers; undef where it does not, yet.
sub ask
{
	my ($path, %parameters) = @_;
	my $answer = $http->get("http://127.0.0.1:$port/api/v1/$path?" . $http->www_form_urlencode(\%parameters));

	return $answer->{success} ? $json->decode($answer->{content})->{data} : undef;
}

# The values of an expression, by the labels that tell them apart.
sub values_of
{
	my ($expression, @labels) = @_;
	my $data = ask('query', query => $expression);

	return undef unless defined $data;
	return { map { my $sample = $_; join(' ', map { $sample->{metric}{$_} // '-' } @labels) => $sample->{value}[1] } @{ $data->{result} } };
}

sub wait_until
{
	my ($what, $test) = @_;

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return pass($what) if $test->();
		last if grep { !$_->pumpable } @running;
		sleep(0.1);
	}
	fail($what);
	diag(slurp_file("$dir/$_.log")) for qw(sql_exporter prometheus);
	BAIL_OUT('Prometheus does not do what it is asked for');
}

sub promtool
{
	my ($what, $stdin, @arguments) = @_;
	my $said = '';

	ok(IPC::Run::run([ 'promtool', 'check', @arguments ], '<', \$stdin, '>', \$said, '2>&1'), "promtool: $what") or diag($said);
	return;
}

# The rules by their names.
sub evaluated
{
	return map { $_->{name} => $_ } map { @{ $_->{rules} } } @{ (ask('rules') // { groups => [] })->{groups} };
}

SKIP:
{
	skip 'the receiver is not built', 1 unless -x ($ENV{FLAGSMITH_RECEIVER} // "$top/receiver/flagsmith-receiver-check");

	$node->safe_psql('postgres', "CREATE ROLE receiver LOGIN; SELECT flagsmith.grant_receiver('receiver')");
	my $receiver = Receiver->start($node, port => $receiver_port);
	my ($status, $page) = $receiver->get('/metrics');
	my %sample = map { $_ => 1 } $page =~ /^(\w+)[ {]/mg;
	my %asked = map { $_ => 1 } map { /(flagsmith_receiver_\w+)/g } @rules, @expressions;

	cmp_ok(scalar(keys %asked), '>', 10, 'metrics are asked for');
	is(join(' ', grep { !$sample{$_} } sort keys %asked), '', 'and the receiver has them');
	SKIP:
	{
		skip "@missing: not here, so nothing is scraped", 1 if @missing;

		# The exporter, with its own connections led here.
		$node->safe_psql('postgres', 'CREATE ROLE flag_reader LOGIN IN ROLE watcher');
		is($exporter =~ s{postgres://flag_reader\@/flags\?host=/var/run/postgresql&}{"postgres://flag_reader\@/postgres?host=" . $node->host . '&port=' . $node->port . '&'}ge,
			2, 'two jobs with a connection each');
		append_to_file("$dir/sql_exporter.yml", $exporter);
		push @running, IPC::Run::start([ 'prometheus-sql-exporter', '-config.file', "$dir/sql_exporter.yml", '-web.listen-address', "127.0.0.1:$sql_port" ],
			'>', "$dir/sql_exporter.log", '2>&1');
		promtool('the rules', '', 'rules', '--lint-fatal', "$top/prometheus/rules.yml");
		# It reads the older format alone, in which the name of a counter's family has what those of its samples end in.
		my $counters = join('|', $page =~ /^# TYPE (\w+) counter$/mg);
		promtool('the receiver\'s page', $page =~ s/^(# (?:HELP|TYPE) (?:$counters))(?= )/$1_total/mgr, 'metrics');
		see_scraped();
	}
	$receiver->stop('the receiver');
}

# What a Prometheus makes of all of it.
sub see_scraped
{
	# Each job of the exporter has run once.
	wait_until('both are scraped, and all queries have run', sub {
		my $up = values_of('up', 'job') // {};
		return join(' ', map { "$_ $up->{$_}" } sort keys %$up) eq 'flagsmith-receiver 1 sql 1'
		  && join(' ', sort keys %{ values_of('count by (__name__) ({__name__=~"sql_flagsmith.*"})', '__name__') // {} }) eq 'sql_flagsmith_environment sql_flagsmith_trust sql_flagsmith_webhook';
	});
	is_deeply(values_of('sql_flagsmith_webhook{webhook="shop", col=~"enabled|unusually_silent|rejected_ever"}', 'source', 'col'),
		{ 'default enabled' => 1, 'default unusually_silent' => 1, 'default rejected_ever' => 0 }, 'a webhook, as the view has it');
	is_deeply(values_of('sql_flagsmith_environment{col="flags"}', 'project', 'environment'),
		{ map { split(/\|/) } split(/\n/, $node->safe_psql('postgres', 'SELECT project || \' \' || environment, flags FROM flagsmith.environment')) }, 'environments');
	is_deeply(values_of('sql_flagsmith_trust', 'col'), { missing_entries => 0, undecoded => 0, installation_faults => 0 }, 'nothing is in doubt');
	is_deeply(values_of('flagsmith_receiver_ready', 'job'), { 'flagsmith-receiver' => 1 }, 'the receiver');

	# Every metric has a type and a line of help, in the words of these files.
	my $metadata = ask('metadata');
	my @ours = grep { /^(?:flagsmith_receiver|sql_flagsmith)_/ } sort keys %$metadata;
	cmp_ok(scalar(@ours), '>', 20, 'metrics are described');
	is(join(' ', grep { my $one = $metadata->{$_}[0]; $one->{help} eq '' || $one->{type} eq 'unknown' } @ours), '', 'each by a type and a line of help');
	is(join(' ', grep { my $name = $_ =~ s/_(?:bucket|sum|count|total|created)$//r; !$metadata->{$_} && !$metadata->{$name} && !$metadata->{"${name}_total"} }
		sort keys %{ values_of('count by (__name__) ({__name__=~"flagsmith_receiver_.*|sql_flagsmith_.*"})', '__name__') }), '', 'and no other');

	# Every rule is evaluated; the webhook has been silent for long.
	my %state;
	wait_until('all rules are evaluated', sub {
		%state = evaluated();
		return %state && !grep { $_->{health} eq 'unknown' } values %state;
	});
	is(scalar(keys %state), scalar(@rules), 'as many as there are');
	is(join(' ', map { "$_: $state{$_}{lastError}" } grep { $state{$_}{health} ne 'ok' } sort keys %state), '', 'without an error');
	wait_until('the silent webhook will be told, and nothing else', sub {
		%state = evaluated();
		return join(' ', grep { $state{$_}{state} ne 'inactive' } sort keys %state) eq 'FlagsmithWebhookSilent';
	});

	# What the dashboard asks is understood, and of what is there.
	for my $expression (@expressions)
	{
		my $found = values_of($expression =~ s/\$__rate_interval/1m/gr);

		ok(defined $found && (%$found || $expression =~ /rate\(/), "the dashboard asks $expression") or diag($json->encode([$found]));
	}
	unlike(slurp_file("$dir/sql_exporter.log"), qr/level=error|level=warn/, 'the exporter has nothing to complain of');
	# that it is a program of 32 bits is no news where all else is
	unlike(slurp_file("$dir/prometheus.log") =~ s/^.*not been compiled for a 64-bit architecture.*$//mr,
		qr/level=(?:error|warn)/, 'nor has Prometheus');
	return;
}
$node->stop;
done_testing();
