#!/bin/bash
# cli.sh - the program as a word among others: help, words that mean nothing, closed
# descriptors, ports that do not exist.
. tests/support/tap.sh

pinsage=$PWD/${PINSAGE:-build/pinsage}
dir=$(mktemp -d "${BUILD:-build}/cli.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
printf 'pin\ttitle\na\tred car\nb\tred cat\nc\tred cart\n' > pins.tsv
printf 'pin\tboard\na\tx\nb\tx\nc\ty\n' > edges.tsv

# says NAME STATUS TEXT COMMAND...: that exit, and TEXT (a pattern) on either stream.
says()
{
    local name=$1 status=$2 text=$3 out got
    shift 3
    out=$("$@" 2>&1 < /dev/null)
    got=$?
    if [ $got = "$status" ] && [[ $out == $text ]]; then
        pass "$name"
    else
        fail "$name" "exit $got, wanted $status; it said: $out
wanted: $text"
    fi
}

# ---- help ----

for word in help --help -h; do
    says "pinsage $word lists the commands" 0 "Usage: pinsage COMMAND*import *" \
        "$pinsage" $word
done
for command in $("$pinsage" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    long=$("$pinsage" "$command" --help)
    check "pinsage $command -h is its --help" \
        test "$("$pinsage" "$command" -h)" = "$long" -a -n "$long"
    check "pinsage help $command as well" test "$("$pinsage" help "$command")" = "$long"
done

# ---- did you mean ----

says "a misspelt command" 64 'pinsage: there is no command "trian"; did you mean "train"?' \
    "$pinsage" trian c
says "a command like no other" 64 'pinsage: *"bake"; see `pinsage help`' "$pinsage" bake
says "help about a misspelt command" 64 '*did you mean "serve"?' "$pinsage" help sevre
says "a misspelt option" 64 \
    'pinsage serve: there is no option "--listne"; did you mean "--listen"?' \
    "$pinsage" serve c --listne 1
says "a misspelt option with its value" 64 '*"--pairz"; did you mean "--pairs"?' \
    "$pinsage" eval c --pairz=x
says "an option like no other" 64 '*"--colour"; see `pinsage index --help`' \
    "$pinsage" index c --colour
says "a value that looks like an option is a value" 74 \
    'pinsage import: --listne: cannot be opened*' "$pinsage" import c -p --listne \
    --edges edges.tsv
says "and so it is behind a long one" 74 'pinsage import: --x: cannot be opened*' \
    "$pinsage" import c -qp pins.tsv --edges --x
says "options may be cut short" 0 '*settings of import are good' \
    "$pinsage" import c --che --unkn skip
says "words behind -- are no options" 74 '*--listne*there is no such catalog*' \
    "$pinsage" verify -- --listne
echo '{"serve":{"lsten":"x"}}' > settings.json
says "a misspelt key of a file" 64 '*"lsten" is no setting of serve; did you mean "listen"?' \
    "$pinsage" serve --check-config --config settings.json
echo '{"sevre":{}}' > settings.json
says "a misspelt command in a file" 64 '*any command; did you mean "serve"?' \
    "$pinsage" serve --check-config --config settings.json

# ---- the environment ----

says "a misspelt variable is named" 0 \
    '*: PINSAGE_LISTNE in the environment is no option of any command; did you mean "PINSAGE_LISTEN"?*good' \
    env PINSAGE_LISTNE=:0 "$pinsage" serve --check-config
says "one like no other, too" 0 '*PINSAGE_QUUX*and is ignored*good' \
    env PINSAGE_QUUX=1 "$pinsage" serve --check-config
says "that of another command is fine" 0 'the settings of serve are good' \
    env PINSAGE_PAIRS=x "$pinsage" serve --check-config
says "what Kubernetes sets for a Service is passed over" 0 'the settings of serve are good' \
    env PINSAGE_SERVICE_HOST=10.0.0.1 PINSAGE_SERVICE_PORT_HTTP=80 \
    PINSAGE_PORT=tcp://10.0.0.1:80 PINSAGE_PORT_80_TCP_ADDR=10.0.0.1 \
    PINSAGE_ADMIN_PORT_81_TCP=tcp://10.0.0.1:81 "$pinsage" serve --check-config

# ---- descriptors ----

says "a catalog to work on" 0 '*3 edges*' env "$pinsage" import c --pins pins.tsv \
    --edges edges.tsv
# closed STREAMS COMMAND...: run with these descriptors closed.
closed()
{
    local which=$1
    shift
    ( for fd in $which; do eval "exec $fd>&-"; done; exec "$@" )
}
for which in "0 1 2" "0" "1" "2" "1 2"; do
    rm -rf made
    closed "$which" "$pinsage" import made --pins pins.tsv --edges edges.tsv > /dev/null 2>&1
    closed "$which" "$pinsage" annotate made --min-count 1 --dim 8 > /dev/null 2>&1
    check "annotate works with $which closed, and what it wrote verifies" \
        test $? = 0 -a "$("$pinsage" verify -q made > said 2>&1; echo $?)" = 0
done

# ---- a catalog's folder ----

mkdir -p home/.config empty/lost+found old/gen-000001
says "a folder of other things does not become a catalog" 64 \
    'pinsage import: home: the folder is no catalog, it holds ".config": name a new*' \
    "$pinsage" import home --pins pins.tsv --edges edges.tsv
says "not even the one that one is in" 64 'pinsage import: .: the folder is no catalog*' \
    "$pinsage" import . --pins pins.tsv --edges edges.tsv
check "and nothing is left in it" test "$(ls -A home)" = .config -a ! -e lock
mkdir left && touch left/lock && mkdir left/.draft-99999
for folder in empty left old c; do
    says "import into $folder, which is empty or ours" 0 "$folder: gen-*" \
        "$pinsage" import $folder -q --pins pins.tsv --edges edges.tsv
done

# ---- ports ----

for port in 65536 99999 131072 4294967376 18446744073709551697; do
    for option in --listen --admin-listen; do
        says "there is no port $port for $option" 64 "*127.0.0.1:$port*65535*" \
            timeout 10 "$pinsage" serve c --listen 127.0.0.1:0 $option 127.0.0.1:$port
    done
done
finish
