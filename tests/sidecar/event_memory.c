/* SPDX-License-Identifier: MIT */
/* event_memory - libevent's allocations, one of which fails. */
#include "event_memory.h"

#include <event2/event.h>
#include <stdlib.h>

static int fails_in; /* allocations; 0: none */
static bool rest_fails;
static bool has_failed;

void *event_memory_reallocate(void *p, size_t size)
{
	if (fails_in == 0 || --fails_in > 0)
		return realloc(p, size);
	has_failed = true;
	fails_in = rest_fails;
	return NULL;
}

void *event_memory_allocate(size_t size)
{
	return event_memory_reallocate(NULL, size);
}

void event_memory_begin(void)
{
	event_set_mem_functions(event_memory_allocate, event_memory_reallocate, free);
}

void event_memory_fail(int n, bool rest_too)
{
	has_failed = false;
	fails_in = n;
	rest_fails = rest_too;
}

bool event_memory_end(void)
{
	fails_in = 0;
	return has_failed;
}
