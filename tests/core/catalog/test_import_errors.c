/* test_import_errors.c - each kind of broken input is refused with its file and line,
 * and nothing is left behind.
 *
 * A row of the table changes one thing of a good import. Every row runs twice: where
 * there was no catalog (then there must be none after), and over a good one (which
 * must stay as it was).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/methods.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

#define PINS  "pin\ttitle\na\tA\nb\tB\nc107\tC\n"
#define EDGES "pin\tboard\na\tx\nb\tx\nc107\ty\n"

#define CUT "the gzip data ends in the middle: the file is cut off"

static char long_id[600];
static ps_why why;

static ps_import_opts good(void)
{
    return (ps_import_opts){.pins = scratch_text("pins.tsv", PINS),
                            .edges = scratch_text("edges.tsv", EDGES)};
}

/* Import must fail with this, and the catalog must be as it was. file: how `where`
 * ends. */
static void refused(const ps_import_opts *o, int err, const char *file, long line,
                    const char *text)
{
    static bool made;
    ps_import_opts fine = good();
    size_t len = strlen(file);
    for (int over = 0; over < 2; over++) {
        why = (ps_why){0};
        snprintf(catalog, sizeof catalog, "%s", scratch(over ? "over" : "nowhere"));
        if (over && !made)
            must(ps_import(catalog, &fine, NULL, NULL, &why), &why);
        made |= over;
        int got = ps_import(catalog, o, NULL, NULL, &why);
        if (got != err || strcmp(why.text, text) != 0 || why.line != line)
            fail_msg("%s: %s:%ld: %s", ps_errname(got), why.where, why.line, why.text);
        assert_true(strlen(why.where) >= len);
        assert_string_equal(why.where + strlen(why.where) - len, file);
        assert_string_equal(listing(), over ? "current gen-000001 lock" : "nothing");
        assert_null(strchr(why.text, '\n'));
    }
}

/* The same, when it is enough that a word is said. */
static void refused_with(const ps_import_opts *o, int err, const char *word)
{
    why = (ps_why){0};
    snprintf(catalog, sizeof catalog, "%s", scratch("nowhere"));
    assert_int_equal(ps_import(catalog, o, NULL, NULL, &why), err);
    if (!strstr(why.text, word))
        fail_msg("\"%s\" does not say %s", why.text, word);
    assert_string_equal(listing(), "nothing");
}

/* ------------------------------ Text -------------------------------------- */

