/* SPDX-License-Identifier: MIT */
/*
 * printable - text of others, as it may be shown on a terminal.
 *
 * What a server greets with or a tool complains of can hold any bytes, escape
 * sequences too.  Control characters, U+0080 to U+009F among them, and what is no
 * UTF-8 (RFC 3629, 4) are written as "\n" or "\x1b"; a backslash stays as it is.
 */
#ifndef SIDECAR_PRINTABLE_H
#define SIDECAR_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum { PRINTABLE_BYTES = 6 }; /* at most, for one character */

/*
 * Put what stands for the first character of *text, which is not "", into `out`,
 * without a NUL, and move *text behind it.  With `json` it stands so within a
 * string of JSON (RFC 8259, 7).  How many bytes were put.
 */
size_t printable_next(const char **text, bool json, char out[static PRINTABLE_BYTES]);

/* Add all of a text. */
void printable_add(struct buf *out, const char *text);

#endif
