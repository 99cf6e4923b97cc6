/* stamp.h - has a file changed since it was read?
 *
 * A stamp is who the file is (device, inode) and when it was last written, so that a new
 * file moved over the old name counts as well as one rewritten in place, and so does a
 * link switched to another folder, which is how Kubernetes hands out a new Secret.
 *
 * Threads: plain values.
 */
#ifndef PINSAGE_SERVER_BASE_STAMP_H
#define PINSAGE_SERVER_BASE_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "pinsage/err.h"

typedef struct ps_stamp {
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds;
} ps_stamp;

/* Of what the path names now; all zeros when it cannot be looked at. */
ps_stamp ps_stamp_at(const char *path);
/* The stamp of what the path names now differs; also when it cannot be looked at. */
bool ps_stamp_differs(const ps_stamp *s, const char *path);

/* Read a small regular file into new memory, NUL-terminated, with its stamp and mode;
 * refused in words when it is longer than most. The caller frees text. */
typedef struct ps_slurp {
    char *text;
    size_t size;
    ps_stamp stamp;
    unsigned mode; /* permission bits */
} ps_slurp;
int ps_slurp_file(ps_slurp *s, const char *path, size_t most, ps_why *why);
/* Overwrite, then free. */
void ps_slurp_wipe(ps_slurp *s);

#endif
