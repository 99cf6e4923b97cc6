/* catalog_path.c - the catalog's path, followed once.
 *
 * A path that leads through symbolic links may lead elsewhere a moment later: that is how
 * blue/green deployments switch. A command that took the lock of one catalog and read the
 * generation of another would do harm to both, so links are followed here, once, and the
 * rest of the command is told where they led. A path without links stays as it was typed,
 * for messages; one that leads nowhere yet is the command's own affair.
 *
 * Threads: main thread.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/buf.h"
#include "server/cli/cli.h"

/* The absolute path that these words mean when no part of them is a link. */
static void spell_out(ps_buf *out, const char *path)
{
    char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    if (here && strcmp(here, "/") != 0)
        ps_buf_text(out, here);
    free(here);
    for (const char *at = path; *at; at += strcspn(at, "/")) {
        at += strspn(at, "/");
        size_t len = strcspn(at, "/");
        if (len == 0 || (len == 1 && *at == '.'))
            continue;
        ps_buf_char(out, '/');
        ps_buf_add(out, at, len);
    }
    if (!out->size)
        ps_buf_char(out, '/');
}

void ps_cli_follow(const ps_command *c, ps_parsed *words)
{
    static char real[PATH_MAX];
    ps_buf plain = {0};
    if (!words->n_words || strncmp(c->words, "CATALOG", strlen("CATALOG")) != 0 ||
        !realpath(words->word[0], real))
        return;
    spell_out(&plain, words->word[0]);
    if (!plain.failed && strcmp(plain.data, real) != 0) {
        words->link = words->word[0];
        words->word[0] = real;
    }
    ps_buf_done(&plain);
}
