/* test_fingerprint.c - a run that would give other weights has another fingerprint.
 *
 * The options are those of the command line's table, so one that is added there is tried
 * here without a line of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/train/checkpoint.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/runs.h"

static ps_features features;

static uint64_t print_of(const ps_train_opts *o)
{
    return ps_run_fingerprint(o, &features, &run_pairs, &run_valid);
}

static uint64_t print_set(const ps_cli_train *s)
{
    ps_train_step_opts o = ps_cli_train_opts(s);
    return print_of(&o.train);
}

/* A run may be gone on with under another of these; the rest decides the weights. */
static bool decides(const ps_option *o)
{
    return strcmp(o->name, "resume") != 0 && strcmp(o->name, "log") != 0;
}

/* A value that the option has not by default. */
static const char *other_value(const ps_option *o)
{
    static char text[40];
    const char *now = o->otherwise ? o->otherwise : "";
    if (o->kind == PS_OPT_FLAG || o->kind == PS_OPT_NO_FLAG)
        return "true";
    if (o->kind == PS_OPT_TEXT || o->kind == PS_OPT_CHARS)
        return "visual";
    if (ps_option_is_choice(o))
        return ps_enum_name(*o->choices, !strcmp(ps_enum_name(*o->choices, 0), now));
    snprintf(text, sizeof text, "%.9g", o->high > atof(now) ? o->high : o->low);
    return text;
}

static bool of_the_training(const ps_option *o)
{
    size_t begin = offsetof(ps_cli_train, step.train);
    return o->at >= begin && o->at < begin + sizeof(ps_train_opts);
}

static void every_option_of_the_table_gives_another(void **state)
{
    (void)state;
    ps_cli_train usual = {0};
    unsigned tried = 0;
    ps_options_default(ps_cli_train_options, &usual);
    for (const ps_option *o = ps_cli_train_options; o->name; o++) {
        ps_cli_train other = usual;
        if (!of_the_training(o))
            continue;
        must(ps_option_set(o, &other, other_value(o), NULL, &(ps_why){0}),
             &(ps_why){.text = "a value out of range"});
        if ((print_set(&other) != print_set(&usual)) != decides(o))
            fail_msg("--%s=%s: the fingerprint is %s", o->name, other_value(o),
                     decides(o) ? "the same" : "another");
        tried++;
    }
    assert_in_range(tried, 25, 100);
}

static void a_small_step_of_a_number_gives_another(void **state)
{
    (void)state;
    ps_train_opts o = ps_cli_train_defaults().train;
    uint64_t print = print_of(&o);
    for (const ps_option *r = ps_cli_train_options; r->name; r++) {
        ps_cli_train s = {.step.train = o};
        float *x = (float *)(void *)((char *)&s + r->at);
        uint32_t *n = (uint32_t *)(void *)x;
        if (!of_the_training(r) || (r->kind != PS_OPT_FLOAT && r->kind != PS_OPT_U32))
            continue;
        if (r->kind == PS_OPT_FLOAT)
            *x += 1e-7f;
        else
            *n += 1;
        if (print_of(&s.step.train) == print)
            fail_msg("--%s: a step of it is not seen", r->name);
    }
}

static void what_no_option_names_counts_too(void **state)
{
    (void)state;
    ps_train_opts o = ps_cli_train_defaults().train, other = o;
    other.seed++;
    assert_true(print_of(&other) != print_of(&o));
    other = o;
    other.warmup = 0.5f;
    assert_true(print_of(&other) != print_of(&o));
    other = o;
    other.model.seed++;
    assert_true(print_of(&other) != print_of(&o));
    other = o;
    other.threads += 3; /* the weights do not depend on them */
    assert_true(print_of(&other) == print_of(&o));
}

static void other_pairs_and_other_blocks_give_another(void **state)
{
    (void)state;
    ps_train_opts o = ps_cli_train_defaults().train;
    ps_why why = {0};
    ps_features visual;
    must(ps_features_open(&visual, run_catalog, "visual", &why), &why);
    uint64_t usual = print_of(&o);
    assert_true(ps_run_fingerprint(&o, &visual, &run_pairs, &run_valid) != usual);
    assert_true(ps_run_fingerprint(&o, &features, &run_valid, &run_pairs) != usual);
    ps_pairs fewer = run_pairs;
    fewer.n--;
    assert_true(ps_run_fingerprint(&o, &features, &fewer, &run_valid) != usual);
    assert_true(print_of(&o) == usual);
}

static int open_all(void **state)
{
    ps_why why = {0};
    runs_open(state);
    must(ps_features_open(&features, run_catalog, NULL, &why), &why);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_the_table_gives_another),
        cmocka_unit_test(a_small_step_of_a_number_gives_another),
        cmocka_unit_test(what_no_option_names_counts_too),
        cmocka_unit_test(other_pairs_and_other_blocks_give_another),
    };
    return cmocka_run_group_tests(tests, open_all, runs_close);
}
