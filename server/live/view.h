/* view.h - a generation and everything written since, seen as one corpus.
 *
 * The generation never changes; beside it stand what live writes brought: names of new
 * pins and boards (names.h), edges added and removed (overlay.h), what is known of a
 * written pin (its states, newest first), and vectors (delta_index.h) that override those
 * of the generation. A reader enters at the newest version and sees that one, whatever is
 * written meanwhile; only vectors are always the newest.
 *
 * Rows: 0 .. N-1 are the generation's pins, N .. are live ones; boards likewise. A row
 * belongs to one id for as long as the view lives: a pin that is deleted and posted again
 * has its old row.
 *
 * Threads: one writer (writer.c, or whoever builds the view before it is attached); any
 * number of readers, each with an epoch slot of its own.
 * Not here: durability (store.h), embedding live pins (embedding.h), ranking.
 */
#ifndef PINSAGE_SERVER_LIVE_VIEW_H
#define PINSAGE_SERVER_LIVE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/delta_index.h"
#include "pinsage/epoch.h"
#include "pinsage/generation.h"
#include "pinsage/overlay.h"

typedef struct ps_view ps_view;

/* One version of a row that was written. */
typedef struct ps_state_of {
    ps_retired retired;
    uint64_t version; /* of the view; from then on it holds */
    uint64_t lsn;     /* of the write that made it */
    double time;      /* when that was, seconds since 1970 */
    bool dead;
    bool fresh; /* nothing of what the generation has of the row is the pin's */
    ps_text title, text, image; /* owned with the state */
    uint32_t n_meta;
    ps_text meta;   /* as a ps_pin's; owned with the state */
    uint32_t told;  /* bit b: a vector of the generation's block b came with it */
    uint32_t unfit; /* vectors that came with it and fit no block of the generation */
    struct ps_state_of *older;
} ps_row_state;

/* What a reader sees between enter and exit. */
typedef struct ps_snapshot {
    uint64_t version;
    ps_graph graph; /* with the overlay at that version */
} ps_snapshot;

/* Takes a reference of g. Live rows of feature blocks and embeddings go to delta indexes
 * of the generation's widths; message_bytes are kept beside each embedding. */
int ps_view_new(ps_view **v, ps_generation *g, uint32_t message_bytes, ps_why *why);
void ps_view_free(ps_view *v); /* no reader may be left; NULL is fine */

/* ---- Readers ---- */
int ps_view_join(ps_view *v, ps_epoch_slot **slot); /* left by ps_epoch_leave */
void ps_view_enter(const ps_view *v, ps_epoch_slot *slot, ps_snapshot *s);

ps_generation *ps_view_generation(const ps_view *v); /* borrowed */
/* The row of a pin that is there at the snapshot, else PS_NO_ROW. base: a reader of the
 * generation's pins. */
uint32_t ps_view_pin_row(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                         ps_text id);
/* The same for a board; one that only live writes know is there while it has pins. */
uint32_t ps_view_board_number(const ps_view *v, const ps_snapshot *s,
                              ps_pins_reader *base, ps_text name);
/* Grows whenever an answer may be another than before. Any thread. */
uint64_t ps_view_version(const ps_view *v);
/* What answers at a snapshot are made of: equal identities, equal answers, in whatever
 * process. A view is numbered at random, for versions begin anew with each, and the
 * store's own number would not do: how vectors came to be embedded, one by one as pins
 * were written or all at once after a start, shows in them. While nothing was written the
 * generation is all there is, and number is 0: then servers of one generation agree. */
typedef struct ps_view_identity {
    uint64_t generation, number, version;
} ps_view_identity;
ps_view_identity ps_view_identify(const ps_view *v, const ps_snapshot *s);
/* Asked after an answer was made: is all that was read of this snapshot? Vectors are the
 * newest, so one that changed meanwhile may be in it. */
bool ps_view_settled(const ps_view *v, const ps_snapshot *s);
bool ps_view_alive(const ps_view *v, const ps_snapshot *s, uint32_t row);
/* The row's state at the snapshot, NULL when it was not written since the generation. */
const ps_row_state *ps_view_state(const ps_view *v, const ps_snapshot *s, uint32_t row);
/* The version of a row that is there, for its ETag: the newest operation on the pin or on
 * its boards, or for one that was not written since, PS_STORED_IN | the generation's
 * identity, since after a compaction it is stored in another with all that was written.
 * (Its number would do within one catalog; another catalog put in its place begins to
 * count anew.) */
