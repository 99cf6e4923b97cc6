/* checksums.c - files of a generation held against what its manifest says.
 *
 * Threads: any; files of one generation may be checked at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/hash.h"

#define PIECE ((size_t)1 << 20)

/* The next piece into buffer; bytes, 0 at the end, -1 with errno. */
static ssize_t read_piece(int fd, void *buffer)
{
    ssize_t n;
    do
        n = read(fd, buffer, PIECE);
    while (n < 0 && errno == EINTR);
    return n;
}

static int hash_all(int fd, ps_hasher *hasher, void *buffer, ps_read_step step, void *cls,
                    const char *path, ps_why *why)
{
    ssize_t n;
    int err = PS_OK;
    while (!err && (n = read_piece(fd, buffer)) > 0) {
        ps_hasher_add(hasher, buffer, (size_t)n);
        err = step ? step(cls, (size_t)n) : PS_OK;
    }
    return !err && n < 0 ? ps_fail_errno(why, path, "cannot be read") : err;
}

static int hash_file(const char *path, uint64_t *hash, ps_read_step step, void *cls,
                     ps_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    void *buffer = malloc(PIECE);
    ps_hasher *hasher = ps_hasher_new();
    int err = buffer ? hash_all(fd, hasher, buffer, step, cls, path, why)
                     : ps_fail(why, PS_ENOMEM, path, 0, "no memory to read it");
    *hash = ps_hasher_value(hasher);
    ps_hasher_free(hasher);
    free(buffer);
    close(fd);
    return err;
}

int ps_generation_check_file(const ps_generation *g, const char *name, ps_read_step step,
                             void *cls, ps_why *why)
{
    char path[PS_PATH_MAX];
    uint64_t want = 0, have = 0;
    ps_generation_file(g, name, path);
    ps_manifest_file(g->manifest, name, NULL, &want);
    int err = hash_file(path, &have, step, cls, why);
    if (err || have == want)
        return err;
    return ps_fail(why, PS_EMISMATCH, path, 0,
                   "it is damaged: its XXH3 is %016" PRIx64
                   ", the manifest says %016" PRIx64,
                   have, want);
}
