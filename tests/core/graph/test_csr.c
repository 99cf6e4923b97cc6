/* test_csr.c - graphs in memory and mapped, and every way one can be broken is told. */
#include "pinsage/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/scratch.h"

/* Pins 0..4, boards 0..2; pin 3 on no board, board 2 with one pin; one pair twice. */
static const uint32_t few[][2] = {{4, 0}, {0, 1}, {0, 0}, {2, 1}, {1, 0},
                                  {0, 1}, {2, 2}, {4, 1}, {1, 1}};
#define N_FEW (sizeof few / sizeof *few)

static ps_graph small(void)
{
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 5, 3, few, N_FEW), PS_OK);
    return g;
}

/* ------------------------------ In memory --------------------------------- */

static void pairs_become_two_sorted_matrices(void **state)
{
    (void)state;
    static const uint64_t pins[] = {0, 2, 4, 6, 6, 8}, boards[] = {0, 3, 7, 8};
    static const uint32_t on[] = {0, 1, 0, 1, 1, 2, 0, 1},
                          of[] = {0, 1, 4, 0, 1, 2, 4, 2};
    ps_graph g = small();
    assert_int_equal(g.pin_boards.rows, 5);
    assert_int_equal(g.board_pins.rows, 3);
    assert_int_equal(g.pin_boards.edges, 8);
    assert_memory_equal(g.pin_boards.indptr, pins, sizeof pins);
    assert_memory_equal(g.board_pins.indptr, boards, sizeof boards);
    assert_memory_equal(g.pin_boards.indices, on, sizeof on);
    assert_memory_equal(g.board_pins.indices, of, sizeof of);
    assert_int_equal(ps_graph_check(&g, NULL), PS_OK);
    ps_graph_free(&g);
}

static void a_graph_of_nothing_is_a_graph(void **state)
{
    (void)state;
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 0, 0, NULL, 0), PS_OK);
    assert_int_equal(ps_graph_check(&g, NULL), PS_OK);
    ps_graph_free(&g);
    assert_int_equal(ps_graph_from_pairs(&g, 3, 2, NULL, 0), PS_OK);
    assert_int_equal(ps_graph_check(&g, NULL), PS_OK);
    assert_int_equal(ps_csr_degree(&g.pin_boards, 2), 0);
    ps_graph_free(&g);
}

static void pairs_out_of_range_are_refused(void **state)
{
    (void)state;
    static const uint32_t pin[][2] = {{5, 0}}, board[][2] = {{0, 3}};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 5, 3, pin, 1), PS_ERANGE);
    assert_int_equal(ps_graph_from_pairs(&g, 5, 3, board, 1), PS_ERANGE);
}

static void a_row_has_what_was_put_in_and_nothing_else(void **state)
{
    (void)state;
    uint32_t pairs[200][2];
    bool in[8][40] = {{false}};
    uint64_t rng = 7;
    for (int i = 0; i < 200; i++) {
        pairs[i][0] = (uint32_t)ps_rng_below(&rng, 7); /* row 7 stays empty */
        pairs[i][1] = (uint32_t)ps_rng_below(&rng, 40);
        in[pairs[i][0]][pairs[i][1]] = true;
    }
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 8, 40, (const uint32_t(*)[2])pairs, 200), 0);
    for (uint32_t p = 0; p < 8; p++)
        for (uint32_t b = 0; b < 40; b++) {
            assert_int_equal(ps_csr_has(&g.pin_boards, p, b), in[p][b]);
            assert_int_equal(ps_csr_has(&g.board_pins, b, p), in[p][b]);
        }
    ps_graph_free(&g);
}

/* ------------------------------ Checking ---------------------------------- */

static void is_broken(const ps_graph *g, const char *part)
{
    ps_why why = {0};
    int err = ps_graph_check(g, &why);
    if (!strstr(why.text, part))
        print_message("said \"%s\", expected \"%s\"\n", why.text, part);
    assert_true(err == PS_EFORMAT || err == PS_EMISMATCH);
    assert_non_null(strstr(why.text, part));
}

/* The arrays of a graph in memory, for breaking. */
static uint64_t *offsets(const ps_csr *m)
{
    return (uint64_t *)(uintptr_t)m->indptr;
}

static uint32_t *indices(const ps_csr *m)
{
    return (uint32_t *)(uintptr_t)m->indices;
}

