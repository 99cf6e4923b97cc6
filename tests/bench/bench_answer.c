/* bench_answer.c - what writing an answer costs: twenty results with titles and images,
 * in JSON and in protobuf, beside the same text written without the two-dialect writer,
 * a JSON tree, and protobuf's own packing of a built message.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/clock.h"
#include "pinsage/v1/pinsage.pb-c.h"
#include "server/api/answer.h"

#define RESULTS 20
#define ROUNDS  20000

static ps_reply reply;
static char pin[RESULTS][16], title[RESULTS][48], image[RESULTS][64];
static float score[RESULTS];

static void by_writer(bool binary)
{
    const ps_field results = PS_FIELD(6, "results");
    ps_reply_reset(&reply);
    reply.binary = binary;
    ps_answer a = ps_answer_begin(&reply);
    ps_add_name(&a, PS_FIELD(1, "pin"), "a-pin");
    ps_add_name(&a, PS_FIELD(3, "method"), "pinsage");
    ps_add_name(&a, PS_FIELD(4, "source"), "stored");
    ps_add_name(&a, PS_FIELD(5, "generation"), "gen-000003");
    ps_list_begin(&a, results);
    for (int i = 0; i < RESULTS; i++) {
        size_t item = ps_item_begin(&a, results);
        ps_add_text(&a, PS_FIELD(1, "pin"), ps_text_of(pin[i]));
        ps_add_real(&a, PS_FIELD(2, "score"), score[i], 6);
        ps_add_text(&a, PS_FIELD(3, "title"), ps_text_of(title[i]));
        ps_add_text(&a, PS_FIELD(4, "image"), ps_text_of(image[i]));
        ps_item_end(&a, item);
    }
    ps_list_end(&a);
    ps_answer_end(&a, &reply, PS_OK);
}

static void json_by_writer(void)
{
    by_writer(false);
}

static void binary_by_writer(void)
{
    by_writer(true);
}

static void add(ps_buf *b, const char *name, const char *value)
{
    ps_buf_text(b, name);
    ps_buf_json(b, value, strlen(value));
}

static void json_by_hand(void)
{
    ps_buf *b = &reply.body;
    ps_buf_clear(b);
    add(b, "{\"pin\":", "a-pin");
    add(b, ",\"method\":", "pinsage");
    ps_buf_printf(b, ",\"source\":\"%s\",\"generation\":\"%s\",\"results\":[", "stored",
                  "gen-000003");
    for (int i = 0; i < RESULTS; i++) {
        add(b, i ? ",{\"pin\":" : "{\"pin\":", pin[i]);
        ps_buf_text(b, ",\"score\":");
        ps_buf_real(b, (double)score[i], 6);
        add(b, ",\"title\":", title[i]);
        add(b, ",\"image\":", image[i]);
        ps_buf_char(b, '}');
    }
    ps_buf_text(b, "]}");
}

static void json_by_tree(void)
{
    json_t *list = json_array();
    for (int i = 0; i < RESULTS; i++)
        json_array_append_new(list, json_pack("{sssfssss}", "pin", pin[i], "score",
                                              (double)score[i], "title", title[i],
                                              "image", image[i]));
    json_t *o = json_pack("{sssssssssO}", "pin", "a-pin", "method", "pinsage", "source",
                          "stored", "generation", "gen-000003", "results", list);
    char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
    free(s);
    json_decref(list);
    json_decref(o);
}

static void binary_by_message(void)
{
    static Pinsage__V1__Result result[RESULTS], *list[RESULTS];
    Pinsage__V1__RelatedResponse m = PINSAGE__V1__RELATED_RESPONSE__INIT;
    static char bytes[16384];
    static char method[] = "pinsage", source[] = "stored", generation[] = "gen-000003";
    m.pin = pin[0], m.method = method, m.source = source, m.generation = generation;
    for (int i = 0; i < RESULTS; i++) {
        pinsage__v1__result__init(&result[i]);
        result[i].pin = pin[i], result[i].score = score[i];
        result[i].title = title[i], result[i].image = image[i];
        list[i] = &result[i];
    }
    m.results = list, m.n_results = RESULTS;
    pinsage__v1__related_response__pack(&m, (uint8_t *)bytes);
}

static double microseconds(void (*write)(void))
{
    double best = 1e9;
    for (int turn = 0; turn < 5; turn++) {
        uint64_t start = ps_now_ns();
        for (int i = 0; i < ROUNDS; i++)
            write();
        double us = (double)(ps_now_ns() - start) / ROUNDS / 1e3;
        best = us < best ? us : best;
    }
    return best;
}

int main(void)
{
    for (int i = 0; i < RESULTS; i++) {
        snprintf(pin[i], sizeof pin[i], "pin-%d", 4711 * i);
        snprintf(title[i], sizeof title[i], "The title of \"pin\" number %d, or so", i);
        snprintf(image[i], sizeof image[i], "https://images.example/%08d/large.jpg", i);
        score[i] = 1 / (1.01f + (float)i);
    }
    reply.fd = -1;
    double hand = microseconds(json_by_hand), json = microseconds(json_by_writer);
    double binary = microseconds(binary_by_writer), tree = microseconds(json_by_tree);
    double message = microseconds(binary_by_message);
    printf("%-40s %8s %10s\n", "twenty results", "us", "ratio");
    printf("%-40s %8.2f %10.2f\n", "JSON, straight into the buffer", hand, 1.0);
    printf("%-40s %8.2f %10.2f\n", "JSON, by the two-dialect writer", json, hand / json);
    printf("%-40s %8.2f %10.2f\n", "JSON, by a tree", tree, hand / tree);
    printf("%-40s %8.2f %10.2f\n", "protobuf, by the writer", binary, hand / binary);
    printf("%-40s %8.2f %10.2f\n", "protobuf, by the library", message, hand / message);
    ps_reply_done(&reply);
    return 0;
}
