/* sandbox.h - what the server could still do if somebody took it over: next to nothing.
 *
 *     files    Landlock: reads the folders it was given, writes below the catalog
 *              alone, executes nothing, connects to nobody over TCP
 *     calls    seccomp: no new programs, processes, sockets or executable memory; of
 *              the kernel's calls those that serving, reloading and compaction make
 *
 * Files first, while there is one thread, for Landlock holds for the thread that asks
 * and those it makes. Calls last, when the sockets listen; that holds for all threads.
 *
 * Threads: the main thread.
 */
#ifndef PINSAGE_SERVER_SECURITY_SANDBOX_H
#define PINSAGE_SERVER_SECURITY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "pinsage/err.h"
#include "server/base/log.h"

/* auto: as much as this kernel can, which the log tells. strict: all of it, or no start.
 * log: calls that would be refused are let through and told by the kernel's audit log.
 * off: none. */
#define PS_SANDBOX_MODES "auto", "strict", "log", "off"

typedef struct ps_sandbox {
    const char *mode;                /* borrowed */
    int landlock;                    /* version in force; 0: none */
    const char *no_files, *no_calls; /* why not, NULL: they are */
} ps_sandbox;

typedef struct ps_sandbox_path {
    const char *path; /* NULL is passed over, and so is what is not there */
    bool write;
    bool folder; /* the folder the file is in, instead of the file: it may be exchanged */
} ps_sandbox_path;

/* PS_EUNSUPPORTED in words when mode is strict and the kernel lacks it. */
int ps_sandbox_files(ps_sandbox *s, const char *mode, const ps_sandbox_path *paths,
                     size_t n, ps_why *why);
int ps_sandbox_calls(ps_sandbox *s, ps_why *why);
/* One line: what is in force, or a warning. */
void ps_sandbox_say(const ps_sandbox *s, ps_log *log);

/* ---- sandbox_calls.c: the filter alone. NULL, or why it is not in force. ---- */
const char *ps_sandbox_filter(bool only_log);

#endif
