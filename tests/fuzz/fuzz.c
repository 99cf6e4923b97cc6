/* fuzz.c - see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_must(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_must(ftruncate(fd, (off_t)size) == 0);
    fuzz_must(pwrite(fd, data, size, 0) == (ssize_t)size);
    return path;
}

void fuzz_touch(const void *data, size_t size)
{
    static volatile unsigned char sink;
    const unsigned char *at = data;
    unsigned char sum = 0;
    for (size_t i = 0; i < size; i++)
        sum ^= at[i];
    sink = sum;
    (void)sink;
}
