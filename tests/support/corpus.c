/* corpus.c - see corpus.h. */
#include "tests/support/corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/support/scratch.h"

static void need(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

const char *npy_file(const char *name, ps_dtype dtype, uint64_t rows, uint64_t cols,
                     const void *data)
{
    const char *path = scratch(name);
    ps_out *o;
    need(ps_out_open(&o, path, NULL) == PS_OK, path);
    ps_npy_header(o, dtype, rows, cols);
    ps_out_write(o, data, (size_t)(rows * (cols ? cols : 1)) * ps_dtype_size(dtype));
    need(ps_out_close(o, NULL, NULL) == PS_OK, path);
    return path;
}

const char *npy_odd(const char *name, const char *dictionary, const void *data,
                    size_t size)
{
    const char *path = scratch(name);
    unsigned char start[10] = "\x93NUMPY\x01\x00";
    size_t len = strlen(dictionary) + 1;
    FILE *f = fopen(path, "wb");
    need(f != NULL, path);
    start[8] = (unsigned char)(len & 0xff);
    start[9] = (unsigned char)(len >> 8);
    need(fwrite(start, 1, sizeof start, f) == sizeof start, path);
    need(fprintf(f, "%s\n", dictionary) == (int)len, path);
    need(fwrite(data, 1, size, f) == size && fclose(f) == 0, path);
    return path;
}

const char *gzip_file(const char *name, const char *text, size_t cut)
{
    size_t size;
    const char *whole = scratch("whole.gz");
    gzFile f = gzopen(whole, "wb");
    need(f && gzputs(f, text) == (int)strlen(text) && gzclose(f) == Z_OK, whole);
    char *data = slurp(whole, &size);
    const char *path = scratch_file(name, data, size - cut);
    free(data);
    return path;
}
