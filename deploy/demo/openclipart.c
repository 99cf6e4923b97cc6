/* openclipart.c - Debian's Open Clip Art as a pin-board data set for the demo.
 *
 *     openclipart [--source DIR] --out DIR [--threads N] [--seed N]
 *
 * Pictures are pins. Keywords, folders and artists are boards, save those held out as
 * labels (boards.c). The text is what the file says of itself, less the words that name
 * a held-out board (words.c). The visual block is a plain descriptor (picture.c). Output
 * files: output.c.
 *
 * Files are shared out one at a time among threads, since one drawing in a thousand takes
 * a hundred times as long as the rest. Every result has its own slot, in the order of
 * the sorted paths, and all that looks at more than one picture runs after, on one
 * thread: the output is the same for any number of threads.
 *
 * A file that is not XML is counted and left out; one that cannot be drawn, or
 * draws nothing, keeps its place with a zero row and no image. Faults are named on
 * stderr. Files and folders that cannot be read end the run.
 *
 * Threads: --threads workers, each with its own parser and renderer.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/demo/corpus.h"

static const char help[] =
    "Usage: openclipart [--source DIR] --out DIR [--threads N] [--seed N]\n"
    "Turn the SVG files of Open Clip Art into input for `pinsage import`.\n"
    "\n"
    "  --source DIR   folder of SVG files (default /usr/share/openclipart/svg)\n"
    "  --out DIR      folder to make; an earlier output there is replaced\n"
    "  --threads N    workers (default: one a processor)\n"
    "  --seed N       which boards are held out, which pictures are test (default 1)\n"
    "  --help         this\n";

typedef struct options {
    const char *source, *out;
    long threads;
    uint64_t seed;
} options;

/* ------------------------------ Options ----------------------------------- */

static int bad_use(const char *what)
{
    fprintf(stderr, "openclipart: %s\n%s", what, help);
    return EXIT_BAD_USE;
}

static bool read_number(const char *text, long low, long high, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return !errno && *text && !*end && *out >= low && *out <= high;
}

/* 0 go on, -1 help was printed, else the exit code. */
static int read_options(options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"source", required_argument, NULL, 's'},  {"out", required_argument, NULL, 'o'},
        {"threads", required_argument, NULL, 't'}, {"seed", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},          {0}};
    int c;
    long seed = 1;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 's')
            o->source = optarg;
        else if (c == 'o')
            o->out = optarg;
        else if (c == 't' && !read_number(optarg, 1, 256, &o->threads))
            return bad_use("--threads wants a number from 1 to 256");
        else if (c == 'e' && !read_number(optarg, 0, INT32_MAX, &seed))
            return bad_use("--seed wants a number from 0 to 2147483647");
        else if (c == 'h')
            return fputs(help, stdout), -1;
        else if (c == '?')
            return EXIT_BAD_USE;
    }
    o->seed = (uint64_t)seed;
    if (optind < argc)
        return bad_use("no arguments are taken");
    return o->out ? 0 : bad_use("--out DIR is missing");
}

/* ------------------------------- Files ------------------------------------ */

static strings found; /* nftw has no argument for its callback */
static size_t root_length;

static int on_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    struct stat aim;
    size_t n = strlen(path);
    if (kind == FTW_DNR)
        return errno = EACCES, -1;
    if (n <= 4 || strcmp(path + n - 4, ".svg") != 0)
        return 0;
    if (kind == FTW_SL && stat(path, &aim) == 0)
        st = &aim;
    if ((kind == FTW_F || kind == FTW_SL) && S_ISREG(st->st_mode))
        strings_add(&found, must(strdup(path + root_length + 1)));
    return 0;
}

/* The paths of regular files below folder, and of links to such, sorted by their bytes.
 * 0, or an exit code. */
