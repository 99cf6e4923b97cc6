/* auth.c - rights, rates, and the words of refusals.
 *
 * A rate is a bucket a token: it fills by `rate` a second up to `burst` and each write
 * takes one out. Buckets go with the names when the file is read anew, so that saving it
 * gives nobody a fresh one. Writers on the loopback share one.
 *
 * Threads: one lock over tokens and buckets; it is held for a comparison, which is less
 * than any write costs. See auth.h.
 */
#include "server/security/auth.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "pinsage/clock.h"
#include "server/security/token_file.h"

typedef struct bucket {
    double level; /* writes that may come now */
    double since; /* when it was so, ps_now time */
} bucket;

struct ps_auth {
    const ps_auth_opts *opts; /* borrowed */
    ps_log *log;              /* borrowed */
    pthread_mutex_t lock;
    ps_tokens tokens;                 /* guarded */
    bucket bucket[PS_TOKENS_MAX + 1]; /* guarded; of each token, and the loopback's */
    ps_stamp refused;                 /* of the file that was no good */
    bool is_refused;
};
enum { LOOPBACK = PS_TOKENS_MAX };

/* ------------------------------ The file ----------------------------------- */

static void warn_of(const ps_auth *a, const ps_tokens *t)
{
    if (t->mode & 04)
        ps_log_say(a->log, PS_LOG_WARN, "everybody on this machine may read the tokens",
                   "file", a->opts->token_file, NULL);
    if (t->has_short)
        ps_log_say(a->log, PS_LOG_WARN,
                   "a token is shorter than 16 characters and can be guessed", "file",
                   a->opts->token_file, NULL);
}

static bucket full(const ps_auth *a)
{
    return (bucket){.level = a->opts->burst, .since = ps_now()};
}

int ps_auth_open(ps_auth **out, const ps_auth_opts *opts, ps_log *log, ps_why *why)
{
    ps_auth *a = calloc(1, sizeof *a);
    if (!a)
        return PS_ENOMEM;
    a->opts = opts;
    a->log = log;
    int err =
        opts->token_file ? ps_tokens_read(&a->tokens, opts->token_file, why) : PS_OK;
    if (err) {
        free(a);
        return err;
    }
    pthread_mutex_init(&a->lock, NULL);
    for (size_t i = 0; i <= LOOPBACK; i++)
        a->bucket[i] = full(a);
    warn_of(a, &a->tokens);
    *out = a;
    return PS_OK;
}

