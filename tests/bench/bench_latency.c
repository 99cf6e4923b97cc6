/* bench_latency.c - how long answers take, asked at a steady rate.
 *
 *     bench_latency [CATALOG]     its own catalog of 50000 pins by default
 *
 * h2load starts each request at its time whether the one before was answered or not, so
 * that a server which stands still is not excused from what it missed. First half of what
 * the server can do at most is asked of it, then the same beside 2,000 connections that
 * say nothing, and while its generation is taken up anew again and again. Then walks fill
 * its queue of workers, and probes are asked the while, where everybody asks and on the
 * admin's address. The cache is off.
 *
 * Threads: servers are processes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/site.h"

enum { BUSY = 32, IDLE = 2000, SECONDS = 5, RELOADS = 10, LOG_MAX = 1 << 20 };

/* ------------------------------ Asking ------------------------------------- */

typedef struct times {
    double p50, p99, max; /* ms */
    unsigned answers, failed;
} times;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* h2load's log: start, status, microseconds. */
static times read_log(const char *path)
{
    static double ms[LOG_MAX];
    times t = {0};
    long long start, us;
    int status;
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%lld %d %lld", &start, &status, &us) == 3) {
        t.failed += status != 200;
        if (status == 200 && t.answers < LOG_MAX)
            ms[t.answers++] = (double)us / 1000;
    }
    if (f)
        fclose(f);
    remove(path);
    if (!t.answers)
        site_die("h2load was not answered");
    qsort(ms, t.answers, sizeof *ms, compare);
    t.p50 = ms[t.answers / 2];
    t.p99 = ms[t.answers - 1 - t.answers / 100];
    t.max = ms[t.answers - 1];
    return t;
}

/* So many requests a second, all connections together, of the URLs in a file. */
static times ask_steadily(const char *urls, unsigned connections, double rate)
{
    char command[600];
    const char *log = site_below("h2load.log");
    snprintf(command, sizeof command,
             "h2load --h1 -t1 -c%u --rps %.3f -D %d --log-file=%s -i %s 2>&1",
             connections, rate / connections, SECONDS, log, urls);
    site_output(command);
    return read_log(log);
}

static double peak_rate(unsigned port, const char *script)
{
    char command[400];
    snprintf(command, sizeof command, "wrk -t1 -c%d -d3s -s %s http://127.0.0.1:%u/",
             BUSY, script, port);
    const char *at = strstr(site_output(command), "Requests/sec:");
    if (!at)
        site_die("wrk gave no figures");
    return strtod(at + 13, NULL);
}

static const char *write_urls(unsigned port, const site_corpus *c)
{
    const char *path = strdup(site_below("urls"));
    FILE *f = fopen(path, "w");
    for (uint32_t i = 0; f && i < c->n && i < 5000; i++)
        fprintf(f, "http://127.0.0.1:%u/related/%s\n", port, c->ids[i]);
    if (!f || fclose(f))
        site_die("cannot write the list");
    return path;
}

static void print_head(const char *what)
{
    printf("\n%-34s | %8s %8s %8s %7s | %7s %7s\n", what, "p50 ms", "p99 ms", "max ms",
           "p99/p50", "answers", "failed");
}

static void print_times(const char *what, times t)
{
    printf("%-34s | %8.2f %8.2f %8.2f %7.1f | %7u %7u\n", what, t.p50, t.p99, t.max,
           t.p99 / t.p50, t.answers, t.failed);
    fflush(stdout);
}

/* ------------------------------ Half of the peak --------------------------- */

static void open_idle(unsigned port, int *fd)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char answer[1000];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < IDLE; i++) {
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd[i] < 0 || connect(fd[i], (struct sockaddr *)&to, sizeof to) ||
            send(fd[i], request, sizeof request - 1, 0) < 0 ||
            recv(fd[i], answer, sizeof answer, 0) <= 0)
            site_die("cannot open idle connections");
    }
}

static pid_t keep_reloading(pid_t server)
{
    pid_t pid = fork();
    for (int i = 0; !pid && i < RELOADS; i++) {
        kill(server, SIGHUP);
        usleep(SECONDS * 1000000 / RELOADS);
    }
    if (!pid)
        _exit(0);
    return pid;
}

