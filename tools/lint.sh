#!/usr/bin/env bash
#
# tools/lint.sh - what a compiler and the tests cannot see: that the lists are complete and that the rules of
# CONTRIBUTING.md hold.  Prints one line for each finding; silent and 0 if there is none.  Needs no git and no server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0

finding()
{
    printf '%s\n' "$*"
    status=1
}

# The words of a list of the Makefile.
list()
{
    awk -v name="$1" '
        $1 == name && $2 == "=" { inside = 1; sub(/^[^=]*=/, "") }
        inside { more = sub(/\\$/, ""); n = split($0, word, /[ \t]+/)
                 for (i = 1; i <= n; i++) if (word[i] != "") print word[i]
                 if (!more) inside = 0 }' Makefile | sort
}

# The names of files, without directory and suffix.
names()
{
    local file

    for file; do
        [ -e "$file" ] || continue
        file=${file##*/}
        printf '%s\n' "${file%.*}"
    done | sort
}

# compare WHAT A B - each line that is in only one of two sorted lists.
compare()
{
    local line

    while IFS= read -r line; do
        [ -z "$line" ] || finding "$1: $line"
    done < <(comm -3 <(printf '%s\n' "$2") <(printf '%s\n' "$3") | tr -d '\t')
}

# none WHAT GREP-ARGUMENTS... - there must be no such line.
none()
{
    local what=$1 hits

    shift
    # An --include first, if there is one: then grep leaves out what matches nothing.
    hits=$(grep -rnIE "$@" --exclude-dir=.git --exclude=.git --exclude-dir=results --exclude-dir=output_iso \
        --exclude-dir=tmp_check --exclude-dir=log --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
        --exclude='regression.*' --exclude='flagsmith_webhook--*.sql' | head -n 10) || true
    [ -z "$hits" ] || finding "$what:"$'\n'"$hits"
}

# Lists.
compare "in only one of SCHEMA_PARTS and schema/" "$(list SCHEMA_PARTS)" "$(names schema/*.sql)"
compare "in only one of REGRESS and sql/" "$(list REGRESS)" "$(names sql/*.sql)"
compare "in only one of ISOLATION and specs/" "$(list ISOLATION)" "$(names specs/*.spec)"
compare "in only one of OBJS and src/" "$(list OBJS | sed -n 's|^src/\(.*\)\.o$|\1|p')" "$(find src -name '*.c' | sed 's|^src/\(.*\)\.c$|\1|' | sort)"
compare "in only one of sql/ and specs/ on one side and expected/ on the other" \
    "$({ names sql/*.sql; names specs/*.spec; } | sort)" "$(names expected/*.out | sed 's/_[0-9]$//' | sort -u)"
compare "a name in both sql/ and specs/, which share expected/" \
    "$(comm -12 <(names sql/*.sql) <(names specs/*.spec))" ""

# One version: META.json must be three numbers long.
version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" flagsmith_webhook.control)
meta=$(sed -n 's/^ *"version": *"\([0-9][^"]*\)".*/\1/p' META.json | sort -u)
case $version in
    *.*.*) ;;
    *) version=$version.0 ;;
esac
[ "$meta" = "$version" ] || finding "META.json: version $meta, but the control file says $version"
packaged=$(sed -n '1s/^flagsmith-webhook (\([^)]*\)) .*/\1/p' debian/changelog)
[ "$packaged.0" = "$version" ] || [ "$packaged" = "$version" ] || finding "debian/changelog: version $packaged, but the control file says $version"
grep -m 1 '^## ' CHANGELOG.md | grep -qF "${version%.0}" || finding "CHANGELOG.md: its first heading does not name version ${version%.0}"
# Debian's file of the licence is the licence, indented.
[ "$(sed '1,/^License: PostgreSQL$/d' debian/copyright | sed '1,/^License: PostgreSQL$/d; s/^ \.$//; s/^ //')" = "$(sed '1,/^Copyright/d' LICENSE | sed '/./,$!d')" ] ||
    finding "debian/copyright: not the text of LICENSE"

