# Crashes while deliveries come in and are sealed, again and again: the tree verifies, and in the end every delivery that was
# committed is sealed.  A standby has the same root, verifies it and goes on when it is promoted.  Not a regress test, since
# it kills servers.  FSW_CYCLES says how many crashes, FSW_SEED which.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $cycles = $ENV{FSW_CYCLES} // 4;
my $seed = $ENV{FSW_SEED} // int(rand 2**31);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = start_node('seal_crash', init => { allows_streaming => 1 });

srand $seed;
diag "FSW_CYCLES=$cycles FSW_SEED=$seed";
$node->safe_psql('postgres', "SELECT flagsmith.add_webhook('w', allow_unsigned => true, max_spool_age => NULL)");

sub script
{
	my ($name, $text) = @_;

	open(my $fh, '>', "$dir/$name") or die "$dir/$name: $!";
	print $fh "SET client_min_messages = error;\n$text";
	close $fh;
	return "$dir/$name";
}

# A session that runs until the server is gone.
sub session
{
	my ($file) = @_;
	my ($out, $err) = ('', '');
	my $started = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', \undef, '>', \$out, '2>', \$err);

	return $started;
}

# Deliveries one by one and many at once, with repeats; seals; prunings.
my $insert = "INSERT INTO flagsmith.inbox (webhook, body) SELECT 'w', convert_to(format('{\"event_type\": \"AUDIT_LOG_CREATED\", \"data\": {\"created_date\": \"2026-01-01T00:00:00Z\", \"id\": %s, \"log\": \"x\"}}', n), 'UTF8')";
my @deliver = map {
	my $first = $_ * 1_000_000;
	script("deliver_$_", join('', map {
		my $n = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint + ' . $first;
		$_ % 50 == 0 ? "$insert FROM generate_series($n, $n + 3000) n;\n" : "$insert FROM (VALUES ($n), (7)) AS v (n);\n" } 1 .. 4000))
} 1 .. 2;
my $seal = script('seal', "SELECT flagsmith.seal();\n" x 20000);

sub seals { return $node->safe_psql('postgres', 'SELECT coalesce(max(id), 0) FROM flagsmith.seal'); }

my ($bad, $sealed) = ('', 0);
for my $cycle (1 .. $cycles)
{
	my $goal = seals() + 1 + int(rand 25);
	my @sessions = map { session($_) } @deliver, $seal;

	$node->poll_query_until('postgres', "SELECT coalesce(max(id), 0) >= $goal FROM flagsmith.seal") or die "no seals";
	$node->stop('immediate');
	$_->finish for @sessions;
	$node->start;
	my $found = $node->safe_psql('postgres', "SELECT * FROM flagsmith.verify_seals() WHERE finding <> 'pruned' LIMIT 5");
	$bad .= "cycle $cycle: $found\n" if $found ne '';
	$node->safe_psql('postgres', 'SELECT flagsmith.prune_bodies(now(), 100)') if $cycle % 2 == 0;
}
is($bad, '', "after each of $cycles crashes what is sealed verifies (FSW_SEED=$seed)");
cmp_ok(seals(), '>=', 2 * $cycles, 'there were seals between');

# Until all that is committed is settled: autovacuum's transactions can stand in the way for a moment.
sub seal_all
{
	my ($server) = @_;

	$server->poll_query_until('postgres', 'SELECT count(flagsmith.seal()) = 0 OR (SELECT s.settled = s.highest FROM flagsmith.seal s ORDER BY s.id DESC LIMIT 1)')
	  or die 'not settled';
	return;
}

# What is committed has a leaf, and no other is.
sub all_sealed
{
	my ($server, $name) = @_;

	is($server->safe_psql('postgres', "SELECT * FROM flagsmith.verify_seals() WHERE finding <> 'pruned' LIMIT 5"), '', "$name: the tree verifies");
	is($server->safe_psql('postgres', 'SELECT d.n = s.highest[1], d.n > 0, s.size = (SELECT count(*) FROM flagsmith.delivery)'
		. ' + (SELECT count(*) FROM flagsmith.delivery_repeat) + (SELECT count(*) FROM flagsmith.pruning) + (SELECT count(*) FROM flagsmith.evidence_event)'
		. ' FROM (SELECT max(id) AS n FROM flagsmith.delivery) d, (SELECT * FROM flagsmith.seal ORDER BY id DESC LIMIT 1) s'),
		't|t|t', "$name: there is a leaf for every row");
	return;
}
seal_all($node);
all_sealed($node, 'crashed');
cmp_ok($node->safe_psql('postgres', 'SELECT sum(count) FROM flagsmith.delivery_repeat'), '>', 1, 'there were repeats');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT DISTINCT size, root FROM flagsmith.seal) s GROUP BY size HAVING count(*) > 1'), '', 'no size has two roots');

# A standby: the same root, everything can be asked there, and it goes on.
$node->backup('one');
my $standby = bless(PostgreSQL::Test::Cluster->new('seal_standby'), 'FswTest::Node');
$standby->init_from_backup($node, 'one', has_streaming => 1);
$standby->start;
my $more = "SET client_min_messages = error; $insert FROM generate_series(1, 300) n; SELECT flagsmith.seal()";
cmp_ok($node->safe_psql('postgres', $more), '>=', 299, 'the primary goes on');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')"), $node->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')"), 'a standby has the same root');
all_sealed($standby, 'standby');
is($standby->safe_psql('postgres', "SELECT count(*) FROM flagsmith.verify_seals(typed => true) WHERE finding <> 'pruned'"), 0, 'the bodies, too');
is($standby->safe_psql('postgres', "SELECT tree_size > 0, cardinality(flagsmith.consistency_proof(1)) > 0, (SELECT verified IS NULL FROM flagsmith.verify_delivery(max))"
	  . " FROM (SELECT max(id) FROM flagsmith.delivery) d, flagsmith.inclusion_proof(max)"), 't|t|t', 'and gives proofs');
like(($standby->psql('postgres', 'SELECT flagsmith.seal()'))[2], qr/cannot execute seal\(\) in a read-only transaction/, 'but does not seal');
# A transaction that never ended on the primary is gone with it.
my $before = $node->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')");
$node->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT flagsmith.checkpoint('x')"), $before, 'promoted, it has it still');
$standby->safe_psql('postgres', "SET client_min_messages = error; $insert FROM generate_series(500000, 500300) n");
seal_all($standby);
all_sealed($standby, 'promoted');
$standby->stop;
$node->start;
$node->stop;
done_testing();
