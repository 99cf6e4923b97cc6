/* test_annotate.c - the step on small catalogs and on a real one; the words file read
 * back and asked for text it never saw. */
#include "pinsage/annotate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "pinsage/safetensors.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/numpy.h"
#include "tests/support/planted.h"
#include "tests/support/scratch.h"

/* ------------------------------ Helpers ----------------------------------- */

enum { PINS = 300, DIM = 16 };

static void import(const char *pins, const char *edges)
{
    ps_import_opts o = {.pins = pins, .edges = edges, .threads = 1, .keep = 1};
    ps_import_report r;
    ps_why why = {0};
    must(ps_import(catalog, &o, &r, NULL, &why), &why);
}

/* Pins of three topics; the text of every other one begins with its title. Pin 7 has no
 * text and pin 8 only words that nobody else has. */
static void import_topics(const char *name)
{
    static const char *const topic[3] = {"cat", "ship", "cake"};
    ps_buf pins = {0}, edges = {0};
    uint64_t rng = 5;
    use(name);
    ps_buf_text(&pins, "pin\ttitle\ttext\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (unsigned p = 0; p < PINS; p++) {
        const char *t = topic[p % 3];
        if (p == 7)
            ps_buf_text(&pins, "p7\t\t\n");
        else if (p == 8)
            ps_buf_text(&pins, "p8\tQwertz\tuiop asdf\n");
        else
            ps_buf_printf(
                &pins, "p%u\tThe %s %s%u\t%s%s%u %s%u of the %s%u\n", p, t, t, p % 30,
                p % 2 ? "The " : "", t, (unsigned)ps_rng_below(&rng, 30), t,
                (unsigned)ps_rng_below(&rng, 30), t, (unsigned)ps_rng_below(&rng, 30));
        ps_buf_printf(&edges, "p%u\tb%u\n", p, p % 10);
    }
    import(scratch_text("pins.tsv", pins.data), scratch_text("edges.tsv", edges.data));
    ps_buf_done(&pins);
    ps_buf_done(&edges);
}

static ps_annotate_opts small(void)
{
    ps_annotate_opts o = ps_cli_annotate_defaults();
    o.dim = DIM;
    o.threads = 2;
    return o;
}

static ps_annotate_report annotate(ps_annotate_opts o)
{
    ps_annotate_report r;
    ps_why why = {0};
    must(ps_annotate(catalog, &o, &r, NULL, &why), &why);
    return r;
}

static ps_words *open_words(const ps_generation *g)
{
    char path[PS_PATH_MAX];
    ps_words *w = NULL;
    ps_why why = {0};
    assert_true(ps_generation_file(g, "words.safetensors", path));
    must(ps_words_open(&w, path, &why), &why);
    return w;
}

static const float *row_of(const ps_generation *g, size_t row)
{
    return (const float *)ps_generation_block(g, "annotation")->array.data + row * DIM;
}

static float dot(const float *a, const float *b)
{
    float sum = 0;
    for (size_t d = 0; d < DIM; d++)
        sum += a[d] * b[d];
    return sum;
}

/* ------------------------------ The block --------------------------------- */

static void a_pin_has_a_unit_row_or_zeros_when_no_word_is_known(void **state)
{
    (void)state;
    import_topics("rows");
    ps_annotate_report r = annotate(small());
    ps_generation *g = planted_open();
    assert_string_equal(g->name, r.generation);
    assert_int_equal(r.pins_with_text, PINS - 2);
    assert_int_equal(ps_generation_block(g, "annotation")->array.cols, DIM);
    for (size_t p = 0; p < PINS; p++) {
        float square = dot(row_of(g, p), row_of(g, p));
        if (p == 7 || p == 8)
            assert_true(square == 0);
        else
            assert_true(fabsf(square - 1) < 1e-5f);
    }
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.annotation.dim", 0), DIM);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.annotation.filled", 0),
                     PINS - 2);
    assert_int_equal(ps_manifest_u64(g->manifest, "options.annotate.min_count", 0), 3);
    assert_int_equal(ps_manifest_u64(g->manifest, "options.annotate.epochs", 0),
                     r.epochs);
    ps_generation_release(g);
}

static void pins_of_one_topic_come_to_lie_together(void **state)
{
    (void)state;
    import_topics("topics");
    annotate(small());
    ps_generation *g = planted_open();
    double same = 0, other = 0;
    for (size_t a = 9; a < 99; a++)
        for (size_t b = 9; b < a; b++)
            *(a % 3 == b % 3 ? &same : &other) += (double)dot(row_of(g, a), row_of(g, b));
    same /= 90 * 29 / 2.0;
    other /= 90 * 60 / 2.0;
    print_message("# cosine within topics %.3f, across %.3f\n", same, other);
    assert_true(same > other + 0.5);
    ps_generation_release(g);
}

