/* SPDX-License-Identifier: MIT */
/*
 * spawn - start CMD with exactly what postern was given.
 *
 * vfork(2), because it copies nothing: it is quick, needs no memory, and the
 * child can tell through a variable why its exec failed, without a descriptor.
 * Mask and dispositions are those of signal_state_capture(); working folder,
 * descriptors, limits and environment go on as they are.
 */
#ifndef SIDECAR_SPAWN_H
#define SIDECAR_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

/* Exit statuses, as env(1) and the shells have them. */
enum {
	SPAWN_FAILED = 125,         /* no process could be made */
	SPAWN_NOT_EXECUTABLE = 126, /* it is there, and cannot be run */
	SPAWN_NOT_FOUND = 127,
};

/*
 * Start argv[0], looked for in PATH as execvp(3) does, as the leader of a
 * process group of its own; with `foreground` that group gets the terminal.
 * All signals must be blocked.  0 and the child in *pid once it has exec'd, or
 * one of the statuses above and why in err.
 */
int spawn_start(char *const argv[], bool foreground, pid_t *pid, struct error *err);

#endif
