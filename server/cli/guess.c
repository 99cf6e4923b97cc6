/* guess.c - misspelt commands, options and variables.
 *
 * argp refuses an option that it does not know, but cannot say which one is like it. So
 * the words are looked at before argp sees them, by the same rules: an option may be cut
 * short, and may have its value behind '=' or as the next word.
 *
 * Threads: main thread.
 */
#include "server/cli/guess.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *ps_did_you_mean(const ps_guess *g, const char *before, const char *otherwise)
{
    static char text[120];
    if (!g->best)
        return otherwise;
    snprintf(text, sizeof text, "; did you mean \"%s%s\"?", before, g->best);
    return text;
}

/* ------------------------------ Options ----------------------------------- */

static bool begins(const char *name, const char *flag, size_t len)
{
    return strncmp(name, flag, len) == 0;
}

/* The row that a long option means: the one of that name, or the first that it begins. */
static const ps_option *find_long(const ps_command *c, const char *flag, size_t len)
{
    const ps_option *cut = NULL;
    for (const ps_option *o = c->options; o->name; o++) {
        if (!begins(o->name, flag, len))
            continue;
        if (!o->name[len])
            return o;
        cut = cut ? cut : o;
    }
    return cut;
}

static int no_such_option(const ps_command *c, const char *flag, size_t len, ps_why *why)
{
    char wrong[64], otherwise[80];
    ps_guess g;
    snprintf(wrong, sizeof wrong, "%.*s", len < 60 ? (int)len : 60, flag);
    snprintf(otherwise, sizeof otherwise, "; see `pinsage %s --help`", c->name);
    ps_guess_init(&g, ps_text_of(wrong));
    for (const ps_option *o = c->options; o->name; o++)
        ps_guess_offer(&g, o->name);
    return ps_fail(why, PS_EINVAL, NULL, 0, "there is no option \"--%s\"%s", wrong,
                   ps_did_you_mean(&g, "--", otherwise));
}

/* *value: the next word is this one's value. */
static int check_long(const ps_command *c, const char *flag, bool *value, ps_why *why)
{
    size_t len = strcspn(flag, "=");
    const ps_option *o = find_long(c, flag, len);
    if (!o && !begins("help", flag, len) && !begins("usage", flag, len))
        return no_such_option(c, flag, len, why);
    *value = o && o->arg && !flag[len];
    return PS_OK;
}

/* True if the last of these letters is an option that has its value in the next word. */
static bool short_value(const ps_command *c, const char *letters)
{
    for (; *letters; letters++)
        for (const ps_option *o = c->options; o->name; o++)
            if (o->key == *letters && o->arg)
                return !letters[1];
    return false;
}

int ps_flags_check(const ps_command *c, int argc, char **argv, ps_why *why)
{
    int err = PS_OK;
    for (int i = 1; i < argc && !err && strcmp(argv[i], "--") != 0; i++) {
        bool value = false;
        if (argv[i][0] != '-')
            continue;
        if (argv[i][1] == '-')
            err = check_long(c, argv[i] + 2, &value, why);
        else
            value = short_value(c, argv[i] + 1);
        i += value;
    }
    return err;
}

/* ------------------------------ The environment --------------------------- */

static bool ends(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Of a Service called pinsage or pinsage-anything, in every pod of its namespace. */
static bool is_from_kubernetes(const char *name, const char *value)
{
    return strstr(name, "_SERVICE_PORT") || ends(name, "_SERVICE_HOST") ||
           strstr(name, "_TCP") || strstr(name, "_UDP") ||
           (ends(name, "_PORT") && strstr(value, "://"));
}

static bool is_option(const char *name, ps_guess *g, char (*like)[80])
{
    char known[80];
    for (size_t i = 0; ps_commands[i]; i++)
        for (const ps_option *o = ps_commands[i]->options; o->name; o++) {
            ps_option_env(o, known, sizeof known);
            if (strcmp(known, name) == 0)
                return true;
            const char *before = g->best;
            ps_guess_offer(g, known + strlen(PS_ENV));
            if (g->best == before)
                continue;
            /* known is another the next time round */
            snprintf(*like, sizeof *like, "%s", known + strlen(PS_ENV));
            g->best = *like;
        }
    return false;
}

static void check_variable(const ps_command *c, const char *variable)
{
    char name[128], like[80];
    ps_guess g;
    const char *equals = strchr(variable, '=');
    if (!equals || (size_t)(equals - variable) >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    ps_guess_init(&g, ps_text_of(name + strlen(PS_ENV)));
    if (is_from_kubernetes(name, equals + 1) || is_option(name, &g, &like))
        return;
    fprintf(stderr, "pinsage %s: %s in the environment is no option of any command%s\n",
            c->name, name, ps_did_you_mean(&g, PS_ENV, ", and is ignored"));
}

void ps_environment_check(const ps_command *c)
{
    for (char **variable = environ; *variable; variable++)
        if (begins(PS_ENV, *variable, strlen(PS_ENV)))
            check_variable(c, *variable);
}
