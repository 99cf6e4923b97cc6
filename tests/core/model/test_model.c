/* test_model.c - a model on disk: what is written comes back, what is not a model is
 * refused in words, and no two models share a fingerprint.
 *
 * Threads: one.
 */
#include "pinsage/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "pinsage/safetensors.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"

static const ps_model_config usual = {.layers = 2,
                                      .d_in = 7,
                                      .m = 6,
                                      .d = 5,
                                      .e = 4,
                                      .neighbours = 11,
                                      .n_walks = 300,
                                      .length = 3,
                                      .pooling = PS_POOL_MAX,
                                      .neighbourhood = PS_NEIGHBOURS_KHOP,
                                      .skip = true,
                                      .similarity = PS_SIMILARITY_COSINE,
                                      .temperature = 0.07f,
                                      .seed = 0xfedcba9876543210u,
                                      .blocks = "annotation,visual"};

static ps_model random_model(const ps_model_config *c, uint64_t seed)
{
    ps_model m;
    ps_why why = {0};
    uint64_t rng = ps_rng_at(seed, 5);
    must(ps_model_new(&m, c, &why), &why);
    ps_model_init(&m, seed);
    for (size_t i = 0; i < m.n_params; i++)
        m.params[i] += 0.1f * ps_rng_unit(&rng);
    return m;
}

static void save(const ps_model *m, const char *path)
{
    ps_why why = {0};
    must(ps_model_save(m, path, NULL, NULL, &why), &why);
}

static int load(ps_model *m, const char *path, ps_why *why)
{
    *why = (ps_why){0};
    int err = ps_model_load(m, path, why);
    if (err) {
        assert_null(m->params); /* nothing is left behind */
        assert_true(why->text[0] != '\0');
    }
    return err;
}

/* ------------------------------ Round trips ------------------------------- */

static void round_trip(const ps_model_config *c)
{
    ps_why why;
    ps_model in = random_model(c, 3), out;
    save(&in, scratch("model"));
    must(load(&out, scratch("model"), &why), &why);
    const ps_model_config *o = &out.config;
    assert_true(in.n_params == out.n_params);
    assert_memory_equal(in.params, out.params, in.n_params * sizeof(float));
    assert_true(o->layers == c->layers && o->d_in == c->d_in && o->d == c->d);
    assert_true(o->e == c->e && (o->m == c->m || !c->layers));
    assert_true(o->neighbours == c->neighbours && o->n_walks == c->n_walks);
    assert_true(o->length == c->length && o->pooling == c->pooling);
    assert_true(o->neighbourhood == c->neighbourhood && o->skip == c->skip &&
                o->similarity == c->similarity);
    assert_true(o->temperature == c->temperature && o->seed == c->seed);
    assert_string_equal(o->blocks, c->blocks);
    assert_true(ps_model_fingerprint(&in) == ps_model_fingerprint(&out));
    ps_model_free(&in);
    ps_model_free(&out);
}

static void any_number_of_layers_comes_back(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= PS_LAYERS_MAX; K++)
        for (int bits = 0; bits < 4; bits++) {
            ps_model_config c = usual;
            c.layers = K;
            c.pooling = (ps_pooling)(K % 3);
            c.skip = bits & 1;
            c.similarity = bits & 2 ? PS_SIMILARITY_COSINE : PS_SIMILARITY_IP;
            c.neighbourhood = bits & 2 ? PS_NEIGHBOURS_KHOP : PS_NEIGHBOURS_WALK;
            round_trip(&c);
        }
}

