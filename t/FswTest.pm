# What the TAP tests share: a server with the extension, the bodies of t/data, and their way into the inbox.
package FswTest;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Exporter 'import';
use File::Basename qw(dirname);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tidy;

our @EXPORT = qw(start_node data_dir slurp_body manifest bytea literal sign insert_sql);

# Every node's last step: each typed row of each database is what its body says.
{
	package FswTest::Node;

	our @ISA = ('PostgreSQL::Test::Cluster');
	my @started;

	sub check_rows
	{
		my ($self) = @_;
		my $databases = $self->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn');

		for my $database (split(/\n/, $databases))
		{
			next if $self->safe_psql($database, "SELECT count(*) FROM pg_extension WHERE extname = 'flagsmith_webhook'") == 0;
			my $rows = $self->safe_psql($database, 'SELECT * FROM flagsmith.rebuild(dry_run => true) LIMIT 20');

			die 'rows that differ from their bodies in ' . $self->name . ", database $database:\n$rows\n" if $rows ne '';
		}
	}

	sub start
	{
		my ($self, @arguments) = @_;

		push @started, $self unless grep { $_ == $self } @started;
		return $self->SUPER::start(@arguments);
	}

	sub stop
	{
		my ($self, @arguments) = @_;

		$self->check_rows unless @arguments;
		return $self->SUPER::stop(@arguments);
	}

	# Those that a test leaves to be stopped at its end.
	END
	{
		my $rc = $?;

		for my $node ($rc == 0 ? @started : ())
		{
			next unless defined $node->{_pid};
			eval { $node->check_rows; 1 } or do { warn $@; $rc = 1 };
		}
		$? = $rc;
	}
}

# A node called $name, started, with the extension in database postgres; %options: conf, text for postgresql.conf.
sub start_node
{
	my ($name, %options) = @_;
	my $node = bless(PostgreSQL::Test::Cluster->new($name), 'FswTest::Node');

	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %{ $options{init} || {} });
	# to compile a query takes longer than to answer it from as little as tests have
	$node->append_conf('postgresql.conf', "timezone = 'UTC'\njit = off\n" . ($options{conf} // ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION flagsmith_webhook');
	return $node;
}

# t/data, or a directory in it.
sub data_dir
{
	return join('/', dirname(__FILE__), 'data', @_);
}

# The exact bytes of a file.
sub slurp_body
{
	my ($path) = @_;

	open(my $fh, '<:raw', $path) or die "could not open $path: $!";
	local $/;
	my $body = <$fh>;
	close($fh);
	return $body;
}

# The rows of t/data/DIR/manifest.tsv as a list of hashes, each with its body.
sub manifest
{
	my ($dir) = @_;
	my @rows;

	open(my $fh, '<:raw', data_dir($dir, 'manifest.tsv')) or die "no manifest in $dir: $!";
	chomp(my $head = <$fh>);
	my @columns = split(/\t/, $head);
	while (my $line = <$fh>)
	{
		chomp $line;
		my %row;
		@row{@columns} = split(/\t/, $line, -1);
		$row{body} = slurp_body(data_dir($dir, "$row{name}.json"));
		push @rows, \%row;
	}
	close($fh);
	return @rows;
}

# SQL literals of bytes and of text; undef is NULL.
sub bytea
{
	my ($bytes) = @_;

	return defined $bytes ? "'\\x" . unpack('H*', $bytes) . "'::bytea" : 'NULL';
}

sub literal
{
	my ($text) = @_;

	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return $text =~ s/\\/\\\\/g ? "E'$text'" : "'$text'";
}

# What Flagsmith puts into X-Flagsmith-Signature.
sub sign
{
	my ($body, $secret) = @_;

	return hmac_sha256_hex($body, $secret);
}

# The receiver's statement as text.
sub insert_sql
{
	my ($webhook, $signature, $body, $received_at) = @_;

	return sprintf("INSERT INTO flagsmith.inbox (webhook, signature, body%s) VALUES (%s, %s, %s%s) RETURNING outcome, reason;\n",
		defined $received_at ? ', received_at' : '',
		literal($webhook), literal($signature), bytea($body),
		defined $received_at ? ', ' . literal($received_at) : '');
}

1;
