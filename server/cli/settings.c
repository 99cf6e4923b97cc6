/* settings.c - a file of settings: all of them printed, and a JSON schema for any.
 *
 * Both are made from the option tables, so they know every option there is. What is
 * printed is read back to the same settings. The schema is a little stricter than the
 * reader, which also takes a number in quotes; a range of "5s" or "64M" only the reader
 * checks.
 *
 * Threads: main thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/cli.h"

static void text(ps_buf *out, const char *value)
{
    ps_buf_json(out, value, strlen(value));
}

/* ------------------------------ Printing ----------------------------------- */

static void print_ms(ps_buf *out, uint32_t ms)
{
    if (ms && ms % 60000 == 0)
        ps_buf_printf(out, "\"%um\"", ms / 60000);
    else if (ms && ms % 1000 == 0)
        ps_buf_printf(out, "\"%us\"", ms / 1000);
    else
        ps_buf_printf(out, "\"%ums\"", ms);
}

/* In as few digits as bring the same number back: 0.1, not 0.100000001. */
static void print_float(ps_buf *out, float x)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    ps_buf_text(out, text);
}

static void print_list(ps_buf *out, const ps_option_list *list)
{
    ps_buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        ps_buf_text(out, i ? ", " : "");
        text(out, list->item[i]);
    }
    ps_buf_char(out, ']');
}

static void print_value(ps_buf *out, const ps_option *o, const void *slot)
{
    switch (o->kind) {
    case PS_OPT_TEXT:
    case PS_OPT_CHOICE:
        text(out, *(const char *const *)slot);
        break;
    case PS_OPT_ENUM:
        text(out, ps_enum_name(*o->choices, *(const unsigned *)slot));
        break;
    case PS_OPT_CHARS:
        text(out, slot);
        break;
    case PS_OPT_LIST:
        print_list(out, slot);
        break;
    case PS_OPT_U32:
        ps_buf_u64(out, *(const uint32_t *)slot);
        break;
    case PS_OPT_U64:
        ps_buf_u64(out, *(const uint64_t *)slot);
        break;
    case PS_OPT_MS:
        print_ms(out, *(const uint32_t *)slot);
        break;
    case PS_OPT_REAL:
    case PS_OPT_RATE:
        ps_buf_real(out, *(const double *)slot, 17);
        break;
    case PS_OPT_FLOAT:
        print_float(out, *(const float *)slot);
        break;
    case PS_OPT_FLAG:
    case PS_OPT_NO_FLAG:
        ps_buf_text(out,
                    *(const bool *)slot == (o->kind == PS_OPT_FLAG) ? "true" : "false");
        break;
    }
}

/* A text or list that is not set has no value to print. */
static bool is_set(const ps_option *o, const void *slot)
{
    if (o->kind == PS_OPT_TEXT || o->kind == PS_OPT_CHOICE)
        return *(const char *const *)slot != NULL;
    if (o->kind == PS_OPT_CHARS)
        return *(const char *)slot != '\0';
    return o->kind != PS_OPT_LIST || ((const ps_option_list *)slot)->n > 0;
}

void ps_settings_print(ps_buf *out, const ps_command *c, const void *settings)
{
    const char *before = "";
    ps_buf_printf(out, "{\"%s\": {", c->name);
    for (const ps_option *o = c->options; o->name; o++) {
        const void *slot = (const char *)settings + o->at;
        if (ps_option_is_meta(o) || !is_set(o, slot))
            continue;
        ps_buf_printf(out, "%s\n  \"%s\": ", before, o->name);
        print_value(out, o, slot);
        before = ",";
    }
    ps_buf_text(out, "\n}}\n");
}

/* ------------------------------ The schema --------------------------------- */

static void schema_choices(ps_buf *out, const ps_enum *choices)
{
    ps_buf_text(out, "\"enum\": [");
    for (unsigned i = 0; i < choices->n; i++) {
        ps_buf_text(out, i ? ", " : "");
        text(out, ps_enum_name(*choices, i));
    }
    ps_buf_char(out, ']');
}

static void schema_number(ps_buf *out, const ps_option *o, const char *type)
{
    ps_buf_printf(out, "\"type\": \"%s\"", type);
    if (o->low != 0 || o->high != 0)
        ps_buf_printf(out, ", \"minimum\": %.15g, \"maximum\": %.15g", o->low, o->high);
    else if (strcmp(type, "integer") == 0)
        ps_buf_text(out, ", \"minimum\": 0");
}

