/* SPDX-License-Identifier: MIT */
/*
 * master_watch - follow a server's master process until it ends, by a descriptor
 * of it (pidfd_open(2)), in an event loop.
 */
#ifndef SIDECAR_MASTER_WATCH_H
#define SIDECAR_MASTER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event;
struct event_base;

/* A master has ended, and is not followed any more. */
typedef void master_watch_ended(void *arg, size_t server, pid_t pid);

struct master_watch {
	pid_t pid; /* 0: none */
	int fd;
	size_t server; /* for `ended` alone */
	struct event_base *base;
	struct event *event;
	master_watch_ended *ended;
	void *arg;
};

#define MASTER_WATCH_INIT                                                                          \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* False when memory has run out. */
bool master_watch_init(struct master_watch *m, struct event_base *base, size_t server,
		       master_watch_ended *ended, void *arg);
void master_watch_release(struct master_watch *m);

/*
 * Follow this process from now on instead of the one before; 0: none.  False
 * when it has ended already.  When it cannot be followed for another reason it
 * is not: its pid file tells of its end, too.
 */
bool master_watch_follow(struct master_watch *m, pid_t pid);

#endif
