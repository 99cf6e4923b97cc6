/* test_embed.c - the step: what it writes, what it does not do twice, what it refuses.
 *
 * Threads: teams of one and two. Not here: kills (test_embed_faults.c).
 */
#include "pinsage/embed.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/half.h"
#include "tests/support/changes.h"
#include "tests/support/models.h"
#include "tests/support/numpy.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

static ps_embed_report report;
static ps_why why;

static int embed(unsigned threads, bool half)
{
    ps_embed_opts o = {.threads = threads, .half = half};
    why = (ps_why){0};
    return ps_embed(catalog, &o, &report, NULL, &why);
}

/* A fresh catalog with this model, not embedded yet. */
static ps_model installed(const char *name, const ps_model_config *c, uint64_t seed)
{
    ps_model m = model_random(c, seed);
    use(name);
    planted_import(&model_world);
    model_install(&m);
    return m;
}

static char *bytes_of(const char *name, size_t *size)
{
    return slurp(tiny_path(name), size);
}

/* ------------------------------ What it writes ---------------------------- */

static void embeddings_are_the_vectors_of_the_model(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= 2; K++) {
        ps_model_config c = model_config();
        c.layers = K;
        ps_model m = installed("written", &c, 4);
        must(embed(2, false), &why);
        assert_int_equal(report.pins, MODEL_PINS);
        assert_int_equal(report.stages, 2 * K + 1);
        assert_int_equal(report.reused, 0);
        ps_generation *g = planted_open();
        assert_string_equal(report.generation, g->name);
        ps_features f;
        ps_workers *workers;
        ps_table t = {0};
        must(ps_features_open(&f, g, c.blocks, &why), &why);
        if (K)
            t = model_table(&g->graph, &c);
        float *all = malloc((size_t)MODEL_PINS * c.e * sizeof *all);
        double *slow = slow_vectors(&m, &f, &t);
        assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
        assert_int_equal(ps_embed_all(&m, &f, t.row, t.weight, workers, all), PS_OK);
        assert_true(g->embeddings.dtype == PS_F32 && g->embeddings.cols == c.e);
        assert_memory_equal(g->embeddings.data, all,
                            (size_t)MODEL_PINS * c.e * sizeof *all);
        near_vectors(g->embeddings.data, slow, (size_t)MODEL_PINS * c.e, 3e-3);
        ps_workers_free(workers);
        free(all), free(slow);
        ps_table_done(&t);
        ps_generation_release(g);
        ps_model_free(&m);
    }
}

static void the_manifest_says_what_they_are(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = installed("manifest", &c, 4);
    char print[24];
    uint64_t hash;
    must(embed(1, false), &why);
    ps_generation *g = planted_open();
    snprintf(print, sizeof print, "%016" PRIx64, ps_model_fingerprint(&m));
    assert_string_equal(ps_manifest_text(g->manifest, "embeddings.model", ""), print);
    assert_string_equal(ps_manifest_text(g->manifest, "embeddings.similarity", ""),
                        "cosine");
    assert_int_equal(ps_manifest_u64(g->manifest, "embeddings.dim", 0), c.e);
    static const char *const made[] = {"embeddings.npy", "messages.1.npy",
                                       "messages.2.npy"};
    static const char *const from[] = {
        "model.safetensors", "features/visual.npy", "features/annotation.npy",
        "neighbours.weights.npy", "graph/pin_boards.indices.npy"};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 5; j++)
            assert_true(ps_manifest_fingerprint(g->manifest, made[i], from[j], &hash));
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    assert_false(ps_file_exists(scratch("manifest/embed.partial")));
    ps_generation_release(g);
    ps_model_free(&m);
}

static void halves_are_the_rounded_singles(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = installed("half", &c, 4);
    must(embed(1, false), &why);
    ps_generation *g = planted_open();
    uint16_t *want = malloc((size_t)MODEL_PINS * c.e * sizeof *want);
    ps_f32_to_f16(g->embeddings.data, want, (size_t)MODEL_PINS * c.e);
    ps_generation_release(g);
    must(embed(1, true), &why);
    assert_int_equal(report.reused, 0);
    g = planted_open();
    assert_true(g->embeddings.dtype == PS_F16);
    assert_memory_equal(g->embeddings.data, want,
                        (size_t)MODEL_PINS * c.e * sizeof *want);
    ps_generation_release(g);
    free(want);
    ps_model_free(&m);
}

