/* test_live.c - what is written is seen by the next question, and stands after a restart.
 *
 * Threads: one, and the writer's.
 */
#include <math.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/embed.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/models.h"
#include "tests/support/tiny.h"

enum { E = 9 };

static ps_writes writes;
static ps_engine *engine;
static ps_reader *reader;

/* ------------------------------ The server's parts ------------------------- */

static void start(void)
{
    ps_why why = {0};
    char path[PS_PATH_MAX];
    must(ps_path_join(path, sizeof path, catalog, "live"), &why);
    must(ps_store_open(&writes.store, path, (ps_store_opts){0}, &why), &why);
    must(ps_writer_start(&writes.writer, writes.store,
                         (ps_writer_opts){.batch = 8, .queue = 1000, .stale = 100}, &why),
         &why);
    writes.stale = 100;
    must(ps_engine_open(&engine, catalog, &writes, NULL, &why), &why);
    must(ps_engine_attach(engine, &why), &why);
    must(ps_reader_new(&reader, engine), &why);
}

static void stop(void)
{
    ps_reader_free(reader);
    ps_writer_stop(writes.writer);
    ps_engine_release(engine);
    ps_writer_free(writes.writer);
    ps_store_close(writes.store);
}

static void restart(void)
{
    stop();
    start();
}

static int open_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_embed_report embedded;
    ps_ann_report indexed;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    use("live");
    planted_import(&model_world);
    model_install(&m);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.threads = 1;
    must(ps_ann_build(catalog, &opts, &indexed, NULL, &why), &why);
    ps_model_free(&m);
    start();
    return 0;
}

static int close_catalog(void **state)
{
    (void)state;
    stop();
    return 0;
}

/* ------------------------------ Writing ------------------------------------ */

static void on_done(ps_write *w)
{
    sem_post(w->cls);
}

/* Submit, wait, look again. */
static int write_now(ps_write *w)
{
    sem_t done;
    sem_init(&done, 0, 0);
    w->done = on_done;
    w->cls = &done;
    assert_int_equal(ps_writer_submit(writes.writer, w), PS_OK);
    while (sem_wait(&done))
        ;
    sem_destroy(&done);
    ps_reader_begin(reader);
    return w->err;
}

static ps_write posted(const char *pin, const ps_text *boards, uint32_t n)
{
    ps_write w = {.kind = PS_WRITE_PUT,
                  .pin = ps_text_of(pin),
                  .content = {.title = ps_text_of("a title"),
                              .text = ps_text_of("words"),
                              .image = ps_text_of("x.png"),
                              .board = boards,
                              .n_boards = n}};
    return w;
}

static int changed_by(ps_write_kind kind, const char *pin, const char *board)
{
    ps_write w = {.kind = kind, .pin = ps_text_of(pin), .board = ps_text_of(board)};
    return write_now(&w);
}

static uint32_t row_of(const char *pin)
{
    uint32_t row;
    return ps_reader_find_pin(reader, ps_text_of(pin), &row, NULL) ? PS_NO_ROW : row;
}

/* Names of a stored pin's boards. */
static uint32_t boards_of(uint32_t row, ps_text *out)
{
    uint32_t n = ps_graph_degree(ps_reader_graph(reader), PS_PINS, row);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(
            ps_reader_board(
                reader, ps_graph_edge(ps_reader_graph(reader), PS_PINS, row, i), &out[i]),
            PS_OK);
    return n;
}

static const method *by_model(void)
{
    return &engine->methods[0];
}

static bool results_have(const ps_ranking *a, uint32_t row)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->result[i].row == row)
            return true;
    return false;
}

static ps_ranking related(const char *pin, uint32_t k)
{
    ps_why why = {0};
    ps_ranking a;
    must(ps_reader_related(reader, &(ps_related){.pin = ps_text_of(pin), .k = k}, &a,
                           &why),
         &why);
    return a;
}

