/* body.c - generated messages, checked, into questions.
 *
 * One function a message, whatever it came in as. What a message cannot say because
 * proto3 has no "absent" is said by its zero: a k of 0 is the default, an empty text is
 * none.
 *
 * Threads: see body.h.
 */
#include "server/api/body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "pinsage/v1/pinsage.pb-c.h"
#include "server/api/body_inside.h"

#define K_DEFAULT 20

int body_read(const ps_body *b, const ProtobufCMessageDescriptor *d, void **message,
              ps_why *why)
{
    return b->dialect == PS_BINARY ? body_read_binary(b, d, message, why)
                                   : body_read_json(b, d, message, why);
}

#define REFUSE(...) ps_fail(why, PS_EINVAL, NULL, 0, __VA_ARGS__)

/* ------------------------------ Texts -------------------------------------- */

static ps_text text_or_none(const char *s)
{
    return *s ? ps_text_of(s) : (ps_text){NULL, 0};
}

static int take_id(const char *s, const char *field, ps_text *out, ps_why *why)
{
    *out = ps_text_of(s);
    if (!out->len)
        return REFUSE("%s: is required", field);
    return out->len > PS_ID_MAX ? REFUSE("%s: longer than %d bytes", field, PS_ID_MAX)
                                : PS_OK;
}

int body_take_pin(const ps_body *b, const char *s, ps_text *out, ps_why *why)
{
    if (b->pin.data && *s && !ps_text_is(b->pin, s))
        return REFUSE("pin: is not the one of the address");
    if (!b->pin.data)
        return take_id(s, "pin", out, why);
    *out = b->pin;
    return b->pin.len > PS_ID_MAX ? REFUSE("pin: longer than %d bytes", PS_ID_MAX)
                                  : PS_OK;
}

typedef struct texts {
    const char *field;
    char **list;
    size_t n, max;
    bool ids; /* each has 1..PS_ID_MAX bytes */
} texts;

static int take_texts(const ps_body *b, texts t, const ps_text **out, uint32_t *n_out,
                      ps_why *why)
{
    if (t.n > t.max)
        return REFUSE("%s: more than %zu", t.field, t.max);
    ps_text *list = ps_arena_alloc(b->arena, t.n * sizeof *list);
    if (!list)
        return PS_ENOMEM;
    for (size_t i = 0; i < t.n; i++) {
        list[i] = ps_text_of(t.list[i]);
        if (t.ids && (!list[i].len || list[i].len > PS_ID_MAX))
            return REFUSE("%s[%zu]: not 1 to %d bytes", t.field, i, PS_ID_MAX);
    }
    *out = list;
    *n_out = (uint32_t)t.n;
    return PS_OK;
}

/* ------------------------------ Numbers ------------------------------------ */

static int take_k(const ps_body *b, uint32_t k, uint32_t if_zero, uint32_t *out,
                  ps_why *why)
{
    if (k > b->k_max)
        return REFUSE("k: not in 1..%u", b->k_max);
    *out = k ? k : if_zero < b->k_max ? if_zero : b->k_max;
    return PS_OK;
}

static int take_limit(uint32_t limit, uint32_t if_zero, uint32_t *out, ps_why *why)
{
    *out = limit ? limit : if_zero;
    return limit > PS_PAGE_MAX ? REFUSE("limit: not in 1..%d", PS_PAGE_MAX) : PS_OK;
}

/* field: "features.visual". */
static int check_finite(const float *v, size_t n, const char *field, ps_why *why)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return REFUSE("%.180s[%zu]: not a finite number", field, i);
    return PS_OK;
}

/* ------------------------------ Content ------------------------------------ */

typedef BODY_FEATURE body_feature;

static int take_feature(const body_feature *p, const ps_named_vector *list, size_t n,
                        ps_named_vector *out, ps_why *why)
{
    char field[100];
    snprintf(field, sizeof field, "features.%.80s", p->key);
    if (!*p->key)
        return REFUSE("features: a block without a name");
    if (!p->value || !p->value->n_values)
        return REFUSE("%s: no numbers", field);
    *out = (ps_named_vector){ps_text_of(p->key), p->value->values,
                             (uint32_t)p->value->n_values};
    for (size_t i = 0; i < n; i++)
        if (ps_text_same(list[i].name, out->name))
            return REFUSE("%s: is told twice", field);
    return check_finite(out->value, out->dim, field, why);
}

