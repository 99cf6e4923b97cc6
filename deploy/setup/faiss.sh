#!/bin/bash
# faiss.sh [MODE] - provides FAISS with its C API, once per user and machine.
# faiss.sh --find [MODE] - prints where it is, or nothing; asks nobody.
# faiss.sh --sources DIR - writes the source entries it would use, and stops.
#
# Debian 12 packages FAISS without the C API and for plain x86-64, which searches 3 to 7
# times slower than a build for AVX2. So the distribution's own source package is built
# here, for the processor at hand (MODE auto) or for any (plain), and kept where every
# clone of this user finds it; MODE system takes the distribution's library instead.
#
#     ~/.cache/pinsage/faiss-1.7.3-2-avx2/   lib/ include/faiss/c_api/ stamp
#
# The sources come by apt, from the places this machine already takes packages from:
# its own entries, in a private copy, with the type changed to source. No address is
# written down here. The stamp is written last and the directory renamed into place,
# so that an interrupted build leaves nothing that looks finished; a lock lets the
# second of two builders wait and then find the work done.
set -eu

say() { echo "faiss: $*"; }
die() { echo "faiss: $*" >&2; exit 1; }

# Under sudo the cache is that of the user who will run make.
if [ "$(id -u)" = 0 ] && [ "${SUDO_USER:-root}" != root ]; then
    home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    exec runuser -u "$SUDO_USER" -- env -u SUDO_USER -u XDG_CACHE_HOME HOME="$home" "$0" "$@"
fi

# The machine's apt entries, of both formats, as source entries in the directory $1.
source_entries()
{
    local list parts file
    eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    mkdir -p "$1"
    for file in "$list" "${parts%/}"/*.list; do
        [ -f "$file" ] || continue
        sed -En 's/^[[:space:]]*deb(-src)?([[:space:]]+(\[[^]]*\][[:space:]]+)?[a-z])/deb-src\2/p' \
            "$file" | grep -v 'cdrom:' || true
    done | sort -u > "$1/lines.list"
    for file in "${parts%/}"/*.sources; do
        [ -f "$file" ] || continue
        sed -E 's/^Types:.*/Types: deb-src/I' "$file" > "$1/${file##*/}"
    done
}

if [ "${1:-}" = --sources ]; then
    source_entries "$2"
    exit
fi

find_only=
[ "${1:-}" != --find ] || { find_only=1; shift; }
mode=${1:-auto}
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pinsage

# ---------------------------- What fits this machine ------------------------------

case $mode in
auto) variant=avx2 ;;
plain | system) variant=plain ;;
*) die "FAISS must be auto, plain or system, not '$mode'" ;;
esac
for flag in avx2 fma f16c popcnt; do
    grep -qwm1 "$flag" /proc/cpuinfo 2>/dev/null || variant=plain
done
[ "$(uname -m)" = x86_64 ] || variant=plain

# A home shared by two releases or two architectures keeps a build for each.
platform=$(. /etc/os-release && echo "${ID:-linux}-${VERSION_ID:-0}-$(uname -m)")

# The newest finished build for this platform.
find_ours()
{
    local stamp
    for stamp in "$cache"/faiss-*-"$variant"/stamp; do
        [ -f "$stamp" ] && grep -qx "platform $platform" "$stamp" && dirname "$stamp"
    done | sort -V | tail -n 1
}

# "system" when the distribution's library has the C API.
find_system()
{
    local found
    found=$(${CC:-gcc} -print-file-name=libfaiss_c.a 2>/dev/null) || return 0
    [ "$found" = libfaiss_c.a ] || echo system
}

if [ "$mode" = system ]; then
    where=$(find_system)
else
    where=$(find_ours)
fi
if [ -n "$find_only" ]; then
    [ -z "$where" ] || echo "$where"
    exit 0
fi
if [ -n "$where" ]; then
    say "ready: $where"
    exit 0
fi
[ "$mode" != system ] || die "there is no libfaiss_c.a here, which Debian has from 13 on:" \
    "use FAISS=auto"

# ---------------------------- Source package by apt -------------------------------

command -v apt-get >/dev/null || die "this is made for Debian. Elsewhere install FAISS" \
    "with its C API by hand and use FAISS=system"
