/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http_request - what anybody may send to the endpoint, through its own socket.
 * A NUL ends a piece: what follows is sent when the server has seen that.
 */
#include "fuzz.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "sidecar/endpoint.h"
#include "sidecar/state.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURNS_MIN = 3, TURNS_MAX = 64, PIECES_MAX = 8 };

static struct event_base *base;
static struct endpoint *endpoint;
static struct state state;
static struct sockaddr_un name = { .sun_family = AF_UNIX };

static void remove_folder(void)
{
	char *slash = strrchr(name.sun_path, '/');

	endpoint_free(endpoint);
	event_base_free(base);
	*slash = '\0';
	rmdir(name.sun_path);
}

static void start(void)
{
	char folder[] = "/tmp/fuzz_http_XXXXXX";

	fuzz_assert(mkdtemp(folder) != NULL);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/s", folder);
	state_init(&state, "watch");
	base = event_base_new();
	fuzz_assert(base != NULL);
	endpoint = endpoint_new(base, &state, name.sun_path);
	fuzz_assert(endpoint != NULL);
	endpoint_open(endpoint);
	atexit(remove_folder);
}

static int connect_to_it(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	fuzz_assert(fd >= 0);
	fuzz_assert(connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	return fd;
}

/* Let the server work until it has nothing to do; what it answers is added. */
static void turn(int fd, struct buf *answer)
{
	char bytes[4096];
	bool any = true;

	for (int i = 0; i < TURNS_MAX && (any || i < TURNS_MIN); i++) {
		ssize_t n;

		event_base_loop(base, EVLOOP_NONBLOCK);
		any = (n = read(fd, bytes, sizeof(bytes))) > 0;
		if (any)
			buf_add(answer, span_make(bytes, (size_t)n));
	}
}

static void send_pieces(int fd, struct span text, struct buf *answer)
{
	for (int i = 0; i < PIECES_MAX && text.len > 0; i++) {
		const char *nul = memchr(text.data, '\0', text.len);
		struct span piece = nul ? span_between(text.data, nul) : text;

		if (send(fd, piece.data, piece.len, MSG_NOSIGNAL) < 0)
			return;
		turn(fd, answer);
		if (!nul)
			return;
		text = span_between(nul + 1, span_end(text));
	}
}

/* ---- the laws ---- */

/* Every answer begins as HTTP; libevent's own are of other kinds than 200. */
static void check_answer(struct span answer)
{
	char head[32] = ""; /* "HTTP/1.0 200" */
	int code = 0;

	if (answer.len == 0)
		return;
	memcpy(head, answer.data, answer.len < sizeof(head) ? answer.len : sizeof(head) - 1);
	fuzz_assert(sscanf(head, "HTTP/%*d.%*d %d", &code) == 1);
	fuzz_assert(code == 100 || (code >= 200 && code < 600));
	if (code == 200) /* ours */
		fuzz_assert(span_contains(answer, "Content-Type: text/plain") ||
			    span_contains(answer, "Content-Type: application/json"));
}

/* After whatever was sent, the next one is served. */
static void check_health(void)
{
	static const char ask[] = "GET /healthz HTTP/1.0\r\n\r\n";
	cleanup_buf struct buf answer = BUF_INIT;
	int fd = connect_to_it();

	fuzz_assert(send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == sizeof(ask) - 1);
	turn(fd, &answer);
	turn(fd, &answer);
	close(fd);
	fuzz_assert(span_starts(buf_span(&answer), "HTTP/1.0 200 "));
	fuzz_assert(span_contains(buf_span(&answer), "\r\n\r\nlive\n"));
}

/* A connection that is closed leaves no descriptor behind. */
static int lowest_free(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned n_runs;
	cleanup_buf struct buf answer = BUF_INIT;
	int fd, lowest;

	if (!endpoint)
		start();
	lowest = lowest_free();
	fd = connect_to_it();
	send_pieces(fd, fuzz_input(data, size), &answer);
	shutdown(fd, SHUT_WR);
	turn(fd, &answer);
	close(fd);
	check_answer(buf_span(&answer));
	if (n_runs++ % 16 == 0)
		check_health();
	event_base_loop(base, EVLOOP_NONBLOCK);
	fuzz_assert(lowest_free() == lowest);
	return 0;
}
