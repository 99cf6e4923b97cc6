/* step.c - `pinsage train`: from a catalog and pairs to a catalog with a model.
 *
 * Order: read the pairs (or hold boards out), try a few configurations for a short
 * while, train the chosen one, train the baselines, write. The draft is held from the
 * start, so a second writer is refused before an hour of work, not after it.
 *
 * Threads: see train.h. Not here: embeddings of all pins for serving (core/embed).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/list.h"
#include "core/neighbours/corpus_inside.h"
#include "core/neighbours/install.h"
#include "core/train/labels.h"
#include "core/train/note.h"
#include "pinsage/blend.h"
#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/clock.h"
#include "pinsage/embed.h"
#include "pinsage/inverted.h"
#include "pinsage/layout.h"
#include "pinsage/pair_graph.h"
#include "pinsage/text.h"

typedef struct step {
    const ps_train_step_opts *opts;
    ps_train_report *report;
    const ps_progress *progress;
    ps_draft *draft;
    ps_generation *g;
    ps_pairs pairs, valid;
    ps_graph rest; /* without label boards, when they are held out */
    bool held_out;
    ps_corpus *corpus;
    ps_pair_graph pair_graph; /* of the pairs that are trained on */
    ps_inverted text;
    ps_train_opts train; /* as chosen so far */
    char checkpoint[PS_PATH_MAX];
} step;

/* ------------------------------ Pairs ------------------------------------- */

static int load_file(step *s, const char *path, ps_pairs *out, ps_why *why)
{
    ps_pins_reader *reader = NULL;
    int err = ps_pins_reader_new(&reader, s->g->pins);
    if (!err)
        err =
            ps_pairs_load(out, path, reader,
                          (ps_pairs_opts){s->opts->skip_unknown, s->opts->columns}, why);
    ps_pins_reader_free(reader);
    return err;
}

static int load_pairs(step *s, ps_why *why)
{
    const ps_train_step_opts *o = s->opts;
    ps_cut cut = PS_CUT_QUERIES;
    int err;
    if (o->pairs)
        err = load_file(s, o->pairs, &s->pairs, why);
    else {
        err = ps_labels_hold_out(&s->g->graph, o->label_boards, o->train.seed, &s->pairs,
                                 &s->rest, &s->report->label_boards);
        s->held_out = !err;
    }
    if (!err && o->valid)
        err = load_file(s, o->valid, &s->valid, why);
    else if (!err)
        err = ps_labels_slice(&s->pairs, &s->valid, s->g->n_pins, o->valid_share,
                              o->train.seed, &cut);
    s->report->sliced = !o->valid;
    s->report->grouped = cut == PS_CUT_COMMUNITIES;
    s->report->pairs = s->pairs.n;
    s->report->valid = s->valid.n;
    s->report->pairs_left_out = s->pairs.left_out;
    s->report->valid_left_out = s->valid.left_out;
    return err;
}

/* Pairs to learn from and to choose by: at least one of each. */
static int check_pairs(const step *s, ps_why *why)
{
    if (!s->pairs.n)
        return ps_fail(why, PS_EFORMAT, s->opts->pairs, 0,
                       "there is no pair to train on");
    if (!s->valid.n)
        return ps_fail(why, PS_EFORMAT, s->opts->valid, 0,
                       "there is no pair to validate with");
    return PS_OK;
}

/* A misspelt baseline is told now, not missed after an hour. */
static int check_variants(const char *list, ps_why *why)
{
    ps_text rest = ps_text_of(list), name;
    while (ps_text_cut(&rest, ',', &name))
        if (name.len && ps_enum_find(ps_baseline_names, name) < 0)
            return ps_fail(why, PS_EINVAL, NULL, 0, "there is no baseline \"%.*s\"",
                           name.len < 64 ? (int)name.len : 64, name.data);
    return PS_OK;
}

/* ------------------------------ Trials ------------------------------------ */

/* Short enough to be a fraction of the training, long enough to tell tenths apart. */
enum { TRIAL_PAIRS = 12000, TRIAL_VALID = 4000, TRIAL_EPOCHS = 3 };

/* An even sample of the pairs, borrowed rows copied: own memory. */
static int thin(const ps_pairs *from, size_t most, ps_pairs *out)
{
    size_t n = from->n < most ? from->n : most;
    *out = (ps_pairs){.pair = malloc((n + 1) * sizeof *out->pair), .n = n};
    for (size_t i = 0; out->pair && i < n; i++)
        memcpy(out->pair[i], from->pair[i * from->n / n], sizeof *out->pair);
    return out->pair ? PS_OK : PS_ENOMEM;
}

