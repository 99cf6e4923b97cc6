/* planted.c - see planted.h. */
#include "tests/support/planted.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/half.h"
#include "pinsage/npy.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"

enum { BOARD_SIZE = 6 };

/* ------------------------------ Making ------------------------------------ */

/* A pin of this group, never the last of all. */
static uint32_t member(const planted *p, uint32_t group, uint64_t *rng)
{
    uint32_t size = (p->n_pins - 1 - group + p->groups - 1) / p->groups;
    return group + p->groups * (uint32_t)ps_rng_below(rng, size);
}

static void make_features(planted *p)
{
    uint64_t rng = ps_rng_at(p->seed, 1);
    p->visual = calloc((size_t)p->n_pins * PLANTED_VISUAL, sizeof *p->visual);
    p->annotation = calloc((size_t)p->n_pins * PLANTED_ANNOTATION, sizeof(uint16_t));
    assert_true(p->visual && p->annotation);
    for (uint32_t i = 0; i < p->n_pins; i++) {
        float *v = p->visual + (size_t)i * PLANTED_VISUAL, a[PLANTED_ANNOTATION];
        for (int j = 0; j < PLANTED_VISUAL; j++)
            v[j] = 2 * ps_rng_unit(&rng) - 1;
        v[i % p->groups % PLANTED_VISUAL] += 1.0f;
        for (int j = 0; j < PLANTED_ANNOTATION; j++)
            a[j] = i % 7 == 3 ? 0 : 2 * ps_rng_unit(&rng) - 1;
        ps_f32_to_f16(a, p->annotation + (size_t)i * PLANTED_ANNOTATION,
                      PLANTED_ANNOTATION);
    }
}

static void make_graph(planted *p)
{
    uint64_t rng = ps_rng_at(p->seed, 2);
    size_t n = (size_t)p->n_boards * BOARD_SIZE;
    uint32_t(*edge)[2] = malloc(n * sizeof *edge);
    assert_non_null(edge);
    for (size_t i = 0; i < n; i++) {
        uint32_t board = (uint32_t)(i / BOARD_SIZE);
        int stranger = ps_rng_below(&rng, 12) == 0;
        edge[i][0] = stranger ? (uint32_t)ps_rng_below(&rng, p->n_pins - 1)
                              : member(p, board % p->groups, &rng);
        edge[i][1] = board;
    }
    assert_int_equal(ps_graph_from_pairs(&p->graph, p->n_pins, p->n_boards,
                                         (const uint32_t(*)[2])edge, n),
                     PS_OK);
    free(edge);
}

static ps_block block(const char *name, ps_dtype t, uint32_t rows, uint32_t cols,
                      const void *data)
{
    return (ps_block){name,
                      {.dtype = t, .ndim = 2, .rows = rows, .cols = cols, .data = data}};
}

void planted_make(planted *p, uint32_t n_pins, uint32_t groups, uint64_t seed)
{
    *p = (planted){
        .n_pins = n_pins, .n_boards = n_pins / 2, .groups = groups, .seed = seed};
    make_features(p);
    make_graph(p);
    p->block[0] = block("annotation", PS_F16, n_pins, PLANTED_ANNOTATION, p->annotation);
    p->block[1] = block("visual", PS_F32, n_pins, PLANTED_VISUAL, p->visual);
    p->generation = (ps_generation){.name = "planted",
                                    .n_pins = n_pins,
                                    .n_boards = p->n_boards,
                                    .graph = p->graph,
                                    .n_blocks = 2,
                                    .blocks = p->block};
}

void planted_free(planted *p)
{
    free(p->visual);
    free(p->annotation);
    ps_graph_free(&p->graph);
}

ps_pairs planted_pairs(const planted *p, size_t n, uint64_t seed)
{
    ps_pairs out = {.pair = malloc((n + 1) * sizeof *out.pair), .n = n};
    uint64_t rng = ps_rng_at(seed, 3);
    assert_non_null(out.pair);
    for (size_t i = 0; i < n; i++) {
        uint32_t group = (uint32_t)ps_rng_below(&rng, p->groups);
        out.pair[i][0] = member(p, group, &rng);
        do
            out.pair[i][1] = member(p, group, &rng);
        while (out.pair[i][1] == out.pair[i][0]);
    }
    return out;
}

/* ------------------------------ As files ---------------------------------- */

static const char *save(const char *name, ps_buf *b)
{
    assert_false(b->failed);
    const char *path = scratch_file(name, b->data, b->size);
    ps_buf_done(b);
    return path;
}

void planted_import(const planted *p)
{
    ps_buf pins = {0}, edges = {0};
    ps_why why = {0};
    ps_import_report report;
    ps_buf_printf(&pins, "pin\ttitle\n");
    ps_buf_printf(&edges, "pin\tboard\n");
    for (uint32_t i = 0; i < p->n_pins; i++) {
        const uint32_t *boards = ps_csr_row(&p->graph.pin_boards, i);
        ps_buf_printf(&pins, "p%" PRIu32 "\tpin %" PRIu32 "\n", i, i);
        for (uint32_t j = 0; j < ps_csr_degree(&p->graph.pin_boards, i); j++)
            ps_buf_printf(&edges, "p%" PRIu32 "\tb%" PRIu32 "\n", i, boards[j]);
    }
    const ps_import_feature feature[] = {
        {"annotation", npy_file("annotation.npy", PS_F16, p->n_pins, PLANTED_ANNOTATION,
                                p->annotation)},
        {"visual", npy_file("visual.npy", PS_F32, p->n_pins, PLANTED_VISUAL, p->visual)}};
    ps_import_opts o = {.pins = save("pins.tsv", &pins),
                        .edges = save("edges.tsv", &edges),
                        .features = feature,
                        .n_features = 2,
                        .threads = 1};
    must(ps_import(catalog, &o, &report, NULL, &why), &why);
}

const char *planted_pairs_file(const planted *p, const char *name, size_t n,
                               uint64_t seed)
{
    ps_pairs pairs = planted_pairs(p, n, seed);
    ps_buf b = {0};
    ps_buf_printf(&b, "query\trelated\n");
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(&b, "p%" PRIu32 "\tp%" PRIu32 "\n", pairs.pair[i][0],
                      pairs.pair[i][1]);
    ps_pairs_free(&pairs);
    return save(name, &b);
}

ps_generation *planted_open(void)
{
    ps_generation *g = NULL;
    ps_why why = {0};
    must(ps_generation_open_base(&g, catalog, &why), &why);
    return g;
}

void planted_verify(void)
{
    ps_generation *g = planted_open();
    ps_why why = {0};
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
}
