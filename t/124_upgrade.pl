# A history through pg_upgrade, from the server of FSW_OLD_BINDIR, which has the extension, or else from one of the same release:
# the same answers, guards and sequences.  Needs two clusters, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FlagHistory;
use FswTest;
use Nodes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $features = 3;
my $seed = $ENV{FSW_SEED} // time();

note("FSW_SEED=$seed");
my $bindir = `pg_config --bindir`;
chomp $bindir;
my $old_bindir = $ENV{FSW_OLD_BINDIR} // $bindir;
my $old = $ENV{FSW_OLD_BINDIR}
  ? PostgreSQL::Test::Cluster->new('old', install_path => $old_bindir =~ s{/bin$}{}r) : PostgreSQL::Test::Cluster->new('old');
my $new = PostgreSQL::Test::Cluster->new('new');
my %asked = (features => $features, seed => $seed, n => 100);
my @deliveries = deliveries(seed => $seed, features => $features, acts => 12);

# Neither has checksums by default before 18.
my @arguments = ('--encoding=UTF8', '--no-locale', $new->pg_version >= 18 ? '--no-data-checksums' : ());
$old->init(extra => [ '--encoding=UTF8', '--no-locale', $old->pg_version >= 18 ? '--no-data-checksums' : () ]);
$old->start;
$old->safe_psql('postgres', 'CREATE EXTENSION flagsmith_webhook');
take_in($old, 'a', @deliveries);
$old->safe_psql('postgres', more(@deliveries[0 .. 9]) . "SELECT flagsmith.mark_position();"
	  . "CREATE ROLE reader; SELECT flagsmith.grant_reader('reader'); SELECT flagsmith.create_publication('flag_history')");
my $expected = answers($old, %asked);
my $rows = published($old);
my $installed = $old->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.installation_health');
$old->stop;

$new->init(extra => \@arguments);
chdir $PostgreSQL::Test::Utils::tmp_check;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
is(answers($new, %asked), $expected, 'the same answers');
is(published($new), $rows, 'the same rows');
is($installed, 0, 'the installation was whole');
is($new->safe_psql('postgres', 'SELECT * FROM flagsmith.installation_health'), '', 'and is');
is($new->safe_psql('postgres', 'SELECT count(*) FROM flagsmith.rebuild(dry_run => true)'), 0, 'each row is what its body says');
is($new->safe_psql('postgres', more([ 5000e6, 'org', '{"event_type": "NEWER", "data": {}}' ])), 'stored|', 'the next delivery comes in');
is($new->safe_psql('postgres', 'SELECT id = max(id) OVER () FROM flagsmith.delivery ORDER BY stored_at DESC LIMIT 1'), 't', 'with an id behind the others');
is($new->safe_psql('postgres', "SET ROLE reader; SELECT count(*) > 0 FROM flagsmith.history"), 't', 'grants are there');
my (undef, undef, $err) = $new->psql('postgres', 'DROP EXTENSION flagsmith_webhook');
like($err, qr/drop_extension_would_delete_the_flag_history depends on/, 'and what guards the history');
is($new->safe_psql('postgres', "SELECT * FROM flagsmith.check_publication('flag_history')"), '', 'and the publication');

$new->stop;
done_testing();