int body_take_features(const ps_body *b, body_feature *const *pairs, size_t n,
                       size_t more, ps_content *out, ps_why *why)
{
    if (n > PS_VECTORS_MAX)
        return REFUSE("features: more than %d", PS_VECTORS_MAX);
    ps_named_vector *list = ps_arena_alloc(b->arena, (n + more) * sizeof *list);
    int err = list ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < n && !err; i++)
        err = take_feature(pairs[i], list, i, &list[i], why);
    out->feature = list;
    out->n_features = (uint32_t)n;
    return err;
}

int body_take_boards(const ps_body *b, char **list, size_t n, const ps_text **out,
                     uint32_t *n_out, ps_why *why)
{
    return take_texts(b, (texts){"boards", list, n, PS_BOARDS_MAX, true}, out, n_out,
                      why);
}

static int take_exclude(const ps_body *b, char **list, size_t n, const ps_text **out,
                        uint32_t *n_out, ps_why *why)
{
    return take_texts(b, (texts){"exclude", list, n, PS_EXCLUDE_MAX, false}, out, n_out,
                      why);
}

/* ------------------------------ Reading ------------------------------------ */

int ps_body_related(const ps_body *b, ps_related *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__related_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__RelatedRequest *m = message;
    *q = (ps_related){.method = text_or_none(m->method),
                      .board = text_or_none(m->board),
                      .explain = m->explain};
    err = body_take_pin(b, m->pin, &q->pin, why);
    if (!err)
        err = take_k(b, m->k, K_DEFAULT, &q->k, why);
    if (!err)
        err = take_exclude(b, m->exclude, m->n_exclude, &q->exclude, &q->n_exclude, why);
    return err;
}

int ps_body_get_pin(const ps_body *b, ps_get_pin *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__get_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__GetPinRequest *m = message;
    *q = (ps_get_pin){.offset = m->offset, .features = m->features};
    err = body_take_pin(b, m->pin, &q->pin, why);
    return err ? err : take_limit(m->limit, PS_BOARDS_MAX, &q->limit, why);
}

int ps_body_get_board(const ps_body *b, ps_get_board *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__get_board_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__GetBoardRequest *m = message;
    q->offset = m->offset;
    err = take_id(m->board, "board", &q->board, why);
    return err ? err : take_limit(m->limit, PS_LIST_DEFAULT, &q->limit, why);
}

int ps_body_delete_pin(const ps_body *b, ps_delete_pin *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__delete_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__DeletePinRequest *m = message;
    q->if_match = text_or_none(m->if_match);
    return body_take_pin(b, m->pin, &q->pin, why);
}

static int take_save(const char *board, const char *pin, ps_save *q, ps_why *why)
{
    int err = take_id(board, "board", &q->board, why);
    return err ? err : take_id(pin, "pin", &q->pin, why);
}

int ps_body_save(const ps_body *b, ps_save *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__save_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__SavePinRequest *m = message;
    return take_save(m->board, m->pin, q, why);
}

int ps_body_unsave(const ps_body *b, ps_save *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__unsave_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__UnsavePinRequest *m = message;
    return take_save(m->board, m->pin, q, why);
}

int ps_body_embed(const ps_body *b, ps_embed_pin *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__embed_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__EmbedRequest *m = message;
    ps_content *c = &q->content;
    *c = (ps_content){
        .title = ps_text_of(m->title), .text = ps_text_of(m->text), .image = {"", 0}};
    q->explain = m->explain;
    err = body_take_features(b, m->features, m->n_features, 0, c, why);
    if (!err)
        err = body_take_boards(b, m->boards, m->n_boards, &c->board, &c->n_boards, why);
    if (!err)
        err = take_k(b, m->k, 0, &q->k, why);
    if (!err)
        err = take_exclude(b, m->exclude, m->n_exclude, &q->exclude, &q->n_exclude, why);
    return err;
}

int ps_body_health(const ps_body *b, ps_text *service, ps_why *why)
{
    void *message;
    int err =
        body_read(b, &grpc__health__v1__health_check_request__descriptor, &message, why);
    if (!err)
        *service = ps_text_of(((Grpc__Health__V1__HealthCheckRequest *)message)->service);
    return err;
}

/* ------------------------------ Recommend ---------------------------------- */

