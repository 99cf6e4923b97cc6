/* serve_opts.h - what a server was told at its start.
 *
 * Threads: constant once the loops turn.
 * Not here: their names and help texts (server/cli/serve.c), acting on them (serve.h).
 */
#ifndef PINSAGE_SERVER_STATE_SERVE_OPTS_H
#define PINSAGE_SERVER_STATE_SERVE_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/security/auth.h"
#include "server/security/tls.h"

/* Times are milliseconds. Defaults and ranges stand in the table of options
 * (server/cli/serve.c). */
typedef struct ps_serve_opts {
    const char *catalog;       /* required; the folder itself, no link to it */
    const char *link;          /* NULL; the link that led there, which may be switched */
    const char *listen;        /* "127.0.0.1:8080"; "[::1]:0", "*:80"; port 0: any free */
    const char *admin_listen;  /* NULL; a second address with a loop of its own, so that
                                 probes and metrics answer when the others are busy */
    bool no_watch;             /* a new `current` is taken up only when somebody asks */
    bool accept_fewer;         /* also a generation that answers by fewer methods */
    const char *images;        /* NULL; folder of the pins' relative image names */
    ps_auth_opts auth;         /* who may write, and how often */
    const char *sandbox;       /* "auto"; see sandbox.h */
    ps_tls_opts tls;           /* certificate and key, for all addresses */
    const char *allowed_hosts; /* NULL; names to answer to, with commas: see hosts.h */
    const char *cors_origin; /* NULL; whose pages may read: origins with commas, or "*" */

    uint32_t loops;          /* 0 = one a core: I/O threads */
    uint32_t connections;    /* at once, all loops together */
    uint32_t idle_timeout;   /* quiet keep-alive connections */
    uint32_t header_timeout; /* for a request to arrive whole, + 1 s
                                per 16 KiB */
    uint32_t send_timeout;   /* for an answer, + 1 s per 16 KiB */
    uint32_t drain_delay;    /* served after SIGTERM */
    uint32_t drain_limit;    /* wait for connections after that */

    uint32_t workers;  /* 0 = one a core: threads for what is no lookup */
    uint32_t queue;    /* requests that may wait for them; 503 above */
    uint32_t deadline; /* for an answer; 504 after; 0 = none */

    uint32_t write_batch_size; /* writes of one transaction */
    uint32_t write_delay;      /* waited for more writes to join */
    uint32_t write_queue;      /* writes that may wait; 429 above */
    uint32_t stale_queue;      /* pins waiting to be embedded anew */
    uint64_t live_map_bytes;   /* address space of live/ to begin with */
    uint32_t compact_threads;  /* 0 = half of the cores: of a compaction */
    uint64_t verify_rate;      /* bytes a second of files read against their checksums
                                  once a generation is in use; 0 = none */
    uint32_t recall_every;     /* between looks at the index's recall;
                                 0 = none */
    bool accept_live;          /* though it is not the live store that was there before */
    bool lazy_meta;            /* commits sync the data but not the meta page */

    uint64_t url_bytes;    /* longest request target; 414 above */
    uint64_t header_bytes; /* memory of a connection; 431 above */
    uint64_t body_bytes;   /* longest request body; 413 above */
    uint64_t body_memory;  /* all request bodies at once, unpacked; 503 above */
    uint64_t bulk_bytes;   /* the same of many writes at once */
    uint64_t image_bytes;  /* largest image served */
    uint64_t cache_bytes;  /* ready answers; 0 = none */
    uint64_t gzip_bytes;   /* answers from this on are packed for
                              who reads gzip; 0 = none */
    uint32_t max_age;      /* seconds: how long caches need not ask again */
    uint32_t k_max;        /* results of one answer */

    const char *log_format; /* "logfmt", or "json" */
    const char *log_level;  /* "info"; "debug", "warn", "error" */
    const char *access_log; /* "errors": 5xx and slow ones; "all", "off" */
    uint32_t access_sample; /* with "all", one in so many good answers */
    uint32_t slow;          /* an answer that took longer is logged;
                               0 = none for that reason */
} ps_serve_opts;

#endif
