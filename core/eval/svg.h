/* svg.h - drawings as text: scales, lines, words.
 *
 * Colours and fonts are left to classes of the page's style sheet, so that one drawing
 * fits a light page and a dark one. Coordinates are pixels of the drawing's own box.
 *
 * Threads: one buffer, one thread. Not here: what is drawn (html_charts.c).
 */
#ifndef PINSAGE_CORE_EVAL_SVG_H
#define PINSAGE_CORE_EVAL_SVG_H

#include <stdbool.h>

#include "pinsage/buf.h"

/* Values [from, to] along pixels [begin, end]; end may be less than begin. */
typedef struct svg_scale {
    double from, to, begin, end;
    bool log;
} svg_scale;
double svg_at(const svg_scale *s, double value);
/* Distance of about n round marks (1, 2 or 5 times a power of ten) up to a span. */
double svg_step(double span, int n);

/* Text with <, >, &, " and ' made harmless, in and outside of attributes. */
void html_text(ps_buf *o, const char *text);

/* label is read out instead of the drawing. */
void svg_begin(ps_buf *o, int width, int height, const char *label);
void svg_end(ps_buf *o);
void svg_line(ps_buf *o, const char *class, double x1, double y1, double x2, double y2);
void svg_rect(ps_buf *o, const char *class, double x, double y, double w, double h);
/* class may hold "end" or "middle" for the anchor. text is escaped. */
void svg_text(ps_buf *o, const char *class, double x, double y, const char *text);
void svg_textf(ps_buf *o, const char *class, double x, double y, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* A path: begin, a point for each corner, end. */
void svg_path_begin(ps_buf *o, const char *class);
void svg_path_to(ps_buf *o, bool first, double x, double y);
void svg_path_end(ps_buf *o, bool closed);

#endif
