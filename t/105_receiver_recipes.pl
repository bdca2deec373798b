# The recipes of docs/receiver.md, each with what Debian packages: nginx in
# front of flagsmith-receiver, webhook with psql, gunicorn with psycopg, and a
# function for PostgREST.  Regress has neither.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $recipes = "$Receiver::top/receiver/recipes";
my $node = Receiver::server('recipes');
my @children;

$node->safe_psql('postgres', q(SELECT FROM flagsmith.add_webhook('shop', 'geheim')));

sub program_path
{
	my ($name) = @_;
	my ($found) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/bin';

	return $found;
}

# A child that listens on a port.
sub spawn
{
	my ($port, $env, @command) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		%ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => 'receiver', PGDATABASE => 'postgres', %$env);
		open(STDOUT, '>>', "$tmp/recipe.log");
		open(STDERR, '>&', \*STDOUT);
		exec(@command) or POSIX::_exit(127);
	}
	push @children, $pid;
	my $client = bless { port => $port }, 'Receiver';
	for (1 .. 100)
	{
		return $client if $client->connect_quietly;
		sleep 0.1;
	}
	die "@command does not listen: " . slurp_file("$tmp/recipe.log");
}

sub end_children
{
	kill 'TERM', @children if @children;
	waitpid($_, 0) foreach @children;
	@children = ();
}

END
{
	local $?;
	end_children();
}

my $number = 0;

sub body { return sprintf '{"recipe": %d, "text": "\u00e4 \\\\ \' \" %s"}', ++$number, 'x' x 3000; }

sub stored
{
	my ($body) = @_;

	return $node->safe_psql('postgres',
		q{SELECT count(*) FROM flagsmith.delivery WHERE webhook = 'shop' AND digest = sha256('\x} . unpack('H*', $body) . q{'::bytea)});
}

# What every receiver has to do.
sub check
{
	my ($client, $path, $what, $rejected, $unknown) = @_;
	my $body = body();

	is(($client->post($path, $body, secret => 'geheim'))[0], 200, "$what: a good one");
	is(stored($body), 1, "$what: its bytes are stored");
	is(($client->post($path, $body, secret => 'geheim'))[0], 200, "$what: again");
	is(($client->post($path, body(), secret => 'wrong'))[0], $rejected, "$what: a forged one");
	is(($client->post("${path}x", $body, secret => 'geheim'))[0], $unknown, "$what: no such webhook");
}

SKIP:
{
	my $webhook = program_path('webhook') // skip('webhook is not here', 5);
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $hooks = slurp_file("$recipes/hooks.json");

	$hooks =~ s{/usr/local/lib/flagsmith/deliver}{$recipes/deliver};
	append_to_file("$tmp/hooks.json", $hooks);
	my $client = spawn($port, {}, $webhook, '-hooks', "$tmp/hooks.json", '-ip', '127.0.0.1', '-port', $port);
	# what was refused is in the table rejected; webhook knows success and failure only
	check($client, '/hooks/shop', 'webhook', 200, 404);
	end_children();
}

SKIP:
{
	my $gunicorn = program_path('gunicorn') // skip('gunicorn is not here', 5);
	skip('psycopg is not here', 5) if system('/usr/bin/python3 -c "import psycopg" 2>/dev/null') != 0;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $client = spawn($port, { PYTHONDONTWRITEBYTECODE => 1 }, '/usr/bin/python3', $gunicorn,
		'--bind', "127.0.0.1:$port", '--threads', '4', '--timeout', '30', '--chdir', $recipes, 'receiver:application');

	check($client, '/shop', 'psycopg', 401, 404);
	end_children();
}

