/* test_store_damage.c - a store that is not one, is cut off, damaged or of a later
 * version is refused in words, and never ends the process.
 *
 * Threads: one.
 */
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"
#include "tests/support/stores.h"

static const char *file(const char *name)
{
    static char path[PS_PATH_MAX];
    assert_int_equal(ps_path_join(path, sizeof path, store_dir(false), name), PS_OK);
    return path;
}

static void filled(void)
{
    char id[32];
    ps_store *s = store_opened(true, (ps_store_opts){0});
    for (int i = 0; i < 400; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        store_put(s, id, "title");
        store_save(s, id, "board", true);
    }
    store_commit(s);
    ps_store_close(s);
}

static void refused(int err, const char *words)
{
    ps_why why = {0};
    ps_store *s;
    assert_int_equal(ps_store_open(&s, store_dir(false), (ps_store_opts){0}, &why), err);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static void overwrite(const char *name, const char *bytes, size_t size)
{
    FILE *f = fopen(file(name), "wb");
    assert_true(f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
}

/* Put a value under a key of a table, behind the store's back. */
static void tamper(const char *table, const char *key, const void *data, size_t size)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {strlen(key), (void *)(uintptr_t)key},
            v = {size, (void *)(uintptr_t)data};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, store_dir(false), 0, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    int rc = data ? mdb_put(txn, dbi, &k, &v, 0) : mdb_del(txn, dbi, &k, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* ------------------------------ Tests ------------------------------------- */

static void what_is_not_a_store_is_refused_in_words(void **state)
{
    (void)state;
    char garbage[20000];
    memset(garbage, 'g', sizeof garbage);
    filled();
    overwrite("data.mdb", garbage, sizeof garbage);
    refused(PS_EFORMAT, "does not begin such a file");
    overwrite("data.mdb", garbage, 10);
    refused(PS_EFORMAT, "is not there");
    filled();
    tamper("meta", "lsn", NULL, 0);
    refused(PS_EFORMAT, "is not a live store");
    filled();
    tamper("meta", "lsn", "short", 5);
    refused(PS_EFORMAT, "is not a live store");
}

static void a_store_of_a_later_version_is_refused_in_words(void **state)
{
    (void)state;
    uint64_t format = 2;
    filled();
    tamper("meta", "format", &format, sizeof format);
    refused(PS_EFORMAT, "has format 2, this version reads 1");
}

static int on_pin(void *cls, const ps_store_pin *pin)
{
    (void)pin;
    ++*(int *)cls;
    return 0;
}

static void a_damaged_record_is_named_and_the_others_are_read(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store_pin pin;
    int n = 0;
    char record[60] = {0};
    uint64_t lsn = 7;
    memcpy(record, &lsn, sizeof lsn);
    static const struct {
        size_t size;
        char format;
    } wrong[] = {{0, 1}, {47, 1}, {49, 1}, {48, 2}, {8, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        filled();
        record[40] = wrong[i].format;
        tamper("pins", "pin 0", record, wrong[i].size);
        ps_store *s = store_opened(false, (ps_store_opts){0});
        ps_store_reader *r = store_snapshot(s);
        assert_int_equal(ps_store_get_pin(r, ps_text_of("pin 0"), &pin, &why),
                         PS_EFORMAT);
        assert_non_null(strstr(why.text, "the record of pin \"pin 0\" is damaged"));
        assert_int_equal(ps_store_get_pin(r, ps_text_of("pin 1"), &pin, &why), PS_OK);
        assert_int_equal(ps_store_each_pin(r, 0, on_pin, &n, &why), PS_EFORMAT);
        assert_int_equal(n, 0); /* pin 0 is the first */
        ps_store_reader_free(r);
        store_put(s, "pin 0", "mended");
        store_commit(s);
        assert_string_equal(store_title(s, "pin 0"), "mended");
        ps_store_close(s);
    }
}

/* Any number of pages missing at the end: said at opening, or by whatever needs them. */
static void a_store_cut_off_never_ends_the_process(void **state)
{
    (void)state;
    ps_why why = {0};
    struct stat st;
    int n, refusals = 0;
    filled();
    assert_int_equal(stat(file("data.mdb"), &st), 0);
    for (off_t size = 0; size < st.st_size; size += 4096) {
        ps_store *s = NULL;
        filled();
        assert_int_equal(truncate(file("data.mdb"), size), 0);
        int err = ps_store_open(&s, store_dir(false), (ps_store_opts){0}, &why);
        if (!err) {
            ps_store_reader *r = store_snapshot(s);
            n = 0;
            err = ps_store_each_pin(r, 0, on_pin, &n, &why);
            assert_true(err == PS_EFORMAT || size == 0 || n == 400);
            ps_store_reader_free(r);
            ps_store_close(s);
        }
        refusals += err == PS_EFORMAT;
        assert_true(err == PS_OK || err == PS_EFORMAT);
    }
    assert_true(refusals > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_a_store_is_refused_in_words),
        cmocka_unit_test(a_store_of_a_later_version_is_refused_in_words),
        cmocka_unit_test(a_damaged_record_is_named_and_the_others_are_read),
        cmocka_unit_test(a_store_cut_off_never_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
