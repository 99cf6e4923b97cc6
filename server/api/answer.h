/* answer.h - an answer written once, as JSON or as protobuf.
 *
 * An operation says its fields in order, by number and name; what is written is the
 * dialect that the transport asked for. Nothing is built first: bytes go straight into
 * the reply, which is six times faster than a tree, and both dialects stay equal because
 * there is only one text of them.
 *
 *     ps_answer a = ps_answer_begin(out);
 *     ps_add_text(&a, PS_FIELD(1, "pin"), pin);            "pin":"..."
 *     ps_list_begin(&a, RESULTS);                          "results":[
 *     size_t item = ps_item_begin(&a, RESULTS);                {
 *     ps_add_real(&a, PS_FIELD(2, "score"), score, 6);          "score":0.5
 *     ps_item_end(&a, item);                                   }
 *     ps_list_end(&a);                                     ]
 *     ps_answer_end(&a, out, err);
 *
 * Numbers and names are those of include/pinsage/v1/pinsage.proto; tests/e2e/rpc.py
 * compares. As proto3 wants it, zeros and empty texts are left out in protobuf; in JSON
 * all stand there.
 *
 * Threads: an answer belongs to one thread.
 */
#ifndef PINSAGE_SERVER_API_ANSWER_H
#define PINSAGE_SERVER_API_ANSWER_H

#include "server/message/reply.h"

typedef struct ps_field {
    uint32_t number;
    uint32_t len;
    const char *key; /* (len) ",\"pin\":" */
} ps_field;
#define PS_FIELD(number, name) ((ps_field){number, sizeof name + 3, ",\"" name "\":"})

typedef struct ps_answer {
    ps_buf *out;       /* borrowed: the reply's body */
    bool binary, more; /* more: a comma is due before the next thing in JSON */
} ps_answer;

/* In the dialect of out->binary. */
ps_answer ps_answer_begin(ps_reply *out);
/* Ends it; with err, or when memory ran out, the reply becomes an error instead. */
void ps_answer_end(ps_answer *a, ps_reply *out, int err);

void ps_add_text(ps_answer *a, ps_field f, ps_text value);
void ps_add_name(ps_answer *a, ps_field f, const char *value);
/* uint32, uint64. */
void ps_add_u64(ps_answer *a, ps_field f, uint64_t value);
void ps_add_bool(ps_answer *a, ps_field f, bool value);
/* An enum's value, which JSON says by its name. */
void ps_add_enum(ps_answer *a, ps_field f, unsigned value, const char *name);
/* float; double. JSON has so many digits; NaN and infinities are null there. */
void ps_add_real(ps_answer *a, ps_field f, float value, int digits);
void ps_add_double(ps_answer *a, ps_field f, double value, int digits);
/* repeated float, all digits. */
void ps_add_floats(ps_answer *a, ps_field f, const float *v, size_t n);

/* A message inside; begin returns what end wants. */
size_t ps_message_begin(ps_answer *a, ps_field f);
void ps_message_end(ps_answer *a, size_t mark);

/* A repeated field: its elements are messages or texts. */
void ps_list_begin(ps_answer *a, ps_field f);
size_t ps_item_begin(ps_answer *a, ps_field f);
void ps_item_end(ps_answer *a, size_t mark);
void ps_item_text(ps_answer *a, ps_field f, ps_text value);
void ps_list_end(ps_answer *a);

/* A map: its pairs have texts, doubles or vectors (pinsage.v1.Vector, in JSON plain lists
 * when that is wanted). */
void ps_map_begin(ps_answer *a, ps_field f);
void ps_pair_text(ps_answer *a, ps_field f, ps_text key, ps_text value);
void ps_pair_double(ps_answer *a, ps_field f, ps_text key, double value, int digits);
void ps_pair_floats(ps_answer *a, ps_field f, ps_text key, const float *v, size_t n,
                    bool plain);
void ps_map_end(ps_answer *a);

#endif
