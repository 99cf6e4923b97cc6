/* log.c - lines are composed where they arise and written by one thread.
 *
 * The waiting room is a buffer that the writer swaps with its own empty one, so the
 * lock is held for a copy of a few hundred bytes and never during a write.
 *
 * Threads: see log.h.
 */
#include "server/base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pinsage/enum.h"

#define WAITING_ROOM ((size_t)1 << 20)

struct ps_log {
    int fd;
    bool json;
    ps_level level;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    ps_buf waiting; /* guarded by lock */
    bool stopping;  /* guarded by lock */
    _Atomic uint64_t dropped;
};

static const char *const levels[] = {"debug", "info", "warn", "error"};
const ps_enum ps_level_names = PS_ENUM(levels);

/* ------------------------------ Writing ----------------------------------- */

static void write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody reads any more: there is nobody to tell */
        data += n;
        size -= (size_t)n;
    }
}

static void *write_lines(void *arg)
{
    ps_log *log = arg;
    ps_buf mine = {0};
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->waiting.size && !log->stopping)
            pthread_cond_wait(&log->filled, &log->lock);
        if (!log->waiting.size)
            break;
        ps_buf swap = mine;
        mine = log->waiting;
        log->waiting = swap;
        pthread_mutex_unlock(&log->lock);
        write_all(log->fd, mine.data, mine.size);
        ps_buf_clear(&mine);
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    ps_buf_done(&mine);
    return NULL;
}

int ps_log_start(ps_log **out, int fd, const char *format, const char *level, ps_why *why)
{
    int wanted = ps_enum_find(ps_level_names, ps_text_of(level));
    bool json = strcmp(format, "json") == 0;
    if (wanted < 0)
        return ps_fail(why, PS_EINVAL, "log level", 0,
                       "\"%s\" is none of debug, info, warn, error", level);
    if (!json && strcmp(format, "logfmt") != 0)
        return ps_fail(why, PS_EINVAL, "log format", 0,
                       "\"%s\" is neither logfmt nor json", format);
    ps_log *log = calloc(1, sizeof *log);
    if (!log)
        return PS_ENOMEM;
    *log = (ps_log){.fd = fd, .json = json, .level = (ps_level)wanted};
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->filled, NULL);
    if (pthread_create(&log->thread, NULL, write_lines, log)) {
        free(log);
        return ps_fail(why, PS_ELIBRARY, "log", 0, "cannot start a thread");
    }
    *out = log;
    return PS_OK;
}

void ps_log_stop(ps_log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->filled);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->filled);
    ps_buf_done(&log->waiting);
    free(log);
}

bool ps_log_wants(const ps_log *log, ps_level level)
{
    return log && level >= log->level;
}

uint64_t ps_log_dropped(const ps_log *log)
{
    return log ? atomic_load_explicit(&log->dropped, memory_order_relaxed) : 0;
}

void ps_log_put(ps_log *log, ps_line *l, bool important)
{
    if (!l->text.size)
        return;
    pthread_mutex_lock(&log->lock);
    size_t limit = important ? 2 * WAITING_ROOM : WAITING_ROOM;
    bool fits = log->waiting.size + l->text.size <= limit && !l->text.failed;
    if (fits)
        ps_buf_add(&log->waiting, l->text.data, l->text.size);
    else
        log->dropped++;
    pthread_cond_signal(&log->filled);
    pthread_mutex_unlock(&log->lock);
    ps_buf_clear(&l->text);
    l->text.failed = false;
}

/* ------------------------------ Composing --------------------------------- */

/* The calendar is asked once a second, not once a line. */
static void add_time(ps_line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != l->second || !*l->stamp) {
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        strftime(l->stamp, sizeof l->stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        l->second = now.tv_sec;
    }
    long ms = now.tv_nsec / 1000000;
    char tail[6] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                    (char)('0' + ms % 10), 'Z'};
    ps_buf_text(&l->text, l->stamp);
    ps_buf_text(&l->text, tail);
}

/* logfmt needs quotes as soon as a reader could mistake where the value ends. */
static bool is_plain(ps_text v)
{
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return false;
    }
    return v.len > 0;
}

static void add_name(ps_line *l, const char *name)
{
    if (l->log->json) {
        ps_buf_char(&l->text, l->text.size == l->start ? '{' : ',');
        ps_buf_json(&l->text, name, strlen(name));
        ps_buf_char(&l->text, ':');
        return;
    }
    if (l->text.size != l->start)
        ps_buf_char(&l->text, ' ');
    ps_buf_text(&l->text, name);
    ps_buf_char(&l->text, '=');
}

void ps_line_text(ps_line *l, const char *name, ps_text value)
{
    add_name(l, name);
    if (!l->log->json && is_plain(value))
        ps_buf_add(&l->text, value.data, value.len);
    else
        ps_buf_json(&l->text, value.data, value.len);
}

void ps_line_u64(ps_line *l, const char *name, uint64_t value)
{
    add_name(l, name);
    ps_buf_u64(&l->text, value);
}

void ps_line_real(ps_line *l, const char *name, double value)
{
    add_name(l, name);
    ps_buf_real(&l->text, value, 6);
}

void ps_line_begin(ps_line *l, const ps_log *log, ps_level level, const char *msg)
{
    l->log = log;
    l->start = l->text.size;
    add_name(l, "ts");
    if (log->json)
        ps_buf_char(&l->text, '"');
    add_time(l);
    if (log->json)
        ps_buf_char(&l->text, '"');
    ps_line_text(l, "level", ps_text_of(ps_enum_name(ps_level_names, level)));
    ps_line_text(l, "msg", ps_text_of(msg));
}

void ps_line_end(ps_line *l)
{
    if (l->log->json)
        ps_buf_char(&l->text, '}');
    ps_buf_char(&l->text, '\n');
    l->start = l->text.size;
}

void ps_line_done(ps_line *l)
{
    ps_buf_done(&l->text);
}

void ps_log_say(ps_log *log, ps_level level, const char *msg, ...)
{
    if (!ps_log_wants(log, level))
        return;
    ps_line line = {0};
    ps_line_begin(&line, log, level, msg);
    va_list args;
    va_start(args, msg);
    for (const char *name; (name = va_arg(args, const char *));) {
        const char *value = va_arg(args, const char *);
        ps_line_text(&line, name, ps_text_of(value));
    }
    va_end(args);
    ps_line_end(&line);
    ps_log_put(log, &line, true);
    ps_line_done(&line);
}
