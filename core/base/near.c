/* near.c - the banded table of edit distances.
 *
 * Threads: see near.h.
 */
#include "pinsage/near.h"

#include <string.h>

/* Distance of the first i bytes of the candidate from the first j of the query. */
static unsigned at(const ps_near *n, size_t i, size_t j)
{
    size_t d = j + PS_NEAR_MAX - i;
    return j + PS_NEAR_MAX < i || d > 2 * PS_NEAR_MAX ? PS_NEAR_FAR : n->row[i][d];
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned cell(const ps_near *n, const unsigned char *name, size_t i, size_t j)
{
    if (j == 0)
        return least((unsigned)i, PS_NEAR_FAR);
    unsigned char byte = name[i - 1];
    unsigned best = at(n, i - 1, j - 1) + (byte != n->query[j - 1]);
    best = least(best, at(n, i - 1, j) + 1);
    best = least(best, at(n, i, j - 1) + 1);
    if (i > 1 && j > 1 && byte == n->query[j - 2] && name[i - 2] == n->query[j - 1])
        best = least(best, at(n, i - 2, j - 2) + 1);
    return least(best, PS_NEAR_FAR);
}

void ps_near_init(ps_near *n, const char *query, size_t len)
{
    n->query = (const unsigned char *)query;
    n->len = len;
    for (size_t d = 0; d <= 2 * PS_NEAR_MAX; d++) {
        size_t j = d - PS_NEAR_MAX;
        n->row[0][d] = d < PS_NEAR_MAX || j > len
                           ? PS_NEAR_FAR
                           : (uint8_t)least((unsigned)j, PS_NEAR_FAR);
    }
}

unsigned ps_near_step(ps_near *n, const unsigned char *name, size_t i)
{
    for (size_t d = 0; d <= 2 * PS_NEAR_MAX; d++)
        n->row[i][d] = PS_NEAR_FAR;
    for (size_t d = 0; d <= 2 * PS_NEAR_MAX; d++) {
        size_t j = i + d - PS_NEAR_MAX;
        if (i + d < PS_NEAR_MAX || j > n->len)
            continue;
        n->row[i][d] = (uint8_t)cell(n, name, i, j);
    }
    return ps_near_least(n, i);
}

unsigned ps_near_least(const ps_near *n, size_t i)
{
    unsigned best = PS_NEAR_FAR;
    for (size_t d = 0; d <= 2 * PS_NEAR_MAX; d++)
        best = least(best, n->row[i][d]);
    return best;
}

unsigned ps_near_distance(const ps_near *n, size_t len)
{
    return at(n, len, n->len);
}

unsigned ps_near_compare(ps_near *n, const char *name, size_t len, unsigned most)
{
    if (len > n->len + most || n->len > len + most)
        return PS_NEAR_FAR;
    for (size_t i = 1; i <= len; i++)
        if (ps_near_step(n, (const unsigned char *)name, i) > most)
            return PS_NEAR_FAR;
    unsigned distance = ps_near_distance(n, len);
    return distance > most ? PS_NEAR_FAR : distance;
}

void ps_guess_init(ps_guess *g, ps_text wrong)
{
    size_t len = wrong.len;
    g->best = NULL;
    g->most = len > PS_NEAR_LONGEST ? 0 : len > 5 ? PS_NEAR_MAX : len > 1;
    ps_near_init(&g->near, wrong.data, len > PS_NEAR_LONGEST ? 0 : len);
}

void ps_guess_offer(ps_guess *g, const char *name)
{
    size_t len = strlen(name);
    if (!g->most || len > PS_NEAR_LONGEST)
        return;
    unsigned distance = ps_near_compare(&g->near, name, len, g->most);
    if (distance > g->most)
        return;
    g->best = name;
    g->most = distance - (distance > 0); /* only what is nearer still */
}
