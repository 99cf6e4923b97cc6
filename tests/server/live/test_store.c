/* test_store.c - the live store: what is committed is there, whatever opens it next.
 *
 * Threads: one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"
#include "tests/support/stores.h"

/* ------------------------------ Tests ------------------------------------- */

static void what_was_committed_is_there_after_opening_again(void **state)
{
    (void)state;
    ps_why why = {0};
    const float visual[3] = {1.5f, -2, 0}, words[2] = {0.25f, 8};
    ps_store_feature features[] = {{ps_text_of("visual"), 3, visual},
                                   {ps_text_of("annotation"), 2, words}};
    ps_store_pin pin = {.id = ps_text_of("p/1"),
                        .title = ps_text_of("A house"),
                        .text = ps_text_of("an old wooden house"),
                        .image = ps_text_of("http://127.0.0.1/1.png"),
                        .time = 1.75e9,
                        .n_features = 2,
                        .features = features};
    uint64_t lsn = 0;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_must(ps_store_put_pin(s, &pin, &lsn, &why), &why);
    assert_int_equal(lsn, 1);
    store_save(s, "p/1", "houses", true);
    store_save(s, "p/2", "houses", false);
    store_must(ps_store_put_vote(s, ps_text_of("{\"a\":1}"), &lsn, &why), &why);
    assert_int_equal(lsn, 4);
    assert_int_equal(ps_store_lsn(s), 0);
    store_commit(s);
    assert_int_equal(ps_store_lsn(s), 4);
    ps_store_close(s);

    s = store_opened(false, (ps_store_opts){0});
    assert_int_equal(ps_store_lsn(s), 4);
    ps_store_reader *r = store_snapshot(s);
    assert_int_equal(ps_store_reader_lsn(r), 4);
    ps_store_pin got;
    store_must(ps_store_get_pin(r, ps_text_of("p/1"), &got, &why), &why);
    assert_true(ps_text_is(got.id, "p/1") && ps_text_is(got.title, "A house") &&
                ps_text_is(got.text, "an old wooden house") &&
                ps_text_is(got.image, "http://127.0.0.1/1.png"));
    assert_true(got.time == 1.75e9 && got.lsn == 1 && got.died == 0 && !got.deleted);
    assert_int_equal(got.n_features, 2);
    assert_true(ps_text_is(got.features[0].name, "visual") && got.features[0].dim == 3);
    assert_memory_equal(got.features[0].values, visual, sizeof visual);
    assert_true(ps_text_is(got.features[1].name, "annotation") &&
                got.features[1].dim == 2);
    assert_memory_equal(got.features[1].values, words, sizeof words);
    ps_store_edge edge;
    store_must(ps_store_get_edge(r, ps_text_of("p/1"), ps_text_of("houses"), &edge, &why),
               &why);
    assert_true(edge.saved && edge.lsn == 2 && ps_text_is(edge.pin, "p/1") &&
                ps_text_is(edge.board, "houses"));
    store_must(ps_store_get_edge(r, ps_text_of("p/2"), ps_text_of("houses"), &edge, &why),
               &why);
    assert_true(!edge.saved && edge.lsn == 3);
    assert_int_equal(
        ps_store_get_edge(r, ps_text_of("p/2"), ps_text_of("other"), &edge, &why),
        PS_ENOENT);
    assert_int_equal(ps_store_get_pin(r, ps_text_of("p/2"), &got, &why), PS_ENOENT);
    ps_store_reader_free(r);
    store_put(s, "p/2", "");
    store_commit(s);
    assert_int_equal(ps_store_lsn(s), 5);
    ps_store_close(s);
}

static void an_aborted_group_is_nowhere_and_its_numbers_are_given_again(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_pin got;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    assert_int_equal(ps_store_gathered(s), 0);
    store_put(s, "a", "1");
    assert_true(ps_store_gathered(s) > 0);
    ps_store_abort(s);
    assert_int_equal(ps_store_gathered(s), 0);
    store_commit(s); /* of nothing */
    store_put(s, "b", "2");
    store_commit(s);
    assert_int_equal(ps_store_lsn(s), 1);
    ps_store_reader *r = store_snapshot(s);
    assert_int_equal(ps_store_get_pin(r, ps_text_of("a"), &got, &why), PS_ENOENT);
    ps_store_reader_free(r);
    ps_store_close(s);
}

