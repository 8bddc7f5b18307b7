/* SPDX-License-Identifier: MIT */
/* status_client - ask a running postern over its status socket. */
#include "status_client.h"

#include "local_socket.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

static int open_connection(const char *socket_path, struct error *err)
{
	const struct timeval limit = { .tv_sec = STATUS_CLIENT_LIMIT_S };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un name;
	int rc = local_socket_name(socket_path, &name, err);

	if (rc < 0)
		return rc;
	if (fd < 0)
		return error_errno(err, "make a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return error_set(err, -errno,
					 "%s: no postern runs here (\"run\" or \"watch\")",
					 socket_path);
		return error_errno(err, "%s", socket_path);
	}
	return steal_fd(&fd);
}

static int exchange(int fd, const char *path, struct buf *answer, struct error *err)
{
	cleanup_buf struct buf request = BUF_INIT;
	char bytes[4096];
	ssize_t n;

	buf_add_format(&request, "GET %s HTTP/1.0\r\nConnection: close\r\n\r\n", path);
	if (request.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
		return error_errno(err, "ask the running postern");
	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return error_set(err, -ETIMEDOUT,
					 "the running postern did not answer within %d s",
					 STATUS_CLIENT_LIMIT_S);
		if (n < 0)
			return error_errno(err, "read the running postern's answer");
		buf_add(answer, span_make(bytes, (size_t)n));
		if (answer->len > ANSWER_BYTES_MAX)
			return error_set(err, -EPROTO, "the answer is too long");
	}
	return buf_check(answer, err);
}

int status_client_get(const char *socket_path, const char *path, struct buf *body,
		      struct error *err)
{
	cleanup_buf struct buf answer = BUF_INIT;
	cleanup_fd int fd = open_connection(socket_path, err);
	const char *end;
	int rc = fd < 0 ? fd : exchange(fd, path, &answer, err);
	int status;

	if (rc < 0)
		return rc;
	end = strstr(buf_text(&answer), "\r\n\r\n");
	if (!end || sscanf(buf_text(&answer), "HTTP/1.%*d %d", &status) != 1 || status < 100)
		return error_set(err, -EPROTO, "%s: the answer is not HTTP", socket_path);
	end += 4;
	buf_add(body, span_between(end, answer.data + answer.len));
	return buf_check(body, err) < 0 ? -ENOMEM : status;
}