/* The k best rows by the plainest code over all that are alive. */
static uint32_t slow_related(uint32_t row, uint32_t k, ps_scored *out)
{
    float query[E], other[E];
    uint32_t n = 0;
    memcpy(query, engine_vector(reader, by_model(), row, query), sizeof query);
    for (uint32_t r = 0; r < ps_view_rows(engine->live.view); r++) {
        const float *v = engine_vector(reader, by_model(), r, other);
        float dot = 0, any = 0;
        for (int i = 0; i < E; i++) {
            dot += query[i] * v[i];
            any += fabsf(v[i]);
        }
        if (r != row && any > 0 && ps_view_alive(engine->live.view, &reader->snap, r))
            n = engine_keep(out, n, k, (ps_scored){r, dot});
    }
    return n;
}

/* ------------------------------ Tests -------------------------------------- */

static void a_posted_pin_is_there_with_its_vector_and_near_its_like(void **state)
{
    (void)state;
    ps_text boards[64];
    uint32_t n = boards_of(row_of("p3"), boards);
    ps_named_vector visual = {ps_text_of("visual"),
                              model_world.visual + 3 * PLANTED_VISUAL, PLANTED_VISUAL};
    ps_write w = posted("new", boards, n);
    w.content.feature = &visual;
    w.content.n_features = 1;
    assert_int_equal(write_now(&w), PS_OK);
    assert_true(w.changed);
    uint32_t row = row_of("new");
    assert_int_equal(row, MODEL_PINS);
    ps_ranking a = related("new", 10);
    assert_int_equal(a.n, 10);
    assert_int_equal(a.source, PS_COMPUTED);
    assert_true(results_have(&a, 3));
    a = related("p3", 10);
    assert_true(results_have(&a, row));
    ps_pin pin;
    assert_int_equal(ps_reader_pin(reader, row, &pin), PS_OK);
    assert_memory_equal(pin.id.data, "new", 3);
    assert_memory_equal(pin.title.data, "a title", 7);
}

static void a_stored_pin_put_as_it_was_gets_the_vector_of_the_batch(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MODEL_PINS; i += 31) {
        char id[16];
        ps_text boards[64];
        float stored[E], annotation[PLANTED_ANNOTATION];
        snprintf(id, sizeof id, "p%u", i);
        uint32_t n = boards_of(i, boards);
        ps_f16_to_f32(model_world.annotation + i * PLANTED_ANNOTATION, annotation,
                      PLANTED_ANNOTATION);
        ps_named_vector v[2] = {
            {ps_text_of("visual"), model_world.visual + i * PLANTED_VISUAL,
             PLANTED_VISUAL},
            {ps_text_of("annotation"), annotation, PLANTED_ANNOTATION}};
        ps_write w = posted(id, boards, n);
        w.content.feature = v;
        w.content.n_features = 2;
        ps_npy_row_f32(&engine->g->embeddings, i, stored);
        assert_int_equal(write_now(&w), PS_OK);
        assert_false(w.changed);
        const float *z =
            ps_delta_index_find(ps_view_embeddings(engine->live.view), i, NULL);
        assert_non_null(z);
        for (int j = 0; j < E; j++)
            assert_true(fabsf(z[j] - stored[j]) < 2e-3f);
    }
}

static void a_deleted_pin_is_gone_everywhere_until_it_is_posted_again(void **state)
{
    (void)state;
    ps_text boards[64];
    uint32_t n = boards_of(row_of("p9"), boards);
    uint32_t board;
    ps_ranking a = related("p9", 3);
    char near[16];
    snprintf(near, sizeof near, "p%u", a.result[0].row);
    assert_int_equal(changed_by(PS_WRITE_DELETE, "p9", ""), PS_OK);
    assert_int_equal(row_of("p9"), PS_NO_ROW);
    a = related(near, MODEL_PINS);
    assert_false(results_have(&a, 9));
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(ps_reader_find_board(reader, boards[i], &board, NULL), PS_OK);
        assert_false(ps_graph_has(ps_reader_graph(reader), 9, board));
    }
    assert_int_equal(changed_by(PS_WRITE_DELETE, "p9", ""), PS_ENOENT);
    assert_int_equal(changed_by(PS_WRITE_SAVE, "p9", "b"), PS_ENOENT);
    restart();
    assert_int_equal(row_of("p9"), PS_NO_ROW);
    ps_write w = posted("p9", boards, 1);
    assert_int_equal(write_now(&w), PS_OK);
    assert_true(w.changed);
    assert_int_equal(row_of("p9"), 9);
    assert_int_equal(ps_graph_degree(ps_reader_graph(reader), PS_PINS, 9), 1);
    restart();
    assert_int_equal(ps_graph_degree(ps_reader_graph(reader), PS_PINS, 9), 1);
}

