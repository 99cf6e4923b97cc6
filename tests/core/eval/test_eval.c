/* test_eval.c - exact ranks of every method, against a slow ranking by comparison.
 *
 * The generation is made in memory: a graph of degrees, two blocks, embeddings.
 *
 * Threads: evaluations with one and with three must agree to the last bit.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/eval/inside.h"
#include "pinsage/buf.h"
#include "pinsage/dot.h"
#include "pinsage/eval.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "tests/support/kills.h"

#define assert_near(got, want, room) assert_true(fabs((got) - (want)) <= (room))

enum { N = 300, D = 20, E = 9, PAIRS = 900 };

static uint64_t indptr[N + 1];
static float visual[N * D], embeddings[N * E];
static uint16_t extra[N * D];
static ps_block blocks[2] = {
    {"extra", {.dtype = PS_F16, .ndim = 2, .rows = N, .cols = D, .data = extra}},
    {"visual", {.dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = visual}},
};
static uint32_t pair[PAIRS][2];
static const ps_pairs pairs = {.pair = pair, .n = PAIRS};
static ps_generation gen;

/* Numbers of few values and copied rows, so that scores tie; some rows are zero. */
static int make_generation(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(11, 0);
    for (size_t i = 0; i < N * D; i++)
        visual[i] = (float)ps_rng_below(&rng, 5) - 2;
    for (size_t r = 0; r < N; r += 10)
        memcpy(visual + r * D, visual + (r / 2) * D, D * sizeof *visual);
    memset(visual + 17 * D, 0, D * sizeof *visual);
    memset(visual + 18 * D, 0, D * sizeof *visual);
    ps_f32_to_f16(visual, extra, N * D);
    for (size_t i = 0; i < N * E; i++)
        embeddings[i] = ps_rng_unit(&rng) - .5f;
    for (size_t r = 0; r < N; r++)
        indptr[r + 1] = indptr[r] + ps_rng_below(&rng, 12);
    for (size_t i = 0; i < PAIRS; i++) {
        pair[i][0] = (uint32_t)ps_rng_below(&rng, 80) * 3;
        pair[i][1] = (uint32_t)ps_rng_below(&rng, N);
    }
    gen = (ps_generation){
        .manifest = ps_manifest_new(),
        .n_pins = N,
        .graph.pin_boards = {.rows = N, .edges = indptr[N], .indptr = indptr},
        .n_blocks = 2,
        .blocks = blocks,
        .embeddings = {
            .dtype = PS_F32, .ndim = 2, .rows = N, .cols = E, .data = embeddings}};
    return gen.manifest ? 0 : -1;
}

static int drop_generation(void **state)
{
    (void)state;
    ps_manifest_free(gen.manifest);
    return 0;
}

static void evaluate(ps_eval_report *report, const char *methods, unsigned threads)
{
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_why why = {0};
    opts.methods = methods;
    opts.threads = threads;
    opts.bootstraps = 200;
    int err = ps_eval(&gen, &pairs, &opts, report, NULL, &why);
    if (err)
        fail_msg("%s", why.text);
}

/* ------------------------------ Ranks -------------------------------------- */

static void ties_share_their_average_rank(void **state)
{
    (void)state;
    /* degrees 3 1 3 0 3: for query 0 the others rank 2,4 before 1 before 3 */
    static const uint64_t ends[6] = {0, 3, 4, 7, 7, 10};
    static uint32_t few[5][2] = {{0, 2}, {0, 1}, {0, 3}, {3, 0}, {3, 3}};
    ps_generation g = {.n_pins = 5, .graph.pin_boards = {5, 10, ends, NULL}};
    ps_pairs p = {.pair = few, .n = 5};
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_eval_report r;
    opts.methods = "popular";
    assert_int_equal(ps_eval(&g, &p, &opts, &r, NULL, NULL), PS_OK);
    const float want[5] = {1.5f, 3, 4, 2, 0};
    assert_memory_equal(r.result[0].rank, want, sizeof want);
    assert_int_equal(r.pairs, 4);
    assert_int_equal(r.left_out.self, 1);
    assert_int_equal(r.queries, 2);
    ps_eval_report_done(&r);
}

