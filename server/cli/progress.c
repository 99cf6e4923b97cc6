/* progress.c - how far long work is, on stderr.
 *
 * On a terminal one line is redrawn at most ten times a second; elsewhere a line is
 * printed each 10 % of a stage that takes a second or more, and at its end. Rate and time
 * left come from the stage's own clock. A signal that asks the program to end is passed
 * on as PS_ECANCELLED, so the step throws its draft away and nothing is left behind.
 *
 * Threads: any may report; a reporter that finds another one printing goes on at once.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "server/cli/cli.h"

static struct {
    pthread_mutex_t lock;
    bool terminal, quiet, open; /* open: a line without newline stands on screen */
    char stage[64];
    double began, drawn;
    unsigned tenth; /* last tenth told */
} shown = {.lock = PTHREAD_MUTEX_INITIALIZER};

static volatile sig_atomic_t asked_to_stop;

static void on_stop(int number)
{
    (void)number;
    if (asked_to_stop)
        _exit(130); /* asked twice */
    asked_to_stop = 1;
}

bool ps_cli_colour(int fd)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

static void end_line(void)
{
    if (shown.open)
        fputc('\n', stderr);
    shown.open = false;
}

static void human(char *out, size_t n, double value)
{
    const char *unit = "";
    if (value >= 1e9)
        value /= 1e9, unit = "G";
    else if (value >= 1e6)
        value /= 1e6, unit = "M";
    else if (value >= 1e4)
        value /= 1e3, unit = "k";
    snprintf(out, n, value < 100 && *unit ? "%.1f%s" : "%.0f%s", value, unit);
}

static void duration(char *out, size_t n, double seconds)
{
    unsigned s = (unsigned)(seconds + 0.5);
    if (s < 60)
        snprintf(out, n, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
    else
        snprintf(out, n, "%u:%02u min", s / 60, s % 60);
}

static void print_line(const char *stage, uint64_t done, uint64_t total, const char *unit,
                       const char *note, double seconds)
{
    char amount[16], all[16], rate[16], left[24];
    bool ended = total && done >= total;
    human(amount, sizeof amount, (double)done);
    human(all, sizeof all, (double)total);
    human(rate, sizeof rate, seconds > 0 ? (double)done / seconds : 0);
    double rest = done ? seconds * ((double)total - (double)done) / (double)done : 0;
    duration(left, sizeof left, ended || !total ? seconds : rest);
    fprintf(stderr, "%s%-12s ", shown.terminal ? "\r\033[K" : "", stage);
    if (total)
        fprintf(stderr, "%3u %%  %s of %s %s",
                (unsigned)(100 * (double)done / (double)total), amount, all, unit);
    else
        fprintf(stderr, "%s %s", amount, unit);
    fprintf(stderr, "  %s/s  %s%s", rate, left, ended ? "" : total ? " left" : "");
    if (note && *note)
        fprintf(stderr, "  %s", note);
    shown.open = true;
    if (ended || !shown.terminal)
        end_line();
    fflush(stderr);
}

static void begin_stage(const char *stage, double t)
{
    end_line();
    snprintf(shown.stage, sizeof shown.stage, "%s", stage);
    shown.began = t;
    shown.drawn = 0;
    shown.tenth = 0;
}

static void show(const char *stage, uint64_t done, uint64_t total, const char *unit,
                 const char *note)
{
    double t = ps_now();
    if (strcmp(stage, shown.stage) != 0)
        begin_stage(stage, t);
    unsigned tenth = total ? (unsigned)(10 * (double)done / (double)total) : 0;
    bool ended = total && done >= total;
    if (ended && shown.tenth == 11)
        return; /* told already */
    bool due = shown.terminal ? t - shown.drawn >= 0.1
               : total        ? tenth > shown.tenth && t - shown.began >= 1
                              : t - shown.drawn >= 10;
    if (!due && !ended)
        return;
    shown.drawn = t;
    shown.tenth = ended ? 11 : tenth;
    print_line(stage, done, total, unit, note, t - shown.began);
}

static int at(void *cls, const char *stage, uint64_t done, uint64_t total,
              const char *unit, const char *note)
{
    (void)cls;
    if (asked_to_stop)
        return PS_ECANCELLED;
    if (shown.quiet)
        return PS_OK;
    bool ended = total && done >= total;
    if (ended)
        pthread_mutex_lock(&shown.lock);
    else if (pthread_mutex_trylock(&shown.lock) != 0)
        return PS_OK;
    show(stage, done, total, unit, note);
    pthread_mutex_unlock(&shown.lock);
    return PS_OK;
}

ps_progress ps_cli_progress(const ps_common *common)
{
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    const char *term = getenv("TERM");
    shown.quiet = common->quiet;
    shown.terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    return (ps_progress){.at = at};
}

void ps_cli_progress_end(void)
{
    pthread_mutex_lock(&shown.lock);
    end_line();
    pthread_mutex_unlock(&shown.lock);
}
