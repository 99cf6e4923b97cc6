/* test_tsv_quoted.c - fields in quotes: what pandas and Excel write is read as they meant
 * it, a file that knows no quoting as it always was, and what could be either is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/data/tsv.h"
#include "pinsage/buf.h"
#include "pinsage/rng.h"
#include "tests/support/scratch.h"

/* "a|b;c|d@LINE" of all records, their first quoted line last; or "!line: text". */
static char *read_all(const char *path, size_t max_line)
{
    ps_buf b = {0};
    ps_tsv *t = NULL;
    ps_why why = {0};
    const ps_text *field;
    int err = ps_tsv_open(&t, path, max_line, &why);
    for (size_t i = 0; !err && i < ps_tsv_columns(t); i++) {
        ps_text name = ps_tsv_name(t, i);
        ps_buf_printf(&b, "%s%.*s", i ? "|" : "", (int)name.len, name.data);
    }
    while (!err && (err = ps_tsv_next(t, &field, &why)) == 1) {
        for (size_t i = 0; i < ps_tsv_columns(t); i++) {
            ps_buf_char(&b, i ? '|' : ';');
            ps_buf_add(&b, field[i].data, field[i].len);
        }
        ps_buf_printf(&b, "@%ld", ps_tsv_line(t));
        err = PS_OK;
    }
    if (err < 0)
        ps_buf_printf(&b, "!%ld: %.9s", why.line, why.text);
    else
        ps_buf_printf(&b, " %ld%s", ps_tsv_quoted(t),
                      ps_tsv_spanned(t) ? " spanned" : "");
    ps_tsv_close(t);
    ps_buf_add(&b, "", 0);
    return b.data;
}

static const struct {
    const char *file, *read;
} cases[] = {
    /* as pandas (QUOTE_MINIMAL) and Excel write */
    {"p\tt\na\t\"Say \"\"hi\"\"\"\n", "p|t;a|Say \"hi\"@2 2"},
    {"p\tt\na\tx\nb\t\"two\nlines\"\nc\ty\n", "p|t;a|x@2;b|two\nlines@3;c|y@5 3 spanned"},
    {"p\tt\na\t\"two\r\nlines\"\r\nb\ty\r\n", "p|t;a|two\r\nlines@2;b|y@4 2 spanned"},
    {"p\tt\na\t\"in\tside\"\nb\ty\n", "p|t;a|in\tside@2;b|y@3 2"},
    {"p\tt\na\t\"Hello, you\"\n", "p|t;a|Hello, you@2 2"},
    {"p\tt\na\t\"end\"", "p|t;a|end@2 2"},
    {"p\tt\na\t\"end\"\r", "p|t;a|end@2 2"},
    {"p\tt\na\t\"\"\n", "p|t;a|@2 2"},
    {"p\tt\na\t\"\"\"\"\n", "p|t;a|\"@2 2"},
    {"p\tt\n\"a\"\t\"x\"\n\"b\"\t\"y\"\n", "p|t;a|x@2;b|y@3 2"},
    {"p\tt\n\"a\nb\"\t\"x\ny\"\nc\td\n", "p|t;a\nb|x\ny@2;c|d@5 2 spanned"},
    /* QUOTE_ALL: the header, too; tabs and line ends in one field are no doubt then */
    {"\"p\"\t\"t\"\n\"a\"\t\"x\ty\nz\"\n", "p|t;a|x\ty\nz@2 1 spanned"},
    {"\xef\xbb\xbf\"p\"\t\"t\"\n\"a\"\t\"x\"\n", "p|t;a|x@2 1"},
    {"\"p\np\"\tt\na\tx\n", "p\np|t;a|x@3 1 spanned"},
    {"\"p\"\t\"t\"\n\"a\"\t\"x\n", "p|t!2: a field's"},
    {"\"p\"\t\"t\"\n\"a\"\t\"x\" y\n", "p|t!2: text foll"},
    {"\"p\"\t\"t\"\na\tx\n", "p|t;a|x@2 1"},
    /* files that know no quoting */
    {"p\tt\na\t\"Foo\" bar\nb\ty\n", "p|t;a|\"Foo\" bar@2;b|y@3 0"},
    {"p\tt\na\tbar \"Foo\"\n", "p|t;a|bar \"Foo\"@2 0"},
    {"p\tt\na\t5\"\nb\t\"x\n", "p|t;a|5\"@2;b|\"x@3 0"},
    {"p\tt\na\t\"open\nb\tthe \"end\" of\n", "p|t;a|\"open@2;b|the \"end\" of@3 0"},
    {"p\tt\na\t\"\nb\ty\n", "p|t;a|\"@2;b|y@3 0"},
    {"p\tt\na\t\"x\rb\"\n", "p|t;a|x\rb@2 2"},
    {"p\tt\na\t\"x\"\rb\n", "p|t;a|\"x\"\rb@2 0"},
    /* either, and wrong if it is the other */
    {"p\tt\na\t\"open\nb\tclosed\"\n", "p|t!2: a quote b"},
    {"p\tt\tu\na\t\"x\ty\nz\"\tv\n", "p|t|u!2: a quote b"},
    /* the number of fields is still looked at */
    {"p\tt\na\t\"x\ty\"\tz\n", "p|t!2: the line "},
    {"p\tt\n\"a\tb\"\n", "p|t!2: the line "},
};

