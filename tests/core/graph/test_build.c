/* test_build.c - the builder against sorting in memory, for any input and window; and
 * on disks that fail.
 *
 * Link: -Wl,--wrap=pwrite,--wrap=write,--wrap=fsync,--wrap=pread
 */
#include "core/graph/build.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/progress.h"
#include "pinsage/rng.h"
#include "pinsage/workers.h"
#include "tests/support/faults.h"
#include "tests/support/kills.h"
#include "tests/support/numpy.h"
#include "tests/support/scratch.h"

/* ------------------------------ Faults ------------------------------------ */

ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __real_pread(int fd, void *data, size_t size, off_t at);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t at);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);

/* Writes come short, as they may. */
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at)
{
    return due() ? -1 : __real_pwrite(fd, data, size > 8 ? size / 2 : size, at);
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t at)
{
    return due() ? -1 : __real_pread(fd, data, size > 8 ? size / 2 : size, at);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    return due() ? -1 : __real_write(fd, data, size);
}

int __wrap_fsync(int fd)
{
    return due() ? -1 : __real_fsync(fd);
}

/* ------------------------------ Helpers ----------------------------------- */

typedef struct input {
    uint32_t n_pins, n_boards;
    uint32_t (*pairs)[2]; /* (n) */
    size_t n;
} input;

static ps_workers *workers;
static char dir[PS_PATH_MAX];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, scratch("graph"));
    return ps_workers_new(&workers, 2);
}

static int teardown(void **state)
{
    (void)state;
    ps_workers_free(workers);
    return 0;
}

static int build(input in, uint64_t window, const ps_progress *progress,
                 ps_graph_stats *stats, ps_why *why)
{
    ps_graph_builder *b;
    int err = ps_graph_builder_new(&b, dir, why);
    if (err)
        return err;
    if (window)
        ps_graph_builder_window(b, window);
    for (size_t i = 0; i < in.n && !err; i++)
        err = ps_graph_builder_add(b, in.pairs[i][0], in.pairs[i][1]);
    if (err) {
        ps_graph_builder_abort(b);
        return err;
    }
    return ps_graph_builder_finish(b, in.n_pins, in.n_boards, workers, progress, stats,
                                   why);
}

static void same_matrix(const ps_csr *a, const ps_csr *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->edges, b->edges);
    assert_memory_equal(a->indptr, b->indptr, (a->rows + (size_t)1) * 8);
    if (a->edges)
        assert_memory_equal(a->indices, b->indices, a->edges * 4);
}

static void built_as_sorted(input in, uint64_t window)
{
    ps_graph want, got;
    ps_graph_stats stats;
    ps_why why = {0};
    int err = build(in, window, NULL, &stats, &why);
    if (err)
        print_message("%s\n", why.text);
    assert_int_equal(err, PS_OK);
    assert_int_equal(ps_graph_open(&got, dir, NULL), PS_OK);
    assert_int_equal(ps_graph_check(&got, NULL), PS_OK);
    assert_int_equal(ps_graph_from_pairs(&want, in.n_pins, in.n_boards,
                                         (const uint32_t(*)[2])in.pairs, in.n),
                     PS_OK);
    same_matrix(&got.pin_boards, &want.pin_boards);
    same_matrix(&got.board_pins, &want.board_pins);
    assert_int_equal(stats.edges, want.pin_boards.edges);
    assert_int_equal(stats.edges + stats.duplicates, in.n);
    ps_graph_free(&want);
    ps_graph_close(&got);
}

/* n pairs whose pins and boards crowd towards 0 the more skew there is. */
static input random_input(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t n,
                          int skew)
{
    input in = {n_pins, n_boards, malloc((n + 1) * sizeof *in.pairs), n};
    for (size_t i = 0; i < n; i++) {
        uint64_t pin = n_pins, board = n_boards;
        for (int k = 0; k <= skew; k++) {
            pin = ps_rng_below(&seed, pin) + (k < skew);
            board = ps_rng_below(&seed, board) + (k < skew);
        }
        in.pairs[i][0] = (uint32_t)pin;
        in.pairs[i][1] = (uint32_t)board;
    }
    return in;
}

