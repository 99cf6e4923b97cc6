/* test_checkpoint.c - what is saved comes back to the last bit, or not at all.
 *
 * Threads: one; a child that is killed while it saves.
 */
#include "core/train/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"

enum { MOST = 40000 };

typedef struct full {
    float tensor[5][MOST];
    ps_train_result result;
    ps_progress_state state;
} full;

static full *blank(size_t n)
{
    full *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->state = (ps_progress_state){.n = n,
                                   .params = f->tensor[0],
                                   .mean = f->tensor[1],
                                   .square = f->tensor[2],
                                   .average = f->tensor[3],
                                   .best = f->tensor[4],
                                   .result = &f->result};
    return f;
}

/* Every number depends on mark, so that two saves cannot be mixed up. */
static full *filled(size_t n, uint64_t mark)
{
    full *f = blank(n);
    uint64_t rng = ps_rng_at(mark, 0);
    for (int t = 0; t < 5; t++)
        for (size_t i = 0; i < n; i++)
            f->tensor[t][i] = (2 * ps_rng_unit(&rng) - 1) * 1e-3f / 3;
    f->state.step = 1000 + mark;
    f->state.fingerprint = 0xfedcba9876543210u;
    f->state.best_score = 1.0 / 3 + 1e-12 * (double)mark;
    f->result.n_epochs = 5;
    f->result.best = 3;
    for (uint32_t i = 0; i < 5; i++)
        f->result.epoch[i] = (ps_train_epoch){.epoch = i + 1,
                                              .loss = 1.0f / (float)(i + 3),
                                              .violated = 0.1f * (float)i,
                                              .hit_10 = 1.0 / (7 + i),
                                              .hit_100 = 2.0 / (7 + i),
                                              .mrr = 1e-7 / (1 + i),
                                              .score = 3.0 / (7 + i),
                                              .pairs_per_s = 12345.678,
                                              .seconds = 0.1};
    return f;
}

static void same(const full *a, const full *b)
{
    for (int t = 0; t < 5; t++)
        assert_memory_equal(a->tensor[t], b->tensor[t], a->state.n * sizeof(float));
    assert_true(a->state.step == b->state.step);
    assert_true(a->state.best_score == b->state.best_score);
    assert_true(a->result.n_epochs == b->result.n_epochs);
    assert_true(a->result.best == b->result.best);
    for (uint32_t i = 0; i < a->result.n_epochs; i++) {
        const ps_train_epoch *x = &a->result.epoch[i], *y = &b->result.epoch[i];
        assert_true(x->epoch == y->epoch && x->loss == y->loss);
        assert_true(x->violated == y->violated && x->hit_10 == y->hit_10);
        assert_true(x->hit_100 == y->hit_100 && x->mrr == y->mrr);
        assert_true(x->score == y->score);
        assert_true(x->pairs_per_s == y->pairs_per_s && x->seconds == y->seconds);
    }
}

static int load(const char *path, size_t n, uint64_t fingerprint, ps_why *why)
{
    full *f = blank(n);
    f->state.fingerprint = fingerprint;
    *why = (ps_why){0};
    int err = ps_checkpoint_load(path, &f->state, why);
    free(f);
    return err;
}

/* ------------------------------ Round trips ------------------------------- */

static void a_round_trip_keeps_every_bit(void **state)
{
    (void)state;
    ps_why why = {0};
    const char *path = scratch("train.checkpoint");
    full *in = filled(1237, 4), *out = blank(1237);
    out->state.fingerprint = in->state.fingerprint;
    must(ps_checkpoint_save(path, &in->state, &why), &why);
    must(ps_checkpoint_load(path, &out->state, &why), &why);
    same(in, out);
    assert_false(ps_file_exists(scratch("train.checkpoint.new")));
    free(in);
    free(out);
}

static void the_longest_run_fits(void **state)
{
    (void)state;
    ps_why why = {0};
    full *in = filled(10, 4), *out = blank(10);
    in->result.n_epochs = in->result.best = PS_EPOCHS_MAX;
    for (uint32_t i = 0; i < PS_EPOCHS_MAX; i++)
        in->result.epoch[i] =
            (ps_train_epoch){.epoch = i + 1, .loss = 1.0f / (float)(i + 1)};
    out->state.fingerprint = in->state.fingerprint;
    must(ps_checkpoint_save(scratch("long"), &in->state, &why), &why);
    must(ps_checkpoint_load(scratch("long"), &out->state, &why), &why);
    same(in, out);
    free(in);
    free(out);
}

