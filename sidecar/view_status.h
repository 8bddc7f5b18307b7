/* SPDX-License-Identifier: MIT */
/*
 * view_status - what a running postern knows, as JSON for programs and as text
 * for people.
 *
 * The JSON is made where the state is, and travels over the status socket; the
 * text is made of it where it is asked for.
 */
#ifndef SIDECAR_VIEW_STATUS_H
#define SIDECAR_VIEW_STATUS_H

#include "patchers/base/span.h"

struct buf;
struct error;
struct state;

/* Add the state as one JSON object.  0 or -ENOMEM. */
int view_status_json(const struct state *state, struct buf *out, struct error *err);

/* Print such an object on standard output for people.  -EINVAL when it is none. */
int view_status_for_people(struct span json, struct error *err);

#endif
