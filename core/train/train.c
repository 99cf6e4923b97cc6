/* train.c - epochs of minibatches, with a look at the valid pairs after each.
 *
 *     for each epoch:  shuffle, for each minibatch: forward, loss, backward, Adam
 *                      validate (the averaged weights, if asked), keep the best, save
 *
 * Threads: see train.h. Not here: what a minibatch holds (sampler.c, minibatch.c).
 */
#include "pinsage/train.h"
#include "pinsage/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/list.h"
#include "core/model/adam.h"
#include "core/model/loss.h"
#include "core/neighbours/corpus_inside.h"
#include "core/train/checkpoint.h"
#include "core/train/producer.h"
#include "core/train/validate.h"
#include "pinsage/buf.h"
#include "pinsage/embed.h"

enum { FEW_PAIRS = 5000, MANY_PAIRS = 100000, NEAR = 20 };

typedef struct trainer {
    ps_corpus *corpus; /* borrowed, like the next five */
    const ps_pairs *pairs, *valid;
    const ps_progress *progress;
    ps_model *model;
    ps_train_result *result;
    ps_train_opts o; /* with every "by size" decided */
    ps_features features;
    const ps_table *nbr;
    ps_sampler sampler;
    ps_producer *producer;
    ps_tape *tape;
    ps_adam adam;
    ps_model grad;
    float *grad_block, *average, *best, *dz, *vectors;
    size_t room_dz;
    uint64_t batches;
    uint32_t epoch; /* under way, from 1 */
    double best_score;
} trainer;

/* ------------------------------ Choices by size --------------------------- */

static void decide(ps_train_opts *o, size_t pairs, uint32_t pins)
{
    bool few = pairs < FEW_PAIRS;
    if (!o->batch)
        o->batch = few ? 128 : pairs <= MANY_PAIRS ? 512 : 1024;
    if (!o->epochs)
        o->epochs = few ? 50 : 15;
    if (!o->patience)
        o->patience = few ? 10 : 6;
    if (o->epochs > PS_EPOCHS_MAX)
        o->epochs = PS_EPOCHS_MAX;
    if (!o->hard_high) { /* the paper's 2000..5000, shrunk to the graph */
        o->hard_low = pins / 200 < 2000 ? pins / 200 + 20 : 2000;
        o->hard_high = pins / 20 < 5000 ? pins / 20 + 60 : 5000;
    }
    if (!o->stage)
        o->stage = "train";
}

/* ------------------------------ Memory ------------------------------------ */

/* Bytes of the largest minibatch there can be, of tensors with their moments, of the
 * tables, and of validation over all pins: told before work starts. */
static uint64_t plan_bytes(const trainer *t)
{
    const ps_model_config *c = &t->o.model;
    uint64_t N = t->corpus->generation->n_pins, T = c->neighbours;
    uint32_t n[PS_LAYERS_MAX + 1];
    uint64_t hard = t->o.hard ? t->o.epochs - 1 : 0;
    uint64_t nodes = t->o.batch * (2 + hard) + t->o.negatives;
    for (uint32_t k = c->layers + 1; k-- > 0;) {
        n[k] = (uint32_t)(nodes < N ? nodes : N);
        nodes = n[k] * (T + 1);
    }
    uint64_t batch =
        n[0] * (uint64_t)c->d_in * 4 + (c->layers ? n[1] * T * 8 : 0) + N * 8;
    return ps_tape_bytes(c, n) + PS_PRODUCER_RING * batch + 6 * ps_model_count(c) * 4 +
           N * (T * 8 + c->d_in * 4 + c->e * 4 + c->m * 2 + c->d * 8);
}

/* ------------------------------ Start ------------------------------------- */

