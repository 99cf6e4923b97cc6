/* draft_inside.h - a draft as its own files see it: draft.c begins and fills it,
 * publish.c makes it a generation.
 *
 * Threads: see catalog.h.
 */
#ifndef PINSAGE_CORE_CATALOG_DRAFT_INSIDE_H
#define PINSAGE_CORE_CATALOG_DRAFT_INSIDE_H

#include "core/catalog/folder.h"
#include "pinsage/catalog.h"

struct ps_draft {
    char catalog[PS_PATH_MAX], dir[PS_PATH_MAX];
    size_t existed; /* bytes of catalog's path that were there before this draft */
    int lock;       /* -1: not held */
    /* Names, "" for none: what the draft began from, and where the links led then. */
    char parent[PS_GEN_NAME], current[PS_GEN_NAME], next[PS_GEN_NAME];
    char step[32];
    bool serving, hold;    /* as in ps_draft_opts */
    ps_manifest *manifest; /* owned */
};

void draft_free(ps_draft *d);
/* The manifest of one of the catalog's generations. */
int draft_manifest_of(const char *catalog, const char *name, ps_manifest **m,
                      ps_why *why);

#endif
