/* config.c - settings from a JSON file.
 *
 *   { "threads": 2, "serve": { "listen": "0.0.0.0:8080", "drain-delay": "5s" } }
 *
 * Members of the top level hold for every command that knows them; an object named as a
 * command holds for that command. A key that no command has is refused: a misspelt
 * setting must not pass in silence.
 *
 * Threads: main thread, at start.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/guess.h"

static bool known_somewhere(const char *name)
{
    for (size_t i = 0; ps_commands[i]; i++)
        if (ps_option_find(ps_commands[i], name))
            return true;
    return false;
}

static int set_scalar(const ps_option *o, void *settings, const json_t *value,
                      const char *path, ps_why *why)
{
    char text[64];
    if (json_is_string(value))
        return ps_option_set(o, settings, json_string_value(value), path, why);
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
    else
        return ps_fail(why, PS_EINVAL, path, 0,
                       "\"%s\" must be a string, number or boolean", o->name);
    return ps_option_set(o, settings, text, path, why);
}

static int set_value(const ps_option *o, void *settings, const json_t *value,
                     const char *path, ps_why *why)
{
    if (o->kind != PS_OPT_LIST || !json_is_array(value))
        return set_scalar(o, settings, value, path, why);
    size_t i;
    json_t *item;
    int err = PS_OK;
    json_array_foreach(value, i, item)
    {
        if (!err)
            err = set_scalar(o, settings, item, path, why);
    }
    return err;
}

/* At the top level a key may be of any command, or a command. */
static int no_such_key(const char *key, const ps_command *c, bool top, const char *path,
                       ps_why *why)
{
    ps_guess g;
    ps_guess_init(&g, ps_text_of(key));
    for (size_t i = 0; ps_commands[i]; i++) {
        if (top)
            ps_guess_offer(&g, ps_commands[i]->name);
        for (const ps_option *o = ps_commands[i]->options; o->name; o++)
            if (top || ps_commands[i] == c)
                ps_guess_offer(&g, o->name);
    }
    return ps_fail(why, PS_EINVAL, path, 0, "\"%.64s\" is no setting of %s%s", key,
                   top ? "any command" : c->name, ps_did_you_mean(&g, "", ""));
}

static int apply_object(json_t *object, const ps_command *c, void *settings, bool top,
                        const char *path, ps_why *why)
{
    const char *key;
    json_t *value;
    int err = PS_OK;
    json_object_foreach(object, key, value)
    {
        const ps_option *o = ps_option_find(c, key);
        if (err || (top && json_is_object(value) && ps_command_find(key)))
            continue;
        if (o)
            err = set_value(o, settings, value, path, why);
        else if (!top || !known_somewhere(key))
            err = no_such_key(key, c, top, path, why);
    }
    return err;
}

int ps_config_apply(const char *path, const ps_command *c, void *settings, ps_why *why)
{
    json_error_t at;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return ps_fail(why, PS_EINVAL, path, at.line > 0 ? at.line : 0, "%s", at.text);
    int err = PS_OK;
    if (!json_is_object(root))
        err = ps_fail(why, PS_EINVAL, path, 0, "the settings must be a JSON object");
    if (!err)
        err = apply_object(root, c, settings, true, path, why);
    json_t *own = json_object_get(root, c->name);
    if (!err && json_is_object(own))
        err = apply_object(own, c, settings, false, path, why);
    json_decref(root);
    return err;
}
