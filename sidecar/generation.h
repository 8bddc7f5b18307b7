/* SPDX-License-Identifier: MIT */
/*
 * generation - the processes that greet clients for a master, and whether those
 * of before a reload are gone.
 *
 * Postfix's master keeps its listening sockets at a reload, and tells its
 * children by closing a pipe; Dovecot's does alike.  An idle smtpd ends of that
 * within milliseconds; until then it answers on the same sockets, with the old
 * configuration.  One with a client ends after it.
 */
#ifndef SIDECAR_GENERATION_H
#define SIDECAR_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { GENERATION_MAX = 256 };

struct generation {
	pid_t pids[GENERATION_MAX]; /* beyond the limit they are not counted */
	size_t n;
};

/*
 * The children of `master` that run one of the programs, a list ended by NULL.
 * Where /proc does not tell of children (proc_pid_task(5)) there are none.
 */
void generation_take(pid_t master, const char *const *programs, struct generation *out);

/*
 * Wait until none of them is a child of `master` any more, or none has ended for
 * GENERATION_QUIET_MS: those that are left have clients.  Whether none is left.
 */
enum { GENERATION_QUIET_MS = 100 };
bool generation_await(pid_t master, struct generation *generation);

#endif
