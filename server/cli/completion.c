/* completion.c - a shell's completion, from the option tables.
 *
 *     . <(pinsage completion bash)
 *     pinsage completion zsh  > a folder of $fpath/_pinsage
 *     pinsage completion fish > ~/.config/fish/completions/pinsage.fish
 *
 * Texts whose argument is called DIR or FILE are completed by names of files, choices by
 * their words. bash splits a word at '=', so the value of --name=va is its third word.
 *
 * Threads: main thread.
 */
#include <string.h>

#include "server/cli/cli.h"

/* In single quotes, where only the quote itself must be written otherwise. */
static void quoted(ps_buf *out, const char *text, const char *quote)
{
    for (; *text; text++)
        *text == '\'' ? ps_buf_text(out, quote) : ps_buf_char(out, *text);
}

/* ------------------------------ bash --------------------------------------- */

static void options_of(ps_buf *out, const ps_command *c)
{
    for (const ps_option *o = c->options; o->name; o++)
        ps_buf_printf(out, " --%s%s", o->name, o->arg ? "=" : "");
    ps_buf_text(out, " --help");
}

/* One line of a case: how the value of an option is completed. */
static void values_of(ps_buf *out, const ps_command *c, const ps_option *o)
{
    ps_buf_printf(out, "    %s--%s) ", c->name, o->name);
    if (ps_option_is_choice(o)) {
        ps_buf_text(out, "words=\"");
        ps_option_list_choices(out, o, ' ');
        ps_buf_text(out, "\" ;;\n");
    } else if (strstr(o->arg, "DIR")) {
        ps_buf_text(out, "files=-d ;;\n");
    } else if (strstr(o->arg, "FILE")) {
        ps_buf_text(out, "files=-f ;;\n");
    } else {
        ps_buf_text(out, "words= ;;\n");
    }
}

static void bash(ps_buf *out)
{
    ps_buf_text(out, "# bash completion of pinsage, made by `pinsage completion bash`.\n"
                     "_pinsage()\n{\n"
                     "    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
                     "    local option= words= files= commands=\"help completion "
                     "config-schema");
    for (size_t i = 0; ps_commands[i]; i++)
        ps_buf_printf(out, " %s", ps_commands[i]->name);
    ps_buf_text(out, "\"\n    COMPREPLY=()\n"
                     "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                     "        mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- "
                     "\"$cur\")\n"
                     "        return\n"
                     "    fi\n"
                     "    if [ \"$cur\" = = ]; then\n"
                     "        option=${COMP_WORDS[COMP_CWORD - 1]} cur=\n"
                     "    elif [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = = ]; then\n"
                     "        option=${COMP_WORDS[COMP_CWORD - 2]}\n"
                     "    fi\n"
                     "    case $command$option in\n"
                     "    help) words=$commands ;;\n"
                     "    completion) words=\"bash zsh fish\" ;;\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        const ps_command *c = ps_commands[i];
        ps_buf_printf(out, "    %s)\n        files=-d words=\"", c->name);
        options_of(out, c);
        ps_buf_text(out, "\" ;;\n");
        for (const ps_option *o = c->options; o->name; o++)
            if (o->arg)
                values_of(out, c, o);
    }
    ps_buf_text(
        out, "    esac\n"
             "    if [ -n \"$words\" ] && { [ -n \"$option\" ] || [[ -z $files || $cur "
             "== -* ]]; }; then\n"
             "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
             "        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null\n"
             "    elif [ -n \"$files\" ]; then\n"
             "        mapfile -t COMPREPLY < <(compgen \"$files\" -- \"$cur\")\n"
             "        compopt -o filenames 2>/dev/null\n"
             "    fi\n"
             "}\n"
             "complete -F _pinsage pinsage\n");
}

/* ------------------------------ zsh ---------------------------------------- */

/* Text inside a specification of _arguments, where ':' and brackets part its pieces. */
static void zsh_text(ps_buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr(":[]\\", *text))
            ps_buf_char(out, '\\');
        *text == '\'' ? ps_buf_text(out, "'\\''") : ps_buf_char(out, *text);
    }
}

