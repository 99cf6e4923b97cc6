/* test_eval_page.c - an evaluation as a page that stands alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/assets.h"
#include "server/cli/eval_page.h"

static ps_buf make_page(const char *report)
{
    ps_buf page = {0};
    ps_eval_page(&page, report, strlen(report));
    ps_buf_char(&page, '\0');
    assert_false(page.failed);
    return page;
}

static size_t times(const char *page, const char *what)
{
    size_t n = 0;
    for (; (page = strstr(page, what)); page++)
        n++;
    return n;
}

static void nothing_is_fetched_from_elsewhere(void **state)
{
    (void)state;
    static const char *const ways[] = {" src=",    " href=", "url(",    "@import",
                                       "https://", "<link",  "<iframe", "<img"};
    ps_buf page = make_page("{}");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_null(strstr(page.data, ways[i]));
    ps_buf_done(&page);
}

static void the_report_the_style_and_the_script_are_inside(void **state)
{
    (void)state;
    ps_buf page = make_page("{\"pairs\":7}");
    assert_non_null(
        strstr(page.data, "type=\"application/json\">{\"pairs\":7}</script>"));
    assert_non_null(strstr(page.data, "<style>\n/* eval.css"));
    assert_non_null(strstr(page.data, "<script>\n/* eval.js"));
    assert_int_equal(times(page.data, "<main"), 1);
    assert_int_equal(times(page.data, "</html>"), 1);
    ps_buf_done(&page);
}

static void a_report_cannot_end_the_element_that_holds_it(void **state)
{
    (void)state;
    ps_buf page = make_page("{\"m\":\"</script><script>alert(1)</script><!--\"}");
    assert_null(strstr(page.data, "alert(1)</script>"));
    assert_non_null(strstr(page.data, "\\u003c/script>\\u003cscript>alert(1)"));
    assert_int_equal(times(page.data, "<script"), 2);
    ps_buf_done(&page);
}

static void every_page_can_be_unpacked(void **state)
{
    (void)state;
    assert_true(ps_n_assets > 5);
    for (size_t i = 0; i < ps_n_assets; i++) {
        char *text = malloc(ps_assets[i].size);
        assert_true(ps_asset_inflate(&ps_assets[i], text));
        assert_ptr_equal(ps_asset_find(ps_text_of(ps_assets[i].name)), &ps_assets[i]);
        free(text);
    }
    assert_null(ps_asset_find(ps_text_of("nothing.html")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_fetched_from_elsewhere),
        cmocka_unit_test(the_report_the_style_and_the_script_are_inside),
        cmocka_unit_test(a_report_cannot_end_the_element_that_holds_it),
        cmocka_unit_test(every_page_can_be_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
