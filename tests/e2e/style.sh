#!/bin/bash
# style.sh - each style check finds what it is there to find, and lets the rest pass.
#
# Every case is a tree of its own with one file, or two, checked by a copy of tests/style.
. tests/support/tap.sh

tree=$(mktemp -d "${BUILD:-build}/style.XXXXXX")
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tests"
cp -r tests/style tests/support "$tree/tests/"
cp .clang-format "$tree/"
rm -f "$tree"/tests/support/*.[ch]

# verdict CHECK FILE: checks a tree that holds FILE, from stdin; prints what it says.
verdict()
{
    rm -rf "$tree"/{core,index,server,include}
    mkdir -p "$tree/$(dirname "$2")" "$tree"/{core/base,include/pinsage}
    printf '/* graph.h - a contract. */\n#ifndef PINSAGE_GRAPH_H\n#define PINSAGE_GRAPH_H\n#endif\n' \
        > "$tree/include/pinsage/graph.h"
    cat > "$tree/$2"
    [ ! -d "$tree/beside" ] || cp -r "$tree/beside/." "$tree"
    rm -rf "$tree/beside"
    (cd "$tree" && bash "tests/style/$1.sh" 2>/dev/null)
}

beside() # FILE: the next case's tree also holds FILE, from stdin
{
    mkdir -p "$tree/beside/$(dirname "$1")"
    cat > "$tree/beside/$1"
}

finds() # SENTENCE CHECK FILE PATTERN
{
    check "$1" grep -qE "^# .*$4" <<<"$(verdict "$2" "$3")"
}

passes() # SENTENCE CHECK FILE
{
    report "$1" "$(verdict "$2" "$3" | grep '^not ok')"
}

head='/* rng.c - scratch.
 *
 * Threads: any.
 */'

finds "a lower layer that uses a higher one is found" layers core/base/rng.c \
    'core/base/rng.c:1: .*pinsage/graph.h' <<<'#include "pinsage/graph.h"'
finds "a module without a layer is found" layers core/extra/rng.c 'not in' <<<'int x;'
passes "a higher layer may use a lower one" layers index/ann.c <<<'#include "pinsage/graph.h"'

# Each of the two is allowed to use the other, were it alone.
beside core/data/tsv.h <<<'#include "core/base/order.h"'
beside core/base/order.h <<<'int x;'
finds "folders that use each other are found" layers core/base/rng.c \
    'core/base -> core/data' <<<'#include "core/data/tsv.h"'
beside core/base/order.h <<<'int x;'
passes "folders that use each other in one direction pass" layers core/data/tsv.h \
    <<<'#include "core/base/order.h"'
beside core/data/tsv.h <<<'typedef struct ps_thing { int y; } ps_thing;'
finds "a type that is defined twice is found" layers core/base/order.h \
    'ps_thing: in core/base/order.h and core/data/tsv.h' \
    <<<'typedef struct ps_thing { int x; } ps_thing;'
beside core/data/tsv.h <<<'typedef struct ps_thing ps_thing;'
passes "a type that is named twice passes" layers core/base/order.h \
    <<<'typedef struct ps_thing { int x; } ps_thing;'
beside core/data/order.h <<<'int y;'
finds "two headers of one name are found" layers core/base/order.h 'order.h' <<<'int x;'

finds "a word that has another here is found" words server/http/http.c \
    'http.c:1:.*bearers' <<<'int bearers;'
finds "such a word in a comment is found" words core/base/rng.c 'rng.c:1:.*ladder' \
    <<<'/* One step down the ladder. */'
passes "the word for it passes" words server/http/http.c <<<'int tokens;'

finds "a library behind another fence is found" fences core/base/rng.c 'lmdb.h' \
    <<<'#include <lmdb.h>'
finds "a library nobody knows is found" fences core/base/rng.c 'openssl/ssl.h' \
    <<<'#include <openssl/ssl.h>'
passes "a library in its own file passes" fences core/catalog/pins.c <<<'#include <lmdb.h>'
passes "the C library passes" fences core/base/rng.c <<<'#include <stdint.h>'

long_function=$(echo "$head"; echo 'int f(void)'; echo '{'; yes '    ;' | head -n 79; echo '}')
finds "a long function is found" sizes core/base/rng.c 'int f' <<<"$long_function"
finds "a long file is found" sizes core/base/rng.c 'rng.c: 501 lines' \
    <<<"$(yes 'int x;' | head -n 501)"
finds "a wide line is found" sizes core/base/rng.c 'rng.c:1:' \
    <<<"/* $(printf '%090d' 0) */"
passes "width is counted in characters, not bytes" sizes core/base/rng.c \
    <<<"/* $(printf 'é%.0s' {1..80}) */"

finds "a file without its head is found" heads core/base/rng.c 'rng.c: begins' <<<'int x;'
finds "a head without Threads is found" heads core/base/rng.c 'Threads' \
    <<<'/* rng.c - scratch. */'
passes "a proper head passes" heads core/base/rng.c <<<"$head"

finds "rand is found" banned server/http/http.c 'http.c:1' <<<'int x = rand();'
finds "printing in core is found" banned core/base/rng.c 'rng.c:2' \
    <<<$'/* a\n*/ void f(void) { printf("x"); }'
finds "a file's name in quotes is found" banned core/base/rng.c 'rng.c:1' \
    <<<'open("pins.mdb");'
passes "such a name in a comment passes" banned core/base/rng.c <<<'/* of "pins.mdb" */'
passes "printing in the server passes" banned server/http/http.c <<<'void f(void) { printf(""); }'
passes "comments and strings may name what is banned" banned core/base/rng.c \
    <<<$'/* no rand() */ // printf(\nconst char *s = "exit(";'
passes "a name that contains a banned one passes" banned core/base/rng.c \
    <<<'int x = snprintf(a, 1, "") + ps_rand(1) + o->exit(2);'

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    finds "a file out of format is found" format core/base/rng.c 'rng.c:1' <<<'int  x ;'
else
    skip "a file out of format is found" "no clang-format 14"
fi
finish
