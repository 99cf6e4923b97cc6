/* test_engine_recommend.c - recommend against the slowest code: sums, filters, diversity.
 *
 * Threads: one, and the writer's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

enum { WIDE = 40 }; /* more than any dimension here */

static life known;

/* A catalog with live pins, replaced ones and deleted ones. */
static int make(void **state)
{
    uint64_t rng = 8;
    (void)state;
    life_make("recommend", &known);
    life_start();
    for (int i = 0; i < 80; i++)
        life_random(&known, &rng);
    life_settle();
    ps_reader_begin(life_reader);
    return 0;
}

static int end(void **state)
{
    (void)state;
    life_stop();
    return 0;
}

/* ------------------------------ The oracle --------------------------------- */

static double dot(const double *a, const double *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += a[i] * b[i];
    return sum;
}

static void vector_of(const method *m, uint32_t row, bool unit, double *out)
{
    float room[WIDE];
    const float *v = engine_vector(life_reader, m, row, room);
    for (size_t i = 0; i < m->array->cols; i++)
        out[i] = v[i];
    double norm = sqrt(dot(out, out, m->array->cols));
    for (size_t i = 0; i < m->array->cols && unit && norm > 0; i++)
        out[i] /= norm;
}

/* q += weight v */
static void add(double *q, const double *v, double weight, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        q[i] += weight * v[i];
}

static bool taken(const ps_recommend *q, uint32_t row, const method *m, double *query)
{
    bool hidden = false;
    for (uint32_t i = 0; i < q->n_positive + q->n_negative; i++) {
        bool more = i < q->n_positive;
        const ps_example *x = more ? &q->positive[i] : &q->negative[i - q->n_positive];
        uint32_t at;
        double v[WIDE];
        if (!x->pin.data) {
            for (size_t j = 0; j < x->dim; j++)
                v[j] = x->vector[j];
            double norm = sqrt(dot(v, v, x->dim));
            for (size_t j = 0; j < x->dim && m->cosine && norm > 0; j++)
                v[j] /= norm;
        } else if (ps_reader_find_pin(life_reader, x->pin, &at, NULL)) {
            continue;
        } else {
            vector_of(m, at, m->cosine, v);
            hidden = hidden || at == row;
        }
        if (query)
            add(query, v, more ? x->weight : -x->weight, m->array->cols);
    }
    return hidden;
}

typedef struct scored {
    uint32_t row;
    double score;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : (int)(x->row - y->row);
}

static bool on_board(const ps_recommend *q, uint32_t row)
{
    for (uint32_t i = 0; i < q->n_boards; i++) {
        uint32_t board;
        if (!ps_reader_find_board(life_reader, q->board[i], &board, NULL) &&
            ps_graph_has(ps_reader_graph(life_reader), row, board))
            return true;
    }
    return !q->n_boards;
}

static uint32_t rank_slowly(const ps_recommend *q, const method *m, scored *out)
{
    double query[WIDE] = {0}, v[WIDE];
    size_t dim = m->array->cols;
    const ps_view *view = ps_engine_view(life_engine);
    uint32_t n = 0;
    taken(q, PS_NO_ROW, m, query);
    double length = m->cosine ? sqrt(dot(query, query, dim)) : 1;
    for (uint32_t row = 0; row < ps_view_rows(view); row++) {
        vector_of(m, row, m->cosine, v);
        if (ps_view_alive(view, &life_reader->snap, row) && on_board(q, row) &&
            !taken(q, row, m, NULL) && dot(v, v, dim) > 0)
            out[n++] = (scored){row, dot(query, v, dim) / length};
    }
    qsort(out, n, sizeof *out, by_score);
    return n;
}

/* Maximal marginal relevance, all over again for each pick. */
static uint32_t pick_slowly(const method *m, scored *list, uint32_t n, uint32_t k,
                            double diversity)
{
    double best_score = list[0].score > 0 ? list[0].score : 1;
    for (uint32_t at = 0; at < k && at < n; at++) {
        uint32_t best = at;
        double most = -INFINITY;
        for (uint32_t i = at; i < n; i++) {
            double v[WIDE], other[WIDE], like = 0;
            vector_of(m, list[i].row, true, v);
            for (uint32_t j = 0; j < at; j++) {
                vector_of(m, list[j].row, true, other);
                like = fmax(like, dot(v, other, m->array->cols));
            }
            double worth =
                (1 - diversity) * list[i].score / best_score - diversity * like;
            if (worth > most + 1e-9) {
                most = worth;
                best = i;
            }
        }
        scored picked = list[best];
        memmove(list + at + 1, list + at, (best - at) * sizeof *list);
        list[at] = picked;
    }
    return n < k ? n : k;
}

