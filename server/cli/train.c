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

#define BLOCKS_ROOM   sizeof((ps_model_config *)0)->blocks
#define AT(member)    offsetof(ps_cli_train, member)
#define STEP(member)  AT(step.member)
#define TRAIN(member) AT(step.train.member)
#define MODEL(member) AT(step.train.model.member)
const ps_option ps_cli_train_options[] = {
    {"pairs", 0, PS_OPT_TEXT, "FILE", STEP(pairs), NULL, 0, 0, NULL,
     "pairs.tsv[.gz]: header query TAB related; without it boards are held out"},
    {"valid", 0, PS_OPT_TEXT, "FILE", STEP(valid), NULL, 0, 0, NULL,
     "Pairs to choose by; without it those of a tenth of the queries are set aside"},
    {"columns", 0, PS_OPT_TEXT, "NAME=OTHER,...", STEP(columns), NULL, 0, 0, NULL,
     "Names of the columns in those files, as in query=viewed,related=bought"},
    {"label-boards", 0, PS_OPT_REAL, "SHARE", STEP(label_boards), "0.2", 0.01, 0.9, NULL,
     "Share of the boards held out as labels when there is no --pairs"},
    {"unknown-pins", 0, PS_OPT_ENUM, "WHAT", AT(unknown), "error", 0, 0,
     PS_CHOICES("error", "skip"), "A pair whose pin is not in the catalog"},
    {"preset", 0, PS_OPT_ENUM, "NAME", AT(preset), "default", 0, 0, &ps_preset_names,
     "default: sized for small machines, choices made by short trials; paper: to the "
     "letter"},
    {"no-trials", 0, PS_OPT_NO_FLAG, NULL, STEP(trials), NULL, 0, 0, NULL,
     "Take --similarity, --walk-pairs and --blocks as they are"},
    {"baselines", 0, PS_OPT_TEXT, "LIST", STEP(variants), NULL, 0, 0, &ps_baseline_names,
     "Train these for `eval` too"},
    {"layers", 'K', PS_OPT_U32, "N", MODEL(layers), "2", 0, 8, NULL, "Convolutions"},
    {"message", 'm', PS_OPT_U32, "N", MODEL(m), "128", 1, 65536, NULL,
     "Numbers of a message (m)"},
    {"dim", 'd', PS_OPT_U32, "N", MODEL(d), "128", 1, 65536, NULL,
     "Numbers of a hidden vector (d)"},
    {"embedding", 'E', PS_OPT_U32, "N", MODEL(e), "128", 1, 65536, NULL,
     "Numbers of an embedding (E)"},
    {"neighbours", 'T', PS_OPT_U32, "N", MODEL(neighbours), "10", 1, 1000, NULL,
     "Pins that each pin pools over (T)"},
    {"walks", 0, PS_OPT_U32, "N", MODEL(n_walks), "500", 1, 100000, NULL,
     "Random walks a pin that find them"},
    {"walk-length", 0, PS_OPT_U32, "N", MODEL(length), "2", 1, 32, NULL,
     "Hops pin-board-pin of a walk"},
    {"pooling", 0, PS_OPT_ENUM, "KIND", MODEL(pooling), "importance", 0, 0,
     &ps_pooling_names, "How messages are joined"},
    {"neighbourhood", 0, PS_OPT_ENUM, "KIND", MODEL(neighbourhood), "walk", 0, 0,
     &ps_neighbourhood_names, "Visits of walks, or uniform pins that share a board"},
    {"no-skip", 0, PS_OPT_NO_FLAG, NULL, MODEL(skip), NULL, 0, 0, NULL,
     "Leave out the linear path from the features to the embedding"},
    {"similarity", 0, PS_OPT_ENUM, "KIND", MODEL(similarity), "cosine", 0, 0,
     &ps_similarity_names, "Embeddings of unit length, or raw inner products"},
    {"loss", 0, PS_OPT_ENUM, "KIND", TRAIN(loss), "xent", 0, 0, &ps_loss_names,
     "Max-margin of the paper, or softmax cross-entropy"},
    {"margin", 0, PS_OPT_FLOAT, "X", TRAIN(margin), "0.1", 0, 100, NULL,
     "Of the margin loss"},
    {"temperature", 0, PS_OPT_FLOAT, "X", TRAIN(temperature), "0.05", 0.001, 100, NULL,
     "Of the softmax; trials use 0.05 with cosine, 0.1 and 0.3 without"},
    {"rate", 0, PS_OPT_FLOAT, "X", TRAIN(rate), "0.001", 1e-7, 1, NULL,
     "Peak learning rate, reached over the first epoch"},
    {"rate-end", 0, PS_OPT_FLOAT, "SHARE", TRAIN(rate_end), "0.05", 0, 1, NULL,
     "What is left of it at the end"},
    {"batch", 'b', PS_OPT_U32, "N", TRAIN(batch), "0", 0, 65536, NULL,
     "Pairs a minibatch; 0: 512; 128 under 5,000 pairs, 1024 over 100,000"},
    {"negatives", 0, PS_OPT_U32, "N", TRAIN(negatives), "1500", 1, 65536, NULL,
     "Random pins that a minibatch shares as negatives"},
    {"hard", 0, PS_OPT_FLAG, NULL, TRAIN(hard), NULL, 0, 0, NULL,
     "Hard negatives: epoch n adds n - 1 a pair from the query's walk ranking"},
    {"hard-low", 0, PS_OPT_U32, "RANK", TRAIN(hard_low), "0", 0, 1000000, NULL,
     "First rank of that band; 0 0 chooses by the size of the graph"},
    {"hard-high", 0, PS_OPT_U32, "RANK", TRAIN(hard_high), "0", 0, 1000000, NULL,
     "Rank behind the band"},
    {"walk-pairs", 0, PS_OPT_FLOAT, "SHARE", TRAIN(walk_pairs), "0", 0, 1, NULL,
     "Slots filled with a random pin and one that its walks visit"},
    {"epochs", 0, PS_OPT_U32, "N", TRAIN(epochs), "0", 0, 512, NULL,
     "At most; 0: 15, or 50 under 5,000 pairs"},
    {"patience", 0, PS_OPT_U32, "N", TRAIN(patience), "0", 0, 512, NULL,
     "Epochs without a better valid score before it stops; 0: 6, or 10"},
    {"dropout", 0, PS_OPT_FLOAT, "SHARE", TRAIN(dropout), "0.15", 0, 0.9, NULL,
     "Numbers of the features that a minibatch leaves out, against learning by heart"},
    {"average", 0, PS_OPT_FLOAT, "DECAY", TRAIN(average), "0.99", 0, 0.99999, NULL,
     "Keep a running average of the weights instead of the last ones; 0 does not"},
    {"blocks", 0, PS_OPT_CHARS, "LIST", MODEL(blocks), NULL, 0, BLOCKS_ROOM, NULL,
     "Feature blocks to use; without it all"},
    {"resume", 0, PS_OPT_FLAG, NULL, TRAIN(resume), NULL, 0, 0, NULL,
     "Go on from the checkpoint of an interrupted run with the same data and options"},
    {"log", 0, PS_OPT_TEXT, "FILE.jsonl", TRAIN(log), NULL, 0, 0, NULL,
     "Append a JSON line an epoch"},
    {"from", 0, PS_OPT_TEXT, "FILE.json", AT(from), NULL, 0, 0, NULL,
     "Import first, with the settings in this file (`pinsage import --print-config`); "
     "what "
     "is in use stays so until the last step is done"},
    {"keep", 0, PS_OPT_U32, "N", STEP(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    PS_COMMON_OPTIONS,
    {0},
};

ps_train_step_opts ps_cli_train_opts(const ps_cli_train *s)
{
    ps_train_step_opts o = s->step;
    o.valid_share = 0.1;
    o.skip_unknown = s->unknown == 1;
    o.train.warmup = 1;
    o.train.threads = s->common.threads;
    o.train.seed = s->common.seed;
    if (s->preset == PS_PRESET_PAPER) {
        o.trials = false;
        o.no_structure = true;
        ps_train_paper(&o.train);
    }
    return o;
}

ps_train_step_opts ps_cli_train_defaults(void)
{
    ps_cli_train s = {0};
    ps_options_default(ps_cli_train_options, &s);
    return ps_cli_train_opts(&s);
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
    ps_cli_generation(catalog, r->generation);
    if (r->label_boards)
        printf("  label boards     %s held out\n", ps_cli_count(r->label_boards));
    printf("  pairs            %s to learn from, %s to choose by\n",
           ps_cli_count(r->pairs), ps_cli_count(r->valid));
    if (r->sliced)
        printf("                   %s\n",
               r->grouped
                   ? "set aside by communities: neither pin of one stands in a pair that "
                     "is learned from"
                   : "set aside by queries: their related pins may stand in pairs that "
                     "are learned from");
    print_left_out("training", &r->pairs_left_out);
    print_left_out("valid", &r->valid_left_out);
    print_trials(r);
    printf("  model            %u layers, m %u, d %u, E %u, T %u, %s, walk pairs %.1f, "
           "blocks %s\n",
           r->used.model.layers, r->used.model.m, r->used.model.d, r->used.model.e,
           r->used.model.neighbours,
           r->used.model.similarity == PS_SIMILARITY_COSINE ? "cosine" : "inner product",
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
    ps_train_step_opts opts = ps_cli_train_opts(s);
    return ps_train_step_check(catalog, &opts, why);
}

int ps_cli_train_run(const char *catalog, const ps_cli_train *s, ps_why *why)
{
    ps_train_step_opts opts = ps_cli_train_opts(s);
    ps_train_report *r = calloc(1, sizeof *r);
    if (!r)
        return PS_ENOMEM;
    ps_progress progress = ps_cli_progress(&s->common);
    int err = ps_train_step(catalog, &opts, r, &progress, why);
    ps_cli_progress_end();
    if (!err)
        print_report(catalog, r);
    free(r);
    return err;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    const ps_cli_train *s = cls;
    int err =
        s->from ? ps_cli_import_held(words->word[0], s->from, &s->common, why) : PS_OK;
    return err ? err : ps_cli_train_run(words->word[0], s, why);
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