static const struct {
    const char *pins, *edges;
    int err;
    const char *file;
    long line;
    const char *text;
} broken[] = {
    /* pins */
    {"", EDGES, PS_EFORMAT, "pins.tsv", 0, "the file is empty"},
    {"\n\n", EDGES, PS_EFORMAT, "pins.tsv", 1,
     "the first line is empty; it must name the columns"},
    {"pin\n", EDGES, PS_EFORMAT, "pins.tsv", 0, "there are no pins, only the header"},
    {"id\ttitle\na\tA\n", EDGES, PS_EFORMAT, "pins.tsv", 1,
     "there is no column \"pin\"; there is: id title"},
    {"pin\ttext\ttext\na\t1\t2\n", EDGES, PS_EFORMAT, "pins.tsv", 1,
     "column \"text\" stands twice"},
    {"pin\nb\nc\na\nd\na\n", EDGES, PS_EFORMAT, "pins.tsv", 6,
     "pin \"a\" stands twice, first in line 4"},
    {"pin\ttitle\na\tA\n\tB\n", EDGES, PS_EFORMAT, "pins.tsv", 3,
     "the pin's id is empty"},
    {"pin\na\n\nb\n", EDGES, PS_EFORMAT, "pins.tsv", 3, "the pin's id is empty"},
    {"pin\ttext\na\tA\n\n", EDGES, PS_EFORMAT, "pins.tsv", 3, "the line is empty"},
    {"pin\ttitle\na\tA\tB\n", EDGES, PS_EFORMAT, "pins.tsv", 2,
     "the line has 3 fields, the header has 2"},
    {"pin\ttitle\na\tA\nb\n", EDGES, PS_EFORMAT, "pins.tsv", 3,
     "the line has 1 field, the header has 2"},
    {"pin\ttitle\na\tA\nb\t\xc3(\n", EDGES, PS_EFORMAT, "pins.tsv", 3,
     "the line is not UTF-8"},
    {"pin\ttitle\na\t\xed\xa0\x80\n", EDGES, PS_EFORMAT, "pins.tsv", 2,
     "the line is not UTF-8"},
    {long_id, EDGES, PS_EFORMAT, "pins.tsv", 2,
     "the pin's id has 512 bytes, at most 511 are possible"},
    /* edges */
    {PINS, "", PS_EFORMAT, "edges.tsv", 0, "the file is empty"},
    {PINS, "pin\tboard\n", PS_EFORMAT, "edges.tsv", 0,
     "there are no edges, only the header"},
    {PINS, "pin\tlist\na\tx\n", PS_EFORMAT, "edges.tsv", 1,
     "there is no column \"board\"; there is: pin list"},
    {PINS, "a\tx\nb\tx\n", PS_EFORMAT, "edges.tsv", 1,
     "there is no column \"pin\"; there is: a x"},
    {PINS, "pin\tboard\tweight\na\tx\n", PS_EFORMAT, "edges.tsv", 2,
     "the line has 2 fields, the header has 3"},
    {"pin\ttitle\na\t\"x\ny\"\nb\tB\na\tC\n", EDGES, PS_EFORMAT, "pins.tsv", 5,
     "pin \"a\" stands twice"},
    {PINS, "pin\tboard\na\t\"x\ny\"\nb\tx\nq\tx\n", PS_EFORMAT, "edges.tsv", 5,
     "pin \"q\" is not among the pins; did you mean \"a\"?"},
    {"\tpin\ttitle\n0\ta\tA\n", EDGES, PS_EFORMAT, "pins.tsv", 1,
     "column 1 has no name: pandas writes its index so; leave it out by to_csv(..., "
     "sep='\\t', index=False)"},
    {PINS, "pin\tboard\na\tx\nc1O7\ty\n", PS_EFORMAT, "edges.tsv", 3,
     "pin \"c1O7\" is not among the pins; did you mean \"c107\"?"},
    {PINS, "pin\tboard\na\tx\nelephant\ty\n", PS_EFORMAT, "edges.tsv", 3,
     "pin \"elephant\" is not among the pins"},
    {PINS, "pin\tboard\na\tx\nele\x1bphant\ty\n", PS_EFORMAT, "edges.tsv", 3,
     "pin \"ele?phant\" is not among the pins"},
    {PINS, "pin\tboard\nzz\tx\nb\n", PS_EFORMAT, "edges.tsv", 2,
     "pin \"zz\" is not among the pins"},
    {PINS, "pin\tboard\na\t\n", PS_EFORMAT, "edges.tsv", 2, "the board is empty"},
    {PINS, "pin\tboard\n\tx\n", PS_EFORMAT, "edges.tsv", 2, "the pin is empty"},
    {PINS, "pin\tboard\na\tx\nb\tx\ty\n", PS_EFORMAT, "edges.tsv", 3,
     "the line has 3 fields, the header has 2"},
    {PINS, "pin\tboard\na\tx\nb\t\xff\n", PS_EFORMAT, "edges.tsv", 3,
     "the line is not UTF-8"},
};

static void broken_text_is_refused_with_file_and_line(void **state)
{
    (void)state;
    memcpy(long_id, "pin\n", 4);
    memset(long_id + 4, 'i', 512);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        /* Names of their own: refused() writes the good files. */
        ps_import_opts o = {.pins = scratch_text("x_pins.tsv", broken[i].pins),
                            .edges = scratch_text("x_edges.tsv", broken[i].edges)};
        refused(&o, broken[i].err, broken[i].file, broken[i].line, broken[i].text);
    }
}

static void a_board_of_more_than_511_bytes_is_refused(void **state)
{
    (void)state;
    char edges[700];
    snprintf(edges, sizeof edges, "pin\tboard\na\t%0600d\n", 0);
    ps_import_opts o = good();
    o.edges = scratch_text("long_edges.tsv", edges);
    refused(&o, PS_EFORMAT, "long_edges.tsv", 2,
            "the board has 600 bytes, at most 511 are possible");
}

static void skipping_unknown_pins_until_nothing_is_left_is_an_error(void **state)
{
    (void)state;
    ps_import_opts o = good();
    o.edges = scratch_text("u_edges.tsv", "pin\tboard\nzz\tx\nyy\ty\n");
    o.skip_unknown = true;
    refused(&o, PS_EFORMAT, "u_edges.tsv", 0,
            "no edge is left: all 2 have a pin that is not known");
}

static void a_long_file_tells_the_line_of_its_first_mistake(void **state)
{
    (void)state;
    const char *path = scratch("many_edges.tsv");
    FILE *f = fopen(path, "w");
    ps_import_opts o = good();
    fputs("pin\tboard\n", f);
    for (int i = 2; i < 50000; i++)
        fprintf(f,
                i == 40001   ? "unknown\tx\n"
                : i == 40003 ? "a\tb\tc\n"
                             : "a\tboard%d\n",
                i);
    fclose(f);
    o.edges = path;
    refused(&o, PS_EFORMAT, "many_edges.tsv", 40001,
            "pin \"unknown\" is not among the pins");
    o.skip_unknown = true;
    refused(&o, PS_EFORMAT, "many_edges.tsv", 40003,
            "the line has 3 fields, the header has 2");
}

