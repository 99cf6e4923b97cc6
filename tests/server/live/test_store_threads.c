/* test_store_threads.c - many threads read while one writes, the map grows under them and
 * the file is opened again: each snapshot is one state, and no newer one is missed.
 *
 * Threads: readers, and the test's own as the writer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/support/stores.h"

#define READERS 4
#define PINS    8
#define GROUPS  200

static struct shared {
    ps_store *store;
    _Atomic bool stop;
    _Atomic uint64_t snapshots, wrong;
} shared;

static void look(ps_store_reader *r, uint64_t committed)
{
    char id[32];
    ps_why why;
    ps_store_pin pin;
    uint64_t lsn = ps_store_reader_lsn(r), batch = lsn / PINS;
    bool right = lsn % PINS == 0 && lsn >= committed;
    for (int i = 0; i < PINS && batch; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        right = right && ps_store_get_pin(r, ps_text_of(id), &pin, &why) == PS_OK &&
                pin.lsn == (batch - 1) * PINS + (uint64_t)i + 1 && pin.n_features == 1 &&
                pin.features[0].values[99] == (float)batch;
    }
    shared.snapshots++;
    shared.wrong += !right;
}

static void *on_reader(void *cls)
{
    (void)cls;
    ps_why why;
    ps_store_reader *r;
    if (ps_store_reader_new(&r, shared.store)) {
        shared.wrong++;
        return NULL;
    }
    while (!shared.stop) {
        uint64_t committed = ps_store_lsn(shared.store);
        if (ps_store_acquire(r, &why)) {
            shared.wrong++;
            break;
        }
        look(r, committed);
        ps_store_release(r);
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
    ps_store_reader_free(r);
    return NULL;
}

static void write_batch(int batch)
{
    char id[32];
    ps_why why = {0};
    float values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (float)batch;
    ps_store_feature feature = {ps_text_of("visual"), 1000, values};
    for (int i = 0; i < PINS; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        ps_store_pin pin = {.id = ps_text_of(id), .n_features = 1, .features = &feature};
        store_must(ps_store_put_pin(shared.store, &pin, NULL, &why), &why);
    }
    store_commit(shared.store);
}

static void snapshots_are_whole_and_new_while_the_map_grows(void **state)
{
    (void)state;
    pthread_t reader[READERS];
    shared.store = store_opened(true, (ps_store_opts){.map_bytes = 1 << 16});
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, on_reader, NULL), 0);
    for (int batch = 1; batch <= GROUPS; batch++)
        write_batch(batch);
    while (shared.snapshots < 100)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    shared.stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(reader[i], NULL);
    assert_true(store_count(shared.store).map_bytes > 1 << 17);
    assert_int_equal(shared.wrong, 0);
    print_message("# %d snapshots\n", (int)shared.snapshots);
    ps_store_close(shared.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_are_whole_and_new_while_the_map_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
