/* lives.c - see lives.h. */
#include "tests/support/lives.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/embed.h"
#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "pinsage/structure.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/models.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

ps_writes life_writes;
ps_engine *life_engine;
ps_reader *life_reader;

/* ------------------------------ Making ------------------------------------- */

static void know(life *l, const planted *world)
{
    memset(l, 0, sizeof *l);
    for (uint32_t i = 0; i < world->n_pins; i++) {
        life_pin *p = &l->pin[i];
        const uint32_t *board = ps_csr_row(&world->graph.pin_boards, i);
        p->there = true;
        snprintf(p->title, sizeof p->title, "pin %u", i);
        memcpy(p->visual, world->visual + (size_t)i * PLANTED_VISUAL, sizeof p->visual);
        memcpy(p->annotation, world->annotation + (size_t)i * PLANTED_ANNOTATION,
               sizeof p->annotation);
        for (uint32_t j = 0; j < ps_csr_degree(&world->graph.pin_boards, i); j++)
            p->on[board[j]] = true;
    }
}

static void import_planted(const char *name, life *l)
{
    planted world;
    planted_make(&world, LIFE_PLANTED, 6, 3);
    know(l, &world);
    use(name);
    planted_import(&world);
    planted_free(&world);
}

static void build_index(void)
{
    ps_why why = {0};
    ps_ann_report indexed;
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.threads = 1;
    must(ps_ann_build(catalog, &opts, &indexed, NULL, &why), &why);
}

void life_make(const char *name, life *l)
{
    ps_why why = {0};
    ps_embed_report embedded;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 9);
    import_planted(name, l);
    model_install(&m);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    build_index();
    ps_model_free(&m);
}

void life_make_plain(const char *name, life *l)
{
    ps_why why = {0};
    ps_structure_report made;
    ps_structure_opts opts = ps_cli_structure_defaults();
    opts.dim = 8;
    opts.threads = 1;
    import_planted(name, l);
    must(ps_structure(catalog, &opts, &made, NULL, &why), &why);
    build_index();
}

/* ------------------------------ The server's parts ------------------------- */

static uint64_t compacted(void)
{
    ps_generation *g = planted_open();
    uint64_t lsn = ps_manifest_u64(g->manifest, PS_COMPACTED, 0);
    ps_generation_release(g);
    return lsn;
}

void life_start(void)
{
    ps_why why = {0};
    char path[PS_PATH_MAX];
    must(ps_path_join(path, sizeof path, catalog, "live"), &why);
    ps_store_opts opts = {.compacted = compacted()};
    must(ps_store_open(&life_writes.store, path, opts, &why), &why);
    must(ps_writer_start(&life_writes.writer, life_writes.store,
                         (ps_writer_opts){.batch = 8, .queue = 1000, .stale = 20}, &why),
         &why);
    life_writes.stale = 20;
    must(life_reload(&why), &why);
}

int life_reload(ps_why *why)
{
    ps_engine *e;
    int err = ps_engine_open(&e, catalog, &life_writes, NULL, why);
    if (!err)
        err = ps_engine_attach(e, why);
    if (err)
        return err;
    ps_reader_free(life_reader);
    ps_engine_release(life_engine);
    life_engine = e;
    return ps_reader_new(&life_reader, e);
}

void life_stop(void)
{
    ps_reader_free(life_reader);
    ps_engine_release(life_engine);
    life_reader = NULL;
    life_engine = NULL;
    ps_writer_stop(life_writes.writer);
    ps_writer_free(life_writes.writer);
    ps_store_close(life_writes.store);
    life_writes = (ps_writes){0};
}

/* ------------------------------ Writing ------------------------------------ */

static void on_done(ps_write *w)
{
    sem_post(w->cls);
}

int life_write(ps_write *w)
{
    sem_t done;
    sem_init(&done, 0, 0);
    w->done = on_done;
    w->cls = &done;
    assert_int_equal(ps_writer_submit(life_writes.writer, w), PS_OK);
    while (sem_wait(&done))
        ;
    sem_destroy(&done);
    return w->err;
}

