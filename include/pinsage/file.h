/* file.h - files as the rest of the program wants them: mapped, or written once.
 *
 * Reading: a whole file mapped read-only. Writing: a buffered stream that hashes as it
 * goes and is fsynced before it is called done, so that a checksum costs no second
 * read and a crash leaves either the whole file or a file that nothing refers to.
 *
 * Threads: a handle belongs to one thread; a map may be read by all.
 */
#ifndef PINSAGE_FILE_H
#define PINSAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_map {
    void *data; /* NULL for an empty file */
    size_t size;
} ps_map;

typedef enum ps_access { PS_RANDOM, PS_SEQUENTIAL } ps_access;

int ps_map_open(ps_map *m, const char *path, ps_access how, ps_why *why);
/* A new file of size bytes, mapped for writing (sparse until touched). */
int ps_map_create(ps_map *m, const char *path, size_t size, ps_why *why);
/* msync a created map; call before ps_map_close when the content must be durable. */
int ps_map_sync(ps_map *m, const char *path, ps_why *why);
void ps_map_close(ps_map *m);
/* All of it is about to be read in order, however it was opened. */
void ps_map_expect(const ps_map *m);

typedef struct ps_out ps_out;
/* Create path (truncating it). */
int ps_out_open(ps_out **out, const char *path, ps_why *why);
/* Failure is sticky and told by ps_out_close. */
void ps_out_write(ps_out *o, const void *data, size_t size);
uint64_t ps_out_size(const ps_out *o);
/* Flush, fsync, close, free. hash (XXH3 of the content) may be NULL. */
int ps_out_close(ps_out *o, uint64_t *hash, ps_why *why);
/* Close and unlink, after a failure elsewhere. NULL is fine. */
void ps_out_abort(ps_out *o);

/* A whole file that appears at once: written beside (".new"), fsynced, renamed. A file
 * that stood there before is kept as it was when this fails. */
int ps_file_put(const char *path, const void *data, size_t size, ps_why *why);
int ps_file_hash(const char *path, uint64_t *hash, uint64_t *size, ps_why *why);
/* fsync a file, or a directory, by path. */
int ps_file_sync(const char *path, ps_why *why);
/* Create a directory, and its parents; existing ones are fine. */
int ps_dir_make(const char *path, ps_why *why);
/* Remove a directory and all below it; a missing one is fine. Does not follow links. */
int ps_dir_remove(const char *path, ps_why *why);
bool ps_file_exists(const char *path);

/* path = dir "/" name into out (n bytes); PS_ERANGE when it does not fit. */
int ps_path_join(char *out, size_t n, const char *dir, const char *name);
/* The same into out (PS_PATH_MAX), refused in words. */
int ps_path_in(char *out, const char *dir, const char *name, ps_why *why);
#define PS_PATH_MAX 4096

#endif
