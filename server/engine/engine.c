/* engine.c - opens a generation and lists what it can answer.
 *
 * Threads: see engine.h.
 */
#include "server/engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pinsage/layout.h"
#include "pinsage/methods.h"
#include "pinsage/near.h"
#include "server/engine/engine_inside.h"

const char *const ps_source_name[PS_SOURCES] = {
    [PS_STORED] = "stored",
    [PS_COMPUTED] = "computed",
    [PS_FALLBACK] = "fallback",
};

const char *const ps_degradation_name[PS_DEGRADATIONS] = {
    [PS_DEGRADED_FULL] = "",           [PS_DEGRADED_WALKS] = "fewer_walks",
    [PS_DEGRADED_CONTENT] = "content", [PS_DEGRADED_PIXIE] = "pixie",
    [PS_DEGRADED_POPULAR] = "popular",
};

/* ------------------------------ Methods ------------------------------------ */

static void add_method(ps_engine *e, method m)
{
    if (e->n_methods < ENGINE_METHODS)
        e->methods[e->n_methods++] = m;
}

static bool is_indexed(const ps_engine *e, const char *vectors)
{
    return e->ann && strcmp(ps_ann_vectors(e->ann), vectors) == 0;
}

/* Only beside the index of the embeddings that it was fitted to. */
static void add_blend(ps_engine *e)
{
    const ps_generation *g = e->g;
    if (is_indexed(e, "embeddings") && ps_blend_load(&e->blend, g, NULL) == PS_OK &&
        e->blend.candidates >= 1 && e->blend.candidates <= ENGINE_BLEND &&
        ps_blend_files_open(&e->blend_files, g, NULL) == PS_OK)
        add_method(e,
                   (method){.name = "blend", .kind = BY_BLEND, .array = &g->embeddings});
}

static void add_vectors(ps_engine *e)
{
    ps_generation *g = e->g;
    if (g->embeddings.rows)
        add_method(e,
                   (method){.name = ps_manifest_has(g->manifest, PS_KEY_EMBEDDINGS_MODEL)
                                        ? "pinsage"
                                        : "embeddings",
                            .array = &g->embeddings,
                            .indexed = is_indexed(e, "embeddings")});
    add_blend(e);
    for (uint32_t b = 0; b < g->n_blocks; b++)
        if (!ps_method_is_reserved(g->blocks[b].name)) /* catalogs of older programs */
            add_method(e, (method){.name = g->blocks[b].name,
                                   .array = &g->blocks[b].array,
                                   .cosine = true,
                                   .indexed = is_indexed(e, g->blocks[b].name)});
}

/* The default comes first: what the index was built for. */
static void list_methods(ps_engine *e)
{
    add_vectors(e);
    add_method(e, (method){.name = "pixie", .kind = BY_WALK, .walk = WALK_PLAIN});
    add_method(
        e, (method){.name = "pixie-corrected", .kind = BY_WALK, .walk = WALK_CORRECTED});
    add_method(e, (method){.name = "popular", .kind = BY_POPULARITY});
    for (unsigned i = 1; i < e->n_methods; i++) {
        method m = e->methods[i];
        if (!m.indexed)
            continue;
        memmove(e->methods + 1, e->methods, i * sizeof m);
        e->methods[0] = m;
    }
}

const method *engine_find_method(const ps_engine *e, ps_text name)
{
    if (!name.data)
        return &e->methods[0];
    for (unsigned i = 0; i < e->n_methods; i++)
        if (ps_text_is(name, e->methods[i].name))
            return &e->methods[i];
    return NULL;
}

const char *ps_engine_method(const ps_engine *e, unsigned i)
{
    return i < e->n_methods ? e->methods[i].name : NULL;
}

/* ------------------------------ Sample ------------------------------------- */

/* The best-connected of a few rows in [begin, end). */
static uint32_t best_of(const ps_csr *m, uint32_t begin, uint32_t end)
{
    uint32_t step = (end - begin) / 64 + 1, best = begin;
    for (uint64_t row = begin; row < end; row += step)
        if (ps_csr_degree(m, (uint32_t)row) > ps_csr_degree(m, best))
            best = (uint32_t)row;
    return best;
}

static void take_sample(ps_engine *e)
{
    uint64_t n = e->g->n_pins;
    uint64_t parts = n < ENGINE_SAMPLE ? n : ENGINE_SAMPLE;
    for (uint64_t i = 0; i < parts; i++)
        e->sample[e->n_sample++] =
            best_of(&e->g->graph.pin_boards, (uint32_t)(i * n / parts),
                    (uint32_t)((i + 1) * n / parts));
}

/* ------------------------------ Lifetime ----------------------------------- */

int engine_refuse_method(const ps_engine *e, ps_text name, ps_why *why)
{
    ps_buf list = {0};
    ps_guess guess;
    ps_guess_init(&guess, name);
    for (unsigned i = 0; i < e->n_methods; i++) {
        ps_guess_offer(&guess, e->methods[i].name);
        ps_buf_printf(&list, "%s%s", i ? ", " : "", e->methods[i].name);
    }
    const char *best = guess.best;
    int err = ps_fail(why, PS_EINVAL, NULL, 0, "no method \"%.*s\"; %s%s%sthere are %s",
                      (int)(name.len < 60 ? name.len : 60), name.data,
                      best ? "did you mean \"" : "", best ? best : "", best ? "\"? " : "",
                      list.failed ? "others" : list.data);
    ps_buf_done(&list);
    return err;
}

