/* methods.h - the names that rankings answer to, in one table.
 *
 * `--methods`, `?method=` and the columns of an evaluation name methods and feature
 * blocks alike: a block's name is the method that ranks by its cosine. So a block may not
 * be called like a method, or one of the two could not be asked for.
 *
 * Threads: constant. Not here: how they rank (core/rank/methods.c for evaluation,
 * server/engine for requests); tests hold those tables against this one.
 */
#ifndef PINSAGE_METHODS_H
#define PINSAGE_METHODS_H

#include <stdbool.h>
#include <stddef.h>

/* i-th name, NULL past the end. */
const char *ps_method_name(size_t i);
/* True when a feature block may not have this name. */
bool ps_method_is_reserved(const char *name);

#endif
