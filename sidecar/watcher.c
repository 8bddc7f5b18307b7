/* SPDX-License-Identifier: MIT */
/* watcher - the loop of a running postern: triggers in, looks out. */
#include "watcher.h"

#include "command.h"
#include "endpoint.h"
#include "gate_privilege.h"
#include "gate_watch.h"
#include "log.h"
#include "look.h"
#include "mail_container.h"
#include "master_watch.h"
#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rehearsal.h"
#include "settle.h"
#include "state.h"
#include "supervisor.h"
#include "timer.h"
#include "watched_folders.h"
#include "worker_watch.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

enum {
	RETRY_FIRST_MS = 5000,
	RETRY_LAST_MS = 300000,
	STARTING_FIRST_MS = 50, /* a master that does not take signals yet */
	STARTING_LAST_MS = 2000,
	TARGET_WAIT_MS = 1000, /* no container tells when another one starts */
	DEAF_RESYNC_S = 60,    /* when changes cannot be heard and resync is off */
	LOOK_LIMIT_MS = 180000,
	STOP_LIMIT_MS = 5000,
};

struct watcher {
	const struct watcher_job *job;
	struct state state;
	struct endpoint *endpoint;
	struct event_base *base;
	struct event *signals[3];
	struct event *due, *resync, *retry, *find;
	struct rootfs own; /* where we are ourselves */
	struct mail_container host;
	struct watched_folders folders;
	struct gate_watch gate;
	struct master_watch masters[REPORT_SERVERS];
	struct worker_watch worker;
	struct rehearsal rehearsal;
	struct settle settle; /* what has happened since the last look began */
	bool all_touched, retrying, stopping;
	bool watches_are_unknown; /* what was told of them, our predecessor knew */
	unsigned failures_in_turn, starts_in_turn;
	unsigned resync_s;          /* what the timer was set to; 0: it is not */
	uint64_t look_event_micros; /* when the first of what the look is for happened */
	char *said;                 /* the last failure of our own, said once */
};

/* A failure of our own, or what is waited for: once until another one comes. */
static void say_once(struct watcher *w, enum log_level level, const char *text)
{
	if (w->said && strcmp(w->said, text) == 0)
		return;
	log_write(level, "%s", text);
	report_set_text(&w->said, text);
}

/* ---- when to look ---- */

/* Something may have changed: look when it is quiet, or when it never is. */
static void look_soon(struct watcher *w)
{
	uint64_t now = monotonic_micros();

	settle_note(&w->settle, now);
	if (worker_watch_is_busy(&w->worker) || w->stopping || w->state.root[0] == '\0')
		return; /* when that is over */
	timer_set(w->due, settle_wait_ms(&w->settle, now));
	if (!w->all_touched) /* what is looked at just in case comes to nothing */
		rehearsal_soon(&w->rehearsal);
}

static void look_at_all_soon(struct watcher *w)
{
	w->all_touched = true;
	look_soon(w);
}

static void retry_later(struct watcher *w)
{
	timer_set(w->retry, settle_retry_ms(RETRY_FIRST_MS, RETRY_LAST_MS, w->failures_in_turn++));
}

/* ---- a look ---- */

static void ask_look(void *arg, struct look_request *out)
{
	struct watcher *w = arg;

	*out = (struct look_request){
		.config = w->job->config,
		.root = w->state.root,
		.previous = &w->state.report,
		.touched = w->all_touched ? NULL : watched_folders_touched(&w->folders),
		.retry = w->retrying,
		.watches_are_unknown = w->watches_are_unknown,
	};
}

