/* pool.h - gather the messages of T neighbours and join them, forward and backward.
 *
 * Forward reads T rows of m numbers for each node and writes one: the bound is how fast
 * random rows come from memory, so the rows of the next node are prefetched while this
 * one is summed. Backward turns the lists round first (who pooled over me?), so that each
 * row of the gradient is written by one worker, in a fixed order.
 *
 * Threads: uses the workers it is given. Vector code is picked by CPU at run time.
 */
#ifndef PINSAGE_CORE_MODEL_POOL_H
#define PINSAGE_CORE_MODEL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/model.h"
#include "pinsage/workers.h"

typedef struct ps_pool {
    uint32_t n, T, m;    /* nodes that pool, neighbours, width of a message */
    const uint32_t *nbr; /* (n, T) rows of the messages */
    const float *weight; /* (n, T), 0 = none; what each message counts (any sum) */
    ps_pooling how;
    uint16_t *best; /* (n, m) which neighbour won; max pooling in training only */
} ps_pool;

/* messages (., m) -> out (n, m). */
int ps_pool_forward(ps_workers *workers, const ps_pool *p, const float *messages,
                    float *out);
/* The same from half precision. Max pooling does not note winners. */
int ps_pool_forward_half(ps_workers *workers, const ps_pool *p, const uint16_t *messages,
                         float *out);

/* Lists transposed: the pools that read row v are entry[start[v] .. start[v+1]), each
 * u * T + t. start (n_in + 1) and entry (n * T) are the caller's. */
void ps_pool_transpose(const ps_pool *p, uint32_t n_in, uint32_t *start, uint32_t *entry);
/* din (n_in, m) = gradient of the messages from dout (n, m), zero where the message was
 * not positive (its ReLU). */
int ps_pool_backward(ps_workers *workers, const ps_pool *p, uint32_t n_in,
                     const uint32_t *start, const uint32_t *entry, const float *dout,
                     const float *messages, float *din);

/* Weights as the kind of pooling counts them: importance as given; mean 1 / kept. */
void ps_pool_weights(ps_pooling how, const float *weight, size_t n, uint32_t T,
                     float *out);

/* From here on the plain loops, whatever the CPU can do: for tests, while nothing runs.
 */
void ps_pool_force_plain(bool on);

#endif
