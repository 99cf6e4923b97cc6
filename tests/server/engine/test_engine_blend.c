/* test_engine_blend.c - the server's blend beside the library's over an exact search;
 * filters, long answers, and when it is not offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/hash.h"
#include "pinsage/import.h"
#include "pinsage/offer.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

enum { N = 400, DIM = 6, BOARDS = 40, C = 25, BARE = 9 };
static float z[N][DIM];
static ps_engine *engine;
static ps_reader *reader;

static void import_catalog(void)
{
    FILE *pins = fopen(scratch("pins.tsv"), "w"), *edges = fopen(scratch("e.tsv"), "w");
    uint64_t rng = ps_rng_at(8, 8);
    ps_why why = {0};
    ps_import_report report;
    assert_true(pins && edges);
    fputs("pin\n", pins);
    fputs("pin\tboard\n", edges);
    for (int i = 0; i < N; i++) {
        fprintf(pins, "p%d\n", i);
        for (int d = 0; d < DIM; d++)
            z[i][d] = i == BARE ? 0 : ps_rng_unit(&rng) - .5f;
        for (int b = 0; b < 3; b++)
            fprintf(edges, "p%d\tb%d\n", i, (int)ps_rng_below(&rng, BOARDS));
    }
    fclose(pins);
    fclose(edges);
    const ps_import_opts in = {.pins = scratch("pins.tsv"),
                               .edges = scratch("e.tsv"),
                               .embeddings = npy_file("z.npy", PS_F32, N, DIM, z)};
    must(ps_import(catalog, &in, &report, NULL, &why), &why);
}

static void note_blend(const char *fitted_to)
{
    static ps_blend_report r;
    ps_draft *d = tiny_begin(false);
    r.model = (ps_blend_model){
        .candidates = C, .steps = 3000, .n = PS_BLEND_COSINES, .weight = {3, 1, -1, .2}};
    ps_manifest_set_text(ps_draft_manifest(d), "embeddings.model", "00000000000000cc");
    ps_blend_note(ps_draft_manifest(d), &r, fitted_to);
    tiny_commit(d);
    char name[32];
    ps_why why = {0}; /* it answers by other methods than before */
    must(ps_catalog_switch(catalog, "next", true, name, &why), &why);
}

static void open_engine(void)
{
    ps_why why = {0};
    must(ps_engine_open(&engine, catalog, NULL, NULL, &why), &why);
    must(ps_reader_new(&reader, engine), &why);
}

static void close_engine(void)
{
    ps_reader_free(reader);
    ps_engine_release(engine);
}

static int make_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_ann_build_opts build = ps_cli_index_defaults();
    ps_ann_report report;
    use("blend");
    import_catalog();
    must(ps_ann_build(catalog, &build, &report, NULL, &why), &why);
    note_blend("00000000000000cc");
    open_engine();
    return 0;
}

static int drop_catalog(void **state)
{
    (void)state;
    close_engine();
    return 0;
}

static ps_ranking ask(uint32_t row, uint32_t k, const char *board, const char *hidden)
{
    char id[16];
    ps_why why = {0};
    ps_ranking answer;
    ps_text exclude = {hidden, hidden ? strlen(hidden) : 0};
    int n = snprintf(id, sizeof id, "p%u", row);
    ps_related q = {.pin = {id, (size_t)n},
                    .method = {"blend", 5},
                    .k = k,
                    .board = {board, board ? strlen(board) : 0},
                    .exclude = &exclude,
                    .n_exclude = hidden ? 1 : 0};
    must(ps_reader_related(reader, &q, &answer, &why), &why);
    return answer;
}

/* The library's ranking over an exact search. */
static uint32_t expect(uint32_t row, ps_scored out[2 * C])
{
    ps_generation *g = ps_engine_generation(engine);
    ps_blend_source source = {.g = g, .z = {g->embeddings.data, DIM, 0}};
    ps_scored near[C + 1];
    ps_blend *b;
    ps_why why = {0};
    char id[16];
    uint32_t n, found;
    int len = snprintf(id, sizeof id, "p%u", row);
    must(ps_blend_new(&b, &source, &engine->blend, &why), &why);
    must(ps_exact_search(&g->embeddings, 0, &(ps_search){.vector = z[row], .k = C + 1},
                         near, &n),
         &why);
    for (uint32_t i = 0; i < n; i++)
        if (near[i].row == row) {
            memmove(near + i, near + i + 1, (--n - i) * sizeof *near);
            break;
        }
    must(ps_blend_related(b, row, ps_pin_seed(1, id, (size_t)len), near, n < C ? n : C,
                          out, 2 * C, &found),
         &why);
    ps_blend_free(b);
    return found;
}

