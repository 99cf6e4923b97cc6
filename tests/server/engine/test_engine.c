/* test_engine.c - rankings of a small catalog, beside the plainest code that could make
 * them; filters, fallbacks and refusals. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/import.h"
#include "pinsage/offer.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"

enum { PINS = 300, BOARDS = 20, DIM = 6, BARE = 7, LONELY = 8 };

static float visual[PINS][DIM], vectors[PINS][DIM];
static bool on_board[PINS][BOARDS];
static ps_engine *engine;
static ps_reader *reader;

static const char *id_of(uint32_t row)
{
    static char id[8][16];
    static unsigned turn;
    char *out = id[turn++ % 8];
    snprintf(out, sizeof id[0], "p%u", row);
    return out;
}

/* ------------------------------ The catalog -------------------------------- */

static void write_matrix(const char *name, float (*rows)[DIM])
{
    ps_npy a;
    void *data;
    ps_why why = {0};
    must(ps_npy_create(&a, &data, scratch(name), PS_F32, PINS, DIM, &why), &why);
    memcpy(data, rows, sizeof(float) * PINS * DIM);
    must(ps_map_sync(&a.map, scratch(name), &why), &why);
    ps_npy_close(&a);
}

static void write_inputs(void)
{
    uint64_t rng = 5;
    FILE *pins = fopen(scratch("pins.tsv"), "w"), *edges = fopen(scratch("e.tsv"), "w");
    assert_true(pins && edges);
    fputs("pin\n", pins);
    fputs("pin\tboard\n", edges);
    for (int i = 0; i < PINS; i++) {
        fprintf(pins, "p%d\n", i);
        for (int d = 0; d < DIM; d++) {
            visual[i][d] = i == BARE || i == LONELY ? 0 : ps_rng_unit(&rng) - .5f;
            vectors[i][d] = i == BARE || i == LONELY ? 0 : ps_rng_unit(&rng) - .5f;
        }
        for (int b = 0; b < BOARDS && i != LONELY; b++)
            if ((on_board[i][b] = ps_rng_below(&rng, 1 + (uint64_t)b) == 0))
                fprintf(edges, "p%d\tb%d\n", i, b);
    }
    fclose(pins);
    fclose(edges);
    write_matrix("visual.npy", visual);
    write_matrix("vectors.npy", vectors);
}

static int make_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    char *path[5] = {strdup(scratch("pins.tsv")), strdup(scratch("e.tsv")),
                     strdup(scratch("visual.npy")), strdup(scratch("vectors.npy")),
                     strdup(scratch("catalog"))};
    write_inputs();
    ps_import_feature block = {"visual", path[2]};
    ps_import_opts in = {.pins = path[0],
                         .edges = path[1],
                         .features = &block,
                         .n_features = 1,
                         .embeddings = path[3],
                         .keep = 1};
    ps_ann_build_opts build = ps_cli_index_defaults();
    ps_ann_report report;
    ps_import_report imported;
    must(ps_import(path[4], &in, &imported, NULL, &why), &why);
    assert_int_equal(ps_engine_open(&engine, path[4], NULL, NULL, &why), PS_ENOENT);
    assert_non_null(strstr(why.text, "pinsage index"));
    must(ps_ann_build(path[4], &build, &report, NULL, &why), &why);
    must(ps_engine_open(&engine, path[4], NULL, NULL, &why), &why);
    must(ps_reader_new(&reader, engine), &why);
    for (int i = 0; i < 5; i++)
        free(path[i]);
    return 0;
}

static int drop_catalog(void **state)
{
    (void)state;
    ps_reader_free(reader);
    ps_engine_release(engine);
    return 0;
}

/* ------------------------------ The oracle --------------------------------- */

typedef struct wish {
    uint32_t row, k;
    int board; /* -1: any */
    bool cosine;
    uint32_t hidden[4];
    uint32_t n_hidden;
} wish;

