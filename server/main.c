/* main.c - the one program.
 *
 * Threads: starts as one. Not here: everything; server/cli/cli.c reads the command line.
 */
#include "server/cli/cli.h"

int main(int argc, char **argv)
{
    return ps_cli_main(argc, argv);
}
