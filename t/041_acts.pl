# The view history over small histories in several orders of arrival: the same lines in each, and every delivery in exactly one.
# t/data/history has one that a real Flagsmith sent, or a simulated one, for each fault that was found.  Not a regress test, since
# it shuffles with a new seed each time.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use JSON::PP;
use List::Util qw(shuffle);
use Test::More;

my $json = JSON::PP->new->utf8;
my $node = start_node('acts');
my $seed = $ENV{FSW_SEED} // int(rand(1e9));
srand($seed);
note("FSW_SEED=$seed");

# Deliver what is in the order given as the source $source; each arrives when it did.
sub deliver
{
	my ($source, @deliveries) = @_;
	my %hook = map { $_->{path} => $_ } @deliveries;
	my $sql = "BEGIN;\n";

	foreach my $path (sort keys %hook)
	{
		$sql .= sprintf("SELECT flagsmith.add_webhook(%s, scope => %s, environment_id => %s, source => %s, allow_unsigned => true, max_spool_age => NULL);\n",
			literal("$source $path"), literal($hook{$path}{kind}), $hook{$path}{environment} // 'NULL', literal($source));
	}
	foreach my $d (@deliveries)
	{
		my $body = $d->{body};
		utf8::encode($body);
		$sql .= insert_sql("$source $d->{path}", undef, $body, $d->{arrived_at});
	}
	$node->safe_psql('postgres', $sql . "COMMIT;\nANALYZE;\n");
}

# The lines of a source as text, with digests in place of what depends on the order; without the key, which is of what was
# stored first.
sub lines
{
	my ($source) = @_;

	return $node->safe_psql('postgres', sprintf(<<'SQL', literal($source), literal($source)));
SELECT to_jsonb(h) - 'source' - 'delivery_ids' - 'act'
    || jsonb_build_object('deliveries', ARRAY(
        SELECT left(encode(d.digest, 'hex'), 12) FROM flagsmith.delivery d WHERE d.id = ANY (h.delivery_ids) ORDER BY 1))
FROM flagsmith.history h
WHERE source = %s
ORDER BY 1
SQL
}

# How many deliveries of a source are not in exactly one line, once.
sub stray
{
	my ($source) = @_;

	return $node->safe_psql('postgres', sprintf(<<'SQL', literal($source), literal($source)));
WITH told AS MATERIALIZED (SELECT unnest(delivery_ids) AS id FROM flagsmith.history WHERE source = %s)
SELECT count(*) FROM flagsmith.delivery d WHERE source = %s AND (SELECT count(*) FROM told t WHERE t.id = d.id) <> 1
SQL
}

# What the lines of a source say of some columns, one line below the other.
sub told
{
	my ($source, $columns, $where) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM flagsmith.history WHERE source = " . literal($source) . " AND $where ORDER BY at, act");
}

my %history;
foreach my $name (qw(ambiguous ambiguous_in_turns list_without_entry made_again order set_after_removal))
{
	my @deliveries = map { $json->decode($_) } split(/\n/, slurp_body(data_dir('history', "$name.jsonl")));
	my %order = (first => [@deliveries], reverse => [ reverse @deliveries ], shuffled => [ shuffle @deliveries ]);

	foreach my $order (qw(first reverse shuffled))
	{
		deliver("$name $order", @{ $order{$order} });
		is(stray("$name $order"), '0', "$name, $order: every delivery is in exactly one line");
	}
	my $lines = lines("$name first");
	isnt($lines, '', "$name: there are lines");
	is(lines("$name $_"), $lines, "$name: the same lines in another order ($_)") foreach qw(reverse shuffled);
	is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT act) FROM flagsmith.history WHERE source = '$name first'"), '0',
		"$name: each line has a key of its own");
}