static void any_number_of_threads_writes_the_same_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"embeddings.npy", "messages.1.npy",
                                        "messages.2.npy"};
    ps_model_config c = model_config();
    ps_model m = installed("threads", &c, 4);
    char *one[3];
    size_t size[3], other;
    must(embed(1, false), &why);
    for (int i = 0; i < 3; i++)
        one[i] = bytes_of(names[i], &size[i]);
    ps_model_free(&m);
    m = installed("threads", &c, 4);
    must(embed(2, false), &why);
    for (int i = 0; i < 3; i++) {
        char *two = bytes_of(names[i], &other);
        assert_true(size[i] == other);
        assert_memory_equal(one[i], two, other);
        free(one[i]), free(two);
    }
    ps_model_free(&m);
}

/* ------------------------------ Not twice --------------------------------- */

static void what_is_up_to_date_is_left_alone(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = installed("again", &c, 4);
    char before[64];
    must(embed(1, false), &why);
    snprintf(before, sizeof before, "%s", listing());
    ps_generation *g = planted_open();
    must(embed(1, false), &why);
    assert_int_equal(report.stages, 5);
    assert_int_equal(report.reused, 5);
    assert_string_equal(report.generation, g->name);
    assert_string_equal(listing(), before);
    ps_generation_release(g);
    ps_model_free(&m);
}

static void another_model_is_another_work(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = installed("changed", &c, 4);
    size_t size, other;
    must(embed(1, false), &why);
    char *first = bytes_of("embeddings.npy", &size);
    m.params[7] += 0.5f;
    model_install(&m); /* drops what the old one made */
    assert_false(ps_file_exists(tiny_path("embeddings.npy")));
    assert_false(ps_file_exists(tiny_path("messages.1.npy")));
    must(embed(1, false), &why);
    assert_int_equal(report.reused, 0);
    char *second = bytes_of("embeddings.npy", &other);
    assert_true(size == other && memcmp(first, second, size) != 0);
    free(first), free(second);
    ps_model_free(&m);
}

/* ------------------------------ Made elsewhere ---------------------------- */

/* A writer of safetensors in pure Python, and NumPy as the forward pass. */
static const char *const elsewhere =
    "import json, struct\n"
    "rng = np.random.default_rng(1)\n"
    "shape = {'conv.1.Q.weight': (12, 13), 'conv.1.Q.bias': (12,),\n"
    "         'conv.1.W.weight': (8, 25), 'conv.1.W.bias': (8,),\n"
    "         'head.G1.weight': (8, 8), 'head.G1.bias': (8,),\n"
    "         'head.G2.weight': (5, 8)}\n"
    "T = {k: rng.normal(0, 0.5, s).astype('<f4') for k, s in shape.items()}\n"
    "head, data = {'__metadata__': {'blocks': 'annotation,visual', 'neighbours': '6',\n"
    "              'similarity': 'cosine', 'walks': '50', 'seed': '7'}}, b''\n"
    "for k, v in T.items():\n"
    "    head[k] = {'dtype': 'F32', 'shape': list(v.shape),\n"
    "               'data_offsets': [len(data), len(data) + v.nbytes]}\n"
    "    data += v.tobytes()\n"
    "h = json.dumps(head).encode()\n"
    "open('elsewhere.safetensors', 'wb').write(struct.pack('<Q', len(h)) + h + data)\n"
    "np.savez('elsewhere.npz', **T)\n";

static const char *const check_elsewhere =
    "T = np.load('elsewhere.npz')\n"
    "g = 'elsewhere/current/'\n"
    "block = [np.load(g + 'features/%s.npy' % b).astype('f8')\n"
    "         for b in ('annotation', 'visual')]\n"
    "def unit(a):\n"
    "    n = np.linalg.norm(a, axis=1, keepdims=True)\n"
    "    return np.divide(a, n, out=np.zeros_like(a), where=n > 0)\n"
    "degree = np.diff(np.load(g + 'graph/pin_boards.indptr.npy').astype('i8'))\n"
    "x = np.hstack([unit(b) for b in block] + [0.1 * np.log1p(degree)[:, None]])\n"
    "relu = lambda a: np.maximum(a, 0)\n"
    "nbr = np.load(g + 'neighbours.indices.npy')\n"
    "weight = np.load(g + 'neighbours.weights.npy')\n"
    "p = relu(x @ T['conv.1.Q.weight'].T + T['conv.1.Q.bias'])\n"
    "n = (weight[:, :, None] * p[nbr]).sum(axis=1)\n"
    "h = unit(relu(np.hstack([x, n]) @ T['conv.1.W.weight'].T + T['conv.1.W.bias']))\n"
    "z = unit(relu(h @ T['head.G1.weight'].T + T['head.G1.bias'])"
    " @ T['head.G2.weight'].T)\n"
    "got = np.load(g + 'embeddings.npy')\n"
    "assert got.shape == z.shape and got.dtype == np.float32\n"
    "worst = np.abs(got - z).max()\n"
    "print('largest difference', worst)\n"
    "assert worst < 3e-3\n";