/* Number of entries of the graph's directory. */
static bool nothing_left(void)
{
    return rmdir(dir) == 0;
}

/* ------------------------------ Against the oracle ------------------------ */

static void any_edges_in_any_window_are_as_sorted_in_memory(void **state)
{
    (void)state;
    static const uint64_t windows[] = {1, 7, 100, 0};
    uint64_t rng = 11;
    for (int i = 0; i < 60; i++) {
        uint32_t pins = 1 + (uint32_t)ps_rng_below(&rng, i % 3 ? 300 : 3);
        uint32_t boards = 1 + (uint32_t)ps_rng_below(&rng, i % 5 ? 200 : 2);
        size_t n = ps_rng_below(&rng, 2000);
        input in = random_input(rng, pins, boards, n, i % 4);
        for (size_t k = 0; k < sizeof windows / sizeof *windows; k++)
            built_as_sorted(in, windows[k]);
        free(in.pairs);
    }
}

static void more_edges_than_any_buffer_holds(void **state)
{
    (void)state;
    input in = random_input(5, 20000, 3000, 400000, 1);
    built_as_sorted(in, 0);
    built_as_sorted(in, 30000);
    free(in.pairs);
}

static void no_edges_and_no_rows_are_fine(void **state)
{
    (void)state;
    built_as_sorted((input){.n_pins = 10, .n_boards = 4}, 0);
    built_as_sorted((input){.n_pins = 0, .n_boards = 0}, 0);
}

static void one_edge_a_thousand_times_is_one_edge(void **state)
{
    (void)state;
    input in = random_input(1, 1, 1, 1000, 0);
    built_as_sorted(in, 10);
    free(in.pairs);
}

static void numpy_reads_the_arrays_as_documented(void **state)
{
    (void)state;
    if (!have_numpy())
        skip();
    input in = random_input(3, 50, 20, 300, 0);
    built_as_sorted(in, 40);
    ps_out *o;
    assert_int_equal(ps_out_open(&o, scratch("pairs.npy"), NULL), PS_OK);
    ps_npy_header(o, PS_U32, in.n, 2);
    ps_out_write(o, in.pairs, in.n * sizeof *in.pairs);
    assert_int_equal(ps_out_close(o, NULL, NULL), PS_OK);
    assert_true(
        numpy("want = np.unique(np.load('pairs.npy'), axis=0)\n"
              "def rows(name):\n"
              "    ptr = np.load('graph/' + name + '.indptr.npy')\n"
              "    idx = np.load('graph/' + name + '.indices.npy')\n"
              "    assert ptr.dtype == '<u8' and idx.dtype == '<u4'\n"
              "    deg = np.diff(ptr).astype(int)\n"
              "    return np.stack([np.repeat(np.arange(len(deg)), deg), idx], 1)\n"
              "assert (rows('pin_boards') == want).all()\n"
              "back = want[np.lexsort((want[:, 0], want[:, 1]))][:, ::-1]\n"
              "assert (rows('board_pins') == back).all()\n"));
    free(in.pairs);
}

/* ------------------------------ Refusals and failures --------------------- */

static void edges_out_of_range_are_refused_and_nothing_stays(void **state)
{
    (void)state;
    uint32_t pin[][2] = {{1, 1}, {3, 0}}, board[][2] = {{0, 2}};
    ps_why why = {0};
    ps_dir_remove(dir, NULL);
    assert_int_equal(build((input){3, 2, pin, 2}, 0, NULL, NULL, &why), PS_ERANGE);
    assert_non_null(strstr(why.text, "edge (3, 0) is outside 3 pins and 2 boards"));
    assert_true(nothing_left());
    assert_int_equal(build((input){3, 2, board, 1}, 0, NULL, NULL, &why), PS_ERANGE);
    assert_true(nothing_left());
}

