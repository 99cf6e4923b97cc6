/* images.c - opens a file below a folder, and never above.
 *
 * The kernel does it where it can (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS);
 * elsewhere the path is walked part by part with O_NOFOLLOW. Names with dot parts are
 * refused before either, so that both agree.
 *
 * Threads: see images.h.
 */
#include "server/base/images.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinsage/file.h"

struct ps_images {
    int dir;
    uint64_t limit;
};

int ps_images_open(ps_images **out, const char *dir, uint64_t limit, ps_why *why)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ps_fail_errno(why, dir, "cannot open the folder of images");
    ps_images *i = malloc(sizeof *i);
    if (!i) {
        close(fd);
        return PS_ENOMEM;
    }
    *i = (ps_images){fd, limit};
    *out = i;
    return PS_OK;
}

void ps_images_close(ps_images *i)
{
    if (!i)
        return;
    close(i->dir);
    free(i);
}

/* ------------------------------ Names -------------------------------------- */

static const struct {
    const char *extension, *type;
    int script;
} types[] = {
    {".png", "image/png", 0},     {".jpg", "image/jpeg", 0},  {".jpeg", "image/jpeg", 0},
    {".gif", "image/gif", 0},     {".webp", "image/webp", 0}, {".avif", "image/avif", 0},
    {".svg", "image/svg+xml", 1},
};

static int type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && i < (int)(sizeof types / sizeof *types); i++)
        if (strcasecmp(types[i].extension, dot) == 0)
            return i;
    return -1;
}

static bool is_dots(const char *part, size_t len)
{
    return len == 0 || (len == 1 && part[0] == '.') ||
           (len == 2 && part[0] == '.' && part[1] == '.');
}

/* Copies the name; false when it cannot be a file below the folder. */
static bool take_name(char *out, size_t room, ps_text name)
{
    if (!name.len || name.len >= room)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == '\\')
            return false;
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    const char *part = out;
    for (;;) {
        size_t len = strcspn(part, "/");
        if (is_dots(part, len))
            return false;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

/* ------------------------------ Opening ------------------------------------ */

#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int open_by_parts(int dir, char *name)
{
    int at = dir;
    for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (at != dir)
            close(at);
        if (next < 0)
            return -1;
        at = next;
    }
    int fd = openat(at, name, OPEN_FLAGS);
    if (at != dir)
        close(at);
    return fd;
}

static int open_below(int dir, char *name)
{
    struct open_how how = {.flags = OPEN_FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return open_by_parts(dir, name);
    return (int)fd;
}

static int refuse(const char *text, ps_why *why)
{
    return ps_fail(why, PS_ENOENT, NULL, 0, "%s", text);
}

int ps_image_open(ps_image *out, const ps_images *images, ps_text name, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (!take_name(path, sizeof path, name))
        return refuse("there is no such image", why);
    int type = type_of(path);
    if (type < 0)
        return refuse("this is no image of a kind that is served", why);
    int fd = open_below(images->dir, path);
    if (fd < 0)
        return refuse("there is no such image", why);
    struct stat st;
    bool whole = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!whole || (uint64_t)st.st_size > images->limit) {
        close(fd);
        return refuse(whole ? "the image is too large" : "there is no such image", why);
    }
    *out = (ps_image){.fd = fd,
                      .size = (uint64_t)st.st_size,
                      .type = types[type].type,
                      .modified = st.st_mtim.tv_sec,
                      .script = types[type].script};
    /* Not the time of its last change, which copying tools set back. */
    snprintf(out->etag, sizeof out->etag, "\"%llx-%llx-%llx-%lx\"",
             (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
             (unsigned long long)st.st_ctim.tv_sec, (unsigned long)st.st_ctim.tv_nsec);
    return PS_OK;
}
