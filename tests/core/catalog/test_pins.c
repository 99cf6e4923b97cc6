/* test_pins.c - what is written comes back, by row and by name; near ids are found;
 * broken files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "pinsage/pins.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"
#include "tests/support/texts.h"

/* A file of n pins with ids by format and row, and n / 2 boards. Its path. */
static const char *make_pins(const char *name, const char *format, uint32_t n)
{
    ps_why why = {0};
    ps_pins_writer *w;
    ps_text *ids = calloc((size_t)n + 1, sizeof *ids);
    const char *path = scratch(name);
    unlink(path);
    must(ps_pins_writer_new(&w, path, 0, &why), &why);
    for (uint32_t i = 0; i < n; i++) {
        char id[600];
        int len = snprintf(id, sizeof id, format, i);
        ids[i] = ps_text_of(strdup(id));
        assert_int_equal(ids[i].len, len);
        must(ps_pins_writer_pin(w, &(ps_pin){.id = ids[i]}, NULL, 0, &why), &why);
    }
    must(ps_pins_writer_ids(w, ids, n, &why), &why);
    must(ps_pins_writer_boards(w, ids, n / 2, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);
    for (uint32_t i = 0; i < n; i++)
        free((char *)(uintptr_t)ids[i].data);
    free(ids);
    return path;
}

static ps_pins *pins;
static ps_pins_reader *reader;

static void open_pins(const char *path)
{
    ps_why why = {0};
    must(ps_pins_open(&pins, path, &why), &why);
    must(ps_pins_reader_new(&reader, pins), &why);
}

static void close_pins(void)
{
    ps_pins_reader_free(reader);
    ps_pins_close(pins);
}

/* ------------------------------ Records ----------------------------------- */

static void a_pin_comes_back_with_all_it_had(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_pins_writer *w;
    const char *path = scratch("one.mdb");
    static char words[3 << 20];
    memset(words, 'w', sizeof words);
    ps_text meta[] = {ps_text_of("author"), ps_text_of("Ada"), ps_text_of("year"),
                      ps_text_of(""),       ps_text_of("é"),   ps_text_of("ü")};
    ps_pin in[] = {
        {.id = ps_text_of("a/b c\"d'\xf0\x9f\x8c\x8d"), .title = ps_text_of("Title")},
        {.id = ps_text_of("plain"),
         .text = {words, sizeof words},
         .image = ps_text_of("i.png")},
    };
    ps_text ids[] = {in[0].id, in[1].id};
    ps_text boards[] = {ps_text_of("zoo"), ps_text_of("art")};
    must(ps_pins_writer_new(&w, path, 100, &why), &why);
    must(ps_pins_writer_pin(w, &in[0], meta, 3, &why), &why);
    must(ps_pins_writer_pin(w, &in[1], NULL, 0, &why), &why);
    must(ps_pins_writer_ids(w, ids, 2, &why), &why);
    must(ps_pins_writer_boards(w, boards, 2, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);

    ps_pin pin;
    ps_text name, value;
    size_t at = 0;
    open_pins(path);
    assert_int_equal(ps_pins_count(pins), 2);
    assert_int_equal(ps_pins_boards(pins), 2);
    assert_int_equal(ps_pins_get(reader, 0, &pin), PS_OK);
    assert_text(pin.id, "a/b c\"d'\xf0\x9f\x8c\x8d");
    assert_text(pin.title, "Title");
    assert_int_equal(pin.text.len, 0);
    assert_int_equal(pin.n_meta, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 1);
        assert_int_equal(name.len, meta[2 * i].len);
        assert_memory_equal(name.data, meta[2 * i].data, name.len);
        assert_int_equal(value.len, meta[2 * i + 1].len);
        assert_memory_equal(value.data, meta[2 * i + 1].data, value.len);
    }
    assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 0);
    assert_int_equal(ps_pins_get(reader, 1, &pin), PS_OK);
    assert_int_equal(pin.text.len, sizeof words);
    assert_memory_equal(pin.text.data, words, sizeof words);
    assert_text(pin.image, "i.png");
    at = 0;
    assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 0);
    assert_int_equal(ps_pins_get(reader, 2, &pin), PS_ENOENT);
    assert_int_equal(ps_pins_row(reader, "plain", 5), 1);
    assert_int_equal(ps_pins_board(reader, "zoo", 3), 0);
    assert_int_equal(ps_pins_board(reader, "art", 3), 1);
    assert_int_equal(ps_pins_board_name(reader, 1, &name), PS_OK);
    assert_text(name, "art");
    assert_int_equal(ps_pins_board_name(reader, 2, &name), PS_ENOENT);
    close_pins();
}

