# tools/witness against histories that go on and histories that do not: a change, a fork, a shrunk tree, a restored backup.
# Not a regress test: it needs a role that logs in, files, dumps and a second database.  What it writes is also read by
# software that we did not write, where that is here (golang-go, golang-golang-x-mod-dev).
use strict;
use warnings;

use Encode qw(decode);
use FindBin;
use lib $FindBin::Bin;
use FswTest;
use IPC::Run ();
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

if (system('/usr/bin/python3 -c "import psycopg, cryptography" 2>/dev/null'))
{
	plan skip_all => 'psycopg or cryptography for python3 is not here';
}

my $node = start_node('witness');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $tool = "$FindBin::Bin/../tools/witness";
my ($key, $log) = ("$dir/key", "$dir/log");

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE regress_fsw_witness LOGIN;
SELECT flagsmith.add_webhook('w', allow_unsigned => true, max_spool_age => NULL);
SELECT flagsmith.grant_witness('regress_fsw_witness');
SQL

# What a command said on standard output and error, and its status.
sub witness
{
	my (@arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $tool, @arguments ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub run_witness
{
	my ($db, @arguments) = @_;

	return witness('run', '--key', $key, '--log', $log, '--dsn', $node->connstr($db) . ' user=regress_fsw_witness', @arguments);
}

sub deliver
{
	my ($db, $first, $last) = @_;

	$node->safe_psql($db, "SET client_min_messages = error; INSERT INTO flagsmith.inbox (webhook, body) SELECT 'w',"
		  . " convert_to(format('{\"event_type\": \"X\", \"n\": %s}', n), 'UTF8') FROM generate_series($first, $last) n");
	return;
}

sub seal { my ($db) = @_; $node->safe_psql($db, 'SELECT flagsmith.seal()'); return; }

sub refused
{
	my ($db, $message, $name) = @_;
	my $before = slurp_body($log);
	my ($status, $out, $err) = run_witness($db);

	is($status, 3, "$name: the witness refuses");
	like($err, qr/^flagsmith-witness: ALARM: $message/, "$name: and says why");
	is(slurp_body($log), $before, "$name: and signs nothing");
	return;
}

# A key, and what is wrong with keys.
my ($status, $public, $err) = witness('keygen', '--key', $key, 'example.com/flags');
is($status, 0, 'keygen');
chomp $public;
like($public, qr{^example\.com/flags\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$}, 'the public key');
is((stat $key)[2] & 0777, 0600, 'the key is its owner\'s alone');
is((witness('keygen', '--key', $key, 'example.com/flags'))[0], 1, 'a key is not written over');
is((witness('keygen', '--key', "$dir/other", 'a b'))[0], 1, 'nor made of any name');

# The rights of the role: what it asks for, nothing else, and seal() only where it was granted.
like((run_witness('postgres'))[2], qr/is not there; --first begins a log/, 'a log is begun on purpose');
is((run_witness('postgres', '--first'))[0], 0, 'the empty tree is signed');
is((run_witness('postgres', '--first'))[0], 1, 'a log is begun once');
like((run_witness('postgres', '--seal'))[2], qr/permission denied for function seal/, 'sealing was not granted');
$node->safe_psql('postgres', "SELECT flagsmith.grant_witness('regress_fsw_witness', may_seal => true)");
deliver('postgres', 1, 300);
my ($ok, $out) = run_witness('postgres', '--seal');
is($ok, 0, 'now it may seal');
like($out, qr/^300 leaves, /, 'and does');
is($node->safe_psql('postgres', <<'SQL'), 'checkpoint,consistency_proof,inclusion_proof,seal|0', 'the rights of a witness');
SELECT string_agg(p.proname, ',' ORDER BY p.proname COLLATE "C"),
    (SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'flagsmith'::regnamespace AND has_table_privilege('regress_fsw_witness', c.oid, 'SELECT, INSERT, UPDATE, DELETE'))
FROM pg_proc p WHERE p.pronamespace = 'flagsmith'::regnamespace AND has_function_privilege('regress_fsw_witness', p.oid, 'EXECUTE')
SQL
my $before = slurp_body($log);
is((run_witness('postgres'))[0], 0, 'nothing new');
is(slurp_body($log), $before, 'makes no new checkpoint');

# It goes on, over many sizes; a proof for some deliveries of each.
my @proofs;
for my $size (301, 302, 511, 512, 513, 900)
{
	deliver('postgres', $node->safe_psql('postgres', 'SELECT max(id) + 1 FROM flagsmith.delivery'), $size);
	is((run_witness('postgres', '--seal'))[0], 0, "the tree of $size leaves extends the last");
	for my $id (1, 256, $size)
	{
		my ($status, $proof) = witness('prove', '--log', $log, '--dsn', $node->connstr('postgres') . ' user=regress_fsw_witness', $id);
		is($status, 0, "delivery $id is proved in it");
		push @proofs, $proof;
	}
}
($status, $out, $err) = witness('verify', '--public', $public, $log);
is("$status $out", "0 8 checkpoints of example.com/flags, the last of 900 leaves, signed by example.com/flags\n", 'the log verifies without a database');

# Offline: the proof, of the body, and every change of it.
my $file = "$dir/1.tlog-proof";
sub spill { my ($path, $text) = @_; open(my $fh, '>:raw', $path) or die "$path: $!"; print $fh $text; close $fh; return; }
spill($file, $proofs[-1]);
spill("$dir/body", '{"event_type": "X", "n": 900}');
($status, $out) = witness('verify', '--public', $public, '--origin', 'example.com/flags', '--body', "$dir/body", $file);
is($status, 0, 'a proof verifies without a database');
like($out, qr/^leaf 899 of 900 of example\.com\/flags, signed by example\.com\/flags:\nflagsmith_webhook leaf 1 delivery\nid 3:900\nwebhook 1:w\n/, 'and shows the leaf');
spill("$dir/body", '{"event_type": "X", "n": 901}');
like((witness('verify', '--public', $public, '--body', "$dir/body", $file))[2], qr/the leaf is not one of this body/, 'another body is none');
like((witness('verify', '--public', $public, '--body', "$dir/none", $file))[2], qr/^flagsmith-witness: \S+none: No such file/, 'nor is one that is not there');
like((witness('verify', '--public', $public, '--origin', 'example.org', $file))[2], qr/the checkpoint is of example\.com/, 'another origin neither');
my @changed;
for (my $i = 0; $i < length $proofs[-1]; $i += 61)
{
	my $changed = $proofs[-1];

	substr($changed, $i, 1) = substr($changed, $i, 1) eq 'A' ? 'B' : 'A';
	push @changed, "$dir/changed.$i";
	spill($changed[-1], $changed);
}
my @verify = ('/usr/bin/python3', '-B', '-c', <<'PY', $tool, $public);
import contextlib, importlib.machinery, importlib.util, os, sys
# all in one process: to start python takes longer than to verify
loader = importlib.machinery.SourceFileLoader('witness', sys.argv[1])
witness = importlib.util.module_from_spec(importlib.util.spec_from_loader('witness', loader))
loader.exec_module(witness)
tool, public, *files = sys.argv[1:]
for file in files:
    sys.argv = [tool, 'verify', '--public', public, file]
    with open(os.devnull, 'w') as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        try:
            witness.main()
            taken = True
        except SystemExit as end:
            taken = end.code in (None, 0)
    print(file, 'taken' if taken else 'refused')
PY
spill($file, $proofs[-1]);
is(join('', sort map { (split)[1] . "\n" } split(/\n/, (run_command([ @verify, $file, @changed ]))[0])), "refused\n" x @changed . "taken\n",
	'no proof verifies with a character changed');
my $other = (witness('keygen', '--key', "$dir/other", 'example.com/flags'))[1];
spill($file, $proofs[-1]);
like((witness('verify', '--public', $other, $file))[2], qr/there is no signature of example\.com\/flags/, 'nor under another key of that name');

# What a backup can do: restored as it was, and gone on with differently.
$node->safe_psql('postgres', 'CREATE DATABASE older TEMPLATE template0');
$node->safe_psql('postgres', 'CREATE DATABASE newer TEMPLATE template0');
command_ok([ 'pg_dump', '--no-sync', '-f', "$dir/dump.sql", $node->connstr('postgres') ], 'dump');
deliver('postgres', 901, 950);
is((run_witness('postgres', '--seal'))[0], 0, 'the history goes on');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($_), '-f', "$dir/dump.sql" ], "restored: $_") for qw(older newer);
is($node->safe_psql('older', 'SELECT flagsmith.checkpoint(\'x\')'),
	$node->safe_psql('postgres', "SELECT concat_ws(E'\\n', 'x', size, encode(root, 'base64')) || E'\\n' FROM flagsmith.seal WHERE size = 900 ORDER BY id LIMIT 1"),
	'a restored dump has the same root');
