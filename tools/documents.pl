#!/usr/bin/perl
#
# tools/documents.pl - for tools/lint.sh: that what the documents show is there.  Resolves, in each document and in the
# usage at the head of each tool: paths and links, make targets and variables, names of tests, commands with their
# options, the receiver's options, the extension's objects, functions, parameters and settings.  Prints one line for each
# finding; silent and 0 if there is none.  Needs no git and no server.
use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Find qw(find);

chdir(dirname(__FILE__) . '/..') or die "no repository: $!";

my @documents = grep { -e } qw(README.md CONTRIBUTING.md), glob('docs/*.md bench/*.md receiver/*.md receiver/recipes/*.md');
my @tools = grep { -f && -x _ } glob('tools/* bench/*');
my @findings;
my (%files, %known);

# Programs of others: their options are not ours to know.  With PATH each is the first word of a command.
my $foreign = join('|', qw(pg_dump pg_dumpall pg_restore psql pg_basebackup pg_upgrade pg_config createdb pgindent pgbench git curl nginx
	  systemctl apt-get apt perl python3 gunicorn webhook postgrest openssl docker wrk valgrind));

# Variables that PGXS knows, beside those of our Makefiles.
my %variables = map { $_ => 1 } qw(PG_CONFIG REGRESS ISOLATION TAP_TESTS PROVE_TESTS PROVE_FLAGS COPT CC DESTDIR with_llvm);
my %targets = map { $_ => 1 } qw(all install uninstall installcheck clean distclean maintainer-clean);

sub text
{
	my ($path) = @_;

	open(my $fh, '<:raw', $path) or die "could not open $path: $!";
	local $/;
	return scalar <$fh>;
}

sub finding
{
	my ($where, $what) = @_;

	push @findings, "$where: $what" unless grep { $_ eq "$where: $what" } @findings;
	return;
}

# What a tool does, without its comments; with the program of the same name that it calls.
sub source
{
	my ($tool) = @_;

	return $known{$tool} //= join("\n", grep { !/^\s*#/ } map { split /\n/ } map { text($_) =~ s/""".*?"""//sr } grep { -e } $tool, "$tool.py", "$tool.pl");
}

sub knows_option
{
	my ($tool, $option) = @_;
	my ($name) = $option =~ /^--?(.*)/;

	return source($tool) =~ /(?<![\w-])\Q$option\E(?![\w-])|'\Q$name\E[=|':]|"\Q$name\E[=|":]/;
}

