#!/bin/bash
# hardening.sh - the program was linked as a server should be: position independent, its
# tables read-only before main, no executable stack, and it names no build directory.
. tests/support/tap.sh

if [ ! -x "$PINSAGE" ] || [ -n "$PS_SAN" ]; then
    skip "the program is hardened" "${PS_SAN:+a sanitizer build}${PS_SAN:-no program built}"
    finish
fi
elf=$(readelf -hldW "$PINSAGE")
check "it is position independent" grep -qE 'Type: +DYN' <<<"$elf"
check "relocations are read-only once done" grep -q 'GNU_RELRO' <<<"$elf"
check "symbols are bound at start" grep -qE 'BIND_NOW|FLAGS.* NOW' <<<"$elf"
check "the stack is not executable" grep -qE 'GNU_STACK.* RW ' <<<"$elf"
check "no segment is both writable and executable" bash -c '! grep -qE "LOAD.* RWE " <<<"$1"' _ "$elf"
check "it looks for libraries in the system's places alone" \
    bash -c '! grep -qE "RPATH|RUNPATH" <<<"$1"' _ "$elf"
symbols=$(readelf -sW --dyn-syms "$PINSAGE")
check "stacks are guarded" grep -q '__stack_chk_fail' <<<"$symbols"
check "copies are checked" grep -qE '__(memcpy|snprintf|read|vsnprintf)_chk' <<<"$symbols"
finish
