/* numpy.h - NumPy as the oracle of the arrays we read and write. */
#ifndef PINSAGE_TESTS_SUPPORT_NUMPY_H
#define PINSAGE_TESTS_SUPPORT_NUMPY_H

#include <stdbool.h>

/* True if python3 with NumPy is here. */
bool have_numpy(void);
/* Run Python code in the scratch directory, with `np` imported; true if it exits with 0.
 * What it prints comes out as TAP comments. */
bool numpy(const char *code);

#endif
