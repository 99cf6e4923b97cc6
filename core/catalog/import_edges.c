/* import_edges.c - edges.tsv into the graph: one thread unpacks and cuts lines, another
 * looks names up.
 *
 *     reader   gzip -> lines -> batch of 8,192 (pin, board)  --ring of 4-->
 *     caller   rows of the pins, numbers of the boards, edges to the builder
 *
 * Both sides cost about the same, so two cores halve the time. Names of a batch are
 * looked up together, which hides most of the cache misses of the tables (idmap.h).
 * Batches are worked off in order and carry the reader's failure with them: the error
 * told is always the first one in the file. Boards get numbers in the order in which
 * they first appear with a pin that is known.
 *
 * Threads: starts one and joins it. Not here: what becomes of edges and names
 * (import_graph.c).
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"
#include "pinsage/layout.h"
#include "pinsage/near.h"

#define BATCH       ((size_t)8192)
#define TEXT        ((size_t)256 << 10)
#define RING        4
#define MAX_SCANNED 10000000u /* ids compared with an unknown one, at most */

typedef struct batch {
    size_t n, used; /* edges; bytes of text */
    uint64_t done;  /* bytes of the file read so far */
    int err;        /* of the reader, after these edges */
    ps_why why;
    bool last;
    ps_text pin[BATCH], board[BATCH]; /* in text */
    long line[BATCH];                 /* of the edges in their file */
    char text[TEXT];
} batch;

typedef struct ring {
    ps_tsv *edges;
    size_t pin_column, board_column;
    batch *batch;             /* (RING) */
    unsigned filled, emptied; /* batches so far, guarded by lock */
    bool stop;                /* the caller has seen enough; guarded too */
    pthread_mutex_t lock;
    pthread_cond_t more, room;
} ring;

/* ------------------------------ The reader -------------------------------- */

static int check_name(const ps_tsv *t, ps_text name, const char *what, ps_why *why)
{
    if (name.len > 0 && name.len <= PS_ID_MAX)
        return PS_OK;
    if (name.len == 0)
        return ps_fail(why, PS_EFORMAT, ps_tsv_path(t), ps_tsv_line(t), "the %s is empty",
                       what);
    return ps_fail(why, PS_EFORMAT, ps_tsv_path(t), ps_tsv_line(t),
                   "the %s has %zu bytes, at most %d are possible", what, name.len,
                   PS_ID_MAX);
}

static ps_text keep(batch *b, ps_text name)
{
    char *copy = b->text + b->used;
    memcpy(copy, name.data, name.len);
    b->used += name.len;
    return (ps_text){copy, name.len};
}

static void fill_batch(ring *r, batch *b)
{
    const ps_text *field;
    int got = 1;
    b->n = b->used = 0;
    b->err = PS_OK;
    b->line[0] = ps_tsv_line(r->edges) + 1;
    while (b->n < BATCH && b->used + 2 * PS_ID_MAX <= TEXT && !b->err &&
           (got = ps_tsv_next(r->edges, &field, &b->why)) > 0) {
        ps_text pin = field[r->pin_column], board = field[r->board_column];
        b->err = check_name(r->edges, pin, "pin", &b->why);
        if (!b->err)
            b->err = check_name(r->edges, board, "board", &b->why);
        if (b->err)
            break;
        b->pin[b->n] = keep(b, pin);
        b->board[b->n] = keep(b, board);
        b->line[b->n++] = ps_tsv_line(r->edges);
    }
    if (got < 0)
        b->err = got;
    b->last = got <= 0 || b->err;
    b->done = ps_tsv_done(r->edges);
}

static void *read_edges(void *cls)
{
    ring *r = cls;
    bool last = false;
    while (!last) {
        pthread_mutex_lock(&r->lock);
        while (r->filled - r->emptied == RING && !r->stop)
            pthread_cond_wait(&r->room, &r->lock);
        batch *b = &r->batch[r->filled % RING];
        last = r->stop;
        pthread_mutex_unlock(&r->lock);
        if (last)
            break;
        fill_batch(r, b);
        last = b->last;
        pthread_mutex_lock(&r->lock);
        r->filled++;
        pthread_cond_signal(&r->more);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

static batch *next_batch(ring *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->filled == r->emptied)
        pthread_cond_wait(&r->more, &r->lock);
    batch *b = &r->batch[r->emptied % RING];
    pthread_mutex_unlock(&r->lock);
    return b;
}

static void give_back(ring *r, bool stop)
{
    pthread_mutex_lock(&r->lock);
    r->emptied++;
    r->stop = stop;
    pthread_cond_signal(&r->room);
    pthread_mutex_unlock(&r->lock);
}

/* ------------------------------ The caller -------------------------------- */

typedef struct resolver {
    ps_import_job *job;
    uint32_t row[BATCH], number[BATCH];
} resolver;

/* The id nearest to an unknown one, found the slow way: it is needed once. */
static uint32_t nearest(const ps_idmap *ids, ps_text name)
{
    ps_near near;
    uint32_t best = PS_NO_NUMBER, n = ids->n < MAX_SCANNED ? ids->n : MAX_SCANNED;
    unsigned most = name.len > 3 ? PS_NEAR_MAX : 1;
    ps_near_init(&near, name.data, name.len);
    for (uint32_t i = 0; i < n && most > 0; i++) {
        ps_text id = ps_idmap_name(ids, i);
        unsigned distance = ps_near_compare(&near, id.data, id.len, most);
        if (distance > most || (distance == most && best != PS_NO_NUMBER))
            continue;
        best = i;
        most = distance;
    }
    return best;
}

static int unknown_pin(resolver *v, const batch *b, size_t i)
{
    char shown[PS_SHOWN], other[PS_SHOWN];
    const ps_import_job *job = v->job;
    uint32_t row = nearest(&job->ids, b->pin[i]);
    ps_import_shown(shown, b->pin[i]);
    if (row == PS_NO_NUMBER)
        return ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->edges), b->line[i],
                       "pin \"%s\" is not among the pins", shown);
    return ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->edges), b->line[i],
                   "pin \"%s\" is not among the pins; did you mean \"%s\"?", shown,
                   ps_import_shown(other, ps_idmap_name(&job->ids, row)));
}

