/* fuzz_bearers.c - files of bearer tokens: each that was read is found, as the one it is.
 */
#include <string.h>

#include "server/http/bearers.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_bearers t;
    ps_why why = {0};
    int err = ps_bearers_parse(&t, (const char *)data, size, "tokens", &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    fuzz_must(t.n > 0 && t.n <= PS_BEARERS_MAX);
    for (size_t i = 0; i < t.n; i++) {
        const ps_bearer *token = &t.token[i];
        fuzz_must(token->name[0] && strlen(token->name) < PS_BEARER_NAME);
        ps_text shown = {(const char *)token->text, token->len};
        fuzz_must(ps_bearers_find(&t, shown) == (int)i);
        shown.len--;
        fuzz_must(ps_bearers_find(&t, shown) != (int)i);
    }
    ps_bearers_done(&t);
    return 0;
}
