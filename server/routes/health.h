/* health.h - alive and ready, as Kubernetes asks.
 *
 * /livez: the loops turn. /readyz and /healthz: that, a generation is open, its index is
 * loaded, the canary question was answered, and the server is not on its way out. 200 or
 * 503; "?verbose" tells each check, "?exclude=NAME" leaves one out, "/readyz/NAME" asks
 * for one alone.
 *
 * Threads: any loop.
 */
#ifndef PINSAGE_SERVER_ROUTES_HEALTH_H
#define PINSAGE_SERVER_ROUTES_HEALTH_H

#include "server/routes/routes.h"

void ps_health_live(ps_context *d, const ps_request *r, ps_reply *out);
void ps_health_ready(ps_context *d, const ps_request *r, ps_reply *out);
bool ps_health_is_live(ps_state *s);
bool ps_health_is_ready(ps_state *s);

#endif