static void start_look(struct watcher *w)
{
	const struct digest judged = rehearsal_take(&w->rehearsal);
	struct look_request request;
	struct error err = { 0 };

	ask_look(w, &request);
	request.judged = digest_is_none(&judged) ? NULL : &judged;
	if (worker_watch_start(&w->worker, &request, LOOK_LIMIT_MS, &err) < 0) {
		char text[ERROR_MSG_MAX + 64];

		snprintf(text, sizeof(text), "cannot look at the mail host: %s", err.msg);
		say_once(w, LOG_LEVEL_ERROR, text);
		state_take_failure(&w->state, text);
		retry_later(w);
		return;
	}
	w->retrying = w->all_touched = false;
	watched_folders_are_looked_at(&w->folders);
	w->look_event_micros = settle_take(&w->settle);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;

	(void)fd;
	(void)what;
	if (!rehearsal_await(&w->rehearsal) && !worker_watch_is_busy(&w->worker) && !w->stopping &&
	    w->state.root[0] != '\0')
		start_look(w);
}

static void on_rehearsal_over(void *arg)
{
	struct watcher *w = arg;

	if (w->stopping)
		event_base_loopbreak(w->base);
	else if (!evtimer_pending(w->due, NULL)) /* nothing more has happened */
		on_due(-1, 0, w);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;

	(void)fd;
	(void)what;
	w->retrying = true;
	look_soon(w);
}

/* ---- masters ---- */

static void forget_master(struct watcher *w, size_t server)
{
	state_forget_master(&w->state, server);
	look_soon(w);
}

static void on_master_end(void *arg, size_t server, pid_t pid)
{
	struct watcher *w = arg;

	log_notice("%s: its master process %d has ended", report_server_names[server], (int)pid);
	forget_master(w, server);
}

static void follow_masters(struct watcher *w)
{
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		if (!master_watch_follow(&w->masters[i], w->state.report.servers[i].pid))
			forget_master(w, i);
}

/* A master that starts does not tell when it takes signals. */
static void await_start(struct watcher *w)
{
	if (!report_any_starts(&w->state.report)) {
		w->starts_in_turn = 0;
		return;
	}
	settle_note(&w->settle, monotonic_micros());
	timer_set(w->due,
		  settle_retry_ms(STARTING_FIRST_MS, STARTING_LAST_MS, w->starts_in_turn++));
}

/* A container in which no server starts may be another one's copy: whose server does, is meant. */
static void await_server(struct watcher *w)
{
	if (w->host.target.pidfd >= 0 && w->state.report.outcome == REPORT_WAITING && !w->stopping)
		timer_set(w->find, TARGET_WAIT_MS);
}

/* ---- folders ---- */

/* Watch the folders of the report, if it can; what changed before they were is looked at again. */
static bool watch_folders(struct watcher *w)
{
	const struct report *report = &w->state.report;
	struct error err = { 0 };
	int rc = watched_folders_set(&w->folders, report, &w->own, &w->host.root, &err);

	if (rc < 0)
		say_once(w, LOG_LEVEL_ERROR, err.msg);
	if (rc <= 0)
		return rc == 0;
	watched_folders_say_deaf(&w->folders, report,
				 report->resync_s > 0 ? report->resync_s : (unsigned)DEAF_RESYNC_S);
	look_at_all_soon(w);
	return true;
}

static void on_folders(void *arg, const struct error *err)
{
	if (err)
		say_once(arg, LOG_LEVEL_ERROR, err->msg);
	look_soon(arg);
}

static void on_gate(void *arg, bool by_look)
{
	if (!by_look || !worker_watch_is_busy(&((struct watcher *)arg)->worker))
		look_soon(arg);
}

/* One that is on its way stays so, however often there is something else to look at. */
static void arm_resync(struct watcher *w)
{
	unsigned s = w->state.report.resync_s;

	if (s == 0 && !watched_folders_hear_everything(&w->folders))
		s = DEAF_RESYNC_S;
	if (s == 0)
		event_del(w->resync);
	else if (s != w->resync_s || !evtimer_pending(w->resync, NULL))
		timer_set(w->resync, s * 1000UL);
	w->resync_s = s;
}

