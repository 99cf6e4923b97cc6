/* test_blend.c - candidates and inputs of the blend against a slow list of all pins. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rank/blend_inside.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"
#include "tests/support/graphs.h"

#define assert_near(got, want, room) assert_true(fabs((got) - (want)) <= (room))

enum { N = 400, BOARDS = 90, E = 6, D = 5, C = 30, STEPS = 3000 };
static float z[N * E], visual[N * D];
static uint16_t half[N * D];
static ps_block blocks[2] = {
    {"annotation", {.dtype = PS_F16, .ndim = 2, .rows = N, .cols = D, .data = half}},
    {"visual", {.dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = visual}},
};
static ps_generation gen = {.n_pins = N, .n_blocks = 2, .blocks = blocks};
static const ps_blend_source source = {.g = &gen, .z = {z, E, 0}};
static ps_blend_model model;
static ps_scored near[C];

static int make_all(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(31, 0);
    for (size_t i = 0; i < N * E; i++)
        z[i] = ps_rng_unit(&rng) - .5f;
    for (size_t i = 0; i < N * D; i++)
        visual[i] = ps_rng_unit(&rng) - .3f;
    memset(visual + 7 * D, 0, D * sizeof *visual);
    ps_f32_to_f16(visual, half, N * D);
    gen.graph = random_graph(5, N, BOARDS, 1500, 2);
    blend_model_init(&model, &gen, C, STEPS);
    model.weight[PS_BLEND_SIMILARITY] = 2;
    model.weight[PS_BLEND_VISITS] = .5;
    model.weight[PS_BLEND_UNVISITED] = -1;
    model.weight[PS_BLEND_DEGREE] = .25;
    model.weight[PS_BLEND_COSINES + 1] = .75;
    return 0;
}

static int drop_all(void **state)
{
    (void)state;
    ps_graph_free(&gen.graph);
    return 0;
}

static uint32_t find_near(uint32_t query)
{
    static float scores[N];
    ps_dot_block(z + query * E, 1, source.z, 0, N, scores, N);
    return blend_nearest(scores, N, query, C, near);
}

static double plain_cosine(const float *m, uint32_t a, uint32_t b)
{
    ps_rows rows = {m, D, 0};
    double aa = ps_dot_plain(m + a * D, rows, a), bb = ps_dot_plain(m + b * D, rows, b);
    return aa > 0 && bb > 0 ? ps_dot_plain(m + a * D, rows, b) / sqrt(aa * bb) : 0;
}

/* Visits of every pin by a walk of our own. */
static uint32_t walk_all(uint32_t query, double *visits, ps_scored *found)
{
    ps_pixie *p;
    uint32_t n;
    ps_pixie_opts o = PS_PIXIE_DEFAULTS;
    ps_pixie_query q = {query, 1, 77};
    o.steps = STEPS;
    o.n_v = 0;
    assert_int_equal(ps_pixie_new(&p, &gen.graph, o), PS_OK);
    assert_int_equal(ps_pixie_related(p, &q, 1, found, N, &n, NULL), PS_OK);
    ps_pixie_free(p);
    memset(visits, 0, N * sizeof *visits);
    for (uint32_t i = 0; i < n; i++)
        visits[found[i].row] = (double)found[i].score;
    return n;
}

static void check_inputs(const ps_blend *b, uint32_t query, const double *visits)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t r = b->row[i];
        const float *x = b->x + (size_t)i * b->model.n;
        assert_near(x[PS_BLEND_SIMILARITY], ps_dot_plain(z + query * E, source.z, r),
                    1e-5);
        assert_near(x[PS_BLEND_VISITS], log(1 + visits[r]), 1e-5);
        assert_true(x[PS_BLEND_UNVISITED] == (visits[r] > 0 ? 0.f : 1.f));
        assert_near(x[PS_BLEND_DEGREE], log(1. + ps_csr_degree(&gen.graph.pin_boards, r)),
                    1e-5);
        assert_near(x[PS_BLEND_COSINES], plain_cosine(visual, query, r), 2e-3);
        assert_near(x[PS_BLEND_COSINES + 1], plain_cosine(visual, query, r), 1e-5);
    }
}

