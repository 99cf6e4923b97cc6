/* compact.c - a draft is filled part by part, signed and committed.
 *
 *     numbers -> pins.mdb -> graph -> blocks -> neighbours -> messages, embeddings
 *     -> index -> votes -> manifest -> commit
 *
 * Threads: see compact.h. Not here: the parts (compact_names.c, compact_graph.c,
 * compact_arrays.c, compact_neighbours.c, compact_votes.c).
 */
#include "server/compact/compact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/ann.h"
#include "pinsage/clock.h"
#include "pinsage/gemm.h"
#include "pinsage/layout.h"
#include "server/compact/compact_inside.h"

/* ------------------------------ The index ---------------------------------- */

static int build_index(compaction *f)
{
    char path[PS_PATH_MAX], name[96] = PS_FILE_EMBEDDINGS;
    ps_ann_report report;
    ps_npy vectors;
    ps_ann_build_opts o = ps_ann_asked(f->g);
    if (!ps_generation_file(f->g, PS_FILE_INDEX, NULL) || !o.vectors)
        return PS_OK;
    o.threads = f->opts->threads;
    o.seed = f->opts->seed;
    if (strcmp(o.vectors, "embeddings") != 0)
        snprintf(name, sizeof name, PS_FILE_BLOCK, o.vectors);
    if (ps_path_in(path, ps_draft_dir(f->draft), name, f->why))
        return PS_ERANGE;
    int err = ps_npy_open(&vectors, path, PS_RANDOM, f->why);
    if (err)
        return err;
    err =
        ps_ann_build_in(f->draft, &vectors, o.vectors, &o, &report, f->progress, f->why);
    ps_npy_close(&vectors);
    snprintf(f->report->index, sizeof f->report->index, "%s", report.factory);
    f->report->recall_at_10 = report.recall_at_10;
    return err;
}

/* ------------------------------ The manifest ------------------------------- */

static void describe(compaction *f)
{
    ps_manifest *m = ps_draft_manifest(f->draft);
    const ps_compact_report *r = f->report;
    ps_manifest_carry(m, f->g->manifest);
    ps_manifest_set_u64(m, PS_COMPACTED, f->from.lsn);
    ps_manifest_set_u64(m, "compact.added", r->added);
    ps_manifest_set_u64(m, "compact.replaced", r->replaced);
    ps_manifest_set_u64(m, "compact.deleted", r->deleted);
    ps_manifest_set_u64(m, "compact.embedded", r->embedded);
    ps_manifest_set_u64(m, "compact.dropped", r->dropped.vectors);
    if (ps_manifest_has(m, PS_KEY_EMBEDDINGS_MODEL))
        ps_manifest_set_u64(m, PS_COMPACTIONS, ps_manifest_u64(m, PS_COMPACTIONS, 0) + 1);
}

/* ------------------------------ The whole ---------------------------------- */

/* Others may have written a generation since this one was opened. With the draft, its
 * lock is held: nobody can any more. */
static int check_current(const compaction *f, const char *catalog)
{
    char path[PS_PATH_MAX];
    int err = ps_catalog_current(catalog, path, f->why);
    const char *slash = err ? NULL : strrchr(path, '/');
    if (err || strcmp(slash ? slash + 1 : path, f->g->name) == 0)
        return err;
    return ps_fail(
        f->why, PS_EMISMATCH, catalog, 0,
        "the current generation is %.31s, and what is to be compacted belongs to "
        "%s: reload first",
        slash ? slash + 1 : path, f->g->name);
}

static int on_piece(void *cls, size_t bytes)
{
    compaction *f = cls;
    f->read += bytes;
    return ps_progress_at(f->progress, "checking files", f->read, 0, "bytes");
}

/* What is made has checksums of its own: damage must not get new ones. */
static int check_files(compaction *f)
{
    const char *name;
    int err = PS_OK;
    for (size_t i = 0; !err && (name = ps_manifest_file_at(f->g->manifest, i)); i++)
        err = ps_generation_check_file(f->g, name, on_piece, f, f->why);
    return err;
}

static int fill(compaction *f)
{
    int (*const part[])(compaction * f) = {
        check_files,    compact_number, compact_names,      compact_graph,
        compact_boards, compact_blocks, compact_neighbours, compact_vectors,
        compact_text,   compact_pairs,  build_index,        compact_votes};
    int err = ps_pins_reader_new(&f->base, f->g->pins);
    if (!err)
        err = ps_workers_new(&f->workers, f->opts->threads);
    if (err)
        return ps_fail(f->why, err, f->g->dir, 0, "no memory to compact it");
    for (size_t i = 0; i < sizeof part / sizeof *part && !err; i++)
        err = part[i](f);
    if (!err)
        describe(f);
    return err;
}

static void let_go(compaction *f)
{
    ps_pins_reader_free(f->base);
    ps_workers_free(f->workers);
    free(f->pin);
    free(f->board);
    free(f->moved);
}

static bool is_nothing(const compaction *f)
{
    return ps_manifest_u64(f->g->manifest, PS_COMPACTED, 0) == f->from.lsn;
}

static int commit(compaction *f)
{
    char name[PS_PATH_MAX] = "";
    int err = ps_draft_commit(f->draft, f->opts->keep ? f->opts->keep : 1, name, f->why);
    snprintf(f->report->generation, sizeof f->report->generation, "%.31s", name);
    return err;
}

static void tell_nothing(const compaction *f)
{
    ps_compact_report *r = f->report;
    r->nothing = true;
    r->pins = f->g->n_pins;
    r->boards = f->g->n_boards;
    r->edges = f->g->graph.pin_boards.edges;
    r->votes = ps_manifest_u64(f->g->manifest, PS_KEY_COUNT_VOTES, 0);
    snprintf(r->index, sizeof r->index, "%s",
             ps_manifest_text(f->g->manifest, PS_KEY_INDEX_FACTORY, ""));
    r->recall_at_10 = ps_manifest_real(f->g->manifest, PS_KEY_INDEX_RECALL, 0);
    snprintf(r->generation, sizeof r->generation, "%s", f->g->name);
}

int compact_source_into(const char *catalog, compact_source from,
                        const ps_compact_opts *opts, ps_compact_report *report,
                        const ps_progress *progress, ps_why *why)
{
    double began = ps_now();
    compaction f = {.from = from,
                    .opts = opts,
                    .progress = progress,
                    .why = why,
                    .report = report,
                    .g = ps_view_generation(from.view)};
    *report = (ps_compact_report){.lsn = from.lsn};
    ps_gemm_init();
    int err = ps_draft_begin(&f.draft, catalog,
                             (ps_draft_opts){.step = "compact", .serving = true}, why);
    if (!err)
        err = check_current(&f, catalog);
    if (err || is_nothing(&f)) {
        if (!err)
            tell_nothing(&f);
        ps_draft_abort(f.draft);
        return err;
    }
    err = fill(&f);
    let_go(&f);
    if (err)
        ps_draft_abort(f.draft);
    else
        err = commit(&f);
    report->seconds = ps_now() - began;
    return err;
}
