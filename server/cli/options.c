/* options.c - from text to settings, and from a table to argp.
 *
 * argp wants an array of its own; it is made here from ours, with default and range put
 * behind each help text, so that no number is written twice.
 *
 * Threads: main thread, at start.
 */
#include "server/cli/options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "server/cli/cli.h"
#include "server/cli/guess.h"

#define LONG_KEY 0x1000 /* argp keys of options without a short flag */

/* ------------------------------ Values ------------------------------------ */

/* Texts live as long as the process: settings and argp point to them. */
static ps_arena kept;

static const char *keep_text(const char *text)
{
    char *copy = ps_arena_copy(&kept, text, strlen(text));
    if (!copy)
        abort();
    return copy;
}

static const char *keep_buf(ps_buf *b)
{
    const char *copy = keep_text(b->data ? b->data : "");
    ps_buf_done(b);
    return copy;
}

static int refuse(const ps_option *o, const char *value, const char *source,
                  const char *what, ps_why *why)
{
    return ps_fail(why, PS_EINVAL, source, 0, "--%s: \"%s\" %s", o->name, value, what);
}

/* Multiplier of a unit, 0 when it is none that this kind knows. */
static double unit_of(ps_option_kind kind, const char *unit)
{
    static const struct {
        ps_option_kind kind;
        const char *unit;
        double factor;
    } units[] = {
        {PS_OPT_U64, "K", 1024},       {PS_OPT_U64, "M", 1048576},
        {PS_OPT_U64, "G", 1073741824}, {PS_OPT_MS, "ms", 1},
        {PS_OPT_MS, "s", 1000},        {PS_OPT_MS, "m", 60000},
        {PS_OPT_RATE, "/s", 1},        {PS_OPT_RATE, "/m", 1 / 60.0},
    };
    if (!*unit)
        return 1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].kind == kind && strcmp(units[i].unit, unit) == 0)
            return units[i].factor;
    return 0;
}

static bool is_real(ps_option_kind kind)
{
    return kind == PS_OPT_REAL || kind == PS_OPT_FLOAT || kind == PS_OPT_RATE;
}

static double kind_limit(ps_option_kind kind)
{
    switch (kind) {
    case PS_OPT_U64:
        return 0x1p63;
    case PS_OPT_REAL:
    case PS_OPT_FLOAT:
    case PS_OPT_RATE:
        return HUGE_VAL;
    default:
        return UINT32_MAX;
    }
}

static int parse_number(const ps_option *o, const char *value, const char *source,
                        double *out, ps_why *why)
{
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    double factor = unit_of(o->kind, end);
    if (end == value || factor == 0 || isnan(x) || isspace((unsigned char)value[0]))
        return refuse(o, value, source, "is not a number", why);
    x *= factor;
    if (!is_real(o->kind) && x != floor(x))
        return refuse(o, value, source, "is not a whole number", why);
    bool ranged = o->low != 0 || o->high != 0;
    double low = ranged ? o->low : is_real(o->kind) ? -HUGE_VAL : 0;
    double high = ranged ? o->high : kind_limit(o->kind);
    if (x < low || x > high) {
        char what[80];
        snprintf(what, sizeof what, "is not in %.15g..%.15g", low, high);
        return refuse(o, value, source, what, why);
    }
    *out = x;
    return PS_OK;
}

bool ps_option_is_choice(const ps_option *o)
{
    return o->kind == PS_OPT_CHOICE || o->kind == PS_OPT_ENUM;
}

void ps_option_list_choices(ps_buf *b, const ps_option *o, char between)
{
    for (unsigned i = 0; i < o->choices->n; i++) {
        if (i)
            ps_buf_char(b, between);
        ps_buf_text(b, ps_enum_name(*o->choices, i));
    }
}

static int set_choice(const ps_option *o, void *slot, const char *value,
                      const char *source, ps_why *why)
{
    int choice = ps_enum_find(*o->choices, ps_text_of(value));
    if (choice < 0) {
        ps_buf list = {0};
        ps_option_list_choices(&list, o, '|');
        int err = ps_fail(why, PS_EINVAL, source, 0, "--%s: \"%s\" is none of %s",
                          o->name, value, list.data ? list.data : "");
        ps_buf_done(&list);
        return err;
    }
    if (o->kind == PS_OPT_ENUM)
        *(unsigned *)slot = (unsigned)choice;
    else
        *(const char **)slot = ps_enum_name(*o->choices, (size_t)choice);
    return PS_OK;
}

static int set_chars(const ps_option *o, char *slot, const char *value,
                     const char *source, ps_why *why)
{
    if (strlen(value) >= (size_t)o->high)
        return refuse(o, value, source, "is too long", why);
    memcpy(slot, value, strlen(value) + 1);
    return PS_OK;
}

