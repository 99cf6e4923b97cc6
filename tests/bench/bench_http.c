/* bench_http.c - /related against a server that always says the same, and against the
 * index alone.
 *
 *     bench_http [CATALOG]        its own catalog of 50000 pins by default
 *
 * The constant server runs on the same loop (server/loop.c) with the same library and
 * options; its one answer has the bytes of a real one. Every server gets one loop on
 * the first core, wrk one thread on the second, and all take turns in short rounds.
 * Rates are told by the clock and by the second of processor time that the server used;
 * on a machine that does nothing else the two are alike, on a busy one the latter says
 * what the code costs. Ratios are of processor time, medians over rounds.
 * The hot set is HOT pins, asked round-robin; "uniform" asks all of them in a scattered
 * order of a server without a cache, beside a loop that searches and does nothing else.
 *
 * Threads: servers are processes.
 */
#include <fcntl.h>
#include <microhttpd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pinsage/ann.h"
#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "server/engine.h"
#include "server/listen.h"
#include "server/loop.h"
#include "server/serve.h"

enum { PINS = 50000, DIM = 128, HOT = 1000, ROUNDS = 3, PATH = 200 };

static char folder[PATH] = "build/bench_http.XXXXXX";
static ps_why why;

static void die(const char *what)
{
    fprintf(stderr, "bench_http: %s: %s %s\n", what, why.where, why.text);
    exit(1);
}

#define must(err, what) ((err) ? die(what) : (void)0)

static const char *below(const char *name)
{
    static char path[8][PATH + 64];
    static unsigned turn;
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* ------------------------------ A catalog ---------------------------------- */

static void write_text(void)
{
    uint64_t rng = 1;
    FILE *pins = fopen(below("pins.tsv"), "w"), *edges = fopen(below("edges.tsv"), "w");
    if (!pins || !edges)
        die("cannot write");
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
    must(ps_npy_create(&a, &data, below("e.npy"), PS_F32, PINS, DIM, &why), "vectors");
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
    must(ps_map_sync(&a.map, below("e.npy"), &why), "vectors");
    ps_npy_close(&a);
}

static const char *make_catalog(void)
{
    if (!mkdtemp(folder))
        die("cannot make a folder");
    write_text();
    write_vectors();
    const char *catalog = strdup(below("catalog"));
    ps_import_opts in = {.pins = below("pins.tsv"),
                         .edges = below("edges.tsv"),
                         .embeddings = below("e.npy"),
                         .keep = 1};
    ps_ann_build_opts build = PS_ANN_BUILD_DEFAULTS;
    ps_ann_report report;
    must(ps_import(catalog, &in, NULL, NULL, &why), "import");
    must(ps_ann_build(catalog, &build, &report, NULL, &why), "index");
    printf("%d pins, %d dimensions, %s %s: recall@10 %.3f, %.0f us a search\n", PINS, DIM,
           report.factory, report.knob, report.recall_at_10, report.search_us);
    fflush(stdout);
    return catalog;
}

/* ------------------------------ Processes ---------------------------------- */

static void pin_to(unsigned core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set); /* one core only: they share it */
}

static unsigned free_port(void)
{
    int fd;
    char told[PS_ADDRESS_MAX];
    must(ps_listen(&fd, 1, "127.0.0.1:0", told, &why), "listen");
    close(fd);
    return (unsigned)strtoul(strrchr(told, ':') + 1, NULL, 10);
}

static pid_t serve(const char *catalog, unsigned port, uint64_t cache_bytes)
{
    char address[40];
    pid_t pid = fork();
    if (pid)
        return pid;
    pin_to(0);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    ps_serve_opts o = PS_SERVE_DEFAULTS;
    o.catalog = catalog;
    o.listen = address;
    o.loops = 1;
    o.cache_bytes = cache_bytes;
    o.log_level = "error";
    must(ps_serve(&o, &why), "serve");
    exit(0);
}

typedef struct constant {
    struct MHD_Daemon *daemon;
    struct MHD_Response *response;
} constant;

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *data, size_t *size, void **slot)
{
    (void)url, (void)method, (void)version, (void)data;
    constant *k = cls;
    if (!*slot) {
        *slot = k;
        return MHD_YES;
    }
    *size = 0;
    return MHD_queue_response(c, 200, k->response);
}

static void run(void *cls)
{
    MHD_run(((constant *)cls)->daemon);
}

