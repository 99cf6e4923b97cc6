/* test_store_full.c - a full disk: commits say so, reading goes on, and when room has
 * been made the next commit goes through.
 *
 * Once on a real file system of one megabyte, where this process may mount one, and once
 * under a limit on the size of files, which anybody may set. Such a limit cuts writes
 * short where it is reached, as a full disk does.
 *
 * Threads: one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"
#include "tests/support/stores.h"

static int put_large(ps_store *s, int i, ps_why *why)
{
    static char large[32000]; /* several pages, written at once */
    char id[32];
    snprintf(id, sizeof id, "pin %d", i);
    memset(large, 'x', sizeof large);
    ps_store_pin pin = {.id = ps_text_of(id),
                        .title = ps_text_of(id),
                        .text = {large, 3000 + (size_t)(i % 10) * 3000}};
    store_must(ps_store_put_pin(s, &pin, NULL, why), why);
    return ps_store_commit(s, why);
}

static void check_there(ps_store *s, int n)
{
    char id[32];
    assert_int_equal(store_count(s).pins, n);
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        assert_string_equal(store_title(s, id), id);
    }
}

/* Commit until there is no room; how many went through. */
static int fill(ps_store *s, int from)
{
    ps_why why = {0};
    for (int i = from;; i++) {
        assert_true(i < 10000);
        int err = put_large(s, i, &why);
        if (!err)
            continue;
        assert_int_equal(err, PS_EFULL);
        assert_non_null(strstr(why.text, "cannot be written"));
        return i;
    }
}

/* room: makes room, the second time too. */
static void fills_up_and_recovers(const char *dir, void (*room)(void))
{
    ps_why why = {0};
    ps_store *s = NULL;
    store_must(ps_store_open(&s, dir, (ps_store_opts){0}, &why), &why);
    int n = fill(s, 0);
    assert_true(n > 10);
    for (int i = 0; i < 5; i++) {
        check_there(s, n);
        assert_int_equal(put_large(s, n, &why), PS_EFULL);
    }
    assert_int_equal(ps_store_lsn(s), n);
    room();
    store_must(put_large(s, n, &why), &why);
    n = fill(s, n + 1);
    check_there(s, n);
    ps_store_close(s);
    /* Opening needs no room, nor does reading. */
    s = NULL;
    store_must(ps_store_open(&s, dir, (ps_store_opts){0}, &why), &why);
    check_there(s, n);
    assert_int_equal(put_large(s, n, &why), PS_EFULL);
    /* What is removed makes room inside the file, where there is a little left. */
    room();
    store_trim_all(s, (uint64_t)n, true, 50);
    assert_int_equal(store_count(s).pins, 0);
    for (int i = 0; i < n; i++)
        store_must(put_large(s, 10 * i, &why), &why); /* of one page each */
    assert_int_equal(store_count(s).pins, n);
    ps_store_close(s);
}

/* ------------------------------ A small disk ------------------------------ */

static char disk[PS_PATH_MAX];
static int ballast; /* files of it still there */

static void write_ballast(void)
{
    char path[PS_PATH_MAX + 32];
    char *block = calloc(1, 100000);
    for (ballast = 0; ballast < 2; ballast++) {
        snprintf(path, sizeof path, "%s/ballast-%d", disk, ballast);
        FILE *f = fopen(path, "wb");
        assert_true(f && fwrite(block, 1, 100000, f) == 100000 && fclose(f) == 0);
    }
    free(block);
}

static void remove_ballast(void)
{
    char path[PS_PATH_MAX + 32];
    assert_true(ballast > 0);
    snprintf(path, sizeof path, "%s/ballast-%d", disk, --ballast);
    assert_int_equal(unlink(path), 0);
}

static void a_full_disk_stops_commits_until_there_is_room(void **state)
{
    (void)state;
    char live[PS_PATH_MAX];
    snprintf(disk, sizeof disk, "%s", scratch("disk"));
    assert_int_equal(mkdir(disk, 0755), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=1m") < 0) {
        print_message("# no file system can be mounted here: %s\n", strerror(errno));
        skip();
    }
    /* Seen through a descriptor alone, it is gone with this process in any case. */
    int fd = open(disk, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0 && umount2(disk, MNT_DETACH) == 0);
    snprintf(disk, sizeof disk, "/proc/self/fd/%d", fd);
    assert_int_equal(ps_path_join(live, sizeof live, disk, "live"), PS_OK);
    write_ballast();
    fills_up_and_recovers(live, remove_ballast);
    close(fd);
}

/* ------------------------------ A limit ----------------------------------- */

static struct rlimit limit;

static void raise_limit(void)
{
    limit.rlim_cur += 150000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_limit_on_files_stops_commits_until_it_is_raised(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    limit.rlim_cur = 500500; /* in the middle of a page */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fills_up_and_recovers(scratch("limited"), raise_limit);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void a_store_opens_where_address_space_is_short(void **state)
{
    (void)state;
    ps_why why = {0};
    struct rlimit space, before;
    const char *san = getenv("PS_SAN");
    if (san && *san) {
        print_message("# a sanitizer needs more address space than would be left\n");
        skip();
    }
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    space = before;
    space.rlim_cur = (rlim_t)2 << 30;
    assert_int_equal(setrlimit(RLIMIT_AS, &space), 0);
    ps_store *s = store_opened(true, (ps_store_opts){0});
    store_must(put_large(s, 0, &why), &why);
    assert_in_range(store_count(s).map_bytes, 1 << 26, 1 << 30);
    check_there(s, 1);
    ps_store_close(s);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_stops_commits_until_there_is_room),
        cmocka_unit_test(a_store_opens_where_address_space_is_short),
        cmocka_unit_test(a_limit_on_files_stops_commits_until_it_is_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
