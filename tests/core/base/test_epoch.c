/* test_epoch.c - what a reader can see is never freed, what nobody can see is. */
#include "pinsage/epoch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct thing {
    ps_retired retired;
    uint64_t version; /* it was made for; 0 = freed */
} thing;

static int freed;
static uint64_t last_freed;

static void on_unseen(ps_retired *r)
{
    thing *t = (thing *)r;
    assert_true(t->version > last_freed);
    last_freed = t->version;
    t->version = 0;
    freed++;
    free(t);
}

static void retire(ps_epoch *e, uint64_t version)
{
    thing *t = calloc(1, sizeof *t);
    t->version = version;
    ps_epoch_retire(e, version, &t->retired, on_unseen);
}

static ps_epoch *epoch(uint64_t version)
{
    ps_epoch *e;
    freed = 0;
    last_freed = 0;
    assert_int_equal(ps_epoch_new(&e, version), PS_OK);
    return e;
}

static ps_epoch_slot *slot_in(ps_epoch *e)
{
    ps_epoch_slot *s;
    assert_int_equal(ps_epoch_join(e, &s), PS_OK);
    return s;
}

/* ------------------------------ One thread -------------------------------- */

static void a_reader_gets_what_was_published_last(void **state)
{
    (void)state;
    ps_epoch *e = epoch(7);
    ps_epoch_slot *s = slot_in(e);
    assert_int_equal(ps_epoch_enter(s), 7);
    ps_epoch_publish(e, 9);
    ps_epoch_exit(s);
    assert_int_equal(ps_epoch_enter(s), 9);
    assert_int_equal(ps_epoch_version(e), 9);
    ps_epoch_exit(s);
    ps_epoch_leave(s);
    ps_epoch_free(e);
}

static void nothing_is_freed_below_a_reader(void **state)
{
    (void)state;
    ps_epoch *e = epoch(1);
    ps_epoch_slot *early = slot_in(e), *late = slot_in(e);
    ps_epoch_enter(early); /* at 1 */
    retire(e, 2);
    ps_epoch_publish(e, 2);
    ps_epoch_enter(late); /* at 2 */
    retire(e, 3);
    ps_epoch_publish(e, 3);
    assert_int_equal(ps_epoch_reclaim(e), 0);
    assert_int_equal(ps_epoch_waiting(e), 2);
    ps_epoch_exit(early);
    assert_int_equal(ps_epoch_reclaim(e), 1);
    assert_int_equal(last_freed, 2);
    ps_epoch_exit(late);
    assert_int_equal(ps_epoch_reclaim(e), 1);
    assert_int_equal(ps_epoch_waiting(e), 0);
    ps_epoch_free(e);
}

static void nothing_is_freed_before_its_version_is_published(void **state)
{
    (void)state;
    ps_epoch *e = epoch(1);
    retire(e, 2);
    assert_int_equal(ps_epoch_reclaim(e), 0);
    ps_epoch_publish(e, 2);
    assert_int_equal(ps_epoch_reclaim(e), 1);
    ps_epoch_free(e);
}

static void the_end_frees_what_still_waits(void **state)
{
    (void)state;
    ps_epoch *e = epoch(1);
    for (uint64_t v = 2; v < 100; v++)
        retire(e, v);
    ps_epoch_free(e);
    assert_int_equal(freed, 98);
}

static void a_slot_that_was_left_is_given_out_again(void **state)
{
    (void)state;
    ps_epoch *e = epoch(1);
    ps_epoch_slot *a = slot_in(e), *b = slot_in(e);
    assert_ptr_not_equal(a, b);
    ps_epoch_leave(a);
    assert_ptr_equal(slot_in(e), a);
    ps_epoch_free(e);
}

/* ------------------------------ Threads ----------------------------------- */

enum { READERS = 3, VERSIONS = 500000 };

static ps_epoch *shared;
static _Atomic(thing *) of_version[VERSIONS + 1];
static atomic_bool over;
static atomic_int bad;

/* What belongs to the version entered is there until exit. */
static void *read_on(void *unused)
{
    uint64_t before = 0;
    ps_epoch_slot *s;
    if (ps_epoch_join(shared, &s))
        return unused;
    while (!atomic_load(&over)) {
        uint64_t at = ps_epoch_enter(s);
        volatile thing *t = atomic_load(&of_version[at]);
        bad += at < before;
        before = at;
        for (int i = 0; i < 100; i++)
            bad += t->version != at;
        ps_epoch_exit(s);
    }
    ps_epoch_leave(s);
    return unused;
}

static void make(uint64_t version)
{
    thing *t = calloc(1, sizeof *t);
    t->version = version;
    atomic_store(&of_version[version], t);
}

static void readers_never_meet_what_was_freed(void **state)
{
    (void)state;
    pthread_t reader[READERS];
    shared = epoch(1);
    make(1);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, read_on, NULL), 0);
    for (uint64_t v = 2; v <= VERSIONS; v++) {
        make(v);
        ps_epoch_retire(shared, v, &atomic_load(&of_version[v - 1])->retired, on_unseen);
        ps_epoch_publish(shared, v);
        if (v % 4 == 0)
            ps_epoch_reclaim(shared);
    }
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(reader[i], NULL);
    ps_epoch_reclaim(shared);
    assert_int_equal(ps_epoch_waiting(shared), 0);
    assert_int_equal(freed, VERSIONS - 1);
    assert_int_equal(bad, 0);
    ps_epoch_free(shared);
    free(atomic_load(&of_version[VERSIONS]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_gets_what_was_published_last),
        cmocka_unit_test(nothing_is_freed_below_a_reader),
        cmocka_unit_test(nothing_is_freed_before_its_version_is_published),
        cmocka_unit_test(the_end_frees_what_still_waits),
        cmocka_unit_test(a_slot_that_was_left_is_given_out_again),
        cmocka_unit_test(readers_never_meet_what_was_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
