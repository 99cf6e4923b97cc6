/* routes.c - the table of addresses, and how one is found.
 *
 * Threads: see routes.h.
 */
#include "server/routes/routes.h"

#include <stdio.h>
#include <string.h>

#include "pinsage/dot.h"
#include "pinsage/hash.h"
#include "server/base/process.h"
#include "server/message/params.h"
#include "server/routes/admin.h"
#include "server/routes/health.h"
#include "server/routes/rest.h"
#include "server/routes/rpc.h"
#include "server/routes/web.h"

/* What rows are; whatever is not said of a row is false. */
#define CACHED    .engine = true, .cacheable = true
#define ASKED     .engine = true
#define ON_WORKER .engine = true, .on_worker = true
#define WRITE     .engine = true, .write = true
#define BULK                                                                             \
    .engine = true, .write = true, .on_worker = true, .no_deadline = true, .bulk = true
#define ADMIN .admin = true, .no_deadline = true, .bodyless = true
#define PROBE .probe = true
#define FREE  .engine = false

#define RPC "/pinsage.v1.RecommendService/"
#define RPC_READ(method)                                                                 \
    {PS_GET, RPC method, ps_rpc_call, CACHED},                                           \
    {                                                                                    \
        PS_POST, RPC method, ps_rpc_call, ASKED, .rpc = true                             \
    }
#define RPC_WORK(method)                                                                 \
    {PS_GET, RPC method, ps_rpc_call, ON_WORKER},                                        \
    {                                                                                    \
        PS_POST, RPC method, ps_rpc_call, ON_WORKER, .rpc = true                         \
    }
#define RPC_WRITE(method)                                                                \
    {                                                                                    \
        PS_POST, RPC method, ps_rpc_call, WRITE, .rpc = true                             \
    }

/* Parameters of the rows: see ps_params_check. */
static const char *const none[] = {NULL};
static const char *const related[] = {"k",        "method",  "board",
                                      "*exclude", "explain", NULL};
static const char *const pin[] = {"limit", "offset", "features", NULL};
static const char *const page[] = {"limit", "offset", NULL};
static const char *const keep[] = {"keep", NULL};
static const char *const fewer[] = {"accept_fewer", NULL};
static const char *const checks[] = {"verbose", "*exclude", "...", NULL};

static const ps_route routes[] = {
    {PS_GET, "/related/{pin}", ps_rest_related, CACHED, .params = related},
    {PS_GET, "/pins/{pin}", ps_rest_pin, CACHED, .params = pin},
    {PS_GET, "/boards/{board}", ps_rest_board, CACHED, .params = page},
    {PS_POST, "/related", ps_rest_recommend, ON_WORKER, .params = none},
    {PS_POST, "/embed", ps_rest_embed, ON_WORKER, .params = none},
    {PS_PUT, "/pins/{pin}", ps_rest_put_pin, WRITE, .params = none},
    {PS_PATCH, "/pins/{pin}", ps_rest_patch_pin, WRITE, .params = none},
    {PS_POST, "/pins", ps_rest_put_pins, BULK, .params = none},
    {PS_DELETE, "/pins/{pin}", ps_rest_delete_pin, WRITE, .params = none},
    {PS_PUT, "/boards/{board}/pins/{pin}", ps_rest_save, WRITE, .bodyless = true,
     .params = none},
    {PS_DELETE, "/boards/{board}/pins/{pin}", ps_rest_unsave, WRITE, .params = none},
    {PS_POST, "/votes", ps_rest_vote, WRITE, .params = none},
    {PS_GET, "/images/{image...}", ps_rest_image, FREE},
    {PS_GET, "/version", ps_rest_version, CACHED, .params = none},
    {PS_GET, "/livez", ps_health_live, PROBE, .params = checks},
    {PS_GET, "/livez/{check}", ps_health_live, PROBE, .params = checks},
    {PS_GET, "/readyz", ps_health_ready, PROBE, .params = checks},
    {PS_GET, "/readyz/{check}", ps_health_ready, PROBE, .params = checks},
    {PS_GET, "/healthz", ps_health_ready, PROBE, .params = checks},
    {PS_GET, "/healthz/{check}", ps_health_ready, PROBE, .params = checks},
    {PS_POST, "/admin/reload", ps_admin_reload, ADMIN, .params = fewer},
    {PS_POST, "/admin/compact", ps_admin_compact, ADMIN, .params = keep},
    {PS_GET, "/metrics", ps_rest_metrics, FREE},
    {PS_GET, "/", ps_web_page, FREE},
    {PS_GET, "/openapi.json", ps_web_page, FREE},
    {PS_GET, "/eval.json", ps_web_eval, FREE},
    {PS_GET, "/{page}", ps_web_page, .exists = ps_web_has},
    RPC_READ("Related"),
    RPC_WORK("Recommend"),
    RPC_WORK("Embed"),
    RPC_READ("GetPin"),
    RPC_READ("GetBoard"),
    RPC_WRITE("PutPin"),
    RPC_WRITE("PatchPin"),
    RPC_WRITE("DeletePin"),
    RPC_WRITE("SavePin"),
    RPC_WRITE("UnsavePin"),
    RPC_WRITE("Vote"),
    {PS_GET, RPC "{method}", ps_rpc_unknown, .exists = ps_rpc_is_unknown},
    {PS_POST, RPC "{method}", ps_rpc_unknown, .rpc = true, .exists = ps_rpc_is_unknown},
    {PS_POST, "/grpc.health.v1.Health/Check", ps_rpc_health, PROBE, .rpc = true},
    {PS_GET, "none", NULL, FREE},
};

