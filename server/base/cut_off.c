/* cut_off.c - the handler: from an address to the file that is mapped there.
 *
 * The kernel keeps the table already, /proc/self/maps, of LMDB's maps and FAISS's as well
 * as of ours:
 *
 *     7f10c0000000-7f10c0800000 r--s 00000000 fe:01 1234   /data/c/gen-000003/pins.mdb
 *
 * The handler may use nothing but system calls and its stack (signal-safety(7)), so the
 * list is read through a small buffer, a byte after the other, and no number is printed.
 *
 * Threads: see cut_off.h.
 */
#include "server/base/cut_off.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#define CUT_OFF_EXIT 74 /* EX_IOERR, as of any file that cannot be read */

static int maps = -1;

typedef struct reading {
    char buffer[512];
    off_t at; /* of the file */
    ssize_t n, next;
} reading;

/* -1 at the end. */
static int next_byte(reading *r)
{
    if (r->next == r->n) {
        r->n = pread(maps, r->buffer, sizeof r->buffer, r->at);
        r->next = 0;
        if (r->n <= 0)
            return r->n = 0, -1;
        r->at += r->n;
    }
    return (unsigned char)r->buffer[r->next++];
}

/* A hexadecimal number, and the byte after it. */
static uintptr_t read_number(reading *r, int *after)
{
    uintptr_t n = 0;
    for (;;) {
        int c = *after = next_byte(r);
        if (c >= '0' && c <= '9')
            n = n << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return n;
    }
}

/* The rest of the line from its first slash on, cut to room. */
static size_t read_path(reading *r, char *out, size_t room)
{
    size_t n = 0;
    for (int c; (c = next_byte(r)) >= 0 && c != '\n';)
        if ((n || c == '/') && n < room)
            out[n++] = (char)c;
    return n;
}

/* Path of the file that is mapped at an address into out; 0: none is known. */
static size_t find_path(uintptr_t address, char *out, size_t room)
{
    reading r = {.at = 0};
    int c = 0;
    while (c >= 0) {
        uintptr_t begin = read_number(&r, &c);
        uintptr_t end = c == '-' ? read_number(&r, &c) : 0;
        size_t n = c >= 0 ? read_path(&r, out, room) : 0;
        if (address >= begin && address < end)
            return n;
    }
    return 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    static char name[] = "pinsage: ", unknown[] = "a mapped file",
                what[] =
                    ": it was cut off while it was in use, or its disk cannot be read "
                    "(SIGBUS); stopped\n";
    char path[1024];
    (void)number;
    (void)context;
    size_t n = find_path((uintptr_t)info->si_addr, path, sizeof path);
    const struct iovec line[] = {{name, sizeof name - 1},
                                 {n ? path : unknown, n ? n : sizeof unknown - 1},
                                 {what, sizeof what - 1}};
    if (writev(STDERR_FILENO, line, 3) < 0)
        n = 0; /* nobody to tell */
    _exit(CUT_OFF_EXIT);
}

void ps_cut_off_handle(void)
{
    struct sigaction act = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, NULL);
}
