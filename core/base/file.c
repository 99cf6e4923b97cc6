/* file.c - maps, hashed output streams, and directories.
 *
 * An output stream gathers 1 MiB before it writes, and hashes what it writes: a
 * generation's checksums cost no second read. Its first failure is kept and told when
 * it is closed, so that writers have one place to look.
 *
 * Threads: see file.h.
 */
#include "pinsage/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pinsage/hash.h"

/* ------------------------------ Maps -------------------------------------- */

static int map_fd(ps_map *m, int fd, size_t size, int prot, int flags)
{
    *m = (ps_map){.size = size};
    if (size == 0)
        return 0;
    void *data = mmap(NULL, size, prot, flags, fd, 0);
    if (data == MAP_FAILED)
        return -1;
    m->data = data;
    return 0;
}

int ps_map_open(ps_map *m, const char *path, ps_access how, ps_why *why)
{
    *m = (ps_map){0};
    int err = PS_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && (errno = EINVAL)) ||
        map_fd(m, fd, (size_t)st.st_size, PROT_READ, MAP_SHARED) < 0)
        err = ps_fail_errno(why, path, "cannot be mapped");
    else if (m->data)
        madvise(m->data, m->size, how == PS_RANDOM ? MADV_RANDOM : MADV_SEQUENTIAL);
    close(fd);
    return err;
}

int ps_map_create(ps_map *m, const char *path, size_t size, ps_why *why)
{
    *m = (ps_map){0};
    int err = PS_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be made");
    /* A sparse page on a full disk would end the process with SIGBUS: reserve. */
    int full = size ? posix_fallocate(fd, 0, (off_t)size) : 0;
    if (full)
        errno = full;
    if (full || map_fd(m, fd, size, PROT_READ | PROT_WRITE, MAP_SHARED) < 0) {
        err = ps_fail_errno(why, path, "cannot be made");
        unlink(path);
    }
    close(fd);
    return err;
}

int ps_map_sync(ps_map *m, const char *path, ps_why *why)
{
    if (m->data && msync(m->data, m->size, MS_SYNC) < 0)
        return ps_fail_errno(why, path, "cannot be made durable");
    return PS_OK;
}

void ps_map_expect(const ps_map *m)
{
    if (m->data)
        madvise(m->data, m->size, MADV_WILLNEED);
}

void ps_map_close(ps_map *m)
{
    if (m->data)
        munmap(m->data, m->size);
    *m = (ps_map){0};
}

/* ------------------------------ Output ------------------------------------ */

#define OUT_ROOM ((size_t)1 << 20)

struct ps_out {
    int fd, error; /* errno of the first failure */
    uint64_t size;
    size_t used;
    ps_hasher *hasher;
    char path[PS_PATH_MAX];
    char buffer[OUT_ROOM];
};

int ps_out_open(ps_out **out, const char *path, ps_why *why)
{
    ps_out *o = malloc(sizeof *o);
    if (!o || strlen(path) >= sizeof o->path) {
        free(o);
        return ps_fail(why, o ? PS_ERANGE : PS_ENOMEM, path, 0, "cannot be opened");
    }
    o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (o->fd < 0) {
        free(o);
        return ps_fail_errno(why, path, "cannot be made");
    }
    o->error = 0;
    o->size = o->used = 0;
    o->hasher = ps_hasher_new();
    memcpy(o->path, path, strlen(path) + 1);
    *out = o;
    return PS_OK;
}

