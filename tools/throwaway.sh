# shellcheck shell=bash
#
# tools/throwaway.sh - for tools/check, tools/demo and bench/smoke: a copy of the tree, a copy of PostgreSQL with the
# extension in it and a server, all in one temporary directory that is gone afterwards.
#
# Nothing is installed into the system's PostgreSQL and nothing is written into the clone, so both may be read-only, a
# cluster that runs already is not touched, and several runs at a time do not meet.  The server's programs find their
# files relative to themselves, so a copy works at any place as long as the directories keep their places to each other.

fsw_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
fsw_tmp=
fsw_user=
fsw_job=
fsw_step=start
fsw_jobs=$(nproc 2>/dev/null || echo 1)
[ "$fsw_jobs" -le 4 ] || fsw_jobs=4

fsw_say() { printf '%s\n' "$*"; }

# fsw_die TEXT... - stop, naming the step.
fsw_die()
{
    printf '\n%s: failed in step "%s"\n' "${0##*/}" "$fsw_step" >&2
    [ $# -eq 0 ] || printf '%s\n' "$*" >&2
    exit 1
}

# fsw_wait COMMAND... - run it in a process group of its own, so that a signal to this script is acted upon at once.
fsw_wait()
{
    local rc=0

    set -m
    "$@" </dev/null &
    fsw_job=$!
    set +m
    wait "$fsw_job" || rc=$?
    fsw_job=
    return "$rc"
}

# fsw_as COMMAND... - run it as an unprivileged user, since a server does not run as root.
fsw_as()
{
    if [ -n "$fsw_user" ]; then
        runuser -u "$fsw_user" -- "$@"
    else
        "$@"
    fi
}

fsw_cleanup()
{
    local pidfile

    [ -n "$fsw_tmp" ] || return 0
    cd /
    if [ -n "$fsw_job" ]; then
        kill -TERM -- "-$fsw_job" 2>/dev/null || true
        wait "$fsw_job" 2>/dev/null || true
    fi
    # Every server of ours, those of the TAP tests included, has its data directory in here.
    while IFS= read -r pidfile; do
        kill -QUIT "$(head -n 1 "$pidfile")" 2>/dev/null || true
    done < <(find "$fsw_tmp" -name postmaster.pid 2>/dev/null)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf "$fsw_tmp" 2>/dev/null && [ ! -e "$fsw_tmp" ] && break
        sleep 0.3
    done
    fsw_tmp=
}

# fsw_memory - where to begin what makes files by the thousand and measures no disk: in memory, if there is a lot of it and
# programs run there, which a container may forbid.  To make a file takes 0.3 ms of CPU on ext4, and each server has 1000.
fsw_memory()
{
    local try=

    [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] &&
        df -Pm /dev/shm 2>/dev/null | awk '$NF == "/dev/shm" && $4 >= 4096 { room = 1 } END { exit !room }' &&
        awk '$1 == "MemAvailable:" && $2 >= 8 * 1024 * 1024 { room = 1 } END { exit !room }' /proc/meminfo 2>/dev/null &&
        try=$(mktemp /dev/shm/fsw.XXXXXXXX 2>/dev/null) && printf '#!/bin/sh\necho /dev/shm\n' >"$try" && chmod +x "$try" &&
        "$try" 2>/dev/null || echo /tmp
    rm -f ${try:+"$try"}
}

# fsw_begin [DIRECTORY] - the temporary directory, and that it goes away however this ends.
fsw_begin()
{
    local name

    # What the caller's environment says about PostgreSQL is meant for other servers.
    for name in $(compgen -e | grep '^PG' | grep -v '^PG_CONFIG$' || true); do
        unset "$name"
    done
    unset MAKEFLAGS MAKELEVEL
    umask 022
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap fsw_cleanup EXIT
    # Directly under it: the path of a unix socket has room for 107 bytes only.
    fsw_tmp=$(mktemp -d "${1:-/tmp}/fsw.XXXXXXXX")
    cd "$fsw_tmp"
    export HOME=$fsw_tmp LC_ALL=C.UTF-8 LANG=C.UTF-8 TZ=UTC
}

# fsw_choose_user - once the packages are there: whom to run as when we are root.
fsw_choose_user()
{
    if [ "$(id -u)" = 0 ]; then
        fsw_user=postgres
        id "$fsw_user" >/dev/null 2>&1 || fsw_user=nobody
        chown "$fsw_user" "$fsw_tmp"
    fi
    # What tests leave behind is in here as well.  Not before packages are installed: apt's own user may not look into it.
    fsw_as mkdir "$fsw_tmp/tmp"
    export TMPDIR=$fsw_tmp/tmp
}

# fsw_pg_config - set PG_CONFIG to the newest PostgreSQL with a server and its headers, if it is not set.
fsw_pg_config()
{
    local candidate found=

    if [ -n "${PG_CONFIG:-}" ]; then
        case $PG_CONFIG in
            */*) ;;
            *) PG_CONFIG=$(command -v "$PG_CONFIG") || return 1 ;;
        esac
        [ -x "$PG_CONFIG" ]
        return
    fi
    for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -t/ -k5,5nr) \
        "$(command -v pg_config || true)"; do
        [ -x "$candidate" ] || continue
        [ -x "$("$candidate" --bindir)/initdb" ] || continue
        [ -f "$("$candidate" --pgxs)" ] || continue
        [ -f "$("$candidate" --includedir-server)/postgres.h" ] || continue
        [ "$("$candidate" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')" -ge 15 ] || continue
        found=$candidate
        break
    done
    [ -n "$found" ] || return 1
    PG_CONFIG=$found
}

# What apt is asked for: the newest server of 15 or later with the headers of the same release, and the tools.
fsw_server_packages()
{
    local major

    fsw_pg_config && return
    for major in $(
        apt-cache search --names-only '^postgresql-server-dev-[0-9]+$' | sed 's/^postgresql-server-dev-\([0-9]*\).*/\1/' |
            sort -nr
    ); do
        [ "$major" -ge 15 ] && apt-cache show "postgresql-$major" >/dev/null 2>&1 || continue
        fsw_say "postgresql-$major postgresql-server-dev-$major"
        return
    done
    return 1
}

