/* spool.c - scratch lanes over one unnamed file, by pread and pwrite.
 *
 * Not mapped: a full disk is then an error code at the write that met it, never a
 * signal under a store.
 *
 *     bytes: lane 0 | lane 1 | ...      each a run of {u32 row, u32 index}
 *
 * Threads: see spool.h.
 */
#include "core/graph/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/file.h"

#define LONE_ROOM ((size_t)1 << 16) /* edges buffered by a lane that is alone */
#define LANE_ROOM ((size_t)1 << 12) /* and by one of many */
#define READ_ROOM ((size_t)1 << 16) /* edges read at a time */

typedef struct lane {
    uint64_t begin, end; /* edges [begin, end) of the file are written */
    size_t used;         /* edges in the buffer */
} lane;

struct ps_spool {
    int fd, error; /* errno of the first failed write */
    unsigned n_lanes;
    size_t room;       /* edges a lane buffers */
    lane *lanes;       /* owned, (n_lanes) */
    ps_edge *buffer;   /* owned, (n_lanes, room), (1, READ_ROOM) at least */
    uint64_t appended; /* indices, after ps_spool_reuse */
    char dir[PS_PATH_MAX];
};

/* ------------------------------ The file ---------------------------------- */

static int open_unnamed(const char *dir)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, dir, ".edges-XXXXXX")) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int write_at(int fd, const char *data, size_t size, uint64_t at)
{
    while (size) {
        ssize_t n = pwrite(fd, data, size, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            at += (uint64_t)n;
        }
    }
    return 0;
}

static int read_at(const ps_spool *s, void *data, size_t size, uint64_t at, ps_why *why)
{
    for (char *to = data; size;) {
        ssize_t n = pread(s->fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(why, s->dir, "scratch edges cannot be read");
        if (n == 0)
            return ps_fail(why, PS_EIO, s->dir, 0, "scratch edges end too early");
        to += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return PS_OK;
}

int ps_spool_failed(const ps_spool *s, ps_why *why)
{
    errno = s->error;
    return s->error ? ps_fail_errno(why, s->dir, "scratch edges cannot be written")
                    : PS_OK;
}

/* ------------------------------ Lifetime ---------------------------------- */

int ps_spool_new(ps_spool **out, const char *dir, unsigned n_lanes, const uint64_t *start,
                 ps_why *why)
{
    ps_spool *s = calloc(1, sizeof *s);
    if (!s)
        return ps_fail(why, PS_ENOMEM, dir, 0, "no memory for scratch edges");
    s->fd = -1;
    s->n_lanes = n_lanes;
    s->room = n_lanes == 1 ? LONE_ROOM : LANE_ROOM;
    s->lanes = calloc(n_lanes, sizeof *s->lanes);
    size_t room = n_lanes * s->room;
    s->buffer = malloc((room > READ_ROOM ? room : READ_ROOM) * sizeof *s->buffer);
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    int err = s->lanes && s->buffer ? PS_OK : PS_ENOMEM;
    if (err)
        ps_fail(why, err, dir, 0, "no memory for scratch edges");
    if (!err && (s->fd = open_unnamed(dir)) < 0)
        err = ps_fail_errno(why, dir, "scratch edges cannot be made");
    if (err) {
        ps_spool_free(s);
        return err;
    }
    for (unsigned i = 0; i < n_lanes; i++)
        s->lanes[i].begin = s->lanes[i].end = start ? start[i] : 0;
    *out = s;
    return PS_OK;
}

void ps_spool_free(ps_spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->lanes);
    free(s->buffer);
    free(s);
}

/* ------------------------------ Edges ------------------------------------- */

static void flush(ps_spool *s, lane *l)
{
    const ps_edge *from = s->buffer + (size_t)(l - s->lanes) * s->room;
    size_t size = l->used * sizeof *from;
    if (!s->error && write_at(s->fd, (const char *)from, size, l->end * sizeof *from) < 0)
        s->error = errno;
    l->end += l->used;
    l->used = 0;
}

int ps_spool_add(ps_spool *s, unsigned i, ps_edge e)
{
    lane *l = &s->lanes[i];
    s->buffer[i * s->room + l->used++] = e;
    if (l->used == s->room)
        flush(s, l);
    return s->error ? ps_spool_failed(s, NULL) : PS_OK;
}

uint64_t ps_spool_count(const ps_spool *s, unsigned i)
{
    const lane *l = &s->lanes[i];
    return l->end - l->begin + l->used;
}

int ps_spool_each(ps_spool *s, unsigned i, ps_on_edges on_edges, void *cls, ps_why *why)
{
    for (unsigned j = 0; j < s->n_lanes; j++) /* the buffer serves reading from here on */
        flush(s, &s->lanes[j]);
    int err = ps_spool_failed(s, why);
    for (uint64_t at = s->lanes[i].begin, n; at < s->lanes[i].end && !err; at += n) {
        n = s->lanes[i].end - at;
        n = n < READ_ROOM ? n : READ_ROOM;
        err = read_at(s, s->buffer, n * sizeof *s->buffer, at * sizeof *s->buffer, why);
        if (!err)
            err = on_edges(cls, s->buffer, n);
    }
    return err;
}

/* ------------------------------ Indices ----------------------------------- */

void ps_spool_reuse(ps_spool *s)
{
    s->appended = 0;
}

int ps_spool_append(ps_spool *s, const uint32_t *index, size_t n, ps_why *why)
{
    const uint64_t at = s->appended * sizeof *index;
    if (!s->error && write_at(s->fd, (const char *)index, n * sizeof *index, at) < 0)
        s->error = errno;
    s->appended += n;
    return ps_spool_failed(s, why);
}

int ps_spool_indices(ps_spool *s, ps_on_indices on_indices, void *cls, ps_why *why)
{
    uint32_t *room = (uint32_t *)s->buffer;
    int err = PS_OK;
    for (uint64_t at = 0, n; at < s->appended && !err; at += n) {
        n = s->appended - at;
        n = n < READ_ROOM ? n : READ_ROOM;
        err = read_at(s, room, n * sizeof *room, at * sizeof *room, why);
        if (!err)
            err = on_indices(cls, room, n);
    }
    return err;
}