static int find_files(const char *folder, strings *out)
{
    found = (strings){0};
    root_length = strlen(folder);
    if (nftw(folder, on_file, 16, FTW_PHYS)) {
        fprintf(stderr, "openclipart: cannot read %s: %s%s\n", folder, strerror(errno),
                errno == ENOENT ? " (is the package openclipart-svg installed?)" : "");
        strings_done(&found);
        return EXIT_BAD_IO;
    }
    if (found.n == 0) {
        fprintf(stderr, "openclipart: no SVG files in %s\n", folder);
        return EXIT_BAD_DATA;
    }
    *out = found;
    strings_sort(out);
    return 0;
}

/* The whole file; NULL with errno. */
static char *read_file(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *bytes = NULL;
    *n = 0;
    if (fd < 0 || fstat(fd, &st))
        goto out;
    bytes = must(malloc((size_t)st.st_size + 1));
    for (ssize_t got = 1; got > 0 && *n < (size_t)st.st_size; *n += (size_t)got)
        if ((got = read(fd, bytes + *n, (size_t)st.st_size - *n)) < 0) {
            free(bytes);
            bytes = NULL;
            goto out;
        }
out:
    if (fd >= 0)
        close(fd);
    return bytes;
}

/* ------------------------------ One file ---------------------------------- */

typedef struct job {
    const options *o;
    const output *out;
    const strings *files;
    picture *pictures; /* (files->n), slot i for file i */
    float *visual;     /* (files->n, VISUAL_DIM), zero at first */
    atomic_size_t next, done;
    atomic_int err; /* errno of the first failure, its file in bad_path */
    pthread_mutex_t lock;
    char bad_path[512];
    bool tty;
} job;

static void name_picture(picture *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    p->path = must(strdup(path));
    p->id = must(strndup(path, strlen(path) - 4));
    p->image = must(strdup(""));
    p->folder = must(strndup(path, slash ? (size_t)(slash - path) : 0));
    for (char *s = p->id; *s; s++)
        if (*s == '/' || *s == '\t' || *s == '\n')
            *s = '.';
}

static int draw(const job *j, picture *p, float *visual, const char *svg, size_t n)
{
    cairo_surface_t *drawing = picture_draw(svg, n);
    p->is_broken = !drawing;
    p->has_drawing = drawing && picture_describe(drawing, visual);
    int err = 0;
    if (p->has_drawing) {
        char *name = NULL;
        free(p->image);
        if (asprintf(&name, "images/%s.png", p->id) < 0)
            name = NULL;
        p->image = must(strdup(must(name) + strlen("images/")));
        char *path = output_path(j->out, name);
        err = picture_save(drawing, path) ? errno : 0;
        free(path);
        free(name);
    }
    cairo_surface_destroy(drawing);
    return err;
}

/* 0, or the errno that ends the run. */
static int do_file(job *j, size_t i)
{
    char *path = NULL;
    picture *p = &j->pictures[i];
    size_t n;
    if (asprintf(&path, "%s/%s", j->o->source, j->files->at[i]) < 0)
        path = NULL;
    char *svg = read_file(must(path), &n);
    int err = svg ? 0 : errno;
    if (svg) {
        name_picture(p, j->files->at[i]);
        p->has_metadata = metadata_read(p, svg, n);
        if (p->has_metadata)
            err = draw(j, p, j->visual + i * VISUAL_DIM, svg, n);
    }
    free(svg);
    free(path);
    return err;
}

/* ------------------------------- Threads ---------------------------------- */

/* A bar that moves on a terminal, else a line each tenth. */
static void show_progress(job *j, size_t done)
{
    size_t n = j->files->n, step = j->tty ? (n + 99) / 100 : (n + 9) / 10;
    if (done % step && done != n)
        return;
    pthread_mutex_lock(&j->lock);
    fprintf(stderr, "%sopenclipart: %zu of %zu pictures (%zu %%)%s", j->tty ? "\r" : "",
            done, n, done * 100 / n, !j->tty || done == n ? "\n" : "");
    pthread_mutex_unlock(&j->lock);
}

static void fail(job *j, size_t i, int err)
{
    pthread_mutex_lock(&j->lock);
    if (!j->err) {
        snprintf(j->bad_path, sizeof(j->bad_path), "%s", j->files->at[i]);
        j->err = err;
    }
    pthread_mutex_unlock(&j->lock);
}

