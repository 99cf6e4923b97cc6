/* test_import_foreign.c - files as other programs write them: quotes, columns of other
 * names and of no use, doubles.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

static ps_import_report report;
static ps_why why;

static int import(const ps_import_opts *o)
{
    why = (ps_why){0};
    return ps_import(catalog, o, &report, NULL, &why);
}

static ps_generation *open_now(void)
{
    ps_generation *g;
    must(ps_generation_open(&g, catalog, &why), &why);
    return g;
}

static ps_import_opts small(void)
{
    return (ps_import_opts){
        .pins = scratch_text("pins.tsv", "pin\ttitle\na\tA\nb\t5\" nails\nc\t\nd\tD\n"),
        .edges = scratch_text("edges.tsv", "pin\tboard\na\tx\nb\tthe \"y\"\n")};
}

/* ------------------------------ Files of other programs ------------------- */

static void quotes_other_names_and_more_columns_are_read(void **state)
{
    (void)state;
    ps_pins_reader *r;
    ps_pin pin;
    ps_import_opts o = {
        .pins = scratch_text("pins.tsv", "\"item_id\"\t\"name\"\t\"title\"\r\n"
                                         "\"a\"\t\"one\ntwo\tthree\"\t\"mine\"\r\n"
                                         "\"say \"\"b\"\"\"\t\"B\"\t\"\"\r\n"),
        .edges = scratch_text("edges.tsv", "weight\tuser_id\titem_id\tat\n"
                                           "1\tx\ta\t2020\n"
                                           "2\tx\t\"say \"\"b\"\"\"\t2021\n"
                                           "1\t\"y\nz\"\ta\t2022\n"),
        .columns = "pin=item_id,board=user_id,title=name,query=q"};
    use("foreign");
    must(import(&o), &why);
    assert_int_equal(report.pins_quoted, 1);
    assert_int_equal(report.edges_quoted, 3);
    assert_string_equal(report.unused, "weight, at");
    ps_generation *g = open_now();
    assert_int_equal(g->n_pins, 2);
    assert_int_equal(g->n_boards, 2);
    must(ps_pins_reader_new(&r, g->pins), &why);
    assert_int_equal(ps_pins_row(r, "say \"b\"", 7), 1);
    must(ps_pins_get(r, 0, &pin), &why);
    assert_true(ps_text_is(pin.title, "one\ntwo\tthree"));
    assert_int_equal(ps_pins_board(r, "y\nz", 3), 1);
    ps_pins_reader_free(r);
    ps_generation_release(g);
}

static void what_needs_no_quotes_is_read_without_a_word(void **state)
{
    (void)state;
    ps_import_opts o = small(); /* it has quotes, not around fields */
    use("unquoted");
    must(import(&o), &why);
    assert_int_equal(report.pins_quoted, 0);
    assert_int_equal(report.edges_quoted, 0);
    assert_string_equal(report.unused, "");
}

static void names_of_columns_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *columns, *words;
        int err;
    } bad[] = {
        {"pni=item", "\"pni\" is no column; did you mean \"pin\"?", PS_EINVAL},
        {"pin", "\"pin\" is not NAME=OTHER", PS_EINVAL},
        {"pin=,board=x", "\"pin=\" is not NAME=OTHER", PS_EINVAL},
        {"", "\"\" is not NAME=OTHER", PS_EINVAL},
        {"pin=board", "\"pin\" and \"board\" are the same column", PS_EINVAL},
        {"board=user", "there is no column \"board\" and no \"user\"; there is: pin list",
         PS_EFORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_import_opts o = small();
        o.columns = bad[i].columns;
        if (bad[i].err == PS_EFORMAT)
            o.edges = scratch_text("edges.tsv", "pin\tlist\na\tx\n");
        use("columns");
        assert_int_equal(import(&o), bad[i].err);
        if (!strstr(why.text, bad[i].words))
            fail_msg("\"%s\" does not say \"%s\"", why.text, bad[i].words);
    }
}

/* Larger than the pieces that are read at once, so that pieces meet inside. */
static void doubles_become_the_nearest_floats(void **state)
{
    (void)state;
    enum { WIDE = 70001 };
    double *d = calloc(4 * WIDE, sizeof *d);
    for (size_t i = 0; i < 3 * WIDE; i++)
        d[i] = sin((double)i) * pow(10, (double)(i % 80) - 42);
    d[0] = 3.4028234663852886e38; /* the largest float */
    d[3 * WIDE] = 1e-60;          /* nothing, as a float */
    ps_import_feature f = {"visual", npy_file("d.npy", PS_F64, 4, WIDE, d)};
    ps_import_opts o = small();
    o.features = &f;
    o.n_features = 1;
    use("doubles");
    must(import(&o), &why);
    ps_generation *g = open_now();
    const ps_block *v = ps_generation_block(g, "visual");
    assert_int_equal(v->array.dtype, PS_F32);
    for (size_t i = 0; i < 4 * WIDE; i++)
        if (((const float *)v->array.data)[i] != (float)d[i])
            fail_msg("number %zu: %g for %.17g", i, ((const float *)v->array.data)[i],
                     d[i]);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.visual.filled", 0), 3);
    assert_string_equal(ps_manifest_text(g->manifest, "blocks.visual.dtype", ""), "<f4");
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_other_names_and_more_columns_are_read),
        cmocka_unit_test(what_needs_no_quotes_is_read_without_a_word),
        cmocka_unit_test(names_of_columns_are_checked),
        cmocka_unit_test(doubles_become_the_nearest_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
