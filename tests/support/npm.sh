#!/bin/bash
# npm.sh - installs the clients and linters of tests/e2e/package.json below build/npm,
# once, and prints that folder. Without npm, or without a registry in reach, it says so
# and fails: whoever called skips its tests in these words.
cd "$(dirname "$0")/../.." || exit 2
dir=build/npm
mkdir -p $dir
exec 9>$dir/lock
flock 9
if ! cmp -s tests/e2e/package-lock.json $dir/package-lock.json || [ ! -e $dir/done ]; then
    command -v npm >/dev/null || { echo "npm is not installed"; exit 1; }
    rm -f $dir/done
    cp tests/e2e/package.json tests/e2e/package-lock.json $dir
    (cd $dir && npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1) || {
        echo "npm ci failed: $(grep -m1 'npm error' $dir/npm.log)"
        exit 1
    }
    touch $dir/done
fi
echo "$PWD/$dir"
