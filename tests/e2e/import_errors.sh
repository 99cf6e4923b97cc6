#!/bin/bash
# import_errors.sh - broken input given to `pinsage import`: one line on stderr with file
# and line, exit status 65, nothing left behind. And kill -9: what is left verifies.
. tests/support/tap.sh

pinsage=$PWD/${PINSAGE:-build/pinsage}
shared=${PS_SHARED:-../shared}
[ "${shared#/}" = "$shared" ] && shared=$PWD/$shared
dir=$(mktemp -d "${BUILD:-build}/import.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2

# Good files, that a case then replaces.
good()
{
    printf 'pin\ttitle\na\tA\nb\tB\nc107\tC\n' > pins.tsv
    printf 'pin\tboard\na\tx\nb\tx\nc107\ty\n' > edges.tsv
    rm -f v.npy
}

# header SHAPE TYPE: the beginning of an .npy file.
header()
{
    local words="{'descr': '$2', 'fortran_order': False, 'shape': $1, }"
    words=$(printf '%-117s' "$words")
    printf '\x93NUMPY\x01\x00\x76\x00%s\n' "$words"
}

# f32 WORD...: little-endian words given in hexadecimal, as bytes.
f32()
{
    local w
    for w; do printf "\\x${w:6:2}\\x${w:4:2}\\x${w:2:2}\\x${w:0:2}"; done
}

# refused NAME STATUS TEXT [OPTION...]: import says just this (* stands for anything)
# and leaves nothing.
refused()
{
    local name=$1 status=$2 text=$3 got
    shift 3
    "$pinsage" import new -q --pins pins.tsv --edges edges.tsv "$@" > out 2> err < /dev/null
    got=$?
    if [ $got = "$status" ] && [[ $(cat err) == "pinsage import: "$text ]] &&
        [ "$(wc -l < err)" = 1 ] && [ ! -s out ] && [ ! -e new ]; then
        pass "$name"
    else
        fail "$name" "exit $got, wanted $status; $(ls -d new 2>&1); it said:
$(cat out err)
wanted: pinsage import: $text"
    fi
    good
}

# ---- pins ----

good
: > pins.tsv
refused "an empty file" 65 "pins.tsv: the file is empty"
printf 'id\ttitle\na\tA\n' > pins.tsv
refused "a header without the column pin" 65 \
    'pins.tsv:1: there is no column "pin"; there is: id title'
printf 'pin\ttitle\na\tA\n\tB\n' > pins.tsv
refused "an empty id" 65 "pins.tsv:3: the pin's id is empty"
printf 'pin\nb\nc\na\nd\na\n' > pins.tsv
refused "a pin twice" 65 'pins.tsv:6: pin "a" stands twice, first in line 4'
printf 'pin\ttitle\na\tA\nb\t\xc3(\n' > pins.tsv
refused "broken UTF-8" 65 "pins.tsv:3: the line is not UTF-8"
printf 'pin\ttitle\na\tA\tmore\n' > pins.tsv
refused "a tab too many" 65 "pins.tsv:2: the line has 3 fields, the header has 2"
printf 'pin\n%0600d\n' 0 > pins.tsv
refused "an id that is too long" 65 \
    "pins.tsv:2: the pin's id has 600 bytes, at most 511 are possible"
gzip -c pins.tsv | head -c 30 > cut && mv cut pins.tsv
refused "gzip that is cut off" 65 \
    "pins.tsv:*: the gzip data ends in the middle: the file is cut off"
rm pins.tsv
refused "a file that is not there" 74 "pins.tsv: cannot be opened: No such file or directory"

# ---- edges ----

printf 'pin\tboard\n' > edges.tsv
refused "no edges" 65 "edges.tsv: there are no edges, only the header"
printf 'a\tx\nb\tx\n' > edges.tsv
refused "no header" 65 'edges.tsv:1: there is no column "pin"; there is: a x'
printf 'pin\tboard\na\tx\nc1O7\ty\n' > edges.tsv
refused "an unknown pin, with a guess" 65 \
    'edges.tsv:3: pin "c1O7" is not among the pins; did you mean "c107"?'
printf 'pin,board\na,x\n' > edges.tsv
refused "commas instead of tabs" 65 "edges.tsv: it is comma-separated*read_csv('edges.tsv'*"
printf 'pin\tboard\nq\tx\nz\ty\n' > edges.tsv
refused "unknown pins only, skipped" 65 \
    "edges.tsv: no edge is left: all 2 have a pin that is not known" --unknown-pins=skip

# ---- matrices ----

{ header '(2, 1)' '<f4' && f32 3f800000 3f800000; } > v.npy
refused "a matrix with too few rows" 65 "v.npy: it has 2 rows, there are 3 pins" \
    --feature visual=v.npy
{ header '(3,)' '<f4' && f32 3f800000 3f800000 3f800000; } > v.npy
refused "a matrix of one dimension" 65 \
    "v.npy: it has one dimension; vectors must have the shape (pins, D)" --embeddings v.npy
{ header '(3, 1)' '<u4' && f32 00000001 00000002 00000003; } > v.npy
refused "a matrix of another type" 65 \
    "v.npy: its numbers are <u4; vectors must be <f4, <f2 or <f8: X.astype('float32')" --feature visual=v.npy
{ header '(3, 1)' '<f4' && f32 3f800000 7fc00000 3f800000; } > v.npy
refused "a row that is NaN" 65 \
    'v.npy: row 1, column 0 (from 0) is NaN; the row is pin "b", line 3 of the pins' \
    --feature visual=v.npy
{ header '(3, 1)' '<f4' && f32 3f800000; } > v.npy
refused "a matrix that is cut off" 65 \
    "v.npy: the file is cut off: its header promises 12 bytes of data, there are 4" \
    --feature visual=v.npy

# ---- kill -9 ----

good
data=$shared/data/movielens-posters
if [ -d "$data" ]; then
    wrong= killed=0
    for i in $(seq 1 20); do
        rm -rf real
        "$pinsage" import real -q --pins "$data/pins.tsv.gz" --edges "$data/edges.tsv.gz" \
            --feature "visual=$data/visual.npy" > /dev/null 2>&1 &
        sleep "0.$((i * 7 % 10))$((i % 10))"
        kill -9 $! 2> /dev/null && killed=$((killed + 1))
        wait $! 2> /dev/null
        [ -e real/current ] || continue
        "$pinsage" verify real -q > out 2>&1 || wrong+="kill $i: $(cat out)"$'\n'
    done
    report "a kill -9 at any moment leaves no catalog, or one that verifies" "$wrong"
    echo "# $killed of 20 imports were still running"
    check "what kills left does not stop the next import" \
        "$pinsage" import real -q --pins "$data/pins.tsv.gz" --edges "$data/edges.tsv.gz"
    check "and that verifies" "$pinsage" verify real -q
else
    skip "a kill -9 at any moment leaves no catalog, or one that verifies" \
        "$data is missing (PS_SHARED)"
fi
finish
