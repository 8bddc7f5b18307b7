/* SPDX-License-Identifier: MIT */
/* headroom - memory for a library that does not notice when it gets none. */
#include "headroom.h"

#include "patchers/base/error.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

/* Less than what malloc(3) asks the kernel for by itself, and gives back at once. */
enum { PIECE_BYTES = 64 * 1024 };

struct piece {
	struct piece *next;
};

static void give_back(struct piece *pieces)
{
	while (pieces) {
		struct piece *next = pieces->next;

		free(pieces);
		pieces = next;
	}
}

int headroom_make(size_t bytes, struct error *err)
{
	struct piece *pieces = NULL;

	/* What is free at the heap's end stays ours. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_THRESHOLD, 2 * PIECE_BYTES);
	for (size_t made = 0; made < bytes; made += PIECE_BYTES) {
		struct piece *piece = malloc(PIECE_BYTES);

		if (!piece) {
			give_back(pieces);
			return error_set(err, -ENOMEM, "out of memory");
		}
		piece->next = pieces;
		pieces = piece;
	}
	give_back(pieces);
	return 0;
}