void ps_auth_close(ps_auth *a)
{
    if (!a)
        return;
    ps_tokens_done(&a->tokens);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The buckets of new tokens in their order: those of old names, else full ones. */
static void keep_buckets(ps_auth *a, const ps_tokens *new)
{
    bucket kept[PS_TOKENS_MAX];
    for (size_t i = 0; i < new->n; i++) {
        kept[i] = full(a);
        for (size_t j = 0; j < a->tokens.n; j++)
            if (strcmp(new->token[i].name, a->tokens.token[j].name) == 0)
                kept[i] = a->bucket[j];
    }
    memcpy(a->bucket, kept, new->n * sizeof *kept);
}

static void refuse_file(ps_auth *a, int err, const ps_why *why)
{
    char text[600];
    ps_stamp stamp = ps_stamp_at(a->opts->token_file);
    if (a->is_refused && memcmp(&stamp, &a->refused, sizeof stamp) == 0)
        return; /* told already */
    a->is_refused = true;
    a->refused = stamp;
    ps_why_format(why, err, text, sizeof text);
    ps_log_say(a->log, PS_LOG_ERROR, "the tokens stay as they were", "error", text, NULL);
}

void ps_auth_refresh(ps_auth *a)
{
    ps_tokens new;
    ps_why why = {0};
    if (!a->opts->token_file || !ps_stamp_differs(&a->tokens.stamp, a->opts->token_file))
        return;
    int err = ps_tokens_read(&new, a->opts->token_file, &why);
    if (err) {
        refuse_file(a, err, &why);
        return;
    }
    pthread_mutex_lock(&a->lock);
    keep_buckets(a, &new);
    ps_tokens old = a->tokens;
    a->tokens = new;
    pthread_mutex_unlock(&a->lock);
    ps_tokens_done(&old);
    a->is_refused = false;
    char count[12];
    snprintf(count, sizeof count, "%zu", a->tokens.n);
    ps_log_say(a->log, PS_LOG_INFO, "tokens read anew", "tokens", count, NULL);
    warn_of(a, &a->tokens);
}

/* ------------------------------ The loopback ------------------------------- */

bool ps_is_loopback(const struct sockaddr_storage *peer)
{
    if (peer && peer->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)peer;
        return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    }
    if (!peer || peer->ss_family != AF_INET6)
        return false;
    const struct in6_addr *six =
        &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) ||
           (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* "http://HOST" of our own. A browser names the page that writes; curl does not. */
static bool is_own_origin(const ps_headers *h)
{
    ps_text o = h->origin;
    const char *slashes = o.data ? memmem(o.data, o.len, "://", 3) : NULL;
    if (!o.data)
        return true;
    if (!slashes)
        return false; /* "null" */
    size_t skip = (size_t)(slashes - o.data) + 3;
    return h->host.len && ps_text_alike((ps_text){o.data + skip, o.len - skip}, h->host);
}

static const char *refuse_local(const ps_request *r)
{
    const ps_headers *h = &r->header;
    if (!ps_is_loopback(r->peer))
        return "without a token file only this machine may do that";
    if (h->proxied)
        return "without a token file a request through a proxy may not do that";
    if (!is_own_origin(h))
        return "without a token file a page of another site may not do that";
    if (!h->names_us)
        return "without a token file the Host header must name this machine; "
               "see --allowed-hosts";
    return NULL;
}

/* ------------------------------ Checking ----------------------------------- */

static bool forbid(ps_reply *out, const char *text)
{
    ps_reply_error(out, (ps_failure){.code = PS_CODE_PERMISSION_DENIED}, "%s", text);
    return false;
}

static bool ask_for_token(ps_reply *out, bool shown)
{
    ps_reply_error(out, (ps_failure){.code = PS_CODE_UNAUTHENTICATED}, "%s",
                   shown ? "this bearer token is not one of the server's"
                         : "this needs a header \"Authorization: Bearer TOKEN\"");
    ps_reply_header(out, "WWW-Authenticate",
                    shown ? "Bearer realm=\"pinsage\", error=\"invalid_token\""
                          : "Bearer realm=\"pinsage\"");
    return false;
}

/* "Bearer TOKEN"; data NULL when it is something else. */
static ps_text bearer(ps_text header)
{
    static const char scheme[] = "Bearer ";
    size_t n = sizeof scheme - 1;
    if (header.len <= n || strncasecmp(header.data, scheme, n) != 0)
        return (ps_text){0};
    ps_text t = {header.data + n, header.len - n};
    while (t.len && t.data[0] == ' ')
        t = (ps_text){t.data + 1, t.len - 1};
    return t;
}

/* Take a write out of the bucket; else how many seconds until there is one. */
static double take(const ps_auth *a, bucket *b)
{
    double now = ps_now(), rate = a->opts->rate;
    if (rate <= 0)
        return 0;
    b->level = fmin(b->level + (now - b->since) * rate, a->opts->burst);
    b->since = now;
    if (b->level < 1)
        return (1 - b->level) / rate;
    b->level -= 1;
    return 0;
}

static bool slow_down(const ps_request *r, double wait, ps_reply *out)
{
    char text[24];
    snprintf(text, sizeof text, "%.0f", fmax(1, ceil(wait)));
    const char *kept = ps_arena_copy(r->arena, text, strlen(text));
    ps_reply_error(out, (ps_failure){.code = PS_CODE_RESOURCE_EXHAUSTED, .status = 429},
                   "%.*s writes more often than it may", (int)r->who.len, r->who.data);
    if (kept)
        ps_reply_header(out, "Retry-After", kept);
    return false;
}

/* The bucket of who asks, -1 if no token is shown that we know. Fills r->who. */
static int find_who(ps_auth *a, ps_request *r, ps_text shown)
{
    int i = shown.data ? ps_tokens_find(&a->tokens, shown) : -1;
    if (i < 0)
        return -1;
    const char *name = a->tokens.token[i].name;
    const char *copy = ps_arena_copy(r->arena, name, strlen(name));
    r->who = ps_text_of(copy ? copy : "");
    return i;
}

bool ps_auth_check(ps_auth *a, ps_request *r, unsigned powers, ps_reply *out)
{
    ps_text shown = bearer(r->header.authorization);
    bool tokens = a->opts->token_file != NULL;
    if (!(powers & (PS_MAY_WRITE | PS_MAY_ADMIN)))
        return true;
    if ((powers & PS_MAY_WRITE) && a->opts->read_only)
        return forbid(out, "this server is read-only");
    const char *no = tokens ? NULL : refuse_local(r);
    if (no)
        return forbid(out, no);
    if (!tokens)
        r->who = ps_text_of("the loopback");
    pthread_mutex_lock(&a->lock);
    int who = tokens ? find_who(a, r, shown) : LOOPBACK;
    double wait = who < 0 ? 0 : take(a, &a->bucket[who]);
    pthread_mutex_unlock(&a->lock);
    if (who < 0)
        return ask_for_token(out, shown.data != NULL);
    return wait > 0 ? slow_down(r, wait, out) : true;
}
