/* switch.c - which generation is in use, when somebody decides it; and what may be.
 *
 * Threads: see catalog.h. Not here: the switch at the end of a step (publish.c).
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/catalog/draft_inside.h"
#include "pinsage/generation.h"
#include "pinsage/layout.h"
#include "pinsage/lock.h"
#include "pinsage/offer.h"

/* ------------------------------ Looking ----------------------------------- */

int ps_catalog_next(const char *catalog, char *out, ps_why *why)
{
    char name[PS_GEN_NAME];
    int err = ps_folder_next(catalog, name);
    return err ? err : ps_path_in(out, catalog, name, why);
}

int ps_catalog_base(const char *catalog, char *out, ps_why *why)
{
    int err = ps_catalog_next(catalog, out, why);
    return err == PS_ENOENT ? ps_catalog_current(catalog, out, why) : err;
}

uint64_t ps_catalog_compacted(const char *catalog, uint64_t compacted)
{
    char name[PS_GEN_NAME];
    ps_manifest *m;
    if (ps_folder_next(catalog, name) || draft_manifest_of(catalog, name, &m, NULL))
        return compacted;
    uint64_t other = ps_manifest_u64(m, PS_COMPACTED, 0);
    ps_manifest_free(m);
    return other < compacted ? other : compacted;
}

/* What is to be known of a generation before it is put into use. */
typedef struct candidate {
    ps_offer offer;
    uint64_t compacted;
} candidate;

static int look(const char *catalog, const char *name, candidate *c, ps_why *why)
{
    ps_manifest *m;
    int err = draft_manifest_of(catalog, name, &m, why);
    if (err)
        return err;
    ps_offer_of(&c->offer, m);
    c->compacted = ps_manifest_u64(m, PS_COMPACTED, 0);
    ps_manifest_free(m);
    return PS_OK;
}

/* The newest below this one that can be served and has all writes up to a number. */
static int find_servable(const char *catalog, uint64_t below, uint64_t compacted,
                         char out[PS_GEN_NAME])
{
    char next[PS_GEN_NAME] = "";
    candidate c;
    ps_folder_next(catalog, next);
    for (uint64_t n = below; (n = ps_folder_before(catalog, n));) {
        ps_gen_name(out, n);
        if (strcmp(out, next) != 0 && !look(catalog, out, &c, NULL) &&
            !c.offer.waits_for && c.compacted >= compacted)
            return PS_OK;
    }
    return PS_ENOENT;
}

int ps_catalog_servable(const char *catalog, char *out, ps_why *why)
{
    char current[PS_GEN_NAME], name[PS_GEN_NAME];
    candidate now;
    int err = ps_folder_follow(catalog, PS_LINK_CURRENT, current, why);
    if (!err)
        err = look(catalog, current, &now, why);
    if (!err && !now.offer.waits_for)
        return ps_path_in(out, catalog, current, why);
    if (!err)
        err = find_servable(catalog, UINT64_MAX, now.compacted, name);
    return err ? err : ps_path_in(out, catalog, name, why);
}

/* ------------------------------ Switching --------------------------------- */

static int find_target(const char *catalog, const char *to, const char *current,
                       char out[PS_GEN_NAME], ps_why *why)
{
    if (strcmp(to, "next") == 0)
        return ps_folder_next(catalog, out)
                   ? ps_fail(why, PS_ENOENT, catalog, 0,
                             "no update is under way: there is no `next`")
                   : PS_OK;
    if (strcmp(to, "back") == 0)
        return find_servable(catalog, ps_gen_number(current), 0, out)
                   ? ps_fail(why, PS_ENOENT, catalog, 0,
                             "there is no generation before %s that can be served",
                             current)
                   : PS_OK;
    if (!ps_gen_number(to))
        return ps_fail(why, PS_EINVAL, NULL, 0,
                       "\"%.64s\" is neither next, back, current nor a generation", to);
    memcpy(out, to, strlen(to) + 1);
    return PS_OK;
}

static int refuse(ps_why *why, const char *name, const char *what, const char *which)
{
    return ps_fail(why, PS_EMISMATCH, name, 0,
                   "%s%.150s; --accept-fewer puts it in use nevertheless", what, which);
}

/* The live store holds what `next` does not contain (ps_catalog_compacted), but nothing
 * that only older generations lack. */
static int check(const char *catalog, const char *name, const char *current, bool is_next,
                 bool accept, ps_why *why)
{
    char lost[256];
    candidate to, now;
    int err = look(catalog, name, &to, why);
    if (err || accept || look(catalog, current, &now, NULL))
        return err;
    if (to.offer.waits_for && !now.offer.waits_for)
        return refuse(why, name, "it cannot be served yet: it waits for `pinsage ",
                      strcmp(to.offer.waits_for, "embed") ? "index`" : "embed`");
    if (ps_offer_lost(&to.offer, &now.offer, lost, sizeof lost))
        return refuse(why, name, "it does not answer by what is in use now: ", lost);
    if (!is_next && to.compacted < now.compacted)
        return refuse(why, name, "it lacks writes that were compacted into ", current);
    return PS_OK;
}

static int put_in_use(const char *catalog, const char *to, bool accept,
                      char name[PS_GEN_NAME], ps_why *why)
{
    char current[PS_GEN_NAME], next[PS_GEN_NAME] = "";
    int err = ps_folder_follow(catalog, PS_LINK_CURRENT, current, why);
    ps_folder_next(catalog, next);
    if (!err && strcmp(to, PS_LINK_CURRENT) == 0) {
        memcpy(name, current, PS_GEN_NAME);
        return ps_folder_switch(catalog, "next", NULL, why);
    }
    if (!err)
        err = find_target(catalog, to, current, name, why);
    if (!err)
        err = check(catalog, name, current, !strcmp(name, next), accept, why);
    if (!err)
        err = ps_folder_switch(catalog, PS_LINK_CURRENT, name, why);
    if (!err && !strcmp(name, next))
        err = ps_folder_switch(catalog, "next", NULL, why);
    return err;
}

int ps_catalog_switch(const char *catalog, const char *to, bool accept, char *name,
                      ps_why *why)
{
    char dir[PS_PATH_MAX], found[PS_GEN_NAME] = "";
    int lock, err = ps_catalog_current(catalog, dir, why);
    if (!err)
        err = ps_lock_take(&lock, catalog, "switch", why);
    if (err)
        return err;
    err = put_in_use(catalog, to, accept, found, why);
    if (!err)
        memcpy(name, found, sizeof found);
    close(lock);
    return err;
}
