/* bench_walk.c - walks on a graph larger than the cache, against reads that need not
 * wait for one another.
 *
 * A hop pin -> board -> pin is two edges and four reads, each of a place that the one
 * before tells. The bound is a loop that makes the same reads - the same arrays in the
 * same turn and the same random numbers - at independent places, prefetched far ahead:
 * what the memory gives when nothing has to wait. All rows use the same arrays, on the
 * same pages, in turns of one run; the best turn of each counts, because other programs
 * use the machine too.
 *
 * The same walks on a live graph: seen through an overlay in which nothing changed, and
 * in which a tenth of the edges is live, on random pins and boards.
 *
 *     bench_walk [pins [boards [edges]]]      in thousands; default 2000 500 40000
 *
 * Threads: one, the figures are per core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/sample/lanes.h"
#include "pinsage/overlay.h"
#include "pinsage/pixie.h"
#include "pinsage/walk.h"

#define TURNS 30
#define READS 2000000 /* about, of one measurement */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ------------------------------ The graph --------------------------------- */

/* Zeroed memory, on 2 MiB pages if asked for: without them each read costs a walk of
 * the page table too, on both sides of the comparison. */
static void *pages(size_t size, bool huge)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return p;
}

typedef struct size {
    uint32_t pins, boards;
    uint64_t edges; /* about */
    bool huge;
} size;

static ps_csr matrix(uint32_t rows, uint64_t edges, bool huge)
{
    return (ps_csr){.rows = rows,
                    .edges = edges,
                    .indptr = pages((rows + (size_t)1) * sizeof(uint64_t), huge),
                    .indices = pages((edges + 1) * sizeof(uint32_t), huge)};
}

/* A board into a sorted row of n, unless it is there; how many there are then. */
static uint32_t put_board(uint32_t *row, uint32_t n, uint32_t board)
{
    uint32_t k = n;
    while (k > 0 && row[k - 1] > board)
        k--;
    if (k > 0 && row[k - 1] == board)
        return n;
    memmove(row + k + 1, row + k, (n - k) * sizeof *row);
    row[k] = board;
    return n + 1;
}

/* Degrees from 1 to twice the mean, boards uniform: no place is hotter than another. */
static void fill_pins(ps_csr *m, size s)
{
    uint64_t *indptr = (uint64_t *)(uintptr_t)m->indptr, rng = 1;
    uint32_t *indices = (uint32_t *)(uintptr_t)m->indices;
    uint64_t mean = s.edges / s.pins;
    for (uint32_t p = 0; p < s.pins; p++) {
        uint64_t degree = 1 + ps_rng_below(&rng, 2 * mean - 1);
        degree = degree < s.edges - indptr[p] ? degree : s.edges - indptr[p];
        uint32_t n = 0;
        for (uint64_t i = 0; i < degree; i++)
            n = put_board(indices + indptr[p], n, (uint32_t)ps_rng_below(&rng, s.boards));
        indptr[p + 1] = indptr[p] + n;
    }
    m->edges = indptr[s.pins];
}

static void fill_boards(ps_csr *m, const ps_csr *forth)
{
    uint64_t *indptr = (uint64_t *)(uintptr_t)m->indptr;
    uint32_t *indices = (uint32_t *)(uintptr_t)m->indices;
    for (uint64_t i = 0; i < forth->edges; i++)
        indptr[forth->indices[i] + 1]++;
    for (uint32_t b = 0; b < m->rows; b++)
        indptr[b + 1] += indptr[b];
    for (uint32_t p = 0; p < forth->rows; p++)
        for (uint32_t i = 0; i < ps_csr_degree(forth, p); i++)
            indices[indptr[ps_csr_row(forth, p)[i]]++] = p;
    memmove(indptr + 1, indptr, m->rows * sizeof *indptr);
    indptr[0] = 0;
}

static ps_graph make(size s)
{
    ps_graph g = {0};
    g.pin_boards = matrix(s.pins, s.edges, s.huge);
    fill_pins(&g.pin_boards, s);
    g.board_pins = matrix(s.boards, g.pin_boards.edges, s.huge);
    fill_boards(&g.board_pins, &g.pin_boards);
    return g;
}

static void drop(ps_graph *g, size s)
{
    const ps_csr *m[2] = {&g->pin_boards, &g->board_pins};
    for (int i = 0; i < 2; i++) {
        uint64_t edges = i ? m[i]->edges : s.edges;
        munmap((void *)(uintptr_t)m[i]->indptr, (m[i]->rows + (size_t)1) * 8);
        munmap((void *)(uintptr_t)m[i]->indices, (edges + 1) * 4);
    }
}

/* ------------------------------ What is measured -------------------------- */

static uint64_t sink; /* what was read: keeps the loops from being dropped */

