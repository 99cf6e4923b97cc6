/* output.c - the corpus as files, in a folder that appears at once.
 *
 * Everything is written to OUT.part. The last step renames it to OUT, or exchanges the
 * two when there is an older OUT, so a reader sees the old folder or the new one and a
 * kill at any point leaves OUT as it was. What a killed run left in OUT.part is removed
 * by the next. A lock on the parent folder keeps two runs from sharing one OUT.part.
 *
 *     images/ID.png          thumbnails, one for all copies of a drawing
 *     pins.tsv               pin title text image author folder file
 *     edges.tsv              pin board
 *     visual.npy             NumPy v1, <f4, (pins, VISUAL_DIM), rows as pins.tsv
 *     pairs.{train,valid,test}.tsv   query related
 *
 * `title` is for people: the artist's title, but the file's name in words where the title
 * is empty or shared by a whole series. `text` is for machines: title, description and
 * keywords. In both, words that name a held-out board are gone, in `title` with an
 * ellipsis in their place. The id, folder and file columns keep them; they are no
 * features.
 *
 * Threads: one. Not here: thumbnails, written while drawing (openclipart.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/demo/corpus.h"

/* ---------------------------- The folder ---------------------------------- */

static int complain(const char *what, const char *path)
{
    fprintf(stderr, "openclipart: cannot %s %s: %s\n", what, path, strerror(errno));
    return -1;
}

