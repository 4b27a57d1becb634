// Outcomes that are remembered by mutation id, so that a repeated request hears what the first one
// did (C7): of commits their positions, of commands their answers.
//
// They are records of the store, by timestamp, and go after REMEMBERED_MUTATION_US or when there
// are more than REMEMBERED_MUTATION_COUNT_MAX.
#pragma once

#include "coordinator/core/coordinator.h"

// Loads what the store remembers.
MUST_USE struct error *mutations_load(struct coordinator *coordinator);
void mutations_release(struct coordinator *coordinator);

// Writes a commit's positions into the cell's batch, to be found by `id`.
void mutations_save(struct coordinator *coordinator, struct guid id, const struct commit *commit);

// Takes one out, by the cell's batch; nothing if there is none.
void mutations_forget(struct coordinator *coordinator, struct guid id);

// Takes out what is too old or too many.
void mutations_forget_old(struct coordinator *coordinator);
