/* SPDX-License-Identifier: MIT */
/* endpoint - whichever allocation of libevent's fails: it is not there, or it answers. */
#include "tests/unit/unit.h"

#include "event_memory.h"
#include "patchers/base/cleanup.h"
#include "sidecar/endpoint.h"
#include "sidecar/local_socket.h"
#include "sidecar/spare_memory.h"
#include "sidecar/state.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1000, LOOPS_MAX = 2000, LOOPS_WITHOUT = 50, LOOP_US = 1000 };

static int connect_local(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name;

	assert_int_equal(local_socket_name(path, &name, NULL), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static int connect_network(in_port_t port)
{
	const struct sockaddr_in name = { .sin_family = AF_INET,
					  .sin_port = port,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* One of loopback's that nobody has just now, in network order. */
static in_port_t free_port(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(name);

	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	return name.sin_port;
}

static void assert_answers(struct event_base *base, int connection, const char *what)
{
	cleanup_fd int fd = connection;
	char text[256];
	ssize_t n = -1;
	int size = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", what);

	assert_int_equal(write(fd, text, (size_t)size), size);
	for (int i = 0; i < LOOPS_MAX && n < 0; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (n < 0)
			usleep(LOOP_US);
	}
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\r")] = '\0';
	assert_string_equal(text, "HTTP/1.0 200 OK");
}

/* With the n-th allocation failing; whether one did. */
static bool lives(int n, const struct state *state, const char *path)
{
	const in_port_t port = free_port();
	struct event_base *base = event_base_new();
	struct endpoint *endpoint;
	char address[32];
	bool has_failed;

	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(port));
	assert_non_null(base);
	event_memory_fail(n, false);
	endpoint = endpoint_new(base, state, path);
	if (endpoint) {
		endpoint_open(endpoint);
		endpoint_listen(endpoint, address);
	}
	has_failed = event_memory_end();
	if (endpoint) {
		endpoint_open(endpoint); /* as after each look */
		endpoint_listen(endpoint, address);
		assert_answers(base, connect_local(path), "/healthz");
		assert_answers(base, connect_local(path), "/status");
		assert_answers(base, connect_network(port), "/metrics");
	}
	endpoint_free(endpoint);
	event_base_free(base);
	return has_failed;
}

static void it_is_not_there_or_it_answers(void **unused)
{
	char folder[] = "/tmp/postern-endpoint-XXXXXX", path[64];
	struct state state;
	int n = 1;

	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	state_init(&state, "watch");
	while (n < MOST && lives(n, &state, path))
		n++;
	assert_in_range(n, 2, MOST - 1);
	state_release(&state);
	assert_int_equal(rmdir(folder), 0);
}

/* Ask it something while the n-th allocation fails, or all from then on do; whether one did. */
static bool is_asked(struct event_base *base, const char *path, int n, bool rest_too)
{
	static const char question[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	cleanup_fd int fd = connect_local(path);
	char text[4096];

	assert_int_equal(write(fd, question, strlen(question)), strlen(question));
	event_memory_fail(n, rest_too);
	for (int i = 0; i < LOOPS_WITHOUT && recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return event_memory_end();
}

static void whoever_asks_without_memory_harms_nobody(void **state)
{
	char folder[] = "/tmp/postern-endpoint-XXXXXX", path[64];
	struct event_base *base;
	struct endpoint *endpoint;
	struct state known;
	int n = 1;

	(void)state;
	spare_memory_for_libevent(event_memory_allocate, event_memory_reallocate);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	state_init(&known, "watch");
	base = event_base_new();
	endpoint = endpoint_new(base, &known, path);
	endpoint_open(endpoint);
	while (n < MOST && is_asked(base, path, n, false)) {
		assert_answers(base, connect_local(path), "/metrics");
		is_asked(base, path, n, true);
		assert_answers(base, connect_local(path), "/metrics");
		n++;
	}
	assert_in_range(n, 2, MOST - 1);
	endpoint_free(endpoint);
	event_base_free(base);
	state_release(&known);
	assert_int_equal(rmdir(folder), 0);
}

static bool is_answered(struct event_base *base, int fd)
{
	char byte;

	for (int i = 0; i < LOOPS_WITHOUT; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

/* Who comes first is served, and then nobody before there is memory again. */
static void nobody_is_let_in_while_memory_is_short(void **state)
{
	static const char question[] = "GET /healthz HTTP/1.0\r\n\r\n";
	const in_port_t port = free_port();
	struct evbuffer *made[SPARE_MEMORY_PIECES];
	struct event_base *base = event_base_new();
	struct state known;
	struct endpoint *endpoint;
	size_t n = 0;
	char address[32];

	(void)state;
	state_init(&known, "watch");
	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(port));
	endpoint = endpoint_new(base, &known, "/nowhere");
	endpoint_listen(endpoint, address);
	event_memory_fail(1, true);
	while (!spare_memory_is_short())
		made[n++] = evbuffer_new();
	assert_true(event_memory_end());
	for (int i = 0; i < 2; i++) {
		cleanup_fd int fd = connect_network(port);

		assert_int_equal(write(fd, question, strlen(question)), strlen(question));
		assert_int_equal(is_answered(base, fd), i == 0);
	}
	while (n > 0)
		evbuffer_free(made[--n]);
	assert_answers(base, connect_network(port), "/healthz");
	endpoint_free(endpoint);
	event_base_free(base);
	state_release(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_not_there_or_it_answers),
		cmocka_unit_test(whoever_asks_without_memory_harms_nobody),
		cmocka_unit_test(nobody_is_let_in_while_memory_is_short),
	};

	event_memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
