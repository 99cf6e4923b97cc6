/* test_texts.c - the lexicon against a plain list, and texts counted, thinned and
 * renumbered. */
#include "core/annotate/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"

/* ------------------------------ Lexicon ----------------------------------- */

static void every_word_added_is_found_by_its_number(void **state)
{
    (void)state;
    enum { N = 20000 };
    ps_lexicon x = {0};
    char word[32];
    assert_int_equal(ps_lexicon_find(&x, "a", 1), PS_NO_WORD);
    for (uint32_t i = 0; i < N; i++) {
        int len = snprintf(word, sizeof word, "w%u", i * 7919u % 100003u);
        assert_int_equal(ps_lexicon_add(&x, word, (size_t)len), i);
    }
    for (uint32_t i = 0; i < N; i++) {
        int len = snprintf(word, sizeof word, "w%u", i * 7919u % 100003u);
        assert_int_equal(ps_lexicon_find(&x, word, (size_t)len), i);
        assert_int_equal(ps_lexicon_add(&x, word, (size_t)len), i);
        ps_text t = ps_lexicon_word(&x, i);
        assert_int_equal(t.len, len);
        assert_memory_equal(t.data, word, t.len);
    }
    assert_int_equal(ps_lexicon_find(&x, "absent", 6), PS_NO_WORD);
    assert_int_equal(ps_lexicon_find(&x, "w", 1), PS_NO_WORD);
    assert_int_equal(x.n, N);
    ps_lexicon_done(&x);
}

static void the_block_of_text_is_the_words_each_on_a_line(void **state)
{
    (void)state;
    ps_lexicon x = {0};
    ps_lexicon_add(&x, "red", 3);
    ps_lexicon_add(&x, "", 0);
    ps_lexicon_add(&x, "blue", 4);
    assert_int_equal(x.size, 10);
    assert_memory_equal(x.text, "red\n\nblue\n", 10);
    ps_lexicon_done(&x);
}

/* ------------------------------ Texts ------------------------------------- */

static void add(ps_texts *t, const char *title, const char *text)
{
    assert_int_equal(ps_texts_pin(t), 0);
    assert_int_equal(ps_texts_add(t, ps_text_of(title)), 0);
    assert_int_equal(
        ps_texts_add(t, ps_text_after_title(ps_text_of(title), ps_text_of(text))), 0);
}

/* The words of a pin, as "a b ". */
static const char *words_of(const ps_texts *t, uint32_t pin)
{
    static char line[256];
    size_t n = 0;
    line[0] = '\0';
    for (uint64_t i = t->begin[pin]; i < t->begin[pin + 1]; i++) {
        ps_text w = ps_lexicon_word(&t->lexicon, t->token[i]);
        n += (size_t)snprintf(line + n, sizeof line - n, "%.*s ", (int)w.len, w.data);
    }
    return line;
}

static void rare_words_go_and_the_others_are_numbered_by_use(void **state)
{
    (void)state;
    ps_texts t = {0};
    add(&t, "Red cat", "cat cat once");
    add(&t, "", "");
    add(&t, "cat", "red twice twice");
    assert_int_equal(ps_texts_finish(&t, 2), 0);
    assert_int_equal(t.n_pins, 3);
    assert_int_equal(t.n_words, 2); /* "twice" stands in one pin only */
    assert_string_equal(words_of(&t, 0), "red cat cat cat ");
    assert_string_equal(words_of(&t, 1), "");
    assert_string_equal(words_of(&t, 2), "cat red ");
    assert_int_equal(t.token[0], 1);
    assert_int_equal(t.used[0], 4);
    assert_int_equal(t.pins[0], 2);
    assert_int_equal(t.used[1], 2);
    assert_int_equal(t.n_tokens, 6);
    assert_int_equal(t.n_text, 2);
    ps_texts_done(&t);
}

