/* main.c - the one program.
 *
 * Threads: starts as one. Not here: everything; server/cli/cli.c reads the command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "server/base/cut_off.h"
#include "server/cli/cli.h"

/* A descriptor that the caller closed would go to the next file that is opened, and what
 * is meant for the terminal would be written into a catalog. So 0, 1 and 2 are always
 * something, before anything is opened. */
static void open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            abort();
}

int main(int argc, char **argv)
{
    open_standard_streams();
    ps_cut_off_handle();
    return ps_cli_main(argc, argv);
}
