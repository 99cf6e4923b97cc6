/* test_delta_index.c - the delta index against an array of vectors that is scanned
 * slowly.
 *
 * Threads: one, and readers in one test.
 *
 * Link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc
 */
#include "pinsage/delta_index.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"

enum { BASE = 700, ROWS = 2500, DIM = 13, EXTRA = 7 };

static ps_epoch *epoch;
static ps_delta_index *delta;
static uint64_t version;

/* ------------------------------ Memory that runs out ----------------------- */

static atomic_int failing;      /* counted down; 0: none fails */
static atomic_size_t allocated; /* bytes asked for, all together */

static bool fails(size_t n)
{
    allocated += n;
    return failing && !--failing;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return fails(n) ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails(n * size) ? NULL : __real_calloc(n, size);
}

void *__real_aligned_alloc(size_t a, size_t n);
void *__wrap_aligned_alloc(size_t a, size_t n);
void *__wrap_aligned_alloc(size_t a, size_t n)
{
    return fails(n) ? NULL : __real_aligned_alloc(a, n);
}

/* ------------------------------ The oracle --------------------------------- */

typedef struct model {
    bool there[ROWS];
    float vector[ROWS][DIM];
    char extra[ROWS][EXTRA];
} model;

static model *want;

/* Of any length that floats can hold, by cosine. */
static bool any_length;

static void open_delta(bool cosine)
{
    version = 1;
    failing = 0;
    assert_int_equal(ps_epoch_new(&epoch, version), PS_OK);
    ps_delta_index_opts opts = {
        .dim = DIM, .extra = EXTRA, .base_rows = BASE, .cosine = cosine};
    assert_int_equal(ps_delta_index_new(&delta, opts, epoch), PS_OK);
    want = calloc(1, sizeof *want);
    any_length = cosine;
}

static void publish(void)
{
    ps_epoch_publish(epoch, ++version);
    ps_epoch_reclaim(epoch);
}

static void close_delta(void)
{
    publish();
    ps_delta_index_free(delta);
    ps_epoch_free(epoch);
    free(want);
}

static void random_vector(uint64_t *rng, float *v)
{
    static const float lengths[] = {1, 1, 1, 1e-37f, 1e-20f, 1e18f, 1e25f, 3e38f};
    bool zero = !ps_rng_below(rng, 20);
    float length = any_length ? lengths[ps_rng_below(rng, 8)] : 1;
    for (int i = 0; i < DIM; i++)
        v[i] = zero ? 0 : (ps_rng_unit(rng) - .5f) * length;
}

static void one_change(uint64_t *rng)
{
    uint32_t row = (uint32_t)ps_rng_below(rng, ROWS);
    if (!ps_rng_below(rng, 3)) {
        ps_delta_index_drop(delta, version + 1, row);
        want->there[row] = false;
        return;
    }
    random_vector(rng, want->vector[row]);
    memset(want->extra[row], (int)ps_rng_below(rng, 100), EXTRA);
    assert_int_equal(
        ps_delta_index_put(delta, version + 1, row, want->vector[row], want->extra[row]),
        PS_OK);
    want->there[row] = true;
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static bool on_even(void *cls, uint32_t row)
{
    (void)cls;
    return row % 2 == 0;
}

/* False for the zero vector, which asks for nothing. */
static bool is_some(const float *v)
{
    return dot(v, v) > 0;
}

typedef struct best {
    uint32_t row;
    double score;
} best;

static int by_score(const void *a, const void *b)
{
    const best *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : (int)(x->row - y->row);
}

/* Everything that is there, by a full sort. */
static uint32_t slow_search(const float *q, bool cosine, bool odd_skipped, best *out)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        double square = dot(want->vector[row], want->vector[row]), s = 1;
        if (!want->there[row] || square <= 0 || (odd_skipped && row % 2) || !is_some(q))
            continue;
        if (cosine)
            s = sqrt(square * dot(q, q));
        out[n++] = (best){row, dot(q, want->vector[row]) / s};
    }
    qsort(out, n, sizeof *out, by_score);
    return n;
}

