/* SPDX-License-Identifier: MIT */
/* worker_watch - a look's process in an event loop. */
#include "worker_watch.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "report.h"
#include "timer.h"

#include <errno.h>
#include <event2/event.h>

/* A killed process closes its end at once, unless the kernel holds it. */
enum { KILL_LIMIT_MS = 2000 };

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker_watch *w = arg;
	CLEANUP(report_release) struct report report = REPORT_INIT;
	struct error err = { 0 };
	int rc;

	(void)fd;
	(void)what;
	event_del(w->readable); /* before its descriptor is closed */
	rc = worker_read(&w->worker, &report, &err);
	if (rc == 0 && event_add(w->readable, NULL) == 0)
		return;
	if (rc == 0) { /* it is not heard any more, so it has to end */
		rc = error_errno(&err, "wait for a look at the mail host");
		worker_release(&w->worker);
	}
	event_del(w->limit);
	w->done(w->arg, rc < 0 ? NULL : &report, &err);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct worker_watch *w = arg;
	struct error err = { 0 };

	(void)fd;
	(void)what;
	if (!w->is_killed) {
		worker_kill(&w->worker);
		worker_watch_limit(w, KILL_LIMIT_MS);
		w->is_killed = true;
		return;
	}
	event_del(w->readable);
	worker_release(&w->worker);
	error_set(&err, -ETIMEDOUT,
		  "looking at the mail host came to no end, and was given up: a file system there "
		  "does not answer");
	w->done(w->arg, NULL, &err);
}

bool worker_watch_init(struct worker_watch *w, struct event_base *base, worker_watch_done *done,
		       void *arg)
{
	*w = (struct worker_watch)WORKER_WATCH_INIT;
	w->base = base;
	w->done = done;
	w->arg = arg;
	w->readable = event_new(base, -1, 0, on_readable, w);
	w->limit = evtimer_new(base, on_limit, w);
	return w->readable && w->limit;
}

void worker_watch_release(struct worker_watch *w)
{
	worker_watch_end(w);
	if (w->readable)
		event_free(w->readable);
	if (w->limit)
		event_free(w->limit);
	w->readable = w->limit = NULL;
}

int worker_watch_start(struct worker_watch *w, const struct look_request *request,
		       unsigned long limit_ms, struct error *err)
{
	int rc = worker_start(request, &w->worker, err);

	if (rc < 0)
		return rc;
	event_assign(w->readable, w->base, w->worker.fd, EV_READ | EV_PERSIST, on_readable, w);
	if (event_add(w->readable, NULL) < 0) {
		rc = error_errno(err, "wait for its end");
		worker_release(&w->worker);
		return rc;
	}
	w->is_killed = false;
	worker_watch_limit(w, limit_ms);
	return 0;
}

bool worker_watch_is_busy(const struct worker_watch *w)
{
	return w->worker.pid != 0;
}

void worker_watch_limit(struct worker_watch *w, unsigned long ms)
{
	timer_set(w->limit, ms);
}

void worker_watch_end(struct worker_watch *w)
{
	if (!worker_watch_is_busy(w))
		return;
	event_del(w->readable);
	event_del(w->limit);
	worker_release(&w->worker);
}
