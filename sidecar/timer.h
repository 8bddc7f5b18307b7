/* SPDX-License-Identifier: MIT */
/* timer - libevent's timers in milliseconds. */
#ifndef SIDECAR_TIMER_H
#define SIDECAR_TIMER_H

#include <event2/event.h>
#include <poll.h>

enum { TIMER_WITHOUT_MEMORY_MS = 100 };

/*
 * Let it ring once, that long from now; one that is set already is set anew.  Where there is no
 * memory to set it, it rings at once, a moment later at most: who waits for it must not wait for
 * ever, and what a limit ends too early is tried again.  While that lasts, libevent hears nothing
 * else: so much must be short that spare_memory.h has nothing, either.
 */
static inline void timer_set(struct event *timer, unsigned long ms)
{
	const struct timeval after = { .tv_sec = (time_t)(ms / 1000),
				       .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (evtimer_add(timer, &after) == 0)
		return;
	(void)poll(NULL, 0, ms < TIMER_WITHOUT_MEMORY_MS ? (int)ms : TIMER_WITHOUT_MEMORY_MS);
	event_active(timer, EV_TIMEOUT, 0);
}

#endif