static void post(life *l, uint32_t i, uint64_t *rng)
{
    life_pin *p = &l->pin[i];
    char id[16], title[24], name[2][16];
    uint32_t board[2] = {(uint32_t)ps_rng_below(rng, LIFE_BOARDS),
                         (uint32_t)ps_rng_below(rng, LIFE_BOARDS)};
    float visual[PLANTED_VISUAL];
    ps_named_vector v = {ps_text_of("visual"), visual, PLANTED_VISUAL};
    snprintf(id, sizeof id, "p%u", i);
    snprintf(title, sizeof title, "title %u", l->writes);
    for (int j = 0; j < PLANTED_VISUAL; j++)
        visual[j] = ps_rng_unit(rng) - .5f;
    ps_text boards[2];
    for (int j = 0; j < 2; j++) {
        snprintf(name[j], sizeof name[j], "b%u", board[j]);
        boards[j] = ps_text_of(name[j]);
    }
    ps_write w = {.kind = PS_WRITE_PUT,
                  .pin = ps_text_of(id),
                  .content = {.title = ps_text_of(title),
                              .feature = &v,
                              .n_features = (uint32_t)ps_rng_below(rng, 2),
                              .board = boards,
                              .n_boards = (uint32_t)ps_rng_below(rng, 3)}};
    assert_int_equal(life_write(&w), PS_OK);
    assert_int_equal(w.changed, !p->there);
    *p = (life_pin){.there = true};
    memcpy(p->title, title, sizeof title);
    if (w.content.n_features)
        memcpy(p->visual, visual, sizeof visual);
    for (uint32_t j = 0; j < w.content.n_boards; j++)
        p->on[board[j]] = true;
}

static void drop(life *l, uint32_t i)
{
    char id[16];
    snprintf(id, sizeof id, "p%u", i);
    ps_write w = {.kind = PS_WRITE_DELETE, .pin = ps_text_of(id)};
    assert_int_equal(life_write(&w), l->pin[i].there ? PS_OK : PS_ENOENT);
    l->pin[i] = (life_pin){0};
}

static void save(life *l, uint32_t i, uint32_t board, bool saved)
{
    char id[16], name[16];
    life_pin *p = &l->pin[i];
    snprintf(id, sizeof id, "p%u", i);
    snprintf(name, sizeof name, "b%u", board);
    ps_write w = {.kind = saved ? PS_WRITE_SAVE : PS_WRITE_UNSAVE,
                  .pin = ps_text_of(id),
                  .board = ps_text_of(name)};
    assert_int_equal(life_write(&w), p->there ? PS_OK : PS_ENOENT);
    if (!p->there)
        return;
    assert_int_equal(w.changed, p->on[board] != saved);
    p->on[board] = saved;
}

static void vote(life *l, uint32_t i)
{
    char json[160];
    snprintf(json, sizeof json,
             "{\"query\":\"p%u\",\"left\":{\"method\":\"pinsage\",\"pin\":\"\"},"
             "\"right\":{\"method\":\"pixie\",\"pin\":\"\"},\"winner\":\"left\","
             "\"voter\":\"\"}",
             i);
    ps_write w = {.kind = PS_WRITE_VOTE, .json = ps_text_of(json)};
    assert_int_equal(life_write(&w), PS_OK);
    l->votes++;
}

void life_random(life *l, uint64_t *rng)
{
    life_random_of(l, rng, 0, LIFE_PINS);
}

void life_random_of(life *l, uint64_t *rng, uint32_t first, uint32_t n)
{
    uint32_t i = first + (uint32_t)ps_rng_below(rng, n);
    uint32_t board = (uint32_t)ps_rng_below(rng, LIFE_BOARDS);
    uint64_t what = ps_rng_below(rng, 20);
    l->writes++;
    if (what < 7)
        post(l, i, rng);
    else if (what < 10)
        drop(l, i);
    else if (what < 19)
        save(l, i, board, what < 15);
    else
        vote(l, i);
}

void life_write_many(life *l, uint64_t seed, int n)
{
    uint64_t rng = ps_rng_at(seed, 1);
    for (int i = 0; i < n; i++)
        life_random(l, &rng);
}

void life_settle(void)
{
    for (int i = 0; i < 5000 && ps_writer_count(life_writes.writer).stale; i++)
        usleep(1000);
}

/* ------------------------------ Compaction ------------------------------------ */

const ps_compact_opts life_compact_opts = {.threads = 1, .keep = 1, .seed = 1};

int life_compact(ps_compact_report *report, const ps_progress *progress, ps_why *why)
{
    return ps_compact_engine(life_engine, catalog, &life_compact_opts, report, progress,
                             why);
}

void life_compact_alone(ps_compact_report *report)
{
    ps_why why = {0};
    must(ps_compact_catalog(catalog, &life_compact_opts, report, NULL, &why), &why);
}

/* ------------------------------ Looking ------------------------------------ */

static void check_boards(const life_pin *p, uint32_t row)
{
    const ps_graph *g = ps_reader_graph(life_reader);
    uint32_t degree = ps_graph_degree(g, PS_PINS, row), wanted = 0;
    for (uint32_t b = 0; b < LIFE_BOARDS; b++) {
        char name[16];
        uint32_t number;
        snprintf(name, sizeof name, "b%u", b);
        wanted += p->on[b];
        if (p->on[b]) {
            assert_int_equal(
                ps_reader_find_board(life_reader, ps_text_of(name), &number, NULL),
                PS_OK);
            assert_true(ps_graph_has(g, row, number));
        }
    }
    assert_int_equal(degree, wanted);
}

