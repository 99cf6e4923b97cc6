/* build.c - two sorted CSR matrices from edges in any order, out of core.
 *
 *     spool ──count──> offsets ──split by pin range──> lanes ──scatter, sort, merge──>
 *     rows of boards ──> pin_boards          while these are copied, split by board range
 *                    ──> lanes ──scatter──> board_pins
 *
 * A lane holds a range of rows with about a window of edges, so the scatter's random
 * writes stay within 32 MiB; everything else reads and writes files from one end to the
 * other. Only rows by pin need sorting: the transposition takes edges in order of pin and
 * keeps that order, so rows by board come out sorted.
 *
 * One array of offsets serves three purposes in turn. Before a lane's scatter offset[r]
 * is where row r begins; the scatter counts it up to where r ends; merging sets it to
 * where r begins among the edges that are kept.
 *
 * Disk besides the result: 16 bytes an edge. Memory: 8 bytes a pin and a board, the
 * window, and 32 KiB a lane (at most 1025 lanes: beyond that the window grows).
 *
 * Threads: one; rows are sorted by the workers. Not here: scratch files (spool.c).
 */
#include "core/graph/build.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/order.h"
#include "core/graph/file_names.h"
#include "core/graph/spool.h"
#include "pinsage/progress.h"
#include "pinsage/workers.h"

#define LANES 1024

struct ps_graph_builder {
    char dir[PS_PATH_MAX];
    ps_spool *spool; /* owned */
    uint64_t window;
};

/* Rows cut into lanes. */
typedef struct split {
    unsigned n;
    uint64_t first[LANES + 2]; /* first row of each lane; (n + 1) */
    uint64_t start[LANES + 2]; /* first edge of each lane; (n + 1) */
} split;

typedef struct build {
    ps_graph_builder *b;
    struct ps_workers *workers;
    const ps_progress *progress;
    ps_why *why;
    uint64_t raw, kept, done; /* edges that came, that are left, of the stage */
    uint64_t rows[2];         /* pins, boards */
    uint64_t *offset[2];      /* (rows + 1) each, owned */
    ps_spool *lanes;          /* owned */
    uint32_t *window;         /* owned */
    split split;
    /* of the lane in the window: */
    uint64_t base; /* its first edge */
    int side;      /* 0 rows are pins, 1 boards */
    /* while pin_boards is copied: */
    uint64_t pin, copied;
    ps_out *out;
} build;

/* ------------------------------ Adding ------------------------------------ */

int ps_graph_builder_new(ps_graph_builder **out, const char *dir, ps_why *why)
{
    ps_graph_builder *b = calloc(1, sizeof *b);
    size_t len = strlen(dir);
    if (!b || len >= sizeof b->dir) {
        free(b);
        return ps_fail(why, b ? PS_ERANGE : PS_ENOMEM, dir, 0, "no graph can be built");
    }
    memcpy(b->dir, dir, len + 1);
    b->window = PS_GRAPH_WINDOW;
    int err = ps_dir_make(dir, why);
    if (!err)
        err = ps_spool_new(&b->spool, dir, 1, NULL, why);
    if (err) {
        free(b);
        return err;
    }
    *out = b;
    return PS_OK;
}

int ps_graph_builder_add(ps_graph_builder *b, uint32_t pin, uint32_t board)
{
    return ps_spool_add(b->spool, 0, (ps_edge){pin, board});
}

void ps_graph_builder_window(ps_graph_builder *b, uint64_t edges)
{
    b->window = edges;
}

void ps_graph_builder_abort(ps_graph_builder *b)
{
    if (!b)
        return;
    ps_spool_free(b->spool);
    free(b);
}

static int advance(build *x, const char *stage, uint64_t n, uint64_t total)
{
    x->done += n;
    return ps_progress_at(x->progress, stage, x->done, total, "edges");
}

/* ------------------------------ Counting ---------------------------------- */

/* Degree of row r into offset[r + 1]. */
static int on_counted(void *cls, const ps_edge *e, size_t n)
{
    build *x = cls;
    for (size_t i = 0; i < n; i++) {
        if (e[i].row >= x->rows[0] || e[i].index >= x->rows[1])
            return ps_fail(x->why, PS_ERANGE, x->b->dir, 0,
                           "edge (%u, %u) is outside %" PRIu64 " pins and %" PRIu64
                           " boards",
                           e[i].row, e[i].index, x->rows[0], x->rows[1]);
        x->offset[0][e[i].row + (uint64_t)1]++;
    }
    return advance(x, "counting edges", n, x->raw);
}

/* Degrees to offsets: where each row begins. */
static void sum(uint64_t *offset, uint64_t rows)
{
    for (uint64_t r = 0; r < rows; r++)
        offset[r + 1] += offset[r];
}

/* Lanes of about a window: a lane begins with the first row at or after each multiple. */
static void cut(split *s, const uint64_t *offset, uint64_t rows, uint64_t window)
{
    uint64_t edges = offset[rows], least = edges / LANES + 1;
    uint64_t next = window = window < least ? least : window;
    s->n = 1;
    s->first[0] = s->start[0] = 0;
    for (uint64_t r = 1; r < rows; r++) {
        if (offset[r] < next)
            continue;
        s->first[s->n] = r;
        s->start[s->n++] = offset[r];
        next = (offset[r] / window + 1) * window;
    }
    s->first[s->n] = rows;
    s->start[s->n] = edges;
}

