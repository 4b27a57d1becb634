// What the files of a session share: sessions.c (its life, progress and errors), handshake.c and
// feeding.c.
#pragma once

#include "coordinator/core/sessions.h"

// A message of this kind with the session's ids; it is the caller's.
struct message *session_message(
    const struct coordinator *coordinator, const struct session *session, enum message_kind kind);

// The replica has durably decided so much of a tablet, unless more was known already.
void session_set_progress(struct session_tablet *tablet, struct position decided);

// Which replica table it is: written down when it is known for the first time (S6).
void session_set_incarnation(struct cell *cell, struct session *session, struct guid incarnation);

// HELLO has come: answers by RESOLVE, and the session is open; or with an error, and it fails.
void session_on_hello(
    struct coordinator *coordinator, struct session *session, const struct message *hello);