/* ------------------------------ Refusals ---------------------------------- */

static void another_run_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    full *f = filled(100, 1);
    const char *path = scratch("other");
    must(ps_checkpoint_save(path, &f->state, &why), &why);
    assert_int_equal(load(path, 100, 1, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "other data or options"));
    assert_int_equal(load(path, 99, f->state.fingerprint, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "params"));
    assert_int_equal(load(scratch("none"), 100, 1, &why), PS_ENOENT);
    free(f);
}

static void a_file_cut_anywhere_is_refused_in_words(void **state)
{
    (void)state;
    ps_why why = {0};
    size_t size;
    full *f = filled(100, 1);
    must(ps_checkpoint_save(scratch("whole"), &f->state, &why), &why);
    char *bytes = slurp(scratch("whole"), &size);
    for (size_t at = 0; at < size; at += 1 + size / 97) {
        const char *path = scratch_file("cut", bytes, at);
        int err = load(path, 100, f->state.fingerprint, &why);
        assert_true(err < 0 && err != PS_ENOENT);
        assert_true(why.text[0] != '\0');
    }
    free(bytes);
    free(f);
}

/* Numbers that no save writes: a best epoch that was never told, epochs that are not. */
static void nonsense_in_the_numbers_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    full *f = filled(100, 1);
    f->result.best = 6;
    must(ps_checkpoint_save(scratch("odd"), &f->state, &why), &why);
    assert_int_equal(load(scratch("odd"), 100, f->state.fingerprint, &why), PS_EFORMAT);
    assert_non_null(strstr(why.text, "epochs"));
    f->result.best = 0;
    must(ps_checkpoint_save(scratch("odd"), &f->state, &why), &why);
    assert_int_equal(load(scratch("odd"), 100, f->state.fingerprint, &why), PS_EFORMAT);
    f->result.best = 3;
    must(ps_checkpoint_save(scratch("odd"), &f->state, &why), &why);
    size_t size;
    char *bytes = slurp(scratch("odd"), &size), *at = memmem(bytes, size, "epochs", 6);
    assert_non_null(at);
    at = memmem(at, size - (size_t)(at - bytes), " 0x1", 4);
    assert_non_null(at);
    memcpy(at, " ?x1", 4);
    scratch_file("odd", bytes, size);
    assert_int_equal(load(scratch("odd"), 100, f->state.fingerprint, &why), PS_EFORMAT);
    free(bytes);
    free(f);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    (void)state;
    ps_why why = {0};
    full *f = filled(10, 1);
    assert_true(ps_checkpoint_save("/nowhere/at/all", &f->state, &why) < 0);
    assert_true(why.text[0] != '\0');
    free(f);
}

/* ------------------------------ Kills ------------------------------------- */

static int save_forever(void *cls)
{
    const char *path = cls;
    for (uint64_t mark = 1;; mark = mark % 7 + 1) {
        full *f = filled(MOST, mark);
        if (ps_checkpoint_save(path, &f->state, NULL))
            return 1;
        free(f);
    }
}

static void a_kill_while_saving_leaves_a_whole_one(void **state)
{
    (void)state;
    ps_why why = {0};
    const char *path = scratch("killed");
    full *first = filled(MOST, 1);
    must(ps_checkpoint_save(path, &first->state, &why), &why);
    uint64_t rng = 5;
    for (int round = 0; round < 12; round++) {
        long after = 1000 + (long)ps_rng_below(&rng, 40000);
        assert_false(survives_for(after, save_forever, (void *)(uintptr_t)path));
        full *got = blank(MOST);
        got->state.fingerprint = first->state.fingerprint;
        must(ps_checkpoint_load(path, &got->state, &why), &why);
        assert_in_range(got->state.step, 1001, 1007);
        full *want = filled(MOST, got->state.step - 1000);
        same(want, got);
        free(want);
        free(got);
    }
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_trip_keeps_every_bit),
        cmocka_unit_test(the_longest_run_fits),
        cmocka_unit_test(another_run_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_in_words),
        cmocka_unit_test(nonsense_in_the_numbers_is_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
        cmocka_unit_test(a_kill_while_saving_leaves_a_whole_one),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
