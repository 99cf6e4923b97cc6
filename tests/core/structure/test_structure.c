/* test_structure.c - the step on small catalogs: rows, fold-in, files, refusals, and a
 * graph with more loose ends than directions. */
#include "pinsage/structure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/numpy.h"
#include "tests/support/planted.h"
#include "tests/support/scratch.h"

/* ------------------------------ Helpers ----------------------------------- */

enum { PINS = 120, BOARDS = 30, DIM = 4, PAIRS = 40 };

/* PINS pins in two groups that prefer the boards of their own parity; the last is on no
 * board. Then `loose` pairs of pins, each on a board of its own. */
static void import_groups(const char *name, unsigned loose)
{
    ps_buf pins = {0}, edges = {0};
    uint64_t rng = 9;
    use(name);
    ps_buf_text(&pins, "pin\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (unsigned p = 0; p < PINS; p++) {
        ps_buf_printf(&pins, "p%u\n", p);
        for (unsigned b = 0; p + 1 < PINS && b < BOARDS; b++)
            if (ps_rng_below(&rng, 100) < (p % 2 == b % 2 ? 40u : 5u))
                ps_buf_printf(&edges, "p%u\tb%u\n", p, b);
    }
    for (unsigned i = 0; i < loose; i++) {
        ps_buf_printf(&pins, "x%u\ny%u\n", i, i);
        ps_buf_printf(&edges, "x%u\tz%u\ny%u\tz%u\n", i, i, i, i);
    }
    const char *p = scratch_text("pins.tsv", pins.data);
    ps_import_opts o = {.pins = p,
                        .edges = scratch_text("edges.tsv", edges.data),
                        .threads = 1,
                        .keep = 1};
    ps_import_report r;
    ps_why why = {0};
    must(ps_import(catalog, &o, &r, NULL, &why), &why);
    ps_buf_done(&pins);
    ps_buf_done(&edges);
}

static ps_structure_opts small(void)
{
    ps_structure_opts o = ps_cli_structure_defaults();
    o.dim = DIM;
    o.threads = 2;
    return o;
}

static ps_structure_report structure(ps_structure_opts o)
{
    ps_structure_report r;
    ps_why why = {0};
    must(ps_structure(catalog, &o, &r, NULL, &why), &why);
    return r;
}

static const float *row_of(const ps_generation *g, size_t row)
{
    const ps_npy *a = &ps_generation_block(g, "structure")->array;
    return (const float *)a->data + row * a->cols;
}

static double dot(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t j = 0; j < dim; j++)
        sum += (double)a[j] * (double)b[j];
    return sum;
}

/* Mean cosine of pins of the same group less that of pins of different ones. */
static double contrast(const ps_generation *g)
{
    double same = 0, other = 0;
    size_t n_same = 0, n_other = 0, dim = ps_generation_block(g, "structure")->array.cols;
    for (size_t a = 0; a + 1 < PINS; a++)
        for (size_t b = 0; b < a; b++) {
            double c = dot(row_of(g, a), row_of(g, b), dim);
            if (a % 2 == b % 2) {
                same += c;
                n_same++;
            } else {
                other += c;
                n_other++;
            }
        }
    return same / (double)n_same - other / (double)n_other;
}

/* ------------------------------ The block --------------------------------- */

static void rows_have_length_one_or_are_zero_without_boards(void **state)
{
    (void)state;
    import_groups("rows", 0);
    ps_structure_report r = structure(small());
    ps_generation *g = planted_open();
    assert_string_equal(g->name, r.generation);
    assert_int_equal(r.dim, DIM);
    assert_int_equal(r.filled, PINS - 1);
    assert_true(r.first <= 1 && r.first > r.second && r.second >= r.last && r.last > 0);
    for (size_t p = 0; p + 1 < PINS; p++)
        assert_true(fabs(dot(row_of(g, p), row_of(g, p), DIM) - 1) < 1e-5);
    assert_true(dot(row_of(g, PINS - 1), row_of(g, PINS - 1), DIM) == 0);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.structure.dim", 0), DIM);
    assert_int_equal(ps_manifest_u64(g->manifest, "blocks.structure.filled", 0),
                     PINS - 1);
    ps_generation_release(g);
}

