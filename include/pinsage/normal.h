/* normal.h - text in the form in which it is compared: folded and composed.
 *
 * Unicode's canonical caseless match: full case folding (a German sharp s is two), then
 * normalisation form C, so that a letter and its accent are one character however they
 * were typed. No locale is asked. Ids are never normalised: they are bytes.
 *
 *     ps_normal n;
 *     ps_normal_init(&n, text);
 *     for (int32_t c; (c = ps_normal_peek(&n)) >= 0; ps_normal_skip(&n))
 *
 * Threads: a ps_normal is scratch for one thread. Not here: words (core/annotate).
 */
#ifndef PINSAGE_NORMAL_H
#define PINSAGE_NORMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/text.h"

/* Characters of one cluster (a letter and its accents), at most; a longer one is taken in
 * parts. Folding and decomposing make up to 18 of one. */
#define PS_CLUSTER_MAX  16
#define PS_CLUSTER_ROOM (PS_CLUSTER_MAX * 18)

typedef struct ps_normal {
    const unsigned char *at, *end;  /* of the text, borrowed: not looked at yet */
    unsigned i, n;                  /* of ready */
    int32_t ready[PS_CLUSTER_ROOM]; /* characters of the cluster before `at` */
} ps_normal;

void ps_normal_init(ps_normal *n, ps_text text);
/* The next character, -1 at the end. Bytes that are not UTF-8 are blanks. */
int32_t ps_normal_peek(ps_normal *n);
/* Past what ps_normal_peek gave. */
static inline void ps_normal_skip(ps_normal *n)
{
    n->i++;
}
/* What of the text was not given yet, as it was written; false inside a cluster. */
bool ps_normal_rest(const ps_normal *n, ps_text *rest);

/* UTF-8 of a character into out (4); its length. */
size_t ps_normal_encode(int32_t c, char *out);
/* All of text, added to out. */
void ps_normal_add(ps_buf *out, ps_text text);

#endif
