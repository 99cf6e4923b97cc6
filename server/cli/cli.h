/* cli.h - the commands of the one program.
 *
 * A command is a row: name, words, one-line summary, option table, settings size and a
 * function. cli.c finds the row, parses, calls it, and turns what went wrong into one
 * line on stderr and an exit code.
 *
 * Threads: main thread. Not here: what the steps do (core/, index/, server/).
 */
#ifndef PINSAGE_SERVER_CLI_CLI_H
#define PINSAGE_SERVER_CLI_CLI_H

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/near.h"
#include "pinsage/progress.h"
#include "server/cli/options.h"

typedef struct ps_command {
    const char *name;
    const char *words; /* "CATALOG PIN": how positional arguments are shown */
    size_t n_words;    /* how many are required, and allowed */
    const char *summary;
    const char *doc;          /* more for --help, may be NULL */
    const ps_option *options; /* ended by a row without name */
    size_t settings_size;
    int (*run)(const ps_parsed *words, void *settings, ps_why *why);
} ps_command;

/* A catalog's path that leads through links is replaced by where they lead now. */
void ps_cli_follow(const ps_command *c, ps_parsed *words);

/* Settings that every command begins with; PS_COMMON_OPTIONS are their rows. */
typedef struct ps_common {
    const char *config;
    bool quiet, print_config, check_config;
    uint32_t threads;
    uint64_t seed;
} ps_common;

#define PS_COMMON_OPTIONS                                                                \
    {"threads", 't', PS_OPT_U32, "N",  offsetof(ps_common, threads),                     \
     "0",       0,   1024,       NULL, "Worker threads; 0 means one a core"},            \
        {"seed", 0, PS_OPT_U64, "N",  offsetof(ps_common, seed),                         \
         "1",    0, 0,          NULL, "Seed of all random numbers"},                     \
        {"quiet", 'q', PS_OPT_FLAG, NULL, offsetof(ps_common, quiet),                    \
         NULL,    0,   0,           NULL, "No progress on stderr"},                      \
        {"config", 0, PS_OPT_TEXT, "FILE", offsetof(ps_common, config),                  \
         NULL,     0, 0,           NULL,   "JSON file with settings"},                   \
        {"print-config",                                                                 \
         0,                                                                              \
         PS_OPT_FLAG,                                                                    \
         NULL,                                                                           \
         offsetof(ps_common, print_config),                                              \
         NULL,                                                                           \
         0,                                                                              \
         0,                                                                              \
         NULL,                                                                           \
         "Print all settings, from wherever they come, as such a file, and stop"},       \
    {                                                                                    \
        "check-config", 0, PS_OPT_FLAG, NULL, offsetof(ps_common, check_config), NULL,   \
            0, 0, NULL, "Only say whether the settings are good"                         \
    }

/* The commands in the order of help, ended by NULL (commands.c). */
extern const ps_command *const ps_commands[];
const ps_command *ps_command_find(const char *name); /* NULL when there is none */

int ps_cli_main(int argc, char **argv);

/* Of a file of settings: all of a command's, as --config takes them; and a JSON schema
 * for any such file, from the same tables (settings.c). */
void ps_settings_print(ps_buf *out, const ps_command *c, const void *settings);
void ps_settings_schema(ps_buf *out);
/* What a shell ("bash", "zsh", "fish") reads for completion of commands, options and
 * choices; false for a shell that is none of these. */
bool ps_completion(ps_buf *out, const char *shell);

/* A listener that shows progress on stderr: a bar on a terminal, else a line each 10 %.
 * SIGINT and SIGTERM then cancel the work under way cleanly. */
ps_progress ps_cli_progress(const ps_common *common);
/* The work told by a progress listener is over: end its line. */
void ps_cli_progress_end(void);
/* True when colours may be used on this stream's descriptor (terminal, no NO_COLOR). */
bool ps_cli_colour(int fd);

/* "CATALOG: gen-000007"; when that is not in use yet, a line that says what it waits for.
 */
void ps_cli_generation(const char *catalog, const char *name);

/* "12,345" into a static ring of buffers, for sentences. */
const char *ps_cli_count(uint64_t n);

#endif
