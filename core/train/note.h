/* note.h - a training's configuration, trials, epochs and figures as manifest values.
 *
 * Threads: none.
 */
#ifndef PINSAGE_CORE_TRAIN_NOTE_H
#define PINSAGE_CORE_TRAIN_NOTE_H

#include "pinsage/manifest.h"
#include "pinsage/train.h"

/* "train.*": train.trials and train.curve are arrays, one entry a trial and an epoch. */
int ps_train_note(ps_manifest *m, const ps_train_report *report);

#endif
