/* SPDX-License-Identifier: MIT */
/*
 * settle - when to act on what happens: when it has been quiet for a while, and
 * at the latest a while after the first of it; and when to try again.
 *
 * It knows no clock: times are microseconds of one that never goes back.
 */
#ifndef SIDECAR_SETTLE_H
#define SIDECAR_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

/* A burst of changes is one look: it waits for quiet, but not for ever. */
enum { SETTLE_QUIET_MS = 100, SETTLE_MAX_MS = 2000 };

struct settle {
	uint64_t first_micros; /* when the first of it happened; 0: nothing has */
};

/* Something has happened that nobody has acted on. */
static inline bool settle_is_pending(const struct settle *settle)
{
	return settle->first_micros != 0;
}

/* Something has happened. */
void settle_note(struct settle *settle, uint64_t now_micros);

/* How long to wait from now on, if nothing else happens. */
unsigned long settle_wait_ms(const struct settle *settle, uint64_t now_micros);

/* It is acted on: when the first of it happened. */
uint64_t settle_take(struct settle *settle);

/* The wait before a try that so many in turn came before: twice as long each time, `last_ms` at
 * most. */
unsigned long settle_retry_ms(unsigned long first_ms, unsigned long last_ms, unsigned tries);

#endif
