#!/bin/sh
# have.sh GROUP - says in words what is missing for `make` (build), its tests (test),
# the demo (demo) or `make fuzz` (fuzz), instead of leaving it to the compiler. Silent when all is there.
#
# It compiles one #include per library: that finds a header wherever the compiler
# would, in a chroot, a cross compiler or under CPATH, which a package query does not.
cd "$(dirname "$0")/../.." || exit 2
CC=${CC:-gcc}
deps="make deps"
case ${FAISS:-auto} in auto) ;; *) deps="make deps FAISS=$FAISS" ;; esac

missing=
header() # HEADER NAME
{
    echo "#include <$1>" | $CC $FAISS_CPP -E -x c -o /dev/null - 2>/dev/null ||
        missing="$missing
    $2 ($1)"
}
program() # NAME
{
    command -v "$1" >/dev/null 2>&1 || missing="$missing
    the program $1"
}

program "${CC%% *}"
case $1 in
build)
    header stdlib.h "the C library"
    header microhttpd.h libmicrohttpd
    header gnutls/gnutls.h GnuTLS
    header seccomp.h libseccomp
    header jansson.h jansson
    header protobuf-c/protobuf-c.h protobuf-c
    program protoc-c
    header uv.h libuv
    header lmdb.h LMDB
    header cblas.h OpenBLAS
    header xxhash.h xxHash
    header zlib.h zlib
    header utf8proc.h utf8proc
    ls index/faiss*.c >/dev/null 2>&1 && [ -z "$FAISS_DIR" ] && missing="$missing
    FAISS with its C API"
    program gzip
    ;;
test)
    echo '#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>' | $CC -E -x c -o /dev/null - 2>/dev/null || missing="$missing
    cmocka (cmocka.h)"
    ;;
fuzz)
    deps="deploy/setup/deps.sh dev"
    program clang
    ;;
demo)
    program pkg-config
    for lib in librsvg-2.0 cairo libxml-2.0; do
        pkg-config --exists $lib 2>/dev/null || missing="$missing
    $lib"
    done
    ;;
esac
[ -z "$missing" ] && exit 0
echo "This machine lacks what $1 needs:$missing
Run \`$deps\` once (as root, or with sudo at hand): it installs all of it." >&2
exit 1