is(told('ambiguous first', 'feature, environment_id, feature_id, cardinality(delivery_ids)', 'true'), q{x' and identity 'y' 1|20|7|3},
	'an ambiguous message is what the event of the instant says');
is(told('ambiguous_in_turns first', 'action, object, enabled', q{feature = 'x'' and identity ''y'' 4'}), "updated|variant|\nupdated|variant|f\nupdated|feature state|t",
	'and so in the next save, too, and in the one before, of which only the id tells');
is(told('made_again first', 'feature, feature_id', q{action = 'deleted' AND object = 'feature'}), "flag|39\ngone at once, too|43",
	'a deletion is found, whatever follows or precedes it');
is(told('made_again first', 'action, feature_id', q{feature = 'flag' AND object = 'feature'}), "created|39\ndeleted|39\ncreated|41",
	'and is no line with what was made under its name');
is(told('list_without_entry first', 'action, object, actor, enabled, cardinality(delivery_ids)', 'true'), 'published|version|zoe@example.com|t|2',
	'a version list whose entry was lost is with its flag event');
is(told('set_after_removal first', 'action, enabled, value, enabled_before, segment_id', q{segment = 'seg-5' AND object <> 'segment'}),
	qq{updated|f|"green140"||1\ndeleted|||f|1\nset|t|"green455"||1}, 'set within a second of a removal');

# Deletions and lists that nothing else tells of, each by two webhooks and by one of them later: a line has the earliest arrival
# and does not depend on which was stored first.  Flagsmith sends one deletion for each version of a flag.
my %state = (feature => { id => 1, name => 'gone', project => { id => 1, name => 'Shop' } }, environment => { id => 1, name => 'Demo' },
	identity => undef, identity_identifier => undef, feature_segment => undef, enabled => \1, feature_state_value => 'x',
	multivariate_feature_state_values => []);
my @twice;
foreach my $n (1 .. 3)
{
	my @body = ($json->encode({ event_type => 'FLAG_DELETED', data => { changed_by => 'ada@example.com', new_state => undef,
			timestamp => "2026-11-01T12:00:0$n.000000Z", previous_state => \%state } }),
		$json->encode({ event_type => 'NEW_VERSION_PUBLISHED', data => { uuid => "8be5e2a1-0000-4000-8000-00000000000$n", published_by => undef,
			feature => { id => 2, name => 'listed' }, feature_states => [] } }));

	foreach my $path (qw(a b))
	{
		push @twice, { path => $path, kind => 'environment', environment => 1, body => $_,
			arrived_at => sprintf('2026-11-01T13:00:%02d.%dZ', 10 + ($n * 7) % 5, $path eq 'a' ? $n : 4) } foreach @body;
	}
}
deliver('twice first', @twice);
deliver('twice reverse', reverse @twice);
deliver('twice shuffled', shuffle @twice);
is(stray("twice $_"), '0', "twice, $_: every delivery is in exactly one line") foreach qw(first reverse shuffled);
is(told('twice first', 'at, action, cardinality(delivery_ids)', "feature = 'gone'"), '2026-11-01 13:00:11.3+00|deleted|3', 'the deletions are one act');
is(told('twice first', 'at', "feature = 'listed'"), "2026-11-01 13:00:11.3+00\n2026-11-01 13:00:12.1+00\n2026-11-01 13:00:14.2+00", 'the lists are three');
is(lines("twice $_"), lines('twice first'), "twice: the same lines in another order ($_)") foreach qw(reverse shuffled);

# Late evidence may change a line, never its key: the line that has what was stored first of another still has its key.
sub keys_of
{
	my ($source) = @_;

	return map { [ split(/\|/) ] } split(/\n/,
		$node->safe_psql('postgres', 'SELECT delivery_ids[1], act, delivery_ids FROM flagsmith.history WHERE source = ' . literal($source)));
}
foreach my $name (qw(list_without_entry set_after_removal made_again))
{
	my @deliveries = shuffle map { $json->decode($_) } split(/\n/, slurp_body(data_dir('history', "$name.jsonl")));
	my (%key, $changed);

	my $source = "$name, one by one";
	my %known;
	foreach my $d (@deliveries)
	{
		if (!$known{ $d->{path} }++)
		{
			deliver($source, $d);
		}
		else
		{
			my $body = $d->{body};
			utf8::encode($body);
			$node->safe_psql('postgres', insert_sql("$source $d->{path}", undef, $body, $d->{arrived_at}));
		}
		foreach my $line (keys_of($source))
		{
			$changed .= "$key{ $line->[0] } is $line->[1] now\n" if exists $key{ $line->[0] } && $key{ $line->[0] } ne $line->[1];
			$key{ $line->[0] } = $line->[1];
		}
	}
	is($changed, undef, "$name: no key changes");
	is(stray($source), '0', "$name: delivered one by one, every delivery is in exactly one line");
}

$node->stop;
done_testing();
