# A history in a LATIN1 database, dumped into a UTF8 one and subscribed to from a UTF8 one: the same answers, since what is stored
# as hashes is made of the UTF-8 bytes of names.  Needs two servers and pg_dump, so no regress test.
use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Nodes;
use PostgreSQL::Test::Utils;
use Test::More;

my $features = 4;
my $seed = $ENV{FSW_SEED} // time();

note("FSW_SEED=$seed");
my @deliveries = deliveries(seed => $seed, features => $features, acts => 12, name => "Größe «ñ»",
	more => { environment_names => [ [ 0, 'Zürich' ], [ 200e6, 'Genève' ] ] });
my @last = splice(@deliveries, int(@deliveries * 0.8));
my $latin = publisher('latin');
my $utf8 = publisher('utf8');
my $dir = PostgreSQL::Test::Utils::tempdir();
# a picture has other signs in LATIN1
my %asked = (features => $features, seed => $seed, n => 100, pictures => 0);

$latin->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$latin->safe_psql('latin', 'CREATE EXTENSION flagsmith_webhook;'
	  . "SELECT flagsmith.add_webhook('a org', source => 'a', scope => 'organisation', allow_unsigned => true, max_spool_age => NULL),"
	  . " flagsmith.add_webhook('a env', source => 'a', scope => 'environment', environment_id => 2, allow_unsigned => true, max_spool_age => NULL);"
	  . more(@deliveries)
	  # a name that LATIN1 does not have
	  . insert_sql('a org', undef, '{"event_type": "AUDIT_LOG_CREATED", "data": {"id": 1, "created_date": "2026-03-01T00:00:00Z", "log": "New Flag / Remote Config created: \\u20ac"}}')
	  . "SELECT flagsmith.create_publication('flag_history')");
is($latin->safe_psql('latin', 'SELECT count(*) FROM flagsmith.undecoded_delivery'), 1, 'what LATIN1 cannot say is undecoded');
my $expected = answers($latin, %asked, database => 'latin');
like($expected, qr/^enabled, by name\|\w+\|[1-9]/m, 'flags are found by their names');
is($latin->safe_psql('latin', "SET client_encoding = 'UTF8'; SELECT string_agg(DISTINCT name, ' ' ORDER BY name) FROM flagsmith.name WHERE kind = 'environment'"),
	do { my $names = 'Genève Zürich'; utf8::encode($names); $names }, 'which are not ASCII');

command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$dir/latin.dump", $latin->connstr('latin') ], 'pg_dump');
$utf8->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
command_ok([ 'pg_restore', '--exit-on-error', '--no-publications', '-d', $utf8->connstr('restored'), "$dir/latin.dump" ], 'pg_restore into UTF8');
is(answers($utf8, %asked, database => 'restored'), $expected, 'the restored database answers the same');
is($utf8->safe_psql('restored', 'SELECT count(*) FROM flagsmith.rebuild(undecoded_only => true)') > 0, 1, 'and can decode the rest');

subscribe($utf8, $latin, from => 'latin');
synced($latin, $utf8);
is(answers($utf8, %asked), $expected, 'the subscriber answers the same');
$latin->safe_psql('latin', more(@last));
synced($latin, $utf8);
$expected = answers($latin, %asked, database => 'latin');
is(answers($utf8, %asked), $expected, 'after further deliveries, too');
is($utf8->safe_psql('postgres', "SELECT sum(apply_errors), sum(copy_errors) FROM flagsmith.subscription_health"), '0|0', 'without an error');

$utf8->stop;
$latin->stop;
done_testing();
