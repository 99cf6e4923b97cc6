/* import_graph.c - after the last edge: names in order, edges sorted, degrees counted.
 *
 * Names are written only now. Their tables have done their work by then, and what they
 * held is free for sorting: first the names, then, when those are gone too, the edges.
 *
 * Threads: see import_parts.h. Not here: the sorting itself (pins_write.c, core/graph),
 * counting (counts.c).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"
#include "pinsage/layout.h"
#include "pinsage/workers.h"

/* ------------------------------ Names ------------------------------------- */

typedef int (*write_fn)(ps_pins_writer *w, const ps_text *names, uint32_t n, ps_why *why);

/* Names in one list for the writer, which sorts them. Nobody looks them up any more. */
static int write_names(ps_import_job *job, const char *stage, ps_idmap *m, write_fn write)
{
    uint32_t n = m->n;
    ps_idmap_forget_slots(m);
    ps_text *names = malloc((size_t)n * sizeof *names);
    if (!names)
        return ps_fail(job->why, PS_ENOMEM, NULL, 0,
                       "no memory to sort %" PRIu32 " names", n);
    for (uint32_t i = 0; i < n; i++)
        names[i] = ps_idmap_name(m, i);
    int err = ps_progress_at(job->progress, stage, 0, n, "names");
    if (!err)
        err = write(job->writer, names, n, job->why);
    free(names);
    ps_idmap_done(m);
    return err ? err : ps_progress_at(job->progress, stage, n, n, "names");
}

int ps_import_names(ps_import_job *job)
{
    job->report->boards = job->boards.n;
    ps_idmap_forget_slots(&job->boards);
    int err = write_names(job, "sorting pins", &job->ids, ps_pins_writer_ids);
    if (!err)
        err = write_names(job, "sorting boards", &job->boards, ps_pins_writer_boards);
    return err;
}

/* ------------------------------ Arrays ------------------------------------ */

static int sort_edges(ps_import_job *job)
{
    ps_graph_stats stats = {0};
    ps_workers *workers;
    ps_graph_builder *builder = job->builder;
    int err = ps_workers_new(&workers, job->opts->threads);
    if (err)
        return ps_fail(job->why, err, NULL, 0, "no threads to sort the edges");
    job->builder = NULL; /* finishing frees it */
    err = ps_graph_builder_finish(builder, job->report->pins, job->report->boards,
                                  workers, job->progress, &stats, job->why);
    ps_workers_free(workers);
    job->report->edges = stats.edges;
    job->report->duplicates = stats.duplicates;
    return err;
}

static int count(ps_import_job *job)
{
    ps_counts c;
    ps_import_report *r = job->report;
    int err = ps_draft_count(job->draft, &c, job->why);
    if (err)
        return err;
    r->isolated = c.isolated;
    memcpy(r->pin_degree, c.pin_degree, sizeof r->pin_degree);
    memcpy(r->board_degree, c.board_degree, sizeof r->board_degree);
    return PS_OK;
}

int ps_import_graph(ps_import_job *job)
{
    static const char *const files[] = PS_GRAPH_FILES;
    int err = sort_edges(job);
    for (int i = 0; i < 4 && !err; i++)
        err = ps_draft_file_read(job->draft, files[i], job->why);
    return err ? err : count(job);
}
