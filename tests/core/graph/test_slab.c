/* test_slab.c - blocks are whole lines, their own, and taken again. */
#include "core/graph/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"

static void blocks_are_whole_lines(void **state)
{
    (void)state;
    static const size_t want[][2] = {{0, 1},   {1, 1},   {64, 1},  {65, 2},   {192, 3},
                                     {256, 4}, {257, 8}, {512, 8}, {513, 16}, {4096, 64}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(ps_slab_size(want[i][0]), want[i][1] * PS_LINE);
}

/* Many sizes, also beyond a chunk; each block keeps what was written to it. */
static void no_block_lies_in_another(void **state)
{
    (void)state;
    enum { N = 600 };
    ps_slab *s = ps_slab_new();
    unsigned char *block[N] = {0};
    size_t size[N];
    uint64_t rng = 1, held = 0;
    for (int round = 0; round < 6000; round++) {
        size_t i = ps_rng_below(&rng, N);
        if (block[i]) {
            for (size_t k = 0; k < size[i]; k++)
                assert_int_equal(block[i][k], i % 251);
            ps_slab_give(s, block[i], size[i]);
            held -= size[i];
        }
        size[i] = 1 + ps_rng_below(&rng, round % 100 ? 700 : 100000);
        block[i] = ps_slab_take(s, size[i]);
        assert_non_null(block[i]);
        assert_int_equal((uintptr_t)block[i] % PS_LINE, 0);
        memset(block[i], (int)(i % 251), size[i]);
        held += size[i];
        assert_true(ps_slab_bytes(s) >= held);
    }
    ps_slab_free(s);
}

static void a_given_block_is_taken_again(void **state)
{
    (void)state;
    ps_slab *s = ps_slab_new();
    void *a = ps_slab_take(s, 100), *b = ps_slab_take(s, 100);
    uint64_t bytes = ps_slab_bytes(s);
    for (int i = 0; i < 100000; i++) {
        ps_slab_give(s, a, 100);
        assert_ptr_equal(ps_slab_take(s, 128), a);
    }
    assert_ptr_not_equal(a, b);
    assert_int_equal(ps_slab_bytes(s), bytes);
    ps_slab_give(s, NULL, 64);
    ps_slab_free(s);
}

static void a_chunk_larger_than_any_before_is_made_when_asked(void **state)
{
    (void)state;
    ps_slab *s = ps_slab_new();
    size_t size = (size_t)5 << 20;
    char *p = ps_slab_take(s, size);
    assert_non_null(p);
    memset(p, 1, size);
    assert_true(ps_slab_bytes(s) > size);
    ps_slab_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_whole_lines),
        cmocka_unit_test(no_block_lies_in_another),
        cmocka_unit_test(a_given_block_is_taken_again),
        cmocka_unit_test(a_chunk_larger_than_any_before_is_made_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
