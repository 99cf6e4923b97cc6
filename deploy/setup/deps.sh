#!/bin/bash
# deps.sh [GROUP...] - installs the Debian packages of packages.txt that are missing.
#
# Says what it runs. When nothing is missing it only asks dpkg and touches neither the
# network nor root's rights.
set -eu
cd "$(dirname "$0")/../.."

command -v dpkg-query >/dev/null || {
    echo "make deps: this is made for Debian. Elsewhere, install by hand what" \
        "deploy/setup/packages.txt lists" >&2
    exit 1
}

listed()
{
    awk -v groups="${*:-build faiss test demo}" '
        BEGIN { split(groups, g, " "); for (i in g) wanted[g[i]] = 1 }
        ($1 in wanted) { print $2 }' deploy/setup/packages.txt
}

installed()
{
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
        awk '$1 == "installed" { for (i = 2; i <= NF; i++) { sub(/,$/, "", $i); print $i } }'
}

run() # as root, through sudo when we are not
{
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "make deps: must be root, or have sudo, to run: $*" >&2
            exit 1
        }
        set -- sudo "$@"
    fi
    echo "+ $*"
    "$@" </dev/null
}

# One pipe, for /dev/fd may be missing where a root is being set up.
missing=$({ installed | sed 's/^/+/'; listed "$@" | sort -u; } |
    awk '/^\+/ { there[substr($0, 2)] = 1; next } !($0 in there)' | tr '\n' ' ')
if [ -z "$missing" ]; then
    echo "packages: all installed"
    exit 0
fi
echo "packages to install: $missing"
run env DEBIAN_FRONTEND=noninteractive apt-get -q update ||
    echo "some package lists could not be renewed: trying with those there are"
# shellcheck disable=SC2086
run env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