static void folding_a_pin_in_by_its_boards_gives_its_row(void **state)
{
    (void)state;
    char path[PS_PATH_MAX];
    ps_npy boards;
    ps_why why = {0};
    float out[DIM];
    import_groups("fold", 0);
    structure(small());
    ps_generation *g = planted_open();
    assert_true(ps_generation_file(g, "structure.boards.npy", path));
    must(ps_npy_open_as(&boards, path, PS_F32, BOARDS, DIM, PS_RANDOM, &why), &why);
    for (uint32_t p = 0; p < PINS; p++) {
        const ps_csr *m = &g->graph.pin_boards;
        ps_structure_fold_in(&boards, ps_csr_row(m, p), ps_csr_degree(m, p), out);
        assert_memory_equal(out, row_of(g, p), sizeof out);
    }
    ps_npy_close(&boards);
    ps_generation_release(g);
}

static void groups_come_apart(void **state)
{
    (void)state;
    import_groups("groups", 0);
    structure(small());
    ps_generation *g = planted_open();
    double c = contrast(g);
    print_message("# cosine within less cosine across: %.3f\n", c);
    assert_true(c > 0.5);
    ps_generation_release(g);
}

/* Each loose pair is a component with a singular value of its own: ten times as many as
 * directions, and still the two groups are what is seen. */
static void loose_ends_do_not_take_the_directions(void **state)
{
    (void)state;
    import_groups("loose", PAIRS);
    structure(small());
    ps_generation *g = planted_open();
    double c = contrast(g);
    print_message("# cosine within less cosine across: %.3f\n", c);
    assert_true(c > 0.5);
    ps_generation_release(g);
}

static void numpy_gets_the_same_rows_from_the_whole_matrix(void **state)
{
    (void)state;
    char code[2048];
    if (!have_numpy())
        skip();
    import_groups("oracle", 3);
    ps_structure_opts o = small();
    o.dim = 2; /* directions that stand apart, so that they are the same ones */
    o.iterations = 30;
    structure(o);
    ps_generation *g = planted_open();
    snprintf(code, sizeof code,
             "d = '%s/'\n"
             "ptr = np.load(d + 'graph/pin_boards.indptr.npy')\n"
             "idx = np.load(d + 'graph/pin_boards.indices.npy')\n"
             "block = np.load(d + 'features/structure.npy')\n"
             "A = np.zeros((len(ptr) - 1, idx.max() + 1))\n"
             "for p in range(len(A)):\n"
             "    A[p, idx[int(ptr[p]):int(ptr[p + 1])]] = 1\n"
             "M = A / np.sqrt(A.sum(1) + 4)[:, None] / np.sqrt(A.sum(0) + 4)\n"
             "U, S, V = np.linalg.svd(M, full_matrices=False)\n"
             "R = (U * S)[:, 1:3]\n"
             "R /= np.maximum(np.linalg.norm(R, axis=1), 1e-30)[:, None]\n"
             "R[A.sum(1) == 0] = 0\n"
             "worst = abs(abs(R @ R.T) - abs(block @ block.T))[:119, :119].max()\n"
             "assert worst < 1e-3, worst\n",
             g->dir);
    assert_true(numpy(code));
    ps_generation_release(g);
}

/* ------------------------------ Files ------------------------------------- */

static void hashes(uint64_t out[2])
{
    uint64_t size;
    ps_generation *g = planted_open();
    assert_true(ps_manifest_file(g->manifest, "features/structure.npy", &size, &out[0]));
    assert_true(ps_manifest_file(g->manifest, "structure.boards.npy", &size, &out[1]));
    ps_generation_release(g);
}