static void broken_matrices_are_told(void **state)
{
    (void)state;
    ps_graph g = small();
    offsets(&g.pin_boards)[2] = 1;
    is_broken(&g, "fall after row 1");
    offsets(&g.pin_boards)[2] = UINT64_MAX;
    is_broken(&g, "fall after row 2");
    offsets(&g.pin_boards)[2] = 4;
    offsets(&g.pin_boards)[5] = 9;
    is_broken(&g, "do not span");
    offsets(&g.pin_boards)[5] = 8;
    indices(&g.pin_boards)[1] = 3;
    is_broken(&g, "row 0 holds 3, of 3");
    indices(&g.pin_boards)[1] = 0;
    is_broken(&g, "row 0 is not in order at 0");
    indices(&g.pin_boards)[1] = 1;
    indices(&g.board_pins)[2] = 5;
    is_broken(&g, "row 0 holds 5, of 5");
    indices(&g.board_pins)[2] = 4;
    g.board_pins.edges--;
    is_broken(&g, "edges");
    g.board_pins.edges++;
    assert_int_equal(ps_graph_check(&g, NULL), PS_OK);
    ps_graph_free(&g);
}

/* Both matrices in order by themselves, but one edge differs. */
static void matrices_that_are_not_transposes_are_told(void **state)
{
    (void)state;
    ps_graph g = small();
    indices(&g.board_pins)[2] = 3; /* board 0 holds pin 3 instead of 4 */
    is_broken(&g, "board 0 does not hold pin 4");
    indices(&g.board_pins)[2] = 4;
    indices(&g.pin_boards)[5] = 1; /* pin 2 twice the same would be disorder: 0 and 1 */
    indices(&g.pin_boards)[4] = 0;
    is_broken(&g, "does not hold pin 2");
    ps_graph_free(&g);
}

/* Any one index changed to any other value is noticed. */
static void no_single_wrong_index_goes_unnoticed(void **state)
{
    (void)state;
    ps_graph g = small();
    const ps_csr *side[2] = {&g.pin_boards, &g.board_pins};
    for (int s = 0; s < 2; s++)
        for (uint64_t i = 0; i < g.pin_boards.edges; i++)
            for (uint32_t v = 0; v < 7; v++) {
                uint32_t old = side[s]->indices[i];
                indices(side[s])[i] = v;
                assert_int_equal(ps_graph_check(&g, NULL) == PS_OK, v == old);
                indices(side[s])[i] = old;
            }
    ps_graph_free(&g);
}

/* ------------------------------ Mapped ------------------------------------ */

static const char *const names[4] = {"pin_boards.indptr", "pin_boards.indices",
                                     "board_pins.indptr", "board_pins.indices"};

static void write_array(int which, ps_dtype dtype, const void *data, uint64_t n,
                        uint64_t cols)
{
    char name[64];
    ps_out *o;
    snprintf(name, sizeof name, "graph/%s.npy", names[which]);
    assert_int_equal(ps_out_open(&o, scratch(name), NULL), PS_OK);
    ps_npy_header(o, dtype, n, cols);
    ps_out_write(o, data, n * ps_dtype_size(dtype));
    assert_int_equal(ps_out_close(o, NULL, NULL), PS_OK);
}

static void write_graph(const ps_graph *g)
{
    ps_dir_make(scratch("graph"), NULL);
    write_array(0, PS_U64, g->pin_boards.indptr, g->pin_boards.rows + 1, 0);
    write_array(1, PS_U32, g->pin_boards.indices, g->pin_boards.edges, 0);
    write_array(2, PS_U64, g->board_pins.indptr, g->board_pins.rows + 1, 0);
    write_array(3, PS_U32, g->board_pins.indices, g->board_pins.edges, 0);
}

static void a_written_graph_is_mapped_as_it_was(void **state)
{
    (void)state;
    ps_graph g = small(), m;
    write_graph(&g);
    assert_int_equal(ps_graph_open(&m, scratch("graph"), NULL), PS_OK);
    assert_int_equal(m.pin_boards.rows, 5);
    assert_int_equal(m.board_pins.rows, 3);
    assert_memory_equal(m.pin_boards.indices, g.pin_boards.indices, 8 * 4);
    assert_memory_equal(m.board_pins.indices, g.board_pins.indices, 8 * 4);
    assert_int_equal(ps_graph_check(&m, NULL), PS_OK);
    ps_graph_close(&m);
    assert_null(m.pin_boards.indptr);
    ps_graph_free(&g);
}

