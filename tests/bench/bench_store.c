/* bench_store.c - durable writes a second: the live store against LMDB by itself.
 *
 *     bench_store [DIR [SECONDS]]      default /tmp 2
 *
 * LMDB by itself puts the same keys and the same bytes into one table and commits batches
 * of the same size, with the same kind of sync. Both take turns of a tenth of a second,
 * so that what else the disk does strikes both; the share is the ratio of the totals.
 * Pins: 200 bytes of text and 128 numbers each; edges: a pin saved to a board.
 */
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "server/live/store.h"

#define PIN_BYTES  (48 + 20 + 200 + 8 + 6 + 512) /* as store_record.c writes it */
#define EDGE_BYTES (24 + 11 + 11)
#define TURN       0.1

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_store: %s\n", what);
    exit(1);
}

typedef struct side {
    const char *dir;
    uint64_t rng, writes;
    double seconds;
    ps_store *store; /* ours */
    MDB_env *env;    /* bare */
    MDB_dbi dbi;
} side;

static int make_id(char id[32], uint64_t *rng)
{
    return snprintf(id, 32, "p%010" PRIu64, ps_rng_below(rng, 1000000));
}

/* ------------------------------ Batches ------------------------------------ */

static void store_batch(side *s, bool pins, int n)
{
    ps_why why = {0};
    char id[32], text[220];
    float values[128] = {0};
    memset(text, 'x', sizeof text);
    ps_store_feature feature = {{"visual", 6}, 128, values};
    for (int i = 0; i < n; i++) {
        ps_text name = {id, (size_t)make_id(id, &s->rng)};
        ps_store_pin pin = {.id = name,
                            .title = {text, 20},
                            .text = {text + 20, 200},
                            .n_features = 1,
                            .features = &feature};
        ps_store_edge edge = {.pin = name, .board = {"b0000000000", 11}, .saved = true};
        need((pins ? ps_store_put_pin(s->store, &pin, NULL, &why)
                   : ps_store_put_edge(s->store, &edge, NULL, &why)) == PS_OK,
             why.text);
    }
    need(ps_store_commit(s->store, &why) == PS_OK, why.text);
}

static void bare_batch(side *s, bool pins, int n)
{
    MDB_txn *txn;
    char id[32], record[PIN_BYTES] = {0};
    need(!mdb_txn_begin(s->env, NULL, 0, &txn), "begin");
    for (int i = 0; i < n; i++) {
        size_t len = (size_t)make_id(id, &s->rng);
        uint64_t mixed[3];
        for (uint64_t j = 0; j < 3; j++) /* an edge's key is a hash */
            mixed[j] = ps_mix64(s->rng + j);
        MDB_val key = {pins ? len : sizeof mixed, pins ? (void *)id : (void *)mixed};
        MDB_val value = {pins ? PIN_BYTES : EDGE_BYTES, record};
        need(!mdb_put(txn, s->dbi, &key, &value, 0), "put");
    }
    need(!mdb_txn_commit(txn), "commit");
}

/* ------------------------------ Turns ------------------------------------- */

static void turn(side *s, bool pins, int n)
{
    double began = ps_now();
    do {
        if (s->store)
            store_batch(s, pins, n);
        else
            bare_batch(s, pins, n);
        s->writes += (uint64_t)n;
    } while (ps_now() - began < TURN);
    s->seconds += ps_now() - began;
}

static void open_bare(side *s, unsigned flags)
{
    MDB_txn *txn;
    need(!mdb_env_create(&s->env) && !mdb_env_set_maxdbs(s->env, 4) &&
             !mdb_env_set_mapsize(s->env, (size_t)64 << 30) &&
             !mdb_env_open(s->env, s->dir, MDB_NOTLS | flags, 0644),
         s->dir);
    need(!mdb_txn_begin(s->env, NULL, 0, &txn) &&
             !mdb_dbi_open(txn, "pins", MDB_CREATE, &s->dbi) && !mdb_txn_commit(txn),
         "table");
}

static void compare(const char *dir, double seconds, bool pins, int n, bool lazy)
{
    ps_why why = {0};
    char ours[PS_PATH_MAX], theirs[PS_PATH_MAX];
    snprintf(ours, sizeof ours, "%.4000s/ours", dir);
    snprintf(theirs, sizeof theirs, "%.4000s/bare", dir);
    need(ps_dir_make(theirs, &why) == PS_OK, why.text);
    side a = {.dir = ours, .rng = 1}, b = {.dir = theirs, .rng = 1};
    ps_store_opts opts = {.lazy_meta = lazy};
    need(ps_store_open(&a.store, ours, opts, &why) == PS_OK, why.text);
    open_bare(&b, lazy ? MDB_NOMETASYNC : 0u);
    while (a.seconds < seconds) {
        turn(&a, pins, n);
        turn(&b, pins, n);
    }
    double x = (double)a.writes / a.seconds, y = (double)b.writes / b.seconds;
    printf("%-6s %5d  %-9s %9.0f %9.0f   %.2f\n", pins ? "pins" : "edges", n,
           lazy ? "data" : "data+meta", x, y, x / y);
    ps_store_close(a.store);
    mdb_env_close(b.env);
    ps_dir_remove(ours, NULL);
    ps_dir_remove(theirs, NULL);
}

int main(int argc, char **argv)
{
    char dir[PS_PATH_MAX];
    double seconds = argc > 2 ? atof(argv[2]) : 2;
    snprintf(dir, sizeof dir, "%.4000s/bench_store-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    need(mkdtemp(dir) != NULL, dir);
    printf("what   batch  synced     writes/s bare LMDB   share\n");
    for (int lazy = 0; lazy < 2; lazy++)
        for (int pins = 1; pins >= 0; pins--) {
            compare(dir, seconds, pins, 1, lazy);
            compare(dir, seconds, pins, 64, lazy);
        }
    ps_dir_remove(dir, NULL);
    return 0;
}
