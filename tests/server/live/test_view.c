/* test_view.c - versions of a view: who entered earlier sees what was, whatever is
 * written; and memory that is bounded by what is there, not by how often it changed.
 *
 * Threads: one, which is writer and readers.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/live/view.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

static ps_generation *g;
static ps_view *view;
static ps_pins_reader *base;

static int make(void **state)
{
    static life known;
    (void)state;
    life_make("view", &known);
    g = planted_open();
    return ps_pins_reader_new(&base, g->pins);
}

static int unmake(void **state)
{
    (void)state;
    ps_pins_reader_free(base);
    ps_generation_release(g);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return ps_view_new(&view, g, 8, NULL);
}

static int end(void **state)
{
    (void)state;
    ps_view_free(view);
    return 0;
}

/* ------------------------------ Writing ------------------------------------ */

static uint64_t lsn = 10;

static void post(const char *pin, const char *title)
{
    uint32_t row;
    ps_row_state s = {.lsn = ++lsn, .time = 5, .title = ps_text_of(title)};
    assert_int_equal(ps_view_put_pin(view, ps_text_of(pin), &s, false, &row), PS_OK);
}

static void drop(const char *pin)
{
    uint32_t row;
    assert_int_equal(ps_view_delete_pin(view, ps_text_of(pin), ++lsn, 5, &row), PS_OK);
}

static void edge(const char *pin, const char *board, bool saved)
{
    uint32_t row;
    assert_int_equal(
        ps_view_put_edge(view, ps_text_of(pin), ps_text_of(board), saved, ++lsn, &row),
        PS_OK);
}

/* ------------------------------ Looking ------------------------------------ */

typedef struct looker {
    ps_epoch_slot *slot;
    ps_snapshot s;
} looker;

static looker enter(void)
{
    looker l;
    assert_int_equal(ps_view_join(view, &l.slot), PS_OK);
    ps_view_enter(view, l.slot, &l.s);
    return l;
}

static void leave(looker *l)
{
    ps_epoch_exit(l->slot);
    ps_epoch_leave(l->slot);
}

/* "title on N", or "" when the pin is not there. */
static const char *seen(const looker *l, const char *pin)
{
    static char out[64];
    ps_pin p;
    uint32_t row = ps_view_pin_row(view, &l->s, base, ps_text_of(pin));
    *out = '\0';
    if (row == PS_NO_ROW)
        return out;
    assert_int_equal(ps_view_pin(view, &l->s, base, row, &p), PS_OK);
    assert_int_equal(p.id.len, strlen(pin));
    assert_memory_equal(p.id.data, pin, p.id.len);
    snprintf(out, sizeof out, "%.*s on %u", (int)p.title.len, p.title.data,
             ps_graph_degree(&l->s.graph, PS_PINS, row));
    return out;
}

static uint64_t version_of(const looker *l, const char *pin)
{
    return ps_view_lsn(view, &l->s, ps_view_pin_row(view, &l->s, base, ps_text_of(pin)));
}

static bool has_board(const looker *l, const char *board)
{
    return ps_view_board_number(view, &l->s, base, ps_text_of(board)) != PS_NO_ROW;
}

/* ------------------------------ Tests -------------------------------------- */

static void a_reader_sees_the_version_it_entered(void **state)
{
    (void)state;
    looker at[5];
    uint64_t told[5];
    at[0] = enter();
    ps_view_begin(view);
    post("new", "one");
    edge("new", "fresh", true);
    assert_string_equal(seen(&at[0], "new"), "");
    ps_view_publish(view);
    told[1] = lsn;
    at[1] = enter();
    ps_view_begin(view);
    post("new", "two");
    edge("new", "b1", true);
    edge("new", "b2", true);
    ps_view_publish(view);
    told[2] = lsn;
    at[2] = enter();
    ps_view_begin(view);
    drop("new");
    ps_view_publish(view);
    at[3] = enter();
    ps_view_begin(view);
    post("new", "four");
    ps_view_publish(view);
    told[4] = lsn;
    at[4] = enter();
    const char *const want[] = {"", "one on 1", "two on 3", "", "four on 0"};
    for (int turn = 0; turn < 2; turn++) {
        for (int i = turn ? 4 : 0; i < 5; i++) {
            assert_string_equal(seen(&at[i], "new"), want[i]);
            assert_int_equal(has_board(&at[i], "fresh"), i == 1 || i == 2);
            assert_true(has_board(&at[i], "b1"));
            if (*want[i])
                assert_int_equal(version_of(&at[i], "new"), told[i]);
        }
        for (int i = 0; i < 4 && !turn; i++)
            leave(&at[i]);
        ps_view_reclaim(view);
    }
    leave(&at[4]);
    assert_int_equal(ps_view_reclaim(view), 0);
}