static void describe(const ps_train_opts *o, char *out, size_t n)
{
    const char *blocks = o->model.blocks;
    snprintf(out, n, "%s / %.2g, walk pairs %.1f, walks of %u, %s",
             o->model.similarity == PS_SIMILARITY_COSINE ? "cosine" : "inner product",
             (double)o->temperature, (double)o->walk_pairs, o->model.length,
             blocks[0] && !ps_list_has(blocks, "structure") ? "no structure"
                                                            : "all blocks");
}

static int try_once(step *s, const ps_train_opts *o, const ps_pairs *pairs,
                    const ps_pairs *valid, ps_why *why)
{
    ps_train_opts run = *o;
    ps_model model = {0};
    ps_train_result *result = malloc(sizeof *result);
    ps_trial *t = &s->report->trial[s->report->n_trials++];
    double began = ps_now();
    run.epochs = run.patience = TRIAL_EPOCHS;
    run.checkpoint = NULL;
    run.hard = false;
    run.stage = "trial";
    describe(o, t->what, sizeof t->what);
    int err =
        result ? ps_train(&model, s->corpus, pairs, valid, &run, result, s->progress, why)
               : PS_ENOMEM;
    if (!err) {
        const ps_train_epoch *e = &result->epoch[result->best - 1];
        t->hit_10 = e->hit_10;
        t->hit_100 = e->hit_100;
        t->score = e->score;
        t->mrr = e->mrr;
        t->seconds = ps_now() - began;
    }
    ps_model_free(&model);
    free(result);
    return err;
}

/* Pairs to try with and to judge by, and the trial that is ahead. */
typedef struct contest {
    ps_pairs pairs, valid;
    size_t best;
} contest;

/* Try a change; keep it when its valid score beats the best so far, or comes within
 * `forgiven` of it. */
static int consider(step *s, const ps_train_opts *o, contest *c, double forgiven,
                    ps_why *why)
{
    int err = try_once(s, o, &c->pairs, &c->valid, why);
    size_t last = s->report->n_trials - 1;
    const ps_trial *t = s->report->trial;
    if (!err && (last == 0 || t[last].score > t[c->best].score - forgiven)) {
        c->best = last;
        s->train = *o;
    }
    return err;
}

/* What pays in a long training alone is taken when it costs less than this in a short
 * one. */
#define MAY_COST 0.005

/* Inner products say which pins are popular, angles do not; the temperature is how large
 * the products are when training starts. They take longer to learn than angles, and go
 * further. */
static int try_similarities(step *s, contest *c, ps_why *why)
{
    static const struct {
        ps_similarity similarity;
        float temperature;
        double forgiven;
    } tried[] = {{PS_SIMILARITY_COSINE, 0.05f, 0},
                 {PS_SIMILARITY_IP, 0.1f, MAY_COST},
                 {PS_SIMILARITY_IP, 0.3f, 0}};
    ps_train_opts o = s->train;
    int err = PS_OK;
    o.walk_pairs = 0.1f;
    for (size_t i = 0; i < sizeof tried / sizeof tried[0] && !err; i++) {
        o.model.similarity = tried[i].similarity;
        o.temperature = tried[i].temperature;
        err = consider(s, &o, c, tried[i].forgiven, why);
    }
    return err;
}

/* There is a block `structure`, made from the graph, that one could do without. One that
 * was imported is content like any other. */
static bool structure_is_one_of_several(const ps_generation *g)
{
    return ps_generation_block(g, "structure") && g->n_blocks > 1 &&
           !ps_manifest_own_block(g->manifest, "structure");
}

/* All blocks but that one, listed in c. */
static int leave_structure_out(const ps_generation *g, ps_model_config *c, ps_why *why)
{
    int err = PS_OK;
    c->blocks[0] = '\0';
    for (uint32_t b = 0; b < g->n_blocks && !err; b++)
        if (strcmp(g->blocks[b].name, "structure") != 0)
            err = ps_list_add(c->blocks, sizeof c->blocks, g->blocks[b].name);
    return err ? ps_fail(why, err, g->name, 0,
                         "the names of its feature blocks are too long together")
               : PS_OK;
}

/* Walk pairs keep a long training from learning the labelled ones by heart. */
static int try_walk_pairs(step *s, contest *c, ps_why *why)
{
    static const float share[] = {0.0f, 0.3f}; /* beside the 0.1 of the first trials */
    int err = PS_OK;
    for (size_t i = 0; i < sizeof share / sizeof share[0] && !err; i++) {
        ps_train_opts o = s->train;
        o.walk_pairs = share[i];
        err = consider(s, &o, c, share[i] > 0 ? MAY_COST : 0, why);
    }
    return err;
}

