/* producer.c - a ring, a lock, and a number for the next minibatch to make.
 *
 * Threads: see producer.h.
 */
#include "core/train/producer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct place {
    ps_minibatch *batch; /* owned */
    bool ready;
    int err;
} place;

struct ps_producer {
    const ps_sampler *sampler; /* borrowed */
    unsigned threads;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t made, freed;
    place ring[PS_PRODUCER_RING];
    uint32_t epoch, n_hard;
    uint64_t n, to_make, to_use; /* of this epoch */
    bool quit;
};

static bool may_make(const ps_producer *p)
{
    return p->to_make < p->n && p->to_make < p->to_use + PS_PRODUCER_RING;
}

static void *producer_main(void *cls)
{
    ps_producer *p = cls;
    pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        if (!may_make(p)) {
            pthread_cond_wait(&p->freed, &p->lock);
            continue;
        }
        uint64_t i = p->to_make++;
        uint32_t epoch = p->epoch, n_hard = p->n_hard;
        place *at = &p->ring[i % PS_PRODUCER_RING];
        pthread_mutex_unlock(&p->lock);
        int err = ps_minibatch_fill(at->batch, p->sampler, epoch, i, n_hard);
        pthread_mutex_lock(&p->lock);
        at->err = err;
        at->ready = true;
        pthread_cond_broadcast(&p->made);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void ps_producer_epoch(ps_producer *p, uint32_t epoch, uint64_t n, uint32_t n_hard)
{
    pthread_mutex_lock(&p->lock);
    p->epoch = epoch;
    p->n_hard = n_hard;
    p->n = n;
    p->to_make = p->to_use = 0;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->lock);
}

int ps_producer_next(ps_producer *p, const ps_minibatch **b)
{
    place *at = &p->ring[p->to_use % PS_PRODUCER_RING];
    pthread_mutex_lock(&p->lock);
    while (!at->ready)
        pthread_cond_wait(&p->made, &p->lock);
    pthread_mutex_unlock(&p->lock);
    *b = at->batch;
    return at->err;
}

void ps_producer_release(ps_producer *p)
{
    pthread_mutex_lock(&p->lock);
    p->ring[p->to_use % PS_PRODUCER_RING].ready = false;
    p->to_use++;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->lock);
}

int ps_producer_new(ps_producer **out, const ps_sampler *s, unsigned threads)
{
    ps_producer *p = calloc(1, sizeof *p);
    if (!p)
        return PS_ENOMEM;
    p->sampler = s;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->made, NULL);
    pthread_cond_init(&p->freed, NULL);
    p->thread = calloc(threads, sizeof *p->thread);
    int err = p->thread ? PS_OK : PS_ENOMEM;
    for (int i = 0; i < PS_PRODUCER_RING && !err; i++)
        err = ps_minibatch_new(&p->ring[i].batch, s);
    for (; p->threads < threads && !err; p->threads++)
        if (pthread_create(&p->thread[p->threads], NULL, producer_main, p)) {
            err = PS_ENOMEM;
            break;
        }
    if (err)
        ps_producer_free(p);
    else
        *out = p;
    return err;
}

void ps_producer_free(ps_producer *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    for (int i = 0; i < PS_PRODUCER_RING; i++)
        ps_minibatch_free(p->ring[i].batch);
    pthread_cond_destroy(&p->made);
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}
