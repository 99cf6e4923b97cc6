/* numpy.c - see numpy.h. */
#include "tests/support/numpy.h"

#include <stdio.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"

static bool python(const char *code, bool quiet)
{
    char command[PS_SCRATCH_COMMAND], line[512];
    const char *file = scratch_text("script.py", code);
    /* Debian's own first: another python3 in the path need not have its packages. */
    const char *debian = "/usr/bin/python3";
    snprintf(command, sizeof command, "cd '%s' && %s '%s' 2>&1", scratch_dir(),
             ps_file_exists(debian) ? debian : "python3", file);
    FILE *f = popen(command, "r");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f))
        if (!quiet)
            printf("# %s", line);
    return pclose(f) == 0;
}

bool have_numpy(void)
{
    static int have = -1;
    if (have < 0)
        have = python("import numpy\n", true);
    return have;
}

bool numpy(const char *code)
{
    char whole[16384];
    snprintf(whole, sizeof whole, "import numpy as np\n%s", code);
    return python(whole, false);
}
