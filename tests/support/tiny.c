/* tiny.c - see tiny.h. */
#include "tests/support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/pins.h"
#include "tests/support/changes.h"

/* ------------------------------ Drafts ------------------------------------ */

ps_draft *tiny_begin(bool fresh)
{
    ps_why why = {0};
    ps_draft *d = NULL;
    must(ps_draft_begin(&d, catalog,
                        (ps_draft_opts){.step = "tiny", .create = true, .fresh = fresh},
                        &why),
         &why);
    return d;
}

void tiny_commit(ps_draft *d)
{
    ps_why why = {0};
    must(ps_draft_commit(d, 1, NULL, &why), &why);
}

void tiny_array(ps_draft *d, const char *name, ps_dtype t, uint64_t rows, uint64_t cols,
                const void *data)
{
    char path[PS_PATH_MAX];
    ps_why why = {0};
    ps_out *o;
    uint64_t hash, size;
    must(ps_draft_path(d, name, path, &why), &why);
    must(ps_out_open(&o, path, &why), &why);
    ps_npy_header(o, t, rows, cols);
    ps_out_write(o, data, rows * (cols ? cols : 1) * ps_dtype_size(t));
    size = ps_out_size(o);
    must(ps_out_close(o, &hash, &why), &why);
    ps_draft_file(d, name, size, hash);
}

const char *tiny_path(const char *name)
{
    static char path[2 * PS_PATH_MAX];
    char dir[PS_PATH_MAX];
    ps_why why = {0};
    must(ps_catalog_base(catalog, dir, &why), &why);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

void tiny_relist(const char *name)
{
    ps_manifest *m;
    ps_why why = {0};
    uint64_t hash, size;
    must(ps_file_hash(tiny_path(name), &hash, &size, &why), &why);
    must(ps_manifest_load(&m, tiny_path("manifest.json"), &why), &why);
    ps_manifest_set_file(m, name, size, hash);
    must(ps_manifest_save(m, tiny_path("manifest.json"), &why), &why);
    ps_manifest_free(m);
}

/* ------------------------------ Import ------------------------------------ */

void tiny_pins(ps_draft *d, int swapped)
{
    static const ps_text ids[TINY_PINS] = {
        {"p0", 2}, {"p1", 2}, {"p2", 2}, {"p3", 2}, {"p4", 2}};
    static const ps_text wrong[TINY_PINS] = {
        {"p0", 2}, {"p2", 2}, {"p1", 2}, {"p3", 2}, {"p4", 2}};
    static const ps_text boards[TINY_BOARDS] = {{"b0", 2}, {"b1", 2}, {"b2", 2}};
    char path[PS_PATH_MAX];
    ps_why why = {0};
    ps_pins_writer *w;
    must(ps_draft_path(d, "pins.mdb", path, &why), &why);
    must(ps_pins_writer_new(&w, path, 1000, &why), &why);
    for (int i = 0; i < TINY_PINS; i++) {
        ps_pin pin = {.id = ids[i], .title = {"a title", 7}};
        must(ps_pins_writer_pin(w, &pin, NULL, 0, &why), &why);
    }
    must(ps_pins_writer_ids(w, swapped ? wrong : ids, TINY_PINS, &why), &why);
    must(ps_pins_writer_boards(w, boards, TINY_BOARDS, &why), &why);
    must(ps_pins_writer_close(w, &why), &why);
    must(ps_draft_file_read(d, "pins.mdb", &why), &why);
}

/* Written out by hand rather than built: what the drawing in tiny.h says. */
static void write_graph(ps_draft *d)
{
    static const uint64_t pin_at[TINY_PINS + 1] = {0, 2, 4, 6, 7, 7};
    static const uint32_t boards_of[TINY_EDGES] = {0, 2, 0, 1, 0, 1, 1};
    static const uint64_t board_at[TINY_BOARDS + 1] = {0, 3, 6, 7};
    static const uint32_t pins_of[TINY_EDGES] = {0, 1, 2, 1, 2, 3, 0};
    tiny_array(d, "graph/pin_boards.indptr.npy", PS_U64, TINY_PINS + 1, 0, pin_at);
    tiny_array(d, "graph/pin_boards.indices.npy", PS_U32, TINY_EDGES, 0, boards_of);
    tiny_array(d, "graph/board_pins.indptr.npy", PS_U64, TINY_BOARDS + 1, 0, board_at);
    tiny_array(d, "graph/board_pins.indices.npy", PS_U32, TINY_EDGES, 0, pins_of);
}

void tiny_import(void)
{
    static const float visual[TINY_PINS][3] = {
        {1, 0, 0}, {0, 1, 0}, {0, 0, 2}, {0, 0, 0}, {1, 1, 1}};
    static const uint16_t annotation[TINY_PINS][2] = {{0x3c00, 0}, {0, 0x3c00}};
    ps_draft *d = tiny_begin(true);
    ps_manifest *m = ps_draft_manifest(d);
    tiny_pins(d, 0);
    write_graph(d);
    tiny_array(d, "features/visual.npy", PS_F32, TINY_PINS, 3, visual);
    tiny_array(d, "features/annotation.npy", PS_F16, TINY_PINS, 2, annotation);
    ps_manifest_set_u64(m, "counts.pins", TINY_PINS);
    ps_manifest_set_u64(m, "counts.boards", TINY_BOARDS);
    ps_manifest_set_u64(m, "counts.edges", TINY_EDGES);
    tiny_commit(d);
}

/* ------------------------------ Embed ------------------------------------- */

void tiny_embed(void)
{
    static const float z[TINY_PINS][2] = {{1, 0}, {0, 1}, {-1, 0}, {0.6f, 0.8f}, {0, 0}};
    static const uint32_t rows[TINY_PINS][2] = {{1, 2}, {2, 0}, {1, 3}, {2, 3}, {4, 4}};
    static const float weights[TINY_PINS][2] = {
        {0.5f, 0.5f}, {0.75f, 0.25f}, {0.5f, 0.5f}, {1, 0}, {0, 0}};
    static const uint16_t messages[TINY_PINS][4] = {{0x3c00}};
    ps_why why = {0};
    ps_draft *d = tiny_begin(false);
    ps_manifest *m = ps_draft_manifest(d);
    tiny_array(d, "neighbours.indices.npy", PS_U32, TINY_PINS, 2, rows);
    tiny_array(d, "neighbours.weights.npy", PS_F32, TINY_PINS, 2, weights);
    tiny_array(d, "messages.1.npy", PS_F16, TINY_PINS, 4, messages);
    tiny_array(d, "embeddings.npy", PS_F32, TINY_PINS, 2, z);
    must(put(d, "index.faiss", "not really", &why), &why);
    ps_manifest_set_text(m, "embeddings.similarity", "cosine");
    assert_int_equal(ps_manifest_made_from(m, "embeddings.npy", "features/visual.npy"),
                     0);
    assert_int_equal(ps_manifest_made_from(m, "index.faiss", "embeddings.npy"), 0);
    tiny_commit(d);
}