static void gzip_that_is_cut_or_damaged_is_refused(void **state)
{
    (void)state;
    ps_import_opts o = good();
    o.pins = gzip_file("cut.gz", PINS, 12);
    refused(&o, PS_EFORMAT, "cut.gz", 4, CUT);
    o = good();
    o.edges = gzip_file("cut_edges.gz", EDGES, 3);
    refused(&o, PS_EFORMAT, "cut_edges.gz", 5, CUT);
}

static void missing_files_are_told_before_anything_is_read(void **state)
{
    (void)state;
    ps_import_opts o = good();
    o.pins = scratch("none.tsv");
    refused(&o, PS_ENOENT, "none.tsv", 0, "cannot be opened: No such file or directory");
    o = good();
    o.edges = scratch("none.tsv");
    refused(&o, PS_ENOENT, "none.tsv", 0, "cannot be opened: No such file or directory");
    o = good();
    ps_import_feature f = {"visual", scratch("none.npy")};
    o.features = &f;
    o.n_features = 1;
    o.pins = scratch_text("bad_too.tsv", "");
    refused(&o, PS_ENOENT, "none.npy", 0, "cannot be opened: No such file or directory");
}

/* ------------------------------ Matrices ---------------------------------- */

/* As a feature and as embeddings. text NULL: whatever it says, the same each time. */
static void refused_matrix(const char *path, const char *text)
{
    char copy[PS_PATH_MAX], words[256];
    ps_import_opts o = good();
    ps_import_feature f = {"visual", copy};
    snprintf(copy, sizeof copy, "%s", path);
    o.features = &f;
    o.n_features = 1;
    assert_int_equal(ps_import(scratch("c"), &o, NULL, NULL, &why), PS_EFORMAT);
    assert_true(why.text[0] != '\0');
    snprintf(words, sizeof words, "%s", text ? text : why.text);
    refused(&o, PS_EFORMAT, strrchr(copy, '/') + 1, 0, words);
    o = good();
    o.embeddings = copy;
    refused(&o, PS_EFORMAT, strrchr(copy, '/') + 1, 0, words);
}

static void matrices_of_another_shape_are_refused(void **state)
{
    (void)state;
    const float v[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    refused_matrix(npy_file("rows.npy", PS_F32, 4, 2, v),
                   "it has 4 rows, there are 3 pins");
    refused_matrix(npy_file("few.npy", PS_F32, 2, 4, v),
                   "it has 2 rows, there are 3 pins");
    refused_matrix(npy_file("flat.npy", PS_F32, 3, 0, v),
                   "it has one dimension; vectors must have the shape (pins, D)");
    refused_matrix(npy_odd("none.npy",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0)}", v,
                           0),
                   "its rows have 0 numbers, 1 to 1048576 are possible");
}

static void matrices_of_another_type_are_refused(void **state)
{
    (void)state;
    const uint32_t u[3] = {1, 2, 3};
    const int32_t i[3] = {1, 2, 3};
    refused_matrix(
        npy_file("u4.npy", PS_U32, 3, 1, u),
        "its numbers are <u4; vectors must be <f4, <f2 or <f8: X.astype('float32')");
    refused_matrix(npy_odd("i4.npy",
                           "{'descr': '<i4', 'fortran_order': False, 'shape': (3, 1)}", i,
                           sizeof i),
                   NULL);
    /* what is offered is what is taken */
    assert_non_null(strstr(why.text, "\"<i4\"; vectors are <f4, <f2 or <f8"));
    refused_matrix(npy_odd("fortran.npy",
                           "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 1)}", u,
                           sizeof u),
                   NULL);
    assert_non_null(strstr(why.text, "Fortran"));
}

static void files_that_are_no_matrix_are_refused(void **state)
{
    (void)state;
    refused_matrix(scratch_text("empty.npy", ""), NULL);
    refused_matrix(scratch_text("text.npy", "1 2 3\n4 5 6\n"), NULL);
    refused_matrix(npy_odd("short.npy",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}",
                           "12345678", 8),
                   NULL);
    assert_non_null(strstr(why.text, "cut off"));
}

