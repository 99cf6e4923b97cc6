/* test_skipgram.c - one step against its formulas, training against what it should
 * learn, and the same vectors from any number of threads. */
#include "core/annotate/skipgram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/annotate/skipgram_kernel.h"
#include "pinsage/err.h"
#include "pinsage/rng.h"

/* ------------------------------ One step ---------------------------------- */

enum { STRIDE = 40, TARGETS = 7 };

typedef struct setup {
    float word[STRIDE], target[TARGETS][STRIDE];
    ps_targets t;
} setup;

static void fill(setup *s, uint64_t seed, float scale)
{
    uint64_t rng = seed;
    for (size_t d = 0; d < STRIDE; d++)
        s->word[d] = scale * (ps_rng_unit(&rng) - 0.5f);
    s->t.n = TARGETS;
    for (size_t i = 0; i < TARGETS; i++) {
        s->t.vector[i] = s->target[i];
        for (size_t d = 0; d < STRIDE; d++)
            s->target[i][d] = scale * (ps_rng_unit(&rng) - 0.5f);
    }
}

/* -log s(w.t0) - sum log s(-w.ti), in double precision. */
static double loss_of(const setup *s)
{
    double loss = 0;
    for (size_t i = 0; i < TARGETS; i++) {
        double dot = 0;
        for (size_t d = 0; d < STRIDE; d++)
            dot += (double)s->word[d] * (double)s->target[i][d];
        loss += log1p(exp(i ? dot : -dot));
    }
    return loss;
}

/* Change of the loss with one number of the setup, by central differences. */
static double slope(setup *s, float *x)
{
    const float keep = *x, h = 1e-2f;
    *x = keep + h;
    double above = loss_of(s);
    *x = keep - h;
    double below = loss_of(s);
    *x = keep;
    return (above - below) / (2 * (double)h);
}

static void a_step_follows_the_gradient_of_the_loss(void **state)
{
    (void)state;
    setup before, after;
    fill(&before, 5, 1.0f);
    fill(&after, 5, 1.0f);
    const float rate = 0.01f;
    float loss = ps_skipgram_step(after.word, &after.t, STRIDE, rate);
    assert_true(fabs((double)loss - loss_of(&before)) < 0.01);
    for (size_t d = 0; d < STRIDE; d++) {
        double moved = (double)(after.word[d] - before.word[d]) / (double)rate;
        assert_true(fabs(moved + slope(&before, &before.word[d])) < 0.01);
        for (size_t i = 0; i < TARGETS; i++) {
            moved = (double)(after.target[i][d] - before.target[i][d]) / (double)rate;
            assert_true(fabs(moved + slope(&before, &before.target[i][d])) < 0.01);
        }
    }
}

static void the_wide_step_is_the_plain_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++) {
        setup wide, plain;
        float scale = (float)seed / 5;
        fill(&wide, seed, scale);
        fill(&plain, seed, scale);
        float a = ps_skipgram_step(wide.word, &wide.t, STRIDE, 0.1f);
        float b = ps_skipgram_step_plain(plain.word, &plain.t, STRIDE, 0.1f);
        /* A dot next to the border of two table entries may fall into either. */
        assert_true(fabsf(a - b) < 0.05f);
        for (size_t d = 0; d < STRIDE; d++) {
            assert_true(fabsf(wide.word[d] - plain.word[d]) < 2e-3f * (1 + scale));
            for (size_t i = 0; i < TARGETS; i++)
                assert_true(fabsf(wide.target[i][d] - plain.target[i][d]) <
                            2e-3f * (1 + scale));
        }
    }
}

static void dots_beyond_the_table_stay_finite(void **state)
{
    (void)state;
    setup s;
    fill(&s, 9, 100.0f);
    for (int i = 0; i < 100; i++)
        assert_true(isfinite(ps_skipgram_step(s.word, &s.t, STRIDE, 0.1f)));
    for (size_t d = 0; d < STRIDE; d++)
        assert_true(isfinite(s.word[d]));
}

/* ------------------------------ Training ---------------------------------- */

enum { TOPICS = 4, TOPIC_WORDS = 50, PINS = 1200, DIM = 20 };

static const ps_skipgram_opts opts = {.dim = DIM,
                                      .epochs = 5,
                                      .negatives = 5,
                                      .contexts = 5,
                                      .subsample = 1e-2f,
                                      .rate = 0.1f,
                                      .seed = 1};

/* Pins of ten words of one topic and two that all topics share. Pin 0 has a single word
 * and pin 1 none. */
static void make_texts(ps_texts *t)
{
    uint64_t rng = 11;
    char word[24];
    for (unsigned p = 0; p < PINS; p++) {
        assert_int_equal(ps_texts_pin(t), 0);
        for (unsigned i = 0; i < (p == 0 ? 1u : p == 1 ? 0u : 12u); i++) {
            unsigned w = (unsigned)ps_rng_below(&rng, TOPIC_WORDS);
            int len = i < 10 ? snprintf(word, sizeof word, "t%uw%u", p % TOPICS, w)
                             : snprintf(word, sizeof word, "s%u", w % 5);
            assert_int_equal(ps_texts_add(t, (ps_text){word, (size_t)len}), 0);
        }
    }
    assert_int_equal(ps_texts_finish(t, 2), 0);
}