/* ------------------------------ Questions ---------------------------------- */

static ps_text room[PS_EXAMPLES_MAX];

static int ask(const ps_recommend *q, ps_recommended *out, ps_why *why)
{
    *out = (ps_recommended){.missing = room};
    return ps_reader_recommend(life_reader, q, out, why);
}

static void check(const ps_recommend *q)
{
    ps_why why = {0};
    ps_recommended t;
    scored want[LIFE_PINS + 10];
    const method *m = engine_find_method(life_engine, q->method);
    must(ask(q, &t, &why), &why);
    uint32_t n = rank_slowly(q, m, want);
    uint32_t wide = q->diversity > 0 ? 4 * q->k : q->k;
    n = n < wide ? n : wide;
    if (q->diversity > 0)
        n = pick_slowly(m, want, n, q->k, (double)q->diversity);
    assert_int_equal(t.ranking.n, n < q->k ? n : q->k);
    for (uint32_t i = 0; i < t.ranking.n; i++) {
        assert_true(fabs(t.ranking.result[i].score - want[i].score) < 1e-4);
        for (uint32_t j = 0; j < i; j++)
            assert_true(t.ranking.result[i].row != t.ranking.result[j].row);
    }
}

static char names[8][16];

/* Examples that are there, with random weights; one of them a vector. */
static void random_examples(uint64_t *rng, ps_example *x, float *vector, uint32_t dim)
{
    for (int i = 0; i < 8; i++) {
        uint32_t row;
        do
            snprintf(names[i], sizeof names[i], "p%u",
                     (uint32_t)ps_rng_below(rng, LIFE_PINS));
        while (ps_reader_find_pin(life_reader, ps_text_of(names[i]), &row, NULL));
        x[i] =
            (ps_example){.pin = ps_text_of(names[i]), .weight = .2f + ps_rng_unit(rng)};
    }
    for (uint32_t i = 0; i < dim; i++)
        vector[i] = ps_rng_unit(rng) - .5f;
    x[2] = (ps_example){.vector = vector, .dim = dim, .weight = .7f};
}

/* ------------------------------ Tests -------------------------------------- */

static void weights_negatives_vectors_boards_and_diversity(void **state)
{
    (void)state;
    uint64_t rng = 4;
    const char *const method_name[] = {NULL, "visual", "annotation"};
    ps_text boards[] = {ps_text_of("b1"), ps_text_of("b4"), ps_text_of("b7")};
    for (int i = 0; i < 90; i++) {
        ps_example x[8];
        float vector[WIDE];
        const char *name = method_name[i % 3];
        ps_recommend q = {.positive = x,
                          .n_positive = 3 + (uint32_t)ps_rng_below(&rng, 2),
                          .n_boards = (uint32_t)ps_rng_below(&rng, 4),
                          .board = boards,
                          .diversity = i % 2 ? 0 : .1f * (float)ps_rng_below(&rng, 11),
                          .k = 1 + (uint32_t)ps_rng_below(&rng, 15)};
        if (name)
            q.method = ps_text_of(name);
        q.negative = x + q.n_positive;
        q.n_negative = (uint32_t)ps_rng_below(&rng, 4);
        random_examples(&rng, x, vector,
                        (uint32_t)engine_find_method(life_engine, q.method)->array->cols);
        check(&q);
    }
}

static void a_missing_example_is_an_error_or_left_out_and_named(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_recommended t;
    ps_example x[] = {{.pin = ps_text_of("p1"), .weight = 1},
                      {.pin = ps_text_of("nobody"), .weight = 1},
                      {.pin = ps_text_of("no one"), .weight = 1}};
    uint32_t row;
    if (ps_reader_find_pin(life_reader, ps_text_of("p1"), &row, NULL))
        x[0].pin = ps_text_of("p2");
    ps_recommend q = {
        .positive = x, .n_positive = 2, .negative = x + 2, .n_negative = 1, .k = 5};
    assert_int_equal(ask(&q, &t, &why), PS_ENOENT);
    assert_string_equal(why.text, "positives[1]: there is no pin \"nobody\"");
    q.n_positive = 1;
    assert_int_equal(ask(&q, &t, &why), PS_ENOENT);
    assert_string_equal(why.text, "negatives[0]: there is no pin \"no one\"");
    q.n_positive = 2;
    q.skip_missing = true;
    assert_int_equal(ask(&q, &t, &why), PS_OK);
    assert_int_equal(t.n_missing, 2);
    assert_true(t.missing[0].data == x[1].pin.data && t.missing[1].data == x[2].pin.data);
    assert_int_equal(t.ranking.n, 5);
    check(&q);
}

