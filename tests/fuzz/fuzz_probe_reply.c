/* SPDX-License-Identifier: MIT */
/*
 * fuzz_probe_reply - what a server, whoever it is, answers to a probe.
 *
 * The input's first byte says what is probed; the rest are its words, one piece after
 * the other: a length, and as many bytes.  A piece of no bytes ends the connection, and
 * the next piece is said by the next one.  At the end of the input nothing more comes.
 *
 * libevent's connections and loop are played here, its buffers are its own.
 */
#include "fuzz.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "sidecar/probe.h"
#include "sidecar/probe_law.h"

#include <ctype.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- libevent ---- */

enum { SOCKET_FD = 1 << 20, EVENTS_MAX = 8, STEPS_MAX = 10000 };

struct event {
	event_callback_fn callback;
	void *ctx;
	bool is_added, is_used;
};

struct bufferevent {
	struct evbuffer *in;
	bufferevent_data_cb on_read;
	bufferevent_event_cb on_event;
	void *ctx;
};

static struct event events[EVENTS_MAX];
static struct bufferevent *connection; /* the one of the job */
static bool is_connecting, is_broken;
static struct span words; /* not said yet */

#pragma GCC visibility push(default) /* the linker looks into libevent, too */
struct event_base *__wrap_event_base_new(void);
void __wrap_event_base_free(struct event_base *base);
int __wrap_event_base_dispatch(struct event_base *base);
int __wrap_event_base_loopbreak(struct event_base *base);
struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
			       event_callback_fn callback, void *ctx);
int __wrap_event_add(struct event *event, const struct timeval *timeout);
void __wrap_event_free(struct event *event);
struct bufferevent *__wrap_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd,
						  int options);
int __wrap_bufferevent_socket_connect(struct bufferevent *conn, const struct sockaddr *address,
				      int size);
void __wrap_bufferevent_setcb(struct bufferevent *conn, bufferevent_data_cb on_read,
			      bufferevent_data_cb on_write, bufferevent_event_cb on_event,
			      void *ctx);
int __wrap_bufferevent_enable(struct bufferevent *conn, short what);
int __wrap_bufferevent_write(struct bufferevent *conn, const void *bytes, size_t n);
struct evbuffer *__wrap_bufferevent_get_input(struct bufferevent *conn);
evutil_socket_t __wrap_bufferevent_getfd(struct bufferevent *conn);
void __wrap_bufferevent_free(struct bufferevent *conn);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
#pragma GCC visibility pop

struct event_base *__wrap_event_base_new(void)
{
	static char base;

	is_broken = false;
	return (struct event_base *)(void *)&base;
}

void __wrap_event_base_free(struct event_base *base)
{
	(void)base;
}

int __wrap_event_base_loopbreak(struct event_base *base)
{
	(void)base;
	is_broken = true;
	return 0;
}

struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
			       event_callback_fn callback, void *ctx)
{
	(void)base;
	(void)fd;
	(void)what;
	for (size_t i = 0; i < EVENTS_MAX; i++)
		if (!events[i].is_used) {
			events[i] = (struct event){ callback, ctx, false, true };
			return &events[i];
		}
	abort();
}

int __wrap_event_add(struct event *event, const struct timeval *timeout)
{
	(void)timeout;
	fuzz_assert(event->is_used);
	event->is_added = true;
	return 0;
}

void __wrap_event_free(struct event *event)
{
	fuzz_assert(event->is_used);
	event->is_used = event->is_added = false;
}

struct bufferevent *__wrap_bufferevent_socket_new(struct event_base *base, evutil_socket_t fd,
						  int options)
{
	(void)base;
	fuzz_assert(fd == SOCKET_FD && options == BEV_OPT_CLOSE_ON_FREE && !connection);
	connection = calloc(1, sizeof(*connection));
	if (connection)
		connection->in = evbuffer_new();
	return connection;
}

int __wrap_bufferevent_socket_connect(struct bufferevent *conn, const struct sockaddr *address,
				      int size)
{
	fuzz_assert(conn == connection && address && size > 0);
	is_connecting = true;
	return 0;
}

void __wrap_bufferevent_setcb(struct bufferevent *conn, bufferevent_data_cb on_read,
			      bufferevent_data_cb on_write, bufferevent_event_cb on_event,
			      void *ctx)
{
	(void)on_write;
	conn->on_read = on_read;
	conn->on_event = on_event;
	conn->ctx = ctx;
}

int __wrap_bufferevent_enable(struct bufferevent *conn, short what)
{
	(void)conn;
	(void)what;
	return 0;
}

int __wrap_bufferevent_write(struct bufferevent *conn, const void *bytes, size_t n)
{
	fuzz_assert(conn == connection && (bytes || n == 0));
	return 0;
}

struct evbuffer *__wrap_bufferevent_get_input(struct bufferevent *conn)
{
	fuzz_assert(conn == connection);
	return conn->in;
}

evutil_socket_t __wrap_bufferevent_getfd(struct bufferevent *conn)
{
	(void)conn;
	return SOCKET_FD;
}

