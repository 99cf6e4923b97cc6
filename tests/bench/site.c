/* site.c - see site.h.
 *
 * Threads: servers are processes.
 */
#include "tests/bench/site.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinsage/ann.h"
#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "server/base/listen.h"
#include "server/cli/steps.h"
#include "server/engine/engine.h"

enum { PINS = 50000, DIM = 128, PATH = 200 };

static char folder[PATH];
static const char *name;
ps_why site_why;

void site_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s %s\n", name, what, site_why.where, site_why.text);
    exit(1);
}

const char *site_below(const char *file)
{
    static char path[8][PATH + 64];
    static unsigned turn;
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", folder, file);
    return out;
}

/* ------------------------------ A catalog ---------------------------------- */

static void write_text(void)
{
    uint64_t rng = 1;
    FILE *pins = fopen(site_below("pins.tsv"), "w"),
         *edges = fopen(site_below("edges.tsv"), "w");
    if (!pins || !edges)
        site_die("cannot write");
    fputs("pin\ttitle\timage\n", pins);
    fputs("pin\tboard\n", edges);
    for (int i = 0; i < PINS; i++) {
        fprintf(pins, "pin-%d\tA picture of number %d, as people name them\t", i, i);
        fprintf(pins, "folder/picture-%d.jpg\n", i);
        for (int e = 0; e < 8; e++)
            fprintf(edges, "pin-%d\tboard-%d\n", i, (int)ps_rng_below(&rng, PINS / 8));
    }
    fclose(pins);
    fclose(edges);
}

/* Around 200 centres, brought to length 1 as learned embeddings are. */
static void write_vectors(void)
{
    ps_npy a;
    void *data;
    static float centre[200][DIM];
    uint64_t rng = 2;
    site_must(ps_npy_create(&a, &data, site_below("e.npy"), PS_F32, PINS, DIM, &site_why),
              "vectors");
    for (size_t i = 0; i < 200 * DIM; i++)
        centre[i / DIM][i % DIM] = ps_rng_unit(&rng) - .5f;
    for (size_t i = 0; i < PINS; i++) {
        float *row = (float *)data + i * DIM, squares = 0;
        const float *c = centre[ps_rng_below(&rng, 200)];
        for (size_t j = 0; j < DIM; j++) {
            row[j] = c[j] + .5f * (ps_rng_unit(&rng) - .5f);
            squares += row[j] * row[j];
        }
        for (size_t j = 0; j < DIM; j++)
            row[j] /= __builtin_sqrtf(squares);
    }
    site_must(ps_map_sync(&a.map, site_below("e.npy"), &site_why), "vectors");
    ps_npy_close(&a);
}

static const char *make_catalog(void)
{
    write_text();
    write_vectors();
    const char *catalog = strdup(site_below("catalog"));
    ps_import_opts in = {.pins = site_below("pins.tsv"),
                         .edges = site_below("edges.tsv"),
                         .embeddings = site_below("e.npy"),
                         .keep = 1};
    ps_ann_build_opts build = ps_cli_index_defaults();
    ps_ann_report report;
    site_must(ps_import(catalog, &in, NULL, NULL, &site_why), "import");
    site_must(ps_ann_build(catalog, &build, &report, NULL, &site_why), "index");
    printf("%d pins, %d dimensions, %s %s: recall@10 %.3f, %.0f us a search\n", PINS, DIM,
           report.factory, report.knob, report.recall_at_10, report.search_us);
    fflush(stdout);
    return catalog;
}

const char *site_open(const char *bench, const char *catalog)
{
    name = bench;
    snprintf(folder, sizeof folder, "build/%s.XXXXXX", bench);
    if (!mkdtemp(folder))
        site_die("cannot make a folder");
    return catalog ? catalog : make_catalog();
}

void site_close(void)
{
    ps_dir_remove(folder, &site_why);
}

/* ------------------------------ Processes ---------------------------------- */

void site_pin_to(unsigned core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set); /* one core only: they share it */
}

unsigned site_free_port(void)
{
    int fd;
    char told[PS_ADDRESS_MAX];
    site_must(ps_listen(&fd, 1, "127.0.0.1:0", told, &site_why), "listen");
    close(fd);
    return (unsigned)strtoul(strrchr(told, ':') + 1, NULL, 10);
}

ps_serve_opts site_opts(const char *catalog, unsigned port)
{
    static char address[8][40];
    static unsigned turn;
    ps_serve_opts o = ps_cli_serve_defaults();
    char *text = address[turn++ % 8];
    snprintf(text, sizeof address[0], "127.0.0.1:%u", port);
    o.catalog = catalog;
    o.listen = text;
    o.loops = o.workers = 1;
    o.auth.read_only = true; /* several on one catalog */
    o.log_level = "error";
    return o;
}

pid_t site_serve(const ps_serve_opts *opts, int core)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (core >= 0)
        site_pin_to((unsigned)core);
    site_must(ps_serve(opts, &site_why), "serve");
    exit(0);
}

void site_stop(pid_t pid)
{
    kill(pid, SIGINT);
    waitpid(pid, NULL, 0);
}

/* ------------------------------ Asking ------------------------------------- */

/* Output of a command, in a buffer that the next call reuses. */
const char *site_output(const char *command)
{
    static char text[65536];
    FILE *f = popen(command, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        pclose(f);
    return text;
}

void site_wait_until_ready(unsigned port)
{
    char command[200];
    snprintf(command, sizeof command,
             "curl -s -o /dev/null -w %%{http_code} http://127.0.0.1:%u/readyz", port);
    for (int i = 0; i < 600; i++) {
        if (strcmp(site_output(command), "200") == 0)
            return;
        usleep(50000);
    }
    site_die("a server does not get ready");
}

/* The script that asks for the listed pins, one after the other. */
void site_write_script(const char *path, char (*ids)[64], uint32_t n, const char *query)
{
    FILE *f = fopen(path, "w");
    if (!f)
        site_die("cannot write the script");
    fputs("local list, at = {}, 0\nfunction init(args)\n", f);
    fputs("  for _, id in ipairs({", f);
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "\"%s\",", ids[i]);
    fprintf(f,
            "}) do list[#list + 1] = wrk.format(\"GET\", \"/related/\" .. id .. \"%s\") "
            "end\nend\n"
            "function request()\n  at = at %% #list + 1\n  return list[at]\nend\n",
            query);
    fclose(f);
}

site_corpus site_scatter(const char *catalog)
{
    ps_engine *e;
    ps_reader *r;
    site_must(ps_engine_open(&e, catalog, NULL, NULL, &site_why), "open");
    site_must(ps_reader_new(&r, e), "open");
    uint32_t pins = ps_engine_generation(e)->n_pins;
    site_corpus c = {catalog, NULL, NULL, pins < PINS ? pins : PINS};
    c.rows = malloc(c.n * sizeof *c.rows);
    c.ids = malloc(c.n * sizeof *c.ids);
    uint64_t rng = 3;
    for (uint32_t i = 0; i < c.n; i++) {
        ps_pin pin;
        c.rows[i] = (uint32_t)ps_rng_below(&rng, pins);
        site_must(ps_reader_pin(r, c.rows[i], &pin), "pin");
        snprintf(c.ids[i], sizeof c.ids[i], "%.*s", (int)pin.id.len, pin.id.data);
    }
    ps_reader_free(r);
    ps_engine_release(e);
    return c;
}
