/* fuzz_token_file.c - files of bearer tokens: each that was read is found, as the one it
 * is.
 */
#include <string.h>

#include "server/security/token_file.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_tokens t;
    ps_why why = {0};
    int err = ps_tokens_parse(&t, (const char *)data, size, "tokens", &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    fuzz_must(t.n > 0 && t.n <= PS_TOKENS_MAX);
    for (size_t i = 0; i < t.n; i++) {
        const ps_token *token = &t.token[i];
        fuzz_must(token->name[0] && strlen(token->name) < PS_TOKEN_NAME);
        ps_text shown = {(const char *)token->text, token->len};
        fuzz_must(ps_tokens_find(&t, shown) == (int)i);
        shown.len--;
        fuzz_must(ps_tokens_find(&t, shown) != (int)i);
    }
    ps_tokens_done(&t);
    return 0;
}
