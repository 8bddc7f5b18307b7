/* SPDX-License-Identifier: MIT */
/* probe - speak PROXY to servers and say what answers. */
#include "probe.h"

#include "client_hello.h"
#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sockaddr_text.h"
#include "spare_memory.h"

#include <ctype.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PAUSE_FIRST_MS = 3, PAUSE_MAX_MS = 200, PATIENCE_MS = 1000, REPLY_BYTES_MAX = 16384 };

#define NO_ANSWER "no answer in time"

/* Whom a header names that goes to another host, and from which port. */
#define CLIENT_IPV4 "192.0.2.1"
#define CLIENT_IPV6 "2001:db8::1"
enum { CLIENT_PORT = 40000 };

enum probe_state {
	PROBE_CONNECTING,
	PROBE_GREETING,
	PROBE_RELAYING,
	PROBE_FAREWELL, /* its answer is the verdict */
	PROBE_PARTING,  /* the verdict is there */
	PROBE_DONE
};

/* One connection in progress. */
struct attempt {
	struct probe_job *job;
	struct run *run;
	struct bufferevent *conn;
	struct event *again;
	struct event *patience; /* over: the server of this connection says nothing */
	enum probe_state state;
	bool greets;         /* a line of a greeting has come */
	unsigned relay_step; /* of dialect_relay_request() */
	int pause_ms;        /* before the next try */
	struct sockaddr_storage peer;
};

struct run {
	struct event_base *base;
	struct attempt *attempts;
	size_t n_attempts;
	size_t n_open;
	int64_t retry_until_ms; /* 0: every job is tried once */
	struct event *limit;
	struct event *give_up;
};

/* ---- connections ---- */

static void keep_text(struct probe_job *job, const char *prefix, const char *text)
{
	size_t n = (size_t)snprintf(job->detail, sizeof(job->detail), "%s", prefix);

	for (const char *p = text; *p && n < sizeof(job->detail) - 1; p++)
		job->detail[n++] = isprint((unsigned char)*p) ? *p : '?';
	job->detail[n < sizeof(job->detail) ? n : sizeof(job->detail) - 1] = '\0';
}

static void drop(struct attempt *a)
{
	if (a->conn)
		bufferevent_free(a->conn);
	a->conn = NULL;
}

static void finish(struct attempt *a, enum probe_answer answer)
{
	struct run *run = a->run;

	if (a->state == PROBE_DONE)
		return;
	drop(a);
	a->state = PROBE_DONE;
	a->job->answer = answer;
	a->job->up = answer == PROBE_SERVED;
	if (--run->n_open == 0)
		event_base_loopbreak(run->base);
}

static void start(struct attempt *a);

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	start(ctx);
}

/* The job failed for now; its detail says why. */
static void fail_or_retry(struct attempt *a, enum probe_answer answer)
{
	struct timeval pause = { .tv_usec = a->pause_ms * 1000L };

	if (monotonic_ms() >= a->run->retry_until_ms) {
		finish(a, answer);
		return;
	}
	drop(a);
	a->state = PROBE_CONNECTING;
	a->pause_ms = a->pause_ms * 2 < PAUSE_MAX_MS ? a->pause_ms * 2 : PAUSE_MAX_MS;
	if (!a->again)
		a->again = evtimer_new(a->run->base, on_again, a);
	if (!a->again || evtimer_add(a->again, &pause) < 0)
		finish(a, answer);
}

static void fail(struct attempt *a, enum probe_answer answer, const char *prefix, const char *text)
{
	keep_text(a->job, prefix, text);
	fail_or_retry(a, answer);
}

/* What an end of the connection means that comes now; `wordless` when nothing was said. */
static enum probe_answer answer_so_far(const struct attempt *a, enum probe_answer wordless)
{
	if (a->state == PROBE_CONNECTING)
		return PROBE_UNREACHED;
	if (a->greets)
		return PROBE_MISREAD;
	return evbuffer_get_length(bufferevent_get_input(a->conn)) > 0 ? PROBE_REFUSED : wordless;
}