is($node->safe_psql('older', 'SELECT count(*) FROM flagsmith.verify_seals(typed => true)'), 0, 'and verifies');
is($node->safe_psql('older', 'SELECT flagsmith.seal()'), 0, 'and has nothing to seal');
refused('older', 'the tree shrank: 950 leaves were signed, 900 are offered', 'an older backup');
deliver('newer', 2001, 2100);
is($node->safe_psql('newer', 'SELECT flagsmith.seal()'), 100, 'a restored dump goes on');
is($node->safe_psql('newer', 'SELECT count(*) FROM flagsmith.verify_seals(typed => true)'), 0, 'and verifies then');
refused('newer', 'the tree of 1000 leaves does not extend that of 950 leaves, which was signed', 'an older backup that went on');
like(slurp_body("$log.refused"), qr{^example\.com/flags\n900\n[A-Za-z0-9+/=]{44}\n\nexample\.com/flags\n1000\n}, 'what was offered is kept');

# The owner: an event changed and all of the evidence made to fit.
$node->safe_psql('postgres', 'CREATE DATABASE forged TEMPLATE template0');
command_ok([ 'pg_dump', '--no-sync', '-f', "$dir/dump.sql", $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('forged'), '-f', "$dir/dump.sql" ], 'restored: forged');
$node->safe_psql('forged', <<'SQL');
ALTER TABLE flagsmith.delivery DISABLE TRIGGER delivery_guard;
ALTER TABLE flagsmith.tree_tile DISABLE TRIGGER tree_tile_guard;
ALTER TABLE flagsmith.seal DISABLE TRIGGER seal_guard;
UPDATE flagsmith.delivery SET body = convert_to('{"event_type": "X", "n": 7, "forged": true}', 'UTF8'),
    digest = sha256(convert_to('{"event_type": "X", "n": 7, "forged": true}', 'UTF8')) WHERE id = 7;
