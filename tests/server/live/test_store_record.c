/* test_store_record.c - bytes of records: of both versions, and of none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/live/store_inside.h"

#define FORMAT_AT (5 * 8)         /* of a pin's record */
#define META_AT   (FORMAT_AT + 8) /* behind the head, of a record without texts */

static ps_buf bytes;
static ps_arena arena;

static ps_store_pin a_pin(ps_buf *meta)
{
    static const float visual[] = {1, -2.5f};
    static const ps_store_feature feature[] = {{{"visual", 6}, 2, visual},
                                               {{"sound", 5}, 0, NULL}};
    static const ps_text pair[] = {{"price", 5}, {"1.99", 4}, {"", 0}, {"", 0}};
    ps_pin_meta_write(meta, pair, 2);
    return (ps_store_pin){.lsn = 7,
                          .died = 3,
                          .time = 12,
                          .title = {"title", 5},
                          .image = {"i.png", 5},
                          .n_meta = 2,
                          .meta = {meta->data, meta->size},
                          .n_features = 2,
                          .features = feature};
}

static bool read_back(ps_store_pin *pin)
{
    return ps_record_read_pin((MDB_val){bytes.size, bytes.data}, pin, &arena);
}

static int teardown(void **state)
{
    (void)state;
    ps_buf_done(&bytes);
    bytes = (ps_buf){0};
    ps_arena_done(&arena);
    arena = (ps_arena){0};
    return 0;
}

static void a_pin_is_read_as_it_was_written(void **state)
{
    (void)state;
    ps_buf meta = {0};
    ps_store_pin got, pin = a_pin(&meta);
    ps_record_pin(&bytes, &pin);
    assert_true(read_back(&got));
    assert_true(got.lsn == 7 && got.died == 3 && !got.deleted && !got.whole);
    assert_true(ps_text_is(got.title, "title") && ps_text_is(got.image, "i.png"));
    assert_int_equal(got.n_meta, 2);
    assert_true(ps_text_same(got.meta, pin.meta));
    assert_int_equal(got.n_features, 2);
    assert_true(got.features[0].dim == 2 && got.features[0].values[1] == -2.5f);
    assert_true(ps_text_is(got.features[1].name, "sound") && !got.features[1].dim);
    ps_buf_done(&meta);
}

/* Version 1 had no metadata; what it did not name the pin did not have. */
static void a_record_of_the_first_version_is_still_read(void **state)
{
    (void)state;
    static const float visual[] = {1, -2.5f};
    static const ps_store_feature feature[] = {{{"visual", 6}, 2, visual}};
    ps_store_pin got, pin = {.lsn = 9, .n_features = 1, .features = feature};
    ps_record_pin(&bytes, &pin);
    memmove(bytes.data + META_AT, bytes.data + META_AT + 8, bytes.size - META_AT - 8);
    bytes.size -= 8;
    bytes.data[FORMAT_AT] = 1;
    assert_true(read_back(&got));
    assert_true(got.whole && got.lsn == 9 && got.n_meta == 0);
    assert_true(got.n_features == 1 && got.features[0].values[1] == -2.5f);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    ps_store_pin got, pin = {.lsn = 9};
    ps_record_pin(&bytes, &pin);
    for (int version = 0; version < 256; version++) {
        bytes.data[FORMAT_AT] = (char)version;
        assert_int_equal(read_back(&got), version == PS_PIN_FORMAT);
    }
}

/* Every byte that says how much there is, changed: refused, and nothing read outside. */
static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    ps_buf meta = {0};
    ps_store_pin got, pin = a_pin(&meta);
    ps_record_pin(&bytes, &pin);
    size_t size = bytes.size;
    for (size_t cut = 0; cut < size; cut++) {
        bytes.size = cut;
        char *copy = malloc(cut + 1); /* so that a sanitizer sees its end */
        memcpy(copy, bytes.data, cut);
        assert_false(ps_record_read_pin((MDB_val){cut, copy}, &got, &arena));
        free(copy);
    }
    bytes.size = size;
    size_t pairs = META_AT + pin.title.len + pin.image.len;
    for (size_t i = 0; i < 8 + meta.size; i++) {
        char was = bytes.data[pairs + i];
        bytes.data[pairs + i] = (char)(was + 1);
        bool text = i >= 8 + 2 && i != 8 + 1 + 1 + 5 && i < 8 + 1 + 1 + 5 + 1 + 4;
        assert_int_equal(read_back(&got), text);
        bytes.data[pairs + i] = was;
    }
    ps_buf_done(&meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_pin_is_read_as_it_was_written, teardown),
        cmocka_unit_test_teardown(a_record_of_the_first_version_is_still_read, teardown),
        cmocka_unit_test_teardown(another_version_is_refused, teardown),
        cmocka_unit_test_teardown(lengths_that_lie_are_refused, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