static void on_resync(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;

	(void)fd;
	(void)what;
	folder_watch_renew(&w->folders.watch);
	look_at_all_soon(w);
	arm_resync(w);
}

/* ---- a report ---- */

static void take_report(struct watcher *w, struct report *report)
{
	bool hears;

	if (w->state.report.outcome != REPORT_CURRENT && report->outcome == REPORT_CURRENT &&
	    w->state.failed_at != 0)
		log_notice("everything is as wanted again");
	if (report->outcome == REPORT_CURRENT || report->outcome == REPORT_WAITING)
		w->watches_are_unknown = false;
	state_take_report(&w->state, report, monotonic_micros() - w->look_event_micros);
	gate_privilege_heed(&w->state.report);
	hears = watch_folders(w);
	follow_masters(w);
	if (w->state.report.outcome != REPORT_FAILED && hears) {
		w->failures_in_turn = 0;
		event_del(w->retry);
	} else if (!evtimer_pending(w->retry, NULL)) {
		retry_later(w);
	}
	arm_resync(w);
	endpoint_open(w->endpoint);
	endpoint_listen(w->endpoint, w->state.report.listen);
	if (settle_is_pending(&w->settle))
		look_soon(w);
	await_start(w);
	await_server(w);
}

static void take_death(struct watcher *w, const struct error *err)
{
	say_once(w, LOG_LEVEL_ERROR, err->msg);
	state_take_failure(&w->state, err->msg);
	w->all_touched = true;
	retry_later(w);
	if (settle_is_pending(&w->settle))
		look_soon(w);
}

static void on_look_done(void *arg, struct report *report, const struct error *err)
{
	struct watcher *w = arg;

	if (report)
		take_report(w, report);
	else
		take_death(w, err);
	folder_watch_count(&w->folders.watch, &w->state.watches);
	if (w->stopping)
		event_base_loopbreak(w->base);
}

/* ---- the mail container ---- */

static void forget_host(struct watcher *w)
{
	worker_watch_end(&w->worker);
	rehearsal_end(&w->rehearsal);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		(void)master_watch_follow(&w->masters[i], 0);
	watched_folders_forget(&w->folders);
	state_forget_host(&w->state);
	mail_container_forget(&w->host);
}

static void on_host_end(void *arg)
{
	struct watcher *w = arg;

	log_notice("the mail container (process %d) has ended: waiting for the next one",
		   (int)w->host.target.anchor);
	forget_host(w);
	if (w->stopping) /* for a look that is over now */
		event_base_loopbreak(w->base);
	timer_set(w->find, 0);
}

static void on_find(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;
	struct error err = { 0 };
	int rc;

	(void)fd;
	(void)what;
	if (w->state.root[0] != '\0') {
		if (worker_watch_is_busy(&w->worker) ||
		    !mail_container_is_another_meant(&w->host)) {
			await_server(w);
			return;
		}
		log_notice("no mail server has started in %s, but one has elsewhere",
			   w->state.root);
		forget_host(w);
	}
	rc = mail_container_find(&w->host, &err);
	if (rc < 0)
		say_once(w, LOG_LEVEL_ERROR, err.msg);
	if (rc == 0)
		say_once(w, LOG_LEVEL_NOTICE, "no mail container is to be seen: waiting for it");
	if (rc != 1) {
		timer_set(w->find, TARGET_WAIT_MS);
		return;
	}
	snprintf(w->state.root, sizeof(w->state.root), "%s", w->host.target.root);
	log_notice("mail host: %s", w->state.root);
	free(steal_pointer(&w->said));
	look_at_all_soon(w);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct watcher *w = arg;

	(void)what;
	if (sig == SIGHUP) {
		log_notice("SIGHUP: looking at everything");
		folder_watch_renew(&w->folders.watch);
		w->retrying = true;
		look_at_all_soon(w);
		return;
	}
	if (w->stopping || !(rehearsal_await(&w->rehearsal) || worker_watch_is_busy(&w->worker))) {
		event_base_loopbreak(w->base);
		return;
	}
	/* What it has begun it brings to its end, if that is soon. */
	w->stopping = true;
	if (worker_watch_is_busy(&w->worker))
		worker_watch_limit(&w->worker, STOP_LIMIT_MS);
}