static double score_of(const wish *w, uint32_t row)
{
    double dot = 0, a = 0, b = 0;
    float(*m)[DIM] = w->cosine ? visual : vectors;
    for (int d = 0; d < DIM; d++) {
        dot += (double)m[w->row][d] * (double)m[row][d];
        a += (double)m[w->row][d] * (double)m[w->row][d];
        b += (double)m[row][d] * (double)m[row][d];
    }
    return !w->cosine ? dot : b > 0 ? dot / sqrt(a * b) : 0;
}

static bool is_allowed(const wish *w, uint32_t row)
{
    if (row == BARE || row == LONELY) /* they have no vector */
        return false;
    if (row == w->row || (w->board >= 0 && !on_board[row][w->board]))
        return false;
    for (uint32_t i = 0; i < w->n_hidden; i++)
        if (w->hidden[i] == row)
            return false;
    return true;
}

/* How many allowed pins there are, and how many of them are better than a score. */
static uint32_t count_better(const wish *w, double score, uint32_t *allowed)
{
    uint32_t better = 0;
    *allowed = 0;
    for (uint32_t row = 0; row < PINS; row++) {
        if (!is_allowed(w, row))
            continue;
        ++*allowed;
        better += score_of(w, row) > score + 1e-5;
    }
    return better;
}

static void check_against_the_oracle(const wish *w)
{
    ps_text hidden[4];
    char board[8];
    for (uint32_t i = 0; i < w->n_hidden; i++)
        hidden[i] = ps_text_of(id_of(w->hidden[i]));
    snprintf(board, sizeof board, "b%d", w->board);
    ps_related q = {.pin = ps_text_of(id_of(w->row)),
                    .k = w->k,
                    .method = w->cosine ? ps_text_of("visual") : (ps_text){NULL, 0},
                    .board = w->board < 0 ? (ps_text){NULL, 0} : ps_text_of(board),
                    .exclude = hidden,
                    .n_exclude = w->n_hidden};
    ps_ranking a;
    ps_why why = {0};
    uint32_t allowed;
    must(ps_reader_related(reader, &q, &a, &why), &why);
    count_better(w, 0, &allowed);
    assert_int_equal(a.n, w->k < allowed ? w->k : allowed);
    assert_int_equal(a.source, PS_STORED);
    for (uint32_t i = 0; i < a.n; i++) {
        assert_true(is_allowed(w, a.result[i].row));
        assert_true(fabs((double)a.result[i].score - score_of(w, a.result[i].row)) <
                    1e-5);
        assert_true(count_better(w, (double)a.result[i].score, &allowed) <= i);
    }
}

static void rankings_by_vector_are_those_of_the_oracle(void **state)
{
    (void)state;
    uint64_t rng = 9;
    for (int i = 0; i < 400; i++) {
        wish w = {.row = 10 + (uint32_t)ps_rng_below(&rng, PINS - 10),
                  .k = 1 + (uint32_t)ps_rng_below(&rng, 40),
                  .board = ps_rng_below(&rng, 2) ? (int)ps_rng_below(&rng, BOARDS) : -1,
                  .cosine = ps_rng_below(&rng, 2),
                  .n_hidden = (uint32_t)ps_rng_below(&rng, 5)};
        for (uint32_t h = 0; h < w.n_hidden; h++)
            w.hidden[h] = (uint32_t)ps_rng_below(&rng, PINS);
        check_against_the_oracle(&w);
    }
}

/* ------------------------------ Other methods ------------------------------ */

static ps_ranking ask(uint32_t row, const char *by, uint32_t k, const char *board)
{
    ps_ranking a;
    ps_why why = {0};
    ps_related q = {.pin = ps_text_of(id_of(row)),
                    .k = k,
                    .method = by ? ps_text_of(by) : (ps_text){NULL, 0},
                    .board = board ? ps_text_of(board) : (ps_text){NULL, 0}};
    must(ps_reader_related(reader, &q, &a, &why), &why);
    return a;
}