static void tensors_have_the_names_and_shapes_of_the_design(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t rows, cols;
    } want[] = {
        {"conv.1.Q.weight", 6, 7},  {"conv.1.Q.bias", 6, 1},   {"conv.1.W.weight", 5, 13},
        {"conv.1.W.bias", 5, 1},    {"conv.2.Q.weight", 6, 5}, {"conv.2.Q.bias", 6, 1},
        {"conv.2.W.weight", 5, 11}, {"conv.2.W.bias", 5, 1},   {"head.G1.weight", 5, 5},
        {"head.G1.bias", 5, 1},     {"head.G2.weight", 4, 5},  {"skip.weight", 4, 7}};
    ps_model m = random_model(&usual, 1);
    ps_safetensors *f;
    ps_why why = {0};
    save(&m, scratch("named"));
    must(ps_safetensors_open(&f, scratch("named"), &why), &why);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const ps_tensor *t = ps_safetensors_find(f, want[i].name);
        assert_non_null(t);
        assert_true(t->type == PS_TENSOR_F32);
        assert_true(t->shape[0] == want[i].rows && t->shape[1] == want[i].cols);
    }
    assert_null(ps_safetensors_at(f, sizeof want / sizeof want[0]));
    assert_string_equal(ps_safetensors_meta(f, "similarity"), "cosine");
    ps_safetensors_close(f);
    ps_model_free(&m);
}

static void weights_begin_within_their_bounds_and_biases_at_zero(void **state)
{
    (void)state;
    ps_model_config c = usual;
    c.m = c.d = 64;
    ps_model m, again;
    ps_why why = {0};
    must(ps_model_new(&m, &c, &why), &why);
    must(ps_model_new(&again, &c, &why), &why);
    ps_model_init(&m, 3);
    ps_model_init(&again, 3);
    assert_memory_equal(m.params, again.params, m.n_params * sizeof(float));
    double sum = 0, limit = sqrt(6.0 / 7);
    for (size_t i = 0; i < 64 * 7; i++) {
        sum += (double)m.conv[0].Q[i];
        assert_true(fabs((double)m.conv[0].Q[i]) <= limit);
    }
    assert_true(fabs(sum / (64 * 7)) < 4 * limit / sqrt(3.0 * 64 * 7));
    for (size_t i = 0; i < 64; i++)
        assert_true(m.conv[0].q[i] == 0 && m.conv[1].w[i] == 0 && m.g[i] == 0);
    ps_model_free(&m);
    ps_model_free(&again);
}

/* ------------------------------ Made elsewhere ---------------------------- */

typedef struct foreign {
    ps_tensor tensor[16];
    size_t n;
    const char *meta[4][2];
    size_t n_meta;
} foreign;

/* The tensors of a K = 1 model of d_in 3, m 2, d 2, e 2 with another writer's habits:
 * half precision of either kind, and no metadata of ours. */
static foreign elsewhere(ps_tensor_type type, const void *data)
{
    static const struct {
        const char *name;
        uint32_t rows, cols;
    } shape[] = {{"conv.1.Q.weight", 2, 3}, {"conv.1.Q.bias", 2, 0},
                 {"conv.1.W.weight", 2, 5}, {"conv.1.W.bias", 2, 0},
                 {"head.G1.weight", 2, 2},  {"head.G1.bias", 2, 0},
                 {"head.G2.weight", 2, 2}};
    foreign f = {.n = sizeof shape / sizeof shape[0]};
    for (size_t i = 0; i < f.n; i++)
        f.tensor[i] =
            (ps_tensor){.name = shape[i].name,
                        .type = type,
                        .ndim = shape[i].cols ? 2 : 1,
                        .shape = {shape[i].rows, shape[i].cols ? shape[i].cols : 1},
                        .data = data};
    return f;
}

static const char *write_foreign(const foreign *f)
{
    ps_why why = {0};
    must(ps_safetensors_write(scratch("foreign"), f->tensor, f->n, f->meta, f->n_meta,
                              NULL, NULL, &why),
         &why);
    return scratch("foreign");
}

