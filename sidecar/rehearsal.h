/* SPDX-License-Identifier: MIT */
/*
 * rehearsal - while a burst of changes settles, what it comes to is read and judged.
 *
 * The time in which nothing else happens is long enough for what takes longest
 * before the servers are told: their own tools.  Nothing is changed, told or logged.
 * When a look then comes to the very same plan, it does not ask the tools again.
 */
#ifndef SIDECAR_REHEARSAL_H
#define SIDECAR_REHEARSAL_H

#include "digest.h"
#include "worker_watch.h"

struct event;
struct event_base;
struct look_request;

/* What a look would be asked now. */
typedef void rehearsal_ask(void *arg, struct look_request *out);

/* The one that was waited for is over. */
typedef void rehearsal_over(void *arg);

struct rehearsal {
	struct worker_watch worker;
	struct event *quiet;
	struct digest judged; /* what was found good; none */
	bool awaited;
	bool is_stale; /* something has happened since it began */
	rehearsal_ask *ask;
	rehearsal_over *over;
	void *arg;
};

#define REHEARSAL_INIT                                                                             \
	{                                                                                          \
		.worker = WORKER_WATCH_INIT                                                        \
	}

/* False when memory has run out. */
bool rehearsal_init(struct rehearsal *r, struct event_base *base, rehearsal_ask *ask,
		    rehearsal_over *over, void *arg);
void rehearsal_release(struct rehearsal *r);

/*
 * Something has happened: begin when it is quiet for a moment.  What is under way was
 * for nothing then.
 */
void rehearsal_soon(struct rehearsal *r);

/* Whether one is under way: then `over` is called when it ends. */
bool rehearsal_await(struct rehearsal *r);

/* What was found good; forget it, and begin no other one. */
struct digest rehearsal_take(struct rehearsal *r);

/* End it, if there is one, and begin no other one; `over` is not called. */
void rehearsal_end(struct rehearsal *r);

#endif
