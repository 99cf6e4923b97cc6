/* edit.h - what a put or a patch comes to, given the pin that stands.
 *
 * A write names some fields; what it does not name stays as it was. What comes out names
 * all of them, so that it can be stored, and mean the same whatever stood before.
 *
 * Threads: the writer's.
 */
#ifndef PINSAGE_SERVER_LIVE_EDIT_H
#define PINSAGE_SERVER_LIVE_EDIT_H

#include "pinsage/arena.h"
#include "server/live/writer.h"

/* A pin as it stands, in the newest version of a view. */
typedef struct ps_standing {
    const ps_view *v;
    ps_snapshot s;
    ps_pins_reader *base; /* of the view's generation */
    uint32_t row;         /* PS_NO_ROW: the pin is not there */
    uint64_t lsn;         /* its version */
} ps_standing;

typedef struct ps_edited {
    ps_content content; /* without boards; a vector of no numbers: there is none */
    uint32_t n_meta;
    ps_text meta; /* as a ps_pin's */
} ps_edited;

/* All that out points to lives in the arena or belongs to the write. PS_ENOMEM;
 * PS_EINVAL in words when a limit would be passed; or the error of reading the store. */
int ps_edit(const ps_standing *now, ps_store *store, const ps_write *w, ps_arena *arena,
            ps_edited *out, ps_why *why);

#endif