void __wrap_bufferevent_free(struct bufferevent *conn)
{
	fuzz_assert(conn == connection);
	connection = NULL;
	evbuffer_free(conn->in);
	free(conn);
}

int __wrap_socket(int domain, int type, int protocol)
{
	return domain == AF_INET ? SOCKET_FD : __real_socket(domain, type, protocol);
}

/* One piece of what the server says; nothing is left of an ended connection. */
static void say_next(void)
{
	size_t n = (unsigned char)words.data[0];

	words = span_make(words.data + 1, words.len - 1);
	if (n == 0) {
		errno = ECONNRESET;
		connection->on_event(connection, BEV_EVENT_EOF, connection->ctx);
		return;
	}
	if (n > words.len)
		n = words.len;
	evbuffer_add(connection->in, words.data, n);
	words = span_make(words.data + n, words.len - n);
	connection->on_read(connection, connection->ctx);
}

/* A pause or a limit is over: the newest one first, which is a retry's. */
static bool fire(void)
{
	for (size_t i = EVENTS_MAX; i-- > 0;)
		if (events[i].is_used && events[i].is_added) {
			events[i].is_added = false;
			events[i].callback(-1, EV_TIMEOUT, events[i].ctx);
			return true;
		}
	return false;
}

int __wrap_event_base_dispatch(struct event_base *base)
{
	(void)base;
	for (int i = 0; i < STEPS_MAX && !is_broken; i++) {
		if (connection && is_connecting) {
			is_connecting = false;
			connection->on_event(connection, BEV_EVENT_CONNECTED, connection->ctx);
		} else if (connection && words.len > 0) {
			say_next();
		} else if (words.len == 0) { /* the limit is the first event, and ends all */
			events[0].callback(-1, EV_TIMEOUT, events[0].ctx);
		} else if (!fire()) {
			break;
		}
	}
	fuzz_assert(is_broken);
	return 0;
}

/* ---- the laws ---- */

/*
 * How often a line may begin with a digit 2: after a newline, and with each piece, since
 * the one before it may be lost with its connection.
 */
static size_t count_yes(struct span pieces)
{
	size_t n = 0;

	while (pieces.len > 0) {
		size_t len = (unsigned char)pieces.data[0];
		struct span piece;

		pieces = span_make(pieces.data + 1, pieces.len - 1);
		len = len < pieces.len ? len : pieces.len;
		piece = span_make(pieces.data, len);
		pieces = span_make(pieces.data + len, pieces.len - len);
		while (piece.len > 0)
			n += span_starts(span_take_line(&piece), "2");
	}
	return n;
}

/* `pieces`: all that was said, over all connections. */
static void check_verdict(const struct probe_job *job, struct span pieces)
{
	cleanup_buf struct buf meaning = BUF_INIT;

	fuzz_assert(job->answer < PROBE_ANSWER_COUNT && job->answer != PROBE_IMPOSSIBLE);
	fuzz_assert(job->up == (job->answer == PROBE_SERVED));
	fuzz_assert(memchr(job->detail, '\0', sizeof(job->detail)));
	for (const char *p = job->detail; *p; p++)
		fuzz_assert(isprint((unsigned char)*p));
	/* Nobody is up who said nothing, and nobody relays who did not say yes to all. */
	if (job->up)
		fuzz_assert(pieces.len > 0);
	if (job->answer == PROBE_RELAYS)
		fuzz_assert(job->header == PROXY_HEADER_FORGED && !job->tls &&
			    (job->protocol != PROBE_SMTP || count_yes(pieces) >= 4));
	if (job->up && job->tls)
		fuzz_assert(memchr(pieces.data, 0x16, pieces.len));
	for (int expected = 0; expected < PROBE_LAW_EXPECTED_COUNT; expected++) {
		enum probe_law_meaning m = probe_law_judge((enum probe_law_expected)expected,
							   job->header, job->answer);

		fuzz_assert(m < PROBE_LAW_MEANING_COUNT);
		fuzz_assert(m != PROBE_LAW_RIGHT || job->answer != PROBE_RELAYS);
		probe_law_explain(m, "192.0.2.7", &meaning);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probe_job job = { .address = "192.0.2.1", .is_remote = true, .port = 12525 };
	bool retry;

	if (size == 0)
		return 0;
	job.protocol = (enum probe_protocol)(data[0] & 3);
	job.tls = data[0] & 4;
	job.first_line_is_enough = data[0] & 8;
	retry = data[0] & 16;
	job.header = (enum proxy_header)((data[0] >> 5) % PROXY_HEADER_COUNT);
	if (job.header == PROXY_HEADER_FORGED && job.protocol != PROBE_SMTP)
		job.header = PROXY_HEADER_V2; /* probe_law_sends() */
	memset(events, 0, sizeof(events));
	words = fuzz_input(data + 1, size - 1);
	fuzz_assert(probe_run(&job, 1, 1000, retry, -1, NULL) == 0);
	fuzz_assert(!connection);
	for (size_t i = 0; i < EVENTS_MAX; i++)
		fuzz_assert(!events[i].is_used);
	check_verdict(&job, fuzz_input(data + 1, size - 1));
	return 0;
}
