/* fuzz_http.c - bytes on a connection, in two pieces: whatever they are, the connection
 * ends (by the sweep at the latest: the library overlooks an end that comes together
 * with data), and after a refusal that closes it nothing more is answered on it. The
 * first byte says where the pieces meet. No engine is open, and no worker comes.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/listen.h"
#include "server/cli/steps.h"
#include "server/http/http_inside.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/changes.h"

const unsigned fuzz_rounds = 10000;

static ps_serve_opts opts;
static ps_state state;
static ps_http *http;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    int listener;
    char told[PS_ADDRESS_MAX];
    ps_why why = {0};
    signal(SIGPIPE, SIG_IGN);
    opts = ps_cli_serve_defaults();
    opts.body_bytes = 1000;
    opts.url_bytes = 400;
    opts.header_bytes = 8192;
    state = (ps_state){.opts = &opts, .n_loops = 1, .n_stats = 1};
    pthread_mutex_init(&state.lock, NULL);
    state.stats = aligned_alloc(_Alignof(ps_stats), sizeof *state.stats);
    fuzz_must(state.stats != NULL);
    memset(state.stats, 0, sizeof *state.stats);
    must(ps_log_start(&state.log, 2, "logfmt", "error", &why), &why);
    must(ps_auth_open(&state.auth, &opts.auth, state.log, &why), &why);
    must(ps_worker_pool_start(&state.pool, (ps_worker_pool_opts){.workers = 1}, &why),
         &why);
    must(ps_listen(&listener, 1, "127.0.0.1:0", told, &why), &why);
    must(ps_http_start(&http, &state, 0, listener, &why), &why);
    return 0;
}

static char answer[1 << 20];

/* Turn the daemon, take what it says; true when it has closed. */
static bool turn(int fd, size_t *n)
{
    ps_http_run(http);
    for (;;) {
        ssize_t got = recv(fd, answer + *n, sizeof answer - 1 - *n, MSG_DONTWAIT);
        if (got == 0)
            return true;
        if (got < 0)
            return false;
        *n += (size_t)got;
        fuzz_must(*n < sizeof answer - 1);
    }
}

static void say(int fd, const uint8_t *data, size_t size)
{
    if (size) /* it may have hung up already */
        send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t converse(int fd, const uint8_t *data, size_t size)
{
    size_t n = 0, cut = size ? data[0] * (size - 1) / 255 : 0;
    say(fd, data + 1, cut);
    turn(fd, &n);
    if (size)
        say(fd, data + 1 + cut, size - 1 - cut);
    shutdown(fd, SHUT_WR);
    int turns = 0;
    while (!turn(fd, &n)) {
        fuzz_must(++turns < 400);
        if (turns == 200 && http->conns) {
            http->conns->deadline = 0;
            http_sweep(http);
        }
    }
    return n;
}

static void look_at_answers(size_t n)
{
    answer[n] = '\0';
    for (size_t i = 0; i < n; i++) /* an answer may hold what was sent */
        answer[i] = answer[i] ? answer[i] : ' ';
    fuzz_must(!n || strncmp(answer, "HTTP/1.", 7) == 0);
    char *last = strstr(answer, "Connection: close\r\n");
    fuzz_must(!last || !strstr(last, "\r\nHTTP/1.1 200 OK\r\n"));
    fuzz_must(!strstr(answer, "HTTP/1.1 500"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (size > 30000)
        return 0;
    fuzz_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    fuzz_must(MHD_add_connection(http->daemon, pair[1], (struct sockaddr *)&peer,
                                 sizeof peer) == MHD_YES);
    look_at_answers(converse(pair[0], data, size));
    close(pair[0]);
    ps_http_run(http);
    fuzz_must(!http->conns);
    return 0;
}
