#!/bin/bash
# layers.sh - no folder includes a header of a folder below it (layers.txt), none lies on a
# cycle, every one has a layer, and every type has one meaning.
#
# `tests/style/layers.sh --graph` prints who uses whom, a folder a line, and its cycles.
. tests/support/tap.sh

files=$(find core index server include/pinsage -name '*.[ch]' 2>/dev/null | sort)

# FILE FOLDER: the folder that a file belongs to. A contract belongs where layers.txt
# says, or where the .c of its name is, or a family of such (ann_build.c, ann_tune.c).
owners()
{
    local file stem home
    for file in $files; do
        home=${file%/*}
        if [[ $file == include/* ]]; then
            stem=$(basename "$file" .h)
            home=$(awk -v stem="$stem" '/^#/ { next }
                { split($0, half, ":"); n = split(half[2], name, " ")
                  for (i = 1; i <= n; i++) if (name[i] == stem) print half[1] }' \
                tests/style/layers.txt)
            [ -n "$home" ] || home=$(find core index server -name "$stem.c" \
                ! -path 'server/cli/*' 2>/dev/null | head -1 | xargs -r dirname)
            [ -n "$home" ] || home=$(find core index server -name "${stem}_*.c" \
                2>/dev/null | sort | head -1 | xargs -r dirname)
        fi
        echo "$file ${home:-nowhere}"
    done
}

# USER USED FILE:LINE TEXT for every include of another folder's header.
edges()
{
    awk '
        FILENAME == "-" { owner[$1] = $2; next }
        match($0, /^#[ ]*include "[^"]+"/) {
            split($0, quoted, "\""); name = quoted[2]
            folder = FILENAME; sub(/[^\/]*$/, "", folder)
            if ((folder name) in owner) name = folder name
            else if (("include/" name) in owner) name = "include/" name
            if (name in owner && owner[name] != owner[FILENAME])
                print owner[FILENAME], owner[name], FILENAME ":" FNR, quoted[2]
        }' - $files < <(owners)
}

# Folders that reach themselves: whoever uses nobody, or only such folders, is taken away
# until nothing changes; what is left lies on a cycle, or uses one.
cycles()
{
    edges | awk '
        { uses[$1 " " $2] = 1; there[$1] = there[$2] = 1 }
        END {
            do {
                again = 0
                for (a in there) {
                    out = 0
                    into = 0
                    for (b in there) {
                        if ((a " " b) in uses) out++
                        if ((b " " a) in uses) into++
                    }
                    if (!out || !into) { delete there[a]; again = 1 }
                }
            } while (again)
            for (a in there) {
                line = a " ->"
                for (b in there) if ((a " " b) in uses) line = line " " b
                print line
            }
        }' | sort
}

if [ "${1:-}" = --graph ]; then
    edges | awk '!seen[$1 " " $2]++ { uses[$1] = uses[$1] " " $2 }
        END { for (a in uses) print a " ->" uses[a] }' | sort
    echo "cycles: $(cycles | grep . || echo none)"
    exit
fi

report "no folder uses a folder below its own" "$(
    edges | awk '
        FILENAME == "-" {
            if (rank[$1] && rank[$2] && rank[$2] > rank[$1])
                print $3 ": " $1 " may not use " $4 " of " $2
            next
        }
        /^#/ || !NF { next }
        { sub(/:.*/, ""); rank[$1] = ++n }' tests/style/layers.txt -)"
report "every folder has a layer" "$(
    owners | awk '
        FILENAME == "-" { if (!($2 in listed)) print $1 ": " $2 " is not in layers.txt"; next }
        /^#/ || !NF { next }
        { sub(/:.*/, ""); listed[$1] = 1 }' tests/style/layers.txt -)"
report "no folder lies on a cycle" "$(cycles)"
# Of headers, for a type of a .c is its own; a tag may be declared again and again.
report "no type is defined twice in headers" "$(
    awk '/^typedef (struct|enum|union) [a-z_0-9]+ \{/ { print $3, FILENAME }
         /^(struct|enum|union) [a-z_0-9]+ \{/ { print $2, FILENAME }' \
        $(grep '\.h$' <<<"$files") | sort |
        awk '$1 == last { print $1 ": in " where " and " $2 } { last = $1; where = $2 }')"
# One name, one file: who looks for live.h must not find two.
report "no two headers have one name" "$(
    grep '\.h$' <<<"$files" | sed 's|.*/||' | sort | uniq -d)"
finish
