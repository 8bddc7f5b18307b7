/* SPDX-License-Identifier: MIT */
/*
 * worker_watch - a look's process (worker.h) in an event loop: its report is
 * heard, and it is killed when it takes too long.
 */
#ifndef SIDECAR_WORKER_WATCH_H
#define SIDECAR_WORKER_WATCH_H

#include "worker.h"

#include <stdbool.h>

struct event;
struct event_base;

/* A look is over: its report, which may be taken over; NULL: it died, and `err` says how. */
typedef void worker_watch_done(void *arg, struct report *report, const struct error *err);

struct worker_watch {
	struct worker worker;
	struct event_base *base;
	struct event *readable, *limit;
	worker_watch_done *done;
	void *arg;
	bool is_killed; /* the limit is over */
};

#define WORKER_WATCH_INIT                                                                          \
	{                                                                                          \
		.worker = WORKER_INIT                                                              \
	}

/* False when memory has run out. */
bool worker_watch_init(struct worker_watch *w, struct event_base *base, worker_watch_done *done,
		       void *arg);
void worker_watch_release(struct worker_watch *w);

/*
 * Look.  Errors of worker_start(), or why the report could not be heard: then
 * no look runs.  One that lasts longer than `limit_ms` is killed, and so dies; if
 * it cannot be, it is given up (-ETIMEDOUT).
 */
int worker_watch_start(struct worker_watch *w, const struct look_request *request,
		       unsigned long limit_ms, struct error *err);

/* Whether a look runs. */
bool worker_watch_is_busy(const struct worker_watch *w);

/* It has this long from now on. */
void worker_watch_limit(struct worker_watch *w, unsigned long ms);

/* End it, if one runs; `done` is not called. */
void worker_watch_end(struct worker_watch *w);

#endif
