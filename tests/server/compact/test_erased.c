/* test_erased.c - traces of an id are found wherever they are, and only there.
 *
 * Threads: one, and the writer's.
 */
#include "server/compact/erased.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/hash.h"
#include "pinsage/import.h"
#include "server/compact/compact.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"
#include "tests/support/scratch.h"

#define ID    "an-id-like-no-other-4711"
#define TITLE "a title like no other xyzzy"

static life known;
static ps_compact_report report;

/* ------------------------------ Asking ------------------------------------- */

/* "gen-000001 live": what holds the id. */
static char holders[256], details[1024];

static void on_check(void *cls, const char *name, int err, const char *detail)
{
    (void)cls;
    size_t n = strlen(holders), m = strlen(details);
    if (err)
        snprintf(holders + n, sizeof holders - n, "%s%s", n ? " " : "", name);
    snprintf(details + m, sizeof details - m, "%s: %s\n", name, detail);
}

static const char *held_by(const char *id)
{
    ps_why why = {0};
    holders[0] = details[0] = '\0';
    int err =
        ps_erased_check(catalog, (ps_text){id, strlen(id)}, on_check, NULL, NULL, &why);
    assert_int_equal(err, holders[0] ? PS_EEXIST : PS_OK);
    return holders;
}

/* The plainest way: every byte of every file. */
static int count_bytes(const char *folder, const char *text)
{
    int found = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[PS_PATH_MAX];
        struct stat st;
        size_t size;
        snprintf(path, sizeof path, "%.3000s/%.255s", folder, e->d_name);
        if (e->d_name[0] == '.' || lstat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode))
            found += count_bytes(path, text);
        if (!S_ISREG(st.st_mode))
            continue;
        char *bytes = slurp(path, &size);
        for (size_t i = 0; i + strlen(text) <= size; i++)
            found += memcmp(bytes + i, text, strlen(text)) == 0;
        free(bytes);
    }
    closedir(dir);
    return found;
}

static int count_all(void)
{
    uint64_t hash = ps_hash(ID, strlen(ID));
    char raw[9] = {0};
    memcpy(raw, &hash, 8);
    assert_null(memchr(raw, 0, 8)); /* or the search below would be for less */
    return count_bytes(catalog, ID) + count_bytes(catalog, TITLE) +
           count_bytes(catalog, raw);
}

/* ------------------------------ A pin comes and goes ----------------------- */

static void post(void)
{
    ps_text boards[] = {ps_text_of("b1"), ps_text_of("b-of-its-own")};
    ps_write w = {
        .kind = PS_WRITE_PUT,
        .pin = ps_text_of(ID),
        .content = {.title = ps_text_of(TITLE), .board = boards, .n_boards = 2}};
    assert_int_equal(life_write(&w), PS_OK);
    ps_write v = {.kind = PS_WRITE_VOTE,
                  .json = ps_text_of("{\"query\":\"" ID "\",\"winner\":\"left\"}")};
    assert_int_equal(life_write(&v), PS_OK);
    v.json = ps_text_of("{\"query\":\"p1\",\"left\":{\"pin\":\"" ID "\"}}");
    assert_int_equal(life_write(&v), PS_OK);
    v.json = ps_text_of("{\"query\":\"p1\",\"left\":{\"pin\":\"p2\"}}");
    assert_int_equal(life_write(&v), PS_OK);
}

static void delete (void)
{
    ps_write w = {.kind = PS_WRITE_DELETE, .pin = ps_text_of(ID)};
    assert_int_equal(life_write(&w), PS_OK);
}

static void compact(unsigned keep)
{
    ps_why why = {0};
    ps_compact_opts opts = {.threads = 1, .keep = keep, .seed = 1};
    must(ps_compact_catalog(catalog, &opts, &report, NULL, &why), &why);
}

static void a_deleted_pin_is_in_no_file_after_the_compaction(void **state)
{
    (void)state;
    life_make("erased", &known);
    life_start();
    post();
    life_stop();
    assert_string_equal(held_by(ID), "live");
    compact(0);
    assert_int_equal(report.votes, 3);
    assert_string_equal(held_by(ID), report.generation);
    assert_non_null(strstr(details, "it is a pin there"));
    assert_non_null(strstr(details, "2 votes"));
    life_start();
    delete ();
    char was[64];
    snprintf(was, sizeof was, "%s live", report.generation);
    life_stop();
    assert_string_equal(held_by(ID), was);
    snprintf(was, sizeof was, "%s", report.generation);
    compact(1); /* what is kept has it still, and nothing else */
    assert_int_equal(report.votes, 1);
    assert_string_equal(held_by(ID), was);
    assert_true(count_all() > 0);
    compact(0);
    assert_true(report.nothing);
    assert_string_equal(held_by(ID), "");
    assert_int_equal(count_all(), 0);
}

static void a_pin_that_lived_between_two_compactions_is_in_no_file_either(void **state)
{
    (void)state;
    life_make("brief", &known);
    life_start();
    post();
    delete ();
    post();
    delete ();
    life_stop();
    assert_string_equal(held_by(ID), "live");
    compact(1);
    assert_string_equal(held_by(ID), "");
    assert_int_equal(count_all(), 0);
}

