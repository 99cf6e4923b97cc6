/* boards.c - keywords, folders and authors as boards, and the choice of the held-out
 * ones.
 *
 * A board is a name that several people's pictures were put under: a keyword, the folder
 * the file lies in, the artist. Some ideas are kept back as labels: two pictures of a
 * held-out idea are "related", and nobody who ranks may see why.
 *
 * One idea can have several boards ("keyword:flag", "keyword:flags", "folder:geography/
 * flags"). They are held out or stay together, for one of them left behind would
 * give the others away. Two further rules keep the test honest:
 *
 *   - size: an idea has `smallest` to `largest` pictures. The 1,375 stars drawn by one
 *     script are a single board too large to be asked about, as is "computer".
 *   - twins: an idea whose pictures are nearly those of a board that stays (overlap over
 *     union above `twin`) is no question: a walk would answer it from that board.
 *
 * Which ideas are chosen depends on the hash of the idea's name alone, not on order.
 *
 * Threads: one. Not here: the pairs made of the held-out ideas (pairs.c), the words that
 * must leave the text because of them (words.c).
 */
#include <stdlib.h>
#include <string.h>

#include "deploy/demo/corpus.h"

typedef struct edge {
    const char *board; /* borrows from boards.names */
    uint32_t pin;
} edge;

/* ------------------------------- Edges ------------------------------------ */

typedef struct gather {
    boards *out;
    size_t room;
} gather;

static void add_edge(gather *g, const char *kind, const char *name, size_t pin)
{
    boards *b = g->out;
    char *full = NULL;
    if (asprintf(&full, "%s:%s", kind, name) < 0)
        full = NULL;
    strings_add(&b->names, must(full));
    if (b->n_edges == g->room) {
        g->room = g->room ? 2 * g->room : 4096;
        b->edges = must(realloc(b->edges, g->room * sizeof(*b->edges)));
    }
    b->edges[b->n_edges++] = (edge){full, (uint32_t)pin};
}

static void add_edges(gather *g, const picture *p, size_t row)
{
    for (size_t i = 0; i < p->keywords.n; i++)
        add_edge(g, "keyword", p->keywords.at[i], row);
    for (size_t i = 0; i < p->authors.n; i++)
        add_edge(g, "author", p->authors.at[i], row);
    if (*p->folder && strcmp(p->folder, "unsorted") != 0)
        add_edge(g, "folder", p->folder, row);
}

static int by_board(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    int order = strcmp(x->board, y->board);
    return order ? order : (x->pin > y->pin) - (x->pin < y->pin);
}

/* ------------------------------- Boards ----------------------------------- */

/* The stems of a board's own name: of a folder, its last part. */
static char *idea_of(const char *label)
{
    const char *name = strchr(label, ':') + 1, *slash = strrchr(name, '/');
    return stems_of(slash ? slash + 1 : name);
}

static void add_board(boards *b, size_t first, size_t last, uint32_t *pins)
{
    board *x = &b->board[b->n++];
    *x = (board){.name = b->edges[first].board, .pins = pins + first};
    for (size_t i = first; i < last; i++)
        x->pins[x->n++] = b->edges[i].pin;
    char *stems = idea_of(x->name);
    strings_add(&b->names, stems);
    x->idea = stems;
}

static void make_boards(boards *b)
{
    uint32_t *pins = must(calloc(b->n_edges + 1, sizeof(*pins)));
    b->board = must(calloc(b->n_edges + 1, sizeof(*b->board)));
    b->board[0].pins = pins;
    for (size_t i = 0, next; i < b->n_edges; i = next) {
        for (next = i + 1; next < b->n_edges; next++)
            if (strcmp(b->edges[next].board, b->edges[i].board) != 0)
                break;
        add_board(b, i, next, pins);
    }
}

/* ------------------------------- Ideas ------------------------------------ */

static int by_idea(const void *a, const void *b)
{
    const board *x = *(board *const *)a, *y = *(board *const *)b;
    int order = strcmp(x->idea, y->idea);
    return order ? order : strcmp(x->name, y->name);
}

