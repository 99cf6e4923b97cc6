/* test_notify.c - the test is the service manager: it receives, and hands over. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/notify.h"
#include "tests/support/scratch.h"

/* Runs check in a child whose descriptors from 3 on are those of fd (n); true if it
 * came back with true. */
static bool in_child(bool (*check)(void), const int *fd, int n, const char *names)
{
    pid_t child = fork();
    if (child == 0) {
        char pid[16], count[16];
        int safe[8];
        for (int i = 0; i < n; i++)
            safe[i] = fcntl(fd[i], F_DUPFD, 100);
        for (int i = 0; i < n; i++)
            dup2(safe[i], 3 + i);
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        snprintf(count, sizeof count, "%d", n);
        setenv("LISTEN_PID", pid, 0);
        setenv("LISTEN_FDS", count, 0);
        if (names)
            setenv("LISTEN_FDNAMES", names, 1);
        _exit(check() ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int listener(int type)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* ------------------------------ Telling ------------------------------------ */

/* A receiver at a path or, with '@', at an abstract name. */
static int receiver(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    assert_true(len < sizeof at.sun_path);
    memcpy(at.sun_path, path, len);
    if (path[0] == '@')
        at.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    return fd;
}

static void assert_told(int fd, const char *want)
{
    char text[1024];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, want);
}

static void tell_by(const char *path)
{
    ps_notify n;
    ps_why why = {0};
    int fd = receiver(path);
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(ps_notify_init(&n, &why), PS_OK);
    assert_null(getenv("NOTIFY_SOCKET"));
    ps_notify_tell(&n, "READY=1\nSTATUS=%d pins", 7);
    assert_told(fd, "READY=1\nSTATUS=7 pins");
    ps_notify_done(&n);
    ps_notify_tell(&n, "READY=1");
    assert_told(fd, "");
    close(fd);
}

static void lines_go_to_a_path_or_to_an_abstract_name(void **state)
{
    char name[64];
    (void)state;
    tell_by(scratch("notify"));
    snprintf(name, sizeof name, "@pinsage-test-%d", (int)getpid());
    tell_by(name);
}

static void without_the_variables_nothing_happens(void **state)
{
    (void)state;
    ps_notify n;
    assert_int_equal(ps_notify_init(&n, NULL), PS_OK);
    assert_int_equal(n.fd, -1);
    assert_int_equal(n.listener, -1);
    assert_int_equal(n.admin_listener, -1);
    assert_int_equal(n.watchdog_ms, 0);
    ps_notify_tell(&n, "READY=1");
    ps_notify_done(&n);
}

static void a_long_status_is_cut_and_a_bad_address_refused(void **state)
{
    char longer[2000], got[1024];
    const char *path = scratch("cut");
    (void)state;
    ps_notify n;
    ps_why why = {0};
    int fd = receiver(path);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(ps_notify_init(&n, &why), PS_OK);
    ps_notify_tell(&n, "STATUS=%s", longer);
    assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 511);
    ps_notify_done(&n);
    close(fd);

    const char *const bad[] = {"relative", longer, "/nobody/listens/here"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        assert_int_not_equal(ps_notify_init(&n, &why), PS_OK);
        ps_notify_done(&n);
    }
}

static void the_watchdog_is_for_the_process_it_names(void **state)
{
    char pid[16];
    const char *path = scratch("dog");
    (void)state;
    ps_notify n;
    int fd = receiver(path);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    const struct {
        const char *pid, *usec;
        uint32_t ms;
    } cases[] = {{NULL, "30000000", 30000},
                 {pid, "1500000", 1500},
                 {"1", "1500000", 0},
                 {pid, "nonsense", 0},
                 {NULL, NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("NOTIFY_SOCKET", path, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        if (cases[i].usec)
            setenv("WATCHDOG_USEC", cases[i].usec, 1);
        assert_int_equal(ps_notify_init(&n, NULL), PS_OK);
        assert_int_equal(n.watchdog_ms, cases[i].ms);
        ps_notify_done(&n);
    }
    close(fd);
}

/* ------------------------------ Sockets ------------------------------------ */

static ps_notify taken;
static ps_why why;

static bool both_are_taken(void)
{
    return ps_notify_init(&taken, &why) == PS_OK && taken.listener == 4 &&
           taken.admin_listener == 3 && !getenv("LISTEN_FDS") &&
           fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC;
}

static bool one_is_taken(void)
{
    return ps_notify_init(&taken, &why) == PS_OK && taken.listener == 3 &&
           taken.admin_listener == -1;
}

static bool none_is_taken(void)
{
    return ps_notify_init(&taken, &why) == PS_OK && taken.listener == -1;
}

static bool one_is_too_many(void)
{
    return ps_notify_init(&taken, &why) == PS_EINVAL && strstr(why.text, "too many");
}

static bool it_is_no_listener(void)
{
    return ps_notify_init(&taken, &why) == PS_EINVAL && strstr(why.text, "no listening");
}

static void sockets_are_taken_by_name(void **state)
{
    (void)state;
    int fd[] = {listener(SOCK_STREAM), listener(SOCK_STREAM)};
    assert_true(in_child(both_are_taken, fd, 2, "admin:http"));
    assert_true(in_child(one_is_taken, fd, 1, NULL));
    assert_true(in_child(one_is_taken, fd, 1, "pinsage.socket"));
    assert_true(in_child(one_is_too_many, fd, 2, "http:http"));
    assert_true(in_child(one_is_too_many, fd, 2, NULL));
    setenv("LISTEN_PID", "1", 1);
    assert_true(in_child(none_is_taken, fd, 1, NULL));
    unsetenv("LISTEN_PID");
    close(fd[0]);
    close(fd[1]);
}

static void what_is_no_listening_tcp_socket_is_refused(void **state)
{
    (void)state;
    int unconnected = socket(AF_INET, SOCK_STREAM, 0);
    int fd[] = {listener(SOCK_DGRAM), open("/dev/null", O_RDONLY), unconnected,
                receiver(scratch("unix"))};
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++) {
        assert_true(in_child(it_is_no_listener, &fd[i], 1, NULL));
        close(fd[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_to_a_path_or_to_an_abstract_name),
        cmocka_unit_test(without_the_variables_nothing_happens),
        cmocka_unit_test(a_long_status_is_cut_and_a_bad_address_refused),
        cmocka_unit_test(the_watchdog_is_for_the_process_it_names),
        cmocka_unit_test(sockets_are_taken_by_name),
        cmocka_unit_test(what_is_no_listening_tcp_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
