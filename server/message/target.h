/* target.h - what a request line asks for: path segments and parameters, decoded.
 *
 *     /related/a%2Fb?k=5&exclude=x,y     segments "related" "a/b"; k "5", exclude "x,y"
 *
 * The raw target is split first and decoded afterwards, piece by piece, so that ids may
 * hold slashes, question marks and anything else. A plus sign is itself in a path and a
 * space in a parameter, as browsers write forms. Refused: bad escapes, %00, bytes that
 * cannot stand in a target, text that is not UTF-8.
 *
 * Threads: no state. Pieces live in the arena or in the raw target.
 */
#ifndef PINSAGE_SERVER_MESSAGE_TARGET_H
#define PINSAGE_SERVER_MESSAGE_TARGET_H

#include <stddef.h>

#include "pinsage/arena.h"
#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_SEGMENTS_MAX 16

typedef struct ps_param {
    ps_text name, value;
} ps_param;

typedef struct ps_target {
    ps_text segment[PS_SEGMENTS_MAX]; /* of "/": one, empty */
    size_t n_segments;
    ps_param *param; /* in the order sent; in the arena */
    size_t n_params;
} ps_target;

/* PS_EINVAL in words. raw must live as long as the result. Origin form ("/a?b=c") and
 * absolute form ("http://host/a") are understood. */
int ps_target_parse(ps_target *t, ps_text raw, ps_arena *arena, ps_why *why);

#endif
