/* cpu_check.h - a CPU that cannot run this program is told so in words.
 *
 * Threads: before there are any.
 */
#ifndef PINSAGE_SERVER_CLI_CPU_CHECK_H
#define PINSAGE_SERVER_CLI_CPU_CHECK_H

#include "pinsage/err.h"

/* Returns when check does not fail; else its words go to stderr and the program ends
 * with 1. main calls it with ps_ann_cpu_check, which also draws the early one, run before
 * FAISS's own start, into the program. */
void ps_cpu_check_or_exit(int (*check)(ps_why *why));

#endif
