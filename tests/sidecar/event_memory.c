/* SPDX-License-Identifier: MIT */
/* event_memory - libevent's allocations, one of which fails. */
#include "event_memory.h"

#include <event2/event.h>
#include <stdlib.h>

static int fails_in; /* allocations; 0: none */
static bool is_denied;
static bool has_failed;

static void *reallocate(void *p, size_t size)
{
	if (!is_denied && (fails_in == 0 || --fails_in > 0))
		return realloc(p, size);
	has_failed = true;
	return NULL;
}

static void *allocate(size_t size)
{
	return reallocate(NULL, size);
}

void event_memory_begin(void)
{
	event_set_mem_functions(allocate, reallocate, free);
}

void event_memory_fail(int n)
{
	has_failed = false;
	fails_in = n;
}

void event_memory_deny(void)
{
	has_failed = false;
	is_denied = true;
}

bool event_memory_end(void)
{
	fails_in = 0;
	is_denied = false;
	return has_failed;
}
