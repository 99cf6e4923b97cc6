/* fuzz_manifest.c - manifests: asked for anything they answer, and what was loaded is
 * saved and loaded the same. */
#include <string.h>
#include <unistd.h>

#include "pinsage/manifest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/scratch.h"

const unsigned fuzz_rounds = 4000;

static void ask(ps_manifest *m)
{
    static const char *const paths[] = {"format",
                                        "counts.pins",
                                        "train.curve.0.loss",
                                        "files",
                                        "options",
                                        "a.b.c",
                                        ".",
                                        "",
                                        "train.curve.99999999"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ps_manifest_u64(m, paths[i], 1);
        ps_manifest_real(m, paths[i], 1);
        ps_manifest_text(m, paths[i], "");
        ps_manifest_length(m, paths[i]);
        free(ps_manifest_json(m, paths[i]));
    }
    const char *name;
    for (size_t i = 0; (name = ps_manifest_file_at(m, i)); i++) {
        uint64_t bytes = 0, hash = 0;
        fuzz_must(ps_manifest_file(m, name, &bytes, &hash));
        ps_manifest_fingerprint(m, name, name, &hash);
    }
    ps_why why = {0};
    fuzz_must(!ps_manifest_check(m, &why) == !ps_manifest_stale(m));
}

static void save_again(const ps_manifest *m)
{
    ps_why why = {0};
    ps_manifest *again;
    const char *path = scratch("manifest.json");
    fuzz_must(ps_manifest_save(m, path, &why) == 0);
    fuzz_must(ps_manifest_load(&again, path, &why) == 0);
    char *one = ps_manifest_json(m, "files"), *two = ps_manifest_json(again, "files");
    fuzz_must(!one == !two && (!one || strcmp(one, two) == 0));
    free(one);
    free(two);
    ps_manifest_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_manifest *m;
    ps_why why = {0};
    int err = ps_manifest_load(&m, fuzz_file(data, size), &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    ask(m);
    save_again(m);
    ps_manifest_set_u64(m, "counts.pins", 7);
    fuzz_must(ps_manifest_u64(m, "counts.pins", 0) == 7);
    ps_manifest_free(m);
    return 0;
}