static int take_example(const Pinsage__V1__Example *m, const char *field, ps_example *out,
                        ps_why *why)
{
    char vector[60];
    snprintf(vector, sizeof vector, "%s.vector", field);
    *out = (ps_example){.pin = text_or_none(m->pin),
                        .vector = m->vector,
                        .dim = (uint32_t)m->n_vector,
                        .weight = m->weight == 0 ? 1 : m->weight};
    if (!*m->pin == !m->n_vector)
        return REFUSE("%s: not one of pin and vector", field);
    if (!(out->weight >= PS_WEIGHT_LEAST && out->weight <= PS_WEIGHT_MOST))
        return REFUSE("%s.weight: not in 1e-9..1e9", field);
    return check_finite(out->vector, out->dim, vector, why);
}

static int take_examples(const ps_body *b, Pinsage__V1__Example *const *m, size_t n,
                         const char *field, const ps_example **out, ps_why *why)
{
    char name[40];
    ps_example *list = ps_arena_alloc(b->arena, n * sizeof *list);
    int err = list ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < n && !err; i++) {
        snprintf(name, sizeof name, "%s[%zu]", field, i);
        err = take_example(m[i], name, &list[i], why);
    }
    *out = list;
    return err;
}

static int take_all_examples(const ps_body *b, const Pinsage__V1__RecommendRequest *m,
                             ps_recommend *q, ps_why *why)
{
    if (!m->n_positives)
        return REFUSE("positives: at least one is needed");
    if (m->n_positives + m->n_negatives > PS_EXAMPLES_MAX)
        return REFUSE("positives: with negatives more than %d", PS_EXAMPLES_MAX);
    q->n_positive = (uint32_t)m->n_positives;
    q->n_negative = (uint32_t)m->n_negatives;
    int err =
        take_examples(b, m->positives, m->n_positives, "positives", &q->positive, why);
    if (!err)
        err = take_examples(b, m->negatives, m->n_negatives, "negatives", &q->negative,
                            why);
    return err;
}

int ps_body_recommend(const ps_body *b, ps_recommend *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__recommend_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__RecommendRequest *m = message;
    *q = (ps_recommend){.diversity = m->diversity,
                        .skip_missing = m->missing == PINSAGE__V1__MISSING__MISSING_SKIP,
                        .method = text_or_none(m->method),
                        .explain = m->explain};
    err = take_all_examples(b, m, q, why);
    if (!err && !(m->diversity >= 0 && m->diversity <= 1))
        err = REFUSE("diversity: not in 0..1");
    if (!err && (unsigned)m->missing > PINSAGE__V1__MISSING__MISSING_SKIP)
        err = REFUSE("missing: none of error, skip");
    if (!err)
        err = take_k(b, m->k, K_DEFAULT, &q->k, why);
    if (!err)
        err = body_take_boards(b, m->boards, m->n_boards, &q->board, &q->n_boards, why);
    if (!err)
        err = take_exclude(b, m->exclude, m->n_exclude, &q->exclude, &q->n_exclude, why);
    return err;
}

/* ------------------------------ Vote --------------------------------------- */

static int take_candidate(const Pinsage__V1__Candidate *m, const char *field,
                          ps_candidate *out, ps_why *why)
{
    if (!m || !*m->method)
        return REFUSE("%s.method: is required", field);
    *out = (ps_candidate){ps_text_of(m->method), ps_text_of(m->pin)};
    if (out->method.len > PS_ID_MAX)
        return REFUSE("%s.method: longer than %d bytes", field, PS_ID_MAX);
    return out->pin.len > PS_ID_MAX
               ? REFUSE("%s.pin: longer than %d bytes", field, PS_ID_MAX)
               : PS_OK;
}

int ps_body_vote(const ps_body *b, ps_vote *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__vote_request__descriptor, &message, why);
    if (err)
        return err;
    const Pinsage__V1__VoteRequest *m = message;
    err = take_id(m->query, "query", &q->query, why);
    if (!err)
        err = take_candidate(m->left, "left", &q->left, why);
    if (!err)
        err = take_candidate(m->right, "right", &q->right, why);
    if (!err && (m->winner < PINSAGE__V1__WINNER__WINNER_LEFT ||
                 m->winner > PINSAGE__V1__WINNER__WINNER_DRAW))
        err = REFUSE("winner: none of left, right, draw");
    q->winner = (ps_winner)(m->winner - PINSAGE__V1__WINNER__WINNER_LEFT);
    q->voter = ps_text_of(m->voter);
    if (!err && q->voter.len > PS_VOTER_MAX)
        err = REFUSE("voter: longer than %d bytes", PS_VOTER_MAX);
    return err;
}