static void set_number(const ps_option *o, void *slot, double x)
{
    switch (o->kind) {
    case PS_OPT_REAL:
    case PS_OPT_RATE:
        *(double *)slot = x;
        break;
    case PS_OPT_FLOAT:
        *(float *)slot = (float)x;
        break;
    case PS_OPT_U64:
        *(uint64_t *)slot = (uint64_t)x;
        break;
    default:
        *(uint32_t *)slot = (uint32_t)x;
    }
}

static int set_flag(const ps_option *o, bool *slot, const char *value, const char *source,
                    ps_why *why)
{
    static const char *const words[] = {"0",  "1",   "false", "true",
                                        "no", "yes", "off",   "on"};
    int word = ps_enum_find((ps_enum)PS_ENUM(words), ps_text_of(value));
    if (word < 0)
        return refuse(o, value, source, "is neither true nor false", why);
    *slot = word % 2;
    return PS_OK;
}

static int add_item(const ps_option *o, ps_option_list *list, const char *value,
                    const char *source, ps_why *why)
{
    if (list->n == PS_LIST_MAX)
        return refuse(o, value, source, "is one too many", why);
    list->item[list->n++] = keep_text(value);
    return PS_OK;
}

int ps_option_set(const ps_option *o, void *settings, const char *value,
                  const char *source, ps_why *why)
{
    char *slot = (char *)settings + o->at;
    double x = 0;
    int err = PS_OK;
    switch (o->kind) {
    case PS_OPT_CHOICE:
    case PS_OPT_ENUM:
        return set_choice(o, slot, value, source, why);
    case PS_OPT_CHARS:
        return set_chars(o, slot, value, source, why);
    case PS_OPT_TEXT:
        *(const char **)(void *)slot = keep_text(value);
        return PS_OK;
    case PS_OPT_LIST:
        return add_item(o, (ps_option_list *)(void *)slot, value, source, why);
    case PS_OPT_FLAG:
        return set_flag(o, (bool *)slot, value, source, why);
    case PS_OPT_NO_FLAG:
        err = set_flag(o, (bool *)slot, value, source, why);
        if (!err)
            *(bool *)slot = !*(bool *)slot;
        return err;
    default:
        break;
    }
    if ((err = parse_number(o, value, source, &x, why)))
        return err;
    set_number(o, slot, x);
    return PS_OK;
}