static void check_search(uint64_t *rng, bool cosine, uint32_t k, bool odd_skipped)
{
    static best slow[ROWS];
    static ps_scored fast[ROWS];
    float q[DIM];
    uint32_t n;
    random_vector(rng, q);
    uint32_t all = slow_search(q, cosine, odd_skipped, slow);
    ps_filter filter = {odd_skipped ? on_even : NULL, NULL, 0};
    ps_search search = {.vector = q, .k = k, .filter = &filter};
    assert_int_equal(ps_delta_index_search(delta, &search, fast, &n), PS_OK);
    assert_int_equal(n, all < k ? all : k);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(fabs(slow[i].score - fast[i].score) < 1e-5);
        assert_true(want->there[fast[i].row]);
        assert_true(!i || fast[i].score <= fast[i - 1].score);
        if (i && fast[i].score == fast[i - 1].score)
            assert_true(fast[i].row > fast[i - 1].row);
    }
}

static void check_rows(void)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        const void *extra;
        const float *v = ps_delta_index_find(delta, row, &extra);
        n += want->there[row];
        assert_int_equal(v != NULL, want->there[row]);
        assert_int_equal(ps_delta_index_made(delta, row) > 0, want->there[row]);
        if (!v)
            continue;
        assert_memory_equal(v, want->vector[row], sizeof want->vector[row]);
        assert_memory_equal(extra, want->extra[row], EXTRA);
    }
    assert_int_equal(ps_delta_index_size(delta), n);
}

/* ------------------------------ Tests -------------------------------------- */

static void any_order_of(bool cosine)
{
    uint64_t rng = 7;
    open_delta(cosine);
    for (int round = 0; round < 60; round++) {
        for (uint64_t i = ps_rng_below(&rng, 300); i-- > 0;) {
            one_change(&rng);
            if (!ps_rng_below(&rng, 10))
                publish();
        }
        check_rows();
        check_search(&rng, cosine, 1 + (uint32_t)ps_rng_below(&rng, 50), round % 2);
        check_search(&rng, cosine, round % 3 ? ROWS : 0, round % 2);
    }
    close_delta();
}

static void it_finds_what_a_slow_scan_finds(void **state)
{
    (void)state;
    any_order_of(false);
}

static void and_by_cosine(void **state)
{
    (void)state;
    any_order_of(true);
}

static void a_row_put_forever_takes_no_more_memory(void **state)
{
    (void)state;
    uint64_t rng = 1;
    float v[DIM];
    open_delta(false);
    for (uint32_t i = 0; i < 1000; i++, publish()) {
        random_vector(&rng, v);
        assert_int_equal(ps_delta_index_put(delta, version + 1, i % 20, v, NULL), PS_OK);
    }
    allocated = 0;
    uint64_t bytes = ps_delta_index_bytes(delta);
    for (uint32_t i = 0; i < 1000000; i++, publish())
        assert_int_equal(ps_delta_index_put(delta, version + 1, i % 20, v, NULL), PS_OK);
    assert_int_equal(allocated, 0);
    assert_int_equal(ps_delta_index_bytes(delta), bytes);
    assert_int_equal(ps_epoch_waiting(epoch), 0);
    close_delta();
}

