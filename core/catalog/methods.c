/* methods.c - names that are taken.
 *
 * Threads: constant.
 */
#include "pinsage/methods.h"

#include <string.h>

static const char *const names[] = {
    /* learned */
    "pinsage",
    "embeddings",
    "blend",
    /* baselines that training can make */
    "combined",
    "combined-structure",
    "khop",
    "meanpool",
    "maxpool",
    /* of the graph */
    "pixie",
    "pixie-corrected",
    "popular",
};

enum { NAMES = sizeof names / sizeof names[0] };

const char *ps_method_name(size_t i)
{
    return i < NAMES ? names[i] : NULL;
}

bool ps_method_is_reserved(const char *name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}
