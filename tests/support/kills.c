/* kills.c - see kills.h. */
#include "tests/support/kills.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/planted.h"

/* ------------------------------ Children ---------------------------------- */

static pid_t begun(int (*run)(void *cls), void *cls)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(run(cls) != 0);
    return child;
}

static bool ended(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

bool survives(int (*run)(void *cls), void *cls)
{
    return ended(begun(run, cls));
}

bool survives_for(long microseconds, int (*run)(void *cls), void *cls)
{
    struct timespec wait = {microseconds / 1000000, microseconds % 1000000 * 1000};
    pid_t child = begun(run, cls);
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    return ended(child);
}

/* ------------------------------ Listeners --------------------------------- */

static bool has_come(moment *m, const char *stage, uint64_t done)
{
    if ((m->stage && strcmp(stage, m->stage) != 0) || (m->done && done != m->done))
        return false;
    return ++m->heard >= m->nth && m->nth;
}

static int on_progress_stop(void *cls, const char *stage, uint64_t done, uint64_t total,
                            const char *unit, const char *note)
{
    (void)total, (void)unit, (void)note;
    return has_come(cls, stage, done) ? PS_ECANCELLED : PS_OK;
}

static int on_progress_die(void *cls, const char *stage, uint64_t done, uint64_t total,
                           const char *unit, const char *note)
{
    (void)total, (void)unit, (void)note;
    if (has_come(cls, stage, done))
        raise(SIGKILL);
    return PS_OK;
}

ps_progress stop_at(moment *m)
{
    return (ps_progress){.at = on_progress_stop, .cls = m};
}

ps_progress kill_at(moment *m)
{
    return (ps_progress){.at = on_progress_die, .cls = m};
}

int killed_at_each_word(int (*run)(void *progress))
{
    int n = 0;
    for (bool end = false; !end;) {
        moment last = {.nth = ++n};
        ps_progress progress = kill_at(&last);
        end = survives(run, &progress);
        planted_verify();
        ps_generation *g = planted_open();
        assert_string_equal(g->name, end ? "gen-000002" : "gen-000001");
        ps_generation_release(g);
    }
    return n;
}
