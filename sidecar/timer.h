/* SPDX-License-Identifier: MIT */
/* timer - libevent's timers in milliseconds. */
#ifndef SIDECAR_TIMER_H
#define SIDECAR_TIMER_H

#include <event2/event.h>

/* Let it ring once, that long from now; one that is set already is set anew.  0 or -1. */
static inline int timer_set(struct event *timer, unsigned long ms)
{
	const struct timeval after = { .tv_sec = (time_t)(ms / 1000),
				       .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	return evtimer_add(timer, &after);
}

#endif
