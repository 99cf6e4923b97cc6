/* metrics.h - the page that Prometheus reads.
 *
 * The list of metrics is one table (metrics.c).
 *
 * Threads: any.
 * Not here: counting (server/base/counters.h), the handler, which looks (rest_metrics.c).
 */
#ifndef PINSAGE_SERVER_ROUTES_METRICS_H
#define PINSAGE_SERVER_ROUTES_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/generation.h"
#include "server/base/process.h"
#include "server/live/store.h"
#include "server/live/view.h"
#include "server/live/writer.h"
#include "server/state/compaction.h"
#include "server/state/file_check.h"
#include "server/state/recall.h"
#include "server/state/state.h"

/* What is looked at once for a page, so that its numbers fit each other. A row is a
 * function of it; what the state has itself is read there. */
typedef struct ps_scrape {
    ps_state *state;
    const ps_generation *generation; /* borrowed; NULL: nothing is loaded */
    const char *index;               /* "IVF1024,SQ8", "" for none */
    uint64_t number;                 /* of the generation */
    bool ready;
    ps_process process;
    /* Zero where there is no engine, or nothing can be written. */
    ps_view_counts view;
    ps_writer_counts writer;
    ps_store_counts store;
    ps_compaction_counts compaction;
    ps_recall_counts recall;
    ps_file_check_counts files;
} ps_scrape;

typedef enum ps_format { PS_PROMETHEUS, PS_OPENMETRICS } ps_format;
extern const char *const ps_format_type[]; /* content types */

void ps_metrics_write(ps_buf *out, const ps_scrape *s, ps_format format);

#endif