static void not_opened(int err, const char *part)
{
    ps_graph m;
    ps_why why = {0};
    int got = ps_graph_open(&m, scratch("graph"), &why);
    if (!strstr(why.text, part))
        print_message("said \"%s\", expected \"%s\"\n", why.text, part);
    assert_int_equal(got, err);
    assert_non_null(strstr(why.text, part));
    for (int i = 0; i < 4; i++)
        assert_null(m.array[i].map.data);
}

static void arrays_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const uint64_t late[] = {1, 3, 7, 8}, shorter[] = {0, 3, 5};
    ps_graph g = small();
    write_graph(&g);
    write_array(2, PS_U64, late, 4, 0);
    not_opened(PS_EFORMAT, "runs from 1 to 8");
    write_array(2, PS_U64, late, 0, 0);
    not_opened(PS_EFORMAT, "0 offsets");
    write_array(2, PS_U32, g.board_pins.indices, 4, 0);
    not_opened(PS_EFORMAT, "<u8");
    write_graph(&g);
    write_array(1, PS_U32, g.pin_boards.indices, 8, 1);
    not_opened(PS_EFORMAT, "one dimension");
    write_graph(&g);
    write_array(3, PS_U32, g.board_pins.indices, 7, 0);
    not_opened(PS_EFORMAT, "its indices are 7");
    write_array(2, PS_U64, shorter, 3, 0);
    write_array(3, PS_U32, g.board_pins.indices, 5, 0);
    not_opened(PS_EMISMATCH, "8 edges, board_pins 5");
    remove(scratch("graph/board_pins.indices.npy"));
    not_opened(PS_ENOENT, "cannot be opened");
    ps_graph_free(&g);
}

static void no_offset_that_falls_is_used(void **state)
{
    (void)state;
    ps_graph g = small();
    for (int which = 0; which < 4; which += 2) {
        const ps_csr *m = which ? &g.board_pins : &g.pin_boards;
        for (uint32_t i = 0; i <= m->rows; i++)
            for (int bit = 3; bit < 64; bit++) { /* there are 8 edges */
                uint64_t offset[8];
                memcpy(offset, m->indptr, (m->rows + 1u) * sizeof *offset);
                offset[i] ^= (uint64_t)1 << bit;
                write_graph(&g);
                write_array(which, PS_U64, offset, m->rows + 1u, 0);
                not_opened(PS_EFORMAT, names[which]);
            }
    }
    ps_graph_free(&g);
}

static void edges_that_lead_nowhere_are_not_followed(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {3, 5, 100000, 0x7fffffff, UINT32_MAX};
    ps_graph g = small(), m;
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++)
        for (int which = 1; which < 4; which += 2) {
            uint32_t all[8], out[8];
            ps_side side = which == 1 ? PS_PINS : PS_BOARDS;
            for (int i = 0; i < 8; i++)
                all[i] = which == 3 && wrong[w] < 5 ? 5 : wrong[w];
            write_graph(&g);
            write_array(which, PS_U32, all, 8, 0);
            assert_int_equal(ps_graph_open(&m, scratch("graph"), NULL), PS_OK);
            assert_int_equal(ps_graph_edge(&m, side, 0, 1), 0);
            assert_int_equal(ps_graph_slice(&m, side, 0, 0, 8, out),
                             ps_graph_degree(&m, side, 0));
            assert_int_equal(out[1], 0);
            ps_graph_close(&m);
        }
    ps_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_become_two_sorted_matrices),
        cmocka_unit_test(a_graph_of_nothing_is_a_graph),
        cmocka_unit_test(pairs_out_of_range_are_refused),
        cmocka_unit_test(a_row_has_what_was_put_in_and_nothing_else),
        cmocka_unit_test(broken_matrices_are_told),
        cmocka_unit_test(matrices_that_are_not_transposes_are_told),
        cmocka_unit_test(no_single_wrong_index_goes_unnoticed),
        cmocka_unit_test(a_written_graph_is_mapped_as_it_was),
        cmocka_unit_test(arrays_that_do_not_fit_are_refused),
        cmocka_unit_test(no_offset_that_falls_is_used),
        cmocka_unit_test(edges_that_lead_nowhere_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