static void boards_come_and_go_and_make_a_stored_vector_stale(void **state)
{
    (void)state;
    uint32_t board, row = row_of("p5");
    uint32_t degree = ps_graph_degree(ps_reader_graph(reader), PS_PINS, row);
    assert_int_equal(ps_reader_find_board(reader, ps_text_of("fresh"), &board, NULL),
                     PS_ENOENT);
    assert_int_equal(changed_by(PS_WRITE_SAVE, "p5", "fresh"), PS_OK);
    assert_int_equal(ps_reader_find_board(reader, ps_text_of("fresh"), &board, NULL),
                     PS_OK);
    assert_int_equal(ps_graph_degree(ps_reader_graph(reader), PS_PINS, row), degree + 1);
    assert_int_equal(changed_by(PS_WRITE_SAVE, "p5", "fresh"), PS_OK);
    assert_int_equal(ps_graph_degree(ps_reader_graph(reader), PS_PINS, row), degree + 1);
    ps_staleness s;
    for (int i = 0; i < 2000 && ps_view_staleness(engine->live.view, row, &s); i++)
        usleep(1000);
    assert_false(ps_view_staleness(engine->live.view, row, &s));
    assert_non_null(
        ps_delta_index_find(ps_view_embeddings(engine->live.view), row, NULL));
    assert_int_equal(changed_by(PS_WRITE_UNSAVE, "p5", "fresh"), PS_OK);
    assert_int_equal(ps_reader_find_board(reader, ps_text_of("fresh"), &board, NULL),
                     PS_ENOENT);
}

static void a_put_replaces_the_boards_and_minds_the_version(void **state)
{
    (void)state;
    ps_text two[] = {ps_text_of("x"), ps_text_of("y")}, one[] = {ps_text_of("y")};
    ps_write w = posted("q", two, 2);
    assert_int_equal(write_now(&w), PS_OK);
    uint32_t board;
    uint64_t lsn = w.lsn;
    w = posted("q", one, 1);
    w.match = PS_MATCH_LSN;
    w.match_lsn = lsn + 100;
    assert_int_equal(write_now(&w), PS_EMISMATCH);
    w = posted("q", one, 1);
    w.match = PS_MATCH_LSN;
    w.match_lsn = lsn;
    assert_int_equal(write_now(&w), PS_OK);
    assert_int_equal(ps_reader_find_board(reader, ps_text_of("x"), &board, NULL),
                     PS_ENOENT);
    assert_int_equal(ps_graph_degree(ps_reader_graph(reader), PS_PINS, row_of("q")), 1);
    w = posted("nobody", one, 1);
    w.match = PS_MATCH_THERE;
    assert_int_equal(write_now(&w), PS_EMISMATCH);
}

static void a_pin_with_nothing_falls_back_and_says_so(void **state)
{
    (void)state;
    ps_write w = posted("bare", NULL, 0);
    assert_int_equal(write_now(&w), PS_OK);
    ps_ranking a = related("bare", 5);
    assert_int_equal(a.n, 5);
    assert_int_equal(a.source, PS_FALLBACK);
    assert_string_equal(a.method, "popular");
}

static void random_write(uint64_t *rng)
{
    char pin[16], board[16];
    float visual[PLANTED_VISUAL];
    uint64_t what = ps_rng_below(rng, 10);
    snprintf(pin, sizeof pin, "p%u", (uint32_t)ps_rng_below(rng, MODEL_PINS + 60));
    snprintf(board, sizeof board, "b%u", (uint32_t)ps_rng_below(rng, 40));
    if (what >= 6) {
        changed_by(what < 8   ? PS_WRITE_SAVE
                   : what < 9 ? PS_WRITE_UNSAVE
                              : PS_WRITE_DELETE,
                   pin, board);
        return;
    }
    for (int i = 0; i < PLANTED_VISUAL; i++)
        visual[i] = ps_rng_unit(rng) - .5f;
    ps_named_vector v = {ps_text_of("visual"), visual, PLANTED_VISUAL};
    ps_text boards[] = {ps_text_of(board), ps_text_of("b1")};
    ps_write w = posted(pin, boards, 2);
    w.content.feature = &v;
    w.content.n_features = what > 1;
    assert_int_equal(write_now(&w), PS_OK);
}

