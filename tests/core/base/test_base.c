/* test_base.c - errors, arena, buffers, files, workers, random numbers.
 *
 * Threads: the workers' tests start their own.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"
#include "pinsage/text.h"
#include "pinsage/workers.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pinsage-base-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return ps_dir_remove(folder, NULL);
}

static const char *in_folder(const char *name)
{
    static char path[PS_PATH_MAX];
    assert_int_equal(ps_path_join(path, sizeof path, folder, name), PS_OK);
    return path;
}

/* ------------------------------ Errors ------------------------------------ */

static void a_failure_names_file_and_line(void **state)
{
    (void)state;
    ps_why why;
    char text[600];
    int err = ps_fail(&why, PS_EFORMAT, "pins.tsv", 17, "pin \"%s\" stands twice", "a");
    assert_int_equal(err, PS_EFORMAT);
    ps_why_format(&why, err, text, sizeof text);
    assert_string_equal(text, "pins.tsv:17: pin \"a\" stands twice");
}

static void every_code_has_a_text_and_a_name(void **state)
{
    (void)state;
    for (int err = -14; err <= 0; err++) {
        assert_string_not_equal(ps_strerror(err), "unknown error");
        assert_string_not_equal(ps_errname(err), "UNKNOWN");
    }
    assert_string_equal(ps_strerror(-15), "unknown error");
}

static void a_full_disk_has_its_own_code(void **state)
{
    (void)state;
    ps_why why;
    errno = ENOSPC;
    assert_int_equal(ps_fail_errno(&why, "x", "cannot be written"), PS_EFULL);
    errno = EACCES;
    assert_int_equal(ps_fail_errno(&why, "x", "cannot be read"), PS_EIO);
}

/* ------------------------------ Arena and buffer -------------------------- */

static void an_arena_gives_distinct_aligned_memory_and_is_reused(void **state)
{
    (void)state;
    ps_arena a = {0};
    char *last = NULL;
    for (size_t i = 1; i < 300; i++) {
        char *p = ps_arena_alloc(&a, i);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)i, i);
        if (last)
            assert_int_equal(last[0], (char)(i - 1));
        last = p;
    }
    ps_arena_reset(&a);
    size_t held = a.total;
    for (size_t i = 1; i < 200; i++)
        assert_non_null(ps_arena_alloc(&a, i));
    assert_int_equal(a.total, held);
    assert_null(ps_arena_alloc(&a, SIZE_MAX / 2));
    ps_arena_done(&a);
}

static void json_strings_are_escaped_and_bad_bytes_replaced(void **state)
{
    (void)state;
    ps_buf b = {0};
    static const char text[] = "a\"b\\\n\x01\x7f \xc3\xa9 \xff "
                               "\xf0\x9f\x98\x80 \xed\xa0\x80";
    ps_buf_json(&b, text, sizeof text - 1);
    assert_false(b.failed);
    assert_string_equal(b.data, "\"a\\\"b\\\\\\n\\u0001\\u007f \xc3\xa9 \xef\xbf\xbd "
                                "\xf0\x9f\x98\x80 "
                                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    ps_buf_done(&b);
}

/* ------------------------------ Texts -------------------------------------- */

static void texts_are_compared_to_the_last_byte(void **state)
{
    (void)state;
    ps_text none = ps_text_of(NULL), empty = ps_text_of(""), abc = {"abcd", 3};
    assert_null(none.data);
    assert_true(ps_text_same(none, empty) && ps_text_is(none, ""));
    assert_true(ps_text_is(abc, "abc"));
    assert_false(ps_text_is(abc, "abd") || ps_text_is(abc, "ab") ||
                 ps_text_is(abc, "abcd") || ps_text_is(abc, "") || ps_text_is(none, "a"));
    assert_false(ps_text_is((ps_text){"a\0b", 3}, "a"));
    assert_true(ps_text_alike(abc, ps_text_of("aBC")) && ps_text_alike(none, empty));
    assert_false(ps_text_alike(abc, ps_text_of("ABD")) ||
                 ps_text_alike(abc, ps_text_of("AB")));
}

static void a_text_is_cut_into_pieces_empty_ones_too(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "", "b", ""};
    ps_text rest = ps_text_of("a,,b,"), piece, none = {NULL, 0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        assert_true(ps_text_cut(&rest, ',', &piece));
        assert_true(ps_text_is(piece, pieces[i]));
    }
    assert_false(ps_text_cut(&rest, ',', &piece));
    assert_false(ps_text_cut(&none, ',', &piece));
}

static void a_number_is_digits_that_fit_and_nothing_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1.", "1a", "/", ":", "10000000000000000000"};
    uint64_t n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ps_text_number(ps_text_of(bad[i]), &n));
    assert_true(ps_text_number(ps_text_of("0"), &n) && n == 0);
    assert_true(ps_text_number(ps_text_of("0017"), &n) && n == 17);
    assert_true(ps_text_number(ps_text_of("9999999999999999999"), &n) &&
                n == UINT64_C(9999999999999999999));
}

