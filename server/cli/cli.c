/* cli.c - find the command, parse, run, and say what went wrong in one line.
 *
 * Exit codes follow sysexits: 0 done, 1 failed, 64 usage, 65 bad data, 74 input or
 * output. Data goes to stdout; a write to stdout that failed is a failure too.
 *
 * Threads: main thread.
 */
#include "server/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/ann.h"
#include "server/cli/cpu_check.h"
#include "server/cli/guess.h"

enum { EXIT_USAGE = 64, EXIT_DATA = 65, EXIT_INPUT = 74 };

/* Words that stand where a command may, and have no options. */
static const char *const others[] = {"help", "completion", "config-schema"};

static int exit_code(int err)
{
    switch (err) {
    case PS_OK:
        return EXIT_SUCCESS;
    case PS_EINVAL:
        return EXIT_USAGE;
    case PS_EFORMAT:
    case PS_EMISMATCH:
        return EXIT_DATA;
    case PS_EIO:
    case PS_EFULL:
    case PS_ENOENT:
        return EXIT_INPUT;
    default:
        return EXIT_FAILURE;
    }
}

static void print_commands(FILE *out)
{
    fputs("Usage: pinsage COMMAND [OPTION...]\n"
          "Related pins from a pin-board graph and content vectors.\n\nCommands:\n",
          out);
    for (size_t i = 0; ps_commands[i]; i++)
        fprintf(out, "  %-10s %-12s %s\n", ps_commands[i]->name, ps_commands[i]->words,
                ps_commands[i]->summary);
    fputs("\n`pinsage COMMAND --help` (or -h) lists a command's options. `pinsage "
          "--version`.\n"
          "`pinsage completion bash|zsh|fish` and `pinsage config-schema` print what a "
          "shell\nand an editor of settings can use.\n",
          out);
}

const ps_command *ps_command_find(const char *name)
{
    for (size_t i = 0; ps_commands[i]; i++)
        if (strcmp(ps_commands[i]->name, name) == 0)
            return ps_commands[i];
    return NULL;
}

static int tell(const ps_command *c, int err, const ps_why *why)
{
    char text[600];
    ps_why_format(why, err, text, sizeof text);
    fprintf(stderr, "pinsage %s: %s\n", c->name, text);
    return exit_code(err);
}

static int put(ps_buf *b)
{
    bool good = !b->failed && fwrite(b->data, 1, b->size, stdout) == b->size;
    ps_buf_done(b);
    return good && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_INPUT;
}

static int tell_settings(const ps_command *c, const ps_common *settings)
{
    ps_buf out = {0};
    if (settings->print_config)
        ps_settings_print(&out, c, settings);
    else
        ps_buf_printf(&out, "the settings of %s are good\n", c->name);
    return put(&out);
}

/* What is printed from the tables alone. -1: another word. */
static int print_table(int argc, char **argv)
{
    ps_buf out = {0};
    if (argc == 2 && strcmp(argv[1], "config-schema") == 0) {
        ps_settings_schema(&out);
        return put(&out);
    }
    if (strcmp(argv[1], "completion") != 0)
        return -1;
    if (argc == 3 && ps_completion(&out, argv[2]))
        return put(&out);
    fputs("Usage: pinsage completion bash|zsh|fish\n", stderr);
    return EXIT_USAGE;
}

static int run(const ps_command *c, int argc, char **argv)
{
    ps_why why = {0};
    ps_parsed words = {0};
    void *settings = calloc(1, c->settings_size);
    if (!settings)
        abort();
    ps_options_parse(c, argc, argv, settings, &words);
    const ps_common *common = settings;
    if (common->print_config || common->check_config) {
        int told = tell_settings(c, common);
        free(settings);
        return told;
    }
    ps_cli_follow(c, &words);
    int err = c->run(&words, settings, &why);
    ps_cli_progress_end();
    int code = err ? tell(c, err, &why) : EXIT_SUCCESS;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "pinsage %s: stdout: %s\n", c->name, strerror(errno));
        code = code ? code : EXIT_INPUT;
    }
    free(settings);
    return code;
}

static int no_such_command(const char *word)
{
    ps_guess g;
    ps_guess_init(&g, ps_text_of(word));
    for (size_t i = 0; ps_commands[i]; i++)
        ps_guess_offer(&g, ps_commands[i]->name);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ps_guess_offer(&g, others[i]);
    fprintf(stderr, "pinsage: there is no command \"%s\"%s\n", word,
            ps_did_you_mean(&g, "", "; see `pinsage help`"));
    return EXIT_USAGE;
}

static int help(int argc, char **argv)
{
    const ps_command *c = argc > 2 ? ps_command_find(argv[2]) : NULL;
    if (argc > 2 && !c && strcmp(argv[1], "help") == 0)
        return no_such_command(argv[2]);
    if (c) {
        char *words[] = {argv[0], (char[]){"--help"}, NULL};
        return run(c, 2, words); /* prints and exits */
    }
    print_commands(stdout);
    return EXIT_SUCCESS;
}

int ps_cli_main(int argc, char **argv)
{
    ps_cpu_check_or_exit(ps_ann_cpu_check);
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0) {
        puts("pinsage " PS_VERSION);
        return EXIT_SUCCESS;
    }
    int printed = print_table(argc, argv);
    if (printed >= 0)
        return printed;
    const ps_command *c = ps_command_find(argv[1]);
    if (!c)
        return no_such_command(argv[1]);
    return run(c, argc - 1, argv + 1);
}

const char *ps_cli_count(uint64_t n)
{
    static char ring[8][32];
    static unsigned turn;
    char digits[24];
    char *out = ring[turn++ % 8], *to = out;
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}
