/* test_names.c - live names: each gets a number once, and keeps it, whoever looks on.
 *
 * Threads: one, and readers in one test.
 *
 * Link: -Wl,--wrap=malloc,--wrap=calloc
 */
#include "server/live/names.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIRST = 100 };

static ps_epoch *epoch;
static ps_names *names;

static atomic_int failing; /* counted down; 0: none fails */

static bool fails(void)
{
    return atomic_load(&failing) && atomic_fetch_sub(&failing, 1) == 1;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

static int begin(void **state)
{
    (void)state;
    return ps_epoch_new(&epoch, 1) || ps_names_new(&names, FIRST, epoch);
}

static int end(void **state)
{
    (void)state;
    ps_names_free(names);
    ps_epoch_free(epoch);
    return 0;
}

/* Names of all lengths, the empty one and such with zero bytes among them. */
static ps_text name_of(uint32_t i, char *room)
{
    int n = snprintf(room, 32, "%*u", (int)(i % 20), i);
    if (i % 3 == 0)
        memcpy(room + n++, "\0", 1);
    return (ps_text){room, i ? (size_t)n : 0};
}

static void check(uint32_t i)
{
    char room[32];
    ps_text want = name_of(i, room), got = ps_names_get(names, FIRST + i);
    assert_int_equal(ps_names_find(names, want), FIRST + i);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
}

static void a_name_gets_the_next_number_and_keeps_it(void **state)
{
    (void)state;
    char room[32];
    for (uint32_t i = 0; i < 20000; i++) { /* into the fourth chunk */
        uint32_t number;
        ps_text name = name_of(i, room);
        assert_int_equal(ps_names_find(names, name), PS_NO_ROW);
        assert_int_equal(ps_names_end(names), FIRST + i);
        assert_null(ps_names_get(names, FIRST + i).data);
        assert_int_equal(ps_names_add(names, i + 2, name, &number), PS_OK);
        assert_int_equal(number, FIRST + i);
        assert_int_equal(ps_names_add(names, i + 2, name_of(i / 2, room), &number),
                         PS_OK);
        assert_int_equal(number, FIRST + i / 2);
        ps_epoch_publish(epoch, i + 2);
        ps_epoch_reclaim(epoch);
    }
    for (uint32_t i = 0; i < 20000; i++)
        check(i);
    assert_null(ps_names_get(names, FIRST - 1).data);
    assert_int_equal(ps_epoch_waiting(epoch), 0);
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    char room[32];
    uint32_t failed = 0;
    for (uint32_t i = 0; i < 9000; i++)
        for (int nth = 1;; nth++) {
            uint32_t number;
            atomic_store(&failing, nth);
            int err = ps_names_add(names, 2, name_of(i, room), &number);
            atomic_store(&failing, 0);
            if (!err)
                break;
            failed++;
            assert_int_equal(err, PS_ENOMEM);
            assert_int_equal(ps_names_find(names, name_of(i, room)), PS_NO_ROW);
            assert_int_equal(ps_names_end(names), FIRST + i);
        }
    assert_in_range(failed, 9000, 9100);
    for (uint32_t i = 0; i < 9000; i += 7)
        check(i);
}

static void the_last_number_is_given_and_no_more(void **state)
{
    (void)state;
    ps_names *few;
    uint32_t number;
    assert_int_equal(ps_names_new(&few, PS_NO_ROW - 3, epoch), PS_OK);
    assert_int_equal(ps_names_add(few, 2, (ps_text){"a", 1}, &number), PS_OK);
    assert_int_equal(ps_names_add(few, 2, (ps_text){"b", 1}, &number), PS_OK);
    assert_int_equal(number, PS_NO_ROW - 2);
    assert_int_equal(ps_names_add(few, 2, (ps_text){"c", 1}, &number), PS_EFULL);
    assert_int_equal(ps_names_add(few, 2, (ps_text){"a", 1}, &number), PS_OK);
    ps_names_free(few);
}

/* ------------------------------ While readers look ------------------------- */

static atomic_uint added; /* names that readers must find */
static atomic_bool ended;

static void *look_on(void *cls)
{
    ps_epoch_slot *slot;
    const char *wrong = ps_epoch_join(epoch, &slot) ? "no slot" : NULL;
    uint32_t i = 0;
    (void)cls;
    while (!wrong && !atomic_load(&ended)) {
        char room[32];
        uint32_t n = atomic_load(&added);
        ps_epoch_enter(slot);
        for (int j = 0; j < 100 && n && !wrong; j++) {
            i = (i + 7919) % n;
            ps_text want = name_of(i, room), got = ps_names_get(names, FIRST + i);
            if (ps_names_find(names, want) != FIRST + i || got.len != want.len ||
                memcmp(got.data, want.data, want.len) != 0)
                wrong = "a name has not its number";
        }
        ps_epoch_exit(slot);
    }
    ps_epoch_leave(slot);
    return (void *)(uintptr_t)wrong;
}

static void readers_find_names_while_others_come(void **state)
{
    (void)state;
    pthread_t thread[3];
    char room[32];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, look_on, NULL), 0);
    for (uint32_t i = 0; i < 30000; i++) {
        uint32_t number;
        assert_int_equal(ps_names_add(names, i + 2, name_of(i, room), &number), PS_OK);
        ps_epoch_publish(epoch, i + 2);
        ps_epoch_reclaim(epoch);
        atomic_store(&added, i + 1);
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
#define WITH_NAMES(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_NAMES(a_name_gets_the_next_number_and_keeps_it),
        WITH_NAMES(without_memory_nothing_is_added),
        WITH_NAMES(the_last_number_is_given_and_no_more),
        WITH_NAMES(readers_find_names_while_others_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
