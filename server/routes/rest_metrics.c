/* rest_metrics.c - gathers what the page of metrics tells.
 *
 * Threads: see rest.h.
 */
#include "pinsage/overlay.h"
#include "server/live/view.h"
#include "server/routes/health.h"
#include "server/routes/metrics.h"
#include "server/routes/rest.h"
#include "server/state/compaction.h"
#include "server/state/recall.h"

static struct ps_engine_facts engine_facts(const ps_engine *e)
{
    const ps_generation *g = ps_engine_generation(e);
    return (struct ps_engine_facts){.generation = g->name,
                                    .index = ps_engine_index(e),
                                    .number =
                                        ps_manifest_u64(g->manifest, "generation", 0),
                                    .pins = g->n_pins,
                                    .boards = g->n_boards,
                                    .edges = g->graph.pin_boards.edges};
}

static void add_view(struct ps_live_facts *f, const ps_engine *e)
{
    ps_view_counts v = ps_view_count(ps_engine_view(e));
    f->version = v.version;
    f->pins = v.pins;
    f->boards = v.boards;
    f->dead = v.dead;
    f->vectors = v.delta;
    f->vector_bytes = v.bytes;
    f->edges_added = v.edges.added;
    f->edges_removed = v.edges.removed;
    f->overlay_bytes = v.edges.bytes;
}

static void add_writer(struct ps_live_facts *f, const ps_writes *w)
{
    ps_writer_counts c = ps_writer_count(w->writer);
    ps_store_counts s;
    f->there = true;
    f->writes = c.writes;
    f->refused = c.refused;
    f->failed = c.failed;
    f->batches = c.batches;
    f->again = c.embedded_again;
    f->waiting = c.waiting;
    f->stale = c.stale;
    f->stale_age = c.oldest_stale;
    f->commit_seconds = c.commit_seconds;
    f->full = c.full;
    f->trimming = c.trimming;
    if (ps_store_count(w->store, &s, NULL))
        return;
    f->records = s.pins + s.edges + s.votes;
    f->store_bytes = s.bytes;
    f->map_bytes = s.map_bytes;
    f->lsn = s.lsn;
}

void ps_rest_metrics(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_state *s = d->state;
    ps_engine *e = ps_state_engine(s);
    ps_facts facts = {.stats = s->stats,
                      .n_stats = s->n_stats,
                      .workers = s->n_workers,
                      .queue = s->opts->queue,
                      .waiting = ps_worker_pool_waiting(s->pool),
                      .ready = ps_health_is_ready(s),
                      .body_bytes = atomic_load(&s->body_bytes),
                      .draining = atomic_load(&s->draining),
                      .log_dropped = ps_log_dropped(s->log),
                      .start_time = s->start_time,
                      .certificate_until = s->tls ? ps_tls_until(s->tls) : 0,
                      .recall = ps_recall_count(s->recall),
                      .compaction = ps_compaction_count(s->compaction),
                      .reloads = atomic_load(&s->reloads),
                      .reloads_failed = atomic_load(&s->reloads_failed),
                      .source = ps_source_name,
                      .n_sources = PS_SOURCES,
                      .degraded = ps_degradation_name,
                      .n_levels = PS_DEGRADATIONS};
    if (e) {
        facts.engine = engine_facts(e);
        add_view(&facts.live, e);
    }
    if (s->writes.writer)
        add_writer(&facts.live, &s->writes);
    bool open = ps_header_names(r->header.accept, "application/openmetrics-text");
    ps_format format = open ? PS_OPENMETRICS : PS_PROMETHEUS;
    ps_metrics_write(&out->body, &facts, format);
    out->type = ps_format_type[format];
    ps_engine_release(e);
}
