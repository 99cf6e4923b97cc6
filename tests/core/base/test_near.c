/* test_near.c - distances against the whole table, and the nearest of several names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/near.h"
#include "pinsage/rng.h"

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment by its definition. */
static unsigned slow(const char *a, const char *b)
{
    unsigned d[24][24];
    size_t n = strlen(a), m = strlen(b);
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(d[i][j], least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

static void random_word(char *out, uint64_t *rng)
{
    size_t len = ps_rng_next(rng) % 9;
    for (size_t i = 0; i < len; i++)
        out[i] = "abc"[ps_rng_next(rng) % 3];
    out[len] = '\0';
}

static void the_band_gives_the_distance_of_the_whole_table(void **state)
{
    (void)state;
    uint64_t rng = 1;
    ps_near near;
    char a[16], b[16];
    for (int i = 0; i < 20000; i++) {
        random_word(a, &rng);
        random_word(b, &rng);
        ps_near_init(&near, a, strlen(a));
        for (unsigned most = 0; most <= PS_NEAR_MAX; most++) {
            unsigned want = slow(b, a);
            unsigned got = ps_near_compare(&near, b, strlen(b), most);
            if (got != (want > most ? PS_NEAR_FAR : want))
                fail_msg("\"%s\" \"%s\", at most %u: %u, wanted %u", a, b, most, got,
                         want);
        }
    }
}

static const char *guess(const char *wrong, const char *const *names)
{
    ps_guess g;
    ps_guess_init(&g, ps_text_of(wrong));
    for (; *names; names++)
        ps_guess_offer(&g, *names);
    return g.best ? g.best : "";
}

static void the_nearest_name_is_offered_and_none_that_is_far(void **state)
{
    (void)state;
    static const char *const names[] = {"keep", "listen", "train", "retain", "k", NULL};
    char longest[600];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const cases[][2] = {
        {"listne", "listen"},
        {"lisen", "listen"},
        {"trian", "train"},
        {"train", "train"},
        {"retrain", "retain"},
        {"kep", "keep"},
        {"k", ""},
        {"ab", ""},
        {"", ""},
        {"nothing", ""},
        {"strai", ""},
        {longest, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(guess(cases[i][0], names), cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_band_gives_the_distance_of_the_whole_table),
        cmocka_unit_test(the_nearest_name_is_offered_and_none_that_is_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