/* Boards that two pins share, counted one by one; and what each says. */
static uint32_t shared_boards(uint32_t a, uint32_t b, double *walk)
{
    const ps_csr *m = &gen.graph.pin_boards;
    uint32_t n = 0;
    *walk = 0;
    for (uint32_t i = 0; i < ps_csr_degree(m, a); i++) {
        uint32_t board = ps_csr_row(m, a)[i];
        if (!ps_csr_has(m, b, board))
            continue;
        n++;
        *walk += 1. / ps_csr_degree(&gen.graph.board_pins, board) / ps_csr_degree(m, a);
    }
    return n;
}

/* Pins on more boards than this one. */
static uint32_t more_popular(uint32_t row)
{
    const ps_csr *m = &gen.graph.pin_boards;
    uint32_t n = 0;
    for (uint32_t r = 0; r < N; r++)
        n += ps_csr_degree(m, r) > ps_csr_degree(m, row);
    return n;
}

static void candidates_are_the_near_and_the_visited_with_every_input(void **state)
{
    (void)state;
    static double visits[N];
    static ps_scored walked[N];
    ps_blend *b;
    assert_int_equal(ps_blend_new(&b, &source, &model, NULL), PS_OK);
    for (uint32_t query = 0; query < N; query += 7) {
        char want[N] = {0};
        uint32_t n = find_near(query), found = walk_all(query, visits, walked), all = 0;
        assert_int_equal(blend_gather(b, query, 77, near, n), PS_OK);
        for (uint32_t i = 0; i < n; i++)
            want[near[i].row] = 1;
        for (uint32_t i = 0; i < found && i < C; i++)
            want[walked[i].row] = 1;
        for (uint32_t i = 0; i < b->n; i++) {
            double walk;
            uint32_t r = b->row[i], both = shared_boards(query, r, &walk);
            const float *x = b->x + (size_t)i * b->model.n;
            /* Who is neither near nor visited shares a board, or is popular. */
            assert_true(r != query && (want[r] || both || more_popular(r) < 50));
            want[r] = 0;
            assert_true(x[PS_BLEND_APART] == (both ? 0.f : 1.f));
            assert_near(x[PS_BLEND_WALK], log((walk + 1e-5) / 1e-5), 1e-3);
        }
        for (uint32_t r = 0; r < N; r++)
            all += want[r] != 0;
        assert_int_equal(all, 0);
        check_inputs(b, query, visits);
    }
    ps_blend_free(b);
}

static void the_ranking_is_by_the_weighted_sum(void **state)
{
    (void)state;
    ps_blend *b;
    ps_scored out[10 * C + 50];
    uint32_t found;
    assert_int_equal(ps_blend_new(&b, &source, &model, NULL), PS_OK);
    uint32_t n = find_near(3);
    assert_int_equal(ps_blend_related(b, 3, 77, near, n, out, 10 * C + 50, &found),
                     PS_OK);
    assert_int_equal(found, b->n);
    for (uint32_t i = 0; i < found; i++) {
        assert_int_not_equal(out[i].row, 3);
        assert_true(i == 0 || out[i - 1].score >= out[i].score);
        for (uint32_t c = 0; c < b->n; c++) {
            double sum = 0;
            for (uint32_t k = 0; k < b->model.n; k++)
                sum += model.weight[k] * (double)b->x[c * b->model.n + k];
            if (b->row[c] == out[i].row)
                assert_near(out[i].score, sum, 1e-5);
        }
    }
    ps_scored few[5];
    assert_int_equal(ps_blend_related(b, 3, 77, near, n, few, 5, &found), PS_OK);
    assert_int_equal(found, 5);
    assert_memory_equal(few, out, sizeof few);
    ps_blend_free(b);
}