/* Four reads a hop at independent places, each prefetched 64 reads ahead. As many random
 * numbers are drawn as walks draw: one half for the row, the other for the edge. */
static double reads(const ps_graph *g)
{
    enum { AHEAD = 16 };
    const ps_csr *m[2] = {&g->pin_boards, &g->board_pins};
    const uint64_t *offset[2][AHEAD];
    const uint32_t *index[2][AHEAD];
    uint64_t rng = 7, sum = 0;
    double begin = now();
    for (uint32_t hop = 0; hop < READS / 4; hop++)
        for (int k = 0; k < 2; k++) {
            uint32_t slot = hop % AHEAD;
            uint64_t r = ps_rng_next(&rng);
            if (hop >= AHEAD)
                sum += *offset[k][slot] + *index[k][slot];
            offset[k][slot] = &m[k]->indptr[(r >> 32) * m[k]->rows >> 32];
            index[k][slot] = &m[k]->indices[(uint32_t)r * m[k]->edges >> 32];
            __builtin_prefetch(offset[k][slot]);
            __builtin_prefetch(index[k][slot]);
        }
    sink += sum;
    return (now() - begin) / (READS / 4 / 1e9) / 4;
}

/* Walks of 32 hops from random pins; lanes and nothing else. ns an edge. */
static double walk_lanes(const ps_graph *g)
{
    ps_lane lane[PS_LANES];
    uint64_t rng = 8, edges = 0;
    double begin = now();
    for (uint32_t round = 0; round < READS / 4 / 32 / PS_LANES; round++) {
        unsigned n = PS_LANES;
        for (unsigned i = 0; i < n; i++) {
            uint32_t pin = (uint32_t)ps_rng_below(&rng, g->pin_boards.rows);
            ps_lane_begin(&lane[i], g, pin, ps_rng_at(rng, i));
        }
        for (int hop = 0; hop < 32 && n; hop++) {
            n = ps_lanes_hop(g, lane, n);
            edges += 2 * n;
        }
        sink += lane[0].row;
    }
    return (now() - begin) * 1e9 / (double)edges;
}

/* The same, one walk at a time; a tenth of the work. ns an edge. */
static double walk_plain(const ps_graph *g)
{
    uint64_t rng = 9, edges = 0;
    uint32_t pin = 0;
    double begin = now();
    for (uint32_t hop = 0; hop < READS / 4 / 10; hop++, edges += 2) {
        const ps_csr *m = &g->pin_boards;
        uint32_t board = ps_csr_row(m, pin)[ps_rng_below(&rng, ps_csr_degree(m, pin))];
        m = &g->board_pins;
        pin = ps_csr_row(m, board)[ps_rng_below(&rng, ps_csr_degree(m, board))];
    }
    sink += pin;
    return (now() - begin) * 1e9 / (double)edges;
}

/* Neighbourhoods of random pins, counted, the T largest selected. ns an edge. */
static double neighbours(const ps_graph *g, ps_walk_opts o)
{
    enum { BATCH = 64 };
    uint32_t pins[BATCH], *rows = malloc(BATCH * o.top * sizeof *rows);
    float *weights = malloc(BATCH * o.top * sizeof *weights);
    uint64_t seeds[BATCH], rng = 10, hops = 0;
    ps_walker *w;
    if (!rows || !weights || ps_walker_new(&w, g, o))
        abort();
    double begin = now();
    while (hops < READS / 4) {
        for (int i = 0; i < BATCH; i++) {
            pins[i] = (uint32_t)ps_rng_below(&rng, g->pin_boards.rows);
            seeds[i] = rng;
        }
        ps_walk_neighbours(w, pins, seeds, BATCH, rows, weights);
        hops += (uint64_t)BATCH * o.n_walks * o.length;
        sink += rows[0];
    }
    double ns = (now() - begin) * 1e9 / (double)(2 * hops);
    ps_walker_free(w);
    free(rows);
    free(weights);
    return ns;
}

static double walk_200(const ps_graph *g)
{
    return neighbours(g, PS_WALK_DEFAULTS);
}

static double walk_far(const ps_graph *g)
{
    return neighbours(g, (ps_walk_opts){.n_walks = 25, .length = 16, .top = 20});
}

static double pixie(const ps_graph *g)
{
    ps_pixie_opts o = PS_PIXIE_DEFAULTS;
    ps_scored best[100];
    uint64_t rng = 11, hops = 0, steps;
    uint32_t found;
    ps_pixie *p;
    if (ps_pixie_new(&p, g, o))
        abort();
    double begin = now();
    while (hops < READS / 4) {
        uint32_t pin = (uint32_t)ps_rng_below(&rng, g->pin_boards.rows);
        ps_pixie_query q = {pin, 1, rng};
        if (ps_pixie_related(p, &q, 1, best, 100, &found, &steps))
            abort();
        hops += steps;
        sink += best[0].row;
    }
    double ns = (now() - begin) * 1e9 / (double)(2 * hops);
    ps_pixie_free(p);
    return ns;
}

