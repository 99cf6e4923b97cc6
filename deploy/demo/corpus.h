/* corpus.h - what the parts of the openclipart program share: one record a picture.
 *
 * The program turns a folder of SVG files into the input files of `pinsage import`.
 * Each part is one step over an array of pictures sorted by path:
 *
 *     metadata.c   the file's RDF     -> title, description, keywords, authors
 *     picture.c    the file's drawing -> thumbnail, descriptor
 *     words.c      words, their stems, text without the words of held-out boards
 *     boards.c     keywords, folders, authors -> boards, and which are held out
 *     pairs.c      boards held out    -> train, valid and test pairs
 *     output.c     all of it          -> a folder that appears at once
 *     openclipart.c   options, threads, progress
 *
 * Strings are UTF-8, owned by what holds them unless the field says "borrows". Small
 * allocations end the program when memory is gone: there is nothing to save.
 */
#ifndef PINSAGE_DEPLOY_DEMO_CORPUS_H
#define PINSAGE_DEPLOY_DEMO_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cairo.h>

/* Exit codes of the command line, as in sysexits.h. */
enum { EXIT_BAD_USE = 64, EXIT_BAD_DATA = 65, EXIT_BAD_IO = 74 };

/* A growing list of strings that it owns. Zero is an empty list. */
typedef struct strings {
    char **at;
    size_t n, room;
} strings;

typedef struct picture {
    char *path;        /* below the source folder: "animals/cat_01.svg" */
    char *id;          /* path without ".svg", '/' as '.': "animals.cat_01" */
    char *folder;      /* path without its last part: "animals" */
    char *title;       /* as the artist gave it, possibly "" */
    char *description; /* possibly "" */
    char *author;      /* the artists as people read them: "A, B", possibly "" */
    strings keywords;  /* normalised: lower case, '_' between words, no repeats */
    strings authors;   /* normalised in the same way */
    char *image;       /* file name of its thumbnail, a copy's is the original's; or "" */
    bool is_copy;      /* an earlier picture has the same drawing */
    bool has_metadata; /* its XML could be read */
    bool is_broken;    /* it could not be drawn */
    bool has_drawing;  /* it could, and is not blank: image and descriptor exist */
} picture;

/* ------------------------------ words.c ----------------------------------- */

/* malloc, realloc and strndup that end the program on exhaustion. */
void *must(void *memory);
void strings_add(strings *list, char *taken);
bool strings_have(const strings *list, const char *s);
void strings_sort(strings *list);
void strings_done(strings *list);

/* FNV-1a of the string, then mixed: the seeded dice of every choice made here. */
uint64_t hash_of(uint64_t seed, const char *s);
/* The same as a share, in [0, 1). */
double share_of(uint64_t seed, const char *s);

/* Control characters to spaces, runs of white space to one, ends trimmed. */
char *tidy_text(const char *s);
/* A keyword or name as the name of a board: lower case (ASCII), '_' between words. */
char *board_word(const char *s);
/* The stems of the words of s, separated by one space: "Road signs" -> "road sign". */
char *stems_of(const char *s);

/* The stems no text may show. Sorted by banned_seal; then read-only, any thread. */
typedef struct banned {
    strings stems;
} banned;
void banned_add(banned *b, const char *idea);
void banned_seal(banned *b);
void banned_done(banned *b);
/* A copy of s with every banned word, and every two neighbours that are one when
 * written together, replaced by `instead` (may be "").
 */
char *without_banned(const banned *b, const char *s, const char *instead);

/* ----------------------------- metadata.c --------------------------------- */

/* Once, before any thread reads. */
void metadata_start(void);
void metadata_stop(void);
/* Fill the text fields of p from the n bytes of an SVG file. False, with empty fields,
 * when nothing of it is XML. No network, no external entity. Any thread. */
bool metadata_read(picture *p, const char *svg, size_t n);

/* ------------------------------ picture.c --------------------------------- */