/* One choice after the other, each from the best so far. */
static int run_trials(step *s, ps_why *why)
{
    contest c = {.best = 0};
    ps_train_opts o;
    int err = thin(&s->pairs, TRIAL_PAIRS, &c.pairs);
    if (!err)
        err = thin(&s->valid, TRIAL_VALID, &c.valid);
    if (!err)
        err = try_similarities(s, &c, why);
    if (!err)
        err = try_walk_pairs(s, &c, why);
    o = s->train;
    if (!err && o.model.layers && o.model.length > 1) {
        o.model.length = 1; /* the pins that share a board, and no others */
        err = consider(s, &o, &c, 0, why);
    }
    o = s->train;
    if (!err && !o.model.blocks[0] && structure_is_one_of_several(s->g)) {
        err = leave_structure_out(s->g, &o.model, why);
        if (!err)
            err = consider(s, &o, &c, 0, why);
    }
    if (!err)
        s->report->trial[c.best].chosen = true;
    ps_pairs_free(&c.pairs);
    ps_pairs_free(&c.valid);
    return err;
}

/* ------------------------------ Baselines --------------------------------- */

static int train_variant(step *s, const ps_variant *v, ps_why *why)
{
    ps_train_opts o = s->train;
    ps_model model = {0};
    char file[64];
    const char *name = ps_enum_name(ps_baseline_names, v->baseline);
    ps_train_result *result = malloc(sizeof *result);
    float *z = malloc((size_t)s->g->n_pins * o.model.e * sizeof *z + 1);
    o.checkpoint = NULL;
    o.stage = name;
    v->change(&o);
    snprintf(file, sizeof file, PS_FILE_BASELINE, name);
    int err = result && z ? ps_train(&model, s->corpus, &s->pairs, &s->valid, &o, result,
                                     s->progress, why)
                          : PS_ENOMEM;
    if (!err)
        err = ps_corpus_embed(s->corpus, &model, z, s->progress, why);
    if (!err)
        err = ps_install_array(s->draft, s->g, file, PS_F32, o.model.e, z, why);
    if (!err)
        err = ps_install_sign(s->draft, s->g, file, s->train.model.blocks);
    ps_model_free(&model);
    free(result);
    free(z);
    return err;
}

/* `combined` needs content, and its twin the structure block beside it. */
static bool possible(const step *s, const ps_variant *v)
{
    bool structure = ps_generation_block(s->g, "structure") != NULL;
    bool content = s->g->n_blocks > (structure ? 1 : 0);
    if (v->baseline == PS_BASELINE_COMBINED)
        return content;
    /* The block was made from the whole graph: it knows the boards held out. */
    return v->baseline != PS_BASELINE_COMBINED_STRUCTURE || (structure && !s->held_out);
}

static int train_variants(step *s, ps_why *why)
{
    int err = PS_OK;
    for (size_t i = 0; ps_variant_at(i) && !err; i++)
        if (ps_list_has(s->opts->variants,
                        ps_enum_name(ps_baseline_names, ps_variant_at(i)->baseline)) &&
            possible(s, ps_variant_at(i)))
            err = train_variant(s, ps_variant_at(i), why);
    return err;
}

/* ------------------------------ The blend --------------------------------- */

/* From the embeddings, walks and blocks that were trained on: the whole graph's label
 * boards would tell the walk and the structure block their answers. Too few valid pairs:
 * no blend. */
static int fit_blend(step *s, const ps_model *model, ps_why *why)
{
    char print[17];
    size_t cells = (size_t)s->g->n_pins * model->config.e;
    ps_blend_report *r = calloc(1, sizeof *r);
    float *z = malloc(cells * sizeof *z + 1);
    ps_blend_fit_opts opts = PS_BLEND_FIT_DEFAULTS;
    ps_blend_source source = {.g = s->g,
                              .graph = s->held_out ? &s->rest : NULL,
                              .z = {z, model->config.e, 0},
                              .pairs = &s->pair_graph,
                              .text = &s->text};
    opts.threads = s->opts->train.threads;
    opts.seed = s->opts->train.seed;
    opts.blocks = s->held_out ? model->config.blocks : NULL;
    int err = r && z ? ps_corpus_embed(s->corpus, model, z, s->progress, why) : PS_ENOMEM;
    if (!err)
        err = ps_pair_graph_make(&s->pair_graph, s->g->n_pins, &s->pairs);
    if (!err)
        err = ps_pair_graph_write(&s->pair_graph, s->draft, why);
    if (!err)
        err = ps_inverted_open(&s->text, s->g, why);
    if (!err)
        err = ps_blend_fit(&source, &s->pairs, &s->valid, &opts, r, s->progress, why);
    ps_manifest_remove(ps_draft_manifest(s->draft), PS_KEY_BLEND);
    if (!err) {
        ps_model_print(model, print);
        ps_blend_note(ps_draft_manifest(s->draft), r, print);
        s->report->blended = true;
        s->report->blend_ahead_10 = r->ahead.hit_rate[0].mean;
        s->report->blend_ahead_100 = r->ahead.hit_rate[1].mean;
    }
    free(r);
    free(z);
    if (err != PS_EUNSUPPORTED)
        return err;
    if (why)
        *why = (ps_why){0};
    return PS_OK;
}

