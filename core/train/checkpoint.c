/* checkpoint.c - five tensors and a line of numbers.
 *
 * Threads: see checkpoint.h.
 */
#include "core/train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/safetensors.h"

static const char *const names[] = {"params", "adam.mean", "adam.square", "average",
                                    "best"};
enum { TENSORS = sizeof names / sizeof names[0] };

static void slots(const ps_progress_state *s, float *out[TENSORS])
{
    float *at[TENSORS] = {s->params, s->mean, s->square, s->average, s->best};
    memcpy(out, at, sizeof at);
}

/* Numbers that must come back to the last bit travel as hexadecimal floats. */
static void write_epochs(const ps_train_result *r, ps_buf *out)
{
    for (uint32_t i = 0; i < r->n_epochs; i++) {
        const ps_train_epoch *e = &r->epoch[i];
        ps_buf_printf(out, "%" PRIu32 " %a %a %a %a %a %a %a %a\n", e->epoch,
                      (double)e->loss, (double)e->violated, e->hit_10, e->hit_100, e->mrr,
                      e->score, e->pairs_per_s, e->seconds);
    }
}

static int read_epochs(ps_train_result *r, const char *text)
{
    r->n_epochs = 0;
    while (*text && r->n_epochs < PS_EPOCHS_MAX) {
        ps_train_epoch *e = &r->epoch[r->n_epochs++];
        int used = 0;
        if (sscanf(text, "%" SCNu32 " %a %a %la %la %la %la %la %la\n%n", &e->epoch,
                   &e->loss, &e->violated, &e->hit_10, &e->hit_100, &e->mrr, &e->score,
                   &e->pairs_per_s, &e->seconds, &used) != 9)
            return PS_EFORMAT;
        text += used;
    }
    return PS_OK;
}

int ps_checkpoint_save(const char *path, const ps_progress_state *s, ps_why *why)
{
    char fresh[PS_PATH_MAX], step[24], print[24], best[24], score[40];
    float *at[TENSORS];
    ps_tensor tensor[TENSORS];
    ps_buf epochs = {0};
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return ps_fail(why, PS_ERANGE, path, 0, "the path is too long");
    slots(s, at);
    for (size_t i = 0; i < TENSORS; i++)
        tensor[i] =
            (ps_tensor){.name = names[i], .ndim = 1, .shape = {s->n, 1}, .data = at[i]};
    write_epochs(s->result, &epochs);
    snprintf(step, sizeof step, "%" PRIu64, s->step);
    snprintf(print, sizeof print, "%016" PRIx64, s->fingerprint);
    snprintf(best, sizeof best, "%" PRIu32, s->result->best);
    snprintf(score, sizeof score, "%a", s->best_score);
    const char *const meta[][2] = {{"step", step},
                                   {"run", print},
                                   {"best_epoch", best},
                                   {"best_score", score},
                                   {"epochs", epochs.data ? epochs.data : ""}};
    int err = ps_safetensors_write(fresh, tensor, TENSORS, meta,
                                   sizeof meta / sizeof meta[0], NULL, NULL, why);
    if (!err && rename(fresh, path) < 0)
        err = ps_fail_errno(why, path, "cannot be replaced");
    ps_buf_done(&epochs);
    return err;
}

static const char *meta_of(const ps_safetensors *f, const char *key)
{
    const char *text = ps_safetensors_meta(f, key);
    return text ? text : "";
}

static int read_state(const ps_safetensors *f, const char *path, ps_progress_state *s,
                      ps_why *why)
{
    float *at[TENSORS];
    int err = PS_OK;
    slots(s, at);
    if (strtoull(meta_of(f, "run"), NULL, 16) != s->fingerprint)
        return ps_fail(why, PS_EMISMATCH, path, 0,
                       "the checkpoint is of a run with other data or options");
    for (size_t i = 0; i < TENSORS && !err; i++)
        err = ps_safetensors_read_f32(f, names[i], s->n, 0, at[i], why);
    if (err)
        return err;
    s->step = strtoull(meta_of(f, "step"), NULL, 10);
    s->best_score = strtod(meta_of(f, "best_score"), NULL);
    s->result->best = (uint32_t)strtoul(meta_of(f, "best_epoch"), NULL, 10);
    err = read_epochs(s->result, meta_of(f, "epochs"));
    if (!err && (s->result->best < 1 || s->result->best > s->result->n_epochs))
        err = PS_EFORMAT;
    return err ? ps_fail(why, err, path, 0, "the checkpoint's epochs cannot be read")
               : PS_OK;
}

int ps_checkpoint_load(const char *path, ps_progress_state *s, ps_why *why)
{
    ps_safetensors *f;
    int err = ps_safetensors_open(&f, path, why);
    if (err)
        return err;
    err = read_state(f, path, s, why);
    ps_safetensors_close(f);
    return err;
}
