/* test_listen.c - addresses, conflicts, and a listener that stops listening.
 *
 * Link: -Wl,--wrap=socket
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/listen.h"

static char told[PS_ADDRESS_MAX];

static bool without_ipv6;
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
    if (!without_ipv6 || family != AF_INET6)
        return __real_socket(family, type, protocol);
    errno = EAFNOSUPPORT;
    return -1;
}

static unsigned port_of(const char *address)
{
    return (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

/* A connection that is being made; revents of its socket after at most ms. */
static int begin_connect(int *fd, int ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port_of(told)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(*fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        return -errno;
    struct pollfd p = {.fd = *fd, .events = POLLOUT};
    poll(&p, 1, ms);
    return p.revents;
}

static void port_0_is_a_free_one_shared_by_all_sockets(void **state)
{
    (void)state;
    int fd[3], client;
    ps_why why = {0};
    assert_int_equal(ps_listen(fd, 3, "127.0.0.1:0", told, &why), PS_OK);
    assert_memory_equal(told, "127.0.0.1:", 10);
    assert_true(port_of(told) > 0);
    assert_int_equal(begin_connect(&client, 5000), POLLOUT);
    close(client);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}

static void an_address_in_use_is_told_even_by_one_of_ours(void **state)
{
    (void)state;
    int fd[2], other[2];
    char address[PS_ADDRESS_MAX];
    ps_why why = {0};
    assert_int_equal(ps_listen(fd, 2, "127.0.0.1:0", told, &why), PS_OK);
    memcpy(address, told, sizeof address);
    assert_int_not_equal(ps_listen(other, 2, address, told, &why), PS_OK);
    assert_non_null(strstr(why.text, "in use"));
    assert_string_equal(why.where, address);
    close(fd[0]);
    close(fd[1]);
    assert_int_equal(ps_listen(other, 2, address, told, &why), PS_OK);
    close(other[0]);
    close(other[1]);
}

static void addresses_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost:0", "*:0", ":0", "0.0.0.0:0"};
    static const char *const bad[] = {
        "", "80", "host", "::1:80", "[::1:80", "1.2.3.4:", "1.2.3.4:x", "127.0.0.1:8 ",
        /* what 16 bits of a number would make of it */
        "127.0.0.1:65536", "*:99999", "[::1]:131072", ":4294967296",
        "localhost:18446744073709551616", "127.0.0.1:-1", "127.0.0.1:+0"};
    int fd;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(ps_listen(&fd, 1, good[i], told, NULL), PS_OK);
        close(fd);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_why why = {0};
        if (ps_listen(&fd, 1, bad[i], told, &why) != PS_EINVAL || !why.text[0])
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void all_addresses_are_those_the_kernel_has(void **state)
{
    (void)state;
    int fd;
    without_ipv6 = true;
    int err = ps_listen(&fd, 1, "*:0", told, NULL);
    without_ipv6 = false;
    assert_int_equal(err, PS_OK);
    assert_memory_equal(told, "0.0.0.0:", 8);
    close(fd);
}

static void a_deaf_listener_keeps_what_it_has_and_takes_no_more(void **state)
{
    (void)state;
    int fd, early, late;
    assert_int_equal(ps_listen(&fd, 1, "127.0.0.1:0", told, NULL), PS_OK);
    assert_int_equal(begin_connect(&early, 5000), POLLOUT);
    ps_listen_refuse_new(fd);
    assert_int_equal(begin_connect(&late, 200), 0); /* neither made nor refused */
    int served = accept(fd, NULL, NULL);
    assert_true(served >= 0);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(write(early, "hello", 5), 5);
    char text[8];
    struct pollfd p = {.fd = served, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(read(served, text, sizeof text), 5); /* the made one still works */
    close(served);
    close(early);
    close(late);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_is_a_free_one_shared_by_all_sockets),
        cmocka_unit_test(an_address_in_use_is_told_even_by_one_of_ours),
        cmocka_unit_test(addresses_are_read_as_people_write_them),
        cmocka_unit_test(all_addresses_are_those_the_kernel_has),
        cmocka_unit_test(a_deaf_listener_keeps_what_it_has_and_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
