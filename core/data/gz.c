/* gz.c - plain or gzip, told by content.
 *
 * Packed input is read in pieces of 256 KiB and inflated straight into the caller's
 * memory. Plain input is read straight into it, but for the first piece, which was
 * needed to find out what it is. zlib checks each member's CRC and length; what it
 * cannot see is a file that stops between two reads, so the end of the file counts as
 * the end of the data only outside of a member.
 *
 * Threads: see gz.h.
 */
#include "core/data/gz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE ((size_t)256 << 10)

enum kind { PLAIN, MEMBER, BETWEEN }; /* between two gzip members */

struct ps_gz {
    int fd;
    enum kind kind;
    bool inflating; /* stream must be ended */
    uint64_t done, total;
    char *path;      /* owned */
    size_t at, size; /* of in: what was read and not used yet */
    z_stream stream;
    unsigned char in[PIECE];
};

/* Refill in; at its end size stays 0. */
static int fill(ps_gz *z, ps_why *why)
{
    z->at = z->size = 0;
    for (;;) {
        ssize_t n = read(z->fd, z->in, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(why, z->path, "cannot be read");
        z->size = (size_t)n;
        z->done += (size_t)n;
        return PS_OK;
    }
}

/* ------------------------------ Lifetime ---------------------------------- */

static int start_inflating(ps_gz *z, ps_why *why)
{
    /* 15: the largest window; + 16: gzip framing only, no zlib streams. */
    if (inflateInit2(&z->stream, 15 + 16) != Z_OK)
        return ps_fail(why, PS_ENOMEM, z->path, 0, "no memory to unpack it");
    z->inflating = true;
    z->kind = MEMBER;
    return PS_OK;
}

static int find_out_kind(ps_gz *z, ps_why *why)
{
    int err = fill(z, why);
    /* A pipe may give a single byte at first. */
    if (!err && z->size == 1) {
        ssize_t n = read(z->fd, z->in + 1, PIECE - 1);
        z->size += n > 0 ? (size_t)n : 0;
        z->done += n > 0 ? (uint64_t)n : 0;
    }
    if (!err && z->size >= 2 && z->in[0] == 0x1f && z->in[1] == 0x8b)
        err = start_inflating(z, why);
    return err;
}

int ps_gz_open(ps_gz **out, const char *path, ps_why *why)
{
    struct stat st;
    ps_gz *z = calloc(1, sizeof *z);
    char *copy = strdup(path);
    if (!z || !copy) {
        free(z);
        free(copy);
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory to read it");
    }
    z->path = copy;
    z->fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = z->fd < 0 ? ps_fail_errno(why, path, "cannot be opened") : PS_OK;
    if (!err && fstat(z->fd, &st) == 0 && S_ISREG(st.st_mode))
        z->total = (uint64_t)st.st_size;
    if (!err)
        err = find_out_kind(z, why);
    if (err)
        ps_gz_close(z);
    else
        *out = z;
    return err;
}

void ps_gz_close(ps_gz *z)
{
    if (!z)
        return;
    if (z->inflating)
        inflateEnd(&z->stream);
    if (z->fd >= 0)
        close(z->fd);
    free(z->path);
    free(z);
}

/* ------------------------------ Reading ----------------------------------- */

static int read_plain(ps_gz *z, char *out, size_t size, size_t *got, ps_why *why)
{
    if (z->at < z->size) {
        *got = size < z->size - z->at ? size : z->size - z->at;
        memcpy(out, z->in + z->at, *got);
        z->at += *got;
        return PS_OK;
    }
    for (;;) {
        ssize_t n = read(z->fd, out, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(why, z->path, "cannot be read");
        *got = (size_t)n;
        z->done += (size_t)n;
        return PS_OK;
    }
}

/* Outside of a member, at a byte that is there: another member, padding, or junk. */
static int next_member(ps_gz *z, ps_why *why)
{
    if (z->in[z->at] == 0) {
        z->at++;
        return PS_OK;
    }
    if (z->in[z->at] != 0x1f || inflateReset(&z->stream) != Z_OK)
        return ps_fail(why, PS_EFORMAT, z->path, 0,
                       "something that is not gzip follows the gzip data");
    z->kind = MEMBER;
    return PS_OK;
}

/* One call of inflate: as much as in and out have room for. */
static int inflate_some(ps_gz *z, char *out, size_t size, size_t *got, ps_why *why)
{
    z->stream.next_in = z->in + z->at;
    z->stream.avail_in = (uInt)(z->size - z->at);
    z->stream.next_out = (unsigned char *)out;
    z->stream.avail_out = size > PIECE ? (uInt)PIECE : (uInt)size;
    uInt room = z->stream.avail_out;
    int status = inflate(&z->stream, Z_NO_FLUSH);
    z->at = z->size - z->stream.avail_in;
    *got = room - z->stream.avail_out;
    if (status == Z_STREAM_END)
        z->kind = BETWEEN;
    else if (status == Z_MEM_ERROR)
        return ps_fail(why, PS_ENOMEM, z->path, 0, "no memory to unpack it");
    else if (status != Z_OK && status != Z_BUF_ERROR)
        return ps_fail(why, PS_EFORMAT, z->path, 0, "the gzip data is damaged (%s)",
                       z->stream.msg ? z->stream.msg : "no detail");
    return PS_OK;
}

int ps_gz_read(ps_gz *z, void *out, size_t size, size_t *got, ps_why *why)
{
    *got = 0;
    if (z->kind == PLAIN)
        return read_plain(z, out, size, got, why);
    int err = PS_OK;
    while (!err && *got == 0 && size) {
        if (z->at == z->size) {
            err = fill(z, why);
            if (!err && z->size == 0 && z->kind == BETWEEN)
                return PS_OK;
            if (!err && z->size == 0)
                err = ps_fail(why, PS_EFORMAT, z->path, 0,
                              "the gzip data ends in the middle: the file is cut off");
        } else if (z->kind == BETWEEN) {
            err = next_member(z, why);
        } else {
            err = inflate_some(z, out, size, got, why);
        }
    }
    return err;
}

uint64_t ps_gz_done(const ps_gz *z)
{
    return z->done;
}

uint64_t ps_gz_total(const ps_gz *z)
{
    return z->total;
}
