/* generation.c - what a step has made, and whether it is in use.
 *
 * Threads: main thread.
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/catalog.h"
#include "pinsage/layout.h"
#include "pinsage/offer.h"
#include "server/cli/cli.h"

static int offer_of(const char *dir, ps_manifest **m, ps_offer *o)
{
    char path[PS_PATH_MAX];
    int err = ps_path_in(path, dir, PS_FILE_MANIFEST, NULL);
    if (!err)
        err = ps_manifest_load(m, path, NULL);
    if (!err)
        ps_offer_of(o, *m);
    return err;
}

static const char *name_of(const char *dir)
{
    const char *slash = strrchr(dir, '/');
    return slash ? slash + 1 : dir;
}

/* Why it is `next` and no more. */
static void print_next(const char *catalog, const ps_offer *next, const char *current,
                       const ps_offer *now)
{
    char lost[400];
    if (next->waits_for)
        printf("  next             waits for `pinsage %s %s`; %s stays in use\n",
               next->waits_for, catalog, current);
    else if (ps_offer_lost(next, now, lost, sizeof lost))
        printf(
            "  next             does not answer by %s, as %s does, which stays in use; "
            "`pinsage switch %s next --accept-fewer` takes it\n",
            lost, current, catalog);
    else
        printf("  next             %s stays in use until the update's last step\n",
               current);
}

void ps_cli_generation(const char *catalog, const char *name)
{
    char next[PS_PATH_MAX], current[PS_PATH_MAX];
    ps_manifest *a = NULL, *b = NULL;
    ps_offer offer, now;
    printf("%s: %s\n", catalog, name);
    if (ps_catalog_next(catalog, next, NULL) || strcmp(name_of(next), name) != 0 ||
        ps_catalog_current(catalog, current, NULL))
        return;
    if (!offer_of(next, &a, &offer) && !offer_of(current, &b, &now))
        print_next(catalog, &offer, name_of(current), &now);
    ps_manifest_free(a);
    ps_manifest_free(b);
}
