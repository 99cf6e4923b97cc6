/* test_import.c - what goes in comes out: ids, records, graph, matrices, counts.
 *
 * Not here: input that is wrong (test_import_errors.c), failures and kills
 * (test_import_faults.c).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

static ps_import_report report;
static ps_why why;

static int import(const ps_import_opts *o)
{
    why = (ps_why){0};
    return ps_import(catalog, o, &report, NULL, &why);
}

static ps_generation *open_now(void)
{
    ps_generation *g;
    must(ps_generation_open_base(&g, catalog, &why), &why);
    return g;
}

static uint32_t row_of(ps_pins_reader *r, const char *id)
{
    return ps_pins_row(r, id, strlen(id));
}

static const char pins_text[] = "pin\ttitle\tauthor\ttext\timage\tyear\n"
                                "a\tAlpha\tAda\tfirst pin\ta.png\t1843\n"
                                "b/ü \"q\"\t\t\t\t\t\n"
                                "c\tGamma\t\tthird\t\t1900\n"
                                "d\t\tBob\t\t\t\n";
static const char edges_text[] = "pin\tboard\n"
                                 "c\tz board\n"
                                 "a\tz board\n"
                                 "a\tart\n"
                                 "c\tz board\n"
                                 "b/ü \"q\"\tart\n";

static ps_import_opts small(void)
{
    return (ps_import_opts){.pins = scratch_text("pins.tsv", pins_text),
                            .edges = scratch_text("edges.tsv", edges_text),
                            .threads = 2,
                            .keep = 1};
}

static void check_small(ps_generation *g)
{
    ps_pins_reader *r;
    ps_text name;
    assert_int_equal(g->n_pins, 4);
    assert_int_equal(g->n_boards, 2);
    must(ps_pins_reader_new(&r, g->pins), &why);
    assert_int_equal(row_of(r, "a"), 0);
    assert_int_equal(row_of(r, "b/ü \"q\""), 1);
    assert_int_equal(row_of(r, "d"), 3);
    assert_int_equal(ps_pins_board(r, "z board", 7), 0);
    assert_int_equal(ps_pins_board(r, "art", 3), 1);
    assert_int_equal(ps_pins_board_name(r, 0, &name), PS_OK);
    assert_true(ps_text_is(name, "z board"));
    ps_pins_reader_free(r);
    assert_int_equal(g->graph.pin_boards.edges, 4);
    assert_int_equal(ps_csr_degree(&g->graph.pin_boards, 0), 2);
    assert_int_equal(ps_csr_degree(&g->graph.pin_boards, 3), 0);
    assert_true(ps_csr_has(&g->graph.pin_boards, 0, 0));
    assert_true(ps_csr_has(&g->graph.board_pins, 1, 1));
    assert_false(ps_csr_has(&g->graph.board_pins, 1, 2));
    assert_int_equal(ps_graph_check(&g->graph, &why), PS_OK);
}

/* ------------------------------ The plain path ---------------------------- */

static void pins_and_edges_become_a_generation(void **state)
{
    (void)state;
    use("plain");
    must(import(&(ps_import_opts){.pins = small().pins, .edges = small().edges}), &why);
    assert_string_equal(report.generation, "gen-000001");
    assert_string_equal(listing(), "current gen-000001 lock");
    ps_generation *g = open_now();
    check_small(g);
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
}

static void other_columns_are_kept_as_metadata(void **state)
{
    (void)state;
    ps_import_opts o = small();
    ps_pins_reader *r;
    ps_pin pin;
    ps_text name, value;
    size_t at = 0;
    use("meta");
    must(import(&o), &why);
    ps_generation *g = open_now();
    must(ps_pins_reader_new(&r, g->pins), &why);
    assert_int_equal(ps_pins_get(r, 0, &pin), PS_OK);
    assert_true(ps_text_is(pin.title, "Alpha") && ps_text_is(pin.text, "first pin"));
    assert_true(ps_text_is(pin.image, "a.png"));
    assert_int_equal(pin.n_meta, 2);
    assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 1);
    assert_true(ps_text_is(name, "author") && ps_text_is(value, "Ada"));
    assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 1);
    assert_true(ps_text_is(name, "year") && ps_text_is(value, "1843"));
    assert_int_equal(ps_pin_meta(&pin, &at, &name, &value), 0);
    assert_int_equal(ps_pins_get(r, 1, &pin), PS_OK);
    assert_int_equal(pin.n_meta, 0);
    ps_pins_reader_free(r);
    ps_generation_release(g);
}

