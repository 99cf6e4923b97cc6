/* test_embed_faults.c - whatever fails and whoever kills it, the next run goes on from
 * the last finished stage and ends with the same bytes.
 *
 * Every call that changes the disk goes through a counter (the linker's --wrap): the Nth
 * one fails, or is the moment of a kill -9, for every N.
 *
 * Link: -Wl,--wrap=write,--wrap=fsync,--wrap=rename,--wrap=link,--wrap=symlink
 * Link: -Wl,--wrap=msync
 * Threads: one; children that are killed.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "pinsage/gemm.h"
#include "tests/support/changes.h"
#include "tests/support/faults.h"
#include "tests/support/kills.h"
#include "tests/support/models.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

/* ------------------------------ Faults ------------------------------------ */

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __real_symlink(const char *from, const char *to);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_msync(void *at, size_t size, int flags);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_symlink(const char *from, const char *to);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    return due() ? -1 : __real_write(fd, data, size);
}

/* These two only count: a kill leaves the page cache, so waiting for the disk thousands
 * of times would test nothing more. */
int __wrap_fsync(int fd)
{
    (void)fd;
    return due() ? -1 : 0;
}

int __wrap_msync(void *at, size_t size, int flags)
{
    (void)at, (void)size, (void)flags;
    return due() ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    return due() ? -1 : __real_rename(from, to);
}

int __wrap_link(const char *from, const char *to)
{
    return due() ? -1 : __real_link(from, to);
}

int __wrap_symlink(const char *from, const char *to)
{
    return due() ? -1 : __real_symlink(from, to);
}

/* ------------------------------ A world ----------------------------------- */

enum { PINS = 60, STAGES = 5 };

static const char *const results[] = {"embeddings.npy", "messages.1.npy",
                                      "messages.2.npy"};
static planted world;
static ps_model model;
static uint64_t wanted[3]; /* checksums of an undisturbed run */
static ps_embed_report report;
static ps_why why;

static int embed(void *progress)
{
    ps_embed_opts o = {.threads = 1};
    why = (ps_why){0};
    return ps_embed(catalog, &o, &report, progress, &why);
}

static void begin_anew(const char *name)
{
    arm(NONE, 0);
    use_copy(name, "template");
}

static uint64_t checksum(const char *name)
{
    uint64_t hash, size;
    must(ps_file_hash(tiny_path(name), &hash, &size, &why), &why);
    return hash;
}

static int open_world(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_gemm_init();
    planted_make(&world, PINS, 4, 3);
    model = model_random(&c, 2);
    use("template");
    planted_import(&world);
    model_install(&model);
    begin_anew("whole");
    must(embed(NULL), &why);
    for (int i = 0; i < 3; i++)
        wanted[i] = checksum(results[i]);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    ps_model_free(&model);
    planted_free(&world);
    return 0;
}

/* ------------------------------ Partial work ------------------------------ */

static const char *const stages[STAGES] = {"messages.1.npy", "h.1.npy", "messages.2.npy",
                                           "h.2.npy", "z.npy"};

/* Which stages lie finished, as a row of bits; their times into when. */
static unsigned finished(struct timespec when[STAGES])
{
    char root[PS_PATH_MAX + 16], dir[PS_PATH_MAX + 64] = "", path[2 * PS_PATH_MAX];
    unsigned bits = 0;
    snprintf(root, sizeof root, "%s/embed.partial", catalog);
    DIR *folder = opendir(root);
    for (struct dirent *e; folder && (e = readdir(folder));)
        if (e->d_name[0] != '.')
            snprintf(dir, sizeof dir, "%s/%.32s", root, e->d_name);
    if (folder)
        closedir(folder);
    for (int i = 0; i < STAGES && dir[0]; i++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, stages[i]);
        if (stat(path, &st) == 0) {
            bits |= 1u << i;
            when[i] = st.st_mtim;
        }
    }
    return bits;
}

static void ends_with_the_same_bytes(void)
{
    arm(NONE, 0);
    must(embed(NULL), &why);
    for (int i = 0; i < 3; i++)
        assert_true(checksum(results[i]) == wanted[i]);
    planted_verify();
    struct timespec when[STAGES];
    assert_int_equal(finished(when), 0); /* swept */
}