enum { N_ROUTES = sizeof routes / sizeof *routes };
_Static_assert(N_ROUTES <= PS_ROUTES_MAX, "the counters have no room for so many rows");

const ps_route *ps_route_at(unsigned i)
{
    return i < N_ROUTES ? &routes[i] : NULL;
}

unsigned ps_route_unmatched(void)
{
    return N_ROUTES - 1;
}

/* "GET, HEAD, OPTIONS" for a set of verbs. */
static const char *allow_header(unsigned set, ps_arena *arena)
{
    char text[80] = "";
    size_t n = 0;
    set |= (set & PS_GET ? PS_HEAD : 0u) | PS_OPTIONS;
    for (unsigned verb = PS_GET; verb <= PS_OPTIONS; verb <<= 1)
        if (set & verb)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "",
                                  ps_verb_name(verb));
    return ps_arena_copy(arena, text, n);
}

/* ------------------------------ Matching ----------------------------------- */

/* From segment i to the end, slashes between, as one text. */
static int join_rest(ps_text *out, const ps_target *t, size_t i, ps_arena *arena)
{
    size_t size = 0, n = 0;
    for (size_t s = i; s < t->n_segments; s++)
        size += t->segment[s].len + 1;
    char *text = ps_arena_alloc(arena, size);
    if (!text)
        return PS_ENOMEM;
    for (size_t s = i; s < t->n_segments; s++) {
        if (s > i)
            text[n++] = '/';
        memcpy(text + n, t->segment[s].data, t->segment[s].len);
        n += t->segment[s].len;
    }
    *out = (ps_text){text, n};
    return PS_OK;
}

static bool fits(const ps_route *route, ps_request *r)
{
    const ps_target *t = &r->target;
    const char *at = route->path;
    size_t n_args = 0, i = 0;
    memset(r->arg, 0, sizeof r->arg);
    for (; *at == '/'; i++) {
        const char *part = at + 1;
        size_t len = strcspn(part, "/");
        at = part + len;
        if (i == t->n_segments)
            return false;
        if (len > 4 && memcmp(part + len - 4, "...}", 4) == 0)
            return join_rest(&r->arg[n_args], t, i, r->arena) == PS_OK;
        ps_text s = t->segment[i];
        if (*part == '{' && s.len)
            r->arg[n_args++] = s;
        else if (s.len != len || memcmp(s.data, part, len) != 0)
            return false;
    }
    return i == t->n_segments && (!route->exists || route->exists(r->arg[0]));
}

/* The row for r, or -1 with the verbs of rows whose path fits. */
static int find_route(ps_request *r, unsigned *verbs_there)
{
    unsigned wanted = r->verb == PS_HEAD ? PS_GET : r->verb;
    *verbs_there = 0;
    for (int i = 0; i < N_ROUTES - 1; i++) {
        if (!fits(&routes[i], r))
            continue;
        if (routes[i].verb == wanted)
            return i;
        *verbs_there |= routes[i].verb;
    }
    return -1;
}