static void answers_are_those_of_the_library(void **state)
{
    (void)state;
    ps_scored want[2 * C];
    for (uint32_t row = 0; row < N; row += 13) {
        if (row == BARE)
            continue;
        uint32_t n = expect(row, want), k = n < 20 ? n : 20;
        ps_ranking a = ask(row, k, NULL, NULL);
        assert_string_equal(a.method, "blend");
        assert_int_equal(a.source, PS_COMPUTED);
        assert_int_equal(a.n, k);
        for (uint32_t i = 0; i < k; i++) {
            assert_int_equal(a.result[i].row, want[i].row);
            assert_true(a.result[i].score == want[i].score);
        }
    }
}

static void long_answers_go_on_below_without_repeating(void **state)
{
    (void)state;
    ps_ranking a = ask(5, 300, NULL, NULL);
    char seen[N] = {0};
    assert_int_equal(a.n, 300);
    for (uint32_t i = 0; i < a.n; i++) {
        assert_int_equal(seen[a.result[i].row]++, 0);
        assert_true(i == 0 || a.result[i].score <= a.result[i - 1].score);
    }
    assert_int_equal(seen[5], 0);
}

static void filters_hold_for_both_kinds_of_candidates(void **state)
{
    (void)state;
    char first[16];
    uint32_t board;
    ps_why why = {0};
    ps_ranking a = ask(4, 10, NULL, NULL);
    uint32_t best = a.result[0].row, second = a.result[1].row;
    snprintf(first, sizeof first, "p%u", best);
    a = ask(4, 10, NULL, first);
    assert_int_equal(a.n, 10);
    assert_int_equal(a.result[0].row, second);
    must(ps_reader_find_board(reader, (ps_text){"b3", 2}, &board, &why), &why);
    const ps_graph *g = &ps_engine_generation(engine)->graph;
    uint32_t there = ps_csr_degree(&g->board_pins, board);
    a = ask(4, 1000, "b3", NULL);
    assert_int_equal(a.n, there - (uint32_t)ps_csr_has(&g->pin_boards, 4, board));
    for (uint32_t i = 0; i < a.n; i++)
        assert_true(ps_csr_has(&g->pin_boards, a.result[i].row, board));
}

static void a_pin_without_a_vector_falls_back_to_walks(void **state)
{
    (void)state;
    ps_ranking a = ask(BARE, 10, NULL, NULL);
    assert_string_equal(a.method, "pixie");
    assert_int_equal(a.source, PS_FALLBACK);
}

static void the_manifest_promises_what_is_offered(void)
{
    ps_offer offer;
    unsigned n = 0;
    ps_offer_of(&offer, ps_engine_generation(engine)->manifest);
    for (const char *name; (name = ps_engine_method(engine, n)); n++)
        assert_true(ps_offer_has(&offer, name));
    assert_int_equal(offer.n, n);
}

static void a_blend_of_another_model_is_not_offered(void **state)
{
    (void)state;
    the_manifest_promises_what_is_offered();
    bool offered = false;
    const char *name;
    for (unsigned i = 0; (name = ps_engine_method(engine, i)); i++)
        offered |= strcmp(name, "blend") == 0;
    assert_true(offered);
    assert_string_equal(ps_engine_method(engine, 0), "pinsage");
    close_engine();
    note_blend("00000000000000dd");
    open_engine();
    for (unsigned i = 0; (name = ps_engine_method(engine, i)); i++)
        assert_string_not_equal(name, "blend");
    the_manifest_promises_what_is_offered();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_library),
        cmocka_unit_test(long_answers_go_on_below_without_repeating),
        cmocka_unit_test(filters_hold_for_both_kinds_of_candidates),
        cmocka_unit_test(a_pin_without_a_vector_falls_back_to_walks),
        cmocka_unit_test(a_blend_of_another_model_is_not_offered),
    };
    return cmocka_run_group_tests(tests, make_catalog, drop_catalog);
}