static void texts_without_pins_or_words_are_empty(void **state)
{
    (void)state;
    ps_texts t = {0};
    assert_int_equal(ps_texts_finish(&t, 1), 0);
    assert_int_equal(t.n_pins + t.n_words, 0);
    ps_texts_done(&t);
    add(&t, "", " .. ");
    assert_int_equal(ps_texts_finish(&t, 1), 0);
    assert_int_equal(t.n_words, 0);
    assert_int_equal(t.n_text, 0);
    ps_texts_done(&t);
}

static void many_texts_keep_every_count(void **state)
{
    (void)state;
    enum { PINS = 3000, WORDS = 400 };
    static uint64_t used[WORDS];
    static uint32_t pins[WORDS];
    ps_texts t = {0};
    uint64_t rng = 1;
    for (uint32_t p = 0; p < PINS; p++) {
        uint8_t seen[WORDS] = {0};
        assert_int_equal(ps_texts_pin(&t), 0);
        for (uint64_t i = ps_rng_below(&rng, 30); i > 0; i--) {
            uint64_t w = ps_rng_below(&rng, 1 + ps_rng_below(&rng, WORDS));
            char word[16];
            snprintf(word, sizeof word, "w%u", (unsigned)w);
            assert_int_equal(ps_texts_add(&t, ps_text_of(word)), 0);
            used[w]++;
            pins[w] += !seen[w];
            seen[w] = 1;
        }
    }
    assert_int_equal(ps_texts_finish(&t, 5), 0);
    uint32_t kept = 0;
    for (uint32_t w = 0; w < WORDS; w++) {
        char word[16];
        int len = snprintf(word, sizeof word, "w%u", w);
        uint32_t i = ps_lexicon_find(&t.lexicon, word, (size_t)len);
        assert_int_equal(i != PS_NO_WORD, pins[w] >= 5);
        if (i == PS_NO_WORD)
            continue;
        kept++;
        assert_int_equal(t.used[i], used[w]);
        assert_int_equal(t.pins[i], pins[w]);
        assert_true(i == 0 || t.used[i - 1] >= t.used[i]);
    }
    assert_int_equal(t.n_words, kept);
    ps_texts_done(&t);
}

static void a_text_that_repeats_the_title_counts_it_once(void **state)
{
    (void)state;
    ps_text rest =
        ps_text_after_title(ps_text_of("Toy Story"), ps_text_of("Toy Story, toys"));
    assert_int_equal(rest.len, 6);
    rest = ps_text_after_title(ps_text_of("Art"), ps_text_of("Artistic work"));
    assert_int_equal(rest.len, 13);
    rest = ps_text_after_title(ps_text_of("Art"), ps_text_of("Art"));
    assert_int_equal(rest.len, 0);
    rest = ps_text_after_title(ps_text_of(""), ps_text_of("Art"));
    assert_int_equal(rest.len, 3);
    rest = ps_text_after_title(ps_text_of("Artist"), ps_text_of("Art"));
    assert_int_equal(rest.len, 3);
    /* by what they say, not by their bytes */
    rest = ps_text_after_title(ps_text_of("Café"), ps_text_of("CAFE\xcc\x81, closed"));
    assert_int_equal(rest.len, 8);
    rest = ps_text_after_title(ps_text_of("Cafe"), ps_text_of("Cafe\xcc\x81, closed"));
    assert_int_equal(rest.len, 14);
    rest = ps_text_after_title(ps_text_of("Stras"), ps_text_of("Straße"));
    assert_int_equal(rest.len, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_added_is_found_by_its_number),
        cmocka_unit_test(the_block_of_text_is_the_words_each_on_a_line),
        cmocka_unit_test(rare_words_go_and_the_others_are_numbered_by_use),
        cmocka_unit_test(texts_without_pins_or_words_are_empty),
        cmocka_unit_test(many_texts_keep_every_count),
        cmocka_unit_test(a_text_that_repeats_the_title_counts_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
