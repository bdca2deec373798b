# The captured traffic, sent over HTTP with its original headers, ends in the
# same rows as inserting it.  Regress has no HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Test::More;

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $node = Receiver::server('replay');
my @captured;

foreach my $line (split /\n/, slurp_file("$Receiver::data/captured/manifest.tsv"))
{
	my ($name, $kind, $secret, $signature) = split /\t/, $line;

	next if $name eq 'name';
	push @captured,
	  {
		name => $name,
		webhook => $secret eq '' ? 'unsigned' : "with $secret",
		secret => $secret,
		signature => $signature eq '' ? undef : $signature,
		body => slurp_file("$Receiver::data/captured/$name.json")
	  };
}
cmp_ok(scalar @captured, '>=', 90, 'there is something to send');

# A second database takes the same by INSERT.
$node->safe_psql('postgres', 'CREATE DATABASE inserted');
$node->safe_psql('inserted', 'CREATE EXTENSION flagsmith_webhook');
my %webhook = map { $_->{webhook} => $_->{secret} } @captured;
foreach my $name (sort keys %webhook)
{
	my $arguments = $webhook{$name} eq '' ? 'allow_unsigned => true' : "'$webhook{$name}'";

	$node->safe_psql($_, "SELECT FROM flagsmith.add_webhook('$name', $arguments)") foreach 'postgres', 'inserted';
}

my $receiver = Receiver->start($node);
my $socket = $receiver->connect;
my %outcome;
my $script = "$PostgreSQL::Test::Utils::tmp_check/insert.sql";

foreach my $delivery (@captured)
{
	(my $path = $delivery->{webhook}) =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge;

	Receiver::send_bytes($socket,
		Receiver::request("/$path", $delivery->{body}, signature => $delivery->{signature}));
	my ($status, $text) = Receiver::answer($socket);

	chomp $text;
	is($status, 200, "$delivery->{name}: $text");
	append_to_file($script,
			"INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('$delivery->{webhook}', "
		  . (defined $delivery->{signature} ? "'$delivery->{signature}'" : 'NULL')
		  . ", '\\x"
		  . unpack('H*', $delivery->{body})
		  . "');\n");
}
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('inserted'), '-f', $script ],
	'the same by INSERT');
$receiver->stop;

# Everything but what says when it came: bodies without a time of their own are
# keyed by their arrival, and nothing here was sent twice.
my $tables = $node->safe_psql('postgres', <<'SQL');
SELECT format('SELECT %L, md5(string_agg(row::text, chr(10) ORDER BY row::text COLLATE "C")), count(*) FROM '
	'(SELECT %s FROM flagsmith.%I t) AS row', c.relname,
	string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attnum), c.relname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'r'
	AND c.relname IN ('delivery', 'audit_log', 'flag_change', 'audit_effect', 'version_published', 'name', 'rejected', 'rejected_count', 'delivery_repeat')
	AND a.attname NOT IN ('received_at', 'stored_at', 'first_received_at', 'last_received_at', 'arrived_at', 'seen_at')
	AND NOT (c.relname = 'name' AND a.attname = 'existed_at')
	AND NOT (c.relname = 'delivery' AND a.attname IN ('event_at', 'secret_id'))
GROUP BY c.relname ORDER BY c.relname
SQL
foreach my $query (split /\n/, $tables)
{
	my $over_http = $node->safe_psql('postgres', $query);

	is($over_http, $node->safe_psql('inserted', $query), "the same rows: $over_http");
}

done_testing();
