/* log.h - lines on stderr for people and collectors: logfmt, or JSON.
 *
 *     ts=2026-01-31T12:00:00.123Z level=info msg=listening addr=127.0.0.1:8080
 *     {"ts":"2026-01-31T12:00:00.123Z","level":"info","msg":"listening",...}
 *
 * A line is composed in the caller's own memory and handed over whole. One thread
 * writes, so a slow terminal or a full pipe never holds up a request: what does not fit
 * into the waiting room (1 MiB) is dropped and counted, errors excepted.
 *
 * Threads: ps_log_* from any; a ps_line belongs to one.
 * Not here: what is worth a line.
 */
#ifndef PINSAGE_SERVER_BASE_LOG_H
#define PINSAGE_SERVER_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/enum.h"
#include "pinsage/err.h"
#include "pinsage/text.h"

typedef enum ps_level { PS_LOG_DEBUG, PS_LOG_INFO, PS_LOG_WARN, PS_LOG_ERROR } ps_level;
extern const ps_enum ps_level_names;

typedef struct ps_log ps_log;

/* format "logfmt" or "json"; level "debug", "info", "warn", "error": lines below it are
 * not written. fd stays the caller's. */
int ps_log_start(ps_log **log, int fd, const char *format, const char *level,
                 ps_why *why);
/* Write what waits, stop the thread, free. NULL is fine. */
void ps_log_stop(ps_log *log);
bool ps_log_wants(const ps_log *log, ps_level level);
uint64_t ps_log_dropped(const ps_log *log);

/* One line, or several: begin, fields, end, begin, ... then ps_log_put once. */
typedef struct ps_line {
    const ps_log *log; /* borrowed */
    ps_buf text;       /* owned */
    size_t start;      /* where the open line begins */
    int64_t second;    /* that stamp was made for */
    char stamp[24];    /* "2026-01-31T12:00:00" */
} ps_line;

void ps_line_begin(ps_line *l, const ps_log *log, ps_level level, const char *msg);
void ps_line_text(ps_line *l, const char *name, ps_text value);
void ps_line_u64(ps_line *l, const char *name, uint64_t value);
void ps_line_real(ps_line *l, const char *name, double value);
void ps_line_end(ps_line *l);
void ps_line_done(ps_line *l);
/* Hand over all ended lines; the buffer is empty afterwards and keeps its room. */
void ps_log_put(ps_log *log, ps_line *l, bool important);

/* A whole line at once: names and text values, ended by NULL. */
void ps_log_say(ps_log *log, ps_level level, const char *msg, ...)
    __attribute__((sentinel));

#endif
