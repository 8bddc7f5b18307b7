/* SPDX-License-Identifier: MIT */
/*
 * spare_memory - memory that libevent gets when there is none.
 *
 * libevent 2.1 crashes where an allocation for a connection's request fails: it
 * goes through a list, or a base, that is not there yet.  What it asks for is
 * small and not much, and is in this program from the start.
 */
#ifndef SIDECAR_SPARE_MEMORY_H
#define SIDECAR_SPARE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* So many pieces, of so many bytes each; what is larger may fail. */
enum { SPARE_MEMORY_PIECES = 64, SPARE_MEMORY_PIECE_BYTES = 4096 };

/*
 * Have libevent ask these functions, as malloc(3) and realloc(3), and take a piece when one has
 * none; what they give goes to free(3).  To be called before anything else of libevent's, see
 * event_set_mem_functions(); for a process that has one thread.
 */
void spare_memory_for_libevent(void *(*allocate)(size_t), void *(*reallocate)(void *, size_t));

/* Whether less than half of it is left: time to let nobody in. */
bool spare_memory_is_short(void);

/*
 * `CLEANUP(spare_memory_release_p) char *line = evbuffer_readln(...);`: for what libevent says is
 * for free(3), which knows no piece.
 */
void spare_memory_release_p(void *pointer);

#endif
