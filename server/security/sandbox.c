/* sandbox.c - Landlock, asked of the kernel directly, and which half is in force.
 *
 * The C library has no functions for it and older headers not all the names, so calls
 * and newer rights stand here. Each version of the kernel's knows some rights more; what
 * it does not know is not asked for. Version 1 cannot let files be linked or renamed
 * between folders, which every new generation needs, so there it is left out.
 *
 * Threads: see sandbox.h. Not here: the filter of calls (sandbox_calls.c).
 */
#include "server/security/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinsage/file.h"

#define FS(right) LANDLOCK_ACCESS_FS_##right
#define TRUNCATE  (1ull << 14) /* since version 3 */
#define IOCTL_DEV (1ull << 15) /* since version 5 */
#define CONNECT   (1ull << 1)  /* over TCP, since version 4 */

enum { LEAST = 2 };

static const uint64_t reading = FS(READ_FILE) | FS(READ_DIR);
static const uint64_t writing = FS(WRITE_FILE) | FS(REMOVE_DIR) | FS(REMOVE_FILE) |
                                FS(MAKE_DIR) | FS(MAKE_REG) | FS(MAKE_SYM) | FS(REFER) |
                                TRUNCATE;
static const uint64_t never = FS(EXECUTE) | FS(MAKE_CHAR) | FS(MAKE_SOCK) |
                              FS(MAKE_FIFO) | FS(MAKE_BLOCK) | IOCTL_DEV;

/* What the program itself looks at: its own state for the metrics, the cores it may
 * use, and how "localhost" is written. */
static const char *const own[] = {
    "/proc/self",         "/sys/fs/cgroup", "/etc/hosts",
    "/etc/nsswitch.conf", "/etc/host.conf", "/etc/resolv.conf",
    "/etc/gai.conf",      "/etc/services",  "/dev/null"};

/* Version 4 and later read the second word, too. */
typedef struct rules {
    uint64_t files, net;
} rules;

static uint64_t known(int version)
{
    uint64_t rights = reading | writing | never;
    if (version < 3)
        rights &= ~TRUNCATE;
    if (version < 5)
        rights &= ~IOCTL_DEV;
    return rights;
}

static bool add_path(int set, int version, const char *path, bool write)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return true;
    uint64_t rights = reading | (write ? writing : 0);
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= FS(READ_FILE) | FS(WRITE_FILE) | TRUNCATE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & known(version),
                                              .parent_fd = fd};
    long rc = syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(fd);
    return rc == 0;
}

static bool add_given(int set, int version, const ps_sandbox_path *p)
{
    char folder[PS_PATH_MAX];
    const char *path = p->path;
    if (!path)
        return true;
    if (p->folder) {
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) + (slash == path) : 1;
        if (len >= sizeof folder)
            return false;
        memcpy(folder, slash ? path : ".", len);
        folder[len] = '\0';
        path = folder;
    }
    return add_path(set, version, path, p->write);
}

/* NULL, or what failed. */
static const char *restrict_files(int version, const ps_sandbox_path *paths, size_t n)
{
    rules r = {known(version), version < 4 ? 0 : CONNECT};
    size_t size = version < 4 ? sizeof r.files : sizeof r;
    int set = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (set < 0)
        return "the kernel takes no Landlock rules";
    bool good = true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        good = good && add_path(set, version, own[i], false);
    for (size_t i = 0; i < n; i++)
        good = good && add_given(set, version, &paths[i]);
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, set, 0) == 0;
    close(set);
    return good ? NULL : "Landlock refuses a rule";
}

static bool is(const ps_sandbox *s, const char *mode)
{
    return strcmp(s->mode, mode) == 0;
}

static int need(const ps_sandbox *s, const char *lacks, ps_why *why)
{
    if (!lacks || !is(s, "strict"))
        return PS_OK;
    return ps_fail(why, PS_EUNSUPPORTED, "sandbox", 0, "strict is wanted, but %s", lacks);
}

/* Sanitizers have a life of their own: a sandbox would only show them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static const char *why_not(const ps_sandbox *s)
{
    if (is(s, "off"))
        return "it is off";
#ifdef SANITIZED
    return "this program was built with a sanitizer";
#else
    return NULL;
#endif
}

int ps_sandbox_files(ps_sandbox *s, const char *mode, const ps_sandbox_path *paths,
                     size_t n, ps_why *why)
{
    *s = (ps_sandbox){.mode = mode};
    s->no_files = why_not(s);
    if (!s->no_files && is(s, "log"))
        s->no_files = "calls are only logged";
    if (s->no_files)
        return need(s, s->no_files, why);
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < LEAST)
        s->no_files = version < 0
                          ? "this kernel has no Landlock, or it is off"
                          : "this kernel's Landlock cannot rename between folders";
    else
        s->no_files = restrict_files((int)version, paths, n);
    if (!s->no_files)
        s->landlock = (int)version;
    return need(s, s->no_files, why);
}

int ps_sandbox_calls(ps_sandbox *s, ps_why *why)
{
    s->no_calls = why_not(s);
    if (!s->no_calls)
        s->no_calls = ps_sandbox_filter(is(s, "log"));
    return need(s, s->no_calls, why);
}

void ps_sandbox_say(const ps_sandbox *s, ps_log *log)
{
    char files[32];
    snprintf(files, sizeof files, "Landlock %d", s->landlock);
    bool whole = (!s->no_files && !s->no_calls) || is(s, "off") || is(s, "log");
    ps_log_say(log, whole ? PS_LOG_INFO : PS_LOG_WARN, "sandbox", "files",
               s->no_files ? s->no_files : files, "calls",
               s->no_calls    ? s->no_calls
               : is(s, "log") ? "seccomp, logged"
                              : "seccomp",
               NULL);
}
