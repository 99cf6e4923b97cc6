#!/bin/bash
# layers.sh - no module includes a header of a layer above its own (layers.txt), and
# every module has a layer.
. tests/support/tap.sh

files=$(find core index server include/pinsage -name '*.[ch]' 2>/dev/null | sort)

# owner PATH: the path that decides the layer; for a contract header, its .c file.
owners()
{
    local file stem home
    for file in $files; do
        home=$file
        if [[ $file == include/* ]]; then
            stem=$(basename "$file" .h)
            home=$(find core index server -name "$stem.c" 2>/dev/null | head -1)
            # A family of .c files under one contract: ann_build.c, ann_search.c.
            [ -n "$home" ] || home=$(find core index server -name "${stem}_*.c" 2>/dev/null |
                sort | head -1)
        fi
        echo "$file ${home:-$file}"
    done
}

wrong=$(awk '
    # The layer of a path: its stem as listed, the stem before "_", or its folder.
    function rank_of(path,    stem) {
        sub(/\.[ch]$/, "", path)
        if (path in rank) return rank[path]
        stem = path; sub(/_[^\/]*$/, "", stem)
        if (stem in rank) return rank[stem]
        while (sub(/\/[^\/]*$/, "", path))
            if (path in rank) return rank[path]
        return 0
    }
    function layer(file) {
        return rank_of(file) ? rank_of(file) : rank_of(owner[file])
    }
    # What an #include means: beside the file, in include/, or from the root.
    function resolve(name, from,    folder) {
        folder = from; sub(/[^\/]*$/, "", folder)
        if ((folder name) in owner) return folder name
        if (("include/" name) in owner) return "include/" name
        return name
    }
    FILENAME ~ /layers\.txt$/ {
        if ($0 ~ /^#/ || !NF) next
        if ($1 != "+") level++
        for (i = 1; i <= NF; i++) rank[$i] = level
        next
    }
    FILENAME == "-" { owner[$1] = $2; next }
    FNR == 1 && !layer(FILENAME) { print FILENAME ": not in tests/style/layers.txt" }
    match($0, /^#[ ]*include "[^"]+"/) {
        split($0, quoted, "\"")
        used = resolve(quoted[2], FILENAME)
        if (layer(used) > layer(FILENAME))
            print FILENAME ":" FNR ": a lower layer may not use " quoted[2]
    }' tests/style/layers.txt - $files < <(owners))
report "no module uses a layer above its own" "$wrong"
finish
