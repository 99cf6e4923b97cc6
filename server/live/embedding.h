/* embedding.h - live pins get their vectors, and changed ones new vectors.
 *
 * A posted pin brings content; its text and its boards give more of it. All of that goes
 * to the delta indexes of the view as feature blocks. Then the pin is embedded as the
 * batch would: its neighbours by walks over the live graph, their messages pooled layer
 * by layer, the head. A batch of new pins is embedded layer by layer together, so that
 * pins posted together see each other's messages, as the batch does it.
 *
 * Threads: the view's writer.
 */
#ifndef PINSAGE_SERVER_LIVE_EMBEDDING_H
#define PINSAGE_SERVER_LIVE_EMBEDDING_H

#include "server/live/featurizer.h"
#include "server/live/view.h"

typedef struct ps_embedding ps_embedding;

/* Borrows both. Works without a model too: then only blocks are made. */
int ps_embedding_new(ps_embedding **e, ps_view *v, const ps_featurizer *featurizer,
                     ps_why *why);
void ps_embedding_free(ps_embedding *e); /* NULL is fine */

/* Messages of a row of the view's own, for ps_live_messages; cls is the delta index of
 * the embeddings. Who asks is inside the view's epoch, or its writer. */
const uint16_t *ps_embedding_messages(void *delta, uint32_t row);

/* Which blocks' vectors come with content, and how many fit none: into a state. */
void ps_embedding_told(const ps_embedding *e, const ps_content *c, ps_row_state *state);
/* Blocks of a row whose content was written, at the view's newest version. One whose
 * vector does not come with it is made of its text and boards, or, when it came with an
 * import, stays as the generation has it. */
int ps_embedding_content(ps_embedding *e, uint32_t row, const ps_content *c);
/* The row is gone: so are its vectors. */
void ps_embedding_drop(ps_embedding *e, uint32_t row);
/* Messages and embeddings of rows, at the view's newest version; rows that are not there
 * (any more) are left out. Publishes versions of its own: with other vectors, answers are
 * others. */
int ps_embedding_rows(ps_embedding *e, const uint32_t *rows, uint32_t n);

#endif
