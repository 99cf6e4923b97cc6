/* token_file.c - reads the file of bearer tokens; compares without telling by time.
 *
 * Tokens are kept padded to one length and compared over all of it. That is why there is
 * no hash here: nothing about the comparison depends on what a token holds.
 *
 * Threads: see token_file.h.
 */
#include "server/security/token_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES ((size_t)262144)

/* ------------------------------ Lines -------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cut the next word off *rest; empty at the end of the line. */
static ps_text next_word(ps_text *rest)
{
    size_t from = 0, to;
    while (from < rest->len && is_blank(rest->data[from]))
        from++;
    for (to = from; to < rest->len && !is_blank(rest->data[to]);)
        to++;
    ps_text word = {rest->data + from, to - from};
    *rest = (ps_text){rest->data + to, rest->len - to};
    return word;
}

static bool is_name(ps_text t)
{
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && (!c || !strchr("._-@", c)))
            return false;
    }
    return t.len > 0 && t.len < PS_TOKEN_NAME;
}

static bool is_token(ps_text t)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.data[i] <= ' ' || t.data[i] > '~')
            return false;
    return t.len > 0 && t.len <= PS_TOKEN_BYTES;
}

static bool has_name(const ps_tokens *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->token[i].name, name) == 0)
            return true;
    return false;
}

static int add_token(ps_tokens *t, ps_text name, ps_text token, const char *path,
                     long line, ps_why *why)
{
    if (name.len && !is_name(name))
        return ps_fail(why, PS_EFORMAT, path, line,
                       "a name has up to %d letters, digits and . _ - @",
                       PS_TOKEN_NAME - 1);
    if (!is_token(token))
        return ps_fail(why, PS_EFORMAT, path, line,
                       "a token has up to %d visible ASCII characters", PS_TOKEN_BYTES);
    if (t->n == PS_TOKENS_MAX)
        return ps_fail(why, PS_EFORMAT, path, line, "more than %d tokens", PS_TOKENS_MAX);
    if (ps_tokens_find(t, token) >= 0)
        return ps_fail(why, PS_EFORMAT, path, line, "this token stands twice");
    ps_token *new = &t->token[t->n];
    *new = (ps_token){.len = token.len};
    memcpy(new->text, token.data, token.len);
    if (name.len)
        snprintf(new->name, sizeof new->name, "%.*s", (int)name.len, name.data);
    else
        snprintf(new->name, sizeof new->name, "line-%ld", line);
    if (has_name(t, new->name))
        return ps_fail(why, PS_EFORMAT, path, line, "the name \"%s\" stands twice",
                       new->name);
    t->has_short |= token.len < PS_TOKEN_SHORT;
    t->n++;
    return PS_OK;
}

static int take_line(ps_tokens *t, ps_text line, const char *path, long number,
                     ps_why *why)
{
    ps_text first = next_word(&line), second = next_word(&line), more = next_word(&line);
    if (!first.len || first.data[0] == '#')
        return PS_OK;
    if (more.len && more.data[0] != '#')
        return ps_fail(why, PS_EFORMAT, path, number,
                       "a line has a token, or a name and a token");
    if (!second.len || second.data[0] == '#')
        return add_token(t, (ps_text){"", 0}, first, path, number, why);
    return add_token(t, first, second, path, number, why);
}

int ps_tokens_parse(ps_tokens *t, const char *text, size_t size, const char *path,
                    ps_why *why)
{
    *t = (ps_tokens){.token = calloc(PS_TOKENS_MAX, sizeof *t->token)};
    int err = t->token ? PS_OK : PS_ENOMEM;
    long number = 1;
    for (size_t at = 0; at < size && !err; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t len = end ? (size_t)(end - text) - at : size - at;
        err = take_line(t, (ps_text){text + at, len}, path, number, why);
        at += len + 1;
    }
    if (!err && !t->n)
        err = ps_fail(why, PS_EFORMAT, path, 0, "holds no token");
    if (err)
        ps_tokens_done(t);
    return err;
}

/* ------------------------------ The file ----------------------------------- */

int ps_tokens_read(ps_tokens *t, const char *path, ps_why *why)
{
    ps_slurp file;
    *t = (ps_tokens){0};
    int err = ps_slurp_file(&file, path, FILE_BYTES, why);
    if (err)
        return err;
    if (file.mode & 02)
        err = ps_fail(why, PS_EINVAL, path, 0, "everybody may write to it");
    else
        err = ps_tokens_parse(t, file.text, file.size, path, why);
    if (!err) {
        t->stamp = file.stamp;
        t->mode = file.mode;
    }
    ps_slurp_wipe(&file);
    return err;
}

void ps_tokens_done(ps_tokens *t)
{
    if (t->token)
        explicit_bzero(t->token, PS_TOKENS_MAX * sizeof *t->token);
    free(t->token);
    *t = (ps_tokens){0};
}

/* ------------------------------ Comparing ---------------------------------- */

/* 1 if equal, else 0, without a branch on what the bytes are. */
static unsigned equals(const ps_token *t, const unsigned char *padded, size_t len)
{
    uint64_t odd = t->len ^ len;
    for (size_t i = 0; i < PS_TOKEN_BYTES; i++)
        odd |= (unsigned char)(t->text[i] ^ padded[i]);
    return (unsigned)(((odd | (0 - odd)) >> 63) ^ 1);
}

int ps_tokens_find(const ps_tokens *t, ps_text shown)
{
    unsigned char padded[PS_TOKEN_BYTES] = {0};
    unsigned found = 0; /* index + 1; no two tokens are equal */
    if (shown.len > sizeof padded)
        return -1;
    memcpy(padded, shown.data, shown.len);
    for (size_t i = 0; i < t->n; i++)
        found |= (0u - equals(&t->token[i], padded, shown.len)) & (unsigned)(i + 1);
    explicit_bzero(padded, sizeof padded);
    return (int)found - 1;
}