#define PS_STORED_IN (UINT64_C(1) << 63)
uint64_t ps_view_lsn(const ps_view *v, const ps_snapshot *s, uint32_t row);
/* Record of a row that is there: the generation's, or what was written. Texts are valid
 * until the reader exits. */
int ps_view_pin(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                uint32_t row, ps_pin *pin);
/* Ids of pins that are there, near to a misspelt one (ps_pins_suggest). */
size_t ps_view_suggest(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                       ps_text id, ps_text *out, size_t max);
int ps_view_board_name(const ps_view *v, ps_pins_reader *base, uint32_t board,
                       ps_text *name);
/* One past the largest row and board number that there may be. */
uint32_t ps_view_rows(const ps_view *v);
uint32_t ps_view_boards(const ps_view *v);

/* Vectors of live rows: embeddings, and blocks by the generation's order. NULL for a
 * generation without embeddings. */
ps_delta_index *ps_view_embeddings(const ps_view *v);
ps_delta_index *ps_view_block(const ps_view *v, uint32_t block);
/* The delta index beside an array of the generation, NULL when it is none of them. */
ps_delta_index *ps_view_delta_of(const ps_view *v, const ps_npy *array);

/* A row whose boards changed since its vector was made: how often, and since when. False
 * when its vector is as of now. */
typedef struct ps_staleness {
    uint32_t changes;
    double since; /* seconds since 1970 */
} ps_staleness;
bool ps_view_staleness(const ps_view *v, uint32_t row, ps_staleness *s);

typedef struct ps_view_counts {
    uint64_t version;
    uint32_t pins, boards; /* live ones, dead ones among them */
    uint32_t dead;         /* rows deleted: tombstones */
    uint32_t delta;        /* embeddings of live rows */
    uint64_t unfit;        /* vectors that came with pins and fit no block */
    uint64_t bytes;        /* of vectors */
    ps_overlay_counts edges;
} ps_view_counts;
ps_view_counts ps_view_count(const ps_view *v);

/* What was written and has no place in this generation: vectors of a block that it has
 * not, or has in another width. The store keeps them until a compaction. */
typedef struct ps_unfit {
    uint64_t vectors;
    uint32_t pins;
    char first[160]; /* ids of some of the pins, "a, b, ..." */
} ps_unfit;
/* base: a reader of the generation's pins. Looks at every row when there are any. */
void ps_view_unfit(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                   ps_unfit *out);

/* ---- The writer ----
 * Begin a version, all its changes, publish. Changes need memory: PS_ENOMEM leaves the
 * view in between, and the process has to start afresh from the store. */
void ps_view_begin(ps_view *v);
/* fresh: boards that the generation has of the pin are not its own. */
int ps_view_put_pin(ps_view *v, ps_text id, const ps_row_state *state, bool fresh,
                    uint32_t *row);
int ps_view_delete_pin(ps_view *v, ps_text id, uint64_t lsn, double time, uint32_t *row);
int ps_view_put_edge(ps_view *v, ps_text pin, ps_text board, bool saved, uint64_t lsn,
                     uint32_t *row);
void ps_view_publish(ps_view *v);
/* Vectors are about to change; until the next publication. */
void ps_view_unsettle(ps_view *v);
/* Free what no reader can be looking at any more; returns how much is left. */
size_t ps_view_reclaim(ps_view *v);
/* The writer's own reader of the generation's pins. Borrowed. */
ps_pins_reader *ps_view_base(const ps_view *v);
/* The row that an id has, whether the pin is there or not. */
uint32_t ps_view_row_of(const ps_view *v, ps_text id);
/* The row's boards changed; true if it was not stale before. */
int ps_view_touch(ps_view *v, uint32_t row, double time, bool *first);
/* Its vector is as of now. */
void ps_view_settle(ps_view *v, uint32_t row);
/* Call each for every stale row. */
void ps_view_each_stale(ps_view *v, void (*each)(void *cls, uint32_t row, double since),
                        void *cls);
/* The version being made: what is replaced now is retired at it. */
uint64_t ps_view_next(const ps_view *v);
/* The newest version, as a snapshot of the writer's own. */
void ps_view_newest(const ps_view *v, ps_snapshot *s);

#endif
