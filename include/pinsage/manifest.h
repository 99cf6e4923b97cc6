/* manifest.h - the JSON page that says what a generation is.
 *
 * Values have dotted paths ("counts.pins", "index.recall_at_10"); files are listed with
 * size and XXH3. Fingerprints tie files of different steps together: a step records for
 * each file it made which version of which files it read, by checksum, and opening a
 * generation compares them with the files that lie there. One convention for all:
 *
 *     "fingerprints": {"index.faiss": {"embeddings.npy": "0123456789abcdef"}, ...}
 *
 * says that index.faiss was made from the embeddings.npy with that checksum.
 *
 *   { "format": 1, "generation": 3, "created": "2026-01-31T12:00:00Z", "step": "index",
 *     "parent": "gen-000002", "counts": {"pins":..,"boards":..,"edges":..}, ...,
 *     "options": {"import": {..}, "index": {..}},
 *     "files": {"embeddings.npy": {"size":.., "xxh3":"0123456789abcdef"}, ...} }
 *
 * Threads: read by all, changed by one.
 */
#ifndef PINSAGE_MANIFEST_H
#define PINSAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_manifest ps_manifest;

ps_manifest *ps_manifest_new(void);
/* PS_EFORMAT with line: no JSON, or not our shape; PS_EUNSUPPORTED: a newer format. */
int ps_manifest_load(ps_manifest **m, const char *path, ps_why *why);
/* XXH3 of all that it says: checksums of every file, when it was made and from what. Two
 * generations with one identity are copies of each other. */
uint64_t ps_manifest_identity(const ps_manifest *m);
/* Appears at once: written beside, fsynced, renamed. Keys sorted, so that two manifests
 * can be compared by diff. */
int ps_manifest_save(const ps_manifest *m, const char *path, ps_why *why);
void ps_manifest_free(ps_manifest *m);

/* A part of a path that is a number leads into an array ("train.curve.0.loss").
 * Missing or wrongly typed values give the default. Strings are borrowed until the next
 * change of that value. */
uint64_t ps_manifest_u64(const ps_manifest *m, const char *path, uint64_t otherwise);
double ps_manifest_real(const ps_manifest *m, const char *path, double otherwise);
const char *ps_manifest_text(const ps_manifest *m, const char *path,
                             const char *otherwise);
bool ps_manifest_has(const ps_manifest *m, const char *path);
size_t ps_manifest_length(const ps_manifest *m, const char *path); /* 0: no array */

/* Intermediate objects are made. Values are copied. A u64 beyond 2^63 is kept as decimal
 * text, since JSON readers lose it; a real that is not finite becomes null. */
void ps_manifest_set_u64(ps_manifest *m, const char *path, uint64_t value);
void ps_manifest_set_real(ps_manifest *m, const char *path, double value);
void ps_manifest_set_text(ps_manifest *m, const char *path, const char *value);
/* value is JSON text, parsed here; PS_EFORMAT when it is not. */
int ps_manifest_set_json(ps_manifest *m, const char *path, const char *value);
/* JSON text of a value, for the caller to free; NULL when there is none. */
char *ps_manifest_json(const ps_manifest *m, const char *path);
void ps_manifest_remove(ps_manifest *m, const char *path);

/* The file list. Names are relative to the generation ("graph/pin_boards.indptr.npy"). */
void ps_manifest_set_file(ps_manifest *m, const char *name, uint64_t size, uint64_t xxh3);
bool ps_manifest_file(const ps_manifest *m, const char *name, uint64_t *size,
                      uint64_t *xxh3);
void ps_manifest_remove_file(ps_manifest *m, const char *name);
/* i-th name in sorted order, NULL past the end. Borrowed until the list changes. */
const char *ps_manifest_file_at(const ps_manifest *m, size_t i);

/* True when the feature block of that name came with an import: it is the user's own, and
 * no step of ours takes its place unasked. */
bool ps_manifest_own_block(const ps_manifest *m, const char *name);

/* Fingerprints. Record that `file` was made from `input` as it is listed now; PS_ENOENT
 * when either is not listed. Listing `file` anew forgets what it was made from. */
int ps_manifest_made_from(ps_manifest *m, const char *file, const char *input);
/* Checksum of the input that `file` was made from; false when none is recorded. */
bool ps_manifest_fingerprint(const ps_manifest *m, const char *file, const char *input,
                             uint64_t *xxh3);
/* After a change of files together, so that they still fit each other: whatever `before`
 * says was made from what, is made from that as it is listed now. Files that are not
 * listed any more are left out. */
void ps_manifest_carry(ps_manifest *m, const ps_manifest *before);
/* Compare all of them with the file list: PS_EMISMATCH names the first file, in sorted
 * order, whose input is another one now or is gone. */
int ps_manifest_check(const ps_manifest *m, ps_why *why);
/* First file that ps_manifest_check would name, NULL when all fit. Borrowed. */
const char *ps_manifest_stale(const ps_manifest *m);

#endif
