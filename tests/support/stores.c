/* stores.c - see stores.h. */
#include "tests/support/stores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"

void store_must(int err, const ps_why *why)
{
    if (err)
        fail_msg("%s: %s: %s", ps_errname(err), why->where, why->text);
}

const char *store_dir(bool fresh)
{
    static char path[PS_PATH_MAX];
    static int n;
    char name[32];
    if (fresh) {
        snprintf(name, sizeof name, "live-%d", n++);
        snprintf(path, sizeof path, "%s", scratch(name));
    }
    return path;
}

ps_store *store_opened(bool fresh, ps_store_opts opts)
{
    ps_why why = {0};
    ps_store *s = NULL;
    store_must(ps_store_open(&s, store_dir(fresh), opts, &why), &why);
    return s;
}

void store_put(ps_store *s, const char *id, const char *title)
{
    ps_why why = {0};
    store_must(ps_store_put_pin(
                   s, &(ps_store_pin){.id = ps_text_of(id), .title = ps_text_of(title)},
                   NULL, &why),
               &why);
}

void store_save(ps_store *s, const char *pin, const char *board, bool saved)
{
    ps_why why = {0};
    store_must(ps_store_put_edge(s,
                                 &(ps_store_edge){.pin = ps_text_of(pin),
                                                  .board = ps_text_of(board),
                                                  .saved = saved},
                                 NULL, &why),
               &why);
}

void store_commit(ps_store *s)
{
    ps_why why = {0};
    store_must(ps_store_commit(s, &why), &why);
}

ps_store_reader *store_snapshot(ps_store *s)
{
    ps_why why = {0};
    ps_store_reader *r;
    assert_int_equal(ps_store_reader_new(&r, s), PS_OK);
    store_must(ps_store_acquire(r, &why), &why);
    return r;
}

static int on_edge_count(void *cls, const ps_store_edge *edge)
{
    (void)edge;
    ++*(int *)cls;
    return 0;
}

int store_edges_of(ps_store *s, const char *pin, uint64_t after)
{
    ps_why why = {0};
    int n = 0;
    ps_store_reader *r = store_snapshot(s);
    store_must(ps_store_edges_of(r, ps_text_of(pin), after, on_edge_count, &n, &why),
               &why);
    ps_store_reader_free(r);
    return n;
}

void store_trim_all(ps_store *s, uint64_t lsn, bool votes, uint32_t most)
{
    ps_why why = {0};
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 10000);
        store_must(ps_store_trim(s, lsn, votes, most, &more, &why), &why);
    }
}

ps_store_counts store_count(ps_store *s)
{
    ps_why why = {0};
    ps_store_counts counts;
    store_must(ps_store_count(s, &counts, &why), &why);
    return counts;
}

const char *store_title(ps_store *s, const char *id)
{
    static char title[256];
    ps_why why = {0};
    ps_store_pin pin;
    ps_store_reader *r = store_snapshot(s);
    int err = ps_store_get_pin(r, ps_text_of(id), &pin, &why);
    if (!err)
        snprintf(title, sizeof title, "%.*s", (int)pin.title.len, pin.title.data);
    ps_store_reader_free(r);
    if (err != PS_ENOENT)
        store_must(err, &why);
    return err ? NULL : title;
}
