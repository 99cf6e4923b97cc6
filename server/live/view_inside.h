/* view_inside.h - what a view is made of.
 *
 * Threads: see view.h.
 */
#ifndef PINSAGE_SERVER_LIVE_VIEW_INSIDE_H
#define PINSAGE_SERVER_LIVE_VIEW_INSIDE_H

#include <stdatomic.h>

#include "pinsage/features.h"
#include "pinsage/rowmap.h"
#include "server/live/names.h"
#include "server/live/view.h"

#define FIRST_VERSION 1 /* nothing but the generation */

struct ps_view {
    ps_generation *g; /* a reference */
    ps_epoch *epoch;
    ps_names *pins, *boards;
    ps_overlay *overlay;
    ps_rowmap states;                     /* row -> newest ps_row_state */
    ps_rowmap edged;                      /* row -> newest edged */
    ps_rowmap stale;                      /* row -> touched */
    ps_delta_index *embeddings;           /* NULL without embeddings */
    ps_delta_index *block[PS_BLOCKS_MAX]; /* of the generation's blocks, in order */
    ps_pins_reader *base;                 /* the writer's */
    uint64_t version, next;               /* the newest published; the one being made */
    uint64_t identity;                    /* of the generation */
    uint64_t number;                      /* see ps_view_identify */
    atomic_bool unsettled;                /* vectors are being changed */
    _Atomic uint32_t dead;
    _Atomic uint64_t unfit; /* vectors of the newest states that fit no block */
};

#endif
