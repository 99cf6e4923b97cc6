/* overlay.h - live changes of a mapped graph: saves and unsaves, seen by version.
 *
 * Edges that a row of the graph gained or lost are kept beside it, once for the pin and
 * once for the board. Every version that is still in use can be read at the same time;
 * a reader's view is a ps_graph value:
 *
 *     uint64_t at = ps_epoch_enter(slot);
 *     ps_graph view = ps_graph_view(&generation->graph, overlay, at);
 *     ... ps_graph_degree(&view, ..), ps_walker_on(walker, &view), ...
 *     ps_epoch_exit(slot);
 *
 * A view is the graph that a build from the edges of that version would give: the same
 * rows in the same order, so the same walks for the same seeds.
 *
 * Rows from the graph's own on are live pins and live boards; they come into being with
 * their first save. Changes come in groups that appear at once:
 *
 *     ps_overlay_begin(o, 42);
 *     ps_overlay_save(o, pin, board); ps_overlay_unsave(o, pin, board); ...
 *     ps_overlay_commit(o);  or  ps_overlay_abort(o);
 *     ps_epoch_publish(epoch, 42);
 *
 * Cost of a change: that of the row's own changes, never of the row in the graph.
 *
 * Threads: one writer; any number of readers, who never wait. ps_overlay_counts: any.
 * Not here: names of pins and boards, durability, when to publish (server/).
 */
#ifndef PINSAGE_OVERLAY_H
#define PINSAGE_OVERLAY_H

#include "pinsage/epoch.h"
#include "pinsage/graph.h"

typedef struct ps_overlay ps_overlay;

/* Borrows g (a graph without overlay) and e, which frees what versions leave behind. */
int ps_overlay_new(ps_overlay **o, const ps_graph *g, ps_epoch *e);
/* No reader may be inside. The memory goes with the epoch's next reclaim, or its end: the
 * epoch is freed later. */
void ps_overlay_free(ps_overlay *o);

/* Changes until commit or abort belong to this version, which is above all before. */
void ps_overlay_begin(ps_overlay *o, uint64_t version);
/* The changes stand; whoever enters after the version is published sees them. */
void ps_overlay_commit(ps_overlay *o);
/* None of the changes was made. The version may be begun again. */
void ps_overlay_abort(ps_overlay *o);

/* Within a group. Judged by the newest state, the group's own changes included: PS_EEXIST
 * for a save that is there, PS_ENOENT for an unsave of one that is not, PS_ERANGE for
 * row UINT32_MAX. After PS_ENOMEM the change was not made, at all. */
int ps_overlay_save(ps_overlay *o, uint32_t pin, uint32_t board);
int ps_overlay_unsave(ps_overlay *o, uint32_t pin, uint32_t board);
/* Unsave a pin everywhere; costs as much as that many unsaves. *removed (NULL is fine)
 * gets how many. */
int ps_overlay_clear_pin(ps_overlay *o, uint32_t pin, uint32_t *removed);

typedef struct ps_overlay_counts {
    uint64_t pins, boards;   /* rows that were ever changed */
    uint64_t added, removed; /* edges that the graph lacks; edges of it that are gone */
    uint64_t bytes;          /* held in memory, for all versions */
} ps_overlay_counts;
ps_overlay_counts ps_overlay_count(const ps_overlay *o);

/* The graph as of a version that the caller has entered. Owns nothing. */
static inline ps_graph ps_graph_view(const ps_graph *base, const ps_overlay *o,
                                     uint64_t version)
{
    return (ps_graph){.pin_boards = base->pin_boards,
                      .board_pins = base->board_pins,
                      .overlay = o,
                      .at = version};
}

#endif
