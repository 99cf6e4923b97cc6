/* params.c - finds, checks and reads parameters.
 *
 * Threads: see params.h.
 */
#include "server/message/params.h"

#include <string.h>

static bool fits(ps_text name, const char *row)
{
    return strcmp(row, "...") == 0 || ps_text_is(name, row + (*row == '*'));
}

int ps_params_check(const ps_request *r, const char *const *names, ps_why *why)
{
    for (size_t i = 0; i < r->target.n_params; i++) {
        ps_text name = r->target.param[i].name;
        size_t n = 0;
        while (names[n] && !fits(name, names[n]))
            n++;
        int shown = (int)(name.len < 60 ? name.len : 60);
        if (names[n] && strcmp(names[n], "...") == 0)
            continue;
        if (!names[n])
            return ps_fail(why, PS_EINVAL, NULL, 0, "no parameter \"%.*s\" here", shown,
                           name.data);
        if (*names[n] != '*' &&
            ps_request_param(r, names[n]) != &r->target.param[i].value)
            return ps_fail(why, PS_EINVAL, NULL, 0, "parameter \"%s\" is given twice",
                           names[n]);
    }
    return PS_OK;
}

int ps_params_number(const ps_request *r, const char *name, uint32_t low, uint32_t high,
                     uint32_t *out, ps_why *why)
{
    const ps_text *text = ps_request_param(r, name);
    uint64_t value;
    if (!text)
        return PS_OK;
    if (text->len > 10 || !ps_text_number(*text, &value) || value < low || value > high)
        return ps_fail(why, PS_EINVAL, NULL, 0, "%s is not a whole number in %u..%u",
                       name, low, high);
    *out = (uint32_t)value;
    return PS_OK;
}

int ps_params_flag(const ps_request *r, const char *name, bool *out, ps_why *why)
{
    static const char *const words[] = {"false", "0", "true", "1", ""};
    const ps_text *text = ps_request_param(r, name);
    if (!text)
        return PS_OK;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ps_text_is(*text, words[i])) {
            *out = i >= 2;
            return PS_OK;
        }
    return ps_fail(why, PS_EINVAL, NULL, 0, "%s is neither true nor false", name);
}

ps_text ps_params_text(const ps_request *r, const char *name)
{
    const ps_text *text = ps_request_param(r, name);
    return text ? *text : (ps_text){NULL, 0};
}