static void write_all(ps_out *o, const char *data, size_t size)
{
    ps_hasher_add(o->hasher, data, size);
    while (size && !o->error) {
        ssize_t n = write(o->fd, data, size);
        if (n < 0 && errno != EINTR)
            o->error = errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

static void flush(ps_out *o)
{
    write_all(o, o->buffer, o->used);
    o->used = 0;
}

void ps_out_write(ps_out *o, const void *data, size_t size)
{
    if (o->error)
        return;
    o->size += size;
    if (o->used + size > OUT_ROOM)
        flush(o);
    if (size >= OUT_ROOM) {
        write_all(o, data, size);
        return;
    }
    if (size)
        memcpy(o->buffer + o->used, data, size);
    o->used += size;
}

uint64_t ps_out_size(const ps_out *o)
{
    return o->size;
}

static void out_free(ps_out *o)
{
    ps_hasher_free(o->hasher);
    free(o);
}

int ps_out_close(ps_out *o, uint64_t *hash, ps_why *why)
{
    int err = PS_OK;
    flush(o);
    if (!o->error && fsync(o->fd) < 0)
        o->error = errno;
    if (close(o->fd) < 0 && !o->error)
        o->error = errno;
    if (o->error) {
        errno = o->error;
        err = ps_fail_errno(why, o->path, "cannot be written");
    }
    if (hash)
        *hash = ps_hasher_value(o->hasher);
    out_free(o);
    return err;
}

void ps_out_abort(ps_out *o)
{
    if (!o)
        return;
    close(o->fd);
    unlink(o->path);
    out_free(o);
}

/* ------------------------------ Files and directories --------------------- */

int ps_file_hash(const char *path, uint64_t *hash, uint64_t *size, ps_why *why)
{
    ps_map m;
    int err = ps_map_open(&m, path, PS_SEQUENTIAL, why);
    if (err)
        return err;
    *hash = ps_hash(m.data ? m.data : "", m.size);
    *size = m.size;
    ps_map_close(&m);
    return PS_OK;
}

int ps_file_sync(const char *path, ps_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    int failed = fsync(fd) < 0;
    int err = failed ? ps_fail_errno(why, path, "cannot be made durable") : PS_OK;
    close(fd);
    return err;
}

/* The directory that a path's last name is in: "a/b" -> "a", "/b" -> "/", "b" -> ".". */
static int sync_folder(const char *path, ps_why *why)
{
    char folder[PS_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ps_file_sync(".", why);
    snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path),
             path);
    return ps_file_sync(folder, why);
}

int ps_file_put(const char *path, const void *data, size_t size, ps_why *why)
{
    char beside[PS_PATH_MAX];
    ps_out *out;
    int n = snprintf(beside, sizeof beside, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof beside)
        return ps_fail(why, PS_ERANGE, path, 0, "the path is too long");
    int err = ps_out_open(&out, beside, why);
    if (err)
        return err;
    ps_out_write(out, data, size);
    err = ps_out_close(out, NULL, why);
    if (!err && rename(beside, path) < 0)
        err = ps_fail_errno(why, path, "cannot be put in place");
    if (err)
        unlink(beside);
    return err ? err : sync_folder(path, why);
}

int ps_dir_make(const char *path, ps_why *why)
{
    char part[PS_PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return ps_fail(why, PS_ERANGE, path, 0, "the path is too long");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return ps_fail_errno(why, part, "cannot be made");
    }
    return PS_OK;
}

static int remove_at(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    int failed = 0;
    for (struct dirent *e; !failed && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            failed = remove_at(dirfd(dir), e->d_name);
    closedir(dir);
    return failed ? failed : unlinkat(parent, name, AT_REMOVEDIR);
}

int ps_dir_remove(const char *path, ps_why *why)
{
    if (remove_at(AT_FDCWD, path) < 0 && errno != ENOENT)
        return ps_fail_errno(why, path, "cannot be removed");
    return PS_OK;
}

bool ps_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int ps_path_join(char *out, size_t n, const char *dir, const char *name)
{
    int len = snprintf(out, n, "%s/%s", dir, name);
    return len < 0 || (size_t)len >= n ? PS_ERANGE : PS_OK;
}

int ps_path_in(char *out, const char *dir, const char *name, ps_why *why)
{
    return ps_path_join(out, PS_PATH_MAX, dir, name)
               ? ps_fail(why, PS_ERANGE, dir, 0, "the path is too long")
               : PS_OK;
}
