# The pictures of docs/confidence/ are what timeline_svg() draws, each shows the word that it is about, and is well-formed XML.
# Runs a program, so no regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('pictures');
my $tmp = PostgreSQL::Test::Utils::tempdir();
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
	my ($stdout, $stderr) = ('', '');

	ok(IPC::Run::run([ "$FindBin::Bin/../tools/pictures", $tmp ], '>', \$stdout, '2>', \$stderr), 'the pictures are drawn') or diag($stderr);
	is($stderr, '', 'without a word');
}
for my $word (qw(confirmed reported inferred unknown))
{
	my $drawn = slurp_body("$tmp/$word.svg");
	my @open;

	is($drawn, slurp_body(data_dir('..', '..', 'docs', 'confidence', "$word.svg")), "$word: the one in docs/confidence (tools/pictures draws it)");
	like($drawn, qr/<desc [^>]*>[^<]*\b$word\b/, "$word: and it shows it");
	like($drawn, qr/ role="img" aria-labelledby="(\w+) (\w+)"><title id="\1">[^<]+<\/title><desc id="\2">/, "$word: with a title and a description");
	while ($drawn =~ /<(\/?)(\w+)[^<>]*?(\/?)>/g)
	{
		if (!$1) { push @open, $2 unless $3; }
		elsif ($open[-1] eq $2) { pop @open; }
	}
	is("@open", '', "$word: every element is closed");
	my ($references, $ids) = ($drawn, $drawn);
	my %ids = map { $_ => 1 } $ids =~ / id="(\w+)"/g;
	is(join(' ', grep { !$ids{$_} } $references =~ /url\(#(\w+)\)/g), '', "$word: every hatching that is used is there");
	unlike($drawn, qr/href|<script|<image|https?:(?!\/\/www\.w3\.org\/2000\/svg")/, "$word: it needs nothing beside it");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'flagsmith%'"), 0, 'nothing is left behind');

# Where the encoding has no shades, signs that every one has.
$node->safe_psql('postgres', "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'");
$node->safe_psql('latin', "CREATE EXTENSION flagsmith_webhook;\n" . slurp_body(data_dir('confidence.sql')));
my $lines = $node->safe_psql('latin', "SELECT flagsmith.timeline('unknown/Shop/Production', 'checkout_v2', '2026-03-01Z', '2026-03-08Z')");
like($lines, qr/^checkout_v2  +#+\?+-+ off$/m, 'a timeline of a database in another encoding') or diag($lines);
unlike($lines, qr/[^\x20-\x7e\n]/, 'is of signs that it has');
$node->stop;
done_testing();
