/* btree.h - is a file of LMDB's one that LMDB can be trusted with?
 *
 * LMDB believes its pages: a page size of 0 ends the process by SIGFPE, a branch without
 * keys by abort, an offset beyond a page by SIGSEGV. So what a damaged file could do is
 * looked for before LMDB sees it.
 *
 * Threads: any. Not here: what the records say (pins.h, server/live/store.h).
 */
#ifndef PINSAGE_BTREE_H
#define PINSAGE_BTREE_H

#include "pinsage/err.h"

/* The two meta pages alone: PS_EFORMAT in words. A file that is empty passes, for LMDB
 * makes a new one of it. */
int ps_btree_check_meta(const char *path, ps_why *why);
/* Every page that the newest meta page leads to: numbers in range, nodes within their
 * pages, depths as told, the list of free pages. Reads all of it. Another process may
 * write meanwhile, if a transaction that was begun before keeps its pages from being used
 * again. */
int ps_btree_check(const char *path, ps_why *why);

#endif