/* The last lane that begins at or before row; without branches to mispredict. */
static inline unsigned lane_of(const split *s, uint64_t row)
{
    unsigned lane = 0;
    for (unsigned n = s->n; n > 1;) {
        unsigned half = n / 2;
        lane += s->first[lane + half] <= row ? half : 0;
        n -= half;
    }
    return lane;
}

/* Cut the rows of a side, and make empty lanes and a window for the largest. */
static int open_lanes(build *x, int side)
{
    split *s = &x->split;
    x->side = side;
    cut(s, x->offset[side], x->rows[side], x->b->window);
    uint64_t most = 1;
    for (unsigned i = 0; i < s->n; i++)
        most =
            s->start[i + 1] - s->start[i] > most ? s->start[i + 1] - s->start[i] : most;
    free(x->window);
    x->window = most <= SIZE_MAX / 4 ? malloc(most * sizeof *x->window) : NULL;
    if (!x->window)
        return ps_fail(x->why, PS_ENOMEM, x->b->dir, 0,
                       "no memory to sort %" PRIu64 " edges at a time", most);
    ps_spool_free(x->lanes);
    x->lanes = NULL;
    return ps_spool_new(&x->lanes, x->b->dir, s->n, s->start, x->why);
}

static int on_split(void *cls, const ps_edge *e, size_t n)
{
    build *x = cls;
    int err = PS_OK;
    for (size_t i = 0; i < n && !err; i++)
        err = ps_spool_add(x->lanes, lane_of(&x->split, e[i].row), e[i]);
    return err ? ps_spool_failed(x->lanes, x->why)
               : advance(x, "splitting edges", n, x->raw);
}

/* ------------------------------ A lane in the window ---------------------- */

static int on_scattered(void *cls, const ps_edge *e, size_t n)
{
    build *x = cls;
    uint64_t *offset = x->offset[x->side];
    for (size_t i = 0; i < n; i++)
        x->window[offset[e[i].row]++ - x->base] = e[i].index;
    return PS_OK;
}

static int load_lane(build *x, unsigned lane)
{
    x->base = x->split.start[lane];
    return ps_spool_each(x->lanes, lane, on_scattered, x, x->why);
}

/* Rows are mostly short, and often sorted already. */
static void sort_row(uint32_t *row, size_t n)
{
    if (n > 48) {
        qsort(row, n, sizeof *row, ps_by_u32);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        uint32_t v = row[i];
        size_t j = i;
        for (; j > 0 && row[j - 1] > v; j--)
            row[j] = row[j - 1];
        row[j] = v;
    }
}

typedef struct rows {
    build *x;
    uint64_t first; /* row of item 0 */
} rows;

static int sort_rows(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const rows *part = cls;
    build *x = part->x;
    const uint64_t *ends = x->offset[0] + part->first;
    for (size_t i = begin; i < end; i++) {
        uint64_t from = i ? ends[i - 1] : x->base;
        sort_row(x->window + (from - x->base), ends[i] - from);
    }
    return PS_OK;
}

/* Merge duplicates of the sorted rows towards the window's beginning; row offsets
 * become those of the edges kept, boards are counted. Returns how many are in it. */
static size_t merge_rows(build *x, uint64_t first, uint64_t end)
{
    uint32_t *w = x->window;
    size_t at = 0, n = 0;
    for (uint64_t r = first; r < end; r++) {
        size_t stop = x->offset[0][r] - x->base, row = n;
        x->offset[0][r] = x->kept + n;
        for (; at < stop; at++) {
            if (n > row && w[n - 1] == w[at])
                continue;
            w[n++] = w[at];
            x->offset[1][w[at] + (uint64_t)1]++;
        }
    }
    x->kept += n;
    return n;
}

static int sort_lane(build *x, unsigned lane)
{
    uint64_t first = x->split.first[lane], end = x->split.first[lane + 1];
    rows part = {x, first};
    int err = load_lane(x, lane);
    if (!err)
        err = ps_workers_run(x->workers, end - first, 4096, sort_rows, &part);
    if (!err)
        err = ps_spool_append(x->b->spool, x->window, merge_rows(x, first, end), x->why);
    uint64_t n = x->split.start[lane + 1] - x->split.start[lane];
    return err ? err : advance(x, "sorting edges", n, x->raw);
}

/* Spool to rows of boards, sorted and merged, back in the spool's file. */
static int sort_edges(build *x)
{
    int err = ps_spool_each(x->b->spool, 0, on_counted, x, x->why);
    x->done = 0;
    if (err)
        return err;
    sum(x->offset[0], x->rows[0]);
    err = open_lanes(x, 0);
    if (!err)
        err = ps_spool_each(x->b->spool, 0, on_split, x, x->why);
    x->done = 0;
    ps_spool_reuse(x->b->spool);
    for (unsigned i = 0; i < x->split.n && !err; i++)
        err = sort_lane(x, i);
    x->offset[0][x->rows[0]] = x->kept;
    x->done = 0;
    return err;
}

