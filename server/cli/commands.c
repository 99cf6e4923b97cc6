/* commands.c - which commands there are, in the order of help.
 *
 * Threads: constant.
 */
#include "server/cli/commands.h"

#include <stddef.h>

const ps_command *const ps_commands[] = {
    &ps_command_import,    &ps_command_annotate,
    &ps_command_structure, &ps_command_train,
    &ps_command_embed,     &ps_command_index,
    &ps_command_build,     &ps_command_eval,
    &ps_command_related,   &ps_command_verify,
    &ps_command_compact,   &ps_command_switch,
    &ps_command_serve,     NULL,
};