static void every_name_leads_to_its_row_and_back(void **state)
{
    (void)state;
    enum { N = 70000 };
    open_pins(make_pins("many.mdb", "pin%u", N));
    uint64_t *hashes = calloc(N, sizeof *hashes);
    assert_int_equal(ps_pins_hashes(reader, hashes), PS_OK);
    for (uint32_t i = 0; i < N; i++) {
        char id[32];
        size_t len = (size_t)snprintf(id, sizeof id, "pin%u", i);
        ps_pin pin;
        assert_int_equal(ps_pins_row(reader, id, len), i);
        assert_int_equal(ps_pins_get(reader, i, &pin), PS_OK);
        assert_text(pin.id, id);
        assert_true(hashes[i] == ps_hash(id, len));
        assert_int_equal(ps_pins_board(reader, id, len), i < N / 2 ? i : PS_NO_ROW);
    }
    free(hashes);
    close_pins();
}

static void names_that_are_not_there_have_no_row(void **state)
{
    (void)state;
    static char longest[PS_ID_MAX + 1];
    memset(longest, 'x', sizeof longest);
    open_pins(make_pins("few.mdb", "p%u", 10));
    assert_int_equal(ps_pins_row(reader, "p10", 3), PS_NO_ROW);
    assert_int_equal(ps_pins_row(reader, "p", 1), PS_NO_ROW);
    assert_int_equal(ps_pins_row(reader, "", 0), PS_NO_ROW);
    assert_int_equal(ps_pins_row(reader, longest, PS_ID_MAX), PS_NO_ROW);
    assert_int_equal(ps_pins_row(reader, longest, PS_ID_MAX + 1), PS_NO_ROW);
    assert_int_equal(ps_pins_board(reader, longest, PS_ID_MAX + 1), PS_NO_ROW);
    close_pins();
}

static void ids_of_511_bytes_fit_and_longer_ones_are_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    char id[PS_ID_MAX + 1];
    ps_pins_writer *w;
    open_pins(make_pins("long.mdb", "%0511u", 5));
    snprintf(id, sizeof id, "%0511u", 3);
    assert_int_equal(ps_pins_row(reader, id, PS_ID_MAX), 3);
    close_pins();
    static char longer[PS_ID_MAX + 1];
    memset(longer, 'x', sizeof longer);
    must(ps_pins_writer_new(&w, scratch("longer.mdb"), 0, &why), &why);
    ps_text ids[] = {{longer, sizeof longer}};
    assert_int_equal(ps_pins_writer_ids(w, ids, 1, &why), PS_EINVAL);
    ps_pins_writer_abort(w);
}

static void a_name_given_twice_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_pins_writer *w;
    ps_text ids[] = {ps_text_of("b"), ps_text_of("a"), ps_text_of("b")};
    must(ps_pins_writer_new(&w, scratch("twice.mdb"), 0, &why), &why);
    assert_int_equal(ps_pins_writer_ids(w, ids, 3, &why), PS_EEXIST);
    ps_pins_writer_abort(w);
}