static void answer_unmatched(ps_request *r, unsigned verbs_there, ps_reply *out)
{
    if (!verbs_there) {
        ps_reply_error(out, (ps_failure){.code = PS_CODE_NOT_FOUND},
                       "there is nothing at this path (a slash inside an id is %%2F)");
        return;
    }
    const char *allow = allow_header(verbs_there, r->arena);
    if (r->verb == PS_OPTIONS)
        out->status = 204;
    else
        ps_reply_error(out, (ps_failure){.code = PS_CODE_UNIMPLEMENTED, .status = 405},
                       "%s is not for this path", ps_verb_name(r->verb));
    if (allow)
        ps_reply_header(out, "Allow", allow);
}

bool ps_route_takes_body(const ps_route *route)
{
    return (route->verb & (PS_POST | PS_PUT | PS_PATCH)) && !route->bodyless;
}

/* "OPTIONS *" asks about the server as such. */
static bool is_about_all(const ps_request *r)
{
    return r->verb == PS_OPTIONS && ps_text_is(r->raw, "*");
}

bool ps_route_admit(ps_context *d, ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    if (is_about_all(r)) {
        answer_unmatched(r, PS_GET | PS_POST | PS_PUT | PS_DELETE | PS_PATCH, out);
        return false;
    }
    r->route = ps_route_unmatched();
    int err = ps_target_parse(&r->target, r->raw, r->arena, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return false;
    }
    unsigned verbs_there;
    int i = find_route(r, &verbs_there);
    if (i < 0) {
        answer_unmatched(r, verbs_there, out);
        return false;
    }
    r->route = (unsigned)i;
    unsigned powers = (routes[i].write ? PS_MAY_WRITE : PS_MAY_READ) |
                      (routes[i].admin ? PS_MAY_ADMIN : PS_MAY_READ);
    if (!ps_auth_check(d->state->auth, r, powers, out))
        return false;
    err = routes[i].params ? ps_params_check(r, routes[i].params, &why) : PS_OK;
    if (err)
        ps_reply_failed(out, err, &why);
    return !err;
}

/* Two answers to one question with one ETag are equal, whichever process gave them: it
 * says all that an answer is made of. Vectors are multiplied by kernels that differ in
 * the last digit, and addresses of images depend on whether there are any. */
static void make_etag(ps_context *d, ps_view_identity made_of)
{
    char text[200];
    int n = snprintf(text, sizeof text, "%.80s %s %llx %llx %llu %d", ps_version(),
                     ps_dot_path(), (unsigned long long)made_of.generation,
                     (unsigned long long)made_of.number,
                     (unsigned long long)made_of.version, d->state->images != NULL);
    uint64_t hash = ps_hash(text, (size_t)n);
    snprintf(d->etag, sizeof d->etag, "W/\"%016llx\"", (unsigned long long)hash);
    d->etag_install = d->install;
    d->etag_version = made_of.version;
}

/* The same for all answers of one version. */
static const char *etag_of(ps_context *d, const ps_request *r, ps_view_identity made_of)
{
    if (d->etag_install != d->install || d->etag_version != made_of.version)
        make_etag(d, made_of);
    return ps_arena_copy(r->arena, d->etag, strlen(d->etag));
}

static void ask_engine(ps_context *d, const ps_request *r, ps_reply *out)
{
    const ps_route *route = &routes[r->route];
    out->install = d->install;
    ps_reader_begin(d->reader); /* at what has been written by now */
    ps_reader_set_deadline(d->reader, r->deadline_ns);
    ps_view_identity made_of = ps_reader_identity(d->reader);
    out->version = made_of.version;
    route->handle(d, r, out);
    out->cacheable = route->cacheable && out->status == 200 && !out->later &&
                     !out->uncacheable && ps_reader_settled(d->reader);
    ps_reader_end(d->reader);
    if (out->cacheable && !out->etag)
        out->etag = etag_of(d, r, made_of);
}

void ps_route_run(ps_context *d, const ps_request *r, ps_reply *out)
{
    const ps_route *route = &routes[r->route];
    if (!route->engine) {
        route->handle(d, r, out);
    } else if (d->reader) {
        ask_engine(d, r, out);
    } else {
        ps_reply_error(out, (ps_failure){.code = PS_CODE_UNAVAILABLE},
                       "the catalog is being opened");
        ps_reply_header(out, "Retry-After", "1");
    }
}
