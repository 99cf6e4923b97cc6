/* cors.h - which other sites' pages may read answers here.
 *
 *     --cors-origin https://shop.example,https://app.example:8443      or  "*"
 *
 * Each origin has a number, so that answers can be kept for each.
 *
 * Threads: constant once open.
 * Not here: the headers (http_response.c); who may write, whatever site asks (auth.h).
 */
#ifndef PINSAGE_SERVER_SECURITY_CORS_H
#define PINSAGE_SERVER_SECURITY_CORS_H

#include <stdbool.h>

#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_ORIGINS_MAX 32

typedef struct ps_cors {
    unsigned n;
    bool any;                   /* "*" */
    char *text[PS_ORIGINS_MAX]; /* owned */
} ps_cors;

/* origins: separated by commas; NULL: none. Refused in words. */
int ps_cors_init(ps_cors *c, const char *origins, ps_why *why);
void ps_cors_done(ps_cors *c);

/* 1.. for an origin whose pages may read, 0 for all others and none (data NULL). */
unsigned ps_cors_find(const ps_cors *c, ps_text origin);
/* What Access-Control-Allow-Origin says to number 1... */
const char *ps_cors_text(const ps_cors *c, unsigned number);

#endif
