/* fuzz_npy.c - .npy files: what is accepted lies inside the file, and is written back as
 * it was read. */
#include <string.h>

#include "core/data/npy_header.h"
#include "pinsage/npy.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

static void same_again(const ps_npy *a)
{
    char header[PS_NPY_HEADER];
    ps_npy again = {0};
    size_t offset;
    ps_npy_header_write(header, a->dtype, a->rows, a->ndim == 2 ? a->cols : 0);
    if (a->ndim == 2 && !a->cols)
        return; /* a width of 0 asks the writer for one dimension */
    fuzz_must(!ps_npy_header_read(&again, &offset, header, sizeof header, "again", NULL));
    fuzz_must(again.dtype == a->dtype && again.ndim == a->ndim);
    fuzz_must(again.rows == a->rows && again.cols == a->cols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_npy a;
    ps_why why = {0};
    int err = ps_npy_open(&a, fuzz_file(data, size), PS_SEQUENTIAL, &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    size_t bytes = (size_t)(a.rows * a.cols) * ps_dtype_size(a.dtype);
    fuzz_must(bytes <= size);
    fuzz_touch(a.data, bytes);
    if (bytes && a.dtype <= PS_F16 && a.cols <= 4096) {
        float row[4096];
        ps_npy_row_f32(&a, 0, row);
        ps_npy_row_f32(&a, a.rows - 1, row);
    }
    same_again(&a);
    ps_npy_close(&a);
    return 0;
}
