/* test_btree.c - what passes the check does not end LMDB, whatever was done to the file.
 *
 * Each seed damages a file of several tables, free pages and large values. The oracle is
 * LMDB itself, in a child process: where the check found nothing, the child reads all and
 * writes something, and must come to its end. PS_SEEDS takes more of them.
 *
 * Threads: one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "pinsage/btree.h"
#include "pinsage/rng.h"
#include "tests/support/scratch.h"

enum { TABLES = 3, KEYS = 700 };
static const unsigned flags[TABLES] = {0, MDB_INTEGERKEY, 0};
static const char *const names[TABLES] = {"ids", "rows", "edges"};

static char *good;
static size_t size;

static int open_all(MDB_env **env, MDB_txn **txn, MDB_dbi *dbi, const char *path,
                    unsigned how)
{
    int rc = mdb_env_create(env);
    if (!rc)
        rc = mdb_env_set_maxdbs(*env, TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(*env, 1 << 24);
    if (!rc)
        rc = mdb_env_open(*env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0644);
    if (!rc)
        rc = mdb_txn_begin(*env, NULL, 0, txn);
    for (int i = 0; i < TABLES && !rc; i++)
        rc = mdb_dbi_open(*txn, names[i], flags[i] | how, &dbi[i]);
    return rc;
}

static MDB_val key_of(int table, uint32_t i, void *room)
{
    if (flags[table])
        memcpy(room, &i, sizeof i);
    return (MDB_val){flags[table] ? sizeof i : (size_t)sprintf(room, "key %u of it", i),
                     room};
}

static int put(MDB_txn *txn, MDB_dbi dbi, int table, uint32_t i, size_t n)
{
    static char value[20000];
    char room[64];
    MDB_val k = key_of(table, i, room), v = {n, value};
    return mdb_put(txn, dbi, &k, &v, 0);
}

/* Some large values, and some removed again, so that pages are free. */
static int make(void **state)
{
    (void)state;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[TABLES];
    char room[64];
    const char *path = scratch("good.mdb");
    assert_int_equal(open_all(&env, &txn, dbi, path, MDB_CREATE), 0);
    for (int t = 0; t < TABLES; t++)
        for (uint32_t i = 0; i < KEYS; i++)
            assert_int_equal(put(txn, dbi[t], t, i, i % 50 ? 30 + i % 90 : 9000), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    for (uint32_t turn = 0; turn < 3; turn++) {
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        for (uint32_t i = 200 * turn; i < 200 * turn + 150; i++) {
            MDB_val k = key_of(0, i, room);
            assert_int_equal(mdb_del(txn, dbi[0], &k, NULL), 0);
        }
        assert_int_equal(mdb_txn_commit(txn), 0);
    }
    mdb_env_close(env);
    good = slurp(path, &size);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    free(good);
    return 0;
}

/* What a store does: everything read, something written. In the child. */
static void use(const char *path)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[TABLES];
    MDB_cursor *cursor;
    MDB_val k, v;
    volatile unsigned sum = 0;
    char room[64];
    if (open_all(&env, &txn, dbi, path, 0))
        _exit(0);
    for (int t = 0; t < TABLES; t++) {
        int rc = mdb_cursor_open(txn, dbi[t], &cursor);
        for (rc = rc ? rc : mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc;
             rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
            for (size_t i = 0; i < v.mv_size; i += 64)
                sum += ((unsigned char *)v.mv_data)[i];
        for (uint32_t i = 0; i < KEYS; i++) {
            k = key_of(t, i, room);
            mdb_get(txn, dbi[t], &k, &v);
        }
        for (uint32_t i = 0; i < 40; i++)
            if (put(txn, dbi[t], t, i * 17, i % 7 ? 80 : 5000))
                _exit(0);
    }
    mdb_txn_commit(txn);
    _exit(0);
}

/* One of: a bit, a number, a stretch of zeros, a stretch copied, a page in the place of
 * another. */
static void damage(unsigned char *file, uint64_t seed)
{
    uint64_t r = ps_rng_at(77, seed), pages = size / 4096;
    unsigned char *at = file + ps_rng_below(&r, size - 64);
    unsigned char *page = file + 4096 * ps_rng_below(&r, pages);
    size_t head = ps_rng_below(&r, 160);
    switch (seed % 7) {
    case 0:
        page[head] ^= (unsigned char)(1 << ps_rng_below(&r, 8));
        break;
    case 1:
        *at ^= (unsigned char)(1 << ps_rng_below(&r, 8));
        break;
    case 2:
        memset(at, ps_rng_below(&r, 2) ? 0 : 255, 1 + ps_rng_below(&r, 60));
        break;
    case 3:
        memmove(page, file + 4096 * ps_rng_below(&r, pages), 4096);
        break;
    case 4:
        memset(page, 0, 4096);
        break;
    case 5: /* the meta pages, whose fields are few */
        file[4096 * (seed / 7 % 2) + 8 + head] ^=
            (unsigned char)(1 + ps_rng_below(&r, 255));
        break;
    default:
        memset(page + head / 2 * 2, (int)ps_rng_below(&r, 256), 2);
    }
}

static void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static int end_of_child(const char *path)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr)) /* LMDB's assertions */
            _exit(1);
        alarm(20);
        use(path);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_good_file_passes(void **state)
{
    (void)state;
    ps_why why = {0};
    const char *path = scratch("damaged.mdb");
    write_file(path, good, size);
    if (ps_btree_check(path, &why))
        fail_msg("%s", why.text);
    assert_int_equal(ps_btree_check_meta(path, &why), PS_OK);
    write_file(path, good, 0);
    assert_int_equal(ps_btree_check(path, &why), PS_OK);
    for (size_t n = 1; n < size; n = n * 3 / 2 + 1) { /* cut off */
        write_file(path, good, n);
        assert_int_equal(ps_btree_check(path, &why), PS_EFORMAT);
        assert_non_null(strstr(why.text, "damaged"));
    }
}

static void what_passes_does_not_end_lmdb(void **state)
{
    (void)state;
    const char *said = getenv("PS_SEEDS"), *path = scratch("damaged.mdb");
    uint64_t seeds = said ? strtoull(said, NULL, 10) : 350;
    unsigned found = 0, ended = 0;
    char *file = malloc(size);
    assert_non_null(file);
    for (uint64_t seed = 0; seed < seeds; seed++) {
        memcpy(file, good, size);
        damage((unsigned char *)file, seed);
        write_file(path, file, size);
        if (ps_btree_check(path, NULL)) {
            assert_int_equal(ps_btree_check(path, NULL), PS_EFORMAT);
            found++;
            continue;
        }
        int status = end_of_child(path);
        if (!WIFEXITED(status))
            print_message("# seed %llu: the child ended by signal %d\n",
                          (unsigned long long)seed, WTERMSIG(status));
        ended += !WIFEXITED(status);
    }
    print_message("# %llu files: %u refused, %u passed, %u of those ended LMDB\n",
                  (unsigned long long)seeds, found, (unsigned)seeds - found, ended);
    assert_int_equal(ended, 0);
    assert_true(found > seeds / 10);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_passes),
        cmocka_unit_test(what_passes_does_not_end_lmdb),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
