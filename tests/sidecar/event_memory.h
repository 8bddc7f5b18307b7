/* SPDX-License-Identifier: MIT */
/* event_memory - libevent's allocations, one of which fails. */
#ifndef TESTS_SIDECAR_EVENT_MEMORY_H
#define TESTS_SIDECAR_EVENT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc(3) and realloc(3). */
void *event_memory_allocate(size_t size);
void *event_memory_reallocate(void *p, size_t size);

/* Let libevent ask these: before anything else of libevent's, see event_set_mem_functions(). */
void event_memory_begin(void);

/* Let the n-th allocation from now on fail, counted from 1, and with rest_too all after it. */
void event_memory_fail(int n, bool rest_too);

/* No more: whether one has failed. */
bool event_memory_end(void);

#endif
