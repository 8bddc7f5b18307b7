/* SPDX-License-Identifier: MIT */
/* endpoint - whichever allocation of libevent's fails: it is not there, or it answers. */
#include "tests/unit/unit.h"

#include "sidecar/local_socket.h"
#include "patchers/base/cleanup.h"
#include "sidecar/endpoint.h"
#include "sidecar/state.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1000, LOOPS_MAX = 2000, LOOP_US = 1000 };

static int failing; /* so many from now; 0: none */
static bool has_failed;

static bool must_fail(void)
{
	if (failing == 0 || --failing > 0)
		return false;
	has_failed = true;
	return true;
}

static void *allocate(size_t size)
{
	return must_fail() ? NULL : malloc(size);
}

static void *reallocate(void *p, size_t size)
{
	return must_fail() ? NULL : realloc(p, size);
}

/* The first line of what is answered. */
static void ask(struct event_base *base, const char *path, const char *what, char *line,
		size_t size)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name;
	char request[128];
	ssize_t n = -1;

	assert_int_equal(local_socket_name(path, &name, NULL), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", what);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	for (int i = 0; i < LOOPS_MAX && n < 0; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = read(fd, line, size - 1);
		if (n < 0)
			usleep(LOOP_US);
	}
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\r")] = '\0';
}

static void it_is_not_there_or_it_answers(void **unused)
{
	char folder[] = "/tmp/postern-endpoint-XXXXXX", path[64], line[256];
	struct state state;
	int n = 0;

	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	state_init(&state, "watch");
	do {
		struct event_base *base = event_base_new();
		struct endpoint *endpoint;

		assert_non_null(base);
		has_failed = false;
		failing = ++n;
		endpoint = endpoint_new(base, &state, path);
		if (endpoint)
			endpoint_open(endpoint);
		failing = 0;
		if (endpoint) {
			endpoint_open(endpoint); /* as after each look */
			ask(base, path, "/healthz", line, sizeof(line));
			assert_string_equal(line, "HTTP/1.0 200 OK");
			ask(base, path, "/status", line, sizeof(line));
			assert_string_equal(line, "HTTP/1.0 200 OK");
		}
		endpoint_free(endpoint);
		event_base_free(base);
	} while (has_failed && n < MOST);
	assert_in_range(n, 2, MOST - 1);
	state_release(&state);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(it_is_not_there_or_it_answers) };

	event_set_mem_functions(allocate, reallocate, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