# A path as a document writes it: NAME and NNN stand for any, a line number may follow.
sub path_there
{
	my ($path, $from) = @_;

	$path =~ s/#.*|:\d+$//;
	$path =~ s/\b(?:NAME|NNN|OLD|NEW)\b/*/g;
	for my $base ('', dirname($from) . '/')
	{
		return 1 if $path =~ /[*?\[]/ ? scalar(grep { -e } glob("$base$path")) : -e "$base$path";
	}
	return $path !~ m{/} && $files{$path};
}

# make with its directory, variables and targets.
sub check_make
{
	my ($where, @words) = @_;
	my ($dir, %set, @goals) = ('.');

	while (defined(my $word = shift @words))
	{
		if ($word eq '-C') { $dir = shift @words // '' }
		elsif ($word =~ /^-/) { next }
		elsif ($word =~ /^(\w+)=(.*)/s) { $set{$1} = $2 }
		else { push @goals, $word }
	}
	return finding($where, "no Makefile in $dir") unless -e "$dir/Makefile";
	my $makefile = text("$dir/Makefile");

	for my $goal (@goals)
	{
		finding($where, "make has no target $goal") unless $targets{$goal} || $makefile =~ /^\Q$goal\E\s*:/m;
	}
	for my $variable (sort keys %set)
	{
		finding($where, "make has no variable $variable") unless $variables{$variable} || $makefile =~ /\b\Q$variable\E\b/;
	}
	for my $pair ([ 'REGRESS', 'sql/%s.sql' ], [ 'ISOLATION', 'specs/%s.spec' ], [ 'PROVE_TESTS', '%s' ])
	{
		my ($variable, $format) = @$pair;

		for my $test (split ' ', $set{$variable} // '')
		{
			finding($where, "$variable: there is no test $test") unless path_there(sprintf($format, $test), 'Makefile');
		}
	}
	finding($where, 'REGRESS must begin with install and end with uninstall')
	  if ($set{REGRESS} // '') ne '' && $set{REGRESS} !~ /^install\b.*\buninstall$/;
	return;
}

# One command of a shell, split at white space outside quotes.
sub check_command
{
	my ($where, $command, $block) = @_;
	my @words = $command =~ /((?:"[^"]*"|'[^']*'|[^\s"'])+)/g;
	my @environment;

	s/["'\[\]]//g for @words;
	while (@words && $words[0] =~ /^([A-Z_]+)=/)
	{
		push @environment, $1;
		shift @words;
	}
	return unless @words;
	my $program = shift @words;

	# A path alone is looked at as a path.
	return unless @words || @environment || $block;
	return check_make($where, @words) if $program eq 'make';
	my @options = map { /^(--[a-z][a-z-]*)/ ? $1 : () } @words;

	if ($program =~ m{(?:^|/)flagsmith-receiver$})
	{
		knows_option('receiver', $_) or finding($where, "flagsmith-receiver has no option $_") for @options;
	}
	elsif ($program =~ m{^flagsmith-([a-z-]+)$})
	{
		return finding($where, "$program is not there, or has no run bit") unless -x "tools/$1";
		return finding($where, "$program has no manual page") unless grep { -e } "tools/man/$program.1", "tools/man/$program.8";
		knows_option("tools/$1", $_) or finding($where, "$program has no option $_") for @options;
	}
	elsif ($program =~ m{^(?:tools|bench|\.ci)/[\w.-]+$})
	{
		return finding($where, "$program is not there, or has no run bit") unless -x $program;
		knows_option($program, $_) or finding($where, "$program has no option $_") for @options;
		source($program) =~ /\b$_\b/ || text('tools/throwaway.sh') =~ /\b$_\b/
		  or finding($where, "$program knows no $_") for @environment;
	}
	return;
}

# A name in the schema, and a function called with these words as arguments.
sub check_objects
{
	my ($where, $text) = @_;

	while ($text =~ m{(?<![\w./~\@-])flagsmith\.(?!sql\b)([a-z_]\w*)(?!\w|\.(?:com|example|org)|-)}g)
	{
		finding($where, "there is no flagsmith.$1") unless $known{objects}{$1} || $1 eq 'example';
	}
	while ($text =~ /(?<![\w.\/-])flagsmith_webhook\.([a-z_]+)(?![\w(])/g)
	{
		finding($where, "there is no setting flagsmith_webhook.$1")
		  unless $known{settings}{$1} || $1 =~ /^(?:c|so|control|sql|h)$/;
	}
	return;
}

sub check_call
{
	my ($where, $span) = @_;

	return unless $span =~ /^(?:flagsmith\.)?([a-z][a-z_]+)\((.*)\)$/s;
	my ($function, $arguments) = ($1, $2);

	# Other spans with parentheses are SQL of other functions, and man pages.
	return unless $known{parameters}{$function} || $where =~ /^README/ || $span =~ /^flagsmith\./;
	return if $arguments =~ /^\d$/ || $function =~ /^(?:now|convert_to|flagsmith-receiver)$/;
	return finding($where, "there is no function $function") unless $known{parameters}{$function};
	return if $arguments =~ /'/ && $arguments !~ /=>/;
	for my $argument (split /\s*,\s*/, $arguments =~ s/[][]//gr)
	{
		my ($name) = $argument =~ /^(?:VARIADIC )?([a-z_]+)(?: [a-z]+| =>.*)?$/s or next;

		next if $known{parameters}{$function}{$name} || $name =~ /^(?:jsonb|text|bytea|true|false)$/;
		finding($where, "$function has no parameter $name");
	}
	return;
}