static void *work(void *arg)
{
    job *j = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->files->n || j->err)
            return NULL;
        int err = do_file(j, i);
        if (err)
            fail(j, i, err);
        show_progress(j, atomic_fetch_add(&j->done, 1) + 1);
    }
}

/* A thread that cannot be started is one fewer; with none, this one does the work. */
static int run_job(job *j)
{
    pthread_t thread[256];
    long n = 0;
    while (n < j->o->threads && pthread_create(&thread[n], NULL, work, j) == 0)
        n++;
    if (n == 0)
        work(j);
    for (long i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    if (!j->err)
        return 0;
    fprintf(stderr, "openclipart: %s: %s\n", j->bad_path, strerror(j->err));
    return EXIT_BAD_IO;
}

/* ----------------------------- The corpus --------------------------------- */

static void picture_done(picture *p)
{
    free(p->path);
    free(p->id);
    free(p->folder);
    free(p->title);
    free(p->description);
    free(p->author);
    free(p->image);
    strings_done(&p->keywords);
    strings_done(&p->authors);
}

/* Close the gaps that files without metadata left; tell of them and of blank ones. */
static void drop_unreadable(corpus *c, size_t *bad, size_t *blank)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        picture *p = &c->pictures[i];
        if (!p->has_metadata) {
            fprintf(stderr, "openclipart: %s: not XML, left out\n", p->path);
            picture_done(p);
            ++*bad;
            continue;
        }
        if (p->is_broken)
            fprintf(stderr, "openclipart: %s: cannot be drawn\n", p->path);
        *blank += !p->has_drawing;
        memmove(c->visual + n * VISUAL_DIM, c->visual + i * VISUAL_DIM,
                VISUAL_DIM * sizeof(*c->visual));
        c->pictures[n++] = *p;
    }
    c->n = n;
}

static int by_drawing(const void *a, const void *b, void *visual)
{
    const float *v = visual;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int order = memcmp(v + x * VISUAL_DIM, v + y * VISUAL_DIM, VISUAL_DIM * sizeof(*v));
    return order ? order : (x > y) - (x < y);
}

static bool same_drawing(const corpus *c, size_t a, size_t b)
{
    return c->pictures[a].has_drawing && c->pictures[b].has_drawing &&
           memcmp(c->visual + a * VISUAL_DIM, c->visual + b * VISUAL_DIM,
                  VISUAL_DIM * sizeof(*c->visual)) == 0;
}

/* The copy shows the original's thumbnail, so that a page can tell they are one. */
static void make_copy(picture *p, const picture *original, const output *out)
{
    char *name = NULL, *path;
    if (asprintf(&name, "images/%s", p->image) < 0)
        name = NULL;
    path = output_path(out, must(name));
    unlink(path);
    free(path);
    free(name);
    free(p->image);
    p->image = must(strdup(original->image));
    p->is_copy = true;
}

/* The package has 663 links to a picture of another folder, and artists sent the same
 * drawing twice. An equal descriptor, bit for bit, is an equal drawing here. */
static void mark_copies(corpus *c, const output *out)
{
    size_t *order = must(calloc(c->n + 1, sizeof(*order)));
    for (size_t i = 0; i < c->n; i++)
        order[i] = i;
    qsort_r(order, c->n, sizeof(*order), by_drawing, c->visual);
    for (size_t i = 1; i < c->n; i++)
        if (same_drawing(c, order[i - 1], order[i]))
            make_copy(&c->pictures[order[i]], &c->pictures[order[i - 1]], out);
    free(order);
}

/* Ids are paths with '/' as '.', so "a.b.svg" and "a/b.svg" would be one. */
static int check_ids(const corpus *c)
{
    strings ids = {must(calloc(c->n + 1, sizeof(char *))), 0, c->n + 1};
    for (size_t i = 0; i < c->n; i++)
        strings_add(&ids, c->pictures[i].id);
    strings_sort(&ids);
    int err = 0;
    for (size_t i = 1; i < ids.n && !err; i++)
        if (strcmp(ids.at[i - 1], ids.at[i]) == 0) {
            fprintf(stderr, "openclipart: two files make the id %s\n", ids.at[i]);
            err = EXIT_BAD_DATA;
        }
    free(ids.at);
    return err;
}

