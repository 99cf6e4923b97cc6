/* serve_live.c - the store and the writer, for as long as the server runs.
 *
 * They outlive engines: a new generation gets a view of its own, and the writer keeps
 * both up to date until the old one is gone.
 *
 * Threads: the main thread.
 */
#include <sys/stat.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/layout.h"
#include "server/serve/serve_inside.h"

/* Numbers of writes go on above what the current generation contains. */
static int compacted_by(const char *catalog, uint64_t *lsn, ps_why *why)
{
    char dir[PS_PATH_MAX], path[PS_PATH_MAX];
    ps_manifest *m = NULL;
    int err = ps_catalog_current(catalog, dir, why);
    if (!err)
        err = ps_path_in(path, dir, PS_FILE_MANIFEST, why);
    if (!err)
        err = ps_manifest_load(&m, path, why);
    if (!err)
        *lsn = ps_manifest_u64(m, PS_COMPACTED, 0);
    ps_manifest_free(m);
    return err;
}

static void warn_of_readers(const ps_state *st, const char *path)
{
    struct stat live;
    if (stat(path, &live) == 0 && live.st_mode & 077)
        ps_log_say(st->log, PS_LOG_WARN,
                   "others on this machine may read what is written here", "folder", path,
                   NULL);
}

int serve_live_start(ps_state *st, ps_why *why)
{
    const ps_serve_opts *o = st->opts;
    char path[PS_PATH_MAX];
    ps_store_opts store = {.map_bytes = o->live_map_bytes,
                           .lazy_meta = o->lazy_meta,
                           .accept = o->accept_live};
    ps_writer_opts writer = {.batch = o->write_batch_size,
                             .delay = o->write_delay,
                             .queue = o->write_queue,
                             .stale = o->stale_queue};
    if (o->auth.read_only)
        return PS_OK;
    int err = compacted_by(o->catalog, &store.compacted, why);
    if (!err)
        err = ps_path_in(path, o->catalog, PS_DIR_LIVE, why);
    if (!err)
        err = ps_store_open(&st->writes.store, path, store, why);
    if (!err)
        warn_of_readers(st, path);
    if (!err)
        err = ps_writer_start(&st->writes.writer, st->writes.store, writer, why);
    st->writes.stale = o->stale_queue;
    return err;
}

void serve_live_taken_up(ps_state *st, const ps_engine *e)
{
    const ps_manifest *m = ps_engine_generation(e)->manifest;
    if (st->writes.writer)
        ps_writer_trim(
            st->writes.writer,
            ps_catalog_compacted(st->opts->catalog, ps_manifest_u64(m, PS_COMPACTED, 0)));
}

void serve_live_stop(ps_state *st)
{
    ps_writer_stop(st->writes.writer);
}

void serve_live_close(ps_state *st)
{
    ps_writer_free(st->writes.writer);
    ps_store_close(st->writes.store);
}

int serve_live_read(const ps_state *st, ps_store **store, ps_why *why)
{
    char path[PS_PATH_MAX];
    *store = NULL;
    if (st->writes.writer ||
        ps_path_join(path, sizeof path, st->opts->catalog, PS_DIR_LIVE))
        return PS_OK;
    int err = ps_store_open(
        store, path, (ps_store_opts){.read_only = true, .accept = st->opts->accept_live},
        why);
    return err == PS_ENOENT ? PS_OK : err;
}

const ps_writes *serve_live(const ps_state *st)
{
    return st->writes.writer ? &st->writes : NULL;
}
