/* test_store_model.c - oracle: the store after any sequence of operations holds what a
 * plain array of names holds.
 *
 * Threads: one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/stores.h"

#define N_PINS   40
#define N_BOARDS 30
#define N_VOTES  4000
#define STEPS    20000

/* lsn 0: no record. */
typedef struct model {
    struct {
        uint64_t lsn, died, title;
        uint32_t dim;
        bool deleted;
    } pin[N_PINS];
    struct {
        uint64_t lsn;
        bool saved;
    } edge[N_PINS][N_BOARDS];
    uint64_t vote[N_VOTES]; /* by its text */
    uint64_t lsn;
    int votes;
} model;

static uint64_t rng;

static uint32_t below(uint32_t n)
{
    return (uint32_t)ps_rng_below(&rng, n);
}

/* Names of very different lengths: up to the longest there may be. */
static ps_text name(char kind, uint32_t i)
{
    static char names[2][PS_ID_MAX];
    char *out = names[kind == 'b'];
    memset(out, kind, PS_ID_MAX);
    out[0] = (char)('0' + i % 10);
    out[1] = (char)('0' + i / 10);
    return (ps_text){out, i % 3 ? 2 + i : PS_ID_MAX - i};
}

static uint32_t number(ps_text t)
{
    return (uint32_t)(t.data[0] - '0' + 10 * (t.data[1] - '0'));
}

/* ------------------------------ Operations -------------------------------- */

static void put_pin(ps_store *s, model *m)
{
    ps_why why = {0};
    float values[600];
    char title[32];
    uint32_t i = below(N_PINS), dim = below(2) ? below(600) : 0;
    m->lsn++;
    for (uint32_t j = 0; j < dim; j++)
        values[j] = (float)(m->lsn + j);
    snprintf(title, sizeof title, "%d", (int)m->lsn);
    ps_store_feature feature = {name('f', i), dim, values};
    ps_store_pin pin = {.id = name('p', i),
                        .title = ps_text_of(title),
                        .n_features = dim > 0,
                        .features = &feature};
    uint64_t lsn;
    store_must(ps_store_put_pin(s, &pin, &lsn, &why), &why);
    assert_int_equal(lsn, m->lsn);
    m->pin[i].lsn = m->pin[i].title = lsn;
    m->pin[i].dim = dim;
    m->pin[i].deleted = false;
}

static void drop_pin(ps_store *s, model *m)
{
    ps_why why = {0};
    uint32_t i = below(N_PINS);
    store_must(ps_store_drop_pin(s, name('p', i), 0, NULL, &why), &why);
    m->pin[i].lsn = m->pin[i].died = ++m->lsn;
    m->pin[i].deleted = true;
    for (int b = 0; b < N_BOARDS; b++)
        m->edge[i][b].lsn = 0;
}

static void put_edge(ps_store *s, model *m)
{
    ps_why why = {0};
    uint32_t p = below(N_PINS), b = below(N_BOARDS);
    bool saved = below(2);
    ps_store_edge edge = {.pin = name('p', p), .board = name('b', b), .saved = saved};
    store_must(ps_store_put_edge(s, &edge, NULL, &why), &why);
    m->edge[p][b].lsn = ++m->lsn;
    m->edge[p][b].saved = saved;
}

static void put_vote(ps_store *s, model *m)
{
    ps_why why = {0};
    char json[32];
    if (m->votes == N_VOTES)
        return;
    snprintf(json, sizeof json, "%d", m->votes);
    store_must(ps_store_put_vote(s, ps_text_of(json), NULL, &why), &why);
    m->vote[m->votes++] = ++m->lsn;
}

static void write_some(ps_store *s, model *m)
{
    for (uint32_t n = below(30); n > 0; n--) {
        uint32_t what = below(20);
        if (what < 8)
            put_pin(s, m);
        else if (what < 10)
            drop_pin(s, m);
        else if (what < 19)
            put_edge(s, m);
        else
            put_vote(s, m);
    }
}

static void trim(ps_store *s, model *m)
{
    bool votes = below(2);
    uint64_t lsn = m->lsn - (m->lsn < 100 ? 0 : below(100));
    store_trim_all(s, lsn, votes, 1 + below(200));
    for (int p = 0; p < N_PINS; p++) {
        if (m->pin[p].lsn <= lsn)
            memset(&m->pin[p], 0, sizeof m->pin[p]);
        for (int b = 0; b < N_BOARDS; b++)
            if (m->edge[p][b].lsn <= lsn)
                m->edge[p][b].lsn = 0;
    }
    for (int v = 0; votes && v < m->votes; v++)
        if (m->vote[v] <= lsn)
            m->vote[v] = 0;
}