static int64_t timeout(void *cls, unsigned turns)
{
    (void)turns;
    constant *k = cls;
    MHD_UNSIGNED_LONG_LONG ms;
    return MHD_get_timeout(k->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

static pid_t serve_constant(unsigned port, void *body, size_t size)
{
    int fd;
    char address[40], told[PS_ADDRESS_MAX];
    pid_t pid = fork();
    if (pid)
        return pid;
    pin_to(0);
    signal(SIGPIPE, SIG_IGN);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    must(ps_listen(&fd, 1, address, told, &why), "listen");
    constant k = {0};
    k.response = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(k.response, "Content-Type", "application/json");
    MHD_add_response_header(k.response, "X-Content-Type-Options", "nosniff");
    k.daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, &k, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 8192u,
        MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
    ps_loop *loop;
    ps_pump pump = {.fd =
                        MHD_get_daemon_info(k.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                    .run = run,
                    .timeout = timeout,
                    .cls = &k};
    must(ps_loop_start(&loop, pump, &why), "loop");
    for (;;)
        pause();
}

static void stop(pid_t pid)
{
    kill(pid, SIGINT);
    waitpid(pid, NULL, 0);
}

/* ------------------------------ Asking ------------------------------------- */

/* Output of a command, in a buffer that the next call reuses. */
static const char *output(const char *command)
{
    static char text[65536];
    FILE *f = popen(command, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        pclose(f);
    return text;
}

static void wait_until_ready(unsigned port)
{
    char command[200];
    snprintf(command, sizeof command,
             "curl -s -o /dev/null -w %%{http_code} http://127.0.0.1:%u/readyz", port);
    for (int i = 0; i < 600; i++) {
        if (strcmp(output(command), "200") == 0)
            return;
        usleep(50000);
    }
    die("a server does not get ready");
}

/* The script that asks for the listed pins, one after the other. */
static void write_script(const char *path, char (*ids)[64], uint32_t n)
{
    FILE *f = fopen(path, "w");
    if (!f)
        die("cannot write the script");
    fputs("local list, at = {}, 0\nfunction init(args)\n", f);
    fputs("  for _, id in ipairs({", f);
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "\"%s\",", ids[i]);
    fputs("}) do list[#list + 1] = wrk.format(\"GET\", \"/related/\" .. id) end\nend\n"
          "function request()\n  at = at % #list + 1\n  return list[at]\nend\n",
          f);
    fclose(f);
}

/* Requests by the second of the clock, and of the server's processor time. */
typedef struct rate {
    double wall, cpu;
} rate;

static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024] = "";
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    char *at = f && fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
    if (f)
        fclose(f);
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                      &user, &system) != 2)
        die("no processor time");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static rate ask(pid_t pid, unsigned port, unsigned connections, const char *script)
{
    char command[400];
    unsigned long long done = 0;
    double before = cpu_seconds(pid);
    snprintf(command, sizeof command,
             "taskset -c %d wrk -t1 -c%u -d1s -s %s http://127.0.0.1:%u/",
             sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0, connections, script, port);
    const char *text = output(command), *wall = strstr(text, "Requests/sec:");
    const char *total = strstr(text, " requests in ");
    if (strstr(text, "Non-2xx") || strstr(text, "Socket errors"))
        fprintf(stderr, "%s", text);
    while (total && total > text && total[-1] != ' ' && total[-1] != '\n')
        total--;
    if (!wall || !total || sscanf(total, "%llu", &done) != 1)
        die("wrk gave no figures");
    return (rate){strtod(wall + 13, NULL), (double)done / (cpu_seconds(pid) - before)};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x)
{
    qsort(x, ROUNDS, sizeof *x, compare);
    return x[ROUNDS / 2];
}

/* ------------------------------ The index alone ---------------------------- */

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Searches for the listed rows, on the core where the servers run. */
static void search_all(const char *catalog, const uint32_t *rows, uint32_t n, rate *out)
{
    ps_generation *g;
    ps_ann *a;
    ps_scored best[21];
    uint32_t found, i = 0;
    must(ps_generation_open(&g, catalog, &why), "open");
    must(ps_ann_open(&a, g, &why), "index");
    const ps_block *block = ps_generation_block(g, ps_ann_vectors(a));
    const ps_npy *array = block ? &block->array : &g->embeddings;
    float *query = malloc(array->cols * sizeof *query);
    double wall = clock_seconds(CLOCK_MONOTONIC);
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID), end = wall + 1;
    for (; clock_seconds(CLOCK_MONOTONIC) < end; i++) {
        ps_npy_row_f32(array, rows[i % n], query);
        must(ps_ann_search(a, query, 21, NULL, NULL, best, &found, &why), "search");
    }
    *out = (rate){i / (clock_seconds(CLOCK_MONOTONIC) - wall),
                  i / (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu)};
    free(query);
    ps_ann_close(a);
    ps_generation_release(g);
}

static rate search_rate(const char *catalog, const uint32_t *rows, uint32_t n)
{
    int ends[2];
    rate out;
    if (pipe(ends))
        die("pipe");
    if (!fork()) {
        pin_to(0);
        search_all(catalog, rows, n, &out);
        _exit(write(ends[1], &out, sizeof out) != sizeof out);
    }
    close(ends[1]);
    if (read(ends[0], &out, sizeof out) != sizeof out)
        die("the search failed");
    close(ends[0]);
    wait(NULL);
    return out;
}

