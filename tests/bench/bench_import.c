/* bench_import.c - import of a made-up corpus: time by stage, rate, memory.
 *
 *     bench_import [PINS BOARDS EDGES [DIR]]      default 200000 50000 2000000 /tmp
 *
 * Pins have ids without order and some words of text; a few of them stand in most
 * edges, as in real corpora. Both files are gzip. The bound is the same files merely
 * unpacked and cut into fields; it is compared in processor time, since an import uses
 * two threads and other programs use the machine too.
 *
 * Memory is the peak of a child that does nothing but the import. It counts pages of
 * mapped files too, which the system takes back when it needs them; the second figure
 * is what malloc held.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "core/data/tsv.h"
#include "pinsage/clock.h"
#include "pinsage/file.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_import: %s\n", what);
    exit(1);
}

/* ------------------------------ The corpus -------------------------------- */

static char pins[PS_PATH_MAX], edges[PS_PATH_MAX], catalog[PS_PATH_MAX];

/* A pin's id: letters and digits without order, eleven of them. */
static const char *id_of(uint64_t pin, char id[12])
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    uint64_t mixed = ps_mix64(pin + 1);
    for (int i = 0; i < 11; i++, mixed >>= 6)
        id[i] = letters[mixed & 63];
    id[11] = '\0';
    return id;
}

static void write_pins(uint64_t n)
{
    static const char *const words[] = {"red",    "garden", "house", "old",  "wooden",
                                        "winter", "dress",  "table", "easy", "recipe"};
    uint64_t rng = ps_rng_at(1, 1);
    char id[12];
    gzFile f = gzopen(pins, "wb1");
    need(f != NULL, pins);
    gzputs(f, "pin\ttitle\ttext\n");
    for (uint64_t i = 0; i < n; i++) {
        gzprintf(f, "%s\t", id_of(i, id));
        for (int w = 0; w < 14; w++)
            gzprintf(f, "%s%s", words[ps_rng_below(&rng, 10)],
                     w == 13  ? "\n"
                     : w == 3 ? "\t"
                              : " ");
    }
    need(gzclose(f) == Z_OK, pins);
}

static void write_edges(uint64_t n_pins, uint64_t n_boards, uint64_t n)
{
    uint64_t rng = ps_rng_at(1, 2);
    char id[12];
    gzFile f = gzopen(edges, "wb1");
    need(f != NULL, edges);
    gzputs(f, "pin\tboard\n");
    for (uint64_t i = 0; i < n; i++) {
        float u = ps_rng_unit(&rng);
        uint64_t pin = (uint64_t)((float)n_pins * u * u * u * 0.999999f);
        gzprintf(f, "%s\tboard %" PRIu64 "\n", id_of(pin, id),
                 ps_rng_below(&rng, n_boards));
    }
    need(gzclose(f) == Z_OK, edges);
}

/* ------------------------------ Measuring --------------------------------- */

/* Seconds of the processor for reading a file line by line. */
static double read_through(const char *path)
{
    ps_tsv *t;
    const ps_text *field;
    int got;
    double start = cpu();
    need(ps_tsv_open(&t, path, 0, NULL) == PS_OK, path);
    while ((got = ps_tsv_next(t, &field, NULL)) > 0)
        ;
    need(got == 0, path);
    ps_tsv_close(t);
    return cpu() - start;
}

typedef struct lap {
    double wall, cpu; /* when the last stage ended */
} lap;

static void end_stage(lap *l, const char *stage)
{
    printf("  %-24s %7.2f s %7.2f s of processors\n", stage, ps_now() - l->wall,
           cpu() - l->cpu);
    fflush(stdout);
    *l = (lap){ps_now(), cpu()};
}

/* Prints a line as each stage ends. */
static int on_stage(void *cls, const char *stage, uint64_t done, uint64_t total,
                    const char *unit, const char *note)
{
    (void)unit, (void)note;
    if (done == total)
        end_stage(cls, stage);
    return PS_OK;
}

static long anonymous_peak(void)
{
    long kib = 0;
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static long most_anonymous;

static int on_progress(void *cls, const char *stage, uint64_t done, uint64_t total,
                       const char *unit, const char *note)
{
    static unsigned calls;
    if (calls++ % 16 == 0 || done == total) {
        long now_kib = anonymous_peak();
        most_anonymous = now_kib > most_anonymous ? now_kib : most_anonymous;
    }
    return on_stage(cls, stage, done, total, unit, note);
}

static void import(double bound)
{
    ps_import_report r;
    ps_why why = {0};
    double start = ps_now(), first = cpu();
    lap last = {start, first};
    ps_import_opts o = {.pins = pins, .edges = edges};
    struct rusage use;
    if (ps_import(catalog, &o, &r, &(ps_progress){on_progress, &last}, &why))
        need(0, why.text);
    double seconds = ps_now() - start, work = cpu() - first;
    getrusage(RUSAGE_SELF, &use);
    end_stage(&last, "commit");
    printf("import  %" PRIu32 " pins, %" PRIu32 " boards, %" PRIu64 " edges (%" PRIu64
           " duplicates)\n"
           "        %.2f s, %.2f M edges/s; %.2f s of processors, of which reading alone "
           "%.2f, share %.2f\n"
           "        peak %ld MiB with mapped files, %ld MiB without\n",
           r.pins, r.boards, r.edges, r.duplicates, seconds,
           (double)(r.edges + r.duplicates) / seconds / 1e6, work, bound, bound / work,
           use.ru_maxrss / 1024, most_anonymous / 1024);
}

int main(int argc, char **argv)
{
    uint64_t n[3] = {200000, 50000, 2000000};
    char dir[PS_PATH_MAX];
    for (int i = 1; i < argc && i < 4; i++)
        n[i - 1] = strtoull(argv[i], NULL, 10);
    snprintf(dir, sizeof dir, "%.3000s/bench_import-XXXXXX", argc > 4 ? argv[4] : "/tmp");
    need(mkdtemp(dir) != NULL, dir);
    snprintf(pins, sizeof pins, "%.4000s/pins.tsv.gz", dir);
    snprintf(edges, sizeof edges, "%.4000s/edges.tsv.gz", dir);
    snprintf(catalog, sizeof catalog, "%.4000s/catalog", dir);
    write_pins(n[0]);
    write_edges(n[0], n[1], n[2]);
    double bound = read_through(pins) + read_through(edges);
    pid_t child = fork();
    if (child == 0) {
        import(bound);
        return 0;
    }
    int status = 1;
    waitpid(child, &status, 0);
    ps_dir_remove(dir, NULL);
    return status != 0;
}
