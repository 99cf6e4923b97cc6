/* replay.c - a fuzz target without a fuzzer: seeds, and changes of them that are the
 * same in every run.
 *
 *     fuzz_npy               all seeds of tests/fuzz/corpus/npy, and fuzz_rounds changes
 *     fuzz_npy FILE...       these inputs alone, for whoever looks into a crash
 *
 * The line before each seed's turn tells which one a crash belongs to.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/scratch.h"

#define SEED_MAX ((size_t)1 << 16)

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* In memory of exactly its size, so that a read past its end is seen. */
static void run(const void *data, size_t size)
{
    uint8_t *own = malloc(size ? size : 1);
    fuzz_must(own != NULL);
    memcpy(own, data, size);
    LLVMFuzzerTestOneInput(own, size);
    free(own);
}

/* As many beginnings as there will be changes, up to all. */
static void run_beginnings(const char *data, size_t size, unsigned rounds)
{
    size_t step = size / (rounds + 1) + 1;
    for (size_t n = 0; n < size; n += step)
        run(data, n);
}

/* One to four small changes; at most 64 bytes longer. */
static size_t change(uint8_t *data, size_t size, uint64_t *rng)
{
    static const uint8_t odd[] = {0,   1,   9,   10,  13,  ' ', '"',  '%', ',', '-',
                                  '0', '9', '[', ']', '{', '}', '\\', 127, 128, 255};
    for (uint64_t n = 1 + ps_rng_below(rng, 4); n && size; n--) {
        size_t at = ps_rng_below(rng, size), len = 1 + ps_rng_below(rng, 16);
        len = len < size - at ? len : size - at;
        switch (ps_rng_below(rng, 5)) {
        case 0:
            data[at] ^= (uint8_t)(1u << ps_rng_below(rng, 8));
            break;
        case 1:
            data[at] = odd[ps_rng_below(rng, sizeof odd)];
            break;
        case 2: /* say it again */
            memmove(data + at + len, data + at, size - at);
            size += len;
            break;
        case 3: /* leave it out */
            memmove(data + at, data + at + len, size - at - len);
            size -= len;
            break;
        default: /* take it from elsewhere */
            memmove(data + at, data + ps_rng_below(rng, size - len + 1), len);
        }
    }
    return size;
}

static void run_changes(const char *data, size_t size, unsigned rounds, uint64_t seed)
{
    uint8_t *copy = malloc(size + 64);
    fuzz_must(copy != NULL);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t rng = ps_rng_at(seed, i);
        memcpy(copy, data, size);
        run(copy, change(copy, size, &rng));
    }
    free(copy);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_seed(const char *path, unsigned rounds, uint64_t seed)
{
    size_t size;
    char *data = slurp(path, &size);
    fuzz_must(size <= SEED_MAX);
    printf("# %s\n", path);
    fflush(stdout);
    run(data, size);
    run_beginnings(data, size, rounds);
    run_changes(data, size, rounds, seed);
    free(data);
}

static int run_corpus(const char *name)
{
    char dir[PS_PATH_MAX], path[PS_PATH_MAX];
    struct dirent **entry;
    snprintf(dir, sizeof dir, "tests/fuzz/corpus/%s", name);
    int n = scandir(dir, &entry, is_shown, alphasort);
    printf("1..1\n");
    for (int i = 0; i < n; i++) {
        fuzz_must(ps_path_join(path, sizeof path, dir, entry[i]->d_name) == PS_OK);
        run_seed(path, fuzz_rounds / (unsigned)n, (uint64_t)i);
        free(entry[i]);
    }
    if (n > 0)
        free(entry);
    printf("%s 1 - %s survives %d seeds, their beginnings, and %u changes of them\n",
           n > 0 ? "ok" : "not ok", name, n, fuzz_rounds);
    return n <= 0;
}

int main(int argc, char **argv)
{
    const char *base = strrchr(argv[0], '/');
    base = base ? base + 1 : argv[0];
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    if (argc == 1)
        return run_corpus(strncmp(base, "fuzz_", 5) == 0 ? base + 5 : base);
    for (int i = 1; i < argc; i++)
        run_seed(argv[i], 0, 0);
    return 0;
}
