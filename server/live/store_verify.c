/* store_verify.c - every record of the live store read.
 *
 * Threads: see store.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "server/live/store_inside.h"

typedef struct tally {
    ps_store *s;
    uint64_t lsn; /* of the store: no record may be above it */
    uint64_t pins, edges, votes;
    ps_why *why;
} tally;

static int check_lsn(const tally *t, uint64_t lsn, const char *what, ps_text name)
{
    if (lsn && lsn <= t->lsn)
        return PS_OK;
    return ps_fail(t->why, PS_EFORMAT, t->s->dir, 0,
                   "%s \"%.*s\" has write number %" PRIu64 ", the store ends at %" PRIu64,
                   what, (int)(name.len < 100 ? name.len : 100), name.data, lsn, t->lsn);
}

static int on_pin(void *cls, const ps_store_pin *pin)
{
    tally *t = cls;
    t->pins++;
    if (pin->died > pin->lsn)
        return ps_fail(t->why, PS_EFORMAT, t->s->dir, 0,
                       "a pin was deleted after its newest write");
    return check_lsn(t, pin->lsn, "pin", pin->id);
}

static int on_edge(void *cls, const ps_store_edge *edge)
{
    tally *t = cls;
    t->edges++;
    return check_lsn(t, edge->lsn, "an edge of pin", edge->pin);
}

static int on_vote(void *cls, const ps_store_vote *vote)
{
    tally *t = cls;
    t->votes++;
    return check_lsn(t, vote->lsn, "vote", vote->json);
}

static int check_counts(const tally *t)
{
    ps_store_counts c;
    int err = ps_store_count(t->s, &c, t->why);
    bool same = c.pins == t->pins && c.edges == t->edges && c.votes == t->votes;
    if (err || same || c.lsn != t->lsn) /* somebody writes: they may differ */
        return err;
    return ps_fail(t->why, PS_EFORMAT, t->s->dir, 0,
                   "its tables tell %" PRIu64 " records, %" PRIu64 " were found",
                   c.pins + c.edges + c.votes, t->pins + t->edges + t->votes);
}

static int read_all(tally *t, ps_store_reader *r)
{
    int err = ps_store_each_pin(r, 0, on_pin, t, t->why);
    if (!err)
        err = ps_store_each_edge(r, 0, on_edge, t, t->why);
    return err ? err : ps_store_each_vote(r, 0, on_vote, t, t->why);
}

int ps_store_verify(ps_store *s, char *detail, size_t room, ps_why *why)
{
    tally t = {.s = s, .why = why};
    ps_store_reader *r = NULL;
    int err = ps_store_reader_new(&r, s);
    if (!err)
        err = ps_store_acquire(r, why);
    if (!err) {
        t.lsn = ps_store_reader_lsn(r);
        err = read_all(&t, r);
        ps_store_release(r);
    }
    ps_store_reader_free(r);
    if (!err)
        err = check_counts(&t);
    snprintf(detail, room,
             "%" PRIu64 " pins, %" PRIu64 " edges, %" PRIu64
             " votes, last write %" PRIu64,
             t.pins, t.edges, t.votes, t.lsn);
    return err;
}
