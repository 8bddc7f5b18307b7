/* SPDX-License-Identifier: MIT */
/*
 * tool - run one of the servers' own programs, inside their root, for a while, and with
 * no privilege but to read what root may.
 */
#ifndef SIDECAR_TOOL_H
#define SIDECAR_TOOL_H

#include "patchers/base/buf.h"

#include <stdint.h>
#include <sys/types.h>

struct error;
struct rootfs;

/* How long a program may take before it is killed. */
#define TOOL_LIMIT_MS 20000

/* From now on they have this long, in this process. */
void tool_set_limit(int ms);

/*
 * Run argv[0], looked up in the usual folders of the root, with stdin and stdout on
 * /dev/null and a plain environment; what it says on stderr is added to
 * `said` (8 KiB at most, may be NULL).  Returns its exit status, 128 + the
 * signal that ended it, -ENOENT when it is not there, -ETIMEDOUT when it was
 * killed for taking too long, or another reason.
 */
int tool_run(const struct rootfs *root, const char *const argv[], struct buf *said,
	     struct error *err);

/* A program that runs. */
struct tool {
	const char *name; /* borrowed from argv */
	pid_t pid;
	int pidfd;
	int said_fd;
	int64_t deadline_ms;
};

/*
 * The same in two steps, so that several can run at once.  What was started is
 * to be finished, whatever became of the others; the limit counts from the
 * start.  0, or a reason of tool_run().
 */
int tool_start(const struct rootfs *root, const char *const argv[], struct tool *out,
	       struct error *err);
int tool_finish(struct tool *tool, struct buf *said, struct error *err);

/*
 * What tool_run() or tool_finish() returned, when the exit status shall be the
 * program's own word: one that was killed (-EINTR; for want of memory, say) or
 * never began (-EAGAIN) has judged nothing, and may the next time.
 */
int tool_verdict(const char *name, int rc, struct error *err);

#endif
