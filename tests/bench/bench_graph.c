/* bench_graph.c - building the two matrices from edges in random order.
 *
 * The builder reads and writes scratch files; shown beside it is how long writing and
 * syncing as many bytes takes as its four arrays have. Memory includes file pages that
 * are mapped, so it is told before the check. Needs 24 bytes an edge in $TMPDIR, else
 * /tmp.
 *
 *     bench_graph [edges [pins [boards]]]     in thousands; default 10000 1000 200
 *
 * Threads: one and all cores.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "pinsage/graph.h"
#include "pinsage/rng.h"
#include "pinsage/workers.h"

/* Of all threads: tells the work where the machine is shared. */
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int err, const ps_why *why)
{
    char text[600];
    if (!err)
        return;
    ps_why_format(why, err, text, sizeof text);
    fprintf(stderr, "bench_graph: %s\n", text);
    exit(1);
}

static uint32_t thousands(int argc, char **argv, int i, uint32_t def)
{
    return 1000 * (argc > i ? (uint32_t)strtoul(argv[i], NULL, 10) : def);
}

typedef struct input {
    uint64_t edges;
    uint32_t pins, boards;
} input;

/* Seconds to add and to finish. */
static void build(const char *dir, input in, unsigned threads)
{
    ps_graph_builder *b;
    ps_graph_stats stats;
    ps_workers *workers;
    ps_why why = {0};
    uint64_t rng = 1;
    must(ps_workers_new(&workers, threads), &why);
    double begin = ps_now(), used = cpu();
    must(ps_graph_builder_new(&b, dir, &why), &why);
    for (uint64_t i = 0; i < in.edges; i++)
        must(ps_graph_builder_add(b, (uint32_t)ps_rng_below(&rng, in.pins),
                                  (uint32_t)ps_rng_below(&rng, in.boards)),
             &why);
    double added = ps_now();
    must(ps_graph_builder_finish(b, in.pins, in.boards, workers, NULL, &stats, &why),
         &why);
    double end = ps_now();
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("%u threads  add %6.2f s  finish %6.2f s  %9.0f edges/s  processor %6.2f s  "
           "memory %ld MiB\n",
           ps_workers_count(workers), added - begin, end - added,
           (double)in.edges / (end - begin), cpu() - used, r.ru_maxrss >> 10);
    ps_workers_free(workers);
}

static void check(const char *dir)
{
    ps_graph g;
    ps_why why = {0};
    must(ps_graph_open(&g, dir, &why), &why);
    double begin = ps_now(), used = cpu();
    must(ps_graph_check(&g, &why), &why);
    printf("check      %6.2f s  processor %6.2f s\n", ps_now() - begin, cpu() - used);
    ps_graph_close(&g);
}

static void write_only(const char *dir, input in)
{
    static uint64_t block[1 << 17];
    char path[PS_PATH_MAX];
    ps_out *o;
    ps_why why = {0};
    uint64_t size = 8 * in.edges + 8 * ((uint64_t)in.pins + in.boards);
    must(ps_path_join(path, sizeof path, dir, "plain"), &why);
    double begin = ps_now();
    must(ps_out_open(&o, path, &why), &why);
    for (uint64_t at = 0; at < size; at += sizeof block)
        ps_out_write(o, block, sizeof block);
    must(ps_out_close(o, NULL, &why), &why);
    printf("writing %llu MiB and syncing: %.2f s\n", (unsigned long long)size >> 20,
           ps_now() - begin);
}

int main(int argc, char **argv)
{
    char dir[64];
    const char *tmp = getenv("TMPDIR");
    input in = {thousands(argc, argv, 1, 10000), thousands(argc, argv, 2, 1000),
                thousands(argc, argv, 3, 200)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(dir, sizeof dir, "%.40s/bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    printf("%llu edges, %u pins, %u boards\n", (unsigned long long)in.edges, in.pins,
           in.boards);
    write_only(dir, in);
    build(dir, in, 1);
    build(dir, in, 0);
    check(dir);
    ps_dir_remove(dir, NULL);
    return 0;
}
