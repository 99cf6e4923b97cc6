/* err.c - the words behind err.h's table.
 *
 * Threads: ps_fail writes only what the caller gave; strerror_r is used, not strerror.
 */
#include "pinsage/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ps_strerror(int err)
{
    switch (err) {
#define XX(code, name, text)                                                             \
    case PS_E##name:                                                                     \
        return text;
        PS_ERR_MAP(XX)
#undef XX
    case PS_OK:
        return "no error";
    default:
        return "unknown error";
    }
}

const char *ps_errname(int err)
{
    switch (err) {
#define XX(code, name, text)                                                             \
    case PS_E##name:                                                                     \
        return #name;
        PS_ERR_MAP(XX)
#undef XX
    case PS_OK:
        return "OK";
    default:
        return "UNKNOWN";
    }
}

int ps_fail(ps_why *why, int err, const char *where, long line, const char *fmt, ...)
{
    if (!why)
        return err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    snprintf(why->where, sizeof why->where, "%s", where ? where : "");
    why->line = line;
    return err;
}

static int code_of_errno(int number)
{
    switch (number) {
    case ENOMEM:
        return PS_ENOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return PS_EFULL;
    case ENOENT:
        return PS_ENOENT;
    default:
        return PS_EIO;
    }
}

int ps_fail_errno(ps_why *why, const char *where, const char *what)
{
    int number = errno;
    char words[96];
    const char *text = strerror_r(number, words, sizeof words);
    return ps_fail(why, code_of_errno(number), where, 0, "%s: %s", what, text);
}

void ps_why_format(const ps_why *why, int err, char *out, unsigned long n)
{
    const char *text = why && why->text[0] ? why->text : ps_strerror(err);
    if (!why || !why->where[0])
        snprintf(out, n, "%s", text);
    else if (why->line > 0)
        snprintf(out, n, "%s:%ld: %s", why->where, why->line, text);
    else
        snprintf(out, n, "%s: %s", why->where, text);
}
