/* delta.h - the writer's side of a row's differences: make a version of its own of what
 * it changes, then change that in place.
 *
 * A change of an entry is a toggle: the event that names it is dropped if there is one,
 * otherwise made. It comes in two steps, so that a change of two rows is made whole or
 * not at all: prepare makes room and may fail, toggle then cannot.
 *
 * Deltas and leaves of the group's own version are seen by nobody: readers look at the
 * version and at the older delta, and go on. What a group replaces is written down in
 * its batch; the batch is retired as one when the group is committed.
 *
 * Threads: the writer.
 */
#ifndef PINSAGE_CORE_GRAPH_DELTA_H
#define PINSAGE_CORE_GRAPH_DELTA_H

#include "core/graph/live_graph.h"
#include "core/graph/slab.h"

typedef enum ps_item_kind {
    PS_ITEM_NONE,
    PS_ITEM_PIN, /* the delta that a row had before the group, or NULL */
    PS_ITEM_BOARD,
    PS_ITEM_LEAF,  /* of an older version, replaced */
    PS_ITEM_DELTA, /* of the group's version, replaced */
} ps_item_kind;

typedef struct ps_item {
    void *ptr;
    uint32_t row;
    ps_item_kind kind;
} ps_item;

typedef struct ps_batch {
    ps_retired retired;
    ps_slab *slab; /* borrowed: what the items are from */
    size_t n, room;
    ps_item item[];
} ps_batch;

typedef struct ps_changes {
    uint64_t version; /* 0: no group is open */
    ps_batch *batch;  /* owned; NULL until something is replaced */
    ps_slab *slab;    /* borrowed: of all deltas and leaves */
} ps_changes;

/* Room for n more items; PS_ENOMEM. */
int ps_changes_reserve(ps_changes *g, size_t n);
/* An item, room for which was reserved. */
void ps_changes_note(ps_changes *g, ps_item_kind kind, uint32_t row, void *ptr);

/* Make *d (NULL: no differences yet) a delta of the group's version in which the entry
 * can be toggled. If *d has changed, it must become the row's newest, also after
 * PS_ENOMEM: it shows the same entries. Three items must be reserved. */
int ps_delta_prepare(ps_delta **d, ps_base base, uint32_t entry, ps_changes *g);

typedef enum ps_toggled { PS_ADD, PS_REMOVE, PS_UNDO_ADD, PS_UNDO_REMOVE } ps_toggled;
ps_toggled ps_delta_toggle(ps_delta *d, ps_base base, uint32_t entry, ps_changes *g);

/* A delta of the group's version on top of older that removes every entry; NULL if there
 * is no memory. */
ps_delta *ps_delta_cleared(ps_delta *older, ps_base base, ps_changes *g);

/* Give back a delta; a leaf; the leaves of a delta that are the group's own. */
void ps_delta_give(ps_delta *d, ps_slab *s);
void ps_leaf_give(ps_leaf *leaf, ps_slab *s);
void ps_delta_give_leaves(ps_delta *d, ps_changes *g);

#endif
