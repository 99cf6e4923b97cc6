/* pins_suggest.c - ids near to a misspelt one, without looking at all of them.
 *
 * The table of ids is sorted, which makes it a trie that one can walk with seeks. As
 * soon as a prefix is further from the query than allowed, the walk works out the next
 * prefix that is not, and jumps there:
 *
 *     query a107   at a0... : too far from here on   -> seek a1
 *                  at a100  : distance 1, keep; a101 : keep ... -> seek a17, b107, ...
 *
 * Distance 1 takes some hundred seeks in any catalog; distance 2 more, up to a budget.
 * When nothing is near, titles that contain the text (of the first few thousand pins)
 * and ids that begin as it does are offered.
 *
 * Pins that came after the table was written are in nobody's order: the newest few
 * thousand are compared one by one. Whether a pin is there, and what it is called, says
 * whoever asks (ps_pins_seen), so that no deleted pin is offered.
 *
 * Threads: see pins.h. Not here: the distance itself (core/base/near.c).
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/pins_db.h"
#include "pinsage/near.h"
#include "pinsage/normal.h"

#define SEEKS_ONE 3000 /* budget of the walk at distance 1 */
#define SEEKS_TWO 4000
#define TITLES    4096
#define NEWEST    4096 /* pins after those of the table */

typedef struct search {
    const ps_pins_seen *seen;
    uint32_t n_stored; /* pins in the table; those after them are newer */
    MDB_cursor *ids;
    ps_near near;
    unsigned most; /* distance allowed */
    unsigned char name[PS_ID_MAX + PS_NEAR_MAX + 2];
    size_t filled;      /* bytes of name whose rows are filled */
    ps_buf query, text; /* normalised: what is looked for, and a title */
    ps_text *out;
    unsigned char *distance; /* of each of out */
    size_t n, max;
} search;

/* Keep out sorted by distance; equal ones stay in the order they came. */
static void offer(search *s, ps_text id, unsigned distance)
{
    size_t at = s->n;
    for (size_t i = 0; i < s->n; i++)
        if (ps_text_same(s->out[i], id))
            return;
    while (at > 0 && s->distance[at - 1] > distance)
        at--;
    if (at == s->max)
        return;
    size_t moved = (s->n < s->max ? s->n : s->max - 1) - at;
    memmove(s->out + at + 1, s->out + at, moved * sizeof *s->out);
    memmove(s->distance + at + 1, s->distance + at, moved);
    s->out[at] = id;
    s->distance[at] = (unsigned char)distance;
    s->n += s->n < s->max;
}

/* The pin that an entry of the table is, if it is there still. */
static void offer_entry(search *s, MDB_val key, MDB_val value, unsigned distance)
{
    uint32_t row;
    ps_pin pin;
    if (value.mv_size != sizeof row)
        return;
    memcpy(&row, value.mv_data, sizeof row);
    if (s->seen->pin(s->seen->cls, row, &pin) == PS_OK)
        offer(s, (ps_text){key.mv_data, key.mv_size}, distance);
}

/* ------------------------------ The walk ---------------------------------- */

/* The smallest byte above `byte` that may follow the first i bytes of name, 256 when
 * there is none. If they are as far as is allowed, only a byte of the query that lies
 * about there can follow; else any. */
static unsigned next_byte(const search *s, size_t i, unsigned byte)
{
    unsigned best = 256;
    if (ps_near_least(&s->near, i) < s->most)
        return byte + 1;
    size_t from = i > PS_NEAR_MAX + 1 ? i - PS_NEAR_MAX - 1 : 0;
    for (size_t j = from; j <= i + PS_NEAR_MAX && j < s->near.len; j++)
        if (s->near.query[j] > byte && s->near.query[j] < best)
            best = s->near.query[j];
    return best;
}

/* Let name be the first prefix in order after its first `len` bytes that is not too
 * far; false when there is none. */
static bool next_prefix(search *s, size_t len)
{
    for (; len > 0; len--) {
        unsigned byte = s->name[len - 1];
        while ((byte = next_byte(s, len - 1, byte)) < 256) {
            s->name[len - 1] = (unsigned char)byte;
            if (ps_near_step(&s->near, s->name, len) <= s->most) {
                s->filled = len;
                return true;
            }
        }
    }
    return false;
}

/* Look at one id. True if it is near enough from end to end; else *far is how many of
 * its bytes are already too far, 0 if only its end is. */
static bool look(search *s, ps_text id, size_t *far)
{
    size_t i = 0, limit = s->near.len + s->most;
    *far = 0;
    while (i < s->filled && i < id.len && s->name[i] == (unsigned char)id.data[i])
        i++;
    while (i < id.len) {
        s->name[i] = (unsigned char)id.data[i];
        if (++i > limit || ps_near_step(&s->near, s->name, i) > s->most) {
            *far = i;
            return false;
        }
        s->filled = i;
    }
    s->filled = i;
    return ps_near_distance(&s->near, id.len) <= s->most;
}

