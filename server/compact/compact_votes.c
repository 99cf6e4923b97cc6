/* compact_votes.c - votes leave the store for a file of the generation, a JSON object a
 * line.
 *
 * Those of the generation before come first, then the live ones, by number. A vote that
 * names a pin which is not in the new generation is left out: what was erased must not
 * stand in a vote.
 *
 * Threads: see compact.h. Not here: what a vote says (ops_write.c).
 */
#include <jansson.h>
#include <string.h>

#include "server/compact/compact_inside.h"

#include "pinsage/layout.h"

typedef struct votes {
    compaction *f;
    ps_out *out;
    const char *where; /* for messages */
} votes;

static bool is_there(const compaction *f, const json_t *pin)
{
    ps_text id = {json_string_value(pin), json_string_length(pin)};
    return !id.data || !id.len ||
           ps_view_pin_row(f->from.view, &f->from.s, f->base, id) != PS_NO_ROW;
}

static int keep(votes *v, ps_text line, long number)
{
    json_error_t error;
    json_t *vote = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(vote)) {
        json_decref(vote);
        return ps_fail(v->f->why, PS_EFORMAT, v->where, number, "it is no vote");
    }
    bool kept = is_there(v->f, json_object_get(vote, "query"));
    static const char *const side[] = {"left", "right"};
    for (int i = 0; i < 2 && kept; i++)
        kept = is_there(v->f, json_object_get(json_object_get(vote, side[i]), "pin"));
    json_decref(vote);
    if (!kept)
        return PS_OK;
    ps_out_write(v->out, line.data, line.len);
    ps_out_write(v->out, "\n", 1);
    v->f->report->votes++;
    return PS_OK;
}

static int keep_old(votes *v)
{
    char path[PS_PATH_MAX];
    ps_map map;
    long number = 0;
    if (!ps_generation_file(v->f->g, PS_FILE_VOTES, path))
        return PS_OK;
    int err = ps_map_open(&map, path, PS_SEQUENTIAL, v->f->why);
    if (err)
        return err;
    v->where = path;
    const char *at = map.data, *end = at + map.size;
    while (at < end && !err) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line ? line : end) - at);
        err = keep(v, (ps_text){at, len}, ++number);
        at += len + 1;
    }
    ps_map_close(&map);
    return err;
}

static int on_vote(void *cls, const ps_store_vote *vote)
{
    votes *v = cls;
    return vote->lsn > v->f->from.lsn ? PS_OK : keep(v, vote->json, 0);
}

static int keep_live(votes *v)
{
    ps_store_reader *r;
    uint64_t after = ps_manifest_u64(v->f->g->manifest, PS_COMPACTED, 0);
    int err = ps_store_reader_new(&r, v->f->from.store);
    if (err)
        return ps_fail(v->f->why, err, v->f->g->dir, 0, "no memory to read votes");
    v->where = "a vote in live/";
    err = ps_store_acquire(r, v->f->why);
    if (!err)
        err = ps_store_each_vote(r, after, on_vote, v, v->f->why);
    ps_store_reader_free(r);
    return err;
}

int compact_votes(compaction *f)
{
    char path[PS_PATH_MAX];
    votes v = {.f = f};
    int err = ps_draft_path(f->draft, PS_FILE_VOTES, path, f->why);
    if (!err)
        err = ps_out_open(&v.out, path, f->why);
    if (err)
        return err;
    err = keep_old(&v);
    if (!err)
        err = keep_live(&v);
    err = compact_array_end(f, PS_FILE_VOTES, v.out, err);
    if (!err && !f->report->votes)
        err = ps_draft_drop(f->draft, PS_FILE_VOTES, f->why);
    if (!err)
        ps_manifest_set_u64(ps_draft_manifest(f->draft), PS_KEY_COUNT_VOTES,
                            f->report->votes);
    return err;
}
