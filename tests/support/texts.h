/* texts.h - a ps_text beside the string that it should be.
 *
 * Threads: any.
 */
#ifndef PINSAGE_TESTS_SUPPORT_TEXTS_H
#define PINSAGE_TESTS_SUPPORT_TEXTS_H

#include <string.h>

#include "pinsage/text.h"

/* Needs cmocka.h before it, as all of its assertions do. */
#define assert_text(have, want)                                                          \
    do {                                                                                 \
        ps_text have_ = (have);                                                          \
        assert_int_equal(have_.len, strlen(want));                                       \
        assert_memory_equal(have_.data, (want), have_.len);                              \
    } while (0)

#endif