enum {
    THUMB_SIDE = 192, /* pixels of a thumbnail */
    COLOUR_BINS = 20, /* 8 hues x (dark, light), 4 greys */
    COLOUR_CELLS = 3, /* a side */
    SHAPE_CELLS = 6,  /* a side */
    ANGLE_BINS = 9,   /* over 180 degrees */
    COLOUR_DIM = COLOUR_BINS * (COLOUR_CELLS * COLOUR_CELLS + 1),
    SHAPE_DIM = SHAPE_CELLS * SHAPE_CELLS * 2, /* covered, clear */
    ANGLE_DIM = SHAPE_CELLS * SHAPE_CELLS * ANGLE_BINS,
    VISUAL_DIM = COLOUR_DIM + SHAPE_DIM + ANGLE_DIM
};

/* Draw the n bytes of an SVG file, THUMB_SIDE a side, aspect kept, background clear.
 * Files and addresses it refers to are not read. NULL when it cannot be drawn. */
cairo_surface_t *picture_draw(const char *svg, size_t n);
/* out: VISUAL_DIM values, of length 1. False, and all zero, when nothing is drawn. */
bool picture_describe(cairo_surface_t *drawing, float *out);
/* Put white behind it and write it as PNG. 0, or -1 with errno. */
int picture_save(cairo_surface_t *drawing, const char *path);

/* ------------------------------ boards.c ---------------------------------- */

typedef struct board {
    const char *name; /* borrows: "keyword:cat", "folder:animals/birds", "author:x" */
    const char *idea; /* borrows: stems of its last part */
    uint32_t *pins;   /* borrows: rows, ascending, each once */
    uint32_t n;
    bool held;
} board;

/* One held-out idea: the boards that are named alike ("folder:flags", "keyword:flag"). */
typedef struct idea {
    const char *name;  /* borrows */
    uint32_t *pins;    /* rows that are not copies, ascending */
    uint32_t *members; /* all rows, ascending */
    uint32_t n, n_members;
    bool held;
} idea;

typedef struct boards {
    board *board;
    idea *ideas; /* by name */
    size_t n, n_ideas;
    struct edge *edges; /* what the boards borrow from */
    size_t n_edges;
    strings names;
} boards;

typedef struct hold_opts {
    uint64_t seed;
    double share;      /* of the ideas that may be held out; default 0.35 */
    uint32_t smallest; /* pictures an idea must have; default 3 */
    uint32_t largest;  /* and may have; default 250 */
    double twin; /* overlap with a board that stays, above which it stays too; 0.7 */
} hold_opts;

void boards_init(boards *b, const picture *p, size_t n, hold_opts o);
void boards_done(boards *b);

/* ------------------------------- pairs.c ---------------------------------- */

enum { TRAIN, VALID, TEST, N_SPLITS };

typedef struct pair {
    uint32_t query, related; /* rows */
    uint64_t order;          /* hash that decides which of a board's pairs are kept */
} pair;

typedef struct pairs {
    pair *at;
    size_t n, room;
} pairs;

typedef struct pair_opts {
    uint64_t seed;
    size_t per_idea; /* ordered pairs kept of one idea; default 600 */
    double test;     /* share of the pictures that are test queries; default 0.2 */
    double valid;    /* default 0.1 */
} pair_opts;

/* Fill the three lists, each sorted by query, then related. */
void pairs_init(pairs out[N_SPLITS], const boards *b, const picture *p, pair_opts o);
void pairs_done(pairs out[N_SPLITS]);

/* ------------------------------ output.c ---------------------------------- */

/* A folder under construction: everything goes to OUT.part, and OUT appears, or changes,
 * at output_commit in one rename. */
typedef struct output {
    char *final, *part;
    int lock; /* descriptor of the parent folder, locked against a second writer */
} output;

/* 0, or -1 with a message on stderr. */
int output_begin(output *o, const char *folder);
int output_commit(output *o);
void output_abort(output *o);
/* PART/name, to be freed by the caller. */
char *output_path(const output *o, const char *name);

typedef struct corpus {
    picture *pictures;
    size_t n;
    float *visual; /* (n, VISUAL_DIM) */
    boards boards;
    banned banned;
    pairs pairs[N_SPLITS];
} corpus;

/* Write pins.tsv, edges.tsv, visual.npy, pairs.*.tsv. 0, or -1 with a message. */
int corpus_write(const corpus *c, const output *o);

#endif
