/* test_cache.c - the cache gives back what was put, within its bytes, and forgets what
 * was not used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/err.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"
#include "server/base/cache.h"

static size_t alive;

static void free_number(void *value)
{
    alive--;
    free(value);
}

static ps_cache *make(size_t limit)
{
    ps_cache *c;
    assert_int_equal(ps_cache_new(&c, limit, free_number), PS_OK);
    return c;
}

static int put(ps_cache *c, const char *key, int number, size_t bytes)
{
    int *value = malloc(sizeof *value);
    *value = number;
    size_t len = strlen(key);
    int err = ps_cache_put(c, (ps_text){key, len}, ps_hash(key, len), value, bytes);
    if (err)
        free(value);
    else
        alive++;
    return err;
}

/* The number kept under a key, -1 when there is none. */
static int find(ps_cache *c, const char *key)
{
    size_t len = strlen(key);
    int *value = ps_cache_find(c, (ps_text){key, len}, ps_hash(key, len));
    return value ? *value : -1;
}

static void what_was_put_is_found_and_replaced_by_the_same_key(void **state)
{
    (void)state;
    ps_cache *c = make(100000);
    assert_int_equal(find(c, "a"), -1);
    put(c, "a", 1, 10);
    put(c, "b", 2, 10);
    put(c, "a", 3, 20);
    assert_int_equal(find(c, "a"), 3);
    assert_int_equal(find(c, "b"), 2);
    assert_int_equal(alive, 2);
    assert_int_equal(ps_cache_count(c).entries, 2);
    assert_int_equal(ps_cache_check(c), PS_OK);
    ps_cache_clear(c);
    assert_int_equal(alive, 0);
    assert_int_equal(find(c, "a"), -1);
    assert_int_equal(ps_cache_check(c), PS_OK);
    ps_cache_free(c);
}

static void keys_with_equal_hashes_are_told_apart(void **state)
{
    (void)state;
    ps_cache *c = make(100000);
    int *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    *one = 1, *two = 2, alive = 2;
    assert_int_equal(ps_cache_put(c, (ps_text){"x", 1}, 5, one, 1), PS_OK);
    assert_int_equal(ps_cache_put(c, (ps_text){"y", 1}, 5, two, 1), PS_OK);
    assert_ptr_equal(ps_cache_find(c, (ps_text){"x", 1}, 5), one);
    assert_ptr_equal(ps_cache_find(c, (ps_text){"y", 1}, 5), two);
    assert_null(ps_cache_find(c, (ps_text){"z", 1}, 5));
    ps_cache_free(c);
    assert_int_equal(alive, 0);
}

static void one_that_is_too_heavy_stays_the_callers(void **state)
{
    (void)state;
    ps_cache *c = make(80000);
    put(c, "small", 1, 10);
    assert_int_equal(put(c, "huge", 2, 10001), PS_EFULL);
    assert_int_equal(find(c, "huge"), -1);
    assert_int_equal(find(c, "small"), 1);
    ps_cache_free(c);
    assert_int_equal(alive, 0);
}

static void what_is_used_outlives_what_is_not(void **state)
{
    (void)state;
    ps_cache *c = make(100000);
    char key[16];
    put(c, "favourite", 7, 900);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%d", i);
        put(c, key, i, 900);
        assert_int_equal(find(c, "favourite"), 7);
    }
    assert_true(ps_cache_count(c).evicted > 4000);
    assert_int_equal(find(c, "17"), -1);
    assert_int_equal(find(c, key), 4999);
    assert_int_equal(ps_cache_check(c), PS_OK);
    ps_cache_free(c);
    assert_int_equal(alive, 0);
}

static void any_order_of_calls_keeps_it_whole_and_within_bounds(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    static int newest[KEYS];
    ps_cache *c = make(200000);
    uint64_t rng = 3;
    int hits = 0;
    for (int i = 1; i < 60000; i++) {
        char key[16];
        int k = (int)ps_rng_below(&rng, ps_rng_below(&rng, 2) ? KEYS : 50);
        snprintf(key, sizeof key, "key-%d", k);
        int have = find(c, key);
        if (have >= 0) {
            assert_int_equal(have, newest[k]);
            hits++;
        }
        if (ps_rng_below(&rng, 3) == 0) {
            assert_int_equal(put(c, key, i, ps_rng_below(&rng, 2000)), PS_OK);
            newest[k] = i;
        }
        if (i % 5000 == 0) {
            assert_int_equal(ps_cache_check(c), PS_OK);
            assert_int_equal(ps_cache_count(c).entries, alive);
        }
    }
    assert_in_range(hits, 1000, 59000);
    ps_cache_free(c);
    assert_int_equal(alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_and_replaced_by_the_same_key),
        cmocka_unit_test(keys_with_equal_hashes_are_told_apart),
        cmocka_unit_test(one_that_is_too_heavy_stays_the_callers),
        cmocka_unit_test(what_is_used_outlives_what_is_not),
        cmocka_unit_test(any_order_of_calls_keeps_it_whole_and_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
