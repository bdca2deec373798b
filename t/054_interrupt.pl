# A long history can be interrupted while its timeline is built, not only while it is read or written.  Not a regress test: to
# see where a statement was interrupted takes the server's log, which can show a backtrace.
use strict;
use warnings;

use File::Basename qw(dirname);
use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = start_node('interrupt', conf => "max_parallel_workers_per_gather = 0\n");
chomp(my $libdir = `pg_config --pkglibdir`);
my $library = "$libdir/flagsmith_webhook.so";

# The functions of the timeline, and where each is in the library.
my %of_timeline;
for my $file (glob(dirname(dirname(__FILE__)) . '/src/timeline/*.c'))
{
	$of_timeline{$_} = 1 for slurp_body($file) =~ /^(\w+)\(/mg;
}
my @symbols = sort { $a->[0] <=> $b->[0] } map { /^([0-9a-f]+) [tT] (\w+)$/ ? [ hex($1), $2 ] : () } split(/\n/, `nm $library 2>&1`);
plan skip_all => 'no symbols of the library' if !grep { $of_timeline{ $_->[1] } } @symbols;

# Rows of no delivery, in a database of their own that does not stay.  With versions, everything is carried from one to the next.
my $rows = 60_000;
$node->safe_psql('postgres', 'CREATE DATABASE long');
$node->safe_psql('long', <<"SQL");
CREATE EXTENSION flagsmith_webhook;
INSERT INTO flagsmith.name (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)
    SELECT 'x', kind, id, name, 1, '2020-01-01Z', false, '2020-01-01Z', now()
    FROM (VALUES ('environment', '1', 'Home'), ('feature', '1', 'plain'), ('feature', '2', 'versioned'), ('project', '1', 'Shop')) v (kind, id, name);
INSERT INTO flagsmith.flag_change (delivery, ordinal, source, event_at, received_at, stored_at, origin, is_test, deleted,
        project_id, environment_id, feature_id, feature, enabled, value, enabled_before)
    SELECT 10 * i + f, 1, 'x', timestamptz '2020-01-01Z' + i * interval '1 min', timestamptz '2020-01-01 00:00:01Z' + i * interval '1 min',
        now(), 'webhook', false, false, 1, 1, f, 'it', i % 2 = 0, to_jsonb(i % 100), i % 2 = 1
    FROM generate_series(1, $rows) i, generate_series(1, 2) f;
INSERT INTO flagsmith.audit_effect (delivery, ordinal, split, source, project_id, environment_id, kind, feature_hash, version, occurred_at, received_at, stored_at)
    SELECT 10 * i + 5, 1, f, 'x', 1, 1, CASE f WHEN 1 THEN 'state' ELSE 'version' END,
        flagsmith._hash('feature:' || CASE f WHEN 1 THEN 'plain' ELSE 'versioned' END), CASE f WHEN 2 THEN i::text END,
        timestamptz '2020-01-01Z' + i * interval '1 min', timestamptz '2020-01-01 00:00:01Z' + i * interval '1 min', now()
    FROM generate_series(1, $rows) i, generate_series(1, 2) f;
VACUUM ANALYZE flagsmith.flag_change, flagsmith.audit_effect;
SQL

# The function of our library in which each interrupted statement was, by the backtraces in the log.
sub interrupted_in
{
	my ($log) = @_;
	my %found;

	for my $trace ($log =~ /BACKTRACE:(.*?)(?=^\d{4}-|\z)/msg)
	{
		next unless $trace =~ /flagsmith_webhook\.so\((\w*)\+0x([0-9a-f]+)\)/;
		my ($name, $offset) = ($1, hex($2));
		if ($name ne '')
		{
			my ($base) = grep { $_->[1] eq $name } @symbols;
			next unless $base;
			$offset += $base->[0];
		}
		my $last = '';
		for my $symbol (@symbols)
		{
			last if $symbol->[0] > $offset;
			$last = $symbol->[1];
		}
		$last =~ s/\..*//;
		$found{$last}++;
	}
	return \%found;
}

for my $feature (1, 2)
{
	my $query = "SELECT count(*) FROM flagsmith._flag_periods('x', 1, $feature)";
	my $began = time();
	my $periods = $node->safe_psql('long', $query);
	my $took = (time() - $began) * 1000;
	my $from = -s $node->logfile;
	my ($completed, $other) = (0, 0);
	my $in = {};

	cmp_ok($periods, '>', $rows / 2, "flag $feature: a long timeline");
	# From one end of the time it takes to the other and again, until one stops in the timeline.
	for my $try (1 .. 80)
	{
		my $timeout = int($took * ($try % 40 + 1) / 42) || 1;
		my ($rc, $out, $err) = $node->psql('long',
			"SET backtrace_functions = 'ProcessInterrupts';\nSET statement_timeout = $timeout;\n\\set VERBOSITY sqlstate\n$query;\n");
		if ($rc == 0) { $completed++ }
		elsif ($err !~ /ERROR:  57014/) { $other++; diag($err) }
		$in = interrupted_in(substr(slurp_file($node->logfile), $from));
		last if grep { $of_timeline{$_} } keys %$in;
	}
	is($other, 0, "flag $feature: no other error than 57014");
	ok((grep { $of_timeline{$_} } keys %$in), "flag $feature: interrupted while its timeline is built")
	  or diag('interrupted in ' . join(', ', %$in) . "; $completed completed");
	note(join(', ', map { "$_ $in->{$_}" } sort keys %$in));
}
$node->safe_psql('postgres', 'DROP DATABASE long');
$node->stop;

done_testing();
