#!/bin/bash
# format.sh - every C file is as `make fmt` would leave it. The rules are those of
# clang-format 14, Debian 12's; another release formats differently, so it is skipped.
. tests/support/tap.sh

files=$(find core index server include tests deploy -name '*.[ch]' 2>/dev/null | sort)
name="every file is formatted"
version=$(clang-format --version 2>/dev/null)
if [ -z "$version" ]; then
    fail "$name" "clang-format is missing: run make deps"
elif [[ $version != *"version 14."* ]]; then
    skip "$name" "the rules are for clang-format 14, this is $version"
elif [ -z "$files" ]; then
    pass "$name"
else
    check "$name" clang-format --dry-run -Werror $files
fi
finish
