/* ops_inside.h - pieces of answers that several operations share.
 *
 * Threads: see ops.h.
 */
#ifndef PINSAGE_SERVER_API_OPS_INSIDE_H
#define PINSAGE_SERVER_API_OPS_INSIDE_H

#include "server/api/answer.h"
#include "server/api/ops.h"

/* Names of files below --images become addresses of this server, written into scratch,
 * which the caller ends; others stay as they are. */
ps_text op_image(const ps_context *d, ps_text image, ps_buf *scratch);
/* The other way round, for what is written: an image as op_image shows it becomes the
 * name of the file again. PS_ENOMEM. */
int op_image_name(const ps_context *d, ps_text *image, ps_arena *arena);
/* A list of pinsage.v1.Result. */
int op_add_results(ps_context *d, ps_answer *a, ps_field f, const ps_scored *result,
                   uint32_t n);
/* How long the ranking took, by which method, from where. */
void op_note_ranking(ps_context *d, const ps_ranking *r, uint64_t since, ps_reply *out);
/* A pinsage.v1.Explanation of a pin's row; PS_NO_ROW: of what was just embedded. */
int op_add_explanation(ps_context *d, ps_answer *a, ps_field f, uint32_t row,
                       uint64_t since);
/* The ETag of a pin: the number of the write that made it what it is, 0 for one that was
 * not written since the generation. */
ps_text op_etag(uint64_t lsn, ps_arena *arena);
struct ps_write;
/* An If-Match into a write; PS_EINVAL in words. */
int op_write_match(ps_text if_match, struct ps_write *w, ps_why *why);
/* The write that a put or a patch asks for, but for its kind; PS_EINVAL in words. */
int op_write_pin(ps_context *d, const ps_put_pin *q, ps_arena *arena, struct ps_write *w,
                 ps_why *why);
/* This server takes none. */
void op_refuse_writes(ps_reply *out);
/* An unknown pin gets an error that names those near it. */
void op_refuse_pin(ps_context *d, ps_text pin, const ps_why *why, ps_reply *out);

#endif