static void half_precision_of_both_kinds_is_taken(void **state)
{
    (void)state;
    static const uint16_t f16[] = {0x3c00, 0xb800, 0x4000, 0,      0x3555,
                                   0x3c00, 0x3c00, 0x3c00, 0x3c00, 0x3c00};
    static const uint16_t bf16[] = {0x3f80, 0xbf00, 0x4000, 0,      0x3eab,
                                    0x3f80, 0x3f80, 0x3f80, 0x3f80, 0x3f80};
    static const double want[] = {1, -0.5, 2, 0, 0.3333, 1};
    for (int kind = 0; kind < 2; kind++) {
        foreign f =
            kind ? elsewhere(PS_TENSOR_BF16, bf16) : elsewhere(PS_TENSOR_F16, f16);
        ps_model m;
        ps_why why;
        must(load(&m, write_foreign(&f), &why), &why);
        assert_true(m.config.layers == 1 && m.config.d_in == 3 && m.config.m == 2);
        assert_true(!m.config.skip && m.config.similarity == PS_SIMILARITY_IP &&
                    m.config.neighbourhood == PS_NEIGHBOURS_WALK);
        assert_true(m.config.neighbours == 20 && m.config.seed == 1);
        assert_true(m.config.pooling == PS_POOL_IMPORTANCE && !m.config.blocks[0]);
        for (int i = 0; i < 6; i++)
            assert_true(fabs((double)m.conv[0].Q[i] - want[i]) < 2e-3);
        ps_model_free(&m);
    }
}

/* ------------------------------ Refusals ---------------------------------- */

static const float ones[64] = {1, 1, 1, 1};

static void refused(const foreign *f, int err, const char *word)
{
    ps_model m;
    ps_why why;
    assert_int_equal(load(&m, write_foreign(f), &why), err);
    if (!strstr(why.text, word))
        fail_msg("\"%s\" does not say %s", why.text, word);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    foreign whole = elsewhere(PS_TENSOR_F32, ones);
    ps_model m;
    ps_why why;
    must(load(&m, write_foreign(&whole), &why), &why);
    ps_model_free(&m);
    for (size_t i = 1; i < whole.n; i++) { /* without the first it is another model */
        foreign f = whole;
        f.tensor[i] = f.tensor[--f.n];
        bool head = strstr(whole.tensor[i].name, ".weight") &&
                    strstr(whole.tensor[i].name, "head");
        refused(&f, head ? PS_EFORMAT : PS_EMISMATCH, whole.tensor[i].name);
    }
}

static void a_wrong_shape_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < 7; i++)
        for (int axis = 0; axis < 2; axis++) {
            foreign f = elsewhere(PS_TENSOR_F32, ones);
            ps_model m;
            ps_why why;
            f.tensor[i].ndim = 2;
            f.tensor[i].shape[axis] += 1;
            int err = load(&m, write_foreign(&f), &why);
            if (!err) { /* an embedding may have any width */
                assert_string_equal(f.tensor[i].name, "head.G2.weight");
                assert_int_equal(axis, 0);
                ps_model_free(&m);
            } else
                assert_int_equal(err, PS_EMISMATCH);
        }
}

static void bytes_are_no_weights(void **state)
{
    (void)state;
    foreign f = elsewhere(PS_TENSOR_F32, ones);
    f.tensor[3].type = PS_TENSOR_U8;
    refused(&f, PS_EMISMATCH, "conv.1.W.bias");
}

static void a_tensor_without_a_place_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"conv.3.Q.weight", "pooler.dense", "conv.1.q",
                                        "conv.2.W.weight"};
    for (size_t i = 0; i < 4; i++) {
        foreign f = elsewhere(PS_TENSOR_F32, ones);
        f.tensor[f.n] = f.tensor[0];
        f.tensor[f.n++].name = names[i];
        refused(&f, PS_EFORMAT, names[i]);
    }
}