static void
a_deleted_pin_takes_its_edges_along_and_stays_dead_when_put_again(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_pin got;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_put(s, "a", "first");
    for (int i = 0; i < 300; i++) {
        char board[32];
        snprintf(board, sizeof board, "board %d", i);
        store_save(s, "a", board, true);
        store_save(s, "b", board, true);
    }
    store_commit(s);
    uint64_t died;
    store_must(ps_store_drop_pin(s, ps_text_of("a"), 7, &died, &why), &why);
    store_commit(s);
    ps_store_reader *r = store_snapshot(s);
    store_must(ps_store_get_pin(r, ps_text_of("a"), &got, &why), &why);
    assert_true(got.deleted && got.died == died && got.lsn == died && got.time == 7);
    assert_true(got.title.len == 0 && got.n_features == 0);
    ps_store_reader_free(r);
    assert_int_equal(store_edges_of(s, "a", 0), 0);
    assert_int_equal(store_edges_of(s, "b", 0), 300);
    store_put(s, "a", "second");
    store_save(s, "a", "board 1", true);
    store_put(s, "a", "third");
    store_commit(s);
    r = store_snapshot(s);
    store_must(ps_store_get_pin(r, ps_text_of("a"), &got, &why), &why);
    assert_true(!got.deleted && got.died == died && ps_text_is(got.title, "third"));
    ps_store_reader_free(r);
    assert_int_equal(store_edges_of(s, "a", 0), 1);
    ps_store_close(s);
}

static int on_pin_note(void *cls, const ps_store_pin *pin)
{
    char *note = cls;
    snprintf(note + strlen(note), 64, "%.*s:%d ", (int)pin->id.len, pin->id.data,
             (int)pin->lsn);
    return 0;
}

static int on_vote_note(void *cls, const ps_store_vote *vote)
{
    char *note = cls;
    snprintf(note + strlen(note), 64, "%.*s:%d ", (int)vote->json.len, vote->json.data,
             (int)vote->lsn);
    return 0;
}

static int on_edge_count(void *cls, const ps_store_edge *edge)
{
    (void)edge;
    ++*(int *)cls;
    return 0;
}

static int on_pin_stop(void *cls, const ps_store_pin *pin)
{
    ++*(int *)cls;
    return ps_text_is(pin->id, "b") ? PS_ECANCELLED : 0;
}

static void readers_see_what_came_after_a_number_in_order(void **state)
{
    (void)state;
    ps_why why = {0};
    char note[256] = "";
    int n = 0;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_put(s, "c", "");
    store_must(ps_store_put_vote(s, ps_text_of("v"), NULL, &why), &why);
    store_put(s, "a", "");
    store_put(s, "b", "");
    store_must(ps_store_put_vote(s, ps_text_of("w"), NULL, &why), &why);
    store_save(s, "a", "x", true);
    store_commit(s);
    ps_store_reader *r = store_snapshot(s);
    store_must(ps_store_each_pin(r, 0, on_pin_note, note, &why), &why);
    store_must(ps_store_each_pin(r, 3, on_pin_note, note, &why), &why);
    store_must(ps_store_each_vote(r, 0, on_vote_note, note, &why), &why);
    store_must(ps_store_each_vote(r, 2, on_vote_note, note, &why), &why);
    assert_string_equal(note, "a:3 b:4 c:1 b:4 v:2 w:5 w:5 ");
    store_must(ps_store_each_edge(r, 5, on_edge_count, &n, &why), &why);
    store_must(ps_store_each_edge(r, 6, on_edge_count, &n, &why), &why);
    assert_int_equal(n, 1);
    n = 0;
    assert_int_equal(ps_store_each_pin(r, 0, on_pin_stop, &n, &why), PS_ECANCELLED);
    assert_int_equal(n, 2);
    ps_store_reader_free(r);
    ps_store_close(s);
}

static void a_snapshot_stays_as_it_was(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_pin got;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_put(s, "a", "old");
    store_commit(s);
    ps_store_reader *r = store_snapshot(s);
    store_put(s, "a", "new");
    store_put(s, "b", "new");
    store_commit(s);
    store_must(ps_store_get_pin(r, ps_text_of("a"), &got, &why), &why);
    assert_true(ps_text_is(got.title, "old"));
    assert_int_equal(ps_store_get_pin(r, ps_text_of("b"), &got, &why), PS_ENOENT);
    assert_int_equal(ps_store_reader_lsn(r), 1);
    ps_store_release(r);
    store_must(ps_store_acquire(r, &why), &why);
    store_must(ps_store_get_pin(r, ps_text_of("a"), &got, &why), &why);
    assert_true(ps_text_is(got.title, "new"));
    assert_int_equal(ps_store_reader_lsn(r), 3);
    ps_store_reader_free(r);
    ps_store_close(s);
}