SKIP:
{
	my $nginx = program_path('nginx') // skip('nginx is not here', 11);
	my $curl = program_path('curl') // skip('curl is not here', 11);
	my $receiver = Receiver->start($node, options => [ '--prefix', '/hooks', '--hold', '0.5', '--client-address-header', 'X-Real-IP' ]);
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $server = slurp_file("$recipes/nginx.conf");
	my $dir = "$tmp/nginx";

	mkdir $dir or die "$dir: $!";
	system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks.example.com -keyout $dir/key -out $dir/cert 2>/dev/null") == 0
	  or die "openssl";
	$server =~ s/listen 443/listen 127.0.0.1:$port/;
	$server =~ s/127\.0\.0\.1:8480/127.0.0.1:$receiver->{port}/;
	$server =~ s{ssl_certificate +\S+;}{ssl_certificate $dir/cert;};
	$server =~ s{ssl_certificate_key \S+;}{ssl_certificate_key $dir/key;};
	append_to_file("$dir/nginx.conf", <<"CONF");
daemon off;
pid $dir/pid;
error_log $dir/error.log;
events {}
http {
access_log off;
client_body_temp_path $dir/body;
proxy_temp_path $dir/proxy;
fastcgi_temp_path $dir/fastcgi;
uwsgi_temp_path $dir/uwsgi;
scgi_temp_path $dir/scgi;
$server
}
CONF
	spawn($port, {}, $nginx, '-e', "$dir/error.log", '-c', "$dir/nginx.conf");

	my $post = sub {
		my ($path, $body, $secret) = @_;
		my $signature = Digest::SHA::hmac_sha256_hex($body, $secret);

		append_to_file("$dir/request_$number", $body) unless -e "$dir/request_$number";
		return `$curl -s -k -m 20 -o /dev/null -w '%{http_code} %{exitcode}' -H 'X-Flagsmith-Signature: $signature' --data-binary \@$dir/request_$number https://127.0.0.1:$port$path`;
	};
	my $body = body();
	is($post->('/hooks/shop', $body, 'geheim'), '200 0', 'nginx: a good one');
	is(stored($body), 1, 'nginx: its bytes are stored');
	is($post->('/hooks/shop', $body, 'wrong'), '401 0', 'nginx: a forged one');
	like($receiver->log_content, qr/status=401 .*client=127\.0\.0\.1 forwarded="127\.0\.0\.1"$/m, 'nginx: with the address of its sender');
	is($post->('/hooks/%73h%6Fp', $body, 'geheim'), '200 0', 'nginx: an encoded path goes through');
	is($post->('/hooks/shop/', $body, 'geheim'), '200 0', 'nginx: a slash at the end as well');
	is($post->('/hooks', $body, 'geheim'), '404 0', 'nginx: no redirect');
	is($post->('/other', $body, 'geheim'), '404 0', 'nginx: nothing else is there');
	$node->stop;
	like($post->('/hooks/shop', $body, 'geheim'), qr/^000 (52|56)$/, 'nginx: no answer while the database is away');
	$node->start;
	$receiver->stop;
	like($post->('/hooks/shop', $body, 'geheim'), qr/^000 (52|56)$/, 'nginx: nor while the receiver is');
	end_children();
}

# PostgREST's part is played by psql.
$node->safe_psql('postgres', 'CREATE ROLE web');
$node->safe_psql('postgres', slurp_file("$recipes/postgrest.sql"));
my $body = '{"data": {"timestamp": "2026-01-02T03:04:05.000000Z"},   "event_type": "\u00c4"}';
my $signature = Digest::SHA::hmac_sha256_hex($body, 'geheim');
foreach my $case ([ $signature, 'stored|200' ], [ $signature, 'duplicate|200' ], [ 'a' x 64, 'rejected|401' ])
{
	is( $node->safe_psql(
			'postgres', <<"SQL"),
BEGIN;
SET ROLE web;
SELECT FROM set_config('request.headers', '{"host": "x", "x-flagsmith-signature": "$case->[0]"}', true);
SELECT api.shop('$body'), current_setting('response.status');
COMMIT;
SQL
		$case->[1], "PostgREST: $case->[1]");
}
is(stored($body), 1, 'PostgREST: its bytes are stored');

done_testing();
