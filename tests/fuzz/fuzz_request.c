/* fuzz_request.c - requests of any kind to a small catalog, without HTTP: every answer
 * has a status that is no fault of ours, and JSON is JSON.
 *
 *     POST /related HTTP-like first line: verb, target
 *     content-type: application/json
 *                                  a few headers, an empty line, the body
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "pinsage/ann.h"
#include "pinsage/file.h"
#include "server/cli/steps.h"
#include "server/routes/routes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"

const unsigned fuzz_rounds = 20000;

static ps_serve_opts opts;
static ps_state state;
static ps_context context;
static ps_arena arena;
static ps_reply reply;

/* ------------------------------ A server without HTTP ---------------------- */

static void open_engine(void)
{
    ps_why why = {0};
    planted p;
    ps_ann_build_opts build = ps_cli_index_defaults();
    ps_ann_report report;
    ps_engine *e;
    use("requests");
    planted_make(&p, 40, 4, 1);
    planted_import(&p);
    planted_free(&p);
    build.vectors = "visual";
    build.threads = 1;
    must(ps_ann_build(catalog, &build, &report, NULL, &why), &why);
    must(ps_engine_open(&e, catalog, NULL, NULL, &why), &why);
    must(ps_reader_new(&context.reader, e), &why);
    ps_state_install(&state, e, true);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    ps_why why = {0};
    opts = ps_cli_serve_defaults();
    state.opts = &opts;
    state.n_loops = state.n_stats = 1;
    pthread_mutex_init(&state.lock, NULL);
    state.stats = aligned_alloc(_Alignof(ps_stats), sizeof *state.stats);
    fuzz_must(state.stats != NULL);
    memset(state.stats, 0, sizeof *state.stats);
    must(ps_log_start(&state.log, 2, "logfmt", "error", &why), &why);
    must(ps_auth_open(&state.auth, &opts.auth, state.log, &why), &why);
    must(ps_worker_pool_start(&state.pool,
                              (ps_worker_pool_opts){.workers = 1, .queue = 1}, &why),
         &why);
    context = (ps_context){.state = &state, .stats = state.stats, .worker = true};
    open_engine();
    return 0;
}

/* ------------------------------ Requests ----------------------------------- */

static ps_text next_line(ps_text *rest)
{
    const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    ps_text line = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    size_t used = line.len + (end != NULL);
    *rest = (ps_text){rest->data + used, rest->len - used};
    return line;
}

static void take_header(ps_headers *h, ps_text line)
{
    const struct {
        const char *name;
        ps_text *slot;
    } known[] = {{"accept: ", &h->accept},
                 {"authorization: ", &h->authorization},
                 {"content-type: ", &h->content_type},
                 {"content-encoding: ", &h->content_encoding},
                 {"connect-protocol-version: ", &h->connect_version},
                 {"connect-timeout-ms: ", &h->connect_timeout},
                 {"host: ", &h->host},
                 {"if-none-match: ", &h->if_none_match},
                 {"if-match: ", &h->if_match},
                 {"origin: ", &h->origin}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].name);
        if (line.len >= n && strncasecmp(line.data, known[i].name, n) == 0)
            *known[i].slot = (ps_text){line.data + n, line.len - n};
    }
}

static ps_request read_request(ps_text rest)
{
    static struct sockaddr_storage peer;
    struct sockaddr_in *four = (void *)&peer;
    *four = (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ps_request r = {.arena = &arena, .peer = &peer};
    ps_text line = next_line(&rest), verb = {line.data, line.len};
    char name[12] = {0};
    const char *space = line.len ? memchr(line.data, ' ', line.len) : NULL;
    if (space)
        verb.len = (size_t)(space - line.data);
    memcpy(name, verb.data, verb.len < sizeof name ? verb.len : sizeof name - 1);
    r.verb = ps_verb_of(name);
    if (space)
        r.raw = (ps_text){space + 1, line.len - verb.len - 1};
    while ((line = next_line(&rest)).len)
        take_header(&r.header, line);
    r.body = rest;
    return r;
}

static void look_at_reply(void)
{
    fuzz_must(reply.status >= 200 && reply.status < 600 && reply.status != 500);
    fuzz_must(!reply.later && reply.fd < 0 && !reply.body.failed);
    for (unsigned i = 0; i < reply.n_headers; i++)
        fuzz_must(reply.header[i].value && !strpbrk(reply.header[i].value, "\r\n"));
    if (reply.bytes || !reply.body.size || strcmp(reply.type, "application/json") != 0)
        return;
    json_t *j =
        json_loadb(reply.body.data, reply.body.size, JSON_REJECT_DUPLICATES, NULL);
    fuzz_must(j != NULL);
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_request r = read_request((ps_text){(const char *)data, size});
    if (!r.verb)
        return 0;
    ps_reply_reset(&reply);
    if (ps_route_admit(&context, &r, &reply))
        ps_route_run(&context, &r, &reply);
    look_at_reply();
    ps_arena_reset(&arena);
    return 0;
}