static int start_hard(trainer *t)
{
    size_t n;
    uint32_t *queries = ps_sampler_queries(&t->sampler, &n);
    uint32_t *hard = malloc((n * PS_HARD_MAX + 1) * sizeof *hard);
    int err = queries && hard ? PS_OK : PS_ENOMEM;
    ps_band band = {t->o.hard_low, t->o.hard_high};
    if (!err)
        err = ps_hard_make(hard, t->corpus->graph, queries, n, t->corpus->seeds, band,
                           t->corpus->workers, t->progress);
    if (!err)
        err = ps_sampler_hard(&t->sampler, queries, n, hard);
    if (err)
        free(hard);
    free(queries);
    return err;
}

static int start_sampler(trainer *t, ps_why *why)
{
    const ps_model_config *c = &t->o.model;
    const ps_table *near = NULL;
    ps_walk_opts walk = ps_model_walk(c);
    int err = PS_OK;
    if (c->layers)
        err = ps_corpus_table(t->corpus, walk, c->neighbourhood == PS_NEIGHBOURS_KHOP,
                              &t->nbr, t->progress, why);
    walk.top = NEAR;
    if (!err && t->o.walk_pairs > 0)
        err = ps_corpus_table(t->corpus, walk, false, &near, t->progress, why);
    if (err)
        return err;
    t->sampler = (ps_sampler){.features = &t->features,
                              .nbr = t->nbr,
                              .near = near,
                              .layers = c->layers,
                              .batch = t->o.batch,
                              .negatives = t->o.negatives,
                              .walk_pairs = t->o.walk_pairs,
                              .dropout = t->o.dropout,
                              .seed = t->o.seed,
                              .pair = (const uint32_t(*)[2])t->pairs->pair,
                              .n_pairs = t->pairs->n};
    err = ps_sampler_init(&t->sampler, t->corpus->workers);
    if (!err && t->o.hard)
        err = start_hard(t);
    return err;
}

static int list_blocks(const ps_features *f, ps_model_config *c, ps_why *why)
{
    int err = PS_OK;
    c->blocks[0] = '\0';
    for (uint32_t b = 0; b < f->n_blocks && !err; b++)
        err = ps_list_add(c->blocks, sizeof c->blocks, f->block[b]->name);
    return err ? ps_fail(why, err, f->generation->name, 0,
                         "the names of its feature blocks are too long together")
               : PS_OK;
}

static int start_tensors(trainer *t, ps_why *why)
{
    size_t n = ps_model_count(&t->o.model);
    int err = ps_model_new(t->model, &t->o.model, why);
    if (err)
        return err;
    ps_model_init(t->model, t->o.seed);
    t->grad_block = calloc(n, sizeof(float));
    t->average = malloc(n * sizeof(float));
    t->best = malloc(n * sizeof(float));
    t->vectors =
        malloc((size_t)t->corpus->generation->n_pins * t->o.model.e * sizeof(float) + 1);
    err = ps_adam_new(&t->adam, n);
    if (!err && !(t->grad_block && t->average && t->best && t->vectors))
        err = PS_ENOMEM;
    if (err)
        return err;
    memcpy(t->average, t->model->params, n * sizeof(float));
    memcpy(t->best, t->model->params, n * sizeof(float));
    ps_model_view(&t->grad, &t->o.model, t->grad_block);
    return ps_tape_new(&t->tape, &t->o.model, t->corpus->workers);
}

static int tell_plan(const trainer *t)
{
    char note[128];
    t->result->bytes = plan_bytes(t);
    snprintf(note, sizeof note, "%zu parameters, up to %.2f GB beside the mapped files",
             ps_model_count(&t->o.model), (double)t->result->bytes / 1e9);
    return ps_progress_note(t->progress, "memory", 1, 1, "plan", note);
}

static int start(trainer *t, ps_why *why)
{
    const char *blocks = t->o.model.blocks[0] ? t->o.model.blocks : NULL;
    int err = ps_features_open(&t->features, t->corpus->generation, blocks, why);
    if (!err)
        err = list_blocks(&t->features, &t->o.model, why);
    if (err)
        return err;
    t->o.model.d_in = t->features.dim;
    t->o.model.temperature = t->o.temperature;
    t->o.model.seed = t->corpus->seed;
    err = tell_plan(t);
    if (!err)
        err = start_tensors(t, why);
    if (!err)
        err = start_sampler(t, why);
    if (!err)
        err = ps_producer_new(&t->producer, &t->sampler, 1);
    if (err)
        return err;
    t->batches = ps_sampler_batches(&t->sampler);
    t->best_score = -1;
    return PS_OK;
}

