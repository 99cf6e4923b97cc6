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

/* Defaults and ranges stand behind each; times are milliseconds. */
typedef struct ps_serve_opts {
    const char *catalog;      /* required; the folder itself, no link to it */
    const char *link;         /* NULL; the link that led there, which may be switched */
    const char *listen;       /* "127.0.0.1:8080"; "[::1]:0", "*:80"; port 0: any free */
    const char *admin_listen; /* NULL; a second address with a loop of its own, so that
                                 probes and metrics answer when the others are busy */
    bool no_watch;            /* a new `current` is taken up only when somebody asks */
    const char *images;       /* NULL; folder of the pins' relative image names */
    ps_auth_opts auth;        /* who may write, and how often */
    const char *sandbox;      /* "auto"; see sandbox.h */
    ps_tls_opts tls;          /* certificate and key, for all addresses */
    const char *cors_origin; /* NULL; whose pages may read: origins with commas, or "*" */

    uint32_t loops;          /* 0 = one a core, 0..256: I/O threads */
    uint32_t connections;    /* 8192, 16..1000000: at once, all loops together */
    uint32_t idle_timeout;   /* 30000, 100..3600000: quiet keep-alive connections */
    uint32_t header_timeout; /* 10000, 100..3600000: for a request to arrive whole, + 1 s
                                per 16 KiB */
    uint32_t send_timeout;   /* 30000, 100..3600000: for an answer, + 1 s per 16 KiB */
    uint32_t drain_delay;    /* 5000, 0..3600000: served after SIGTERM */
    uint32_t drain_limit;    /* 10000, 0..3600000: wait for connections after that */

    uint32_t workers;  /* 0 = one a core, 0..256: threads for what is no lookup */
    uint32_t queue;    /* 1024, 1..1000000: requests that may wait for them; 503 above */
    uint32_t deadline; /* 1000, 0..3600000: for an answer; 504 after; 0 = none */

    uint32_t write_batch_size; /* 64, 1..4096: writes of one transaction */
    uint32_t write_delay;      /* 0, 0..1000: waited for more writes to join */
    uint32_t write_queue;      /* 4096, 1..1000000: writes that may wait; 429 above */
    uint32_t stale_queue;     /* 100000, 1..100000000: pins waiting to be embedded anew */
    uint64_t live_map_bytes;  /* 64 GiB, 1 MiB..: address space of live/ to begin with */
    uint32_t compact_threads; /* 0 = half of the cores, 0..256: of a compaction */
    uint32_t recall_every;    /* 10000, 0..86400000: between looks at the index's recall;
                                 0 = none */
    bool lazy_meta;           /* commits sync the data but not the meta page */

    uint64_t url_bytes;    /* 8192, 256..65536: longest request target; 414 above */
    uint64_t header_bytes; /* 32768, 4096..1048576: memory of a connection; 431 above */
    uint64_t body_bytes;   /* 1048576, 0..1073741824: longest request body; 413 above */
    uint64_t body_memory;  /* 268435456, 1048576..1099511627776: all request bodies at
                              once, unpacked; 503 above */
    uint64_t bulk_bytes;   /* 67108864, 0..1073741824: the same of many writes at once */
    uint64_t image_bytes;  /* 67108864, 1..4294967296: largest image served */
    uint64_t cache_bytes;  /* 67108864, 0..1099511627776: ready answers; 0 = none */
    uint64_t gzip_bytes;   /* 16384, 0..1073741824: answers from this on are packed for
                              who reads gzip; 0 = none */
    uint32_t max_age;      /* 0, 0..31536000 s: how long caches need not ask again */
    uint32_t k_max;        /* 1000, 1..1000: results of one answer */

    const char *log_format; /* "logfmt", or "json" */
    const char *log_level;  /* "info"; "debug", "warn", "error" */
    const char *access_log; /* "errors": 5xx and slow ones; "all", "off" */
    uint32_t access_sample; /* 1, 1..1000000: with "all", one in so many good answers */
    uint32_t slow;          /* 1000, 0..3600000: an answer that took longer is logged;
                               0 = none for that reason */
} ps_serve_opts;
#define PS_SERVE_DEFAULTS                                                                \
    ((ps_serve_opts){.listen = "127.0.0.1:8080",                                         \
                     .connections = 8192,                                                \
                     .sandbox = "auto",                                                  \
                     .auth = {.burst = 100},                                             \
                     .tls = {.priorities = PS_TLS_PRIORITIES},                           \
                     .idle_timeout = 30000,                                              \
                     .header_timeout = 10000,                                            \
                     .send_timeout = 30000,                                              \
                     .drain_delay = 5000,                                                \
                     .drain_limit = 10000,                                               \
                     .recall_every = 10000,                                              \
                     .write_batch_size = 64,                                             \
                     .write_queue = 4096,                                                \
                     .stale_queue = 100000,                                              \
                     .queue = 1024,                                                      \
                     .deadline = 1000,                                                   \
                     .url_bytes = 8192,                                                  \
                     .header_bytes = 32768,                                              \
                     .body_bytes = 1048576,                                              \
                     .body_memory = 268435456,                                           \
                     .bulk_bytes = 67108864,                                             \
                     .image_bytes = 67108864,                                            \
                     .cache_bytes = 67108864,                                            \
                     .gzip_bytes = 16384,                                                \
                     .k_max = 1000,                                                      \
                     .log_format = "logfmt",                                             \
                     .log_level = "info",                                                \
                     .access_log = "errors",                                             \
                     .access_sample = 1,                                                 \
                     .slow = 1000})

#endif
