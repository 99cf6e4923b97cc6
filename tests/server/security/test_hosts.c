/* test_hosts.c - names that are ours, and those that are a stranger's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/security/hosts.h"

static bool knows(const char *listen, const char *allowed, const char *host)
{
    ps_hosts h;
    assert_int_equal(ps_hosts_init(&h, listen, allowed, NULL), PS_OK);
    bool known = ps_hosts_know(&h, ps_text_of(host));
    ps_hosts_done(&h);
    return known;
}

static bool is_strict(const char *listen, const char *allowed)
{
    ps_hosts h;
    assert_int_equal(ps_hosts_init(&h, listen, allowed, NULL), PS_OK);
    bool strict = h.strict;
    ps_hosts_done(&h);
    return strict;
}

static void this_machine_and_addresses_are_known(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "localhost",    "LocalHost:8080", "localhost.", "app.localhost:1", "127.0.0.1",
        "127.1.2.3:80", "10.1.2.3:8080",  "[::1]:8080", "[2001:db8::1]",   "0.0.0.0:80"};
    static const char *const theirs[] = {"evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example",
                                         "xlocalhost",
                                         "",
                                         "[evil]",
                                         "127.0.0.1x",
                                         "2130706433",
                                         "0x7f.1",
                                         "[::1",
                                         ".localhost.x",
                                         ":80"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!knows("*:8080", NULL, ours[i]))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        if (knows("*:8080", NULL, theirs[i]))
            fail_msg("%s", theirs[i]);
}

static void told_names_are_known(void **state)
{
    (void)state;
    assert_true(knows("*:80", "shop.example,b.example", "SHOP.example:443"));
    assert_true(knows("*:80", "shop.example,b.example", "b.example."));
    assert_false(knows("*:80", "shop.example,b.example", "c.example"));
    assert_false(knows("*:80", "shop.example", "a.shop.example"));
    assert_true(knows("*:80", "shop.example", "127.0.0.1"));
    assert_true(knows("inner.example:80", NULL, "inner.example:80"));
    assert_true(knows("127.0.0.1:80", "*", "evil.example"));
}

static void reads_are_held_to_the_names_on_the_loopback_or_when_told(void **state)
{
    (void)state;
    assert_true(is_strict("127.0.0.1:8080", NULL));
    assert_true(is_strict("localhost:0", NULL));
    assert_true(is_strict("[::1]:80", NULL));
    assert_false(is_strict("*:80", NULL));
    assert_false(is_strict("0.0.0.0:80", NULL));
    assert_false(is_strict("10.0.0.1:80", NULL));
    assert_true(is_strict("*:80", "shop.example"));
    assert_false(is_strict("127.0.0.1:80", "*"));
}

static void what_is_no_name_is_refused_in_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a,,b", "http://a", "a:80", "*.example", "a b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_hosts h;
        ps_why why = {0};
        int err = ps_hosts_init(&h, "*:80", bad[i], &why);
        if (*bad[i] && (err != PS_EINVAL || !strstr(why.text, "shop.example")))
            fail_msg("%s", bad[i]);
        if (!err)
            ps_hosts_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_and_addresses_are_known),
        cmocka_unit_test(told_names_are_known),
        cmocka_unit_test(reads_are_held_to_the_names_on_the_loopback_or_when_told),
        cmocka_unit_test(what_is_no_name_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
