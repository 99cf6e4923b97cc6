/* compact_open.c - what is compacted: an engine's view beside its writer, or one of our
 * own.
 *
 * Threads: see compact.h.
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/catalog.h"
#include "pinsage/epoch.h"
#include "pinsage/layout.h"
#include "server/compact/compact_inside.h"
#include "server/live/writer.h"

#define STALE 100000 /* of the queue; what does not fit is found again */
#define TRIM  4096   /* records looked at in one transaction */

/* ------------------------------ Beside a writer ---------------------------- */

/* Wait until the writer has embedded anew what is stale. */
static int enter(ps_engine *e, ps_epoch_slot *slot, compact_source *from,
                 const ps_progress *progress)
{
    uint32_t stale, most = 0;
    int err;
    while ((err = ps_writer_snapshot(ps_engine_writes(e)->writer, ps_engine_live(e), slot,
                                     &from->s, &from->lsn, &stale)) == PS_EBUSY) {
        most = stale > most ? stale : most;
        err = ps_progress_at(progress, "stale pins", most - stale, most, "pins");
        if (err)
            break;
    }
    return err;
}

int ps_compact_engine(ps_engine *e, const char *catalog, const ps_compact_opts *opts,
                      ps_compact_report *report, const ps_progress *progress, ps_why *why)
{
    const ps_writes *writes = ps_engine_writes(e);
    ps_epoch_slot *slot;
    compact_source from = {.view = ps_engine_view(e),
                           .featurizer = ps_engine_featurizer(e)};
    if (!writes)
        return ps_fail(why, PS_EUNSUPPORTED, catalog, 0, "nothing is written to it");
    from.store = writes->store;
    int err = ps_view_join(ps_engine_view(e), &slot);
    if (err)
        return ps_fail(why, err, catalog, 0, "no memory to compact it");
    err = enter(e, slot, &from, progress);
    if (err) {
        ps_epoch_leave(slot);
        return ps_fail(why, err, catalog, 0, "no snapshot could be taken: %s",
                       ps_strerror(err));
    }
    err = compact_source_into(catalog, from, opts, report, progress, why);
    ps_epoch_exit(slot);
    ps_epoch_leave(slot);
    return err;
}

/* ------------------------------ Without one -------------------------------- */

typedef struct alone {
    ps_generation *g;
    ps_featurizer featurizer;
    ps_store *store;
    ps_live_view live;
    ps_epoch_slot *slot;
} alone;

static int open_store(alone *a, const char *catalog, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_store_opts opts = {.step = "compact"};
    opts.compacted = ps_manifest_u64(a->g->manifest, PS_COMPACTED, 0);
    if (ps_path_in(path, catalog, PS_DIR_LIVE, why))
        return PS_ERANGE;
    if (!ps_store_exists(path))
        return PS_OK;
    int err = ps_store_open(&a->store, path, opts, why);
    if (err == PS_EBUSY) {
        ps_why refused = *why;
        ps_fail(why, err, refused.where, 0,
                "%.180s; a server compacts by POST /admin/compact", refused.text);
    }
    return err;
}

static int open_view(alone *a, const ps_progress *progress, ps_why *why)
{
    int err = ps_featurizer_open(&a->featurizer, a->g, why);
    if (!err)
        err = ps_live_view_open(&a->live, a->g, &a->featurizer, a->store, STALE, progress,
                                why);
    while (!err && (a->live.n || a->live.overflowed)) {
        int n = ps_live_view_refresh(&a->live, 64);
        err = n < 0 ? ps_fail(why, n, a->g->dir, 0, "stale pins cannot be embedded: %s",
                              ps_strerror(n))
                    : ps_progress_at(progress, "stale pins", 0, 0, "pins");
    }
    if (!err && ps_view_join(a->live.view, &a->slot))
        err = ps_fail(why, PS_ENOMEM, a->g->dir, 0, "no memory to compact it");
    return err;
}

static int compact_alone(alone *a, const char *catalog, const ps_compact_opts *opts,
                         ps_compact_report *report, const ps_progress *progress,
                         ps_why *why)
{
    int err = open_view(a, progress, why);
    if (err)
        return err;
    compact_source from = {.view = a->live.view,
                           .featurizer = &a->featurizer,
                           .store = a->store,
                           .lsn = a->live.lsn};
    ps_view_enter(a->live.view, a->slot, &from.s);
    err = compact_source_into(catalog, from, opts, report, progress, why);
    ps_epoch_exit(a->slot);
    return err;
}

static void close_all(alone *a)
{
    if (a->slot)
        ps_epoch_leave(a->slot);
    if (a->live.view)
        ps_live_view_close(&a->live);
    ps_featurizer_close(&a->featurizer);
    ps_store_close(a->store);
    ps_generation_release(a->g);
}

/* What the generation has, the store lets go of; also what an earlier compaction left. */
static int trim(alone *a, const char *catalog, const ps_compact_report *report,
                ps_why *why)
{
    ps_store_counts counts;
    uint64_t lsn = ps_catalog_compacted(catalog, report->lsn);
    bool more = true;
    int err = ps_store_count(a->store, &counts, why);
    if (!err && counts.compacted >= lsn)
        more = false;
    while (!err && more)
        err = ps_store_trim(a->store, lsn, true, TRIM, &more, why);
    if (!err && ps_store_has_garbage(a->store))
        err = ps_store_rewrite(a->store, why);
    if (!err)
        return PS_OK;
    ps_why inner = *why;
    return ps_fail(why, err, inner.where, 0,
                   "%s is made, but live/ still holds what went into it, until the next "
                   "compact or start: %.160s",
                   report->generation, inner.text);
}

int ps_compact_erase_next(const char *catalog, ps_why *why)
{
    char path[PS_PATH_MAX], name[32];
    int err = ps_catalog_next(catalog, path, why);
    return err ? (err == PS_ENOENT ? PS_OK : err)
               : ps_catalog_switch(catalog, PS_LINK_CURRENT, true, name, why);
}

static void report_generation(const alone *a, ps_compact_report *report)
{
    *report = (ps_compact_report){.nothing = true,
                                  .pins = a->g->n_pins,
                                  .boards = a->g->n_boards,
                                  .edges = a->g->graph.pin_boards.edges};
    snprintf(report->generation, sizeof report->generation, "%s", a->g->name);
}

int ps_compact_catalog(const char *catalog, const ps_compact_opts *opts,
                       ps_compact_report *report, const ps_progress *progress,
                       ps_why *why)
{
    alone a = {0};
    int err = ps_generation_open(&a.g, catalog, why);
    if (!err)
        err = open_store(&a, catalog, why);
    if (!err && !a.store)
        report_generation(&a, report);
    else if (!err)
        err = compact_alone(&a, catalog, opts, report, progress, why);
    if (!err && !opts->keep)
        err = ps_compact_erase_next(catalog, why);
    if (!err && a.store)
        err = trim(&a, catalog, report, why);
    close_all(&a);
    if (!err && !opts->keep)
        err = ps_catalog_prune(catalog, 0, why);
    return err;
}