static int by_row(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The union of the boards' pins, sorted; of all of them and of those that are no copies.
 */
static void collect_pins(idea *x, board *const *of, size_t n, const picture *p)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += of[i]->n;
    uint32_t *all = must(calloc(total + 1, sizeof(*all)));
    x->members = all;
    x->pins = must(calloc(total + 1, sizeof(*x->pins)));
    for (size_t i = 0, at = 0; i < n; at += of[i++]->n)
        memcpy(all + at, of[i]->pins, of[i]->n * sizeof(*all));
    qsort(all, total, sizeof(*all), by_row);
    for (size_t i = 0; i < total; i++) {
        if (i && all[i] == x->members[x->n_members - 1])
            continue;
        uint32_t row = all[i];
        x->members[x->n_members++] = row;
        if (!p[row].is_copy)
            x->pins[x->n++] = row;
    }
}

/* An artist's name as a keyword stays, as the artist's own board does. */
static bool names_author(board *const *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(of[i]->name, "author:", 7) == 0)
            return true;
    return false;
}

static bool may_hold(const idea *x, hold_opts o)
{
    return strlen(x->name) >= 3 && x->n >= o.smallest && x->n <= o.largest &&
           share_of(o.seed, x->name) < o.share;
}

static void make_ideas(boards *b, const picture *p, hold_opts o)
{
    board **order = must(calloc(b->n + 1, sizeof(*order)));
    for (size_t i = 0; i < b->n; i++)
        order[i] = &b->board[i];
    qsort(order, b->n, sizeof(*order), by_idea);
    b->ideas = must(calloc(b->n + 1, sizeof(*b->ideas)));
    for (size_t i = 0, next; i < b->n; i = next) {
        for (next = i + 1; next < b->n; next++)
            if (strcmp(order[next]->idea, order[i]->idea) != 0)
                break;
        idea *x = &b->ideas[b->n_ideas++];
        x->name = order[i]->idea;
        collect_pins(x, order + i, next - i, p);
        x->held = may_hold(x, o) && !names_author(order + i, next - i);
        for (size_t j = i; j < next; j++)
            order[j]->held = x->held;
    }
    free(order);
}

/* ------------------------------- Twins ------------------------------------ */

/* Overlap over union of two ascending lists. */
static double overlap(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
    size_t both = 0;
    for (size_t i = 0, j = 0; i < n && j < m;) {
        both += a[i] == b[j];
        size_t step_a = a[i] <= b[j], step_b = b[j] <= a[i];
        i += step_a;
        j += step_b;
    }
    return (double)both / (double)(n + m - both);
}

static bool has_twin(const boards *b, const idea *x, double limit)
{
    for (size_t i = 0; i < b->n; i++) {
        const board *y = &b->board[i];
        if (!y->held && overlap(x->members, x->n_members, y->pins, y->n) > limit)
            return true;
    }
    return false;
}

static void release(boards *b, idea *x)
{
    x->held = false;
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->board[i].idea, x->name) == 0)
            b->board[i].held = false;
}

/* An idea released is a board that stays, so its own twins must be looked at again. */
static void release_twins(boards *b, double limit)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < b->n_ideas; i++)
            if (b->ideas[i].held && has_twin(b, &b->ideas[i], limit)) {
                release(b, &b->ideas[i]);
                again = true;
            }
    }
}

/* ------------------------------ Lifetime ---------------------------------- */

void boards_init(boards *b, const picture *p, size_t n, hold_opts o)
{
    *b = (boards){0};
    gather g = {b, 0};
    for (size_t i = 0; i < n; i++)
        add_edges(&g, &p[i], i);
    if (b->n_edges)
        qsort(b->edges, b->n_edges, sizeof(*b->edges), by_board);
    make_boards(b);
    make_ideas(b, p, o);
    release_twins(b, o.twin);
}

void boards_done(boards *b)
{
    for (size_t i = 0; i < b->n_ideas; i++) {
        free(b->ideas[i].pins);
        free(b->ideas[i].members);
    }
    free(b->ideas);
    free(b->board ? b->board[0].pins : NULL); /* one block, the first board's start */
    free(b->board);
    free(b->edges);
    strings_done(&b->names);
    *b = (boards){0};
}
