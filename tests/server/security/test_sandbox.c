/* test_sandbox.c - inside the sandbox: what the server needs goes on, the rest does not.
 * Each test is a process of its own, for there is no way out again. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/workers.h"
#include "server/security/sandbox.h"
#include "tests/support/scratch.h"

static char catalog[PS_PATH_MAX], images[PS_PATH_MAX], secret[PS_PATH_MAX],
    other[PS_PATH_MAX];
static ps_sandbox box;

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("# line %d: %s\n", __LINE__, strerror(errno));                        \
            fflush(stdout);                                                              \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

static const char *in(const char *dir, const char *name)
{
    static char path[4][PS_PATH_MAX];
    static int next;
    char *out = path[next++ % 4];
    CHECK(ps_path_join(out, PS_PATH_MAX, dir, name) == PS_OK);
    return out;
}

static int enter_files(const char *mode, ps_why *why)
{
    const ps_sandbox_path paths[] = {
        {.path = catalog, .write = true}, {.path = images},
        {.path = secret, .folder = true}, {.path = NULL},
        {.path = in(other, "not there")},
    };
    return ps_sandbox_files(&box, mode, paths, sizeof paths / sizeof *paths, why);
}

/* The exit status of a child that runs this inside; 77: this kernel has no sandbox. */
static int inside(void (*look)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        ps_why why = {0};
        CHECK(enter_files("auto", &why) == PS_OK);
        CHECK(ps_sandbox_calls(&box, &why) == PS_OK);
        if (box.no_files || box.no_calls)
            _exit(77);
        look();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define INSIDE(look)                                                                     \
    do {                                                                                 \
        int status_ = inside(look);                                                      \
        if (status_ == 77)                                                               \
            skip();                                                                      \
        assert_int_equal(status_, 0);                                                    \
    } while (0)

/* ------------------------------ Files -------------------------------------- */

static bool denied(const char *path, int how)
{
    int fd = open(path, how, 0600);
    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == EACCES;
}

static void look_at_files(void)
{
    CHECK(denied("/etc/passwd", O_RDONLY));
    CHECK(denied("/", O_RDONLY | O_DIRECTORY));
    CHECK(denied(in(other, "file"), O_RDONLY));
    CHECK(denied(in(other, "new"), O_WRONLY | O_CREAT));
    CHECK(denied(in(images, "file"), O_RDWR));
    CHECK(denied(in(images, "new"), O_WRONLY | O_CREAT));
    CHECK(denied(secret, O_WRONLY));
    CHECK(denied(in(catalog, "link"), O_RDONLY)); /* leads out of it */
    CHECK(!denied(in(images, "file"), O_RDONLY));
    CHECK(!denied(secret, O_RDONLY));
    CHECK(!denied("/proc/self/status", O_RDONLY));
    CHECK(rename(in(catalog, "file"), in(other, "stolen")) < 0);
    CHECK(link(in(catalog, "file"), in(images, "stolen")) < 0);
    CHECK(unlink(in(images, "file")) < 0 && errno == EACCES);
}

static void only_the_given_folders_are_there(void **state)
{
    (void)state;
    INSIDE(look_at_files);
}

/* What a compaction does: a folder, files, links from the older one, a switch by rename.
 */
static void look_at_writing(void)
{
    int fd;
    char data[8192] = {1};
    CHECK(mkdir(in(catalog, "draft"), 0755) == 0);
    CHECK(mkdir(in(catalog, "draft/graph"), 0755) == 0);
    CHECK(link(in(catalog, "file"), in(catalog, "draft/graph/file")) == 0);
    CHECK((fd = open(in(catalog, "draft/new"), O_RDWR | O_CREAT | O_EXCL, 0644)) >= 0);
    CHECK(pwrite(fd, data, sizeof data, 4096) == sizeof data);
    CHECK(ftruncate(fd, 65536) == 0);
    char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    map[0] = 1;
    CHECK(msync(map, 65536, MS_SYNC) == 0 && fdatasync(fd) == 0 && fsync(fd) == 0);
    CHECK(mremap(map, 65536, 131072, MREMAP_MAYMOVE) != MAP_FAILED);
    CHECK(close(fd) == 0);
    CHECK(ps_file_sync(in(catalog, "draft"), NULL) == PS_OK);
    CHECK(rename(in(catalog, "draft"), in(catalog, "gen")) == 0);
    CHECK(symlink("gen", in(catalog, "current.new")) == 0);
    CHECK(rename(in(catalog, "current.new"), in(catalog, "current")) == 0);
    CHECK(access(in(catalog, "current/graph/file"), R_OK) == 0);
    CHECK(ps_dir_remove(in(catalog, "gen"), NULL) == PS_OK);
    CHECK(mknod(in(catalog, "fifo"), S_IFIFO | 0600, 0) < 0);
}

static void a_new_generation_can_be_written(void **state)
{
    (void)state;
    INSIDE(look_at_writing);
}

/* ------------------------------ Calls -------------------------------------- */

static void look_at_processes(void)
{
    char *argv[] = {(char *)(uintptr_t) "true", NULL};
    CHECK(execv("/bin/true", argv) < 0 && (errno == EPERM || errno == EACCES));
    CHECK(fork() < 0 && errno == EPERM);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM);
    CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void no_program_and_no_process_begins(void **state)
{
    (void)state;
    INSIDE(look_at_processes);
}

static void look_at_sockets(void)
{
    int pair = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(pair < 0 && errno == EPERM);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
}

static void no_socket_is_made(void **state)
{
    (void)state;
    INSIDE(look_at_sockets);
}

static void look_at_memory(void)
{
    int how = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, how, -1, 0) == MAP_FAILED);
    char *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, how, -1, 0);
    CHECK(data != MAP_FAILED);
    CHECK(mprotect(data, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM);
    CHECK(mprotect(data, 4096, PROT_READ) == 0);
}

