/* manifest.h - the JSON page that says what a generation is.
 *
 * Values have dotted paths ("counts.pins", "index.recall_at_10"); files are listed with
 * size and XXH3. Fingerprints tie files of different steps together: a step records the
 * fingerprint of what it read ("index.of" = hash of embeddings.npy) and opening compares.
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
int ps_manifest_load(ps_manifest **m, const char *path, ps_why *why);
int ps_manifest_save(const ps_manifest *m, const char *path, ps_why *why); /* fsynced */
void ps_manifest_free(ps_manifest *m);

/* Missing or wrongly typed values give the default. Strings are borrowed until the next
 * change of that value. */
uint64_t ps_manifest_u64(const ps_manifest *m, const char *path, uint64_t otherwise);
double ps_manifest_real(const ps_manifest *m, const char *path, double otherwise);
const char *ps_manifest_text(const ps_manifest *m, const char *path,
                             const char *otherwise);
bool ps_manifest_has(const ps_manifest *m, const char *path);

/* Intermediate objects are made. Values are copied. */
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
/* i-th name in sorted order, NULL past the end. Borrowed. */
const char *ps_manifest_file_at(const ps_manifest *m, size_t i);

#endif