static void odd_metadata_is_refused(void **state)
{
    (void)state;
    static const char *const odd[][2] = {
        {"neighbours", "0"},
        {"neighbours", "1001"},
        {"neighbours", "-3"},
        {"neighbours", "many"},
        {"neighbours", "1e99"},
        {"neighbours", "nan"},
        {"neighbours", "20 "},
        {"walks", "0"},
        {"walks", "1000000"},
        {"walk_length", "33"},
        {"walk_length", ""},
        {"temperature", "inf"},
        {"temperature", "-0.1"},
        {"pooling", "sum"},
        {"pooling", ""},
        {"similarity", "Cosine"},
        {"neighbourhood", "walks"},
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        foreign f = elsewhere(PS_TENSOR_F32, ones);
        f.meta[0][0] = odd[i][0];
        f.meta[0][1] = odd[i][1];
        f.n_meta = 1;
        refused(&f, PS_EFORMAT, odd[i][0]);
    }
    static char blocks[600];
    foreign f = elsewhere(PS_TENSOR_F32, ones);
    memset(blocks, 'b', sizeof blocks - 1);
    f.meta[0][0] = "blocks";
    f.meta[0][1] = blocks;
    f.n_meta = 1;
    refused(&f, PS_EFORMAT, "blocks");
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    ps_model in = random_model(&usual, 3), out;
    ps_why why;
    size_t size;
    save(&in, scratch("whole"));
    char *bytes = slurp(scratch("whole"), &size);
    for (size_t at = 0; at < size; at += 1 + size / 61)
        assert_true(load(&out, scratch_file("cut", bytes, at), &why) < 0);
    assert_int_equal(load(&out, scratch("none"), &why), PS_ENOENT);
    free(bytes);
    ps_model_free(&in);
}

/* ------------------------------ Fingerprints ------------------------------ */

static void any_weight_changes_the_fingerprint(void **state)
{
    (void)state;
    ps_model m = random_model(&usual, 3);
    uint64_t before = ps_model_fingerprint(&m);
    for (size_t i = 0; i < m.n_params; i++) {
        float old = m.params[i];
        m.params[i] = nextafterf(old, 9);
        assert_true(ps_model_fingerprint(&m) != before);
        m.params[i] = old;
    }
    assert_true(ps_model_fingerprint(&m) == before);
    ps_model_free(&m);
}

static void any_setting_changes_the_fingerprint(void **state)
{
    (void)state;
    ps_model m = random_model(&usual, 3);
    uint64_t print[16];
    size_t n = 0;
    print[n++] = ps_model_fingerprint(&m);
#define WITH(change)                                                                     \
    do {                                                                                 \
        m.config = usual;                                                                \
        m.config.change;                                                                 \
        print[n++] = ps_model_fingerprint(&m);                                           \
    } while (0)
    WITH(d_in = 8);
    WITH(m = 5);
    WITH(d = 6);
    WITH(e = 5);
    WITH(layers = 1);
    WITH(neighbours = 12);
    WITH(n_walks = 301);
    WITH(length = 2);
    WITH(pooling = PS_POOL_MEAN);
    WITH(neighbourhood = PS_NEIGHBOURS_WALK);
    WITH(skip = false);
    WITH(similarity = PS_SIMILARITY_IP);
    WITH(temperature = 0.070001f);
    WITH(seed = 1);
    WITH(blocks[0] = 'A');
#undef WITH
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(print[i] != print[j]);
    ps_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_layers_comes_back),
        cmocka_unit_test(tensors_have_the_names_and_shapes_of_the_design),
        cmocka_unit_test(weights_begin_within_their_bounds_and_biases_at_zero),
        cmocka_unit_test(half_precision_of_both_kinds_is_taken),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_wrong_shape_is_named),
        cmocka_unit_test(bytes_are_no_weights),
        cmocka_unit_test(a_tensor_without_a_place_is_named),
        cmocka_unit_test(odd_metadata_is_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(any_weight_changes_the_fingerprint),
        cmocka_unit_test(any_setting_changes_the_fingerprint),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