const ps_option *ps_option_find(const ps_command *c, const char *name)
{
    for (const ps_option *o = c->options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

bool ps_option_is_meta(const ps_option *o)
{
    return strcmp(o->name, "config") == 0 || strcmp(o->name, "print-config") == 0 ||
           strcmp(o->name, "check-config") == 0;
}

void ps_option_env(const ps_option *o, char *out, size_t n)
{
    snprintf(out, n, PS_ENV "%s", o->name);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* ------------------------------ argp -------------------------------------- */

typedef struct parse {
    const ps_command *command;
    void *settings;
    ps_parsed *words;
    bool list_seen[256]; /* a flag replaces what file and environment listed */
} parse;

static int key_of(const ps_option *o, size_t i)
{
    return o->key ? o->key : LONG_KEY + (int)i;
}

static void set_or_exit(struct argp_state *state, const ps_option *o, const char *value)
{
    parse *p = state->input;
    size_t i = (size_t)(o - p->command->options);
    ps_why why = {0};
    if (o->kind == PS_OPT_LIST && !p->list_seen[i]) {
        ((ps_option_list *)(void *)((char *)p->settings + o->at))->n = 0;
        p->list_seen[i] = true;
    }
    if (ps_option_set(o, p->settings, value ? value : "true", NULL, &why))
        argp_error(state, "%s", why.text);
}

static error_t on_argument(int key, char *value, struct argp_state *state)
{
    parse *p = state->input;
    if (key == ARGP_KEY_ARG) {
        if (p->words->n_words == p->command->n_words)
            argp_error(state, "\"%s\" is one word too many", value);
        p->words->word[p->words->n_words++] = value;
        return 0;
    }
    if (key == ARGP_KEY_END) {
        const ps_common *common = p->settings;
        bool meta = common->print_config || common->check_config;
        if (p->words->n_words < p->command->n_words && !meta)
            argp_error(state, "needs %s", p->command->words);
        return 0;
    }
    if (key == 'h')
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP); /* exits */
    for (size_t i = 0; p->command->options[i].name; i++)
        if (key_of(&p->command->options[i], i) == key) {
            set_or_exit(state, &p->command->options[i], value);
            return 0;
        }
    return ARGP_ERR_UNKNOWN;
}

static void add_limits(ps_buf *b, const ps_option *o)
{
    bool ranged = (o->low != 0 || o->high != 0) && o->kind != PS_OPT_CHARS;
    if (o->choices) {
        ps_buf_text(b, ": ");
        ps_option_list_choices(b, o, ps_option_is_choice(o) ? '|' : ',');
    }
    if (!o->otherwise && !ranged)
        return;
    ps_buf_printf(b, " (%s%s", o->otherwise ? "default " : "",
                  o->otherwise ? o->otherwise : "");
    if (ranged)
        ps_buf_printf(b, "%s%.15g..%.15g", o->otherwise ? ", " : "", o->low, o->high);
    ps_buf_text(b, ")");
}

/* The table as argp wants it; lives as long as the process. */
static struct argp_option *argp_table(const ps_option *options)
{
    size_t n = 0;
    while (options[n].name)
        n++;
    struct argp_option *table = ps_arena_alloc(&kept, (n + 2) * sizeof *table);
    if (!table)
        abort();
    memset(table, 0, (n + 2) * sizeof *table);
    for (size_t i = 0; i < n; i++) {
        ps_buf text = {0};
        ps_buf_text(&text, options[i].help);
        add_limits(&text, &options[i]);
        table[i] = (struct argp_option){.name = options[i].name,
                                        .key = key_of(&options[i], i),
                                        .arg = options[i].arg,
                                        .doc = keep_buf(&text)};
    }
    /* argp itself has --help and -? only. */
    table[n] = (struct argp_option){.key = 'h', .flags = OPTION_HIDDEN, .doc = "help"};
    return table;
}

static const char *argp_doc(const ps_command *c)
{
    ps_buf b = {0};
    ps_buf_printf(&b, "%s.%s%s", c->summary, c->doc ? "\n\n" : "", c->doc ? c->doc : "");
    ps_buf_text(&b,
                "\vEvery option is also read from the environment (PINSAGE_NAME, "
                "capitals, _ for -) and from the JSON file that --config names; "
                "flags win, then the environment, then the file.\nExit status: 0 done, 1 "
                "failed, 64 usage, 65 bad data, 74 input or output.");
    return keep_buf(&b);
}

/* ------------------------------ The four sources -------------------------- */

static void die_usage(const ps_command *c, const ps_why *why, int err)
{
    char text[600];
    ps_why_format(why, err, text, sizeof text);
    fprintf(stderr, "pinsage %s: %s\n", c->name, text);
    exit(64);
}

void ps_options_default(const ps_option *options, void *settings)
{
    for (const ps_option *o = options; o->name; o++) {
        const char *value = o->kind == PS_OPT_NO_FLAG ? "false" : o->otherwise;
        if (value && ps_option_set(o, settings, value, "default", NULL))
            abort(); /* a default that its own row refuses */
    }
}

static int apply_environment(const ps_command *c, void *settings, ps_why *why)
{
    int err = PS_OK;
    for (const ps_option *o = c->options; o->name && !err; o++) {
        char name[80];
        ps_option_env(o, name, sizeof name);
        const char *value = getenv(name);
        if (!value)
            continue;
        if (o->kind == PS_OPT_LIST)
            ((ps_option_list *)(void *)((char *)settings + o->at))->n = 0;
        err = ps_option_set(o, settings, value, name, why);
    }
    return err;
}

/* The file must be known before the flags are parsed, because flags win over it. */
static const char *config_path(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (strncmp(argv[i], "--config=", 9) == 0)
            return argv[i] + 9;
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            return argv[i + 1];
    }
    return getenv("PINSAGE_CONFIG");
}

void ps_options_parse(const ps_command *c, int argc, char **argv, void *settings,
                      ps_parsed *words)
{
    ps_why why = {0};
    const char *config = config_path(argc, argv);
    int err = ps_flags_check(c, argc, argv, &why);
    ps_options_default(c->options, settings);
    if (!err && config)
        err = ps_config_apply(config, c, settings, &why);
    if (!err)
        err = apply_environment(c, settings, &why);
    if (err)
        die_usage(c, &why, err);
    ps_environment_check(c);

    parse p = {.command = c, .settings = settings, .words = words};
    struct argp argp = {.options = argp_table(c->options),
                        .parser = on_argument,
                        .args_doc = c->words,
                        .doc = argp_doc(c)};
    char name[64];
    snprintf(name, sizeof name, "pinsage %s", c->name);
    argv[0] = name;
    argp_err_exit_status = 64;
    argp_parse(&argp, argc, argv, 0, NULL, &p);
    const char *named = ((const ps_common *)settings)->config;
    if (named && (!config || strcmp(named, config) != 0)) {
        ps_fail(&why, PS_EINVAL, NULL, 0, "--config must be written in full, and once");
        die_usage(c, &why, PS_EINVAL);
    }
}
