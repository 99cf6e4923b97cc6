/* foreign.h - files of other kinds than the one that is wanted, named for what they are.
 *
 * Parquet, Excel, JSON, CSV and their like, known by their first bytes. The words hold a
 * command that makes of the file what is wanted, with the file's own name in it.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_CORE_DATA_FOREIGN_H
#define PINSAGE_CORE_DATA_FOREIGN_H

#include <stddef.h>

#include "pinsage/err.h"

/* PS_EFORMAT in words when a file that begins with these bytes (unpacked, if it is gzip)
 * is of a kind that is known and no text; PS_OK when nothing is known against it. */
int ps_foreign_table(const char *data, size_t len, const char *path, ps_why *why);
/* The same for the first line of a text: CSV, JSON, line ends of old Macs. */
int ps_foreign_header(const char *line, size_t len, const char *path, ps_why *why);
/* The same for a file that is no .npy. Always PS_EFORMAT. */
int ps_foreign_array(const char *data, size_t len, const char *path, ps_why *why);

#endif
