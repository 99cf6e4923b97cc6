/* blend_note.c - the blend's weights in the manifest, and back.
 *
 * Threads: none.
 */
#include <stdio.h>
#include <string.h>

#include "core/rank/blend_inside.h"

#include "pinsage/layout.h"

static const char *const names[PS_BLEND_COSINES] = {
    [PS_BLEND_SIMILARITY] = "similarity", [PS_BLEND_VISITS] = "log_visits",
    [PS_BLEND_UNVISITED] = "unvisited",   [PS_BLEND_DEGREE] = "log_degree",
    [PS_BLEND_WALK] = "count_walk",       [PS_BLEND_ROOT] = "count_root",
    [PS_BLEND_RARE] = "count_rare",       [PS_BLEND_APART] = "apart",
    [PS_BLEND_PAIR_PAIR] = "pair_pair",   [PS_BLEND_BOARD_PAIR] = "board_pair",
    [PS_BLEND_PAIR_BOARD] = "pair_board", [PS_BLEND_UNPAIRED] = "unpaired",
    [PS_BLEND_ENGAGED] = "log_engaged",   [PS_BLEND_TEXT] = "text",
    [PS_BLEND_TEXT_RARE] = "text_rare",
};

static void weight_path(const ps_blend_model *m, uint32_t i, char out[80])
{
    if (i < PS_BLEND_COSINES)
        snprintf(out, 80, "blend.weights.%s", names[i]);
    else
        snprintf(out, 80, "blend.weights.cosine.%s", m->block[i - PS_BLEND_COSINES]);
}

static void note_scores(ps_manifest *m, const char *which, const ps_measures *s)
{
    char path[64];
    const double value[3] = {s->hit_rate[0].mean, s->hit_rate[1].mean, s->mrr.mean};
    static const char *const what[3] = {"hit_10", "hit_100", "mrr"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "blend.valid.%s.%s", which, what[i]);
        ps_manifest_set_real(m, path, value[i]);
    }
}

static void note_ahead(ps_manifest *m, const char *what, ps_interval x)
{
    char path[64], json[96];
    snprintf(path, sizeof path, "blend.valid.ahead.%s", what);
    snprintf(json, sizeof json, "[%.6f,%.6f,%.6f]", x.mean, x.low, x.high);
    ps_manifest_set_json(m, path, json);
}

void ps_blend_note(ps_manifest *m, const ps_blend_report *r, const char *model)
{
    char path[80];
    ps_manifest_remove(m, PS_KEY_BLEND);
    ps_manifest_set_text(m, "blend.model", model);
    ps_manifest_set_u64(m, "blend.candidates", r->model.candidates);
    ps_manifest_set_u64(m, "blend.steps", r->model.steps);
    ps_manifest_set_u64(m, "blend.grouped", r->model.grouped);
    ps_manifest_set_real(m, "blend.overlap", r->overlap);
    ps_manifest_set_real(m, "blend.ridge", r->ridge);
    for (uint32_t i = 0; i < r->model.n; i++) {
        weight_path(&r->model, i, path);
        ps_manifest_set_real(m, path, r->model.weight[i]);
    }
    ps_manifest_set_u64(m, PS_KEY_BLEND_PAIRS, r->blend.pairs);
    ps_manifest_set_u64(m, "blend.valid.queries", r->blend.queries);
    ps_manifest_set_real(m, "blend.valid.covered", r->covered);
    note_scores(m, "blend", &r->blend);
    note_scores(m, "similarity", &r->similarity);
    note_ahead(m, "hit_10", r->ahead.hit_rate[0]);
    note_ahead(m, "hit_100", r->ahead.hit_rate[1]);
    note_ahead(m, "mrr", r->ahead.mrr);
}

/* Blocks that have no weight, since they came after the fit, are no inputs. */
static void drop_unknown(ps_blend_model *m, const ps_manifest *manifest)
{
    char path[80];
    uint32_t kept = PS_BLEND_COSINES;
    for (uint32_t i = PS_BLEND_COSINES; i < m->n; i++) {
        weight_path(m, i, path);
        if (!ps_manifest_has(manifest, path))
            continue;
        memmove(m->block[kept - PS_BLEND_COSINES], m->block[i - PS_BLEND_COSINES],
                sizeof m->block[0]);
        kept++;
    }
    m->n = kept;
}

int ps_blend_load(ps_blend_model *out, const ps_generation *g, ps_why *why)
{
    const ps_manifest *m = g->manifest;
    char path[80];
    if (!ps_manifest_has(m, "blend.weights"))
        return ps_fail(why, PS_EUNSUPPORTED, "blend", 0,
                       "no blend was fitted; training does it");
    const char *fitted = ps_manifest_text(m, "blend.model", "");
    const char *have = ps_manifest_text(m, PS_KEY_EMBEDDINGS_MODEL, "");
    if (strcmp(fitted, have) != 0 || !g->embeddings.rows)
        return ps_fail(why, PS_EUNSUPPORTED, "blend", 0,
                       "it was fitted to embeddings of model %.16s, these are of %.16s",
                       fitted, have);
    blend_model_init(out, g, (uint32_t)ps_manifest_u64(m, "blend.candidates", 500),
                     (uint32_t)ps_manifest_u64(m, "blend.steps", 20000));
    out->grouped = ps_manifest_u64(m, "blend.grouped", 0) != 0;
    drop_unknown(out, m);
    for (uint32_t i = 0; i < out->n; i++) {
        weight_path(out, i, path);
        out->weight[i] = ps_manifest_real(m, path, 0);
    }
    return PS_OK;
}
