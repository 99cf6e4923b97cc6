#!/bin/bash
# setup.sh - deploy/setup: package lists, apt entries, the cache of FAISS, embedded pages.
# Nothing here installs, downloads or builds anything.
. tests/support/tap.sh

top=$PWD
dir=$(mktemp -d "${BUILD:-build}/setup.XXXXXX")
dir=$(cd "$dir" && pwd)
trap 'rm -rf "$dir"' EXIT

# ---- apt entries ----

mkdir -p "$dir/etc/parts"
cat > "$dir/etc/sources.list" <<'END'
# deb http://old.example/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://one.example/debian bookworm main contrib
  deb [arch=amd64 signed-by=/k.gpg] http://two.example/x stable main
deb-src http://one.example/debian bookworm main contrib
END
printf 'Types: deb\nURIs: http://three.example/debian\nSuites: trixie\nComponents: main\n' \
    > "$dir/etc/parts/three.sources"
echo 'deb http://four.example/debian bookworm main' > "$dir/etc/parts/four.list"
echo 'deb http://off.example/debian bookworm main' > "$dir/etc/parts/off.list.disabled"
cat > "$dir/apt.conf" <<END
Dir::Etc::sourcelist "$dir/etc/sources.list";
Dir::Etc::sourceparts "$dir/etc/parts";
END
APT_CONFIG=$dir/apt.conf deploy/setup/faiss.sh --sources "$dir/private"
cat > "$dir/wanted" <<'END'
deb-src [arch=amd64 signed-by=/k.gpg] http://two.example/x stable main
deb-src http://four.example/debian bookworm main
deb-src http://one.example/debian bookworm main contrib
END
check "one-line entries become source entries, each once" \
    diff "$dir/wanted" <(LC_ALL=C sort "$dir/private/lines.list")
check "entries in stanzas become source entries" \
    grep -qx 'Types: deb-src' "$dir/private/three.sources"
check "the rest of a stanza stays" grep -qx 'Suites: trixie' "$dir/private/three.sources"

# ---- the cache ----

export XDG_CACHE_HOME=$dir/cache
unset SUDO_USER
found() { (cd / && "$top/deploy/setup/faiss.sh" --find); }
platform=$(. /etc/os-release && echo "${ID:-linux}-${VERSION_ID:-0}-$(uname -m)")

# keep VERSION VARIANT PLATFORM: a finished build in the cache.
keep()
{
    mkdir -p "$dir/cache/pinsage/faiss-$1-$2"
    printf '%s\n' "faiss $1" "variant $2" "platform $3" \
        > "$dir/cache/pinsage/faiss-$1-$2/stamp"
}

check "an empty cache has nothing" test -z "$(found)"
mkdir -p "$dir/cache/pinsage/faiss-1.7.3-2-plain/lib" "$dir/cache/pinsage/faiss-1.7.3-2-avx2/lib"
check "a build without its stamp does not count" test -z "$(found)"
keep 1.7.3-2 plain other-9-riscv
keep 1.7.3-2 avx2 other-9-riscv
check "a build for another platform does not count" test -z "$(found)"
for version in 1.9.0-1 1.10.0-1; do
    keep $version plain "$platform"
    keep $version avx2 "$platform"
done
check "the newest build is found" grep -q '/faiss-1\.10\.0-1-' <<<"$(found)"
wanted=plain
if [ "$(uname -m)" = x86_64 ] && grep -qw avx2 /proc/cpuinfo; then wanted=avx2; fi
check "the variant is that of the processor" grep -q -- "-$wanted\$" <<<"$(found)"
check "a ready cache is all there is to do" \
    grep -q '^faiss: ready: ' <<<"$(deploy/setup/faiss.sh </dev/null)"

# ---- what is missing is told in words ----

said=$(CC="gcc -nostdinc" FAISS_DIR= deploy/setup/have.sh build 2>&1)
check "missing libraries make it fail" test $? = 1
check "and are named" grep -q 'libmicrohttpd (microhttpd.h)' <<<"$said"
check "with what to do about it" grep -q 'make deps' <<<"$said"
listed=$(awk '/^[^#]/ && NF < 3' deploy/setup/packages.txt)
report "every package has a group and a reason" "$listed"

# ---- pages ----

mkdir "$dir/web"
printf '<p>caf\303\251' > "$dir/index.html"
: > "$dir/empty.js"
deploy/setup/embed.sh "$dir/web" "$dir/empty.js" "$dir/index.html"
cat > "$dir/main.c" <<'END'
#include <stdio.h>
#include "server/base/assets.h"
int main(void)
{
    for (size_t i = 0; i < ps_n_assets; i++)
        fprintf(stderr, "%s %zu\n", ps_assets[i].name, ps_assets[i].size);
    fwrite(ps_assets[1].gzip, 1, ps_assets[1].gzip_size, stdout);
    return ps_assets[ps_n_assets].name != NULL;
}
END
check "embedded pages compile and link" ${CC:-gcc} -I. -Iinclude -o "$dir/show" "$dir/main.c" \
    "$dir/web/assets.c"
"$dir/show" 2> "$dir/names" | gzip -dc > "$dir/page" 2>/dev/null
check "a page comes out as it went in" cmp "$dir/page" "$dir/index.html"
check "names and sizes are told" diff "$dir/names" - <<<$'empty.js 0\nindex.html 8'
cp "$dir/web/assets.c" "$dir/before.c"
cp "$dir/web/1.gz" "$dir/before.gz"
touch "$dir/index.html"
deploy/setup/embed.sh "$dir/web" "$dir/empty.js" "$dir/index.html"
check "the same page gives the same bytes" cmp "$dir/web/1.gz" "$dir/before.gz"
check "and the same table" cmp "$dir/web/assets.c" "$dir/before.c"
finish
