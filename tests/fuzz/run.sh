#!/bin/bash
# run.sh SECONDS DIR PROGRAM... - lets libFuzzer work on each target for so long, and
# tells how many inputs it tried and what they reached. Inputs found are kept in
# DIR/corpus, one that breaks something in DIR, and ends the run.
seconds=$1 dir=$2
shift 2
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=0}
export LSAN_OPTIONS=${LSAN_OPTIONS:-print_suppressions=0:suppressions=tests/support/lsan.supp}
[ -d /dev/shm ] && [ -w /dev/shm ] && export TMPDIR=/dev/shm # fsync costs nothing there
status=0
for program; do
    name=${program##*/fuzz_}
    mkdir -p "$dir/corpus/$name"
    log=$dir/$name.log
    if ! "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
        -artifact_prefix="$dir/$name-" -print_final_stats=1 -use_value_profile=1 \
        "$dir/corpus/$name" "tests/fuzz/corpus/$name" > "$log" 2>&1 < /dev/null; then
        status=1
        grep -E '^==|ERROR|SUMMARY|Test unit written|^    #[0-9] ' "$log" | head -20
    fi
    awk -v name="$name" '
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") c = $(i + 1)
                                              if ($i == "ft:") f = $(i + 1) } }
        /number_of_executed_units/ { n = $2 }
        /peak_rss_mb/ { m = $2 }
        END { printf "%-12s %9d inputs, %5d edges, %6d features, %4d MB\n", name, n, c, f, m }
    ' "$log"
done
exit $status