static void walk(search *s, unsigned most, int seeks)
{
    MDB_val key = {0}, value;
    size_t far;
    s->most = most;
    s->filled = 0;
    int rc = mdb_cursor_get(s->ids, &key, &value, MDB_FIRST);
    while (!rc && seeks-- > 0) {
        ps_text id = {key.mv_data, key.mv_size};
        if (look(s, id, &far))
            offer_entry(s, key, value, ps_near_distance(&s->near, id.len));
        if (!far) {
            rc = mdb_cursor_get(s->ids, &key, &value, MDB_NEXT);
            continue;
        }
        if (!next_prefix(s, far))
            return;
        key = (MDB_val){s->filled, s->name};
        rc = mdb_cursor_get(s->ids, &key, &value, MDB_SET_RANGE);
    }
}

/* ------------------------------ The newest -------------------------------- */

static uint32_t first_of_newest(const search *s)
{
    uint32_t n = s->seen->rows;
    return n > s->n_stored + (uint64_t)NEWEST ? n - NEWEST : s->n_stored;
}

static void offer_newest(search *s, unsigned most)
{
    ps_pin pin;
    for (uint32_t row = s->seen->rows; row-- > first_of_newest(s);) {
        if (s->seen->pin(s->seen->cls, row, &pin))
            continue;
        unsigned distance = ps_near_compare(&s->near, pin.id.data, pin.id.len, most);
        if (distance <= most)
            offer(s, pin.id, distance);
    }
}

/* ------------------------------ When nothing is near ---------------------- */

/* Does the text contain the query, in the form in which text is compared? */
static bool contains(search *s, ps_text text)
{
    ps_buf_clear(&s->text);
    ps_normal_add(&s->text, text);
    return s->query.size && s->text.size >= s->query.size &&
           memmem(s->text.data, s->text.size, s->query.data, s->query.size);
}

/* By a title, or by an id that is the same but for case and form. */
static void offer_titles(search *s, uint32_t begin, uint32_t end)
{
    ps_pin pin;
    for (uint32_t row = begin; row < end && s->n < s->max; row++)
        if (s->seen->pin(s->seen->cls, row, &pin) == PS_OK &&
            (contains(s, pin.title) ||
             (contains(s, pin.id) && s->text.size == s->query.size)))
            offer(s, pin.id, PS_NEAR_FAR);
}

static size_t shared(MDB_val key, const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && n < key.mv_size && ((char *)key.mv_data)[n] == text[n])
        n++;
    return n;
}

/* Ids with the first half of the text in common, the closest in order first. */
static void offer_neighbours(search *s, const char *text, size_t len)
{
    size_t need = (len + 1) / 2;
    for (int back = 0; back < 2; back++) {
        MDB_val value, key = {len, (void *)(uintptr_t)text};
        int rc = mdb_cursor_get(s->ids, &key, &value, MDB_SET_RANGE);
        if (back)
            rc = mdb_cursor_get(s->ids, &key, &value, rc ? MDB_LAST : MDB_PREV);
        while (!rc && s->n < s->max && shared(key, text, len) >= need) {
            offer_entry(s, key, value, PS_NEAR_FAR + 1);
            rc = mdb_cursor_get(s->ids, &key, &value, back ? MDB_PREV : MDB_NEXT);
        }
    }
}

static int stored_pin(void *cls, uint32_t row, ps_pin *pin)
{
    return ps_pins_get(cls, row, pin);
}

/* Distance by distance, and the far ones only while there is room. */
static void search_all(search *s, const char *text, size_t len)
{
    uint32_t titles = s->n_stored < TITLES ? s->n_stored : TITLES;
    ps_near_init(&s->near, text, len);
    walk(s, 1, SEEKS_ONE);
    offer_newest(s, 1);
    if (s->n < s->max && len > 3) {
        walk(s, 2, SEEKS_TWO);
        offer_newest(s, 2);
    }
    if (s->n < s->max && len > 2) {
        ps_normal_add(&s->query, (ps_text){text, len});
        offer_titles(s, 0, titles);
        offer_titles(s, first_of_newest(s), s->seen->rows);
    }
    if (s->n == 0)
        offer_neighbours(s, text, len);
}

size_t ps_pins_suggest(ps_pins_reader *r, const ps_pins_seen *seen, ps_text id,
                       ps_text *out, size_t max)
{
    const ps_pins_seen stored = {stored_pin, r, r->pins->count};
    search *s = max && id.len ? calloc(1, sizeof *s + max) : NULL;
    size_t n = 0;
    if (!s)
        return 0;
    s->seen = seen ? seen : &stored;
    s->n_stored = r->pins->count;
    s->out = out;
    s->max = max;
    s->distance = (unsigned char *)(s + 1);
    if (mdb_cursor_open(r->txn, r->pins->dbi[PIN_ROW], &s->ids) == 0) {
        search_all(s, id.data, id.len < PS_ID_MAX ? id.len : PS_ID_MAX);
        mdb_cursor_close(s->ids);
        n = s->n;
    }
    ps_buf_done(&s->query);
    ps_buf_done(&s->text);
    free(s);
    return n;
}
