/* test_images.c - pictures of the folder are served, and nothing else in the world.
 *
 * Link: -Wl,--wrap=syscall
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/images.h"
#include "tests/support/scratch.h"

/* An old kernel knows no openat2: the walk by parts must come to the same end. */
static bool old_kernel;
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d);

long __wrap_syscall(long number, long a, long b, long c, long d)
{
    if (old_kernel) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, a, b, c, d);
}

static ps_images *images;

static int ask(const char *name, size_t len)
{
    ps_image image;
    ps_why why = {0};
    int err = ps_image_open(&image, images, (ps_text){name, len}, &why);
    if (err)
        assert_true(why.text[0]);
    else
        close(image.fd);
    return err;
}

static void put(const char *name, const char *text)
{
    scratch_file(name, text, strlen(text));
}

static int make_folder(void **state)
{
    (void)state;
    ps_why why = {0};
    mkdir(scratch("pics"), 0755);
    mkdir(scratch("pics/sub"), 0755);
    mkdir(scratch("pics/dir.png"), 0755);
    put("secret.png", "secret");
    put("pics/a.png", "12345");
    put("pics/sub/b c.JPEG", "jpeg");
    put("pics/\xc3\xa9.svg", "<svg/>");
    put("pics/notes.txt", "text");
    put("pics/large.gif", "0123456789");
    assert_int_equal(mkfifo(scratch("pics/pipe.png"), 0600), 0);
    assert_int_equal(symlink("../secret.png", scratch("pics/link.png")), 0);
    assert_int_equal(symlink("a.png", scratch("pics/inner.png")), 0);
    assert_int_equal(symlink("..", scratch("pics/up")), 0);
    return ps_images_open(&images, scratch("pics"), 9, &why);
}

static int drop_folder(void **state)
{
    (void)state;
    ps_images_close(images);
    return 0;
}

static void check_pictures(void)
{
    ps_image image;
    assert_int_equal(ps_image_open(&image, images, (ps_text){"a.png", 5}, NULL), PS_OK);
    assert_int_equal(image.size, 5);
    assert_string_equal(image.type, "image/png");
    assert_false(image.script);
    assert_true(image.modified > 0);
    char byte;
    assert_int_equal(read(image.fd, &byte, 1), 1);
    assert_int_equal(byte, '1');
    close(image.fd);
    assert_int_equal(ask("sub/b c.JPEG", 12), PS_OK);
    ps_text svg = {"\xc3\xa9.svg", 6};
    assert_int_equal(ps_image_open(&image, images, svg, NULL), PS_OK);
    assert_string_equal(image.type, "image/svg+xml");
    assert_true(image.script);
    close(image.fd);
}

static void check_escapes(void)
{
    static const char *const bad[] = {
        "../secret.png",
        "sub/../../secret.png",
        "/etc/passwd",
        "..",
        "up/secret.png",
        "link.png",
        "inner.png",
        "sub/../a.png",
        "./a.png",
        "sub//b c.JPEG",
        "a.png/",
        "",
        "pipe.png",
        "dir.png",
        "notes.txt",
        "large.gif",
        "..\\secret.png",
        "sub\\b c.JPEG",
        "a.png\n",
        "missing.png",
        ".",
        "sub/.",
        "a.png/../a.png",
        "%2e%2e/secret.png",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ask(bad[i], strlen(bad[i])) != PS_ENOENT)
            fail_msg("\"%s\" was served", bad[i]);
    assert_int_equal(ask("a.png\0x.png", 11), PS_ENOENT);
    char *absolute = strdup(scratch("secret.png"));
    assert_int_equal(ask(absolute, strlen(absolute)), PS_ENOENT);
    free(absolute);
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(ask(longest, sizeof longest), PS_ENOENT);
}

static void pictures_of_the_folder_are_opened(void **state)
{
    (void)state;
    check_pictures();
}

static void nothing_outside_and_nothing_else_is_opened(void **state)
{
    (void)state;
    check_escapes();
}

static void an_old_kernel_makes_no_difference(void **state)
{
    (void)state;
    old_kernel = true;
    check_pictures();
    check_escapes();
    old_kernel = false;
}

static void the_etag_changes_with_the_file(void **state)
{
    (void)state;
    ps_image before, after;
    ps_text name = {"a.png", 5};
    assert_int_equal(ps_image_open(&before, images, name, NULL), PS_OK);
    put("pics/a.png", "12345678");
    assert_int_equal(ps_image_open(&after, images, name, NULL), PS_OK);
    assert_string_not_equal(before.etag, after.etag);
    close(before.fd);
    before = after;
    struct stat st;
    assert_int_equal(fstat(before.fd, &st), 0);
    put("pics/a.png", "87654321"); /* as long, and of the same time, as copies are */
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, scratch("pics/a.png"), times, 0), 0);
    assert_int_equal(ps_image_open(&after, images, name, NULL), PS_OK);
    assert_string_not_equal(before.etag, after.etag);
    close(before.fd);
    close(after.fd);
}

static void a_folder_that_is_none_is_told(void **state)
{
    (void)state;
    ps_images *none;
    ps_why why = {0};
    assert_int_equal(ps_images_open(&none, scratch("nowhere"), 9, &why), PS_ENOENT);
    assert_int_not_equal(ps_images_open(&none, scratch("secret.png"), 9, &why), PS_OK);
    assert_non_null(strstr(why.text, "folder of images"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_of_the_folder_are_opened),
        cmocka_unit_test(nothing_outside_and_nothing_else_is_opened),
        cmocka_unit_test(an_old_kernel_makes_no_difference),
        cmocka_unit_test(the_etag_changes_with_the_file),
        cmocka_unit_test(a_folder_that_is_none_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
