/* SPDX-License-Identifier: MIT */
/*
 * view_json - what the JSON of `check`, `probe` and `status` has in common.
 *
 * A reference that is returned is the caller's; NULL when memory has run out, which
 * json_pack(3) passes on.
 */
#ifndef SIDECAR_VIEW_JSON_H
#define SIDECAR_VIEW_JSON_H

#include <jansson.h>

struct buf;
struct error;
struct notes;

/*
 * A text that may hold any bytes: what a server said, or the name of a file.  What is
 * no UTF-8 becomes U+FFFD, as in the log.  "" for NULL.
 */
json_t *view_json_text(const char *text);

/* A list of {level, text}. */
json_t *view_json_notes(const struct notes *notes);

/* Add it and a newline to `out`, and release it; -ENOMEM, also for NULL. */
int view_json_print(json_t *root, struct buf *out, struct error *err);

#endif