/* Put a file in the place of the model. */
static void replace_model(const char *path)
{
    char to[PS_PATH_MAX];
    size_t size;
    uint64_t hash;
    ps_out *o;
    char *bytes = slurp(path, &size);
    ps_draft *d = tiny_begin(false);
    must(ps_draft_path(d, "model.safetensors", to, &why), &why);
    must(ps_out_open(&o, to, &why), &why);
    ps_out_write(o, bytes, size);
    must(ps_out_close(o, &hash, &why), &why);
    ps_draft_file(d, "model.safetensors", size, hash);
    tiny_commit(d);
    free(bytes);
}

static void a_model_made_elsewhere_embeds_as_numpy_says(void **state)
{
    (void)state;
    if (!have_numpy())
        skip();
    ps_model_config c = model_config(); /* of it only the lists are used */
    ps_model m = installed("elsewhere", &c, 4);
    assert_true(numpy(elsewhere));
    replace_model(scratch("elsewhere.safetensors"));
    must(embed(1, false), &why);
    assert_int_equal(report.stages, 3);
    assert_true(numpy(check_elsewhere));
    ps_generation *g = planted_open();
    ps_parity p;
    must(ps_embed_parity(g, MODEL_PINS, &p, &why), &why);
    assert_true(p.least_cosine > 0.999 && p.largest_difference < 1e-3);
    ps_generation_release(g);
    ps_model_free(&m);
}

/* ------------------------------ Refusals ---------------------------------- */

static void refused(int err, const char *word)
{
    char before[256];
    snprintf(before, sizeof before, "%s", listing());
    assert_int_equal(embed(1, false), err);
    if (!strstr(why.text, word))
        fail_msg("\"%s\" does not say %s", why.text, word);
    assert_string_equal(listing(), before);
}

static void what_does_not_fit_is_refused_in_words(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    use("refused");
    assert_true(embed(1, false) < 0); /* no catalog at all */
    planted_import(&model_world);
    refused(PS_ENOENT, "pinsage train");
    ps_model m = model_random(&c, 1);
    model_install(&m);
    ps_model_free(&m);
    c.d_in = 14;
    m = model_random(&c, 1);
    must(ps_model_save(&m, scratch("wide"), NULL, NULL, &why), &why);
    ps_model_free(&m);
    replace_model(scratch("wide"));
    refused(
        PS_EMISMATCH,
        "wants 14 numbers a pin, the blocks annotation,visual and the degree give 13");
    c = model_config();
    c.neighbours = 7;
    m = model_random(&c, 1);
    must(ps_model_save(&m, scratch("more"), NULL, NULL, &why), &why);
    replace_model(scratch("more"));
    refused(PS_EMISMATCH, "no lists of 7 neighbours");
    snprintf(m.config.blocks, sizeof m.config.blocks, "annotation,smell");
    must(ps_model_save(&m, scratch("smell"), NULL, NULL, &why), &why);
    replace_model(scratch("smell"));
    refused(PS_EMISMATCH, "annotation,smell");
    replace_model(scratch_text("none", "no model at all"));
    assert_true(embed(1, false) < 0);
    assert_true(why.text[0] != '\0');
    ps_model_free(&m);
}

static void a_second_writer_is_refused(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = installed("busy", &c, 4);
    ps_draft *d = tiny_begin(false);
    assert_int_equal(embed(1, false), PS_EBUSY);
    ps_draft_abort(d);
    must(embed(1, false), &why);
    ps_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_are_the_vectors_of_the_model),
        cmocka_unit_test(the_manifest_says_what_they_are),
        cmocka_unit_test(halves_are_the_rounded_singles),
        cmocka_unit_test(any_number_of_threads_writes_the_same_bytes),
        cmocka_unit_test(what_is_up_to_date_is_left_alone),
        cmocka_unit_test(another_model_is_another_work),
        cmocka_unit_test(a_model_made_elsewhere_embeds_as_numpy_says),
        cmocka_unit_test(what_does_not_fit_is_refused_in_words),
        cmocka_unit_test(a_second_writer_is_refused),
    };
    return cmocka_run_group_tests_name("embed", tests, models_open, models_close);
}
