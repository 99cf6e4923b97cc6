/* picture.c - draw an SVG file, save a thumbnail, describe what it looks like.
 *
 * The descriptor is deliberately plain: what a program could know of a picture before
 * networks. It is read from the drawing at half the thumbnail's size (96 x 96), clear
 * where nothing is drawn, so the paper's white is no colour of the picture:
 *
 *     colours   200   histogram of 8 hues x (dark, light) and 4 greys, weighted by how
 *                     opaque a pixel is, over the whole and over 3 x 3 cells
 *     shape      72   how much of each of 6 x 6 cells is covered, and how much is clear:
 *                     without the second, a thin outline would equal a solid block
 *     edges     324   directions of the brightness gradient, 9 over 180 degrees, weighted
 *                     by its size, in each of the 6 x 6 cells, on white
 *
 * Counts become square roots (so that one flat colour does not outweigh all the rest),
 * each part is brought to length 1, weighted, and the whole to length 1 again.
 * Neighbouring bins share a pixel by distance: a slightly redder red is not another bin.
 *
 * Threads: no shared state. Not here: which file is drawn (openclipart.c).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <librsvg/rsvg.h>

#include "deploy/demo/corpus.h"

enum { SIDE = THUMB_SIDE / 2, HUES = 8, GREYS = 4 };

typedef struct pixel {
    float r, g, b; /* 0 to 1, not multiplied by a */
    float a;
} pixel;

/* ------------------------------ Drawing ----------------------------------- */

static bool render(RsvgHandle *svg, cairo_surface_t *surface)
{
    RsvgRectangle all = {0, 0, THUMB_SIDE, THUMB_SIDE};
    cairo_t *cr = cairo_create(surface);
    bool ok = rsvg_handle_render_document(svg, cr, &all, NULL) &&
              cairo_status(cr) == CAIRO_STATUS_SUCCESS;
    cairo_destroy(cr);
    cairo_surface_flush(surface);
    return ok;
}

/* A handle made from bytes has no base address, so librsvg refuses every reference to
 * another file. */
cairo_surface_t *picture_draw(const char *bytes, size_t n)
{
    RsvgHandle *svg = rsvg_handle_new_from_data((const guint8 *)bytes, n, NULL);
    if (!svg)
        return NULL;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_ARGB32, THUMB_SIDE, THUMB_SIDE);
    bool ok = cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS;
    ok = ok && render(svg, surface);
    g_object_unref(svg);
    if (ok)
        return surface;
    cairo_surface_destroy(surface);
    return NULL;
}

int picture_save(cairo_surface_t *drawing, const char *path)
{
    cairo_t *cr = cairo_create(drawing);
    cairo_set_operator(cr, CAIRO_OPERATOR_DEST_OVER);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_destroy(cr);
    /* Through RGB24: a thumbnail has no transparency left to store. */
    cairo_surface_flush(drawing);
    cairo_surface_t *opaque = cairo_image_surface_create_for_data(
        cairo_image_surface_get_data(drawing), CAIRO_FORMAT_RGB24, THUMB_SIDE, THUMB_SIDE,
        cairo_image_surface_get_stride(drawing));
    errno = 0;
    cairo_status_t status = cairo_surface_write_to_png(opaque, path);
    cairo_surface_destroy(opaque);
    if (status == CAIRO_STATUS_SUCCESS)
        return 0;
    if (!errno)
        errno = status == CAIRO_STATUS_NO_MEMORY ? ENOMEM : EIO;
    return -1;
}

/* ------------------------------- Pixels ----------------------------------- */

/* Sum the four pixels at (2x, 2y), premultiplied, and take the multiplication back. */
static pixel halved(const unsigned char *data, size_t stride, size_t x, size_t y)
{
    uint32_t sum[4] = {0};
    for (size_t dy = 0; dy < 2; dy++)
        for (size_t dx = 0; dx < 2; dx++) {
            uint32_t argb;
            memcpy(&argb, data + (2 * y + dy) * stride + (2 * x + dx) * 4, 4);
            for (int c = 0; c < 4; c++)
                sum[c] += argb >> (8 * c) & 255;
        }
    float a = (float)sum[3];
    if (sum[3] == 0)
        return (pixel){0};
    return (pixel){(float)sum[2] / a, (float)sum[1] / a, (float)sum[0] / a, a / 1020.0f};
}

/* Returns how much is covered, 0 for an empty drawing. */
static float read_pixels(cairo_surface_t *drawing, pixel *out)
{
    const unsigned char *data = cairo_image_surface_get_data(drawing);
    size_t stride = (size_t)cairo_image_surface_get_stride(drawing);
    float covered = 0;
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
        out[i] = halved(data, stride, i % SIDE, i / SIDE);
        covered += out[i].a;
    }
    return covered;
}

/* ------------------------------ Colours ----------------------------------- */

