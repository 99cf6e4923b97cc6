/* test_cut_off.c - a mapped file that is cut off: the process says which and ends by
 * itself.
 *
 * Threads: one; a child process for each end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "server/base/cut_off.h"
#include "tests/support/scratch.h"

static volatile int touched;

/* In the child: map a file of three pages, cut it to one, read the last. */
static void read_beyond(const char *path)
{
    ps_map m;
    ps_cut_off_handle();
    if (truncate(path, 0) || truncate(path, 3 * 65536) ||
        ps_map_open(&m, path, PS_RANDOM, NULL) || truncate(path, 65536))
        _exit(1);
    touched = ((const char *)m.data)[0];
    touched += ((const char *)m.data)[m.size - 1];
    _exit(0);
}

/* What it said, into out. */
static int end_of(const char *path, char *out, size_t room)
{
    int way[2], status;
    assert_int_equal(pipe(way), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(way[1], STDERR_FILENO);
        read_beyond(path);
    }
    close(way[1]);
    ssize_t n = 0, more;
    while ((more = read(way[0], out + n, room - 1 - (size_t)n)) > 0)
        n += more;
    out[n] = '\0';
    close(way[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void the_file_is_named_and_the_status_is_74(void **state)
{
    (void)state;
    const char *name[] = {"plain", "with a blank", "gen-000001"};
    for (int i = 0; i < 3; i++) {
        char said[2048], path[4096];
        snprintf(path, sizeof path, "%s", scratch(name[i]));
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fclose(f);
        int status = end_of(path, said, sizeof said);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 74);
        assert_non_null(strstr(said, name[i]));
        assert_non_null(strstr(said, "cut off"));
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_named_and_the_status_is_74),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
