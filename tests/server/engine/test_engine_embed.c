/* test_engine_embed.c - unstored pins beside stored pins of the same content, and the
 * degradation levels of cheaper answers, each degradation level taken.
 *
 * What a way costs is what it took lately; the test says so in its place.
 *
 * Threads: one, and the writer's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

enum { E = 9 };
#define SECOND UINT64_C(1000000000)

static life known;
static float visual[PLANTED_VISUAL] = {.3f, -.2f, .5f, .1f, -.4f, .2f, .6f, -.1f};
static ps_named_vector feature;
static ps_text boards[3];

static int make(void **state)
{
    (void)state;
    life_make("unstored", &known);
    life_start();
    feature = (ps_named_vector){ps_text_of("visual"), visual, PLANTED_VISUAL};
    boards[0] = ps_text_of("b1"), boards[1] = ps_text_of("b2"),
    boards[2] = ps_text_of("b3");
    return 0;
}

static int end(void **state)
{
    (void)state;
    life_stop();
    return 0;
}

/* ------------------------------ Unstored pins ------------------------------------- */

static ps_content content(uint32_t n_boards)
{
    return (ps_content){.title = ps_text_of("unstored"),
                        .feature = &feature,
                        .n_features = 1,
                        .board = boards,
                        .n_boards = n_boards};
}

static void embed(uint32_t n_boards, ps_embedded *out)
{
    ps_why why = {0};
    ps_embed_pin q = {.content = content(n_boards), .k = 5};
    ps_reader_begin(life_reader);
    must(ps_reader_embed(life_reader, &q, out, &why), &why);
}

static double cosine_of(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < E; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Without boards nothing is drawn by lot; with them, walks see one pin more or less. */
static void an_unstored_pin_has_the_vector_it_gets_when_it_is_stored(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 3; n++) {
        ps_embedded unstored;
        float z[E];
        embed(n, &unstored);
        assert_int_equal(unstored.dim, E);
        memcpy(z, unstored.vector, sizeof z);
        ps_write w = {
            .kind = PS_WRITE_PUT, .pin = ps_text_of("unstored"), .content = content(n)};
        assert_int_equal(life_write(&w), PS_OK);
        uint32_t row =
            ps_view_row_of(ps_engine_view(life_engine), ps_text_of("unstored"));
        const float *stored = ps_delta_index_find(
            ps_view_embeddings(ps_engine_view(life_engine)), row, NULL);
        assert_non_null(stored);
        double cosine = cosine_of(z, stored);
        print_message("# on %u boards: cosine %.5f\n", n, cosine);
        assert_true(cosine > (n ? 0.97 : 0.99999));
        w = (ps_write){.kind = PS_WRITE_DELETE, .pin = ps_text_of("unstored")};
        assert_int_equal(life_write(&w), PS_OK);
    }
}

/* ------------------------------ Levels -------------------------------------- */

static void cost(uint64_t full, uint64_t few, uint64_t bare)
{
    const uint64_t ns[WAYS] = {full, few, bare, full, few, bare};
    for (int i = 0; i < WAYS; i++)
        atomic_store(&life_engine->cost[i], ns[i]);
    ps_reader_set_deadline(life_reader, ps_now_ns() + 600 * SECOND);
}

static const uint64_t LONG = 1000 * SECOND, SHORT = 1;

static ps_degradation level_of_unstored(uint64_t full, uint64_t few, uint64_t bare,
                                        ps_embedded *e)
{
    cost(full, few, bare);
    embed(3, e);
    ps_reader_set_deadline(life_reader, 0);
    assert_int_equal(e->ranking.n, 5);
    return e->ranking.degraded;
}

static void an_unstored_pin_short_of_time_is_embedded_more_cheaply(void **state)
{
    (void)state;
    ps_embedded e;
    float full[E], bare[E];
    assert_int_equal(level_of_unstored(SHORT, SHORT, SHORT, &e), PS_DEGRADED_FULL);
    memcpy(full, e.vector, sizeof full);
    assert_int_equal(level_of_unstored(LONG, SHORT, SHORT, &e), PS_DEGRADED_WALKS);
    assert_true(cosine_of(full, e.vector) > 0.9);
    assert_int_equal(level_of_unstored(LONG, LONG, SHORT, &e), PS_DEGRADED_CONTENT);
    memcpy(bare, e.vector, sizeof bare);
    assert_true(cosine_of(full, bare) < 0.99999);
    assert_int_equal(level_of_unstored(LONG, LONG, LONG, &e), PS_DEGRADED_POPULAR);
    assert_int_equal(e.dim, 0);
    assert_null(e.vector);
    assert_string_equal(e.ranking.method, "popular");
    assert_int_equal(e.ranking.source, PS_FALLBACK);
}

static ps_degradation level_of(const char *asked, uint64_t full, uint64_t few,
                               uint64_t search, const char *answered)
{
    ps_why why = {0};
    ps_ranking a;
    ps_related q = {.pin = ps_text_of("p3"), .k = 5, .method = ps_text_of(asked)};
    cost(full, few, search);
    ps_reader_begin(life_reader);
    must(ps_reader_related(life_reader, &q, &a, &why), &why);
    ps_reader_set_deadline(life_reader, 0);
    assert_int_equal(a.n, 5);
    assert_string_equal(a.method, answered);
    return a.degraded;
}

static void
a_stored_pin_short_of_time_is_answered_by_walks_or_by_what_is_popular(void **s)
{
    (void)s;
    assert_int_equal(level_of("pinsage", SHORT, SHORT, SHORT, "pinsage"),
                     PS_DEGRADED_FULL);
    assert_int_equal(level_of("pinsage", SHORT, SHORT, LONG, "pixie"), PS_DEGRADED_PIXIE);
    assert_int_equal(level_of("pinsage", LONG, SHORT, LONG, "pixie"), PS_DEGRADED_PIXIE);
    assert_int_equal(level_of("pinsage", LONG, LONG, LONG, "popular"),
                     PS_DEGRADED_POPULAR);
    assert_int_equal(level_of("pixie", SHORT, SHORT, LONG, "pixie"), PS_DEGRADED_FULL);
    assert_int_equal(level_of("pixie", LONG, SHORT, LONG, "pixie"), PS_DEGRADED_WALKS);
    assert_int_equal(level_of("pixie", LONG, LONG, LONG, "popular"), PS_DEGRADED_POPULAR);
}

static void a_deadline_that_is_over_still_gets_an_answer(void **state)
{
    (void)state;
    ps_embedded e;
    cost(SHORT, SHORT, SHORT);
    ps_reader_set_deadline(life_reader, 1);
    embed(3, &e);
    ps_reader_set_deadline(life_reader, 0);
    assert_int_equal(e.ranking.degraded, PS_DEGRADED_POPULAR);
    assert_int_equal(e.ranking.n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unstored_pin_has_the_vector_it_gets_when_it_is_stored),
        cmocka_unit_test(an_unstored_pin_short_of_time_is_embedded_more_cheaply),
        cmocka_unit_test(
            a_stored_pin_short_of_time_is_answered_by_walks_or_by_what_is_popular),
        cmocka_unit_test(a_deadline_that_is_over_still_gets_an_answer),
    };
    return cmocka_run_group_tests(tests, make, end);
}