# What stands in one span of code, or on one line of a block.
sub check_code
{
	my ($where, $document, $code, $block) = @_;

	check_objects($where, $code);
	check_call($where, $code) unless $block;
	$code =~ s/\s#\s.*// if $block;
	check_command($where, $_, $block) for split /\s*(?:&&|\|\||;|\|)\s*/, $code;
	for my $word ($code =~ m{(?<![\w./~<:-])((?:tools|t|docs|src|schema|sql|specs|expected|receiver|bench|\.ci)/[\w./*-]*)}g)
	{
		$word =~ s/[.,]$//;
		finding($where, "there is no $word") unless path_there($word, $document) || $known{built} =~ m{^/?\Q$word\E$}m;
	}
	finding($where, "there is no $code")
	  if !$block && $code =~ /^[\w-]+\.(?:md|c|h|pl|pm|py|sh|json|control|service|in)$/ && !path_there($code, $document);
	return;
}

# A paragraph or a row of a table: an option that stands alone belongs to a program that the paragraph or its section names.
sub check_options
{
	my ($where, $document, $paragraph, $section) = @_;

	return if "$paragraph" =~ /\b(?:$foreign)\b/;
	for my $option ($paragraph =~ /`(--[a-z][a-z-]*)[^`]*`/g)
	{
		my @programs = map { $_ =~ m{^(?:tools|bench)/} ? $_ : 'receiver' }
		  "$paragraph\n$section\n$document" =~ m{((?:tools|bench)/[a-z][\w.-]*|receiver)}g;

		finding($where, "no program named here has an option $option")
		  unless grep { ($_ eq 'receiver' || -f $_) && knows_option($_, $option) } @programs;
	}
	return;
}

sub check_document
{
	my ($document) = @_;
	my ($number, $fence, $paragraph, $section) = (0, 0, '', '');

	for my $line (split(/\n/, text($document)), '')
	{
		$number++;
		if ($line =~ /^```/) { $fence = !$fence; next }
		if ($fence)
		{
			$section .= "$line\n";
			check_code("$document:$number", $document, $line =~ s/^\s*\$ //r, 1);
			next;
		}
		check_code("$document:$number", $document, $_, 0) for $line =~ /`([^`]+)`/g;
		for my $link ($line =~ s/`[^`]*`//gr =~ /\]\(([^)\s]+)\)/g)
		{
			next if $link =~ /^(?:https?|mailto):/;
			my ($path, $heading) = split /#/, $link;
			my $target = $path eq '' ? $document : dirname($document) . "/$path";
			finding("$document:$number", "the link leads nowhere: $link")
			  if !-e $target || (defined $heading && !headings($target)->{$heading});
		}
		check_options("$document:$number", $document, $line, $section) if $line =~ /^\|/;
		if ($line =~ /^(?:\||\s*$|#)/)
		{
			check_options("$document:" . ($number - 1), $document, $paragraph, $section);
			$paragraph = '';
			$section = '' if $line =~ /^#/;
		}
		else { $paragraph .= "$line\n" }
		$section .= "$line\n";
	}
	return;
}

# The headings of a document, as links name them.
sub headings
{
	my ($document) = @_;
	my %found;

	for my $heading (text($document) =~ /^#+ (.*)$/mg)
	{
		$found{ lc($heading) =~ s/[^\w\s-]//gr =~ s/\s/-/gr } = 1;
	}
	return \%found;
}

# The usage at the head of a tool: its own commands, indented.
sub check_usage
{
	my ($tool) = @_;
	my $number = 0;

	for my $line (split /\n/, text($tool))
	{
		$number++;
		check_command("$tool:$number", $1, 1)
		  if $line =~ m{^#? {0,3}(?:Usage: )?((?:[A-Z_]+=\S+ )*(?:tools|bench)/[\w.-]+(?: [^ ].*?)?)(?:  .*)?$};
	}
	return;
}

find(sub { $files{$_} = 1 if -f }, grep { -d } qw(docs src schema sql specs expected t tools receiver bench .ci));
$files{$_} = 1 for grep { -f } glob('*');
$known{built} = text('.gitignore');
my $schema = join('', map { text($_) } glob('schema/*.sql'), glob('src/*/*.c'));
$known{objects}{$1} = 1
  while $schema =~ /CREATE (?:OR REPLACE )?(?:TABLE|VIEW|FUNCTION|TYPE|SEQUENCE|DOMAIN|AGGREGATE) flagsmith\.(\w+)/g;
while ($schema =~ /CREATE FUNCTION flagsmith\.(\w+)\s*\((.*?)\)\s*(?:RETURNS|LANGUAGE)/gs)
{
	my ($function, $parameters) = ($1, $2);

	$known{parameters}{$function} //= {};
	$known{parameters}{$function}{$1} = 1 while $parameters =~ /(?:^|,)\s*(?:OUT |INOUT |VARIADIC |IN )?([a-z_]+) /g;
}
$known{settings} = { map { $_ => 1 } join('', map { text($_) } 'flagsmith_webhook.c', glob('src/*/*.c')) =~ /"flagsmith_webhook\.(\w+)"/g };
$known{receiver} = join("\n", map { "--$_" } text('receiver/options.c') =~ /\{"([a-z-]+)", (?:no|required|optional)_argument/g);

check_document($_) for @documents;
check_usage($_) for @tools;

# The manual of the receiver has each of its options, and no other.
my $manual = text('receiver/flagsmith-receiver.8') =~ s/\\-/-/gr;
my %documented = map { $_ => 1 } $manual =~ /(--[a-z][a-z-]*)/g;
for my $option (split /\n/, $known{receiver})
{
	finding('receiver/flagsmith-receiver.8', "has no $option") unless delete $documented{$option};
}
finding('receiver/flagsmith-receiver.8', "flagsmith-receiver has no option $_") for sort keys %documented;

# So do those of the tools, as far as the tool has any.
for my $page (glob('tools/man/*.[18]'))
{
	my ($tool) = $page =~ m{/flagsmith-(.*)\.\d$};
	my $text = text($page) =~ s/\\f[BIR]//gr =~ s/\\-/-/gr;

	# argparse knows --help by itself
	$_ eq '--help' || knows_option("tools/$tool", $_) or finding($page, "$tool has no option $_") for $text =~ /(?<![\w-])(--[a-z][a-z-]*)/g;
	$text =~ /(?<![\w-])\Q$_\E(?![\w-])/ or finding($page, "does not have $_")
	  for grep { $_ ne '--help' } source("tools/$tool") =~ /(?:add_argument\("|^ +)(--[a-z][a-z-]*)(?=["=)])/gm;
}

print map { "$_\n" } @findings;
exit(@findings ? 1 : 0);
