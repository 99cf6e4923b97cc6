#!/bin/bash
# heads.sh - every C file begins by saying what it is for: `/* name.c - purpose`, and
# a module tells in its .c or its .h which threads may call it.
. tests/support/tap.sh

files=$(find core index server include tests deploy -name '*.[ch]' 2>/dev/null | sort)

# The comment a file begins with.
head_of()
{
    [ -f "$1" ] && sed '/\*\//q' "$1"
}

report "every file begins with its name and purpose" "$(
    for file in $files; do
        read -r first < "$file"
        [[ $first == "/* ${file##*/} - "* ]] || echo "$file: begins with: $first"
    done)"

report "every module says which threads may use it" "$(
    for file in $(find core index server -name '*.c' 2>/dev/null | sort); do
        stem=${file##*/} stem=${stem%.c}
        { head_of "$file" && head_of "${file%.c}.h"; head_of "include/pinsage/$stem.h"
          head_of "${file%_*}.h"; head_of "include/pinsage/${stem%_*}.h"; } |
            grep -q 'Threads:' || echo "$file: no line 'Threads:' in its head or its header's"
    done)"

# PINSAGE_ and the path as it is included; from the top of the tree, or a contract's.
report "every header's guard is its path" "$(
    for file in $(grep '\.h$' <<<"$files"); do
        path=${file#include/pinsage/} path=${path//[^A-Za-z0-9]/_}
        grep -qE "^#ifndef PINSAGE_${path^^}$|^ \* No include guard:" "$file" || echo "$file: not PINSAGE_${path^^}"
    done)"
report "headers are included by their path from the top" "$(
    grep -nE '^#include "[^/"]+"' $files | grep -v '\.pb-c\.h"')"
report "what is true or false is a bool" "$(
    grep -nE '^(static )?(inline )?int (ps_)?([a-z]+_)?(is|has|may|can)_[a-z_]+\(' $files |
        grep -v 'cls\|ps_why\|const struct dirent')"
finish
