/* bench_overlay.c - what a live save costs, as a board grows: its row in the graph hardly
 * matters, its own live changes little until there are hundreds of thousands.
 *
 * A board of a hundred or of a million pins gets live saves, each in a version of its
 * own, as if readers were about; the same board then loses some, and random entries of it
 * are looked up. A figure is the mean of one run; beside it stands how many times the
 * first line's it is.
 *
 * Threads: one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pinsage/overlay.h"
#include "pinsage/rng.h"

#define LARGE   1000000
#define UNSAVES 2000
#define PICKS   1000000

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* One board, of n pins with even rows; odd ones are free. */
static ps_graph board_of(uint32_t n)
{
    ps_graph g;
    uint32_t(*pair)[2] = calloc(n, sizeof *pair);
    for (uint32_t i = 0; pair && i < n; i++)
        pair[i][0] = 2 * i;
    if (!pair || ps_graph_from_pairs(&g, 2 * n, 1, (const uint32_t(*)[2])pair, n))
        abort();
    free(pair);
    return g;
}

typedef struct live {
    const ps_graph *g;
    ps_epoch *epoch;
    ps_overlay *overlay;
    uint64_t version, rng;
} live;

static void change(live *l, uint32_t pin, int (*how)(ps_overlay *, uint32_t, uint32_t))
{
    ps_overlay_begin(l->overlay, ++l->version);
    if (how(l->overlay, pin, 0))
        abort();
    ps_overlay_commit(l->overlay);
    ps_epoch_publish(l->epoch, l->version);
    ps_epoch_reclaim(l->epoch);
}

static uint32_t any_pin(live *l)
{
    ps_graph view = ps_graph_view(l->g, l->overlay, l->version);
    uint32_t degree = ps_graph_degree(&view, PS_BOARDS, 0);
    return ps_graph_edge(&view, PS_BOARDS, 0, (uint32_t)ps_rng_below(&l->rng, degree));
}

/* The i-th of n saves: a live pin, or a pin of the graph that the board had not. */
static uint32_t pin_of(const live *l, uint32_t i, uint32_t n, int is_new)
{
    uint32_t pins = l->g->pin_boards.rows;
    if (is_new)
        return pins + i;
    uint32_t k = (uint32_t)((uint64_t)i * 7919 % n); /* 7919 is prime to n */
    return (uint32_t)((uint64_t)k * (pins / 2) / n) * 2 + 1;
}

static void measure(const char *what, const ps_graph *g, uint32_t saves, int is_new,
                    double first[3])
{
    live l = {.g = g, .rng = 3};
    uint64_t sum = 0;
    double ns[3];
    if (ps_epoch_new(&l.epoch, 0) || ps_overlay_new(&l.overlay, g, l.epoch))
        abort();
    double begin = now();
    for (uint32_t i = 0; i < saves; i++)
        change(&l, pin_of(&l, i, saves, is_new), ps_overlay_save);
    ns[0] = (now() - begin) / saves;
    begin = now();
    for (uint32_t i = 0; i < UNSAVES; i++)
        change(&l, any_pin(&l), ps_overlay_unsave);
    ns[1] = (now() - begin) / UNSAVES;
    begin = now();
    for (uint32_t i = 0; i < PICKS; i++)
        sum += any_pin(&l);
    ns[2] = (now() - begin) / PICKS + (sum == 1);
    printf("%-44s", what);
    for (int i = 0; i < 3; i++) {
        first[i] = first[i] > 0 ? first[i] : ns[i];
        printf(" %7.0f %5.1f", ns[i], ns[i] / first[i]);
    }
    printf(" %7.1f\n", (double)ps_overlay_count(l.overlay).bytes / 1e6);
    ps_overlay_free(l.overlay);
    ps_epoch_free(l.epoch);
}

int main(void)
{
    ps_graph small = board_of(100), large = board_of(LARGE);
    double first[3] = {0};
    printf("%-44s %13s %13s %13s %7s\n", "", "ns a save", "ns an unsave", "ns a look-up",
           "MB");
    measure("board of 100, 10000 new pins", &small, 10000, 1, first);
    measure("board of 1000000, 10000 new pins", &large, 10000, 1, first);
    measure("board of 1000000, 10000 of the graph's", &large, 10000, 0, first);
    measure("board of 1000000, 100000 new pins", &large, 100000, 1, first);
    measure("board of 1000000, 100000 of the graph's", &large, 100000, 0, first);
    measure("board of 100, 1000000 new pins", &small, 1000000, 1, first);
    ps_graph_free(&small);
    ps_graph_free(&large);
}
