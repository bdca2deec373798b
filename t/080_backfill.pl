# tools/backfill against a small HTTP server that answers as Flagsmith's REST API does, from a real audit log.
# Not a regress test, since it needs HTTP.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;

if (grep { system("command -v $_ >/dev/null 2>&1") } qw(curl xz))
{
	plan skip_all => 'curl or xz is not here';
}

my $json = JSON::PP->new->canonical->ascii;
my $file = data_dir('run', 'audit_rest.jsonl.xz');
# The id of each entry, and its text by its id, since pages are made of many.
my (@entries, %text);
for my $line (split(/\n/, `xz -dc '$file'`))
{
	push @entries, $line =~ /^\{"id": (\d+),/;
	$text{ $entries[-1] } = $line;
}
my $key = 'a master key that no log may show';
my $tmp = PostgreSQL::Test::Utils::tempdir_short();
my $log = "$tmp/requests";
my $state = "$tmp/state";
my ($project, $environment) = @{ $json->decode((grep { !/"environment": null/ } @text{@entries})[0]) }{qw(project environment)};
my $page_size = 500;
my $rolled_back = 1350;

sub answer
{
	my ($target) = @_;
	my %query = $target =~ /(\w+)=(\w*)/g;
	my @listed = listed($target);

	return @listed if @listed;
	return (403, '{}') if $target =~ m{^/api/v1/organisations/5/};
	if ($target =~ m{^/api/v1/projects/\d+/features/})
	{
		return (200, $json->encode({ count => 1, next => undef, previous => undef, results => [ { id => 17, name => 'flag 17', type => 'STANDARD',
			created_date => '2026-01-01T00:00:00Z', default_enabled => JSON::PP::false, initial_value => undef,
			environment_feature_state => { id => 1, enabled => JSON::PP::true, environment => $query{environment} + 0, identity => undef,
				feature_segment => undef, feature_state_value => 42 } } ] }));
	}

	# One entry, with its details.  What Flagsmith rolled back has an id, and is nowhere.
	if ($target =~ m{^/api/v1/organisations/4/audit/(\d+)/})
	{
		my $entry = $1 == $rolled_back ? undef : $text{$1};

		return $entry ? (200, $json->encode({ %{ $json->decode($entry) }, change_type => 'UPDATE', change_details => [] })) : (404, '{}');
	}
	if ($target =~ m{^/api/v1/organisations/[14]/audit/})
	{
		# How many of the newest are not there, and the page that fails.
		my ($without, $fails) = split(/ /, -e "$tmp/world" ? slurp_body("$tmp/world") : '0 3');
		my @log = grep { $target !~ m{/4/} || $_ != $rolled_back } @entries[$without .. $#entries];
		my $size = $query{page_size} > 999 ? 999 : $query{page_size};
		my $first = ($query{page} - 1) * $size;
		my $last = $first + $size - 1;

		return (404, '{}') if $query{page} == $fails || $first > $#log;
		$last = $#log if $last > $#log;
		return (200, sprintf('{"count": %d, "next": %s, "previous": null, "results": [%s]}', scalar(@log),
			$last < $#log ? '"http://elsewhere/"' : 'null', join(', ', @text{ @log[$first .. $last] })));
	}
	return (200, $json->encode({ count => 0, next => undef, previous => undef, results => [] }))
		if $target =~ m{^/api/v1/organisations/3/audit/};
	my %state = (environment => $query{environment} + 0, identity => undef, feature_segment => undef, enabled => JSON::PP::true,
		multivariate_feature_state_values => [],
		feature_state_value => { type => 'int', string_value => undef, integer_value => 42, boolean_value => undef });
	return (200, $json->encode({ count => 2, next => undef, previous => undef, results => [
		{ %state, id => 1, feature => 17 }, { %state, id => 2, feature => 17, feature_segment => 31 } ] }))
		if $target =~ m{^/api/v1/features/featurestates/};
	return (200, $json->encode({ count => 1, next => undef, previous => undef,
		results => [ { id => 31, segment => 5, priority => 1, environment => $query{environment} + 0 } ] }))
		if $target =~ m{^/api/v1/features/feature-segments/} && $query{feature} == 17;
	return (404, '{}');
}

# What a key shows: the organisation of the log, and one whose plan shows no audit log, with environments on two pages.
my %listed = (
	'/api/v1/organisations/' => [ { id => 1, name => 'Real' } ],
	'/api/v1/projects/?organisation=1' => [ { id => $project->{id}, name => $project->{name}, extra => {} } ],
	"/api/v1/environments/?project=$project->{id}" => [ { id => $environment->{id}, name => $environment->{name}, api_key => 'client side' } ],
	'/api/v1/projects/?organisation=3' => [ { id => 930, name => "Bare\x{1b}[2J \"x\"\t\\" } ],
	'/api/v1/environments/?project=930' => [ { id => 931, name => 'Production' }, { id => 932, name => 'Staging $(id)' } ],
);

sub listed
{
	my ($target) = @_;
	my ($path, $page) = $target =~ /^(.*?)[?&]page=(\d+)$/ or return;
	my $things = $listed{$path} // return;

	# projects come as a bare array
	return (200, $json->encode($things)) if $path =~ /projects/;
	return (200, $json->encode({ count => scalar(@$things), previous => undef, next => $page < @$things ? 'http://elsewhere/' : undef,
		results => [ $things->[ $page - 1 ] ] }));
}

my $server = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "no socket: $!";
my $url = 'http://127.0.0.1:' . $server->sockport;
my $pid = fork() // die "could not fork: $!";
if ($pid == 0)
{
	# not by what ends a test, which would tell a plan of its own
	$SIG{TERM} = sub { POSIX::_exit(0) };
	while (my $client = $server->accept)
	{
		my $request = '';

		$request .= $_ while defined($_ = <$client>) && !/^\r?\n$/;
		my ($target) = $request =~ m{^GET (\S+)};
		my ($code, $body) = $request =~ /^Authorization: Api-Key \Q$key\E\r?$/m ? answer($target // '') : (401, '{}');

		open(my $fh, '>>', $log);
		print $fh "$code $target\n";
		close($fh);
		print $client "HTTP/1.1 $code X\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
		close($client);
	}
	POSIX::_exit(0);
}
END { my $rc = $?; kill 'TERM', $pid if $pid; waitpid($pid, 0) if $pid; $? = $rc; }

my $node = start_node('backfill');
my $keyfile = "$tmp/key";
open(my $fh, '>', $keyfile) or die;
print $fh "$key\n";
close($fh);

# world(NEWEST THAT ARE MISSING, PAGE THAT FAILS)
sub world
{
	open(my $fh, '>', "$tmp/world.new") or die;
	print $fh "@_";
	close($fh);
	rename("$tmp/world.new", "$tmp/world") or die;
	return;
}

sub backfill
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', BACKFILL_STATE => $state,
		BACKFILL_PAGE_SIZE => $page_size, FLAGSMITH_API_KEY_FILE => $keyfile);
	my ($stdout, $stderr) = ('', '');
	my $ok = IPC::Run::run([ "$FindBin::Bin/../tools/backfill", @_ ], '>', \$stdout, '2>', \$stderr);

	return ($ok, $stdout, $stderr);
}

my ($ok, $stdout, $stderr) = backfill('audit', $url, 1);
ok(!$ok, 'a page that cannot be fetched stops it');
like($stderr, qr/answered with 404/, 'and it says so');
is($node->safe_psql('postgres', "SELECT count(DISTINCT audit_id) FROM flagsmith.audit_log"), 2 * $page_size, 'what was fetched before is in');

($ok, $stdout, $stderr) = backfill('audit', $url, 2);
like($stderr, qr/is of another import/, 'it does not go on with another import');

world(0, 0);
($ok, $stdout, $stderr) = backfill('audit', $url, 1);
ok($ok, 'it goes on') or diag($stderr);
like($stdout, qr/^going on with page 2\npage 2: duplicate, $page_size entries of \d+; (\d+) pages to go, about \d+ s\npage 3: stored, /m, 'where it stopped, showing progress');
like($stdout, qr/^page \d+: stored, \d+ entries of \d+\ndone\n\z/m, 'to the last page');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT audit_id), count(*) FROM flagsmith.audit_log'),
	@entries . '|' . @entries, 'every entry of the log is in, once');
ok(!-e $state, 'nothing is left to go on with');

($ok, $stdout, $stderr) = backfill('audit', $url, 1);
like($stdout, qr/^page 1: duplicate/m, 'the same pages again are duplicates');

# Stopped at a page and resumed with pages of another size, while entries came or went: none is left out.
for my $case (
	# pages of, missing, stopped at, and then: pages of, missing, going on with page
	[ 300, 0, 4, 999, 0, 1 ],
	[ 5000, 0, 2, 900, 0, 2 ],
	[ 400, 40, 3, 250, 0, 4 ],
	[ 400, 0, 4, 400, 450, 2 ],
	[ 400, 0, 7, 400, 2000, 1 ])
{
	my ($size, $missing, $fails, $size_then, $missing_then, $page) = @$case;
	my $source = "case @$case";

	world($missing, $fails);
	$page_size = $size;
	($ok, $stdout, $stderr) = backfill('audit', $url, 1, $source);
	ok(!$ok, "$source: stopped");
	world($missing_then, 0);
	$page_size = $size_then;
	($ok, $stdout, $stderr) = backfill('audit', $url, 1, $source);
	ok($ok, "$source: done") or diag($stderr);
	like($stdout, qr/^going on with page $page$/m, "$source: with the page that has the last entry reached");
	is($node->safe_psql('postgres', "SELECT count(DISTINCT audit_id) FROM flagsmith.audit_log JOIN flagsmith.delivery ON delivery.id = audit_log.delivery"
		. " WHERE delivery.source = '$source'"), @entries - $missing, "$source: every entry is in");
	ok(!-e $state, "$source: nothing is left to go on with");
}
for my $size (0, 'ten', -1, '')
{
	$page_size = $size;
	($ok, $stdout, $stderr) = backfill('audit', $url, 1);
	is($stderr, "backfill: BACKFILL_PAGE_SIZE must be a number above 0\n", "pages of \"$size\"") if $size ne '';
	ok($ok, 'an empty size is the default') or diag($stderr) if $size eq '';
}
open($fh, '>', $state) or die;
print $fh "$url 1 default\n7\n";
close($fh);
($ok, $stdout, $stderr) = backfill('audit', $url, 1);
is($stderr, "backfill: $state cannot be read: remove it to begin anew\n", 'a state file that is not whole');
unlink($state);

# What Flagsmith answers where the plan has no audit log.
($ok, $stdout, $stderr) = backfill('audit', $url, 3);
ok($ok, 'an empty audit log is no failure') or diag($stderr);
is($stdout, <<'EOT', 'but it is said, and why');
the audit log is empty: nothing was imported
Flagsmith shows an empty one, without an error, where the plan has none: the free plan, and self-hosting without
an enterprise licence (audit_log_visibility_days is 0).  Webhooks bring entries nevertheless; import states, too.
done
EOT

# Only what a webhook missed: one entry, some, so many that pages are fetched, and one that there never was.
my %lost = map { $_ => 1 } 1100, 1150 .. 1157, 1200 .. 1290, $rolled_back;
my $missing = "SELECT first_audit_id, last_audit_id, entries FROM flagsmith.missing_audit_entry WHERE source = 'holes'";
world(0, 0);
$page_size = 999;
open($fh, '>', "$tmp/told") or die;
print $fh '[' . join(',', @text{ grep { $_ >= 1000 && $_ <= 1500 && !$lost{$_} } @entries }) . ']';
close($fh);
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('holes', source => 'holes', allow_unsigned => true, max_spool_age => NULL);
	INSERT INTO flagsmith.inbox (webhook, body, received_at)
	SELECT 'holes', convert_to(json_build_object('event_type', 'AUDIT_LOG_CREATED', 'data', e)::text, 'UTF8'), (e ->> 'created_date')::timestamptz
	FROM json_array_elements(pg_read_file('$tmp/told')::json) AS e");
is($node->safe_psql('postgres', $missing), "1100|1100|1\n1150|1157|8\n1200|1290|91\n1350|1350|1", 'entries are missing');
($ok, $stdout, $stderr) = backfill('missing', $url, 2, 'holes');
ok(!$ok, 'of an organisation that is not there, none is fetched');
like($stderr, qr/answered with 404/, 'and it says so');
rename($log, "$log.before");
($ok, $stdout, $stderr) = backfill('missing', $url, 4, 'holes');
ok($ok, 'what is missing is fetched') or diag($stderr);
like($stdout, qr/^1100 to 1100: 1 fetched one by one\n1150 to 1157: 8 fetched one by one\n1200 to 1290: 0 fetched one by one, \d times the pages around them\n1350 to 1350: 0 fetched one by one, \d times the pages around them\ndone: 0 holes are left\n\z/,
	'one by one or by pages') or diag($stdout);
is($node->safe_psql('postgres', $missing), '', 'and nothing is missing any more');
is($node->safe_psql('postgres', "SELECT count(DISTINCT audit_id) FROM flagsmith.audit_log WHERE source = 'holes' AND audit_id BETWEEN 1000 AND 1500"), 500, 'every entry is in');
my $requests = () = slurp_body($log) =~ /^200 /mg;
cmp_ok($requests, '<', 60, 'with few requests');
($ok, $stdout, $stderr) = backfill('missing', $url, 4, 'holes');
is($stdout, "done: 0 holes are left\n", 'nothing is fetched again');
($ok, $stdout, $stderr) = backfill('missing', $url, 3, 'holes');
like($stdout, qr/^the audit log is empty: nothing was imported\n/, 'an audit log that the plan does not show');

my $name = $node->safe_psql('postgres', "SELECT 'default/' || flagsmith._name(e.source, 'project', e.project_id::text) || '/' || flagsmith._name(e.source, 'environment', e.id)"
	. " FROM flagsmith.name e WHERE e.kind = 'environment' AND e.id = '$environment->{id}' AND e.project_id IS NOT NULL AND e.source = 'default' LIMIT 1");
($ok, $stdout, $stderr) = backfill('states', $url, $environment->{id}, $name);
ok($ok, 'states are fetched') or diag($stderr);
is($node->safe_psql('postgres', 'SELECT environment_id, feature_id, segment_id, segment_priority, enabled, value FROM flagsmith.flag_change ORDER BY ordinal'),
	"$environment->{id}|17|||t|42\n$environment->{id}|17|5|1|t|42", 'with the segments of their overrides');
# Several environments at once.
($ok, $stdout, $stderr) = backfill('states', $url, $environment->{id}, $name, $environment->{id}, $name);
is($stdout, "page 1: stored, 2 states\n" x 2 . "done\n", 'several environments at once') or diag($stderr);
($ok, $stdout, $stderr) = backfill('states', $url, $environment->{id}, $name, 8);
ok(!$ok, 'an id without a name is no environment');

# Everything that the key shows, without an id: the audit log and then each environment.
world(0, 0);
$page_size = 999;
($ok, $stdout, $stderr) = backfill('all', $url, 'everything');
ok($ok, 'all') or diag($stderr);
like($stdout, qr/^organisation 1 Real\npage 1: stored, 999 entries of \d+; \d+ pages to go, about \d+ s\n/, 'the organisation and its audit log') or diag($stdout);
like($stdout, qr/^environment 1 of 1: \Q$project->{name}\E\/\Q$environment->{name}\E\npage 1 of the flags: stored, 1 states\npage 1: stored, 2 states\ndone: 1 environments\n\z/m,
	'and its environments') or diag($stdout);
is($node->safe_psql('postgres', "SELECT count(DISTINCT audit_id) FROM flagsmith.audit_log JOIN flagsmith.delivery ON delivery.id = audit_log.delivery"
	. " WHERE delivery.source = 'everything'"), scalar(@entries), 'every entry is in');

# Where the plan shows no audit log, and nothing was known: states alone.
($ok, $stdout, $stderr) = backfill('all', $url, 'bare', 3);
ok($ok, 'all of an organisation without an audit log') or diag($stderr);
like($stdout, qr/^the audit log is empty: nothing was imported\n/m, 'which is said');
like($stdout, qr/^environment 1 of 2: Bare\x{ef}\x{bf}\x{bd}\[2J "x"\x{ef}\x{bf}\x{bd}\\\/Production\n.*^environment 2 of 2: [^\n]*\/Staging \$\(id\); 1 environment to go, about \d+ s\n/ms,
	'both environments, whatever their names hold') or diag($stdout);
is($node->safe_psql('postgres', "SELECT environment, flags, project = E'Bare\\x1b[2J \"x\"\\t\\\\' FROM flagsmith.environment WHERE source = 'bare' ORDER BY environment_id"),
	"Production|1|t\nStaging \$(id)|1|t", 'are known, by name');
is($node->safe_psql('postgres', "SELECT enabled, value, scope FROM flagsmith.feature_state('bare/' || (SELECT project FROM flagsmith.environment WHERE environment_id = 932) || '/Staging \$(id)',"
	. " 'flag 17', segments => '{5}')"), 't|42|segment', 'with flags and overrides');
unlike(slurp_body($log), qr/^401/m, 'the key came with every request');

# Which key it takes, where it is not that one.
($ok, $stdout, $stderr) = backfill('all', $url, 'denied', 5);
like($stderr, qr/^backfill: \S+ was answered with 403: .*master API key of this very organisation/, '403 says which key it takes');
open($fh, '>', "$keyfile.wrong") or die;
print $fh "the key of an environment\n";
close($fh);
for my $what ([ 'all' ], [ 'audit', 1 ], [ 'states', 7, 'Shop/Production' ])
{
	my ($first, @rest) = @$what;
	my $file = $keyfile;

	$keyfile = "$file.wrong";
	($ok, $stdout, $stderr) = backfill($first, $url, @rest);
	$keyfile = $file;
	ok(!$ok, "$first: a wrong key is the end");
	like($stderr, qr/^backfill: \S+ was answered with 401: Flagsmith does not know the key\.  It takes a master API key/, "$first: 401 says which key it takes");
}
($ok, $stdout, $stderr) = backfill('all');
like($stderr, qr/^backfill all URL/, 'how it is called');
# Installed, it is called flagsmith-backfill.
symlink("$FindBin::Bin/../tools/backfill", "$tmp/flagsmith-backfill") or die "could not make a link: $!";
IPC::Run::run([ "$tmp/flagsmith-backfill", 'all' ], '2>', \my $usage);
is(join(' ', $usage =~ /^(\S+ \S+) URL/mg), join(' ', map { "flagsmith-backfill $_" } qw(all audit missing states)), 'its usage names it as it was called');
unlike(slurp_body($node->logfile), qr/\Q$key\E/, 'and is in no log');

# sees that every typed row is what its page says
$node->stop;
done_testing();
