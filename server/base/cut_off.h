/* cut_off.h - a file that is cut off while it is mapped ends the process in words.
 *
 * Files of a generation never change, and the store only grows; but a copying tool that
 * writes in place, or a disk that cannot be read, makes the kernel answer a read of
 * mapped memory by SIGBUS. There is nothing to go on with: the data is gone. The handler
 * says which file it was and ends with status 74, so that a service manager's log has the
 * name.
 *
 * Threads: call it once, as one. The handler runs on whatever thread read.
 * Not here: files found damaged by reading them (core/catalog/checksums.c).
 */
#ifndef PINSAGE_SERVER_BASE_CUT_OFF_H
#define PINSAGE_SERVER_BASE_CUT_OFF_H

/* Before anything is restricted: it keeps the kernel's list of mappings open. */
void ps_cut_off_handle(void);

#endif
