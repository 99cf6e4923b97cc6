/* site.h - for benches of the server: a catalog, servers in processes of their own, and
 * programs that ask them.
 */
#ifndef PINSAGE_TESTS_BENCH_SITE_H
#define PINSAGE_TESTS_BENCH_SITE_H

#include <stdint.h>
#include <sys/types.h>

#include "server/serve/serve.h"

extern ps_why site_why;
void site_die(const char *what) __attribute__((noreturn));
#define site_must(err, what) ((err) ? site_die(what) : (void)0)

/* Make a folder for the bench's files, and in it a catalog, unless one is given. */
const char *site_open(const char *bench, const char *catalog);
void site_close(void); /* removes them */
/* A name in the folder; one of the last eight. */
const char *site_below(const char *name);

/* Pins of a catalog (n), scattered. */
typedef struct site_corpus {
    const char *catalog;
    uint32_t *rows;
    char (*ids)[64];
    uint32_t n;
} site_corpus;
site_corpus site_scatter(const char *catalog);
/* A script for wrk that asks /related/ID?query for each, one after the other. */
void site_write_script(const char *path, char (*ids)[64], uint32_t n, const char *query);

unsigned site_free_port(void);
/* One loop and one worker, read-only, errors logged. */
ps_serve_opts site_opts(const char *catalog, unsigned port);
/* A process that ends with this one. core -1: any. */
pid_t site_serve(const ps_serve_opts *opts, int core);
void site_wait_until_ready(unsigned port);
void site_stop(pid_t pid);
void site_pin_to(unsigned core);

/* Output of a command, in a buffer that the next call reuses. */
const char *site_output(const char *command);

#endif
