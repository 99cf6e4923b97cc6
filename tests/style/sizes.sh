#!/bin/bash
# sizes.sh - no file over 500 lines, no function over 80, no line over 90 columns.
#
# A function is what stands between a "{" and a "}" in the first column, which in our
# brace style is nothing else; its signature counts as one line.
. tests/support/tap.sh

files=$(find core index server include tests deploy -name '*.[ch]' 2>/dev/null | sort)

report "no file is over 500 lines" "$(
    awk 'FNR == 1 { n[++last] = 0; name[last] = FILENAME } { n[last] = FNR }
         END { for (i = 1; i <= last; i++)
                   if (n[i] > 500) print name[i] ": " n[i] " lines" }' /dev/null $files)"

functions=$(awk '
    FNR == 1 { open = 0 }
    /^\{/ { open = FNR; name = before }
    /^}/ && open { print FNR - open + 2, FILENAME ":" open ": " name; open = 0 }
    { before = $0 }' /dev/null $files | sort -n)
report "no function is over 80 lines" "$(awk '$1 > 80' <<<"$functions")"
awk 'NF { n[++last] = $1 } END { if (last)
    print "# " last " functions: median " n[int((last + 1) / 2)] \
        " lines, 90th percentile " n[int((last * 9 + 9) / 10)] ", longest " n[last] }' <<<"$functions"

export LC_ALL=C.UTF-8
report "no line is over 90 columns" "$(grep -nE '^.{91,}$' /dev/null $files | cut -c1-100)"
finish
