/* bench_http.c - /related against a server that always says the same, and against the
 * index alone.
 *
 *     bench_http [CATALOG]        its own catalog of 50000 pins by default
 *
 * The constant server runs on the same loop (server/base/loop.c) with the same library
 * and options; its one answer has the bytes of a real one. Every server gets one loop on
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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pinsage/ann.h"
#include "pinsage/generation.h"
#include "server/base/listen.h"
#include "server/base/loop.h"
#include "tests/bench/site.h"

enum { HOT = 1000, ROUNDS = 3 };

/* ------------------------------ Processes ---------------------------------- */

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
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    site_pin_to(0);
    signal(SIGPIPE, SIG_IGN);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    site_must(ps_listen(&fd, 1, address, told, &site_why), "listen");
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
    site_must(ps_loop_start(&loop, pump, &site_why), "loop");
    for (;;)
        pause();
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
        site_die("no processor time");
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
    const char *text = site_output(command), *wall = strstr(text, "Requests/sec:");
    const char *total = strstr(text, " requests in ");
    if (strstr(text, "Non-2xx") || strstr(text, "Socket errors"))
        fprintf(stderr, "%s", text);
    while (total && total > text && total[-1] != ' ' && total[-1] != '\n')
        total--;
    if (!wall || !total || sscanf(total, "%llu", &done) != 1)
        site_die("wrk gave no figures");
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
    site_must(ps_generation_open(&g, catalog, &site_why), "open");
    site_must(ps_ann_open(&a, g, &site_why), "index");
    const ps_block *block = ps_generation_block(g, ps_ann_vectors(a));
    const ps_npy *array = block ? &block->array : &g->embeddings;
    float *query = malloc(array->cols * sizeof *query);
    double wall = clock_seconds(CLOCK_MONOTONIC);
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID), end = wall + 1;
    for (; clock_seconds(CLOCK_MONOTONIC) < end; i++) {
        ps_npy_row_f32(array, rows[i % n], query);
        site_must(ps_ann_search(a, &(ps_search){.vector = query, .k = 21}, best, &found,
                                &site_why),
                  "search");
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
        site_die("pipe");
    if (!fork()) {
        site_pin_to(0);
        search_all(catalog, rows, n, &out);
        _exit(write(ends[1], &out, sizeof out) != sizeof out);
    }
    close(ends[1]);
    if (read(ends[0], &out, sizeof out) != sizeof out)
        site_die("the search failed");
    close(ends[0]);
    wait(NULL);
    return out;
}

/* ------------------------------ The tables --------------------------------- */

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

static void compare_hot(const site_corpus *c, pid_t server, unsigned port)
{
    char command[400];
    const char *script = strdup(site_below("hot.lua"));
    site_write_script(script, c->ids, c->n < HOT ? c->n : HOT, "");
    snprintf(command, sizeof command, "curl -s 127.0.0.1:%u/related/%s", port, *c->ids);
    char *body = strdup(site_output(command));
    unsigned other = site_free_port();
    pid_t pid = serve_constant(other, body, strlen(body));
    site_wait_until_ready(other);  /* it says 200 to everything */
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
    site_stop(pid);
    free(body);
}

static void compare_uniform(const site_corpus *c, pid_t server, unsigned port)
{
    const char *script = strdup(site_below("all.lua"));
    rates r;
    site_write_script(script, c->ids, c->n, "");
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
    const char *catalog = site_open("bench_http", argc > 1 ? argv[1] : NULL);
    site_corpus c = site_scatter(catalog);
    unsigned cached = site_free_port(), plain = site_free_port();
    ps_serve_opts hot = site_opts(catalog, cached), cold = site_opts(catalog, plain);
    cold.cache_bytes = 0;
    pid_t one = site_serve(&hot, 0), two = site_serve(&cold, 0);
    site_wait_until_ready(cached);
    site_wait_until_ready(plain);
    compare_hot(&c, one, cached);
    compare_uniform(&c, two, plain);
    site_stop(one);
    site_stop(two);
    site_close();
    return 0;
}
