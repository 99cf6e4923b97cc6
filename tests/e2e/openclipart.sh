#!/bin/bash
# openclipart.sh - the demo's corpus program, on a small folder of drawings made here and,
# when the package is installed, on all of Open Clip Art.
. tests/support/tap.sh

program=$BUILD/demo/openclipart
if [ ! -x "$program" ]; then
    skip "the demo's corpus program" "$program is not built"
    finish
fi
if [[ $PS_SAN == *thread* ]]; then
    skip "the demo's corpus program" "librsvg's and glib's own locks are not seen by this sanitizer"
    finish
fi
program=$(realpath "$program")
dir=$(mktemp -d "$BUILD/openclipart.XXXXXX")
dir=$(cd "$dir" && pwd)
trap 'rm -rf "$dir"' EXIT
# Two leaks of libraries; the second when an entity is refused in libxml2 2.9.
printf 'leak:libfontconfig\nleak:xmlParseEntityValue\n' > "$dir/lsan"
export LSAN_OPTIONS=print_suppressions=0:suppressions=$dir/lsan

# drawing TITLE DESCRIPTION AUTHOR COLOUR SIZE KEYWORD...
drawing()
{
    local title=$1 description=$2 author=$3 colour=$4 size=$5
    shift 5
    cat <<END
<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">
<metadata><r:RDF xmlns:c="http://web.resource.org/cc/"
 xmlns:d="http://purl.org/dc/elements/1.1/"
 xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><c:Work>
<d:title>$title</d:title><d:description>$description</d:description>
<d:subject><r:Bag>$(printf '<r:li>%s</r:li>' "$@")</r:Bag></d:subject>
<d:creator><c:Agent><d:title>$author</d:title></c:Agent></d:creator>
</c:Work></r:RDF></metadata>
<rect x="10" y="10" width="$size" height="$((size / 2))" fill="$colour"/></svg>
END
}

subjects=(Lions violets trumpet bridges harbour comets kettle)
source=$dir/source
mkdir -p "$source/plain/deep" "$source/odd"
for i in {1..70}; do
    drawing "Drawing $i with ${subjects[i % 7]}" "one of ${subjects[i % 5]}, number $i" \
        "Artist $((i % 9)) (a$i@example.org)" "rgb($((i * 3)),$((i % 7 * 30)),90)" \
        $((20 + i % 11 * 6)) "${subjects[i % 7]}" "${subjects[i % 5]}" "tag$((i % 13))" \
        > "$source/plain/p$i.svg"
done
ln -s ../p7.svg "$source/plain/deep/second name.svg"
echo 'no drawing at all' > "$source/odd/text.svg"
printf '<recipe><title>soup</title></recipe>' > "$source/odd/recipe.svg"
mkfifo "$source/odd/pipe.svg"
echo 'top secret' > "$dir/secret"
{
    printf '<!DOCTYPE svg [<!ENTITY out SYSTEM "file://%s/secret"><!ENTITY l0 "ha">' "$dir"
    for i in {1..12}; do
        printf '<!ENTITY l%d "&l%d;&l%d;&l%d;&l%d;">' "$i" $((i - 1)){,,,}
    done
    printf ']>'
    drawing $'A\ttitle\nin  two\x01 lines &out;' 'laugh &l12;' 'Someone' red 30 odd | tail -n +2
} > "$source/odd/entities.svg"

check "a folder of drawings becomes a corpus" \
    timeout 60 "$program" --source "$source" --out "$dir/one" --threads 1
timeout 60 "$program" --source "$source" --out "$dir/four" --threads 4 > "$dir/said" 2> "$dir/told"
check "four threads write what one writes" diff -r "$dir/one" "$dir/four"
check "what is not XML is named and left out" \
    grep -q 'odd/text.svg: not XML, left out' "$dir/told"
check "what cannot be drawn is named and keeps its place" \
    grep -q 'odd/recipe.svg: cannot be drawn' "$dir/told"
check "a link has the same drawing and is counted as a copy" \
    grep -Eq 'pictures +73 +\(1 of them copies' "$dir/said"
check "external entities are not read" bash -c "! grep -rq 'top secret' '$dir/one'"
check "no address of an artist is kept" bash -c "! grep -q 'example.org' '$dir/one/pins.tsv'"

# Everything that can be asked of the tables, by reading them back.
cat > "$dir/read.py" <<'END'
import re, struct, sys, unicodedata
out, what = sys.argv[1:3]

def table(name):
    lines = open(f"{out}/{name}", encoding="utf-8", newline="\n").read().split("\n")
    assert lines.pop() == "", f"{name} does not end in a newline"
    return [line.split("\t") for line in lines]

def stem(word):
    return re.sub(r"(?<=..)(?<![sui])s$", "", word.lower())

pins, edges = table("pins.tsv"), table("edges.tsv")
pairs = {s: [tuple(p) for p in table(f"pairs.{s}.tsv")[1:]] for s in ("train", "valid", "test")}
row = {p[0]: i for i, p in enumerate(pins[1:])}

def columns():
    assert pins[0] == "pin title text image author folder file".split()
    assert edges[0] == ["pin", "board"]
    assert all(len(p) == 7 for p in pins) and all(len(e) == 2 for e in edges)
    assert len(row) == len(pins) - 1, "an id occurs twice"
    for p in pins[1:]:
        for text in p:
            assert not any(unicodedata.category(c) == "Cc" for c in text), p
    assert {p for p, _ in edges[1:]} <= set(row)

