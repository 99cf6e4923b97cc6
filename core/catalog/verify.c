/* verify.c - every byte and every invariant of a generation, one named check each.
 *
 * What opening took on trust is read here: checksums of all files, every edge, every id
 * in both directions, every number of every matrix. Checks are independent: one that
 * fails does not hide the next. Each is told as it ends, in the same order every time.
 *
 * Threads: the checks run one after the other; the work inside is cut over a workers.
 * Not here: batch against on-request vectors, which needs the model (core/embed).
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"
#include "pinsage/workers.h"

typedef struct verify {
    ps_generation *g;
    ps_check_fn fn;
    void *cls;
    const ps_progress *progress;
    ps_workers *workers;
    pthread_mutex_t mutex; /* progress is told by one thread at a time */
    uint64_t done, total;
    bool pins_damaged; /* LMDB trusts its pages: do not walk through bad ones */
    int err;           /* first failure */
    ps_why *why;       /* of the first failure; NULL: nobody wants it */
} verify;

/* ------------------------------ Telling ----------------------------------- */

static void tell(verify *v, const char *name, int err, const ps_why *why,
                 const char *detail)
{
    char text[600];
    if (err) {
        ps_why_format(why, err, text, sizeof text);
        detail = text;
        if (!v->err) {
            v->err = err;
            if (v->why)
                *v->why = *why;
        }
    }
    if (v->fn)
        v->fn(v->cls, name, err, detail);
}

/* done more units of a stage, from any thread. */
static int advance(verify *v, const char *stage, uint64_t more, const char *unit)
{
    pthread_mutex_lock(&v->mutex);
    v->done += more;
    int err = ps_progress_at(v->progress, stage, v->done, v->total, unit);
    pthread_mutex_unlock(&v->mutex);
    return err;
}

static void begin_stage(verify *v, uint64_t total)
{
    v->done = 0;
    v->total = total;
}

/* ------------------------------ Files ------------------------------------- */

static void check_sizes(verify *v)
{
    char path[PS_PATH_MAX], detail[64];
    ps_why why = {0};
    const char *name;
    struct stat st;
    size_t n = 0;
    int err = PS_OK;
    for (; !err && (name = ps_manifest_file_at(v->g->manifest, n)); n++) {
        uint64_t size = 0;
        ps_generation_file(v->g, name, path);
        ps_manifest_file(v->g->manifest, name, &size, NULL);
        if (stat(path, &st) < 0)
            err = ps_fail_errno(&why, path, "cannot be read");
        else if ((uint64_t)st.st_size != size)
            err = ps_fail(&why, PS_EMISMATCH, path, 0,
                          "%lld bytes, the manifest says %" PRIu64, (long long)st.st_size,
                          size);
    }
    snprintf(detail, sizeof detail, "%zu files", n);
    tell(v, "files: sizes", err, &why, detail);
}

static int on_piece(void *cls, size_t bytes)
{
    return advance(cls, "checksums", bytes, "bytes");
}

typedef struct result {
    ps_why why;
    int err;
} result;

typedef struct sums {
    verify *v;
    result *of; /* (files) */
} sums;

static int check_sums_of(void *cls, size_t begin, size_t end, unsigned worker)
{
    sums *s = cls;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const char *name = ps_manifest_file_at(s->v->g->manifest, i);
        s->of[i].err =
            ps_generation_check_file(s->v->g, name, on_piece, s->v, &s->of[i].why);
        if (s->of[i].err == PS_ECANCELLED)
            return PS_ECANCELLED;
    }
    return PS_OK;
}

static int check_checksums(verify *v)
{
    const ps_manifest *m = v->g->manifest;
    uint64_t bytes = 0, size;
    size_t n = 0;
    for (; ps_manifest_file_at(m, n); n++)
        bytes += ps_manifest_file(m, ps_manifest_file_at(m, n), &size, NULL) ? size : 0;
    sums s = {v, calloc(n + 1, sizeof *s.of)};
    if (!s.of)
        return PS_ENOMEM;
    begin_stage(v, bytes);
    int err = ps_workers_run(v->workers, n, 1, check_sums_of, &s);
    for (size_t i = 0; !err && i < n; i++) {
        char name[300];
        snprintf(name, sizeof name, "checksum: %s", ps_manifest_file_at(m, i));
        tell(v, name, s.of[i].err, &s.of[i].why, NULL);
        if (s.of[i].err && strcmp(ps_manifest_file_at(m, i), PS_FILE_PINS) == 0)
            v->pins_damaged = true;
    }
    free(s.of);
    return err;
}

static void check_fingerprints(verify *v)
{
    ps_why why = {0};
    int err = ps_manifest_check(v->g->manifest, &why);
    tell(v, "fingerprints: parts were made from the files beside them", err, &why, NULL);
}

/* ------------------------------ Graph and ids ----------------------------- */

