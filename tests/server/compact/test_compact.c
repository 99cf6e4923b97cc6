/* test_compact.c - the generation that a compaction makes is what the live view showed.
 *
 * Beside an oracle (lives.h) that knows the corpus, beside a fresh import of the same,
 * and with writes going on while it is compacted.
 *
 * Threads: one and the writer's, and in one test clients.
 */
#include "server/compact/compact.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/catalog.h"
#include "pinsage/embed.h"
#include "pinsage/rng.h"
#include "pinsage/structure.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/lives.h"
#include "tests/support/scratch.h"

enum { E = 9 };

static life known;
static ps_compact_report report;

/* ------------------------------ As it was answered ------------------------- */

/* What the view had of a pin. */
typedef struct shown {
    float z[E];
    uint32_t degree;
    bool there;
} shown;

static shown before[LIFE_PINS];

static const method *by_model(void)
{
    return &life_engine->methods[0];
}

static void look(shown *out)
{
    ps_reader_begin(life_reader);
    for (uint32_t i = 0; i < LIFE_PINS; i++) {
        char id[16];
        uint32_t row;
        int len = snprintf(id, sizeof id, "p%u", i);
        out[i] = (shown){.there = !ps_reader_find_pin(
                             life_reader, (ps_text){id, (size_t)len}, &row, NULL)};
        if (!out[i].there)
            continue;
        const float *z = engine_vector(life_reader, by_model(), row, out[i].z);
        memmove(out[i].z, z, sizeof out[i].z);
        out[i].degree = ps_graph_degree(ps_reader_graph(life_reader), PS_PINS, row);
    }
}

static void the_generation_is_what_the_view_showed(void **state)
{
    (void)state;
    static shown after[LIFE_PINS];
    ps_why why = {0};
    life_make("shown", &known);
    life_start();
    life_write_many(&known, 1, 300);
    life_settle();
    look(before);
    must(life_compact(&report, NULL, &why), &why);
    assert_false(report.nothing);
    assert_int_equal(report.lsn, ps_store_lsn(life_writes.store));
    life_check_generation(&known);
    planted_verify();
    must(life_reload(&why), &why);
    look(after);
    assert_memory_equal(after, before, sizeof before);
    life_check(&known);
    assert_int_equal(ps_view_count(life_engine->live.view).delta, 0); /* all is stored */
    life_stop();
}

static void of_pins_that_nobody_touched_nothing_changes(void **state)
{
    (void)state;
    ps_why why = {0};
    life_make("untouched", &known);
    life_start();
    ps_generation *old = ps_generation_acquire(ps_engine_generation(life_engine)), *new;
    life_write_many(&known, 2, 60);
    must(life_compact(&report, NULL, &why), &why);
    new = planted_open();
    ps_pins_reader *r;
    assert_int_equal(ps_pins_reader_new(&r, new->pins), PS_OK);
    uint32_t same = 0;
    for (uint32_t i = 0; i < LIFE_PLANTED; i++) {
        char id[16];
        int len = snprintf(id, sizeof id, "p%u", i);
        uint32_t row = ps_pins_row(r, id, (size_t)len);
        if (row == PS_NO_ROW ||
            ps_delta_index_find(ps_view_embeddings(life_engine->live.view), i, NULL))
            continue;
        assert_memory_equal((const float *)old->embeddings.data + i * E,
                            (const float *)new->embeddings.data + row *E,
                            E * sizeof(float));
        same++;
    }
    assert_in_range(same, 30, LIFE_PLANTED - 1);
    ps_pins_reader_free(r);
    ps_generation_release(old);
    ps_generation_release(new);
    life_stop();
}

/* ------------------------------ As imported -------------------------------- */

static void same_row(const ps_generation *a, uint32_t i, const ps_generation *b,
                     uint32_t j, ps_pins_reader *in_a, ps_pins_reader *in_b)
{
    ps_pin x, y;
    assert_int_equal(ps_pins_get(in_a, i, &x), PS_OK);
    assert_int_equal(ps_pins_get(in_b, j, &y), PS_OK);
    assert_int_equal(x.title.len, y.title.len);
    assert_memory_equal(x.title.data, y.title.data, x.title.len);
    for (uint32_t k = 0; k < a->n_blocks; k++) {
        const ps_npy *p = &a->blocks[k].array, *q = &b->blocks[k].array;
        size_t line = p->cols * ps_dtype_size(p->dtype);
        assert_int_equal(p->dtype, q->dtype);
        assert_memory_equal((const char *)p->data + i * line,
                            (const char *)q->data + j * line, line);
    }
    uint32_t degree = ps_csr_degree(&a->graph.pin_boards, i);
    assert_int_equal(degree, ps_csr_degree(&b->graph.pin_boards, j));
    for (uint32_t k = 0; k < degree; k++) {
        ps_text name;
        uint32_t board = ps_csr_row(&a->graph.pin_boards, i)[k];
        assert_int_equal(ps_pins_board_name(in_a, board, &name), PS_OK);
        board = ps_pins_board(in_b, name.data, name.len);
        assert_true(ps_csr_has(&b->graph.pin_boards, j, board));
    }
}

