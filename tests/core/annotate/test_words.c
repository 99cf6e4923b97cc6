/* test_words.c - files of word vectors that are not what they should be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/annotate.h"
#include "pinsage/safetensors.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"

static void words_refused(const ps_tensor *t, size_t n, const char *part)
{
    const char *path = scratch("w.safetensors");
    ps_words *w;
    ps_why why = {0};
    assert_int_equal(ps_safetensors_write(path, t, n, NULL, 0, NULL, NULL, NULL), 0);
    int err = ps_words_open(&w, path, &why);
    if (!err || !strstr(why.text, part))
        print_message("%s: %s, expected \"%s\"\n", ps_errname(err), why.text, part);
    assert_int_not_equal(err, PS_OK);
    assert_non_null(strstr(why.text, part));
    assert_null(w);
}

static void words_files_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6}, bad[6] = {1, 2, NAN, 4, 5, 6};
    const ps_tensor vectors = {"words.vectors", PS_TENSOR_F32, 2, {2, 3}, x};
    const ps_tensor weights = {"words.weights", PS_TENSOR_F32, 1, {2, 1}, x};
    const ps_tensor text = {"words.text", PS_TENSOR_U8, 1, {8, 1}, "red\ncat\n"};
    ps_tensor t[3] = {vectors, weights, text};
    ps_words *w;
    ps_why why = {0};
    const char *path = scratch("good.safetensors");
    assert_int_equal(ps_safetensors_write(path, t, 3, NULL, 0, NULL, NULL, NULL), 0);
    must(ps_words_open(&w, path, &why), &why);
    float v[3];
    assert_int_equal(ps_words_embed(w, "cat red blue", 12, v), 2);
    ps_words_close(w);

    words_refused(t, 2, "no words.text");
    words_refused(t + 1, 2, "words.vectors");
    t[2].shape[0] = 7;
    words_refused(t, 3, "no end");
    t[2] = (ps_tensor){"words.text", PS_TENSOR_U8, 1, {8, 1}, "red\nred\n"};
    words_refused(t, 3, "the same");
    t[2] = (ps_tensor){"words.text", PS_TENSOR_U8, 1, {5, 1}, "red\n\n"};
    words_refused(t, 3, "empty");
    t[2] = (ps_tensor){"words.text", PS_TENSOR_U8, 1, {4, 1}, "red\n"};
    words_refused(t, 3, "shape");
    t[2] = text;
    t[1].shape[0] = 1;
    words_refused(t, 3, "shape");
    t[1] = weights;
    t[0].data = bad;
    words_refused(t, 3, "a number that is none");
    const float huge[6] = {1, 2, 3e38f, 4, 5, 6};
    t[0].data = huge;
    words_refused(t, 3, "beyond 1e6");
}

static void vectors_next_to_nothing_embed_as_nothing(void **state)
{
    (void)state;
    const float tiny[2] = {1e-45f, 0}, one = 1;
    const ps_tensor t[3] = {{"words.vectors", PS_TENSOR_F32, 2, {1, 2}, tiny},
                            {"words.weights", PS_TENSOR_F32, 1, {1, 1}, &one},
                            {"words.text", PS_TENSOR_U8, 1, {4, 1}, "red\n"}};
    ps_words *w;
    ps_why why = {0};
    const char *path = scratch("tiny.safetensors");
    float out[2] = {NAN, NAN};
    assert_int_equal(ps_safetensors_write(path, t, 3, NULL, 0, NULL, NULL, NULL), 0);
    must(ps_words_open(&w, path, &why), &why);
    assert_int_equal(ps_words_embed(w, "red red", 7, out), 2);
    assert_true(out[0] == 0 && out[1] == 0);
    ps_words_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_files_that_do_not_fit_together_are_refused),
        cmocka_unit_test(vectors_next_to_nothing_embed_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
