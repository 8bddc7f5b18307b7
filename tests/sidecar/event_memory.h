/* SPDX-License-Identifier: MIT */
/* event_memory - libevent's allocations, one of which fails. */
#ifndef TESTS_SIDECAR_EVENT_MEMORY_H
#define TESTS_SIDECAR_EVENT_MEMORY_H

#include <stdbool.h>

/* To be called before anything else of libevent's, see event_set_mem_functions(). */
void event_memory_begin(void);

/* Let the n-th allocation from now on fail, counted from 1. */
void event_memory_fail(int n);

/* Let all of them fail. */
void event_memory_deny(void);

/* No more: whether one has failed. */
bool event_memory_end(void);

#endif
