/* epoch.h - which version readers may still be looking at, and what may be freed then.
 *
 * One writer changes a structure by adding to it: what a change replaces stays where it
 * is, for readers of older versions. Versions are numbers that grow. A reader pins the
 * newest published version for the length of a request and waits for nothing; the writer
 * publishes the next version, retires what nobody sees from that version on, and now and
 * then reclaims what was retired before the oldest version still pinned.
 *
 *     ps_epoch_enter(slot) -> 41   ... reads what belongs to 41 ...   ps_epoch_exit(slot)
 *     writer: prepare 42, ps_epoch_retire(.., 42, ..), ps_epoch_publish(.., 42)
 *
 * Threads: join, leave, enter, exit: any, each slot by one thread at a time. The others:
 * the one writer. Several structures may share one epoch, if they share the writer.
 */
#ifndef PINSAGE_EPOCH_H
#define PINSAGE_EPOCH_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_epoch ps_epoch;
typedef struct ps_epoch_slot ps_epoch_slot;

/* First member of whatever may be retired, so that retiring cannot fail. Nobody touches
 * it before; readers may go on reading the rest. */
typedef struct ps_retired {
    struct ps_retired *next;
    uint64_t version;
    void (*free)(struct ps_retired *r);
} ps_retired;

/* version is what readers see until the first publication. */
int ps_epoch_new(ps_epoch **e, uint64_t version);
/* Frees everything retired. No reader may be inside, nor any slot be used after. */
void ps_epoch_free(ps_epoch *e);

/* A place for one thread's readings; PS_ENOMEM. Left ones are given out again. */
int ps_epoch_join(ps_epoch *e, ps_epoch_slot **slot);
void ps_epoch_leave(ps_epoch_slot *slot);
/* Pin and return the newest published version, until exit. Never waits, never retries;
 * not to be nested. */
uint64_t ps_epoch_enter(ps_epoch_slot *slot);
void ps_epoch_exit(ps_epoch_slot *slot);

/* What the next enter returns; not less than before. */
void ps_epoch_publish(ps_epoch *e, uint64_t version);
/* The version that was published last. Any thread. */
uint64_t ps_epoch_version(const ps_epoch *e);
/* Takes r: nobody who enters at this version or later can find it. Also before the
 * version is published. */
void ps_epoch_retire(ps_epoch *e, uint64_t version, ps_retired *r,
                     void (*free)(ps_retired *r));
/* Free what nobody can be looking at any more; returns how many that were. */
size_t ps_epoch_reclaim(ps_epoch *e);
/* Retired and not yet freed. Any thread. */
size_t ps_epoch_waiting(const ps_epoch *e);

#endif
