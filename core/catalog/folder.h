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

/* "gen-000003" for 3. */
void ps_gen_name(char out[PS_GEN_NAME], uint64_t number);

/* PS_EINVAL, naming what else it holds, for a folder that is neither a catalog nor empty:
 * a catalog must not grow in somebody's home. */
int ps_folder_check(const char *catalog, ps_why *why);
/* Name of the current generation; PS_ENOENT when there is none, without words. */
int ps_folder_current(const char *catalog, char out[PS_GEN_NAME], ps_why *why);
/* Let `current` point to a generation, at once and durably; NULL removes it. */
int ps_folder_switch(const char *catalog, const char *name, ps_why *why);
/* Largest generation number there is, 0 when there is none. */
uint64_t ps_folder_newest(const char *catalog);
/* Remove what crashed writers left: drafts, and generations half removed. */
void ps_folder_sweep(const char *catalog);
/* Remove generations but `current`, `parent` ("" for none), and the newest others up
 * to `keep` beside current. Failure is no harm: the next one tries again. */
void ps_folder_prune(const char *catalog, const char *current, const char *parent,
                     unsigned keep);

#endif
