/* images.h - the pictures of one folder, and nothing outside it.
 *
 * A name is a path below the folder. It may not leave it, neither by ".." nor by a
 * symbolic link; what it names must be a regular file with the extension of a picture.
 *
 * Threads: one folder may be read from many.
 */
#ifndef PINSAGE_SERVER_BASE_IMAGES_H
#define PINSAGE_SERVER_BASE_IMAGES_H

#include <stdint.h>
#include <time.h>

#include "pinsage/err.h"
#include "pinsage/text.h"

typedef struct ps_images ps_images;

typedef struct ps_image {
    int fd; /* the caller closes it */
    uint64_t size;
    const char *type; /* "image/png" */
    time_t modified;
    char etag[72]; /* with its quotes */
    int script;    /* 1: the format can carry scripts (SVG), serve it sandboxed */
} ps_image;

/* limit: bytes of the largest file served. */
int ps_images_open(ps_images **i, const char *dir, uint64_t limit, ps_why *why);
void ps_images_close(ps_images *i); /* NULL is fine */
/* PS_ENOENT in words for whatever may not or cannot be served. */
int ps_image_open(ps_image *out, const ps_images *i, ps_text name, ps_why *why);

#endif
