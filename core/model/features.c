/* features.c - x of a pin: normalised blocks, then its degree.
 *
 * The degree counts boards, as log(1 + degree) scaled by 0.1: unscaled it drowns blocks
 * of unit length.
 *
 * Threads: see features.h.
 */
#include "pinsage/features.h"
#include "pinsage/length.h"

#include <math.h>
#include <string.h>

#include "core/base/list.h"

#define DEGREE_SCALE 0.1f

static int add_block(ps_features *f, const ps_block *block, ps_why *why)
{
    if (f->n_blocks == PS_BLOCKS_MAX)
        return ps_fail(why, PS_ERANGE, block->name, 0, "is one block too many (%d)",
                       PS_BLOCKS_MAX);
    f->at[f->n_blocks] = f->dim;
    f->block[f->n_blocks++] = block;
    f->dim += (uint32_t)block->array.cols;
    return PS_OK;
}

static size_t count_names(const char *names)
{
    size_t n = *names != '\0';
    for (; *names; names++)
        n += *names == ',';
    return n;
}

int ps_features_open(ps_features *f, const ps_generation *g, const char *names,
                     ps_why *why)
{
    *f = (ps_features){.generation = g};
    int err = PS_OK;
    for (uint32_t i = 0; i < g->n_blocks && !err; i++)
        if (!names || ps_list_has(names, g->blocks[i].name))
            err = add_block(f, &g->blocks[i], why);
    f->dim++; /* degree */
    if (!err && names && f->n_blocks < count_names(names))
        return ps_fail(why, PS_EMISMATCH, g->name, 0,
                       "the model needs the feature blocks %s, not all are here", names);
    return err;
}

int ps_features_for(ps_features *f, const ps_generation *g, const ps_model_config *c,
                    ps_why *why)
{
    int err = ps_features_open(f, g, c->blocks, why);
    if (!err && f->dim != c->d_in)
        err = ps_fail(why, PS_EMISMATCH, g->name, 0,
                      "the model wants %u numbers a pin, the blocks %s and the degree "
                      "give %u",
                      c->d_in, c->blocks, f->dim);
    return err;
}

static void normalise(float *x, uint32_t n)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    if (!ps_squares_fit(sum)) { /* zero rows, and odd units */
        ps_direction(x, n, x);
        return;
    }
    float scale = 1.0f / sqrtf(sum);
    for (uint32_t i = 0; i < n; i++)
        x[i] *= scale;
}

void ps_features_make(const ps_features *f, const float *const *content, uint32_t degree,
                      float *out)
{
    for (uint32_t b = 0; b < f->n_blocks; b++) {
        uint32_t n = (uint32_t)f->block[b]->array.cols;
        if (content[b])
            memcpy(out + f->at[b], content[b], n * sizeof *out);
        else
            memset(out + f->at[b], 0, n * sizeof *out);
        normalise(out + f->at[b], n);
    }
    out[f->dim - 1] = DEGREE_SCALE * logf(1.0f + (float)degree);
}

void ps_features_row(const ps_features *f, uint32_t row, float *out)
{
    for (uint32_t b = 0; b < f->n_blocks; b++) {
        ps_npy_row_f32(&f->block[b]->array, row, out + f->at[b]);
        normalise(out + f->at[b], (uint32_t)f->block[b]->array.cols);
    }
    uint32_t degree = ps_csr_degree(&f->generation->graph.pin_boards, row);
    out[f->dim - 1] = DEGREE_SCALE * logf(1.0f + (float)degree);
}

void ps_features_rows(const ps_features *f, const uint32_t *rows, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        ps_features_row(f, rows[i], out + (size_t)i * f->dim);
}
