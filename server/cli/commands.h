/* commands.h - the rows of the command table, each defined by its own file.
 *
 * Threads: main thread.
 */
#ifndef PINSAGE_SERVER_CLI_COMMANDS_H
#define PINSAGE_SERVER_CLI_COMMANDS_H

#include "server/cli/cli.h"

extern const ps_command ps_command_import, ps_command_annotate, ps_command_structure,
    ps_command_train, ps_command_embed, ps_command_index, ps_command_build,
    ps_command_eval, ps_command_related, ps_command_verify, ps_command_compact,
    ps_command_switch, ps_command_serve;

#endif
