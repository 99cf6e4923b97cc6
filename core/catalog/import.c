/* import.c - from a user's files to a generation, or to nothing at all.
 *
 *     look at every header -> draft -> pins -> matrices -> edges -> names -> graph
 *     -> commit
 *
 * All files are opened before the first is read, so that a misspelt name costs a second
 * and not an hour. Any failure aborts the draft: what was there before is untouched.
 *
 * Threads: see import.h. Not here: the steps (import_pins.c, import_arrays.c,
 * import_edges.c, import_graph.c).
 */
#include "pinsage/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"
#include "pinsage/file.h"
#include "pinsage/layout.h"
#include "pinsage/methods.h"

/* ------------------------------ What is asked for ------------------------- */

const char *ps_import_path(const char *path)
{
    return strcmp(path, "-") == 0 ? "/dev/stdin" : path;
}

static bool name_fits(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[len] == '\0' && len >= 1 && len <= 32 && name[0] >= 'a' && name[0] <= 'z';
}

static int check_feature(const ps_import_opts *o, size_t i, ps_why *why)
{
    const char *name = o->features[i].name;
    if (!name_fits(name))
        return ps_fail(why, PS_EINVAL, "--feature", 0,
                       "\"%.64s\" is no name for a block: lower-case letters, digits "
                       "and _, a letter first, at most 32",
                       name);
    if (ps_method_is_reserved(name))
        return ps_fail(why, PS_EINVAL, "--feature", 0,
                       "\"%s\" is the name of a method: call the block something else, "
                       "as in --feature my_%s=%.64s",
                       name, name, o->features[i].path);
    for (size_t j = 0; j < i; j++)
        if (strcmp(o->features[j].name, name) == 0)
            return ps_fail(why, PS_EINVAL, "--feature", 0, "\"%s\" is given twice", name);
    return ps_import_array_check(o->features[i].path, why);
}

static int check_opts(const ps_import_opts *o, ps_why *why)
{
    int err = PS_OK;
    if (!o->pins || !o->edges)
        return ps_fail(why, PS_EINVAL, NULL, 0, "both pins and edges are needed");
    if (strcmp(o->pins, "-") == 0 && strcmp(o->edges, "-") == 0)
        return ps_fail(why, PS_EINVAL, NULL, 0,
                       "pins and edges cannot both come from the standard input");
    err = ps_import_columns_check(o->columns, why);
    for (size_t i = 0; i < o->n_features && !err; i++)
        err = check_feature(o, i, why);
    if (!err && o->embeddings)
        err = ps_import_array_check(o->embeddings, why);
    return err;
}

/* Both files, and a look at their headers, so that a wrong one is told at once. */
static int open_files(ps_import_job *job)
{
    size_t column[2] = {0};
    const ps_import_opts *o = job->opts;
    int err = ps_tsv_open(&job->pins, ps_import_path(o->pins), 0, job->why);
    if (!err) {
        ps_tsv_rename(job->pins, o->columns);
        err = ps_tsv_need(job->pins, "pin", &column[0], job->why);
    }
    if (!err)
        err = ps_tsv_open(&job->edges, ps_import_path(o->edges), 0, job->why);
    if (!err) {
        ps_tsv_rename(job->edges, o->columns);
        err = ps_import_two_columns(job->edges, "pin", "board", column, job->why);
    }
    if (!err)
        ps_import_unused(job->edges, column, job->report->unused,
                         sizeof job->report->unused);
    job->edge_pin = column[0];
    job->edge_board = column[1];
    return err;
}

/* ------------------------------ Matrices ---------------------------------- */

static int import_feature(ps_import_job *job, const ps_import_feature *f)
{
    char name[64], key[64];
    ps_import_array_found found;
    ps_manifest *m = ps_draft_manifest(job->draft);
    snprintf(name, sizeof name, PS_FILE_BLOCK, f->name);
    int err = ps_import_array(job, name, f->path, &found);
    if (err)
        return err;
    snprintf(key, sizeof key, PS_KEY_BLOCK_DIM, f->name);
    ps_manifest_set_u64(m, key, found.dim);
    snprintf(key, sizeof key, PS_KEY_BLOCK_DTYPE, f->name);
    ps_manifest_set_text(m, key, found.dtype);
    snprintf(key, sizeof key, PS_KEY_BLOCK_FILLED, f->name);
    ps_manifest_set_u64(m, key, found.filled);
    snprintf(key, sizeof key, PS_KEY_BLOCK_SOURCE, f->name);
    ps_manifest_set_text(m, key, f->path);
    return PS_OK;
}

