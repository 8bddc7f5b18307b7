/* SPDX-License-Identifier: MIT */
/* fuzz - the entry point of a fuzzer, and how it says that a law is broken. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "patchers/base/span.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct span fuzz_input(const uint8_t *data, size_t size)
{
	return span_make((const char *)data, size);
}

/* A copy with a NUL behind it, for what takes text; the caller's. */
static inline char *fuzz_text(struct span bytes)
{
	char *text = malloc(bytes.len + 1);

	if (text && bytes.len > 0)
		memcpy(text, bytes.data, bytes.len);
	if (text)
		text[bytes.len] = '\0';
	return text;
}

/* Ends the program unless `broken` is NULL. */
static inline void fuzz_law(const char *broken)
{
	if (!broken)
		return;
	fprintf(stderr, "law broken: %s\n", broken);
	abort();
}

#define fuzz_assert(holds) fuzz_law((holds) ? NULL : #holds)

#endif
