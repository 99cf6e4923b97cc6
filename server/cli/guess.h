/* guess.h - words of the command line that mean nothing, with what was meant.
 *
 * Threads: main thread, at start.
 */
#ifndef PINSAGE_SERVER_CLI_GUESS_H
#define PINSAGE_SERVER_CLI_GUESS_H

#include "server/cli/cli.h"

/* "; did you mean \"train\"?", or otherwise (borrowed) when nothing is near. The text is
 * good until the next call. */
const char *ps_did_you_mean(const ps_guess *g, const char *before, const char *otherwise);

/* PS_EINVAL for the first word that looks like a long option and is none of c's. What
 * belongs to an option as its value is not looked at. */
int ps_flags_check(const ps_command *c, int argc, char **argv, ps_why *why);

/* Say on stderr which PINSAGE_... variables are no option of any command. They are no
 * error: Kubernetes names some that way by itself, which are passed over. */
void ps_environment_check(const ps_command *c);

#endif
