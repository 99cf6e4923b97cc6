/* serve.c - `pinsage serve`: the daemon's options.
 *
 * Threads: main thread until ps_serve starts its own.
 */
#include "server/serve/serve.h"

#include "server/cli/commands.h"
#include "server/cli/steps.h"
#include "server/security/sandbox.h"

typedef struct settings {
    ps_common common; /* threads are the I/O loops */
    ps_serve_opts serve;
} settings;

#define AT(member) offsetof(settings, serve.member)
static const ps_option options[] = {
    {"listen", 'l', PS_OPT_TEXT, "ADDR:PORT", AT(listen), "127.0.0.1:8080", 0, 0, NULL,
     "Where to serve; [::1]:0, *:80; port 0 takes a free one"},
    {"admin-listen", 0, PS_OPT_TEXT, "ADDR:PORT", AT(admin_listen), NULL, 0, 0, NULL,
     "A second address for probes and metrics, on a loop of its own"},
    {"no-watch", 0, PS_OPT_FLAG, NULL, AT(no_watch), NULL, 0, 0, NULL,
     "Take up a new generation only at SIGHUP and POST /admin/reload"},
    {"accept-fewer", 0, PS_OPT_FLAG, NULL, AT(accept_fewer), NULL, 0, 0, NULL,
     "Take up a new generation also when it answers by fewer methods"},
    {"images", 0, PS_OPT_TEXT, "DIR", AT(images), NULL, 0, 0, NULL,
     "Folder of the pins' relative image names, served below /images/"},
    {"token-file", 0, PS_OPT_TEXT, "FILE", AT(auth.token_file), NULL, 0, 0, NULL,
     "Bearer tokens, one a line, a name before each if you like; read again when it "
     "changes. Without it only this machine may write"},
    {"rate-limit", 0, PS_OPT_RATE, "N/s", AT(auth.rate), "0", 0, 1000000, NULL,
     "Writes that each token may make; also N/m; 0: as many as it likes"},
    {"rate-burst", 0, PS_OPT_U32, "N", AT(auth.burst), "100", 1, 1000000, NULL,
     "Writes at once, after a rest"},
    {"read-only", 0, PS_OPT_FLAG, NULL, AT(auth.read_only), NULL, 0, 0, NULL,
     "Refuse every write; what was written is shown as of the start or the last reload"},
    {"sandbox", 0, PS_OPT_CHOICE, "MODE", AT(sandbox), "auto", 0, 0,
     PS_CHOICES(PS_SANDBOX_MODES),
     "Keep the server to its own files and to what serving needs of the kernel; auto "
     "takes what this kernel can, strict does not start without all of it"},
    {"tls-cert", 0, PS_OPT_TEXT, "FILE", AT(tls.cert), NULL, 0, 0, NULL,
     "Serve HTTPS with this certificate, in PEM, those that vouch for it after it; read "
     "again when it changes and at SIGHUP"},
    {"tls-key", 0, PS_OPT_TEXT, "FILE", AT(tls.key), NULL, 0, 0, NULL,
     "The certificate's private key, in PEM"},
    {"tls-priorities", 0, PS_OPT_TEXT, "WORDS", AT(tls.priorities), PS_TLS_PRIORITIES, 0,
     0, NULL, "Ciphers and their kind, in GnuTLS's words; never below TLS 1.2"},
    {"connections", 0, PS_OPT_U32, "N", AT(connections), "8192", 16, 1000000, NULL,
     "Connections at once, all loops together"},
    {"idle-timeout", 0, PS_OPT_MS, "TIME", AT(idle_timeout), "30s", 100, 3600000, NULL,
     "Quiet keep-alive connections are closed after this"},
    {"header-timeout", 0, PS_OPT_MS, "TIME", AT(header_timeout), "10s", 100, 3600000,
     NULL,
     "A request must have arrived whole within this, and 1 s per 16 KiB of its body"},
    {"send-timeout", 0, PS_OPT_MS, "TIME", AT(send_timeout), "30s", 100, 3600000, NULL,
     "An answer must have been taken within this, and 1 s per 16 KiB"},
    {"drain-delay", 0, PS_OPT_MS, "TIME", AT(drain_delay), "5s", 0, 3600000, NULL,
     "How long to go on serving after SIGTERM, while readiness fails"},
    {"drain-limit", 0, PS_OPT_MS, "TIME", AT(drain_limit), "10s", 0, 3600000, NULL,
     "How long to wait for open connections after that"},
    {"workers", 0, PS_OPT_U32, "N", AT(workers), "0", 0, 256, NULL,
     "Threads for requests that are no lookup; 0: one a core"},
    {"queue", 0, PS_OPT_U32, "N", AT(queue), "1024", 1, 1000000, NULL,
     "Requests that may wait for a worker; more are told to come back"},
    {"deadline", 0, PS_OPT_MS, "TIME", AT(deadline), "1s", 0, 3600000, NULL,
     "A request that is not answered within this is given up; 0: never. Clients may ask "
     "for less by Connect-Timeout-Ms"},
    {"compact-threads", 0, PS_OPT_U32, "N", AT(compact_threads), "0", 0, 256, NULL,
     "Threads of a compaction, beside those that serve; 0: half of the cores"},
    {"verify-rate", 0, PS_OPT_U64, "SIZE", AT(verify_rate), "64M", 0, 1099511627776, NULL,
     "Read a generation's files against their checksums once it is in use, so many bytes "
     "a "
     "second; a damaged one fails readiness; 0: never"},
    {"recall-every", 0, PS_OPT_MS, "TIME", AT(recall_every), "10s", 0, 86400000, NULL,
     "How often a live question is answered exactly too, to watch the index's recall; 0: "
     "never"},
    {"write-batch", 0, PS_OPT_U32, "N", AT(write_batch_size), "64", 1, 4096, NULL,
     "Writes that are made durable together, at most"},
    {"write-delay", 0, PS_OPT_MS, "TIME", AT(write_delay), "0", 0, 1000, NULL,
     "How long a write waits for others to join it; 0: those that are there"},
    {"write-queue", 0, PS_OPT_U32, "N", AT(write_queue), "4096", 1, 1000000, NULL,
     "Writes that may wait; more are told to come back"},
    {"stale-queue", 0, PS_OPT_U32, "N", AT(stale_queue), "100000", 1, 100000000, NULL,
     "Pins that may wait to be embedded anew after their boards changed"},
    {"live-map-bytes", 0, PS_OPT_U64, "SIZE", AT(live_map_bytes), "64G", 1048576,
     70368744177664, NULL,
     "Address space of what is written; doubled when it is full, and free until used"},
    {"accept-live", 0, PS_OPT_FLAG, NULL, AT(accept_live), NULL, 0, 0, NULL,
     "Go on though live/ is missing, empty, of another catalog or older than it was, and "
     "give up what was written; once: from then on it is the right one"},
    {"lazy-meta", 0, PS_OPT_FLAG, NULL, AT(lazy_meta), NULL, 0, 0, NULL,
     "Sync the data of a commit but not its meta page: faster, and a power cut may undo "
     "the last writes"},
    {"url-bytes", 0, PS_OPT_U64, "SIZE", AT(url_bytes), "8K", 256, 65536, NULL,
     "Longest request target"},
    {"header-bytes", 0, PS_OPT_U64, "SIZE", AT(header_bytes), "32K", 4096, 1048576, NULL,
     "Memory for a connection's request line and headers"},
    {"body-bytes", 0, PS_OPT_U64, "SIZE", AT(body_bytes), "1M", 0, 1073741824, NULL,
     "Longest request body, unpacked if it is gzip"},
    {"body-memory", 0, PS_OPT_U64, "SIZE", AT(body_memory), "256M", 1048576,
     1099511627776, NULL,
     "Memory for all request bodies at once, unpacked; who sends more is told to come "
     "back"},
    {"bulk-bytes", 0, PS_OPT_U64, "SIZE", AT(bulk_bytes), "64M", 0, 1073741824, NULL,
     "Longest body of many writes at once"},
    {"image-bytes", 0, PS_OPT_U64, "SIZE", AT(image_bytes), "64M", 1, 4294967296, NULL,
     "Largest image that is served"},
    {"cache-bytes", 0, PS_OPT_U64, "SIZE", AT(cache_bytes), "64M", 0, 1099511627776, NULL,
     "Memory for ready answers, all loops together; 0 keeps none"},
    {"gzip-bytes", 0, PS_OPT_U64, "SIZE", AT(gzip_bytes), "16K", 0, 1073741824, NULL,
     "Answers from this size on are packed for clients that read gzip; 0: none"},
    {"max-age", 0, PS_OPT_U32, "SECONDS", AT(max_age), "0", 0, 31536000, NULL,
     "How long caches may give away an answer before they ask again whether it is new"},
    {"allowed-hosts", 0, PS_OPT_TEXT, "NAMES", AT(allowed_hosts), NULL, 0, 0, NULL,
     "Names that clients may call this server by, commas between them; or *. Without it "
     "any, but only this machine's when it listens on the loopback, and for writes "
     "without tokens"},
    {"cors-origin", 0, PS_OPT_TEXT, "ORIGINS", AT(cors_origin), NULL, 0, 0, NULL,
     "Sites whose pages may read answers in a browser, as https://shop.example, commas "
     "between them; or *"},
    {"k-max", 0, PS_OPT_U32, "N", AT(k_max), "1000", 1, 1000, NULL,
     "Most results of one answer"},
    {"log-format", 0, PS_OPT_CHOICE, "FORMAT", AT(log_format), "logfmt", 0, 0,
     PS_CHOICES("logfmt", "json"), "Lines on stderr"},
    {"log-level", 0, PS_OPT_CHOICE, "LEVEL", AT(log_level), "info", 0, 0, &ps_level_names,
     "What is logged"},
    {"access-log", 0, PS_OPT_CHOICE, "WHICH", AT(access_log), "errors", 0, 0,
     PS_CHOICES("errors", "all", "off"),
     "Requests that are logged; errors are 5xx and slow ones"},
    {"access-sample", 0, PS_OPT_U32, "N", AT(access_sample), "1", 1, 1000000, NULL,
     "With --access-log=all, one in N good answers"},
    {"slow", 0, PS_OPT_MS, "TIME", AT(slow), "1s", 0, 3600000, NULL,
     "An answer that took longer is logged; 0: none for that reason"},
    PS_COMMON_OPTIONS,
    {0},
};

ps_serve_opts ps_cli_serve_defaults(void)
{
    settings s = {0};
    ps_options_default(options, &s);
    return s.serve;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    s->serve.catalog = words->word[0];
    s->serve.link = words->link;
    s->serve.loops = s->common.threads;
    return ps_serve(&s->serve, why);
}

const ps_command ps_command_serve = {
    .name = "serve",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Answer related pins over HTTP until SIGTERM",
    .doc = "--threads is the number of I/O loops, one a core by default.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