static void count_stale(void *cls, uint32_t row, double since)
{
    (void)row;
    (void)since;
    ++*(uint32_t *)cls;
}

/* Wait until nothing is stale, and what was embedded last is published. */
static void settle(void)
{
    uint32_t stale = 1;
    for (int i = 0; i < 20000 && stale; i++) {
        stale = ps_writer_count(writes.writer).stale;
        ps_reader_begin(reader); /* the map is read inside the epoch */
        ps_view_each_stale(engine->live.view, count_stale, &stale);
        if (stale)
            usleep(1000);
    }
    /* Rows leave the map just before they are embedded: a write comes after that. */
    ps_write vote = {.kind = PS_WRITE_VOTE, .json = ps_text_of("{}")};
    assert_int_equal(write_now(&vote), PS_OK);
    ps_reader_begin(reader);
}

static void answers_are_exact_over_what_is_there_after_random_writes(void **state)
{
    (void)state;
    uint64_t rng = 11;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 150; i++)
            random_write(&rng);
        if (round == 2)
            restart();
        settle();
        for (uint32_t i = 0; i < MODEL_PINS + 60; i += 7) {
            char id[16];
            ps_scored want[20];
            snprintf(id, sizeof id, "p%u", i);
            if (row_of(id) == PS_NO_ROW)
                continue;
            ps_ranking a = related(id, 20);
            if (a.source == PS_FALLBACK)
                continue;
            uint32_t n = slow_related(row_of(id), 20, want);
            assert_int_equal(a.n, n);
            for (uint32_t j = 0; j < n; j++)
                assert_true(fabsf(a.result[j].score - want[j].score) < 1e-4f);
        }
    }
}

static void an_unstored_pin_is_embedded_from_content_boards_or_neither(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_text boards[64];
    uint32_t n = boards_of(row_of("p3"), boards);
    ps_named_vector visual = {ps_text_of("visual"),
                              model_world.visual + 3 * PLANTED_VISUAL, PLANTED_VISUAL};
    for (int i = 0; i < 4; i++) {
        ps_embedded e;
        ps_embed_pin q = {.content = {.feature = &visual,
                                      .n_features = i & 1,
                                      .board = boards,
                                      .n_boards = i & 2 ? n : 0},
                          .k = 10};
        must(ps_reader_embed(reader, &q, &e, &why), &why);
        assert_int_equal(e.dim, i ? E : 0);
        assert_int_equal(e.ranking.n, 10);
        assert_int_equal(e.ranking.source, i ? PS_COMPUTED : PS_FALLBACK);
    }
    visual.dim = 3;
    ps_embedded e;
    ps_embed_pin q = {.content = {.feature = &visual, .n_features = 1}, .k = 1};
    assert_int_equal(ps_reader_embed(reader, &q, &e, &why), PS_EINVAL);
    assert_string_equal(why.text, "features.visual: 3 numbers, the block has 8");
}

int main(void)
{
#define IN_CATALOG(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, open_catalog, close_catalog)
    const struct CMUnitTest tests[] = {
        IN_CATALOG(a_posted_pin_is_there_with_its_vector_and_near_its_like),
        IN_CATALOG(a_stored_pin_put_as_it_was_gets_the_vector_of_the_batch),
        IN_CATALOG(a_deleted_pin_is_gone_everywhere_until_it_is_posted_again),
        IN_CATALOG(boards_come_and_go_and_make_a_stored_vector_stale),
        IN_CATALOG(a_put_replaces_the_boards_and_minds_the_version),
        IN_CATALOG(a_pin_with_nothing_falls_back_and_says_so),
        IN_CATALOG(answers_are_exact_over_what_is_there_after_random_writes),
        IN_CATALOG(an_unstored_pin_is_embedded_from_content_boards_or_neither),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, models_open, models_close);
}