static void no_near_pins_and_no_edges_are_fine(void **state)
{
    (void)state;
    ps_blend *b;
    ps_scored out[10 * C + 50];
    uint32_t found, isolated = N;
    assert_int_equal(ps_blend_new(&b, &source, &model, NULL), PS_OK);
    for (uint32_t r = 0; r < N; r++)
        if (!ps_csr_degree(&gen.graph.pin_boards, r))
            isolated = r;
    assert_true(isolated < N);
    assert_int_equal(ps_blend_related(b, isolated, 1, NULL, 0, out, 10 * C + 50, &found),
                     PS_OK);
    assert_int_equal(found, 50); /* what is popular */
    uint32_t n = find_near(isolated);
    assert_int_equal(ps_blend_related(b, isolated, 1, near, n, out, 10 * C + 50, &found),
                     PS_OK);
    assert_in_range(found, C, C + 50);
    ps_blend_free(b);
}

static void nearest_are_sorted_ties_by_row_without_the_query(void **state)
{
    (void)state;
    const float scores[6] = {-1, 3, -2, 3, 9, -.5f};
    ps_scored out[6];
    assert_int_equal(blend_nearest(scores, 6, 4, 4, out), 4);
    const uint32_t want[4] = {1, 3, 5, 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(out[i].row, want[i]);
    assert_int_equal(blend_nearest(scores, 6, 4, 6, out), 5);
}

static void a_missing_block_is_refused_in_words(void **state)
{
    (void)state;
    ps_blend *b;
    ps_why why = {0};
    ps_blend_model other = model;
    strcpy(other.block[0], "gone");
    assert_int_equal(ps_blend_new(&b, &source, &other, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "gone"));
    other = model;
    other.candidates = 0;
    assert_int_equal(ps_blend_new(&b, &source, &other, &why), PS_EINVAL);
}

/* ------------------------------ The manifest ------------------------------- */

static void weights_come_back_from_the_manifest(void **state)
{
    (void)state;
    ps_blend_report r = {.model = model, .covered = .5};
    ps_blend_model back;
    ps_why why = {0};
    gen.manifest = ps_manifest_new();
    gen.embeddings = (ps_npy){.rows = N, .cols = E};
    assert_int_equal(ps_blend_load(&back, &gen, &why), PS_EUNSUPPORTED);
    r.ahead.hit_rate[1] = (ps_interval){.1, .05, .15};
    ps_blend_note(gen.manifest, &r, "00000000000000aa");
    assert_int_equal(ps_blend_load(&back, &gen, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "00000000000000aa"));
    ps_manifest_set_text(gen.manifest, "embeddings.model", "00000000000000aa");
    assert_int_equal(ps_blend_load(&back, &gen, &why), PS_OK);
    assert_memory_equal(&back, &model, sizeof back);
    assert_near(ps_manifest_real(gen.manifest, "blend.valid.ahead.hit_100.2", 0), .15,
                1e-9);
    ps_manifest_remove(gen.manifest, "blend.weights.cosine.annotation");
    assert_int_equal(ps_blend_load(&back, &gen, &why), PS_OK);
    assert_int_equal(back.n, PS_BLEND_COSINES + 1);
    assert_string_equal(back.block[0], "visual");
    assert_near(back.weight[PS_BLEND_COSINES], .75, 0);
    ps_manifest_free(gen.manifest);
    gen.manifest = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_are_the_near_and_the_visited_with_every_input),
        cmocka_unit_test(the_ranking_is_by_the_weighted_sum),
        cmocka_unit_test(no_near_pins_and_no_edges_are_fine),
        cmocka_unit_test(nearest_are_sorted_ties_by_row_without_the_query),
        cmocka_unit_test(a_missing_block_is_refused_in_words),
        cmocka_unit_test(weights_come_back_from_the_manifest),
    };
    return cmocka_run_group_tests(tests, make_all, drop_all);
}