static void the_report_and_the_manifest_tell_what_was_found(void **state)
{
    (void)state;
    ps_import_opts o = small();
    use("report");
    must(import(&o), &why);
    assert_int_equal(report.pins, 4);
    assert_int_equal(report.boards, 2);
    assert_int_equal(report.edges, 4);
    assert_int_equal(report.duplicates, 1);
    assert_int_equal(report.isolated, 1);
    assert_int_equal(report.unknown, 0);
    const uint32_t pin_degree[] = {0, 1, 1, 1, 2}, board_degree[] = {2, 2, 2, 2, 2};
    assert_memory_equal(report.pin_degree, pin_degree, sizeof pin_degree);
    assert_memory_equal(report.board_degree, board_degree, sizeof board_degree);
    ps_generation *g = open_now();
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.pins", 0), 4);
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.boards", 0), 2);
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.edges", 0), 4);
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.duplicates", 0), 1);
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.isolated", 9), 1);
    assert_int_equal(ps_manifest_u64(g->manifest, "degrees.boards_of_pin.p100", 0), 2);
    assert_string_equal(ps_manifest_text(g->manifest, "options.import.unknown_pins", ""),
                        "error");
    assert_string_equal(ps_manifest_text(g->manifest, "step", ""), "import");
    ps_generation_release(g);
}

static void gzip_and_pipes_are_read_like_files(void **state)
{
    (void)state;
    ps_import_opts o = small();
    ps_generation *g;
    o.pins = gzip_file("pins.tsv.gz", pins_text, 0);
    o.edges = gzip_file("edges.data", edges_text, 0);
    use("gzip");
    must(import(&o), &why);
    g = open_now();
    check_small(g);
    ps_generation_release(g);

    int end[2], old = dup(0);
    assert_int_equal(pipe(end), 0);
    assert_int_equal(write(end[1], edges_text, strlen(edges_text)), strlen(edges_text));
    close(end[1]);
    dup2(end[0], 0);
    close(end[0]);
    o.edges = "-";
    use("pipe");
    int err = import(&o);
    dup2(old, 0);
    close(old);
    must(err, &why);
    g = open_now();
    check_small(g);
    ps_generation_release(g);
}

static void columns_may_stand_in_any_order(void **state)
{
    (void)state;
    ps_import_opts o = {
        .pins = scratch_text("p.tsv", "text\tpin\nwords\ta\n\tb\n"),
        .edges = scratch_text("e.tsv", "board\tpin\r\nx\tb\r\nx\ta"),
    };
    use("order");
    must(import(&o), &why);
    assert_int_equal(report.pins, 2);
    assert_int_equal(report.boards, 1);
    assert_int_equal(report.edges, 2);
}

static void unknown_pins_can_be_skipped_and_make_no_board(void **state)
{
    (void)state;
    ps_import_opts o = small();
    o.edges = scratch_text("e.tsv", "pin\tboard\nzz\tonly\na\tart\nyy\tart\n");
    o.skip_unknown = true;
    use("skip");
    must(import(&o), &why);
    assert_int_equal(report.unknown, 2);
    assert_int_equal(report.boards, 1);
    assert_int_equal(report.edges, 1);
    ps_generation *g = open_now();
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.unknown", 0), 2);
    ps_generation_release(g);
}

static void importing_again_starts_afresh_and_keeps_the_old(void **state)
{
    (void)state;
    const float vector[] = {1, 0, 0, 1, 1, 1, 2, 2};
    ps_import_opts o = small();
    ps_import_feature f = {"visual", npy_file("v.npy", PS_F32, 4, 2, vector)};
    o.features = &f;
    o.n_features = 1;
    use("again");
    must(import(&o), &why);
    o = small();
    must(import(&o), &why);
    assert_string_equal(report.generation, "gen-000002");
    assert_string_equal(listing(), "current gen-000001 gen-000002 lock");
    ps_generation *g = open_now();
    assert_int_equal(g->n_blocks, 0);
    assert_false(ps_manifest_has(g->manifest, "blocks.visual"));
    ps_generation_release(g);
}

static void the_same_input_makes_the_same_files(void **state)
{
    (void)state;
    ps_import_opts o = small();
    uint64_t hash[2][5];
    const char *files[] = {"pins.mdb", "graph/pin_boards.indptr.npy",
                           "graph/pin_boards.indices.npy", "graph/board_pins.indptr.npy",
                           "graph/board_pins.indices.npy"};
    for (int i = 0; i < 2; i++) {
        use(i ? "same1" : "same0");
        o.threads = i ? 1 : 2;
        must(import(&o), &why);
        ps_generation *g = open_now();
        for (int j = 0; j < 5; j++)
            assert_true(ps_manifest_file(g->manifest, files[j], NULL, &hash[i][j]));
        ps_generation_release(g);
    }
    assert_memory_equal(hash[0], hash[1], sizeof hash[0]);
}

/* ------------------------------ Matrices ---------------------------------- */

