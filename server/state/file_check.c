/* file_check.c - a thread that reads, and sleeps as long as the rate asks for.
 *
 * Files are read by name, while answers come from what was mapped at the start. A
 * generation that was replaced may have no files any more: those that are gone are passed
 * over, for what is mapped is still there.
 *
 * Threads: see file_check.h. The lock guards what is asked and what was found.
 */
#include "server/state/file_check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "server/state/state.h"

struct ps_file_check {
    ps_state *state; /* borrowed */
    uint64_t rate;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    bool stopping, again; /* again: what is being read is not in use any more */
    ps_file_check_counts counts;
};

/* One piece was read: wait until it may have been. PS_ECANCELLED: it is of no use. */
static int on_piece(void *cls, size_t bytes)
{
    ps_file_check *c = cls;
    struct timespec until = ps_after_ms((uint32_t)(bytes * 1000 / c->rate));
    pthread_mutex_lock(&c->lock);
    c->counts.bytes += bytes;
    while (!c->stopping && !c->again &&
           !pthread_cond_timedwait(&c->asked, &c->lock, &until))
        ;
    int err = c->stopping || c->again ? PS_ECANCELLED : PS_OK;
    pthread_mutex_unlock(&c->lock);
    return err;
}

static void found(ps_file_check *c, const char *generation, const char *name,
                  const ps_why *why)
{
    pthread_mutex_lock(&c->lock);
    if (!c->again && !c->counts.damaged++)
        snprintf(c->counts.first, sizeof c->counts.first, "%s/%s: %.200s", generation,
                 name, why->text);
    pthread_mutex_unlock(&c->lock);
    ps_log_say(c->state->log, PS_LOG_ERROR, "a file is damaged", "generation", generation,
               "file", name, "error", why->text, NULL);
}

static void read_files(ps_file_check *c, const ps_generation *g)
{
    const char *name;
    int err = PS_OK;
    for (size_t i = 0;
         err != PS_ECANCELLED && (name = ps_manifest_file_at(g->manifest, i)); i++) {
        ps_why why = {0};
        err = ps_generation_check_file(g, name, on_piece, c, &why);
        if (err && err != PS_ECANCELLED && err != PS_ENOENT)
            found(c, g->name, name, &why);
    }
    pthread_mutex_lock(&c->lock);
    c->counts.done = !c->again && !c->stopping;
    pthread_mutex_unlock(&c->lock);
}

/* False when it is time to stop. */
static bool await(ps_file_check *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->stopping && !c->again)
        pthread_cond_wait(&c->asked, &c->lock);
    c->again = false;
    bool go_on = !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

static void *run(void *cls)
{
    ps_file_check *c = cls;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    while (await(c)) {
        ps_engine *e = ps_state_engine(c->state);
        if (e)
            read_files(c, ps_engine_generation(e));
        ps_engine_release(e);
    }
    return NULL;
}

static void check_free(ps_file_check *c)
{
    pthread_cond_destroy(&c->asked);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int ps_file_check_start(ps_file_check **out, ps_state *state, uint64_t rate, ps_why *why)
{
    *out = NULL;
    if (!rate)
        return PS_OK;
    ps_file_check *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to check files");
    c->state = state;
    c->rate = rate;
    pthread_mutex_init(&c->lock, NULL);
    ps_cond_init(&c->asked);
    if (!pthread_create(&c->thread, NULL, run, c)) {
        *out = c;
        return PS_OK;
    }
    check_free(c);
    return ps_fail(why, PS_ENOMEM, NULL, 0, "no thread to check files");
}

void ps_file_check_stop(ps_file_check *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->asked);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    check_free(c);
}

void ps_file_check_begin(ps_file_check *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->again = true;
    c->counts = (ps_file_check_counts){.bytes = c->counts.bytes};
    pthread_cond_signal(&c->asked);
    pthread_mutex_unlock(&c->lock);
}

ps_file_check_counts ps_file_check_count(ps_file_check *c)
{
    if (!c)
        return (ps_file_check_counts){0};
    pthread_mutex_lock(&c->lock);
    ps_file_check_counts counts = c->counts;
    pthread_mutex_unlock(&c->lock);
    return counts;
}