static uint32_t degree(uint32_t row)
{
    uint32_t n = 0;
    for (int b = 0; b < BOARDS; b++)
        n += on_board[row][b];
    return n;
}

static void popular_pins_are_those_on_most_boards(void **state)
{
    (void)state;
    static const char *const boards[] = {NULL, "b0", "b7"};
    for (int i = 0; i < 3; i++) {
        ps_ranking a = ask(20, "popular", 50, boards[i]);
        uint32_t last = UINT32_MAX, b = boards[i] ? (uint32_t)atol(boards[i] + 1) : 0;
        for (uint32_t r = 0; r < a.n; r++) {
            assert_int_equal(a.result[r].score, degree(a.result[r].row));
            assert_true(a.result[r].row != 20);
            assert_in_range(a.result[r].score, 0, last);
            assert_true(!boards[i] || on_board[a.result[r].row][b]);
            last = (uint32_t)a.result[r].score;
        }
        assert_true(a.n == 50 || boards[i]);
    }
}

static void walks_are_the_same_every_time_and_obey_the_filter(void **state)
{
    (void)state;
    for (const char *const *m = (const char *const[]){"pixie", "pixie-corrected", NULL};
         *m; m++) {
        ps_ranking a = ask(30, *m, 15, NULL);
        ps_scored first[15];
        assert_int_equal(a.n, 15);
        assert_int_equal(a.source, PS_COMPUTED);
        memcpy(first, a.result, sizeof first);
        ask(31, *m, 15, NULL);
        a = ask(30, *m, 15, NULL);
        assert_memory_equal(first, a.result, sizeof first);
        a = ask(30, *m, 15, "b19");
        for (uint32_t i = 0; i < a.n; i++)
            assert_true(on_board[a.result[i].row][19]);
    }
}

static void pins_without_content_fall_back_and_say_so(void **state)
{
    (void)state;
    ps_ranking a = ask(BARE, NULL, 5, NULL);
    assert_int_equal(a.source, PS_FALLBACK);
    assert_string_equal(a.method, "pixie");
    assert_int_equal(a.n, 5);
    a = ask(LONELY, NULL, 5, NULL);
    assert_int_equal(a.source, PS_FALLBACK);
    assert_string_equal(a.method, "popular");
    a = ask(LONELY, "pixie", 5, NULL);
    assert_string_equal(a.method, "popular");
    assert_int_equal(a.source, PS_FALLBACK);
}

/* What is told from the manifest alone, before anything is opened. */
static void the_manifest_promises_just_these_methods(void **state)
{
    (void)state;
    ps_offer offer;
    unsigned n = 0;
    ps_offer_of(&offer, ps_engine_generation(engine)->manifest);
    for (const char *name; (name = ps_engine_method(engine, n)); n++)
        assert_true(ps_offer_has(&offer, name));
    assert_int_equal(offer.n, n);
    assert_null(offer.waits_for);
}

static void the_default_method_is_what_the_index_was_built_for(void **state)
{
    (void)state;
    static const char *const want[] = {"embeddings",      "visual",  "pixie",
                                       "pixie-corrected", "popular", NULL};
    for (unsigned i = 0; want[i]; i++)
        assert_string_equal(ps_engine_method(engine, i), want[i]);
    assert_null(ps_engine_method(engine, 5));
    assert_string_equal(ask(40, NULL, 1, NULL).method, "embeddings");
    assert_string_equal(ps_engine_index(engine), "Flat");
}

static int error_of(ps_related q, const char *words)
{
    ps_ranking a;
    ps_why why = {0};
    int err = ps_reader_related(reader, &q, &a, &why);
    assert_non_null(strstr(why.text, words));
    return err;
}