static void no_memory_becomes_executable(void **state)
{
    (void)state;
    INSIDE(look_at_memory);
}

static int count(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    __atomic_add_fetch((size_t *)cls, end - begin, __ATOMIC_RELAXED);
    return 0;
}

static void look_at_threads(void)
{
    ps_workers *w;
    size_t n = 0;
    CHECK(ps_workers_new(&w, 4) == PS_OK);
    CHECK(ps_workers_run(w, 1000, 10, count, &n) == PS_OK && n == 1000);
    ps_workers_free(w);
}

static void threads_are_made(void **state)
{
    (void)state;
    INSIDE(look_at_threads);
}

static void *try_file(void *cls)
{
    (void)cls;
    return denied("/etc/passwd", O_RDONLY) && socket(AF_INET, SOCK_STREAM, 0) < 0
               ? NULL
               : "free";
}

static void look_at_other_threads(void)
{
    pthread_t thread;
    void *said = "";
    CHECK(pthread_create(&thread, NULL, try_file, NULL) == 0);
    CHECK(pthread_join(thread, &said) == 0 && !said);
}

static void a_new_thread_is_inside_too(void **state)
{
    (void)state;
    INSIDE(look_at_other_threads);
}

/* ------------------------------ Modes -------------------------------------- */

static void off_and_log_leave_all_as_it_was(void **state)
{
    (void)state;
    static const char *const modes[] = {"off", "log"};
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(enter_files(modes[i], NULL) == PS_OK);
            CHECK(ps_sandbox_calls(&box, NULL) == PS_OK && box.no_files);
            CHECK(!denied(in(other, "file"), O_RDONLY));
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            CHECK(fd >= 0);
            _exit(0);
        }
        int status = 1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void strict_wants_all_of_it(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        ps_why why = {0};
        int err = enter_files("strict", &why);
        CHECK(box.no_files ? err == PS_EUNSUPPORTED && strstr(why.text, "strict") : !err);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void make(char *path, const char *name)
{
    snprintf(path, PS_PATH_MAX, "%s", scratch(name));
    mkdir(path, 0755);
    scratch_text(in(name, "file"), "content");
}

int main(void)
{
    make(catalog, "catalog");
    make(images, "images");
    make(other, "other");
    mkdir(scratch("secrets"), 0700);
    snprintf(secret, sizeof secret, "%s", scratch_text("secrets/token", "token"));
    CHECK(symlink(in(other, "file"), in(catalog, "link")) == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_given_folders_are_there),
        cmocka_unit_test(a_new_generation_can_be_written),
        cmocka_unit_test(no_program_and_no_process_begins),
        cmocka_unit_test(no_socket_is_made),
        cmocka_unit_test(no_memory_becomes_executable),
        cmocka_unit_test(threads_are_made),
        cmocka_unit_test(a_new_thread_is_inside_too),
        cmocka_unit_test(off_and_log_leave_all_as_it_was),
        cmocka_unit_test(strict_wants_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