/* ---- the whole ---- */

static bool make_events(struct watcher *w)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	bool good;

	w->due = evtimer_new(w->base, on_due, w);
	w->resync = evtimer_new(w->base, on_resync, w);
	w->retry = evtimer_new(w->base, on_retry, w);
	w->find = evtimer_new(w->base, on_find, w);
	good = w->due && w->resync && w->retry && w->find &&
	       worker_watch_init(&w->worker, w->base, on_look_done, w) &&
	       rehearsal_init(&w->rehearsal, w->base, ask_look, on_rehearsal_over, w) &&
	       mail_container_init(&w->host, w->base, on_host_end, w) &&
	       gate_watch_init(&w->gate, w->base, on_gate, w);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		w->signals[i] = evsignal_new(w->base, numbers[i], on_signal, w);
		good = good && w->signals[i] && event_add(w->signals[i], NULL) == 0;
	}
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		good = master_watch_init(&w->masters[i], w->base, i, on_master_end, w) && good;
	return good;
}

static int begin(struct watcher *w)
{
	struct error err = { 0 };

	if (rootfs_init(&w->own, "/", &err) < 0)
		return command_fail(&err);
	w->base = event_base_new();
	if (w->base)
		w->endpoint = endpoint_new(w->base, &w->state, w->job->socket_path);
	if (!w->endpoint || !make_events(w)) {
		log_error("cannot watch: out of memory or descriptors");
		return EXIT_FAILED;
	}
	if (watched_folders_hear(&w->folders, w->base, on_folders, w, &err) < 0)
		log_warning("%s; everything is looked at every now and then", err.msg);
	endpoint_open(w->endpoint);
	if (!w->job->root) {
		timer_set(w->find, 0);
		return EXIT_DONE;
	}
	if (mail_container_open(&w->host, w->job->root, &err) < 0)
		return command_fail(&err);
	snprintf(w->state.root, sizeof(w->state.root), "%s", w->job->root);
	look_at_all_soon(w);
	return EXIT_DONE;
}

static void finish(struct watcher *w)
{
	struct event *const all[] = {
		w->signals[0], w->signals[1], w->signals[2], w->due, w->resync, w->retry, w->find,
	};

	for (size_t i = 0; i < REPORT_SERVERS; i++)
		master_watch_release(&w->masters[i]);
	mail_container_release(&w->host);
	gate_watch_release(&w->gate);
	watched_folders_release(&w->folders);
	worker_watch_release(&w->worker);
	rehearsal_release(&w->rehearsal);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			event_free(all[i]);
	endpoint_free(w->endpoint);
	if (w->base)
		event_base_free(w->base);
	rootfs_release(&w->own);
	state_release(&w->state);
	free(w->said);
}

int watcher_run(const struct watcher_job *job)
{
	struct watcher w = {
		.job = job,
		.worker = WORKER_WATCH_INIT,
		.rehearsal = REHEARSAL_INIT,
		.own = ROOTFS_INIT,
		.host = MAIL_CONTAINER_INIT,
		.folders = WATCHED_FOLDERS_INIT,
		.gate = GATE_WATCH_INIT,
		.masters = { MASTER_WATCH_INIT, MASTER_WATCH_INIT },
	};
	int status;

	w.watches_are_unknown = job->supervisor && job->supervisor->companion_starts > 1;
	state_init(&w.state, job->mode);
	w.state.supervisor = job->supervisor;
	status = begin(&w);
	if (status == EXIT_DONE && event_base_dispatch(w.base) < 0) {
		log_error("the event loop failed");
		status = EXIT_FAILED;
	}
	finish(&w);
	return status;
}
