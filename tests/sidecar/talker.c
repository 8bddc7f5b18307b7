/* SPDX-License-Identifier: MIT */
/* talker - a small server in a process of its own. */
#include "talker.h"

#include "sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

enum { V2_FIXED_BYTES = 16, BACKLOG = 16 };

struct job {
	int listen_fd;
	talker_behaviour *behave;
	const void *ctx;
};

static int pass_on_fd = -1;

static void serve(void *ctx)
{
	const struct job *job = ctx;

	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(job->listen_fd, NULL, NULL);

		if (fd < 0)
			_exit(1);
		job->behave(fd, job->ctx);
		close(fd);
	}
}

static int listen_on(const char *address, uint16_t port, uint16_t *out_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} at = { 0 };
	socklen_t size = sizeof(at.ipv4);
	int fd, on = 1;

	if (inet_pton(AF_INET, address, &at.ipv4.sin_addr) == 1) {
		at.ipv4.sin_family = AF_INET;
		at.ipv4.sin_port = htons(port);
	} else {
		memset(&at, 0, sizeof(at));
		assert_int_equal(inet_pton(AF_INET6, address, &at.ipv6.sin6_addr), 1);
		at.ipv6.sin6_family = AF_INET6;
		at.ipv6.sin6_port = htons(port);
		size = sizeof(at.ipv6);
	}
	fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, &at.any, size), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	assert_int_equal(getsockname(fd, &at.any, &size), 0);
	*out_port = ntohs(at.any.sa_family == AF_INET ? at.ipv4.sin_port : at.ipv6.sin6_port);
	return fd;
}

struct talker talker_start(const char *address, uint16_t port, talker_behaviour *behave,
			   const void *ctx)
{
	struct talker talker = { 0 };
	struct job job = { .behave = behave, .ctx = ctx };
	int pipe_fds[2];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	job.listen_fd = listen_on(address, port, &talker.port);
	pass_on_fd = pipe_fds[1];
	talker.pid = sandbox_spawn(serve, &job);
	talker.heard_fd = pipe_fds[0];
	close(pipe_fds[1]);
	close(job.listen_fd);
	return talker;
}

void talker_end(struct talker *talker)
{
	sandbox_end(talker->pid);
	close(talker->heard_fd);
}

size_t talker_heard(const struct talker *talker, char *out, size_t size)
{
	ssize_t n;

	fcntl(talker->heard_fd, F_SETFL, O_NONBLOCK);
	n = read(talker->heard_fd, out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

void talker_say_bytes(int fd, const void *bytes, size_t n)
{
	if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
		return;
}

void talker_say(int fd, const char *text)
{
	talker_say_bytes(fd, text, strlen(text));
}

void talker_read(int fd, void *bytes, size_t n)
{
	if (n > 0 && recv(fd, bytes, n, MSG_WAITALL) != (ssize_t)n)
		_exit(3);
}

void talker_read_line(int fd, char *out, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && recv(fd, out + n, 1, 0) == 1 && out[n] != '\n')
		n++;
	while (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
}

size_t talker_read_header(int fd, char *out, size_t size)
{
	size_t length;

	talker_read(fd, out, 1);
	if (out[0] == 'P') {
		for (length = 1; length < size && out[length - 1] != '\n'; length++)
			talker_read(fd, out + length, 1);
		return length;
	}
	talker_read(fd, out + 1, V2_FIXED_BYTES - 1);
	length = (size_t)(unsigned char)out[14] << 8 | (unsigned char)out[15];
	if (V2_FIXED_BYTES + length > size)
		_exit(3);
	talker_read(fd, out + V2_FIXED_BYTES, length);
	return V2_FIXED_BYTES + length;
}

void talker_pass_on(const void *bytes, size_t n)
{
	if (write(pass_on_fd, bytes, n) != (ssize_t)n)
		_exit(3);
}