static void pages_that_are_free_are_looked_at_too(void **state)
{
    (void)state;
    ps_why why = {0};
    bool more = true;
    life_make("pages", &known);
    life_start();
    for (int i = 0; i < 3; i++)
        post();
    life_stop();
    life_start();
    delete ();
    ps_compact_opts opts = {.threads = 1, .keep = 1, .seed = 1};
    must(ps_compact_engine(life_engine, catalog, &opts, &report, NULL, &why), &why);
    assert_string_equal(held_by(ID), "live"); /* not compacted yet */
    ps_reader_free(life_reader);
    ps_engine_release(life_engine);
    ps_writer_stop(life_writes.writer);
    while (more)
        must(ps_store_trim(life_writes.store, report.lsn, true, 100, &more, &why), &why);
    ps_store_counts counts;
    must(ps_store_count(life_writes.store, &counts, &why), &why);
    assert_int_equal(counts.pins + counts.edges + counts.votes, 0);
    assert_string_equal(held_by(ID), "live"); /* no record, but bytes */
    must(ps_store_rewrite(life_writes.store, &why), &why);
    assert_string_equal(held_by(ID), "");
    assert_int_equal(count_all(), 0);
    ps_writer_free(life_writes.writer);
    ps_store_close(life_writes.store);
    life_reader = NULL;
    life_engine = NULL;
    life_writes = (ps_writes){0};
}

/* Another process that reads keeps the file from being replaced: only for a while. */
static void bytes_go_when_no_other_process_reads_any_more(void **state)
{
    (void)state;
    ps_why why = {0};
    char path[PS_PATH_MAX];
    ps_compact_opts opts = {.threads = 1, .keep = 1, .seed = 1};
    life_make("readers", &known);
    life_start();
    post();
    delete ();
    must(ps_compact_engine(life_engine, catalog, &opts, &report, NULL, &why), &why);
    assert_int_equal(ps_path_join(path, sizeof path, catalog, "live/readers"), PS_OK);
    int fd = open(path, O_RDONLY | O_CREAT, 0644); /* as a store opened for reading */
    assert_int_equal(flock(fd, LOCK_SH), 0);
    ps_writer_trim(life_writes.writer, report.lsn);
    while (ps_writer_count(life_writes.writer).trimming)
        usleep(1000);
    assert_string_equal(held_by(ID), "live");
    close(fd);
    for (int i = 0; i < 500 && *held_by(ID); i++)
        usleep(10000);
    assert_string_equal(held_by(ID), "");
    life_stop();
    assert_int_equal(count_all(), 0);
}

/* ------------------------------ Numbers for names -------------------------- */

/* Pins 1 .. 3000, but not those that 7 divides; boards 1 .. 40. */
static void import_numbers(void)
{
    ps_buf pins = {0}, edges = {0};
    ps_why why = {0};
    ps_import_report imported;
    ps_buf_text(&pins, "pin\ttitle\ttext\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (uint32_t i = 1; i <= 3000; i++) {
        if (i % 7 == 0)
            continue;
        ps_buf_printf(&pins, "%u\t%u\tbefore %u, %u and after\n", i, i + 1, i - 1, i + 2);
        ps_buf_printf(&edges, "%u\t%u\n", i, i % 40 + 1);
    }
    ps_import_opts o = {.pins = scratch_file("n.tsv", pins.data, pins.size),
                        .edges = scratch_file("e.tsv", edges.data, edges.size),
                        .threads = 1};
    use("numbers");
    must(ps_import(catalog, &o, &imported, NULL, &why), &why);
    ps_buf_done(&pins);
    ps_buf_done(&edges);
}

static void numbers_are_told_from_other_numbers(void **state)
{
    (void)state;
    import_numbers();
    for (uint32_t i = 1; i <= 3200; i += i < 100 ? 1 : 13) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        bool there = i <= 3000 && i % 7;
        assert_string_equal(held_by(id), there ? "gen-000001" : "");
        if (!there && i <= 40)
            assert_non_null(strstr(details, "a board of the same name"));
    }
    assert_string_equal(held_by("t"), "");
    assert_string_equal(held_by("and"), "");
    assert_string_equal(held_by("pin_row"), "");
}

static void every_pin_of_a_catalog_is_found_in_it(void **state)
{
    (void)state;
    life_make("found", &known);
    for (uint32_t i = 0; i < LIFE_PINS; i += 3) {
        char id[16];
        snprintf(id, sizeof id, "p%u", i);
        held_by(id);
        assert_int_equal(holders[0] != '\0', known.pin[i].there);
    }
}

static void an_id_that_cannot_be_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    char long_id[600];
    memset(long_id, 'x', sizeof long_id);
    life_make("refused", &known);
    assert_int_equal(
        ps_erased_check(catalog, (ps_text){"", 0}, on_check, NULL, NULL, &why),
        PS_EINVAL);
    assert_int_equal(ps_erased_check(catalog, (ps_text){long_id, sizeof long_id},
                                     on_check, NULL, NULL, &why),
                     PS_EINVAL);
    use("missing");
    assert_int_equal(
        ps_erased_check(catalog, (ps_text){"x", 1}, on_check, NULL, NULL, &why),
        PS_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deleted_pin_is_in_no_file_after_the_compaction),
        cmocka_unit_test(a_pin_that_lived_between_two_compactions_is_in_no_file_either),
        cmocka_unit_test(pages_that_are_free_are_looked_at_too),
        cmocka_unit_test(bytes_go_when_no_other_process_reads_any_more),
        cmocka_unit_test(numbers_are_told_from_other_numbers),
        cmocka_unit_test(every_pin_of_a_catalog_is_found_in_it),
        cmocka_unit_test(an_id_that_cannot_be_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
