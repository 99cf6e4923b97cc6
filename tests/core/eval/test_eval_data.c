/* test_eval_data.c - walks and popularity on real saves, against known figures.
 *
 * The sets lie outside the repository ($PS_SHARED/data, by default ../shared/data) and
 * the tests are skipped without them. The known figures were measured with another
 * implementation of the same definitions; walks are random, so a little room is left.
 *
 * Threads: ps_eval's own.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/eval.h"
#include "pinsage/import.h"
#include "server/cli/steps.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/pinsage-eval-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return ps_dir_remove(folder, NULL);
}

static void join(char out[PS_PATH_MAX], const char *set, const char *file)
{
    const char *shared = getenv("PS_SHARED");
    snprintf(out, PS_PATH_MAX, "%s/data/%s/%s", shared ? shared : "../shared", set, file);
}

/* A generation of the set, or a skipped test. */
static ps_generation *import_set(const char *set)
{
    char pins[PS_PATH_MAX], edges[PS_PATH_MAX], visual[PS_PATH_MAX];
    join(pins, set, "pins.tsv.gz");
    join(edges, set, "edges.tsv.gz");
    join(visual, set, "visual.npy");
    if (!ps_file_exists(pins)) {
        print_message("no %s: set PS_SHARED to run this test\n", pins);
        skip();
    }
    ps_import_feature feature = {"visual", visual};
    ps_import_opts opts = {.pins = pins,
                           .edges = edges,
                           .features = &feature,
                           .n_features = ps_file_exists(visual),
                           .keep = 1};
    char catalog[PS_PATH_MAX];
    ps_import_report report;
    ps_generation *g = NULL;
    ps_why why = {0};
    snprintf(catalog, sizeof catalog, "%s/%s", folder, set);
    if (ps_import(catalog, &opts, &report, NULL, &why) ||
        ps_generation_open_base(&g, catalog, &why))
        fail_msg("%s: %s", why.where, why.text);
    return g;
}

static void evaluate(ps_generation *g, const char *set, const char *methods, size_t most,
                     ps_eval_report *report)
{
    char path[PS_PATH_MAX];
    ps_pins_reader *reader;
    ps_pairs pairs;
    ps_why why = {0};
    ps_eval_opts opts = ps_cli_eval_defaults();
    join(path, set, "pairs.test.tsv.gz");
    opts.methods = methods;
    opts.bootstraps = 200;
    assert_int_equal(ps_pins_reader_new(&reader, g->pins), PS_OK);
    assert_int_equal(ps_pairs_load(&pairs, path, reader, (ps_pairs_opts){0}, NULL),
                     PS_OK);
    ps_pairs part = {.pair = pairs.pair, .n = pairs.n < most ? pairs.n : most};
    if (ps_eval(g, &part, &opts, report, NULL, &why))
        fail_msg("%s", why.text);
    ps_pairs_free(&pairs);
    ps_pins_reader_free(reader);
}

/* In percent, as the tables have it. */
static void expect_rate(const ps_eval_report *r, size_t method, size_t cut,
                        double percent, double room)
{
    double got = 100 * r->result[method].all.hit_rate[cut].mean;
    if (fabs(got - percent) > room)
        fail_msg("%s: hit rate at %u is %.2f, not %.2f", r->result[method].method,
                 r->cut[cut], got, percent);
}

static void posters_rank_as_known(void **state)
{
    (void)state;
    ps_eval_report r;
    ps_generation *g = import_set("movielens-posters");
    evaluate(g, "movielens-posters", "popular,visual,pixie", SIZE_MAX, &r);
    const double popular[4] = {3.5, 12.9, 21.2, 58.9}, visual[4] = {.4, 2.4, 4.3, 22.6},
                 pixie[4] = {4.0, 13.8, 23.6, 62.3};
    for (size_t c = 0; c < 4; c++) {
        expect_rate(&r, 0, c, popular[c], .051); /* nothing random: the rounding alone */
        expect_rate(&r, 1, c, visual[c], .051);
        expect_rate(&r, 2, c, pixie[c], 1);
    }
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

static void walks_beat_popularity_on_papers(void **state)
{
    (void)state;
    ps_eval_report r;
    ps_generation *g = import_set("citeulike-t");
    evaluate(g, "citeulike-t", NULL, 1500, &r); /* all that there is without vectors */
    assert_int_equal(r.n, 3);
    assert_string_equal(r.result[0].method, "pixie");
    assert_string_equal(r.result[1].method, "pixie-corrected");
    assert_string_equal(r.result[2].method, "popular");
    assert_true(r.result[0].all.hit_rate[0].low > r.result[2].all.hit_rate[0].high);
    assert_true(r.result[1].all.mrr.low > r.result[2].all.mrr.high);
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posters_rank_as_known),
        cmocka_unit_test(walks_beat_popularity_on_papers),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
