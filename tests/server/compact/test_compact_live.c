/* test_compact_live.c - compactions while writes go on: all of them are there afterwards,
 * whatever was done of what follows a compaction.
 *
 * Threads: one and the writer's, and in one test clients.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

static life known;
static ps_compact_report report;

/* Without a server; what comes out is whole, and the corpus. */
static void end_with_a_compaction(void)
{
    life_compact_alone(&report);
    life_check_generation(&known);
    planted_verify();
}

/* ------------------------------ Tests -------------------------------------- */

/* Writes at random moments of a compaction. */
typedef struct meanwhile {
    uint64_t rng;
    int left;
} meanwhile;

static int on_progress(void *cls, const char *stage, uint64_t done, uint64_t total,
                       const char *unit, const char *note)
{
    meanwhile *m = cls;
    (void)stage, (void)done, (void)total, (void)unit, (void)note;
    for (int i = 0; i < 6 && m->left > 0; i++, m->left--)
        life_random(&known, &m->rng);
    return PS_OK;
}

static void one_round(uint64_t *rng)
{
    ps_why why = {0};
    meanwhile m = {.rng = ps_rng_at(*rng, 5), .left = (int)ps_rng_below(rng, 120)};
    ps_progress progress = {.at = on_progress, .cls = &m};
    uint64_t what = ps_rng_below(rng, 4);
    life_write_many(&known, *rng, (int)ps_rng_below(rng, 60));
    must(life_compact(&report, &progress, &why), &why);
    bool restart = what & 1, trim = what & 2;
    if (restart) { /* killed before anything else was done */
        life_stop();
        life_start();
    } else {
        must(life_reload(&why), &why);
    }
    life_check(&known);
    if (trim)
        ps_writer_trim(life_writes.writer, report.lsn);
    life_write_many(&known, *rng + 1, (int)ps_rng_below(rng, 40));
    life_check(&known);
}

static void writes_before_during_and_after_are_all_there(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(17, 1);
    life_make("rounds", &known);
    life_start();
    for (int i = 0; i < 25; i++)
        one_round(&rng);
    life_stop();
    end_with_a_compaction();
    life_start();
    life_check(&known);
    life_stop();
}

/* A client that writes without pause, to pins of its own. */
typedef struct client {
    pthread_t thread;
    uint32_t first, n;
    life own;
    _Atomic bool *stop;
} client;

static void *write_on(void *cls)
{
    client *c = cls;
    uint64_t rng = ps_rng_at(c->first, 3);
    while (!*c->stop)
        life_random_of(&c->own, &rng, c->first, c->n);
    return NULL;
}

static void compactions_come_through_while_many_write_without_pause(void **state)
{
    (void)state;
    enum { CLIENTS = 4, EACH = LIFE_PINS / CLIENTS, FOLDS = 5 };
    static client clients[CLIENTS];
    static _Atomic bool stop;
    ps_why why = {0};
    life_make("pause", &known);
    life_start();
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.first = i * EACH, .n = EACH, .own = known, .stop = &stop};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, write_on, &clients[i]),
                         0);
    }
    for (int i = 0; i < FOLDS; i++) {
        must(life_compact(&report, NULL, &why), &why);
        must(life_reload(&why), &why);
        ps_writer_trim(life_writes.writer, report.lsn);
        while (ps_writer_count(life_writes.writer).trimming)
            usleep(1000);
    }
    stop = true;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        memcpy(&known.pin[i * EACH], &clients[i].own.pin[i * EACH],
               EACH * sizeof *known.pin);
    }
    life_check(&known);
    life_stop();
    end_with_a_compaction();
}

static uint64_t vote_on(const char *json)
{
    ps_write w = {.kind = PS_WRITE_VOTE, .json = {json, strlen(json)}};
    assert_int_equal(life_write(&w), PS_OK);
    return w.votes;
}

static void votes_are_counted_on_over_compactions(void **state)
{
    (void)state;
    ps_why why = {0};
    life_make("votes", &known);
    life_start();
    assert_int_equal(vote_on("{\"query\":\"p1\"}"), 1);
    assert_int_equal(vote_on("{\"query\":\"p2\",\"left\":{\"pin\":\"p3\"}}"), 2);
    assert_int_equal(vote_on("{\"query\":\"nobody\"}"),
                     3); /* a compaction leaves it out */
    for (int i = 0; i < 2; i++) {
        must(life_compact(&report, NULL, &why), &why);
        must(life_reload(&why), &why);
        ps_writer_trim(life_writes.writer, report.lsn);
        while (ps_writer_count(life_writes.writer).trimming)
            usleep(1000);
        assert_int_equal(report.votes, 2 + i);
        assert_int_equal(vote_on("{\"query\":\"p4\"}"), 3 + i);
    }
    life_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_before_during_and_after_are_all_there),
        cmocka_unit_test(votes_are_counted_on_over_compactions),
        cmocka_unit_test(compactions_come_through_while_many_write_without_pause),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
