# The test vectors of docs/evidence.md: the leaves as printed there hash to what the database sealed.  Reads the document, and
# needs an empty database, so no regress test.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my ($section) = slurp_body("$FindBin::Bin/../docs/evidence.md") =~ /^### Test vectors\n(.*)/ms;
my ($columns) = slurp_body("$FindBin::Bin/../docs/evidence.md") =~ /^## Which columns are sealed\n(.*?)^## /ms;
my ($sql) = $section =~ /^```sql\n(.*?)^```\n/ms;
my (@leaves) = $section =~ /^```\n(flagsmith_webhook leaf 1 .*?)^```\n/gms;
my ($hashes) = $section =~ /^```\n((?:[0-9a-f]{64}\n)+)```\n/m;
my ($checkpoint) = $section =~ /^```\n(example\.com\/flags\n.*?)^```\n/ms;
my $node = start_node('evidence');

$node->safe_psql('postgres', $sql);
is($node->safe_psql('postgres', 'SELECT flagsmith.seal()'), scalar @leaves, 'a leaf for each that is shown');
is($node->safe_psql('postgres', 'SELECT convert_from(leaf, \'UTF8\') FROM flagsmith.inclusion_proof(1)'), $leaves[0], 'the leaf of a delivery');
is(join('', map { sha256_hex("\0$_") . "\n" } @leaves), $hashes, 'the hashes shown are those of the leaves shown');
is($node->safe_psql('postgres', 'SELECT encode(substr(hashes, 1 + 32 * i, 32), \'hex\') FROM flagsmith.tree_tile, generate_series(0, 3) i WHERE level = 0') . "\n",
	$hashes, 'and those of the database');
is($node->safe_psql('postgres', "SELECT flagsmith.checkpoint('example.com/flags')"), $checkpoint, 'and so is the checkpoint');
is($node->safe_psql('postgres', 'SELECT encode(refs, \'hex\') FROM flagsmith.tree_tile'), '10111213', 'and the numbers of the rows');

# In another encoding the same leaf: its text is UTF-8.
$node->safe_psql('postgres', "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('latin', "CREATE EXTENSION flagsmith_webhook; SET client_encoding = 'UTF8';\n$sql");
$node->safe_psql('latin', 'SELECT flagsmith.seal()');
is($node->safe_psql('latin', "SELECT flagsmith.checkpoint('example.com/flags')"), $checkpoint, 'and that of a database in LATIN1');
is($node->safe_psql($_, 'SELECT count(*) FROM flagsmith.verify_seals()'), 0, "which verifies: $_") for qw(postgres latin);

# The table of columns: every column of a sealed table is on one side of it.
my %sides = map { my ($table, $sealed, $not) = @$_; ($table => "$sealed $not") }
  map { [ $_->[0] =~ /`(\w+)`/, @$_[1, 2] ] }
  map { [ (split /\s*\|\s*/)[1 .. 3] ] } grep { /^\| `(delivery|delivery_repeat)` \|/ } split /\n/, $columns;
foreach my $table (sort keys %sides)
{
	my %named = map { $_ => 1 } $sides{$table} =~ /`(\w+)`/g;
	my @there = split /\n/, $node->safe_psql('postgres', "SELECT attname FROM pg_attribute WHERE attrelid = 'flagsmith.$table'::regclass AND attnum > 0");

	is(join(' ', grep { !$named{$_} } @there), '', "$table: each column is sealed, or is said not to be");
}

# Not by stop() alone, which looks whether typed rows fit the bodies: these deliveries came by no inbox.
$node->stop('fast');
done_testing();