static int on_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int remove_tree(const char *path)
{
    if (nftw(path, on_remove, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return complain("remove", path);
}

static int make_parents(const char *path)
{
    char *copy = must(strdup(path));
    for (char *s = copy + 1; *s; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        if (mkdir(copy, 0777) && errno != EEXIST) {
            complain("make folder", copy);
            free(copy);
            return -1;
        }
        *s = '/';
    }
    free(copy);
    return 0;
}

static int lock_parent(const char *path)
{
    char *copy = must(strdup(path));
    const char *parent = dirname(copy);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        complain("open folder", parent);
    else if (flock(fd, LOCK_EX | LOCK_NB)) {
        fprintf(stderr, "openclipart: another run is writing to %s\n", parent);
        close(fd);
        fd = -1;
    }
    free(copy);
    return fd;
}

static char *joined(const char *a, const char *b)
{
    char *out = NULL;
    if (asprintf(&out, "%s%s", a, b) < 0)
        out = NULL;
    return must(out);
}

/* An older OUT is replaced only when it looks like ours: nobody's folder is removed
 * because of a slip of the pen. */
static bool may_replace(const char *folder)
{
    char *pins = joined(folder, "/pins.tsv");
    bool ours = access(pins, F_OK) == 0;
    free(pins);
    if (ours || access(folder, F_OK) != 0)
        return true;
    if (rmdir(folder) == 0) /* empty */
        return true;
    fprintf(stderr, "openclipart: %s exists and is not an earlier output\n", folder);
    return false;
}

int output_begin(output *o, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    *o = (output){.final = must(strndup(folder, n)), .lock = -1};
    o->part = joined(o->final, ".part");
    if (make_parents(o->final) || !may_replace(o->final))
        return -1;
    o->lock = lock_parent(o->final);
    if (o->lock < 0 || remove_tree(o->part))
        return -1;
    if (mkdir(o->part, 0777))
        return complain("make folder", o->part);
    char *images = output_path(o, "images");
    int err = mkdir(images, 0777);
    if (err)
        complain("make folder", images);
    free(images);
    return err;
}

static void output_end(output *o)
{
    if (o->lock >= 0)
        close(o->lock);
    free(o->final);
    free(o->part);
    *o = (output){.lock = -1};
}

/* Not every file system can exchange; then the old one steps aside first, and a kill
 * between the two renames leaves no OUT, which is still nothing half. */
static int replace(const output *o)
{
    if (renameat2(AT_FDCWD, o->part, AT_FDCWD, o->final, RENAME_EXCHANGE) == 0)
        return remove_tree(o->part);
    if (errno != EINVAL && errno != ENOSYS)
        return complain("replace", o->final);
    char *old = joined(o->final, ".old");
    int err = remove_tree(old);
    if (!err && (rename(o->final, old) || rename(o->part, o->final)))
        err = complain("replace", o->final);
    if (!err)
        err = remove_tree(old);
    free(old);
    return err;
}

int output_commit(output *o)
{
    int err = 0;
    if (access(o->final, F_OK) == 0)
        err = replace(o);
    else if (rename(o->part, o->final))
        err = complain("rename to", o->final);
    if (err)
        remove_tree(o->part);
    output_end(o);
    return err;
}

void output_abort(output *o)
{
    if (o->part && o->lock >= 0)
        remove_tree(o->part);
    output_end(o);
}

char *output_path(const output *o, const char *name)
{
    char *out = NULL;
    if (asprintf(&out, "%s/%s", o->part, name) < 0)
        out = NULL;
    return must(out);
}

/* ----------------------------- Its files ---------------------------------- */

typedef void write_fn(FILE *f, const corpus *c, int split);

static int write_file(const corpus *c, const output *o, const char *name, write_fn *fill,
                      int split)
{
    char *path = output_path(o, name);
    FILE *f = fopen(path, "w");
    int err = -1;
    if (!f)
        goto out;
    fill(f, c, split);
    err = ferror(f) || fflush(f) || fsync(fileno(f)) ? -1 : 0;
    if (fclose(f))
        err = -1;
out:
    if (err)
        complain("write", path);
    free(path);
    return err;
}

/* In how many pictures the title of each occurs: sort, then count runs. */
static int by_title(const void *a, const void *b)
{
    return strcmp((*(picture *const *)a)->title, (*(picture *const *)b)->title);
}

enum { SERIES = 5 }; /* pictures of one title that make it the name of a series */

static bool *find_series(const corpus *c)
{
    bool *series = must(calloc(c->n + 1, sizeof(*series)));
    picture **order = must(calloc(c->n + 1, sizeof(*order)));
    for (size_t i = 0; i < c->n; i++)
        order[i] = &c->pictures[i];
    qsort(order, c->n, sizeof(*order), by_title);
    for (size_t i = 0, next; i < c->n; i = next) {
        for (next = i + 1; next < c->n && by_title(&order[i], &order[next]) == 0; next++)
            ;
        for (size_t j = i; j < next; j++)
            series[order[j] - c->pictures] = next - i >= SERIES || !*order[i]->title;
    }
    free(order);
    return series;
}

static char *file_in_words(const picture *p)
{
    const char *slash = strrchr(p->path, '/');
    char *name = must(strdup(slash ? slash + 1 : p->path));
    name[strlen(name) - 4] = '\0';
    for (char *s = name; *s; s++)
        if (*s == '_')
            *s = ' ';
    char *tidy = tidy_text(name);
    free(name);
    return tidy;
}

#define ELLIPSIS "\u2026"

static bool says_something(const char *title)
{
    while (*title == ' ' || strncmp(title, ELLIPSIS, strlen(ELLIPSIS)) == 0)
        title += *title == ' ' ? 1 : strlen(ELLIPSIS);
    return *title != '\0';
}

/* Where all words are gone: an ellipsis, and where the picture lies or who drew it. */
static char *title_of_place(const corpus *c, const picture *p)
{
    const char *slash = strrchr(p->folder, '/');
    char *out = NULL;
    char *place = without_banned(&c->banned, slash ? slash + 1 : p->folder, "");
    if (asprintf(&out, ELLIPSIS " (%s)", *place ? place : p->author) < 0)
        out = NULL;
    free(place);
    return must(out);
}

static char *title_of(const corpus *c, const picture *p, bool in_series)
{
    char *file = file_in_words(p);
    char *title = without_banned(&c->banned, in_series ? file : p->title, ELLIPSIS);
    free(file);
    if (says_something(title))
        return title;
    free(title);
    return title_of_place(c, p);
}

static char *text_for(const corpus *c, const picture *p)
{
    char *raw = NULL;
    size_t size;
    FILE *f = must(open_memstream(&raw, &size));
    fprintf(f, "%s %s", p->title, p->description);
    for (size_t i = 0; i < p->keywords.n; i++)
        fprintf(f, " %s", p->keywords.at[i]);
    fclose(f);
    for (char *s = must(raw); *s; s++)
        if (*s == '_')
            *s = ' ';
    char *text = without_banned(&c->banned, raw, "");
    free(raw);
    return text;
}

static void fill_pins(FILE *f, const corpus *c, int split)
{
    (void)split;
    bool *series = find_series(c);
    fputs("pin\ttitle\ttext\timage\tauthor\tfolder\tfile\n", f);
    for (size_t i = 0; i < c->n; i++) {
        const picture *p = &c->pictures[i];
        char *title = title_of(c, p, series[i]), *text = text_for(c, p);
        fprintf(f, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p->id, title, text, p->image,
                p->author, p->folder, p->path);
        free(title);
        free(text);
    }
    free(series);
}

static void fill_edges(FILE *f, const corpus *c, int split)
{
    (void)split;
    fputs("pin\tboard\n", f);
    for (size_t i = 0; i < c->boards.n; i++) {
        const board *b = &c->boards.board[i];
        for (uint32_t j = 0; j < b->n && !b->held; j++)
            fprintf(f, "%s\t%s\n", c->pictures[b->pins[j]].id, b->name);
    }
}

static void fill_pairs(FILE *f, const corpus *c, int split)
{
    const pairs *list = &c->pairs[split];
    fputs("query\trelated\n", f);
    for (size_t i = 0; i < list->n; i++)
        fprintf(f, "%s\t%s\n", c->pictures[list->at[i].query].id,
                c->pictures[list->at[i].related].id);
}

/* Magic, version 1.0, then a dictionary padded so that the data begin at 128. */
static void fill_visual(FILE *f, const corpus *c, int split)
{
    (void)split;
    char head[119];
    int n = snprintf(head, sizeof(head),
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %d), }",
                     c->n, VISUAL_DIM);
    memset(head + n, ' ', sizeof(head) - (size_t)n);
    head[117] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    fwrite(head, 1, 118, f);
    fwrite(c->visual, sizeof(*c->visual) * VISUAL_DIM, c->n, f);
}

int corpus_write(const corpus *c, const output *o)
{
    int err = write_file(c, o, "pins.tsv", fill_pins, 0);
    err = err ? err : write_file(c, o, "edges.tsv", fill_edges, 0);
    err = err ? err : write_file(c, o, "visual.npy", fill_visual, 0);
    err = err ? err : write_file(c, o, "pairs.train.tsv", fill_pairs, TRAIN);
    err = err ? err : write_file(c, o, "pairs.valid.tsv", fill_pairs, VALID);
    return err ? err : write_file(c, o, "pairs.test.tsv", fill_pairs, TEST);
}
