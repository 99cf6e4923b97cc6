/* test_tsv.c - lines, headers, gzip and every way a file can be wrong.
 *
 * Link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */
#include "core/data/tsv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/rng.h"
#include "tests/support/scratch.h"

/* ------------------------------ Helpers ----------------------------------- */

/* The whole file as "a|b;c|d;" or the error as "!line: text". */
static char *read_all(const char *path, size_t max_line)
{
    ps_buf b = {0};
    ps_tsv *t = NULL;
    ps_why why = {0};
    const ps_text *field;
    int err = ps_tsv_open(&t, path, max_line, &why);
    while (!err && (err = ps_tsv_next(t, &field, &why)) == 1) {
        for (size_t i = 0; i < ps_tsv_columns(t); i++) {
            ps_buf_char(&b, i ? '|' : ';');
            ps_buf_add(&b, field[i].data, field[i].len);
        }
        err = PS_OK;
    }
    if (err < 0) {
        assert_string_equal(why.where, path);
        ps_buf_printf(&b, "!%ld: %s", why.line, why.text);
    }
    ps_tsv_close(t);
    ps_buf_add(&b, "", 0);
    return b.data;
}

static void reads(const char *content, size_t size, const char *expected)
{
    char *got = read_all(scratch_file("x.tsv", content, size), 0);
    assert_string_equal(got, expected);
    free(got);
}

#define READS(content, expected) reads(content, sizeof(content) - 1, expected)

/* Add data as one gzip member at the end of a file. */
static void add_member(const char *path, const char *mode, const char *data, size_t size)
{
    gzFile f = gzopen(path, mode);
    assert_non_null(f);
    assert_int_equal(gzwrite(f, data, (unsigned)size), size);
    assert_int_equal(gzclose(f), Z_OK);
}

/* ------------------------------ Memory ------------------------------------ */

/* The allocation that shall fail, counted down; 0: none. */
static int fail_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);

static bool exhausted(void)
{
    return fail_at && --fail_at == 0;
}

void *__wrap_malloc(size_t size)
{
    return exhausted() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return exhausted() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return exhausted() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
    return exhausted() ? NULL : __real_strdup(text);
}

/* A line longer than the first buffer, so that it must grow. */
static void running_out_of_memory_is_told_at_every_allocation(void **state)
{
    (void)state;
    size_t size = (size_t)3 << 20;
    char *data = malloc(size);
    memset(data, 'x', size);
    memcpy(data, "a\n", 2);
    const char *path = scratch_file("long.tsv", data, size);
    free(data);
    int failures = 0;
    for (int n = 1;; n++) {
        ps_tsv *t = NULL;
        ps_why why = {0};
        const ps_text *field;
        fail_at = n;
        int err = ps_tsv_open(&t, path, 0, &why);
        if (!err)
            err = ps_tsv_next(t, &field, &why);
        bool over = fail_at > 0; /* nothing failed: all allocations were tried */
        fail_at = 0;
        ps_tsv_close(t);
        if (over) {
            assert_int_equal(err, 1);
            break;
        }
        assert_int_equal(err, PS_ENOMEM);
        assert_string_equal(why.where, path);
        failures++;
    }
    assert_true(failures >= 8);
}

/* ------------------------------ Plain text -------------------------------- */

static void a_plain_file_gives_its_fields(void **state)
{
    (void)state;
    READS("pin\tboard\na\tb\nc\td\n", ";a|b;c|d");
    READS("pin\tboard\n\t\nc\t\n", ";|;c|");
    READS("pin\n\nx\n", ";;x");
    READS("pin\tboard\n", "");
    READS("pin\tboard", "");
}

static void crlf_bom_and_a_missing_last_line_end_are_tolerated(void **state)
{
    (void)state;
    READS("\xef\xbb\xbfpin\tb\r\na\tb\r\nc\td", ";a|b;c|d");
    READS("pin\tb\na\tb\rb\r\n", ";a|b\rb");
    READS("pin\nx\r", ";x");
}

