/* SPDX-License-Identifier: MIT */
/* tool - run one of the servers' own programs, inside their root, for a while. */
#ifndef SIDECAR_TOOL_H
#define SIDECAR_TOOL_H

#include "patchers/base/buf.h"

struct error;
struct rootfs;

/* How long a program may take before it is killed. */
#define TOOL_LIMIT_MS 20000

/*
 * Run argv[0], looked up in the usual folders of the root, with stdin and stdout on
 * /dev/null and a plain environment; what it says on stderr is added to
 * `said` (8 KiB at most, may be NULL).  Returns its exit status, 128 + the
 * signal that ended it, -ENOENT when it is not there, -ETIMEDOUT when it was
 * killed for taking too long, or another reason.
 */
int tool_run(const struct rootfs *root, const char *const argv[], struct buf *said,
	     struct error *err);

#endif