/* The address that the header names as the client's. */
static int client_address(const struct attempt *a, struct sockaddr_storage *out)
{
	socklen_t size = sizeof(*out);

	if (!a->job->is_remote)
		return getsockname(bufferevent_getfd(a->conn), (struct sockaddr *)out, &size);
	sockaddr_text_parse(a->peer.ss_family == AF_INET6 ? CLIENT_IPV6 : CLIENT_IPV4, CLIENT_PORT,
			    out);
	return 0;
}

static void send_opening(struct attempt *a)
{
	cleanup_buf struct buf opening = BUF_INIT;
	struct sockaddr_storage client = { 0 };

	if (client_address(a, &client) < 0) {
		fail(a, PROBE_IMPOSSIBLE, "", strerror(errno));
		return;
	}
	proxy_header_add(a->job->header, (struct sockaddr *)&client, (struct sockaddr *)&a->peer,
			 &opening);
	if (a->job->tls)
		client_hello_add(&opening);
	if (opening.failed || bufferevent_write(a->conn, buf_text(&opening), opening.len) < 0)
		fail(a, PROBE_IMPOSSIBLE, "", "out of memory");
	else
		a->state = PROBE_GREETING;
}

static void say(struct attempt *a, const char *text)
{
	bufferevent_write(a->conn, text, strlen(text));
}

/* First byte of a TLS record: 22 is a handshake, 21 an alert. */
static void judge_tls(struct attempt *a, struct evbuffer *in)
{
	unsigned char record[7];
	ev_ssize_t n = evbuffer_copyout(in, record, sizeof(record));

	if (n >= 1 && record[0] == 0x16) {
		keep_text(a->job, "", "TLS handshake");
		finish(a, PROBE_SERVED);
	} else if (n >= 7 && record[0] == 0x15) {
		snprintf(a->job->detail, sizeof(a->job->detail), "TLS alert %u", record[6]);
		fail_or_retry(a, PROBE_REFUSED);
	} else if (n >= 1 && record[0] != 0x15) {
		CLEANUP(spare_memory_release_p)
		char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		fail(a, PROBE_REFUSED, "no TLS: ", line ? line : "?");
	}
}

static void ask_to_relay(struct attempt *a, unsigned step)
{
	a->state = PROBE_RELAYING;
	a->relay_step = step;
	say(a, dialect_relay_request(step, a->peer.ss_family == AF_INET6));
}

static void part(struct attempt *a, enum probe_answer answer)
{
	a->job->answer = answer;
	a->state = PROBE_PARTING;
	say(a, dialect_farewell(a->job->protocol));
}

/* The verdict is there at the first no, or when nothing more is to be asked. */
static void judge_relaying(struct attempt *a, const char *line)
{
	switch (dialect_relay_reply(a->relay_step, line)) {
	case DIALECT_REPLY_MORE:
		return;
	case DIALECT_REPLY_UNASKED:
		fail(a, PROBE_MISREAD, "it took the header for a command: ", line);
		return;
	case DIALECT_REPLY_NO:
		keep_text(a->job, "", line);
		part(a, PROBE_SERVED);
		return;
	case DIALECT_REPLY_YES:
		keep_text(a->job, "", line);
		if (dialect_relay_request(a->relay_step + 1, false))
			ask_to_relay(a, a->relay_step + 1);
		else
			part(a, PROBE_RELAYS);
		return;
	}
}

static void take_greeting(struct attempt *a, const char *line, bool is_whole)
{
	a->greets = true;
	if (is_whole || a->job->first_line_is_enough)
		keep_text(a->job, "", line);
	if (!is_whole && a->job->first_line_is_enough) {
		finish(a, PROBE_SERVED);
	} else if (is_whole && a->job->header == PROXY_HEADER_FORGED) {
		ask_to_relay(a, 0);
	} else if (is_whole) {
		a->state = PROBE_FAREWELL;
		say(a, dialect_farewell(a->job->protocol));
	}
}