static int open_index(ps_engine *e, ps_why *why)
{
    if (!e->g->embeddings.rows && !e->g->n_blocks)
        return PS_OK;
    if (!ps_manifest_file(e->g->manifest, PS_FILE_INDEX, NULL, NULL))
        return ps_fail(why, PS_ENOENT, e->g->dir, 0,
                       "there is no index: run `pinsage index %.*s` first",
                       (int)(strlen(e->g->dir) - strlen(e->g->name)) - 1, e->g->dir);
    return ps_ann_open(&e->ann, e->g, why);
}

/* When the generation was made; its manifest says "2026-01-31T12:00:00Z". */
static double time_of(const ps_generation *g)
{
    struct tm tm = {0};
    const char *end = strptime(ps_manifest_text(g->manifest, PS_KEY_CREATED, ""),
                               "%Y-%m-%dT%H:%M:%SZ", &tm);
    return end && !*end ? (double)timegm(&tm) : 0;
}

static int open_live(ps_engine *e, const ps_writes *writes, const ps_progress *progress,
                     ps_why *why)
{
    int err = ps_featurizer_open(&e->featurizer, e->g, why);
    if (err)
        return err;
    e->writes = writes && writes->writer ? writes : NULL;
    return ps_live_view_open(&e->live, e->g, &e->featurizer,
                             writes ? writes->store : NULL, writes ? writes->stale : 0,
                             progress, why);
}

int ps_engine_attach(ps_engine *e, ps_why *why)
{
    if (!e->writes || e->attached)
        return PS_OK;
    int err = ps_writer_attach(e->writes->writer, &e->live, why);
    e->attached = !err;
    return err;
}

uint64_t ps_engine_version(const ps_engine *e)
{
    return ps_view_version(e->live.view);
}

const ps_writes *ps_engine_writes(const ps_engine *e)
{
    return e->writes;
}

int ps_engine_check(const ps_engine *e, const ps_content *c, ps_why *why)
{
    return ps_featurizer_check(&e->featurizer, c->feature, c->n_features, why);
}

ps_view *ps_engine_view(const ps_engine *e)
{
    return e->live.view;
}

const ps_live_view *ps_engine_live(const ps_engine *e)
{
    return &e->live;
}

const ps_featurizer *ps_engine_featurizer(const ps_engine *e)
{
    return &e->featurizer;
}

int ps_engine_open(ps_engine **out, const char *catalog, const ps_writes *writes,
                   const ps_progress *progress, ps_why *why)
{
    ps_generation *g;
    ps_progress_at(progress, "opening files", 0, 0, "");
    int err = ps_generation_open(&g, catalog, why);
    return err ? err : ps_engine_open_generation(out, g, writes, progress, why);
}

int ps_engine_open_generation(ps_engine **out, ps_generation *g, const ps_writes *writes,
                              const ps_progress *progress, ps_why *why)
{
    ps_engine *e = calloc(1, sizeof *e);
    if (!e) {
        ps_generation_release(g);
        return PS_ENOMEM;
    }
    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    e->g = g;
    int err = ps_progress_at(progress, "reading the index", 0, 0, "");
    if (!err)
        err = open_index(e, why);
    if (!err)
        err = open_live(e, writes, progress, why);
    if (err) {
        ps_engine_release(e);
        return err;
    }
    e->created = time_of(e->g);
    list_methods(e);
    take_sample(e);
    *out = e;
    return PS_OK;
}

ps_engine *ps_engine_acquire(ps_engine *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void ps_engine_release(ps_engine *e)
{
    if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    if (e->attached)
        ps_writer_detach(e->writes->writer, &e->live);
    ps_live_view_close(&e->live);
    ps_featurizer_close(&e->featurizer);
    ps_ann_close(e->ann);
    ps_blend_files_close(e->blend_files);
    ps_generation_release(e->g);
    pthread_mutex_destroy(&e->lock);
    free(e->popular);
    free(e);
}

ps_generation *ps_engine_generation(const ps_engine *e)
{
    return e->g;
}

const char *ps_engine_index(const ps_engine *e)
{
    return e->ann ? ps_manifest_text(e->g->manifest, PS_KEY_INDEX_FACTORY, "") : "";
}

/* ------------------------------ Popularity --------------------------------- */

uint32_t engine_keep(ps_scored *list, uint32_t n, uint32_t max, ps_scored x)
{
    if (n == max && (!n || !engine_is_better(x, list[n - 1])))
        return n;
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (engine_is_better(x, list[mid]))
            high = mid;
        else
            low = mid + 1;
    }
    n = n < max ? n + 1 : n;
    memmove(list + low + 1, list + low, (n - 1 - low) * sizeof x);
    list[low] = x;
    return n;
}

static int make_popular(ps_engine *e)
{
    const ps_csr *m = &e->g->graph.pin_boards;
    e->popular = malloc(ENGINE_POPULAR * sizeof *e->popular);
    if (!e->popular)
        return PS_ENOMEM;
    for (uint32_t row = 0; row < m->rows; row++) {
        ps_scored x = {row, (float)ps_csr_degree(m, row)};
        e->n_popular = engine_keep(e->popular, e->n_popular, ENGINE_POPULAR, x);
    }
    return PS_OK;
}

int engine_popular(ps_engine *e, const ps_scored **list, uint32_t *n)
{
    pthread_mutex_lock(&e->lock);
    int err = e->popular ? PS_OK : make_popular(e);
    *list = e->popular;
    *n = e->n_popular;
    pthread_mutex_unlock(&e->lock);
    return err;
}
