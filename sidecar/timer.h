/* SPDX-License-Identifier: MIT */
/* timer - libevent's timers in milliseconds, and the memory for them. */
#ifndef SIDECAR_TIMER_H
#define SIDECAR_TIMER_H

#include <event2/event.h>

/* Two of each connection to the endpoint; the rest is the loop's own. */
enum { TIMERS_MAX = 512 };

/*
 * The base of a loop that runs for long: setting a timer, whosever, does not fail for want of
 * memory as long as no more than TIMERS_MAX are set.  For event_base_free(); NULL without memory.
 */
struct event_base *timer_base_new(void);

/*
 * Let it ring once, that long from now; one that is set already is set anew.  Where there is no
 * memory to set it, it rings at once, a moment later at most: who waits for it must not wait for
 * ever, and what a limit ends too early is tried again.  While that lasts, libevent hears nothing
 * else: see timer_base_new().
 */
void timer_set(struct event *timer, unsigned long ms);

#endif