static void numbers_that_are_not_finite_are_refused_with_their_place(void **state)
{
    (void)state;
    float v[] = {1, 2, 3, 4, 5, 6};
    uint16_t h[] = {0x3c00, 0, 0, 0, 0, 0x7c00};
    v[3] = __builtin_nanf("");
    refused_matrix(
        npy_file("nan.npy", PS_F32, 3, 2, v),
        "row 1, column 1 (from 0) is NaN; the row is pin \"b\", line 3 of the pins");
    v[3] = 4;
    v[0] = -__builtin_inff();
    refused_matrix(
        npy_file("inf.npy", PS_F32, 3, 2, v),
        "row 0, column 0 (from 0) is infinite; the row is pin \"a\", line 2 of the pins");
    refused_matrix(npy_file("half.npy", PS_F16, 3, 2, h),
                   "row 2, column 1 (from 0) is infinite; the row is pin \"c107\", line "
                   "4 of the pins");
    h[5] = 0xfe00;
    refused_matrix(npy_file("half_nan.npy", PS_F16, 3, 2, h),
                   "row 2, column 1 (from 0) is NaN; the row is pin \"c107\", line 4 of "
                   "the pins");
}

static void doubles_beyond_a_float_are_refused_with_their_place(void **state)
{
    (void)state;
    double d[] = {1, 2, 3, 4, 5, 1e39};
    refused_matrix(npy_file("large.npy", PS_F64, 3, 2, d),
                   "row 2, column 1 (from 0) is beyond what a float holds, 3.4e38; the "
                   "row is pin \"c107\", line 4 of the pins");
    d[5] = 6;
    d[2] = -3.5e38;
    refused_matrix(npy_file("small.npy", PS_F64, 3, 2, d),
                   "row 1, column 0 (from 0) is beyond what a float holds, 3.4e38; the "
                   "row is pin \"b\", line 3 of the pins");
    d[2] = __builtin_inf();
    refused_matrix(
        npy_file("dinf.npy", PS_F64, 3, 2, d),
        "row 1, column 0 (from 0) is infinite; the row is pin \"b\", line 3 of the pins");
    d[2] = -__builtin_nan("");
    refused_matrix(
        npy_file("dnan.npy", PS_F64, 3, 2, d),
        "row 1, column 0 (from 0) is NaN; the row is pin \"b\", line 3 of the pins");
}

/* ------------------------------ Options ----------------------------------- */

static void names_of_blocks_are_checked(void **state)
{
    (void)state;
    const float v[3] = {1, 2, 3};
    char *path = strdup(npy_file("fine.npy", PS_F32, 3, 1, v));
    const char *const bad[] = {"",      "Visual", "2d",
                               "a-b",   "../x",   "a234567890123456789012345678901234",
                               "vis al"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_import_feature f = {bad[i], path};
        ps_import_opts o = good();
        o.features = &f;
        o.n_features = 1;
        use("named");
        assert_int_equal(ps_import(catalog, &o, NULL, NULL, &why), PS_EINVAL);
        assert_string_equal(listing(), "nothing");
    }
    for (size_t i = 0; ps_method_name(i); i++) {
        ps_import_feature f = {ps_method_name(i), path};
        ps_import_opts o = good();
        o.features = &f;
        o.n_features = 1;
        refused_with(&o, PS_EINVAL,
                     strchr(f.name, '-') ? "is no name for a block"
                                         : "is the name of a method: call the block");
    }
    ps_import_feature twice[] = {{"v", path}, {"v", path}};
    ps_import_opts o = good();
    o.features = twice;
    o.n_features = 2;
    refused(&o, PS_EINVAL, "--feature", 0, "\"v\" is given twice");
    free(path);
}

static void only_one_input_can_be_standard_input(void **state)
{
    (void)state;
    ps_import_opts o = {.pins = "-", .edges = "-"};
    refused(&o, PS_EINVAL, "", 0,
            "pins and edges cannot both come from the standard input");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_text_is_refused_with_file_and_line),
        cmocka_unit_test(a_board_of_more_than_511_bytes_is_refused),
        cmocka_unit_test(skipping_unknown_pins_until_nothing_is_left_is_an_error),
        cmocka_unit_test(a_long_file_tells_the_line_of_its_first_mistake),
        cmocka_unit_test(gzip_that_is_cut_or_damaged_is_refused),
        cmocka_unit_test(missing_files_are_told_before_anything_is_read),
        cmocka_unit_test(matrices_of_another_shape_are_refused),
        cmocka_unit_test(matrices_of_another_type_are_refused),
        cmocka_unit_test(files_that_are_no_matrix_are_refused),
        cmocka_unit_test(numbers_that_are_not_finite_are_refused_with_their_place),
        cmocka_unit_test(doubles_beyond_a_float_are_refused_with_their_place),
        cmocka_unit_test(names_of_blocks_are_checked),
        cmocka_unit_test(only_one_input_can_be_standard_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