static void refusals_say_what_is_wrong(void **state)
{
    (void)state;
    char longest[4000];
    memset(longest, 'x', sizeof longest);
    ps_text p = ps_text_of("p9");
    assert_int_equal(
        error_of((ps_related){.pin = ps_text_of("p300"), .k = 1}, "\"p300\""), PS_ENOENT);
    assert_int_equal(
        error_of((ps_related){.pin = {longest, sizeof longest}, .k = 1}, "xxx"),
        PS_ENOENT);
    assert_int_equal(error_of((ps_related){.pin = p, .k = 1, .board = ps_text_of("b20")},
                              "no board \"b20\""),
                     PS_ENOENT);
    assert_int_equal(
        error_of((ps_related){.pin = p, .k = 1, .method = ps_text_of("visua")},
                 "embeddings, visual, pixie"),
        PS_EINVAL);
    assert_int_equal(error_of((ps_related){.pin = p, .k = 0}, "1..1000"), PS_ERANGE);
    assert_int_equal(error_of((ps_related){.pin = p, .k = 1001}, "1..1000"), PS_ERANGE);
}

static void the_sample_is_spread_and_the_canary_sings(void **state)
{
    (void)state;
    const uint32_t *rows;
    ps_why why = {0};
    assert_int_equal(ps_reader_sample(reader, &rows), 12);
    for (int i = 0; i < 12; i++)
        assert_in_range(rows[i], (unsigned)i * PINS / 12, (unsigned)(i + 1) * PINS / 12);
    must(ps_reader_canary(reader, &why), &why);
}

/* ------------------------------ Parts and threads -------------------------- */

static void the_best_few_are_kept_in_order_as_a_sort_would(void **state)
{
    (void)state;
    uint64_t rng = 4;
    for (int round = 0; round < 200; round++) {
        ps_scored list[10], all[60];
        uint32_t n = 0, max = (uint32_t)ps_rng_below(&rng, 11);
        for (uint32_t i = 0; i < 60; i++) {
            all[i] = (ps_scored){i, (float)ps_rng_below(&rng, 12)};
            n = engine_keep(list, n, max, all[i]);
        }
        assert_int_equal(n, max);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t better = 0;
            for (uint32_t j = 0; j < 60; j++)
                better += all[j].score > list[i].score ||
                          (all[j].score == list[i].score && all[j].row < list[i].row);
            assert_int_equal(better, i);
        }
    }
}

static void *ask_around(void *arg)
{
    ps_reader *mine;
    uint64_t rng = (uint64_t)(uintptr_t)arg, failed = 0;
    if (ps_reader_new(&mine, engine))
        return (void *)1;
    for (int i = 0; i < 200; i++) {
        static const char *const methods[] = {"visual", "embeddings", "pixie", "popular"};
        ps_ranking a;
        char id[16];
        snprintf(id, sizeof id, "p%u", (unsigned)ps_rng_below(&rng, PINS));
        ps_related q = {.pin = ps_text_of(id),
                        .k = 10,
                        .method = ps_text_of(methods[ps_rng_below(&rng, 4)])};
        failed += ps_reader_related(mine, &q, &a, NULL) || a.n != 10;
    }
    ps_reader_free(mine);
    return (void *)(uintptr_t)failed;
}

static void readers_of_many_threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t thread[4];
    ps_scored before[10];
    memcpy(before, ask(50, NULL, 10, NULL).result, sizeof before);
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask_around, (void *)(i + 1)),
                         0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    assert_memory_equal(before, ask(50, NULL, 10, NULL).result, sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rankings_by_vector_are_those_of_the_oracle),
        cmocka_unit_test(popular_pins_are_those_on_most_boards),
        cmocka_unit_test(walks_are_the_same_every_time_and_obey_the_filter),
        cmocka_unit_test(pins_without_content_fall_back_and_say_so),
        cmocka_unit_test(the_manifest_promises_just_these_methods),
        cmocka_unit_test(the_default_method_is_what_the_index_was_built_for),
        cmocka_unit_test(refusals_say_what_is_wrong),
        cmocka_unit_test(the_sample_is_spread_and_the_canary_sings),
        cmocka_unit_test(the_best_few_are_kept_in_order_as_a_sort_would),
        cmocka_unit_test(readers_of_many_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, make_catalog, drop_catalog);
}