static void matrices_are_copied_to_the_bit(void **state)
{
    (void)state;
    const float visual[] = {1, -2, 3, 0, -0.0f, 0, 4, 5, 6, 7, 8, 1e-40f};
    const uint16_t half[] = {0x3c00, 0, 0, 0, 0x7bff, 0x8000, 0x0001, 0xfbff};
    const float embedding[] = {1, 0, 0, 1, 1, 1, 2, 2};
    ps_import_feature f[] = {{"visual", npy_file("v.npy", PS_F32, 4, 3, visual)},
                             {"sound_2", npy_file("s.npy", PS_F16, 4, 2, half)}};
    ps_import_opts o = small();
    o.features = f;
    o.n_features = 2;
    o.embeddings = npy_file("e.npy", PS_F32, 4, 2, embedding);
    use("matrices");
    must(import(&o), &why);
    ps_generation *g = open_now();
    assert_int_equal(g->n_blocks, 2);
    const ps_block *v = ps_generation_block(g, "visual");
    const ps_block *s = ps_generation_block(g, "sound_2");
    assert_non_null(v);
    assert_non_null(s);
    assert_int_equal(v->array.cols, 3);
    assert_memory_equal(v->array.data, visual, sizeof visual);
    assert_int_equal(s->array.dtype, PS_F16);
    assert_memory_equal(s->array.data, half, sizeof half);
    assert_memory_equal(g->embeddings.data, embedding, sizeof embedding);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.visual.dim", 0), 3);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.visual.filled", 0), 3);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.sound_2.filled", 0), 3);
    assert_string_equal(ps_manifest_text(g->manifest, "blocks.sound_2.dtype", ""), "<f2");
    assert_string_equal(ps_manifest_text(g->manifest, "embeddings.source", ""), "import");
    assert_string_equal(ps_manifest_text(g->manifest, "embeddings.similarity", ""), "ip");
    assert_int_equal(ps_manifest_u64(g->manifest, "embeddings.dim", 0), 2);
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
}

/* ------------------------------ Oracle ------------------------------------ */

enum { N = 3000, BOARDS = 500, LINES = 60000 };

static uint32_t random_below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % n);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* LINES random edges, several batches of them; has[] is the obvious adjacency. */
static const char *random_edges(unsigned char *has, uint32_t *number, uint32_t *boards)
{
    uint64_t s = 7;
    const char *path = scratch("random_edges.tsv");
    FILE *f = fopen(path, "w");
    fputs("pin\tboard\n", f);
    memset(number, 0xff, BOARDS * sizeof *number);
    for (int i = 0; i < LINES; i++) {
        uint32_t pin = random_below(&s, 1 + random_below(&s, N));
        uint32_t board = random_below(&s, 1 + random_below(&s, BOARDS));
        if (number[board] == UINT32_MAX)
            number[board] = (*boards)++;
        has[(size_t)pin * BOARDS + number[board]] = 1;
        fprintf(f, "pin%u\tboard number %u\n", pin * 7, board);
    }
    fclose(f);
    return path;
}

static void check_percentiles(const uint32_t *degree, uint32_t n, const uint32_t *have)
{
    const unsigned percent[] = {0, 50, 90, 99, 100};
    for (int i = 0; i < 5; i++)
        assert_int_equal(have[i], degree[(uint64_t)(n - 1) * percent[i] / 100]);
}

static void random_edges_make_the_graph_a_plain_table_makes(void **state)
{
    (void)state;
    unsigned char *has = calloc(N, BOARDS);
    uint32_t number[BOARDS], boards = 0, *degree = calloc(N, sizeof *degree);
    const char *path = scratch("random_pins.tsv");
    FILE *f = fopen(path, "w");
    fputs("pin\n", f);
    for (uint32_t i = 0; i < N; i++)
        fprintf(f, "pin%u\n", i * 7);
    fclose(f);
    ps_import_opts o = {.pins = path, .edges = random_edges(has, number, &boards)};
    use("random");
    must(import(&o), &why);
    ps_generation *g = open_now();
    uint64_t edges = 0;
    for (uint32_t p = 0; p < N; p++)
        for (uint32_t b = 0; b < boards; b++) {
            degree[p] += has[(size_t)p * BOARDS + b];
            assert_int_equal(has[(size_t)p * BOARDS + b],
                             ps_csr_has(&g->graph.pin_boards, p, b));
        }
    for (uint32_t p = 0; p < N; p++)
        edges += degree[p];
    assert_int_equal(report.boards, boards);
    assert_int_equal(report.edges, edges);
    assert_int_equal(report.duplicates, LINES - edges);
    qsort(degree, N, sizeof *degree, ascending);
    check_percentiles(degree, N, report.pin_degree);
    must(ps_graph_check(&g->graph, &why), &why);
    ps_generation_release(g);
    free(has);
    free(degree);
}

