/* svg.c - see svg.h. Numbers are written with one decimal: a tenth of a pixel.
 *
 * Threads: one buffer, one thread.
 */
#include "core/eval/svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ------------------------------ Scales ------------------------------------- */

double svg_at(const svg_scale *s, double value)
{
    double from = s->log ? log(s->from) : s->from, to = s->log ? log(s->to) : s->to;
    double part = ((s->log ? log(value) : value) - from) / (to > from ? to - from : 1);
    return s->begin + part * (s->end - s->begin);
}

double svg_step(double span, int n)
{
    if (!(span > 0))
        return 1;
    double least = span / n, power = pow(10, floor(log10(least)));
    double times = least / power;
    return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

/* ------------------------------ Words -------------------------------------- */

void html_text(ps_buf *o, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            ps_buf_text(o, "&lt;");
            break;
        case '>':
            ps_buf_text(o, "&gt;");
            break;
        case '&':
            ps_buf_text(o, "&amp;");
            break;
        case '"':
            ps_buf_text(o, "&quot;");
            break;
        case '\'':
            ps_buf_text(o, "&#39;");
            break;
        default:
            ps_buf_char(o, *text);
        }
}

void svg_text(ps_buf *o, const char *class, double x, double y, const char *text)
{
    ps_buf_printf(o, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    html_text(o, text);
    ps_buf_text(o, "</text>\n");
}

void svg_textf(ps_buf *o, const char *class, double x, double y, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    svg_text(o, class, x, y, text);
}

/* ------------------------------ Shapes ------------------------------------- */

void svg_begin(ps_buf *o, int width, int height, const char *label)
{
    ps_buf_printf(o,
                  "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
                  "aria-label=\"",
                  width, height, width, height);
    html_text(o, label);
    ps_buf_text(o, "\">\n");
}

void svg_end(ps_buf *o)
{
    ps_buf_text(o, "</svg>\n");
}

void svg_line(ps_buf *o, const char *class, double x1, double y1, double x2, double y2)
{
    ps_buf_printf(
        o, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
        class, x1, y1, x2, y2);
}

void svg_rect(ps_buf *o, const char *class, double x, double y, double w, double h)
{
    ps_buf_printf(
        o, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
        class, x, y, w > 0 ? w : 0, h > 0 ? h : 0);
}

void svg_path_begin(ps_buf *o, const char *class)
{
    ps_buf_printf(o, "<path class=\"%s\" d=\"", class);
}

void svg_path_to(ps_buf *o, bool first, double x, double y)
{
    ps_buf_printf(o, "%c%.1f %.1f", first ? 'M' : 'L', x, y);
}

void svg_path_end(ps_buf *o, bool closed)
{
    ps_buf_text(o, closed ? "Z\"/>\n" : "\"/>\n");
}
