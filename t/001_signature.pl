# Signatures over the bodies of t/data, byte for byte: those that a real Flagsmith made, and those made after its source.
# Not a regress test, since regress cannot read files wherever they lie.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use Test::More;

my $node = start_node('signature');

# Everything in one script; a line of output for each body.
sub verdicts
{
	my $sql = join('', @_);
	my $out = $node->safe_psql('postgres', $sql);
	return split(/\n/, $out);
}

my @made = manifest('payloads');
is(scalar @made, 91, 'the made bodies are there');
my @signatures = verdicts(map { 'SELECT flagsmith.sign(' . bytea($_->{body}) . ", 'my shared secret');\n" } @made);
for my $i (0 .. $#made)
{
	my $row = $made[$i];
	is(length $row->{body}, $row->{bytes}, "$row->{name}: size as in the manifest");
	is($signatures[$i], $row->{hmac_sha256_hex}, "$row->{name}: signature as in the manifest");
}

my @captured = grep { $_->{signature} ne '' } manifest('captured');
cmp_ok(scalar @captured, '>', 80, 'the captured bodies are there');
my @verdicts = verdicts(
	map {
		my $args = join(', ', bytea($_->{body}), literal($_->{signature}));
		"SELECT flagsmith.verify_signature($args, " . literal($_->{secret}) . '), '
		  . "flagsmith.verify_signature($args, 'another', " . literal($_->{secret}) . '), '
		  . "flagsmith.verify_signature($args, 'another');\n"
	} @captured);
for my $i (0 .. $#captured)
{
	is($verdicts[$i], 't|t|f', "$captured[$i]{name}: verifies with its secret alone");
}

# Against another implementation, over secrets and bodies of every length around a block of SHA-256.
my $seed = $ENV{FSW_SEED} // int(rand(2**31));
note "FSW_SEED=$seed";
srand($seed);
my (@sql, @expected);
for my $n (0 .. 400)
{
	my $secret = join('', map { chr(33 + int(rand(94))) } 0 .. int(rand(200)));
	my $body = join('', map { chr(int(rand(256))) } 1 .. $n < 140 ? $n : int(rand(5000)));
	push @sql, 'SELECT flagsmith.sign(' . bytea($body) . ', ' . literal($secret) . ");\n";
	push @expected, sign($body, $secret);
}
is_deeply([ verdicts(@sql) ], \@expected, 'sign() agrees with Digest::SHA');

$node->stop;
done_testing();
