/* buf.c - growing text, decimal numbers, JSON strings.
 *
 * JSON strings are copied in runs: bytes that need no escape are found by a table and
 * added with one memcpy; UTF-8 is checked only where the high bit is set.
 *
 * Threads: one buffer, one thread.
 */
#include "pinsage/buf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(ps_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more < b->room && b->size + more < b->room)
        return true;
    size_t room = b->room ? b->room : 256;
    while (room <= b->size + more && room < SIZE_MAX / 2)
        room *= 2;
    char *data = room > b->size + more ? realloc(b->data, room) : NULL;
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

void ps_buf_add(ps_buf *b, const void *data, size_t size)
{
    if (!make_room(b, size))
        return;
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void ps_buf_text(ps_buf *b, const char *text)
{
    ps_buf_add(b, text, strlen(text));
}

void ps_buf_char(ps_buf *b, char c)
{
    ps_buf_add(b, &c, 1);
}

void ps_buf_u64(ps_buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    ps_buf_add(b, digits + at, sizeof digits - at);
}

void ps_buf_varint(ps_buf *b, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        ps_buf_char(b, (char)(value | 0x80));
    ps_buf_char(b, (char)value);
}

/* number / 10^places in decimal, without zeros at the end of its fraction. */
static int write_decimal(char *out, uint64_t number, int places, bool negative)
{
    char text[24]; /* backwards */
    int n = 0, at = 0;
    for (; places > 0 && number % 10 == 0; places--)
        number /= 10;
    for (int i = 0; number || i <= places; i++, number /= 10) {
        if (i && i == places)
            text[n++] = '.';
        text[n++] = (char)('0' + number % 10);
    }
    if (negative)
        out[at++] = '-';
    while (n)
        out[at++] = text[--n];
    return at;
}

/* What "%.*g" writes, for numbers of everyday size, ten times as fast: the value is
 * scaled to an integer of `digits` digits. 0 when it is not of such a size, or so near
 * the middle between two results that the scaling's own rounding could decide. */
static int write_plain(char *out, double value, int digits)
{
    static const double power[] = {1e0, 1e1, 1e2, 1e3,  1e4,  1e5,  1e6,
                                   1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13};
    double size = fabs(value);
    if (digits < 1 || digits > 9 || !(size >= 1e-4 && size < power[digits]))
        return 0;
    int places = 0; /* digits after the point */
    while (places < 13 && size * power[places] < power[digits - 1])
        places++;
    double scaled = size * power[places], whole = floor(scaled), rest = scaled - whole;
    if (fabs(rest - 0.5) < 1e-4 || whole + 1 >= power[digits])
        return 0;
    return write_decimal(out, (uint64_t)(rest > 0.5 ? whole + 1 : whole), places,
                         value < 0);
}

void ps_buf_real(ps_buf *b, double value, int digits)
{
    char text[40];
    if (!isfinite(value)) {
        ps_buf_text(b, "null");
        return;
    }
    int n = write_plain(text, value, digits);
    if (!n)
        n = snprintf(text, sizeof text, "%.*g", digits, value);
    ps_buf_add(b, text, (size_t)n);
}

void ps_buf_printf(ps_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && make_room(b, (size_t)n)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void ps_buf_clear(ps_buf *b)
{
    b->size = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

void ps_buf_done(ps_buf *b)
{
    free(b->data);
    *b = (ps_buf){0};
}

/* ------------------------------ UTF-8 ------------------------------------- */

static bool continues(const unsigned char *s, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Length of the sequence at s (left bytes remain), 0 if it is not well-formed. */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < n || !continues(s, n))
        return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
        (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return n;
}

bool ps_utf8_valid(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;
    while (at < len) {
        uint64_t word;
        if (len - at >= sizeof word) { /* eight ASCII bytes at once */
            memcpy(&word, s + at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                continue;
            }
        }
        size_t n = utf8_sequence(s + at, len - at);
        if (!n)
            return false;
        at += n;
    }
    return true;
}

/* ------------------------------ JSON -------------------------------------- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_escape(ps_buf *b, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = strchr(named, c);
    if (c && at) {
        char pair[2] = {'\\', letter[at - named]};
        ps_buf_add(b, pair, sizeof pair);
        return;
    }
    ps_buf_printf(b, "\\u%04x", c);
}

void ps_buf_json(ps_buf *b, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    ps_buf_char(b, '"');
    for (size_t at = 0; at < len;) {
        size_t run = at;
        while (run < len && is_plain(s[run]))
            run++;
        if (run > at)
            ps_buf_add(b, s + at, run - at);
        if ((at = run) == len)
            break;
        size_t n = s[at] >= 0x80 ? utf8_sequence(s + at, len - at) : 1;
        if (s[at] < 0x80)
            add_escape(b, s[at]);
        else if (n)
            ps_buf_add(b, s + at, n);
        else
            ps_buf_text(b, "\xef\xbf\xbd"); /* U+FFFD */
        at += n ? n : 1;
    }
    ps_buf_char(b, '"');
}

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

void ps_buf_percent(ps_buf *b, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        size_t run = i;
        while (i < len && is_unreserved((unsigned char)text[i]))
            i++;
        if (i > run)
            ps_buf_add(b, text + run, i - run);
        if (i == len)
            break;
        unsigned char c = (unsigned char)text[i];
        char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
        ps_buf_add(b, escape, sizeof escape);
    }
}