static float *train(const ps_texts *t, ps_skipgram_opts o, unsigned threads, float *loss)
{
    ps_workers *workers;
    float *out = malloc((size_t)t->n_words * o.dim * sizeof *out);
    assert_int_equal(ps_workers_new(&workers, threads), 0);
    assert_int_equal(ps_skipgram(t, &o, workers, out, loss, NULL), 0);
    ps_workers_free(workers);
    return out;
}

static double cosine(const float *a, const float *b, size_t dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t d = 0; d < dim; d++) {
        ab += (double)a[d] * (double)b[d];
        aa += (double)a[d] * (double)a[d];
        bb += (double)b[d] * (double)b[d];
    }
    return ab / sqrt(aa * bb);
}

static unsigned topic_of(const ps_texts *t, uint32_t w)
{
    ps_text word = ps_lexicon_word(&t->lexicon, w);
    return word.data[0] == 't' ? (unsigned)(word.data[1] - '0') : TOPICS;
}

static void words_of_one_topic_come_to_lie_together(void **state)
{
    (void)state;
    ps_texts t = {0};
    float loss;
    make_texts(&t);
    float *v = train(&t, opts, 2, &loss);
    double same = 0, other = 0;
    size_t n_same = 0, n_other = 0;
    for (uint32_t a = 0; a < t.n_words; a++)
        for (uint32_t b = 0; b < a; b++) {
            if (topic_of(&t, a) == TOPICS || topic_of(&t, b) == TOPICS)
                continue;
            double c = cosine(v + (size_t)a * DIM, v + (size_t)b * DIM, DIM);
            if (topic_of(&t, a) == topic_of(&t, b)) {
                same += c;
                n_same++;
            } else {
                other += c;
                n_other++;
            }
        }
    same /= (double)n_same;
    other /= (double)n_other;
    print_message("# cosine within topics %.3f, across %.3f, loss %.3f\n", same, other,
                  (double)loss);
    assert_true(same > 0.7);
    assert_true(other < 0.3);
    assert_true(loss > 0 && (double)loss < 6 * log(2));
    free(v);
    ps_texts_done(&t);
}

static void any_number_of_threads_gives_the_same_vectors(void **state)
{
    (void)state;
    ps_texts t = {0};
    float loss[3];
    make_texts(&t);
    size_t size = (size_t)t.n_words * DIM * sizeof(float);
    float *one = train(&t, opts, 1, &loss[0]);
    float *two = train(&t, opts, 2, &loss[1]);
    float *five = train(&t, opts, 5, &loss[2]);
    assert_memory_equal(one, two, size);
    assert_memory_equal(one, five, size);
    assert_memory_equal(&loss[0], &loss[2], sizeof loss[0]);
    free(two);
    ps_skipgram_opts other = opts;
    other.seed = 2;
    two = train(&t, other, 1, &loss[1]);
    assert_int_not_equal(memcmp(one, two, size), 0);
    free(one);
    free(two);
    free(five);
    ps_texts_done(&t);
}

static void one_word_or_pins_of_one_word_are_no_trouble(void **state)
{
    (void)state;
    ps_texts t = {0};
    float loss = -1;
    for (int p = 0; p < 3; p++) {
        assert_int_equal(ps_texts_pin(&t), 0);
        assert_int_equal(ps_texts_add(&t, (ps_text){"same same", 9}), 0);
    }
    assert_int_equal(ps_texts_finish(&t, 1), 0);
    float *v = train(&t, opts, 2, &loss);
    assert_true(isfinite(loss));
    for (size_t d = 0; d < DIM; d++)
        assert_true(isfinite(v[d]));
    free(v);
    ps_texts_done(&t);
}

static int stop_at_once(void *cls, const char *stage, uint64_t done, uint64_t total,
                        const char *unit, const char *note)
{
    (void)stage, (void)total, (void)unit, (void)note;
    *(uint64_t *)cls = done;
    return PS_ECANCELLED;
}

static void a_listener_can_stop_it(void **state)
{
    (void)state;
    ps_texts t = {0};
    uint64_t done = 0;
    ps_progress p = {stop_at_once, &done};
    ps_workers *workers;
    make_texts(&t);
    float loss, *v = malloc((size_t)t.n_words * DIM * sizeof *v);
    assert_int_equal(ps_workers_new(&workers, 2), 0);
    assert_int_equal(ps_skipgram(&t, &opts, workers, v, &loss, &p), PS_ECANCELLED);
    assert_true(done > 0 && done <= PINS);
    ps_workers_free(workers);
    free(v);
    ps_texts_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_follows_the_gradient_of_the_loss),
        cmocka_unit_test(the_wide_step_is_the_plain_one),
        cmocka_unit_test(dots_beyond_the_table_stay_finite),
        cmocka_unit_test(words_of_one_topic_come_to_lie_together),
        cmocka_unit_test(any_number_of_threads_gives_the_same_vectors),
        cmocka_unit_test(one_word_or_pins_of_one_word_are_no_trouble),
        cmocka_unit_test(a_listener_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