/* ------------------------------ The step ---------------------------------- */

/* The served lists are of the whole graph: label boards are back in it. */
static int install(step *s, const ps_model *model, ps_why *why)
{
    ps_corpus *whole = s->corpus;
    int err = PS_OK;
    if (s->held_out)
        err = ps_corpus_new(&whole, s->g, &s->g->graph, s->opts->train.seed,
                            s->opts->train.threads, why);
    if (!err)
        err = ps_install_model(s->draft, whole, model, s->progress, why);
    if (whole != s->corpus)
        ps_corpus_free(whole);
    return err;
}

static int train_and_write(step *s, ps_why *why)
{
    ps_model model = {0};
    int err = PS_OK;
    if (s->opts->trials)
        err = run_trials(s, why);
    s->train.checkpoint = s->checkpoint;
    if (!err)
        err = ps_train(&model, s->corpus, &s->pairs, &s->valid, &s->train,
                       &s->report->result, s->progress, why);
    if (!err) {
        s->train.model = model.config;
        s->report->used = s->train;
        err = install(s, &model, why);
    }
    if (!err)
        err = fit_blend(s, &model, why);
    if (!err)
        err = train_variants(s, why);
    if (!err)
        err = ps_train_note(ps_draft_manifest(s->draft), s->report);
    ps_model_free(&model);
    return err;
}

static int begin(step *s, const char *catalog, ps_why *why)
{
    char dir[PS_PATH_MAX];
    int err = check_variants(s->opts->variants, why);
    if (!err)
        err = ps_path_join(s->checkpoint, sizeof s->checkpoint, catalog,
                           PS_FILE_CHECKPOINT);
    if (!err)
        err = ps_draft_begin(&s->draft, catalog, (ps_draft_opts){.step = "train"}, why);
    if (!err)
        err = ps_draft_open(s->draft, &s->g, why);
    if (!err)
        err = ps_path_join(dir, sizeof dir, ps_draft_dir(s->draft), PS_DIR_BASELINES);
    if (!err)
        err = ps_dir_make(dir, why);
    if (!err)
        err = load_pairs(s, why);
    if (!err)
        err = check_pairs(s, why);
    /* The block was made from the whole graph: it knows the boards held out. */
    if (!err && (s->held_out || s->opts->no_structure) && !s->train.model.blocks[0] &&
        structure_is_one_of_several(s->g))
        err = leave_structure_out(s->g, &s->train.model, why);
    return err ? err
               : ps_corpus_new(&s->corpus, s->g, s->held_out ? &s->rest : &s->g->graph,
                               s->opts->train.seed, s->opts->train.threads, why);
}

static void let_go(step *s)
{
    ps_pair_graph_done(&s->pair_graph);
    ps_inverted_close(&s->text);
    ps_corpus_free(s->corpus);
    ps_graph_free(&s->rest);
    ps_pairs_free(&s->pairs);
    ps_pairs_free(&s->valid);
    ps_generation_release(s->g);
}

int ps_train_step_check(const char *catalog, const ps_train_step_opts *opts, ps_why *why)
{
    ps_train_report *unused = calloc(1, sizeof *unused);
    step s = {.opts = opts, .report = unused};
    int err = unused ? check_variants(opts->variants, why) : PS_ENOMEM;
    if (!err)
        err = ps_generation_open_base(&s.g, catalog, why);
    if (!err)
        err = load_pairs(&s, why);
    if (!err)
        err = check_pairs(&s, why);
    let_go(&s);
    free(unused);
    return err;
}

int ps_train_step(const char *catalog, const ps_train_step_opts *opts,
                  ps_train_report *report, const ps_progress *progress, ps_why *why)
{
    double began = ps_now();
    *report = (ps_train_report){0};
    step s = {.opts = opts, .report = report, .progress = progress, .train = opts->train};
    int err = begin(&s, catalog, why);
    if (!err)
        err = train_and_write(&s, why);
    let_go(&s);
    if (err) {
        ps_draft_abort(s.draft);
        return err;
    }
    err = ps_draft_commit(s.draft, opts->keep, report->generation, why);
    if (!err)
        unlink(s.checkpoint);
    report->seconds = ps_now() - began;
    return err;
}
