/* web.h - the explorer's pages, carried inside the program (assets.h).
 *
 * Threads: constant data.
 */
#ifndef PINSAGE_SERVER_ROUTES_WEB_H
#define PINSAGE_SERVER_ROUTES_WEB_H

#include "server/routes/routes.h"

void ps_web_page(ps_context *d, const ps_request *r, ps_reply *out);
bool ps_web_has(ps_text name);
/* GET /eval.json: the newest report that `pinsage eval` left in the catalog. */
void ps_web_eval(ps_context *d, const ps_request *r, ps_reply *out);

#endif