/* ------------------------------ Live edges -------------------------------- */

typedef struct live {
    ps_epoch *epoch;
    ps_overlay *overlay;
    ps_graph view;
} live;

/* An overlay of n random saves, 1000 a version. */
static live live_on(const ps_graph *g, uint64_t n)
{
    enum { GROUP = 1000 };
    live l;
    uint64_t rng = 12, version = 0;
    if (ps_epoch_new(&l.epoch, 0) || ps_overlay_new(&l.overlay, g, l.epoch))
        abort();
    double begin = now();
    for (uint64_t i = 0; i < n;) {
        ps_overlay_begin(l.overlay, ++version);
        for (int k = 0; k < GROUP; k++) {
            uint32_t pin = (uint32_t)ps_rng_below(&rng, g->pin_boards.rows);
            uint32_t board = (uint32_t)ps_rng_below(&rng, g->board_pins.rows);
            i += ps_overlay_save(l.overlay, pin, board) == PS_OK;
        }
        ps_overlay_commit(l.overlay);
        ps_epoch_publish(l.epoch, version);
        ps_epoch_reclaim(l.epoch);
    }
    l.view = ps_graph_view(g, l.overlay, version);
    if (n)
        printf("%llu live edges: %.0f ns a save, %.0f bytes each\n",
               (unsigned long long)n, (now() - begin) * 1e9 / (double)n,
               (double)ps_overlay_count(l.overlay).bytes / (double)n);
    return l;
}

static void live_off(live *l)
{
    ps_overlay_free(l->overlay);
    ps_epoch_free(l->epoch);
}

/* ------------------------------ The table --------------------------------- */

typedef struct line {
    const char *what;
    double (*measure)(const ps_graph *g);
    const ps_graph *graph;
    double ns; /* best of the turns */
} line;

static void table(const ps_graph *g, const ps_graph *empty, const ps_graph *tenth)
{
    line lines[] = {
        {"bound: two independent reads an edge", reads, g, 1e9},
        {"walk in lanes, 32 hops", walk_lanes, g, 1e9},
        {"  live, nothing changed", walk_lanes, empty, 1e9},
        {"  live, a tenth of the edges more", walk_lanes, tenth, 1e9},
        {"neighbours 25 x 16 hops, counted, T 20", walk_far, g, 1e9},
        {"neighbours 200 x 2 hops, counted, T 20", walk_200, g, 1e9},
        {"  live, nothing changed", walk_200, empty, 1e9},
        {"  live, a tenth of the edges more", walk_200, tenth, 1e9},
        {"pixie 20000 hops, counted, best 100", pixie, g, 1e9},
        {"  live, nothing changed", pixie, empty, 1e9},
        {"  live, a tenth of the edges more", pixie, tenth, 1e9},
        {"walk one at a time", walk_plain, g, 1e9},
    };
    const size_t n = sizeof lines / sizeof *lines;
    for (int turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < n; i++) {
            double ns = lines[i].measure(lines[i].graph) * (i == 0 ? 2 : 1);
            lines[i].ns = ns < lines[i].ns ? ns : lines[i].ns;
        }
    printf("%-42s %8s %12s %8s\n", "", "ns/edge", "edges/s", "share");
    for (size_t i = 0; i < n; i++)
        printf("%-42s %8.1f %12.0f %8.2f\n", lines[i].what, lines[i].ns,
               1e9 / lines[i].ns, lines[0].ns / lines[i].ns);
}

static uint32_t thousands(int argc, char **argv, int i, uint32_t def)
{
    return 1000 * (argc > i ? (uint32_t)strtoul(argv[i], NULL, 10) : def);
}

int main(int argc, char **argv)
{
    size s = {thousands(argc, argv, 1, 2000), thousands(argc, argv, 2, 500),
              thousands(argc, argv, 3, 40000), true};
    for (int i = 0; i < 2; i++, s.huge = !s.huge) {
        ps_graph g = make(s);
        printf("%s%u pins, %u boards, %llu edges: %llu MiB of offsets, %llu MiB of "
               "indices; %s pages\n",
               i ? "\n" : "", s.pins, s.boards, (unsigned long long)g.pin_boards.edges,
               (unsigned long long)(s.pins + s.boards) * 8 >> 20,
               (unsigned long long)g.pin_boards.edges * 8 >> 20,
               s.huge ? "2 MiB" : "4 KiB");
        live empty = live_on(&g, 0), tenth = live_on(&g, g.pin_boards.edges / 10);
        table(&g, &empty.view, &tenth.view);
        live_off(&empty);
        live_off(&tenth);
        drop(&g, s);
    }
    return sink == 1;
}