static void stop(trainer *t)
{
    ps_producer_free(t->producer);
    ps_sampler_done(&t->sampler);
    ps_tape_free(t->tape);
    ps_adam_free(&t->adam);
    free(t->grad_block);
    free(t->average);
    free(t->best);
    free(t->dz);
    free(t->vectors);
}

/* ------------------------------ A minibatch ------------------------------- */

static float rate_now(const trainer *t)
{
    double warm = (double)t->o.warmup * (double)t->batches;
    double all = (double)t->o.epochs * (double)t->batches, at = (double)t->adam.step + 1;
    double end = (double)t->o.rate_end;
    double share = at < warm
                       ? at / warm
                       : 1 - (1 - end) * (at - warm) / (all - warm > 1 ? all - warm : 1);
    return (float)((double)t->o.rate * (share > end ? share : at < warm ? share : end));
}

/* The first steps are far from where it ends: the average forgets them sooner. */
static void update_average(trainer *t)
{
    float step = (float)t->adam.step, early = (1 + step) / (10 + step);
    const float decay = early < t->o.average ? early : t->o.average;
    const float *p = t->model->params;
    for (size_t i = 0; i < t->model->n_params; i++)
        t->average[i] += (1 - decay) * (p[i] - t->average[i]);
}

static int learn(trainer *t, const ps_minibatch *b, ps_loss_value *value)
{
    const float *z;
    size_t cells = (size_t)b->loss.n * t->o.model.e;
    if (cells > t->room_dz) {
        free(t->dz);
        t->dz = malloc((t->room_dz = cells + cells / 4) * sizeof(float));
    }
    ps_loss_batch loss = b->loss;
    ps_loss_opts o = {t->o.loss, t->o.margin, t->o.temperature};
    loss.e = t->o.model.e;
    int err = t->dz ? ps_forward(t->tape, t->model, &b->graph, b->x, &z) : PS_ENOMEM;
    if (!err)
        err = ps_loss_backward(t->corpus->workers, &loss, &o, z, t->dz, value);
    if (!err && isfinite(value->loss))
        err = ps_backward(t->tape, t->model, &b->graph, b->x, t->dz, &t->grad);
    if (!err && isfinite(value->loss))
        err = ps_adam_step(&t->adam, t->corpus->workers, rate_now(t), t->model->params,
                           t->grad_block);
    if (!err && t->o.average > 0)
        update_average(t);
    return err;
}

static int tell_nan(const trainer *t, const char *what, uint64_t batch, ps_why *why)
{
    return ps_fail(why, PS_EFORMAT, NULL, 0,
                   "%s no number any more in epoch %u, minibatch %" PRIu64
                   ": lower --rate (now %g) or raise --temperature (now %g)",
                   what, t->epoch, batch, (double)t->o.rate, (double)t->o.temperature);
}

/* ReLU turns what is no number into 0, so the loss may look sound over broken weights. */
static int check_weights(const trainer *t, ps_why *why)
{
    for (size_t i = 0; i < t->model->n_params; i++)
        if (!isfinite(t->model->params[i]))
            return tell_nan(t, "a weight is", t->batches, why);
    return PS_OK;
}

/* ------------------------------ An epoch ---------------------------------- */

