/* test_live_recall.c - answers of an approximate index and the delta index together,
 * after thousands of writes, against an exact search of everything that is there.
 *
 * Threads: one, and the writer's.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/embed.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"
#include "tests/support/models.h"

enum { PINS = 3000, NAMES = 3600, WRITES = 4000, AT_ONCE = 50, K = 20, E = 9 };

static const double FLOOR =
    0.9; /* the index is built for 0.9, the delta index is exact */

static void make(const char *factory)
{
    ps_why why = {0};
    planted world;
    ps_embed_report embedded;
    ps_ann_report indexed;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    ps_ann_build_opts opts = ps_cli_index_defaults();
    planted_make(&world, PINS, 20, 3);
    use("recall-live");
    planted_import(&world);
    model_install(&m);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    opts.threads = 1;
    opts.factory = factory;
    opts.recall = FLOOR;
    must(ps_ann_build(catalog, &opts, &indexed, NULL, &why), &why);
    assert_string_equal(indexed.factory, factory);
    ps_model_free(&m);
    planted_free(&world);
    life_start();
}

/* ------------------------------ Writes ------------------------------------- */

typedef struct one {
    ps_write write;
    char pin[16], board[16];
    float visual[PLANTED_VISUAL];
    ps_named_vector v;
    ps_text on;
} one;

static sem_t done;

static void on_done(ps_write *w)
{
    (void)w;
    sem_post(&done);
}

static void submit(one *o, uint64_t *rng)
{
    static const ps_write_kind kind[] = {PS_WRITE_PUT,    PS_WRITE_PUT,  PS_WRITE_PUT,
                                         PS_WRITE_DELETE, PS_WRITE_SAVE, PS_WRITE_UNSAVE};
    snprintf(o->pin, sizeof o->pin, "p%u", (uint32_t)ps_rng_below(rng, NAMES));
    snprintf(o->board, sizeof o->board, "b%u", (uint32_t)ps_rng_below(rng, 300));
    for (int i = 0; i < PLANTED_VISUAL; i++)
        o->visual[i] = ps_rng_unit(rng) - .5f;
    o->v = (ps_named_vector){ps_text_of("visual"), o->visual, PLANTED_VISUAL};
    o->on = ps_text_of(o->board);
    o->write = (ps_write){
        .kind = kind[ps_rng_below(rng, 6)],
        .pin = ps_text_of(o->pin),
        .board = o->on,
        .content = {.feature = &o->v, .n_features = 1, .board = &o->on, .n_boards = 1},
        .done = on_done};
    assert_int_equal(ps_writer_submit(life_writes.writer, &o->write), PS_OK);
}

static void write_many(uint64_t *rng)
{
    static one batch[AT_ONCE];
    sem_init(&done, 0, 0);
    for (int i = 0; i < WRITES; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            submit(&batch[j], rng);
        for (int j = 0; j < AT_ONCE; j++)
            while (sem_wait(&done))
                ;
        for (int j = 0; j < AT_ONCE; j++)
            assert_true(!batch[j].write.err || batch[j].write.err == PS_ENOENT);
    }
    sem_destroy(&done);
    life_settle();
    ps_reader_begin(life_reader);
}

/* ------------------------------ Exact search ------------------------------- */

static uint32_t exact(uint32_t row, ps_scored *out)
{
    const ps_view *view = ps_engine_view(life_engine);
    const method *m = &life_engine->methods[0];
    float query[E], other[E];
    uint32_t n = 0;
    memcpy(query, engine_vector(life_reader, m, row, query), sizeof query);
    for (uint32_t r = 0; r < ps_view_rows(view); r++) {
        const float *v = engine_vector(life_reader, m, r, other);
        float score = 0, any = 0;
        for (int i = 0; i < E; i++) {
            score += query[i] * v[i];
            any += v[i] * v[i];
        }
        if (r != row && any > 0 && ps_view_alive(view, &life_reader->snap, r))
            n = engine_keep(out, n, K, (ps_scored){r, score});
    }
    return n;
}

static void check_answer(const ps_ranking *a)
{
    const ps_view *view = ps_engine_view(life_engine);
    for (uint32_t i = 0; i < a->n; i++) {
        assert_true(ps_view_alive(view, &life_reader->snap, a->result[i].row));
        assert_true(!i || a->result[i].score <= a->result[i - 1].score);
        for (uint32_t j = 0; j < i; j++)
            assert_true(a->result[i].row != a->result[j].row);
    }
}

/* Share of the K best that answers have, over pins of all kinds. */
static double recall(void)
{
    uint32_t hits = 0, wanted = 0;
    for (uint32_t i = 0; i < NAMES; i += 7) {
        char id[16];
        ps_why why = {0};
        ps_ranking a;
        ps_scored want[K];
        snprintf(id, sizeof id, "p%u", i);
        ps_related q = {.pin = ps_text_of(id), .k = K};
        int err = ps_reader_related(life_reader, &q, &a, &why);
        if (err == PS_ENOENT)
            continue;
        must(err, &why);
        check_answer(&a);
        if (a.source == PS_FALLBACK)
            continue;
        assert_int_equal(a.n, K);
        uint32_t n = exact(a.row, want);
        wanted += n;
        for (uint32_t j = 0; j < n; j++)
            for (uint32_t k = 0; k < a.n; k++)
                hits += a.result[k].row == want[j].row;
    }
    assert_true(wanted > 5000);
    return (double)hits / wanted;
}

/* ------------------------------ Tests -------------------------------------- */

static void stays_above_the_floor(const char *factory)
{
    uint64_t rng = 21;
    ps_why why = {0};
    make(factory);
    double before = recall();
    write_many(&rng);
    double after = recall();
    print_message("# %s: recall@%d %.3f, after %d writes %.3f, %u in the delta\n",
                  factory, K, before, WRITES, after,
                  ps_delta_index_size(ps_view_embeddings(ps_engine_view(life_engine))));
    assert_true(before >= FLOOR);
    assert_true(after >= FLOOR);
    must(life_reload(&why), &why);
    ps_reader_begin(life_reader);
    assert_true(recall() >= FLOOR);
    life_stop();
}

static void recall_of_inverted_lists_and_the_tail(void **state)
{
    (void)state;
    stays_above_the_floor("IVF16,Flat");
}

static void recall_of_compressed_codes_and_the_tail(void **state)
{
    (void)state;
    stays_above_the_floor("IVF16,SQ4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_of_inverted_lists_and_the_tail),
        cmocka_unit_test(recall_of_compressed_codes_and_the_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
