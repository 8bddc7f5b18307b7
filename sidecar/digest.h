/* SPDX-License-Identifier: MIT */
/*
 * digest - what a state is recognised by: SHA-256 (FIPS 180-4) over its fields.
 *
 * Each field goes in with its length before it, as eight bytes, so that "ab",
 * "c" is another state than "a", "bc".  Nothing here allocates or fails.
 */
#ifndef SIDECAR_DIGEST_H
#define SIDECAR_DIGEST_H

#include "patchers/base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DIGEST_BYTES = 32,
	DIGEST_TEXT_BYTES = 2 * DIGEST_BYTES + 1, /* printed, with the NUL */
	DIGEST_SHORT_TEXT_BYTES = 12 + 1,
	DIGEST_STATE_BYTES = 256,
};

/* All bytes 0 is "none": of nothing that was ever digested. */
struct digest {
	unsigned char bytes[DIGEST_BYTES];
};

#define DIGEST_NONE                                                                                \
	{                                                                                          \
		.bytes = { 0 }                                                                     \
	}

/* A digest on its way; the library's own state is inside. */
struct digest_maker {
	_Alignas(16) unsigned char state[DIGEST_STATE_BYTES];
};

void digest_start(struct digest_maker *maker);

/* Add one field. */
void digest_add(struct digest_maker *maker, struct span field);
void digest_add_text(struct digest_maker *maker, const char *field);
void digest_add_number(struct digest_maker *maker, uint64_t field);
void digest_add_digest(struct digest_maker *maker, const struct digest *field);

/* The digest of all fields; the maker is to be started again. */
void digest_finish(struct digest_maker *maker, struct digest *out);

bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_none(const struct digest *digest);

/* Print as 64, or the first 12, lower-case hexadecimal digits; or "none".  Returns out. */
const char *digest_print(const struct digest *digest, char out[static DIGEST_TEXT_BYTES]);
const char *digest_print_short(const struct digest *digest,
			       char out[static DIGEST_SHORT_TEXT_BYTES]);

#endif