static void make_labels(corpus *c, uint64_t seed)
{
    boards_init(
        &c->boards, c->pictures, c->n,
        (hold_opts){
            .seed = seed, .share = 0.35, .smallest = 3, .largest = 250, .twin = 0.7});
    for (size_t i = 0; i < c->boards.n_ideas; i++)
        if (c->boards.ideas[i].held)
            banned_add(&c->banned, c->boards.ideas[i].name);
    banned_seal(&c->banned);
    pairs_init(c->pairs, &c->boards, c->pictures,
               (pair_opts){.seed = seed, .per_idea = 600, .test = 0.2, .valid = 0.1});
}

static void corpus_done(corpus *c)
{
    for (size_t i = 0; i < c->n; i++)
        picture_done(&c->pictures[i]);
    free(c->pictures);
    free(c->visual);
    boards_done(&c->boards);
    banned_done(&c->banned);
    pairs_done(c->pairs);
}

static void report(const corpus *c, size_t bad, size_t blank)
{
    size_t stay = 0, edges = 0, held = 0, ideas = 0, copies = 0;
    for (size_t i = 0; i < c->boards.n; i++) {
        const board *b = &c->boards.board[i];
        held += b->held;
        stay += !b->held;
        edges += b->held ? 0 : b->n;
    }
    for (size_t i = 0; i < c->boards.n_ideas; i++)
        ideas += c->boards.ideas[i].held;
    for (size_t i = 0; i < c->n; i++)
        copies += c->pictures[i].is_copy;
    printf("pictures       %8zu   (%zu of them copies of another)\n", c->n, copies);
    printf("unreadable     %8zu   blank or impossible to draw %zu\n", bad, blank);
    printf("boards         %8zu   edges %zu\n", stay, edges);
    printf("held out       %8zu   boards of %zu ideas, %zu words banned from text\n",
           held, ideas, c->banned.stems.n);
    printf("pairs          %8zu   train, %zu valid, %zu test\n", c->pairs[TRAIN].n,
           c->pairs[VALID].n, c->pairs[TEST].n);
}

/* Read and draw all files into c. 0, or an exit code. */
static int read_all(corpus *c, const options *o, const output *out, const strings *files)
{
    c->n = files->n;
    c->pictures = must(calloc(files->n, sizeof(*c->pictures)));
    c->visual = must(calloc(files->n, VISUAL_DIM * sizeof(*c->visual)));
    job j = {.o = o,
             .out = out,
             .files = files,
             .pictures = c->pictures,
             .visual = c->visual,
             .lock = PTHREAD_MUTEX_INITIALIZER,
             .tty = isatty(STDERR_FILENO)};
    return run_job(&j);
}

static int run(const options *o)
{
    corpus c = {0};
    strings files = {0};
    output out = {.lock = -1};
    size_t bad = 0, blank = 0;
    int err = find_files(o->source, &files);
    if (!err && output_begin(&out, o->out))
        err = EXIT_BAD_IO;
    err = err ? err : read_all(&c, o, &out, &files);
    if (err)
        goto out;
    drop_unreadable(&c, &bad, &blank);
    err = check_ids(&c);
    if (err)
        goto out;
    mark_copies(&c, &out);
    make_labels(&c, o->seed);
    if (corpus_write(&c, &out) || output_commit(&out))
        err = EXIT_BAD_IO;
    if (!err)
        report(&c, bad, blank);
out:
    output_abort(&out);
    corpus_done(&c);
    strings_done(&files);
    return err;
}

int main(int argc, char **argv)
{
    options o = {.source = "/usr/share/openclipart/svg",
                 .threads = sysconf(_SC_NPROCESSORS_ONLN)};
    int err = read_options(&o, argc, argv);
    if (err)
        return err < 0 ? 0 : err;
    if (o.threads > 256)
        o.threads = 256;
    metadata_start();
    err = run(&o);
    metadata_stop();
    return err;
}
