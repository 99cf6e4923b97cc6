/* adam.h - Adam with bias correction (Kingma and Ba, 2015), over one block of floats.
 *
 * Threads: one step at a time; a workers cuts the block.
 */
#ifndef PINSAGE_CORE_MODEL_ADAM_H
#define PINSAGE_CORE_MODEL_ADAM_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/workers.h"

typedef struct ps_adam {
    size_t n;
    uint64_t step;
    float *mean, *square; /* (n) moments, owned; both in one block at mean */
} ps_adam;

int ps_adam_new(ps_adam *a, size_t n);
void ps_adam_free(ps_adam *a);
/* params (n) -= rate * direction from grad (n); grad is zeroed for the next minibatch. */
int ps_adam_step(ps_adam *a, ps_workers *workers, float rate, float *params, float *grad);

#endif