static int tell_batch(const trainer *t, const ps_train_epoch *e, uint64_t done)
{
    char note[160];
    const ps_train_result *r = t->result;
    const ps_train_epoch *last = r->n_epochs ? &r->epoch[r->n_epochs - 1] : NULL;
    int n =
        snprintf(note, sizeof note, "epoch %u loss %.4f violated %.1f %% %.0f pairs/s",
                 t->epoch, (double)e->loss / (double)done,
                 100 * (double)e->violated / (double)done, e->pairs_per_s);
    if (last && n > 0)
        snprintf(note + n, sizeof note - (size_t)n, " valid hit@10 %.1f @100 %.1f",
                 100 * last->hit_10, 100 * last->hit_100);
    return ps_progress_note(t->progress, t->o.stage, (t->epoch - 1) * t->batches + done,
                            t->o.epochs * t->batches, "batches", note);
}

static int run_batches(trainer *t, ps_train_epoch *e, ps_why *why)
{
    double began = ps_now();
    uint64_t seen = 0;
    int err = PS_OK;
    ps_sampler_shuffle(&t->sampler, t->epoch);
    ps_producer_epoch(t->producer, t->epoch, t->batches, t->epoch - 1);
    for (uint64_t i = 0; i < t->batches && !err; i++) {
        const ps_minibatch *b;
        ps_loss_value value = {0};
        err = ps_producer_next(t->producer, &b);
        if (!err)
            err = learn(t, b, &value);
        if (!err && !isfinite(value.loss))
            err = tell_nan(t, "the loss is", i, why);
        seen += b->loss.pairs;
        e->loss += (float)value.loss;
        e->violated += (float)value.violated;
        ps_producer_release(t->producer);
        e->pairs_per_s = (double)seen / (ps_now() - began + 1e-9);
        if (!err)
            err = tell_batch(t, e, i + 1);
    }
    e->loss /= (float)t->batches;
    e->violated /= (float)t->batches;
    return err;
}

static int validate(trainer *t, ps_train_epoch *e)
{
    ps_model view;
    ps_validation v;
    float *params = t->o.average > 0 ? t->average : t->model->params;
    ps_model_view(&view, &t->o.model, params);
    int err =
        ps_embed_all(&view, &t->features, t->nbr ? t->nbr->row : NULL,
                     t->nbr ? t->nbr->weight : NULL, t->corpus->workers, t->vectors);
    if (!err)
        err = ps_validate(t->vectors, t->corpus->generation->n_pins, t->o.model.e,
                          t->valid, t->corpus->workers, &v);
    if (err)
        return err;
    e->hit_10 = v.hit_10;
    e->hit_100 = v.hit_100;
    e->mrr = v.mrr;
    e->score = v.score;
    if (v.score > t->best_score) {
        t->best_score = v.score;
        t->result->best = e->epoch;
        memcpy(t->best, params, t->model->n_params * sizeof(float));
    }
    return PS_OK;
}

static void epoch_json(const trainer *t, const ps_train_epoch *e, ps_buf *b)
{
    ps_buf_printf(b,
                  "{\"stage\":\"%s\",\"epoch\":%u,\"loss\":%.6g,\"violated\":%.6g,"
                  "\"valid_hit_10\":%.6g,\"valid_hit_100\":%.6g,\"valid_mrr\":%.6g,"
                  "\"valid_score\":%.6g,"
                  "\"pairs_per_s\":%.0f,\"seconds\":%.2f}\n",
                  t->o.stage, e->epoch, (double)e->loss, (double)e->violated, e->hit_10,
                  e->hit_100, e->mrr, e->score, e->pairs_per_s, e->seconds);
}

