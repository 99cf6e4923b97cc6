/* test_pairs.c - pairs by name become pairs of rows, or an error with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

static ps_why why;
static ps_generation *generation;
static ps_pins_reader *reader;

static int set_up(void **state)
{
    (void)state;
    ps_import_opts o = {
        .pins = scratch_text("pins.tsv", "pin\na1\na2\nb/3 ü\na107\n"),
        .edges = scratch_text("edges.tsv", "pin\tboard\na1\tx\n"),
    };
    use("pairs");
    must(ps_import(catalog, &o, NULL, NULL, &why), &why);
    must(ps_generation_open_base(&generation, catalog, &why), &why);
    return ps_pins_reader_new(&reader, generation->pins);
}

static int tear_down(void **state)
{
    (void)state;
    ps_pins_reader_free(reader);
    ps_generation_release(generation);
    return 0;
}

static int load(ps_pairs *p, const char *text, bool skip_unknown)
{
    why = (ps_why){0};
    return ps_pairs_load(p, scratch_text("pairs.tsv", text), reader,
                         (ps_pairs_opts){skip_unknown, NULL}, &why);
}

static void pairs_come_as_rows_in_the_order_of_the_file(void **state)
{
    (void)state;
    ps_pairs p;
    const uint32_t want[][2] = {{1, 0}, {2, 3}, {0, 1}};
    must(load(&p, "query\trelated\na2\ta1\nb/3 ü\ta107\na1\ta2\n", false), &why);
    assert_int_equal(p.n, 3);
    assert_memory_equal(p.pair, want, sizeof want);
    assert_int_equal(p.left_out.unknown, 0);
    ps_pairs_free(&p);
    must(ps_pairs_load(&p, gzip_file("p.gz", "related\tquery\na1\ta2\n", 0), reader,
                       (ps_pairs_opts){0}, &why),
         &why);
    assert_memory_equal(p.pair, want, sizeof want[0]);
    ps_pairs_free(&p);
}

static void unknown_pins_are_an_error_or_skipped(void **state)
{
    (void)state;
    ps_pairs p;
    assert_int_equal(load(&p, "query\trelated\na1\ta2\na1\ta1O7\n", false), PS_EFORMAT);
    assert_int_equal(why.line, 3);
    assert_string_equal(why.text,
                        "pin \"a1O7\" is not in the catalog; did you mean \"a107\"?");
    assert_null(p.pair);
    must(load(&p, "query\trelated\na1\ta2\na1\tzz\nzz\ta1\n", true), &why);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.left_out.unknown, 2);
    ps_pairs_free(&p);
}

/* Every line of a random file is in the answer, or counted under one reason. */
static void what_is_no_pair_is_left_out_and_counted(void **state)
{
    (void)state;
    static const char *const names[] = {"a1", "a2", "b/3 ü", "a107", "nobody"};
    char text[4096] = "query\trelated\n";
    bool seen[4][4] = {{false}};
    uint32_t want[256][2];
    size_t used = strlen(text), n = 0;
    ps_left_out out = {0};
    uint64_t rng = ps_rng_at(1, 1);
    for (int i = 0; i < 200; i++) {
        uint32_t q = (uint32_t)ps_rng_below(&rng, 5), r = (uint32_t)ps_rng_below(&rng, 5);
        used += (size_t)sprintf(text + used, "%s\t%s\n", names[q], names[r]);
        if (q == 4 || r == 4) {
            out.unknown++;
        } else if (q == r) {
            out.self++;
        } else if (seen[q][r]) {
            out.repeated++;
        } else {
            seen[q][r] = true;
            want[n][0] = q;
            want[n++][1] = r;
        }
    }
    ps_pairs p;
    must(load(&p, text, true), &why);
    assert_int_equal(p.n, n);
    assert_memory_equal(p.pair, want, n * sizeof want[0]);
    assert_memory_equal(&p.left_out, &out, sizeof out);
    assert_true(out.self && out.repeated && out.unknown);

    ps_buf words = {0};
    ps_left_out_print(&(ps_left_out){3, 0, 1}, &words);
    assert_string_equal(words.data,
                        "3 of a pin with itself, 1 of pins that are not in the catalog");
    ps_buf_done(&words);
    ps_pairs_free(&p);
}

static void pairs_may_be_quoted_and_have_other_names(void **state)
{
    (void)state;
    ps_pairs p;
    const char *path = scratch_text("pairs.tsv", "\"bought\"\t\"viewed\"\r\n"
                                                 "\"a2\"\t\"a1\"\r\n");
    must(ps_pairs_load(&p, path, reader,
                       (ps_pairs_opts){.columns = "query=viewed,related=bought"}, &why),
         &why);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.pair[0][0], ps_pins_row(reader, "a1", 2));
    assert_int_equal(p.pair[0][1], ps_pins_row(reader, "a2", 2));
    ps_pairs_free(&p);
    assert_int_equal(ps_pairs_load(&p, path, reader,
                                   (ps_pairs_opts){.columns = "querry=viewed"}, &why),
                     PS_EINVAL);
}

static void broken_files_of_pairs_are_refused_with_their_line(void **state)
{
    (void)state;
    const struct {
        const char *text, *words;
        long line;
    } bad[] = {
        {"", "the file is empty", 0},
        {"query\trelated\n", "there are no pairs, only the header", 0},
        {"query\tpin\na1\ta2\n", "there is no column \"related\"; there is: query pin",
         1},
        {"query\trelated\tweight\na1\ta2\t3\n",
         "column \"weight\" has no meaning here; there may be \"query\" and \"related\"",
         1},
        {"query\trelated\na1\n", "the line has 1 field, the header has 2", 2},
        {"query\trelated\n\ta2\n", "pin \"\" is not in the catalog", 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_pairs p;
        assert_int_equal(load(&p, bad[i].text, false), PS_EFORMAT);
        assert_string_equal(why.text, bad[i].words);
        assert_int_equal(why.line, bad[i].line);
        assert_null(p.pair);
    }
    ps_pairs p;
    assert_int_equal(load(&p, "query\trelated\nzz\ta1\n", true), PS_EFORMAT);
    assert_string_equal(why.text, "no pair is left: 1 of pins that are not in the "
                                  "catalog");
    assert_int_equal(load(&p, "query\trelated\na1\ta1\na1\ta1\n", false), PS_EFORMAT);
    assert_string_equal(why.text, "no pair is left: 2 of a pin with itself");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_as_rows_in_the_order_of_the_file),
        cmocka_unit_test(unknown_pins_are_an_error_or_skipped),
        cmocka_unit_test(what_is_no_pair_is_left_out_and_counted),
        cmocka_unit_test(pairs_may_be_quoted_and_have_other_names),
        cmocka_unit_test(broken_files_of_pairs_are_refused_with_their_line),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
