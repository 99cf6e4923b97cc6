/* sandbox_calls.c - the calls of the kernel's that a serving process makes.
 *
 * A list of what is allowed; anything else fails with EPERM, as if the user might not.
 * Found by watching (strace) a server that serves, reloads, compactions and writes,
 * completed by what the C library may choose instead on other kernels and machines.
 *
 * A few are looked at more closely: memory may not become executable, a new thread is
 * allowed and a new process not. clone3 hides its flags in memory, which a filter
 * cannot see; it is answered "no such call", and the C library takes clone.
 *
 * Threads: see sandbox.h.
 */
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "server/security/sandbox.h"

static const char *const allowed[] = {
    /* files that are open */
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "lseek",
    "_llseek",
    "close",
    "close_range",
    "fstat",
    "fstat64",
    "fstatfs",
    "fstatfs64",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "ftruncate64",
    "fallocate",
    "fadvise64",
    "fadvise64_64",
    "flock",
    "fcntl",
    "fcntl64",
    "dup",
    "dup2",
    "dup3",
    "fchmod",
    "copy_file_range",
    "getdents64",
    "readahead",
    /* paths: Landlock says which */
    "open",
    "openat",
    "openat2",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "newfstatat",
    "fstatat64",
    "statx",
    "statfs",
    "statfs64",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "getcwd",
    "umask",
    /* memory */
    "munmap",
    "mremap",
    "madvise",
    "msync",
    "mincore",
    "brk",
    "mlock",
    "munlock",
    /* connections: those that come in */
    "accept",
    "accept4",
    "recvfrom",
    "recvmsg",
    "recv",
    "sendto",
    "sendmsg",
    "send",
    "sendfile",
    "sendfile64",
    "shutdown",
    "getsockopt",
    "setsockopt",
    "getsockname",
    "getpeername",
    /* waiting */
    "epoll_create1",
    "epoll_create",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "eventfd2",
    "eventfd",
    "pipe",
    "pipe2",
    "timerfd_create",
    "timerfd_settime",
    "inotify_init1",
    "inotify_add_watch",
    "inotify_rm_watch",
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    /* threads */
    "futex",
    "futex_time64",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "set_tid_address",
    "rseq",
    "exit",
    "exit_group",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "membarrier",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigsuspend",
    "sigaltstack",
    "restart_syscall",
    "sched_getparam",
    "sched_getscheduler",
    "getpriority",
    "setpriority",
    /* who and when */
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "getuid32",
    "geteuid",
    "geteuid32",
    "getgid",
    "getgid32",
    "getegid",
    "getegid32",
    "uname",
    "sysinfo",
    "getrusage",
    "times",
    "time",
    "gettimeofday",
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "getrandom",
    "getrlimit",
    "ugetrlimit",
};

typedef struct rule {
    const char *name;
    struct scmp_arg_cmp when;
} rule;

#define MASKED(argument, mask, value)                                                    \
    {                                                                                    \
        argument, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)        \
    }
#define EQUAL(argument, value)                                                           \
    {                                                                                    \
        argument, SCMP_CMP_EQ, (scmp_datum_t)(value), 0                                  \
    }

static const rule closer[] = {
    {"mmap", MASKED(2, PROT_EXEC, 0)},
    {"mmap2", MASKED(2, PROT_EXEC, 0)},
    {"mprotect", MASKED(2, PROT_EXEC, 0)},
    {"clone", MASKED(0, CLONE_THREAD, CLONE_THREAD)},
    {"prctl", EQUAL(0, PR_SET_NAME)},
    {"prctl", EQUAL(0, PR_GET_NAME)},
    {"prlimit64", EQUAL(0, 0)}, /* our own */
    {"ioctl", EQUAL(1, FIONBIO)},
    {"ioctl", EQUAL(1, FIOCLEX)},
    {"ioctl", EQUAL(1, FIONREAD)},
    {"ioctl", EQUAL(1, TIOCGWINSZ)},
    {"ioctl", EQUAL(1, TCGETS)},
};

/* Names that this machine's kernel does not have are passed over. */
static int allow(scmp_filter_ctx f, const char *name, unsigned n,
                 const struct scmp_arg_cmp *when)
{
    int number = seccomp_syscall_resolve_name(name);
    int rc = number == __NR_SCMP_ERROR
                 ? 0
                 : seccomp_rule_add_array(f, SCMP_ACT_ALLOW, number, n, when);
    return rc == -EDOM ? 0 : rc;
}

static int fill(scmp_filter_ctx f)
{
    int rc = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !rc; i++)
        rc = allow(f, allowed[i], 0, NULL);
    for (size_t i = 0; i < sizeof closer / sizeof *closer && !rc; i++)
        rc = allow(f, closer[i].name, 1, &closer[i].when);
    /* abort() sends a signal to itself. */
    struct scmp_arg_cmp self = EQUAL(0, getpid());
    if (!rc)
        rc = allow(f, "tgkill", 1, &self);
    int clone3 = seccomp_syscall_resolve_name("clone3");
    if (!rc && clone3 != __NR_SCMP_ERROR)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), clone3, 0);
    return rc;
}

const char *ps_sandbox_filter(bool only_log)
{
    scmp_filter_ctx f = seccomp_init(only_log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return "seccomp's library cannot make a filter";
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (!rc)
        rc = fill(f);
    if (!rc)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc ? "the kernel takes no seccomp filter" : NULL;
}
