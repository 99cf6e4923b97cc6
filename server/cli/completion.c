/* completion.c - a shell's completion, from the option tables.
 *
 *     . <(pinsage completion bash)
 *
 * The shell splits a word at '=', so the value of --name=va is its third word. Texts
 * whose argument is called DIR or FILE are completed by names of files, choices by their
 * words.
 *
 * Threads: main thread.
 */
#include <string.h>

#include "server/cli/cli.h"

static void options_of(ps_buf *out, const ps_command *c)
{
    for (const ps_option *o = c->options; o->name; o++)
        ps_buf_printf(out, " --%s%s", o->name, o->kind == PS_OPT_FLAG ? "" : "=");
    ps_buf_text(out, " --help");
}

/* One line of a case: how the value of an option is completed. */
static void values_of(ps_buf *out, const ps_command *c, const ps_option *o)
{
    ps_buf_printf(out, "    %s--%s) ", c->name, o->name);
    if (o->kind == PS_OPT_CHOICE) {
        ps_buf_text(out, "words=\"");
        for (const char *at = o->choices; *at; at++)
            ps_buf_char(out, *at == '|' ? ' ' : *at);
        ps_buf_text(out, "\" ;;\n");
    } else if (strstr(o->arg, "DIR")) {
        ps_buf_text(out, "files=-d ;;\n");
    } else if (strstr(o->arg, "FILE")) {
        ps_buf_text(out, "files=-f ;;\n");
    } else {
        ps_buf_text(out, "words= ;;\n");
    }
}

void ps_completion_bash(ps_buf *out)
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
                     "    completion) words=bash ;;\n");
    for (size_t i = 0; ps_commands[i]; i++) {
        const ps_command *c = ps_commands[i];
        ps_buf_printf(out, "    %s)\n        files=-d words=\"", c->name);
        options_of(out, c);
        ps_buf_text(out, "\" ;;\n");
        for (const ps_option *o = c->options; o->name; o++)
            if (o->kind != PS_OPT_FLAG)
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
