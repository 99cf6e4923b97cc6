/* catalog.h - a directory that holds one corpus as a row of immutable generations.
 *
 *     CATALOG/  current -> gen-000003     gen-000002/ gen-000003/  live/  lock
 *               next -> gen-000005        only while an update is under way
 *
 * A step that writes works in a draft: a hidden directory that starts as hard links to
 * the files of an older generation. Commit fsyncs the new files, writes the
 * manifest, renames the draft to the next number and then switches a link by
 * rename; a crash at any point leaves the old generation in use, and the next draft
 * sweeps what the crash left. One writer at a time: the lock file is held by flock.
 *
 * Threads: a draft belongs to one thread (files inside may be written by many).
 * Not here: opening a generation for reading (generation.h).
 */
#ifndef PINSAGE_CATALOG_H
#define PINSAGE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/file.h"
#include "pinsage/layout.h"
#include "pinsage/manifest.h"

typedef struct ps_draft ps_draft;

/* Start a draft. It goes on from `next` when an update is under way, else from `current`.
 * PS_ENOENT in words for a missing or empty catalog; PS_EBUSY when another writes. */
typedef struct ps_draft_opts {
    const char *step; /* "import", "index": goes to the manifest */
    bool create; /* make the catalog if it is missing, and let it have no generation */
    /* Link nothing and start from an empty manifest (import again); but what earlier
     * compactions took from the live store is still compacted, and votes are kept. */
    bool fresh;
    bool serving; /* go on from `current`, and replace it, whatever `next` is */
    bool hold;    /* the first step of an update: the result is `next` in any case */
} ps_draft_opts;
int ps_draft_begin(ps_draft **d, const char *catalog, ps_draft_opts opts, ps_why *why);
/* Open the generation that the draft goes on from, all files held against their
 * checksums: what a step makes of it lasts. PS_EMISMATCH names the damaged file. */
struct ps_generation;
int ps_draft_open(const ps_draft *d, struct ps_generation **g, ps_why *why);

/* Where the draft's files are written; folders graph/ and features/ exist. Borrowed. */
const char *ps_draft_dir(const ps_draft *d);
/* Path of a file in the draft, for writing: an inherited link of that name is removed
 * first, so that the older generation is never written through. out: PS_PATH_MAX. */
int ps_draft_path(ps_draft *d, const char *name, char *out, ps_why *why);
/* Register a file just written, with its checksum (from ps_out_close). */
void ps_draft_file(ps_draft *d, const char *name, uint64_t size, uint64_t xxh3);
/* Both in one, for a file that is written from one end to the other: open it, and close
 * it well; after a failure between them, ps_out_abort. */
int ps_draft_create(ps_draft *d, const char *name, ps_out **out, ps_why *why);
int ps_draft_close(ps_draft *d, const char *name, ps_out *out, ps_why *why);
/* The same for a file whose checksum is not known: read, hashed and fsynced here. */
int ps_draft_file_read(ps_draft *d, const char *name, ps_why *why);
/* Drop an inherited file that no longer fits (embeddings after a new import). */
int ps_draft_drop(ps_draft *d, const char *name, ps_why *why);
/* The manifest to be; change it freely until commit. Borrowed. */
ps_manifest *ps_draft_manifest(ps_draft *d);

/* Make the draft a generation: the current one when it is at least as complete as the one
 * there (offer.h), else the catalog's `next`, and what is served stays in use. Older ones
 * beyond the newest `keep` (at least 1) that one could go back to are removed. Frees d in
 * any case. name (32 bytes, NULL: not asked) gets the new generation's, as in its
 * ps_generation, and is left alone after a failure. */
int ps_draft_commit(ps_draft *d, unsigned keep, char *name, ps_why *why);
/* Remove generations but those that are current or next and the newest `keep`, for who
 * cannot wait for the next step; 0 leaves the current one alone, not even a `next`.
 * PS_EBUSY when another process writes. */
int ps_catalog_prune(const char *catalog, unsigned keep, ps_why *why);
/* Throw the draft away; a catalog directory that this draft made is removed too. */
void ps_draft_abort(ps_draft *d);

/* What a graph comes to: "counts.*" and "degrees.*" of a manifest. */
typedef struct ps_counts {
    uint32_t pins, boards, isolated;
    uint64_t edges;
    uint32_t pin_degree[5];   /* percentiles 0 50 90 99 100 of boards per pin */
    uint32_t board_degree[5]; /* the same of pins per board */
} ps_counts;
/* Count the graph in the draft's folder and note it in the manifest. */
int ps_draft_count(ps_draft *d, ps_counts *c, ps_why *why);

/* Path of the current generation into out (PS_PATH_MAX); PS_ENOENT in words. */
int ps_catalog_current(const char *catalog, char *out, ps_why *why);
/* Path of what an update under way has come to; PS_ENOENT, without words, for none. */
int ps_catalog_next(const char *catalog, char *out, ps_why *why);
/* Path of what the next step goes on from: the one, or else the other. */
int ps_catalog_base(const char *catalog, char *out, ps_why *why);
/* Path of the current generation, or when that cannot be served yet, of the newest that
 * can and lacks no write; PS_ENOENT when there is none. */
int ps_catalog_servable(const char *catalog, char *out, ps_why *why);
/* Up to which write the live store may forget, when the generation in use contains all up
 * to `compacted`: an update under way may come into use, and contain less. */
uint64_t ps_catalog_compacted(const char *catalog, uint64_t compacted);
/* Put a generation in use: to is "next"; "back", the newest before the current one that
 * can be served; a generation's name; or "current", which gives `next` up. Its name into
 * name (32 bytes). PS_EMISMATCH in words, unless accept, for one that waits for a step,
 * answers by fewer methods, or lacks writes that were compacted. */
int ps_catalog_switch(const char *catalog, const char *to, bool accept, char *name,
                      ps_why *why);

#endif