static int write_log(const trainer *t, const ps_train_epoch *e, ps_why *why)
{
    ps_buf line = {0};
    if (!t->o.log)
        return PS_OK;
    int fd = open(t->o.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return ps_fail_errno(why, t->o.log, "cannot be opened");
    epoch_json(t, e, &line);
    errno = ENOSPC; /* what a line that was cut short means */
    int err = PS_OK;
    if (line.failed)
        err = ps_fail(why, PS_ENOMEM, t->o.log, 0, "no memory for a line of the log");
    else if (write(fd, line.data, line.size) != (ssize_t)line.size)
        err = ps_fail_errno(why, t->o.log, "cannot be written");
    close(fd);
    ps_buf_done(&line);
    return err;
}

static ps_progress_state state_of(trainer *t)
{
    return (ps_progress_state){
        .n = t->model->n_params,
        .params = t->model->params,
        .mean = t->adam.mean,
        .square = t->adam.square,
        .average = t->average,
        .best = t->best,
        .step = t->adam.step,
        .fingerprint = ps_run_fingerprint(&t->o, &t->features, t->pairs, t->valid),
        .best_score = t->best_score,
        .result = t->result};
}

static int save(trainer *t, ps_why *why)
{
    ps_progress_state s = state_of(t);
    return t->o.checkpoint ? ps_checkpoint_save(t->o.checkpoint, &s, why) : PS_OK;
}

static int resume(trainer *t, ps_why *why)
{
    ps_progress_state s = state_of(t);
    int err = ps_checkpoint_load(t->o.checkpoint, &s, why);
    if (err == PS_ENOENT) { /* nothing done yet, and nothing to say about it */
        if (why)
            *why = (ps_why){0};
        return PS_OK;
    }
    if (err)
        return err;
    t->adam.step = s.step;
    t->best_score = s.best_score;
    return PS_OK;
}

static bool finished(const trainer *t)
{
    const ps_train_result *r = t->result;
    return r->n_epochs >= t->o.epochs || r->n_epochs >= r->best + t->o.patience;
}

static int run_epoch(trainer *t, ps_why *why)
{
    double began = ps_now();
    ps_train_epoch e = {.epoch = t->epoch = t->result->n_epochs + 1};
    int err = run_batches(t, &e, why);
    if (!err)
        err = check_weights(t, why);
    if (!err)
        err = validate(t, &e);
    if (err)
        return err;
    e.seconds = ps_now() - began;
    t->result->epoch[t->result->n_epochs++] = e;
    err = write_log(t, &e, why);
    return err ? err : save(t, why);
}

static int check(const trainer *t, ps_why *why)
{
    if (!t->pairs->n)
        return ps_fail(why, PS_EFORMAT, NULL, 0, "there is no pair to train on");
    if (!t->valid->n)
        return ps_fail(why, PS_EFORMAT, NULL, 0, "there is no pair to validate with");
    if (!t->o.negatives)
        return ps_fail(why, PS_EINVAL, NULL, 0, "a minibatch needs a negative or more");
    if (!(t->o.temperature > 0))
        return ps_fail(why, PS_EINVAL, NULL, 0, "the temperature %g is not above 0",
                       (double)t->o.temperature);
    if (t->o.hard && t->o.hard_low >= t->o.hard_high)
        return ps_fail(why, PS_EINVAL, NULL, 0,
                       "the band of hard negatives ends at rank %u, before it begins at "
                       "%u",
                       t->o.hard_high, t->o.hard_low);
    return PS_OK;
}

int ps_train(ps_model *model, ps_corpus *corpus, const ps_pairs *pairs,
             const ps_pairs *valid, const ps_train_opts *opts, ps_train_result *result,
             const ps_progress *progress, ps_why *why)
{
    trainer t = {.corpus = corpus,
                 .pairs = pairs,
                 .valid = valid,
                 .progress = progress,
                 .model = model,
                 .result = result,
                 .o = *opts};
    *model = (ps_model){0};
    *result = (ps_train_result){0};
    decide(&t.o, pairs->n, corpus->generation->n_pins);
    int err = check(&t, why);
    if (!err)
        err = start(&t, why);
    if (!err && t.o.resume && t.o.checkpoint)
        err = resume(&t, why);
    while (!err && !finished(&t))
        err = run_epoch(&t, why);
    if (!err)
        memcpy(model->params, t.best, model->n_params * sizeof(float));
    stop(&t);
    if (err && why && !why->text[0])
        return ps_fail(why, err, NULL, 0, "training stopped: %s", ps_strerror(err));
    return err;
}
