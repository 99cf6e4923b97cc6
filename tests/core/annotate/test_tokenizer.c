/* test_tokenizer.c - what counts as a word, in many scripts, and that no byte leads
 * outside the text. */
#include "core/annotate/tokenizer.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/rng.h"

/* The words of a text, each followed by a bar. */
static void gives(const char *text, const char *want)
{
    ps_buf b = {0};
    ps_tokenizer t;
    ps_tokenizer_init(&t, text, strlen(text));
    while (ps_tokenizer_next(&t)) {
        ps_buf_add(&b, t.word, t.len);
        ps_buf_char(&b, '|');
    }
    assert_string_equal(b.data ? b.data : "", want);
    ps_buf_done(&b);
}

static void words_are_runs_of_letters_and_digits_in_lower_case(void **state)
{
    (void)state;
    gives("Toy Story (1995)", "toy|story|1995|");
    gives("visitor-centred, user_experience/UX", "visitor|centred|user|experience|ux|");
    gives("", "");
    gives(" \t.,;!", "");
    gives("x", "x|");
}

static void apostrophes_and_invisible_joiners_are_dropped(void **state)
{
    (void)state;
    gives("A boy's room", "a|boys|room|");
    gives("l\xe2\x80\x99"
          "amour",
          "lamour|");
    gives("soft\xc2\xadhyphen zero\xe2\x80\x8bwidth", "softhyphen|zerowidth|");
    gives("'", "");
}

static void capitals_of_european_scripts_are_folded(void **state)
{
    (void)state;
    gives("ÄÖÜ ÀÉÎ Øre ŽLUŤOUČKÝ Łódź", "äöü|àéî|øre|žluťoučký|łódź|");
    gives("ΑΘΗΝΑ Άνθρωπος", "αθηνα|άνθρωποσ|");
    gives("МОСКВА Ёлка Ђак", "москва|ёлка|ђак|");
    gives("ԵՐԵՎԱՆ", "երեվան|");
    gives("ＡＢＣ", "ａｂｃ|");
    gives("İstanbul Ÿ", "i̇stanbul|ÿ|");
    gives("ᏣᎳᎩ 𐐐𐐑 Ꞌ ꭰ",
          "ᏣᎳᎩ|𐐸𐐹|ꞌ|Ꭰ|"); /* what two short tables had not */
}

static void folding_is_full(void **state)
{
    (void)state;
    gives("Straße STRASSE straẞe", "strasse|strasse|strasse|");
    gives("ﬁsh FISH", "fish|fish|");
    gives("ΟΔΥΣΣΕΥΣ Οδυσσεύς", "οδυσσευσ|οδυσσεύσ|");
}

static void a_letter_and_its_accent_are_one_however_typed(void **state)
{
    (void)state;
    gives("café cafe\xcc\x81 CAFE\xcc\x81 CAFÉ", "café|café|café|café|");
    gives("Å \xe2\x84\xab A\xcc\x8a", "å|å|å|");
    gives("q\xcc\xa3\xcc\x87 q\xcc\x87\xcc\xa3", "q̣̇|q̣̇|"); /* in any order */
    gives("한국 \xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\xe1\x84\x80\xe1\x85\xae\xe1\x86\xa8",
          "한국|한국|");
    gives("が \xe3\x81\x8b\xe3\x82\x99", "が|が|");
    gives("Việt Vie\xcc\xa3\xcc\x82t VIE\xcc\x82\xcc\xa3T", "việt|việt|việt|");
}

static void folding_is_the_same_in_every_locale(void **state)
{
    (void)state;
    setlocale(LC_ALL, "tr_TR.UTF-8");
    gives("TITLE İI", "title|i̇i|");
    setlocale(LC_ALL, "C");
    gives("TITLE İI ÄÉ", "title|i̇i|äé|");
}

static void scripts_without_blanks_give_pairs_of_characters(void **state)
{
    (void)state;
    gives("東京都", "東京|京都|");
    gives("猫", "猫|");
    gives("猫 犬", "猫|犬|");
    gives("赤い cat 猫の絵", "赤い|cat|猫の|の絵|");
    gives("red猫blue", "red|猫|blue|");
    gives("東京、大阪。", "東京|大阪|");
}

static void hangul_and_arabic_are_words_as_written(void **state)
{
    (void)state;
    gives("서울 지도", "서울|지도|");
    gives("مرحبا، عالم", "مرحبا|عالم|");
}

static void a_picture_character_is_a_word(void **state)
{
    (void)state;
    gives("love\xe2\x9d\xa4\xef\xb8\x8fit", "love|\xe2\x9d\xa4|it|");
    gives("\xf0\x9f\x8d\x95\xf0\x9f\x8d\x95", "\xf0\x9f\x8d\x95|\xf0\x9f\x8d\x95|");
}

static void a_run_beyond_the_limit_is_no_word(void **state)
{
    (void)state;
    char text[PS_WORD_MAX + 20];
    memset(text, 'a', PS_WORD_MAX);
    strcpy(text + PS_WORD_MAX, " b");
    ps_tokenizer t;
    ps_tokenizer_init(&t, text, strlen(text));
    assert_true(ps_tokenizer_next(&t));
    assert_int_equal(t.len, PS_WORD_MAX);
    memset(text, 'a', PS_WORD_MAX + 1);
    strcpy(text + PS_WORD_MAX + 1, " b");
    gives(text, "b|");
}

static void bytes_that_are_not_utf8_separate(void **state)
{
    (void)state;
    gives("a\xff"
          "b\xc3",
          "a|b|");
    gives("x\xe2\x82", "x|");
    gives("\xc0\xaf"
          "z",
          "z|");
}

/* Random bytes in memory of exactly their size: the sanitizers see any step outside. */
static void no_text_leads_outside_of_it(void **state)
{
    (void)state;
    static const unsigned char likely[] = {0xe4, 0xb8, 0xad, 0xf0, 0x9f, 0xc3, 'a', '\''};
    uint64_t rng = 3;
    for (int round = 0; round < 20000; round++) {
        size_t n = ps_rng_below(&rng, 90);
        char *text = malloc(n + 1); /* never read at n: n + 1 keeps n = 0 legal */
        char *exact = n ? realloc(text, n) : text;
        for (size_t i = 0; i < n; i++)
            exact[i] = (char)(ps_rng_below(&rng, 2) ? likely[ps_rng_below(&rng, 8)]
                                                    : ps_rng_below(&rng, 256));
        ps_tokenizer t;
        ps_tokenizer_init(&t, exact, n);
        while (ps_tokenizer_next(&t)) {
            assert_in_range(t.len, 1, PS_WORD_MAX);
            assert_true(ps_utf8_valid(t.word, t.len) || n);
            assert_null(memchr(t.word, '\n', t.len));
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_runs_of_letters_and_digits_in_lower_case),
        cmocka_unit_test(apostrophes_and_invisible_joiners_are_dropped),
        cmocka_unit_test(capitals_of_european_scripts_are_folded),
        cmocka_unit_test(folding_is_the_same_in_every_locale),
        cmocka_unit_test(folding_is_full),
        cmocka_unit_test(a_letter_and_its_accent_are_one_however_typed),
        cmocka_unit_test(scripts_without_blanks_give_pairs_of_characters),
        cmocka_unit_test(hangul_and_arabic_are_words_as_written),
        cmocka_unit_test(a_picture_character_is_a_word),
        cmocka_unit_test(a_run_beyond_the_limit_is_no_word),
        cmocka_unit_test(bytes_that_are_not_utf8_separate),
        cmocka_unit_test(no_text_leads_outside_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
