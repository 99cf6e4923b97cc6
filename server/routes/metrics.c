/* metrics.c - the table of metrics, and its text.
 *
 * A row is a counter summed over loops and workers, a function of what was looked at, or
 * one that writes a family with labels. Text 0.0.4 and OpenMetrics differ in little:
 * the latter takes the suffix off a family's name and ends with "# EOF".
 *
 * Threads: see metrics.h.
 */
#include "server/routes/metrics.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server/base/process.h"
#include "server/routes/routes.h"

const char *const ps_format_type[] = {
    [PS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
    [PS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/* ------------------------------ The page ----------------------------------- */

typedef struct page {
    ps_buf *out;
    const ps_scrape *found;
    ps_format format;
} page;

static uint64_t sum_at(const ps_scrape *s, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->state->n_stats; i++)
        sum += ps_count_get(
            (const ps_count *)(const void *)((const char *)&s->state->stats[i] + offset));
    return sum;
}

#define SUM(field) sum_at(s, offsetof(ps_stats, field))

static void write_requests(const page *p, const char *name)
{
    for (unsigned r = 0; ps_route_at(r); r++)
        for (unsigned i = 0; i < PS_STATUSES; i++) {
            uint64_t n = sum_at(p->found, offsetof(ps_stats, requests[r][i]));
            if (!n)
                continue;
            ps_buf_printf(p->out, "%s{method=\"%s\",route=\"%s\",code=\"", name,
                          ps_verb_name(ps_route_at(r)->verb), ps_route_at(r)->path);
            ps_buf_u64(p->out, i < PS_STATUSES - 1 ? ps_counted_status[i] : 0);
            ps_buf_printf(p->out, "\"} %llu\n", (unsigned long long)n);
        }
}

static void write_hist(const page *p, const char *name, const char *label, size_t offset)
{
    uint64_t total = 0;
    const char *comma = *label ? "," : "";
    for (unsigned i = 0; i <= PS_BUCKETS; i++) {
        total += sum_at(p->found, offset + offsetof(ps_hist, bucket[i]));
        ps_buf_printf(p->out, "%s_bucket{%s%sle=\"", name, label, comma);
        if (i < PS_BUCKETS)
            ps_buf_printf(p->out, "%.10g\"} %llu\n", ps_hist_bound[i],
                          (unsigned long long)total);
        else
            ps_buf_printf(p->out, "+Inf\"} %llu\n", (unsigned long long)total);
    }
    const char *open = *label ? "{" : "", *close = *label ? "}" : "";
    uint64_t ns = sum_at(p->found, offset + offsetof(ps_hist, ns));
    ps_buf_printf(p->out, "%s_sum%s%s%s %.9f\n", name, open, label, close,
                  (double)ns * 1e-9);
    ps_buf_printf(p->out, "%s_count%s%s%s %llu\n", name, open, label, close,
                  (unsigned long long)total);
}

static void write_latency(const page *p, const char *name)
{
    for (unsigned r = 0; ps_route_at(r); r++) {
        uint64_t n = 0;
        for (unsigned i = 0; i < PS_STATUSES; i++)
            n += sum_at(p->found, offsetof(ps_stats, requests[r][i]));
        if (!n)
            continue;
        char label[160];
        snprintf(label, sizeof label, "method=\"%s\",route=\"%s\"",
                 ps_verb_name(ps_route_at(r)->verb), ps_route_at(r)->path);
        write_hist(p, name, label, offsetof(ps_stats, latency[r]));
    }
}

static void write_ranking(const page *p, const char *name)
{
    write_hist(p, name, "", offsetof(ps_stats, ranking));
}

static void write_queued(const page *p, const char *name)
{
    write_hist(p, name, "", offsetof(ps_stats, queued));
}

/* The same method may have another number in each thread: added up by name, told once,
 * at the first that has it. */
static uint64_t sum_answers(const ps_state *f, const char *method, unsigned source)
{
    uint64_t sum = 0;
    for (unsigned l = 0; l < f->n_stats; l++) {
        unsigned n = atomic_load_explicit(&f->stats[l].n_methods, memory_order_acquire);
        for (unsigned i = 0; i < n; i++)
            if (strcmp(f->stats[l].method[i].name, method) == 0)
                sum += ps_count_get(&f->stats[l].method[i].answers[source]);
    }
    return sum;
}

static bool seen_before(const ps_state *f, unsigned loop, const char *method)
{
    for (unsigned l = 0; l < loop; l++) {
        unsigned n = atomic_load_explicit(&f->stats[l].n_methods, memory_order_acquire);
        for (unsigned i = 0; i < n; i++)
            if (strcmp(f->stats[l].method[i].name, method) == 0)
                return true;
    }
    return false;
}

_Static_assert((int)PS_DEGRADATIONS <= PS_DEGRADATIONS_MAX, "each has a counter");

static void write_levels(const page *p, const char *name)
{
    const ps_state *f = p->found->state;
    for (unsigned i = 0; i < PS_DEGRADATIONS; i++) {
        uint64_t sum = 0;
        for (unsigned l = 0; l < f->n_stats; l++)
            sum += ps_count_get(&f->stats[l].degraded[i]);
        if (*ps_degradation_name[i])
            ps_buf_printf(p->out, "%s{level=\"%s\"} %llu\n", name, ps_degradation_name[i],
                          (unsigned long long)sum);
    }
}

static void write_answers(const page *p, const char *name)
{
    const ps_state *f = p->found->state;
    for (unsigned l = 0; l < f->n_stats; l++) {
        unsigned n = atomic_load_explicit(&f->stats[l].n_methods, memory_order_acquire);
        for (unsigned i = 0; i < n; i++) {
            const char *method = f->stats[l].method[i].name;
            for (unsigned s = 0; s < PS_SOURCES && !seen_before(f, l, method); s++) {
                uint64_t answers = sum_answers(f, method, s);
                if (!answers)
                    continue;
                ps_buf_printf(p->out, "%s{method=", name);
                ps_buf_json(p->out, method, strlen(method));
                ps_buf_printf(p->out, ",source=\"%s\"} %llu\n", ps_source_name[s],
                              (unsigned long long)answers);
            }
        }
    }
}

static void write_build(const page *p, const char *name)
{
    ps_buf_printf(p->out, "%s{version=\"%s\"} 1\n", name, ps_version());
}

static void write_generation(const page *p, const char *name)
{
    const ps_scrape *s = p->found;
    if (!s->generation)
        return;
    ps_buf_printf(p->out, "%s{generation=\"%s\",index=", name, s->generation->name);
    ps_buf_json(p->out, s->index, strlen(s->index));
    ps_buf_text(p->out, "} 1\n");
}

/* ------------------------------ The table ---------------------------------- */

typedef struct row {
    const char *name, *type, *help;
    size_t sum; /* offset + 1 of a counter */
    double (*value)(const ps_scrape *s);
    void (*write)(const page *p, const char *name);
} row;

#define VALUE(function, expression)                                                      \
    static double function(const ps_scrape *s)                                           \
    {                                                                                    \
        return (double)(expression);                                                     \
    }
#define GENERATION(member) (s->generation ? s->generation->member : 0)
VALUE(in_flight, SUM(started) - SUM(finished))
VALUE(connections, SUM(accepted) - SUM(closed))
VALUE(body_bytes, atomic_load(&s->state->body_bytes))
VALUE(workers, s->state->n_workers)
VALUE(busy, SUM(jobs_begun) - SUM(jobs_done))
VALUE(queue, s->state->opts->queue)
VALUE(waiting, ps_worker_pool_waiting(s->state->pool))
VALUE(is_ready, s->ready)
VALUE(is_draining, atomic_load(&s->state->draining))
VALUE(log_dropped, ps_log_dropped(s->state->log))
VALUE(certificate_end, s->state->tls ? ps_tls_until(s->state->tls) : 0)
VALUE(generation, s->number)
VALUE(pins, GENERATION(n_pins))
VALUE(boards, GENERATION(n_boards))
VALUE(edges, GENERATION(graph.pin_boards.edges))
VALUE(live_version, s->view.version)
VALUE(live_pins, s->view.pins)
VALUE(live_boards, s->view.boards)
VALUE(live_dead, s->view.dead)
VALUE(live_vectors, s->view.delta)
VALUE(live_vector_bytes, s->view.bytes)
VALUE(live_unfit, s->view.unfit)
VALUE(dropped, s->compaction.dropped)
VALUE(live_added, s->view.edges.added)
VALUE(live_removed, s->view.edges.removed)
VALUE(live_overlay_bytes, s->view.edges.bytes)
VALUE(live_lsn, s->store.lsn)
VALUE(writes, s->writer.writes)
VALUE(writes_refused, s->writer.refused)
VALUE(writes_failed, s->writer.failed)
VALUE(writes_waiting, s->writer.waiting)
VALUE(commits, s->writer.batches)
VALUE(commit_seconds, s->writer.commit_seconds)
VALUE(again, s->writer.embedded_again)
VALUE(stale, s->writer.stale)
VALUE(stale_age, s->writer.oldest_stale)
VALUE(store_records, s->store.pins + s->store.edges + s->store.votes)
VALUE(store_bytes, s->store.bytes)
VALUE(store_map, s->store.map_bytes)
VALUE(store_full, s->writer.full)
VALUE(compactions, s->compaction.compactions)
VALUE(compactions_failed, s->compaction.failed)
VALUE(compact_seconds, s->compaction.seconds)
VALUE(is_compaction, s->compaction.running)
VALUE(is_trimming, s->writer.trimming)
VALUE(recall_sampled, s->recall.sampled)
VALUE(recall_hits, s->recall.hits)
VALUE(recall_wanted, s->recall.wanted)
VALUE(recall, s->recall.recall)
VALUE(files_damaged, s->files.damaged)
VALUE(files_read, s->files.bytes)
VALUE(are_files_checked, s->files.done)
VALUE(reloads, atomic_load(&s->state->reloads))
VALUE(reloads_failed, atomic_load(&s->state->reloads_failed))
VALUE(reloads_fewer, atomic_load(&s->state->reloads_fewer))
VALUE(fallen_back, atomic_load(&s->state->fallen_back))
VALUE(cpu, s->process.cpu_seconds)
VALUE(started, s->state->start_time)
VALUE(resident, s->process.resident)
VALUE(resident_anon, s->process.resident_anon)
VALUE(resident_file, s->process.resident_file)
VALUE(virtual, s->process.virtual)
VALUE(open_fds, s->process.open_fds)
VALUE(max_fds, s->process.max_fds)
VALUE(major_faults, s->process.major_faults)
VALUE(threads, s->process.threads)

#define SUMMED(field) .sum = offsetof(ps_stats, field) + 1
static const row rows[] = {
    {"pinsage_http_requests_total", "counter", "Requests answered.",
     .write = write_requests},
    {"pinsage_http_request_duration_seconds", "histogram",
     "From the request line to the last byte of the answer.", .write = write_latency},
    {"pinsage_http_requests_in_flight", "gauge", "Requests being answered.",
     .value = in_flight},
    {"pinsage_http_refused_total", "counter", "Requests that broke a rule of HTTP.",
     SUMMED(refused)},
    {"pinsage_http_request_body_bytes_total", "counter", "Bodies received.",
     SUMMED(bytes_in)},
    {"pinsage_http_request_bodies_held_bytes", "gauge",
     "Request bodies in memory, of which --body-memory is the most.",
     .value = body_bytes},
    {"pinsage_http_request_bodies_refused_total", "counter",
     "Requests whose body found no memory left.", SUMMED(bodies_refused)},
    {"pinsage_http_response_body_bytes_total", "counter", "Bodies sent.",
     SUMMED(bytes_out)},
    {"pinsage_connections", "gauge", "Connections open.", .value = connections},
    {"pinsage_connections_accepted_total", "counter", "Connections accepted.",
     SUMMED(accepted)},
    {"pinsage_connections_timed_out_total", "counter",
     "Connections closed because a request or an answer took too long to pass.",
     SUMMED(timed_out)},
    {"pinsage_answers_total", "counter", "Rankings, by method and source of the vector.",
     .write = write_answers},
    {"pinsage_ranking_duration_seconds", "histogram",
     "Time of one ranking inside the engine.", .write = write_ranking},
    {"pinsage_answers_cheaper_total", "counter",
     "Answers made cheaper because time was short, by how.", .write = write_levels},
    {"pinsage_cache_hits_total", "counter", "Answers taken ready from the cache.",
     SUMMED(cache_hits)},
    {"pinsage_cache_misses_total", "counter", "Answers that were not in the cache.",
     SUMMED(cache_misses)},
    {"pinsage_cache_evicted_total", "counter", "Answers that made room for others.",
     SUMMED(cache_evicted)},
    {"pinsage_cache_entries", "gauge", "Answers in the cache.", SUMMED(cache_entries)},
    {"pinsage_cache_bytes", "gauge", "Memory of the cache.", SUMMED(cache_bytes)},
    {"pinsage_workers", "gauge", "Threads for requests that are no lookup.",
     .value = workers},
    {"pinsage_workers_busy", "gauge", "Workers with a request.", .value = busy},
    {"pinsage_queue_limit", "gauge", "Requests that may wait for a worker.",
     .value = queue},
    {"pinsage_queue_length", "gauge", "Requests that wait for a worker.",
     .value = waiting},
    {"pinsage_queue_wait_seconds", "histogram", "Time until a worker took a request.",
     .write = write_queued},
    {"pinsage_queue_refused_total", "counter",
     "Requests refused because too many were waiting.", SUMMED(jobs_refused)},
    {"pinsage_queue_expired_total", "counter",
     "Requests whose deadline passed while they waited for a worker.", SUMMED(jobs_late)},
    {"pinsage_ready", "gauge", "1 when the server is ready.", .value = is_ready},
    {"pinsage_draining", "gauge", "1 when the server is on its way out.",
     .value = is_draining},
    {"pinsage_log_dropped_total", "counter", "Log lines that nobody was quick to read.",
     .value = log_dropped},
    {"pinsage_certificate_end_seconds", "gauge",
     "End of the TLS certificate in use, in Unix time; 0 without TLS.",
     .value = certificate_end},
    {"pinsage_loop_ticks_total", "counter", "Turns of the loops' timers.", SUMMED(ticks)},
    {"pinsage_generation_number", "gauge", "Number of the generation served.",
     .value = generation},
    {"pinsage_generation_info", "gauge", "The generation served.",
     .write = write_generation},
    {"pinsage_pins", "gauge", "Pins of the generation.", .value = pins},
    {"pinsage_boards", "gauge", "Boards of the generation.", .value = boards},
    {"pinsage_edges", "gauge", "Saves of a pin to a board.", .value = edges},
    {"pinsage_reloads_total", "counter", "Generations put into use.", .value = reloads},
    {"pinsage_reloads_failed_total", "counter",
     "Generations that did not open, or did not answer their test question.",
     .value = reloads_failed},
    {"pinsage_reloads_fewer_methods_total", "counter",
     "Of those that failed, generations that answer by fewer methods than the one in "
     "use.",
     .value = reloads_fewer},
    {"pinsage_generation_fallback", "gauge",
     "1 while an older generation is served, as `current` waits for a step of an update.",
     .value = fallen_back},
    {"pinsage_compactions_total", "counter", "Generations made of live writes.",
     .value = compactions},
    {"pinsage_compactions_failed_total", "counter", "Compactions that came to nothing.",
     .value = compactions_failed},
    {"pinsage_compaction_running", "gauge", "1 while one is under way.",
     .value = is_compaction},
    {"pinsage_compaction_seconds", "gauge", "Time that the last one took.",
     .value = compact_seconds},
    {"pinsage_compact_dropped_vectors_total", "counter",
     "Vectors that were written, fitted no block, and went with a compaction.",
     .value = dropped},
    {"pinsage_live_trimming", "gauge",
     "1 while records that a generation contains are removed.", .value = is_trimming},
    {"pinsage_files_damaged", "gauge",
     "Files of the generation that are not what its manifest says.",
     .value = files_damaged},
    {"pinsage_files_checked", "gauge", "1 once all of its files were read.",
     .value = are_files_checked},
    {"pinsage_files_read_bytes_total", "counter",
     "Bytes of files that were read against their checksums.", .value = files_read},
    {"pinsage_recall_samples_total", "counter",
     "Live questions that were answered exactly as well.", .value = recall_sampled},
    {"pinsage_recall_wanted_total", "counter", "Pins in their exact answers.",
     .value = recall_wanted},
    {"pinsage_recall_hits_total", "counter", "Those that the index found.",
     .value = recall_hits},
    {"pinsage_recall_at_10", "gauge", "Recall of the last samples; NaN before the first.",
     .value = recall},
    {"pinsage_live_version", "gauge", "Grows whenever an answer may change.",
     .value = live_version},
    {"pinsage_live_pins", "gauge", "Pins that only live writes know.",
     .value = live_pins},
    {"pinsage_live_boards", "gauge", "Boards that only live writes know.",
     .value = live_boards},
    {"pinsage_live_tombstones", "gauge", "Pins deleted since the generation.",
     .value = live_dead},
    {"pinsage_live_vectors", "gauge", "Embeddings beside the index.",
     .value = live_vectors},
    {"pinsage_live_vector_bytes", "gauge", "Memory of vectors beside the generation.",
     .value = live_vector_bytes},
    {"pinsage_live_unfit_vectors", "gauge",
     "Vectors that were written and fit no block of the generation.",
     .value = live_unfit},
    {"pinsage_live_edges_added", "gauge", "Saves since the generation.",
     .value = live_added},
    {"pinsage_live_edges_removed", "gauge", "Unsaves since the generation.",
     .value = live_removed},
    {"pinsage_live_overlay_bytes", "gauge", "Memory of live edges.",
     .value = live_overlay_bytes},
    {"pinsage_live_lsn", "gauge", "Number of the last write.", .value = live_lsn},
    {"pinsage_writes_total", "counter", "Writes made durable.", .value = writes},
    {"pinsage_writes_failed_total", "counter", "Writes that came to nothing.",
     .value = writes_failed},
    {"pinsage_writes_refused_total", "counter", "Writes that found the queue full.",
     .value = writes_refused},
    {"pinsage_writes_waiting", "gauge", "Writes in the queue.", .value = writes_waiting},
    {"pinsage_commits_total", "counter", "Groups of writes.", .value = commits},
    {"pinsage_commit_seconds_total", "counter",
     "Time of write batches, from judging to embedding.", .value = commit_seconds},
    {"pinsage_reembedded_total", "counter",
     "Pins embedded anew after their boards changed.", .value = again},
    {"pinsage_reembed_queue_length", "gauge", "Pins that wait to be embedded anew.",
     .value = stale},
    {"pinsage_reembed_oldest_seconds", "gauge", "How long the first of them has waited.",
     .value = stale_age},
    {"pinsage_store_records", "gauge", "Records of live writes on disk.",
     .value = store_records},
    {"pinsage_store_bytes", "gauge", "Size of the live store.", .value = store_bytes},
    {"pinsage_store_map_bytes", "gauge", "Address space of the live store.",
     .value = store_map},
    {"pinsage_store_full", "gauge", "1 when the last commit found no room.",
     .value = store_full},
    {"pinsage_build_info", "gauge", "The program.", .write = write_build},
    {"pinsage_resident_anon_bytes", "gauge", "Resident memory that is no file's.",
     .value = resident_anon},
    {"pinsage_resident_file_bytes", "gauge", "Resident memory of mapped files.",
     .value = resident_file},
    {"process_cpu_seconds_total", "counter", "User and system time.", .value = cpu},
    {"process_start_time_seconds", "gauge", "Start, in Unix time.", .value = started},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", .value = resident},
    {"process_virtual_memory_bytes", "gauge", "Mapped addresses.", .value = virtual},
    {"process_open_fds", "gauge", "Open file descriptors.", .value = open_fds},
    {"process_max_fds", "gauge", "Limit of file descriptors.", .value = max_fds},
    {"process_threads", "gauge", "Threads.", .value = threads},
    {"process_major_page_faults_total", "counter", "Pages that had to be read from disk.",
     .value = major_faults},
};

/* ------------------------------ Writing ------------------------------------ */

static void write_head(const page *p, const row *r)
{
    size_t len = strlen(r->name);
    const char *type = r->type;
    if (p->format == PS_OPENMETRICS) {
        bool info = len > 5 && strcmp(r->name + len - 5, "_info") == 0;
        if (info)
            type = "info";
        len -= info ? 5 : strcmp(r->type, "counter") == 0 ? 6 : 0;
    }
    ps_buf_printf(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, r->name, r->help,
                  (int)len, r->name, type);
}

static void write_number(ps_buf *out, const char *name, double value)
{
    if (isnan(value))
        ps_buf_printf(out, "%s NaN\n", name); /* as both formats spell it */
    else
        ps_buf_printf(out, "%s %.17g\n", name, value);
}

void ps_metrics_write(ps_buf *out, const ps_scrape *s, ps_format format)
{
    page p = {out, s, format};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        write_head(&p, r);
        if (r->write)
            r->write(&p, r->name);
        else if (r->value)
            write_number(out, r->name, r->value(s));
        else
            ps_buf_printf(out, "%s %llu\n", r->name,
                          (unsigned long long)sum_at(s, r->sum - 1));
    }
    if (format == PS_OPENMETRICS)
        ps_buf_text(out, "# EOF\n");
}
