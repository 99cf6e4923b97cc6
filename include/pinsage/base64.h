/* base64.h - bytes as letters, and back (RFC 4648).
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_BASE64_H
#define PINSAGE_BASE64_H

#include <stdbool.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "pinsage/text.h"

/* Append bytes in the standard alphabet, without padding. */
void ps_base64_add(ps_buf *out, ps_text bytes);
/* Both alphabets, with padding or without; a space counts as the plus that an address
 * turned into it. False when it is neither, or when the arena has no room. The bytes are
 * the arena's. */
bool ps_base64_read(ps_text in, ps_arena *arena, ps_text *out);

#endif
