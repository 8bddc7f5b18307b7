/* SPDX-License-Identifier: MIT */
/*
 * worker - a look in a process of its own.
 *
 * What it allocates is gone with it, what it waits for holds nobody up, and
 * when it dies the watcher lives.
 */
#ifndef SIDECAR_WORKER_H
#define SIDECAR_WORKER_H

#include "patchers/base/buf.h"

#include <sys/types.h>

struct error;
struct look_request;
struct report;

/* What a process that looks, and may change something, is called in the kernel. */
#define WORKER_LOOK_NAME "postern-look"

struct worker {
	pid_t pid; /* 0: none */
	int fd;    /* its report; non-blocking */
	struct buf bytes;
};

#define WORKER_INIT                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Beyond this many bytes a report is not believed. */
#define WORKER_REPORT_BYTES_MAX (512UL * 1024 * 1024)

/*
 * Fork, and look.  0, or why there is no process (-EAGAIN, -ENOMEM, -EMFILE);
 * -EBUSY while one that was released does not end.
 */
int worker_start(const struct look_request *request, struct worker *out, struct error *err);

/*
 * When `fd` is readable: 0 there is more to come; 1 the report is in `out`, and
 * the process has been waited for; else how it died (-ECHILD), or -ENOMEM.
 */
int worker_read(struct worker *worker, struct report *out, struct error *err);

/* Kill it and the tools that it has started; worker_read() tells the end. */
void worker_kill(const struct worker *worker);

/*
 * Kill it if it lives, and wait for it: a second at most, for one that waits for a
 * file system that does not answer cannot be killed.
 */
void worker_release(struct worker *worker);

#endif
