#!/usr/bin/perl
#
# tools/pages.pl - the commands of a page, as a script that runs them as they stand; for tools/pages and t/112_page.pl.
#
#   perl tools/pages.pl DOCUMENT DIRECTORY [FROM|TO]...
#
# Writes DIRECTORY/run.sh: each block marked "sh" of the document, one after another in one shell, which stops at the first
# that fails or that does not print what stands in the block behind it.  FROM|TO replaces a text, such as an address that
# is another one here.  Blocks marked "sh no-systemd" count as the others, but the script waits for what they start: it calls a
# function started() that whoever runs it defines.  At the end it prints the number of commands and the seconds they took, those
# of a processor as well, since apt and a busy machine make waiting of them.
use strict;
use warnings;

my ($document, $directory, @replace) = @ARGV;
die "usage: tools/pages.pl DOCUMENT DIRECTORY [FROM|TO]...\n" unless defined $directory;
my ($number, $commands, $script) = (0, 0, '');

sub write_file
{
	my ($path, $text) = @_;

	open(my $fh, '>:raw', $path) or die "could not write $path: $!\n";
	print $fh $text;
	close($fh) or die "could not write $path: $!\n";
	return;
}

# How many commands somebody has to paste or type: lines, without what a here document holds and without continuations.
sub count_commands
{
	my ($end, $count) = ('', 0);

	for my $line (split /\n/, $_[0])
	{
		if ($end ne '') { $end = '' if $line eq $end; next }
		$end = $1 if $line =~ /<<'?(\w+)'?/;
		$count++ unless $line =~ /^\s*(?:#|$)/;
	}
	return $count;
}

open(my $fh, '<:raw', $document) or die "could not open $document: $!\n";
my $text = do { local $/; <$fh> };
close($fh);
for my $pair (@replace)
{
	my ($from, $to) = $pair =~ /^(.+)\|(.*)$/s or die "not FROM|TO: $pair\n";

	$text =~ s/\Q$from\E/$to/g or die "$document does not have $from\n";
}
while ($text =~ /^( *)```sh( no-systemd)?\n(.*?)^ *```\n(?:\n *```\n(.*?)^ *```\n)?/gms)
{
	my ($indent, $wait, $code, $shown) = ($1, $2, $3, $4);

	s/^$indent//gm for grep { defined } $code, $shown;
	$number++;
	$commands += count_commands($code);
	write_file("$directory/$number.sh", $code);
	write_file("$directory/$number.shown", $shown) if defined $shown;
	$script .= "before_block $number\nblock $number\n" . ($wait ? "started\n" : '');
}
die "$document has no block marked sh\n" unless $number;
write_file("$directory/run.sh", <<"RUN");
set -eu
pages='$directory'
current=
seconds() { printf '%d' \$(((\${EPOCHREALTIME/./} - \${1/./} + 500000) / 1000000)); }
ended()
{
    local rc=\$?

    [ "\$rc" != 0 ] && [ -n "\$current" ] || return 0
    printf 'not ok block %s\\n' "\$current" >&3
    tail -n 20 "\$pages/\$current.sh" "\$pages/\$current.out" "\$pages/\$current.err" >&3
}
trap ended EXIT
exec 3>&1
block()
{
    local from=\$EPOCHREALTIME

    current=\$1
    # In this shell, since a later block counts on what an earlier one set; and in no condition, since set -e stops nothing there.
    { . "\$pages/\$1.sh"; } >"\$pages/\$1.out" 2>"\$pages/\$1.err" 3>&-
    # As an editor leaves it: no blanks at the ends of lines, no empty line at the end.
    [ ! -f "\$pages/\$1.shown" ] || diff -u "\$pages/\$1.shown" <(sed 's/ *\$//' "\$pages/\$1.out" | sed '\${/^\$/d}') >&3
    printf 'ok block %s, %s s: %s\\n' "\$1" "\$(seconds "\$from")" "\$(head -n 1 "\$pages/\$1.sh" | cut -c -90)"
    current=
}
begin=\$EPOCHREALTIME
$script
# The second line is what this shell waited for; in a subshell it would know of nothing.
times >"\$pages/times"
printf '%s commands, %s s of machine time, of a processor %s\\n' $commands "\$(seconds "\$begin")" "\$(sed -n '2s/ / and /p' "\$pages/times")"
RUN