static void text_that_is_utf8_passes_as_it_is(void **state)
{
    (void)state;
    READS("pin\n\xc3\xa9\xf0\x9f\x98\x80\n", ";\xc3\xa9\xf0\x9f\x98\x80");
}

static void odd_lines_are_refused_with_their_number(void **state)
{
    (void)state;
    READS("a\tb\n1\t2\n3\n", ";1|2!3: the line has 1 field, the header has 2");
    READS("a\tb\n1\t2\t3\n", "!2: the line has 3 fields, the header has 2");
    READS("a\tb\n1\t2\t\n", "!2: the line has 3 fields, the header has 2");
    READS("a\tb\n1\t2\n\n", ";1|2!3: the line is empty");
    READS("a\tb\n1\t2\nx\0\ty\n", ";1|2!3: the line has a NUL byte");
    READS("a\tb\n1\t2\nx\t\xff\n", ";1|2!3: the line is not UTF-8");
    READS("a\tb\n1\t2\nx\t\xc3", ";1|2!3: the line is not UTF-8");
    READS("a\tb\n\xed\xa0\x80\ty\n", "!2: the line is not UTF-8");
    READS("a\tb\n\x80\ty\n", "!2: the line is not UTF-8");
}

static void odd_headers_are_refused(void **state)
{
    (void)state;
    READS("", "!0: the file is empty");
    READS("\npin\n", "!1: the first line is empty; it must name the columns");
    READS("\xef\xbb\xbf\n", "!1: the first line is empty; it must name the columns");
    READS("pin\t\tx\n", "!1: column 2 has no name");
    READS("pin\tx\tpin\n", "!1: column \"pin\" stands twice");
    READS("p\xffn\tx\n", "!1: the line is not UTF-8");
    char wide[2 * PS_TSV_MAX_COLUMNS + 4];
    memset(wide, '\t', sizeof wide);
    reads(wide, sizeof wide, "!1: more than 4096 columns");
}

static void columns_are_found_by_name_and_missing_ones_named(void **state)
{
    (void)state;
    ps_tsv *t;
    ps_why why = {0};
    size_t at = 99;
    const char *path = scratch_text("x.tsv", "pin\ttitle\tpins\n");
    assert_int_equal(ps_tsv_open(&t, path, 0, &why), PS_OK);
    assert_int_equal(ps_tsv_columns(t), 3);
    assert_int_equal(ps_tsv_find(t, "pins"), 2);
    assert_int_equal(ps_tsv_find(t, "pi"), -1);
    assert_int_equal(ps_tsv_need(t, "title", &at, &why), PS_OK);
    assert_int_equal(at, 1);
    assert_memory_equal(ps_tsv_name(t, 1).data, "title", 5);
    assert_int_equal(ps_tsv_need(t, "board", &at, &why), PS_EFORMAT);
    assert_string_equal(why.text,
                        "there is no column \"board\"; there is: pin title pins");
    assert_string_equal(why.where, path);
    assert_int_equal(why.line, 1);
    ps_tsv_close(t);
}

static void files_that_cannot_be_read_say_so(void **state)
{
    (void)state;
    ps_tsv *t = NULL;
    ps_why why = {0};
    assert_int_equal(ps_tsv_open(&t, scratch("none.tsv"), 0, &why), PS_ENOENT);
    assert_int_equal(ps_tsv_open(&t, scratch_dir(), 0, &why), PS_EIO);
    assert_null(t);
}

static void lines_up_to_the_limit_pass_and_longer_ones_do_not(void **state)
{
    (void)state;
    const char *path = scratch_text("x.tsv", "a\n12345678\n123456789\n");
    char *got = read_all(path, 8);
    assert_string_equal(got, ";12345678!3: the line is longer than 8 bytes");
    free(got);
    got = read_all(scratch_text("x.tsv", "a\n12345678\r\n"), 8);
    assert_string_equal(got, ";12345678");
    free(got);
}

