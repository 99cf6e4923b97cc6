/* buf.h - a growing text buffer, and JSON written straight into it.
 *
 * Hot answers are written here by hand (six times faster than building a tree).
 * Growth failure is sticky: writes become no-ops and ps_buf.failed is set, so a
 * writer checks once, at the end.
 *
 * Threads: one buffer, one thread.
 */
#ifndef PINSAGE_BUF_H
#define PINSAGE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_buf {
    char *data; /* owned; NUL-terminated once anything was written */
    size_t size, room;
    bool failed;
} ps_buf; /* zero-initialised is ready */

void ps_buf_add(ps_buf *b, const void *data, size_t size);
void ps_buf_text(ps_buf *b, const char *text);
void ps_buf_char(ps_buf *b, char c);
void ps_buf_u64(ps_buf *b, uint64_t value);
/* Seven bits a byte, the lowest first, the top bit set in all but the last: as protobuf
 * and pins.mdb write lengths. */
void ps_buf_varint(ps_buf *b, uint64_t value);
/* Shortest of "%.{digits}g"; infinities and NaN become null (JSON has none). */
void ps_buf_real(ps_buf *b, double value, int digits);
void ps_buf_printf(ps_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A quoted JSON string of len bytes of UTF-8; bytes that are not UTF-8 become U+FFFD. */
void ps_buf_json(ps_buf *b, const char *text, size_t len);
/* Percent-encode everything but RFC 3986 unreserved bytes. */
void ps_buf_percent(ps_buf *b, const char *text, size_t len);
void ps_buf_clear(ps_buf *b); /* keeps the room */
void ps_buf_done(ps_buf *b);

/* True if the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool ps_utf8_valid(const char *text, size_t len);

#endif
