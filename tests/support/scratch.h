/* scratch.h - a directory for one test program, gone when it ends.
 *
 * Threads: one. Everything aborts the test when it fails.
 */
#ifndef PINSAGE_TESTS_SUPPORT_SCRATCH_H
#define PINSAGE_TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

/* The directory, made at the first call and removed at exit of the process that made
 * it. Borrowed. */
const char *scratch_dir(void);
/* Path of a name in it; one of 16 buffers used in turn. */
const char *scratch(const char *name);
/* Write a file there; returns its path (as scratch does). */
const char *scratch_file(const char *name, const void *data, size_t size);
const char *scratch_text(const char *name, const char *text);
#define PS_SCRATCH_COMMAND 8704 /* two paths and a little more */
/* Content of any file, NUL-terminated, for the caller to free; size may be NULL. */
char *slurp(const char *path, size_t *size);
/* Path of ../shared/data/NAME (or $PS_SHARED/data/NAME); NULL when it is missing. */
const char *shared_data(const char *name);

#endif
