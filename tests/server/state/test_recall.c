/* test_recall.c - the monitor of recall: asked about a pin, it tells what the index
 * finds.
 *
 * Threads: one, the monitor's and the writer's.
 */
#include "server/state/recall.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/state/state.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

static ps_state state_of;

static int make(void **state)
{
    static life known;
    (void)state;
    life_make("recall", &known);
    life_start();
    state_of = (ps_state){.engine = life_engine, .install = 1};
    return pthread_mutex_init(&state_of.lock, NULL);
}

static int end(void **state)
{
    (void)state;
    pthread_mutex_destroy(&state_of.lock);
    life_stop();
    return 0;
}

static ps_recall_counts wait_for(ps_recall *r, uint64_t samples)
{
    ps_recall_counts f = ps_recall_count(r);
    for (int i = 0; i < 20000 && f.sampled < samples; i++) {
        usleep(1000);
        f = ps_recall_count(r);
    }
    return f;
}

static void it_asks_again_about_pins_that_somebody_asked_about(void **state)
{
    (void)state;
    ps_recall *r;
    ps_why why = {0};
    must(ps_recall_start(&r, &state_of, 1, &why), &why);
    assert_true(isnan(ps_recall_count(r).recall));
    for (uint64_t i = 1; i <= 5; i++) {
        ps_recall_offer(r, (uint32_t)i);
        ps_recall_counts f = wait_for(r, i);
        assert_int_equal(f.sampled, i);
        assert_int_equal(f.wanted, 10 * i);
        assert_int_equal(f.hits, 10 * i); /* the index of so few pins is exact */
        assert_true(f.recall == 1);
    }
    ps_recall_offer(r, 3);
    ps_recall_offer(r, UINT32_MAX - 5); /* no pin has it: not counted, no harm */
    ps_recall_stop(r);
}

static void a_deleted_pin_is_not_asked_about(void **state)
{
    (void)state;
    ps_recall *r;
    ps_write w = {.kind = PS_WRITE_DELETE, .pin = {"p7", 2}};
    assert_int_equal(life_write(&w), PS_OK);
    assert_int_equal(ps_recall_start(&r, &state_of, 1, NULL), PS_OK);
    ps_recall_offer(r, 7);
    usleep(50000);
    ps_recall_offer(r, 8);
    assert_int_equal(wait_for(r, 1).sampled, 1);
    ps_recall_stop(r);
}

static void it_stops_at_once_however_long_it_rests(void **state)
{
    (void)state;
    ps_recall *r;
    assert_int_equal(ps_recall_start(&r, &state_of, 100000000, NULL), PS_OK);
    ps_recall_offer(r, 1);
    ps_recall_stop(r);
}

static void nothing_is_watched_unless_it_is_asked_for(void **state)
{
    (void)state;
    ps_recall *r;
    assert_int_equal(ps_recall_start(&r, &state_of, 0, NULL), PS_OK);
    assert_null(r);
    ps_recall_offer(r, 1);
    assert_true(isnan(ps_recall_count(r).recall));
    ps_recall_stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_again_about_pins_that_somebody_asked_about),
        cmocka_unit_test(a_deleted_pin_is_not_asked_about),
        cmocka_unit_test(it_stops_at_once_however_long_it_rests),
        cmocka_unit_test(nothing_is_watched_unless_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, make, end);
}
