/* faiss.c - the one file that talks to FAISS, through its C API.
 *
 * FAISS reports by exceptions, which its C layer turns into a number and a thread-local
 * text "Error in SIGNATURE at FILE:LINE: Error: 'CONDITION' failed: SENTENCE". The
 * sentence alone means something to our users.
 *
 * OpenMP's thread count belongs to the calling thread, so it is set where work begins
 * and a searching thread keeps its one.
 *
 * Threads: see the header. FAISS 1.7.3 has no knobs per search: they are state of
 * the index, set once before the first search. A search that must look further than they
 * allow reads the lists of an inverted file itself.
 */
#include "index/faiss.h"

#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

/* From the OpenMP runtime that FAISS links; the header is the compiler's own. */
extern void omp_set_num_threads(int n);

struct ps_faiss {
    FaissIndex *index;  /* owned */
    FaissIndexIVF *ivf; /* the same index; NULL for other kinds */
    int unit;
};

/* ------------------------------ Errors ------------------------------------- */

/* What follows "FILE:LINE: " (sources end in .cpp or .h). */
static const char *after_place(const char *text)
{
    const char *at = strstr(text, ".cpp:");
    if (!at)
        at = strstr(text, ".h:");
    at = at ? strstr(at, ": ") : NULL;
    return at ? at + 2 : text;
}

static const char *last_sentence(void)
{
    const char *text = faiss_get_last_error();
    if (!text)
        return "no reason given";
    text = after_place(text);
    if (!strncmp(text, "Error: ", 7))
        text += 7;
    const char *sentence = strstr(text, "failed: ");
    return sentence ? sentence + 8 : text;
}

/* One line, as ps_why wants it. */
static int refused(ps_why *why, int err, const char *where, const char *doing)
{
    char text[200];
    strncpy(text, last_sentence(), sizeof text - 1);
    text[sizeof text - 1] = 0;
    text[strcspn(text, "\n")] = 0;
    if (strstr(text, "bad_alloc"))
        err = PS_ENOMEM;
    return ps_fail(why, err, where, 0, "FAISS cannot %s: %s", doing, text);
}

/* ------------------------------ Lifetime ----------------------------------- */

static int wrap(ps_faiss **out, FaissIndex *index)
{
    ps_faiss *f = malloc(sizeof *f);
    if (!f) {
        faiss_Index_free(index);
        return PS_ENOMEM;
    }
    *f = (ps_faiss){index, faiss_IndexIVF_cast(index),
                    faiss_Index_metric_type(index) != METRIC_INNER_PRODUCT};
    *out = f;
    return PS_OK;
}

int ps_faiss_new(ps_faiss **out, uint32_t dim, const char *factory, ps_why *why)
{
    FaissIndex *index = NULL;
    if (faiss_index_factory(&index, (int)dim, factory, METRIC_INNER_PRODUCT)) {
        /* What refuses the metric says so in the first error; a wrong string is refused
         * both times, and the second error is the one about the string. */
        if (faiss_index_factory(&index, (int)dim, factory, METRIC_L2))
            return refused(why, PS_EINVAL, factory, "make this index");
    }
    return wrap(out, index);
}

int ps_faiss_read(ps_faiss **out, const char *path, ps_why *why)
{
    FaissIndex *index = NULL;
    if (faiss_read_index_fname(path, 0, &index))
        return refused(why, PS_EFORMAT, path, "read the index");
    return wrap(out, index);
}

int ps_faiss_write(const ps_faiss *f, const char *path, ps_why *why)
{
    if (faiss_write_index_fname(f->index, path))
        return refused(why, PS_EIO, path, "write the index");
    return PS_OK;
}

void ps_faiss_free(ps_faiss *f)
{
    if (f)
        faiss_Index_free(f->index);
    free(f);
}

uint32_t ps_faiss_dim(const ps_faiss *f)
{
    return (uint32_t)faiss_Index_d(f->index);
}

uint64_t ps_faiss_rows(const ps_faiss *f)
{
    return (uint64_t)faiss_Index_ntotal(f->index);
}

int ps_faiss_unit(const ps_faiss *f)
{
    return f->unit;
}

/* ------------------------------ Building ----------------------------------- */

int ps_faiss_train(ps_faiss *f, const float *rows, size_t n, unsigned threads,
                   ps_why *why)
{
    omp_set_num_threads((int)threads);
    if (faiss_Index_train(f->index, (idx_t)n, rows))
        return refused(why, PS_ELIBRARY, NULL, "train the index");
    return PS_OK;
}

int ps_faiss_add(ps_faiss *f, const float *rows, size_t n, unsigned threads, ps_why *why)
{
    omp_set_num_threads((int)threads);
    if (faiss_Index_add(f->index, (idx_t)n, rows))
        return refused(why, PS_ELIBRARY, NULL, "add rows to the index");
    return PS_OK;
}

int ps_faiss_tune(ps_faiss *f, const char *knobs, ps_why *why)
{
    FaissParameterSpace *space = NULL;
    if (faiss_ParameterSpace_new(&space))
        return refused(why, PS_ELIBRARY, NULL, "make a parameter space");
    int failed = faiss_ParameterSpace_set_index_parameters(space, f->index, knobs);
    faiss_ParameterSpace_free(space);
    return failed ? refused(why, PS_ELIBRARY, knobs, "set this knob") : PS_OK;
}

/* ------------------------------ Searching ---------------------------------- */

int ps_faiss_search(const ps_faiss *f, const float *query, size_t k, float *distance,
                    int64_t *rows, ps_why *why)
{
    if (faiss_Index_search(f->index, 1, query, (idx_t)k, distance, rows))
        return refused(why, PS_ELIBRARY, NULL, "search the index");
    return PS_OK;
}

size_t ps_faiss_lists(const ps_faiss *f)
{
    return f->ivf ? faiss_IndexIVF_nlist(f->ivf) : 0;
}

size_t ps_faiss_probes(const ps_faiss *f)
{
    return f->ivf ? faiss_IndexIVF_nprobe(f->ivf) : 0;
}

int ps_faiss_nearest_lists(const ps_faiss *f, const float *query, size_t n,
                           float *distance, int64_t *lists, ps_why *why)
{
    const FaissIndex *centres = faiss_IndexIVF_quantizer(f->ivf);
    if (faiss_Index_search(centres, 1, query, (idx_t)n, distance, lists))
        return refused(why, PS_ELIBRARY, NULL, "find the nearest lists");
    return PS_OK;
}

size_t ps_faiss_list_size(const ps_faiss *f, int64_t list)
{
    return faiss_IndexIVF_get_list_size(f->ivf, (size_t)list);
}

void ps_faiss_list_rows(const ps_faiss *f, int64_t list, int64_t *rows)
{
    faiss_IndexIVF_invlists_get_ids(f->ivf, (size_t)list, rows);
}

void ps_faiss_alone(void)
{
    omp_set_num_threads(1);
}