static void text_on_request_gets_the_rows_of_the_block_to_the_bit(void **state)
{
    (void)state;
    import_topics("parity");
    annotate(small());
    ps_generation *g = planted_open();
    ps_words *w = open_words(g);
    ps_pins_reader *r;
    ps_pin pin;
    float out[DIM];
    assert_int_equal(ps_pins_reader_new(&r, g->pins), 0);
    for (uint32_t p = 0; p < PINS; p++) {
        assert_int_equal(ps_pins_get(r, p, &pin), 0);
        ps_words_embed_pin(w, pin.title, pin.text, out);
        assert_memory_equal(out, row_of(g, p), sizeof out);
    }
    ps_pins_reader_free(r);
    ps_words_close(w);
    ps_generation_release(g);
}

static void unseen_text_lies_with_its_topic(void **state)
{
    (void)state;
    import_topics("unseen");
    annotate(small());
    ps_generation *g = planted_open();
    ps_words *w = open_words(g);
    float cat[DIM], ship[DIM], none[DIM], mixed[DIM];
    assert_int_equal(ps_words_dim(w), DIM);
    assert_int_equal(ps_words_embed(w, "Two CATS: cat3, cat4!", 21, cat), 2);
    assert_int_equal(ps_words_embed(w, "ship9 at sea", 12, ship), 1);
    assert_int_equal(ps_words_embed(w, "nothing known", 13, none), 0);
    assert_int_equal(ps_words_embed(w, "", 0, none), 0);
    assert_true(dot(none, none) == 0);
    assert_int_equal(ps_words_embed(w, "cat3 ship9 cat4", 15, mixed), 3);
    assert_true(dot(cat, row_of(g, 30)) > dot(cat, row_of(g, 31)) + 0.3f);
    assert_true(dot(ship, row_of(g, 31)) > dot(ship, row_of(g, 30)) + 0.3f);
    assert_true(dot(mixed, cat) > dot(ship, cat));
    ps_words_close(w);
    ps_generation_release(g);
}

static void again_or_with_other_threads_the_files_are_the_same(void **state)
{
    (void)state;
    uint64_t size, first[2], again[2];
    import_topics("same");
    annotate(small());
    ps_generation *g = planted_open();
    ps_manifest_file(g->manifest, "words.safetensors", &size, &first[0]);
    ps_manifest_file(g->manifest, "features/annotation.npy", &size, &first[1]);
    ps_generation_release(g);
    ps_annotate_opts o = small();
    o.threads = 5;
    annotate(o);
    g = planted_open();
    ps_manifest_file(g->manifest, "words.safetensors", &size, &again[0]);
    ps_manifest_file(g->manifest, "features/annotation.npy", &size, &again[1]);
    ps_generation_release(g);
    assert_true(first[0] == again[0] && first[1] == again[1]);
}

static void what_was_made_from_an_older_block_is_dropped(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d = NULL;
    import_topics("stale");
    annotate(small());
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "index"}, &why), &why);
    must(put(d, "index.faiss", "made of the block", &why), &why);
    must(ps_manifest_made_from(ps_draft_manifest(d), "index.faiss",
                               "features/annotation.npy"),
         &why);
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    annotate(small()); /* the same block again: the index still fits */
    ps_generation *g = planted_open();
    assert_true(ps_generation_file(g, "index.faiss", NULL));
    ps_generation_release(g);
    ps_annotate_opts o = small();
    o.seed = 2;
    annotate(o);
    g = planted_open();
    assert_false(ps_generation_file(g, "index.faiss", NULL));
    ps_generation_release(g);
}

/* ------------------------------ Refusals ---------------------------------- */

static void refused(ps_annotate_opts o, int err, const char *part)
{
    ps_annotate_report r;
    ps_why why = {0};
    int got = ps_annotate(catalog, &o, &r, NULL, &why);
    if (got != err || !strstr(why.text, part))
        print_message("%s: %s, expected \"%s\"\n", ps_errname(got), why.text, part);
    assert_int_equal(got, err);
    assert_non_null(strstr(why.text, part));
}

static void pins_without_text_are_told_and_nothing_changes(void **state)
{
    (void)state;
    use("textless");
    import(scratch_text("pins.tsv", "pin\timage\na\tx\nb\ty\n"),
           scratch_text("edges.tsv", "pin\tboard\na\tz\nb\tz\n"));
    refused(small(), PS_ENOENT, "no pin has text");
    assert_string_equal(listing(), "current gen-000001 lock");
    use("rare");
    import(scratch_text("pins.tsv", "pin\ttitle\na\tred\nb\tblue\n"),
           scratch_text("edges.tsv", "pin\tboard\na\tz\nb\tz\n"));
    refused(small(), PS_ENOENT, "stands in 3 pins");
    assert_string_equal(listing(), "current gen-000001 lock");
    ps_annotate_opts o = small();
    o.min_count = 1;
    assert_int_equal(annotate(o).words, 2);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    use("none");
    ps_annotate_opts o = small();
    o.dim = 7;
    refused(o, PS_EINVAL, "8..1024");
    o = small();
    o.negatives = 51;
    refused(o, PS_EINVAL, "1..50");
    o = small();
    o.subsample = NAN;
    refused(o, PS_EINVAL, "(0, 1]");
    refused(small(), PS_ENOENT, "");
    assert_string_equal(listing(), "nothing");
}

