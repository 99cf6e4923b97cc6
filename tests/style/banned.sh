#!/bin/bash
# banned.sh - calls nobody may make, calls core/ and index/ may not make, and words
# that tie the project to one machine.
. tests/support/tap.sh

# code FILE...: "file:line:text" with comments and strings blanked.
code()
{
    awk '
        FNR == 1 { inside = 0 }
        {
            line = $0; out = ""
            gsub(/\\./, "", line)
            gsub(/"[^"]*"/, "\"\"", line)
            while (line != "") {
                if (inside) {
                    if (!(i = index(line, "*/"))) break
                    line = substr(line, i + 2); inside = 0
                } else if (i = index(line, "/*")) {
                    out = out substr(line, 1, i - 1)
                    line = substr(line, i + 2); inside = 1
                } else { out = out line; break }
            }
            sub(/\/\/.*/, "", out)
            print FILENAME ":" FNR ":" out
        }' /dev/null "$@"
}

everywhere='rand|srand|random|drand48|strtok|sprintf|vsprintf|strcpy|strcat|gets|atoi|atof'
quiet='printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|syslog'
not_a_name='(^|[^A-Za-z0-9_>.])'

all=$(find core index server include deploy -name '*.[ch]' 2>/dev/null | sort)
lib=$(find core index -name '*.[ch]' 2>/dev/null | sort)
report "nobody calls rand, strtok, sprintf and their kind" "$(
    code $all | grep -E "^[^:]*:[0-9]+:.*$not_a_name($everywhere) ?\(")"
report "core and index never print and never exit" "$(
    code $lib | grep -E "^[^:]*:[0-9]+:.*$not_a_name($quiet) ?\(")"

# Outside of comments: "pins.mdb" and its like, in quotes.
names='pins\.mdb|(embeddings|neighbours\.[a-z]+|messages\.%u)\.npy|index\.faiss'
names+='|(model|words)\.safetensors|manifest\.json|(features|baselines)/%s\.npy'
report "names of a catalog's files stand in layout.h alone" "$(
    grep -nE "^[^*]*\"($names)\"" /dev/null $all | grep -v '^include/pinsage/layout.h:' |
        grep -v ':[^"]*/\*')"

# Brackets keep this file from finding itself.
places='[/]work/|[/]root/|[/]home/[a-z]|artifact[-]registry|(deb|snapshot|security)[.]debian[.]org'
places+='|registry[.]npmjs|pypi[.]org|proxy[.]golang|pkg[.]dev|index[.]crates'
if git rev-parse --git-dir >/dev/null 2>&1; then
    report "no tracked file names a machine's paths or a package registry" "$(
        git grep -nIE "$places" -- . ':!package-lock.json' ':!*/package-lock.json' | cut -c1-160)"
else
    skip "no tracked file names a machine's paths or a package registry" "not a git clone"
fi
finish