static void a_stored_pin_has_the_generations_version_until_it_is_written(void **state)
{
    (void)state;
    looker before = enter();
    uint64_t stored = version_of(&before, "p3");
    assert_true(stored & PS_STORED_IN);
    ps_view_begin(view);
    edge("p3", "fresh", true);
    edge("p3", "fresh", false);
    ps_view_publish(view);
    looker after = enter();
    assert_int_equal(version_of(&before, "p3"), stored);
    assert_int_equal(version_of(&after, "p3"), lsn);
    assert_int_equal(version_of(&after, "p4"), stored);
    leave(&before);
    leave(&after);
}

static bool same(ps_view_identity a, ps_view_identity b)
{
    return a.generation == b.generation && a.number == b.number && a.version == b.version;
}

static void views_agree_while_nothing_was_written_and_never_after(void **state)
{
    (void)state;
    ps_view *other;
    ps_snapshot mine, theirs;
    assert_int_equal(ps_view_new(&other, g, 8, NULL), PS_OK);
    for (int turn = 0; turn < 3; turn++) {
        ps_view_newest(view, &mine);
        ps_view_newest(other, &theirs);
        assert_int_equal(mine.version, theirs.version);
        assert_int_equal(
            same(ps_view_identify(view, &mine), ps_view_identify(other, &theirs)), !turn);
        ps_view_begin(view);
        post("new", "x");
        ps_view_publish(view);
        ps_view_begin(other);
        ps_view_publish(other);
    }
    ps_view_free(other);
}

static void what_vectors_changed_under_is_not_settled(void **state)
{
    (void)state;
    looker before = enter();
    assert_true(ps_view_settled(view, &before.s));
    ps_view_unsettle(view);
    looker during = enter();
    assert_false(ps_view_settled(view, &before.s));
    assert_false(ps_view_settled(view, &during.s));
    ps_view_begin(view);
    ps_view_publish(view);
    looker after = enter();
    assert_false(ps_view_settled(view, &before.s));
    assert_false(ps_view_settled(view, &during.s));
    assert_true(ps_view_settled(view, &after.s));
    leave(&before);
    leave(&during);
    leave(&after);
}

static const char *near(const char *pin, char out[64])
{
    looker l = enter();
    ps_text id[5];
    size_t n = ps_view_suggest(view, &l.s, base, ps_text_of(pin), id, 5);
    snprintf(out, 64, "%.*s", n ? (int)id[0].len : 0, n ? id[0].data : "");
    leave(&l);
    return out;
}

static void only_pins_that_are_there_are_suggested(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(near("zebrb", out), "");
    ps_view_begin(view);
    post("zebra", "striped horse");
    drop("p7");
    ps_view_publish(view);
    assert_string_equal(near("zebrb", out), "zebra");
    assert_string_equal(near("striped", out), "zebra");
    assert_string_not_equal(near("p7", out), "p7");
    ps_view_begin(view);
    drop("zebra");
    post("p7", "again");
    ps_view_publish(view);
    assert_string_equal(near("zebrb", out), "");
    assert_string_equal(near("p7", out), "p7");
}

