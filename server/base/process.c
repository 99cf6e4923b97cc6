/* process.c - a few lines of /proc/self.
 *
 * Threads: any.
 */
#include "server/base/process.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef PS_VERSION
#define PS_VERSION "unknown"
#endif

static void read_status(ps_process *p)
{
    static const struct {
        const char *name;
        size_t at;
        uint64_t unit;
    } lines[] = {
        {"VmSize:", offsetof(ps_process, virtual), 1024},
        {"VmRSS:", offsetof(ps_process, resident), 1024},
        {"RssAnon:", offsetof(ps_process, resident_anon), 1024},
        {"RssFile:", offsetof(ps_process, resident_file), 1024},
        {"Threads:", offsetof(ps_process, threads), 1},
    };
    FILE *f = fopen("/proc/self/status", "re");
    char line[256], name[32];
    unsigned long long value;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %llu", name, &value) != 2)
            continue;
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            if (strcmp(lines[i].name, name) == 0)
                *(uint64_t *)(void *)((char *)p + lines[i].at) = value * lines[i].unit;
    }
    if (f)
        fclose(f);
}

static uint64_t count_fds(void)
{
    uint64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n ? n - 1 : 0; /* the one that reads them */
}

void ps_process_read(ps_process *p)
{
    *p = (ps_process){.open_fds = count_fds()};
    read_status(p);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        p->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
        p->major_faults = (uint64_t)usage.ru_majflt;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        p->max_fds = limit.rlim_cur;
}

const char *ps_version(void)
{
    return PS_VERSION;
}
