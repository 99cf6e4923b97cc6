/* test_foreign.c - files of other kinds are named, with a command that has their name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/foreign.h"

#define ZIP(n, name)                                                                     \
    "PK\3\4\24\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" n "\0\0\0" name

typedef int look(const char *, size_t, const char *, ps_why *);

static void says(look *ask, const char *data, size_t size, const char *what,
                 const char *help)
{
    ps_why why = {0};
    int err = ask(data, size, "my.file", &why);
    if (err != PS_EFORMAT || !strstr(why.text, what) || !strstr(why.text, help) ||
        !strstr(why.text, "my.file"))
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", why.text, what, help);
    assert_true(strlen(why.text) + 1 < sizeof why.text); /* nothing is cut off */
}

#define TABLE(data, what, help) says(ps_foreign_table, data, sizeof(data) - 1, what, help)
#define HEADER(data, what, help)                                                         \
    says(ps_foreign_header, data, sizeof(data) - 1, what, help)
#define ARRAY(data, what, help) says(ps_foreign_array, data, sizeof(data) - 1, what, help)

static void tables_of_other_kinds_are_named(void **state)
{
    (void)state;
    TABLE("PAR1\x15\x04", "a Parquet file", "read_parquet('my.file').to_csv(");
    TABLE("ARROW1\0\0", "an Arrow file", "read_feather(");
    TABLE("\x89HDF\r\n\x1a\n", "HDF5", "read_hdf(");
    TABLE("SQLite format 3\0", "SQLite", "sqlite3 ");
    TABLE("\x28\xb5\x2f\xfd....", "zstd", "zstd -d my.file");
    TABLE("\xfd"
          "7zXZ\0..",
          "xz", "xz -d my.file");
    TABLE("BZh91AY&SY", "bzip2", "bzip2 -d my.file");
    TABLE("\x80\x04\x95.....", "pickle", "read_pickle('my.file')");
    TABLE("\xff\xfep\0i\0n\0", "UTF-16", "iconv -f UTF-16 -t UTF-8 my.file");
    TABLE(ZIP("\23", "[Content_Types].xml"), "Excel", "read_excel('my.file')");
    TABLE(ZIP("\10", "pins.tsv"), "zip archive", "unzip my.file");
}

static void texts_of_other_kinds_are_named_by_their_first_line(void **state)
{
    (void)state;
    HEADER("pin,title,text", "comma-separated", "read_csv('my.file'");
    HEADER("pin;title", "comma-separated", "read_csv('my.file'");
    HEADER("{\"pin\": 1, \"title\": \"x\"}", "JSON", "read_json('my.file', lines=True)");
    HEADER("[", "JSON", "read_json('my.file'");
    HEADER("pin\ttitle\ra\tA\r", "CR alone", "tr '\\r' '\\n' < my.file");
}

static void arrays_of_other_kinds_are_named(void **state)
{
    (void)state;
    ARRAY(ZIP("\11", "arr_0.npy"), ".npz", "[*n.load('my.file').values()][0]");
    ARRAY(ZIP("\20", "archive/data.pkl"), "PyTorch", "torch");
    ARRAY("PAR1\x15\x04", "Parquet", ".to_numpy('f4')");
    ARRAY("\x89HDF\r\n\x1a\n", "HDF5", "h5py");
    ARRAY("\x80\x05\x95.....", "pickle", "allow_pickle=True");
    ARRAY("\x1f\x8b\x08\0\0\0", "gzip", "gzip -d my.file");
    ARRAY("0.1 0.2\n0.3 0.4\n", "a text", "n.loadtxt('my.file'");
}

static void what_is_wanted_or_not_known_is_let_through(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "pin\ttitle\n", "pin",     "\xef\xbb\xbfpin\t,", "", "P", "\"pin\"\t\"x\"",
        "PK\3",         "pin\tBZh"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        assert_int_equal(ps_foreign_table(fine[i], strlen(fine[i]), "f", NULL), PS_OK);
        assert_int_equal(ps_foreign_header(fine[i], strlen(fine[i]), "f", NULL), PS_OK);
    }
    ps_why why = {0};
    assert_int_equal(ps_foreign_array("\1\2\3\0", 4, "f", &why), PS_EFORMAT);
    assert_string_equal(why.text, "it is not an .npy file");
}

/* A name that would not fit, or not be quoted, is not written into the command. */
static void a_long_name_leaves_the_command_whole(void **state)
{
    (void)state;
    char path[200];
    ps_why why = {0};
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    ps_foreign_table("PAR1", 4, path, &why);
    assert_non_null(strstr(why.text, "read_parquet('FILE')"));
    assert_non_null(strstr(why.text, "index=False)\""));
    ps_foreign_table("PAR1", 4, "it's", &why);
    assert_non_null(strstr(why.text, "read_parquet('FILE')"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_other_kinds_are_named),
        cmocka_unit_test(texts_of_other_kinds_are_named_by_their_first_line),
        cmocka_unit_test(arrays_of_other_kinds_are_named),
        cmocka_unit_test(what_is_wanted_or_not_known_is_let_through),
        cmocka_unit_test(a_long_name_leaves_the_command_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
