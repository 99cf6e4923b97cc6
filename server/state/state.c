/* state.c - the engine that is current, handed out by reference.
 *
 * Threads: any.
 */
#include "server/state/state.h"

#include <stdio.h>

ps_engine *ps_state_current(ps_state *s, uint32_t *install)
{
    pthread_mutex_lock(&s->lock);
    ps_engine *e = s->engine ? ps_engine_acquire(s->engine) : NULL;
    *install = s->install;
    pthread_mutex_unlock(&s->lock);
    return e;
}

ps_engine *ps_state_engine(ps_state *s)
{
    uint32_t install;
    return ps_state_current(s, &install);
}

bool ps_state_canary(ps_state *s)
{
    pthread_mutex_lock(&s->lock);
    bool canary = s->canary;
    pthread_mutex_unlock(&s->lock);
    return canary;
}

void ps_state_install(ps_state *s, ps_engine *e, bool canary)
{
    pthread_mutex_lock(&s->lock);
    ps_engine *old = s->engine;
    s->engine = e;
    s->canary = canary;
    s->install++;
    pthread_mutex_unlock(&s->lock);
    ps_engine_release(old);
}

int ps_state_progress(void *cls, const char *stage, uint64_t done, uint64_t total,
                      const char *unit, const char *note)
{
    (void)unit;
    (void)note;
    ps_state *s = cls;
    pthread_mutex_lock(&s->lock);
    snprintf(s->stage.name, sizeof s->stage.name, "%s", stage);
    s->stage.done = done;
    s->stage.total = total;
    pthread_mutex_unlock(&s->lock);
    return PS_OK;
}

void ps_state_stage(ps_state *s, char *out, size_t room)
{
    pthread_mutex_lock(&s->lock);
    if (*s->stage.name && s->stage.total)
        snprintf(out, room, "%s, %d %%", s->stage.name,
                 (int)(100 * s->stage.done / s->stage.total));
    else
        snprintf(out, room, "%s", s->stage.name);
    pthread_mutex_unlock(&s->lock);
}
