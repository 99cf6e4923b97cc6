/* bench_rank.c - the ranker fitted anew on a catalog's vectors, and what it is worth.
 *
 *     bench_rank CATALOG TRAIN VALID TEST
 *
 * Fits on VALID with the pairs of TRAIN as evidence, prints the weights, ranks TEST.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/measures/paired.h"
#include "core/rank/blend_inside.h"
#include "pinsage/blend.h"
#include "pinsage/clock.h"
#include "pinsage/hash.h"
#include "pinsage/inverted.h"
#include "pinsage/pair_graph.h"

static ps_generation *g;
static ps_pins_reader *reader;

static void must(int err, const ps_why *why)
{
    if (!err)
        return;
    fprintf(stderr, "bench_rank: %s\n", why->text);
    exit(1);
}

static ps_pairs load(const char *path)
{
    ps_why why = {0};
    ps_pairs p = {0};
    must(ps_pairs_load(&p, path, reader, (ps_pairs_opts){.skip_unknown = true}, &why),
         &why);
    return p;
}

typedef struct judging {
    const ps_blend_source *source;
    const ps_blend_model *model;
    const ps_pairs *pairs;
    groups groups;
    ps_blend *blend[8];
    ps_pins_reader *reader[8];
    float *rank;
} judging;

static int on_query(void *cls, size_t begin, size_t end, unsigned worker)
{
    judging *j = cls;
    uint32_t n = g->n_pins;
    float *scores = malloc(n * sizeof *scores);
    ps_scored *near = malloc((ps_blend_most(j->model) + 1) * sizeof *near);
    for (size_t q = begin; q < end; q++) {
        ps_pin pin;
        uint32_t row = j->groups.query[q], found;
        ps_pins_get(j->reader[worker], row, &pin);
        ps_blend *b = j->blend[worker];
        blend_read_row(j->source->z, row, b->vector);
        ps_dot_block(b->vector, 1, j->source->z, 0, n, scores, n);
        uint32_t k = blend_nearest(scores, n, row, j->model->candidates, near);
        ps_blend_related(b, row, ps_pin_seed(1, pin.id.data, pin.id.len), near, k, near,
                         ps_blend_most(j->model), &found);
        for (uint32_t i = 0; i < found; i++)
            scores[near[i].row] = -INFINITY;
        scores[row] = -INFINITY;
        for (size_t i = j->groups.start[q]; i < j->groups.start[q + 1]; i++) {
            size_t p = j->groups.order[i];
            uint32_t related = j->pairs->pair[p][1], at = 0;
            while (at < found && near[at].row != related)
                at++;
            double rank = at + 1;
            if (at == found)
                for (uint32_t r = 0; r < n; r++)
                    rank += scores[r] > scores[related]    ? 1
                            : scores[r] == scores[related] ? .5
                                                           : 0;
            j->rank[p] = (float)rank;
        }
    }
    free(scores);
    free(near);
    return PS_OK;
}

int main(int argc, char **argv)
{
    ps_why why = {0};
    if (argc < 5)
        return 0;
    must(ps_generation_open(&g, argv[1], &why), &why);
    must(ps_pins_reader_new(&reader, g->pins), &why);
    ps_pairs train = load(argv[2]), valid = load(argv[3]), test = load(argv[4]);
    ps_pair_graph evidence;
    ps_inverted text;
    must(ps_pair_graph_make(&evidence, g->n_pins, &train), &why);
    must(ps_inverted_open(&text, g, &why), &why);
    ps_blend_source source = ps_blend_source_of(g, NULL);
    source.pairs = getenv("NOPAIRS") ? NULL : &evidence;
    source.text = getenv("NOTEXT") ? NULL : &text;
    ps_blend_report report;
    ps_blend_fit_opts opts = PS_BLEND_FIT_DEFAULTS;
    if (getenv("C"))
        opts.candidates = (uint32_t)atoi(getenv("C"));
    opts.threads = 2;
    double began = ps_now();
    must(ps_blend_fit(&source, getenv("NOTRAIN") ? NULL : &train, &valid, &opts, &report,
                      NULL, &why),
         &why);
    double fitted = ps_now();
    ps_manifest *m = ps_manifest_new();
    ps_blend_note(m, &report, "x");
    for (uint32_t i = 0; i < report.model.n; i++)
        printf("%u:%.3f ", i, report.model.weight[i]);
    printf("\nvalid: overlap %.3f ridge %.0f covered %.3f blend %.1f/%.1f similarity "
           "%.1f/%.1f, %.1f s\n",
           report.overlap, report.ridge, report.covered,
           100 * report.blend.hit_rate[0].mean, 100 * report.blend.hit_rate[1].mean,
           100 * report.similarity.hit_rate[0].mean,
           100 * report.similarity.hit_rate[1].mean, fitted - began);
    judging j = {.source = &source, .model = &report.model, .pairs = &test};
    ps_workers *workers;
    ps_workers_new(&workers, 2);
    groups_make(&j.groups, &test);
    j.rank = calloc(test.n + 1, sizeof *j.rank);
    for (int i = 0; i < 2; i++) {
        must(ps_blend_new(&j.blend[i], &source, &report.model, &why), &why);
        ps_pins_reader_new(&j.reader[i], g->pins);
    }
    ps_workers_run(workers, j.groups.n, 8, on_query, &j);
    static const uint32_t cut[4] = {10, 50, 100, 500};
    paired_opts o = {cut, 4, 200, 1};
    ps_measures s;
    paired_scores(&j.groups, j.rank, NULL, &o, workers, &s);
    printf("test: %.1f/%.1f/%.1f/%.1f MRR %.4f, %.2f ms a query\n",
           100 * s.hit_rate[0].mean, 100 * s.hit_rate[1].mean, 100 * s.hit_rate[2].mean,
           100 * s.hit_rate[3].mean, s.mrr.mean,
           2e3 * (ps_now() - fitted) / (double)j.groups.n);
    return 0;
}
