/* note.c - what a training came to, in the manifest: for eval's page and for people.
 *
 * Nothing that differs between two runs with the same seed is written: no times.
 *
 * Threads: none.
 */
#include "core/train/note.h"

#include <stdio.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/layout.h"

/* The list is whole: into the manifest with it. */
static int put_list(ps_manifest *m, const char *path, ps_buf *b)
{
    ps_buf_char(b, ']');
    int err = b->failed ? PS_ENOMEM : ps_manifest_set_json(m, path, b->data);
    ps_buf_done(b);
    return err;
}

static int note_trials(ps_manifest *m, const ps_train_report *r)
{
    ps_buf b = {0};
    ps_buf_char(&b, '[');
    for (uint32_t i = 0; i < r->n_trials; i++) {
        const ps_trial *t = &r->trial[i];
        ps_buf_printf(&b, "%s{\"what\":", i ? "," : "");
        ps_buf_json(&b, t->what, strlen(t->what));
        ps_buf_printf(&b,
                      ",\"hit_10\":%.5f,\"hit_100\":%.5f,\"mrr\":%.5f,\"score\":%.5f,"
                      "\"chosen\":%s}",
                      t->hit_10, t->hit_100, t->mrr, t->score,
                      t->chosen ? "true" : "false");
    }
    return put_list(m, "train.trials", &b);
}

/* What each epoch came to, for the report of an evaluation. */
static int note_curve(ps_manifest *m, const ps_train_report *r)
{
    ps_buf b = {0};
    ps_buf_char(&b, '[');
    for (uint32_t i = 0; i < r->result.n_epochs; i++) {
        const ps_train_epoch *e = &r->result.epoch[i];
        ps_buf_printf(&b,
                      "%s{\"epoch\":%u,\"loss\":%.6g,\"violated\":%.6g,"
                      "\"valid_hit_10\":%.6g,\"valid_hit_100\":%.6g,\"valid_mrr\":%.6g}",
                      i ? "," : "", e->epoch, (double)e->loss, (double)e->violated,
                      e->hit_10, e->hit_100, e->mrr);
    }
    return put_list(m, PS_KEY_TRAIN_CURVE, &b);
}

static void note_left_out(ps_manifest *m, const char *of, const ps_left_out *l)
{
    const struct {
        const char *name;
        uint64_t n;
    } kinds[] = {{"self", l->self}, {"repeated", l->repeated}, {"unknown", l->unknown}};
    char path[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "train.left_out.%s.%s", of, kinds[i].name);
        ps_manifest_set_u64(m, path, kinds[i].n);
    }
}

int ps_train_note(ps_manifest *m, const ps_train_report *report)
{
    const ps_train_opts *o = &report->used;
    const ps_train_result *r = &report->result;
    const ps_train_epoch *best = &r->epoch[r->best - 1];
    ps_manifest_set_text(m, "train.loss", ps_enum_name(ps_loss_names, o->loss));
    ps_manifest_set_real(m, "train.walk_pairs", (double)o->walk_pairs);
    ps_manifest_set_real(m, "train.dropout", (double)o->dropout);
    ps_manifest_set_real(m, "train.average", (double)o->average);
    ps_manifest_set_real(m, "train.temperature", (double)o->temperature);
    ps_manifest_set_u64(m, "train.pairs", report->pairs);
    ps_manifest_set_u64(m, "train.valid_pairs", report->valid);
    note_left_out(m, "pairs", &report->pairs_left_out);
    note_left_out(m, "valid", &report->valid_left_out);
    ps_manifest_set_u64(m, "train.label_boards", report->label_boards);
    ps_manifest_set_u64(m, "train.epochs", r->n_epochs);
    ps_manifest_set_u64(m, "train.best_epoch", r->best);
    ps_manifest_set_real(m, "train.valid.hit_10", best->hit_10);
    ps_manifest_set_real(m, "train.valid.hit_100", best->hit_100);
    ps_manifest_set_real(m, "train.valid.mrr", best->mrr);
    ps_manifest_set_u64(m, "train.seed", o->seed);
    int err = note_trials(m, report);
    return err ? err : note_curve(m, report);
}
