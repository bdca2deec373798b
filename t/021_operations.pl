# What docs/operations.md says about restoring tables alone, prepared transactions and publications, by the commands that it
# shows.  Not a regress test, since it needs pg_dump, several databases and settings of the server.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_body("$FindBin::Bin/../docs/operations.md");
my $secret = 'a secret that is long enough';
my $node = start_node('operations', conf => "max_prepared_transactions = 5\nwal_level = logical\n");

# The blocks of code under a heading.
sub blocks
{
	my ($heading) = @_;
	my ($section) = $page =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms or die "no section $heading";

	return $section =~ /^```\w*\n(.*?)^```$/msg;
}

sub deliver
{
	my ($webhook, $body) = @_;

	return insert_sql($webhook, sign($body, $secret), $body);
}

$node->safe_psql('postgres', 'CREATE DATABASE app;'
	  . join('', map { "CREATE ROLE $_ LOGIN;" } qw(flag_receiver flag_reader flag_caller)));
$node->safe_psql('app', 'CREATE EXTENSION flagsmith_webhook;'
	  . "SELECT flagsmith.add_webhook('shop', '$secret', max_spool_age => NULL), flagsmith.add_webhook('loud', '$secret', notify => true, max_spool_age => NULL);"
	  . "SELECT flagsmith.grant_receiver('flag_receiver'), flagsmith.grant_reader('flag_reader'), flagsmith.grant_caller('flag_caller')");
my ($changed) = map { $_->{body} } grep { $_->{name} eq 'flag_updated_value_int' } manifest('payloads');
my $other = $changed =~ s/"id": ?\d+/"id": 77/r;
isnt($other, $changed, 'two bodies');
is($node->safe_psql('app', deliver('shop', $changed)), 'stored|', 'a delivery');

# Restoring with -t: what every relation and function allows is the same afterwards, and not before the grants.
my $grants = "SELECT relname, relacl FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace AND relacl IS NOT NULL"
  . " UNION ALL SELECT p.oid::regprocedure::text, proacl FROM pg_proc p WHERE pronamespace = 'flagsmith'::regnamespace AND proacl IS NOT NULL"
  . " UNION ALL SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'flagsmith' ORDER BY 1";
my ($restore) = blocks('Backup and restore');
my @commands = split(/\n/, $restore);
is(scalar @commands, 5, 'the five commands');
my $dir = PostgreSQL::Test::Utils::tempdir();
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
	my $there = "cd '$dir' && ";

	command_ok([ 'sh', '-c', $there . $commands[0] ], $commands[0]);
	$node->safe_psql('postgres', 'CREATE DATABASE early TEMPLATE template0');
	my ($early) = grep { /-f flagsmith\.sql$/ } @commands;
	$early =~ s/-d restored/-d early/;
	command_fails_like([ 'sh', '-c', $there . $early ], qr/relation "flagsmith\.delivery" does not exist/, 'without CREATE EXTENSION it stops');
	command_ok([ 'sh', '-c', $there . $_ ], $_) for @commands[1 .. 3];
	unlike($node->safe_psql('restored', $grants), qr/flag_receiver|flag_reader|flag_caller/, 'no role may do anything yet');
	command_ok([ 'sh', '-c', $there . $commands[4] ], $commands[4]);
}
is($node->safe_psql('restored', $grants), $node->safe_psql('app', $grants), 'and now each what it could before');
is($node->safe_psql('restored', 'SET ROLE flag_receiver;' . deliver('shop', $changed)), 'duplicate|', 'what was stored is there');
is($node->safe_psql('restored', 'SET ROLE flag_receiver;' . deliver('shop', $other)), 'stored|', 'and the next delivery comes in');
my ($status, $out, $err) = $node->psql('restored', 'DROP EXTENSION flagsmith_webhook');
like($err, qr/drop_extension_would_delete_the_flag_history depends on/, 'the history is not dropped by accident');

# Prepared transactions.
my ($code, $message) = $page =~ /fails at `PREPARE TRANSACTION`, with (\w+) `([^`]+)`/;
($status, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\nBEGIN;\n" . deliver('loud', $other) . "PREPARE TRANSACTION 'one';");
like($out, qr/^stored\|$/m, 'a delivery that notifies is stored in its transaction');
like($err, qr/^psql:\S+ ERROR:  \Q$code\E: \Q$message\E$/m, 'which cannot be prepared, as said');
is($node->safe_psql('app', 'SELECT count(*) FROM flagsmith.delivery; SELECT count(*) FROM pg_prepared_xacts'), "1\n0", 'and is rolled back');
$node->safe_psql('app', "BEGIN;\n" . deliver('shop', $other) . "PREPARE TRANSACTION 'two';");
$node->safe_psql('app', "COMMIT PREPARED 'two'");
is($node->safe_psql('app', 'SELECT count(*) FROM flagsmith.delivery'), 2, 'without notify it can be');

# Publications.
my ($publication, $which) = blocks('Publications');
$node->safe_psql('app', $publication);
is($node->safe_psql('app', $which), '', 'the publication shown has no secret, body or signature');
is($node->safe_psql('app', "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'flag_history'"), 14, 'but the history');
is($node->safe_psql('app', deliver('shop', $other)), 'duplicate|', 'deliveries come in with it');
is($node->safe_psql('app', "SELECT flagsmith.prune_bodies(now() + interval '1 day') > 0"), 't', 'and bodies can be pruned');
$node->safe_psql('app', 'CREATE PUBLICATION whole FOR TABLES IN SCHEMA flagsmith; CREATE PUBLICATION everything FOR ALL TABLES');
is($node->safe_psql('app', "SELECT pubname, tablename FROM ($which) AS w ORDER BY 1, 2" =~ s/;\n\)/)/r),
	join("\n", map { my $name = $_; map { "$name|$_" } qw(delivery rejected webhook_secret) } qw(everything whole)),
	'one of the whole schema, or of all tables, has them');
is($node->safe_psql('app', deliver('shop', $other)), 'duplicate|', 'deliveries come in nevertheless');

$node->stop;
done_testing();