static void steady(const site_corpus *c)
{
    static int fd[IDLE];
    unsigned port = site_free_port();
    ps_serve_opts o = site_opts(c->catalog, port);
    o.cache_bytes = 0;
    const char *script = strdup(site_below("all.lua")), *urls = write_urls(port, c);
    site_write_script(script, c->ids, c->n, "");
    pid_t server = site_serve(&o, -1);
    site_wait_until_ready(port);
    double peak = peak_rate(port, script);
    printf(
        "%.0f answers a second at most; half of that is asked for, on %d connections\n",
        peak, BUSY);
    print_head("/related");
    print_times("alone", ask_steadily(urls, BUSY, peak / 2));
    open_idle(port, fd);
    print_times("beside 2,000 idle connections", ask_steadily(urls, BUSY, peak / 2));
    pid_t reloading = keep_reloading(server);
    print_times("and 10 reloads", ask_steadily(urls, BUSY, peak / 2));
    waitpid(reloading, NULL, 0);
    for (int i = 0; i < IDLE; i++)
        close(fd[i]);
    site_stop(server);
}

/* ------------------------------ Probes ------------------------------------- */

static pid_t flood(unsigned port, const char *script)
{
    char command[400];
    snprintf(command, sizeof command,
             "exec wrk -t1 -c300 -d%ds -s %s http://127.0.0.1:%u/ >/dev/null",
             SECONDS * 6 + 5, script, port);
    pid_t pid = fork();
    if (!pid) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(1);
    }
    return pid;
}

static void probe(unsigned port, const char *path, const char *where)
{
    char what[64];
    const char *urls = site_below("probe");
    FILE *f = fopen(urls, "w");
    if (!f)
        site_die("cannot write the list");
    fprintf(f, "http://127.0.0.1:%u%s\n", port, path);
    fclose(f);
    snprintf(what, sizeof what, "%s%s", path, where);
    print_times(what, ask_steadily(urls, 1, 50));
}

static double metric(unsigned port, const char *name)
{
    char command[200];
    snprintf(command, sizeof command, "curl -s 127.0.0.1:%u/metrics | grep '^%s '", port,
             name);
    const char *at = strchr(site_output(command), ' ');
    return at ? strtod(at, NULL) : -1;
}

static void probes(const site_corpus *c)
{
    static const char *const paths[] = {"/livez", "/readyz", "/metrics"};
    char address[40];
    unsigned port = site_free_port(), admin = site_free_port();
    ps_serve_opts o = site_opts(c->catalog, port);
    snprintf(address, sizeof address, "127.0.0.1:%u", admin);
    o.admin_listen = address;
    o.cache_bytes = 0;
    o.queue = 64;
    const char *script = strdup(site_below("walks.lua"));
    site_write_script(script, c->ids, c->n, "?method=pixie");
    pid_t server = site_serve(&o, -1);
    site_wait_until_ready(port);
    pid_t load = flood(port, script);
    sleep(1);
    print_head("probes while the queue is full");
    for (int i = 0; i < 3; i++)
        probe(port, paths[i], "");
    for (int i = 0; i < 3; i++)
        probe(admin, paths[i], ", admin's address");
    printf("queue %.0f of 64, refused %.0f, answered by walks %.0f\n",
           metric(admin, "pinsage_queue_length"),
           metric(admin, "pinsage_queue_refused_total"),
           metric(admin, "pinsage_queue_wait_seconds_count"));
    kill(load, SIGTERM);
    waitpid(load, NULL, 0);
    site_stop(server);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    if (system("wrk -v >/dev/null 2>&1; test $? -le 1") ||
        system("h2load --version >/dev/null 2>&1")) {
        puts("bench_latency: wrk or h2load is not installed");
        return 0;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const char *catalog = site_open("bench_latency", argc > 1 ? argv[1] : NULL);
    site_corpus c = site_scatter(catalog);
    steady(&c);
    probes(&c);
    site_close();
    return 0;
}
