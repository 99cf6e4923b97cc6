/* test_rowmap.c - the map from rows to what is live about them, against an array.
 *
 * Threads: one, and readers in one test.
 *
 * Link: -Wl,--wrap=malloc
 */
#include "pinsage/rowmap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pinsage/rng.h"

enum { BASE = 1000, ROWS = 5000 };

static ps_epoch *epoch;
static ps_rowmap map;

/* The allocation that fails, counted down; 0: none. */
static int failing;
static size_t largest; /* of those asked for */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    largest = n > largest ? n : largest;
    return failing && !--failing ? NULL : __real_malloc(n);
}

static int open_map(void **state)
{
    (void)state;
    return ps_epoch_new(&epoch, 1) || ps_rowmap_init(&map, BASE, epoch);
}

static int close_map(void **state)
{
    (void)state;
    ps_rowmap_done(&map);
    ps_epoch_free(epoch);
    return 0;
}

static void *pointer_of(uint64_t x)
{
    return (void *)(uintptr_t)(x + 1);
}

static void publish(uint64_t version)
{
    ps_epoch_publish(epoch, version);
    ps_epoch_reclaim(epoch);
}

/* ------------------------------ Tests -------------------------------------- */

static void note(void *cls, uint32_t row, void *value)
{
    void **seen = cls;
    assert_null(seen[row]);
    seen[row] = value;
}

static void a_row_has_what_was_put_last(void **state)
{
    (void)state;
    static void *want[ROWS];
    uint64_t rng = 3;
    for (uint32_t i = 0; i < 60000; i++) {
        uint32_t row = (uint32_t)ps_rng_below(&rng, ROWS);
        void *value = ps_rng_below(&rng, 3) ? pointer_of(i) : NULL;
        assert_int_equal(ps_rowmap_put(&map, i + 2, row, value), PS_OK);
        publish(i + 2);
        want[row] = value;
        uint32_t other = (uint32_t)ps_rng_below(&rng, ROWS);
        assert_ptr_equal(ps_rowmap_get(&map, other), want[other]);
    }
    void *seen[ROWS] = {0};
    ps_rowmap_each(&map, note, seen);
    assert_memory_equal(seen, want, sizeof want);
    assert_int_equal(ps_epoch_waiting(epoch), 0);
}

static void rows_that_come_and_go_do_not_make_it_grow(void **state)
{
    (void)state;
    largest = 0;
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t row = i % 100000;
        assert_int_equal(ps_rowmap_put(&map, i + 2, row, pointer_of(i)), PS_OK);
        if (i >= 10)
            assert_int_equal(ps_rowmap_put(&map, i + 2, (i - 10) % 100000, NULL), PS_OK);
        publish(i + 2);
    }
    assert_in_range(largest, 64, 4096);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        failing = 1;
        int err = ps_rowmap_put(&map, 2, i, pointer_of(i));
        failing = 0;
        if (err) {
            failed++;
            assert_int_equal(err, PS_ENOMEM);
            assert_null(ps_rowmap_get(&map, i));
            /* Of a row that has something it cannot happen. */
            failing = 1;
            assert_int_equal(ps_rowmap_put(&map, 2, i / 2, pointer_of(i / 2)), PS_OK);
            failing = 0;
            assert_int_equal(ps_rowmap_put(&map, 2, i, pointer_of(i)), PS_OK);
        }
        for (uint32_t j = 0; j <= i; j += 97)
            assert_ptr_equal(ps_rowmap_get(&map, j), pointer_of(j));
    }
    assert_in_range(failed, 5, 8); /* each time it doubles */
}

/* Rows are put in order and never less than before: a reader that has seen row i, sees
 * all before it, at values that do not go back. */
static atomic_bool ended;

static void *read_on(void *cls)
{
    ps_epoch_slot *slot;
    uint64_t rng = 5, last[64] = {0};
    (void)cls;
    if (ps_epoch_join(epoch, &slot))
        return "no slot";
    const char *wrong = NULL;
    while (!wrong && !atomic_load(&ended)) {
        uint64_t at = ps_epoch_enter(slot);
        for (int i = 0; i < 50 && !wrong; i++) {
            uint32_t row = (uint32_t)ps_rng_below(&rng, 64);
            uint64_t value = (uint64_t)(uintptr_t)ps_rowmap_get(&map, row * 70);
            if (value < last[row])
                wrong = "a value went back";
            if (at > 64 && value + 64 < at)
                wrong = "a published value was not seen";
            last[row] = value;
        }
        ps_epoch_exit(slot);
    }
    ps_epoch_leave(slot);
    return (void *)(uintptr_t)wrong;
}

static void readers_see_what_was_published_while_tables_are_replaced(void **state)
{
    (void)state;
    pthread_t thread[3];
    atomic_store(&ended, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_on, NULL), 0);
    for (uint64_t v = 2; v < 30000; v++) {
        uint32_t row = (uint32_t)(v % 64) * 70;
        assert_int_equal(ps_rowmap_put(&map, v, row, pointer_of(v)), PS_OK);
        uint32_t other = (uint32_t)(v % 4000) * 70 + 1; /* fills tables */
        assert_int_equal(ps_rowmap_put(&map, v, other, v % 3 ? pointer_of(v) : NULL),
                         PS_OK);
        publish(v);
    }
    atomic_store(&ended, true);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
}

int main(void)
{
#define WITH_MAP(test) cmocka_unit_test_setup_teardown(test, open_map, close_map)
    const struct CMUnitTest tests[] = {
        WITH_MAP(a_row_has_what_was_put_last),
        WITH_MAP(rows_that_come_and_go_do_not_make_it_grow),
        WITH_MAP(without_memory_nothing_changes),
        WITH_MAP(readers_see_what_was_published_while_tables_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
