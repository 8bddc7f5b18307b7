/* SPDX-License-Identifier: MIT */
/* timer - libevent's timers in milliseconds, and the memory for them. */
#include "timer.h"

#include <event2/event_struct.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

enum { WITHOUT_MEMORY_MS = 100 };

static void on_never(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* libevent's heap of timers grows when one is set, and does not shrink. */
static bool reserve(struct event_base *base, struct event timers[static TIMERS_MAX])
{
	const struct timeval later = { .tv_sec = 3600 };
	bool good = true;
	size_t n = 0;

	while (good && n < TIMERS_MAX) {
		(void)evtimer_assign(&timers[n], base, on_never, NULL);
		good = evtimer_add(&timers[n++], &later) == 0;
	}
	while (n > 0)
		(void)event_del(&timers[--n]);
	return good;
}

struct event_base *timer_base_new(void)
{
	struct event *timers = calloc(TIMERS_MAX, sizeof(*timers));
	struct event_base *base = timers ? event_base_new() : NULL;

	if (base && !reserve(base, timers)) {
		event_base_free(base);
		base = NULL;
	}
	free(timers);
	return base;
}

void timer_set(struct event *timer, unsigned long ms)
{
	const struct timeval after = { .tv_sec = (time_t)(ms / 1000),
				       .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (evtimer_add(timer, &after) == 0)
		return;
	(void)poll(NULL, 0, ms < WITHOUT_MEMORY_MS ? (int)ms : WITHOUT_MEMORY_MS);
	event_active(timer, EV_TIMEOUT, 0);
}