static void stopped_in_any_stage_it_leaves_the_catalog_as_it_was(void **state)
{
    (void)state;
    char *stages[] = {"text", "words", "block"};
    import_topics("stopped");
    for (size_t i = 0; i < 3; i++) {
        ps_annotate_opts o = small();
        ps_annotate_report r;
        moment first = {.stage = stages[i], .nth = 1};
        ps_progress p = stop_at(&first);
        assert_int_equal(ps_annotate(catalog, &o, &r, &p, NULL), PS_ECANCELLED);
        assert_string_equal(listing(), "current gen-000001 lock");
    }
}

static int annotate_in_child(void *cls)
{
    ps_annotate_opts o = small();
    ps_annotate_report r;
    o.threads = 1;
    o.epochs = 3;
    return ps_annotate(catalog, &o, &r, cls, NULL);
}

static void killed_at_any_report_it_leaves_a_whole_catalog(void **state)
{
    (void)state;
    import_topics("killed");
    int runs = killed_at_each_word(annotate_in_child);
    assert_in_range(runs, 5, 100);
    assert_string_equal(listing(), "current gen-000001 gen-000002 lock next");
}

static void numpy_reads_the_words_and_makes_the_same_rows(void **state)
{
    (void)state;
    char code[4096];
    if (!have_numpy())
        skip();
    import_topics("oracle");
    annotate(small());
    ps_generation *g = planted_open();
    snprintf(code, sizeof code,
             "import json, re, struct\n"
             "d = '%s/'\n"
             "b = open(d + 'words.safetensors', 'rb').read()\n"
             "n, = struct.unpack('<Q', b[:8])\n"
             "h, raw = json.loads(b[8:8+n]), b[8+n:]\n"
             "def get(k, t):\n"
             "    lo, hi = h[k]['data_offsets']\n"
             "    return np.frombuffer(raw[lo:hi], t).reshape(h[k]['shape'])\n"
             "v, s = get('words.vectors', '<f4'), get('words.weights', '<f4')\n"
             "words = get('words.text', 'u1').tobytes().decode().split('\\n')[:-1]\n"
             "at = {w: i for i, w in enumerate(words)}\n"
             "block = np.load(d + 'features/annotation.npy')\n"
             "for r, line in enumerate(open('pins.tsv').read().split('\\n')[1:-1]):\n"
             "    _, title, text = line.split('\\t')\n"
             "    if text.startswith(title): text = text[len(title):]\n"
             "    known = [at[w] for w in re.findall('\\\\w+', (title + ' ' + "
             "text).lower()) if w in at]\n"
             "    x = sum((s[i] * v[i] for i in known), np.zeros(v.shape[1]))\n"
             "    x = x / np.linalg.norm(x) if known else x\n"
             "    assert abs(x - block[r]).max() < 1e-4, (r, line)\n",
             g->dir);
    assert_true(numpy(code));
    ps_generation_release(g);
}

/* ------------------------------ Real text --------------------------------- */

static void films_share_their_plots_words(void **state)
{
    (void)state;
    const char *pins = shared_data("movielens-posters/pins.tsv.gz");
    const char *edges = shared_data("movielens-posters/edges.tsv.gz");
    if (!pins || !edges) {
        print_message("# the data sets are missing\n");
        skip();
    }
    use("films");
    import(pins, edges);
    ps_annotate_opts o = small();
    o.epochs = 5;
    annotate(o);
    ps_generation *g = planted_open();
    ps_words *w = open_words(g);
    float war[DIM], battle[DIM], love[DIM];
    assert_int_equal(ps_words_embed(w, "war", 3, war), 1);
    assert_int_equal(ps_words_embed(w, "soldiers", 8, battle), 1);
    assert_int_equal(ps_words_embed(w, "romance", 7, love), 1);
    assert_true(dot(war, battle) > dot(war, love) + 0.2f);
    ps_words_close(w);
    ps_generation_release(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_has_a_unit_row_or_zeros_when_no_word_is_known),
        cmocka_unit_test(pins_of_one_topic_come_to_lie_together),
        cmocka_unit_test(text_on_request_gets_the_rows_of_the_block_to_the_bit),
        cmocka_unit_test(unseen_text_lies_with_its_topic),
        cmocka_unit_test(again_or_with_other_threads_the_files_are_the_same),
        cmocka_unit_test(what_was_made_from_an_older_block_is_dropped),
        cmocka_unit_test(pins_without_text_are_told_and_nothing_changes),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(stopped_in_any_stage_it_leaves_the_catalog_as_it_was),
        cmocka_unit_test(killed_at_any_report_it_leaves_a_whole_catalog),
        cmocka_unit_test(numpy_reads_the_words_and_makes_the_same_rows),
        cmocka_unit_test(films_share_their_plots_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
