/* httpd.h - for tests: a real loop and a real pool, and a client that speaks to it.
 *
 * The test says what a request leads to by wrapping ps_route_run. No engine is open.
 */
#ifndef PINSAGE_TESTS_SUPPORT_HTTPD_H
#define PINSAGE_TESTS_SUPPORT_HTTPD_H

#include <stddef.h>

#include "server/http/http.h"
#include "server/state/state.h"

/* Small limits, one worker, no deadline; a test changes them before it starts. */
extern ps_serve_opts httpd_opts;
extern ps_state httpd_state;

void httpd_reset(void);
void httpd_start(void);
/* As ps_serve does it: workers, then what still waits, then the loop. */
void httpd_stop(void);
/* Only the first two of these. */
void httpd_release(void);

/* A connection on which text was sent. */
int httpd_send(const char *text);
/* "GET /boards/WHAT" on a connection of its own; more headers, each with its line end. */
int httpd_ask(const char *what, const char *headers);
/* All that comes until the server closes; valid until the next call. */
const char *httpd_answer(int fd);
void httpd_expect(int fd, const char *status, const char *body);
void httpd_has(const char *text, const char *part);

/* A counter of all threads together. */
uint64_t httpd_sum(size_t offset);
#define HTTPD_SUM(field) httpd_sum(offsetof(ps_stats, field))

#endif