static void more_than_one_map_of_text_is_written_and_read(void **state)
{
    (void)state;
    enum { N = 48, SIZE = 8 << 20 }; /* 384 MiB, the first map has 256 */
    ps_why why = {0};
    ps_pins_writer *w;
    ps_pin pin;
    char *words = malloc(SIZE), id[16];
    ps_text ids[N];
    const char *path = scratch("large.mdb");
    must(ps_pins_writer_new(&w, path, 0, &why), &why);
    for (int i = 0; i < N; i++) {
        memset(words, 'a' + i % 26, SIZE);
        snprintf(id, sizeof id, "id%d", i);
        ids[i] = ps_text_of(strdup(id));
        pin = (ps_pin){.id = ids[i], .text = {words, SIZE}};
        must(ps_pins_writer_pin(w, &pin, NULL, 0, &why), &why);
    }
    must(ps_pins_writer_ids(w, ids, N, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);
    open_pins(path);
    for (int i = 0; i < N; i++) {
        memset(words, 'a' + i % 26, SIZE);
        assert_int_equal(
            ps_pins_get(reader, ps_pins_row(reader, ids[i].data, ids[i].len), &pin),
            PS_OK);
        assert_int_equal(pin.text.len, SIZE);
        assert_memory_equal(pin.text.data, words, SIZE);
        free((char *)(uintptr_t)ids[i].data);
    }
    close_pins();
    free(words);
    unlink(path);
}

static void the_same_pins_make_the_same_bytes(void **state)
{
    (void)state;
    size_t n1, n2;
    char *a = slurp(make_pins("same1.mdb", "pin%u", 5000), &n1);
    char *b = slurp(make_pins("same2.mdb", "pin%u", 5000), &n2);
    assert_int_equal(n1, n2);
    assert_memory_equal(a, b, n1);
    free(a);
    free(b);
}

/* ------------------------------ Broken files ------------------------------ */

static void refused(const char *path, int err, const char *words)
{
    ps_why why = {0};
    ps_pins *p = NULL;
    assert_int_equal(ps_pins_open(&p, path, &why), err);
    assert_non_null(strstr(why.text, words));
    assert_string_equal(why.where, path);
}

static void broken_files_are_refused_in_words(void **state)
{
    (void)state;
    size_t size;
    char *good = slurp(make_pins("good.mdb", "p%u", 1000), &size);
    refused(scratch("missing.mdb"), PS_ENOENT, "cannot be opened");
    refused(scratch_text("empty.mdb", ""), PS_EFORMAT, "empty");
    refused(scratch_text("text.mdb", "hello, this is not LMDB"), PS_EFORMAT, "");
    refused(scratch_file("cut.mdb", good, size - 4096), PS_EFORMAT, "cut off");
    refused(scratch_file("cut2.mdb", good, size / 2 + 1), PS_EFORMAT, "cut off");
    refused(scratch_file("cut3.mdb", good, 5000), PS_EFORMAT, "");
    refused(scratch_dir(), PS_EFORMAT, "is not a file");
    memset(good + 4, 0x55, 8192);
    refused(scratch_file("junk.mdb", good, size), PS_EFORMAT, "");
    free(good);
}

/* ------------------------------ Near ids ---------------------------------- */

static char found[4096];

/* The near ids, joined by blanks. */
static const char *suggest(const char *id, size_t max)
{
    ps_text near[16];
    size_t n = ps_pins_suggest(reader, NULL, ps_text_of(id), near, max), used = 0;
    assert_true(n <= max);
    found[0] = '\0';
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%.*s",
                                 i ? " " : "", (int)near[i].len, near[i].data);
    return found;
}