static void judge_greeting(struct attempt *a, const char *line)
{
	switch (dialect_greeting_of(a->job->protocol, line)) {
	case DIALECT_MORE:
		take_greeting(a, line, false);
		return;
	case DIALECT_GREETS:
		take_greeting(a, line, true);
		return;
	case DIALECT_OTHER:
		fail(a, a->greets ? PROBE_MISREAD : PROBE_REFUSED, "", line);
		return;
	}
}

static void judge_line(struct attempt *a, const char *line)
{
	if (a->state == PROBE_GREETING)
		judge_greeting(a, line);
	else if (a->state == PROBE_RELAYING)
		judge_relaying(a, line);
	else if (a->state == PROBE_PARTING)
		finish(a, a->job->answer);
	else if (dialect_parts(a->job->protocol, line))
		finish(a, PROBE_SERVED);
	else
		fail(a, PROBE_MISREAD, "it took the header for a command: ", line);
}

static void on_read(struct bufferevent *conn, void *ctx)
{
	struct attempt *a = ctx;
	struct evbuffer *in = bufferevent_get_input(conn);

	if (a->job->tls) {
		judge_tls(a, in);
		return;
	}
	while (a->conn == conn) { /* a verdict drops the connection, and `in` with it */
		CLEANUP(spare_memory_release_p)
		char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		if (!line)
			break;
		judge_line(a, line);
	}
	if (a->conn == conn && evbuffer_get_length(in) > REPLY_BYTES_MAX)
		fail(a, answer_so_far(a, PROBE_REFUSED), "", "an answer without an end");
}

/* A refused connection has another number: this one was made, and reset before we looked. */
static bool was_open(int code)
{
	return code == ECONNRESET || code == EPIPE;
}

static void on_event(struct bufferevent *conn, short what, void *ctx)
{
	struct attempt *a = ctx;
	int code = EVUTIL_SOCKET_ERROR();

	(void)conn;
	if (what & BEV_EVENT_CONNECTED) {
		send_opening(a);
	} else if (a->state == PROBE_PARTING) {
		finish(a, a->job->answer);
	} else if (a->state == PROBE_CONNECTING) {
		fail(a, was_open(code) ? PROBE_CLOSED : PROBE_UNREACHED, "", strerror(code));
	} else if (a->state == PROBE_GREETING) {
		fail(a, answer_so_far(a, PROBE_CLOSED), "",
		     what & BEV_EVENT_EOF ? "closed without a greeting" : strerror(code));
	} else {
		/*
		 * One that took the header for commands finds "QUIT" in it, and ends
		 * with bytes unread: the reset may overtake what it said.
		 */
		fail(a, PROBE_MISREAD, "hung up instead of ",
		     a->state == PROBE_FAREWELL ? "an answer to the farewell" : "a reply");
	}
}

/*
 * Where to connect, and from where: 127.0.0.1 or ::1 even when the twin is
 * bound to another address of this host, because Dovecot trusts those two.
 */
