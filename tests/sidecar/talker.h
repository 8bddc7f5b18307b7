/* SPDX-License-Identifier: MIT */
/* talker - a small server in a process of its own, for one connection or more. */
#ifndef TESTS_SIDECAR_TALKER_H
#define TESTS_SIDECAR_TALKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One connection: how a server behaves.  The process ends when it returns. */
typedef void talker_behaviour(int fd, const void *ctx);

struct talker {
	uint16_t port;
	pid_t pid;
	int heard_fd;		/* what the behaviour passes on with talker_pass_on() */
};

/* Listen on an address, any port (or `port`, unless 0), from now on. */
struct talker talker_start(const char *address, uint16_t port, talker_behaviour *behave,
			   const void *ctx);
void talker_end(struct talker *talker);

/* What the server passed on, NUL-terminated; its length. */
size_t talker_heard(const struct talker *talker, char *out, size_t size);

/* For behaviours: */

void talker_say(int fd, const char *text);
void talker_say_bytes(int fd, const void *bytes, size_t n);

/* Read exactly n bytes, or end the process. */
void talker_read(int fd, void *bytes, size_t n);

/* Read a line, CR LF cut off; "" at the end of the stream. */
void talker_read_line(int fd, char *out, size_t size);

/* Read a PROXY v2 header, or a v1 line, whole; its length. */
size_t talker_read_header(int fd, char *out, size_t size);

/* To talker_heard(). */
void talker_pass_on(const void *bytes, size_t n);

#endif