/* ------------------------------ The tables --------------------------------- */

typedef struct corpus {
    const char *catalog;
    uint32_t *rows; /* (n) scattered */
    char (*ids)[64];
    uint32_t n;
} corpus;

static corpus scatter(const char *catalog)
{
    ps_engine *e;
    ps_reader *r;
    must(ps_engine_open(&e, catalog, NULL, NULL, &why), "open");
    must(ps_reader_new(&r, e), "open");
    uint32_t pins = ps_engine_generation(e)->n_pins;
    corpus c = {catalog, NULL, NULL, pins < PINS ? pins : PINS};
    c.rows = malloc(c.n * sizeof *c.rows);
    c.ids = malloc(c.n * sizeof *c.ids);
    uint64_t rng = 3;
    for (uint32_t i = 0; i < c.n; i++) {
        ps_pin pin;
        c.rows[i] = (uint32_t)ps_rng_below(&rng, pins);
        must(ps_reader_pin(r, c.rows[i], &pin), "pin");
        snprintf(c.ids[i], sizeof c.ids[i], "%.*s", (int)pin.id.len, pin.id.data);
    }
    ps_reader_free(r);
    ps_engine_release(e);
    return c;
}

/* What two servers did, round by round. */
typedef struct rates {
    double wall[2][ROUNDS], cpu[2][ROUNDS], ratio[ROUNDS];
} rates;

static void add_round(rates *r, int round, rate base, rate ours)
{
    r->wall[0][round] = base.wall;
    r->wall[1][round] = ours.wall;
    r->cpu[0][round] = base.cpu;
    r->cpu[1][round] = ours.cpu;
    r->ratio[round] = ours.cpu / base.cpu;
}

static void print_head(const char *base)
{
    printf("%11s | %10s %10s | %10s %10s | %6s\n", "", base, "/related", base, "/related",
           "ratio");
    printf("%11s | %21s | %21s |\n", "connections", "by the clock, 1/s",
           "by processor time, 1/s");
}

static void print_rates(unsigned connections, rates *r)
{
    printf("%11u | %10.0f %10.0f | %10.0f %10.0f | %6.2f\n", connections,
           median(r->wall[0]), median(r->wall[1]), median(r->cpu[0]), median(r->cpu[1]),
           median(r->ratio));
    fflush(stdout);
}

static void compare_hot(const corpus *c, pid_t server, unsigned port)
{
    char command[400];
    const char *script = strdup(below("hot.lua"));
    write_script(script, c->ids, c->n < HOT ? c->n : HOT);
    snprintf(command, sizeof command, "curl -s 127.0.0.1:%u/related/%s", port, *c->ids);
    char *body = strdup(output(command));
    unsigned other = free_port();
    pid_t pid = serve_constant(other, body, strlen(body));
    wait_until_ready(other);       /* it says 200 to everything */
    ask(server, port, 32, script); /* the hot set gets hot */
    printf("\nThe hot set beside one constant answer of %zu bytes\n", strlen(body));
    print_head("constant");
    static const unsigned connections[] = {1, 32, 128, 256};
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        rates r;
        for (int round = 0; round < ROUNDS; round++)
            add_round(&r, round, ask(pid, other, connections[i], script),
                      ask(server, port, connections[i], script));
        print_rates(connections[i], &r);
    }
    stop(pid);
    free(body);
}

static void compare_uniform(const corpus *c, pid_t server, unsigned port)
{
    const char *script = strdup(below("all.lua"));
    rates r;
    write_script(script, c->ids, c->n);
    for (int round = 0; round < ROUNDS; round++)
        add_round(&r, round, search_rate(c->catalog, c->rows, c->n),
                  ask(server, port, 32, script));
    printf("\nEvery pin, no cache, beside the index searched for 21 by a loop\n");
    print_head("index");
    print_rates(32, &r);
}

int main(int argc, char **argv)
{
    if (system("wrk -v >/dev/null 2>&1; test $? -le 1")) {
        puts("bench_http: wrk is not installed");
        return 0;
    }
    const char *catalog = argc > 1 ? argv[1] : NULL;
    if (!catalog)
        catalog = make_catalog();
    else if (!mkdtemp(folder))
        die("cannot make a folder");
    corpus c = scatter(catalog);
    unsigned cached = free_port(), plain = free_port();
    pid_t one = serve(catalog, cached, 64 << 20), two = serve(catalog, plain, 0);
    wait_until_ready(cached);
    wait_until_ready(plain);
    compare_hot(&c, one, cached);
    compare_uniform(&c, two, plain);
    stop(one);
    stop(two);
    ps_dir_remove(folder, &why);
    return 0;
}