static int on_progress(void *cls, const char *stage, uint64_t done, uint64_t total,
                       const char *unit, const char *note)
{
    (void)stage, (void)unit, (void)note;
    int *left = cls;
    assert_true(done <= total);
    return --*left ? PS_OK : PS_ECANCELLED;
}

static void stopping_at_any_stage_leaves_nothing(void **state)
{
    (void)state;
    input in = random_input(9, 100, 50, 900, 0);
    int calls_needed = 0;
    for (int n = 1;; n++) {
        int left = n;
        ps_progress p = {on_progress, &left};
        int err = build(in, 200, &p, NULL, NULL);
        if (err == PS_OK)
            break;
        assert_int_equal(err, PS_ECANCELLED);
        assert_true(nothing_left());
        calls_needed++;
    }
    assert_true(calls_needed > 5);
    ps_dir_remove(dir, NULL);
    free(in.pairs);
}

/* Whatever call on the disk fails, in whatever stage, it is told and nothing stays. */
static void every_failing_read_write_and_sync_is_told(void **state)
{
    (void)state;
    input in = random_input(13, 60, 40, 700, 0);
    int failures = 0;
    for (int at = 1;; at++) {
        ps_why why = {0};
        arm(FAIL, at);
        int err = build(in, 100, NULL, NULL, &why);
        if (err == PS_OK) {
            assert_true(calls_made() < at);
            break;
        }
        assert_int_equal(err, PS_EFULL);
        assert_non_null(strstr(why.text, "No space left"));
        assert_true(nothing_left());
        failures++;
    }
    arm(NONE, 0);
    assert_true(failures > 40);
    ps_dir_remove(dir, NULL);
    free(in.pairs);
}

typedef struct limited {
    rlim_t limit;
    const input *in;
} limited;

/* In a child: a limit on file sizes lasts. 0 if all is as it must be. */
static int build_within(void *cls)
{
    limited *l = cls;
    struct rlimit r = {l->limit, l->limit};
    ps_workers_new(&workers, 1); /* threads do not survive fork */
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &r))
        return 2;
    int err = build(*l->in, 0, NULL, NULL, NULL);
    return err == PS_EFULL && nothing_left() ? 0 : 1;
}

static void files_that_may_not_grow_are_told(void **state)
{
    (void)state;
    static const rlim_t limits[] = {0, 4096, 700000, 1700000};
    input in = random_input(17, 30000, 100, 220000, 0);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        assert_true(survives(build_within, &(limited){limits[i], &in}));
    free(in.pairs);
}

static void a_builder_thrown_away_leaves_no_scratch(void **state)
{
    (void)state;
    ps_graph_builder *b;
    assert_int_equal(ps_graph_builder_new(&b, dir, NULL), PS_OK);
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(ps_graph_builder_add(b, i, i), PS_OK);
    ps_graph_builder_abort(b);
    assert_true(nothing_left());
    ps_graph_builder_abort(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_edges_in_any_window_are_as_sorted_in_memory),
        cmocka_unit_test(more_edges_than_any_buffer_holds),
        cmocka_unit_test(no_edges_and_no_rows_are_fine),
        cmocka_unit_test(one_edge_a_thousand_times_is_one_edge),
        cmocka_unit_test(numpy_reads_the_arrays_as_documented),
        cmocka_unit_test(edges_out_of_range_are_refused_and_nothing_stays),
        cmocka_unit_test(stopping_at_any_stage_leaves_nothing),
        cmocka_unit_test(every_failing_read_write_and_sync_is_told),
        cmocka_unit_test(files_that_may_not_grow_are_told),
        cmocka_unit_test(a_builder_thrown_away_leaves_no_scratch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