/* Score by the definition of a method, in double precision. */
static double plain_score(const char *method, uint32_t q, uint32_t r)
{
    if (!strcmp(method, "popular"))
        return (double)(indptr[r + 1] - indptr[r]);
    int content = strcmp(method, "embeddings") != 0;
    size_t dim = content ? D : E;
    const float *m = content ? visual : embeddings;
    ps_rows rows = {m, dim, 0};
    double norm = ps_dot_plain(m + r * dim, rows, r), score;
    if (norm <= 0)
        return -1e9; /* no vector: below all that have one */
    score = ps_dot_plain(m + q * dim, rows, r);
    return content ? score / sqrt(norm) : score;
}

static double plain_rank(const char *method, uint32_t q, uint32_t related)
{
    double rank = 1, x = plain_score(method, q, related);
    for (uint32_t r = 0; r < N; r++) {
        double y = plain_score(method, q, r);
        if (r != q && r != related)
            rank += fabs(y - x) < 1e-6 ? .5 : y > x;
    }
    return rank;
}

static void every_rank_is_the_one_of_the_slow_ranking(void **state)
{
    (void)state;
    ps_eval_report report;
    evaluate(&report, "visual, embeddings,popular,extra", 2);
    assert_int_equal(report.n, 4);
    for (size_t m = 0; m < report.n; m++)
        for (size_t i = 0; i < PAIRS; i++) {
            double got = (double)report.result[m].rank[i];
            if (pair[i][0] == pair[i][1])
                assert_true(got == 0);
            else
                assert_near(got,
                            plain_rank(report.result[m].method, pair[i][0], pair[i][1]),
                            .75); /* rounding may part a tie of two */
        }
    ps_eval_report_done(&report);
}

static void the_number_of_threads_changes_nothing(void **state)
{
    (void)state;
    ps_eval_report one, three;
    evaluate(&one, "visual,extra,popular", 1);
    evaluate(&three, "visual,extra,popular", 3);
    for (size_t m = 0; m < 3; m++) {
        const ps_eval_result *a = &one.result[m], *b = &three.result[m];
        assert_memory_equal(a->rank, b->rank, PAIRS * sizeof *a->rank);
        assert_memory_equal(&a->all, &b->all, sizeof a->all);
        assert_memory_equal(a->bucket, b->bucket, sizeof a->bucket);
    }
    ps_eval_report_done(&one);
    ps_eval_report_done(&three);
}

/* ------------------------------ Buckets ------------------------------------ */

static void buckets_part_the_queries_and_add_up_to_the_whole(void **state)
{
    (void)state;
    ps_eval_report r;
    evaluate(&r, "visual", 2);
    const ps_eval_result *m = &r.result[0];
    double hits = 0, mrr = 0;
    uint64_t n_pairs = 0, queries = 0;
    for (size_t b = 0; b < 3; b++) {
        const ps_measures *s = &m->bucket[b];
        n_pairs += s->pairs;
        queries += s->queries;
        hits += s->hit_rate[1].mean * (double)s->pairs;
        mrr += s->mrr.mean * (double)s->pairs;
    }
    assert_int_equal(n_pairs, r.pairs);
    assert_int_equal(queries, r.queries);
    assert_near(hits, m->all.hit_rate[1].mean * (double)r.pairs, 1e-6);
    assert_near(mrr, m->all.mrr.mean * (double)r.pairs, 1e-6);
    ps_eval_report_done(&r);
}

static void bucket_edges_are_the_quarter_and_the_tenth_of_connected_pins(void **state)
{
    (void)state;
    ps_eval_report r;
    evaluate(&r, "popular", 1);
    uint32_t connected = 0, below[2] = {0, 0};
    for (size_t p = 0; p < N; p++) {
        uint64_t d = indptr[p + 1] - indptr[p];
        connected += d > 0;
        for (size_t e = 0; e < 2; e++)
            below[e] += d > 0 && d < r.bucket_edge[e];
    }
    assert_true(4 * below[0] >= connected);
    assert_true(10 * below[1] <= 9 * connected);
    assert_true(r.bucket_edge[0] < r.bucket_edge[1]);
    ps_eval_report_done(&r);
}