static void a_compaction_is_an_import_of_what_was_written(void **state)
{
    (void)state;
    ps_pins_reader *in_a, *in_b;
    life_make("compacted", &known);
    life_start();
    life_write_many(&known, 3, 400);
    life_stop();
    life_compact_alone(&report);
    planted_verify();
    ps_generation *a = planted_open();
    life_import(&known, "imported");
    ps_generation *b = planted_open();
    assert_int_equal(a->n_pins, b->n_pins);
    assert_int_equal(a->n_boards, b->n_boards);
    assert_int_equal(a->n_blocks, b->n_blocks);
    static const char *const counts[] = {"counts.pins",
                                         "counts.boards",
                                         "counts.edges",
                                         "counts.isolated",
                                         "degrees.pins_of_board.p90",
                                         "blocks.visual.filled"};
    for (int i = 0; i < 6; i++)
        assert_int_equal(ps_manifest_u64(a->manifest, counts[i], 1),
                         ps_manifest_u64(b->manifest, counts[i], 2));
    assert_int_equal(ps_pins_reader_new(&in_a, a->pins), PS_OK);
    assert_int_equal(ps_pins_reader_new(&in_b, b->pins), PS_OK);
    for (uint32_t i = 0; i < a->n_pins; i++) {
        ps_pin pin;
        assert_int_equal(ps_pins_get(in_a, i, &pin), PS_OK);
        uint32_t j = ps_pins_row(in_b, pin.id.data, pin.id.len);
        assert_true(j != PS_NO_ROW);
        same_row(a, i, b, j, in_a, in_b);
    }
    ps_pins_reader_free(in_a);
    ps_pins_reader_free(in_b);
    ps_generation_release(a);
    ps_generation_release(b);
}

/* Of boards that the structure knew before, by name. */
static void without_a_model_structure_follows_the_boards(void **state)
{
    (void)state;
    enum { DIM = 8 };
    ps_npy boards;
    ps_pins_reader *r;
    ps_why why = {0};
    char path[PS_PATH_MAX];
    uint32_t moved = 0;
    life_make_plain("plain", &known);
    ps_generation *old = planted_open();
    life_start();
    life_write_many(&known, 12, 300);
    life_stop();
    life_compact_alone(&report);
    life_check_generation(&known);
    planted_verify();
    ps_generation *g = planted_open();
    ps_generation_file(g, "structure.boards.npy", path);
    must(ps_npy_open_as(&boards, path, PS_F32, g->n_boards, DIM, PS_RANDOM, &why), &why);
    assert_int_equal(ps_pins_reader_new(&r, g->pins), PS_OK);
    for (uint32_t i = 0; i < g->n_pins; i++) {
        float want[DIM];
        const float *got =
            (const float *)ps_generation_block(g, "structure")->array.data + i * DIM;
        const ps_csr *m = &g->graph.pin_boards;
        ps_structure_fold_in(&boards, ps_csr_row(m, i), ps_csr_degree(m, i), want);
        for (int j = 0; j < DIM; j++)
            assert_true(fabsf(got[j] - want[j]) < 1e-5f);
        moved += i < old->n_pins &&
                 memcmp(got,
                        (const float *)ps_generation_block(old, "structure")->array.data +
                            i * DIM,
                        sizeof want) != 0;
    }
    assert_true(moved > 20);
    ps_pins_reader_free(r);
    ps_npy_close(&boards);
    ps_generation_release(old);
    ps_generation_release(g);
    life_start();
    life_check(&known);
    life_stop();
}

/* ------------------------------ The rest ----------------------------------- */

static void without_writes_nothing_is_made(void **state)
{
    (void)state;
    life_make("nothing", &known);
    life_compact_alone(&report); /* there is no store at all */
    assert_true(report.nothing);
    life_start();
    life_stop();
    life_compact_alone(&report); /* an empty one */
    assert_true(report.nothing);
    life_start();
    life_write_many(&known, 4, 20);
    life_stop();
    life_compact_alone(&report);
    assert_false(report.nothing);
    char made[32];
    snprintf(made, sizeof made, "%s", report.generation);
    life_compact_alone(&report);
    assert_true(report.nothing);
    assert_string_equal(report.generation, made);
}

static void a_server_and_another_writer_are_in_the_way(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    life_make("busy", &known);
    life_start();
    life_write_many(&known, 5, 20);
    assert_int_equal(ps_compact_catalog(catalog, &life_compact_opts, &report, NULL, &why),
                     PS_EBUSY);
    assert_non_null(strstr(why.text, "POST /admin/compact"));
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "train"}, &why), &why);
    assert_int_equal(life_compact(&report, NULL, &why), PS_EBUSY);
    assert_non_null(strstr(why.text, "train"));
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    assert_int_equal(life_compact(&report, NULL, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "reload first"));
    life_check(&known);
    must(life_reload(&why), &why);
    must(life_compact(&report, NULL, &why), &why);
    life_check_generation(&known);
    life_stop();
}

