/* eval_page.c - the explorer's page of an evaluation, made to stand alone.
 *
 * The page is one in source and in the program; here the tags that name other files are
 * replaced by what these files hold. JSON cannot end the element that holds it: each "<"
 * in it is written as an escape.
 *
 * Threads: none.
 */
#include "server/cli/eval_page.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/text.h"
#include "server/base/assets.h"

static void add_asset(ps_buf *out, const char *name)
{
    const ps_asset *a = ps_asset_find(ps_text_of(name));
    char *text = a ? malloc(a->size + 1) : NULL;
    if (text && ps_asset_inflate(a, text))
        ps_buf_add(out, text, a->size);
    else
        out->failed = true;
    free(text);
}

static void add_json(ps_buf *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == '<')
            ps_buf_text(out, "\\u003c");
        else
            ps_buf_char(out, text[i]);
}

/* Up to the tag, which must be there, then past it. */
static const char *add_until(ps_buf *out, const char *at, const char *tag)
{
    const char *found = strstr(at, tag);
    if (!found) {
        out->failed = true;
        return at + strlen(at);
    }
    ps_buf_add(out, at, (size_t)(found - at));
    return found + strlen(tag);
}

void ps_eval_page(ps_buf *out, const char *report, size_t size)
{
    ps_buf page = {0};
    add_asset(&page, "eval.html");
    ps_buf_char(&page, '\0');
    if (page.failed) {
        out->failed = true;
        ps_buf_done(&page);
        return;
    }
    const char *at = page.data;
    at = add_until(out, at,
                   "<link rel=\"icon\" href=\"icon.svg\" type=\"image/svg+xml\">\n");
    at = add_until(out, at, "<link rel=\"stylesheet\" href=\"eval.css\">");
    ps_buf_text(out, "<style>\n");
    add_asset(out, "eval.css");
    ps_buf_text(out, "</style>");
    at = add_until(out, at, "type=\"application/json\">");
    ps_buf_text(out, "type=\"application/json\">");
    add_json(out, report, size);
    at = add_until(out, at, "<script src=\"eval.js\" defer></script>");
    const char *body = strstr(at, "</body>");
    ps_buf_add(out, at, body ? (size_t)(body - at) : strlen(at));
    ps_buf_text(out, "<script>\n"); /* at the end: an inline script is not deferred */
    add_asset(out, "eval.js");
    ps_buf_text(out, "</script>\n</body>\n</html>\n");
    ps_buf_done(&page);
}