static void a_varint_has_seven_bits_a_byte(void **state)
{
    (void)state;
    static const char want[] = "\x00\x7f\x80\x01\xac\x02"
                               "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    static const uint64_t numbers[] = {0, 127, 128, 300, UINT64_MAX};
    ps_buf b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ps_buf_varint(&b, numbers[i]);
    assert_int_equal(b.size, sizeof want - 1);
    assert_memory_equal(b.data, want, b.size);
    ps_buf_done(&b);
}

static void numbers_are_written_as_printf_would(void **state)
{
    (void)state;
    ps_buf b = {0};
    ps_buf_u64(&b, 0);
    ps_buf_char(&b, ' ');
    ps_buf_u64(&b, UINT64_MAX);
    ps_buf_char(&b, ' ');
    ps_buf_real(&b, 0.25, 6);
    ps_buf_char(&b, ' ');
    ps_buf_real(&b, 0.0 / 0.0, 6);
    ps_buf_printf(&b, " %s", "end");
    assert_string_equal(b.data, "0 18446744073709551615 0.25 null end");
    ps_buf_clear(&b);
    ps_buf_percent(&b, "a b/\xc3\xa9~", 7);
    assert_string_equal(b.data, "a%20b%2F%C3%A9~");
    ps_buf_done(&b);
}

static double some_number(uint64_t *rng, int kind)
{
    double unit = (double)ps_rng_unit(rng);
    if (kind == 0)
        return unit;
    if (kind == 1)
        return (double)(float)(unit * 1000 - 500);
    if (kind == 2)
        return pow(10, unit * 14 - 7);
    return (double)ps_rng_below(rng, 2000000) / (double)(1u << ps_rng_below(rng, 12));
}

static void real_numbers_are_to_the_digit_those_of_printf(void **state)
{
    (void)state;
    ps_buf b = {0};
    uint64_t rng = 1;
    for (int i = 0; i < 200000; i++) {
        char want[64];
        double value = some_number(&rng, i % 4);
        int digits = 1 + (int)ps_rng_below(&rng, 10);
        ps_buf_clear(&b);
        ps_buf_real(&b, value, digits);
        snprintf(want, sizeof want, "%.*g", digits, value);
        assert_string_equal(b.data, want);
    }
    ps_buf_done(&b);
}

static void utf8_is_checked_as_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain ascii text, longer than eight", 35, true},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, true},
        {"\xc0\x80", 2, false},         /* overlong */
        {"\xe0\x80\x80", 3, false},     /* overlong */
        {"\xed\xa0\x80", 3, false},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, false}, /* beyond U+10FFFF */
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"12345678\xc3", 9, false}, /* cut short */
        {"\x80", 1, false},
        {"a\xc3(", 3, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(ps_utf8_valid(cases[i].text, cases[i].len), cases[i].valid);
}

/* ------------------------------ Files ------------------------------------- */

static void a_written_file_has_the_hash_that_was_told(void **state)
{
    (void)state;
    ps_out *o;
    uint64_t told, hash, size;
    const char *path = in_folder("out");
    assert_int_equal(ps_out_open(&o, path, NULL), PS_OK);
    char piece[1000];
    for (int i = 0; i < 3000; i++) {
        memset(piece, i, sizeof piece);
        ps_out_write(o, piece, (size_t)(i % 1000));
    }
    char *big = calloc(1, 3 << 20);
    ps_out_write(o, big, 3 << 20);
    free(big);
    uint64_t written = ps_out_size(o);
    assert_int_equal(ps_out_close(o, &told, NULL), PS_OK);
    assert_int_equal(ps_file_hash(path, &hash, &size, NULL), PS_OK);
    assert_int_equal(size, written);
    assert_int_equal(hash, told);
}

