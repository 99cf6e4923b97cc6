/* scratch.c - see scratch.h. */
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/file.h"

static char dir[64];
static pid_t owner;

static void need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

static void clean(void)
{
    if (getpid() == owner)
        ps_dir_remove(dir, NULL);
}

const char *scratch_dir(void)
{
    if (!owner) {
        const char *tmp = getenv("TMPDIR");
        snprintf(dir, sizeof dir, "%.40s/pinsage-XXXXXX", tmp ? tmp : "/tmp");
        need(mkdtemp(dir) != NULL, dir);
        owner = getpid();
        atexit(clean);
    }
    return dir;
}

static char *turn(void)
{
    static char paths[16][PS_PATH_MAX];
    static unsigned next;
    return paths[next++ % 16];
}

const char *scratch(const char *name)
{
    char *path = turn();
    need(ps_path_join(path, PS_PATH_MAX, scratch_dir(), name) == PS_OK, name);
    return path;
}

const char *scratch_file(const char *name, const void *data, size_t size)
{
    const char *path = scratch(name);
    FILE *f = fopen(path, "wb");
    need(f && fwrite(data, 1, size, f) == size && fclose(f) == 0, path);
    return path;
}

const char *scratch_text(const char *name, const char *text)
{
    return scratch_file(name, text, strlen(text));
}

char *slurp(const char *path, size_t *size)
{
    ps_map m;
    need(ps_map_open(&m, path, PS_SEQUENTIAL, NULL) == PS_OK, path);
    char *text = malloc(m.size + 1);
    need(text != NULL, path);
    if (m.size)
        memcpy(text, m.data, m.size);
    text[m.size] = '\0';
    if (size)
        *size = m.size;
    ps_map_close(&m);
    return text;
}

const char *shared_data(const char *name)
{
    const char *root = getenv("PS_SHARED");
    char *path = turn();
    snprintf(path, PS_PATH_MAX, "%s/data/%s", root ? root : "../shared", name);
    return ps_file_exists(path) ? path : NULL;
}
