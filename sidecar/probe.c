/* SPDX-License-Identifier: MIT */
/* probe - speak PROXY to twins over loopback and say what answers. */
#include "probe.h"

#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PAUSE_FIRST_MS = 3, PAUSE_MAX_MS = 200, PATIENCE_MS = 1000, REPLY_BYTES_MAX = 16384 };

#define NO_ANSWER "no answer in time"

enum probe_state { PROBE_CONNECTING, PROBE_GREETING, PROBE_FAREWELL, PROBE_DONE };

/* One connection in progress. */
struct attempt {
	struct probe_job *job;
	struct run *run;
	struct bufferevent *conn;
	struct event *again;
	struct event *patience; /* over: the server of this connection says nothing */
	enum probe_state state;
	int pause_ms; /* before the next try */
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

/* ---- what servers say ---- */

enum verdict { VERDICT_MORE, VERDICT_GOOD, VERDICT_BAD };

struct dialect {
	const char *greeting; /* how the line that ends a good greeting begins */
	const char *teaser;   /* how an earlier line of it begins; NULL: any line may come */
	const char *farewell; /* what we send */
	const char *answer;   /* how a good answer begins */
};

static const struct dialect dialects[] = {
	[PROBE_SMTP] = { "220 ", "220-", "QUIT\r\n", "221" },
	[PROBE_IMAP] = { "* OK", "* OK", "a LOGOUT\r\n", "* BYE" },
	[PROBE_POP3] = { "+OK", "+OK", "QUIT\r\n", "+OK" },
	[PROBE_SIEVE] = { "OK", NULL, "LOGOUT\r\n", "OK" },
};

static bool starts(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

static enum verdict judge_greeting(const struct probe_job *job, const char *line)
{
	const struct dialect *d = &dialects[job->protocol];

	if (starts(line, d->greeting))
		return VERDICT_GOOD;
	if (!d->teaser) /* capabilities before the final OK; BYE and NO are refusals */
		return starts(line, "\"") ? VERDICT_MORE : VERDICT_BAD;
	if (starts(line, d->teaser))
		return job->first_line_is_enough ? VERDICT_GOOD : VERDICT_MORE;
	return VERDICT_BAD;
}

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

static void finish(struct attempt *a, bool up)
{
	struct run *run = a->run;

	if (a->state == PROBE_DONE)
		return;
	drop(a);
	a->state = PROBE_DONE;
	a->job->up = up;
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
static void fail_or_retry(struct attempt *a)
{
	struct timeval pause = { .tv_usec = a->pause_ms * 1000L };

	if (monotonic_ms() >= a->run->retry_until_ms) {
		finish(a, false);
		return;
	}
	drop(a);
	a->state = PROBE_CONNECTING;
	a->pause_ms = a->pause_ms * 2 < PAUSE_MAX_MS ? a->pause_ms * 2 : PAUSE_MAX_MS;
	if (!a->again)
		a->again = evtimer_new(a->run->base, on_again, a);
	if (!a->again || evtimer_add(a->again, &pause) < 0)
		finish(a, false);
}

static void fail(struct attempt *a, const char *prefix, const char *text)
{
	keep_text(a->job, prefix, text);
	fail_or_retry(a);
}

/*
 * A TLS 1.3 ClientHello that every server can answer: with a ServerHello, a
 * HelloRetryRequest (no key share is offered), or an alert (RFC 8446, 4.1.2).
 */
static void add_client_hello(struct buf *out)
{
	static const unsigned char extensions[] = {
		0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03, /* versions 1.3, 1.2 */
		0x00, 0x0a, 0x00, 0x08, 0x00, 0x06, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18, /* groups */
		0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, /* point formats */
		0x00, 0x0d, 0x00, 0x12, 0x00, 0x10, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01,
		0x05, 0x03, 0x08, 0x05, 0x05, 0x01, 0x08, 0x06, 0x06, 0x01, /* signatures */
		0x00, 0x33, 0x00, 0x02, 0x00, 0x00,                         /* no key shares */
	};
	static const unsigned char suites[] = {
		0x00, 0x12, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b,
		0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0x00, 0x9c, 0x00, 0x2f,
	};
	size_t body = 2 + 32 + 1 + sizeof(suites) + 2 + 2 + sizeof(extensions);

	buf_add(out, span_make((const char[]){ 0x16, 0x03, 0x01, (char)((body + 4) >> 8),
					       (char)(body + 4), 0x01, 0x00, (char)(body >> 8),
					       (char)body, 0x03, 0x03 },
			       11));
	for (int i = 0; i < 32; i++) /* the random: nothing is encrypted with it */
		buf_add_char(out, (char)(i * 7 + 1));
	buf_add_char(out, 0x00); /* no session */
	buf_add(out, span_make((const char *)suites, sizeof(suites)));
	buf_add(out, span_make("\x01\x00", 2)); /* no compression */
	buf_add_char(out, (char)(sizeof(extensions) >> 8));
	buf_add_char(out, (char)sizeof(extensions));
	buf_add(out, span_make((const char *)extensions, sizeof(extensions)));
}

static void send_opening(struct attempt *a)
{
	cleanup_buf struct buf opening = BUF_INIT;
	struct sockaddr_storage own = { 0 };
	socklen_t size = sizeof(own);

	if (getsockname(bufferevent_getfd(a->conn), (struct sockaddr *)&own, &size) < 0) {
		fail(a, "", strerror(errno));
		return;
	}
	proxy_header_add(a->job->header, (struct sockaddr *)&own, (struct sockaddr *)&a->peer,
			 &opening);
	if (a->job->tls)
		add_client_hello(&opening);
	if (opening.failed || bufferevent_write(a->conn, opening.data, opening.len) < 0)
		fail(a, "", "out of memory");
	else
		a->state = PROBE_GREETING;
}

/* First byte of a TLS record: 22 is a handshake, 21 an alert. */
static void judge_tls(struct attempt *a, struct evbuffer *in)
{
	unsigned char record[7];
	ev_ssize_t n = evbuffer_copyout(in, record, sizeof(record));

	if (n >= 1 && record[0] == 0x16) {
		keep_text(a->job, "", "TLS handshake");
		finish(a, true);
	} else if (n >= 7 && record[0] == 0x15) {
		snprintf(a->job->detail, sizeof(a->job->detail), "TLS alert %u", record[6]);
		fail_or_retry(a);
	} else if (n >= 1 && record[0] != 0x15) {
		cleanup_free char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		fail(a, "no TLS: ", line ? line : "?");
	}
}

static void judge_line(struct attempt *a, const char *line)
{
	const struct dialect *d = &dialects[a->job->protocol];

	if (a->state == PROBE_FAREWELL) {
		if (!starts(line, d->answer)) {
			fail(a, "it took the header for a command: ", line);
			return;
		}
		finish(a, true);
		return;
	}
	switch (judge_greeting(a->job, line)) {
	case VERDICT_MORE:
		return;
	case VERDICT_BAD:
		fail(a, "", line);
		return;
	case VERDICT_GOOD:
		keep_text(a->job, "", line);
		if (starts(line, d->greeting)) {
			a->state = PROBE_FAREWELL;
			bufferevent_write(a->conn, d->farewell, strlen(d->farewell));
		} else {
			finish(a, true);
		}
		return;
	}
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
		cleanup_free char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		if (!line)
			break;
		judge_line(a, line);
	}
	if (a->conn == conn && evbuffer_get_length(in) > REPLY_BYTES_MAX)
		fail(a, "", "an answer without an end");
}

static void on_event(struct bufferevent *conn, short what, void *ctx)
{
	struct attempt *a = ctx;
	int code = EVUTIL_SOCKET_ERROR();

	(void)conn;
	if (what & BEV_EVENT_CONNECTED) {
		send_opening(a);
	} else if (a->state == PROBE_CONNECTING) {
		fail(a, "", strerror(code));
	} else if (a->state == PROBE_GREETING) {
		fail(a, "", what & BEV_EVENT_EOF ? "closed without a greeting" : strerror(code));
	} else {
		/*
		 * One that took the header for commands finds "QUIT" in it, and ends
		 * with bytes unread: the reset may overtake what it said.
		 */
		fail(a, "", "hung up instead of an answer to the farewell");
	}
}

/*
 * Where to connect, and from where: 127.0.0.1 or ::1 even when the twin is
 * bound to another address of this host, because Dovecot trusts those two.
 */
static int set_addresses(struct attempt *a, struct sockaddr_storage *from, socklen_t *size)
{
	union {
		struct sockaddr_storage *any;
		struct sockaddr_in *ipv4;
		struct sockaddr_in6 *ipv6;
	} to = { .any = &a->peer }, source = { .any = from };
	const char *address = a->job->address[0] ? a->job->address : "127.0.0.1";

	if (inet_pton(AF_INET, address, &to.ipv4->sin_addr) == 1) {
		to.ipv4->sin_family = AF_INET;
		to.ipv4->sin_port = htons(a->job->port);
		source.ipv4->sin_family = AF_INET;
		source.ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*size = sizeof(struct sockaddr_in);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &to.ipv6->sin6_addr) == 1) {
		to.ipv6->sin6_family = AF_INET6;
		to.ipv6->sin6_port = htons(a->job->port);
		source.ipv6->sin6_family = AF_INET6;
		source.ipv6->sin6_addr = in6addr_loopback;
		*size = sizeof(struct sockaddr_in6);
		return 0;
	}
	return -EINVAL;
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
	struct attempt *a = ctx;

	(void)fd;
	(void)what;
	if (a->conn) /* neither done nor in a pause */
		fail(a, "", NO_ANSWER);
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
	struct sockaddr_storage from = { 0 };
	socklen_t size = 0;
	int fd;

	a->state = PROBE_CONNECTING;
	limit_patience(a);
	if (set_addresses(a, &from, &size) < 0) {
		fail(a, "not an address: ", a->job->address);
		return;
	}
	fd = socket(a->peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, size) < 0) {
		fail(a, "make a socket: ", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	a->conn = bufferevent_socket_new(a->run->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!a->conn) {
		close(fd);
		fail(a, "", "out of memory");
		return;
	}
	bufferevent_setcb(a->conn, on_read, NULL, on_event, a);
	bufferevent_enable(a->conn, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(a->conn, (struct sockaddr *)&a->peer, (int)size) < 0 &&
	    a->state == PROBE_CONNECTING && a->conn)
		fail(a, "connect: ", strerror(errno));
}

/* ---- the run ---- */

static void end_all(struct run *run, const char *reason)
{
	for (size_t i = 0; i < run->n_attempts; i++) {
		struct attempt *a = &run->attempts[i];

		if (a->state == PROBE_DONE)
			continue;
		if (a->state != PROBE_CONNECTING || a->job->detail[0] == '\0')
			keep_text(a->job, "", reason);
		finish(a, false);
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
	evtimer_add(run.limit, &limit);
	if (run.give_up)
		event_add(run.give_up, NULL);
	run.n_attempts = run.n_open = n_jobs;
	for (size_t i = 0; i < n_jobs; i++) {
		jobs[i].up = false;
		jobs[i].detail[0] = '\0';
		run.attempts[i] = (struct attempt){
			.job = &jobs[i],
			.run = &run,
			.pause_ms = PAUSE_FIRST_MS,
		};
	}
	for (size_t i = 0; i < n_jobs; i++)
		start(&run.attempts[i]);
	if (run.n_open > 0)
		event_base_dispatch(run.base);
	return 0;
}