static void a_failed_write_is_told_at_close(void **state)
{
    (void)state;
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    ps_out *o;
    ps_why why;
    assert_int_equal(ps_out_open(&o, in_folder("small"), NULL), PS_OK);
    char block[4096] = {0};
    for (int i = 0; i < 1000; i++)
        ps_out_write(o, block, sizeof block);
    assert_int_equal(ps_out_close(o, NULL, &why), PS_EFULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_non_null(strstr(why.where, "small"));
}

static void maps_show_what_was_written_and_missing_files_are_named(void **state)
{
    (void)state;
    ps_map m;
    ps_why why;
    char path[PS_PATH_MAX];
    strcpy(path, in_folder("map"));
    assert_int_equal(ps_map_create(&m, path, 10000, NULL), PS_OK);
    memset(m.data, 7, m.size);
    assert_int_equal(ps_map_sync(&m, path, NULL), PS_OK);
    ps_map_close(&m);
    assert_int_equal(ps_map_open(&m, path, PS_RANDOM, NULL), PS_OK);
    assert_int_equal(m.size, 10000);
    assert_int_equal(((char *)m.data)[9999], 7);
    ps_map_close(&m);
    assert_int_equal(ps_map_open(&m, in_folder("none"), PS_RANDOM, &why), PS_ENOENT);
    assert_non_null(strstr(why.where, "none"));
    assert_int_equal(ps_map_open(&m, folder, PS_RANDOM, &why), PS_EIO);
}

static void folders_are_made_with_parents_and_removed_with_content(void **state)
{
    (void)state;
    char deep[PS_PATH_MAX];
    strcpy(deep, in_folder("a/b/c"));
    assert_int_equal(ps_dir_make(deep, NULL), PS_OK);
    assert_int_equal(ps_dir_make(deep, NULL), PS_OK);
    assert_true(ps_file_exists(deep));
    assert_int_equal(symlink("/", in_folder("a/b/link")), 0);
    assert_int_equal(ps_dir_remove(in_folder("a"), NULL), PS_OK);
    assert_false(ps_file_exists(in_folder("a")));
    assert_true(ps_file_exists("/tmp"));
    assert_int_equal(ps_dir_remove(in_folder("a"), NULL), PS_OK);
}

/* ------------------------------ Workers ----------------------------------- */

static atomic_uint touched[10007];

static int touch(void *cls, size_t begin, size_t end, unsigned worker)
{
    assert_true(worker < *(unsigned *)cls);
    for (size_t i = begin; i < end; i++)
        touched[i]++;
    return PS_OK;
}

static int fail_in_places(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)cls;
    (void)end;
    (void)worker;
    return begin >= 500 ? (begin == 500 ? PS_EIO : PS_EFORMAT) : PS_OK;
}

static void every_item_is_worked_once_by_any_team(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 5; n++) {
        ps_workers *w;
        assert_int_equal(ps_workers_new(&w, n), PS_OK);
        memset(touched, 0, sizeof touched);
        for (unsigned loop = 0; loop < 50; loop++)
            assert_int_equal(ps_workers_run(w, 10007, 13, touch, &n), PS_OK);
        for (size_t i = 0; i < 10007; i++)
            assert_int_equal(touched[i], 50);
        ps_workers_free(w);
    }
}

static void the_first_failure_stops_the_loop_and_is_told(void **state)
{
    (void)state;
    ps_workers *w;
    assert_int_equal(ps_workers_new(&w, 1), PS_OK);
    assert_int_equal(ps_workers_run(w, 10000, 10, fail_in_places, NULL), PS_EIO);
    assert_int_equal(ps_workers_run(w, 400, 10, fail_in_places, NULL), PS_OK);
    assert_int_equal(ps_workers_run(w, 0, 10, fail_in_places, NULL), PS_OK);
    ps_workers_free(w);
    assert_true(ps_cores() >= 1);
}

/* ------------------------------ Random numbers ---------------------------- */

static void random_streams_are_uniform_and_differ(void **state)
{
    (void)state;
    uint64_t count[10] = {0};
    for (uint64_t stream = 0; stream < 1000; stream++) {
        uint64_t rng = ps_rng_at(42, stream);
        for (int i = 0; i < 100; i++)
            count[ps_rng_below(&rng, 10)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(count[i], 9600, 10400);
    assert_true(ps_rng_at(1, 0) != ps_rng_at(1, 1));
    assert_true(ps_pin_seed(1, "a", 1) != ps_pin_seed(2, "a", 1));
    assert_true(ps_pin_seed(1, "a", 1) != ps_pin_seed(1, "b", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_names_file_and_line),
        cmocka_unit_test(every_code_has_a_text_and_a_name),
        cmocka_unit_test(a_full_disk_has_its_own_code),
        cmocka_unit_test(an_arena_gives_distinct_aligned_memory_and_is_reused),
        cmocka_unit_test(json_strings_are_escaped_and_bad_bytes_replaced),
        cmocka_unit_test(texts_are_compared_to_the_last_byte),
        cmocka_unit_test(a_text_is_cut_into_pieces_empty_ones_too),
        cmocka_unit_test(a_number_is_digits_that_fit_and_nothing_else),
        cmocka_unit_test(a_varint_has_seven_bits_a_byte),
        cmocka_unit_test(numbers_are_written_as_printf_would),
        cmocka_unit_test(real_numbers_are_to_the_digit_those_of_printf),
        cmocka_unit_test(utf8_is_checked_as_the_standard_says),
        cmocka_unit_test(a_written_file_has_the_hash_that_was_told),
        cmocka_unit_test(a_failed_write_is_told_at_close),
        cmocka_unit_test(maps_show_what_was_written_and_missing_files_are_named),
        cmocka_unit_test(folders_are_made_with_parents_and_removed_with_content),
        cmocka_unit_test(every_item_is_worked_once_by_any_team),
        cmocka_unit_test(the_first_failure_stops_the_loop_and_is_told),
        cmocka_unit_test(random_streams_are_uniform_and_differ),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, remove_folder);
}