static void a_compaction_can_be_called_off_at_every_stage(void **state)
{
    (void)state;
    static const char *const stages[] = {"pins",
                                         "boards",
                                         "edges",
                                         "sorting edges",
                                         "features/visual.npy",
                                         "neighbours",
                                         "messages.1.npy",
                                         "embeddings.npy",
                                         "index"};
    ps_why why = {0};
    life_make("cancelled", &known);
    life_start();
    life_write_many(&known, 6, 50);
    char *was = strdup(listing());
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        moment last = {.stage = stages[i], .nth = 1};
        ps_progress progress = stop_at(&last);
        assert_int_equal(life_compact(&report, &progress, &why), PS_ECANCELLED);
        assert_string_equal(listing(), was);
    }
    free(was);
    life_check(&known);
    must(life_compact(&report, NULL, &why), &why);
    life_check_generation(&known);
    life_stop();
}

static void embed_makes_vectors_of_one_piece_again(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_embed_report embedded;
    ps_parity p;
    life_make("again", &known);
    life_start();
    life_write_many(&known, 7, 200);
    life_stop();
    life_compact_alone(&report);
    ps_embed_opts o = {.threads = 1};
    must(ps_embed(catalog, &o, &embedded, NULL, &why), &why);
    assert_string_not_equal(embedded.generation, report.generation);
    ps_generation *g = planted_open();
    assert_false(ps_manifest_has(g->manifest, PS_COMPACTIONS));
    must(ps_embed_parity(g, 1000, &p, &why), &why);
    assert_true(p.least_cosine > 0.9999);
    ps_generation_release(g);
    planted_verify();
    char *made = strdup(embedded.generation);
    must(ps_embed(catalog, &o, &embedded, NULL, &why), &why); /* and once is enough */
    assert_string_equal(embedded.generation, made);
    free(made);
}

static void an_import_keeps_what_was_compacted_and_the_votes(void **state)
{
    (void)state;
    life_make("reimport", &known);
    life_start();
    life_write_many(&known, 8, 150);
    life_stop();
    life_compact_alone(&report);
    uint64_t votes = report.votes, compacted = report.lsn;
    assert_in_range(votes, 1, known.votes);
    char *name = strdup(strrchr(catalog, '/') + 1);
    char *folder = strdup(catalog);
    life_import(&known, "elsewhere");
    snprintf(catalog, sizeof catalog, "%s", folder);
    planted world;
    planted_make(&world, LIFE_PLANTED, 6, 3);
    planted_import(&world);
    planted_free(&world);
    ps_generation *g = planted_open();
    assert_int_equal(ps_manifest_u64(g->manifest, PS_COMPACTED, 0), compacted);
    assert_int_equal(ps_manifest_u64(g->manifest, "counts.votes", 0), votes);
    assert_true(ps_generation_file(g, PS_FILE_VOTES, NULL));
    ps_generation_release(g);
    free(name);
    free(folder);
}

static void an_older_generation_is_not_served_as_if_nothing_were_lost(void **state)
{
    (void)state;
    ps_why why = {0};
    char path[PS_PATH_MAX], target[64];
    life_make("older", &known);
    ps_generation *g = planted_open();
    snprintf(target, sizeof target, "%s", g->name);
    ps_generation_release(g);
    life_start();
    life_write_many(&known, 9, 30);
    life_stop();
    life_compact_alone(&report);
    assert_int_equal(ps_path_join(path, sizeof path, catalog, "current"), PS_OK);
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(ps_path_join(path, sizeof path, catalog, "live"), PS_OK);
    must(ps_store_open(&life_writes.store, path, (ps_store_opts){0}, &why), &why);
    assert_int_equal(ps_engine_open(&life_engine, catalog, &life_writes, NULL, &why),
                     PS_EMISMATCH);
    assert_non_null(strstr(why.text, "a later generation had compacted"));
    ps_store_close(life_writes.store);
    life_writes = (ps_writes){0};
    life_engine = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generation_is_what_the_view_showed),
        cmocka_unit_test(of_pins_that_nobody_touched_nothing_changes),
        cmocka_unit_test(a_compaction_is_an_import_of_what_was_written),
        cmocka_unit_test(without_a_model_structure_follows_the_boards),
        cmocka_unit_test(without_writes_nothing_is_made),
        cmocka_unit_test(a_server_and_another_writer_are_in_the_way),
        cmocka_unit_test(a_compaction_can_be_called_off_at_every_stage),
        cmocka_unit_test(embed_makes_vectors_of_one_piece_again),
        cmocka_unit_test(an_import_keeps_what_was_compacted_and_the_votes),
        cmocka_unit_test(an_older_generation_is_not_served_as_if_nothing_were_lost),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
