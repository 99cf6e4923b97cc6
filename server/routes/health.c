/* health.c - the table of checks.
 *
 * Threads: any loop; a check takes no lock for longer than a copy.
 */
#include "server/routes/health.h"

#include <stdio.h>
#include <string.h>

#include "pinsage/clock.h"
#include "server/state/file_check.h"

#define STALLED_NS 10000000000u /* a loop that did not turn for so long is stuck */

typedef bool (*check_fn)(ps_state *s, char *why, size_t room);

static bool check_loops(ps_state *s, char *why, size_t room)
{
    uint64_t now = ps_now_ns();
    for (unsigned i = 0; i < s->n_loops; i++) {
        uint64_t tick = ps_count_get(&s->stats[i].tick_ns);
        if (tick && now > tick && now - tick > STALLED_NS) {
            snprintf(why, room, "loop %u has not turned for %.1f s", i,
                     (double)(now - tick) * 1e-9);
            return false;
        }
    }
    return true;
}

static bool check_generation(ps_state *s, char *why, size_t room)
{
    char stage[64];
    ps_engine *e = ps_state_engine(s);
    ps_state_stage(s, stage, sizeof stage);
    if (!e)
        snprintf(why, room, "no generation is open yet%s%s", *stage ? ": " : "", stage);
    ps_engine_release(e);
    return e != NULL;
}

static bool check_index(ps_state *s, char *why, size_t room)
{
    ps_engine *e = ps_state_engine(s);
    bool good = e != NULL; /* an engine without the index it needs does not open */
    if (!good)
        snprintf(why, room, "the index is not loaded yet");
    ps_engine_release(e);
    return good;
}

static bool check_canary(ps_state *s, char *why, size_t room)
{
    bool good = ps_state_canary(s);
    if (!good)
        snprintf(why, room, "the test question was not answered yet");
    return good;
}

static bool check_files(ps_state *s, char *why, size_t room)
{
    ps_file_check_counts counts = ps_file_check_count(s->files);
    snprintf(why, room, "%s", counts.first);
    return !counts.damaged;
}

static bool check_draining(ps_state *s, char *why, size_t room)
{
    bool draining = atomic_load(&s->draining);
    if (draining)
        snprintf(why, room, "the server is on its way out");
    return !draining;
}

static const struct {
    const char *name;
    check_fn check;
    bool live;
} checks[] = {
    {"loops", check_loops, true},  {"generation", check_generation, false},
    {"index", check_index, false}, {"canary", check_canary, false},
    {"files", check_files, false}, {"draining", check_draining, false},
};

enum { N_CHECKS = sizeof checks / sizeof *checks };

static bool excluded(const ps_request *r, const char *name)
{
    for (size_t i = 0; i < r->target.n_params; i++)
        if (ps_text_is(r->target.param[i].name, "exclude") &&
            ps_text_is(r->target.param[i].value, name))
            return true;
    return false;
}

static bool run_checks(ps_state *s, const ps_request *r, bool live, unsigned *asked,
                       ps_buf *told)
{
    bool good = true;
    for (unsigned i = 0; i < N_CHECKS; i++) {
        char why[300] = "";
        if ((live && !checks[i].live) || excluded(r, checks[i].name))
            continue;
        if (r->arg[0].data && !ps_text_is(r->arg[0], checks[i].name))
            continue;
        ++*asked;
        bool passed = checks[i].check(s, why, sizeof why);
        good = good && passed;
        if (passed)
            ps_buf_printf(told, "[+]%s ok\n", checks[i].name);
        else
            ps_buf_printf(told, "[-]%s failed: %s\n", checks[i].name, why);
    }
    return good;
}

static void answer(ps_context *d, const ps_request *r, ps_reply *out, bool live)
{
    unsigned asked = 0;
    bool good = run_checks(d->state, r, live, &asked, &out->body);
    if (!asked && r->arg[0].data) {
        ps_reply_error(out, (ps_failure){.code = PS_CODE_NOT_FOUND},
                       "there is no such check");
        return;
    }
    out->status = good ? 200 : 503;
    out->type = "text/plain; charset=utf-8";
    ps_reply_header(out, "Cache-Control", "no-store");
    if (good && !ps_request_param(r, "verbose")) {
        ps_buf_clear(&out->body);
        ps_buf_text(&out->body, "ok\n");
    } else {
        ps_buf_printf(&out->body, "%s check %s\n", live ? "livez" : "readyz",
                      good ? "passed" : "failed");
    }
}

void ps_health_live(ps_context *d, const ps_request *r, ps_reply *out)
{
    answer(d, r, out, true);
}

void ps_health_ready(ps_context *d, const ps_request *r, ps_reply *out)
{
    answer(d, r, out, false);
}

static bool all_pass(ps_state *s, bool live)
{
    char why[300];
    for (unsigned i = 0; i < N_CHECKS; i++)
        if ((!live || checks[i].live) && !checks[i].check(s, why, sizeof why))
            return false;
    return true;
}

bool ps_health_is_live(ps_state *s)
{
    return all_pass(s, true);
}

bool ps_health_is_ready(ps_state *s)
{
    return all_pass(s, false);
}
