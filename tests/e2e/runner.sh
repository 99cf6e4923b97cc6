#!/bin/bash
# runner.sh - tests/run and tests/support/tap.sh: what they count, and that nothing that
# goes wrong passes unseen.
. tests/support/tap.sh

dir=$(mktemp -d "${BUILD:-build}/runner.XXXXXX")
trap 'rm -rf "$dir"' EXIT

# script NAME: a test program of that name from stdin.
script()
{
    cat > "$dir/$1.sh"
}

# last NAME...: the last line tests/run prints for those scripts.
last()
{
    tests/run --timeout 2 --filter '' "${@/#/$dir/}" 2>&1 | tail -n 1
}

expect() # SENTENCE LINE SCRIPT...
{
    local sentence=$1 line=$2
    shift 2
    check "$sentence" test "$(last "$@")" = "$line"
}

script good <<<'echo ok 1 - a; echo ok 2 - b; echo 1..2'
script bad <<<'echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1'
script skips <<<'echo "ok 1 - a # SKIP no data"; echo "not ok 2 # SKIP as cmocka says it"'
script crashes <<<'echo 1..2; echo ok 1 - a; kill -SEGV $$'
script hangs <<<'echo ok 1 - a; sleep 30'
script short <<<'echo 1..3; echo ok 1 - a; echo ok 2 - b'
script lies <<<'echo ok 1 - a; echo 1..1; exit 3'
script mute <<<'exit 0'
script reads <<<'read -r line && echo not ok 1 - got input || echo ok 1 - no input'

expect "passed tests are counted" "2 passed, 0 failed" good.sh
expect "a failed test is counted once" "1 passed, 1 failed" bad.sh
expect "skips are told apart, cmocka's too" "0 passed, 0 failed, 2 skipped" skips.sh
expect "a crash fails" "1 passed, 1 failed" crashes.sh
expect "running out of time fails" "1 passed, 1 failed" hangs.sh
expect "a plan that was not fulfilled fails" "2 passed, 1 failed" short.sh
expect "an exit status no test explains fails" "1 passed, 1 failed" lies.sh
expect "a program without results fails" "0 passed, 1 failed" mute.sh
expect "a missing program fails" "0 passed, 1 failed" missing.sh
expect "programs have no input" "1 passed, 0 failed" reads.sh
expect "counts add up over programs" "3 passed, 1 failed" good.sh bad.sh
expect "nothing run at all fails" "0 passed, 1 failed"

check "success is the exit status" tests/run "$dir/good.sh"
! tests/run "$dir/bad.sh" > /dev/null
check "failure is the exit status" test $? = 0
only=$(tests/run --filter good "$dir/good.sh" "$dir/bad.sh" | tail -n 1)
check "a filter picks programs by path" test "$only" = "2 passed, 0 failed"

tap=$(. tests/support/tap.sh && check good true && check bad false && finish)
check "tap.sh fails when a check did" test $? = 1
check "tap.sh tells which" grep -q '^not ok 2 - bad$' <<<"$tap"
finish