fsw_missing()
{
    local package

    for package; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' || fsw_say "$package"
    done
}

# fsw_clang_runtime - the package with libFuzzer for the clang of this release: there is none without a number.
fsw_clang_runtime()
{
    { dpkg-query -W -f '${Depends}\n' clang 2>/dev/null || apt-cache depends clang 2>/dev/null || true; } |
        sed -n '/clang-[0-9]/ { s/.*clang-\([0-9][0-9]*\).*/libclang-rt-\1-dev/p; q }'
}

# fsw_install REQUIRED OPTIONAL - install with apt what is missing of these packages and of PostgreSQL; what is optional
# and not to be had is named.
fsw_install()
{
    local want server package available= optional

    if ! command -v dpkg-query >/dev/null; then
        fsw_say "   not Debian or Ubuntu: taking what is there"
        return
    fi
    optional=${2/libclang-rt-dev/$(fsw_clang_runtime)}
    # shellcheck disable=SC2086
    want=$(fsw_missing $1 $optional)
    if [ -z "$want" ] && fsw_pg_config; then
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        fsw_say "   not root, so these stay missing:" $want
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    fsw_wait apt-get -qq update >"$fsw_tmp/apt.log" 2>&1 || { tail "$fsw_tmp/apt.log"; fsw_die "apt-get update failed."; }
    optional=${2/libclang-rt-dev/$(fsw_clang_runtime)}
    server=$(fsw_server_packages) || fsw_die "There is no package of PostgreSQL 15 or later."
    # shellcheck disable=SC2086
    for package in $(fsw_missing $optional); do
        # One that does not go with what is installed, as another vendor's node, must not keep the others out.
        if apt-get -qq -s install --no-install-recommends "$package" >/dev/null 2>&1; then
            available="$available $package"
        else
            fsw_say "   no package $package here: the tests that need it are skipped"
        fi
    done
    # shellcheck disable=SC2046,SC2086
    fsw_wait apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends \
        $server $(fsw_missing $1) $available >"$fsw_tmp/apt.log" 2>&1 ||
        { tail -n 30 "$fsw_tmp/apt.log"; fsw_die "apt-get install failed."; }
}