void life_check(const life *l)
{
    ps_reader_begin(life_reader);
    for (uint32_t i = 0; i < LIFE_PINS; i++) {
        char id[16];
        uint32_t row;
        ps_pin pin;
        snprintf(id, sizeof id, "p%u", i);
        bool there = !ps_reader_find_pin(life_reader, ps_text_of(id), &row, NULL);
        assert_int_equal(there, l->pin[i].there);
        if (!there)
            continue;
        assert_int_equal(ps_reader_pin(life_reader, row, &pin), PS_OK);
        assert_true(ps_text_is(pin.title, l->pin[i].title));
        check_boards(&l->pin[i], row);
    }
}

static void check_features(const ps_generation *g, const life_pin *p, uint32_t row)
{
    const ps_npy *visual = &ps_generation_block(g, "visual")->array;
    const ps_npy *annotation = &ps_generation_block(g, "annotation")->array;
    assert_memory_equal((const float *)visual->data + (size_t)row * PLANTED_VISUAL,
                        p->visual, sizeof p->visual);
    assert_memory_equal((const uint16_t *)annotation->data +
                            (size_t)row * PLANTED_ANNOTATION,
                        p->annotation, sizeof p->annotation);
}

static void check_row(const ps_generation *g, ps_pins_reader *r, const life_pin *p,
                      uint32_t row)
{
    uint32_t wanted = 0;
    ps_pin pin;
    assert_int_equal(ps_pins_get(r, row, &pin), PS_OK);
    assert_true(ps_text_is(pin.title, p->title));
    check_features(g, p, row);
    for (uint32_t b = 0; b < LIFE_BOARDS; b++) {
        char name[16];
        int len = snprintf(name, sizeof name, "b%u", b);
        wanted += p->on[b];
        if (p->on[b])
            assert_true(ps_csr_has(&g->graph.pin_boards, row,
                                   ps_pins_board(r, name, (size_t)len)));
    }
    assert_int_equal(ps_csr_degree(&g->graph.pin_boards, row), wanted);
}

void life_check_generation(const life *l)
{
    ps_generation *g = planted_open();
    ps_pins_reader *r;
    uint32_t pins = 0;
    assert_int_equal(ps_pins_reader_new(&r, g->pins), PS_OK);
    for (uint32_t i = 0; i < LIFE_PINS; i++) {
        char id[16];
        int len = snprintf(id, sizeof id, "p%u", i);
        uint32_t row = ps_pins_row(r, id, (size_t)len);
        assert_int_equal(row != PS_NO_ROW, l->pin[i].there);
        pins += l->pin[i].there;
        if (l->pin[i].there)
            check_row(g, r, &l->pin[i], row);
    }
    assert_int_equal(g->n_pins, pins);
    ps_pins_reader_free(r);
    ps_generation_release(g);
}

/* ------------------------------ The same from files ------------------------ */

static const char *save_text(const char *name, ps_buf *b)
{
    assert_false(b->failed);
    const char *path = scratch_file(name, b->data, b->size);
    ps_buf_done(b);
    return path;
}

void life_import(const life *l, const char *name)
{
    static float visual[LIFE_PINS][PLANTED_VISUAL];
    static uint16_t annotation[LIFE_PINS][PLANTED_ANNOTATION];
    ps_buf pins = {0}, edges = {0};
    ps_why why = {0};
    ps_import_report report;
    uint32_t n = 0;
    ps_buf_text(&pins, "pin\ttitle\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (uint32_t i = 0; i < LIFE_PINS; i++) {
        const life_pin *p = &l->pin[i];
        if (!p->there)
            continue;
        ps_buf_printf(&pins, "p%u\t%s\n", i, p->title);
        for (uint32_t b = 0; b < LIFE_BOARDS; b++)
            if (p->on[b])
                ps_buf_printf(&edges, "p%u\tb%u\n", i, b);
        memcpy(visual[n], p->visual, sizeof p->visual);
        memcpy(annotation[n++], p->annotation, sizeof p->annotation);
    }
    const ps_import_feature feature[] = {
        {"annotation", npy_file("a.npy", PS_F16, n, PLANTED_ANNOTATION, annotation)},
        {"visual", npy_file("v.npy", PS_F32, n, PLANTED_VISUAL, visual)}};
    ps_import_opts o = {.pins = save_text("pins.tsv", &pins),
                        .edges = save_text("edges.tsv", &edges),
                        .features = feature,
                        .n_features = 2,
                        .threads = 1};
    use(name);
    must(ps_import(catalog, &o, &report, NULL, &why), &why);
}
