# shellcheck shell=bash
#
# tools/pages-fail.sh - for tools/pages and t/112_page.pl: each step of docs/receiver.md that can fail is made to fail, and what is
# seen then must be a row of its table, which names the cause; and what the row says must mend it.
#
# The caller sets document, options (the file of options), url (of the receiver, which runs), may (what the server says of a role
# that may not connect), control (the extension's control file, where it may go for a moment), and defines
# sql DATABASE STATEMENT, setup ARGUMENT..., start and stop for the database server.

tried=0

# told TEXT OUTPUT - TEXT is in the output, and in a row of the table.
told()
{
    [[ $2 == *"$1"* ]] || { printf 'not ok: expected "%s", got:\n%s\n' "$1" "$2"; exit 1; }
    grep -q "^| .*$(sed 's/[][\\.*^$]/\\&/g' <<<"$1")" "$document" || { printf 'not ok: no row of %s has "%s"\n' "$document" "$1"; exit 1; }
    printf 'ok fails: %s\n' "$1"
    tried=$((tried + 1))
}

# fails TEXT COMMAND... - it must fail, and say so.
fails()
{
    local text=$1 output

    shift
    if output=$("$@" 2>&1); then
        printf 'not ok: %s was to fail with "%s"\n' "$*" "$text"
        exit 1
    fi
    told "$text" "$(tr -s '\n\t' '  ' <<<"$output")"
}

works()
{
    local output

    output=$("$@" 2>&1) || { printf 'not ok: %s failed: %s\n' "$*" "$output"; exit 1; }
}

option() { sed -i "s|^$1=.*|$1=\"$2\"|" "$options"; }

# post PATH - the status and the answer.
post() { curl -sS -w ' %{http_code}' -X POST -d '{}' "$url$1" 2>&1; }

# answered TEXT PATH - the answer to a POST, asked again while a delivery is spooled, until the receiver has its database again.
answered()
{
    local answer

    for _ in {1..100}; do
        answer=$(post "$2")
        [[ $answer == *spooled* ]] || break
        sleep 0.2
    done
    told "$1" "$answer"
}

all_failures()
{
    option PGUSER somebody
    fails "$may" setup --check
    works setup
    sql app 'ALTER ROLE flagsmith_receiver NOLOGIN'
    fails 'is not permitted to log in' setup --check
    works setup
    works setup --check
    sql app 'DROP OWNED BY flagsmith_receiver'
    fails 'permission denied for schema flagsmith' setup --check
    sql app 'DROP ROLE flagsmith_receiver'
    fails 'role "flagsmith_receiver" does not exist' setup --check
    works setup
    # The receiver that has run all the while gets over it, although its role is another one of that name by now.
    answered 'rejected' "$prefix/shop"
    option PGDATABASE postgres
    fails 'relation "flagsmith.inbox" does not exist' setup --check
    option PGDATABASE nowhere
    fails 'database "nowhere" does not exist' setup --check
    works setup app
    mv "$spool" "$spool.away"
    fails 'cannot use the spool' setup --check
    works setup
    rmdir "$spool" && mv "$spool.away" "$spool"
    works setup --check
    # Only where nobody else uses this PostgreSQL.
    if [ -n "${control:-}" ]; then
        sql postgres 'CREATE DATABASE other'
        mv "$control" "$control.away"
        fails 'extension "flagsmith_webhook" is not available' setup other
        mv "$control.away" "$control"
    fi
    stop
    fails 'Is the server running locally' setup --check
    fails 'Is the server running locally' setup
    start
    works setup --check
    answered 'no_webhook: no webhook of this name' "$prefix/shap"
    told "not_found: the path does not begin with the receiver's --prefix" "$(post /)"
    told 'Failed to connect' "$(url=${url%:*}:9; post /shop)"
    printf '%s failing steps\n' "$tried"
}
