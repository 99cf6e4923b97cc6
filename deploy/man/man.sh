#!/bin/bash
# man.sh PROGRAM DIRECTORY - manual pages from the program's own help, one a command.
set -eu
program=$1 out=$2
here=$(dirname "$0")
mkdir -p "$out"
version=$("$program" --version)
version=${version#pinsage }

# page NAME SUMMARY INCLUDE COMMAND: help2man runs COMMAND with --help.
page()
{
    help2man --no-info --no-discard-stderr --section=1 --manual="PinSage" \
        --source="pinsage $version" --version-string="$version" --name="$2" \
        --include="$3" --output="$out/$1.1.new" "$4"
    mv "$out/$1.1.new" "$out/$1.1"
}

# A wrapper a command, named as the page: help2man takes the name from the program's.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" help | sed -n 's/^  \([a-z]*\) .*/\1/p' > "$work/commands"
ln -s "$(realpath "$program")" "$work/pinsage"
page pinsage "related pins from a pin-board graph and content vectors" "$here/pinsage.h2m" \
    "$work/pinsage"
while read -r command; do
    printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$(realpath "$program")" "$command" \
        > "$work/pinsage-$command"
    chmod +x "$work/pinsage-$command"
    summary=$("$program" "$command" --help | sed -n '2s/\.$//p')
    page "pinsage-$command" "${summary,}" "$here/command.h2m" "$work/pinsage-$command"
done < "$work/commands"