static void dead_pins_are_counted_and_ids_keep_their_rows(void **state)
{
    (void)state;
    ps_view_begin(view);
    post("new", "x");
    drop("p7");
    drop("nobody");
    ps_view_publish(view);
    uint32_t row = ps_view_row_of(view, ps_text_of("new"));
    assert_int_equal(row, LIFE_PLANTED);
    assert_int_equal(ps_view_row_of(view, ps_text_of("nobody")), PS_NO_ROW);
    assert_int_equal(ps_view_count(view).dead, 1);
    for (int i = 0; i < 3; i++) {
        ps_view_begin(view);
        drop("new");
        drop("new");
        ps_view_publish(view);
        assert_int_equal(ps_view_count(view).dead, 2);
        ps_view_begin(view);
        post("new", "y");
        post("new", "z");
        ps_view_publish(view);
        assert_int_equal(ps_view_count(view).dead, 1);
        assert_int_equal(ps_view_row_of(view, ps_text_of("new")), row);
    }
    looker l = enter();
    assert_string_equal(seen(&l, "new"), "z on 0");
    assert_string_equal(seen(&l, "p7"), "");
    leave(&l);
}

static void count_stale(void *cls, uint32_t row, double since)
{
    assert_true(since == 42 && (row == 3 || row == 5));
    ++*(int *)cls;
}

static void rows_are_stale_from_the_first_change_until_they_are_settled(void **state)
{
    (void)state;
    ps_staleness s;
    bool first;
    int n = 0;
    assert_false(ps_view_staleness(view, 3, &s));
    ps_view_settle(view, 3);
    assert_int_equal(ps_view_touch(view, 3, 42, &first), PS_OK);
    assert_true(first);
    assert_int_equal(ps_view_touch(view, 3, 50, &first), PS_OK);
    assert_false(first);
    assert_int_equal(ps_view_touch(view, 5, 42, &first), PS_OK);
    assert_true(ps_view_staleness(view, 3, &s));
    assert_int_equal(s.changes, 2);
    assert_true(s.since == 42);
    ps_view_each_stale(view, count_stale, &n);
    assert_int_equal(n, 2);
    ps_view_settle(view, 3);
    assert_false(ps_view_staleness(view, 3, &s));
    assert_int_equal(ps_view_touch(view, 3, 60, &first), PS_OK);
    assert_true(first);
}

/* Memory in use, where the allocator tells it. */
static size_t in_use(void)
{
    return mallinfo2().uordblks;
}

static void a_pin_written_again_and_again_takes_no_more_memory(void **state)
{
    (void)state;
    const char *san = getenv("PS_SAN");
    float z[9] = {1};
    size_t before = 0;
    for (int i = 0; i < 200000; i++) {
        bool first;
        ps_view_begin(view);
        post("again", i % 2 ? "odd" : "even");
        edge("again", "b1", i % 2);
        edge("p3", "fresh", i % 2);
        if (i % 5 == 4)
            drop("again");
        assert_int_equal(
            ps_delta_index_put(ps_view_embeddings(view), ps_view_next(view), 3, z, NULL),
            PS_OK);
        assert_int_equal(ps_view_touch(view, 3, 1, &first), PS_OK);
        ps_view_settle(view, 3);
        ps_view_publish(view);
        before = i == 1000 ? in_use() : before;
    }
    assert_int_equal(ps_view_reclaim(view), 0);
    if (!san || !*san)
        assert_true(in_use() < before + 20000);
}

int main(void)
{
#define WITH_VIEW(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_VIEW(a_reader_sees_the_version_it_entered),
        WITH_VIEW(a_stored_pin_has_the_generations_version_until_it_is_written),
        WITH_VIEW(views_agree_while_nothing_was_written_and_never_after),
        WITH_VIEW(what_vectors_changed_under_is_not_settled),
        WITH_VIEW(only_pins_that_are_there_are_suggested),
        WITH_VIEW(dead_pins_are_counted_and_ids_keep_their_rows),
        WITH_VIEW(rows_are_stale_from_the_first_change_until_they_are_settled),
        WITH_VIEW(a_pin_written_again_and_again_takes_no_more_memory),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
