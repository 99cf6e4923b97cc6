/* stores.h - live stores for tests: opened, written to, asked.
 *
 * Threads: one. Everything aborts the test when it fails, unless it returns an error.
 */
#ifndef PINSAGE_TESTS_SUPPORT_STORES_H
#define PINSAGE_TESTS_SUPPORT_STORES_H

#include <stdbool.h>

#include "server/live/store.h"

void store_must(int err, const ps_why *why);

/* A fresh directory, or the one before. Borrowed. */
const char *store_dir(bool fresh);
ps_store *store_opened(bool fresh, ps_store_opts opts);
void store_put(ps_store *s, const char *id, const char *title);
void store_save(ps_store *s, const char *pin, const char *board, bool saved);
void store_commit(ps_store *s);
ps_store_reader *store_snapshot(ps_store *s);
void store_trim_all(ps_store *s, uint64_t lsn, bool votes, uint32_t most);
ps_store_counts store_count(ps_store *s);
/* Title of a pin, "" when it is deleted, NULL when there is no record; one buffer. */
const char *store_title(ps_store *s, const char *id);
/* Records of a pin's edges after a number. */
int store_edges_of(ps_store *s, const char *pin, uint64_t after);

#endif