static const char *make_named(const char *const *ids, const char *const *titles)
{
    ps_why why = {0};
    ps_pins_writer *w;
    ps_text names[16];
    uint32_t n = 0;
    const char *path = scratch("named.mdb");
    unlink(path);
    must(ps_pins_writer_new(&w, path, 0, &why), &why);
    for (; ids[n]; n++) {
        names[n] = ps_text_of(ids[n]);
        ps_pin pin = {.id = names[n], .title = ps_text_of(titles ? titles[n] : "")};
        must(ps_pins_writer_pin(w, &pin, NULL, 0, &why), &why);
    }
    must(ps_pins_writer_ids(w, names, n, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);
    return path;
}

static void a_misspelt_id_finds_the_one_that_was_meant(void **state)
{
    (void)state;
    const char *ids[] = {"a107", "library7", "sunset", "sunflower", "x", NULL};
    open_pins(make_named(ids, NULL));
    assert_string_equal(suggest("a1O7", 3), "a107");         /* replaced */
    assert_string_equal(suggest("a017", 3), "a107");         /* swapped */
    assert_string_equal(suggest("a17", 3), "a107");          /* left out */
    assert_string_equal(suggest("a1007", 3), "a107");        /* put in */
    assert_string_equal(suggest("b107", 3), "a107");         /* at the beginning */
    assert_string_equal(suggest("a1077", 3), "a107");        /* at the end */
    assert_string_equal(suggest("A1O7", 3), "a107");         /* two */
    assert_string_equal(suggest("lbirray7", 3), "library7"); /* two swaps */
    assert_string_equal(suggest("sunset", 3), "sunset");
    assert_string_equal(suggest("sunfl", 3), "sunflower sunset"); /* begin so */
    assert_string_equal(suggest("elephant", 3), "");
    assert_string_equal(suggest("", 3), "");
    assert_string_equal(suggest("a107", 0), "");
    close_pins();
}

static void nearer_ids_come_first_and_never_twice(void **state)
{
    (void)state;
    const char *ids[] = {"abcdxy", "abcdef", "abcdeg", "abcdefg", NULL};
    open_pins(make_named(ids, NULL));
    assert_string_equal(suggest("abcdef", 4), "abcdef abcdefg abcdeg abcdxy");
    assert_string_equal(suggest("abcdef", 2), "abcdef abcdefg");
    close_pins();
}

static void titles_lead_to_ids_when_nothing_is_near(void **state)
{
    (void)state;
    const char *ids[] = {"m1", "m2", "m3", NULL};
    const char *titles[] = {"Toy Story (1995)", "Jumanji", "A Toy Box", NULL};
    open_pins(make_named(ids, titles));
    assert_string_equal(suggest("toy story", 3), "m1");
    assert_string_equal(suggest("Toy", 3), "m1 m3");
    close_pins();
}

static void titles_are_compared_whatever_their_case_and_form(void **state)
{
    (void)state;
    const char *ids[] = {"m1", "m2", "ÉTUDE-no-17", NULL};
    const char *titles[] = {"Le Café noir", "Große Pause", "", NULL};
    open_pins(make_named(ids, titles));
    assert_string_equal(suggest("CAFE\xcc\x81", 3), "m1");
    assert_string_equal(suggest("cafe noir", 3), "");
    assert_string_equal(suggest("GROSSE", 3), "m2");
    assert_string_equal(suggest("e\xcc\x81tude-NO-17", 3), "ÉTUDE-no-17");
    close_pins();
}

/* The obvious way: the whole table of distances between two names. */
static unsigned plain_distance(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b);
    unsigned d[40][40];
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= n; j++) {
            d[i][j] = (unsigned)(i ? i : j);
            if (!i || !j)
                continue;
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[m][n];
}