/* ------------------------------ Input -------------------------------------- */

static int refused(const char *methods, ps_why *why)
{
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_eval_report r;
    opts.methods = methods;
    int err = ps_eval(&gen, &pairs, &opts, &r, NULL, why);
    ps_eval_report_done(&r);
    return err;
}

static void an_unknown_method_is_refused_with_the_list(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(refused("visual,pixy", &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "\"pixy\""));
    assert_non_null(strstr(why.text, "extra, pixie, pixie-corrected, popular"));
    assert_int_equal(refused(" , ", &why), PS_EINVAL);
}

static void a_method_without_its_data_is_refused_when_asked_for(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(refused("annotation", &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "no such feature block"));
    assert_int_equal(refused("pinsage", &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "imported"));
}

static void embeddings_of_a_model_are_called_pinsage(void **state)
{
    (void)state;
    ps_why why;
    ps_eval_report r;
    ps_manifest_set_text(gen.manifest, "embeddings.model", "0123456789abcdef");
    evaluate(&r, "pinsage", 1);
    assert_string_equal(r.result[0].method, "pinsage");
    ps_eval_report_done(&r);
    assert_int_equal(refused("embeddings", &why), PS_EUNSUPPORTED);
    ps_manifest_remove(gen.manifest, "embeddings.model");
}

static void bad_cuts_and_pairs_are_refused(void **state)
{
    (void)state;
    ps_eval_report r;
    ps_why why;
    ps_eval_opts opts = ps_cli_eval_defaults();
    opts.methods = "popular";
    opts.cut[2] = 0;
    assert_int_equal(ps_eval(&gen, &pairs, &opts, &r, NULL, &why), PS_EINVAL);
    opts.n_cuts = 0;
    assert_int_equal(ps_eval(&gen, &pairs, &opts, &r, NULL, &why), PS_EINVAL);
    opts.n_cuts = 2;
    uint32_t self[1][2] = {{4, 4}}, past[1][2] = {{0, N}};
    ps_pairs bad = {.pair = self, .n = 1};
    assert_int_equal(ps_eval(&gen, &bad, &opts, &r, NULL, &why), PS_EINVAL);
    bad.pair = past;
    assert_int_equal(ps_eval(&gen, &bad, &opts, &r, NULL, &why), PS_ERANGE);
}

static void a_listener_can_stop_it(void **state)
{
    (void)state;
    moment first = {.nth = 1};
    ps_progress progress = stop_at(&first);
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_eval_report r;
    opts.methods = "visual";
    opts.threads = 1;
    int err = ps_eval(&gen, &pairs, &opts, &r, &progress, NULL);
    assert_int_equal(err, PS_ECANCELLED);
    assert_int_equal(first.heard, 1);
    ps_eval_report_done(&r);
}

/* ------------------------------ Two methods -------------------------------- */

static ps_measures difference(const ps_eval_report *r, size_t a, size_t b)
{
    groups g;
    ps_workers *workers;
    ps_measures d;
    paired_opts o = {r->cut, r->n_cuts, 1000, 1};
    assert_int_equal(ps_workers_new(&workers, 2), PS_OK);
    assert_int_equal(groups_make(&g, &pairs), PS_OK);
    assert_int_equal(
        paired_scores(&g, r->result[a].rank, r->result[b].rank, &o, workers, &d), PS_OK);
    groups_done(&g);
    ps_workers_free(workers);
    return d;
}

static void a_method_does_not_differ_from_itself(void **state)
{
    (void)state;
    ps_eval_report r;
    evaluate(&r, "visual,popular", 1);
    ps_measures d = difference(&r, 0, 0);
    assert_true(d.mrr.low == 0 && d.mrr.mean == 0 && d.mrr.high == 0);
    assert_int_equal(d.pairs, r.pairs);
    ps_eval_report_done(&r);
}