/* Longer than the buffer at first, and an endless one must not eat memory. */
static void long_lines_cross_the_buffer(void **state)
{
    (void)state;
    size_t size = (size_t)9 << 20;
    char *data = malloc(size + 4);
    memset(data, 'x', size + 4);
    memcpy(data, "a\n", 2);
    memcpy(data + size, "\ny\n", 3);
    char *got = read_all(scratch_file("x.tsv", data, size + 3), 0);
    assert_int_equal(strlen(got), size - 2 + 3);
    assert_string_equal(got + size - 2, "x;y");
    free(got);
    got = read_all(scratch("x.tsv"), 1 << 20);
    assert_string_equal(got, "!2: the line is longer than 1048576 bytes");
    free(got);
    free(data);
}

/* ------------------------------ Gzip -------------------------------------- */

static void gzip_is_known_by_content_and_may_have_members(void **state)
{
    (void)state;
    const char *path = scratch("packed.tsv");
    add_member(path, "wb", "a\tb\n1\t", 6);
    add_member(path, "ab", "2\n3\t4", 5);
    char *got = read_all(path, 0);
    assert_string_equal(got, ";1|2;3|4");
    free(got);

    size_t size;
    char *data = slurp(path, &size);
    data = realloc(data, size + 600);
    memset(data + size, 0, 600);
    got = read_all(scratch_file("packed.tsv", data, size + 600), 0);
    assert_string_equal(got, ";1|2;3|4");
    free(got);
    data[size + 3] = 'x';
    got = read_all(scratch_file("packed.tsv", data, size + 600), 0);
    assert_string_equal(got, ";1|2!3: something that is not gzip follows the gzip data");
    free(got);
    free(data);
    add_member(path, "wb", "", 0);
    got = read_all(path, 0);
    assert_string_equal(got, "!0: the file is empty");
    free(got);
}

/* Every cut of a packed file is told, none passes for a shorter file. */
static void cut_off_gzip_is_an_error_at_every_length(void **state)
{
    (void)state;
    add_member(scratch("whole.gz"), "wb", "a\tb\n1\t2\n3\t4\n", 12);
    size_t size;
    char *data = slurp(scratch("whole.gz"), &size);
    for (size_t n = 2; n < size; n++) {
        char *got = read_all(scratch_file("cut.gz", data, n), 0);
        assert_non_null(strstr(got, "the gzip data ends in the middle"));
        free(got);
    }
    free(data);
}

static void damaged_gzip_is_an_error(void **state)
{
    (void)state;
    add_member(scratch("whole.gz"), "wb", "a\tb\n1\t2\n3\t4\n", 12);
    size_t size;
    char *data = slurp(scratch("whole.gz"), &size);
    for (size_t at = size - 8; at < size; at++) {
        data[at] ^= 0x40; /* CRC and length */
        char *got = read_all(scratch_file("bad.gz", data, size), 0);
        assert_non_null(strstr(got, "the gzip data is damaged"));
        free(got);
        data[at] ^= 0x40;
    }
    free(data);
}

/* ------------------------------ Against an oracle ------------------------- */

static size_t random_below(uint64_t *seed, size_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*seed >> 33) % n;
}

/* Lines of all lengths around the buffer's size: what goes in comes out, plain and
 * packed, and the line number of the last one is right. */
