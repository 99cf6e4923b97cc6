/* compact_names.c - who is left, in which order, and pins.mdb.
 *
 * Names are borrowed: from the mapped file of the generation before, or from the view.
 *
 * Threads: see compact.h.
 */
#include <stdlib.h>
#include <string.h>

#include "server/compact/compact_inside.h"

#include "pinsage/layout.h"

#define LOOK 4096 /* pins between two words to the listener */

/* ------------------------------ Numbers ------------------------------------ */

static void count_changes(compaction *f, uint32_t row, bool alive)
{
    ps_compact_report *r = f->report;
    if (row >= f->g->n_pins)
        r->added += alive;
    else if (!alive)
        r->deleted++;
    else
        r->replaced += ps_view_state(f->from.view, &f->from.s, row) != NULL;
}

static void number_pins(compaction *f)
{
    for (uint32_t row = 0; row < f->rows; row++) {
        bool alive = ps_view_alive(f->from.view, &f->from.s, row);
        count_changes(f, row, alive);
        f->pin[row] = alive ? f->report->pins++ : PS_NO_ROW;
    }
}

static void number_boards(compaction *f)
{
    for (uint32_t b = 0; b < f->boards; b++)
        f->board[b] = ps_graph_degree(&f->from.s.graph, PS_BOARDS, b)
                          ? f->report->boards++
                          : PS_NO_ROW;
}

int compact_number(compaction *f)
{
    f->rows = ps_view_rows(f->from.view);
    f->boards = ps_view_boards(f->from.view);
    f->pin = malloc((size_t)f->rows * sizeof *f->pin + 1);
    f->board = malloc((size_t)f->boards * sizeof *f->board + 1);
    f->moved = calloc((size_t)f->rows / 64 + 1, sizeof *f->moved);
    if (!f->pin || !f->board || !f->moved)
        return ps_fail(f->why, PS_ENOMEM, f->g->dir, 0,
                       "no memory to number %u pins and %u boards", f->rows, f->boards);
    number_pins(f);
    number_boards(f);
    ps_view_unfit(f->from.view, &f->from.s, f->base, &f->report->dropped);
    if (!f->report->pins || !f->report->boards)
        return ps_fail(f->why, PS_EUNSUPPORTED, f->g->dir, 0,
                       "no %s would be left in the next generation",
                       f->report->pins ? "board" : "pin");
    return PS_OK;
}

/* ------------------------------ Records ------------------------------------ */

typedef struct records {
    compaction *f;
    ps_pins_writer *writer;
    ps_text *name; /* (pins, or boards) owned */
    ps_text *meta; /* (room, 2) owned */
    uint32_t room;
} records;

static int take_meta(records *r, const ps_pin *pin)
{
    size_t at = 0;
    if (pin->n_meta > r->room) {
        ps_text *more = realloc(r->meta, 2 * (size_t)pin->n_meta * sizeof *more);
        if (!more)
            return PS_ENOMEM;
        r->meta = more;
        r->room = pin->n_meta;
    }
    for (uint32_t i = 0; i < pin->n_meta; i++)
        ps_pin_meta(pin, &at, &r->meta[2 * i], &r->meta[2 * i + 1]);
    return PS_OK;
}

static int write_pin(records *r, uint32_t row)
{
    const compaction *f = r->f;
    ps_pin pin;
    int err = ps_view_pin(f->from.view, &f->from.s, f->base, row, &pin);
    if (!err)
        err = take_meta(r, &pin);
    if (err)
        return ps_fail(f->why, err, f->g->dir, 0, "pin %u cannot be read", row);
    r->name[f->pin[row]] = pin.id;
    return ps_pins_writer_pin(r->writer, &pin, r->meta, pin.n_meta, f->why);
}

static int write_pins(records *r)
{
    const compaction *f = r->f;
    int err = PS_OK;
    for (uint32_t row = 0; row < f->rows && !err; row++) {
        if (f->pin[row] != PS_NO_ROW)
            err = write_pin(r, row);
        if (!err && row % LOOK == 0)
            err = compact_tell(f, "pins", row, f->rows, "pins");
    }
    if (!err)
        err = ps_pins_writer_ids(r->writer, r->name, f->report->pins, f->why);
    return err ? err : compact_tell(f, "pins", f->rows, f->rows, "pins");
}

static int write_boards(records *r)
{
    const compaction *f = r->f;
    int err = PS_OK;
    for (uint32_t b = 0; b < f->boards && !err; b++)
        if (f->board[b] != PS_NO_ROW)
            err = ps_view_board_name(f->from.view, f->base, b, &r->name[f->board[b]]);
    if (err)
        return ps_fail(f->why, err, f->g->dir, 0, "a board cannot be read");
    err = compact_tell(f, "boards", 0, f->report->boards, "boards");
    if (!err)
        err = ps_pins_writer_boards(r->writer, r->name, f->report->boards, f->why);
    return err ? err
               : compact_tell(f, "boards", f->report->boards, f->report->boards,
                              "boards");
}

static int write_all(records *r)
{
    const compaction *f = r->f;
    char path[PS_PATH_MAX];
    uint64_t size = 0;
    uint32_t most =
        f->report->pins > f->report->boards ? f->report->pins : f->report->boards;
    ps_manifest_file(f->g->manifest, PS_FILE_PINS, &size, NULL);
    r->name = malloc((size_t)most * sizeof *r->name);
    if (!r->name)
        return ps_fail(f->why, PS_ENOMEM, f->g->dir, 0, "no memory to sort %u names",
                       most);
    int err = ps_draft_path(f->draft, PS_FILE_PINS, path, f->why);
    if (!err)
        err = ps_pins_writer_new(&r->writer, path, size, f->why);
    if (!err)
        err = write_pins(r);
    if (!err)
        err = write_boards(r);
    return err;
}

int compact_names(compaction *f)
{
    records r = {.f = f};
    int err = write_all(&r);
    if (err)
        ps_pins_writer_abort(r.writer);
    else
        err = ps_pins_writer_close(r.writer, f->why);
    free(r.name);
    free(r.meta);
    return err ? err : ps_draft_file_read(f->draft, PS_FILE_PINS, f->why);
}
