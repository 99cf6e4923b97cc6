/* prune.c - which older generations stay.
 *
 * What counts is what one could go back to. Of an update in several steps only the last
 * generation is that; those on the way were never in use, wait for steps that came, and
 * go as soon as they are nobody's `next`. And while `current` itself cannot be served (a
 * first build under way, a catalog of an older program), the newest that can stays,
 * whatever keep says.
 *
 * Threads: see folder.h.
 */
#include <string.h>
#include <unistd.h>

#include "core/catalog/draft_inside.h"
#include "pinsage/lock.h"
#include "pinsage/offer.h"

typedef struct weight {
    bool finished, on_the_way;
} weight;

static weight weigh(const char *catalog, const char *name)
{
    ps_manifest *m;
    ps_offer o;
    weight w = {0};
    if (draft_manifest_of(catalog, name, &m, NULL))
        return w;
    ps_offer_of(&o, m);
    w.finished = !o.waits_for;
    w.on_the_way =
        o.waits_for && !strcmp(ps_manifest_text(m, "made_as", "current"), "next");
    ps_manifest_free(m);
    return w;
}

void ps_folder_prune(const char *catalog, const char *before, unsigned keep)
{
    char current[PS_GEN_NAME] = "", next[PS_GEN_NAME] = "", name[PS_GEN_NAME];
    if (ps_folder_follow(catalog, "current", current, NULL))
        return;
    if (ps_folder_next(catalog, next))
        next[0] = '\0';
    unsigned kept = *before && strcmp(before, current) != 0;
    bool asked = false, served = false;
    for (uint64_t n = ps_folder_before(catalog, UINT64_MAX); n;
         n = ps_folder_before(catalog, n)) {
        ps_gen_name(name, n);
        if (!strcmp(name, current) || !strcmp(name, next) || !strcmp(name, before))
            continue;
        if (!asked)
            served = weigh(catalog, current).finished ||
                     (kept && weigh(catalog, before).finished);
        asked = true;
        weight w = weigh(catalog, name);
        bool stays = !w.on_the_way && keep && (kept < keep || (w.finished && !served));
        kept += stays;
        served |= stays && w.finished;
        if (!stays)
            ps_folder_remove(catalog, n);
    }
}

int ps_catalog_prune(const char *catalog, unsigned keep, ps_why *why)
{
    char current[PS_GEN_NAME];
    int lock, err = ps_lock_take(&lock, catalog, "prune", why);
    if (err)
        return err;
    err = ps_folder_follow(catalog, "current", current, why);
    if (!err && !keep)
        err = ps_folder_switch(catalog, "next", NULL, why);
    if (!err)
        ps_folder_prune(catalog, "", keep);
    close(lock);
    return err;
}