static unsigned count_bits(unsigned x)
{
    return (unsigned)__builtin_popcount(x);
}

/* The next run: takes over what lay finished, does not write it again. A stage's file is
 * told by its time: messages are linked into the generation as they were. */
static void goes_on(unsigned had, const struct timespec *then)
{
    ends_with_the_same_bytes();
    assert_true(report.reused >= count_bits(had));
    for (int i = 0; i <= 2; i += 2) {
        struct stat st;
        if (!(had & 1u << i))
            continue;
        assert_int_equal(stat(tiny_path(stages[i]), &st), 0);
        assert_true(st.st_mtim.tv_sec == then[i].tv_sec &&
                    st.st_mtim.tv_nsec == then[i].tv_nsec);
    }
}

/* ------------------------------ Tests ------------------------------------- */

static void a_kill_in_any_stage_costs_that_stage_alone(void **state)
{
    (void)state;
    static const char *const names[STAGES] = {"map 1", "reduce 1", "map 2", "reduce 2",
                                              "head"};
    for (unsigned i = 0; i < STAGES; i++) {
        struct timespec when[STAGES];
        moment last = {.stage = names[i], .nth = 1};
        ps_progress progress = kill_at(&last);
        begin_anew("stage");
        assert_false(survives(embed, &progress));
        assert_int_equal(finished(when), (1u << i) - 1);
        goes_on((1u << i) - 1, when);
        assert_int_equal(report.stages, STAGES);
        assert_int_equal(report.reused, i);
    }
}

static void a_kill_at_any_call_to_the_disk_loses_no_finished_stage(void **state)
{
    (void)state;
    begin_anew("count");
    arm(NONE, 0);
    must(embed(NULL), &why);
    int all = calls_made();
    assert_in_range(all, 20, 200);
    for (int at = 1; at <= all; at++) {
        struct timespec when[STAGES];
        begin_anew("kill");
        arm(KILL, at);
        survives(embed, NULL);
        arm(NONE, 0);
        goes_on(finished(when), when);
    }
}

static void a_failure_at_any_call_to_the_disk_is_told_and_goes_on_later(void **state)
{
    (void)state;
    begin_anew("count");
    arm(NONE, 0);
    must(embed(NULL), &why);
    int all = calls_made();
    begin_anew("fail");
    for (int at = 1; at <= all; at++) {
        struct timespec when[STAGES];
        arm(FAIL, at);
        int err = embed(NULL);
        if (err) { /* a few calls may fail and not matter: of the lock, of sweeping */
            assert_true(why.text[0] != '\0');
            unsigned had = finished(when);
            arm(NONE, 0);
            ps_generation *g = planted_open(); /* the old one is in use */
            assert_int_equal(g->embeddings.rows, 0);
            ps_generation_release(g);
            goes_on(had, when);
        }
        begin_anew("fail");
    }
}

/* Partial work of a model that is no more is neither used nor kept. */
static void partial_work_of_another_model_is_swept(void **state)
{
    (void)state;
    struct timespec when[STAGES];
    moment last = {.stage = "head", .nth = 1};
    ps_progress progress = kill_at(&last);
    begin_anew("swept");
    assert_false(survives(embed, &progress));
    assert_int_equal(finished(when), 15);
    ps_model_config c = model_config();
    ps_model other = model_random(&c, 99);
    model_install(&other);
    must(embed(NULL), &why);
    assert_int_equal(report.reused, 0);
    assert_int_equal(finished(when), 0);
    ps_model_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_in_any_stage_costs_that_stage_alone),
        cmocka_unit_test(a_kill_at_any_call_to_the_disk_loses_no_finished_stage),
        cmocka_unit_test(a_failure_at_any_call_to_the_disk_is_told_and_goes_on_later),
        cmocka_unit_test(partial_work_of_another_model_is_swept),
    };
    return cmocka_run_group_tests_name("embed faults", tests, open_world, close_world);
}
