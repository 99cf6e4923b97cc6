/* view_identity.c - which answers are bound to be equal.
 *
 * Versions count from one anew with every view, and so after a start, a reload, and on
 * another replica: a version says nothing without the view that it is of. The number of
 * the store's last write says more, but not enough: two views that show the same writes
 * may have embedded them in another order, with other neighbours at that time.
 *
 * Threads: any; ps_view_unsettle is the writer's.
 */
#include "server/live/view_inside.h"

void ps_view_unsettle(ps_view *v)
{
    atomic_store(&v->unsettled, true);
}

bool ps_view_settled(const ps_view *v, const ps_snapshot *s)
{
    return !atomic_load(&v->unsettled) && ps_epoch_version(v->epoch) == s->version;
}

ps_view_identity ps_view_identify(const ps_view *v, const ps_snapshot *s)
{
    bool written = s->version != FIRST_VERSION;
    return (ps_view_identity){v->identity, written ? v->number : 0, s->version};
}
