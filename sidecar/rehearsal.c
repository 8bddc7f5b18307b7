/* SPDX-License-Identifier: MIT */
/* rehearsal - while a burst of changes settles, what it comes to is read and judged. */
#include "rehearsal.h"

#include "look.h"
#include "report.h"
#include "timer.h"

#include <event2/event.h>

enum {
	QUIET_MS = 20,  /* kubelet's swap, a save by rename: whole by then, most of the time */
	LIMIT_MS = 5000 /* its tools end before, see worker.c */
};

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct rehearsal *r = arg;
	struct look_request request;

	(void)fd;
	(void)what;
	if (worker_watch_is_busy(&r->worker))
		return;
	r->ask(r->arg, &request);
	request.rehearse = true;
	r->is_stale = false;
	r->judged = (struct digest)DIGEST_NONE;
	/* Without it the look asks the tools itself. */
	(void)worker_watch_start(&r->worker, &request, LIMIT_MS, NULL);
}

static void on_done(void *arg, struct report *report, const struct error *err)
{
	struct rehearsal *r = arg;
	bool awaited = r->awaited;

	(void)err;
	if (report && !r->is_stale)
		r->judged = report->judged;
	r->awaited = false;
	if (awaited)
		r->over(r->arg);
}

bool rehearsal_init(struct rehearsal *r, struct event_base *base, rehearsal_ask *ask,
		    rehearsal_over *over, void *arg)
{
	*r = (struct rehearsal){ .ask = ask, .over = over, .arg = arg };
	r->quiet = evtimer_new(base, on_quiet, r);
	return worker_watch_init(&r->worker, base, on_done, r) && r->quiet;
}

void rehearsal_release(struct rehearsal *r)
{
	worker_watch_release(&r->worker);
	if (r->quiet)
		event_free(r->quiet);
	r->quiet = NULL;
}

void rehearsal_soon(struct rehearsal *r)
{
	r->is_stale = true;
	if (!worker_watch_is_busy(&r->worker))
		timer_set(r->quiet, QUIET_MS);
}

bool rehearsal_await(struct rehearsal *r)
{
	r->awaited = worker_watch_is_busy(&r->worker);
	return r->awaited;
}

struct digest rehearsal_take(struct rehearsal *r)
{
	struct digest judged = r->judged;

	event_del(r->quiet);
	r->judged = (struct digest)DIGEST_NONE;
	return judged;
}

void rehearsal_end(struct rehearsal *r)
{
	worker_watch_end(&r->worker);
	rehearsal_take(r);
	r->awaited = false;
}