static void what_is_compacted_goes_and_what_came_later_stays(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_counts counts;
    bool more;
    char name[32];
    ps_store *s = store_opened(true, (ps_store_opts){0});
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "pin %d", i);
        store_put(s, name, "old");
        store_save(s, name, "board", true);
    }
    store_must(ps_store_put_vote(s, ps_text_of("1"), NULL, &why), &why);
    store_commit(s);
    uint64_t lsn = ps_store_lsn(s);
    for (int i = 0; i < 500; i += 5) {
        snprintf(name, sizeof name, "pin %d", i);
        store_put(s, name, "new");
    }
    store_save(s, "pin 3", "board", false);
    store_must(ps_store_put_vote(s, ps_text_of("2"), NULL, &why), &why);
    store_commit(s);
    store_trim_all(s, lsn, false, 7);
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_true(counts.pins == 100 && counts.edges == 1 && counts.votes == 2);
    assert_true(counts.compacted == lsn && counts.lsn == lsn + 102);
    /* Stopped in the middle, begun again: no difference. */
    store_must(ps_store_trim(s, lsn + 50, true, 10, &more, &why), &why);
    assert_true(more);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    store_trim_all(s, lsn + 50, true, 1000);
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_true(counts.pins == 50 && counts.edges == 1 && counts.votes == 1);
    store_trim_all(s, lsn + 102, true, 1);
    store_trim_all(s, lsn, true, 1); /* late, no harm */
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_true(counts.pins == 0 && counts.edges == 0 && counts.votes == 0);
    assert_true(counts.compacted == lsn + 102 && counts.lsn == lsn + 102);
    assert_int_equal(ps_store_trim(s, lsn + 103, true, 1, &more, &why), PS_EINVAL);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_true(counts.compacted == lsn + 102 && counts.lsn == lsn + 102);
    ps_store_close(s);
}

static void numbers_go_on_above_what_a_generation_compacted(void **state)
{
    (void)state;
    uint64_t lsn;
    ps_why why = {0};
    ps_store *s = store_opened(true, (ps_store_opts){.compacted = 1000});
    assert_int_equal(ps_store_lsn(s), 1000);
    store_put(s, "a", "");
    store_commit(s);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){.compacted = 500});
    assert_int_equal(ps_store_lsn(s), 1001);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){.compacted = 2000, .accept = true});
    store_must(ps_store_put_vote(s, ps_text_of("1"), &lsn, &why), &why);
    assert_int_equal(lsn, 2001);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    assert_int_equal(ps_store_lsn(s), 2000);
    ps_store_close(s);
}

static void
names_and_records_of_the_wrong_size_are_refused_and_disturb_nothing(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_pin got;
    char *large = calloc(1, PS_STORE_RECORD_MAX + 1);
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_put(s, "a", "kept");
    assert_int_equal(ps_store_put_pin(s, &(ps_store_pin){.id = {large, 0}}, NULL, &why),
                     PS_EINVAL);
    assert_string_equal(why.text, "a pin has 0 bytes, 1 to 511 are possible");
    assert_int_equal(ps_store_drop_pin(s, (ps_text){large, 512}, 0, NULL, &why),
                     PS_EINVAL);
    ps_store_edge edge = {.pin = ps_text_of("a"), .board = {large, 512}};
    assert_int_equal(ps_store_put_edge(s, &edge, NULL, &why), PS_EINVAL);
    assert_string_equal(why.text, "a board has 512 bytes, 1 to 511 are possible");
    ps_store_pin pin = {.id = ps_text_of("b"), .text = {large, PS_STORE_RECORD_MAX + 1}};
    assert_int_equal(ps_store_put_pin(s, &pin, NULL, &why), PS_ERANGE);
    pin.text.len--;
    int n = 0;
    while (!ps_store_put_pin(s, &pin, NULL, &why))
        n++;
    assert_int_equal(n, PS_STORE_BATCH_MAX / PS_STORE_RECORD_MAX - 1);
    assert_string_equal(why.text, "the batch is full: commit it first");
    store_commit(s);
    assert_int_equal(ps_store_lsn(s), 1 + n);
    ps_store_reader *r = store_snapshot(s);
    store_must(ps_store_get_pin(r, ps_text_of("b"), &got, &why), &why);
    assert_int_equal(got.text.len, PS_STORE_RECORD_MAX);
    store_must(ps_store_get_pin(r, ps_text_of("a"), &got, &why), &why);
    ps_store_reader_free(r);
    ps_store_close(s);
    free(large);
}

static void a_second_writer_is_told_who_writes(void **state)
{
    (void)state;
    ps_why why = {0};
    char who[32];
    ps_store *other, *s = store_opened(true, (ps_store_opts){0});
    assert_int_equal(ps_store_open(&other, store_dir(false), (ps_store_opts){0}, &why),
                     PS_EBUSY);
    snprintf(who, sizeof who, "process %ld", (long)getpid());
    assert_non_null(strstr(why.text, who));
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    ps_store_close(s);
}