/* Close ranks where pins are unknown. */
static int drop_unknown(resolver *v, batch *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (v->row[i] == PS_NO_NUMBER && !v->job->opts->skip_unknown)
            return unknown_pin(v, b, i);
        if (v->row[i] == PS_NO_NUMBER)
            continue;
        v->row[kept] = v->row[i];
        b->board[kept++] = b->board[i];
    }
    v->job->report->unknown += b->n - kept;
    b->n = kept;
    return PS_OK;
}

static int take_batch(resolver *v, batch *b)
{
    ps_import_job *job = v->job;
    ps_idmap_find_all(&job->ids, b->pin, b->n, v->row);
    int err = drop_unknown(v, b);
    if (err)
        return err;
    err = ps_idmap_add_all(&job->boards, b->board, b->n, v->number);
    if (err)
        return ps_fail(job->why, err, ps_tsv_path(job->edges), b->line[0],
                       err == PS_ERANGE ? "more than 2^32 - 1 boards"
                                        : "no memory for the boards");
    for (size_t i = 0; i < b->n && !err; i++)
        err = ps_graph_builder_add(job->builder, v->row[i], v->number[i]);
    if (err)
        return ps_fail(job->why, err, ps_tsv_path(job->edges), b->line[0],
                       "edges cannot be kept: %s", ps_strerror(err));
    if (b->err) {
        if (job->why)
            *job->why = b->why;
        return b->err;
    }
    uint64_t total = ps_tsv_total(job->edges), done = b->done;
    if (b->last) /* a pipe's size is known now; this ends the stage */
        total = done;
    else if (total && done >= total)
        done = total - 1;
    return ps_progress_at(job->progress, "edges", done, total, "bytes");
}

static int take_all(resolver *v, ring *r)
{
    pthread_t reader;
    bool last = false;
    int err = PS_OK;
    if (pthread_create(&reader, NULL, read_edges, r))
        return ps_fail(v->job->why, PS_ENOMEM, NULL, 0, "no thread to read the edges");
    while (!last) {
        batch *b = next_batch(r);
        err = take_batch(v, b);
        last = err || b->last;
        give_back(r, last);
    }
    pthread_join(reader, NULL);
    return err;
}

static int read_all(resolver *v)
{
    ps_import_job *job = v->job;
    ring r = {.edges = job->edges,
              .pin_column = job->edge_pin,
              .board_column = job->edge_board,
              .batch = calloc(RING, sizeof *r.batch),
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .more = PTHREAD_COND_INITIALIZER,
              .room = PTHREAD_COND_INITIALIZER};
    if (!r.batch)
        return ps_fail(job->why, PS_ENOMEM, NULL, 0, "no memory to read the edges");
    int err = take_all(v, &r);
    free(r.batch);
    pthread_cond_destroy(&r.more);
    pthread_cond_destroy(&r.room);
    pthread_mutex_destroy(&r.lock);
    if (err || job->boards.n)
        return err;
    if (job->report->unknown)
        return ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->edges), 0,
                       "no edge is left: all %" PRIu64 " have a pin that is not known",
                       job->report->unknown);
    return ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->edges), 0,
                   "there are no edges, only the header");
}

int ps_import_edges(ps_import_job *job)
{
    char dir[PS_PATH_MAX];
    resolver *v = calloc(1, sizeof *v);
    if (!v)
        return ps_fail(job->why, PS_ENOMEM, NULL, 0, "no memory to read the edges");
    v->job = job;
    int err = ps_path_join(dir, sizeof dir, ps_draft_dir(job->draft), PS_DIR_GRAPH);
    if (!err)
        err = ps_graph_builder_new(&job->builder, dir, job->why);
    if (!err)
        err = read_all(v);
    free(v);
    return err;
}
