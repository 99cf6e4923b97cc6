/* test_on_request.c - one pin now is the pin of the batch, and the slow one.
 *
 * Threads: one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "tests/support/changes.h"
#include "tests/support/models.h"
#include "tests/support/tiny.h"

enum { E = 9 };

/* A catalog with this model and its embeddings, opened. */
static ps_generation *embedded(const ps_model *m, bool half)
{
    ps_why why = {0};
    ps_embed_report report;
    use("request");
    planted_import(&model_world);
    model_install(m);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1, .half = half}, &report, NULL,
                  &why),
         &why);
    return planted_open();
}

static void parity_of(ps_model_config c, bool half)
{
    ps_model m = model_random(&c, 9);
    ps_generation *g = embedded(&m, half);
    ps_why why = {0};
    ps_parity p;
    must(ps_embed_parity(g, 40, &p, &why), &why);
    assert_int_equal(p.pins, 40);
    assert_true(p.least_cosine > 0.999);
    assert_true(p.largest_difference < 1e-3);
    if (!half) /* the same kernels over the same numbers */
        assert_true(p.largest_difference < 1e-5);
    must(ps_embed_parity(g, 100000, &p, &why), &why);
    assert_int_equal(p.pins, MODEL_PINS);
    assert_true(p.least_cosine > 0.999);
    ps_generation_release(g);
    ps_model_free(&m);
}

static void batch_and_request_agree_in_every_variant(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        ps_model_config c = model_config();
        c.layers = i == 0 ? 1 : i == 1 ? 3 : 2;
        c.pooling = (ps_pooling)(i % 3);
        c.neighbourhood = i == 4 ? PS_NEIGHBOURS_KHOP : PS_NEIGHBOURS_WALK;
        c.skip = i & 1;
        parity_of(c, i == 5);
    }
}

static void a_model_without_layers_agrees_too(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    c.layers = 0;
    parity_of(c, false);
}

static void the_vector_is_the_slow_one(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    ps_generation *g = embedded(&m, false);
    ps_why why = {0};
    ps_embedder *e;
    ps_features f;
    ps_table t = model_table(&g->graph, &c);
    must(ps_features_open(&f, g, NULL, &why), &why);
    must(ps_embedder_new(&e, g, &m, &why), &why);
    double *want = slow_vectors(&m, &f, &t);
    for (uint32_t u = 0; u < MODEL_PINS; u++) {
        float z[E], x[16], again[E];
        assert_int_equal(ps_embedder_pin(e, u, z), PS_OK);
        near_vectors(z, want + u * E, E, 3e-3);
        ps_features_row(ps_embedder_features(e), u, x);
        assert_int_equal(ps_embedder_vector(e, x, t.row + (size_t)u * t.T,
                                            t.weight + (size_t)u * t.T, t.T, again),
                         PS_OK);
        assert_memory_equal(z, again, sizeof z);
    }
    free(want);
    ps_table_done(&t);
    ps_embedder_free(e);
    ps_generation_release(g);
    ps_model_free(&m);
}

/* The last pin is on no board: it is made from its content alone. */
static void a_pin_on_no_board_is_made_from_its_content(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    ps_generation *g = embedded(&m, false);
    ps_why why = {0};
    ps_embedder *e;
    float x[16], z[E], none[E], stored[E];
    must(ps_embedder_new(&e, g, &m, &why), &why);
    assert_int_equal(ps_csr_degree(&g->graph.pin_boards, MODEL_PINS - 1), 0);
    assert_int_equal(ps_embedder_pin(e, MODEL_PINS - 1, z), PS_OK);
    ps_features_row(ps_embedder_features(e), MODEL_PINS - 1, x);
    assert_int_equal(ps_embedder_vector(e, x, NULL, NULL, 0, none), PS_OK);
    assert_memory_equal(z, none, sizeof z);
    ps_npy_row_f32(&g->embeddings, MODEL_PINS - 1, stored);
    for (int i = 0; i < E; i++)
        assert_true(fabsf(stored[i] - z[i]) < 1e-5f);
    ps_embedder_free(e);
    ps_generation_release(g);
    ps_model_free(&m);
}

static void what_does_not_fit_is_refused_in_words(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    ps_why why = {0};
    ps_embedder *e;
    ps_parity p;
    use("bare");
    planted_import(&model_world);
    ps_generation *g = planted_open();
    assert_int_equal(ps_embed_parity(g, 3, &p, &why), PS_ENOENT);
    ps_generation_release(g);
    model_install(&m);
    g = planted_open();
    assert_int_equal(ps_embedder_new(&e, g, &m, &why), PS_EUNSUPPORTED);
    assert_null(e);
    assert_non_null(strstr(why.text, "pinsage embed"));
    ps_generation_release(g);
    g = embedded(&m, false);
    m.config.d_in--;
    assert_int_equal(ps_embedder_new(&e, g, &m, &why), PS_EMISMATCH);
    assert_non_null(
        strstr(why.text,
               "12 numbers a pin, the blocks annotation,visual and the degree give 13"));
    m.config.d_in++;
    m.config.m--;
    assert_int_equal(ps_embedder_new(&e, g, &m, &why), PS_EFORMAT);
    assert_non_null(strstr(why.where, "messages.1.npy"));
    m.config.m++;
    m.config.neighbourhood = PS_NEIGHBOURS_KHOP;
    m.config.neighbours++;
    assert_int_equal(ps_embedder_new(&e, g, &m, &why), PS_EUNSUPPORTED);
    ps_generation_release(g);
    ps_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_and_request_agree_in_every_variant),
        cmocka_unit_test(a_model_without_layers_agrees_too),
        cmocka_unit_test(the_vector_is_the_slow_one),
        cmocka_unit_test(a_pin_on_no_board_is_made_from_its_content),
        cmocka_unit_test(what_does_not_fit_is_refused_in_words),
    };
    return cmocka_run_group_tests_name("request", tests, models_open, models_close);
}