static void a_difference_is_the_one_of_the_means(void **state)
{
    (void)state;
    ps_eval_report r;
    evaluate(&r, "visual,popular", 1);
    const ps_measures *a = &r.result[0].all, *b = &r.result[1].all;
    ps_measures d = difference(&r, 0, 1), back = difference(&r, 1, 0);
    assert_near(d.hit_rate[3].mean, a->hit_rate[3].mean - b->hit_rate[3].mean, 1e-12);
    assert_near(d.recall[0].mean, a->recall[0].mean - b->recall[0].mean, 1e-12);
    assert_near(d.mrr.low, -back.mrr.high, 1e-12);
    assert_true(d.mrr.low < d.mrr.mean && d.mrr.mean < d.mrr.high);
    ps_eval_report_done(&r);
}

/* ------------------------------ Report ------------------------------------- */

static void the_json_holds_the_figures(void **state)
{
    (void)state;
    ps_eval_report r;
    ps_buf text = {0};
    double rate, low, high;
    const char *name;
    json_int_t n, cold, warm, hub;
    evaluate(&r, "visual,popular", 2);
    ps_eval_json(&r, NULL, &text);
    json_t *j = json_loadb(text.data, text.size, 0, NULL);
    assert_non_null(j);
    int err = json_unpack(
        j, "{s:I, s:[{s:s, s:{s:F}, s:{s:{s:[FF]}}, s:{s:{s:I}, s:{s:I}, s:{s:I}}}, {}]}",
        "pairs", &n, "methods", "method", &name, "hit_rate", "50", &rate, "ci", "recall",
        "500", &low, &high, "buckets", "cold", "pairs", &cold, "warm", "pairs", &warm,
        "hub", "pairs", &hub);
    assert_int_equal(err, 0);
    assert_int_equal(n, r.pairs);
    assert_int_equal(cold + warm + hub, n);
    assert_string_equal(name, "visual");
    assert_near(rate, r.result[0].all.hit_rate[1].mean, 1e-5);
    assert_near(low, r.result[0].all.recall[3].low, 1e-5);
    assert_near(high, r.result[0].all.recall[3].high, 1e-5);
    json_decref(j);
    ps_buf_done(&text);
    ps_eval_report_done(&r);
}

static void the_table_has_a_line_for_each_method_and_bucket(void **state)
{
    (void)state;
    ps_eval_report r;
    ps_buf text = {0};
    evaluate(&r, "visual,popular", 2);
    ps_eval_table(&r, &text);
    int lines = 0;
    for (const char *at = text.data; (at = strstr(at, "\npopular ")); at++)
        lines++;
    assert_int_equal(lines, 5); /* all, three buckets, and one against the first */
    assert_non_null(strstr(text.data, "hr@500"));
    assert_non_null(strstr(text.data, "hub: queries on"));
    ps_buf_done(&text);
    ps_eval_report_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_share_their_average_rank),
        cmocka_unit_test(every_rank_is_the_one_of_the_slow_ranking),
        cmocka_unit_test(the_number_of_threads_changes_nothing),
        cmocka_unit_test(buckets_part_the_queries_and_add_up_to_the_whole),
        cmocka_unit_test(bucket_edges_are_the_quarter_and_the_tenth_of_connected_pins),
        cmocka_unit_test(an_unknown_method_is_refused_with_the_list),
        cmocka_unit_test(a_method_without_its_data_is_refused_when_asked_for),
        cmocka_unit_test(embeddings_of_a_model_are_called_pinsage),
        cmocka_unit_test(bad_cuts_and_pairs_are_refused),
        cmocka_unit_test(a_listener_can_stop_it),
        cmocka_unit_test(a_method_does_not_differ_from_itself),
        cmocka_unit_test(a_difference_is_the_one_of_the_means),
        cmocka_unit_test(the_json_holds_the_figures),
        cmocka_unit_test(the_table_has_a_line_for_each_method_and_bucket),
    };
    return cmocka_run_group_tests(tests, make_generation, drop_generation);
}
