/* SPDX-License-Identifier: MIT */
/* monotonic - the clock that never goes back (clock_gettime(2), CLOCK_MONOTONIC). */
#ifndef SIDECAR_MONOTONIC_H
#define SIDECAR_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_micros(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline int64_t monotonic_ms(void)
{
	return (int64_t)(monotonic_micros() / 1000);
}

#endif