DELETE FROM flagsmith.tree_tile;
DELETE FROM flagsmith.seal;
SELECT flagsmith.seal();
SQL
is($node->safe_psql('forged', 'SELECT count(*) FROM flagsmith.verify_seals()'), 0, 'the database alone cannot tell');
refused('forged', 'the root of 950 leaves is not the one that was signed', 'a history sealed anew');

# The log: what a crash cut off is dropped, what somebody wrote is not believed.
$before = slurp_body($log);
spill($log, "$before\nexample.com/flags\n95");
deliver('postgres', 951, 960);
($status, $out, $err) = run_witness('postgres', '--seal');
is($status, 0, 'a checkpoint that was cut off does no harm');
like($err, qr/an incomplete checkpoint at the end of the log was dropped/, 'and is dropped');
is((witness('verify', '--public', $public, $log))[1], "10 checkpoints of example.com/flags, the last of 960 leaves, signed by example.com/flags\n", 'the log is whole');
$before = slurp_body($log);
spill($log, $before =~ s/\n950\n/\n951\n/r);
like((run_witness('postgres'))[2], qr/checkpoint 9 of the log: the signature of example\.com\/flags is wrong/, 'a log that was changed is not gone on with');
spill($log, $before);
chmod 0644, $key;
like((run_witness('postgres'))[2], qr/can be read by others than its owner/, 'nor is a key that others can read used');
chmod 0600, $key;
like((witness('run', '--key', $key, '--log', $log, '--dsn', 'host=/nowhere'))[2], qr/^flagsmith-witness: connection /, 'no database is no alarm');

