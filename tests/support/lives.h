/* lives.h - a planted catalog that is written to, beside an oracle that knows what must
 * be in it.
 *
 * Pins are p0 .. p(LIFE_PINS-1), of which the planted ones come with the catalog; boards
 * b0 .. b(LIFE_BOARDS-1). The oracle is a table of what each pin is and which boards it
 * is on; nothing of the code under test is in it.
 *
 * Threads: one, beside the writer's; several may write, each with an oracle of its own.
 */
#ifndef PINSAGE_TESTS_SUPPORT_LIVES_H
#define PINSAGE_TESTS_SUPPORT_LIVES_H

#include <stdbool.h>

#include "server/compact/compact.h"
#include "server/engine/engine.h"
#include "server/live/writer.h"
#include "tests/support/planted.h"

enum { LIFE_PLANTED = 120, LIFE_PINS = 170, LIFE_BOARDS = 90 };

typedef struct life_pin {
    bool there;
    char title[24];
    float visual[PLANTED_VISUAL];
    uint16_t annotation[PLANTED_ANNOTATION];
    bool on[LIFE_BOARDS];
} life_pin;

typedef struct life {
    life_pin pin[LIFE_PINS];
    uint32_t votes, writes;
} life;

/* The server's parts, of `catalog` (changes.h). */
extern ps_writes life_writes;
extern ps_engine *life_engine;
extern ps_reader *life_reader;

/* Make the planted catalog `name`, with a model, vectors and an index; and what is in it.
 */
void life_make(const char *name, life *l);
/* The same with the block `structure`, without a model and vectors. */
void life_make_plain(const char *name, life *l);
void life_start(void);
void life_stop(void);
/* The engine alone, opened anew, as at a reload. Returns what opening returned. */
int life_reload(ps_why *why);
/* Submit, wait, look again; returns what came of it. */
int life_write(ps_write *w);
/* A random write, to the catalog and to the oracle; and one of these pins. */
void life_random(life *l, uint64_t *rng);
void life_random_of(life *l, uint64_t *rng, uint32_t first, uint32_t n);
/* n writes. */
void life_write_many(life *l, uint64_t seed, int n);
/* Wait until nothing is stale. */
void life_settle(void);

/* What compactions are made with: one thread, one old generation kept. */
extern const ps_compact_opts life_compact_opts;
/* Compact what is served; and what nobody serves, which must succeed. */
int life_compact(ps_compact_report *report, const ps_progress *progress, ps_why *why);
void life_compact_alone(ps_compact_report *report);

/* What the reader sees is what the oracle knows. */
void life_check(const life *l);
/* And so does the current generation alone, features to the last bit. */
void life_check_generation(const life *l);
/* Import the same corpus from files as `name`. */
void life_import(const life *l, const char *name);

#endif