static void errors_name_the_field(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_recommended t;
    float v[3] = {1, 2, 3};
    ps_example x[] = {{.pin = ps_text_of("p3"), .weight = 1},
                      {.vector = v, .dim = 3, .weight = 1}};
    ps_recommend q = {.positive = x,
                      .n_positive = 1,
                      .negative = x + 1,
                      .n_negative = 1,
                      .k = 5,
                      .skip_missing = true};
    assert_int_equal(ask(&q, &t, &why), PS_EINVAL);
    assert_string_equal(why.text,
                        "negatives[0].vector: 3 numbers, method \"pinsage\" has 9");
    q.method = ps_text_of("pixie");
    assert_int_equal(ask(&q, &t, &why), PS_EINVAL);
    assert_string_equal(why.text,
                        "negatives[0].vector: walks begin at pins, not at vectors");
    q.method = ps_text_of("magic");
    assert_int_equal(ask(&q, &t, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "no method \"magic\"; there are pinsage"));
    ps_text board = ps_text_of("no board");
    q = (ps_recommend){
        .positive = x, .n_positive = 1, .board = &board, .n_boards = 1, .k = 5};
    assert_int_equal(ask(&q, &t, &why), PS_ENOENT);
    assert_string_equal(why.text, "there is no board \"no board\"");
}

/* A query that comes to nothing: popular pins, and it says so; never a score that is no
 * number. */
static void a_recommendation_from_nothing_falls_back_to_what_is_popular(void **state)
{
    (void)state;
    const char *const method_name[] = {"pinsage", "visual", "pixie"};
    ps_text board = ps_text_of("b1");
    for (uint32_t i = 0; i < 12; i++) {
        ps_why why = {0};
        ps_recommended t;
        ps_example x[] = {{.pin = ps_text_of("p3"), .weight = 1},
                          {.pin = ps_text_of("p3"), .weight = 1}};
        ps_recommend q = {.positive = x,
                          .n_positive = 1,
                          .negative = x + 1,
                          .n_negative = 1,
                          .board = &board,
                          .n_boards = i / 3 % 2,
                          .skip_missing = true,
                          .k = 3,
                          .method = ps_text_of(method_name[i % 3])};
        if (i >= 6)
            x[0].pin = x[1].pin = ps_text_of("nobody");
        must(ask(&q, &t, &why), &why);
        if (i % 3 == 2 && i < 6)
            continue; /* walks from one pin twice are two different walks */
        assert_string_equal(t.ranking.method, "popular");
        assert_int_equal(t.ranking.source, PS_FALLBACK);
        assert_int_equal(t.ranking.n, 3);
        for (uint32_t j = 0; j < t.ranking.n; j++)
            assert_true(isfinite(t.ranking.result[j].score));
    }
}

static void excluded_pins_and_examples_are_not_in_the_answer(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_recommended t;
    ps_text exclude[4];
    char id[4][16];
    ps_example x = {.pin = ps_text_of("p3"), .weight = 1};
    const char *const method_name[] = {"pinsage", "pixie", "popular", "visual"};
    for (int i = 0; i < 4; i++) {
        ps_recommend q = {.positive = &x,
                          .n_positive = 1,
                          .k = 4,
                          .method = ps_text_of(method_name[i])};
        must(ask(&q, &t, &why), &why);
        assert_in_range(t.ranking.n, 1, 4);
        uint32_t gone[4], n = t.ranking.n;
        for (uint32_t j = 0; j < n; j++) {
            ps_pin pin;
            gone[j] = t.ranking.result[j].row;
            assert_int_equal(ps_reader_pin(life_reader, gone[j], &pin), PS_OK);
            snprintf(id[j], sizeof id[j], "%.*s", (int)pin.id.len, pin.id.data);
            exclude[j] = ps_text_of(id[j]);
        }
        q.exclude = exclude;
        q.n_exclude = n;
        must(ask(&q, &t, &why), &why);
        for (uint32_t j = 0; j < t.ranking.n; j++)
            for (uint32_t g = 0; g < n; g++)
                assert_true(t.ranking.result[j].row != gone[g]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_negatives_vectors_boards_and_diversity),
        cmocka_unit_test(a_missing_example_is_an_error_or_left_out_and_named),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(a_recommendation_from_nothing_falls_back_to_what_is_popular),
        cmocka_unit_test(excluded_pins_and_examples_are_not_in_the_answer),
    };
    return cmocka_run_group_tests(tests, make, end);
}