# Code.
none "PG_VERSION_NUM outside src/base/compat.h" --include='*.[ch]' --exclude=compat.h PG_VERSION_NUM .
none "OR REPLACE or IF NOT EXISTS in the install script" --include='*.sql' -i 'or replace|if not exists' schema
none "an unfinished mark" --include='*.[ch]' --include='*.sql' --include='*.pl' --include='*.sh' --include='*.spec' \
    --include='*.py' --include='*.md' '\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b' .
none "trailing white space" --include='*.[ch]' --include='*.sql' --include='*.pl' --include='*.sh' --include='*.spec' \
    --include='*.md' --include=Makefile '[[:blank:]]+$' .
none "a tab" --include='*.sql' --include='*.md' --include='*.sh' --include='*.spec' --exclude-dir=data $'\t' .
none "a path of one machine" --exclude-dir=data '(/wor[k]/|/far[m]/|/hom[e]/[a-z]|/roo[t]/)' .
# Size: functions of at most 60 lines and files of at most 700.
while read -r lines file function; do
    finding "$file: $function() has $lines lines, more than 60"
done < <(awk '
    FNR == 1 { name = ""; start = 0 }
    /^[A-Za-z_][A-Za-z0-9_]*\(/ { name = $0; sub(/\(.*/, "", name) }
    /^{/ { start = FNR; inside = name }
    /^}/ && start { if (FNR - start + 1 > 60) print FNR - start + 1, FILENAME, inside; start = 0 }' \
    ./*.c src/*/*.c receiver/*.c)
for file in *.c src/*/*.[ch] receiver/*.[ch] schema/*.sql sql/*.sql t/*.pl; do
    [ ! -e "$file" ] || [ "$(wc -l <"$file")" -le 700 ] || finding "$file: more than 700 lines"
done
for type in $(cat ./*.c src/*/*.[ch] receiver/*.[ch] 2>/dev/null | sed -n 's/^} \([A-Z][A-Za-z0-9_]*\);.*/\1/p' | sort -u); do
    grep -qx "$type" tools/typedefs.list || finding "tools/typedefs.list: no $type"
done

# Said once: what is listed or worded in C and in SQL.
compare "in only one of FSW_EFFECT_KINDS and the CHECK of audit_effect.kind" \
    "$(sed -n 's/^\tX([A-Z_]*, "\([a-z_]*\)").*/\1/p' src/decode/message.h | sort)" \
    "$(sed -n '/audit_effect_kind_check/,/))/p' schema/audit_effect.sql | grep -o "'[a-z_]*'" | tr -d "'" | sort)"
compare "in only one of fsw_cause_names of src/timeline/cause.c and the table of docs/causes.md" \
    "$(sed -n 's/^.*\[FSW_CAUSE_[A-Z_]*\] = "\([a-z_]*\)".*/\1/p' src/timeline/cause.c | sort)" \
    "$(sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' docs/causes.md | sort)"
for words in 'webhook \\*"%s\\*" does not exist'; do
    [ "$(cat src/*/*.c | grep -c "$words")" = 1 ] || finding "not in exactly one place of src/: $words"
    [ "$(cat schema/*.sql | grep -c "$words")" = 1 ] || finding "not in exactly one place of schema/: $words"
done
none "an array that grows by itself; src/base/array.h has fsw_grow() and FSW_PUSH()" 'repalloc(_array|_huge)?\(' \
    src/decode src/ingest src/answer/steps.c src/timeline/state_steps.c src/read/names.c src/read/resolve.c

# Rooms: src/ROOM may include of src/ only what stands before it, and the pure ones nothing that reads a table.
walls()
{
    local room=$1 allowed=$2 hits

    hits=$(grep -nE '^#include "src/' src/"$room"/*.[ch] | grep -vE "\"src/($allowed|$room)/") || true
    [ -z "$hits" ] || finding "src/$room/ includes what it must not:"$'\n'"$hits"
}
walls base base
walls decode base
walls timeline base
walls read 'base|decode|timeline'
walls ingest 'base|decode'
walls answer 'base|decode|timeline|read'
walls maintain 'base|decode|ingest'
walls evidence 'base|decode|ingest|maintain'
# The receiver: a file uses only those before it in PARTS, by its headers; and what a header declares is in its own file.
parts=" $(awk '$1 == "PARTS" { inside = 1; sub(/^[^=]*=/, "") } inside { print } inside && !/\\$/ { exit }' receiver/Makefile |
    tr -d '\\' | tr '\n\t' '  ') "
compare "in only one of receiver/PARTS and receiver/*.[ch]" "$(tr ' ' '\n' <<<"$parts" | grep . | sort)" \
    "$(names receiver/*.[ch] | sort -u)"
for file in receiver/*.[ch]; do
    part=${file#receiver/} part=${part%.*}
    before=" ${parts%% "$part" *} $part "
    while IFS= read -r used; do
        [[ $before == *" $used "* ]] || finding "$file: includes $used.h, which does not stand before it in receiver/PARTS"
    done < <(sed -n 's/^#include "\(.*\)\.h".*/\1/p' "$file")
done
for file in receiver/*.h; do
    while IFS= read -r name; do
        grep -qE "^$name\(|^[A-Za-z_].*[[:blank:]*]$name( = .*)?;?\$" "${file%.h}.c" 2>/dev/null ||
            finding "$file: declares $name, which is not in ${file%.h}.c"
    done < <(sed -nE 's/^extern .*[[:blank:]*]([a-z_0-9]+)(\(.*|;)$/\1/p' "$file")
done

# Lengths there: a function of 60 lines, a file of 700.
for file in receiver/*.[ch]; do
    [ "$(wc -l <"$file")" -le 700 ] || finding "$file: more than 700 lines"
    long=$(awk '/^\{/ { start = NR; name = last } /^\}/ && start { if (NR - start + 1 > 60) print name; start = 0 }
        { last = $0 }' "$file")
    [ -z "$long" ] || finding "$file: more than 60 lines in: $long"
done
none "a pure room includes a header of the executor, of SPI or of access methods" \
    '^#include "(executor|access/(relation|table|genam|heapam|relscan|nbtree)|catalog/namespace|utils/(rel|relcache|snapmgr))' src/timeline

# Tests: each SQLSTATE that the extension makes, its own and the documented ones of core, is pinned by some test.
codes="$(sed -n "s/.*MAKE_SQLSTATE(\(.*\))/\1/p" src/base/fsw.h | tr -d "', ")"
for code in $codes 22003 22021 22P02 22P05 39P01 42704 54000 54001 55000; do
    grep -rqs "$code" expected t --include='*.out' --include='*.pl' || finding "no test expects SQLSTATE $code"
done

# Manual pages, which have no date; one with a table says so in its first line, or man shows it without lines and columns.
for file in tools/man/* receiver/*.8; do
    ! grep -q '^\.TS' "$file" || [ "$(head -n 1 "$file")" = "'\\\" t" ] || finding "$file: its first line is not '\\\" t"
done
if command -v mandoc >/dev/null; then
    hits=$(mandoc -T lint -W warning tools/man/* receiver/*.8 | grep -v 'missing date') || true
    [ -z "$hits" ] || finding "manual pages:"$'\n'"$hits"
fi

# Documents.
perl tools/documents.pl || status=1

# What a newcomer needs.
for command in tools/check; do
    [ -x "$command" ] || finding "$command: missing, or without its run bit"
    grep -q "$command" README.md || finding "README.md: does not name $command"
done
grep -q 'tools/check' .ci/run || finding ".ci/run: does not call tools/check"

exit "$status"
