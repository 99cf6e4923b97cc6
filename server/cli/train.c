/* train.c - `pinsage train`: learn the model from pairs, or from boards held out.
 *
 * Threads: main thread; the training starts its own.
 */
#include "pinsage/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/commands.h"
#include "server/cli/steps.h"

#define AT(member) offsetof(ps_cli_train, member)
const ps_option ps_cli_train_options[] = {
    {"pairs", 0, PS_OPT_TEXT, "FILE", AT(pairs), NULL, 0, 0, NULL,
     "pairs.tsv[.gz]: header query TAB related; without it boards are held out"},
    {"valid", 0, PS_OPT_TEXT, "FILE", AT(valid), NULL, 0, 0, NULL,
     "Pairs to choose by; without it those of a tenth of the queries are set aside"},
    {"label-boards", 0, PS_OPT_REAL, "SHARE", AT(label_boards), "0.2", 0.01, 0.9, NULL,
     "Share of the boards held out as labels when there is no --pairs"},
    {"columns", 0, PS_OPT_TEXT, "NAME=OTHER,...", AT(columns), NULL, 0, 0, NULL,
     "Names of the columns in those files, as in query=viewed,related=bought"},
    {"unknown-pins", 0, PS_OPT_CHOICE, "WHAT", AT(unknown), "error", 0, 0, "error|skip",
     "A pair whose pin is not in the catalog"},
    {"preset", 0, PS_OPT_CHOICE, "NAME", AT(preset), "default", 0, 0, "default|paper",
     "default: sized for small machines, choices made by short trials; paper: to the "
     "letter"},
    {"no-trials", 0, PS_OPT_FLAG, NULL, AT(no_trials), NULL, 0, 0, NULL,
     "Take --similarity, --walk-pairs and --blocks as they are"},
    {"baselines", 0, PS_OPT_TEXT, "LIST", AT(baselines), NULL, 0, 0, NULL,
     "Train these for `eval` too: combined,combined-structure,khop,meanpool,maxpool"},
    {"layers", 'K', PS_OPT_U32, "N", AT(layers), "2", 0, 8, NULL, "Convolutions"},
    {"message", 'm', PS_OPT_U32, "N", AT(m), "128", 1, 65536, NULL,
     "Numbers of a message (m)"},
    {"dim", 'd', PS_OPT_U32, "N", AT(d), "128", 1, 65536, NULL,
     "Numbers of a hidden vector (d)"},
    {"embedding", 'E', PS_OPT_U32, "N", AT(e), "128", 1, 65536, NULL,
     "Numbers of an embedding (E)"},
    {"neighbours", 'T', PS_OPT_U32, "N", AT(neighbours), "10", 1, 1000, NULL,
     "Pins that each pin pools over (T)"},
    {"walks", 0, PS_OPT_U32, "N", AT(walks), "500", 1, 100000, NULL,
     "Random walks a pin that find them"},
    {"walk-length", 0, PS_OPT_U32, "N", AT(length), "2", 1, 32, NULL,
     "Hops pin-board-pin of a walk"},
    {"pooling", 0, PS_OPT_CHOICE, "KIND", AT(pooling), "importance", 0, 0,
     "importance|mean|max", "How messages are joined"},
    {"neighbourhood", 0, PS_OPT_CHOICE, "KIND", AT(neighbourhood), "walk", 0, 0,
     "walk|khop", "Visits of walks, or uniform pins that share a board"},
    {"no-skip", 0, PS_OPT_FLAG, NULL, AT(no_skip), NULL, 0, 0, NULL,
     "Leave out the linear path from the features to the embedding"},
    {"similarity", 0, PS_OPT_CHOICE, "KIND", AT(similarity), "cosine", 0, 0, "cosine|ip",
     "Embeddings of unit length, or raw inner products"},
    {"loss", 0, PS_OPT_CHOICE, "KIND", AT(loss), "xent", 0, 0, "margin|xent",
     "Max-margin of the paper, or softmax cross-entropy"},
    {"margin", 0, PS_OPT_REAL, "X", AT(margin), "0.1", 0, 100, NULL,
     "Of the margin loss"},
    {"temperature", 0, PS_OPT_REAL, "X", AT(temperature), "0.05", 0.001, 100, NULL,
     "Of the softmax; trials use 0.05 with cosine, 0.1 and 0.3 without"},
    {"rate", 0, PS_OPT_REAL, "X", AT(rate), "0.001", 1e-7, 1, NULL,
     "Peak learning rate, reached over the first epoch"},
    {"rate-end", 0, PS_OPT_REAL, "SHARE", AT(rate_end), "0.05", 0, 1, NULL,
     "What is left of it at the end"},
    {"batch", 'b', PS_OPT_U32, "N", AT(batch), "0", 0, 65536, NULL,
     "Pairs a minibatch; 0: 512; 128 under 5,000 pairs, 1024 over 100,000"},
    {"negatives", 0, PS_OPT_U32, "N", AT(negatives), "1500", 1, 65536, NULL,
     "Random pins that a minibatch shares as negatives"},
    {"hard", 0, PS_OPT_FLAG, NULL, AT(hard), NULL, 0, 0, NULL,
     "Hard negatives: epoch n adds n - 1 a pair from the query's walk ranking"},
    {"hard-low", 0, PS_OPT_U32, "RANK", AT(hard_low), "0", 0, 1000000, NULL,
     "First rank of that band; 0 0 chooses by the size of the graph"},
    {"hard-high", 0, PS_OPT_U32, "RANK", AT(hard_high), "0", 0, 1000000, NULL,
     "Rank behind the band"},
    {"walk-pairs", 0, PS_OPT_REAL, "SHARE", AT(walk_pairs), "0", 0, 1, NULL,
     "Slots filled with a random pin and one that its walks visit"},
    {"epochs", 0, PS_OPT_U32, "N", AT(epochs), "0", 0, 512, NULL,
     "At most; 0: 15, or 50 under 5,000 pairs"},
    {"patience", 0, PS_OPT_U32, "N", AT(patience), "0", 0, 512, NULL,
     "Epochs without a better valid score before it stops; 0: 6, or 10"},
    {"dropout", 0, PS_OPT_REAL, "SHARE", AT(dropout), "0.15", 0, 0.9, NULL,
     "Numbers of the features that a minibatch leaves out, against learning by heart"},
    {"average", 0, PS_OPT_REAL, "DECAY", AT(average), "0.99", 0, 0.99999, NULL,
     "Keep a running average of the weights instead of the last ones; 0 does not"},
    {"blocks", 0, PS_OPT_TEXT, "LIST", AT(blocks), NULL, 0, 0, NULL,
     "Feature blocks to use; without it all"},
    {"resume", 0, PS_OPT_FLAG, NULL, AT(resume), NULL, 0, 0, NULL,
     "Go on from the checkpoint of an interrupted run with the same data and options"},
    {"log", 0, PS_OPT_TEXT, "FILE.jsonl", AT(log), NULL, 0, 0, NULL,
     "Append a JSON line an epoch"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    PS_COMMON_OPTIONS,
    {0},
};

static bool is(const char *value, const char *name)
{
    return strcmp(value, name) == 0;
}

static void model_of(const ps_cli_train *s, ps_model_config *c)
{
    *c = (ps_model_config){.layers = s->layers,
                           .m = s->m,
                           .d = s->d,
                           .e = s->e,
                           .neighbours = s->neighbours,
                           .n_walks = s->walks,
                           .length = s->length,
                           .pooling = is(s->pooling, "mean")  ? PS_POOL_MEAN
                                      : is(s->pooling, "max") ? PS_POOL_MAX
                                                              : PS_POOL_IMPORTANCE,
                           .khop = is(s->neighbourhood, "khop"),
                           .skip = !s->no_skip,
                           .cosine = is(s->similarity, "cosine")};
    snprintf(c->blocks, sizeof c->blocks, "%s", s->blocks ? s->blocks : "");
}

static void train_opts(const ps_cli_train *s, ps_train_step_opts *out)
{
    *out = (ps_train_step_opts){.pairs = s->pairs,
                                .valid = s->valid,
                                .label_boards = s->label_boards,
                                .valid_share = 0.1,
                                .variants = s->baselines,
                                .skip_unknown = is(s->unknown, "skip"),
                                .columns = s->columns,
                                .keep = s->keep};
    ps_train_opts *o = &out->train;
    *o = (ps_train_opts){.loss = is(s->loss, "xent") ? PS_LOSS_XENT : PS_LOSS_MARGIN,
                         .margin = (float)s->margin,
                         .temperature = (float)s->temperature,
                         .rate = (float)s->rate,
                         .rate_end = (float)s->rate_end,
                         .warmup = 1,
                         .batch = s->batch,
                         .negatives = s->negatives,
                         .hard = s->hard,
                         .hard_low = s->hard_low,
                         .hard_high = s->hard_high,
                         .walk_pairs = (float)s->walk_pairs,
                         .epochs = s->epochs,
                         .patience = s->patience,
                         .dropout = (float)s->dropout,
                         .average = (float)s->average,
                         .threads = s->common.threads,
                         .seed = s->common.seed,
                         .resume = s->resume,
                         .log = s->log};
    model_of(s, &o->model);
    out->trials = !s->no_trials && is(s->preset, "default");
    out->no_structure = is(s->preset, "paper");
    if (out->no_structure)
        ps_train_paper(o);
}

static void print_trials(const ps_train_report *r)
{
    if (r->n_trials)
        printf("  %-64s  hit@10  hit@100     MRR    score\n",
               "trials on the valid pairs");
    for (uint32_t i = 0; i < r->n_trials; i++)
        printf("  %c %-62s %5.1f %% %6.1f %% %7.4f %6.2f %%  %.0f s\n",
               r->trial[i].chosen ? '*' : ' ', r->trial[i].what, 100 * r->trial[i].hit_10,
               100 * r->trial[i].hit_100, r->trial[i].mrr, 100 * r->trial[i].score,
               r->trial[i].seconds);
}

static void print_left_out(const char *of, const ps_left_out *l)
{
    ps_buf words = {0};
    ps_left_out_print(l, &words);
    if (words.size)
        printf("  left out         of the %s pairs: %s\n", of, words.data);
    ps_buf_done(&words);
}

static void print_report(const char *catalog, const ps_train_report *r)
{
    const ps_train_result *t = &r->result;
    const ps_train_epoch *best = &t->epoch[t->best - 1];
    printf("%s: %s\n", catalog, r->generation);
    if (r->label_boards)
        printf("  label boards     %s held out\n", ps_cli_count(r->label_boards));
    printf("  pairs            %s to learn from, %s to choose by\n",
           ps_cli_count(r->pairs), ps_cli_count(r->valid));
    print_left_out("training", &r->pairs_left_out);
    print_left_out("valid", &r->valid_left_out);
    print_trials(r);
    printf("  model            %u layers, m %u, d %u, E %u, T %u, %s, walk pairs %.1f, "
           "blocks %s\n",
           r->used.model.layers, r->used.model.m, r->used.model.d, r->used.model.e,
           r->used.model.neighbours, r->used.model.cosine ? "cosine" : "inner product",
           (double)r->used.walk_pairs, r->used.model.blocks);
    printf(
        "  best             epoch %u of %u: loss %.4f, hit@10 %.1f %%, hit@100 %.1f %%, "
        "MRR %.4f on valid pairs\n",
        t->best, t->n_epochs, (double)best->loss, 100 * best->hit_10, 100 * best->hit_100,
        best->mrr);
    if (r->blended)
        printf("  blend            hit@10 %+.1f, hit@100 %+.1f points beside the model "
               "alone, on valid pairs\n",
               100 * r->blend_ahead_10, 100 * r->blend_ahead_100);
    printf("  speed            %s pairs/s; up to %.2f GB; %.0f s in all\n",
           ps_cli_count((uint64_t)best->pairs_per_s), (double)t->bytes / 1e9, r->seconds);
}

int ps_cli_train_check(const char *catalog, const ps_cli_train *s, ps_why *why)
{
    ps_train_step_opts opts;
    train_opts(s, &opts);
    return ps_train_step_check(catalog, &opts, why);
}

int ps_cli_train_run(const char *catalog, const ps_cli_train *s, ps_why *why)
{
    ps_train_step_opts opts;
    ps_train_report *r = calloc(1, sizeof *r);
    if (!r)
        return PS_ENOMEM;
    ps_progress progress = ps_cli_progress(&s->common);
    train_opts(s, &opts);
    int err = ps_train_step(catalog, &opts, r, &progress, why);
    ps_cli_progress_end();
    if (!err)
        print_report(catalog, r);
    free(r);
    return err;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    return ps_cli_train_run(words->word[0], cls, why);
}

const ps_command ps_command_train = {
    .name = "train",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Learn PinSage from pairs, or from boards held out as labels",
    .options = ps_cli_train_options,
    .settings_size = sizeof(ps_cli_train),
    .run = run,
};
