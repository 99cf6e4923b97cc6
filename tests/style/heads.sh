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
finish
