/* offer.c - methods from the list of files.
 *
 * Nothing is opened: a method whose file is listed is answered by, as the fingerprints
 * have seen to it that listed files fit each other. A test holds this against the methods
 * that the server lists once it has opened everything.
 *
 * Threads: see offer.h.
 */
#include "pinsage/offer.h"

#include <stdio.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/layout.h"
#include "pinsage/methods.h"

static bool lists(const ps_manifest *m, const char *file)
{
    return ps_manifest_file(m, file, NULL, NULL);
}

static void add(ps_offer *o, const char *method, size_t len)
{
    if (o->n < PS_OFFER_MAX && len < sizeof o->method[0]) {
        memcpy(o->method[o->n], method, len);
        o->method[o->n++][len] = '\0';
    }
}

static void add_name(ps_offer *o, const char *method)
{
    add(o, method, strlen(method));
}

/* "visual" of features/visual.npy; returns how many blocks there are. */
static unsigned add_blocks(ps_offer *o, const ps_manifest *m)
{
    const char *file;
    unsigned n = 0;
    for (size_t i = 0; (file = ps_manifest_file_at(m, i)); i++) {
        char name[64];
        if (sscanf(file, "features/%63[a-z0-9_].npy", name) != 1 ||
            strcmp(file + strlen(PS_DIR_BLOCKS "/") + strlen(name), ".npy") != 0)
            continue;
        n++;
        if (!ps_method_is_reserved(name))
            add_name(o, name);
    }
    return n;
}

static bool blends(const ps_manifest *m)
{
    return lists(m, PS_FILE_INDEX) && ps_manifest_has(m, "blend.weights") &&
           !strcmp(ps_manifest_text(m, PS_KEY_INDEX_VECTORS, "embeddings"),
                   "embeddings") &&
           !strcmp(ps_manifest_text(m, "blend.model", ""),
                   ps_manifest_text(m, PS_KEY_EMBEDDINGS_MODEL, "none"));
}

void ps_offer_of(ps_offer *o, const ps_manifest *m)
{
    bool vectors = lists(m, PS_FILE_EMBEDDINGS);
    *o = (ps_offer){0};
    if (vectors)
        add_name(o,
                 ps_manifest_has(m, PS_KEY_EMBEDDINGS_MODEL) ? "pinsage" : "embeddings");
    if (vectors && blends(m))
        add_name(o, "blend");
    unsigned blocks = add_blocks(o, m);
    add_name(o, "pixie");
    add_name(o, "pixie-corrected");
    add_name(o, "popular");
    if (lists(m, PS_FILE_MODEL) && !vectors)
        o->waits_for = "embed";
    else if ((vectors || blocks) && !lists(m, PS_FILE_INDEX))
        o->waits_for = "index";
}

bool ps_offer_has(const ps_offer *o, const char *method)
{
    for (unsigned i = 0; i < o->n; i++)
        if (strcmp(o->method[i], method) == 0)
            return true;
    return false;
}

unsigned ps_offer_lost(const ps_offer *now, const ps_offer *old, char *out, size_t room)
{
    unsigned lost = 0;
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < old->n; i++) {
        if (ps_offer_has(now, old->method[i]))
            continue;
        int n =
            snprintf(out + used, room - used, "%s%s", lost ? ", " : "", old->method[i]);
        used = n > 0 && used + (size_t)n < room ? used + (size_t)n : used;
        lost++;
    }
    return lost;
}

bool ps_offer_replaces(const ps_offer *now, const ps_offer *old)
{
    char lost[8];
    return old->waits_for || (!now->waits_for && !ps_offer_lost(now, old, lost, 8));
}

int ps_offer_note(ps_manifest *m)
{
    ps_buf list = {0};
    ps_offer o;
    ps_offer_of(&o, m);
    for (unsigned i = 0; i < o.n; i++) {
        ps_buf_char(&list, i ? ',' : '[');
        ps_buf_json(&list, o.method[i], strlen(o.method[i]));
    }
    ps_buf_char(&list, ']');
    int err =
        list.failed ? PS_ENOMEM : ps_manifest_set_json(m, "offer.methods", list.data);
    ps_buf_done(&list);
    if (o.waits_for)
        ps_manifest_set_text(m, "offer.waits_for", o.waits_for);
    else
        ps_manifest_remove(m, "offer.waits_for");
    return err;
}