# fsw_unpack PACKAGE... - the programs of packages that would start services, in PATH and nowhere but in the temporary directory;
# where they are not to be had they are named.
fsw_unpack()
{
    local package missing=

    for package; do
        command -v "$package" >/dev/null || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    mkdir "$fsw_tmp/unpacked"
    cd "$fsw_tmp/unpacked"
    # shellcheck disable=SC2086
    if fsw_wait timeout 60 apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=10 download $missing \
        >"$fsw_tmp/apt.log" 2>&1; then
        for package in *.deb; do
            dpkg-deb -x "$package" .
        done
        PATH=$PATH:$fsw_tmp/unpacked/usr/bin
    else
        fsw_say "   not to be had, so the tests that need them are skipped:$missing"
    fi
    rm -f ./*.deb
    cd "$fsw_tmp"
}

# fsw_copy_server - a private copy of PostgreSQL; PG_CONFIG is its own afterwards.
fsw_copy_server()
{
    local dirs dir common bindir config

    config=$PG_CONFIG
    bindir=$("$config" --bindir)
    dirs=$(for dir in --bindir --pkglibdir --sharedir --pkgincludedir --includedir-server; do
        "$config" "$dir"
    done)
    common=$bindir
    while IFS= read -r dir; do
        while [ "${dir#"$common"/}" = "$dir" ]; do
            common=${common%/*}
        done
    done <<<"$dirs"

    # Programs must be real copies, since they look where they lie; all else may be links.
    mkdir -p "$fsw_tmp/pg${bindir#"$common"}"
    cp -L "$bindir"/* "$fsw_tmp/pg${bindir#"$common"}/"
    while IFS= read -r dir; do
        [ "$dir" != "$bindir" ] && [ ! -e "$fsw_tmp/pg${dir#"$common"}" ] || continue
        mkdir -p "$fsw_tmp/pg${dir#"$common"}"
        cp -rs "$dir/." "$fsw_tmp/pg${dir#"$common"}/"
    done <<<"$dirs"
    # An earlier installation of ours is not what is tested here.
    find "$fsw_tmp/pg" -name 'flagsmith_webhook*' -exec rm -rf {} +
    [ -z "$fsw_user" ] || chown -R -h "$fsw_user" "$fsw_tmp/pg"
    PG_CONFIG=$fsw_tmp/pg${bindir#"$common"}/pg_config
    fsw_bin=$fsw_tmp/pg${bindir#"$common"}
    [ "$("$PG_CONFIG" --pkglibdir)" != "$("$config" --pkglibdir)" ] ||
        fsw_die "The PostgreSQL at $bindir cannot be copied."
    export PG_CONFIG PATH="$fsw_bin:$PATH"
}

# fsw_quick_initdb - in the copy of PostgreSQL, an initdb that copies what it made before with the same arguments, which is a fifth
# of the work.  Only the first server of a process is a copy, so that those of one test have identifiers of their own, unless
# FSW_TWINS says that they do not meet.
fsw_quick_initdb()
{
    fsw_as mkdir "$fsw_tmp/made"
    mv "$fsw_bin/initdb" "$fsw_bin/initdb.real"
    sed "s|@made@|$fsw_tmp/made|" >"$fsw_bin/initdb" <<'SCRIPT'
#!/bin/sh
set -eu
dir=
key=
last=
for argument; do
    case $last in -D | --pgdata) dir=$argument ;; *) key="$key $argument" ;; esac
    last=$argument
done
made=@made@/$(printf '%s' "$key" | cksum | tr ' ' .)
if [ -z "$dir" ] || { [ -z "${FSW_TWINS:-}" ] && ! mkdir "@made@/first.$PPID" 2>/dev/null; }; then
    exec "$0.real" "$@"
elif mkdir "$made.begun" 2>/dev/null; then
    "$0.real" "$@"
    cp -a "$dir" "$made.new"
    mv "$made.new" "$made"
elif [ -d "$made" ]; then
    cp -a "$made/." "$dir"
else
    exec "$0.real" "$@"
fi
SCRIPT
    chmod 755 "$fsw_bin/initdb"
}

# fsw_copy_tree NAME - the working tree, without what was built in it, as $fsw_tmp/NAME.
fsw_copy_tree()
{
    mkdir "$fsw_tmp/$1"
    tar -C "$fsw_top" -cf - --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude='*.gcno' \
        --exclude='*.gcda' --exclude=./results --exclude='./output_iso' --exclude='./tmp_check*' --exclude=./log \
        --exclude='./regression.*' --exclude='./flagsmith_webhook--*.sql' --exclude='./server_headers.*' --exclude=__pycache__ . |
        tar -C "$fsw_tmp/$1" -xf - --no-same-owner
    chmod -R u+rwX "$fsw_tmp/$1"
    [ -z "$fsw_user" ] || chown -R "$fsw_user" "$fsw_tmp/$1"
}

# fsw_start [SETTING=VALUE...] - a server on a unix socket in the temporary directory; the PG* variables lead to it.
fsw_start()
{
    local setting

    fsw_as "$fsw_bin/initdb" -D "$fsw_tmp/data" -U postgres -A trust -E UTF8 --no-locale --no-sync \
        >"$fsw_tmp/initdb.log" 2>&1 || { cat "$fsw_tmp/initdb.log"; fsw_die "initdb failed."; }
    {
        printf "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\n" "$fsw_tmp"
        for setting in "$@"; do
            printf '%s\n' "$setting"
        done
    } | fsw_as tee -a "$fsw_tmp/data/postgresql.conf" >/dev/null
    export PGHOST=$fsw_tmp PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
    fsw_as "$fsw_bin/pg_ctl" -D "$fsw_tmp/data" -l "$fsw_tmp/server.log" -w start >"$fsw_tmp/pg_ctl.log" 2>&1 ||
        { cat "$fsw_tmp/pg_ctl.log" "$fsw_tmp/server.log"; fsw_die "The server did not start."; }
}

# fsw_serve - all of it: a copy of PostgreSQL with the extension built and installed, and a server; for the tools that ask it.
fsw_serve()
{
    fsw_begin
    fsw_choose_user
    fsw_step="find PostgreSQL"
    fsw_pg_config || fsw_die "No PostgreSQL 15 or later with its headers; PG_CONFIG names one."
    fsw_step="copy PostgreSQL"
    fsw_copy_server
    fsw_copy_tree build
    fsw_step="build"
    make -C "$fsw_tmp/build" -s -j "$fsw_jobs" >"$fsw_tmp/build.log" 2>&1 &&
        make -C "$fsw_tmp/build" -s install >>"$fsw_tmp/build.log" 2>&1 ||
        { tail -n 40 "$fsw_tmp/build.log"; fsw_die "The build failed."; }
    fsw_step="start a server"
    fsw_start
}