# By software that we did not write.
SKIP:
{
	my ($go, $gopath) = ('/usr/bin/go', '/usr/share/gocode');

	skip 'golang-go or golang-golang-x-mod-dev is not here', 4
	  if !-x $go || !-d "$gopath/src/golang.org/x/mod/sumdb/tlog";
	my @trees = map {
		my ($from, $to, $from_root, $to_root, $hashes) = split /\|/;
		{ From => $from + 0, To => $to + 0, FromRoot => $from_root, ToRoot => $to_root, Hashes => [ split /,/, $hashes // '' ] }
	} split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT a.size, b.size, encode(a.root, 'base64'), encode(b.root, 'base64'),
    (SELECT string_agg(encode(h, 'base64'), ',' ORDER BY o) FROM unnest(flagsmith.consistency_proof(a.size, b.size)) WITH ORDINALITY u (h, o))
FROM flagsmith.seal a JOIN flagsmith.seal b ON b.size > a.size
SQL
	my @notes = split /\n\n(?!\x{e2}\x{80}\x{94})/, slurp_body($log);
	my $input = JSON::PP->new->utf8->encode({ Public => $public, Secret => slurp_body($key) =~ s/\n//r,
		Notes => [ map { decode('UTF-8', s/\n*\z/\n/r) } @notes ], Proofs => [ map { decode('UTF-8', $_) } @proofs ], Trees => \@trees });
	my $output = '';
	local @ENV{qw(GO111MODULE GOPATH GOCACHE GOFLAGS HOME)} = ('off', $gopath, "$dir/gocache", '', $dir);

	ok(IPC::Run::run([ $go, 'run', "$FindBin::Bin/interop/main.go" ], '<', \$input, '>', \$output, '2>', \$err),
		'golang.org/x/mod/sumdb opens the notes and checks the proofs') or diag $err;
	my ($counts, $signed) = $output =~ /^(\d+ \d+ \d+) \w+\n(.*)/s;
	is($counts, '10 18 ' . @trees, 'all of them');
	cmp_ok(scalar @trees, '>=', 30, 'which are many');
	spill("$dir/signed", $signed);
	is((witness('verify', '--public', $public, "$dir/signed"))[0], 0, 'and what it signs with the key, the witness verifies');
}

# A delivery whose secret is not kept any more, verified with one that is typed in; the server logs every statement.
my $secret = 'a secret with blanks and a \\ that is typed in';
$node->safe_psql('postgres', "SET log_statement = 'none'; SELECT flagsmith.add_webhook('signed', " . literal($secret) . ", max_spool_age => NULL)");
$node->safe_psql('postgres', insert_sql('signed', sign('{"event_type": "Y"}', $secret), '{"event_type": "Y"}'));
my $id = $node->safe_psql('postgres', "DELETE FROM flagsmith.webhook_secret; SELECT max(id) FROM flagsmith.delivery");
is($node->safe_psql('postgres', "SELECT * FROM flagsmith.verify_delivery($id)"), '||the secret that verified it is not kept', 'the secret is gone');
$node->safe_psql('postgres', "ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_connections = on; SELECT pg_reload_conf()");
foreach my $try ([ $secret, "$id: verified\n" ], [ 'another', "$id: its signature is not one of its body with this secret\n" ])
{
	my ($typed, $said) = ("$try->[0]\n", '');

	IPC::Run::run([ "$FindBin::Bin/../tools/verify-delivery", '--dsn', $node->connstr('postgres'), $id ], '<', \$typed, '>', \$said);
	is($said, $try->[1], "typed in: $try->[0]");
}
my $complaint = '';
IPC::Run::run([ "$FindBin::Bin/../tools/verify-delivery", '--dsn', $node->connstr('postgres'), $id ], '<', \"\n", '2>', \$complaint);
is($complaint, "flagsmith-verify-delivery: no secret was given\n", 'none typed in');
IPC::Run::run([ "$FindBin::Bin/../tools/verify-delivery", '--dsn', $node->connstr('postgres') . ' user=regress_fsw_witness', $id ], '<', \"$secret\n", '2>', \$complaint);
is($complaint, "flagsmith-verify-delivery: permission denied for function verify_delivery\n", 'typed in by whoever may not');
IPC::Run::run([ "$FindBin::Bin/../tools/verify-delivery", '--dsn', $node->connstr('postgres') . ' user=nobody_of_this_name', $id ], '<', \"$secret\n", '2>', \$complaint);
like($complaint, qr/^flagsmith-verify-delivery: .*role "nobody_of_this_name" does not exist$/, 'typed in by whoever is not there');
like(slurp_body($node->logfile), qr/verify_delivery/, 'statements are logged');
unlike(slurp_body($node->logfile), qr/that is typed in/, 'but not the secret');

# Installed, with its units.
command_ok([ 'make', '-s', '-C', "$FindBin::Bin/..", 'install-witness', "DESTDIR=$dir/image" ], 'make install-witness');
command_like([ "$dir/image/usr/local/bin/flagsmith-witness", '--help' ], qr/keygen.*run.*prove.*verify/s, 'the program');
like(slurp_body("$dir/image/usr/local/lib/systemd/system/flagsmith-witness.service"),
	qr{^ExecStart=/usr/local/bin/flagsmith-witness run --key }m, 'the unit starts it');
ok(-e "$dir/image/usr/local/lib/systemd/system/flagsmith-witness.timer", 'and the timer the unit');

$node->stop;
done_testing();
