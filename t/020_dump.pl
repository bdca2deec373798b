# Dump and restore: plain, custom, data-only, and without the secrets' data, into fresh databases.  Same rows, same
# sequences, the next INSERT works, and the history is still not dropped by accident.  Not a regress test, since it needs
# pg_dump, pg_restore and roles.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();

# Bodies of a real Flagsmith, by two webhooks, with repeats, rejected ones and a gap in the ids.
my @captured = grep { $_->{kind} ne 'identity' } manifest('captured');
my %secrets = map { $_->{secret} => 1 } grep { $_->{secret} ne '' } @captured;
$node->safe_psql('postgres', "CREATE ROLE regress_fsw_receiver LOGIN;\n"
	  . "SELECT flagsmith.add_webhook('real', allow_unsigned => true, max_spool_age => NULL, scope => 'organisation');\n"
	  . "SELECT flagsmith.add_webhook('other', 'a secret that is long enough', source => 'other', environment_id => 12);\n"
	  . join('', map { "SELECT flagsmith.add_secret('real', " . literal($_) . ");\n" } sort keys %secrets)
	  . "SELECT flagsmith.grant_receiver('regress_fsw_receiver');\n"
	  . "BEGIN;\n" . insert_sql('other', sign('{}', 'a secret that is long enough'), '{}') . "ROLLBACK;\n");
$node->safe_psql('postgres', join('', map {
	insert_sql('real', $_->{signature} eq '' ? undef : $_->{signature}, $_->{body}, $_->{arrived_at}) } (@captured, @captured[0 .. 4])));
$node->safe_psql('postgres', insert_sql('other', sign('[]', 'a secret that is long enough'), '[]', '2026-11-24 07:00Z')
	  . insert_sql('other', 'forged', '{}'));

# The content of every table of the extension, and where its sequences stand.
sub content
{
	my ($db, %options) = @_;
	my $tables = $node->safe_psql($db, "SELECT string_agg(format('%I', relname), ',' ORDER BY relname COLLATE \"C\") FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace AND relkind = 'r'");
	my $sql = '';

	foreach my $table (split /,/, $tables)
	{
		next if $options{without} && $table eq $options{without};
		$sql .= "SELECT '$table', count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE \"C\")) FROM flagsmith.$table t;\n";
	}
	foreach my $sequence (split /\n/, $node->safe_psql($db, "SELECT relname FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace AND relkind = 'S' ORDER BY relname COLLATE \"C\""))
	{
		next if $options{without} && $sequence =~ /^$options{without}/;
		$sql .= "SELECT '$sequence', last_value, is_called FROM flagsmith.$sequence;\n";
	}
	return $node->safe_psql($db, $sql);
}

sub restored_well
{
	my ($db, $name, %options) = @_;

	is(content($db, %options), content('postgres', %options), "$name: same rows, same sequences");

	# A dump of data alone has no view; registering a webhook, or this, makes it.
	$node->safe_psql($db, 'SELECT flagsmith._protect_history()') if $options{data_only};
	my ($status, $out, $err) = $node->psql($db, 'DROP EXTENSION flagsmith_webhook');
	like($err, qr/drop_extension_would_delete_the_flag_history depends on/, "$name: the history is not dropped by accident");
	if (!$options{without})
	{
		is($node->safe_psql($db, insert_sql('other', sign('[1]', 'a secret that is long enough'), '[1]')),
			'undecoded|22W01 webhook payload is not a JSON object', "$name: the next delivery comes in");
		is($node->safe_psql($db, insert_sql('real', undef, $captured[0]{body}, $captured[0]{arrived_at})),
			'duplicate|', "$name: and a body that was restored is a duplicate");
	}
	return;
}

sub fresh
{
	my ($db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	return;
}

my $connstr = $node->connstr('postgres');

fresh('plain');
command_ok([ 'pg_dump', '--no-sync', '-f', "$dir/plain.sql", $connstr ], 'pg_dump, plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain.sql" ], 'restore, plain');
restored_well('plain', 'plain');
is($node->safe_psql('plain', "SET ROLE regress_fsw_receiver; " . insert_sql('other', sign('[2]', 'a secret that is long enough'), '[2]')),
	'undecoded|22W01 webhook payload is not a JSON object', 'plain: the grants to the receiver came along');

fresh('custom');
command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/custom.dump", $connstr ], 'pg_dump, custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('custom'), "$dir/custom.dump" ], 'restore, custom');
restored_well('custom', 'custom');

fresh('tables');
$node->safe_psql('tables', 'CREATE EXTENSION flagsmith_webhook');
command_ok([ 'pg_dump', '--no-sync', '--data-only', '-f', "$dir/data.sql", $connstr ], 'pg_dump, data only');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('tables'), '-f', "$dir/data.sql" ], 'restore, data only');
restored_well('tables', 'data only', data_only => 1);

fresh('keyless');
command_ok([ 'pg_dump', '--no-sync', '--exclude-table-data=flagsmith.webhook_secret', '-f', "$dir/keyless.sql", $connstr ], 'pg_dump without secrets');
my $dump = slurp_body("$dir/keyless.sql");
unlike($dump, qr/a secret that is long enough/, 'the dump without secrets has none');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('keyless'), '-f', "$dir/keyless.sql" ], 'restore, without secrets');
restored_well('keyless', 'without secrets', without => 'webhook_secret');
is($node->safe_psql('keyless', insert_sql('other', sign('[3]', 'a secret that is long enough'), '[3]')),
	'rejected|28W01 webhook signature does not match the request body', 'without secrets: nothing verifies until they are added');
is($node->safe_psql('keyless', "SELECT count(*) FROM flagsmith.add_secret('other', 'a secret that is long enough'); SELECT flagsmith.readmit('other')"),
	"1\n1", 'without secrets: once added, what was rejected comes in');

# What the README warns of.
fresh('schema_only');
command_ok([ 'pg_dump', '--no-sync', '-n', 'flagsmith', '-f', "$dir/schema.sql", $connstr ], 'pg_dump -n flagsmith');
unlike(slurp_body("$dir/schema.sql"), qr/COPY flagsmith\.delivery/, 'pg_dump -n saves no row, as documented');
command_ok([ 'pg_dump', '--no-sync', '-t', 'flagsmith.*', '-f', "$dir/pattern.sql", $connstr ], 'pg_dump -t flagsmith.*');
like(slurp_body("$dir/pattern.sql"), qr/COPY flagsmith\.delivery/, 'pg_dump -t saves the rows, as documented');

$node->stop;
done_testing();