/* '(-p --pins)'{-p+,--pins=}'[help]:FILE:_files' */
static void zsh_option(ps_buf *out, const ps_option *o)
{
    const char *many = o->kind == PS_OPT_LIST ? "*" : "", *value = o->arg ? "=" : "";
    ps_buf_text(out, " \\\n            ");
    if (o->key && !*many)
        ps_buf_printf(out, "'(-%c --%s)'", o->key, o->name);
    if (o->key)
        ps_buf_printf(out, "%s{-%c%s,--%s%s}'[", *many ? "'*'" : "", o->key,
                      o->arg ? "+" : "", o->name, value);
    else
        ps_buf_printf(out, "'%s--%s%s[", many, o->name, value);
    zsh_text(out, o->help);
    ps_buf_char(out, ']');
    if (o->arg) {
        ps_buf_char(out, ':');
        zsh_text(out, o->arg);
        ps_buf_char(out, ':');
    }
    if (ps_option_is_choice(o)) {
        ps_buf_char(out, '(');
        ps_option_list_choices(out, o, ' ');
        ps_buf_char(out, ')');
    } else if (o->arg && (strstr(o->arg, "DIR") || strstr(o->arg, "FILE"))) {
        ps_buf_text(out, strstr(o->arg, "DIR") ? "_files -/" : "_files");
    }
    ps_buf_char(out, '\'');
}

static void zsh(ps_buf *out)
{
    ps_buf_text(out, "#compdef pinsage\n# made by `pinsage completion zsh`\n"
                     "_pinsage()\n{\n    local -a commands\n    commands=(\n"
                     "        help:'How to use a command'\n"
                     "        completion:'Completion for a shell'\n"
                     "        config-schema:'JSON schema of files of settings'\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        ps_buf_printf(out, "        %s:'", ps_commands[i]->name);
        quoted(out, ps_commands[i]->summary, "'\\''");
        ps_buf_text(out, "'\n");
    }
    ps_buf_text(out, "    )\n"
                     "    if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then\n"
                     "        _describe command commands\n"
                     "        return\n"
                     "    fi\n"
                     "    shift words\n    (( CURRENT-- ))\n"
                     "    case $words[1] in\n"
                     "    completion) _values shell bash zsh fish ;;\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        ps_buf_printf(out, "    %s)\n        _arguments -s", ps_commands[i]->name);
        for (const ps_option *o = ps_commands[i]->options; o->name; o++)
            zsh_option(out, o);
        ps_buf_text(out, " \\\n            '(-h --help)'{-h,--help}'[Give this help "
                         "list]' \\\n            '1:catalog:_files -/' ;;\n");
    }
    ps_buf_text(out, "    esac\n}\n"
                     "if [[ $funcstack[1] == _pinsage ]]; then\n    _pinsage \"$@\"\n"
                     "else\n    compdef _pinsage pinsage\nfi\n");
}

/* ------------------------------ fish --------------------------------------- */

static void fish_word(ps_buf *out, const char *word, const char *what)
{
    ps_buf_printf(out, "complete -c pinsage -n __fish_use_subcommand -a %s -d '", word);
    quoted(out, what, "\\'");
    ps_buf_text(out, "'\n");
}

static void fish_option(ps_buf *out, const ps_command *c, const ps_option *o)
{
    ps_buf_printf(out, "complete -c pinsage -n '__fish_seen_subcommand_from %s' -l %s",
                  c->name, o->name);
    if (o->key)
        ps_buf_printf(out, " -s %c", o->key);
    if (ps_option_is_choice(o)) {
        ps_buf_text(out, " -x -a '");
        ps_option_list_choices(out, o, ' ');
        ps_buf_char(out, '\'');
    } else if (o->arg && strstr(o->arg, "DIR")) {
        ps_buf_text(out, " -x -a '(__fish_complete_directories)'");
    } else if (o->arg) {
        ps_buf_text(out, strstr(o->arg, "FILE") ? " -r -F" : " -x");
    }
    ps_buf_text(out, " -d '");
    quoted(out, o->help, "\\'");
    ps_buf_text(out, "'\n");
}

static void fish(ps_buf *out)
{
    ps_buf_text(out, "# fish completion of pinsage, made by `pinsage completion fish`.\n"
                     "complete -c pinsage -f\n");
    fish_word(out, "help", "How to use a command");
    fish_word(out, "completion", "Completion for a shell");
    fish_word(out, "config-schema", "JSON schema of files of settings");
    ps_buf_text(out, "complete -c pinsage -n '__fish_seen_subcommand_from completion' "
                     "-a 'bash zsh fish'\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        const ps_command *c = ps_commands[i];
        fish_word(out, c->name, c->summary);
        ps_buf_printf(out,
                      "complete -c pinsage -n '__fish_seen_subcommand_from help' -a %s\n"
                      "complete -c pinsage -n '__fish_seen_subcommand_from %s' "
                      "-a '(__fish_complete_directories)'\n",
                      c->name, c->name);
        for (const ps_option *o = c->options; o->name; o++)
            fish_option(out, c, o);
        ps_buf_printf(out,
                      "complete -c pinsage -n '__fish_seen_subcommand_from %s' -l help "
                      "-s h -d 'Give this help list'\n",
                      c->name);
    }
}

bool ps_completion(ps_buf *out, const char *shell)
{
    static const struct {
        const char *name;
        void (*write)(ps_buf *);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].write(out);
            return true;
        }
    return false;
}
