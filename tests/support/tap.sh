# tap.sh - to be sourced by test scripts: counts results and speaks TAP.
#
#     . tests/support/tap.sh
#     check "two and two is four" test $((2 + 2)) = 4
#     report "no file is too long" "$list_of_what_is_wrong"   # passes when empty
#     skip "a browser sees the page" "no browser on this machine"
#     finish                                                  # plan line, exit status
tap_n=0
tap_failed=0

# check NAME COMMAND...: passes when the command does; shows its output otherwise.
check()
{
    tap_name=$1
    shift
    if tap_out=$("$@" 2>&1); then
        pass "$tap_name"
    else
        fail "$tap_name" "$tap_out"
    fi
}

# report NAME PROBLEMS: passes when there are none.
report()
{
    if [ -z "$2" ]; then pass "$1"; else fail "$1" "$2"; fi
}

pass()
{
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1"
}

fail()
{
    tap_n=$((tap_n + 1))
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_n - $1"
    [ -z "$2" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

skip()
{
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

finish()
{
    echo "1..$tap_n"
    [ "$tap_failed" = 0 ]
    exit
}