static void what_was_written_is_what_is_read(void **state)
{
    (void)state;
    ps_buf file = {0}, expected = {0};
    uint64_t seed = 7;
    ps_buf_text(&file, "a\tb\n");
    for (int line = 0; line < 20000; line++) {
        size_t lens[2] = {random_below(&seed, 20), random_below(&seed, 400)};
        if (line % 5000 == 17)
            lens[1] = 1500000;
        for (int f = 0; f < 2; f++) {
            ps_buf_char(&expected, f ? '|' : ';');
            for (size_t i = 0; i < lens[f]; i++) {
                const char *c = random_below(&seed, 50) ? "q" : "\xc3\xa9";
                ps_buf_text(&file, c);
                ps_buf_text(&expected, c);
            }
            ps_buf_char(&file, f ? '\n' : '\t');
        }
    }
    char *got = read_all(scratch_file("big.tsv", file.data, file.size), 0);
    assert_true(strcmp(got, expected.data) == 0);
    free(got);
    add_member(scratch("big.tsv.gz"), "wb1", file.data, file.size);
    got = read_all(scratch("big.tsv.gz"), 0);
    assert_true(strcmp(got, expected.data) == 0);
    free(got);
    ps_buf_done(&file);
    ps_buf_done(&expected);
}

static void progress_ends_at_the_size_of_the_file(void **state)
{
    (void)state;
    ps_tsv *t;
    const ps_text *field;
    const char *path = scratch("packed.tsv.gz");
    add_member(path, "wb", "a\n1\n2\n", 6);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(ps_tsv_open(&t, path, 0, NULL), PS_OK);
    assert_int_equal(ps_tsv_total(t), st.st_size);
    while (ps_tsv_next(t, &field, NULL) == 1) {
    }
    assert_int_equal(ps_tsv_done(t), ps_tsv_total(t));
    assert_int_equal(ps_tsv_line(t), 3);
    ps_tsv_close(t);
}

static void a_pipe_can_be_read(void **state)
{
    (void)state;
    const char *path = scratch("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        FILE *f = fopen(path, "wb");
        setvbuf(f, NULL, _IONBF, 0);
        for (const char *c = "a\tb\n1\t2\n"; *c; c++)
            fputc(*c, f);
        fclose(f);
        _exit(0);
    }
    char *got = read_all(path, 0);
    assert_string_equal(got, ";1|2");
    free(got);
}

static void a_real_data_set_is_read_to_its_end(void **state)
{
    (void)state;
    const char *path = shared_data("citeulike-t/pins.tsv.gz");
    if (!path) {
        print_message("# no ../shared/data: skipped\n");
        skip();
    }
    ps_tsv *t;
    ps_why why = {0};
    const ps_text *field;
    size_t pin, n = 0;
    assert_int_equal(ps_tsv_open(&t, path, 0, &why), PS_OK);
    assert_int_equal(ps_tsv_need(t, "pin", &pin, &why), PS_OK);
    int got;
    while ((got = ps_tsv_next(t, &field, &why)) == 1)
        n += field[pin].len > 0;
    assert_int_equal(got, 0);
    assert_true(n > 20000);
    ps_tsv_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_out_of_memory_is_told_at_every_allocation),
        cmocka_unit_test(a_plain_file_gives_its_fields),
        cmocka_unit_test(crlf_bom_and_a_missing_last_line_end_are_tolerated),
        cmocka_unit_test(text_that_is_utf8_passes_as_it_is),
        cmocka_unit_test(odd_lines_are_refused_with_their_number),
        cmocka_unit_test(odd_headers_are_refused),
        cmocka_unit_test(columns_are_found_by_name_and_missing_ones_named),
        cmocka_unit_test(files_that_cannot_be_read_say_so),
        cmocka_unit_test(lines_up_to_the_limit_pass_and_longer_ones_do_not),
        cmocka_unit_test(long_lines_cross_the_buffer),
        cmocka_unit_test(gzip_is_known_by_content_and_may_have_members),
        cmocka_unit_test(cut_off_gzip_is_an_error_at_every_length),
        cmocka_unit_test(damaged_gzip_is_an_error),
        cmocka_unit_test(what_was_written_is_what_is_read),
        cmocka_unit_test(progress_ends_at_the_size_of_the_file),
        cmocka_unit_test(a_pipe_can_be_read),
        cmocka_unit_test(a_real_data_set_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
