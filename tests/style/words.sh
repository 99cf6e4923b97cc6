#!/bin/bash
# words.sh - nobody uses the words that words.txt lists: one idea has one word here.
. tests/support/tap.sh

wrong=
while IFS= read -r line; do
    [[ $line == \#* || -z $line ]] && continue
    words=${line%% in *} rest=${line#* in } places=${rest%%:*} instead=${rest#*: }
    words=${words%"${words##*[! ]}"}
    [[ $places == all* ]] && places='core index server include deploy README.md CONTRIBUTING.md Makefile'
    # Names of things, not of their parts: "_" and digits bound a word as blanks do.
    found=$(grep -rnIiE "(^|[^A-Za-z])($words)([^A-Za-z]|$)" $places --include='*.[ch]' \
        --include='*.md' --include='*.py' --include='*.sh' --include='*.proto' \
        --include='*.json' --include=Makefile |
        grep -v 'fold_in' | cut -c1-110)
    [ -z "$found" ] || wrong+="$found"$'\n'"  say: $instead"$'\n'
done < tests/style/words.txt
report "one idea has one word" "${wrong%$'\n'}"
finish
