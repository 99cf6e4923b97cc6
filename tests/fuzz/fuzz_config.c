/* fuzz_config.c - the JSON file of settings, taken by the command with most options. */
#include <string.h>

#include "server/cli/cli.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_why why = {0};
    const ps_command *serve = ps_command_find("serve");
    void *settings = calloc(1, serve->settings_size);
    fuzz_must(settings != NULL);
    int err = ps_config_apply(fuzz_file(data, size), serve, settings, &why);
    fuzz_must(!err || why.text[0]);
    free(settings);
    return 0;
}