static void check_graph(verify *v)
{
    ps_why why = {0};
    char detail[96];
    const ps_graph *graph = &v->g->graph;
    int err = ps_graph_check(graph, &why);
    snprintf(detail, sizeof detail, "%u pins, %u boards, %" PRIu64 " edges",
             graph->pin_boards.rows, graph->board_pins.rows, graph->pin_boards.edges);
    tell(v, "graph: offsets, order, range and transpose", err, &why, detail);
}

/* Name of a pin or a board, and the way back to its number. */
typedef struct directory {
    const char *check, *unit;
    uint32_t n;
    int (*name)(ps_pins_reader *r, uint32_t number, ps_text *name);
    uint32_t (*number)(ps_pins_reader *r, const char *name, size_t len);
} directory;

static int pin_name(ps_pins_reader *r, uint32_t row, ps_text *name)
{
    ps_pin pin;
    int err = ps_pins_get(r, row, &pin);
    *name = err ? (ps_text){0} : pin.id;
    return err;
}

static int check_entry(const directory *d, ps_pins_reader *r, uint32_t i, ps_why *why)
{
    ps_text name;
    int err = d->name(r, i, &name);
    if (err)
        return ps_fail(why, err, NULL, 0, "%s %u has no record", d->unit, i);
    uint32_t back = d->number(r, name.data, name.len);
    if (back == i)
        return PS_OK;
    char leads[32] = "nothing";
    if (back != PS_NO_ROW)
        snprintf(leads, sizeof leads, "%s %u", d->unit, back);
    return ps_fail(why, PS_EMISMATCH, NULL, 0, "%s %u is \"%.*s\", which leads to %s",
                   d->unit, i, name.len < 80 ? (int)name.len : 80, name.data, leads);
}

static int check_directory(verify *v, const directory *d)
{
    ps_why why = {0};
    char detail[48];
    ps_pins_reader *r;
    int stop = PS_OK, err = ps_pins_reader_new(&r, v->g->pins);
    if (err)
        return err;
    begin_stage(v, d->n);
    for (uint32_t i = 0; !stop && !err && i < d->n; i++) {
        err = check_entry(d, r, i, &why);
        if (i % 4096 == 4095)
            stop = advance(v, "ids", 4096, d->unit);
    }
    ps_pins_reader_free(r);
    if (stop)
        return stop;
    snprintf(detail, sizeof detail, "%u %ss", d->n, d->unit);
    tell(v, d->check, err, &why, detail);
    return PS_OK;
}

static int check_ids(verify *v)
{
    const directory pins = {"pins: ids both ways", "pin", v->g->n_pins, pin_name,
                            ps_pins_row};
    const directory boards = {"boards: ids both ways", "board", v->g->n_boards,
                              ps_pins_board_name, ps_pins_board};
    int err = check_directory(v, &pins);
    return err ? err : check_directory(v, &boards);
}

/* ------------------------------ Matrices ---------------------------------- */

typedef struct matrix {
    verify *v;
    const ps_npy *array;
    bool unit;      /* rows must have length 1, or be zero */
    float *row[64]; /* (cols) for each worker */
    uint64_t bad;   /* lowest row that is wrong; UINT64_MAX: none */
    uint64_t zero;  /* rows of nothing but zeros */
} matrix;

/* Squared length of a row; not finite if any number is not. */
static double row_norm(const float *row, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)row[i] * (double)row[i];
    return sum;
}

static int check_rows(void *cls, size_t begin, size_t end, unsigned worker)
{
    matrix *m = cls;
    uint64_t bad = UINT64_MAX, zero = 0;
    for (size_t r = begin; r < end && bad == UINT64_MAX; r++) {
        ps_npy_row_f32(m->array, r, m->row[worker]);
        double norm = row_norm(m->row[worker], (size_t)m->array->cols);
        zero += norm == 0.0;
        if (!isfinite(norm) || (m->unit && norm != 0.0 && fabs(sqrt(norm) - 1.0) > 1e-2))
            bad = r;
    }
    pthread_mutex_lock(&m->v->mutex);
    m->zero += zero;
    if (bad < m->bad)
        m->bad = bad;
    pthread_mutex_unlock(&m->v->mutex);
    return advance(m->v, "matrices", end - begin, "rows");
}

static int scan_matrix(matrix *m)
{
    int err = PS_OK;
    unsigned n = ps_workers_count(m->v->workers);
    for (unsigned i = 0; i < n && !err; i++) {
        m->row[i] = malloc((size_t)m->array->cols * sizeof *m->row[i] + 1);
        err = m->row[i] ? PS_OK : PS_ENOMEM;
    }
    begin_stage(m->v, m->array->rows);
    if (!err)
        err = ps_workers_run(m->v->workers, (size_t)m->array->rows, 4096, check_rows, m);
    for (unsigned i = 0; i < n; i++)
        free(m->row[i]);
    return err;
}