/* ------------------------------ Listeners --------------------------------- */

typedef struct listener {
    char stages[256]; /* those that ended, in order */
    char now[64];
    int calls, stop_at;
    uint64_t done;
} listener;

static int listen(void *cls, const char *stage, uint64_t done, uint64_t total,
                  const char *unit, const char *note)
{
    listener *l = cls;
    (void)unit, (void)note;
    if (strcmp(l->now, stage) != 0)
        l->done = 0;
    snprintf(l->now, sizeof l->now, "%s", stage);
    assert_true(done >= l->done);
    assert_true(total == 0 || done <= total);
    l->done = done;
    if (done == total) {
        size_t used = strlen(l->stages);
        snprintf(l->stages + used, sizeof l->stages - used, "%s ", stage);
    }
    return ++l->calls == l->stop_at ? PS_ECANCELLED : PS_OK;
}

static void listeners_hear_each_stage_end_once(void **state)
{
    (void)state;
    const float vector[] = {1, 0, 0, 1, 1, 1, 2, 2};
    ps_import_opts o = small();
    ps_import_feature f = {"visual", npy_file("v.npy", PS_F32, 4, 2, vector)};
    o.features = &f;
    o.n_features = 1;
    listener l = {0};
    use("heard");
    must(ps_import(catalog, &o, &report, &(ps_progress){listen, &l}, &why), &why);
    assert_ptr_equal(strstr(l.stages, "pins features/visual.npy edges "), l.stages);
}

static void a_listener_can_stop_it_anywhere_and_nothing_is_left(void **state)
{
    (void)state;
    ps_import_opts o = small();
    int err = PS_ECANCELLED, n = 1;
    for (; err; n++) {
        listener l = {.stop_at = n};
        use("stopped");
        err = ps_import(catalog, &o, &report, &(ps_progress){listen, &l}, &why);
        if (err) {
            assert_int_equal(err, PS_ECANCELLED);
            assert_string_equal(listing(), "nothing");
        }
    }
    assert_true(n > 2);
}

/* ------------------------------ Real data --------------------------------- */

static const struct {
    const char *name;
    uint32_t pins, boards;
    uint64_t edges;
} real[] = {
    {"citeulike-saves", 25975, 5562, 95812},
    {"citeulike-t", 25975, 7947, 134860},
    {"movielens-posters", 2291, 4228, 672512},
    {"pinterest", 9800, 26250, 701231},
};

static void real_data_comes_in_with_the_counts_it_is_known_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        char pins[PS_PATH_MAX], edges[PS_PATH_MAX], visual[PS_PATH_MAX];
        const char *dir = shared_data(real[i].name);
        if (!dir) {
            print_message("# shared data %s is missing\n", real[i].name);
            skip();
        }
        snprintf(pins, sizeof pins, "%.4000s/pins.tsv.gz", dir);
        snprintf(edges, sizeof edges, "%.4000s/edges.tsv.gz", dir);
        snprintf(visual, sizeof visual, "%.4000s/visual.npy", dir);
        ps_import_feature f = {"visual", visual};
        ps_import_opts o = {.pins = pins,
                            .edges = edges,
                            .features = &f,
                            .n_features = ps_file_exists(visual)};
        use("real");
        must(import(&o), &why);
        assert_int_equal(report.pins, real[i].pins);
        assert_int_equal(report.boards, real[i].boards);
        assert_int_equal(report.edges + report.duplicates, real[i].edges);
        assert_int_equal(report.duplicates, 0);
        ps_generation *g = open_now();
        assert_int_equal(g->n_blocks, o.n_features);
        ps_generation_release(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pins_and_edges_become_a_generation),
        cmocka_unit_test(other_columns_are_kept_as_metadata),
        cmocka_unit_test(the_report_and_the_manifest_tell_what_was_found),
        cmocka_unit_test(gzip_and_pipes_are_read_like_files),
        cmocka_unit_test(columns_may_stand_in_any_order),
        cmocka_unit_test(unknown_pins_can_be_skipped_and_make_no_board),
        cmocka_unit_test(importing_again_starts_afresh_and_keeps_the_old),
        cmocka_unit_test(the_same_input_makes_the_same_files),
        cmocka_unit_test(matrices_are_copied_to_the_bit),
        cmocka_unit_test(random_edges_make_the_graph_a_plain_table_makes),
        cmocka_unit_test(listeners_hear_each_stage_end_once),
        cmocka_unit_test(a_listener_can_stop_it_anywhere_and_nothing_is_left),
        cmocka_unit_test(real_data_comes_in_with_the_counts_it_is_known_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