static bool place_unwritable; /* read as somebody who may not write */

/* In a process of its own: LMDB forbids a file to be open twice in one. */
static int read_elsewhere(const char *id, const char *title)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        ps_store *s;
        ps_store_reader *r;
        ps_store_pin pin;
        ps_why why = {0};
        if (place_unwritable && geteuid() == 0 && setuid(65534))
            _exit(1);
        int err =
            ps_store_open(&s, store_dir(false), (ps_store_opts){.read_only = true}, &why);
        if (!err && (err = ps_store_put_vote(s, ps_text_of("1"), NULL, &why)) == PS_OK)
            err = ps_store_commit(s, &why) == PS_EINVAL ? PS_OK : PS_EIO;
        if (!err && (err = ps_store_reader_new(&r, s)) == PS_OK)
            err = ps_store_acquire(r, &why);
        if (!err)
            err = ps_store_get_pin(r, ps_text_of(id), &pin, &why);
        if (!err && !ps_text_is(pin.title, title))
            err = PS_EMISMATCH;
        _exit(-err);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void another_process_may_read_while_one_writes(void **state)
{
    (void)state;
    store_dir(true);
    assert_int_equal(read_elsewhere("a", "1"), PS_ENOENT);
    ps_store *s = store_opened(false, (ps_store_opts){0});
    store_put(s, "a", "1");
    store_commit(s);
    assert_int_equal(read_elsewhere("a", "1"), PS_OK);
    store_put(s, "a", "2");
    store_commit(s);
    assert_int_equal(read_elsewhere("a", "2"), PS_OK);
    ps_store_close(s);
    assert_int_equal(read_elsewhere("a", "2"), PS_OK);
}

/* Root may write anything: the readers are somebody else. */
static void permit(const char *dir, mode_t folder, mode_t file)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock", "readers"};
    char path[PS_PATH_MAX];
    assert_int_equal(chmod(scratch_dir(), 0755), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%.4000s/%s", dir, names[i]);
        chmod(path, file);
    }
    assert_int_equal(chmod(dir, folder), 0);
}

static void who_may_write_nothing_reads_when_nobody_writes(void **state)
{
    (void)state;
    place_unwritable = true;
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_put(s, "a", "1");
    store_commit(s);
    permit(store_dir(false), 0555, 0444);
    assert_int_equal(read_elsewhere("a", "1"), PS_EBUSY);
    ps_store_close(s);
    assert_int_equal(read_elsewhere("a", "1"), PS_OK);
    permit(store_dir(false), 0755, 0644);
    place_unwritable = false;
    s = store_opened(false, (ps_store_opts){0});
    store_put(s, "a", "2");
    store_commit(s);
    ps_store_close(s);
}

static void a_full_map_grows_by_itself(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_counts counts;
    char id[16], large[2000];
    memset(large, 'x', sizeof large);
    ps_store *s = store_opened(true, (ps_store_opts){.map_bytes = 1 << 16});
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "%d", i);
        ps_store_pin pin = {.id = ps_text_of(id), .text = {large, sizeof large}};
        store_must(ps_store_put_pin(s, &pin, NULL, &why), &why);
        if (i % 100 == 99)
            store_commit(s);
    }
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_int_equal(counts.pins, 1000);
    assert_true(counts.map_bytes >= 2000 * 1000 && counts.bytes <= counts.map_bytes);
    store_trim_all(s, 900, true, 50);
    store_must(ps_store_count(s, &counts, &why), &why);
    assert_int_equal(counts.pins, 100);
    ps_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_committed_is_there_after_opening_again),
        cmocka_unit_test(an_aborted_group_is_nowhere_and_its_numbers_are_given_again),
        cmocka_unit_test(
            a_deleted_pin_takes_its_edges_along_and_stays_dead_when_put_again),
        cmocka_unit_test(readers_see_what_came_after_a_number_in_order),
        cmocka_unit_test(a_snapshot_stays_as_it_was),
        cmocka_unit_test(what_is_compacted_goes_and_what_came_later_stays),
        cmocka_unit_test(numbers_go_on_above_what_a_generation_compacted),
        cmocka_unit_test(
            names_and_records_of_the_wrong_size_are_refused_and_disturb_nothing),
        cmocka_unit_test(a_second_writer_is_told_who_writes),
        cmocka_unit_test(another_process_may_read_while_one_writes),
        cmocka_unit_test(who_may_write_nothing_reads_when_nobody_writes),
        cmocka_unit_test(a_full_map_grows_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