/* A number, or a text with a unit. */
static void schema_united(ps_buf *out, const ps_option *o, const char *type,
                          const char *units)
{
    ps_buf_text(out, "\"anyOf\": [{");
    schema_number(out, o, type);
    ps_buf_printf(
        out, "}, {\"type\": \"string\", \"pattern\": \"^[0-9]+(\\\\.[0-9]+)?(%s)?$\"}]",
        units);
}

static void schema_shape(ps_buf *out, const ps_option *o)
{
    switch (o->kind) {
    case PS_OPT_TEXT:
    case PS_OPT_CHARS:
        ps_buf_text(out, "\"type\": \"string\"");
        break;
    case PS_OPT_CHOICE:
    case PS_OPT_ENUM:
        schema_choices(out, o->choices);
        break;
    case PS_OPT_LIST:
        ps_buf_printf(out,
                      "\"type\": [\"string\", \"array\"], \"maxItems\": %d, "
                      "\"items\": {\"type\": \"string\"}",
                      PS_LIST_MAX);
        break;
    case PS_OPT_U32:
        schema_number(out, o, "integer");
        break;
    case PS_OPT_U64:
        schema_united(out, o, "integer", "K|M|G");
        break;
    case PS_OPT_MS:
        schema_united(out, o, "integer", "ms|s|m");
        break;
    case PS_OPT_REAL:
    case PS_OPT_FLOAT:
        schema_number(out, o, "number");
        break;
    case PS_OPT_RATE:
        schema_united(out, o, "number", "/s|/m");
        break;
    case PS_OPT_FLAG:
    case PS_OPT_NO_FLAG:
        ps_buf_text(out, "\"type\": \"boolean\"");
        break;
    }
}

static void schema_option(ps_buf *out, const ps_option *o, const char *indent)
{
    ps_buf help = {0};
    ps_buf_text(&help, o->help);
    if (o->choices && !ps_option_is_choice(o)) {
        ps_buf_text(&help, ": ");
        ps_option_list_choices(&help, o, ',');
    }
    ps_buf_printf(out, "%s\"%s\": {\"description\": ", indent, o->name);
    ps_buf_json(out, help.data, help.size);
    ps_buf_done(&help);
    ps_buf_text(out, ", ");
    schema_shape(out, o);
    if (o->otherwise) {
        bool bare =
            o->kind == PS_OPT_U32 || o->kind == PS_OPT_REAL || o->kind == PS_OPT_FLOAT;
        ps_buf_text(out, ", \"default\": ");
        bare ? ps_buf_text(out, o->otherwise) : text(out, o->otherwise);
    }
    ps_buf_char(out, '}');
}

static void schema_command(ps_buf *out, const ps_command *c)
{
    const char *before = "";
    ps_buf_printf(out, "    \"%s\": {\n      \"description\": ", c->name);
    text(out, c->summary);
    ps_buf_text(out, ",\n      \"type\": \"object\", \"additionalProperties\": false,\n"
                     "      \"properties\": {");
    for (const ps_option *o = c->options; o->name; o++) {
        if (ps_option_is_meta(o))
            continue;
        ps_buf_printf(out, "%s\n", before);
        schema_option(out, o, "        ");
        before = ",";
    }
    ps_buf_text(out, "\n      }\n    }");
}

/* At the top level a name holds for every command that has it, and must suit one. */
static void schema_shared(ps_buf *out, const char *name)
{
    const char *before = "";
    ps_buf_printf(out, ",\n    \"%s\": {\"anyOf\": [", name);
    for (size_t i = 0; ps_commands[i]; i++)
        if (ps_option_find(ps_commands[i], name)) {
            ps_buf_printf(out, "%s{\"$ref\": \"#/properties/%s/properties/%s\"}", before,
                          ps_commands[i]->name, name);
            before = ", ";
        }
    ps_buf_text(out, "]}");
}

static bool told_before(size_t command, const char *name)
{
    for (size_t i = 0; i < command; i++)
        if (ps_option_find(ps_commands[i], name))
            return true;
    return false;
}

void ps_settings_schema(ps_buf *out)
{
    ps_buf_text(out,
                "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                "  \"title\": \"Settings of pinsage, for --config\",\n"
                "  \"type\": \"object\", \"additionalProperties\": false,\n"
                "  \"properties\": {\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        ps_buf_text(out, i ? ",\n" : "");
        schema_command(out, ps_commands[i]);
    }
    for (size_t i = 0; ps_commands[i]; i++)
        for (const ps_option *o = ps_commands[i]->options; o->name; o++)
            if (!ps_option_is_meta(o) && !told_before(i, o->name))
                schema_shared(out, o->name);
    ps_buf_text(out, "\n  }\n}\n");
}
