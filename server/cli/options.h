/* options.h - one table of options a command; help, flags, environment and file follow.
 *
 * A row names an option, its kind, where its value goes in the command's settings
 * struct, its default and range, and its help text. The default is text, parsed like
 * any other value. Later sources win: default, --config file, PINSAGE_NAME in the
 * environment, flag.
 *
 * Threads: used once, at start. Not here: what commands do with the values.
 */
#ifndef PINSAGE_SERVER_CLI_OPTIONS_H
#define PINSAGE_SERVER_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/enum.h"
#include "pinsage/err.h"

typedef enum ps_option_kind {
    PS_OPT_TEXT,   /* const char * */
    PS_OPT_CHOICE, /* const char *, one of `choices` */
    PS_OPT_ENUM,   /* unsigned or an enum, one of `choices` */
    PS_OPT_CHARS,  /* char[high], the text itself */
    PS_OPT_LIST,   /* ps_option_list, may be given again */
    PS_OPT_U32,    /* uint32_t */
    PS_OPT_U64,    /* uint64_t; suffixes K M G (powers of 1024) */
    PS_OPT_REAL,   /* double */
    PS_OPT_FLOAT,  /* float */
    PS_OPT_MS,     /* uint32_t milliseconds; suffixes ms s m */
    PS_OPT_RATE,   /* double, a second; suffixes /s /m */
    PS_OPT_FLAG,   /* bool */
    PS_OPT_NO_FLAG /* bool that is true unless this is given: "no-skip" */
} ps_option_kind;

/* A number that another module also needs, as a default. */
#define PS_TEXT_OF(number)  PS_TEXT_OF_(number)
#define PS_TEXT_OF_(number) #number

#define PS_LIST_MAX 64
typedef struct ps_option_list {
    const char *item[PS_LIST_MAX];
    size_t n;
} ps_option_list;

typedef struct ps_option {
    const char *name; /* "hit-at": flag --hit-at, PINSAGE_HIT_AT, "hit-at" in the file */
    int key;          /* short flag, 0 for none */
    ps_option_kind kind;
    const char *arg;        /* "FILE"; NULL for a flag */
    size_t at;              /* offsetof in the settings */
    const char *otherwise;  /* default as text; NULL: zero, nothing */
    double low, high;       /* range of numbers; both 0: any */
    const ps_enum *choices; /* of a choice and an enum; of a text: what its list may
                               hold, for help */
    const char *help;
} ps_option;

/* Where settings live: what a row of the table writes to. Strings are copied into the
 * process's own memory and live for ever. */
int ps_option_set(const ps_option *o, void *settings, const char *value,
                  const char *source, ps_why *why);

/* One parsed command line: positional words are borrowed from argv. */
typedef struct ps_parsed {
    const char *word[8];
    size_t n_words;
    const char *link; /* word[0] as it was typed, when links were followed; else NULL */
} ps_parsed;

/* Every setting of a table as its row has it: the one place where defaults stand. The
 * rest of settings is left alone. */
void ps_options_default(const ps_option *options, void *settings);
/* True of those that take one of their choices and nothing else. */
bool ps_option_is_choice(const ps_option *o);
/* The choices with something between them: "error|skip". */
void ps_option_list_choices(ps_buf *out, const ps_option *o, char between);

struct ps_command;
/* Fill settings from defaults, file, environment and flags, in this order. Prints help
 * and exits for --help; usage errors are told on stderr and exit 64. */
void ps_options_parse(const struct ps_command *c, int argc, char **argv, void *settings,
                      ps_parsed *words);
/* Options that say what to do with the settings and are none themselves. */
bool ps_option_is_meta(const ps_option *o);
/* A command's option of that name, NULL when it has none. */
const ps_option *ps_option_find(const struct ps_command *c, const char *name);

/* "PINSAGE_HIT_AT" for "hit-at", into out (n bytes). */
#define PS_ENV "PINSAGE_"
void ps_option_env(const ps_option *o, char *out, size_t n);

/* Read a JSON file of settings: members of the top level, then of the member named as the
 * command. Keys that belong to another command are ignored, unknown ones refused. */
int ps_config_apply(const char *path, const struct ps_command *c, void *settings,
                    ps_why *why);

#endif