static int make_socket(struct attempt *a, socklen_t size)
{
	cleanup_fd int fd =
		socket(a->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from;

	if (fd < 0)
		return -errno;
	if (a->job->is_remote)
		return steal_fd(&fd);
	sockaddr_text_parse(a->peer.ss_family == AF_INET6 ? "::1" : "127.0.0.1", 0, &from);
	if (bind(fd, (struct sockaddr *)&from, size) < 0)
		return -errno;
	return steal_fd(&fd);
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
	struct attempt *a = ctx;

	(void)fd;
	(void)what;
	if (a->conn) /* neither done nor in a pause */
		fail(a, answer_so_far(a, PROBE_SILENT), "", NO_ANSWER);
}

/*
 * One that waits for a ClientHello says nothing, and is one of the old
 * generation where the new one greets: the first connection is not waited for
 * until the limit.  The next one is, so a slow server has its time.
 */
static void limit_patience(struct attempt *a)
{
	static const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	if (a->patience || a->run->retry_until_ms == 0 || !a->job->first_line_is_enough)
		return;
	a->patience = evtimer_new(a->run->base, on_silence, a);
	if (a->patience)
		evtimer_add(a->patience, &patience);
}

static void start(struct attempt *a)
{
	socklen_t size = sockaddr_text_parse(a->job->address[0] ? a->job->address : "127.0.0.1",
					     a->job->port, &a->peer);
	int fd;

	a->state = PROBE_CONNECTING;
	a->greets = false;
	limit_patience(a);
	if (size == 0) {
		fail(a, PROBE_IMPOSSIBLE, "not an address: ", a->job->address);
		return;
	}
	fd = make_socket(a, size);
	if (fd < 0) {
		fail(a, PROBE_IMPOSSIBLE, "make a socket: ", strerror(-fd));
		return;
	}
	a->conn = bufferevent_socket_new(a->run->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!a->conn) {
		close(fd);
		fail(a, PROBE_IMPOSSIBLE, "", "out of memory");
		return;
	}
	bufferevent_setcb(a->conn, on_read, NULL, on_event, a);
	bufferevent_enable(a->conn, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(a->conn, (struct sockaddr *)&a->peer, (int)size) < 0 &&
	    a->state == PROBE_CONNECTING && a->conn)
		fail(a, PROBE_UNREACHED, "connect: ", strerror(errno));
}

/* ---- the run ---- */

static void end_all(struct run *run, const char *reason)
{
	for (size_t i = 0; i < run->n_attempts; i++) {
		struct attempt *a = &run->attempts[i];

		if (a->state == PROBE_DONE)
			continue;
		if (a->state == PROBE_PARTING) {
			finish(a, a->job->answer);
			continue;
		}
		if (a->state != PROBE_CONNECTING || a->job->detail[0] == '\0')
			keep_text(a->job, "", reason);
		finish(a, answer_so_far(a, PROBE_SILENT));
	}
}

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	end_all(ctx, NO_ANSWER);
}

static void on_give_up(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	end_all(ctx, "the server's master process ended");
}

static void run_release(struct run *run)
{
	for (size_t i = 0; i < run->n_attempts; i++) {
		if (run->attempts[i].conn)
			bufferevent_free(run->attempts[i].conn);
		if (run->attempts[i].again)
			event_free(run->attempts[i].again);
		if (run->attempts[i].patience)
			event_free(run->attempts[i].patience);
	}
	if (run->limit)
		event_free(run->limit);
	if (run->give_up)
		event_free(run->give_up);
	if (run->base)
		event_base_free(run->base);
	free(run->attempts);
}

int probe_run(struct probe_job *jobs, size_t n_jobs, int limit_ms, bool retry, int give_up_fd,
	      struct error *err)
{
	const struct timeval limit = { .tv_sec = limit_ms / 1000,
				       .tv_usec = limit_ms % 1000 * 1000L };
	CLEANUP(run_release)
	struct run run = {
		.retry_until_ms = retry ? monotonic_ms() + PROBE_RETRY_MS : 0,
	};

	if (n_jobs == 0)
		return 0;
	run.base = event_base_new();
	run.attempts = calloc(n_jobs, sizeof(*run.attempts));
	if (run.base)
		run.limit = evtimer_new(run.base, on_limit, &run);
	if (run.base && give_up_fd >= 0)
		run.give_up = event_new(run.base, give_up_fd, EV_READ, on_give_up, &run);
	if (!run.attempts || !run.limit || (give_up_fd >= 0 && !run.give_up))
		return error_set(err, -ENOMEM, "out of memory");
	if (evtimer_add(run.limit, &limit) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (run.give_up)
		event_add(run.give_up, NULL);
	run.n_attempts = run.n_open = n_jobs;
	for (size_t i = 0; i < n_jobs; i++) {
		jobs[i].up = false;
		jobs[i].detail[0] = '\0';
		jobs[i].answer = PROBE_IMPOSSIBLE;
		run.attempts[i] = (struct attempt){
			.job = &jobs[i],
			.run = &run,
			.pause_ms = PAUSE_FIRST_MS,
		};
	}
	for (size_t i = 0; i < n_jobs; i++)
		start(&run.attempts[i]);
	if (run.n_open > 0 && event_base_dispatch(run.base) < 0)
		return error_set(err, -EIO, "the event loop has failed");
	return 0;
}
