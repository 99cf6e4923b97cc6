/* generation.h - one generation of a catalog, opened for reading.
 *
 * Everything is mapped and nothing is read whole: opening costs the manifest, the ends
 * of the arrays, and size checks of each listed file. A file whose size is not the
 * manifest's, or a part that was made from another version of what it depends on (its
 * fingerprint differs), is refused with what is wrong and where. Full checksums are
 * read by ps_generation_verify.
 *
 * Threads: immutable once open; reference-counted, so a server can let an old one go
 * when its last reader is done.
 */
#ifndef PINSAGE_GENERATION_H
#define PINSAGE_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/graph.h"
#include "pinsage/manifest.h"
#include "pinsage/npy.h"
#include "pinsage/pins.h"
#include "pinsage/progress.h"

typedef struct ps_block {
    const char *name; /* "visual"; borrowed from the generation */
    ps_npy array;     /* (N, D) f32 or f16 */
} ps_block;

#define PS_MESSAGES_MAX 8

typedef struct ps_generation {
    char dir[512];
    char name[32]; /* "gen-000003" */
    ps_manifest *manifest;
    uint32_t n_pins, n_boards;
    ps_pins *pins;
    ps_graph graph;
    uint32_t n_blocks;
    ps_block *blocks;             /* (n_blocks), sorted by name */
    ps_npy embeddings;            /* (N, E) f32 or f16; rows 0 when there are none */
    ps_npy nbr_rows, nbr_weights; /* (N, T) u32 / f32; rows 0 when there are none */
    uint32_t n_messages;
    ps_npy messages[PS_MESSAGES_MAX]; /* (N, m) f16 each: messages.1.npy and so on */
    int refs;                         /* use ps_generation_acquire and _release */
} ps_generation;

/* Open the current generation of a catalog. LMDB trusts the pages of pins.mdb, and a
 * damaged one can end the process: up to PS_PINS_READ_FIRST bytes it is read first and
 * held against its checksum. What else is used without being read whole is bounded where
 * it is used (graph.h), so that damage makes wrong answers at worst. */
int ps_generation_open(ps_generation **g, const char *catalog, ps_why *why);
#define PS_PINS_READ_FIRST ((uint64_t)256 << 20) /* a tenth of a second, once cached */
/* The one that the next step goes on from: `next` while an update is under way. */
int ps_generation_open_base(ps_generation **g, const char *catalog, ps_why *why);
/* The current one, with a pins.mdb of any size read first. For verify. */
int ps_generation_open_checked(ps_generation **g, const char *catalog, ps_why *why);
/* The current one, after all files were held against their checksums. For who reads
 * most of a generation anyway: PS_EMISMATCH names the damaged file. */
int ps_generation_open_whole(ps_generation **g, const char *catalog, ps_why *why);
/* Open one by its directory ("CATALOG/gen-000003"); and after all files were held against
 * their checksums. */
int ps_generation_open_dir(ps_generation **g, const char *dir, ps_why *why);
int ps_generation_open_dir_whole(ps_generation **g, const char *dir, ps_why *why);
ps_generation *ps_generation_acquire(ps_generation *g);
void ps_generation_release(ps_generation *g); /* NULL is fine; last one closes */

/* A feature block by name, NULL when there is none. Borrowed. */
const ps_block *ps_generation_block(const ps_generation *g, const char *name);
/* Whether a step may write a block of that name: PS_EEXIST in words when there is one
 * that was imported. */
int ps_generation_may_replace(const ps_generation *g, const char *block, ps_why *why);
/* True if the manifest lists this file ("words.safetensors"); its path into out
 * (PS_PATH_MAX), which may be NULL. */
bool ps_generation_file(const ps_generation *g, const char *name, char *out);
/* Map a listed array of one row a pin ("messages.1.npy") that is not opened above. The
 * caller closes it. PS_ENOENT: not listed; PS_EMISMATCH: it has not N rows. */
int ps_generation_array(const ps_generation *g, const char *name, ps_npy *a, ps_why *why);

/* Read a listed file and hold it against its checksum: PS_EMISMATCH when it is damaged,
 * PS_ENOENT when it is not there any more. step (NULL: nothing) is called after each of
 * its pieces, and may end the reading by an error. It is read, not mapped, so that a file
 * which is cut off meanwhile is one more that is damaged. */
typedef int (*ps_read_step)(void *cls, size_t bytes);
int ps_generation_check_file(const ps_generation *g, const char *name, ps_read_step step,
                             void *cls, ps_why *why);

/* One check of `pinsage verify`, told as it ends: err 0 = passed. detail may be NULL. */
typedef void (*ps_check_fn)(void *cls, const char *name, int err, const char *detail);
/* Every checksum, every array's type and shape, graph invariants, LMDB both ways,
 * finite numbers, fingerprints. Returns PS_OK or the first failure; goes on after one. */
int ps_generation_verify(ps_generation *g, ps_check_fn fn, void *cls,
                         const ps_progress *progress, ps_why *why);

#endif
