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