static void quotes_are_read_as_they_were_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = read_all(scratch_text("x.tsv", cases[i].file), 0);
        if (strcmp(got, cases[i].read) != 0)
            fail_msg("%s\nwas read as %s\nnot as %s", cases[i].file, got, cases[i].read);
        free(got);
    }
}

/* ------------------------------ Oracle ------------------------------------ */

/* Python's csv.writer with the dialect excel-tab. */
static void write_field(ps_buf *out, const char *text, bool all)
{
    bool quote = all || strpbrk(text, "\t\n\r\"");
    ps_buf_text(out, quote ? "\"" : "");
    for (; *text; text++)
        ps_buf_text(out, *text == '"' ? "\"\"" : (char[]){*text, '\0'});
    ps_buf_text(out, quote ? "\"" : "");
}

static void random_text(char *out, uint64_t *rng, bool all)
{
    /* Without quotes in the header a field has tabs or line ends, not both. */
    const char *letters = all                    ? "ab\"\t\n,\r"
                          : ps_rng_next(rng) % 2 ? "ab\"\t,"
                                                 : "ab\"\n,";
    size_t len = ps_rng_next(rng) % 7;
    for (size_t i = 0; i < len; i++)
        out[i] = letters[ps_rng_below(rng, strlen(letters))];
    out[len] = '\0';
}

enum { COLUMNS = 3, ROWS = 40 };

static void one_table(uint64_t *rng, bool all, const char *path)
{
    static char cell[ROWS][COLUMNS][8];
    ps_buf b = {0};
    ps_tsv *t;
    ps_why why = {0};
    const ps_text *field;
    const char *end = ps_rng_next(rng) % 2 ? "\n" : "\r\n";
    ps_buf_printf(&b, all ? "\"x\"\t\"y\"\t\"z\"%s" : "x\ty\tz%s", end);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) {
            random_text(cell[r][c], rng, all);
            write_field(&b, cell[r][c], all);
            ps_buf_text(&b, c + 1 < COLUMNS ? "\t" : end);
        }
    int err = ps_tsv_open(&t, scratch_file(path, b.data, b.size), 0, &why);
    assert_int_equal(err, PS_OK);
    for (int r = 0; r < ROWS; r++) {
        if (ps_tsv_next(t, &field, &why) != 1)
            fail_msg("row %d: %ld: %s\n%.*s", r, why.line, why.text, (int)b.size, b.data);
        for (int c = 0; c < COLUMNS; c++)
            if (!ps_text_is(field[c], cell[r][c]))
                fail_msg("row %d, column %d: \"%.*s\", wanted \"%s\"", r, c,
                         (int)field[c].len, field[c].data, cell[r][c]);
    }
    assert_int_equal(ps_tsv_next(t, &field, &why), 0);
    ps_tsv_close(t);
    ps_buf_done(&b);
}

static void random_tables_come_back_from_quotes(void **state)
{
    (void)state;
    uint64_t rng = 1;
    for (int i = 0; i < 400; i++)
        one_table(&rng, i % 2, "r.tsv");
}

/* ------------------------------ Buffers ----------------------------------- */

static void a_field_may_go_over_the_ends_of_buffers(void **state)
{
    (void)state;
    ps_buf b = {0};
    ps_tsv *t;
    ps_why why = {0};
    const ps_text *field;
    enum { LINES = 300000 };
    ps_buf_text(&b, "p\tt\na\t\"");
    for (int i = 0; i < LINES; i++)
        ps_buf_text(&b, "a line\n");
    ps_buf_text(&b, "\"\nb\ty\n");
    const char *path = scratch_file("long.tsv", b.data, b.size);
    assert_int_equal(ps_tsv_open(&t, path, 0, &why), PS_OK);
    assert_int_equal(ps_tsv_next(t, &field, &why), 1);
    assert_int_equal(field[1].len, LINES * 7);
    assert_int_equal(ps_tsv_next(t, &field, &why), 1);
    assert_true(ps_text_is(field[0], "b"));
    assert_int_equal(ps_tsv_line(t), LINES + 3);
    ps_tsv_close(t);
    /* beyond the longest line that is taken, the quote is text */
    char *got = read_all(path, 1000);
    assert_memory_equal(got, "p|t;a|\"a line@2!3: the line ", 27);
    free(got);
    ps_buf_done(&b);
}

/* Every write of a pipe is one read here. */
static void a_pipe_may_part_the_bytes_anywhere(void **state)
{
    (void)state;
    static const char text[] =
        "\"p\"\t\"t\"\r\n\"a\"\t\"x\"\"\r\ny\"\r\n\"b\"\t\"\"\"\"\r\n";
    const char *path = scratch("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    char *copy = strdup(path);
    pid_t child = fork();
    if (child == 0) {
        FILE *out = fopen(copy, "w");
        for (size_t i = 0; i + 1 < sizeof text; i++) {
            fputc(text[i], out);
            fflush(out);
            usleep(300);
        }
        fclose(out);
        _exit(0);
    }
    char *got = read_all(copy, 0);
    assert_string_equal(got, "p|t;a|x\"\r\ny@2;b|\"@4 1 spanned");
    free(got);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_are_read_as_they_were_meant),
        cmocka_unit_test(random_tables_come_back_from_quotes),
        cmocka_unit_test(a_field_may_go_over_the_ends_of_buffers),
        cmocka_unit_test(a_pipe_may_part_the_bytes_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