/* Hue as [0, 6): red 0, green 2, blue 4. The caller has checked max > min. */
static float hue_of(pixel p, float max, float min)
{
    float range = max - min;
    if (max == p.r)
        return p.g >= p.b ? (p.g - p.b) / range : 6 + (p.g - p.b) / range;
    if (max == p.g)
        return 2 + (p.b - p.r) / range;
    return 4 + (p.r - p.g) / range;
}

/* Share weight between the two bins around position at, of n in a ring. */
static void add_ring(float *bins, int n, float at, float weight)
{
    int low = (int)at;
    float rest = at - (float)low;
    bins[low % n] += weight * (1 - rest);
    bins[(low + 1) % n] += weight * rest;
}

/* bins: 8 dark hues, 8 light hues, 4 greys. A pixel is coloured as far as it is
 * saturated and grey for the rest. */
static void add_colour(float *bins, pixel p)
{
    float max = fmaxf(p.r, fmaxf(p.g, p.b)), min = fminf(p.r, fminf(p.g, p.b));
    float saturation = max > 0 ? (max - min) / max : 0;
    if (saturation > 0) {
        float hue = hue_of(p, max, min) * HUES / 6;
        float light = (max + min) / 2, weight = p.a * saturation;
        add_ring(bins, HUES, hue, weight * (1 - light));
        add_ring(bins + HUES, HUES, hue, weight * light);
    }
    float grey = max * (GREYS - 1);
    int low = grey >= GREYS - 1 ? GREYS - 2 : (int)grey;
    float weight = p.a * (1 - saturation), rest = grey - (float)low;
    bins[2 * HUES + low] += weight * (1 - rest);
    bins[2 * HUES + low + 1] += weight * rest;
}

static void describe_colours(const pixel *p, float *out)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++) {
            size_t row = y * COLOUR_CELLS / SIDE, column = x * COLOUR_CELLS / SIDE;
            add_colour(out + (1 + row * COLOUR_CELLS + column) * COLOUR_BINS,
                       p[y * SIDE + x]);
        }
    for (size_t cell = 1; cell <= COLOUR_CELLS * COLOUR_CELLS; cell++)
        for (size_t i = 0; i < COLOUR_BINS; i++)
            out[i] += out[cell * COLOUR_BINS + i];
}

/* --------------------------- Shape and edges ------------------------------ */

static size_t shape_cell(size_t x, size_t y)
{
    return y * SHAPE_CELLS / SIDE * SHAPE_CELLS + x * SHAPE_CELLS / SIDE;
}

static void describe_shape(const pixel *p, float *out)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++) {
            float *cell = out + 2 * shape_cell(x, y), covered = p[y * SIDE + x].a;
            cell[0] += covered;
            cell[1] += 1 - covered;
        }
}

static float brightness(const pixel *p, size_t x, size_t y)
{
    pixel q = p[y * SIDE + x];
    float light = 0.299f * q.r + 0.587f * q.g + 0.114f * q.b;
    return q.a * light + (1 - q.a);
}

static void describe_edges(const pixel *p, float *out)
{
    for (size_t y = 1; y + 1 < SIDE; y++)
        for (size_t x = 1; x + 1 < SIDE; x++) {
            float dx = brightness(p, x + 1, y) - brightness(p, x - 1, y);
            float dy = brightness(p, x, y + 1) - brightness(p, x, y - 1);
            float size = sqrtf(dx * dx + dy * dy);
            if (size < 0.02f)
                continue;
            float turn = atan2f(dy, dx) / (float)M_PI; /* -1 to 1, a full circle */
            if (turn < 0)
                turn += 1; /* a direction and its opposite are one edge */
            add_ring(out + shape_cell(x, y) * ANGLE_BINS, ANGLE_BINS, turn * ANGLE_BINS,
                     size);
        }
}

/* ----------------------------- The whole ---------------------------------- */

static void bring_to_length(float *v, size_t n, float length)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * v[i];
    if (sum == 0)
        return;
    float scale = (float)(length / sqrt(sum));
    for (size_t i = 0; i < n; i++)
        v[i] *= scale;
}

static void finish_part(float *v, size_t n, float weight)
{
    for (size_t i = 0; i < n; i++)
        v[i] = sqrtf(v[i]);
    bring_to_length(v, n, weight);
}

bool picture_describe(cairo_surface_t *drawing, float *out)
{
    pixel *p = must(malloc(sizeof(*p) * SIDE * SIDE));
    float *colours = out, *shape = out + COLOUR_DIM, *edges = shape + SHAPE_DIM;
    memset(out, 0, VISUAL_DIM * sizeof(*out));
    if (read_pixels(drawing, p) == 0) {
        free(p);
        return false;
    }
    describe_colours(p, colours);
    describe_shape(p, shape);
    describe_edges(p, edges);
    finish_part(colours, COLOUR_DIM, 1.0f);
    finish_part(shape, SHAPE_DIM, 1.0f);
    finish_part(edges, ANGLE_DIM, 1.0f);
    bring_to_length(out, VISUAL_DIM, 1.0f);
    free(p);
    return true;
}
