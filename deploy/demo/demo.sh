#!/bin/bash
# demo.sh - Debian's Open Clip Art, from the package to a page with related pictures.
#
#     make demo            serves http://127.0.0.1:8080/ until Ctrl-C
#     make demo ONCE=1     stops after three answers
#     make demo PORT=8090  another port
#
# `make` has installed the packages and built the two programs. The steps are at the end
# of this file, one line each; to change what the demo does, change those. A step leaves a
# stamp that holds the hash of its command line, of the program, and of the stamp before:
# a second run skips what is done, a changed step redoes itself and all after it, and
# one that was interrupted has no stamp.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build}
PINSAGE=${PINSAGE:-$BUILD/pinsage}
ONCE=${ONCE:-}
PORT=${PORT:-8080}
dir=$BUILD/demo
corpus=$dir/corpus
catalog=$dir/catalog
url=http://127.0.0.1:$PORT
server=   # its process, while it runs
stopping= # set by Ctrl-C

# ---- Saying what happens ----

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold= plain=; fi

say() { printf '%s\n' "$*"; }
head_line() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

die()
{
    echo "demo: $*" >&2
    exit 1
}

# since START: the seconds from then, "12.3".
now() { echo "${EPOCHREALTIME/[,.]/}"; }
since() { awk -v us=$(($(now) - $1)) 'BEGIN { printf "%.1f", us / 1e6 }'; }

# ---- Steps ----

key=$(dpkg-query -W -f '${Version}' openclipart-svg 2>/dev/null || true)
mkdir -p "$dir/done"

passed= # the steps of this run so far

# What follows a step that is done anew is done anew, even if this run ends before.
forget_rest()
{
    local stamp
    for stamp in "$dir/done"/*; do
        [[ $passed == *" ${stamp##*/} "* ]] || rm -f "$stamp"
    done
}

# The steps from here on depend on this program.
depend_on() { key+=$(sha256sum < "$1"); }

# step NAME RESULT WHAT COMMAND...: runs it unless RESULT exists and its stamp is current.
step()
{
    local name=$1 result=$2 what=$3 start
    shift 3
    key=$(printf '%s %s' "$key" "$*" | sha256sum)
    head_line "$name: $what"
    if [ -e "$result" ] && [ "$(cat "$dir/done/$name" 2>/dev/null)" = "$key" ]; then
        say "already done"
        passed+=" $name "
        return
    fi
    forget_rest
    say "+ $*"
    start=$(now)
    "$@" || die "$name failed"
    echo "$key" > "$dir/done/$name"
    passed+=" $name "
    say "took $(since "$start") s"
}

# The table is kept, so that a run with nothing to do shows it all the same.
evaluate()
{
    "$PINSAGE" eval "$catalog" --pairs "$corpus/pairs.test.tsv" > "$dir/eval.txt.new" &&
        mv "$dir/eval.txt.new" "$dir/eval.txt"
}

# ---- The server ----

port_is_busy() { (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }

refuse_busy_port()
{
    ! port_is_busy ||
        die "port $PORT of 127.0.0.1 is in use by another program; make demo PORT=8090"
}

stop_server()
{
    local status=0
    [ -n "$server" ] || return 0
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || status=$?
    server=
    return $status
}

start_server()
{
    local start log=$dir/serve.log
    refuse_busy_port
    head_line "serve: related pictures over HTTP (log in $log)"
    start=$(now)
    set -- "$PINSAGE" serve "$catalog" --listen "127.0.0.1:$PORT" \
        --images "$corpus/images" --drain-delay 0s
    say "+ $*"
    "$@" 2> "$log" &
    server=$!
    until curl -fsS -m 2 -o "$dir/readyz" "$url/readyz" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || { tail -5 "$log" >&2; die "the server has ended"; }
        [ "$(since "$start" | cut -d. -f1)" -lt 60 ] || die "not ready after 60 s, see $log"
        sleep 0.1
    done
    say "ready after $(since "$start") s"
}

# show_related PIN: what the server says is related to it, as a short table.
show_related()
{
    curl -fsS -m 10 "$url/pins/$1" -o "$dir/pin.json" &&
        curl -fsS -m 10 "$url/related/$1?k=20" -o "$dir/related.json" &&
        python3 - "$dir/pin.json" "$dir/related.json" "$1" <<'END'
import json, sys
pin, related = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
print(f"\n{pin['title']}   (GET /related/{sys.argv[3]})")
seen, shown = {pin.get("image")}, 0
for result in related["results"]:
    if result.get("image") in seen or shown == 6: # copies of a drawing share an image
        continue
    seen.add(result.get("image"))
    shown += 1
    print(f"  {result['score']:8.3f}  {result['title'][:36]:<38}{result['pin']}")
END
}

on_exit()
{
    status=$?
    trap - EXIT INT TERM
    stop_server || true
    exit $status
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- The demo ----

began=$(now)
[ -x "$PINSAGE" ] || die "there is no $PINSAGE: run make"
refuse_busy_port

depend_on "$dir/openclipart"
step corpus "$corpus/pins.tsv" "8,121 public-domain drawings become pins, boards, pairs" \
    "$dir/openclipart" --out "$corpus"
depend_on "$PINSAGE"
step import "$catalog/current" "into a catalog" \
    "$PINSAGE" import "$catalog" --pins "$corpus/pins.tsv" --edges "$corpus/edges.tsv" \
    --feature "visual=$corpus/visual.npy"
step build "$catalog/current" "words, boards and pairs learned, all pictures embedded, indexed" \
    "$PINSAGE" build "$catalog" --pairs "$corpus/pairs.train.tsv" \
    --valid "$corpus/pairs.valid.tsv"
step eval "$dir/eval.txt" "how often a related picture is found, on pairs never shown" evaluate
cat "$dir/eval.txt"

start_server
for pin in animals.fish.clown_loach_01 animals.birds.emperor_penguin_ralf_ste_01 \
    recreation.music.electric_guitar_andrea__01r; do
    show_related "$pin" || die "no answer for $pin"
done
say
say "All in $(since "$began") s."

if [ -n "$ONCE" ]; then
    stop_server || die "the server ended with status $?"
    say "The server has stopped. Without ONCE=1 it stays, with a page at $url/"
else
    trap 'stopping=1' INT TERM
    say "${bold}Open $url/ in a browser.${plain} Ctrl-C stops the server."
    wait "$server" || [ -n "$stopping" ] || die "the server has ended, see $dir/serve.log"
    stop_server || die "the server ended with status $?"
    say "The server has stopped."
fi
