/* fingerprint.c - one number of all that decides the weights of a run.
 *
 * Options are hashed as text, because a struct has padding and text has none; files by
 * the checksums that the manifest lists, so nothing is read.
 *
 * Threads: one thread of control.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/train/checkpoint.h"
#include "pinsage/buf.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"

static void describe(const ps_train_opts *o, ps_buf *b)
{
    const ps_model_config *c = &o->model;
    ps_buf_printf(
        b, "K%u m%u d%u e%u T%u walks%u length%u pool%d khop%d skip%d cos%d %s ",
        c->layers, c->m, c->d, c->e, c->neighbours, c->n_walks, c->length,
        (int)c->pooling, (int)c->neighbourhood, c->skip, (int)c->similarity, c->blocks);
    ps_buf_printf(b, "loss%d %a %a rate %a %a %a batch%u neg%u hard%d %u %u walk %a ",
                  (int)o->loss, (double)o->margin, (double)o->temperature,
                  (double)o->rate, (double)o->rate_end, (double)o->warmup, o->batch,
                  o->negatives, o->hard, o->hard_low, o->hard_high,
                  (double)o->walk_pairs);
    ps_buf_printf(
        b, "epochs%u patience%u dropout %a average %a seed %" PRIu64 " %" PRIu64,
        o->epochs, o->patience, (double)o->dropout, (double)o->average, o->seed, c->seed);
}

static void add_file(ps_hasher *h, const ps_manifest *m, const char *name)
{
    uint64_t size, hash = 0;
    ps_manifest_file(m, name, &size, &hash);
    ps_hasher_add(h, &hash, sizeof hash);
}

static void add_files(ps_hasher *h, const ps_features *f)
{
    const ps_manifest *m = f->generation->manifest;
    char name[96];
    add_file(h, m, PS_FILE_PIN_BOARDS_STARTS);
    add_file(h, m, PS_FILE_PIN_BOARDS);
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        snprintf(name, sizeof name, PS_FILE_BLOCK, f->block[i]->name);
        add_file(h, m, name);
    }
}

uint64_t ps_run_fingerprint(const ps_train_opts *o, const ps_features *f,
                            const ps_pairs *pairs, const ps_pairs *valid)
{
    ps_buf text = {0};
    ps_hasher *h = ps_hasher_new();
    describe(o, &text);
    ps_buf_printf(&text, " pairs %zu %zu", pairs->n, valid->n);
    ps_hasher_add(h, text.data, text.size);
    ps_hasher_add(h, pairs->pair, pairs->n * sizeof *pairs->pair);
    ps_hasher_add(h, valid->pair, valid->n * sizeof *valid->pair);
    add_files(h, f);
    uint64_t value = ps_hasher_value(h);
    ps_hasher_free(h);
    ps_buf_done(&text);
    return value;
}
