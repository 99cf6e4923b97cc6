/* token_file.h - the file of bearer tokens, and whether a request shows one of them.
 *
 *     # who           token
 *     nightly-import  hHq2cB6v0bZ1xJt...
 *     fIu0LmS8wq3...                        without a name it is called line-3
 *
 * One a line; several, so that a new one can be handed out before the old one goes.
 * Names are what logs and rate limits speak of; tokens are never written anywhere.
 *
 * Threads: a ps_tokens belongs to whoever holds it.
 */
#ifndef PINSAGE_SERVER_SECURITY_TOKEN_FILE_H
#define PINSAGE_SERVER_SECURITY_TOKEN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "pinsage/err.h"
#include "pinsage/text.h"
#include "server/base/stamp.h"

#define PS_TOKEN_BYTES 512 /* longest token */
#define PS_TOKEN_NAME  64  /* longest name, and its NUL */
#define PS_TOKENS_MAX  256
#define PS_TOKEN_SHORT 16 /* shorter ones can be guessed */

typedef struct ps_token {
    char name[PS_TOKEN_NAME];
    size_t len;
    unsigned char text[PS_TOKEN_BYTES]; /* zeros behind its end */
} ps_token;

typedef struct ps_tokens {
    ps_token *token; /* (n), owned */
    size_t n;
    ps_stamp stamp; /* of the file */
    unsigned mode;  /* its permission bits */
    bool has_short; /* one is shorter than PS_TOKEN_SHORT */
} ps_tokens;

/* Refused in words: no token at all, words that are none, names or tokens twice, a file
 * that everybody may write. */
int ps_tokens_read(ps_tokens *t, const char *path, ps_why *why);
/* The same from text; path is for words. */
int ps_tokens_parse(ps_tokens *t, const char *text, size_t size, const char *path,
                    ps_why *why);
/* Overwrites the tokens. */
void ps_tokens_done(ps_tokens *t);

/* Index of the token that is equal, -1 when none is. Takes the same time whatever it is
 * compared with: all tokens are looked at, each to its last byte. */
int ps_tokens_find(const ps_tokens *t, ps_text shown);

#endif
