/* SPDX-License-Identifier: MIT */
/*
 * companion - the process beside CMD in which the watching is done, so that no
 * failure of it is one of PID 1's.
 */
#ifndef SIDECAR_COMPANION_H
#define SIDECAR_COMPANION_H

#include <sys/types.h>

struct supervisor_shared;

/* What runs in it; the result is its exit status.  `shared` may be NULL. */
typedef int companion_main(void *arg, const struct supervisor_shared *shared);

enum { COMPANION_DELAY_MIN_MS = 1000, COMPANION_DELAY_MAX_MS = 5 * 60 * 1000 };

/*
 * fork(2) it: a process group of its own, so that what is sent to ours is for
 * CMD; nothing blocked, all signals at their default but SIGPIPE, which is
 * ignored; SIGTERM when we die.  Its pid or a negative errno.
 */
pid_t companion_start(companion_main *run, void *arg, const struct supervisor_shared *shared);

/*
 * How long to wait before it is started again: 1 s, twice as long each time, 5
 * minutes at most, and 1 s again after it has lived for 5 minutes.  `last_ms`
 * is the wait before (0: none).
 */
int companion_delay(int last_ms, long long lived_ms);

#endif