/* ------------------------------ The four arrays --------------------------- */

static int open_array(build *x, int which)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, x->b->dir, ps_graph_file[which]))
        return ps_fail(x->why, PS_ERANGE, x->b->dir, 0, "the path is too long");
    int err = ps_out_open(&x->out, path, x->why);
    if (err)
        return err;
    if (which % 2)
        ps_npy_header(x->out, PS_U32, x->kept, 0);
    else
        ps_npy_header(x->out, PS_U64, x->rows[which / 2] + 1, 0);
    return PS_OK;
}

/* Close what is open; keep the file if nothing went wrong. */
static int close_array(build *x, int err)
{
    ps_out *out = x->out;
    x->out = NULL;
    if (!err)
        return ps_out_close(out, NULL, x->why);
    ps_out_abort(out);
    return err;
}

static int write_offsets(build *x, int which, const uint64_t *offset, uint64_t n)
{
    const uint64_t zero = 0;
    int err = open_array(x, which);
    if (err)
        return err;
    if (n == x->rows[which / 2])
        ps_out_write(x->out, &zero, sizeof zero);
    ps_out_write(x->out, offset, n * sizeof *offset);
    return close_array(x, PS_OK);
}

/* Boards of pins in order: to the file, and transposed, to the lanes of boards. */
static int on_copied(void *cls, const uint32_t *board, size_t n)
{
    build *x = cls;
    int err = PS_OK;
    ps_out_write(x->out, board, n * sizeof *board);
    for (size_t i = 0; i < n && !err; i++, x->copied++) {
        while (x->offset[0][x->pin + 1] <= x->copied)
            x->pin++;
        err = ps_spool_add(x->lanes, lane_of(&x->split, board[i]),
                           (ps_edge){board[i], (uint32_t)x->pin});
    }
    return err ? ps_spool_failed(x->lanes, x->why)
               : advance(x, "writing graph/pin_boards", n, x->kept);
}

static int write_pin_boards(build *x)
{
    int err = write_offsets(x, 0, x->offset[0], x->rows[0] + 1);
    if (!err)
        err = open_array(x, 1);
    if (!err)
        err = ps_spool_indices(x->b->spool, on_copied, x, x->why);
    x->done = 0;
    return close_array(x, err);
}

static int write_lane(build *x, unsigned lane)
{
    int err = load_lane(x, lane);
    uint64_t n = x->split.start[lane + 1] - x->base;
    if (err)
        return err;
    ps_out_write(x->out, x->window, n * sizeof *x->window);
    return advance(x, "writing graph/board_pins", n, x->kept);
}

static int write_board_pins(build *x)
{
    int err = open_array(x, 3);
    for (unsigned i = 0; i < x->split.n && !err; i++)
        err = write_lane(x, i);
    err = close_array(x, err);
    /* The scatters have moved each offset to the end of its row. */
    return err ? err : write_offsets(x, 2, x->offset[1], x->rows[1]);
}

/* ------------------------------ Finishing --------------------------------- */

static int run(build *x)
{
    for (int side = 0; side < 2; side++) {
        x->offset[side] = calloc(x->rows[side] + 1, sizeof(uint64_t));
        if (!x->offset[side])
            return ps_fail(x->why, PS_ENOMEM, x->b->dir, 0,
                           "no memory for %" PRIu64 " offsets", x->rows[side] + 1);
    }
    int err = sort_edges(x);
    if (err)
        return err;
    sum(x->offset[1], x->rows[1]);
    err = open_lanes(x, 1);
    if (!err)
        err = write_pin_boards(x);
    return err ? err : write_board_pins(x);
}

static void remove_arrays(const char *dir)
{
    char path[PS_PATH_MAX];
    for (int i = 0; i < 4; i++)
        if (!ps_path_join(path, sizeof path, dir, ps_graph_file[i]))
            unlink(path);
}

int ps_graph_builder_finish(ps_graph_builder *b, uint32_t n_pins, uint32_t n_boards,
                            struct ps_workers *w, const struct ps_progress *progress,
                            ps_graph_stats *stats, ps_why *why)
{
    build *x = calloc(1, sizeof *x);
    int err = x ? PS_OK : ps_fail(why, PS_ENOMEM, b->dir, 0, "no graph can be built");
    if (!err) {
        *x = (build){.b = b, .workers = w, .progress = progress, .why = why};
        x->raw = ps_spool_count(b->spool, 0);
        x->rows[0] = n_pins;
        x->rows[1] = n_boards;
        err = run(x);
        if (stats && !err)
            *stats = (ps_graph_stats){x->kept, x->raw - x->kept};
        ps_spool_free(x->lanes);
        free(x->offset[0]);
        free(x->offset[1]);
        free(x->window);
        free(x);
    }
    if (err)
        remove_arrays(b->dir);
    ps_graph_builder_abort(b);
    return err;
}
