/* enum.h - the names of an enum's values: one table, read in both directions.
 *
 *     static const char *const losses[] = {"margin", "xent"};
 *     const ps_enum ps_loss_names = PS_ENUM(losses);
 *
 * Threads: constant.
 */
#ifndef PINSAGE_ENUM_H
#define PINSAGE_ENUM_H

#include "pinsage/err.h"
#include "pinsage/text.h"

typedef struct ps_enum {
    const char *const *name; /* (n), of the values 0, 1, .. */
    unsigned n;
} ps_enum;

/* Of an array of names. */
#define PS_ENUM(names)                                                                   \
    {                                                                                    \
        names, sizeof(names) / sizeof *(names)                                           \
    }

/* A pointer to one that nobody else needs: PS_CHOICES("error", "skip"). */
#define PS_CHOICES(...) (&(const ps_enum)PS_ENUM(((const char *const[]){__VA_ARGS__})))

/* "" for what is no value of it. */
static inline const char *ps_enum_name(ps_enum e, size_t value)
{
    return value < e.n && e.name[value] ? e.name[value] : "";
}

/* The value of that name; PS_ENOENT when there is none. */
static inline int ps_enum_find(ps_enum e, ps_text name)
{
    for (unsigned i = 0; i < e.n; i++)
        if (e.name[i] && ps_text_is(name, e.name[i]))
            return (int)i;
    return PS_ENOENT;
}

#endif