def visual():
    data = open(f"{out}/visual.npy", "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    head = 10 + struct.unpack("<H", data[8:10])[0]
    assert head % 64 == 0 and b"'descr': '<f4'" in data[:head]
    n, d = map(int, re.search(rb"\((\d+), (\d+)\)", data).groups())
    assert n == len(row) and len(data) == head + 4 * n * d
    for i, p in enumerate(pins[1:]):
        x = struct.unpack_from(f"<{d}f", data, head + 4 * i * d)
        length = sum(v * v for v in x)
        assert (length == 0) if p[3] == "" else abs(length - 1) < 1e-4, (p[0], length)
    for p in pins[1:]:
        if p[3]:
            png = open(f"{out}/images/{p[3]}", "rb").read(24)
            assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[16:24] == struct.pack(">II", 192, 192)

def held():
    known = {b for _, b in edges[1:]}
    names = sys.argv[3:]
    gone = [n for n in names if f"keyword:{n.lower()}" not in known]
    assert gone and len(gone) < len(names), f"held out: {gone}"
    return gone

def leaks():
    banned = {stem(n) for n in held()}
    for p in pins[1:]:
        words = {stem(w) for w in re.findall(r"\w+", p[1] + " " + p[2])}
        assert not words & banned, (p, words & banned)

def splits():
    assert all(pairs.values()), {s: len(p) for s, p in pairs.items()}
    for s, list_ in pairs.items():
        assert len(set(list_)) == len(list_) and all(a != b for a, b in list_)
        assert {x for p in list_ for x in p} <= set(row)
    asked = {q for q, _ in pairs["test"]}
    seen = {x for s in ("train", "valid") for p in pairs[s] for x in p}
    assert not asked & seen, "a test query is seen in training"
    sets = {s: {frozenset(p) for p in list_} for s, list_ in pairs.items()}
    assert not (sets["train"] & sets["valid"] or sets["train"] & sets["test"]
                or sets["valid"] & sets["test"])

globals()[what]()
END
check "tables have their columns, ids are unique, no control character is left" \
    python3 "$dir/read.py" "$dir/one" columns
check "the matrix opens as .npy; a row is of length 1, or zero where there is no image" \
    python3 "$dir/read.py" "$dir/one" visual
check "no title or text holds a word that names a held-out board" \
    python3 "$dir/read.py" "$dir/one" leaks "${subjects[@]}"
check "no test query and no pair of test occurs in train or valid" \
    python3 "$dir/read.py" "$dir/one" splits
names=$(grep -ohE 'plain\.p7\b|plain\.deep\.second name' "$dir"/one/pairs.*.tsv | sort -u | wc -l)
check "of two names of one picture only one is in pairs" test "$names" -lt 2

# ---- Nothing half ----

rm -r "$source/odd"
"$program" --source "$source" --out "$dir/other" > "$dir/said" 2>&1
cp -r "$dir/one" "$dir/kept"
broken= changed=
for tick in {1..25}; do
    "$program" --source "$source" --out "$dir/kept" > "$dir/said" 2>&1 &
    child=$!
    sleep "$(printf '0.%03d' $((tick * 8)))"
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    if diff -rq "$dir/other" "$dir/kept" > /dev/null; then changed=1
    elif ! diff -rq "$dir/one" "$dir/kept" > /dev/null; then broken+=" $tick"; fi
done
report "a run killed at any moment leaves the old output or the new" "$broken"
"$program" --source "$source" --out "$dir/kept" > "$dir/said" 2>&1
check "the next run succeeds" diff -r "$dir/other" "$dir/kept"
check "and clears what the killed ones left" test ! -e "$dir/kept.part"

# ---- Refusals ----

refused() # STATUS TEXT ARGUMENT...
{
    local wanted=$1 text=$2 status=0
    shift 2
    "$program" "$@" > "$dir/said" 2>&1 || status=$?
    [ $status = "$wanted" ] && grep -q -- "$text" "$dir/said" && return
    echo "status $status:"
    cat "$dir/said"
    return 1
}

mkdir "$dir/empty" "$dir/letters"
touch "$dir/letters/dear-aunt.txt"
check "no --out is bad usage" refused 64 "--out DIR is missing"
check "a number of threads must be one" refused 64 "--threads" --out "$dir/x" --threads many
check "a missing source says which package to install" \
    refused 74 openclipart-svg --source "$dir/nowhere" --out "$dir/x"
check "a source without drawings is bad data" \
    refused 65 "no SVG files" --source "$dir/empty" --out "$dir/x"
check "a folder that is no earlier output is not replaced" \
    refused 74 "not an earlier output" --source "$source" --out "$dir/letters"
check "and keeps its files" test -e "$dir/letters/dear-aunt.txt"
check "a refusal leaves nothing behind" test ! -e "$dir/x" -a ! -e "$dir/x.part"

# ---- The real ones ----

name="all of Open Clip Art: 8,121 pins, splits apart"
if [ ! -d /usr/share/openclipart/svg ]; then
    skip "$name" "the package openclipart-svg is not installed"
elif [ -n "$PS_SAN" ]; then
    skip "$name" "slow under a sanitizer"
else
    whole()
    {
        "$program" --out "$dir/whole" 2>&1 && python3 "$dir/read.py" "$dir/whole" columns &&
            python3 "$dir/read.py" "$dir/whole" splits && grep -Eq '^pictures +8121 ' "$dir/said"
    }
    whole > "$dir/said" 2>&1 && status=0 || status=$?
    check "$name" bash -c "cat '$dir/said'; exit $status"
fi
finish
