/* file_check.h - the files of the generation in use, read against their checksums.
 *
 * A server is ready long before it could have read every byte, so it takes most files on
 * trust, and a damaged one would be answered from for ever. Each generation that is taken
 * up is therefore read once, slowly and at low priority. A file that is not what the
 * manifest says is told in the log and the metrics, readiness fails and names it, and no
 * compaction makes a new generation of it. What was good once is not read again: disks
 * tell the kernel of what they cannot read.
 *
 * Threads: one of its own; the functions are anybody's.
 * Not here: reading a file (core/catalog/checksums.c), all checks there are (`verify`).
 */
#ifndef PINSAGE_SERVER_STATE_FILE_CHECK_H
#define PINSAGE_SERVER_STATE_FILE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"

struct ps_state;
typedef struct ps_file_check ps_file_check;

typedef struct ps_file_check_counts {
    uint64_t bytes;   /* read so far, of all generations */
    uint32_t damaged; /* files, of the generation in use */
    bool done;        /* all of its files were read */
    char first[300];  /* the first of the damaged, and what is wrong; "" for none */
} ps_file_check_counts;

/* rate: bytes a second; 0: nothing is read, *c is NULL. */
int ps_file_check_start(ps_file_check **c, struct ps_state *state, uint64_t rate,
                        ps_why *why);
void ps_file_check_stop(ps_file_check *c); /* NULL is fine */
/* Another generation is in use: what is known of the one before is forgotten. */
void ps_file_check_begin(ps_file_check *c);
ps_file_check_counts ps_file_check_count(ps_file_check *c); /* NULL: nothing is known */

#endif
