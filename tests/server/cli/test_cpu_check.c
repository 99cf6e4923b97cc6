/* test_cpu_check.c - the words and the exit code of a CPU that will not do.
 *
 * Threads: none; a child process is ended by the check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/cli/cpu_check.h"

static int no_avx2(ps_why *why)
{
    return ps_fail(why, PS_EUNSUPPORTED, NULL, 0, "no AVX2 here");
}

static int fine(ps_why *why)
{
    (void)why;
    return PS_OK;
}

static void a_lacking_cpu_ends_the_program_with_words_and_one(void **state)
{
    (void)state;
    int ends[2], status;
    char text[100] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        ps_cpu_check_or_exit(no_avx2);
        _exit(77);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(text, "pinsage: "));
}

static void a_good_cpu_goes_on(void **state)
{
    (void)state;
    ps_cpu_check_or_exit(fine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lacking_cpu_ends_the_program_with_words_and_one),
        cmocka_unit_test(a_good_cpu_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