static void again_or_with_other_threads_the_files_are_the_same(void **state)
{
    (void)state;
    uint64_t first[2], again[2], other[2];
    import_groups("same", 700); /* more pins than one part of the sums */
    ps_structure_opts o = small();
    structure(o);
    hashes(first);
    o.threads = 5;
    structure(o);
    hashes(again);
    assert_memory_equal(first, again, sizeof first);
    o.seed = 2;
    structure(o);
    hashes(other);
    assert_true(first[1] != other[1]);
}

static void more_numbers_than_the_graph_has_become_as_many_as_it_has(void **state)
{
    (void)state;
    import_groups("clamp", 0);
    ps_structure_opts o = small();
    o.dim = 128;
    ps_structure_report r = structure(o);
    assert_int_equal(r.dim, BOARDS - 1);
    ps_generation *g = planted_open();
    assert_int_equal(ps_generation_block(g, "structure")->array.cols, BOARDS - 1);
    assert_true(contrast(g) > 0.1);
    ps_generation_release(g);
}

static void stopped_or_refused_it_leaves_the_catalog_as_it_was(void **state)
{
    (void)state;
    char *stages[] = {"structure", "block"};
    ps_structure_opts o = small();
    ps_structure_report r;
    ps_why why = {0};
    import_groups("stopped", 0);
    for (size_t i = 0; i < 2; i++) {
        moment first = {.stage = stages[i], .nth = 1};
        ps_progress p = stop_at(&first);
        assert_int_equal(ps_structure(catalog, &o, &r, &p, NULL), PS_ECANCELLED);
        assert_string_equal(listing(), "current gen-000001 lock");
    }
    o.dim = 1;
    assert_int_equal(ps_structure(catalog, &o, &r, NULL, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "2..1024"));
    assert_string_equal(listing(), "current gen-000001 lock");
    use("none");
    o = small();
    assert_int_equal(ps_structure(catalog, &o, &r, NULL, &why), PS_ENOENT);
    assert_string_equal(listing(), "nothing");
}

static int structure_in_child(void *cls)
{
    ps_structure_opts o = small();
    ps_structure_report r;
    o.threads = 1;
    return ps_structure(catalog, &o, &r, cls, NULL);
}

static void killed_at_any_report_it_leaves_a_whole_catalog(void **state)
{
    (void)state;
    import_groups("killed", 0);
    int runs = killed_at_each_word(structure_in_child);
    assert_in_range(runs, 5, 100);
    assert_string_equal(listing(), "current gen-000001 gen-000002 lock next");
}

static void two_boards_have_no_structure(void **state)
{
    (void)state;
    ps_structure_opts o = small();
    ps_structure_report r;
    ps_import_report done;
    ps_why why = {0};
    use("two");
    ps_import_opts files = {
        .pins = scratch_text("pins.tsv", "pin\na\nb\nc\n"),
        .edges = scratch_text("edges.tsv", "pin\tboard\na\tx\nb\tx\nc\ty\n"),
        .keep = 1};
    must(ps_import(catalog, &files, &done, NULL, &why), &why);
    assert_int_equal(ps_structure(catalog, &o, &r, NULL, &why), PS_ENOENT);
    assert_non_null(strstr(why.text, "no structure"));
    assert_string_equal(listing(), "current gen-000001 lock");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_length_one_or_are_zero_without_boards),
        cmocka_unit_test(folding_a_pin_in_by_its_boards_gives_its_row),
        cmocka_unit_test(groups_come_apart),
        cmocka_unit_test(loose_ends_do_not_take_the_directions),
        cmocka_unit_test(numpy_gets_the_same_rows_from_the_whole_matrix),
        cmocka_unit_test(again_or_with_other_threads_the_files_are_the_same),
        cmocka_unit_test(more_numbers_than_the_graph_has_become_as_many_as_it_has),
        cmocka_unit_test(stopped_or_refused_it_leaves_the_catalog_as_it_was),
        cmocka_unit_test(killed_at_any_report_it_leaves_a_whole_catalog),
        cmocka_unit_test(two_boards_have_no_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