mkdir -p "$cache"
exec 9> "$cache/lock"
flock -n 9 || { say "waiting for another build to finish"; flock 9; }
where=$(find_ours)
[ -z "$where" ] || { say "ready: $where"; exit 0; }

rm -rf "$cache"/.build.* # of builders that died: the lock is ours
work=$(mktemp -d "$cache/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
log=$work/log

# logged COMMAND...: quiet unless it fails, then the end of what it said.
logged()
{
    "$@" >> "$log" 2>&1 </dev/null || {
        tail -n 25 "$log" >&2
        die "failed: $*"
    }
}

# apt-get with the private entries and state, as whoever runs this.
apt_private()
{
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/apt/sources" \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}

say "reading the lists of source packages"
source_entries "$work/apt/sources"
# An entry without sources (a vendor's, say) fails here and does not matter.
apt_private update >> "$log" 2>&1 </dev/null || say "not every package source has sources"
say "fetching the source package"
mkdir "$work/source"
(cd "$work/source" && logged apt_private source --download-only faiss) ||
    die "no source package; where the distribution has libfaiss_c.a, use FAISS=system"
dsc=$(ls "$work"/source/faiss_*.dsc)
version=$(sed -n 's/^Version: //p' "$dsc" | head -n 1)
logged dpkg-source --no-check -x "$dsc" "$work/faiss"

# ---------------------------- Build ------------------------------------------------

# One compiler per core, unless memory is short: some files take more than 1 GB.
jobs=$(nproc)
room=$(awk '/^MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)
[ "$jobs" -le "${room:-1}" ] || jobs=$((room > 0 ? room : 1))

# Ninja's "[done/total]" as a line at each tenth.
progress()
{
    awk -v what="$1" '{ print >> "'"$log"'" }
        match($0, /^\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, 2, RLENGTH - 2), n, "/")
            tenth = int(10 * n[1] / n[2])
            if (tenth > told) { told = tenth; print "faiss: " what " " 10 * tenth " %"; fflush() }
        }'
}

build() # WHAT TARGET...
{
    local what=$1
    shift
    ninja -C "$work/build" -j "$jobs" "$@" 2>&1 </dev/null | progress "$what"
    [ "${PIPESTATUS[0]}" = 0 ] || {
        tail -n 25 "$log" >&2
        die "the build failed"
    }
}

if [ "$variant" = avx2 ]; then target=faiss_avx2 level=avx2; else target=faiss level=generic; fi
say "building $version ($variant) with $jobs compilers: a few minutes, only this once"
logged cmake -S "$work/faiss" -B "$work/build" -G Ninja -Wno-dev \
    -DFAISS_ENABLE_GPU=OFF -DFAISS_ENABLE_PYTHON=OFF -DFAISS_ENABLE_C_API=ON \
    -DBUILD_TESTING=OFF -DBUILD_SHARED_LIBS=OFF -DFAISS_OPT_LEVEL=$level \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBLA_VENDOR=OpenBLAS
build library $target

# The target faiss_c would build the plain library too: take its objects alone.
mapfile -t objects < <(ninja -C "$work/build" -t targets all |
    sed -n 's/^\(c_api\/CMakeFiles\/faiss_c\.dir\/.*\.o\):.*/\1/p')
[ ${#objects[@]} -gt 0 ] || die "this source has no C API"
build "C API" "${objects[@]}"

# ---------------------------- Put it in place --------------------------------------

say "installing into $cache/faiss-$version-$variant"
stage=$work/stage
mkdir -p "$stage/lib" "$stage/include/faiss"
cp "$work/build/faiss/lib$target.a" "$stage/lib/"
(cd "$work/build" && ar rcs "$stage/lib/libfaiss_c.a" "${objects[@]}")
(cd "$work/faiss" && find c_api -name '*.h' -not -path '*/gpu/*' -exec cp --parents {} "$stage/include/faiss/" \;)
cp "$work/faiss/LICENSE" "$stage/"
printf '%s\n' "faiss $version" "variant $variant" "platform $platform" > "$stage/stamp"
sync -f "$stage/stamp" 2>/dev/null || sync
rm -rf "$cache/faiss-$version-$variant"
mv -T "$stage" "$cache/faiss-$version-$variant"
say "ready: $cache/faiss-$version-$variant"