static void the_walk_over_ids_finds_what_a_scan_finds(void **state)
{
    (void)state;
    enum { N = 800 };
    static char ids[N][16];
    ps_why why = {0};
    ps_pins_writer *w;
    ps_text names[N];
    const char *path = scratch("scan.mdb");
    uint32_t state_ = 1;
    must(ps_pins_writer_new(&w, path, 0, &why), &why);
    for (uint32_t i = 0; i < N; i++) { /* short words of three letters: many are near */
        size_t len = 0;
        for (uint32_t x = i + 1; x; x /= 3)
            ids[i][len++] = "abc"[x % 3];
        names[i] = ps_text_of(ids[i]);
        must(ps_pins_writer_pin(w, &(ps_pin){.id = names[i]}, NULL, 0, &why), &why);
    }
    must(ps_pins_writer_ids(w, names, N, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);
    open_pins(path);
    for (int round = 0; round < 300; round++) {
        char query[12];
        size_t len = 4 + (size_t)round % 5, most = 0;
        unsigned count[3] = {0}, have[3] = {0};
        for (size_t i = 0; i < len; i++)
            query[i] = "abcd"[(state_ = state_ * 1664525 + 1013904223) >> 30];
        query[len] = '\0';
        for (uint32_t i = 0; i < N; i++) {
            unsigned d = plain_distance(ids[i], query);
            if (d <= 2)
                count[d]++;
        }
        ps_text out[512];
        size_t n = ps_pins_suggest(reader, NULL, (ps_text){query, len}, out, 512);
        for (size_t i = 0; i < n; i++) {
            char id[16];
            snprintf(id, sizeof id, "%.*s", (int)out[i].len, out[i].data);
            unsigned d = plain_distance(id, query);
            assert_true(d >= most || d > 2);
            most = d > 2 ? 3 : d;
            if (d <= 2)
                have[d]++;
        }
        for (int d = 0; d <= 2; d++)
            assert_int_equal(have[d], count[d]);
    }
    close_pins();
}

static void near_ids_are_found_among_many(void **state)
{
    (void)state;
    open_pins(make_pins("million.mdb", "p%07u", 300000));
    assert_non_null(strstr(suggest("p012345", 16), "p0123450"));
    assert_string_equal(suggest("q0123456", 1), "p0123456");
    assert_non_null(strstr(suggest("p1023456", 16), "p0123456"));
    assert_string_equal(suggest("p012345x", 10),
                        "p0123450 p0123451 p0123452 p0123453 p0123454 p0123455 p0123456 "
                        "p0123457 p0123458 p0123459");
    close_pins();
}

/* The second time a record's place is known, to this reader and to others. */
static void a_record_is_the_same_each_time_it_is_asked_for(void **state)
{
    (void)state;
    open_pins(make_pins("again.mdb", "pin/%u", 3000));
    ps_pins_reader *other;
    assert_int_equal(ps_pins_reader_new(&other, pins), PS_OK);
    for (int round = 0; round < 3; round++)
        for (uint32_t row = 0; row < 3000; row++) {
            ps_pin pin;
            char want[24];
            uint32_t asked = (row * 1201 + 7) % 3000;
            snprintf(want, sizeof want, "pin/%u", asked);
            assert_int_equal(ps_pins_get(round == 1 ? other : reader, asked, &pin),
                             PS_OK);
            assert_text(pin.id, want);
            assert_int_equal(pin.title.len + pin.n_meta, 0);
        }
    ps_pin none;
    assert_int_equal(ps_pins_get(reader, 3000, &none), PS_ENOENT);
    assert_int_equal(ps_pins_get(reader, PS_NO_ROW, &none), PS_ENOENT);
    ps_pins_reader_free(other);
    close_pins();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_comes_back_with_all_it_had),
        cmocka_unit_test(every_name_leads_to_its_row_and_back),
        cmocka_unit_test(names_that_are_not_there_have_no_row),
        cmocka_unit_test(ids_of_511_bytes_fit_and_longer_ones_are_refused),
        cmocka_unit_test(a_name_given_twice_is_refused),
        cmocka_unit_test(more_than_one_map_of_text_is_written_and_read),
        cmocka_unit_test(the_same_pins_make_the_same_bytes),
        cmocka_unit_test(broken_files_are_refused_in_words),
        cmocka_unit_test(a_misspelt_id_finds_the_one_that_was_meant),
        cmocka_unit_test(nearer_ids_come_first_and_never_twice),
        cmocka_unit_test(titles_lead_to_ids_when_nothing_is_near),
        cmocka_unit_test(titles_are_compared_whatever_their_case_and_form),
        cmocka_unit_test(the_walk_over_ids_finds_what_a_scan_finds),
        cmocka_unit_test(near_ids_are_found_among_many),
        cmocka_unit_test(a_record_is_the_same_each_time_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