static void rows_that_come_and_go_leave_room_for_others(void **state)
{
    (void)state;
    uint64_t rng = 1;
    float v[DIM];
    open_delta(true);
    for (uint32_t i = 0; i < 200000; i++, publish()) {
        random_vector(&rng, v);
        assert_int_equal(ps_delta_index_put(delta, version + 1, i, v, NULL), PS_OK);
        if (i >= 100)
            ps_delta_index_drop(delta, version + 1, i - 100);
    }
    assert_int_equal(ps_delta_index_size(delta), 100);
    assert_in_range(ps_delta_index_bytes(delta), 1, 512 * 256);
    close_delta();
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    uint64_t rng = 2;
    int failed = 0;
    open_delta(false);
    for (uint32_t row = 0; row < ROWS; row++) {
        float v[DIM];
        random_vector(&rng, v);
        for (int nth = 1;; nth++) {
            failing = nth;
            int err = ps_delta_index_put(delta, version + 1, row, v, NULL);
            bool all_went_well = failing != 0;
            failing = 0;
            if (!err) {
                assert_true(all_went_well);
                break;
            }
            failed++;
            assert_int_equal(err, PS_ENOMEM);
            assert_null(ps_delta_index_find(delta, row, NULL));
            assert_int_equal(ps_delta_index_size(delta), row);
        }
        memcpy(want->vector[row], v, sizeof v);
        want->there[row] = true;
    }
    assert_in_range(failed, 20, 100);
    check_rows();
    check_search(&rng, false, 30, false);
    close_delta();
}

/* ------------------------------ While readers scan ------------------------- */

enum { STEADY = 900, READERS = 3 };
static atomic_bool ended;

/* Each row's vector is (row / 1000, version of it ...), the query picks the first alone:
 * whatever is written meanwhile, each row is found, once, with that score. */
static const char *one_scan(ps_epoch_slot *slot, ps_scored *out)
{
    float q[DIM] = {1};
    uint32_t n;
    bool seen[STEADY] = {false};
    ps_epoch_enter(slot);
    ps_delta_index_search(delta, &(ps_search){.vector = q, .k = 2 * STEADY}, out, &n);
    ps_epoch_exit(slot);
    for (uint32_t i = 0; i < n; i++) {
        if (out[i].row >= STEADY)
            continue; /* comes and goes */
        if (seen[out[i].row])
            return "a row was found twice";
        seen[out[i].row] = true;
        if (out[i].score != (float)(out[i].row + 1) / 1000)
            return "a score is not that of any vector of the row";
    }
    for (uint32_t i = 0; i < STEADY; i++)
        if (!seen[i])
            return "a row was missed";
    return NULL;
}

static void *scan_on(void *cls)
{
    ps_epoch_slot *slot;
    ps_scored *out = malloc(2 * STEADY * sizeof *out);
    const char *wrong = ps_epoch_join(epoch, &slot) || !out ? "no memory" : NULL;
    (void)cls;
    while (!wrong && !atomic_load(&ended))
        wrong = one_scan(slot, out);
    ps_epoch_leave(slot);
    free(out);
    return (void *)(uintptr_t)wrong;
}

static void put_steady(uint32_t row, float other)
{
    float v[DIM];
    for (int i = 0; i < DIM; i++)
        v[i] = other;
    v[0] = (float)(row + 1) / 1000;
    assert_int_equal(ps_delta_index_put(delta, version + 1, row, v, NULL), PS_OK);
}

static void a_scan_finds_each_row_once_while_rows_are_replaced(void **state)
{
    (void)state;
    pthread_t thread[READERS];
    uint64_t rng = 9;
    open_delta(false);
    for (uint32_t row = 0; row < STEADY; row++)
        put_steady(row, 0);
    publish();
    atomic_store(&ended, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, scan_on, NULL), 0);
    for (int i = 0; i < 60000; i++) {
        uint32_t passing = STEADY + (uint32_t)ps_rng_below(&rng, 40);
        put_steady((uint32_t)ps_rng_below(&rng, STEADY), (float)i);
        if (i % 3)
            put_steady(passing, 5);
        else
            ps_delta_index_drop(delta, version + 1, passing);
        if (i % 4 == 0)
            publish();
    }
    atomic_store(&ended, true);
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
    close_delta();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_a_slow_scan_finds),
        cmocka_unit_test(and_by_cosine),
        cmocka_unit_test(a_row_put_forever_takes_no_more_memory),
        cmocka_unit_test(rows_that_come_and_go_leave_room_for_others),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(a_scan_finds_each_row_once_while_rows_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
