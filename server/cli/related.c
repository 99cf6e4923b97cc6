/* related.c - `pinsage related`: what a request would answer, on the command line.
 *
 * Threads: main thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/buf.h"
#include "server/api/ops.h"
#include "server/cli/commands.h"

typedef struct settings {
    ps_common common;
    const char *method, *board;
    ps_option_list exclude;
    uint32_t k;
    bool json;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"k", 'k', PS_OPT_U32, "N", AT(k), "10", 1, PS_K_MAX, NULL, "How many"},
    {"method", 'm', PS_OPT_TEXT, "NAME", AT(method), NULL, 0, 0, NULL,
     "pixie, pixie-corrected, popular, or a feature block; without it the index"},
    {"board", 0, PS_OPT_TEXT, "NAME", AT(board), NULL, 0, 0, NULL,
     "Only pins of this board"},
    {"exclude", 'x', PS_OPT_LIST, "PIN", AT(exclude), NULL, 0, 0, NULL,
     "Leave this pin out; may be repeated"},
    {"json", 0, PS_OPT_FLAG, NULL, AT(json), NULL, 0, 0, NULL,
     "The answer as the server gives it"},
    PS_COMMON_OPTIONS,
    {0},
};

/* No images are served here: their names stay as they are. */
static void print_json(ps_reader *r, const ps_related *q, const ps_ranking *a, ps_buf *b)
{
    ps_state state = {0};
    ps_context context = {.state = &state, .reader = r};
    ps_reply reply = {0};
    ps_reply_reset(&reply);
    ps_op_write_related(&context, q, a, 0, &reply);
    ps_buf_add(b, reply.body.data, reply.body.size);
    ps_buf_char(b, '\n');
    b->failed = b->failed || reply.body.failed || reply.status != 200;
    ps_reply_done(&reply);
}

static void print_table(ps_reader *r, const ps_ranking *a, ps_buf *b)
{
    const char *bold = ps_cli_colour(STDOUT_FILENO) ? "\033[1m" : "";
    const char *plain = *bold ? "\033[0m" : "";
    ps_pin pin = {0};
    ps_reader_pin(r, a->row, &pin);
    ps_buf_printf(b, "%s%.*s%s  %.*s\n", bold, (int)pin.id.len, pin.id.data, plain,
                  (int)pin.title.len, pin.title.data);
    ps_buf_printf(b, "by %s (%s)\n", a->method, ps_source_name[a->source]);
    for (uint32_t i = 0; i < a->n; i++) {
        ps_reader_pin(r, a->result[i].row, &pin);
        int wide = pin.title.len > 60 ? 60 : (int)pin.title.len;
        while (wide > 0 && wide < (int)pin.title.len &&
               ((unsigned char)pin.title.data[wide] & 0xc0) == 0x80)
            wide--; /* not inside a character */
        ps_buf_printf(b, "%4u  %9.4f  %-24.*s  %.*s\n", i + 1, (double)a->result[i].score,
                      (int)pin.id.len, pin.id.data, wide, pin.title.data);
    }
}

/* An unknown pin is an ordinary miss: status 1, with what may have been meant. */
static int suggest(ps_reader *r, const char *id, ps_why *why)
{
    ps_text near[5];
    size_t n = ps_reader_suggest(r, ps_text_of(id), near, 5);
    ps_buf b = {0};
    ps_buf_printf(&b, "there is no pin \"%s\"", id);
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(&b, "%s%.*s", i ? ", " : "; near ids: ", (int)near[i].len,
                      near[i].data);
    ps_fail(why, PS_ERANGE, NULL, 0, "%s", b.data ? b.data : "no such pin");
    ps_buf_done(&b);
    return PS_ERANGE;
}

static int ask(ps_reader *r, const settings *s, const char *id, ps_why *why)
{
    ps_text exclude[PS_LIST_MAX];
    uint32_t row;
    for (size_t i = 0; i < s->exclude.n; i++)
        exclude[i] = ps_text_of(s->exclude.item[i]);
    ps_related q = {.pin = ps_text_of(id),
                    .method = ps_text_of(s->method),
                    .k = s->k,
                    .board = ps_text_of(s->board),
                    .exclude = exclude,
                    .n_exclude = (uint32_t)s->exclude.n};
    ps_ranking answer;
    ps_buf out = {0};
    if (ps_reader_find_pin(r, q.pin, &row, why))
        return suggest(r, id, why);
    int err = ps_reader_related(r, &q, &answer, why);
    if (err)
        return err == PS_ENOENT ? PS_ERANGE : err;
    if (s->json)
        print_json(r, &q, &answer, &out);
    else
        print_table(r, &answer, &out);
    err = out.failed ? PS_ENOMEM : PS_OK;
    if (!err)
        fwrite(out.data, 1, out.size, stdout);
    ps_buf_done(&out);
    return err;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    ps_generation *g = NULL;
    ps_engine *engine = NULL;
    ps_reader *reader = NULL;
    /* Nobody looks at the files afterwards, as a server does. */
    int err = ps_generation_open_whole(&g, words->word[0], why);
    ps_generation_release(g);
    if (!err)
        err = ps_engine_open(&engine, words->word[0], NULL, NULL, why);
    if (!err)
        err = ps_reader_new(&reader, engine);
    if (!err)
        err = ask(reader, cls, words->word[1], why);
    ps_reader_free(reader);
    ps_engine_release(engine);
    return err;
}

const ps_command ps_command_related = {
    .name = "related",
    .words = "CATALOG PIN",
    .n_words = 2,
    .summary = "Related pins of one pin",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
