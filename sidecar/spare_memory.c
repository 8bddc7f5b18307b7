/* SPDX-License-Identifier: MIT */
/* spare_memory - memory that libevent gets when there is none. */
#include "spare_memory.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct piece {
	alignas(max_align_t) unsigned char bytes[SPARE_MEMORY_PIECE_BYTES];
};

static struct piece pieces[SPARE_MEMORY_PIECES]; /* no memory before it is used */
static bool is_used[SPARE_MEMORY_PIECES];
static size_t n_used;
static void *(*allocate)(size_t);
static void *(*reallocate)(void *, size_t);

/* errno is the one that the allocation left. */
static void *take(size_t bytes)
{
	for (size_t i = 0; bytes <= SPARE_MEMORY_PIECE_BYTES && i < SPARE_MEMORY_PIECES; i++) {
		if (is_used[i])
			continue;
		is_used[i] = true;
		n_used++;
		return pieces[i].bytes;
	}
	return NULL;
}

static bool is_piece(const void *p)
{
	const uintptr_t at = (uintptr_t)p, start = (uintptr_t)pieces;

	return at >= start && at < start + sizeof(pieces);
}

static void give_back(void *p)
{
	if (!is_piece(p)) {
		free(p);
		return;
	}
	is_used[((uintptr_t)p - (uintptr_t)pieces) / sizeof(pieces[0])] = false;
	n_used--;
}

bool spare_memory_is_short(void)
{
	return n_used > SPARE_MEMORY_PIECES / 2;
}

void spare_memory_release_p(void *pointer)
{
	give_back(*(void **)pointer);
}

static void *get(size_t bytes)
{
	void *p = allocate(bytes);

	return p ? p : take(bytes);
}

static void *get_more(void *old, size_t bytes)
{
	size_t known = SPARE_MEMORY_PIECE_BYTES;
	void *p;

	if (!old)
		return get(bytes);
	if (is_piece(old)) {
		if (bytes <= SPARE_MEMORY_PIECE_BYTES)
			return old;
		p = allocate(bytes);
	} else {
		p = reallocate(old, bytes);
		if (p)
			return p;
		p = take(bytes);
		known = malloc_usable_size(old);
	}
	if (!p)
		return NULL;
	memcpy(p, old, known < bytes ? known : bytes);
	give_back(old);
	return p;
}

void spare_memory_for_libevent(void *(*with_allocate)(size_t),
			       void *(*with_reallocate)(void *, size_t))
{
	allocate = with_allocate;
	reallocate = with_reallocate;
	event_set_mem_functions(get, get_more, give_back);
}
