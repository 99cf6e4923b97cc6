/* process.h - what the kernel knows about this process.
 *
 * Threads: any.
 */
#ifndef PINSAGE_SERVER_BASE_PROCESS_H
#define PINSAGE_SERVER_BASE_PROCESS_H

#include <stdint.h>

typedef struct ps_process {
    double cpu_seconds;
    uint64_t resident, resident_anon, resident_file, virtual; /* bytes */
    uint64_t open_fds, max_fds, major_faults, threads;
} ps_process;

/* What cannot be found out is 0. */
void ps_process_read(ps_process *p);
/* "0.1.0+3f2c1a9" */
const char *ps_version(void);

#endif
