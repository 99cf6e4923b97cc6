/* test_import_faults.c - an import appears whole or not at all: full disks, kill -9.
 *
 * A full disk is played by the limit on a file's size, which LMDB's own writes meet as
 * well as ours. Kills come at every word to the listener, and, over real data, at any
 * moment.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"

enum { PINS = 3000 };

static ps_why why;
static char pins_path[PS_PATH_MAX], edges_path[PS_PATH_MAX], visual_path[PS_PATH_MAX];
static ps_import_feature visual = {"visual", visual_path};

static ps_import_opts corpus(void)
{
    float *v = calloc(PINS * 8, sizeof *v);
    snprintf(pins_path, sizeof pins_path, "%s", scratch("pins.tsv"));
    snprintf(edges_path, sizeof edges_path, "%s", scratch("edges.tsv"));
    snprintf(visual_path, sizeof visual_path, "%s",
             npy_file("v.npy", PS_F32, PINS, 8, v));
    free(v);
    FILE *pins = fopen(pins_path, "w"), *edges = fopen(edges_path, "w");
    fputs("pin\ttitle\n", pins);
    fputs("pin\tboard\n", edges);
    for (int i = 0; i < PINS; i++) {
        fprintf(pins, "pin%d\ttitle of pin %d, some words long\n", i, i);
        for (int j = 0; j < 3; j++)
            fprintf(edges, "pin%d\tboard%d\n", i, (i * 7 + j * j * 13) % 400);
    }
    fclose(pins);
    fclose(edges);
    return (ps_import_opts){
        .pins = pins_path, .edges = edges_path, .features = &visual, .n_features = 1};
}

/* Nothing, or a catalog that is whole; returns which. */
static bool check_left(uint32_t pins)
{
    char path[PS_PATH_MAX];
    ps_generation *g;
    if (ps_catalog_base(catalog, path, NULL) != PS_OK)
        return false;
    must(ps_generation_open_base(&g, catalog, &why), &why);
    assert_int_equal(g->n_pins, pins);
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
    return true;
}

/* ------------------------------ Full disks -------------------------------- */

static int import_with_room(const ps_import_opts *o, rlim_t bytes)
{
    struct rlimit old, now;
    getrlimit(RLIMIT_FSIZE, &old);
    now = (struct rlimit){bytes, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
    int err = ps_import(catalog, o, NULL, NULL, &why);
    setrlimit(RLIMIT_FSIZE, &old);
    return err;
}

static void a_full_disk_at_any_size_leaves_nothing(void **state)
{
    (void)state;
    ps_import_opts o = corpus();
    int err = PS_EFULL, failed = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; err; room += 7001) {
        use("full");
        why = (ps_why){0};
        err = import_with_room(&o, room);
        if (!err)
            break;
        failed++;
        if (err != PS_EFULL && err != PS_EIO)
            fail_msg("%s: %s: %s", ps_errname(err), why.where, why.text);
        assert_true(why.text[0] != '\0');
        assert_string_equal(listing(), "nothing");
    }
    assert_true(failed > 10);
    assert_true(check_left(PINS));
}

static void a_full_disk_keeps_the_old_generation(void **state)
{
    (void)state;
    ps_import_opts o = corpus();
    use("full_over");
    must(ps_import(catalog, &o, NULL, NULL, &why), &why);
    for (rlim_t room = 1000; room < 100000; room += 20000) {
        assert_int_not_equal(import_with_room(&o, room), PS_OK);
        assert_string_equal(listing(), "current gen-000001 lock");
        assert_true(check_left(PINS));
    }
}

/* ------------------------------ Kills ------------------------------------- */

typedef struct import {
    const ps_import_opts *opts;
    ps_progress progress;
} import;

static int import_in_child(void *cls)
{
    import *i = cls;
    return ps_import(catalog, i->opts, NULL, &i->progress, NULL);
}

static void a_kill_at_any_step_leaves_nothing_and_no_obstacle(void **state)
{
    (void)state;
    ps_import_opts o = corpus();
    int calls = 1;
    for (bool killed = true; killed; calls++) {
        use("killed");
        moment last = {.nth = calls};
        killed = !survives(import_in_child, &(import){&o, kill_at(&last)});
        assert_true(check_left(PINS) == !killed);
        must(ps_import(catalog, &o, NULL, NULL, &why), &why);
        assert_true(check_left(PINS));
        assert_string_equal(listing(), killed ? "current gen-000001 lock"
                                              : "current gen-000001 gen-000002 lock");
    }
    assert_true(calls > 4);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void kills_at_any_moment_of_a_real_import_leave_nothing_or_all(void **state)
{
    (void)state;
    const char *dir = shared_data("movielens-posters");
    if (!dir) {
        print_message("# shared data movielens-posters is missing\n");
        skip();
    }
    snprintf(pins_path, sizeof pins_path, "%.4000s/pins.tsv.gz", dir);
    snprintf(edges_path, sizeof edges_path, "%.4000s/edges.tsv.gz", dir);
    snprintf(visual_path, sizeof visual_path, "%.4000s/visual.npy", dir);
    ps_import_opts o = {
        .pins = pins_path, .edges = edges_path, .features = &visual, .n_features = 1};
    use("real_kill");
    double start = seconds();
    must(ps_import(catalog, &o, NULL, NULL, &why), &why);
    long whole = (long)(1e6 * (seconds() - start));
    int killed = 0;
    for (int i = 0; i < 30; i++) {
        use("real_kill");
        long after = 1 + whole / 30 * i + whole / 60;
        killed += !survives_for(after, import_in_child, &(import){.opts = &o});
        check_left(2291);
    }
    assert_true(killed > 0);
    must(ps_import(catalog, &o, NULL, NULL, &why), &why);
    assert_true(check_left(2291));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_at_any_size_leaves_nothing),
        cmocka_unit_test(a_full_disk_keeps_the_old_generation),
        cmocka_unit_test(a_kill_at_any_step_leaves_nothing_and_no_obstacle),
        cmocka_unit_test(kills_at_any_moment_of_a_real_import_leave_nothing_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