/* ------------------------------ Comparing --------------------------------- */

typedef struct checking {
    const model *m;
    uint64_t after;
    int pins, edges, votes;
} checking;

static int on_pin(void *cls, const ps_store_pin *pin)
{
    checking *c = cls;
    char title[32];
    uint32_t i = number(pin->id);
    assert_true(i < N_PINS && c->m->pin[i].lsn > c->after);
    assert_int_equal(pin->lsn, c->m->pin[i].lsn);
    assert_int_equal(pin->died, c->m->pin[i].died);
    assert_int_equal(pin->deleted, c->m->pin[i].deleted);
    snprintf(title, sizeof title, "%d", (int)c->m->pin[i].title);
    assert_true(ps_text_is(pin->title, pin->deleted ? "" : title));
    assert_int_equal(pin->n_features, !pin->deleted && c->m->pin[i].dim);
    for (uint32_t j = 0; pin->n_features && j < c->m->pin[i].dim; j++)
        assert_true(pin->features[0].values[j] == (float)(pin->lsn + j));
    c->pins++;
    return 0;
}

static int on_edge(void *cls, const ps_store_edge *edge)
{
    checking *c = cls;
    uint32_t p = number(edge->pin), b = number(edge->board);
    assert_true(p < N_PINS && b < N_BOARDS && c->m->edge[p][b].lsn > c->after);
    assert_int_equal(edge->lsn, c->m->edge[p][b].lsn);
    assert_int_equal(edge->saved, c->m->edge[p][b].saved);
    c->edges++;
    return 0;
}

static int on_vote(void *cls, const ps_store_vote *vote)
{
    checking *c = cls;
    char json[32];
    snprintf(json, sizeof json, "%.*s", (int)vote->json.len, vote->json.data);
    assert_int_equal(vote->lsn, c->m->vote[atoi(json)]);
    c->votes++;
    return 0;
}

static void check_one(ps_store_reader *r, const model *m, uint32_t p, uint32_t b)
{
    ps_why why = {0};
    ps_store_pin pin;
    ps_store_edge edge;
    int err = ps_store_get_pin(r, name('p', p), &pin, &why);
    assert_int_equal(err, m->pin[p].lsn ? PS_OK : PS_ENOENT);
    err = ps_store_get_edge(r, name('p', p), name('b', b), &edge, &why);
    assert_int_equal(err, m->edge[p][b].lsn ? PS_OK : PS_ENOENT);
    checking c = {.m = m};
    store_must(ps_store_edges_of(r, name('p', p), 0, on_edge, &c, &why), &why);
    for (int i = 0; i < N_BOARDS; i++)
        c.edges -= m->edge[p][i].lsn > 0;
    assert_int_equal(c.edges, 0);
}

static void check(ps_store *s, const model *m, uint64_t after)
{
    ps_why why = {0};
    checking c = {.m = m, .after = after};
    ps_store_reader *r = store_snapshot(s);
    assert_int_equal(ps_store_reader_lsn(r), m->lsn);
    store_must(ps_store_each_pin(r, after, on_pin, &c, &why), &why);
    store_must(ps_store_each_edge(r, after, on_edge, &c, &why), &why);
    store_must(ps_store_each_vote(r, after, on_vote, &c, &why), &why);
    for (int p = 0; p < N_PINS; p++) {
        c.pins -= m->pin[p].lsn > after;
        for (int b = 0; b < N_BOARDS; b++)
            c.edges -= m->edge[p][b].lsn > after;
    }
    for (int v = 0; v < m->votes; v++)
        c.votes -= m->vote[v] > after;
    assert_true(c.pins == 0 && c.edges == 0 && c.votes == 0);
    check_one(r, m, below(N_PINS), below(N_BOARDS));
    ps_store_reader_free(r);
}

/* ------------------------------ The test ---------------------------------- */

static void the_store_holds_what_a_plain_array_holds(void **state)
{
    (void)state;
    rng = ps_rng_at(1, 2);
    static model m, before;
    const ps_store_opts opts = {.map_bytes = 1 << 16};
    ps_store *s = store_opened(true, opts);
    while (m.lsn < STEPS) {
        before = m;
        write_some(s, &m);
        if (below(8) == 0) {
            ps_store_abort(s);
            m = before;
        }
        store_commit(s);
        if (below(20) == 0)
            trim(s, &m);
        if (below(40) == 0) {
            ps_store_close(s);
            s = store_opened(false, opts);
        }
        check(s, &m, below(3) ? 0 : below((uint32_t)m.lsn + 2));
    }
    ps_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_holds_what_a_plain_array_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
