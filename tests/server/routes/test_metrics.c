/* test_metrics.c - what was counted, by whichever loop, stands in the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/routes/metrics.h"
#include "server/routes/routes.h"

static ps_stats stats[2];
static ps_serve_opts opts;
static ps_state server = {.opts = &opts, .stats = stats, .n_stats = 2};
static ps_buf page;

static void write_page(ps_format format)
{
    ps_generation generation = {
        .name = "gen-000002", .n_pins = 10, .n_boards = 3, .graph.pin_boards.edges = 20};
    ps_scrape found = {.state = &server,
                       .generation = &generation,
                       .index = "IVF16,\"SQ8",
                       .number = 2,
                       .ready = true};
    ps_buf_clear(&page);
    ps_metrics_write(&page, &found, format);
    assert_false(page.failed);
}

/* True if the line stands in the page. */
static bool has(const char *line)
{
    char text[400];
    snprintf(text, sizeof text, "\n%s\n", line);
    return strstr(page.data, text) != NULL;
}

static unsigned route_of(const char *path)
{
    unsigned i = 0;
    while (ps_route_at(i) && strcmp(ps_route_at(i)->path, path) != 0)
        i++;
    return i;
}

static void counters_of_all_loops_are_added_up(void **state)
{
    (void)state;
    unsigned route = route_of("/related/{pin}");
    ps_count_add(&stats[0].accepted, 3);
    ps_count_add(&stats[1].accepted, 4);
    ps_count_add(&stats[1].closed, 2);
    for (unsigned i = 0; i < 5; i++)
        ps_stats_request(&stats[i % 2], route, i ? 200 : 418, 200000);
    write_page(PS_PROMETHEUS);
    assert_true(has("pinsage_connections_accepted_total 7"));
    assert_true(has("pinsage_connections 5"));
    const char *family = "pinsage_http_requests_total{method=\"GET\",route=\"/related/"
                         "{pin}\",code=\"%u\"} %u";
    char line[200];
    snprintf(line, sizeof line, family, 200u, 4u);
    assert_true(has(line));
    snprintf(line, sizeof line, family, 0u, 1u); /* a status that is not in the list */
    assert_true(has(line));
    assert_true(has("pinsage_ready 1"));
    assert_true(has("pinsage_edges 20"));
    assert_true(has("pinsage_generation_info{generation=\"gen-000002\",index=\"IVF16,"
                    "\\\"SQ8\"} 1"));
}

static void a_histogram_is_cumulative_and_sums(void **state)
{
    (void)state;
    static const uint64_t ns[] = {0, 50000, 50001, 900000, 20000000000};
    for (int i = 0; i < 5; i++)
        ps_hist_add(&stats[i % 2].ranking, ns[i]);
    write_page(PS_PROMETHEUS);
    assert_true(has("pinsage_ranking_duration_seconds_bucket{le=\"5e-05\"} 2"));
    assert_true(has("pinsage_ranking_duration_seconds_bucket{le=\"0.0001\"} 3"));
    assert_true(has("pinsage_ranking_duration_seconds_bucket{le=\"0.001\"} 4"));
    assert_true(has("pinsage_ranking_duration_seconds_bucket{le=\"10\"} 4"));
    assert_true(has("pinsage_ranking_duration_seconds_bucket{le=\"+Inf\"} 5"));
    assert_true(has("pinsage_ranking_duration_seconds_count 5"));
    assert_true(has("pinsage_ranking_duration_seconds_sum 20.001000001"));
}

static void answers_are_counted_by_name_whatever_their_number(void **state)
{
    (void)state;
    unsigned a = ps_stats_method(&stats[0], "visual");
    unsigned b = ps_stats_method(&stats[1], "pixie");
    unsigned c = ps_stats_method(&stats[1], "visual");
    assert_int_equal(ps_stats_method(&stats[1], "visual"), c);
    assert_int_not_equal(b, c);
    ps_count_add(&stats[0].method[a].answers[PS_STORED], 2);
    ps_count_add(&stats[1].method[c].answers[PS_STORED], 3);
    ps_count_add(&stats[1].method[b].answers[PS_FALLBACK], 1);
    write_page(PS_PROMETHEUS);
    assert_true(has("pinsage_answers_total{method=\"visual\",source=\"stored\"} 5"));
    assert_true(has("pinsage_answers_total{method=\"pixie\",source=\"fallback\"} 1"));
    const char *first = strstr(page.data, "{method=\"visual\",source=\"stored\"}");
    assert_null(strstr(first + 1, "{method=\"visual\",source=\"stored\"}"));
}

