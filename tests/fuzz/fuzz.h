/* fuzz.h - what the programs that feed parsers with bad bytes have in common.
 *
 * A target is one file: fuzz_npy.c defines LLVMFuzzerTestOneInput, which takes any bytes
 * and must neither crash nor break one of its own promises (fuzz_must). It runs in two
 * ways:
 *
 *     make fuzz T=npy SECONDS=60    clang's libFuzzer looks for new inputs by coverage
 *     make check T=fuzz_npy         replay.c: its seeds, their beginnings, and a fixed
 *                                   number of random changes of them; no clang needed
 *
 * Seeds lie in tests/fuzz/corpus/NAME/. An input that broke something is put there too,
 * named after what it broke.
 *
 * Threads: one.
 */
#ifndef PINSAGE_TESTS_FUZZ_FUZZ_H
#define PINSAGE_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The target's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* How many changed seeds replay.c tries; defined by the target. */
extern const unsigned fuzz_rounds;

#define fuzz_must(condition)                                                             \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                     \
        }                                                                                \
    } while (0)

/* Path of a file in memory that holds these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* Touch bytes, so that a sanitizer sees whether they are there. */
void fuzz_touch(const void *data, size_t size);

#endif
