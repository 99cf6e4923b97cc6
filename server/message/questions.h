/* questions.h - what the service can be asked to do, as plain structs.
 *
 * Every transport fills these, whatever its syntax, and every operation takes them: what
 * a transport lets through is in the ranges told here. Texts and arrays are borrowed;
 * they live in the arena of the request.
 *
 * An absent text has data NULL where that differs from an empty one.
 *
 * Threads: plain values.
 * Not here: reading them (server/api/body.h), answering them (server/engine/engine.h).
 */
#ifndef PINSAGE_SERVER_MESSAGE_QUESTIONS_H
#define PINSAGE_SERVER_MESSAGE_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/text.h"

#define PS_K_MAX        1000
#define PS_EXCLUDE_MAX  1024 /* left out of one answer */
#define PS_BOARDS_MAX   1024 /* named in one question */
#define PS_EXAMPLES_MAX 256
#define PS_WEIGHT_LEAST 1e-9F /* of an example */
#define PS_WEIGHT_MOST  1e9F
#define PS_VECTORS_MAX  32 /* feature blocks of a pin */
#define PS_VOTER_MAX    128
#define PS_METADATA_MAX 4096 /* of a pin: as many as a table may have columns */
#define PS_LIST_DEFAULT 100  /* of a board's pins; of a pin's boards: PS_BOARDS_MAX */
#define PS_PAGE_MAX     1024 /* no less than PS_BOARDS_MAX */

/* Pins related to a stored one. */
typedef struct ps_related {
    ps_text pin;
    ps_text method;         /* data NULL: the default */
    uint32_t k;             /* 1..PS_K_MAX */
    ps_text board;          /* data NULL: any; else only pins of that board */
    const ps_text *exclude; /* (n_exclude) pins left out; unknown ones are no error */
    uint32_t n_exclude;     /* 0..PS_EXCLUDE_MAX */
    bool explain;           /* somebody will ask why */
    bool quick; /* answer only if it takes no more than a search of the index */
} ps_related;

typedef struct ps_get_pin {
    ps_text pin;
    uint32_t limit, offset; /* of the boards; limit 0..PS_PAGE_MAX */
    bool features;          /* its vectors too */
    bool plain;             /* in JSON as plain lists, not as messages */
} ps_get_pin;

typedef struct ps_get_board {
    ps_text board;
    uint32_t limit, offset; /* of the pins; limit 0..PS_PAGE_MAX */
} ps_get_board;

/* A vector of a feature block; its numbers are finite. Whether there is such a block,
 * and of that width, only the engine knows. */
typedef struct ps_named_vector {
    ps_text name;       /* not empty, and no other has it */
    const float *value; /* (dim) */
    uint32_t dim;       /* 1..; 0 in a patch: the vector is taken away */
} ps_named_vector;

/* What a pin is, when it is told from outside. */
typedef struct ps_content {
    ps_text title, text, image;     /* "" is none */
    const ps_named_vector *feature; /* (n_features) */
    uint32_t n_features;            /* 0..PS_VECTORS_MAX */
    const ps_text *board;           /* (n_boards) of 1..PS_ID_MAX bytes; may repeat */
    uint32_t n_boards;              /* 0..PS_BOARDS_MAX */
    const ps_text *meta;            /* (n_meta, 2) names, each once, and values; in a
                                     * patch one with data NULL is taken away */
    uint32_t n_meta;                /* 0..PS_METADATA_MAX */
} ps_content;

/* What becomes of a pin's list when it is written to. */
typedef enum ps_edit_how {
    PS_REPLACE, /* it is what is told */
    PS_KEEP,    /* nothing is told: it stays */
    PS_MERGE    /* what is told by name changes, the rest stays */
} ps_edit_how;

/* Store a pin, or change one. What is not named stays: texts whose data is NULL. */
typedef struct ps_put_pin {
    ps_text pin; /* 1..PS_ID_MAX bytes */
    ps_content content;
    ps_edit_how features, metadata, boards; /* boards are never merged */
    ps_text if_match; /* data NULL: whatever is there; else an etag, or "*" */
} ps_put_pin;

typedef struct ps_delete_pin {
    ps_text pin;      /* 1..PS_ID_MAX bytes */
    ps_text if_match; /* as above */
} ps_delete_pin;

/* Put a pin on a board, or take it off. */
typedef struct ps_save {
    ps_text board, pin; /* 1..PS_ID_MAX bytes each */
} ps_save;

/* The vector of a pin that is not stored, and with k > 0 pins related to it. */
typedef struct ps_embed_pin {
    ps_content content; /* its image is "" */
    uint32_t k;         /* 0..the server's k_max */
    const ps_text *exclude;
    uint32_t n_exclude; /* 0..PS_EXCLUDE_MAX; unknown ones are no error */
    bool explain;
} ps_embed_pin;

/* A pin, or a vector in its place. */
typedef struct ps_example {
    ps_text pin;         /* data NULL: it is the vector */
    const float *vector; /* (dim), finite */
    uint32_t dim;
    float
        weight; /* PS_WEIGHT_LEAST..PS_WEIGHT_MOST: sums of them stay in float's range */
} ps_example;

/* Pins like some examples and unlike others. */
typedef struct ps_recommend {
    const ps_example *positive, *negative;
    uint32_t n_positive, n_negative; /* 1.., 0..; together PS_EXAMPLES_MAX at most */
    const ps_text *exclude;
    uint32_t n_exclude;   /* 0..PS_EXCLUDE_MAX; unknown ones are no error */
    const ps_text *board; /* only pins of one of these; none: any */
    uint32_t n_boards;    /* 0..PS_BOARDS_MAX */
    float diversity;      /* 0..1, the part of MMR that counts against likeness */
    bool skip_missing;    /* unknown examples are left out and named, no error */
    ps_text method;       /* data NULL: the default */
    uint32_t k;           /* 1..the server's k_max */
    bool explain;
} ps_recommend;

typedef enum ps_winner { PS_LEFT, PS_RIGHT, PS_DRAW } ps_winner;

/* Two methods were asked about the same pin, and somebody liked one answer better. */
typedef struct ps_candidate {
    ps_text method; /* not empty */
    ps_text pin;    /* "" when a whole answer was judged */
} ps_candidate;

typedef struct ps_vote {
    ps_text query; /* 1..PS_ID_MAX bytes */
    ps_candidate left, right;
    ps_winner winner;
    ps_text voter; /* "" or up to PS_VOTER_MAX bytes */
} ps_vote;

#endif