/* One matrix with a row a pin. */
static int check_matrix(verify *v, const char *name, const ps_npy *a, bool unit)
{
    ps_why why = {0};
    char check[128], detail[96];
    matrix m = {.v = v, .array = a, .unit = unit, .bad = UINT64_MAX};
    int err = scan_matrix(&m);
    if (err)
        return err;
    snprintf(check, sizeof check, "%s: finite%s", name, unit ? ", of length 1" : "");
    snprintf(detail, sizeof detail,
             "(%" PRIu64 ", %" PRIu64 ") %s, %" PRIu64 " zero rows", a->rows, a->cols,
             ps_dtype_name(a->dtype), m.zero);
    if (m.bad != UINT64_MAX)
        err = ps_fail(&why, PS_EFORMAT, name, 0, "row %" PRIu64 " is not finite%s", m.bad,
                      unit ? " or not of length 1" : "");
    tell(v, check, err, &why, detail);
    return PS_OK;
}

static int check_messages(verify *v)
{
    char name[32];
    int err = PS_OK;
    for (uint32_t k = 0; k < v->g->n_messages && !err; k++) {
        snprintf(name, sizeof name, PS_FILE_MESSAGES, k + 1);
        err = check_matrix(v, name, &v->g->messages[k], false);
    }
    return err;
}

/* What the manifest says of the embeddings, or of the model that made them. */
static bool embeddings_are_unit(const ps_manifest *m)
{
    uint64_t hash;
    const char *said = ps_manifest_text(m, PS_KEY_EMBEDDINGS_SIMILARITY, NULL);
    if (!said && ps_manifest_fingerprint(m, PS_FILE_EMBEDDINGS, PS_FILE_MODEL, &hash))
        said = ps_manifest_text(m, PS_KEY_MODEL_SIMILARITY, NULL);
    return said && strcmp(said, "cosine") == 0;
}

static int check_matrices(verify *v)
{
    char name[96];
    const ps_generation *g = v->g;
    int err = PS_OK;
    for (uint32_t i = 0; i < g->n_blocks && !err; i++) {
        snprintf(name, sizeof name, PS_DIR_BLOCKS "/%s", g->blocks[i].name);
        err = check_matrix(v, name, &g->blocks[i].array, false);
    }
    if (!err)
        err = check_messages(v);
    if (err || !g->embeddings.data)
        return err;
    return check_matrix(v, "embeddings", &g->embeddings,
                        embeddings_are_unit(g->manifest));
}

/* ------------------------------ Neighbours -------------------------------- */

static const char *wrong_neighbours(const uint32_t *rows, const float *weights,
                                    uint32_t T, uint32_t n_pins, uint32_t self)
{
    double sum = 0.0;
    for (uint32_t t = 0; t < T; t++) {
        if (rows[t] >= n_pins)
            return "a neighbour is no pin";
        if (!(weights[t] >= 0.0f && weights[t] <= 1.0f))
            return "a weight is not between 0 and 1";
        if ((rows[t] == self) != (weights[t] == 0.0f))
            return rows[t] == self ? "the pin is its own neighbour"
                                   : "a neighbour has weight 0";
        if (t && weights[t] > weights[t - 1])
            return "the weights do not descend";
        sum += (double)weights[t];
    }
    return sum == 0.0 || fabs(sum - 1.0) < 1e-3 ? NULL : "the weights do not sum to 1";
}

static void check_neighbours(verify *v)
{
    ps_why why = {0};
    char detail[64];
    const ps_generation *g = v->g;
    uint32_t T = (uint32_t)g->nbr_rows.cols;
    int err = PS_OK;
    if (!g->nbr_rows.data)
        return;
    for (uint32_t r = 0; r < g->n_pins && !err; r++) {
        size_t at = (size_t)r * T;
        const char *wrong =
            wrong_neighbours((const uint32_t *)g->nbr_rows.data + at,
                             (const float *)g->nbr_weights.data + at, T, g->n_pins, r);
        if (wrong)
            err = ps_fail(&why, PS_EFORMAT, "neighbours", 0, "row %u: %s", r, wrong);
    }
    snprintf(detail, sizeof detail, "(%u, %u)", g->n_pins, T);
    tell(v, "neighbours: in range, weights sum to 1", err, &why, detail);
}

/* ------------------------------ All --------------------------------------- */

static int run_checks(verify *v)
{
    check_sizes(v);
    int err = check_checksums(v);
    check_fingerprints(v);
    if (!err)
        check_graph(v);
    if (!err && !v->pins_damaged)
        err = check_ids(v);
    if (!err)
        err = check_matrices(v);
    if (!err)
        check_neighbours(v);
    return err;
}

int ps_generation_verify(ps_generation *g, ps_check_fn fn, void *cls,
                         const ps_progress *progress, ps_why *why)
{
    verify v = {.g = g,
                .fn = fn,
                .cls = cls,
                .progress = progress,
                .why = why,
                .mutex = PTHREAD_MUTEX_INITIALIZER};
    unsigned cores = ps_cores();
    int err = ps_workers_new(&v.workers, cores < 64 ? cores : 64);
    if (err)
        return ps_fail(why, err, g->dir, 0, "no threads to verify it with");
    err = run_checks(&v);
    if (err)
        err = ps_fail(why, err, g->dir, 0, "%s", ps_strerror(err));
    ps_workers_free(v.workers);
    return err ? err : v.err;
}
