/* changes.c - see changes.h. */
#include "tests/support/changes.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

char catalog[PS_PATH_MAX];

void use(const char *name)
{
    snprintf(catalog, sizeof catalog, "%s", scratch(name));
    ps_dir_remove(catalog, NULL);
}

void use_copy(const char *name, const char *of)
{
    char command[PS_SCRATCH_COMMAND];
    use(name);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", scratch(of), catalog);
    assert_int_equal(system(command), 0);
}

int put(ps_draft *d, const char *name, const char *text, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_out *o;
    uint64_t hash;
    int err = ps_draft_path(d, name, path, why);
    if (!err)
        err = ps_out_open(&o, path, why);
    if (err)
        return err;
    ps_out_write(o, text, strlen(text));
    err = ps_out_close(o, &hash, why);
    if (!err)
        ps_draft_file(d, name, strlen(text), hash);
    return err;
}

int change(const char *text, bool first, unsigned keep, ps_why *why)
{
    ps_draft *d = NULL;
    int err = ps_draft_begin(&d, catalog,
                             (ps_draft_opts){.step = "test", .create = first}, why);
    if (err)
        return err;
    err = put(d, "a", text, why);
    if (!err && first)
        err = put(d, "graph/b", "inherited", why);
    if (!err)
        err = put(d, "features/c", text, why);
    if (err)
        ps_draft_abort(d);
    else
        err = ps_draft_commit(d, keep, NULL, why);
    return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

const char *listing(void)
{
    static char text[1024];
    struct dirent **entry;
    int n = scandir(catalog, &entry, NULL, by_name);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (strcmp(entry[i]->d_name, ".") && strcmp(entry[i]->d_name, ".."))
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                     used ? " " : "", entry[i]->d_name);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return n < 0 ? "nothing" : text;
}

const char *whole(const char *text)
{
    static char dir[PS_PATH_MAX];
    char path[PS_PATH_MAX];
    ps_manifest *m;
    ps_why why = {0};
    const char *name;
    size_t i = 0;
    assert_int_equal(ps_catalog_base(catalog, dir, &why), PS_OK);
    assert_int_equal(ps_path_join(path, sizeof path, dir, "manifest.json"), PS_OK);
    assert_int_equal(ps_manifest_load(&m, path, &why), PS_OK);
    for (; (name = ps_manifest_file_at(m, i)); i++) {
        uint64_t size, hash, real_size, real_hash;
        assert_true(ps_manifest_file(m, name, &size, &hash));
        assert_int_equal(ps_path_join(path, sizeof path, dir, name), PS_OK);
        assert_int_equal(ps_file_hash(path, &real_hash, &real_size, &why), PS_OK);
        assert_true(size == real_size && hash == real_hash);
    }
    assert_int_equal(i, 3);
    assert_string_equal(ps_manifest_text(m, "step", ""), "test");
    ps_manifest_free(m);
    if (text) {
        assert_int_equal(ps_path_join(path, sizeof path, dir, "a"), PS_OK);
        char *got = slurp(path, NULL);
        assert_string_equal(got, text);
        free(got);
    }
    return strrchr(dir, '/') + 1;
}

void must(int err, const ps_why *why)
{
    if (err)
        print_message("%s: %s\n", why->where, why->text);
    assert_int_equal(err, PS_OK);
}
