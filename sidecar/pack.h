/* SPDX-License-Identifier: MIT */
/*
 * pack - numbers and texts as bytes, for another process of this program.
 *
 * The bytes never leave the machine, nor the program: numbers are eight bytes in
 * its own order, texts follow their length.
 */
#ifndef SIDECAR_PACK_H
#define SIDECAR_PACK_H

#include "patchers/base/buf.h"

#include <stdint.h>

void pack_number(struct buf *out, uint64_t number);
void pack_bytes(struct buf *out, struct span bytes);
void pack_text(struct buf *out, const char *text); /* NULL as "" */

/* What is being read; nothing more can be once `failed` is set. */
struct unpacker {
	struct span rest;
	bool failed;    /* too short, or not what was asked for */
	bool no_memory; /* `failed`, because of that */
};

/* The next `len` bytes, borrowed; "" when there are not as many. */
struct span unpack_run(struct unpacker *u, uint64_t len);

uint64_t unpack_number(struct unpacker *u);
uint64_t unpack_number_below(struct unpacker *u, uint64_t limit);
bool unpack_bool(struct unpacker *u);

/* What pack_bytes() put, borrowed. */
struct span unpack_bytes(struct unpacker *u);

/* What pack_text() put, without a NUL inside; the caller's.  NULL when memory has run out. */
char *unpack_text(struct unpacker *u);

#endif