static int import_embeddings(ps_import_job *job)
{
    const char *path = job->opts->embeddings;
    ps_import_array_found found;
    ps_manifest *m = ps_draft_manifest(job->draft);
    job->products = true;
    int err = ps_import_array(job, PS_FILE_EMBEDDINGS, path, &found);
    job->products = false;
    if (err)
        return err;
    ps_manifest_set_text(m, PS_KEY_EMBEDDINGS_SOURCE, "import");
    ps_manifest_set_text(m, "embeddings.of", path);
    ps_manifest_set_text(m, PS_KEY_EMBEDDINGS_SIMILARITY, "ip");
    ps_manifest_set_u64(m, PS_KEY_EMBEDDINGS_DIM, found.dim);
    ps_manifest_set_text(m, "embeddings.dtype", found.dtype);
    ps_manifest_set_u64(m, PS_KEY_EMBEDDINGS_FILLED, found.filled);
    return PS_OK;
}

static int import_arrays(ps_import_job *job)
{
    int err = PS_OK;
    for (size_t i = 0; i < job->opts->n_features && !err; i++)
        err = import_feature(job, &job->opts->features[i]);
    if (!err && job->opts->embeddings)
        err = import_embeddings(job);
    return err;
}

/* ------------------------------ Counts ------------------------------------ */

static void describe(const ps_import_job *job)
{
    const ps_import_report *r = job->report;
    ps_manifest *m = ps_draft_manifest(job->draft);
    ps_manifest_set_u64(m, "counts.duplicates", r->duplicates);
    ps_manifest_set_u64(m, "counts.unknown", r->unknown);
    ps_manifest_set_text(m, "options.import.pins", job->opts->pins);
    ps_manifest_set_text(m, "options.import.edges", job->opts->edges);
    ps_manifest_set_text(m, "options.import.unknown_pins",
                         job->opts->skip_unknown ? "skip" : "error");
    if (job->opts->embeddings)
        ps_manifest_set_text(m, "options.import.embeddings", job->opts->embeddings);
}

/* ------------------------------ The whole --------------------------------- */

static int close_writer(ps_import_job *job)
{
    int err = ps_pins_writer_close(job->writer, job->why);
    job->writer = NULL;
    return err ? err : ps_draft_file_read(job->draft, PS_FILE_PINS, job->why);
}

static int fill_draft(ps_import_job *job)
{
    char path[PS_PATH_MAX];
    int err = ps_draft_path(job->draft, PS_FILE_PINS, path, job->why);
    if (!err)
        err = ps_pins_writer_new(&job->writer, path, ps_tsv_total(job->pins), job->why);
    if (!err)
        err = ps_import_pins(job);
    if (!err)
        err = import_arrays(job);
    if (!err)
        err = ps_import_edges(job);
    if (!err)
        err = ps_import_names(job);
    if (!err)
        err = close_writer(job);
    if (!err)
        err = ps_import_graph(job);
    if (!err)
        describe(job);
    job->report->pins_quoted = ps_tsv_quoted(job->pins);
    job->report->edges_quoted = ps_tsv_quoted(job->edges);
    return err;
}

static int change_catalog(ps_import_job *job, const char *catalog)
{
    ps_draft_opts opts = {
        .step = "import", .create = true, .fresh = true, .hold = job->opts->hold};
    int err = ps_draft_begin(&job->draft, catalog, opts, job->why);
    if (err)
        return err;
    err = fill_draft(job);
    /* Nothing to do for these two when all went well. */
    ps_pins_writer_abort(job->writer);
    if (job->builder)
        ps_graph_builder_abort(job->builder);
    if (err) {
        ps_draft_abort(job->draft);
        return err;
    }
    return ps_draft_commit(job->draft, job->opts->keep, job->report->generation,
                           job->why);
}

int ps_import(const char *catalog, const ps_import_opts *opts, ps_import_report *report,
              const ps_progress *progress, ps_why *why)
{
    ps_import_report own;
    ps_import_job job = {
        .opts = opts, .progress = progress, .why = why, .report = report ? report : &own};
    *job.report = (ps_import_report){0};
    int err = check_opts(opts, why);
    if (!err)
        err = open_files(&job);
    if (!err)
        err = change_catalog(&job, catalog);
    ps_idmap_done(&job.ids);
    ps_idmap_done(&job.boards);
    ps_tsv_close(job.pins);
    ps_tsv_close(job.edges);
    return err;
}
