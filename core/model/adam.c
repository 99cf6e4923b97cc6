/* adam.c - one pass over parameters, gradients and both moments.
 *
 * Threads: see adam.h.
 */
#include "core/model/adam.h"

#include <math.h>
#include <stdlib.h>

#include "core/model/dense.h"
#include "pinsage/err.h"

#define BETA1   0.9f
#define BETA2   0.999f
#define EPSILON 1e-8f

int ps_adam_new(ps_adam *a, size_t n)
{
    float *block = calloc(2 * n, sizeof *block);
    *a = (ps_adam){.n = n, .mean = block, .square = block ? block + n : NULL};
    return block ? PS_OK : PS_ENOMEM;
}

void ps_adam_free(ps_adam *a)
{
    free(a->mean);
    *a = (ps_adam){0};
}

typedef struct step {
    ps_adam *a;
    float rate, fix; /* rate with both bias corrections; root of the second one */
    float *params, *grad;
} step;

static int step_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const step *s = cls;
    float *mean = s->a->mean, *square = s->a->square;
    for (size_t i = begin; i < end; i++) {
        float g = s->grad[i];
        mean[i] = BETA1 * mean[i] + (1 - BETA1) * g;
        square[i] = BETA2 * square[i] + (1 - BETA2) * g * g;
        s->params[i] -= s->rate * mean[i] / (sqrtf(square[i]) * s->fix + EPSILON);
        s->grad[i] = 0.0f;
    }
    return PS_OK;
}

int ps_adam_step(ps_adam *a, ps_workers *workers, float rate, float *params, float *grad)
{
    a->step++;
    double c1 = 1.0 - pow((double)BETA1, (double)a->step);
    double c2 = 1.0 - pow((double)BETA2, (double)a->step);
    step s = {.a = a,
              .rate = rate / (float)c1,
              .fix = (float)(1.0 / sqrt(c2)),
              .params = params,
              .grad = grad};
    return ps_for_rows(workers, a->n, 1 << 14, step_piece, &s);
}
