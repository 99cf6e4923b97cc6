/* admin.h - what operators ask for over HTTP.
 *
 * Threads: the loop that owns the context.
 * Not here: who may (auth.h).
 */
#ifndef PINSAGE_SERVER_ROUTES_ADMIN_H
#define PINSAGE_SERVER_ROUTES_ADMIN_H

#include "server/routes/routes.h"

/* POST /admin/reload: answers {"generation"} once the current generation is in use, or
 * 409 and why it is not; then the one before stays. */
void ps_admin_reload(ps_context *d, const ps_request *r, ps_reply *out);

/* POST /admin/compact?keep=1: answers once what was written is in a generation that is in
 * use, and gone from live/; 409 when a compaction or another step is under way. */
void ps_admin_compact(ps_context *d, const ps_request *r, ps_reply *out);

#endif
