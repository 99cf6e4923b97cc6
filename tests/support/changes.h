/* changes.h - small changes of a catalog, and looks at what they left.
 *
 * Threads: one; the catalog in use is global.
 */
#ifndef PINSAGE_TESTS_SUPPORT_CHANGES_H
#define PINSAGE_TESTS_SUPPORT_CHANGES_H

#include <stdbool.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"

/* Path of the catalog in use. */
extern char catalog[PS_PATH_MAX];

/* From here on the catalog is this name in the scratch directory; nothing is there. */
void use(const char *name);
/* And there it is a copy of another one: importing waits for the disk. */
void use_copy(const char *name, const char *of);
/* Write a file of this text into a draft and list it. */
int put(ps_draft *d, const char *name, const char *text, ps_why *why);
/* One change: a, graph/b (only the first time) and features/c of this text. */
int change(const char *text, bool first, unsigned keep, ps_why *why);
/* "current gen-000001 lock": what stands in the catalog; "nothing" if it is missing. */
const char *listing(void);
/* The current generation is whole: each listed file has its checksum, `a` has this text
 * (unless NULL). Its name. */
const char *whole(const char *text);
/* Fail the test with why's words unless err is 0. */
void must(int err, const ps_why *why);

#endif
