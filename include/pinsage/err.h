/* err.h - every way a PinSage call can fail, in one table.
 *
 * A function that can fail returns int: 0 is success, a negative PS_E... is the
 * reason. Numbers are stable: they appear in logs and in API answers. What reads
 * something that a human wrote (an option, a data file, a request body, a file on
 * disk) also takes a ps_why and tells where it went wrong, in words.
 *
 * Threads: no state. Not here: HTTP statuses (server/message/reply.c),
 * exit codes (server/cli/cli.c), both derived from this table's names.
 */
#ifndef PINSAGE_ERR_H
#define PINSAGE_ERR_H

#define PS_ERR_MAP(XX)                                                                   \
    XX(-1, NOMEM, "out of memory")                                                       \
    XX(-2, INVAL, "invalid argument")                                                    \
    XX(-3, NOENT, "not found")                                                           \
    XX(-4, IO, "input or output failed")                                                 \
    XX(-5, FORMAT, "bad data")                                                           \
    XX(-6, EXIST, "already exists")                                                      \
    XX(-7, BUSY, "in use by another writer")                                             \
    XX(-8, RANGE, "out of range")                                                        \
    XX(-9, FULL, "no room left")                                                         \
    XX(-10, TIMEOUT, "took too long")                                                    \
    XX(-11, UNSUPPORTED, "not supported here")                                           \
    XX(-12, LIBRARY, "a library refused")                                                \
    XX(-13, MISMATCH, "parts do not belong together")                                    \
    XX(-14, CANCELLED, "stopped on request")

enum {
    PS_OK = 0,
#define XX(code, name, text) PS_E##name = (code),
    PS_ERR_MAP(XX)
#undef XX
};

/* Where and why, in words. The caller owns it, usually on the stack. */
typedef struct ps_why {
    char text[256];  /* one sentence, no newline, no full stop needed */
    char where[256]; /* file, option or JSON path; empty when there is none */
    long line;       /* 1-based, 0 when it makes no sense */
} ps_why;

/* Short text of an error code, never NULL. */
const char *ps_strerror(int err);
/* Name of an error code without prefix ("NOENT"), never NULL. */
const char *ps_errname(int err);

/* Fill why (NULL is fine) and return err, so that a failing line reads
 * `return ps_fail(why, PS_EFORMAT, path, line, "pin \"%s\" stands twice", id);`.
 * where may be NULL. Text that is too long is cut. */
int ps_fail(ps_why *why, int err, const char *where, long line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The same for a failed system call: appends strerror(errno); PS_ENOMEM for ENOMEM,
 * PS_EFULL for ENOSPC and EDQUOT, PS_ENOENT for ENOENT, else PS_EIO. */
int ps_fail_errno(ps_why *why, const char *where, const char *what);
/* "where:line: text" (or the code's own text if why is empty) into out (n bytes). */
void ps_why_format(const ps_why *why, int err, char *out, unsigned long n);

#endif
