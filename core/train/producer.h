/* producer.h - threads that make minibatches ahead of the one that trains.
 *
 *     producers --> ring of ready minibatches, in order --> consumer
 *
 * Threads: next and release are the consumer's. The order in which producers finish does
 * not matter: minibatch i lies in slot i % ring.
 */
#ifndef PINSAGE_CORE_TRAIN_PRODUCER_H
#define PINSAGE_CORE_TRAIN_PRODUCER_H

#include "core/train/sampler.h"

#define PS_PRODUCER_RING 4 /* minibatches made ahead */

typedef struct ps_producer ps_producer;
/* Borrows s. */
int ps_producer_new(ps_producer **p, const ps_sampler *s, unsigned threads);
void ps_producer_free(ps_producer *p); /* after the last epoch, or in the middle of one */

/* Begin an epoch of n minibatches; the one before is used up. */
void ps_producer_epoch(ps_producer *p, uint32_t epoch, uint64_t n, uint32_t n_hard);
/* Wait for the next minibatch of the epoch; release it before asking again. */
int ps_producer_next(ps_producer *p, const ps_minibatch **b);
void ps_producer_release(ps_producer *p);

#endif
