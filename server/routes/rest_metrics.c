/* rest_metrics.c - looks at everything once, and lets the table tell it.
 *
 * Threads: see rest.h.
 */
#include "pinsage/layout.h"
#include "server/engine/engine.h"
#include "server/routes/health.h"
#include "server/routes/metrics.h"
#include "server/routes/rest.h"

static ps_scrape look(ps_state *s, ps_engine *e)
{
    ps_scrape found = {.state = s,
                       .index = "",
                       .ready = ps_health_is_ready(s),
                       .compaction = ps_compaction_count(s->compaction),
                       .recall = ps_recall_count(s->recall),
                       .files = ps_file_check_count(s->files)};
    ps_process_read(&found.process);
    if (e) {
        found.generation = ps_engine_generation(e);
        found.index = ps_engine_index(e);
        found.number = ps_manifest_u64(found.generation->manifest, PS_KEY_GENERATION, 0);
        found.view = ps_view_count(ps_engine_view(e));
    }
    if (s->writes.writer) {
        found.writer = ps_writer_count(s->writes.writer);
        if (ps_store_count(s->writes.store, &found.store, NULL))
            found.store = (ps_store_counts){0};
    }
    return found;
}

void ps_rest_metrics(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_engine *e = ps_state_engine(d->state);
    ps_scrape found = look(d->state, e);
    bool open = ps_header_names(r->header.accept, "application/openmetrics-text");
    ps_format format = open ? PS_OPENMETRICS : PS_PROMETHEUS;
    ps_metrics_write(&out->body, &found, format);
    out->type = ps_format_type[format];
    ps_engine_release(e);
}