static void more_methods_than_room_share_the_last_place(void **state)
{
    (void)state;
    static ps_stats many;
    char name[80];
    memset(name, 'n', sizeof name);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "method-%d", i);
        assert_in_range(ps_stats_method(&many, name), 0, PS_METHODS_MAX - 1);
    }
    static ps_stats few;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    unsigned n = ps_stats_method(&few, name); /* longer than its place */
    assert_int_equal(ps_stats_method(&few, name), n);
}

static void openmetrics_names_families_without_their_suffix(void **state)
{
    (void)state;
    write_page(PS_OPENMETRICS);
    assert_true(has("# TYPE pinsage_cache_hits counter"));
    assert_true(has("# TYPE pinsage_build info"));
    assert_non_null(strstr(page.data, "\npinsage_cache_hits_total 0\n"));
    assert_string_equal(page.data + page.size - 6, "# EOF\n");
    write_page(PS_PROMETHEUS);
    assert_true(has("# TYPE pinsage_cache_hits_total counter"));
    assert_null(strstr(page.data, "# EOF"));
}

static void numbers_come_from_where_they_are_kept(void **state)
{
    (void)state;
    opts.queue = 77;
    server.n_workers = 3;
    atomic_store(&server.reloads, 5);
    atomic_store(&server.draining, true);
    ps_scrape found = {.state = &server,
                       .index = "",
                       .view = {.pins = 11, .edges = {.added = 12}},
                       .writer = {.writes = 13, .full = true},
                       .store = {.pins = 1, .edges = 2, .votes = 4, .lsn = 14},
                       .compaction = {.compactions = 15},
                       .recall = {.recall = 0.5},
                       .process = {.open_fds = 16}};
    static const char *const lines[] = {
        "pinsage_queue_limit 77",
        "pinsage_workers 3",
        "pinsage_reloads_total 5",
        "pinsage_draining 1",
        "pinsage_live_pins 11",
        "pinsage_live_edges_added 12",
        "pinsage_writes_total 13",
        "pinsage_store_full 1",
        "pinsage_store_records 7",
        "pinsage_live_lsn 14",
        "pinsage_compactions_total 15",
        "pinsage_recall_at_10 0.5",
        "process_open_fds 16",
        "pinsage_ready 0",
        "pinsage_pins 0",
        "pinsage_queue_length 0",
    };
    ps_buf_clear(&page);
    ps_metrics_write(&page, &found, PS_PROMETHEUS);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!has(lines[i]))
            fail_msg("missing: %s", lines[i]);
    assert_null(strstr(page.data, "pinsage_generation_info{")); /* nothing is loaded */
}

static void every_family_has_help_and_type_once(void **state)
{
    (void)state;
    write_page(PS_PROMETHEUS);
    for (const char *at = page.data; (at = strstr(at, "# HELP ")); at++) {
        char text[200];
        size_t len = strcspn(at + 7, " ");
        snprintf(text, sizeof text, "# TYPE %.*s ", (int)len, at + 7);
        const char *type = strstr(page.data, text);
        assert_non_null(type);
        assert_null(strstr(type + 1, text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_of_all_loops_are_added_up),
        cmocka_unit_test(a_histogram_is_cumulative_and_sums),
        cmocka_unit_test(answers_are_counted_by_name_whatever_their_number),
        cmocka_unit_test(more_methods_than_room_share_the_last_place),
        cmocka_unit_test(openmetrics_names_families_without_their_suffix),
        cmocka_unit_test(numbers_come_from_where_they_are_kept),
        cmocka_unit_test(every_family_has_help_and_type_once),
    };
    ps_why why = {0};
    if (ps_worker_pool_start(&server.pool, (ps_worker_pool_opts){.workers = 1}, &why))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_worker_pool_stop(server.pool);
    ps_buf_done(&page);
    return failed;
}
