#!/bin/sh
# ablation.sh - one change of the model at a time, ranked on the test pairs, beside the
# figures that the paper gives for the same change (KDD 2018, table 1: hit rate at 500
# among 5 million pins, MRR of ranks divided by 100; other data, so only the order of
# its rows can be compared).
#
#     tests/bench/ablation.sh [SET [EPOCHS [DIR]]]
#
# SET is a folder of data sets as CONTRIBUTING.md says, EPOCHS those of each row, DIR
# where the catalog is made (default: a new folder below /tmp, removed at the end). All
# rows share seed, sizes, walks and the trained blocks; choices by trial are off.
# Without the data it says so and ends well.
set -eu
export LC_ALL=C
set_name=${1:-citeulike-t} epochs=${2:-5}
data=${PS_SHARED:-../shared}/data/$set_name
pinsage=${PINSAGE:-build/pinsage}
margin='--similarity cosine --loss margin'
xent='--similarity ip --temperature 0.1'

if [ ! -f "$data/pairs.test.tsv.gz" ]; then
    echo "ablation: the data set $set_name is missing: nothing to show"
    exit 0
fi
if [ $# -ge 3 ]; then
    dir=$3
    mkdir -p "$dir"
else
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
fi
catalog=$dir/catalog log=$dir/log
content=

prepare() {
    visual=
    [ ! -f "$data/visual.npy" ] || visual="--feature visual=$data/visual.npy"
    # shellcheck disable=SC2086
    "$pinsage" import "$catalog" --pins "$data/pins.tsv.gz" \
        --edges "$data/edges.tsv.gz" $visual
    [ -z "$visual" ] || content=visual
    if "$pinsage" annotate "$catalog"; then
        content=annotation${content:+,$content}
    fi
    "$pinsage" structure "$catalog"
}

# row NAME PAPER OPTIONS...: train, embed, rank, and print a line.
row() {
    name=$1 paper=$2
    shift 2
    "$pinsage" train "$catalog" --no-trials --pairs "$data/pairs.train.tsv.gz" \
        --valid "$data/pairs.valid.tsv.gz" --epochs "$epochs" \
        "$@" >> "$log" 2>&1
    "$pinsage" embed "$catalog" >> "$log" 2>&1
    figures=$("$pinsage" eval "$catalog" --pairs "$data/pairs.test.tsv.gz" \
        --methods pinsage 2>> "$log" | tr -d '±' | awk '$1 == "pinsage" {
            printf "%5s %5s %5s %5s  %5s %5s", $2, $4, $6, $8, $10, $12; exit }')
    printf '%-44s %s  %s\n' "$name" "$figures" "$paper"
}

[ -f "$catalog/current/manifest.json" ] || prepare > "$log" 2>&1
printf '%s, %s epochs a row; hit rate in %% at 10, 50, 100, 500, MRR, scaled MRR\n' \
    "$set_name" "$epochs"
printf '%-44s %5s %5s %5s %5s  %5s %5s  %s\n' 'model' @10 @50 @100 @500 MRR sMRR \
    'paper: hit rate, MRR'
# shellcheck disable=SC2086 # margin and xent are lists of options
rows() {
    row 'importance, margin, hard (PinSage)' '67 % .59' $margin --hard
    row 'mean, margin, hard' '46 % .56' $margin --pooling mean --hard
    row 'mean, margin' '41 % .51' $margin --pooling mean
    row 'mean, cross-entropy' '29 % .35' $xent --pooling mean
    row 'max, margin' '39 % .37' $margin --pooling max
    row 'importance, margin' '-' $margin
    row 'importance, cross-entropy (as we train)' '-' $xent
    row 'importance, cross-entropy, hard' '-' $xent --hard
    row 'importance, cross-entropy, cosine' '-' --similarity cosine
    row 'k-hop mean, cross-entropy' '-' $xent --neighbourhood khop --pooling mean
    row 'no skip' '-' $xent --no-skip
    if [ -n "$content" ]; then
        row 'no structure block' '-' $xent --blocks "$content"
        row 'combined, margin' '27 % .37' $margin --layers 0 --blocks "$content"
        row 'combined, cross-entropy' '-' $xent --layers 0 --blocks "$content"
    fi
    row 'combined with structure, cross-entropy' '-' $xent --layers 0
}
rows
