#!/bin/bash
# fences.sh - a third-party header is included only by the files fences.txt names, and
# an unknown one by nobody.
. tests/support/tap.sh

files=$(find core index server include deploy -name '*.[ch]' 2>/dev/null | sort)

# The C library, POSIX and Linux: everyone's. Anything else in <> needs a fence.
common='^(assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp'
common+='|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn'
common+='|string|tgmath|threads|time|uchar|wchar|wctype|argp|byteswap|cpuid|dirent|endian'
common+='|err|execinfo|fcntl|fnmatch|ftw|getopt|glob|grp|iconv|ifaddrs|immintrin|x86intrin'
common+='|libgen|malloc|netdb|poll|pthread|pwd|sched|semaphore|spawn|strings|sysexits'
common+='|syslog|termios|unistd|(sys|netinet|arpa|net|linux)/.*)\.h$'

# allowed FILE HEADER: succeeds when a fence lets the file through.
allowed()
{
    local header places place
    while read -r header places; do
        [[ $2 == $header ]] || continue
        set -f
        for place in $places; do
            [[ $1 == $place ]] && set +f && return 0
        done
        set +f
        return 1
    done < <(grep -v '^#' tests/style/fences.txt)
    [[ $2 =~ $common ]]
}

wrong=$(grep -no '^# *include <[^>]*>' /dev/null $files | while IFS=: read -r file line text; do
    header=${text#*<}
    allowed "$file" "${header%>}" || echo "$file:$line: may not include <${header%>}"
done)
report "third-party headers stay behind their fences" "$wrong"
finish
