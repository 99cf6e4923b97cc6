/* test_import_memory.c - when memory runs out, at whichever request, import says so and
 * leaves nothing.
 *
 * The Nth of our own requests fails, for every N; those of libraries do not pass here.
 * Small fixed objects may end the program instead (hash.h), so each import is a child.
 *
 * Link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/import.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

static atomic_int left; /* requests until one fails; 0: none does */

static bool due(void)
{
    return left > 0 && atomic_fetch_sub(&left, 1) == 1;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return due() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return due() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return due() ? NULL : __real_realloc(old, size);
}

static char pins[PS_PATH_MAX], edges[PS_PATH_MAX], visual[PS_PATH_MAX];

static ps_import_opts corpus(ps_import_feature *f)
{
    const float v[4] = {1, 2, 3, 4};
    snprintf(visual, sizeof visual, "%s", npy_file("v.npy", PS_F32, 4, 1, v));
    snprintf(pins, sizeof pins, "%s",
             gzip_file("pins.tsv.gz", "pin\ttitle\na\tA\nb\tB\nc\tC\nd\tD\n", 0));
    snprintf(edges, sizeof edges, "%s",
             scratch_text("edges.tsv", "pin\tboard\na\tx\nb\tx\nc\ty\na\ty\n"));
    *f = (ps_import_feature){"visual", visual};
    return (ps_import_opts){.pins = pins,
                            .edges = edges,
                            .features = f,
                            .n_features = 1,
                            .embeddings = visual,
                            .threads = 2};
}

/* What an import whose Nth request fails ends with; 1 when it aborted. */
static int import_without(const ps_import_opts *o, int n)
{
    int status;
    char current[PS_PATH_MAX];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ps_why why = {0};
        left = n;
        int err = ps_import(catalog, o, NULL, NULL, &why);
        left = 0;
        if (err && (why.text[0] == '\0' || strcmp(listing(), "nothing") != 0))
            _exit(100);
        _exit(-err);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        assert_int_equal(ps_catalog_current(catalog, current, NULL), PS_ENOENT);
        return 1;
    }
    return -WEXITSTATUS(status);
}

static void any_request_may_fail(void **state)
{
    (void)state;
    ps_import_feature f;
    ps_import_opts o = corpus(&f);
    int err = PS_ENOMEM, n = 0, aborted = 0;
    while (err) {
        use("starved");
        err = import_without(&o, ++n);
        if (err == 1)
            aborted++;
        else if (err != PS_OK && err != PS_ENOMEM)
            fail_msg("request %d: %s", n,
                     err == -100 ? "left something or said nothing" : ps_errname(err));
        assert_true(n < 10000);
    }
    print_message("# %d requests, %d of them of small objects\n", n - 1, aborted);
    assert_true(n - aborted > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_request_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
