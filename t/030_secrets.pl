# A canary as secret: it is in no log line, statistic, plan, error field or view, however much the server logs.  Needs a
# server of its own with everything switched on.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

chomp(my $libraries = `pg_config --pkglibdir`);
plan skip_all => 'pg_stat_statements or auto_explain is not here'
	if grep { !-e "$libraries/$_.so" } qw(pg_stat_statements auto_explain);

my $canary = 'canary-7f3a9c-secret-of-the-webhook';
my $node = start_node('secrets', conf => <<'CONF');
shared_preload_libraries = 'pg_stat_statements,auto_explain'
log_statement = 'all'
log_min_duration_statement = 0
log_min_error_statement = debug5
log_error_verbosity = verbose
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_verbose = on
auto_explain.log_nested_statements = on
pg_stat_statements.track = 'all'
pg_stat_statements.track_utility = on
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('shop')");

# tools/add-secret as a user runs it, the secret on standard input.
sub add_secret
{
	my ($secret, @args) = @_;
	my ($out, $err) = ('', '');

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	my $ok = IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/../tools/add-secret", @args ],
		'<', \"$secret\n", '>', \$out, '2>', \$err);
	return ($ok, $out, $err);
}

SKIP:
{
	skip 'psycopg 3 (python3-psycopg) is not here', 10 if system('/usr/bin/python3', '-c', 'import psycopg') != 0;

	my ($ok, $out, $err) = add_secret($canary, 'shop');
	ok($ok, 'add-secret adds a secret') or diag $err;
	like($out, qr/^\d+$/, 'and prints its id');
	($ok, $out, $err) = add_secret($canary, 'shop');
	is($err, "add-secret: webhook \"shop\" has this secret already\n", 'not twice, and the message does not show it');
	($ok, $out, $err) = add_secret($canary, 'nowhere');
	ok(!$ok, 'a webhook that does not exist is an error');
	is($err, "add-secret: webhook \"nowhere\" does not exist\n", 'and the message says so');
	($ok, $out, $err) = add_secret('', 'shop');
	is($err, "add-secret: webhook secret must not be empty\n", 'an empty secret is refused');
	($ok, $out, $err) = add_secret("$canary ", 'shop', '--valid-until', '2000-01-01');
	like($err, qr/begins or ends with white space/, 'warnings are shown');

	# A role that may add secrets, but not switch off logging, sends nothing.
	$node->safe_psql('postgres', 'CREATE ROLE regress_fsw_keeper LOGIN; GRANT USAGE ON SCHEMA flagsmith TO regress_fsw_keeper;'
		  . 'GRANT INSERT ON flagsmith.webhook_secret TO regress_fsw_keeper; GRANT EXECUTE ON FUNCTION flagsmith.add_secret TO regress_fsw_keeper');
	($ok, $out, $err) = add_secret($canary, 'shop', '--dsn', 'user=regress_fsw_keeper');
	ok(!$ok, 'where the server would log the secret, it is not sent');
	like($err, qr/the server would log the secret, and this role may not switch that off: .*log_statement/, 'and the settings are named');
	$node->safe_psql('postgres', "ALTER SYSTEM SET log_statement = 'none'; ALTER SYSTEM SET log_min_duration_statement = -1; ALTER SYSTEM SET auto_explain.log_min_duration = -1; SELECT pg_reload_conf()");
	($ok, $out, $err) = add_secret("another $canary", 'shop', '--dsn', 'user=regress_fsw_keeper');
	ok($ok, 'where it would not, the same role may add it') or diag $err;
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL; SELECT pg_reload_conf()');
}

# A literal is the caller's own business in the log, but nothing of ours may repeat it: so this one is added in a session
# that logs nothing of its own statements, as a nested call, with auto_explain on.
$node->safe_psql('postgres', "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET pg_stat_statements.track = 'none'; SET auto_explain.log_min_duration = -1; "
	  . "SELECT flagsmith.add_webhook('second', '$canary')");

# Everything that uses it: verified, mismatched, malformed, missing, readmitted, disabled.
my $body = slurp_body(data_dir('payloads', 'flag_updated_value_int.json'));
my $signature = sign($body, $canary);
my $another = sign($body, 'the secret of another one');
my @verdicts = split /\n/, $node->safe_psql('postgres', join('',
	insert_sql('shop', $signature, $body), insert_sql('second', $signature, $body), insert_sql('shop', $another, $body),
	insert_sql('shop', 'x', $body), insert_sql('shop', undef, $body)));
is($verdicts[0], 'stored|', 'the canary verifies');
is($verdicts[1], 'duplicate|', 'and so does the one added with its webhook');
like($verdicts[2], qr/^rejected\|28W01 /, 'another does not');
$node->safe_psql('postgres', "SELECT flagsmith.readmit('shop'); SELECT flagsmith.rebuild(undecoded_only => true); SELECT flagsmith.retire_secret(id) FROM flagsmith.webhook_secret WHERE webhook = 'second'; ANALYZE");

# Errors around it, with every field.
my @errors = (
	"INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('nowhere', '$signature', '{}')",
	"SELECT flagsmith.disable_webhook('second'); INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('second', '$signature', '{}')",
	"DELETE FROM flagsmith.delivery",
	"UPDATE flagsmith.webhook_secret SET id = 1",
	"UPDATE flagsmith.webhook_secret SET valid_from = 'never'");
my $fields = '';
foreach my $statement (@errors)
{
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	isnt($status, 0, "fails: " . substr($statement, 0, 60));
	$fields .= $err;
}

# A constraint of the table would print the whole row: DETAIL "Failing row contains".  So it has none.
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_constraint WHERE conrelid = 'flagsmith.webhook_secret'::regclass"), 0, 'the secrets have no constraint');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_attribute WHERE attrelid = 'flagsmith.webhook_secret'::regclass AND attnum > 0 AND attnotnull"), 0, 'and no column that must not be null');
my @where = (
	[ 'an error field', $fields ],
	[ 'pg_stat_statements', $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements') ],
	[ 'pg_stats', $node->safe_psql('postgres', "SELECT * FROM pg_stats WHERE schemaname = 'flagsmith' AND tablename = 'webhook_secret'") ],
	[ 'a plan', $node->safe_psql('postgres', "EXPLAIN (ANALYZE, VERBOSE) INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('shop', '$signature', '{}')") ],
	[ 'the typed tables and the ring', join('', map { $node->safe_psql('postgres', "SELECT t FROM flagsmith.$_ t") } qw(webhook delivery delivery_repeat rejected flag_change name)) ],
	[ 'the log', slurp_body($node->logfile) ]);
foreach my $place (@where)
{
	my ($name, $content) = @$place;

	unlike($content, qr/\Q$canary\E/, "the canary is not in $name");
}
like(slurp_body($node->logfile), qr/Query Text:/, 'auto_explain did log');
like(slurp_body($node->logfile), qr/webhook_secret/, 'nested statements included');

$node->stop;
done_testing();
