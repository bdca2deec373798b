# shellcheck shell=bash
#
# tools/chroot.sh - for tools/majors and tools/pages: Debian chroots, with mounts and processes that end with the caller.
#
# The caller sets root, the directory of the chroot, before each call; job is the process to be killed when it ends early.

mirror=http://deb.debian.org/debian
root=
job=

# inside COMMAND... - in the chroot, with mounts and processes that are gone when this shell or the command ends.
inside()
{
    local rc=0

    unshare --mount --propagation private --pid --fork --kill-child bash -c '
        # This shell stays, as the init that collects what others left: a test may wait for the end of an orphan.
        mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && cd / && chroot "$0" "$@"
        exit' \
        "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@" </dev/null &
    job=$!
    wait "$job" || rc=$?
    job=
    return "$rc"
}

# make_debian SUITE [ARGUMENT...] - a minimal Debian; ARGUMENTs are mmdebstrap's.
make_debian()
{
    local suite=$1

    shift
    unshare --mount --propagation private mmdebstrap --quiet --variant=minbase --mode=root --include=ca-certificates \
        --aptopt='Acquire::Check-Valid-Until "false"' "$@" "$suite" "$root" "deb $mirror $suite main" || return 1
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cp -L /etc/hosts "$root/etc/hosts"
}

# copy_tree_into DIRECTORY - what git knows of the tree at $top, and what is new in it, below the chroot's root.
copy_tree_into()
{
    rm -rf "${root:?}/$1"
    mkdir -p "$root/$1"
    git -C "$top" ls-files -z --cached --others --exclude-standard |
        tar -C "$top" --null -T - --ignore-failed-read -cf - 2>/dev/null | tar -C "$root/$1" -xf - --no-same-owner
}

# need_mmdebstrap LOG - as a package, if it is missing.
need_mmdebstrap()
{
    command -v mmdebstrap >/dev/null || { apt-get -q update && apt-get install -qy mmdebstrap; } >"$1" 2>&1
}
