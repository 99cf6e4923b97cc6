/* calls.c - the table of calls.
 *
 * Threads: see calls.h.
 */
#include "server/api/calls.h"

/* The question lives in the request's arena, as all that it points to. */
#define XX(method, name, question)                                                       \
    void ps_call_##name(ps_context *d, const ps_body *b, ps_reply *out)                  \
    {                                                                                    \
        ps_why why = {0};                                                                \
        question *q = ps_arena_alloc(b->arena, sizeof *q);                               \
        int err = q ? ps_body_##name(b, q, &why) : PS_ENOMEM;                            \
        if (err)                                                                         \
            ps_reply_failed(out, err, &why);                                             \
        else                                                                             \
            ps_op_##name(d, b->request, q, out);                                         \
    }
PS_CALL_MAP(XX)
#undef XX

static const struct {
    const char *method;
    ps_call call;
} calls[] = {
#define XX(method, name, question) {#method, ps_call_##name},
    PS_CALL_MAP(XX)
#undef XX
};

ps_call ps_call_find(ps_text method)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (ps_text_is(method, calls[i].method))
            return calls[i].call;
    return NULL;
}
