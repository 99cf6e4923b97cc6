/* base64.c - three bytes are four letters.
 *
 * What is left at the end, one byte or two, is two letters or three: the length alone
 * tells, so padding says nothing new and is neither written nor asked for.
 *
 * Threads: pure functions.
 */
#include "pinsage/base64.h"

#include <stdint.h>

void ps_base64_add(ps_buf *out, ps_text bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *data = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned v = (unsigned)data[i] << 16;
        v |= left > 1 ? (unsigned)data[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned)data[i + 2] : 0;
        for (size_t d = 0; d < (left > 2 ? 4 : left + 1); d++)
            ps_buf_char(out, digits[v >> (18 - 6 * d) & 63]);
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '+' || c == ' ') /* a plus in an address reads as a space */
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

bool ps_base64_read(ps_text in, ps_arena *arena, ps_text *out)
{
    uint32_t bits = 0;
    size_t n = 0;
    for (int pads = 0; in.len && in.data[in.len - 1] == '=' && pads < 2; pads++)
        in.len--;
    char *bytes = ps_arena_alloc(arena, in.len);
    if (!bytes || in.len % 4 == 1)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        int digit = digit_of(in.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4)
            bytes[n++] = (char)(bits >> (6 - i % 4 * 2));
    }
    *out = (ps_text){bytes, n};
    return true;
}
