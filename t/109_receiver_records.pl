# A body is what its sender likes, also while it lies in the spool: what looks
# like a record in it is none, whatever is damaged around it.  And what an
# earlier version wrote is still read.  t/unit/record.c has the forms of
# records and what a search costs; regress has neither processes nor HTTP.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use Receiver;

Receiver::program();
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = Receiver::server('records');
my $receiver;

# CRC-32C, bit by bit.
sub checksum
{
	my $crc = 0xffffffff;

	foreach my $byte (unpack 'C*', $_[0])
	{
		$crc ^= $byte;
		$crc = ($crc >> 1) ^ ($crc & 1 ? 0x82f63b78 : 0) for 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}

# A record of the first form, without a signature, that arrived just now.
sub first_form
{
	my ($webhook, $body) = @_;
	my $rest = pack('q> N N N', (time - 946684800) * 1000000, length $webhook, 0xffffffff, length $body) . $webhook . $body;

	return 'FWR1' . pack('N', checksum($rest)) . $rest;
}

# One of today's, with this tag.
sub second_form
{
	my ($webhook, $body, $tag) = @_;
	my $header = $tag
	  . pack('q> N N N N', (time - 946684800) * 1000000, length $webhook, 0xffffffff, length $body,
		checksum($webhook . $body));

	return 'FWR2' . pack('N', checksum($header)) . $header . $webhook . $body;
}

sub spool_dir
{
	mkdir "$tmp/records_$_[0]" or die "$tmp/records_$_[0]: $!";
	return "$tmp/records_$_[0]";
}

sub start
{
	$receiver = Receiver->start($node, options => [ '--spool', $_[0], '--hold', '0.1' ]);
}

# Post these while the database is away; the one segment.
sub spool
{
	my ($dir, @bodies) = @_;

	$node->stop;
	start($dir);
	is(($receiver->post('/open', $_))[0], 200, 'spooled') foreach @bodies;
	$receiver->kill9;
	$node->start;
	return (glob "$dir/*.spool")[0];
}

# Change a byte of a file, as many bytes before or behind the first place of a text.
sub damage
{
	my ($file, $text, $by) = @_;
	my $content = slurp_file($file);
	my $at = index($content, $text);

	die "no $text in $file" if $at < 0;
	substr($content, $at + $by, 1) ^= "\xff";
	open(my $fh, '>', $file) or die "$file: $!";
	binmode $fh;
	print $fh $content;
	close $fh;
}

# Start, and wait until all that was to be done is done.
sub drain
{
	my ($dir, $what) = @_;
	my $files = -1;

	start($dir);
	for (1 .. 600)
	{
		$files = () = glob "$dir/*.spool";
		last if $files == 0;
		sleep 0.05;
	}
	is($files, 0, "$what: the spool is done with");
}

# What the stored bodies are called, as they came.
sub stored
{
	return $node->safe_psql('postgres',
		q(SELECT string_agg(substring(convert_from(body, 'LATIN1') FROM '"n": "(\w+)"'), ' ' ORDER BY id) FROM flagsmith.delivery)
	);
}

sub body
{
	my ($name, $inner) = @_;

	return qq({"n": "$name", "inner": ") . ($inner // '') . '"}';
}

# --- records in a body, whose header is damaged, or which is damaged itself
for my $damaged ('header', 'body')
{
	my $dir = spool_dir($damaged);
	my $file = spool(
		$dir,
		body("before_$damaged"),
		body("outer_$damaged", first_form('open', '{"n": "forged_1"}') . second_form('open', '{"n": "forged_2"}', 'a' x 8)),
		body("behind_$damaged"));

	damage($file, "open{\"n\": \"outer_$damaged", $damaged eq 'header' ? -14 : 6);
	drain($dir, $damaged);
	is($receiver->metric('flagsmith_receiver_spool_unreadable_total{result="damaged"}'), 1, "$damaged: counted");
	$receiver->stop;
	is(scalar(@{ [ glob "$dir/*.damaged" ] }), 1, "$damaged: the file is set aside");
}
is(stored(), 'before_header behind_header before_body behind_body',
	'what is in a damaged record is no delivery, and what is behind it goes on');

# --- the tag is known after a restart, too, and without it nothing is guessed
my $dir = spool_dir('tag');
my $file = spool($dir, body('tag_1'), body('tag_2'));
damage($file, 'open', -14);
drain($dir, 'tag');
$receiver->stop;
like(stored(), qr/tag_2$/, 'tag: behind a damaged first record the others are found');
$file = spool($dir, body('tag_3'), body('tag_4'), body('tag_5'));
unlink "$dir/lock" or die "lock: $!";
damage($file, 'open{"n": "tag_4"', -14);
drain($dir, 'no tag');
$receiver->stop;
like(stored(), qr/tag_2 tag_3 tag_5$/, 'no tag: a record in its place tells it');
$file = spool($dir, body('tag_6'), body('tag_7'));
unlink "$dir/lock" or die "lock: $!";
damage($file, 'open', -14);
drain($dir, 'no tag at all');
$receiver->stop;
unlike(stored(), qr/tag_[67]/, 'no tag at all: the file is set aside');
is(scalar(@{ [ glob "$dir/*.damaged" ] }), 3, 'no tag at all: whole');

# --- where the tag cannot be kept, everything else goes on
$dir = spool_dir('no_lock');
mkfifo("$dir/lock", 0600) or die "mkfifo: $!";
start($dir);
like($receiver->log_content, qr/level=warning event=spool_tag_not_kept error=\d+$/m, 'the tag cannot be kept: the log tells');
is(($receiver->post('/open', body('no_lock')))[0], 200, 'the tag cannot be kept: that stops nobody');
$receiver->stop;

# --- what an earlier version wrote
$dir = spool_dir('first');
append_to_file("$dir/0000000000000001.spool", first_form('open', body('first_1')) . first_form('open', body('first_2')));
append_to_file("$dir/0000000000000002.spool",
	first_form('open', body('first_3'))
	  . first_form('open', body('outer', first_form('open', '{"n": "forged_3"}')))
	  . first_form('open', body('first_4')));
damage("$dir/0000000000000002.spool", 'outer', 0);
drain($dir, 'the first form');
like(stored(), qr/first_1 first_2 first_3( |$)/, 'the first form: is read');
unlike(stored(), qr/first_4|forged/, 'the first form: and nothing is guessed behind damage');
is(scalar(@{ [ glob "$dir/*.damaged" ] }), 1, 'the first form: that file is set aside');
$receiver->stop;

done_testing();
