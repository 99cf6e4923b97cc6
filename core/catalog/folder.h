/* folder.h - the catalog's directory: its generations, its `current`.
 *
 * Threads: functions on paths. Not here: what a writer does between lock and switch
 * (draft.c).
 */
#ifndef PINSAGE_CORE_CATALOG_FOLDER_H
#define PINSAGE_CORE_CATALOG_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/file.h"

#define PS_GEN_NAME 32

/* "gen-000003" for 3, and back: 0 for any other name. */
void ps_gen_name(char out[PS_GEN_NAME], uint64_t number);
uint64_t ps_gen_number(const char *name);

/* PS_EINVAL, naming what else it holds, for a folder that is neither a catalog nor empty:
 * a catalog must not grow in somebody's home. */
int ps_folder_check(const char *catalog, ps_why *why);
/* Where a link ("current", "next") leads; PS_ENOENT when it is not there, without words.
 */
int ps_folder_follow(const char *catalog, const char *link, char out[PS_GEN_NAME],
                     ps_why *why);
/* What an update under way has come to; PS_ENOENT when there is none: no link, or one
 * that leads nowhere or where `current` does. */
int ps_folder_next(const char *catalog, char out[PS_GEN_NAME]);
/* Let a link point to a generation, at once and durably; NULL removes it. */
int ps_folder_switch(const char *catalog, const char *link, const char *name,
                     ps_why *why);
/* Largest generation number below this one, 0 when there is none. */
uint64_t ps_folder_before(const char *catalog, uint64_t below);
/* Remove a generation. Failure is no harm: the next sweep or prune tries again. */
void ps_folder_remove(const char *catalog, uint64_t number);
/* Remove what crashed writers left: drafts, and generations half removed. */
void ps_folder_sweep(const char *catalog);
/* Remove generations but those that the links lead to, `before` ("" for none: what was
 * current until now), and the newest others up to `keep` beside current (prune.c). */
void ps_folder_prune(const char *catalog, const char *before, unsigned keep);

#endif
